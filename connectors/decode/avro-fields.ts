// What: for an Avro type and a column, the function that reads one value of the type into the column.
// Why: what a pair of types means is decided once per schema; per record only bytes are read.
// Invariant: a pair that has no meaning is found out when the schema is seen, not record by record.

import { isUtf8 } from 'node:buffer';
import type { ColumnBuffer } from '../../src/columns/batch.ts';
import { hashOf, type SymbolTable } from '../../src/columns/symbols.ts';
import { ColumnType, SYMBOL_ID_LIMIT } from '../../src/columns/types.ts';
import { POW10, writeProduct } from '../../src/kernel/fixed.ts';
import { type AvroCursor, readIndex, readLength, readVarint } from './avro-cursor.ts';
import type { AvroType, Logical } from './avro-schema.ts';
import {
  type Cause,
  decimalOfFloat,
  faultCause,
  storeBoolean,
  storeDecimal,
  storeDouble,
  storeInteger,
  storeLong,
  storeMissing,
  storeQuoted,
} from './store.ts';
import { isText, Role, type TargetColumn } from './target.ts';
import type { TextSlots } from './text-slots.ts';

/** Reads a value at the cursor into row `row`; the cause when it cannot stand there. */
export type FieldReader = (cursor: AvroCursor, row: number) => Cause;

const NANOS_PER_DAY = 86_400_000_000_000n;

const truncated = (target: TargetColumn): string => `the record ends within ${target.label}`;

/** @returns the reader, or the reason why no value of the type can fill the column. */
export function fieldReader(
  type: AvroType,
  target: TargetColumn,
  texts: TextSlots,
  symbols: SymbolTable,
): FieldReader | string {
  switch (type.kind) {
    case 'null':
      return (cursor, row) => storeMissing(target, cursor.columns[target.index]!, row, cursor.timestampMs);
    case 'boolean':
      return target.type === ColumnType.BOOL ? booleanReader(target) : mismatch(type, target);
    case 'int':
    case 'long':
      return longReader(type.logical, target) ?? mismatch(type, target);
    case 'float':
    case 'double':
      return isText(target) || target.type === ColumnType.BOOL
        ? mismatch(type, target)
        : doubleReader(type.kind, target);
    case 'string':
      return isText(target) ? textReader(target, texts) : quotedReader(target);
    case 'enum':
      return isText(target) ? enumReader(type.symbols, target, symbols) : mismatch(type, target);
    case 'bytes':
    case 'fixed': {
      const { logical } = type;
      const numeric =
        !isText(target) && target.type !== ColumnType.BOOL && target.type !== ColumnType.TIMESTAMP_NS;
      return logical?.kind === 'decimal' && numeric
        ? decimalReader(type.kind === 'fixed' ? type.size : null, logical.scale, target)
        : mismatch(type, target);
    }
    case 'union': {
      const branches: FieldReader[] = [];
      for (const branch of type.branches) {
        const reader = fieldReader(branch, target, texts, symbols);
        // A branch that cannot fill the column refuses the records that use it, not the schema.
        branches.push(typeof reader === 'string' ? () => reader : reader);
      }
      return unionReader(branches, target);
    }
    default:
      return mismatch(type, target);
  }
}

function mismatch(type: AvroType, target: TargetColumn): string {
  return `${target.label} cannot be filled from an Avro ${type.kind}`;
}

function unionReader(branches: readonly FieldReader[], target: TargetColumn): FieldReader {
  return (cursor, row) => {
    const branch = readIndex(cursor, branches.length);
    return branch < 0
      ? `${target.label} has a union branch that does not exist`
      : branches[branch]!(cursor, row);
  };
}

function booleanReader(target: TargetColumn): FieldReader {
  return (cursor, row) => {
    if (cursor.p >= cursor.end) return truncated(target);
    const byte = cursor.view.getUint8(cursor.p++);
    if (byte > 1) return `${target.label} is not a boolean`;
    return storeBoolean(target, cursor.columns[target.index]!, row, byte === 1);
  };
}

/** By which power of ten an int or long is stored in a numeric or time column; null when it is no such number. */
export function longShift(logical: Logical, target: TargetColumn): number | null {
  if (isText(target) || target.type === ColumnType.BOOL) return null;
  if (target.type !== ColumnType.TIMESTAMP_NS) return target.scale;
  if (logical?.kind === 'date') return null;
  return logical?.kind === 'timestamp' ? target.decimals - logical.scale : target.scale;
}

function longReader(logical: Logical, target: TargetColumn): FieldReader | null {
  if (target.type === ColumnType.SYMBOL) return idReader(target);
  if (target.type === ColumnType.TIMESTAMP_NS && logical?.kind === 'date') return dateReader(target);
  const shift = longShift(logical, target);
  if (shift === null) return null;
  return (cursor, row) =>
    readVarint(cursor)
      ? storeLong(target, cursor.columns[target.index]!, row, cursor.low, cursor.high, shift)
      : truncated(target);
}

function longOf(cursor: AvroCursor): bigint {
  return (BigInt(cursor.high) << 32n) | BigInt(cursor.low >>> 0);
}

function idReader(target: TargetColumn): FieldReader {
  return (cursor, row) => {
    if (!readVarint(cursor)) return truncated(target);
    if (cursor.high !== 0 || cursor.low < 0) return `${target.label} is neither a name nor an id below 2^31`;
    cursor.columns[target.index]!.i32[row] = cursor.low;
    return null;
  };
}

function dateReader(target: TargetColumn): FieldReader {
  return (cursor, row) => {
    if (!readVarint(cursor)) return truncated(target);
    return storeInteger(target, cursor.columns[target.index]!, row, longOf(cursor) * NANOS_PER_DAY);
  };
}

function doubleReader(kind: 'float' | 'double', target: TargetColumn): FieldReader {
  const bytes = kind === 'float' ? 4 : 8;
  const { scale } = target;
  const widened =
    kind === 'float' && target.type !== ColumnType.FLOAT32 && target.type !== ColumnType.FLOAT64;
  return (cursor, row) => {
    const { view, p } = cursor;
    cursor.p = p + bytes;
    if (cursor.p > cursor.end) return truncated(target);
    const column = cursor.columns[target.index]!;
    const read = kind === 'float' ? view.getFloat32(p, true) : view.getFloat64(p, true);
    const value = widened ? decimalOfFloat(read) : read;
    if (Number.isNaN(value) && target.role !== Role.PLAIN)
      return storeMissing(target, column, row, cursor.timestampMs);
    return storeDouble(target, column, row, value, scale);
  };
}

function textReader(target: TargetColumn, texts: TextSlots): FieldReader {
  const { index } = target;
  return (cursor) => {
    const length = readLength(cursor);
    if (length < 0) return truncated(target);
    const { p, view } = cursor;
    texts.put(index, p, length, hashOf(view, p, length));
    cursor.p = p + length;
    return null;
  };
}

function quotedReader(target: TargetColumn): FieldReader {
  return (cursor, row) => {
    const length = readLength(cursor);
    if (length < 0) return truncated(target);
    const { view, p } = cursor;
    cursor.p = p + length;
    const bytes = Buffer.from(view.buffer, view.byteOffset + p, length);
    if (!isUtf8(bytes)) return `${target.label} is not UTF-8`;
    return storeQuoted(target, cursor.columns[target.index]!, row, bytes.toString('utf8'));
  };
}

/** Names of an enum come from the schema, so at most its symbols enter the dictionary, whatever the records are. */
function enumReader(names: readonly string[], target: TargetColumn, symbols: SymbolTable): FieldReader {
  const ids = new Float64Array(names.length).fill(-1);
  return (cursor, row) => {
    const name = readIndex(cursor, names.length);
    if (name < 0) return `${target.label} has an enum index that does not exist`;
    let code = ids[name]!;
    if (code < 0) {
      code = symbols.codeOfName(names[name]!);
      if (code < SYMBOL_ID_LIMIT) ids[name] = code;
    }
    cursor.columns[target.index]!.i32[row] = code;
    return null;
  };
}

/** Big-endian two's complement, of `size` bytes or as many as a length before it says. */
function decimalReader(size: number | null, scale: number, target: TargetColumn): FieldReader {
  const shift = target.decimals - scale;
  const direct = target.type === ColumnType.INT64 && shift >= 0 && shift <= 9;
  const multiplier = direct ? POW10[shift]! : 1;
  return (cursor, row) => {
    const length = size ?? readLength(cursor);
    const { view, p } = cursor;
    if (length < 0 || length > cursor.end - p) return truncated(target);
    cursor.p = p + length;
    const column: ColumnBuffer = cursor.columns[target.index]!;
    if (direct && length > 0 && length <= 6) {
      let value = view.getInt8(p);
      for (let i = 1; i < length; i++) value = value * 256 + view.getUint8(p + i);
      const negative = value < 0;
      if (writeProduct(column.i32, row * 2, negative ? -value : value, multiplier, 0, negative)) return null;
    }
    const value = bigEndian(view, p, length);
    return value === null ? faultCause(target, 'range') : storeDecimal(target, column, row, value, scale);
  };
}

/** Null when it is far beyond int64 (more than 32 bytes that say something). */
function bigEndian(view: DataView, p: number, length: number): bigint | null {
  let start = p;
  const end = p + length;
  const sign = length > 0 && view.getInt8(p) < 0 ? 0xff : 0;
  while (end - start > 1 && view.getUint8(start) === sign) start++;
  if (end - start > 32) return null;
  let value = sign === 0 ? 0n : -1n;
  for (let i = start; i < end; i++) value = (value << 8n) | BigInt(view.getUint8(i));
  return value;
}
