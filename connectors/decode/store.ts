// What: one value into one column at one row, exactly and plainly: the slow way that every format falls back to.
// Why: what is a valid value of a column is decided here once; the fast paths only reproduce it for the usual cases.
// Invariant: a value is stored exactly or not at all; the answer is then the cause, and the row is not counted.

import type { ColumnBuffer, RowBuffer } from '../../src/columns/batch.ts';
import type { SymbolTable } from '../../src/columns/symbols.ts';
import {
  ColumnType,
  LONE_SURROGATE,
  NULL_BOOL,
  NULL_CODE,
  NULL_INT32,
  SYMBOL_ID_LIMIT,
  TEXT_BYTES_MAX,
} from '../../src/columns/types.ts';
import {
  type FixedFault,
  fixedFromDouble,
  INT64_MAX,
  POW10,
  parseFixed,
  rescaleFixed,
  writeInteger,
  writeProduct,
} from '../../src/kernel/fixed.ts';
import { isoTimeToNanos } from './iso-time.ts';
import { isText, Role, type Target, type TargetColumn } from './target.ts';

/** Why the record is undecodable; null = stored. */
export type Cause = string | null;

const INT32_MAX = 2147483647n;
const NULL_HIGH = -2147483648;
const TWO_32 = 0x100000000;
const TWO_21 = 0x200000;

/** A column whose record has no value for it: NULL, the Kafka timestamp for the event time, a fault for the symbol. */
export function storeMissing(
  target: TargetColumn,
  column: ColumnBuffer,
  row: number,
  timestampMs: number,
): Cause {
  if (target.role === Role.SYMBOL) return `${target.label} is missing`;
  if (target.role === Role.TIME) {
    if (timestampMs < 0) return `${target.label} is missing and the record has no Kafka timestamp`;
    if (writeProduct(column.i32, row * 2, timestampMs, 1e6, 0, false)) return null;
    return `${target.label} is missing and the Kafka timestamp is out of range`;
  }
  storeNull(column, row);
  return null;
}

export function storeNull(column: ColumnBuffer, row: number): void {
  switch (column.type) {
    case ColumnType.INT32:
      column.i32[row] = NULL_INT32;
      return;
    case ColumnType.INT64:
    case ColumnType.TIMESTAMP_NS:
      column.i32[row * 2] = 0;
      column.i32[row * 2 + 1] = NULL_HIGH;
      return;
    case ColumnType.FLOAT32:
    case ColumnType.FLOAT64:
      column.values[row] = NaN;
      return;
    case ColumnType.SYMBOL:
    case ColumnType.STRING:
      column.values[row] = NULL_CODE;
      return;
    case ColumnType.BOOL:
      column.values[row] = NULL_BOOL;
  }
}

/** NULL in rows [from, to). */
export function fillNull(column: ColumnBuffer, from: number, to: number): void {
  if (to <= from) return;
  storeNull(column, from);
  if (column.values instanceof BigInt64Array) column.values.fill(column.values[from]!, from, to);
  else column.values.fill(column.values[from] as number, from, to);
}

/** A number as text, in JSON's grammar. */
export function storeNumber(target: TargetColumn, column: ColumnBuffer, row: number, text: string): Cause {
  switch (target.type) {
    case ColumnType.INT32:
    case ColumnType.INT64:
    case ColumnType.TIMESTAMP_NS: {
      const value = parseFixed(text, target.scale);
      return typeof value === 'bigint' ? storeInteger(target, column, row, value) : faultCause(target, value);
    }
    case ColumnType.FLOAT32:
    case ColumnType.FLOAT64: {
      // The grammar check first: Number() also takes hexadecimal, blanks and the empty text.
      if (parseFixed(text, 0) === 'syntax') return faultCause(target, 'syntax');
      const value = Number(text);
      column.values[row] = value;
      return Number.isFinite(column.values[row] as number) ? null : faultCause(target, 'range');
    }
    case ColumnType.BOOL: {
      const value = parseFixed(text, 0);
      if (value !== 0n && value !== 1n) return `${target.label} is not a boolean`;
      column.values[row] = Number(value);
      return null;
    }
    case ColumnType.SYMBOL: {
      const id = parseFixed(text, 0);
      if (typeof id !== 'bigint' || id < 0n || id >= BigInt(SYMBOL_ID_LIMIT))
        return `${target.label} is neither a name nor an id below 2^31`;
      column.values[row] = Number(id);
      return null;
    }
    case ColumnType.STRING:
      return `${target.label} is not a string`;
  }
}

/** An integer that is scaled already, into an INT32, INT64 or TIMESTAMP_NS column. */
export function storeInteger(target: TargetColumn, column: ColumnBuffer, row: number, value: bigint): Cause {
  const limit = column.type === ColumnType.INT32 ? INT32_MAX : INT64_MAX;
  if (value > limit || value < -limit) return faultCause(target, 'range');
  if (column.type === ColumnType.INT32) column.i32[row] = Number(value);
  else (column.values as BigInt64Array)[row] = value;
  return null;
}

/** An int64, by halves, × 10^shift into a numeric or time column. */
export function storeLong(
  target: TargetColumn,
  column: ColumnBuffer,
  row: number,
  low: number,
  high: number,
  shift: number,
): Cause {
  const { type } = column;
  if (type === ColumnType.FLOAT64 || type === ColumnType.FLOAT32) {
    column.values[row] = high * TWO_32 + (low >>> 0);
    return null;
  }
  const wide = type !== ColumnType.INT32;
  if (wide && shift === 0) {
    // No value may pass for NULL.
    if (high === NULL_HIGH && low === 0) return faultCause(target, 'range');
    column.i32[row * 2] = low;
    column.i32[row * 2 + 1] = high;
    return null;
  }
  if (high < TWO_21 && high >= -TWO_21 && shift <= 9) {
    const value = high * TWO_32 + (low >>> 0);
    if (!wide) return storeInt32(target, column, row, value * POW10[shift]!);
    const negative = value < 0;
    if (writeProduct(column.i32, row * 2, negative ? -value : value, POW10[shift]!, 0, negative)) return null;
  }
  return storeInteger(
    target,
    column,
    row,
    ((BigInt(high) << 32n) | BigInt(low >>> 0)) * 10n ** BigInt(shift),
  );
}

function storeInt32(target: TargetColumn, column: ColumnBuffer, row: number, value: number): Cause {
  if (value > 2147483647 || value < -2147483647) return faultCause(target, 'range');
  column.i32[row] = value;
  return null;
}

/** A float as the double that has the same shortest decimal: 0.1f is meant as 0.1, not as 0.10000000149. */
export function decimalOfFloat(value: number): number {
  if (!Number.isFinite(value)) return value;
  for (let digits = 6; digits < 9; digits++) {
    const decimal = Number(value.toPrecision(digits));
    if (Math.fround(decimal) === value) return decimal;
  }
  return value;
}

/**
 * A double × 10^scale into a numeric column: as it is into a float, else as the decimal that it is the nearest double to.
 * NaN is NULL; times that may be missing are the caller's.
 */
export function storeDouble(
  target: TargetColumn,
  column: ColumnBuffer,
  row: number,
  value: number,
  scale: number,
): Cause {
  if (Number.isNaN(value)) {
    storeNull(column, row);
    return null;
  }
  if (target.type === ColumnType.FLOAT64 || target.type === ColumnType.FLOAT32) {
    column.values[row] = value;
    const lost = Number.isFinite(value) && !Number.isFinite(column.values[row] as number);
    return lost ? faultCause(target, 'range') : null;
  }
  const scaled = fixedFromDouble(value, scale);
  if (typeof scaled === 'string') return faultCause(target, scaled, scale);
  if (typeof scaled === 'bigint') return storeInteger(target, column, row, scaled);
  if (column.type === ColumnType.INT32) return storeInt32(target, column, row, scaled);
  writeInteger(column.i32, row * 2, scaled);
  return null;
}

/** The number value / 10^scale, of a type that says its scale itself (a decimal, a timestamp), into a numeric or time column. */
export function storeDecimal(
  target: TargetColumn,
  column: ColumnBuffer,
  row: number,
  value: bigint,
  scale: number,
): Cause {
  if (target.type === ColumnType.FLOAT64 || target.type === ColumnType.FLOAT32)
    return storeDouble(target, column, row, Number(`${value}e${-scale}`), 0);
  const scaled = rescaleFixed(value, scale, target.decimals);
  return scaled === null
    ? faultCause(target, 'decimals', target.decimals)
    : storeInteger(target, column, row, scaled);
}

export function storeBoolean(target: TargetColumn, column: ColumnBuffer, row: number, value: boolean): Cause {
  if (target.type !== ColumnType.BOOL) return `${target.label} is not ${expected(target)}`;
  column.values[row] = value ? 1 : 0;
  return null;
}

/** A string in a column that holds no strings: a quoted number, boolean or ISO time. */
export function storeQuoted(target: TargetColumn, column: ColumnBuffer, row: number, text: string): Cause {
  if (target.type === ColumnType.BOOL && (text === 'true' || text === 'false'))
    return storeBoolean(target, column, row, text === 'true');
  if (target.type === ColumnType.TIMESTAMP_NS && text.charCodeAt(4) === 45) {
    const nanos = isoTimeToNanos(text);
    return nanos === null ? faultCause(target, 'syntax') : storeInteger(target, column, row, nanos);
  }
  return storeNumber(target, column, row, text);
}

/** Null when the text may become a dictionary entry of this column. */
export function textFault(target: TargetColumn, bytes: number): Cause {
  if (bytes === 0 && target.role === Role.SYMBOL) return `${target.label} is empty`;
  return bytes > TEXT_BYTES_MAX ? `${target.label} is longer than ${TEXT_BYTES_MAX} bytes` : null;
}

/** Gives the texts of a row their codes. Last of all, so that a row that is set aside leaves no name behind. */
export function storeTexts(
  target: Target,
  rows: RowBuffer,
  row: number,
  texts: readonly (string | null)[],
  symbols: SymbolTable,
): Cause {
  for (const index of target.texts) {
    const text = texts[index];
    if (text === null || text === undefined) continue;
    if (LONE_SURROGATE.test(text)) return `${target.columns[index]!.label} is not well-formed Unicode`;
    const fault = textFault(target.columns[index]!, Buffer.byteLength(text));
    if (fault !== null) return fault;
  }
  for (const index of target.texts) {
    const text = texts[index];
    if (text !== null && text !== undefined) rows.columns[index]!.values[row] = symbols.codeOfName(text);
  }
  return null;
}

export function faultCause(target: TargetColumn, fault: FixedFault, scale = target.scale): string {
  if (fault === 'range') return `${target.label} is out of range`;
  if (fault === 'syntax' || isText(target)) return `${target.label} is not ${expected(target)}`;
  return scale === 0
    ? `${target.label} is not an integer`
    : `${target.label} has more than ${scale} decimals`;
}

function expected(target: TargetColumn): string {
  switch (target.type) {
    case ColumnType.TIMESTAMP_NS:
      return 'a time';
    case ColumnType.BOOL:
      return 'a boolean';
    case ColumnType.SYMBOL:
      return 'a name';
    case ColumnType.STRING:
      return 'a string';
    default:
      return 'a number';
  }
}
