// What: opening segment folders: ours, the original's, damaged ones, and ones that are none.
// Why: a query must get the rows of the segment or a clear error, never some of them.
// Invariant: each damage here is one that a crash, a disk or a person can do.

import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, test } from 'vitest';
import { localDisk } from '../../connectors/fs/disk.ts';
import { ColumnType } from '../../src/columns/types.ts';
import { encodeBinColumn } from '../../src/format/bin.ts';
import { openSegment } from '../../src/format/read-segment.ts';
import { writeSegments } from '../../src/format/write-segments.ts';
import type { Disk } from '../../src/ports.ts';
import { memoryVolume } from '../support/memory-disk.ts';
import { everyType, HOUR, HOUR_NS, type Row, segmentOf, valuesOf } from '../support/segment-rows.ts';

const row: Row = [1, 2n, 3n, 0.5, 0.25, HOUR_NS, 5n, 6, true, 1];
const nulls: Row = [null, null, null, null, null, HOUR_NS + 1n, 5n, 6, null, null];
const folder = `/hdb/every_type/42/${HOUR_NS}`;
const plan = { group: 'g', topic: 't', partition: 0, incarnation: 0, hourLast: HOUR, offsetNext: 2 };
let disk: Disk;

beforeEach(async () => {
  disk = memoryVolume().mount();
  const outputs = {
    bin: { baseDirectory: '/hdb', compression: 'none', sync: false },
    parquet: null,
  } as const;
  const segments = [segmentOf(everyType, [row, nulls])];
  await writeSegments(
    { plan, table: everyType, segments, outputs, strings: new Map() },
    disk,
    null,
    1,
    new AbortController().signal,
  );
});

test('a segment gives every column as it was written, NULL too', async () => {
  const segment = (await openSegment(folder, disk))!;
  const stored = everyType.columns.filter(({ name }) => name !== 'symbol');
  expect(segment.columnNames).toEqual(stored.map(({ name }) => name));
  for (const [index, column] of stored.entries()) {
    const { type, values } = await segment.column(column.name, true);
    expect(type).toBe(column.type);
    expect(valuesOf(column, [values])).toEqual([row[index], nulls[index]]);
  }
  expect(segment.record).toMatchObject({ rows: 2, symbol: 42, table: 'every_type', plan: { offsetNext: 2 } });
  expect(segment.record!.columns.find(({ name }) => name === 'price')).toMatchObject({
    type: 'INT64',
    scale: 2,
  });
});

test("the original's folders open as they are", async () => {
  const path = fileURLToPath(new URL(`../fixtures/hdb/lz4-42/${HOUR_NS}`, import.meta.url));
  const segment = (await openSegment(path, localDisk))!;
  expect(segment.record).toBeNull();
  expect(segment.columnNames).toEqual([
    'f32',
    'f64',
    'flag',
    'msg_type',
    'price',
    'str',
    'sym',
    'timestamp',
    'volume',
  ]);
  expect([...(await segment.column('price')).values].slice(0, 3)).toEqual([15000n, 15010n, 15020n]);
  await expect((await openSegment(path, localDisk, 5))!.column('price')).rejects.toThrow(/table id 0/);
});

test('a folder without columns, and no folder, are no segment', async () => {
  expect(await openSegment('/hdb/none', disk)).toBeNull();
  await disk.makeDirectory('/hdb/empty');
  expect(await openSegment('/hdb/empty', disk)).toBeNull();
});

describe('a damaged segment is refused:', () => {
  const price = `${folder}/price.bin`;
  const rewrite = async (path: string, change: (bytes: Uint8Array) => Uint8Array): Promise<void> =>
    disk.writeFile(path, [change((await disk.readFile(path))!)], false);
  const load = async (verify = false): Promise<unknown> =>
    (await openSegment(folder, disk))!.column('price', verify);

  test('a column is missing', async () => {
    await disk.remove(price);
    await expect(load()).rejects.toThrow(/price .* is missing/);
  });

  test('a column was cut', async () => {
    await rewrite(price, (bytes) => bytes.slice(0, -1));
    await expect(load()).rejects.toMatchObject({ code: 'FORMAT_INVALID', context: { column: 'price' } });
  });

  test('a bit flipped, when checksums are verified', async () => {
    await rewrite(price, (bytes) => bytes.map((byte, i) => (i === 40 ? byte ^ 1 : byte)));
    await expect(load(true)).rejects.toThrow(/checksum/);
    await expect(load(false)).resolves.toBeDefined();
  });

  test('a column of another type', async () => {
    const other = encodeBinColumn(ColumnType.TIMESTAMP_NS, [new BigInt64Array(2)], 'none');
    await disk.writeFile(price, other.parts, false);
    await expect(load()).rejects.toThrow(/type 4, its record says INT64/);
  });

  test('a column that the record does not know', async () => {
    const other = encodeBinColumn(ColumnType.BOOL, [new Uint8Array(2)], 'none');
    await disk.writeFile(`${folder}/extra.bin`, other.parts, false);
    await expect((await openSegment(folder, disk))!.column('extra')).rejects.toThrow(/not in its record/);
  });

  test('a record that is no record', async () => {
    await rewrite(`${folder}/segment.json`, (bytes) => bytes.slice(0, 20));
    await expect(openSegment(folder, disk)).rejects.toThrow(/segment\.json: is not JSON/);
  });

  test('a record of a newer version', async () => {
    await rewrite(`${folder}/segment.json`, (bytes) =>
      Buffer.from(Buffer.from(bytes).toString().replace('"version":1', '"version":9')),
    );
    await expect(openSegment(folder, disk)).rejects.toThrow(/version 9.*upgrade/);
  });

  test("the original's columns of unequal lengths", async () => {
    await disk.remove(`${folder}/segment.json`);
    const short = encodeBinColumn(ColumnType.INT64, [new BigInt64Array(1)], 'none');
    await disk.writeFile(price, short.parts, false);
    const segment = (await openSegment(folder, disk))!;
    expect((await segment.column('ts')).values).toHaveLength(2);
    await expect(segment.column('price')).rejects.toThrow(/has 1 rows, its segment 2/);
  });

  test('a column name that leads out of the folder', async () => {
    await expect((await openSegment(folder, disk))!.column('../x')).rejects.toThrow(/file name/);
  });
});
