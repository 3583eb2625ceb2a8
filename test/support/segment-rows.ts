// What: segments made of plain rows, and a table that has every column type.
// Why: format tests state rows as values; segments are chunks of shared memory.
// Invariant: rowsOf(segmentOf(rows)) = rows, NULL as null.

import {
  type ColumnArray,
  type ColumnSchema,
  ColumnType,
  columnView,
  elementBytes,
  NULL_BOOL,
  NULL_CODE,
  NULL_INT32,
  NULL_INT64,
  storedColumns,
  type TableSchema,
} from '../../src/columns/types.ts';
import type { SegmentSource } from '../../src/format/segment.ts';
import { factsOf } from '../../src/format/segment-columns.ts';

export type Value = number | bigint | boolean | null;
/** Values in `storedColumns` order; a STRING is its code, a BOOL a boolean. */
export type Row = readonly Value[];

export const HOUR = 475278;
export const HOUR_NS = 1711000800000000000n;

export const trades: TableSchema = {
  name: 'trades',
  columns: [
    { name: 'symbol', type: ColumnType.SYMBOL },
    { name: 'timestamp', type: ColumnType.TIMESTAMP_NS },
    { name: 'price', type: ColumnType.INT64, scale: 4 },
    { name: 'volume', type: ColumnType.INT64 },
    { name: 'msg_type', type: ColumnType.INT32 },
  ],
  symbolColumn: 0,
  timestampColumn: 1,
};

export const everyType: TableSchema = {
  name: 'every_type',
  columns: [
    { name: 'i32', type: ColumnType.INT32 },
    { name: 'i64', type: ColumnType.INT64 },
    { name: 'price', type: ColumnType.INT64, scale: 2 },
    { name: 'symbol', type: ColumnType.SYMBOL },
    { name: 'f32', type: ColumnType.FLOAT32 },
    { name: 'f64', type: ColumnType.FLOAT64 },
    { name: 'ts', type: ColumnType.TIMESTAMP_NS },
    { name: 'sent', type: ColumnType.TIMESTAMP_NS },
    { name: 'venue', type: ColumnType.SYMBOL },
    { name: 'flag', type: ColumnType.BOOL },
    { name: 'note', type: ColumnType.STRING },
  ],
  symbolColumn: 3,
  timestampColumn: 6,
};

/**
 * Rows in offset order, cut into chunks of the given sizes (the last one takes the rest), over shared memory. With `facts`,
 * those of all chunks but the last are known, as the store has it.
 */
export function segmentOf(
  table: TableSchema,
  rows: readonly Row[],
  options: { symbol?: number; hour?: number; chunkRows?: readonly number[]; facts?: boolean } = {},
): SegmentSource {
  const { symbol = 42, hour = HOUR, chunkRows = [], facts = false } = options;
  const time = storedColumns(table).indexOf(table.columns[table.timestampColumn]!);
  const chunks: SegmentSource['chunks'][number][] = [];
  let start = 0;
  for (const wanted of [...chunkRows, rows.length]) {
    const part = rows.slice(start, start + wanted);
    start += part.length;
    if (part.length === 0) continue;
    const columns = storedColumns(table).map((column, index) =>
      columnOf(
        column,
        part.map((row) => row[index]!),
      ),
    );
    const isFull = start < rows.length;
    chunks.push({ rows: part.length, columns, ...(facts && isFull && { facts: factsOf(columns, time) }) });
  }
  return { symbol, hour, rows: rows.length, chunks };
}

export function columnOf(column: ColumnSchema, values: readonly Value[]): ColumnArray {
  const bytes = Math.ceil((values.length * elementBytes[column.type]!) / 8) * 8;
  const target = columnView(column.type, new SharedArrayBuffer(bytes), 0, values.length);
  for (const [index, value] of values.entries())
    (target as { [index: number]: number | bigint })[index] = stored(column.type, value);
  return target;
}

/** The values of a column that is given in parts, NULL as null. */
export function valuesOf(column: ColumnSchema, parts: readonly ColumnArray[]): Value[] {
  return parts.flatMap((part) =>
    Array.from(part as ArrayLike<number | bigint>, (v) => shown(column.type, v)),
  );
}

function stored(type: ColumnType, value: Value): number | bigint {
  if (value === null) return nullOf[type]!;
  return typeof value === 'boolean' ? Number(value) : value;
}

function shown(type: ColumnType, value: number | bigint): Value {
  if (value === nullOf[type] || Number.isNaN(value)) return null;
  return type === ColumnType.BOOL ? value === 1 : value;
}

const nullOf: readonly (number | bigint)[] = [
  NULL_INT32,
  NULL_INT64,
  Number.NaN,
  Number.NaN,
  Number.NaN,
  Number.NaN,
  NULL_BOOL,
  NULL_CODE,
];
