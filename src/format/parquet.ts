// What: a segment as the bytes of a Parquet file, encoded in memory.
// Why: what lies in the bucket is read by DuckDB, Polars, pandas, Spark and Trino without us.
// Invariant: the same segment of the same plan gives the same bytes: one key-value entry, no clock, no map order.

import {
  Bool,
  type DataType,
  Field,
  Float32,
  Float64,
  Int32,
  Int64,
  Schema,
  Table,
  TimestampMicrosecond,
  TimestampNanosecond,
  tableToIPC,
  Uint32,
  Utf8,
} from 'apache-arrow';
import {
  Compression,
  EnabledStatistics,
  Encoding,
  transformParquetStream,
  Table as WasmTable,
  type WriterProperties,
  WriterPropertiesBuilder,
  writeParquet,
} from 'parquet-wasm';
import {
  type ColumnArray,
  type ColumnSchema,
  ColumnType,
  columnTypeNames,
  type StoredTable,
  storedColumns,
} from '../columns/types.ts';
import { arrowColumn, type TimestampType } from './arrow-column.ts';
import { arrowStreamBytes, writeArrowStream } from './arrow-stream.ts';
import { ENCODER_VERSION, type PlanRecord, planRecord } from './plan-record.ts';
import type { ParquetOptions, PlanIdentity } from './segment.ts';
import type { SegmentColumns } from './segment-columns.ts';

/** The one key of the file's key-value metadata that is ours; its value is JSON, see docs/formats.md. */
export const PLAN_METADATA_KEY = 'zepto.plan';

const codecs = {
  SNAPPY: Compression.SNAPPY,
  ZSTD: Compression.ZSTD,
  LZ4_RAW: Compression.LZ4_RAW,
  NONE: Compression.UNCOMPRESSED,
} as const;

/** A data page of parquet-rs ends after so many rows; below, page statistics only repeat the column's. */
const PAGE_ROWS = 20_000;
/** Longer segments are handed over in pieces of so many rows. Pages end where a piece does, so this is part of the bytes. */
const BATCH_ROWS = 128 * 1024;
/** So many first values decide whether an integer column is a sequence. */
const SEQUENCE_SAMPLE_ROWS = 1000;
/** Encodes the segments of one job, one file each, in the memory of BATCH_ROWS rows and of the file's own bytes. */
export type ParquetEncoder = (symbol: number, hour: number, columns: SegmentColumns) => Promise<Uint8Array>;

/** `about`: what the metadata says besides. */
export function parquetEncoder(
  plan: PlanIdentity,
  table: StoredTable,
  options: Pick<ParquetOptions, 'codec' | 'timestampType' | 'rowGroupRowsMax'>,
  strings: ReadonlyMap<number, string>,
  about: Readonly<Record<string, unknown>> = {},
): ParquetEncoder {
  const stored = storedColumns(table);
  const schema = schemaMessage(stored, options.timestampType);
  const record = planRecord(plan);
  let scratch = new Uint8Array(0);

  function wasmTable(columns: SegmentColumns['columns'], rows: number): WasmTable {
    const arrow = stored.map((column, index) =>
      arrowColumn(column, columns[index]!, rows, options.timestampType, strings),
    );
    const bytes = arrowStreamBytes(schema, arrow);
    if (scratch.length < bytes) scratch = new Uint8Array(bytes);
    return WasmTable.fromIPCStream(writeArrowStream(scratch, schema, arrow, rows));
  }

  /** Record batches, each made when the writer asks for it. */
  function batches({ rows, columns }: SegmentColumns): ReadableStream {
    let start = 0;
    return new ReadableStream({
      pull(controller) {
        const end = Math.min(start + BATCH_ROWS, rows);
        const piece = wasmTable(
          columns.map((parts) => slice(parts, start, end)),
          end - start,
        );
        controller.enqueue(piece.recordBatch(0));
        piece.free();
        start = end;
        if (start === rows) controller.close();
      },
    });
  }

  return async (symbol, hour, segment) => {
    const { rows, columns } = segment;
    const metadata = parquetMetadata(record, table, symbol, hour, about);
    const properties = writerProperties(stored, columns, rows, options, metadata);
    // Both ways consume their wasm objects, whether they succeed or throw.
    if (rows <= BATCH_ROWS) return writeParquet(wasmTable(columns, rows), properties);
    return joined(await transformParquetStream(batches(segment), properties));
  };
}

/** The values of rows [start, end) as views. */
function slice(parts: readonly ColumnArray[], start: number, end: number): ColumnArray[] {
  const views: ColumnArray[] = [];
  let first = 0;
  for (const part of parts) {
    const from = Math.max(start - first, 0);
    const to = Math.min(end - first, part.length);
    if (from < to) views.push(part.subarray(from, to) as ColumnArray);
    first += part.length;
  }
  return views;
}

async function joined(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

/** The value of `zepto.plan`: which plan and symbol-hour the file holds, and what its columns mean. */
function parquetMetadata(
  plan: PlanRecord,
  table: StoredTable,
  symbol: number,
  hour: number,
  about: Readonly<Record<string, unknown>>,
): string {
  const columns = storedColumns(table).map(({ name, type, scale }) => ({
    name,
    type: columnTypeNames[type]!,
    ...(scale === undefined ? {} : { scale }),
  }));
  return JSON.stringify({
    encoder: ENCODER_VERSION,
    plan,
    table: table.name,
    symbol,
    hour,
    columns,
    ...about,
  });
}

function writerProperties(
  stored: readonly ColumnSchema[],
  columns: SegmentColumns['columns'],
  rows: number,
  options: Pick<ParquetOptions, 'codec' | 'rowGroupRowsMax'>,
  metadata: string,
): WriterProperties {
  const statistics = rows > PAGE_ROWS ? EnabledStatistics.Page : EnabledStatistics.Chunk;
  let builder = new WriterPropertiesBuilder()
    .setCompression(codecs[options.codec])
    .setMaxRowGroupSize(options.rowGroupRowsMax)
    .setStatisticsEnabled(statistics)
    .setCreatedBy('zeptodb-kafka')
    .setKeyValueMetadata(new Map([[PLAN_METADATA_KEY, metadata]]));
  for (const [index, column] of stored.entries())
    if (isDeltaEncoded(column, columns[index]!))
      builder = builder
        .setColumnDictionaryEnabled(column.name, false)
        .setColumnEncoding(column.name, Encoding.DELTA_BINARY_PACKED);
  return builder.build();
}

/**
 * Times, prices and sequence numbers differ little from row to row; a dictionary of them would be as long as the
 * column. The others (sizes, flags, codes, floats) repeat, and a dictionary halves them.
 */
function isDeltaEncoded(column: ColumnSchema, parts: readonly ColumnArray[]): boolean {
  if (column.type === ColumnType.TIMESTAMP_NS) return true;
  if (column.type !== ColumnType.INT64) return false;
  return column.scale !== undefined || startsAsSequence(parts[0] as BigInt64Array);
}

function startsAsSequence(values: BigInt64Array): boolean {
  const rows = Math.min(values.length, SEQUENCE_SAMPLE_ROWS);
  for (let i = 1; i < rows; i++) if (values[i]! <= values[i - 1]!) return false;
  return rows > 1;
}

/** The stream's first message; what follows it in an empty stream, the end mark of 8 bytes, is left out. */
function schemaMessage(stored: readonly ColumnSchema[], timestampType: TimestampType): Uint8Array {
  const fields = stored.map((column) => new Field(column.name, arrowType(column.type, timestampType), true));
  const stream = tableToIPC(new Table(new Schema(fields)), 'stream');
  return stream.slice(0, 8 + new DataView(stream.buffer, stream.byteOffset).getUint32(4, true));
}

function arrowType(type: ColumnType, timestampType: TimestampType): DataType {
  switch (type) {
    case ColumnType.INT32:
      return new Int32();
    case ColumnType.INT64:
      return new Int64();
    case ColumnType.FLOAT32:
      return new Float32();
    case ColumnType.FLOAT64:
      return new Float64();
    case ColumnType.TIMESTAMP_NS:
      if (timestampType === 'int64') return new Int64();
      return timestampType === 'ns' ? new TimestampNanosecond('UTC') : new TimestampMicrosecond('UTC');
    case ColumnType.SYMBOL:
      return new Uint32();
    case ColumnType.BOOL:
      return new Bool();
    case ColumnType.STRING:
      return new Utf8();
  }
}
