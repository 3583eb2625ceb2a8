// What: record batches from values, and the rows of a buffer as plain objects.
// Why: every decoder test reads and writes the same shapes.
// Invariant: records lie at odd positions between filler that no format accepts, so reading outside a value shows.

import { expect } from 'vitest';
import { type RecordBatch, RowBuffer } from '../../src/columns/batch.ts';
import type { SymbolTable } from '../../src/columns/symbols.ts';
import {
  ColumnType,
  NULL_BOOL,
  NULL_CODE,
  NULL_INT32,
  NULL_INT64,
  SYMBOL_ID_LIMIT,
  type TableSchema,
} from '../../src/columns/types.ts';
import type { FieldMap, RowDecoder } from '../../src/ports.ts';
import { roomyMemory } from './column-memory.ts';

export interface TestRecord {
  readonly value: Uint8Array | string | null;
  readonly key?: Uint8Array | null;
  readonly timestampMs?: number;
}

export const plainFields: FieldMap = { names: {}, timeUnit: 'ns', scaledNumbers: 'value' };

export const trades: TableSchema = {
  name: 'trades',
  timestampColumn: 3,
  symbolColumn: 0,
  columns: [
    { name: 'symbol', type: ColumnType.SYMBOL },
    { name: 'price', type: ColumnType.INT64, scale: 4 },
    { name: 'volume', type: ColumnType.INT64 },
    { name: 'timestamp', type: ColumnType.TIMESTAMP_NS },
  ],
};

/** One column of every type besides the symbol and the time. */
export const everyType: TableSchema = {
  name: 'every',
  timestampColumn: 1,
  symbolColumn: 0,
  columns: [
    { name: 'symbol', type: ColumnType.SYMBOL },
    { name: 'timestamp', type: ColumnType.TIMESTAMP_NS },
    { name: 'price', type: ColumnType.INT64, scale: 4 },
    { name: 'size', type: ColumnType.INT32 },
    { name: 'fee', type: ColumnType.INT32, scale: 2 },
    { name: 'ratio', type: ColumnType.FLOAT64 },
    { name: 'weight', type: ColumnType.FLOAT32 },
    { name: 'venue', type: ColumnType.SYMBOL },
    { name: 'note', type: ColumnType.STRING },
    { name: 'buy', type: ColumnType.BOOL },
    { name: 'received', type: ColumnType.TIMESTAMP_NS },
    { name: 'sequence', type: ColumnType.INT64 },
  ],
};

const FILLER = 0xaa;

/** `bytesAfter`: filler behind the last record; decoders that read ahead treat the end of the buffer apart. */
export function recordBatch(
  records: readonly (TestRecord | Uint8Array | string | null)[],
  bytesAfter = 0,
): RecordBatch {
  const count = records.length;
  const parts: Uint8Array[] = [Uint8Array.of(FILLER)];
  let position = 1;
  const add = (bytes: Uint8Array): number => {
    const start = position;
    parts.push(bytes, Uint8Array.of(FILLER));
    position += bytes.length + 1;
    return start;
  };
  const batch = {
    topic: 'ticks',
    partition: 0,
    count,
    offset: Float64Array.from({ length: count }, (_, i) => 1000 + i * 2),
    timestampMs: new Float64Array(count),
    keyStart: new Int32Array(count),
    keyLength: new Int32Array(count).fill(-1),
    valueStart: new Int32Array(count),
    valueLength: new Int32Array(count).fill(-1),
    offsetNext: 1000 + count * 2,
    endOffset: -1,
  };
  records.forEach((entry, i) => {
    const record: TestRecord =
      entry === null || typeof entry === 'string' || entry instanceof Uint8Array ? { value: entry } : entry;
    batch.timestampMs[i] = record.timestampMs ?? 1_700_000_000_000 + i;
    const value = typeof record.value === 'string' ? Buffer.from(record.value, 'utf8') : record.value;
    if (record.key) {
      batch.keyStart[i] = add(record.key);
      batch.keyLength[i] = record.key.length;
    }
    if (value !== null) {
      batch.valueStart[i] = add(value);
      batch.valueLength[i] = value.length;
    }
  });
  parts.push(new Uint8Array(bytesAfter).fill(FILLER));
  return { ...batch, buffer: new Uint8Array(Buffer.concat(parts)) };
}

/** Rows with NULL as null, symbols and strings by name, int64 as bigint. */
export function rowsOf(rows: RowBuffer, symbols: SymbolTable): Record<string, unknown>[] {
  return Array.from({ length: rows.rows }, (_, row) => {
    const entries: [string, unknown][] = rows.columns.map((column) => {
      const value = column.values[row]!;
      return [column.schema.name, plainValue(column.type, value, symbols)];
    });
    return Object.fromEntries(entries);
  });
}

function plainValue(type: ColumnType, value: number | bigint, symbols: SymbolTable): unknown {
  switch (type) {
    case ColumnType.INT32:
      return value === NULL_INT32 ? null : value;
    case ColumnType.INT64:
    case ColumnType.TIMESTAMP_NS:
      return value === NULL_INT64 ? null : value;
    case ColumnType.FLOAT32:
    case ColumnType.FLOAT64:
      return Number.isNaN(value) ? null : value;
    case ColumnType.BOOL:
      return value === NULL_BOOL ? null : value === 1;
    default: {
      const code = value as number;
      if (code === NULL_CODE) return null;
      const name = code >= SYMBOL_ID_LIMIT ? symbols.unknown[code - SYMBOL_ID_LIMIT] : symbols.names[code];
      return name ?? code;
    }
  }
}

export interface Decoded {
  readonly rows: Record<string, unknown>[];
  readonly offsets: number[];
  readonly causes: string[];
  readonly buffer: RowBuffer;
}

/**
 * Decodes all records with a small buffer, so that it has to grow: as loops in WebAssembly do and those in TypeScript, alike. Names
 * that are new are so to the first ones only.
 */
export async function decodeAll(
  decoder: RowDecoder,
  table: TableSchema,
  symbols: SymbolTable,
  batch: RecordBatch,
): Promise<Decoded> {
  const inMemory = new RowBuffer(table, 1, undefined, roomyMemory());
  const { buffer, ...found } = await decodeTo(inMemory, decoder, symbols, batch);
  const plain = await decodeTo(new RowBuffer(table, 1), decoder, symbols, batch);
  expect(found).toEqual({ rows: plain.rows, offsets: plain.offsets, causes: plain.causes });
  return { buffer, ...found };
}

async function decodeTo(
  buffer: RowBuffer,
  decoder: RowDecoder,
  symbols: SymbolTable,
  batch: RecordBatch,
): Promise<Decoded> {
  await decoder.decode(batch, 0, batch.count, buffer);
  return {
    rows: rowsOf(buffer, symbols),
    offsets: [...buffer.offset.subarray(0, buffer.rows)],
    causes: buffer.undecodable.map((record) => record.cause),
    buffer,
  };
}
