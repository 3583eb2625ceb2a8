// What: count, sum, avg, min and max of plain numbers over frames, position by position.
// Why: the rolling mean of every tick is asked for all the time, and needs no accumulator for each row.
// Invariant: what accumulators over the frames give, floats to their last digits. Only whole numbers are subtracted, floats never.

import { POW10 } from '../../kernel/fixed.ts';
import { CHECK_STEPS, type Run } from '../run.ts';
import type { Scratch } from '../scratch.ts';
import { floatVector, intVector, NARROW_MAX, type Vector } from '../vector.ts';
import type { Frames } from './frames.ts';

export type RollingName = 'sum' | 'avg' | 'min' | 'max';

/** `scale`: decimals of a whole number. `scratch` may hold the answer. Null when the values do not allow it. */
export function rolling(
  name: RollingName,
  values: Vector,
  scale: number,
  frames: Frames,
  rows: number,
  scratch: Scratch,
  run: Run,
): Vector | null {
  run.check();
  const isInteger = values.kind === 'int' && values.base === 0n;
  if (!isInteger && values.kind !== 'float') return null;
  const numbers = values.values as Float64Array;
  if (name === 'min' || name === 'max') {
    const out = extremes(name === 'max' ? 1 : -1, numbers, frames, rows, run);
    return isInteger ? intVector(out) : floatVector(out);
  }
  const { counts, sums } = isInteger
    ? wholeSums(numbers, frames, rows, scratch, run)
    : { counts: countsOf(numbers, frames, rows), sums: floatSums(numbers, frames, rows, run) };
  if (sums === null) return null;
  if (name === 'sum') {
    for (let i = 0; i < rows; i++) if (counts[i] === 0) sums[i] = Number.NaN;
    return isInteger ? intVector(sums) : floatVector(sums);
  }
  const divisor = POW10[scale]!;
  for (let i = 0; i < rows; i++) sums[i] = sums[i]! / counts[i]! / divisor;
  return floatVector(sums);
}

interface Sums {
  readonly counts: Int32Array;
  /** Null when a sum leaves the doubles. */
  readonly sums: Float64Array | null;
}

/**
 * What enters a frame is added, what leaves it is taken away again: exact, since all of it are whole numbers. Frames never
 * move backwards but from partition to partition.
 */
function wholeSums(
  values: Float64Array,
  { start, end }: Frames,
  rows: number,
  scratch: Scratch,
  run: Run,
): Sums {
  const sums = scratch.floats(rows);
  const counts = scratch.integers(rows);
  let [sum, count, size] = [0, 0, 0];
  // Rows [left, reached) are in the sum.
  let left = 0;
  let reached = 0;
  for (let i = 0; i < rows; i++) {
    if (i % CHECK_STEPS === 0) run.check();
    const from = start[i]!;
    const to = end[i]!;
    if (from < left || from > reached) {
      left = from;
      reached = from;
      sum = 0;
      count = 0;
    }
    for (; reached < to; reached++) {
      const value = values[reached]!;
      if (Number.isNaN(value)) continue;
      sum += value;
      count++;
      size = Math.max(size, Math.abs(sum));
    }
    for (; left < from; left++) {
      const value = values[left]!;
      if (Number.isNaN(value)) continue;
      sum -= value;
      count--;
      size = Math.max(size, Math.abs(sum));
    }
    const isEmpty = to <= from;
    sums[i] = isEmpty ? 0 : sum;
    counts[i] = isEmpty ? 0 : count;
  }
  return { counts, sums: size <= NARROW_MAX ? sums : null };
}

function countsOf(values: Float64Array, { start, end }: Frames, rows: number): Int32Array {
  const before = new Int32Array(rows + 1);
  for (let i = 0; i < rows; i++) before[i + 1] = before[i]! + (Number.isNaN(values[i]!) ? 0 : 1);
  const counts = new Int32Array(rows);
  for (let i = 0; i < rows; i++) counts[i] = end[i]! > start[i]! ? before[end[i]!]! - before[start[i]!]! : 0;
  return counts;
}

/**
 * A queue as two stacks: `front[i]` is the sum from i up to `middle`, `back` that from `middle` on. When the front runs out
 * it is made anew. Frames never move backwards but from partition to partition.
 */
function floatSums(values: Float64Array, { start, end }: Frames, rows: number, run: Run): Float64Array {
  const sums = new Float64Array(rows);
  const front = new Float64Array(rows + 1);
  let middle = 0;
  let reached = 0;
  let back = 0;
  let lastStart = 0;
  for (let i = 0; i < rows; i++) {
    run.tick();
    const from = start[i]!;
    const to = end[i]!;
    if (to <= from) continue;
    if (from > reached || from < lastStart) {
      middle = from;
      reached = from;
      back = 0;
    }
    lastStart = from;
    for (; reached < to; reached++) if (!Number.isNaN(values[reached]!)) back += values[reached]!;
    if (from >= middle) {
      let sum = 0;
      for (let at = reached - 1; at >= from; at--) {
        if (!Number.isNaN(values[at]!)) sum += values[at]!;
        front[at] = sum;
      }
      middle = reached;
      back = 0;
    }
    sums[i] = front[from]! + back;
  }
  return sums;
}

/** A queue of positions whose values fall (for the largest) from its head to its end: the head is the answer. */
function extremes(
  sign: 1 | -1,
  values: Float64Array,
  { start, end }: Frames,
  rows: number,
  run: Run,
): Float64Array {
  const out = new Float64Array(rows).fill(Number.NaN);
  const queue = new Int32Array(rows);
  let head = 0;
  let tail = 0;
  let reached = 0;
  let lastStart = 0;
  for (let i = 0; i < rows; i++) {
    run.tick();
    const from = start[i]!;
    const to = end[i]!;
    if (to <= from) continue;
    if (from > reached || from < lastStart) {
      head = tail;
      reached = from;
    }
    lastStart = from;
    for (; reached < to; reached++) {
      const value = values[reached]! * sign;
      if (Number.isNaN(value)) continue;
      while (tail > head && values[queue[tail - 1]!]! * sign <= value) tail--;
      if (tail === queue.length) {
        queue.copyWithin(0, head, tail);
        tail -= head;
        head = 0;
      }
      queue[tail++] = reached;
    }
    while (head < tail && queue[head]! < from) head++;
    if (head < tail) out[i] = values[queue[head]!]!;
  }
  return out;
}
