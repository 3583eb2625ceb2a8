// What: rows that come with an INSERT, in one of the input formats, as blocks of typed values.
// Why: clients send CSV, JSON lines, Arrow or Native; text and Arrow are read by the decoders that read such records from Kafka.
// Invariant: a block of rows is made when it is asked for; an error names the row.

import { createDecoder } from '../../connectors/decode/decoder.ts';
import { readNative } from '../../connectors/decode/native.ts';
import { targetOf } from '../../connectors/decode/target.ts';
import { type Cells, parseDelimited } from '../../connectors/formats/delimited-input.ts';
import { type ColumnBuffer, type RecordBatch, RowBuffer } from '../columns/batch.ts';
import { SymbolTable } from '../columns/symbols.ts';
import {
  ColumnType,
  elementBytes,
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

/** Of a statement, whatever brings them: its messages are in memory, and none of them is sent before all are there. */
export const INSERT_ROWS_MAX = 1_000_000;
/** That are worked on between two looks at the statement's time. */
const PIECE_ROWS = 10_000;
/** Of documents made of cells, each of which has the names of the header. */
const PIECE_UNITS = 2 ** 24;

type Records = Omit<RecordBatch, 'timestampMs'>;

/**
 * Blocks of all columns of the table, in order. `listed`: the columns that the statement names; none: all. `nowMs`: for rows
 * without an event time. `bytesMax`: of the columns of what is decoded as a whole. @throws ZeptoError FORMAT_INVALID, SQL_UNSUPPORTED, LIMIT_EXCEEDED
 */
export async function* blocksOfData(
  format: string,
  bytes: Uint8Array,
  table: TableSchema,
  listed: readonly string[],
  nowMs: number,
  bytesMax: number,
): AsyncGenerator<ResultBlock> {
  const name = format.toLowerCase();
  if (name === 'native' || name === 'arrowstream' || name === 'arrow') {
    const rowBytes = table.columns.reduce((sum, { type }) => sum + elementBytes[type]!, 0);
    const rowsMax = Math.min(INSERT_ROWS_MAX, Math.floor(bytesMax / rowBytes));
    const rows = new RowBuffer(table, PIECE_ROWS, rowsMax);
    const symbols = new SymbolTable();
    if (name === 'native') readNative(bytes, targetOf(table, fields), listed, nowMs, rows, symbols);
    else await decode('arrow', oneRecord(bytes), 0, nowMs, rows, symbols);
    for (let from = 0; from < rows.rows; from += PIECE_ROWS)
      yield blockOf(rows, from, Math.min(rows.rows, from + PIECE_ROWS), symbols);
    return;
  }
  const columns = listed.length > 0 ? listed : table.columns.map((column) => column.name);
  let first = 0;
  for (const piece of textRecords(name, bytes, columns)) {
    // Of each piece its own: names that are remembered would be all that the statement brings.
    const rows = new RowBuffer(table, PIECE_ROWS);
    const symbols = new SymbolTable();
    await decode('json', piece, first, nowMs, rows, symbols);
    first += piece.count;
    yield blockOf(rows, 0, rows.rows, symbols);
  }
}

/** `first`: records of the statement before these. */
async function decode(
  kind: 'arrow' | 'json',
  records: Records,
  first: number,
  nowMs: number,
  rows: RowBuffer,
  symbols: SymbolTable,
): Promise<void> {
  const decoder = createDecoder({ table: rows.table, topic: 'insert', format: { kind, fields } }, symbols);
  const batch = { ...records, timestampMs: new Float64Array(records.count).fill(nowMs) };
  await decoder.decode(batch, 0, batch.count, rows);
  const wrong = rows.undecodable[0];
  if (wrong === undefined) return;
  const cause = kind === 'arrow' ? wrong.cause : `row ${first + wrong.offset + 1}: ${wrong.cause}`;
  throw new ZeptoError('FORMAT_INVALID', 'stop', cause);
}

/** JSON documents of PIECE_ROWS rows at most. */
function textRecords(name: string, bytes: Uint8Array, columns: readonly string[]): Generator<Records> {
  if (name in lines) return recordsIn(bytes);
  if (name in delimited) {
    const { delimiter, hasNames } = delimited[name as keyof typeof delimited];
    return delimitedRecords(parseDelimited(utf8Of(bytes), delimiter), hasNames ? null : columns);
  }
  throw new ZeptoError(
    'SQL_UNSUPPORTED',
    'stop',
    `INSERT takes no ${name}${suggestion(name, names)} (formats: ${names.join(', ')})`,
  );
}

/** `columns`: null when the first row names them. */
function* delimitedRecords(rows: Generator<Cells>, columns: readonly string[] | null): Generator<Records> {
  let header = columns;
  let row = 0;
  let documents: string[] = [];
  let units = 0;
  for (const cells of rows) {
    if (header === null) {
      header = cells.map((cell) => cell ?? '');
      continue;
    }
    row++;
    if (cells.length !== header.length)
      throw new ZeptoError(
        'FORMAT_INVALID',
        'stop',
        `row ${row}: expected ${header.length} values, got ${cells.length}`,
      );
    const document = JSON.stringify(Object.fromEntries(cells.map((cell, i) => [header![i]!, cell])));
    units += document.length;
    documents.push(document);
    if (documents.length < PIECE_ROWS && units < PIECE_UNITS) continue;
    yield* recordsIn(Buffer.from(documents.join('\n')));
    documents = [];
    units = 0;
  }
  yield* recordsIn(Buffer.from(documents.join('\n')));
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
function* recordsIn(bytes: Uint8Array): Generator<Records> {
  const buffer = padded(bytes);
  let starts: number[] = [];
  let lengths: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    const found = bytes.indexOf(0x0a, at);
    const end = found < 0 ? bytes.length : found;
    if (!isBlank(bytes, at, end)) {
      starts.push(at);
      lengths.push(end - at);
    }
    at = end + 1;
    if (starts.length < PIECE_ROWS) continue;
    yield records(buffer, starts, lengths);
    starts = [];
    lengths = [];
  }
  if (starts.length > 0) yield records(buffer, starts, lengths);
}

const isBlank = (bytes: Uint8Array, from: number, to: number): boolean => {
  for (let at = from; at < to; at++) if (bytes[at]! > 0x20) return false;
  return true;
};

const oneRecord = (bytes: Uint8Array): Records => records(padded(bytes), [0], [bytes.length]);

/** Decoders read some bytes past a value. */
function padded(bytes: Uint8Array): Uint8Array {
  const buffer = new Uint8Array(bytes.length + 16);
  buffer.set(bytes);
  return buffer;
}

function records(buffer: Uint8Array, starts: readonly number[], lengths: readonly number[]): Records {
  const count = starts.length;
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

/** Rows [from, to). */
const blockOf = (rows: RowBuffer, from: number, to: number, symbols: SymbolTable): ResultBlock => ({
  rows: to - from,
  columns: rows.columns.map((column) => valuesOf(column, from, to, symbols)),
});

function valuesOf(
  { type, values }: ColumnBuffer,
  from: number,
  to: number,
  symbols: SymbolTable,
): ResultValues {
  const column = values.subarray(from, to);
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
