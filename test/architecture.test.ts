// What: the direction of imports between the folders.
// Why: the folder listing is the architecture only as long as nothing reaches upward or sideways.
// Invariant: connectors know ports, columns and the kernel; the core knows no connector; only composition roots know both.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..');

/** Folder (longest prefix wins) → prefixes that its files may import. `type:` allows types only. */
const rules: readonly (readonly [string, readonly string[]])[] = [
  ['src/kernel/', ['src/kernel/']],
  ['src/compression/', ['src/compression/', 'src/kernel/']],
  ['src/columns/', ['src/columns/', 'src/kernel/']],
  ['src/ports.ts', ['src/columns/', 'src/kernel/']],
  ['src/format/', ['src/format/', 'src/columns/', 'src/compression/', 'src/kernel/', 'src/ports.ts']],
  ['src/store/', ['src/store/', 'src/format/', 'src/columns/', 'src/kernel/', 'src/ports.ts']],
  ['src/commit/', ['src/commit/', 'src/format/', 'src/columns/', 'src/kernel/', 'src/ports.ts']],
  [
    'src/verify/',
    ['src/verify/', 'src/format/', 'src/commit/', 'src/columns/', 'src/kernel/', 'src/ports.ts'],
  ],
  ['src/sql/', ['src/sql/', 'src/columns/', 'src/kernel/']],
  ['src/views/', ['src/views/', 'src/sql/', 'src/format/', 'src/columns/', 'src/kernel/', 'src/ports.ts']],
  [
    'src/query/',
    [
      'src/query/',
      'src/sql/',
      'src/store/',
      'src/views/',
      'src/format/',
      'src/columns/',
      'src/kernel/',
      'src/ports.ts',
    ],
  ],
  [
    'src/live/',
    [
      'src/live/',
      'src/commit/',
      'src/store/',
      'src/query/',
      'src/format/',
      'src/columns/',
      'src/kernel/',
      'src/ports.ts',
    ],
  ],
  [
    'src/engine/',
    [
      'src/engine/',
      'src/live/',
      'src/commit/',
      'src/store/',
      'src/views/',
      'src/query/',
      'src/format/',
      'src/columns/',
      'src/kernel/',
      'src/ports.ts',
    ],
  ],
  ['src/catalogue/', ['src/catalogue/', 'src/sql/', 'src/columns/', 'src/kernel/', 'src/ports.ts']],
  [
    'src/statements/',
    [
      'src/statements/',
      'src/catalogue/',
      'src/sql/',
      'src/query/',
      'src/columns/',
      'src/kernel/',
      'src/ports.ts',
    ],
  ],
  ['src/config/', ['src/config/', 'src/columns/', 'src/kernel/', 'src/ports.ts']],
  [
    'src/http-port.ts',
    ['src/engine/', 'src/columns/', 'src/kernel/', 'src/ports.ts', 'src/query/', 'src/sql/'],
  ],
  ['src/cli.ts', ['src/config/', 'src/kernel/', 'src/ports.ts', 'src/cli/']],
  ['src/cli/', ['src/cli/', 'src/config/', 'src/kernel/']],
  ['src/main.ts', ['src/', 'connectors/', 'demo/']],
  ['src/threads/', ['src/', 'connectors/']],
  ['src/commands/', ['src/', 'connectors/']],
  ['src/bin/', ['src/bin/', 'src/main.ts', 'src/cli.ts', 'src/config/', 'src/kernel/']],
  ['connectors/', ['src/ports.ts', 'src/http-port.ts', 'src/columns/', 'src/compression/', 'src/kernel/']],
  ['services/', ['services/', 'src/kernel/']],
  ['demo/', ['demo/', 'services/', 'src/', 'connectors/']],
];

function sourceFiles(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8');
  const found = [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map((match) => match[1]!);
  return found.map((path) => normalize(join(dirname(file), path)));
}

function allowedFor(file: string): readonly string[] {
  const rule = rules
    .filter(([prefix]) => file.startsWith(prefix))
    .sort((a, b) => b[0].length - a[0].length)[0];
  if (rule === undefined) return [];
  // A connector's own folder is its own room; another connector's is not.
  const own = file.startsWith('connectors/') ? [`${file.split('/').slice(0, 2).join('/')}/`] : [];
  return [...rule[1], ...own];
}

describe('architecture', () => {
  const files = ['src', 'connectors', 'services', 'demo'].flatMap(sourceFiles);

  it('covers every folder by a rule', () => {
    expect(files.filter((file) => allowedFor(file).length === 0)).toEqual([]);
    expect(files.length).toBeGreaterThan(20);
  });

  it('imports point downward only', () => {
    const violations = files.flatMap((file) =>
      importsOf(file)
        .filter((target) => !allowedFor(file).some((prefix) => target.startsWith(prefix)))
        .map((target) => `${file} → ${target}`),
    );
    expect(violations).toEqual([]);
  });

  it('the clock is read in one file only', () => {
    const banned =
      /\bDate\.now\(|new Date\(\)|\bsetTimeout\(|\bsetInterval\(|\bMath\.random\(|\bperformance\.now\(/;
    const offenders = files
      .filter((file) => /^(src|connectors)\//.test(file) && file !== 'src/kernel/clock.ts')
      .filter((file) => banned.test(readFileSync(join(root, file), 'utf8')));
    expect(offenders).toEqual([]);
  });
});
