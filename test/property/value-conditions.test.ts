// What: comparisons of stored columns with literals, beside BigInts, over every kind of chunk that kernels tell apart.
// Why: chunks are skipped, taken whole, compared by their low halves or by both: an edge that is off by one loses rows in silence.
// Invariant: the rows that come out are those whose value compares so exactly, whether counted, added up or read.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ColumnType, type TableSchema } from '../../src/columns/types.ts';
import { PartCache } from '../../src/query/part-cache.ts';
import { ask } from '../support/query-oracle.ts';
import { type Row, worldOf } from '../support/query-tables.ts';

const START = 1_711_000_800_000_000_000n;
const INT64_MAX = 2n ** 63n - 1n;
const CHUNK_ROWS = 8;

const schema: TableSchema = {
  name: 't',
  columns: [
    { name: 'timestamp', type: ColumnType.TIMESTAMP_NS },
    { name: 'symbol', type: ColumnType.SYMBOL },
    { name: 'seq', type: ColumnType.INT64 },
    { name: 'whole', type: ColumnType.INT64 },
    { name: 'price', type: ColumnType.INT64, scale: 2 },
    { name: 'small', type: ColumnType.INT32 },
    { name: 'ratio', type: ColumnType.FLOAT64 },
  ],
  timestampColumn: 0,
  symbolColumn: 1,
};

const operators = ['=', '<', '<=', '>', '>='] as const;
type Operator = (typeof operators)[number];

function holds<T extends number | bigint>(left: T, operator: Operator, right: T): boolean {
  switch (operator) {
    case '=':
      return left === right;
    case '<':
      return left < right;
    case '<=':
      return left <= right;
    case '>':
      return left > right;
    case '>=':
      return left >= right;
  }
}

/** Values of a chunk: near to each other, far apart within doubles, or beyond; with or without NULLs. */
const chunkOf = (limit: bigint): fc.Arbitrary<readonly (bigint | null)[]> => {
  const within = (value: bigint): bigint => (value > limit ? limit : value < -limit ? -limit : value);
  const around = (center: bigint, spread: bigint): fc.Arbitrary<bigint> =>
    fc.bigInt(-spread, spread).map((offset) => within(center + offset));
  const values = fc.oneof(
    fc.bigInt(-limit, limit).chain((center) => fc.array(around(center, 3n), sized)),
    fc.bigInt(-(2n ** 20n), 2n ** 20n).chain((center) => fc.array(around(center, 2n), sized)),
    fc.array(around(0n, 2n ** 33n), sized),
    fc.array(fc.constantFrom(limit, -limit, limit - 1n, 1n - limit, 0n, -1n), sized),
  );
  return fc.tuple(values, fc.array(fc.nat(CHUNK_ROWS - 1), { maxLength: 2 })).map(([chunk, nulls]) => {
    return chunk.map((value, i) => (nulls.includes(i) ? null : value));
  });
};
const sized = { minLength: CHUNK_ROWS, maxLength: CHUNK_ROWS };
const columnOf = (limit: bigint): fc.Arbitrary<readonly (bigint | null)[]> =>
  fc.array(chunkOf(limit), { minLength: 1, maxLength: 3 }).map((chunks) => chunks.flat());

/** A bound near one of the values, or far from all. */
const boundsOf = (values: readonly (bigint | null)[], limit: bigint): fc.Arbitrary<bigint> => {
  const known = values.map((value) => value ?? 0n);
  return fc
    .tuple(fc.constantFrom(...known, 0n, limit, -limit), fc.bigInt(-2n, 2n))
    .map(([value, offset]) => value + offset)
    .filter((value) => value <= INT64_MAX && value >= -INT64_MAX);
};

interface Condition {
  readonly sql: string;
  readonly passes: (row: Row) => boolean;
}

/** Asks for the rows in three ways, twice each with the same memory of parts. */
async function expectRows(rows: readonly Row[], conditions: readonly Condition[]): Promise<void> {
  const world = await worldOf([{ schema, rows }], { placement: 'hot', chunkRows: CHUNK_ROWS });
  const where = conditions.map(({ sql }) => sql).join(' AND ');
  const wanted = rows.filter((row) => conditions.every(({ passes }) => passes(row)));
  const seqs = wanted.map((row) => row[2] as bigint);
  const cache = new PartCache();
  for (let time = 0; time < 2; time++) {
    const answer = async (select: string): Promise<unknown> =>
      (await ask(`SELECT ${select} FROM t WHERE ${where}`, world, { cache })).rows;
    expect(await answer('count(*)'), where).toEqual([[BigInt(seqs.length)]]);
    const sum = seqs.reduce((total, seq) => total + seq, 0n);
    expect(await answer('sum(seq)'), where).toEqual([[seqs.length === 0 ? null : sum]]);
    expect(await answer('seq'), where).toEqual(seqs.map((seq) => [seq]));
  }
}

const rowsOf = (column: number, values: readonly (bigint | number | null)[]): Row[] =>
  values.map((value, i) => {
    const row: (bigint | number | string | null)[] = [START + BigInt(i), 'A', BigInt(i), 0n, 0n, 0n, 0];
    row[column] = value;
    return row;
  });

const decimalText = (unscaled: bigint, scale: number): string => {
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0');
  return `${unscaled < 0n ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
};

describe('a stored column beside a literal', () => {
  test('INT64', async () => {
    const cases = columnOf(INT64_MAX).chain((values) =>
      fc.tuple(
        fc.constant(values),
        fc.array(fc.tuple(fc.constantFrom(...operators), boundsOf(values, INT64_MAX)), {
          minLength: 1,
          maxLength: 2,
        }),
      ),
    );
    await fc.assert(
      fc.asyncProperty(cases, async ([values, bounds]) => {
        const conditions = bounds.map(([operator, bound]): Condition => {
          const passes = (row: Row): boolean => row[3] !== null && holds(row[3] as bigint, operator, bound);
          return { sql: `whole ${operator} ${bound}`, passes };
        });
        await expectRows(rowsOf(3, values), conditions);
      }),
      { numRuns: 150, examples: [[[[INT64_MAX, null, 0n, -INT64_MAX], [['>', INT64_MAX]]]]] },
    );
  });

  test('DECIMAL beside more, as many and fewer decimals', async () => {
    const limit = 10n ** 15n;
    const cases = columnOf(limit).chain((values) =>
      fc.tuple(
        fc.constant(values),
        fc.constantFrom(...operators),
        boundsOf(values, limit),
        fc.constantFrom(1, 2, 3),
        fc.nat(9),
      ),
    );
    await fc.assert(
      fc.asyncProperty(cases, async ([values, operator, bound, scale, digit]) => {
        // At three decimals, where all of them are whole.
        const thousandths = scale === 3 ? bound * 10n + BigInt(digit) : bound * 10n;
        const literal = scale === 1 ? thousandths / 100n : scale === 2 ? bound : thousandths;
        const compared = scale === 1 ? literal * 100n : thousandths;
        const passes = (row: Row): boolean =>
          row[4] !== null && holds((row[4] as bigint) * 10n, operator, compared);
        const sql = `price ${operator} ${decimalText(literal, scale)}`;
        await expectRows(rowsOf(4, values), [{ sql, passes }]);
      }),
      { numRuns: 150 },
    );
  });

  test('INT32, beside what it cannot hold too', async () => {
    const limit = 2n ** 31n - 1n;
    const cases = columnOf(limit).chain((values) =>
      fc.tuple(
        fc.constant(values),
        fc.constantFrom(...operators),
        fc.oneof(boundsOf(values, limit), fc.bigInt(-(2n ** 40n), 2n ** 40n)),
      ),
    );
    await fc.assert(
      fc.asyncProperty(cases, async ([values, operator, bound]) => {
        const passes = (row: Row): boolean => row[5] !== null && holds(row[5] as bigint, operator, bound);
        await expectRows(rowsOf(5, values), [{ sql: `small ${operator} ${bound}`, passes }]);
      }),
      { numRuns: 60 },
    );
  });

  test('FLOAT64, at 0 and at the ends of the doubles', async () => {
    const value = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.constantFrom(0, -0, 1, Number.MIN_VALUE, -Number.MIN_VALUE, Number.MAX_VALUE, -Number.MAX_VALUE),
    );
    const cases = fc
      .array(fc.option(value), sized)
      .chain((values) =>
        fc.tuple(
          fc.constant(values),
          fc.constantFrom(...operators),
          fc.constantFrom(...values.map((known) => known ?? 0), 0, 1),
        ),
      );
    await fc.assert(
      fc.asyncProperty(cases, async ([values, operator, bound]) => {
        const passes = (row: Row): boolean => row[6] !== null && holds(row[6] as number, operator, bound);
        const literal = bound.toExponential();
        await expectRows(rowsOf(6, values), [{ sql: `ratio ${operator} ${literal}`, passes }]);
      }),
      { numRuns: 100 },
    );
  });
});

describe('conditions on values', () => {
  const rows = rowsOf(
    3,
    Array.from({ length: 40 }, (_, i) => BigInt(i)),
  );
  const asked = async (sql: string): Promise<unknown> =>
    (await ask(sql, await worldOf([{ schema, rows }], { placement: 'hot', chunkRows: CHUNK_ROWS }))).rows;

  test('stand in the plan of the scan, and leave the kernel its work', async () => {
    const plan = String(
      await asked('EXPLAIN SELECT symbol, count(*) FROM t WHERE whole > 5 GROUP BY symbol'),
    );
    expect(plan).toContain('value: whole > 5');
    expect(plan).toContain('Kernel');
  });

  test('make no group of rows that none of them passes', async () => {
    expect(await asked('SELECT symbol, count(*) FROM t WHERE whole > 99 GROUP BY symbol')).toEqual([]);
    expect(await asked('SELECT count(*), max(whole) FROM t WHERE whole > 99')).toEqual([[0n, null]]);
    const bars = 'SELECT xbar(timestamp, 1ms) AS bar, first(whole), last(whole), count(*) FROM t';
    expect(await asked(`${bars} WHERE whole BETWEEN 7 AND 20 GROUP BY bar`)).toEqual([[START, 7n, 20n, 14n]]);
  });

  test('come before LATEST ON', async () => {
    const latest = 'SELECT whole FROM t WHERE whole < 17 LATEST ON timestamp PARTITION BY symbol';
    expect(await asked(latest)).toEqual([[16n]]);
  });

  test('are never true beside NULL', async () => {
    expect(await asked('SELECT count(*) FROM t WHERE whole > NULL')).toEqual([[0n]]);
  });
});
