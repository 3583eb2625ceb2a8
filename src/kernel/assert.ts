// What: assertions that stay on in production.
// Why: a broken hand-over found at once costs a restart; found in the bucket it costs the promise.
// Invariant: an assertion never has a side effect and never runs per tick.

import { ZeptoError } from './errors.ts';

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new ZeptoError('INTERNAL', 'stop', `assertion failed: ${message}`);
}

/** For the default branch of a switch over a closed union: the compiler proves that it is not reached. */
export function unreachable(value: never): never {
  throw new ZeptoError('INTERNAL', 'stop', `unreachable: ${JSON.stringify(value)}`);
}
