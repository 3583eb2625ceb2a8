// What: rows that come with an INSERT, in one of the input formats, as a block of typed values.
// Why: clients send CSV, JSON lines, Arrow or Native; text and Arrow are read by the decoders that read such records from Kafka.
// Invariant: all rows are readable, or nothing of the statement is sent; an error names the row.

import { createDecoder } from '../../connectors/decode/decoder.ts';
import { readNative } from '../../connectors/decode/native.ts';
import { targetOf } from '../../connectors/decode/target.ts';
import { parseDelimited } from '../../connectors/formats/delimited-input.ts';
import { type ColumnBuffer, type RecordBatch, RowBuffer } from '../columns/batch.ts';
import { SymbolTable } from '../columns/symbols.ts';
import {
  ColumnType,
  NULL_BOOL,
  NULL_CODE,
  NULL_INT32,
  NULL_INT64,
  SYMBOL_ID_LIMIT,
  type TableSchema,
} from '../columns/types.ts';
import { ZeptoError } from '../kernel/errors.ts';
import { suggestion } from '../kernel/nearest.ts';
import type { FieldMap } from '../ports.ts';
import type { ResultBlock, ResultValues } from '../query/result.ts';

const lines = { jsoneachrow: 'json', ndjson: 'json', jsonlines: 'json' } as const;
const delimited = {
  csv: { delimiter: ',', hasNames: false },
  csvwithnames: { delimiter: ',', hasNames: true },
  tabseparated: { delimiter: '\t', hasNames: false },
  tsv: { delimiter: '\t', hasNames: false },
  tabseparatedwithnames: { delimiter: '\t', hasNames: true },
  tsvwithnames: { delimiter: '\t', hasNames: true },
} as const;
const names = ['JSONEachRow', 'CSV', 'CSVWithNames', 'TSV', 'TSVWithNames', 'ArrowStream', 'Native'];

/** In the values of the request itself: nanoseconds, decimals as they read. */
const fields: FieldMap = { names: {}, timeUnit: 'ns', scaledNumbers: 'value' };

/**
 * All columns of the table, in order. `listed`: the columns that the statement names; none: all. `nowMs`: for rows without an
 * event time. @throws ZeptoError FORMAT_INVALID, SQL_UNSUPPORTED
 */
export async function rowsOfData(
  format: string,
  bytes: Uint8Array,
  table: TableSchema,
  listed: readonly string[],
  nowMs: number,
): Promise<ResultBlock> {
  const name = format.toLowerCase();
  const symbols = new SymbolTable();
  const rows = new RowBuffer(table);
  if (name === 'native') readNative(bytes, targetOf(table, fields), listed, nowMs, rows, symbols);
  else if (name === 'arrowstream' || name === 'arrow')
    await decode('arrow', oneRecord(bytes), nowMs, rows, symbols);
  else {
    const columns = listed.length > 0 ? listed : table.columns.map((column) => column.name);
    await decode('json', textRecords(name, bytes, columns), nowMs, rows, symbols);
  }
  return { rows: rows.rows, columns: rows.columns.map((column) => valuesOf(column, rows.rows, symbols)) };
}

async function decode(
  kind: 'arrow' | 'json',
  records: Omit<RecordBatch, 'timestampMs'>,
  nowMs: number,
  rows: RowBuffer,
  symbols: SymbolTable,
): Promise<void> {
  const decoder = createDecoder({ table: rows.table, topic: 'insert', format: { kind, fields } }, symbols);
  const batch = { ...records, timestampMs: new Float64Array(records.count).fill(nowMs) };
  await decoder.decode(batch, 0, batch.count, rows);
  const wrong = rows.undecodable[0];
  if (wrong === undefined) return;
  const cause = kind === 'arrow' ? wrong.cause : `row ${wrong.offset + 1}: ${wrong.cause}`;
  throw new ZeptoError('FORMAT_INVALID', 'stop', cause);
}

function textRecords(
  name: string,
  bytes: Uint8Array,
  columns: readonly string[],
): Omit<RecordBatch, 'timestampMs'> {
  if (name in lines) return recordsIn(bytes);
  if (!(name in delimited))
    throw new ZeptoError(
      'SQL_UNSUPPORTED',
      'stop',
      `INSERT takes no ${name}${suggestion(name, names)} (formats: ${names.join(', ')})`,
    );
  const { delimiter, hasNames } = delimited[name as keyof typeof delimited];
  const [first, ...rest] = parseDelimited(utf8Of(bytes), delimiter);
  if (first === undefined) return recordsIn(new Uint8Array(0));
  const header = hasNames ? first.map((cell) => cell ?? '') : columns;
  const documents = (hasNames ? rest : [first, ...rest]).map((cells, row) => {
    if (cells.length !== header.length)
      throw new ZeptoError(
        'FORMAT_INVALID',
        'stop',
        `row ${row + 1}: expected ${header.length} values, got ${cells.length}`,
      );
    return JSON.stringify(Object.fromEntries(cells.map((cell, i) => [header[i]!, cell])));
  });
  return recordsIn(Buffer.from(documents.join('\n')));
}

/** A byte that is no UTF-8 must not become another character in silence. */
function utf8Of(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new ZeptoError('FORMAT_INVALID', 'stop', 'the rows are not UTF-8', { cause });
  }
}

/** Lines that are not blank. */
function recordsIn(bytes: Uint8Array): Omit<RecordBatch, 'timestampMs'> {
  const starts: number[] = [];
  const lengths: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    const found = bytes.indexOf(0x0a, at);
    const end = found < 0 ? bytes.length : found;
    if (!isBlank(bytes, at, end)) {
      starts.push(at);
      lengths.push(end - at);
    }
    at = end + 1;
  }
  return records(bytes, starts, lengths);
}

const isBlank = (bytes: Uint8Array, from: number, to: number): boolean => {
  for (let at = from; at < to; at++) if (bytes[at]! > 0x20) return false;
  return true;
};

const oneRecord = (bytes: Uint8Array): Omit<RecordBatch, 'timestampMs'> =>
  records(bytes, [0], [bytes.length]);

function records(
  bytes: Uint8Array,
  starts: readonly number[],
  lengths: readonly number[],
): Omit<RecordBatch, 'timestampMs'> {
  const count = starts.length;
  // Decoders read some bytes past a value.
  const buffer = new Uint8Array(bytes.length + 16);
  buffer.set(bytes);
  return {
    topic: 'insert',
    partition: 0,
    count,
    buffer,
    offset: Float64Array.from(starts, (_, index) => index),
    keyStart: new Int32Array(count),
    keyLength: new Int32Array(count).fill(-1),
    valueStart: Int32Array.from(starts),
    valueLength: Int32Array.from(lengths),
    offsetNext: count,
    endOffset: count,
  };
}

function valuesOf({ type, values }: ColumnBuffer, rows: number, symbols: SymbolTable): ResultValues {
  const column = values.subarray(0, rows);
  switch (type) {
    case ColumnType.INT32:
      return {
        kind: 'int',
        values: Float64Array.from(column as Int32Array),
        nulls: nullsIn(column, (value) => value === NULL_INT32),
      };
    case ColumnType.INT64:
    case ColumnType.TIMESTAMP_NS:
      return {
        kind: 'int',
        values: column as BigInt64Array,
        nulls: nullsIn(column, (value) => value === NULL_INT64),
      };
    case ColumnType.FLOAT32:
    case ColumnType.FLOAT64:
      return {
        kind: 'float',
        values: Float64Array.from(column as Float64Array),
        nulls: nullsIn(column, (value) => Number.isNaN(value)),
      };
    case ColumnType.BOOL:
      return {
        kind: 'bool',
        values: column as Uint8Array,
        nulls: nullsIn(column, (value) => value === NULL_BOOL),
      };
    case ColumnType.SYMBOL:
    case ColumnType.STRING: {
      const codes = column as Uint32Array;
      // Ids that came as numbers are names here: whoever reads the topic has its own.
      const texts = Array.from(codes, (code) =>
        code === NULL_CODE ? '' : (symbols.unknown[code - SYMBOL_ID_LIMIT] ?? String(code)),
      );
      return {
        kind: 'text',
        codes: Uint32Array.from(codes, (_, row) => row),
        texts,
        nulls: nullsIn(column, (value) => value === NULL_CODE),
      };
    }
  }
}

function nullsIn(
  values: ColumnBuffer['values'],
  isNull: (value: number | bigint) => boolean,
): Uint8Array | null {
  let nulls: Uint8Array | null = null;
  for (let row = 0; row < values.length; row++)
    if (isNull(values[row]!)) {
      nulls ??= new Uint8Array(values.length);
      nulls[row] = 1;
    }
  return nulls;
}
