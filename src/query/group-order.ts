// What: the order of rows by a group's number, within a group by keys.
// Why: rows mostly come group after group, as ticks come symbol after symbol: then only each group has to be put in order.
// Invariant: the order that sorting by group and keys gives; stable.

import type { Run } from './run.ts';
import { orderOf, type SortKey } from './sort.ts';
import { type IntVector, tailOf, type Vector } from './vector.ts';

/** Groups with fewer rows on average are sorted all at once. */
const GROUP_ROWS_LEAST = 64;

export interface GroupOrder {
  readonly order: Int32Array;
  /** Where groups begin in it, and the number of rows; null: that was not found on the way. */
  readonly starts: readonly number[] | null;
}

/** `keys`: slots of `vectors`. */
export function groupOrder(
  groups: IntVector,
  vectors: readonly Vector[],
  keys: readonly SortKey[],
  rows: number,
  run: Run,
): GroupOrder {
  const starts = stretches(groups.values, rows);
  if (starts === null) {
    const byGroup = { slot: 0, descending: false, nullsFirst: false };
    const inGroup = keys.map((key) => ({ ...key, slot: key.slot + 1 }));
    return { order: orderOf([groups, ...vectors], [byGroup, ...inGroup], rows, run), starts };
  }
  if (starts.length <= 2) return { order: orderOf(vectors, keys, rows, run), starts };
  const order = new Int32Array(rows);
  for (let k = 0; k + 1 < starts.length; k++) {
    const from = starts[k]!;
    const count = starts[k + 1]! - from;
    const within = orderOf(
      vectors.map((vector) => tailOf(vector, from)),
      keys,
      count,
      run,
    );
    for (let i = 0; i < count; i++) order[from + i] = from + within[i]!;
  }
  return { order, starts };
}

/** Where groups begin, and the number of rows; null when they do not ascend, or are small. */
function stretches(groups: Float64Array, rows: number): number[] | null {
  const most = rows / GROUP_ROWS_LEAST;
  const starts = [0];
  for (let i = 1; i < rows; i++) {
    const step = groups[i]! - groups[i - 1]!;
    if (step === 0) continue;
    if (step < 0 || starts.length > most) return null;
    starts.push(i);
  }
  starts.push(rows);
  return starts;
}
