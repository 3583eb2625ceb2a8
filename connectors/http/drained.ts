// What: waits until what was written to a client has been taken, or can be taken no more.
// Why: an answer may be written for days: what each wait left behind would add up.
// Invariant: a stream has as many listeners afterwards as before.

import { once } from 'node:events';
import type { Writable } from 'node:stream';

export async function drained(sink: Writable): Promise<void> {
  // What is closed already says so no more.
  if (sink.destroyed) return;
  const waiting = new AbortController();
  const { signal } = waiting;
  try {
    await Promise.race([once(sink, 'drain', { signal }), once(sink, 'close', { signal })]);
  } finally {
    waiting.abort();
  }
}
