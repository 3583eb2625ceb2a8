// What: what scans in time order, and what is remembered of parts, must not change or cost.
// Why: each of these was once wrong where random queries had not looked.
// Invariant: ties go by storage order wherever time is not asked for; a file is read once; what is remembered holds no query.

import v8 from 'node:v8';
import vm from 'node:vm';
import { describe, expect, it, test } from 'vitest';
import { type ColumnSchema, ColumnType, type TableSchema } from '../../src/columns/types.ts';
import { Count } from '../../src/query/aggregate/sums.ts';
import { execute } from '../../src/query/execute.ts';
import { mayKeepBuckets, PartCache } from '../../src/query/part-cache.ts';
import { rowsOf } from '../../src/query/result.ts';
import type { AnyPart } from '../../src/query/snapshot.ts';
import { partsIn, tableOf } from '../../src/query/table-parts.ts';
import { parseStatement } from '../../src/sql/parser.ts';
import { ask, optionsFor } from '../support/query-oracle.ts';
import { newGround, type Placement, type Row, type World, worldOf } from '../support/query-tables.ts';

const T = 1_711_000_800_000_000_000n;
const S = 1_000_000_000n;

const column = (name: string, type: ColumnType): ColumnSchema => ({ name, type });
const tableWith = (...more: readonly ColumnSchema[]): TableSchema => ({
  name: 't',
  columns: [column('symbol', ColumnType.SYMBOL), column('timestamp', ColumnType.TIMESTAMP_NS), ...more],
  symbolColumn: 0,
  timestampColumn: 1,
});

describe('ties', () => {
  const schema = tableWith(column('sent', ColumnType.TIMESTAMP_NS), column('seq', ColumnType.INT64));
  const rows: Row[] = [
    ['A', T + 2n * S, T, 0n],
    ['A', T + 3n * S, T, 1n],
    ['A', T + S, T, 2n],
    ...Array.from({ length: 20 }, (_, i): Row => {
      const time = T + BigInt(10 + i) * S;
      return ['A', time, time, BigInt(3 + i)];
    }),
  ];
  const byTime = 'row_number() OVER (PARTITION BY symbol ORDER BY timestamp)';
  const bySent = 'row_number() OVER (PARTITION BY symbol ORDER BY sent)';
  const asof = 'FROM t a ASOF JOIN t b ON a.symbol = b.symbol AND a.timestamp >= b.sent WHERE a.seq < 3';

  test.each([
    ['of another time in an ASOF join', `SELECT a.seq, b.seq ${asof}`, [2n, 2n, 2n]],
    ['with the event time read', `SELECT a.seq, b.seq, b.timestamp ${asof}`, [2n, 2n, 2n]],
    ['of LATEST ON', 'SELECT 0, seq FROM t WHERE seq < 3 LATEST ON sent PARTITION BY symbol', [2n]],
    [
      'of LATEST ON under a window',
      `SELECT ${byTime}, seq FROM t WHERE seq < 3 LATEST ON sent PARTITION BY symbol`,
      [2n],
    ],
    [
      'of a window beside one by time',
      `SELECT seq, ${bySent}, ${byTime} FROM t WHERE seq < 3 ORDER BY seq`,
      [1n, 2n, 3n],
    ],
  ])('%s go by storage order', async (_, sql, expected) => {
    const world = await worldOf([{ schema, rows }], { placement: 'hot', chunkRows: 100 });
    expect((await ask(sql, world)).rows.map((row) => row[1])).toEqual(expected);
  });
});

it('an ASOF join without keys passes over times that are NULL, on both sides', async () => {
  const schema = tableWith(column('sent', ColumnType.TIMESTAMP_NS), column('seq', ColumnType.INT64));
  const sent = [null, T + 5n * S, null, T + 7n * S, T + 6n * S, null];
  const rows = sent.map((time, i): Row => ['AB'[i % 2]!, T + BigInt(i) * S, time, BigInt(i)]);
  const world = await worldOf([{ schema, rows }], { placement: 'hot', chunkRows: 2 });
  const on = async (left: string): Promise<unknown> =>
    (await ask(`SELECT a.seq, b.seq FROM t a ASOF LEFT JOIN t b ON ${left} >= b.sent ORDER BY a.seq`, world))
      .rows;
  expect(await on('a.timestamp + 2s')).toEqual([
    [0n, null],
    [1n, null],
    [2n, null],
    [3n, 1n],
    [4n, 4n],
    [5n, 3n],
  ]);
  expect(await on('a.sent')).toEqual([
    [0n, null],
    [1n, 1n],
    [2n, null],
    [3n, 3n],
    [4n, 4n],
    [5n, null],
  ]);
});

const schema = tableWith(column('x', ColumnType.INT64), column('y', ColumnType.INT64));
const ticks = (count: number, from = 0): Row[] =>
  Array.from({ length: count }, (_, i): Row => ['A', T + BigInt(from + i) * S, BigInt(from + i), 1n]);

it.each(['warm', 'cold'] as const)(
  'a %s hour of several partitions is read once, and cut at the bounds',
  async (placement) => {
    const world = await worldOf([{ schema, rows: ticks(1_000) }], { placement, partitions: 2 });
    let fetched = 0;
    const cold = async (key: string): Promise<Uint8Array> => {
      fetched++;
      return world.objects.get(key)!;
    };
    const [from, to] = [T + 100n * S, T + 900n * S];
    const sql = `SELECT x, lag(x) OVER (PARTITION BY symbol ORDER BY timestamp) FROM t WHERE timestamp >= ${from} AND timestamp < ${to}`;
    const { rows } = await ask(sql, world, { cold });
    expect(rows).toEqual(
      Array.from({ length: 800 }, (_, i) => [BigInt(100 + i), i === 0 ? null : BigInt(99 + i)]),
    );
    expect(fetched).toBe(placement === 'cold' ? 2 : 0);
  },
);

describe('parts of several versions of a table in one hour', () => {
  const old = tableWith(column('y', ColumnType.INT64));
  it.each<readonly [Placement, Placement]>([
    ['warm', 'warm'],
    ['cold', 'warm'],
    ['hot', 'warm'],
    ['warm', 'cold'],
    ['hot', 'cold'],
  ])('%s with a column and %s without it', async (now, before) => {
    const ground = newGround();
    const options = { ground, chunkRows: 10 };
    const late: Row[] = [
      ['A', T + 40n * S, 6n],
      ['A', T + 50n * S, 7n],
    ];
    const recent = await worldOf([{ schema, rows: ticks(3) }], { ...options, placement: now });
    const earlier = await worldOf([{ schema: old, rows: late }], { ...options, placement: before });
    const partsOf = ({ snapshot }: World): AnyPart[] => partsIn(snapshot.tables.get('t')!);
    const parts = [
      ...partsOf(recent),
      ...partsOf(earlier).map((part): AnyPart => ({ ...part, id: `old ${part.id}`, partition: 1 })),
    ];
    const world: World = {
      ...recent,
      snapshot: { ...recent.snapshot, tables: new Map([['t', tableOf(schema, parts)]]) },
    };
    const sql = 'SELECT x, sum(y) OVER (PARTITION BY symbol ORDER BY timestamp) FROM t';
    expect((await ask(sql, world)).rows).toEqual([
      [0n, 1n],
      [1n, 2n],
      [2n, 3n],
      [null, 9n],
      [null, 16n],
    ]);
  });
});

describe('what is remembered', () => {
  it('of buckets keeps no snapshot', async () => {
    v8.setFlagsFromString('--expose-gc');
    const collect = vm.runInNewContext('gc') as () => void;
    const world = await worldOf([{ schema, rows: ticks(100) }], { placement: 'hot' });
    const cache = new PartCache();
    const sql =
      'SELECT xbar(timestamp, 1m) AS bar, first(x), max(x), min(y), last(y), sum(y) FROM t GROUP BY bar';
    const snapshots: WeakRef<object>[] = [];
    for (let i = 0; i < 3; i++) {
      const snapshot = { ...world.snapshot };
      snapshots.push(new WeakRef(snapshot));
      const options = optionsFor({ ...world, snapshot }, { cache });
      expect(await rowsOf(await execute(parseStatement(sql).statement, snapshot, options))).toHaveLength(2);
    }
    for (let i = 0; i < 3; i++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      collect();
    }
    // The last one may still stand on a stack.
    expect(snapshots.slice(0, 2).map((snapshot) => snapshot.deref())).toEqual([undefined, undefined]);
  });

  it('of buckets is forgotten by itself when it is too much, and not begun where it would be', async () => {
    const world = await worldOf([{ schema, rows: ticks(10) }], { placement: 'hot' });
    const [part] = partsIn(world.snapshot.tables.get('t')!);
    const cache = new PartCache();
    const whole = { runs: 1, rows: 10, state: new Count() };
    cache.of(part!).whole.set('count', whole);
    const numbers = Array.from({ length: 200 }, (_, i) => i);
    const isKept = (i: number): boolean => cache.of(part!).bucketsOf(`bars ${i}`) !== undefined;
    let kept = 0;
    do cache.of(part!).keepBuckets(`bars ${kept++}`, { ...whole, numbers });
    while (isKept(0));
    expect(kept).toBeGreaterThan(5_000);
    expect(isKept(kept - 1)).toBe(false);
    expect(cache.of(part!).whole.get('count')).toBe(whole);
    expect([mayKeepBuckets(kept / 4, 200), mayKeepBuckets(kept, 200)]).toEqual([true, false]);
  });
});
