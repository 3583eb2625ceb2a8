// What: rows that ranges of stored values choose, counted and listed, beside a plain filter.
// Why: where values of a chunk are near to each other only their low halves are looked at, and those wrap around.
// Invariant: the expected rows are chosen by BigInts.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ColumnType, type TableSchema } from '../../src/columns/types.ts';
import { PartCache } from '../../src/query/part-cache.ts';
import { ask } from '../support/query-oracle.ts';
import { type Row, worldOf } from '../support/query-tables.ts';

const schema: TableSchema = {
  name: 't',
  columns: [
    { name: 'symbol', type: ColumnType.SYMBOL },
    { name: 'timestamp', type: ColumnType.TIMESTAMP_NS },
    { name: 'x', type: ColumnType.INT64 },
    { name: 'y', type: ColumnType.INT64 },
  ],
  symbolColumn: 0,
  timestampColumn: 1,
};
const START = 1_711_000_800_000_000_000n;

/** Of values: few enough that many are equal to a bound. */
const WIDTH = 12;

/** What values of a column are near to: where halves wrap around, or have a sign. */
const bases = fc.constantFrom(
  0n,
  1_500_000n,
  -5n,
  2n ** 31n - 6n,
  2n ** 32n - 6n,
  -(2n ** 31n),
  2n ** 51n,
  2n ** 62n,
);
const columns = fc.record({
  x: bases,
  y: bases,
  steps: fc.array(fc.tuple(fc.nat(WIDTH), fc.nat(WIDTH)), { minLength: 1, maxLength: 60 }),
  /** One value is far from the others now and then. */
  far: fc.option(fc.tuple(fc.nat(59), fc.constantFrom(2n ** 31n, 2n ** 33n, -(2n ** 32n))), {
    nil: null,
    freq: 3,
  }),
});
const conditions = fc.array(
  fc.record({
    column: fc.constantFrom('x' as const, 'y' as const),
    operator: fc.constantFrom('<', '<=', '>', '>=', '='),
    step: fc.integer({ min: -2, max: WIDTH + 2 }),
  }),
  { minLength: 1, maxLength: 6 },
);

const passes: Readonly<Record<string, (value: bigint, limit: bigint) => boolean>> = {
  '<': (value, limit) => value < limit,
  '<=': (value, limit) => value <= limit,
  '>': (value, limit) => value > limit,
  '>=': (value, limit) => value >= limit,
  '=': (value, limit) => value === limit,
};

test('are those of a plain filter, however many bounds there are', async () => {
  await fc.assert(
    fc.asyncProperty(columns, conditions, fc.constantFrom(1, 7, 100), async (made, asked, chunkRows) => {
      const values = made.steps.map(([x, y]): [bigint, bigint] => [made.x + BigInt(x), made.y + BigInt(y)]);
      if (made.far !== null && made.far[0] < values.length) values[made.far[0]]![0] += made.far[1];
      const rows = values.map(([x, y], i): Row => ['A', START + BigInt(i), x, y]);
      const world = await worldOf([{ schema, rows }], { placement: 'hot', chunkRows });
      const limits = asked.map(({ column, operator, step }) => ({
        column,
        operator,
        limit: made[column] + BigInt(step),
      }));
      const where = limits
        .map(({ column, operator, limit }) => `${column} ${operator} ${limit}`)
        .join(' AND ');
      const expected = values.filter(([x, y]) =>
        limits.every(({ column, operator, limit }) => passes[operator]!(column === 'x' ? x : y, limit)),
      );
      const cache = new PartCache();
      expect((await ask(`SELECT x, y FROM t WHERE ${where}`, world, { cache })).rows).toEqual(expected);
      expect((await ask(`SELECT count(*) FROM t WHERE ${where}`, world, { cache })).rows).toEqual([
        [BigInt(expected.length)],
      ]);
    }),
    { numRuns: 400 },
  );
});
