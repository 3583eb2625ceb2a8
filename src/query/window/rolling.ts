// What: count, sum, avg, min and max of plain numbers over frames, position by position.
// Why: the rolling mean of every tick is asked for all the time, and needs no accumulator for each row.
// Invariant: what accumulators over the frames give, floats to their last digits. Only whole numbers are subtracted, floats never.

import { POW10 } from '../../kernel/fixed.ts';
import { CHECK_STEPS, type Run } from '../run.ts';
import type { Scratch } from '../scratch.ts';
import { floatVector, intVector, NARROW_MAX, type Vector } from '../vector.ts';
import type { Frames, RowOffsets } from './frames.ts';

export type RollingName = 'sum' | 'avg' | 'min' | 'max';

/** Over which rows. */
export interface Windowing {
  /** Null where frames are not so many rows before and after each. */
  readonly offsets: RowOffsets | null;
  /** Positions where partitions begin, and the number of rows. */
  readonly partitions: Int32Array;
  readonly frames: () => Frames;
}

/** `scale`: decimals of a whole number. `scratch` may hold the answer. Null when the values do not allow it. */
export function rolling(
  name: RollingName,
  values: Vector,
  scale: number,
  windowing: Windowing,
  rows: number,
  scratch: Scratch,
  run: Run,
): Vector | null {
  run.check();
  const isInteger = values.kind === 'int' && values.base === 0n;
  if (!isInteger && values.kind !== 'float') return null;
  const numbers = values.values as Float64Array;
  if (name === 'min' || name === 'max') {
    const out = extremes(name === 'max' ? 1 : -1, numbers, windowing.frames(), rows, run);
    return isInteger ? intVector(out) : floatVector(out);
  }
  const divisor = name === 'avg' ? POW10[scale]! : null;
  if (isInteger) {
    const out =
      ofCounted(numbers, divisor, windowing, rows, scratch, run) ??
      ofWhole(numbers, divisor, windowing.frames(), rows, scratch.floats(rows), run);
    return out && (divisor === null ? intVector(out) : floatVector(out));
  }
  const frames = windowing.frames();
  const counts = countsOf(numbers, frames, rows);
  const sums = floatSums(numbers, frames, rows, run);
  // Without a value, a sum is NULL as well as a mean.
  for (let i = 0; i < rows; i++)
    sums[i] = divisor === null && counts[i]! > 0 ? sums[i]! : sums[i]! / counts[i]!;
  return floatVector(sums);
}

/**
 * As `ofWhole`, where frames are counted in rows and there is no NULL: between the ends of a partition one value enters and one
 * leaves with each row. Null where it is not so.
 */
function ofCounted(
  values: Float64Array,
  divisor: number | null,
  { offsets, partitions }: Windowing,
  rows: number,
  scratch: Scratch,
  run: Run,
): Float64Array | null {
  if (offsets === null || offsets.to <= offsets.from) return null;
  const { from, to } = offsets;
  const mostRows = Math.min(Math.max(to, 1) - Math.min(from, 0), rows);
  const out = scratch.floats(rows);
  let most = 0;
  let least = 0;
  for (let p = 0; p + 1 < partitions.length; p++) {
    const first = partitions[p]!;
    const last = partitions[p + 1]!;
    // From here to there, the frames of a row and of the one before it are whole.
    const wholeFrom = Math.max(first, first - from) + 1;
    const wholeTo = Math.min(last, last - to + 1);
    let sum = 0;
    // Rows [left, reached) are in the sum.
    let left = first;
    let reached = first;
    for (let i = first; i < last; ) {
      run.check();
      const stop = Math.min(last, i + CHECK_STEPS);
      for (; i < stop && (i < wholeFrom || i >= wholeTo); i++) {
        const start = Math.min(last, Math.max(first, i + from));
        const end = Math.max(start, Math.min(last, i + to));
        for (; reached < end; reached++) {
          const value = values[reached]!;
          if (value > most) most = value;
          if (value < least) least = value;
          sum += value;
        }
        for (; left < start; left++) sum -= values[left]!;
        if (end === start) out[i] = Number.NaN;
        else out[i] = divisor === null ? sum : sum / ((end - start) * divisor);
      }
      const wholeStop = Math.min(stop, wholeTo);
      if (i >= wholeStop) continue;
      const by = divisor === null ? 1 : (to - from) * divisor;
      // Two at a time: see kernels/unrolled.ts.
      for (; i + 1 < wholeStop; i += 2) {
        const value = values[i + to - 1]!;
        const next = values[i + to]!;
        if (value > most) most = value;
        if (value < least) least = value;
        if (next > most) most = next;
        if (next < least) least = next;
        const before = sum + (value - values[i + from - 1]!);
        sum = before + (next - values[i + from]!);
        out[i] = before / by;
        out[i + 1] = sum / by;
      }
      for (; i < wholeStop; i++) {
        const value = values[i + to - 1]!;
        if (value > most) most = value;
        if (value < least) least = value;
        sum += value - values[i + from - 1]!;
        out[i] = sum / by;
      }
      left = i - 1 + from;
      reached = i - 1 + to;
    }
    // Once it has met a NULL, it is none itself; and no sum was larger than these allow.
    if (Number.isNaN(sum) || !(Math.max(most, -least) * mostRows <= NARROW_MAX)) return null;
  }
  return out;
}

/**
 * Sums, or with a divisor means. What enters a frame is added, what leaves it is taken away again: exact, since all of it are
 * whole numbers. Frames never move backwards but from partition to partition. Null when a sum might leave the doubles.
 */
function ofWhole(
  values: Float64Array,
  divisor: number | null,
  { start, end }: Frames,
  rows: number,
  out: Float64Array,
  run: Run,
): Float64Array | null {
  let sum = 0;
  let count = 0;
  let largest = 0;
  let widest = 0;
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
      const size = value < 0 ? -value : value;
      if (size > largest) largest = size;
      sum += value;
      count++;
    }
    if (reached - left > widest) widest = reached - left;
    for (; left < from; left++) {
      const value = values[left]!;
      if (Number.isNaN(value)) continue;
      sum -= value;
      count--;
    }
    if (to <= from || count === 0) out[i] = Number.NaN;
    else out[i] = divisor === null ? sum : sum / (count * divisor);
  }
  // No sum was larger.
  return largest * widest <= NARROW_MAX ? out : null;
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
