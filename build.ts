// What: the program as few files in dist/: the two commands, the threads, and what they share.
// Why: a process has half a dozen threads, and each of them spends a second on loading hundreds of small modules.
// Invariant: threads lie beside whatever starts them (src/threads/thread.ts); nothing native and nothing that looks for its own files is packed.

import { rmSync } from 'node:fs';
import { build } from 'esbuild';
import packageJson from './package.json' with { type: 'json' };

/** Those of many modules, in JavaScript alone. Others are loaded from node_modules as they are. */
const PACKED = [
  '@aws-sdk/client-s3',
  '@aws-sdk/lib-storage',
  '@smithy/node-http-handler',
  'apache-arrow',
  'fastify',
  'prom-client',
  'zod',
];
const DIRECTORY = 'dist';

rmSync(DIRECTORY, { recursive: true, force: true });
await build({
  entryPoints: [
    'src/bin/zepto.ts',
    'src/bin/zepto_http_server.ts',
    ...['shard', 'encoder', 'query', 'unpacker'].map((thread) => `src/threads/${thread}.ts`),
  ],
  // All in one folder, whatever folder they come from.
  entryNames: '[name]',
  chunkNames: 'shared-[hash]',
  outdir: DIRECTORY,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  mainFields: ['module', 'main'],
  external: Object.keys(packageJson.dependencies).filter((name) => !PACKED.includes(name)),
  // Names stay, for stack traces and profiles.
  minifyWhitespace: true,
  sourcemap: 'linked',
  sourcesContent: false,
  legalComments: 'linked',
  // Of packed packages, those in CommonJS.
  banner: {
    js: "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);",
  },
  logLevel: 'warning',
});
