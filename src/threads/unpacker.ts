// What: a thread that expands compressed bodies of requests.
// Why: a few megabytes of lz4 may be half a gigabyte: seconds in which the main thread would answer nobody, not even a probe.
// Invariant: one body at a time; the process that started the thread ends it.

import { parentPort } from 'node:worker_threads';
import { offer } from './calls.ts';
import { unpack } from './unpack.ts';

const calls = { unpack };
export type UnpackerCalls = typeof calls;

offer(parentPort!, calls);
