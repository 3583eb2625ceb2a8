// What: values of a fixed width, little-endian, into a numeric or time column: chosen once for a type and a column.
// Why: Arrow and ClickHouse's Native lay integers, floats, decimals and times out alike; what each becomes is decided here.
// Invariant: a value is stored exactly or not at all; `same` only where the bytes are the column's own.

import type { ColumnBuffer } from '../../src/columns/batch.ts';
import { ColumnType } from '../../src/columns/types.ts';
import {
  type Cause,
  decimalOfFloat,
  faultCause,
  fillNull,
  storeDecimal,
  storeDouble,
  storeInteger,
  storeLong,
  storeMissing,
} from './store.ts';
import { isText, Role, type TargetColumn } from './target.ts';

export type FixedType =
  | { readonly kind: 'int'; readonly bytes: number; readonly signed: boolean }
  | { readonly kind: 'float'; readonly bytes: number }
  | { readonly kind: 'decimal'; readonly bytes: number; readonly scale: number }
  /** `scale` decimals of a second. */
  | { readonly kind: 'timestamp'; readonly scale: number }
  | { readonly kind: 'date'; readonly bytes: number };

/** Reads value i of the buffer at `start` into row `row`. */
export type ValueReader = (
  view: DataView,
  start: number,
  i: number,
  column: ColumnBuffer,
  row: number,
) => Cause;

export interface Conversion {
  /** Of one value; 0 for a bit. */
  readonly bytes: number;
  readonly read: ValueReader;
  /** The values are the column's own, byte for byte. */
  readonly same: boolean;
}

const NANOS_PER_DAY = 86_400_000_000_000n;

/** Null: the type cannot fill the column. */
export function conversionOf(type: FixedType, target: TargetColumn): Conversion | null {
  const numeric = !isText(target) && target.type !== ColumnType.BOOL;
  const time = target.type === ColumnType.TIMESTAMP_NS;
  const wide = time || target.type === ColumnType.INT64;
  switch (type.kind) {
    case 'int': {
      if (![1, 2, 4, 8].includes(type.bytes)) return null;
      if (target.type === ColumnType.SYMBOL) return longs(type, target, idStore(target));
      if (!numeric) return null;
      const own = type.signed && target.scale === 0 && type.bytes === (wide ? 8 : 4);
      const same = own && (wide || target.type === ColumnType.INT32);
      return { ...longs(type, target, numberStore(target, target.scale)), same };
    }
    case 'float': {
      if (!numeric || type.bytes === 0) return null;
      const same = type.bytes === 8 ? target.type === ColumnType.FLOAT64 : target.type === ColumnType.FLOAT32;
      return { bytes: type.bytes, read: floatReader(type.bytes, target), same: same && type.bytes > 2 };
    }
    case 'decimal':
      return numeric && !time && [4, 8, 16, 32].includes(type.bytes) && Math.abs(type.scale) <= 100
        ? { bytes: type.bytes, read: decimalReader(type.bytes, type.scale, target), same: false }
        : null;
    case 'timestamp': {
      if (!numeric) return null;
      const shift = time ? target.decimals - type.scale : target.scale;
      const conversion = longs({ kind: 'int', bytes: 8, signed: true }, target, numberStore(target, shift));
      return { ...conversion, same: wide && shift === 0 };
    }
    case 'date': {
      if (!numeric) return null;
      const int: FixedType & { kind: 'int' } = { kind: 'int', bytes: type.bytes, signed: true };
      if (!time) return longs(int, target, numberStore(target, target.scale));
      return longs(int, target, type.bytes === 8 ? numberStore(target, 6) : dayStore(target));
    }
  }
}

/** Rows [row, row + rows) have no value. */
export function fillMissing(
  target: TargetColumn,
  column: ColumnBuffer,
  row: number,
  rows: number,
  timestampMs: number,
): Cause {
  if (target.role === Role.PLAIN) {
    fillNull(column, row, row + rows);
    return null;
  }
  let cause: Cause = null;
  for (let i = 0; i < rows; i++) cause ??= storeMissing(target, column, row + i, timestampMs);
  return cause;
}

/** Values that are the column's own. */
export function copyWhole(
  view: DataView,
  start: number,
  target: TargetColumn,
  { bits, loops, type }: ColumnBuffer,
  row: number,
  rows: number,
): Cause {
  const holdsLeast = loops.copyValues(view, start, rows, bits, row);
  const isFloat = type === ColumnType.FLOAT32 || type === ColumnType.FLOAT64;
  // No value may pass for NULL.
  return holdsLeast && !isFloat ? faultCause(target, 'range') : null;
}

/** What becomes of an integer, given by halves. */
type LongStore = (column: ColumnBuffer, row: number, low: number, high: number) => Cause;

function numberStore(target: TargetColumn, shift: number): LongStore {
  return (column, row, low, high) => storeLong(target, column, row, low, high, shift);
}

function idStore(target: TargetColumn): LongStore {
  return (column, row, low, high) => {
    if (high !== 0 || low < 0) return `${target.label} is neither a name nor an id below 2^31`;
    column.i32[row] = low;
    return null;
  };
}

function dayStore(target: TargetColumn): LongStore {
  return (column, row, low) => storeInteger(target, column, row, BigInt(low) * NANOS_PER_DAY);
}

function longs(type: FixedType & { kind: 'int' }, target: TargetColumn, store: LongStore): Conversion {
  const { bytes, signed } = type;
  const narrow = (value: number, column: ColumnBuffer, row: number): Cause =>
    store(column, row, value | 0, value < 0 ? -1 : 0);
  const readers: Readonly<Record<number, ValueReader>> = {
    1: (view, start, i, column, row) =>
      narrow(signed ? view.getInt8(start + i) : view.getUint8(start + i), column, row),
    2: (view, start, i, column, row) =>
      narrow(signed ? view.getInt16(start + i * 2, true) : view.getUint16(start + i * 2, true), column, row),
    4: (view, start, i, column, row) =>
      narrow(signed ? view.getInt32(start + i * 4, true) : view.getUint32(start + i * 4, true), column, row),
    8: (view, start, i, column, row) => {
      const high = view.getInt32(start + i * 8 + 4, true);
      if (!signed && high < 0) return faultCause(target, 'range');
      return store(column, row, view.getInt32(start + i * 8, true), high);
    },
  };
  return { bytes, read: readers[bytes]!, same: false };
}

/** NaN in the time or the symbol is not missing, as a null is: it is no value. */
function floatReader(bytes: number, target: TargetColumn): ValueReader {
  const widened = bytes < 8 && target.type !== ColumnType.FLOAT32 && target.type !== ColumnType.FLOAT64;
  return (view, start, i, column, row) => {
    const at = start + i * bytes;
    let value =
      bytes === 8
        ? view.getFloat64(at, true)
        : bytes === 4
          ? view.getFloat32(at, true)
          : float16(view.getUint16(at, true));
    if (widened) value = decimalOfFloat(value);
    if (Number.isNaN(value) && target.role !== Role.PLAIN) return faultCause(target, 'syntax');
    return storeDouble(target, column, row, value, target.scale);
  };
}

function float16(bits: number): number {
  const sign = bits > 0x7fff ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 0x3ff;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}

/** Little-endian two's complement. */
function decimalReader(bytes: number, scale: number, target: TargetColumn): ValueReader {
  const shift = target.decimals - scale;
  const integer = target.type === ColumnType.INT64 || target.type === ColumnType.INT32;
  const short = integer && shift >= 0 && shift <= 18;
  return (view, start, i, column, row) => {
    const at = start + i * bytes;
    const low = view.getInt32(at, true);
    const high = bytes === 4 ? low >> 31 : view.getInt32(at + 4, true);
    if (short) {
      let fits = true;
      for (let word = 8; word < bytes; word += 4) fits &&= view.getInt32(at + word, true) === high >> 31;
      if (fits) return storeLong(target, column, row, low, high, shift);
    }
    let value = BigInt(bytes === 4 ? low : view.getInt32(at + bytes - 4, true));
    for (let word = bytes - 8; word >= 0; word -= 4)
      value = (value << 32n) | BigInt(view.getUint32(at + word, true));
    return storeDecimal(target, column, row, value, scale);
  };
}
