// What: work on many items, several at a time.
// Why: a plan may have thousands of small segments; waiting for one overlaps work on others.
// Invariant: the first error stops the other lanes, and is the one that is told, when nothing is under way any more.

import { assert } from './assert.ts';

/**
 * Calls `work` for each item, at most `count` at a time, with a signal that also ends with the first error.
 * @throws that error, or the signal's reason
 */
export async function inLanes<T>(
  items: Iterable<T>,
  count: number,
  signal: AbortSignal,
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  assert(count >= 1, 'at least one item may be under way');
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const waiting = items[Symbol.iterator]();
  const lane = async (): Promise<void> => {
    for (let next = waiting.next(); next.done !== true; next = waiting.next()) {
      either.throwIfAborted();
      await work(next.value, either);
    }
  };
  await Promise.all(Array.from({ length: count }, () => lane().catch((error) => failed.abort(error))));
  either.throwIfAborted();
}
