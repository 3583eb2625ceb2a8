// What: groups by a bucket of time where the kernel's shortcuts end: nothing is aggregated, or a bucket is longer than doubles are exact.
// Why: what is remembered of parts, and times counted from a bucket's start, hold for most groupings and not for these.
// Invariant: the kernel gives the groups that the general way gives.

import { expect, test } from 'vitest';
import { ColumnType, type TableSchema } from '../../src/columns/types.ts';
import { PartCache } from '../../src/query/part-cache.ts';
import { emptyStats } from '../../src/query/result.ts';
import { Run } from '../../src/query/run.ts';
import { openView } from '../../src/query/view/view.ts';
import { ask, optionsFor } from '../support/query-oracle.ts';
import { type Row, worldOf } from '../support/query-tables.ts';

const MINUTE = 60_000_000_000n;
const DAY = 1_440n * MINUTE;
/** 2024-03-21 06:00 UTC. */
const START = 1_711_000_800_000_000_000n;
const schema: TableSchema = {
  name: 't',
  columns: [
    { name: 'symbol', type: ColumnType.SYMBOL },
    { name: 'timestamp', type: ColumnType.TIMESTAMP_NS },
    { name: 'seq', type: ColumnType.INT64 },
  ],
  symbolColumn: 0,
  timestampColumn: 1,
};

test.each(['hot', 'warm', 'cold', 'mixed'] as const)(
  'buckets of which nothing is aggregated are those that DISTINCT gives: %s',
  async (placement) => {
    const rows = Array.from({ length: 100 }, (_, i): Row => ['AB'[i % 2]!, START + BigInt(i) * MINUTE, 1n]);
    const world = await worldOf([{ schema, rows }], { placement, chunkRows: 8 });
    const cache = new PartCache();
    for (const keys of [['xbar(timestamp, 5m)'], ['symbol', "date_trunc('minute', timestamp)"]])
      for (const where of ['', `WHERE timestamp >= ${START + 10n * MINUTE}`]) {
        const [list, by] = [keys.join(', '), keys.map((_, i) => i + 1).join(', ')];
        const { rows } = await ask(`SELECT DISTINCT ${list} FROM t ${where} ORDER BY ${by}`, world);
        const grouped = `SELECT ${list} FROM t ${where} GROUP BY ${by} ORDER BY ${by}`;
        expect(rows.length).toBeGreaterThan(10);
        expect((await ask(grouped, world, { cache })).rows).toEqual(rows);
        expect((await ask(grouped, world, { cache })).rows, 'from what is remembered').toEqual(rows);
      }
  },
);

test('the last nanosecond of a bucket of 200 days is in it, in a query and in a view', async () => {
  const end = 99n * 200n * DAY;
  const world = await worldOf([{ schema, rows: [['A', end - 1n, 7n]] }], { placement: 'hot' });
  const expected = [[end - 200n * DAY, 7n]];
  const sql = 'SELECT xbar(timestamp, 200d) AS b, sum(seq) AS s FROM t GROUP BY b';
  expect((await ask(sql.replace('sum(seq)', 'sum(seq + 0)'), world)).rows).toEqual(expected);
  expect((await ask(sql, world)).rows).toEqual(expected);
  // A bound within the hour: its rows are taken by stretches.
  const bounded = sql.replace('FROM t', `FROM t WHERE timestamp >= ${end - 5n}`);
  expect((await ask(bounded, world)).rows).toEqual(expected);
  const run = new Run({ ...world.snapshot, tables: new Map() }, optionsFor(world), emptyStats());
  const view = openView({ name: 'v', source: 't', sql }, world.snapshot.tables, new Map(), run, 2 ** 26);
  expect((await ask('SELECT * FROM v', world, { views: new Map([['v', view]]) })).rows).toEqual(expected);
});
