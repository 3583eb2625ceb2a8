// What: which of some rows have a stored value within a range.
// Why: a filter by value looks at every row that time and symbol leave: nothing else in a query does so much for so little.
// Invariant: exact for all int64; NULL is in no range (value-ranges.ts); `out` may be `input`.

import { type ColumnArray, ColumnType } from '../../columns/types.ts';
import type { ColumnRange, ValueRange } from '../value-ranges.ts';
import { type Extremes, halvesOf } from './int64.ts';

export interface RowTest {
  /** Writes those of input[0, count), row numbers counted from `from`, whose values pass; returns how many. */
  readonly choose: (from: number, input: Int32Array, count: number, out: Int32Array) => number;
  /** Set where the low halves alone tell. */
  readonly near: NearRange | null;
}

/** A range of values of a chunk in which all are that near to each other that their low halves differ as they do. */
export interface NearRange {
  readonly halves: Int32Array;
  /** Low halves of the bounds. */
  readonly min: number;
  readonly max: number;
}

/** Differences of int32 halves below this do not overflow. */
const NEAR_MAX = 2 ** 31 - 1;

/**
 * The test of a chunk's rows, or what is known without one. `values`: undefined where all are NULL; `extremesOf`: of int64,
 * null when there is a NULL or a number that doubles do not hold.
 */
export function testOf(
  { type, range, narrow, isEmpty }: ColumnRange,
  values: ColumnArray | undefined,
  extremesOf: () => Extremes | null,
): RowTest | 'none' | 'all' {
  if (values === undefined || isEmpty) return 'none';
  if (type !== ColumnType.INT64 && type !== ColumnType.TIMESTAMP_NS)
    return numbersWithin(values as Float64Array, range as ValueRange<number>);
  const halves = halvesOf(values as BigInt64Array);
  const extremes = extremesOf();
  if (extremes === null) return int64Within(halves, range as ValueRange<bigint>);
  const { min, max } = extremes;
  const low = Math.max(min, narrow.min);
  const high = Math.min(max, narrow.max);
  if (low > high) return 'none';
  if (low === min && high === max) return 'all';
  if (max - min >= NEAR_MAX) return int64Within(halves, range as ValueRange<bigint>);
  const near: NearRange = { halves, min: low | 0, max: high | 0 };
  return { near, choose: (from, input, count, out) => chooseNear(near, from, input, count, out) };
}

/** How many of rows [from, to) are within both ranges, which may be the same one. */
export function countNear(a: NearRange, b: NearRange, from: number, to: number): number {
  const { halves: left, min: leftMin, max: leftMax } = a;
  const { halves: right, min: rightMin, max: rightMax } = b;
  let failed = 0;
  let at = 2 * from;
  // A difference below 0 is a row outside, counted without a branch that would be guessed wrong. Four rows at a time: memory is
  // asked for the next before the last has come.
  for (; at + 8 <= 2 * to; at += 8) {
    const [x0, x1, x2, x3] = [left[at]!, left[at + 2]!, left[at + 4]!, left[at + 6]!];
    const [y0, y1, y2, y3] = [right[at]!, right[at + 2]!, right[at + 4]!, right[at + 6]!];
    failed +=
      (((x0 - leftMin) | (leftMax - x0) | (y0 - rightMin) | (rightMax - y0)) >>> 31) +
      (((x1 - leftMin) | (leftMax - x1) | (y1 - rightMin) | (rightMax - y1)) >>> 31) +
      (((x2 - leftMin) | (leftMax - x2) | (y2 - rightMin) | (rightMax - y2)) >>> 31) +
      (((x3 - leftMin) | (leftMax - x3) | (y3 - rightMin) | (rightMax - y3)) >>> 31);
  }
  for (; at < 2 * to; at += 2) {
    const x = left[at]!;
    const y = right[at]!;
    failed += ((x - leftMin) | (leftMax - x) | (y - rightMin) | (rightMax - y)) >>> 31;
  }
  return to - from - failed;
}

function chooseNear(
  { halves, min, max }: NearRange,
  from: number,
  input: Int32Array,
  count: number,
  out: Int32Array,
): number {
  let passed = 0;
  for (let i = 0; i < count; i++) {
    const row = input[i]!;
    const low = halves[2 * (from + row)]!;
    out[passed] = row;
    passed += ~((low - min) | (max - low)) >>> 31;
  }
  return passed;
}

function int64Within(halves: Int32Array, { min, max }: ValueRange<bigint>): RowTest {
  const bounds = new Int32Array(BigInt64Array.of(min, max).buffer);
  const choose: RowTest['choose'] = (from, input, count, out) =>
    chooseInt64(halves, from, bounds, input, count, out);
  return { near: null, choose };
}

function chooseInt64(
  halves: Int32Array,
  from: number,
  bounds: Int32Array,
  input: Int32Array,
  count: number,
  out: Int32Array,
): number {
  const [minLow, minHigh, maxLow, maxHigh] = [bounds[0]! >>> 0, bounds[1]!, bounds[2]! >>> 0, bounds[3]!];
  let passed = 0;
  for (let i = 0; i < count; i++) {
    const row = input[i]!;
    const low = halves[2 * (from + row)]! >>> 0;
    const high = halves[2 * (from + row) + 1]!;
    out[passed] = row;
    if (high < minHigh || high > maxHigh) continue;
    if ((high > minHigh || low >= minLow) && (high < maxHigh || low <= maxLow)) passed++;
  }
  return passed;
}

function numbersWithin(
  values: Int32Array | Uint32Array | Float32Array | Float64Array,
  { min, max }: ValueRange<number>,
): RowTest {
  const choose: RowTest['choose'] = (from, input, count, out) => {
    let passed = 0;
    for (let i = 0; i < count; i++) {
      const row = input[i]!;
      const value = values[from + row]!;
      out[passed] = row;
      if (value >= min && value <= max) passed++;
    }
    return passed;
  };
  return { near: null, choose };
}
