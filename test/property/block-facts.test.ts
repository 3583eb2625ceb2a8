// What: aggregates over time ranges and buckets, told from remembered blocks and their edges, beside BigInts, while rows come.
// Why: an edge that is off by one, a block that was told too early, or a sum that left the doubles would be a wrong bar in silence.
// Invariant: the answer is that of the rows, whatever was asked before and however the part has grown since.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ColumnType, type TableSchema } from '../../src/columns/types.ts';
import { BlockFacts, FACT_ROWS } from '../../src/query/kernels/block-facts.ts';
import { halvesOf } from '../../src/query/kernels/int64.ts';
import { PartCache } from '../../src/query/part-cache.ts';
import { ask } from '../support/query-oracle.ts';
import { type Row, worldOf } from '../support/query-tables.ts';

const NULL = -(2n ** 63n);
const CHUNK_ROWS = 512;
const START = 1_711_000_800_000_000_000n;
const STEP = 1_000_000n;
const ROWS_MAX = 1_400;

/** Of one kind for some blocks, then perhaps of another. */
const stretchOfValues = fc
  .tuple(
    fc.constantFrom<(random: number) => bigint>(
      (random) => BigInt(random % 1_000),
      (random) => BigInt(random) - 2n ** 31n,
      (random) => 10n ** 11n + BigInt(random % 1_000),
      (random) => BigInt(random) * 2n ** 19n - 2n ** 50n,
      // Sums of some blocks leave the doubles.
      (random) => 2n ** 45n + BigInt(random % 1_000),
      (random) => 2n ** 23n + BigInt(random % 2 ** 20),
      (random) => 2n ** 62n - BigInt(random),
      (random) => (random % 50 === 0 ? NULL : BigInt(random % 7)),
    ),
    fc.integer({ min: 1, max: 9 * FACT_ROWS }),
    fc.nat(2 ** 31),
  )
  .map(([make, rows, seed]) => {
    let random = seed;
    return Array.from({ length: rows }, () => {
      random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
      return make(random);
    });
  });

const column = fc
  .array(stretchOfValues, { minLength: 1, maxLength: 4 })
  .map((stretches) => stretches.flat().slice(0, ROWS_MAX));

/** Each sum of whole blocks fits; with the 63 rows before four of them, their sum is odd and beyond what doubles hold. */
const each = 2n ** 45n - 1n;
const beyond = [
  ...Array<bigint>(2 * FACT_ROWS).fill(-each),
  -63n * each,
  ...Array<bigint>(63 + 4 * FACT_ROWS).fill(each),
];
/** Products of a block add up to an odd number that fits; those of nine blocks and more do not. */
const large = Array.from(
  { length: 16 * FACT_ROWS },
  (_, i) => 2n ** 22n + BigInt(i % FACT_ROWS === 0 ? 1 : i),
);
const pairsOfBlocks = [9, 10, 11, 12, 13, 14].map((block): [number, number, number] => [
  block * FACT_ROWS,
  (block + 2) * FACT_ROWS,
  ROWS_MAX,
]);

const sumOfBig = (values: readonly bigint[]): bigint => values.reduce((sum, value) => sum + value, 0n);

describe('what blocks tell of a range', () => {
  test('is what its rows give, or nothing, in whichever order ranges are asked while the run grows', () => {
    const asked = fc.array(fc.tuple(fc.nat(ROWS_MAX), fc.nat(ROWS_MAX), fc.nat(ROWS_MAX)), {
      minLength: 1,
      maxLength: 12,
    });
    let told = 0;
    fc.assert(
      fc.property(column, column, asked, (one, other, ranges) => {
        const rows = Math.min(one.length, other.length);
        const left = halvesOf(BigInt64Array.from(one));
        const right = halvesOf(BigInt64Array.from(other));
        const facts = new BlockFacts(() => {});
        // Each asks of the rows that there are by then.
        const grown = ranges.map(([, , reach]) => Math.min(reach, rows)).sort((a, b) => a - b);
        for (const [i, [a, b]] of ranges.entries()) {
          const from = Math.min(a, b, grown[i]!);
          const to = Math.min(Math.max(a, b), grown[i]!);
          const [ofOne, ofOther] = [one.slice(from, to), other.slice(from, to)];
          const sum = facts.sumOf(0, left, from, to);
          if (!Number.isNaN(sum)) {
            expect(BigInt(sum)).toBe(sumOfBig(ofOne));
            told++;
          }
          const products = { products: 0, sum: 0 };
          if (facts.productsOf(0, 1, left, right, from, to, products)) {
            expect(BigInt(products.products)).toBe(sumOfBig(ofOne.map((value, at) => value * ofOther[at]!)));
            expect(BigInt(products.sum)).toBe(sumOfBig(ofOther));
            told++;
          }
          const extremes = { min: 0, max: 0 };
          if (from < to && facts.extremesOf(1, right, from, to, extremes)) {
            const sorted = ofOther.toSorted((x, y) => (x < y ? -1 : 1));
            expect([BigInt(extremes.min), BigInt(extremes.max)]).toEqual([sorted[0], sorted.at(-1)]);
            told++;
          }
        }
      }),
      {
        numRuns: 400,
        examples: [
          [beyond, beyond, [[2 * FACT_ROWS + 1, 7 * FACT_ROWS, ROWS_MAX]]],
          [large, large, pairsOfBlocks],
        ],
      },
    );
    expect(told).toBeGreaterThan(1_000);
  });
});

const schema: TableSchema = {
  name: 't',
  columns: [
    { name: 'timestamp', type: ColumnType.TIMESTAMP_NS },
    { name: 'symbol', type: ColumnType.SYMBOL },
    { name: 'price', type: ColumnType.INT64 },
    { name: 'volume', type: ColumnType.INT64 },
  ],
  timestampColumn: 0,
  symbolColumn: 1,
};

describe('a query with a memory of parts', () => {
  test('answers bars and time ranges as BigInts do, while rows come in, some of them late', async () => {
    const small = fc.integer({ min: 0, max: 1_000_000 }).map(BigInt);
    const cases = fc.record({
      gap: fc.constantFrom(500n, 20_000n),
      rows: fc.array(fc.tuple(small, small, fc.nat(400), fc.nat(99)), {
        minLength: 700,
        maxLength: ROWS_MAX,
      }),
      bounds: fc.array(fc.tuple(fc.nat(ROWS_MAX), fc.nat(ROWS_MAX)), { minLength: 2, maxLength: 4 }),
      /** Of 15 seconds and more, buckets are remembered. */
      rowsPerBar: fc.oneof(fc.integer({ min: 100, max: 900 }), fc.constantFrom(15_000, 20_000, 100_000)),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ rows, bounds, rowsPerBar, gap: far }) => {
        // Mostly one step apart, sometimes far.
        let at = 0n;
        const times = rows.map(([, , , gap]) => {
          at += gap === 0 ? far : 1n;
          return START + at * STEP;
        });
        const all = rows.map(([price, volume, late], i): Row => {
          return [times[late === 0 ? Math.max(0, i - 90) : i]!, 'A', price, volume];
        });
        const cache = new PartCache();
        for (const [i, bound] of bounds.entries()) {
          const there = all.slice(0, Math.ceil((all.length * (i + 1)) / bounds.length));
          const world = await worldOf([{ schema, rows: there }], { placement: 'hot', chunkRows: CHUNK_ROWS });
          const [from, to] = bound.toSorted((a, b) => a - b).map((row) => times[row] ?? times.at(-1)!);
          const barNs = BigInt(rowsPerBar) * STEP;
          const sql = `SELECT xbar(timestamp, ${barNs}) AS bar, count(*), sum(volume), min(price), max(price), vwap(price, volume)
            FROM t WHERE timestamp >= ${from} AND timestamp < ${to} GROUP BY bar ORDER BY bar`;
          const answer = await ask(sql, world, { cache });
          expect(answer.rows).toEqual(barsOf(there, from!, to!, barNs));
          // Of whole parts, buckets are remembered: what has grown since is told anew, the rest from memory.
          const whole = sql.replace(/WHERE.*GROUP/, 'GROUP');
          for (let again = 0; again < 2; again++)
            expect((await ask(whole, world, { cache })).rows).toEqual(
              barsOf(there, 0n, times.at(-1)! + 10_000n * STEP, barNs),
            );
        }
      }),
      { numRuns: 25 },
    );
  });
});

function barsOf(rows: readonly Row[], from: bigint, to: bigint, barNs: bigint): unknown[][] {
  const bars = new Map<bigint, [price: bigint, volume: bigint][]>();
  for (const [time, , price, volume] of rows as [bigint, string, bigint, bigint][]) {
    if (time < from || time >= to) continue;
    const bar = time - (time % barNs);
    bars.set(bar, [...(bars.get(bar) ?? []), [price, volume]]);
  }
  return [...bars]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([bar, ticks]) => {
      const prices = ticks.map(([price]) => price).toSorted((a, b) => (a < b ? -1 : 1));
      const volume = sumOfBig(ticks.map((tick) => tick[1]));
      const products = sumOfBig(ticks.map(([price, of]) => price * of));
      const vwap = volume === 0n ? null : Number(products) / Number(volume);
      return [bar, BigInt(ticks.length), volume, prices[0], prices.at(-1), vwap];
    });
}
