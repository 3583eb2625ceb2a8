// What: queries over a table whose columns were added and dropped, with parts of every version in every tier.
// Why: sealed rows and rows in memory keep the columns that they were taken in with; a query has those of now.
// Invariant: a column is read by its name: NULL where a part has none, and never another column's values.

import { beforeAll, describe, expect, it } from 'vitest';
import { type ColumnSchema, ColumnType, type TableSchema } from '../../src/columns/types.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import { PartCache } from '../../src/query/part-cache.ts';
import type { TableSnapshot } from '../../src/query/snapshot.ts';
import { partsIn, tableOf } from '../../src/query/table-parts.ts';
import { ask } from '../support/query-oracle.ts';
import { type Placement, type Row, type World, worldOf } from '../support/query-tables.ts';

const HOUR_NS = 3_600_000_000_000n;
const START = 1_711_000_800_000_000_000n;

const schemaOf = (...columns: readonly ColumnSchema[]): TableSchema => ({
  name: 'trades',
  columns: [
    { name: 'timestamp', type: ColumnType.TIMESTAMP_NS },
    { name: 'symbol', type: ColumnType.SYMBOL },
    ...columns,
  ],
  timestampColumn: 0,
  symbolColumn: 1,
});
const price: ColumnSchema = { name: 'price', type: ColumnType.INT64, scale: 2 };
const lots: ColumnSchema = { name: 'lots', type: ColumnType.INT64 };
const size: ColumnSchema = { name: 'size', type: ColumnType.INT64 };
const venue: ColumnSchema = { name: 'venue', type: ColumnType.STRING };

/** As declared; then without lots; then with size and venue. */
const first = schemaOf(lots, price);
const now = schemaOf(price, size, venue);

/** Prices 1 to 10 in the first version, 11 to 20 now, an hour later for each ten. */
const oldRows: readonly Row[] = Array.from({ length: 10 }, (_, i) => [
  ...[START + BigInt(i), 'A', 1000n + BigInt(i)],
  BigInt(i + 1) * 100n,
]);
const newRows: readonly Row[] = Array.from({ length: 10 }, (_, i) => [
  ...[START + HOUR_NS + BigInt(i), 'A', BigInt(i + 11) * 100n],
  ...[BigInt(i), i % 2 === 0 ? 'X' : null],
]);

async function mixed(old: Placement, recent: Placement): Promise<World> {
  const before = await worldOf([{ schema: first, rows: oldRows }], { placement: old });
  const after = await worldOf([{ schema: now, rows: newRows }], { placement: recent });
  // Both give the symbol the number 0.
  const parts = [before, after].flatMap((world) => partsIn(world.snapshot.tables.get('trades')!));
  const tables = new Map<string, TableSnapshot>([['trades', tableOf(now, parts)]]);
  const disk = { ...after.disk, readFile: readFileOf(before, after), list: listOf(before, after) };
  const objects = new Map([...before.objects, ...after.objects]);
  return { ...after, snapshot: { ...after.snapshot, tables }, disk, objects };
}

const readFileOf = (before: World, after: World) => async (path: string) =>
  (await before.disk.readFile(path)) ?? (await after.disk.readFile(path));
const listOf = (before: World, after: World) => async (path: string) => [
  ...(await before.disk.list(path)),
  ...(await after.disk.list(path)),
];

const places: readonly Placement[] = ['hot', 'warm', 'cold', 'mixed'];

describe.each(places.flatMap((old) => (['hot', 'cold'] as const).map((recent) => [old, recent] as const)))(
  'rows of before in %s, of now in %s',
  (old, recent) => {
    let world: World;
    const cache = new PartCache();
    beforeAll(async () => {
      world = await mixed(old, recent);
    });
    const rowsFor = async (sql: string): Promise<unknown> => (await ask(sql, world, { cache })).rows;

    it('have each column by its name, NULL where there is none', async () => {
      expect(await rowsFor('SELECT price, size, venue FROM trades ORDER BY timestamp')).toEqual([
        ...oldRows.map((row) => [row[3], null, null]),
        ...newRows.map((row) => [row[2], row[3], row[4]]),
      ]);
      expect(await rowsFor('SELECT venue FROM trades WHERE price < 3 ORDER BY timestamp')).toEqual([
        [null],
        [null],
      ]);
    });

    it('are counted, summed and bounded without those that are NULL', async () => {
      const all = `SELECT count(*), count(size), sum(size), min(size), max(size), avg(size), sum(price), min(price),
                          max(price), first(size), last(size), first(price), last(price), vwap(price, size) FROM trades`;
      const expected = [
        ...[20n, 10n, 45n, 0n, 9n, 4.5, 21_000n, 100n],
        ...[2000n, 0n, 9n, 100n, 2000n, expect.closeTo(17.333333, 5)],
      ];
      for (let times = 0; times < 2; times++) expect(await rowsFor(all)).toEqual([expected]);
      expect(await rowsFor('SELECT symbol, sum(size), max(price) FROM trades GROUP BY symbol')).toEqual([
        ['A', 45n, 2000n],
      ]);
      expect(
        await rowsFor(
          'SELECT xbar(timestamp, 30m) AS bar, sum(size), last(price) FROM trades GROUP BY 1 ORDER BY 1',
        ),
      ).toEqual([
        [START, null, 1000n],
        [START + HOUR_NS, 45n, 2000n],
      ]);
      expect(await rowsFor('SELECT count(DISTINCT venue), count(venue) FROM trades')).toEqual([[1n, 5n]]);
    });

    it('are filtered, sorted, joined and picked by them', async () => {
      expect(await rowsFor('SELECT count(*) FROM trades WHERE size IS NULL')).toEqual([[10n]]);
      expect(await rowsFor("SELECT count(*) FROM trades WHERE venue = 'X' AND size >= 4")).toEqual([[3n]]);
      expect(await rowsFor('SELECT size FROM trades ORDER BY size NULLS FIRST LIMIT 11')).toEqual([
        ...oldRows.map(() => [null]),
        [0n],
      ]);
      expect(await rowsFor('SELECT size, venue FROM trades LATEST ON timestamp PARTITION BY symbol')).toEqual(
        [[9n, null]],
      );
      expect(
        await rowsFor(`SELECT size, price FROM trades WHERE timestamp < ${START + HOUR_NS}
                       LATEST ON timestamp PARTITION BY symbol`),
      ).toEqual([[null, 1000n]]);
      expect(
        await rowsFor(
          'SELECT count(*) FROM trades a JOIN trades b ON a.size = b.size WHERE a.venue IS NOT NULL',
        ),
      ).toEqual([[5n]]);
    });

    it('have lost the column that was dropped', async () => {
      const error = await ask('SELECT lots FROM trades', world).catch((cause: unknown) => cause);
      expect(error).toBeInstanceOf(ZeptoError);
      expect((error as ZeptoError).code).toBe('SQL_NAME');
    });
  },
);

it('a column of another type is refused in memory as it is in files', async () => {
  const world = await worldOf([{ schema: first, rows: oldRows }], { placement: 'hot' });
  const { partsOf, symbols, partCount } = world.snapshot.tables.get('trades')!;
  const schema = schemaOf({ name: 'price', type: ColumnType.FLOAT64 });
  const tables = new Map([['trades', { schema, partsOf, symbols, partCount }]]);
  const error = await ask('SELECT price FROM trades', {
    ...world,
    snapshot: { ...world.snapshot, tables },
  }).catch((cause: unknown) => cause);
  expect(error).toMatchObject({ code: 'FORMAT_INVALID', message: expect.stringContaining('INT64') });
});
