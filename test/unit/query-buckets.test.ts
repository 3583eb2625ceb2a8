// What: groups by a bucket of time where the kernel's shortcuts end: nothing is aggregated.
// Why: what is remembered of parts, and times counted from a bucket's start, hold for most groupings and not for these.
// Invariant: the kernel gives the groups that the general way gives.

import { expect, test } from 'vitest';
import { ColumnType, type TableSchema } from '../../src/columns/types.ts';
import { PartCache } from '../../src/query/part-cache.ts';
import { ask } from '../support/query-oracle.ts';
import { type Row, worldOf } from '../support/query-tables.ts';

const MINUTE = 60_000_000_000n;
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
