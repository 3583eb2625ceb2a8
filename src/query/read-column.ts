// What: rows of a stored column as a vector.
// Why: int64 is read as two 32-bit halves, so that no BigInt is made; the base is the part's hour, within which times are small.
// Invariant: the vector has exactly the column's values; stored NULLs are vectors' NULLs.

import { type ColumnArray, ColumnType, NULL_INT32, NULL_INT64 } from '../columns/types.ts';
import { halvesOf } from './kernels/int64.ts';
import { differencesInto, smallInto } from './kernels/unrolled.ts';
import type { Scratch } from './scratch.ts';
import {
  boolVector,
  floatVector,
  type IntegerVector,
  intVector,
  NARROW_MAX,
  textVector,
  type Vector,
  wideVector,
} from './vector.ts';

const TWO_32 = 2 ** 32;

/** Rows [from, from + rows) of `values`. `base`: near the values of a timestamp column. */
export function readColumn(
  values: ColumnArray,
  type: ColumnType,
  from: number,
  rows: number,
  base: bigint,
  scratch: Scratch,
): Vector {
  switch (type) {
    case ColumnType.INT64:
      return readInt64([values as BigInt64Array], [from, from + rows], rows, 0n, scratch);
    case ColumnType.TIMESTAMP_NS:
      return readInt64([values as BigInt64Array], [from, from + rows], rows, base, scratch);
    case ColumnType.INT32: {
      const out = scratch.floats(rows);
      for (let i = 0; i < rows; i++) {
        const value = values[from + i] as number;
        out[i] = value === NULL_INT32 ? Number.NaN : value;
      }
      return intVector(out);
    }
    case ColumnType.FLOAT32: {
      const out = scratch.floats(rows);
      for (let i = 0; i < rows; i++) out[i] = values[from + i] as number;
      return floatVector(out);
    }
    case ColumnType.FLOAT64:
      return floatVector((values as Float64Array).subarray(from, from + rows));
    case ColumnType.BOOL:
      return boolVector((values as Uint8Array).subarray(from, from + rows));
    case ColumnType.SYMBOL:
    case ColumnType.STRING:
      return textVector((values as Uint32Array).subarray(from, from + rows));
  }
}

/** Rows `from + chosen[i]`, i < rows, as `readColumn` reads them. */
export function readChosen(
  values: ColumnArray,
  type: ColumnType,
  from: number,
  chosen: Int32Array,
  rows: number,
  base: bigint,
  scratch: Scratch,
): Vector {
  return readColumn(gatherStored(values, type, from, chosen, rows, scratch), type, 0, rows, base, scratch);
}

/** Rows of one array after the other, as `readColumn` reads them: of each a first row and the row after the last one. */
export function readRanges(
  values: readonly ColumnArray[],
  type: ColumnType,
  ranges: readonly number[],
  rows: number,
  base: bigint,
  scratch: Scratch,
): Vector {
  if (type === ColumnType.INT64 || type === ColumnType.TIMESTAMP_NS)
    return readInt64(values as BigInt64Array[], ranges, rows, type === ColumnType.INT64 ? 0n : base, scratch);
  const joined = joinedRanges(values, ranges, arrayOf(type, rows, scratch));
  return readColumn(joined, type, 0, rows, base, scratch);
}

/** Copying fewer values one by one takes less than to make a view of them. */
const COPIED_ONE_BY_ONE = 4;

function joinedRanges<T extends ColumnArray>(
  sources: readonly T[],
  ranges: readonly number[],
  out: ColumnArray,
): T {
  const target = out as Float64Array;
  let at = 0;
  for (let k = 0; k < sources.length; k++) {
    const values = sources[k]! as Float64Array;
    const from = ranges[2 * k]!;
    const to = ranges[2 * k + 1]!;
    if (to - from > COPIED_ONE_BY_ONE) target.set(values.subarray(from, to), at);
    else for (let row = from; row < to; row++) target[at + row - from] = values[row]!;
    at += to - from;
  }
  return out as T;
}

/** For stored values, in memory that `readColumn` may write over. */
function arrayOf(type: ColumnType, rows: number, scratch: Scratch): ColumnArray {
  switch (type) {
    case ColumnType.INT64:
    case ColumnType.TIMESTAMP_NS:
      return scratch.bigints(rows);
    case ColumnType.INT32:
      return scratch.integers(rows);
    case ColumnType.FLOAT32:
    case ColumnType.FLOAT64:
      return scratch.floats(rows);
    case ColumnType.BOOL:
      return scratch.bytes(rows);
    case ColumnType.SYMBOL:
    case ColumnType.STRING:
      return scratch.codes(rows);
  }
}

/** values[from + chosen[i]], i < rows. */
function gatherStored(
  values: ColumnArray,
  type: ColumnType,
  from: number,
  chosen: Int32Array,
  rows: number,
  scratch: Scratch,
): ColumnArray {
  const out = arrayOf(type, rows, scratch);
  if (!(values instanceof BigInt64Array)) return picked(values, from, chosen, rows, out as Float64Array);
  const source = halvesOf(values);
  const target = halvesOf(out as BigInt64Array);
  for (let i = 0; i < rows; i++) {
    const row = from + chosen[i]!;
    target[2 * i] = source[2 * row]!;
    target[2 * i + 1] = source[2 * row + 1]!;
  }
  return out;
}

function picked<T extends Exclude<ColumnArray, BigInt64Array>>(
  values: T,
  from: number,
  chosen: Int32Array,
  rows: number,
  out: T | Float64Array,
): T | Float64Array {
  for (let i = 0; i < rows; i++) out[i] = values[from + chosen[i]!]!;
  return out;
}

/** As `readRanges`. */
function readInt64(
  sources: readonly BigInt64Array[],
  ranges: readonly number[],
  rows: number,
  base: bigint,
  scratch: Scratch,
): IntegerVector {
  const out = scratch.floats(rows);
  if (lastNear.base !== base) lastNear = nearOf(base);
  const near = lastNear;
  let isNear = true;
  let at = 0;
  for (let k = 0; k < sources.length; k++) {
    const values = sources[k]!;
    const from = ranges[2 * k]!;
    const to = ranges[2 * k + 1]!;
    const isRead =
      (near.scale > 0 && differencesInto(out, at, floatsOf(values), from, to, near.float, near.scale, FAR)) ||
      readHalves(halvesOf(values), from, to, near, out, at);
    if (!isRead) isNear = false;
    at += to - from;
  }
  if (isNear) return intVector(out, base);
  // A NULL, or a value that does not fit.
  let isWide = false;
  at = 0;
  for (let k = 0; k < sources.length; k++)
    for (let row = ranges[2 * k]!; row < ranges[2 * k + 1]!; row++, at++) {
      const value = out[at]!;
      if (!(value > NARROW_MAX || value < -NARROW_MAX)) continue;
      if (sources[k]![row] === NULL_INT64) out[at] = Number.NaN;
      else isWide = true;
    }
  if (!isWide) return intVector(out, base);
  if (sources.length === 1) return wideVector(sources[0]!.subarray(ranges[0]!, ranges[1]!));
  return wideVector(joinedRanges(sources, ranges, scratch.bigints(rows)));
}

/** False when a value might be NULL, or does not fit. */
function readHalves(
  halves: Int32Array,
  from: number,
  to: number,
  near: Near,
  out: Float64Array,
  at: number,
): boolean {
  const maySmall = near.base === 0n && halves[2 * from + 1] === 0 && halves[2 * from]! >= 0;
  return (maySmall && smallInto(out, at, halves, from, to)) || readNear(halves, from, to, near, out, at);
}

/** A base, and its halves. */
interface Near {
  readonly base: bigint;
  readonly high: number;
  readonly low: number;
  /** The double of the same bits, and what multiplies a difference from it to whole numbers; 0: there is none. */
  readonly float: number;
  readonly scale: number;
}

const bits = new BigInt64Array(1);
const bitsAsFloat = new Float64Array(bits.buffer);

/**
 * Int64s whose upper 12 bits are equal are, read as doubles, of one exponent: their difference is exact, and a power of two
 * times that of the integers. Below an exponent of 64 that power is no double.
 */
function nearOf(base: bigint): Near {
  const high = Number(base >> 32n);
  const exponent = high >> 20;
  const place = Number(base & 0xf_ffff_ffff_ffffn);
  // Far from the ends of what shares its bits, or else what is beyond them might seem near.
  const isInside = exponent >= 64 && place >= FAR && place < 2 ** 52 - FAR;
  bits[0] = base;
  return {
    base,
    high,
    low: Number(BigInt.asUintN(32, base)),
    float: bitsAsFloat[0]!,
    scale: isInside ? 2 ** (1075 - exponent) : 0,
  };
}

/** Rows of an hour are read one column after the other, and most have one base. */
let lastNear = nearOf(0n);

/** More than two hours of nanoseconds: what is as far from the base is not read as a difference of doubles. */
const FAR = 2 ** 43;

/** Of the upper half: a smaller difference leaves the value below NARROW_MAX. */
const NEAR = 2 ** 19;

/** False when a value might be NULL, or does not fit. */
function readNear(
  halves: Int32Array,
  from: number,
  to: number,
  { high: baseHigh, low: baseLow }: Near,
  out: Float64Array,
  at: number,
): boolean {
  let isNear = true;
  for (let row = from, i = at; row < to; row++, i++) {
    const high = halves[2 * row + 1]! - baseHigh;
    if (high >= NEAR || high < -NEAR) isNear = false;
    out[i] = high * TWO_32 + ((halves[2 * row]! >>> 0) - baseLow);
  }
  return isNear;
}

const floatsOf = (values: BigInt64Array): Float64Array =>
  new Float64Array(values.buffer, values.byteOffset, values.length);
