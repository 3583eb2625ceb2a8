// What: rows of a stored column as a vector.
// Why: int64 is read as two 32-bit halves, so that no BigInt is made; the base is the part's hour, within which times are small.
// Invariant: the vector has exactly the column's values; stored NULLs are vectors' NULLs.

import { type ColumnArray, ColumnType, NULL_INT32, NULL_INT64 } from '../columns/types.ts';
import { halvesOf } from './kernels/int64.ts';
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
      return readInt64(values as BigInt64Array, from, rows, 0n, scratch);
    case ColumnType.TIMESTAMP_NS:
      return readInt64(values as BigInt64Array, from, rows, base, scratch);
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

/** values[from + chosen[i]], i < rows, in an array that `readColumn` may write over. */
function gatherStored(
  values: ColumnArray,
  type: ColumnType,
  from: number,
  chosen: Int32Array,
  rows: number,
  scratch: Scratch,
): ColumnArray {
  switch (type) {
    case ColumnType.INT64:
    case ColumnType.TIMESTAMP_NS: {
      const out = scratch.bigints(rows);
      const source = halvesOf(values as BigInt64Array);
      const target = halvesOf(out);
      for (let i = 0; i < rows; i++) {
        const row = from + chosen[i]!;
        target[2 * i] = source[2 * row]!;
        target[2 * i + 1] = source[2 * row + 1]!;
      }
      return out;
    }
    case ColumnType.INT32:
      return picked(values as Int32Array, from, chosen, rows, scratch.integers(rows));
    case ColumnType.FLOAT32:
    case ColumnType.FLOAT64:
      return picked(values as Float64Array, from, chosen, rows, scratch.floats(rows));
    case ColumnType.BOOL:
      return picked(values as Uint8Array, from, chosen, rows, scratch.bytes(rows));
    case ColumnType.SYMBOL:
    case ColumnType.STRING:
      return picked(values as Uint32Array, from, chosen, rows, scratch.codes(rows));
  }
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

function readInt64(
  values: BigInt64Array,
  from: number,
  rows: number,
  base: bigint,
  scratch: Scratch,
): IntegerVector {
  const halves = new Int32Array(values.buffer, values.byteOffset + from * 8, rows * 2);
  const baseHigh = Number(base >> 32n);
  const baseLow = Number(BigInt.asUintN(32, base));
  const out = scratch.floats(rows);
  let outside = false;
  for (let i = 0; i < rows; i++) {
    const value = (halves[2 * i + 1]! - baseHigh) * TWO_32 + ((halves[2 * i]! >>> 0) - baseLow);
    if (value > NARROW_MAX || value < -NARROW_MAX) outside = true;
    out[i] = value;
  }
  if (!outside) return intVector(out, base);
  // A NULL, or a value that does not fit.
  outside = false;
  for (let i = 0; i < rows; i++) {
    const value = out[i]!;
    if (!(value > NARROW_MAX || value < -NARROW_MAX)) continue;
    if (values[from + i] === NULL_INT64) out[i] = Number.NaN;
    else outside = true;
  }
  return outside ? wideVector(values.subarray(from, from + rows)) : intVector(out, base);
}
