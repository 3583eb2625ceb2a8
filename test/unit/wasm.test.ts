// What: the modules of WebAssembly against their sources.
// Why: nobody reads WebAssembly, so it must be what its source says.
// Invariant: a module is compiled here as it was for the repository, and compared byte by byte.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { expectGeneratedFile } from '../support/generated.ts';

const root = join(import.meta.dirname, '../..');
/** The module works in memory that it is given, of 4 GiB at most. */
const GIVEN_MEMORY = ['--importMemory', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536'];

test.each([
  { folder: 'src/compression/wasm', name: 'lz4-columns', options: [] },
  {
    folder: 'src/columns/wasm',
    name: 'column-loops',
    options: ['--enable', 'threads', ...GIVEN_MEMORY],
  },
])(
  '$name is what its source says',
  ({ folder, name, options }) => {
    const temporary = mkdtempSync(join(tmpdir(), 'zepto-asc-'));
    try {
      const file = join(temporary, 'module.wasm');
      const source = `${folder}/${name}.ts`;
      const compiler = join(root, 'node_modules/assemblyscript/bin/asc.js');
      const common = ['-O3', '--runtime', 'stub', '--enable', 'simd', '--noAssert', '--outFile', file];
      execFileSync(process.execPath, [compiler, source, ...common, ...options], { cwd: root });
      const wasm = readFileSync(file);
      expect(wasm.subarray(1, 4).toString()).toBe('asm');
      expectGeneratedFile(
        `${folder}/${name}-wasm.ts`,
        `// What: ${source}, compiled.
// Why: the program starts without a compiler, and is packed without files beside it.
// Invariant: test/unit/wasm.test.ts makes this file, and compares it.

export const ${name.toUpperCase().replace('-', '_')}_WASM =
  '${wasm.toString('base64')}';
`,
      );
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  },
  120_000,
);
