// What: the bytes of Parquet files: their types, metadata, determinism, exact nanoseconds, and the memory they take.
// Why: a replay must write the same bytes, and an encoder thread writes millions of files.
// Invariant: reading back here goes through Arrow; DuckDB is the oracle in the property test beside this.

import { type Table as ArrowTable, tableFromIPC } from 'apache-arrow';
import { readParquet, wasmMemory } from 'parquet-wasm';
import { expect, test } from 'vitest';
import { type ColumnArray, ColumnType } from '../../src/columns/types.ts';
import { crc32cOf, crc32cText } from '../../src/format/crc32c.ts';
import { parquetEncoder } from '../../src/format/parquet.ts';
import { parquetPieces } from '../../src/format/read-parquet.ts';
import type { PlanIdentity } from '../../src/format/segment.ts';
import { type SegmentColumns, sortedColumns } from '../../src/format/segment-columns.ts';
import { everyType, HOUR, HOUR_NS, type Row, segmentOf, trades } from '../support/segment-rows.ts';

const plan: PlanIdentity = {
  group: 'desk',
  topic: 'ticks',
  partition: 3,
  incarnation: 1,
  hourLast: Infinity,
  offsetNext: 1200,
};
const options = { codec: 'SNAPPY', timestampType: 'ns', rowGroupRowsMax: 1_000_000 } as const;
const ticks: Row[] = Array.from({ length: 100 }, (_, i) => [
  HOUR_NS + BigInt(i) * 1_000_003n,
  1_500_000n + BigInt((i * 7919) % 13) * 100n,
  BigInt(100 * (1 + (i % 5))),
  i % 3,
]);
const columns = sortedColumns(segmentOf(trades, ticks), trades);
const encode = (): Promise<Uint8Array> => parquetEncoder(plan, trades, options, new Map())(42, HOUR, columns);
const read = (bytes: Uint8Array): ArrowTable => tableFromIPC(readParquet(bytes).intoIPCStream());

test('columns have the types of the layout, all optional, and the symbol is in the path only', async () => {
  const full: Row = [1, 2n, 3n, 0.5, 0.25, HOUR_NS, 5n, 6, true, 1];
  const segment = sortedColumns(segmentOf(everyType, [full]), everyType);
  const types = async (timestampType: 'ns' | 'us' | 'int64'): Promise<string[]> => {
    const encoder = parquetEncoder(plan, everyType, { ...options, timestampType }, new Map([[1, 'x']]));
    return read(await encoder(1, HOUR, segment)).schema.fields.map(
      (field) => `${field.name} ${field.type}${field.nullable ? '?' : ''}`,
    );
  };
  expect(await types('ns')).toEqual([
    'i32 Int32?',
    'i64 Int64?',
    'price Int64?',
    'f32 Float32?',
    'f64 Float64?',
    'ts Timestamp<NANOSECOND, UTC>?',
    'sent Timestamp<NANOSECOND, UTC>?',
    'venue Uint32?',
    'flag Bool?',
    'note Utf8?',
  ]);
  expect((await types('us'))[5]).toBe('ts Timestamp<MICROSECOND, UTC>?');
  expect((await types('int64'))[5]).toBe('ts Int64?');
});

test('columns are read back in the order that is asked for, and those that the file lacks are none', async () => {
  const bytes = await encode();
  const column = (name: string, type: ColumnType) => ({ name, type });
  const asked = [
    column('volume', ColumnType.INT64),
    column('added later', ColumnType.INT64),
    column('price', ColumnType.INT64),
  ];
  const [piece, ...others] = [...parquetPieces(bytes, asked, () => 0, 'file')];
  expect(others).toEqual([]);
  expect(piece!.rows).toBe(ticks.length);
  expect(piece!.columns.map((values) => values && [...values])).toEqual([
    ticks.map((row) => row[2]),
    undefined,
    ticks.map((row) => row[1]),
  ]);
  const none = [...parquetPieces(bytes, asked.slice(1, 2), () => 0, 'file')];
  expect(none).toEqual([{ rows: ticks.length, columns: [undefined] }]);
});

test('nanoseconds are exact', async () => {
  const times = read(await encode())
    .getChild('timestamp')!
    .data.flatMap((data) => [...data.values]);
  expect(times).toEqual(ticks.map((tick) => tick[0]));
});

test('the one metadata entry says which plan and symbol-hour it is, and the scale of prices', async () => {
  const metadata = read(await encode()).schema.metadata;
  expect([...metadata.keys()].filter((key) => key !== 'ARROW:schema')).toEqual(['zepto.plan']);
  expect(JSON.parse(metadata.get('zepto.plan')!)).toEqual({
    encoder: 1,
    plan: {
      hash: expect.stringMatching(/^[0-9a-f]{16}$/),
      group: 'desk',
      topic: 'ticks',
      partition: 3,
      incarnation: 1,
      hourLast: null,
      offsetNext: 1200,
    },
    table: 'trades',
    symbol: 42,
    hour: HOUR,
    columns: [
      { name: 'timestamp', type: 'TIMESTAMP_NS' },
      { name: 'price', type: 'INT64', scale: 4 },
      { name: 'volume', type: 'INT64' },
      { name: 'msg_type', type: 'INT32' },
    ],
  });
});

test('the same segment gives the same bytes, in this version and any that has the same encoder number', async () => {
  const first = await encode();
  for (let i = 0; i < 20; i++) expect(Buffer.compare(await encode(), first)).toBe(0);
  const inChunks = sortedColumns(segmentOf(trades, ticks, { chunkRows: [1, 30, 7] }), trades);
  const encoder = parquetEncoder(plan, trades, options, new Map());
  expect(Buffer.compare(await encoder(42, HOUR, inChunks), first)).toBe(0);
  // When this fails, files of a plan that was interrupted by the upgrade differ: raise ENCODER_VERSION.
  expect(crc32cText(crc32cOf([first]))).toBe('13ef2889');
});

test('a sequence number takes little more than a byte per row', async () => {
  const rising: Row[] = Array.from({ length: 30_000 }, (_, i) => [
    HOUR_NS + BigInt(i),
    1n,
    10n ** 15n + BigInt(3 * i),
    0,
  ]);
  const encoder = parquetEncoder(plan, trades, { ...options, codec: 'NONE' }, new Map());
  const { length } = await encoder(1, HOUR, sortedColumns(segmentOf(trades, rising), trades));
  expect(length / rising.length).toBeLessThan(2);
});

test('10,000 small files take no more memory than 1,000 did', async () => {
  const encoder = parquetEncoder(plan, trades, options, new Map());
  for (let i = 0; i < 1000; i++) await encoder(42, HOUR, columns);
  const before = wasmMemory().buffer.byteLength;
  for (let i = 0; i < 10_000; i++) await encoder(42, HOUR, columns);
  expect(wasmMemory().buffer.byteLength).toBe(before);
});

test('a file of many rows takes no more memory than one of a tenth of them', async () => {
  const rows = 128 * 1024;
  const times = BigInt64Array.from({ length: rows }, (_, i) => HOUR_NS + BigInt(i));
  const values = BigInt64Array.from({ length: rows }, (_, i) => BigInt((i * 7919) % 1000));
  const part = [times, values, values, new Int32Array(rows)];
  const repeated = (times: number): SegmentColumns => ({
    rows: rows * times,
    columns: part.map((column) => Array<ColumnArray>(times).fill(column)),
    timestampMin: HOUR_NS,
    timestampMax: HOUR_NS,
  });
  const encoder = parquetEncoder(plan, trades, { ...options, rowGroupRowsMax: rows }, new Map());
  for (let i = 0; i < 4; i++) await encoder(42, HOUR, repeated(2));
  const before = wasmMemory().buffer.byteLength;
  await encoder(42, HOUR, repeated(20));
  expect(wasmMemory().buffer.byteLength - before).toBeLessThan(20 * rows * 28 * 0.2);
});
