// What: which of some rows have a stored value within a range.
// Why: a filter by value looks at every row that time and symbol leave: nothing else in a query does so much for so little.
// Invariant: exact for all int64; NULL is in no range (value-ranges.ts); `out` may be `input`.

import { type ColumnArray, ColumnType } from '../../columns/types.ts';
import type { ColumnRange, ValueRange } from '../value-ranges.ts';
import { type Extremes, halvesOf } from './int64.ts';

export interface RowTest {
  /** Writes those of input[0, count), row numbers counted from `from`, whose values pass; returns how many. */
  readonly choose: (from: number, input: Int32Array, count: number, out: Int32Array) => number;
  /** Set where the low halves alone tell: the bounds that some values are beyond, one or two. */
  readonly near: readonly NearBound[] | null;
}

/**
 * A bound of a chunk's values, all of which are that near to each other that their low halves differ as they do: a value is
 * beyond it when `(half ^ flip) + add`, as an int32, is below 0.
 */
export interface NearBound {
  readonly halves: Int32Array;
  readonly flip: 0 | -1;
  readonly add: number;
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
  // x − low, and high − x.
  const near: NearBound[] = [];
  if (low > min) near.push({ halves, flip: 0, add: -(low | 0) | 0 });
  if (high < max) near.push({ halves, flip: -1, add: ((high | 0) + 1) | 0 });
  return { near, choose: (from, input, count, out) => chooseNear(near, from, input, count, out) };
}

/** How many of rows [from, to) are within all bounds; null: there are too many of those. */
export function countNear(bounds: readonly NearBound[], from: number, to: number): number | null {
  const [a, b = a!, c, d = c] = bounds;
  if (c === undefined) return countOfTwo(a!, b, from, to);
  return bounds.length > 4 ? null : countOfFour(a!, b, c, d!, from, to);
}

/** Four rows at a time, and counted without a branch that would be guessed wrong. */
function countOfTwo(a: NearBound, b: NearBound, from: number, to: number): number {
  const { halves: left, flip: leftFlip, add: leftAdd } = a;
  const { halves: right, flip: rightFlip, add: rightAdd } = b;
  let beyond = 0;
  let at = 2 * from;
  for (const stop = 2 * to - 8; at <= stop; at += 8) {
    const v = ((left[at]! ^ leftFlip) + leftAdd) | ((right[at]! ^ rightFlip) + rightAdd);
    const w = ((left[at + 2]! ^ leftFlip) + leftAdd) | ((right[at + 2]! ^ rightFlip) + rightAdd);
    const x = ((left[at + 4]! ^ leftFlip) + leftAdd) | ((right[at + 4]! ^ rightFlip) + rightAdd);
    const y = ((left[at + 6]! ^ leftFlip) + leftAdd) | ((right[at + 6]! ^ rightFlip) + rightAdd);
    beyond += (v >>> 31) + (w >>> 31) + (x >>> 31) + (y >>> 31);
  }
  for (; at < 2 * to; at += 2)
    beyond += (((left[at]! ^ leftFlip) + leftAdd) | ((right[at]! ^ rightFlip) + rightAdd)) >>> 31;
  return to - from - beyond;
}

function countOfFour(
  a: NearBound,
  b: NearBound,
  c: NearBound,
  d: NearBound,
  from: number,
  to: number,
): number {
  let beyond = 0;
  for (let at = 2 * from; at < 2 * to; at += 2) {
    const first = ((a.halves[at]! ^ a.flip) + a.add) | ((b.halves[at]! ^ b.flip) + b.add);
    const second = ((c.halves[at]! ^ c.flip) + c.add) | ((d.halves[at]! ^ d.flip) + d.add);
    beyond += (first | second) >>> 31;
  }
  return to - from - beyond;
}

function chooseNear(
  bounds: readonly NearBound[],
  from: number,
  input: Int32Array,
  count: number,
  out: Int32Array,
): number {
  const { halves, flip, add } = bounds[0]!;
  const { flip: otherFlip, add: otherAdd } = bounds[1] ?? bounds[0]!;
  let passed = 0;
  for (let i = 0; i < count; i++) {
    const row = input[i]!;
    const low = halves[2 * (from + row)]!;
    out[passed] = row;
    passed += ~(((low ^ flip) + add) | ((low ^ otherFlip) + otherAdd)) >>> 31;
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
