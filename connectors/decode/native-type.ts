// What: the types of ClickHouse's Native columns, by their names: how wide a value is and what it means.
// Why: a block says its types as text; a reader is chosen by it once per column.
// Invariant: a name that is not understood whole is not read at all: a wrong width would shift every column behind it.

import { ColumnType } from '../../src/columns/types.ts';
import type { FixedType } from './fixed-width.ts';
import { isText, type TargetColumn } from './target.ts';

/** `bytes` of a value; a text has a length of its own, and `nothing` holds a byte that says nothing. */
export type NativeValue =
  | FixedType
  /** Seconds, or days, since 1970, unsigned. */
  | { readonly kind: 'seconds' | 'days' }
  | { readonly kind: 'bool' | 'text' | 'nothing' };

export interface NativeType {
  readonly value: NativeValue;
  readonly isNullable: boolean;
  /** Values are indexes into a dictionary that stands before them. */
  readonly hasDictionary: boolean;
}

/** For messages. */
export const NATIVE_TYPES =
  'Int8 to Int64, UInt8 to UInt64, Float32, Float64, Decimal(P, S), Bool, String, Date, Date32, DateTime, DateTime64(S), ' +
  'each also Nullable(…), and LowCardinality(String)';

const int = (bytes: number, signed: boolean): FixedType => ({ kind: 'int', bytes, signed });

const plain: Readonly<Record<string, NativeValue>> = {
  Int8: int(1, true),
  Int16: int(2, true),
  Int32: int(4, true),
  Int64: int(8, true),
  UInt8: int(1, false),
  UInt16: int(2, false),
  UInt32: int(4, false),
  UInt64: int(8, false),
  Float32: { kind: 'float', bytes: 4 },
  Float64: { kind: 'float', bytes: 8 },
  Bool: { kind: 'bool' },
  String: { kind: 'text' },
  Date: { kind: 'days' },
  Date32: { kind: 'date', bytes: 4 },
  DateTime: { kind: 'seconds' },
  Nothing: { kind: 'nothing' },
};

/** Null: not one of those that are read. */
export function nativeType(name: string): NativeType | null {
  const unwrapped = inside('LowCardinality', name) ?? name;
  const nested = inside('Nullable', unwrapped) ?? unwrapped;
  const hasDictionary = unwrapped !== name;
  const value = valueNamed(nested);
  if (value === null || (hasDictionary && value.kind !== 'text')) return null;
  return { value, isNullable: nested !== unwrapped, hasDictionary };
}

const inside = (wrapper: string, name: string): string | null =>
  name.startsWith(`${wrapper}(`) && name.endsWith(')') ? name.slice(wrapper.length + 1, -1) : null;

function valueNamed(name: string): NativeValue | null {
  if (Object.hasOwn(plain, name)) return plain[name]!;
  // Times count from 1970 UTC, whatever zone they are shown in.
  if (/^DateTime\('[^']*'\)$/.test(name)) return { kind: 'seconds' };
  const time = /^DateTime64\(([0-9])(?:, ?'[^']*')?\)$/.exec(name);
  if (time !== null) return { kind: 'timestamp', scale: Number(time[1]) };
  const decimal = /^Decimal\((\d{1,2}), ?(\d{1,2})\)$/.exec(name);
  if (decimal !== null) return decimalOf(Number(decimal[1]), Number(decimal[2]));
  const sized = /^Decimal(32|64|128|256)\((\d{1,2})\)$/.exec(name);
  if (sized !== null) return decimalOf(DIGITS[Number(sized[1])]!, Number(sized[2]));
  return null;
}

/** The most digits of a decimal, by its bits. */
const DIGITS: Readonly<Record<number, number>> = { 32: 9, 64: 18, 128: 38, 256: 76 };

function decimalOf(precision: number, scale: number): NativeValue | null {
  if (precision < 1 || precision > DIGITS[256]! || scale > precision) return null;
  const bits = [32, 64, 128, 256].find((width) => precision <= DIGITS[width]!)!;
  return { kind: 'decimal', bytes: bits / 8, scale };
}

/** Of a value; a text has at least the byte of its length. */
export function leastBytes(value: NativeValue): number {
  switch (value.kind) {
    case 'timestamp':
      return 8;
    case 'seconds':
      return 4;
    case 'days':
      return 2;
    case 'bool':
    case 'text':
    case 'nothing':
      return 1;
    default:
      return value.bytes;
  }
}

/** The types that a column takes, for messages; `fits` decides. */
export function takenBy(target: TargetColumn): string {
  if (isText(target)) return 'String or LowCardinality(String)';
  if (target.type === ColumnType.BOOL) return 'Bool or UInt8';
  if (target.type === ColumnType.TIMESTAMP_NS)
    return 'DateTime64(S), DateTime, Date, Date32, or Int64 and UInt64 of nanoseconds';
  return 'Int8 to Int64, UInt8 to UInt64, Decimal(P, S), Float32 or Float64';
}

export function fits(value: NativeValue, target: TargetColumn): boolean {
  switch (value.kind) {
    case 'nothing':
      return true;
    case 'text':
      return isText(target);
    case 'bool':
      return target.type === ColumnType.BOOL;
    case 'timestamp':
    case 'seconds':
    case 'date':
    case 'days':
      return target.type === ColumnType.TIMESTAMP_NS;
    case 'int':
      if (target.type === ColumnType.TIMESTAMP_NS) return value.bytes === 8;
      if (target.type === ColumnType.BOOL) return value.bytes === 1 && !value.signed;
      return isNumeric(target);
    default:
      return isNumeric(target);
  }
}

const isNumeric = (target: TargetColumn): boolean =>
  !isText(target) && target.type !== ColumnType.BOOL && target.type !== ColumnType.TIMESTAMP_NS;
