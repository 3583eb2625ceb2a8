// What: Parquet files of one symbol-hour each, from ten rows to a million, encoded in memory.
// Why: a plan has hundreds of small files, whose fixed cost must stay small beside their rows.
// Invariant: the baseline builds the same columns through apache-arrow tables with the same settings, in the same run.

import { cpus } from 'node:os';
import {
  Field,
  Int32,
  Int64,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
  TimestampNanosecond,
  tableToIPC,
} from 'apache-arrow';
import {
  Compression,
  EnabledStatistics,
  Encoding,
  readParquet,
  Table as WasmTable,
  WriterPropertiesBuilder,
  wasmMemory,
  writeParquet,
} from 'parquet-wasm';
import { nsOfHour } from '../../src/format/layout.ts';
import { parquetEncoder } from '../../src/format/parquet.ts';
import type { SegmentSource } from '../../src/format/segment.ts';
import { sortedColumns } from '../../src/format/segment-columns.ts';
import { assert } from '../../src/kernel/assert.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { HOUR, planOfHour, tradesTable } from './sealed-hour.ts';

export interface ParquetBenchOptions {
  readonly rows?: readonly number[];
  /** Time given to each case. */
  readonly caseMs?: number;
}

/** Prints one JSON line for the machine, then one for each number of rows and codec. */
export async function run(options: ParquetBenchOptions = {}): Promise<void> {
  const { rows = [10, 100, 1000, 10_000, 1_000_000], caseMs = 700 } = options;
  print({ bench: 'parquet', node: process.version, cpu: cpus()[0]!.model, cores: cpus().length });
  for (const codec of ['SNAPPY', 'ZSTD'] as const)
    for (const count of rows) await runOn(ticks(count), codec, caseMs);
  print({ case: 'memory', wasmBytes: wasmMemory().buffer.byteLength });
}

async function runOn(segment: SegmentSource, codec: 'SNAPPY' | 'ZSTD', caseMs: number): Promise<void> {
  const options = { codec, timestampType: 'ns', rowGroupRowsMax: 1_048_576 } as const;
  const encode = parquetEncoder(planOfHour, tradesTable, options, new Map());
  const ours = (): Promise<Uint8Array> =>
    encode(segment.symbol, segment.hour, sortedColumns(segment, tradesTable));
  const baseline = (): Uint8Array => throughArrowTables(segment, Compression[codec]);
  const oursUs: number[] = [];
  const baselineUs: number[] = [];
  const end = systemClock.monotonicMs() + caseMs;
  while (systemClock.monotonicMs() < end || oursUs.length < 5) {
    oursUs.push(await microsecondsOf(ours));
    baselineUs.push(await microsecondsOf(baseline));
  }
  const file = await ours();
  assert(rowsIn(file) === segment.rows, 'the file holds all rows');
  print({
    case: `${codec.toLowerCase()}-${segment.rows}`,
    rows: segment.rows,
    bytes: file.length,
    medianUs: Math.round(median(oursUs)),
    nsPerRow: Math.round((median(oursUs) * 1000) / segment.rows),
    baselineUs: Math.round(median(baselineUs)),
    of: 'apache-arrow tables',
  });
}

/** The file of the same columns and settings, through the tables of apache-arrow. */
export function throughArrowTables(segment: SegmentSource, compression: Compression): Uint8Array {
  const [timestamps, prices, volumes, kinds] = segment.chunks[0]!.columns as [
    BigInt64Array,
    BigInt64Array,
    BigInt64Array,
    Int32Array,
  ];
  const length = segment.rows;
  const time = new TimestampNanosecond('UTC');
  const schema = new Schema([
    new Field('timestamp', time, true),
    new Field('price', new Int64(), true),
    new Field('volume', new Int64(), true),
    new Field('msg_type', new Int32(), true),
  ]);
  const children = [
    makeData({ type: time, data: timestamps, length, nullCount: 0 }),
    makeData({ type: new Int64(), data: prices, length, nullCount: 0 }),
    makeData({ type: new Int64(), data: volumes, length, nullCount: 0 }),
    makeData({ type: new Int32(), data: kinds, length, nullCount: 0 }),
  ];
  const batch = new RecordBatch(
    schema,
    makeData({ type: new Struct(schema.fields), length, nullCount: 0, children: children as never }),
  );
  const properties = new WriterPropertiesBuilder()
    .setCompression(compression)
    .setStatisticsEnabled(length > 20_000 ? EnabledStatistics.Page : EnabledStatistics.Chunk)
    .setColumnDictionaryEnabled('timestamp', false)
    .setColumnEncoding('timestamp', Encoding.DELTA_BINARY_PACKED)
    .setColumnDictionaryEnabled('price', false)
    .setColumnEncoding('price', Encoding.DELTA_BINARY_PACKED)
    .build();
  return writeParquet(WasmTable.fromIPCStream(tableToIPC(new Table(schema, [batch]), 'stream')), properties);
}

function rowsIn(file: Uint8Array): number {
  const read = readParquet(file);
  const rows = read.recordBatches().reduce((sum, batch) => sum + batch.numRows, 0);
  read.free();
  return rows;
}

/** Sorted ticks with nanosecond times; prices move by whole cents, sizes are few lots. */
function ticks(rows: number): SegmentSource {
  let state = 7;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const timestamps = new BigInt64Array(rows);
  const prices = new BigInt64Array(rows);
  const volumes = new BigInt64Array(rows);
  const kinds = new Int32Array(rows);
  let price = 1_895_000;
  for (let i = 0; i < rows; i++) {
    timestamps[i] = nsOfHour(HOUR) + BigInt(Math.floor(((i + random()) * 3.5e12) / rows));
    price += 100 * (Math.floor(random() * 5) - 2);
    prices[i] = BigInt(price);
    volumes[i] = random() < 0.5 ? 100n : BigInt(100 * (1 + Math.floor(random() ** 3 * 50)));
    kinds[i] = Math.floor(random() * 3);
  }
  return { symbol: 42, hour: HOUR, rows, chunks: [{ rows, columns: [timestamps, prices, volumes, kinds] }] };
}

async function microsecondsOf(work: () => unknown): Promise<number> {
  const start = systemClock.monotonicMs();
  await work();
  return (systemClock.monotonicMs() - start) * 1000;
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

const print = (line: object): void => console.log(JSON.stringify(line));
