// What: Parquet files read by DuckDB against the rows they were made of.
// Why: a reader from outside is the only judge of an open format.
// Invariant: every column type, NULL, codec and timestamp type, over one or many row groups.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type ColumnArray,
  type ColumnSchema,
  ColumnType,
  columnView,
  NULL_INT32,
  storedColumns,
} from '../../src/columns/types.ts';
import { parquetEncoder } from '../../src/format/parquet.ts';
import type { ParquetOptions, PlanIdentity } from '../../src/format/segment.ts';
import { sortedColumns } from '../../src/format/segment-columns.ts';
import { everyType, HOUR, HOUR_NS, type Row, segmentOf, type Value } from '../support/segment-rows.ts';

const plan: PlanIdentity = {
  group: 'desk',
  topic: 'ticks',
  partition: 3,
  incarnation: 0,
  hourLast: HOUR,
  offsetNext: 1200,
};
const strings = new Map([
  [0, ''],
  [1, 'XNAS'],
  [2, 'Zürich "€", 東京'],
  [7, 'a\0b'],
]);
const stored = storedColumns(everyType);
const folder = mkdtempSync(join(tmpdir(), 'parquet-'));
const file = join(folder, 'segment.parquet');
let duckdb: DuckDBConnection;

beforeAll(async () => {
  duckdb = await (await DuckDBInstance.create()).connect();
  // One file is written again and again: blocks of the one before must not be taken for its own.
  await duckdb.run('SET enable_external_file_cache = false');
});
afterAll(() => {
  duckdb.closeSync();
  rmSync(folder, { recursive: true });
});

const int64 = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n) + 1n, max: 2n ** 63n - 1n }),
  fc.bigInt({ min: -1000n, max: 1000n }),
  fc.constantFrom(2n ** 63n - 1n, -(2n ** 63n) + 1n, -(2n ** 32n), 2n ** 32n, 0n, -1n),
);
const orNull = (values: fc.Arbitrary<Value>): fc.Arbitrary<Value> => fc.option(values, { freq: 4 });

function arbitraryOf(column: ColumnSchema): fc.Arbitrary<Value> {
  switch (column.type) {
    case ColumnType.INT32:
      return orNull(fc.integer({ min: -(2 ** 31) + 1 }));
    case ColumnType.INT64:
      return orNull(int64);
    case ColumnType.FLOAT32:
      return orNull(fc.float({ noNaN: true }));
    case ColumnType.FLOAT64:
      return orNull(fc.double({ noNaN: true }));
    case ColumnType.TIMESTAMP_NS:
      // DuckDB's microseconds cannot hold the ends of the range, and −2^63 + … ± infinity are its special values.
      if (column.name === 'sent') return fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n });
      return fc.bigInt({ min: 0n, max: 3_599_999_999_999n }).map((delta) => HOUR_NS + delta);
    case ColumnType.SYMBOL:
      return fc.integer({ min: 0, max: 2 ** 31 - 1 });
    case ColumnType.BOOL:
      return orNull(fc.boolean());
    case ColumnType.STRING:
      return orNull(fc.constantFrom(...strings.keys()));
  }
}

const row: fc.Arbitrary<Row> = fc.tuple(...stored.map(arbitraryOf));

type Options = Pick<ParquetOptions, 'codec' | 'timestampType' | 'rowGroupRowsMax'>;
const options: fc.Arbitrary<Options> = fc.record({
  codec: fc.constantFrom('SNAPPY', 'ZSTD', 'LZ4_RAW', 'NONE'),
  timestampType: fc.constantFrom('ns', 'us', 'int64'),
  rowGroupRowsMax: fc.constantFrom(7, 1000),
});

/** DuckDB 1 shows nanoseconds cut to microseconds, so times are compared as it can tell them apart. */
function timeSql(column: ColumnSchema, timestampType: Options['timestampType']): string {
  return timestampType === 'int64' ? column.name : `epoch_us(${column.name})`;
}

function expectedValue(column: ColumnSchema, value: Value, timestampType: Options['timestampType']): unknown {
  if (column.type === ColumnType.STRING && value !== null) return strings.get(value as number);
  if (column.type !== ColumnType.TIMESTAMP_NS || timestampType === 'int64') return value;
  const cut = (value as bigint) / 1000n;
  // DuckDB cuts nanoseconds toward zero; microseconds in the file are ours, and round down.
  return timestampType === 'us' && cut * 1000n > (value as bigint) ? cut - 1n : cut;
}

const encode = (
  rows: readonly Row[],
  chosen: Options,
  chunkRows: readonly number[] = [],
): Promise<Uint8Array> =>
  parquetEncoder(
    plan,
    everyType,
    chosen,
    strings,
  )(42, HOUR, sortedColumns(segmentOf(everyType, rows, { chunkRows }), everyType));

async function read(sql: string): Promise<unknown[][]> {
  return (await duckdb.runAndReadAll(sql)).getRowsJS() as unknown[][];
}

describe('DuckDB reads a file', () => {
  test('as the rows it was made of', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(row, { minLength: 1, maxLength: 60 }),
        fc.array(fc.nat(20), { maxLength: 3 }),
        options,
        async (rows, chunkRows, chosen) => {
          writeFileSync(file, await encode(rows, chosen, chunkRows));
          const list = stored.map((column) =>
            column.type === ColumnType.TIMESTAMP_NS ? timeSql(column, chosen.timestampType) : column.name,
          );
          const found = await read(`SELECT ${list.join(', ')} FROM read_parquet('${file}')`);
          const time = stored.findIndex((column) => column.name === 'ts');
          const expected = rows
            .toSorted((a, b) => Number((a[time] as bigint) - (b[time] as bigint)))
            .map((values) =>
              values.map((value, i) => expectedValue(stored[i]!, value, chosen.timestampType)),
            );
          expect(found).toEqual(expected);
        },
      ),
      { numRuns: 150 },
    );
  });

  test('whose every column may hold NULL in a file and none in the next', async () => {
    const full: Row = [1, 2n, 3n, 0.5, 0.25, HOUR_NS, 5n, 6, true, 1];
    const empty: Row = [null, null, null, null, null, HOUR_NS + 1n, 5n, 6, null, null];
    const all = `count(*), ${stored.map((column) => `count(${column.name})`).join(', ')}`;
    const chosen: Options = { codec: 'SNAPPY', timestampType: 'int64', rowGroupRowsMax: 100 };
    for (const [rows, counts] of [
      [
        [full, full],
        [2n, 2n, 2n, 2n, 2n, 2n, 2n, 2n, 2n, 2n, 2n],
      ],
      [
        [full, empty],
        [2n, 1n, 1n, 1n, 1n, 1n, 2n, 2n, 2n, 1n, 1n],
      ],
      [
        [empty, empty],
        [2n, 0n, 0n, 0n, 0n, 0n, 2n, 2n, 2n, 0n, 0n],
      ],
    ] as const) {
      writeFileSync(file, await encode(rows, chosen));
      expect(await read(`SELECT ${all} FROM read_parquet('${file}')`)).toEqual([counts]);
    }
  });

  test('that was handed over in pieces, NULL in some of them only', async () => {
    const rows = 300_000;
    const numbers = Int32Array.from({ length: rows }, (_, i) => (i === 200_000 ? NULL_INT32 : i));
    const columns = stored.map(({ type, name }): ColumnArray[] => {
      if (name === 'i32') return [numbers.subarray(0, 1000), numbers.subarray(1000)];
      if (name === 'ts') return [BigInt64Array.from({ length: rows }, (_, i) => HOUR_NS + BigInt(i))];
      return [columnView(type, new ArrayBuffer(8 * rows), 0, rows)];
    });
    const encoder = parquetEncoder(
      plan,
      everyType,
      { codec: 'ZSTD', timestampType: 'int64', rowGroupRowsMax: 140_000 },
      strings,
    );
    const segment = { rows, columns, timestampMin: HOUR_NS, timestampMax: HOUR_NS + BigInt(rows - 1) };
    writeFileSync(file, await encoder(42, HOUR, segment));
    expect(
      await read(
        `SELECT count(*), count(i32), sum(i32)::BIGINT, count(*) FILTER (ts - ${HOUR_NS} = file_row_number),
           count(*) FILTER (i32 IS NULL AND file_row_number = 200000)
         FROM read_parquet('${file}', file_row_number = true)`,
      ),
    ).toEqual([[300_000n, 299_999n, (299_999n * 300_000n) / 2n - 200_000n, 300_000n, 1n]]);
    expect(
      await read(`SELECT DISTINCT row_group_num_rows FROM parquet_metadata('${file}') ORDER BY 1`),
    ).toEqual([[20_000n], [140_000n]]);
  });

  test('with the statistics and row groups that were asked for', async () => {
    const rows: Row[] = Array.from({ length: 25 }, (_, i) => [
      i,
      BigInt(i * i),
      BigInt(1000 - i),
      i / 2,
      i / 4,
      HOUR_NS + BigInt(i) * 1000n,
      0n,
      i,
      i % 2 === 0,
      1,
    ]);
    for (const [codec, shown] of [
      ['SNAPPY', 'SNAPPY'],
      ['ZSTD', 'ZSTD'],
      ['LZ4_RAW', 'LZ4_RAW'],
      ['NONE', 'UNCOMPRESSED'],
    ] as const) {
      writeFileSync(file, await encode(rows, { codec, timestampType: 'int64', rowGroupRowsMax: 10 }));
      const found = await read(
        `SELECT row_group_id, compression, stats_min_value, stats_max_value, stats_null_count, encodings
         FROM parquet_metadata('${file}') WHERE path_in_schema = 'price' ORDER BY 1`,
      );
      expect(found).toEqual([
        [0n, shown, '991', '1000', 0n, 'RLE, DELTA_BINARY_PACKED'],
        [1n, shown, '981', '990', 0n, 'RLE, DELTA_BINARY_PACKED'],
        [2n, shown, '976', '980', 0n, 'RLE, DELTA_BINARY_PACKED'],
      ]);
    }
  });
});
