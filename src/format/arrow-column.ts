// What: one column of a segment as Arrow buffers: validity, values, and for strings the offsets into them.
// Why: Parquet writers take Arrow; its layout is ours but for NULLs, booleans and strings.
// Invariant: a validity bitmap exists only when a NULL occurs; NULL sentinels never show as values to a reader.

import {
  bytesOf,
  type ColumnArray,
  type ColumnSchema,
  ColumnType,
  NULL_BOOL,
  NULL_CODE,
  NULL_INT32,
} from '../columns/types.ts';
import { assert } from '../kernel/assert.ts';

/** Each buffer is given as parts, one after the other; an empty first buffer means that all values are valid. */
export interface ArrowColumn {
  readonly nulls: number;
  readonly buffers: readonly (readonly Uint8Array[])[];
}

export type TimestampType = 'ns' | 'us' | 'int64';

/** The parts' values, `rows` in all. `strings` names the codes of STRING columns. */
export function arrowColumn(
  column: ColumnSchema,
  parts: readonly ColumnArray[],
  rows: number,
  timestampType: TimestampType,
  strings: ReadonlyMap<number, string>,
): ArrowColumn {
  const nulls = nullRows(column.type, parts, rows);
  const validity = nulls === null ? [] : [nulls.bitmap];
  const nullCount = nulls === null ? 0 : nulls.count;
  switch (column.type) {
    case ColumnType.BOOL:
      return { nulls: nullCount, buffers: [validity, [packedBooleans(parts, rows)]] };
    case ColumnType.STRING:
      return { nulls: nullCount, buffers: [validity, ...utf8Buffers(parts, rows, strings)] };
    case ColumnType.TIMESTAMP_NS:
      if (timestampType === 'us') return { nulls: 0, buffers: [[], parts.map(microseconds)] };
      return { nulls: 0, buffers: [[], parts.map(bytesOf)] };
    default:
      return { nulls: nullCount, buffers: [validity, parts.map(bytesOf)] };
  }
}

interface NullRows {
  readonly count: number;
  /** One bit per row, least significant first; 1 = valid. */
  readonly bitmap: Uint8Array;
}

/** Null when no row is NULL, which is told in one pass that stores nothing. */
function nullRows(type: ColumnType, parts: readonly ColumnArray[], rows: number): NullRows | null {
  if (type === ColumnType.TIMESTAMP_NS || type === ColumnType.SYMBOL) return null;
  if (!parts.some((part) => firstNull(type, part) >= 0)) return null;
  const bitmap = new Uint8Array(Math.ceil(rows / 8)).fill(0xff);
  let count = 0;
  let start = 0;
  for (const part of parts) {
    for (let i = nextNull(type, part, 0); i >= 0; i = nextNull(type, part, i + 1)) {
      const row = start + i;
      bitmap[row >> 3]! &= ~(1 << (row & 7));
      count++;
    }
    start += part.length;
  }
  return { count, bitmap };
}

const firstNull = (type: ColumnType, part: ColumnArray): number => nextNull(type, part, 0);

/** Index of the first NULL at or after `from`, or −1. */
function nextNull(type: ColumnType, part: ColumnArray, from: number): number {
  switch (type) {
    case ColumnType.INT64:
      return nextNullInt64(words(part), from);
    case ColumnType.FLOAT32:
    case ColumnType.FLOAT64:
      return nextNaN(part as Float64Array, from);
    case ColumnType.INT32:
      return (part as Int32Array).indexOf(NULL_INT32, from);
    case ColumnType.BOOL:
      return (part as Uint8Array).indexOf(NULL_BOOL, from);
    default:
      return (part as Uint32Array).indexOf(NULL_CODE, from);
  }
}

/** NULL_INT64 has the high half −2^31 and the low half 0. */
function nextNullInt64(halves: Int32Array, from: number): number {
  for (let i = 2 * from + 1; i < halves.length; i += 2)
    if (halves[i] === NULL_INT32 && halves[i - 1] === 0) return i >> 1;
  return -1;
}

function nextNaN(values: Float64Array | Float32Array, from: number): number {
  for (let i = from; i < values.length; i++) if (Number.isNaN(values[i]!)) return i;
  return -1;
}

/** Nanoseconds to microseconds, rounded down, by 32-bit halves: both quotients and remainders are exact doubles. */
function microseconds(part: ColumnArray): Uint8Array {
  const source = words(part);
  const target = new Int32Array(source.length);
  for (let i = 0; i < source.length; i += 2) {
    const high = Math.floor(source[i + 1]! / 1000);
    const rest = source[i + 1]! - high * 1000;
    target[i] = Math.floor((rest * 2 ** 32 + (source[i]! >>> 0)) / 1000);
    target[i + 1] = high;
  }
  return new Uint8Array(target.buffer);
}

function packedBooleans(parts: readonly ColumnArray[], rows: number): Uint8Array {
  const bits = new Uint8Array(Math.ceil(rows / 8));
  let row = 0;
  for (const part of parts as readonly Uint8Array[])
    for (let i = 0; i < part.length; i++, row++) if (part[i] === 1) bits[row >> 3]! |= 1 << (row & 7);
  return bits;
}

/** [offsets, bytes]: int32 offsets, one more than rows. */
function utf8Buffers(
  parts: readonly ColumnArray[],
  rows: number,
  strings: ReadonlyMap<number, string>,
): Uint8Array[][] {
  const encoded = new Map<number, Uint8Array>([[NULL_CODE, new Uint8Array(0)]]);
  const offsets = new Int32Array(rows + 1);
  const texts: Uint8Array[] = new Array(rows);
  let row = 0;
  let end = 0;
  for (const part of parts as readonly Uint32Array[])
    for (let i = 0; i < part.length; i++) {
      const text = encoded.get(part[i]!) ?? encodeText(part[i]!, strings, encoded);
      texts[row++] = text;
      end += text.length;
      offsets[row] = end;
    }
  assert(end <= 0x7fffffff, 'the texts of a column stay below 2 GiB');
  const bytes = new Uint8Array(end);
  for (let i = 0; i < rows; i++) bytes.set(texts[i]!, offsets[i]!);
  return [[new Uint8Array(offsets.buffer)], [bytes]];
}

function encodeText(
  code: number,
  strings: ReadonlyMap<number, string>,
  encoded: Map<number, Uint8Array>,
): Uint8Array {
  const text = strings.get(code);
  assert(text !== undefined, `the text of string code ${code} is known`);
  const bytes = Buffer.from(text, 'utf8');
  encoded.set(code, bytes);
  return bytes;
}

const words = (part: ColumnArray): Int32Array =>
  new Int32Array(part.buffer, part.byteOffset, part.byteLength / 4);
