// What: memories for columns, one after the other.
// Why: what a test has in one is never given back, and each takes addresses that only the collector frees.
// Invariant: there is room for what a test of a few thousand rows has.

import { ColumnMemory } from '../../src/columns/column-memory.ts';

const BYTES = 2 ** 30;
const ROOM_BYTES = 2 ** 26;
let memory: ColumnMemory | null = null;

/** With room for 64 MiB. */
export function roomyMemory(): ColumnMemory {
  const found = memory?.allocate(ROOM_BYTES) ?? null;
  if (found !== null) memory!.release(found, ROOM_BYTES);
  else memory = ColumnMemory.reserve(BYTES)!;
  return memory!;
}
