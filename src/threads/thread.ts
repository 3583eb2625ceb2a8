// What: starts a worker thread from a file beside this one, built or not.
// Why: the same code runs as compiled JavaScript in production and straight from TypeScript under tsx.
// Invariant: a thread's name and role show in its options; its exit is always noticed by who started it.

import { Worker } from 'node:worker_threads';

/** `name` is a file of src/threads without its ending. `data` arrives as `workerData`. */
export function startThread(name: 'shard' | 'encoder', data: unknown): Worker {
  const isTypeScript = import.meta.url.endsWith('.ts');
  const file = new URL(`./${name}.${isTypeScript ? 'ts' : 'js'}`, import.meta.url);
  return new Worker(file, {
    name,
    workerData: data,
    ...(isTypeScript ? { execArgv: ['--import', 'tsx'] } : {}),
  });
}
