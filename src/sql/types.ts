// What: the types that SQL knows, their names, and how each is stored.
// Why: DDL, casts, parameters, the function registry and the type rules share one closed set.
// Invariant: every SqlType but NULL maps to exactly one column type; DECIMAL is a scaled integer of at most 18 digits.

import { type ColumnSchema, ColumnType, type ColumnTypeName, columnTypeNames } from '../columns/types.ts';

/** Digits that a scaled int64 always holds: 10^18 − 1 < 2^63. */
export const DECIMAL_PRECISION_MAX = 18;
/** Digits that a scaled int32 always holds; such a column takes 4 bytes a row. */
const INT32_PRECISION_MAX = 9;

export interface PlainType {
  readonly name: ColumnTypeName;
}

/** A fixed-point number: stored integer = value × 10^scale. 1 ≤ precision ≤ 18, 0 ≤ scale ≤ precision. */
export interface DecimalType {
  readonly name: 'DECIMAL';
  readonly precision: number;
  readonly scale: number;
}

/** The type of a NULL that nothing around it has given a type yet. Never the type of a column. */
export interface NullType {
  readonly name: 'NULL';
}

/** A type that a column, a cast or a literal can have. */
export type DataType = PlainType | DecimalType;
/** A type that an expression can have. */
export type SqlType = DataType | NullType;

/** What `{name:Type}` may declare: a value, a list for IN, or the name of a table or column. */
export type ParameterType =
  | DataType
  | { readonly name: 'ARRAY'; readonly element: DataType }
  | { readonly name: 'IDENTIFIER' };

export const INT32: PlainType = { name: 'INT32' };
export const INT64: PlainType = { name: 'INT64' };
export const FLOAT32: PlainType = { name: 'FLOAT32' };
export const FLOAT64: PlainType = { name: 'FLOAT64' };
export const TIMESTAMP: PlainType = { name: 'TIMESTAMP_NS' };
export const SYMBOL: PlainType = { name: 'SYMBOL' };
export const BOOL: PlainType = { name: 'BOOL' };
export const STRING: PlainType = { name: 'STRING' };
export const NULL: NullType = { name: 'NULL' };

export const decimal = (precision: number, scale: number): DecimalType => ({
  name: 'DECIMAL',
  precision,
  scale,
});

/** Names accepted in CREATE TABLE and casts, upper case. DECIMAL and NUMERIC take (precision, scale) and are not here. */
export const typesByName: ReadonlyMap<string, PlainType> = new Map([
  ['INT64', INT64],
  ['BIGINT', INT64],
  ['LONG', INT64],
  ['INT32', INT32],
  ['INT', INT32],
  ['INTEGER', INT32],
  ['FLOAT64', FLOAT64],
  ['DOUBLE', FLOAT64],
  ['FLOAT32', FLOAT32],
  ['FLOAT', FLOAT32],
  ['REAL', FLOAT32],
  ['TIMESTAMP', TIMESTAMP],
  ['TIMESTAMP_NS', TIMESTAMP],
  ['SYMBOL', SYMBOL],
  ['STRING', STRING],
  ['VARCHAR', STRING],
  ['TEXT', STRING],
  ['BOOL', BOOL],
  ['BOOLEAN', BOOL],
]);

/**
 * Names that only a parameter may have, upper case: ClickHouse clients send them. A UInt64 above 2^63 − 1 is refused when the
 * parameter is bound, since no column could equal it.
 */
export const parameterTypesByName: ReadonlyMap<string, PlainType> = new Map([
  ['INT8', INT32],
  ['INT16', INT32],
  ['UINT8', INT32],
  ['UINT16', INT32],
  ['UINT32', INT64],
  ['UINT64', INT64],
  ['DATE', TIMESTAMP],
  ['DATE32', TIMESTAMP],
  ['DATETIME', TIMESTAMP],
  ['DATETIME64', TIMESTAMP],
  ['FIXEDSTRING', STRING],
  ['UUID', STRING],
]);

export function typeText(type: SqlType | ParameterType): string {
  if (type.name === 'DECIMAL') return `DECIMAL(${type.precision}, ${type.scale})`;
  if (type.name === 'ARRAY') return `ARRAY(${typeText(type.element)})`;
  return type.name;
}

export function sameType(left: SqlType, right: SqlType): boolean {
  if (left.name !== right.name) return false;
  return left.name !== 'DECIMAL' || right.name !== 'DECIMAL' || left.scale === right.scale;
}

/** The column that holds values of `type`. */
export function columnOf(name: string, type: DataType): ColumnSchema {
  if (type.name !== 'DECIMAL') return { name, type: ColumnType[type.name] };
  const storage = type.precision <= INT32_PRECISION_MAX ? ColumnType.INT32 : ColumnType.INT64;
  return type.scale === 0 ? { name, type: storage } : { name, type: storage, scale: type.scale };
}

/** The SQL type of a column. A declared precision is not kept: a scaled column has the widest that its storage holds. */
export function typeOfColumn(column: ColumnSchema): DataType {
  const name = columnTypeNames[column.type]!;
  if (column.scale === undefined || column.scale === 0) return { name };
  return decimal(
    column.type === ColumnType.INT32 ? INT32_PRECISION_MAX : DECIMAL_PRECISION_MAX,
    column.scale,
  );
}
