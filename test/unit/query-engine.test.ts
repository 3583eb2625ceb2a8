// What: what no other database can be asked: limits, cancelling, streaming, plans, remembered parts, and the dialect's own joins and fills.
// Why: an answer that is right but unbounded, or right but stale, breaks the promises as much as a wrong one.
// Invariant: each test states its rows; expected values were worked out by hand.

import { describe, expect, test } from 'vitest';
import { ColumnType, type TableSchema } from '../../src/columns/types.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import { execute } from '../../src/query/execute.ts';
import { PartCache } from '../../src/query/part-cache.ts';
import { type Cell, rowsOf } from '../../src/query/result.ts';
import type { ColdPart, HotPart, Snapshot, WarmPart } from '../../src/query/snapshot.ts';
import { partsIn, tableOf } from '../../src/query/table-parts.ts';
import { parseStatement } from '../../src/sql/parser.ts';
import { ask, optionsFor } from '../support/query-oracle.ts';
import { type Row, type TestTable, type World, worldOf } from '../support/query-tables.ts';

const MINUTE = 60_000_000_000n;
/** 2024-03-21 06:00 UTC. */
const START = 1_711_000_800_000_000_000n;
const at = (minutes: number): bigint => START + BigInt(minutes) * MINUTE;

const schema = (name: string, columns: TableSchema['columns']): TableSchema => ({
  name,
  columns: [
    { name: 'timestamp', type: ColumnType.TIMESTAMP_NS },
    { name: 'symbol', type: ColumnType.SYMBOL },
    ...columns,
  ],
  timestampColumn: 0,
  symbolColumn: 1,
});
const trades = schema('trades', [
  { name: 'price', type: ColumnType.INT64, scale: 2 },
  { name: 'volume', type: ColumnType.INT64 },
]);

const table = (of: TableSchema, rows: readonly Row[]): TestTable => ({ schema: of, rows });
const some: readonly Row[] = [
  [at(0), 'A', 100n, 1n],
  [at(1), 'A', 200n, 3n],
  [at(4), 'A', 500n, 2n],
  [at(1), 'B', 900n, 5n],
  [at(3), 'B', 700n, 5n],
];
const world = (rows: readonly Row[] = some, ...more: TestTable[]): Promise<World> =>
  worldOf([table(trades, rows), ...more], { placement: 'hot', chunkRows: 2 });
const rowsFor = async (sql: string, of?: World): Promise<readonly (readonly Cell[])[]> =>
  (await ask(sql, of ?? (await world()))).rows;
const many = (count: number): Row[] =>
  Array.from({ length: count }, (_, i): Row => [START + BigInt(i) * 1_000_000n, 'A', BigInt(i), 1n]);

const codeOf = async (promise: Promise<unknown>): Promise<string> => {
  try {
    await promise;
  } catch (error) {
    if (error instanceof ZeptoError) return error.code;
    throw error;
  }
  return 'none';
};

describe('the dialect alone', () => {
  test('ema begins with the first value, takes a period or alpha, and passes over NULLs', async () => {
    const rows: Row[] = [
      [at(0), 'A', 100n, 1n],
      [at(1), 'A', null, 1n],
      [at(2), 'A', 400n, 1n],
    ];
    const sql =
      'SELECT ema(price, 3) OVER (ORDER BY timestamp), ema(price, 0.25) OVER (ORDER BY timestamp) FROM trades';
    expect(await rowsFor(sql, await world(rows))).toEqual([
      [1, 1],
      [1, 1],
      [2.5, 1.75],
    ]);
  });

  test('FILL makes the empty buckets between the first and last of each series, and none outside', async () => {
    const sql =
      'SELECT timestamp, symbol, sum(volume), avg(volume) FROM trades SAMPLE BY 1m FILL(prev, null)';
    expect(await rowsFor(sql)).toEqual([
      [at(0), 'A', 1n, 1],
      [at(1), 'A', 3n, 3],
      [at(1), 'B', 5n, 5],
      [at(2), 'A', 3n, null],
      [at(2), 'B', 5n, null],
      [at(3), 'A', 3n, null],
      [at(3), 'B', 5n, 5],
      [at(4), 'A', 2n, 2],
    ]);
  });

  test('FILL(linear) rounds to whole units, FILL(number) stands for itself at the scale of its column', async () => {
    const sql =
      "SELECT timestamp, last(volume), last(price), count(*) FROM trades WHERE symbol = 'A' SAMPLE BY 1m FILL(linear, 1.5, 0)";
    expect(await rowsFor(sql)).toEqual([
      [at(0), 1n, 100n, 1n],
      [at(1), 3n, 200n, 1n],
      [at(2), 3n, 150n, 0n],
      [at(3), 2n, 150n, 0n],
      [at(4), 2n, 500n, 1n],
    ]);
  });

  test('UNION JOIN puts rows under one another, with NULLs where a side has no such column', async () => {
    const notes = schema('notes', [{ name: 'note', type: ColumnType.STRING }]);
    const of = await world(some.slice(0, 1), table(notes, [[at(9), 'B', 'halt']]));
    expect(await rowsFor('SELECT * FROM trades UNION JOIN notes ORDER BY timestamp', of)).toEqual([
      [at(0), 'A', 100n, 1n, null],
      [at(9), 'B', null, null, 'halt'],
    ]);
  });

  test('PLUS JOIN adds the numbers of the first row of equal keys; a missing one adds nothing', async () => {
    const extra = schema('extra', [
      { name: 'volume', type: ColumnType.INT64 },
      { name: 'fee', type: ColumnType.INT64 },
    ]);
    const of = await world(
      some.slice(2, 4),
      table(extra, [
        [at(0), 'B', 10n, 7n],
        [at(1), 'B', 99n, 8n],
      ]),
    );
    const sql =
      'SELECT symbol, volume, fee FROM trades t PLUS JOIN extra e ON t.symbol = e.symbol ORDER BY symbol';
    expect(await rowsFor(sql, of)).toEqual([
      ['A', 2n, null],
      ['B', 15n, 7n],
    ]);
  });

  test('a symbol compares with its id, and a cast gives it', async () => {
    const sql = 'SELECT DISTINCT symbol, symbol_id(symbol), symbol::INT64 FROM trades WHERE symbol = 1';
    expect(await rowsFor(sql)).toEqual([['B', 1n, 1n]]);
  });

  test('SAMPLE takes the same rows whatever tier they are in', async () => {
    const sql = 'SELECT volume FROM trades SAMPLE 0.3 ORDER BY timestamp';
    const rows = many(500).map((row, i): Row => [row[0]!, 'A', 1n, BigInt(i)]);
    const of = (placement: 'hot' | 'warm'): Promise<World> => worldOf([table(trades, rows)], { placement });
    const hot = await rowsFor(sql, await of('hot'));
    expect(hot).toEqual(await rowsFor(sql, await of('warm')));
    expect(hot.length).toBeGreaterThan(100);
    expect(hot.length).toBeLessThan(200);
  });
});

describe('exactness', () => {
  const big = 9_007_199_254_740_993n;

  test('sums and means beyond 2^53 are exact, and a sum beyond INT64 is an error', async () => {
    const rows: Row[] = Array.from({ length: 900 }, (_, i): Row => [at(i % 60), 'A', 1n, big + BigInt(i)]);
    const of = await world(rows);
    const total = 900n * big + (900n * 899n) / 2n;
    expect(await rowsFor('SELECT sum(volume), min(volume), max(volume) FROM trades', of)).toEqual([
      [total, big, big + 899n],
    ]);
    expect(await codeOf(rowsFor('SELECT sum(volume * 1000) FROM trades', of))).toBe('SQL_TYPE');
    expect(await codeOf(rowsFor('SELECT volume * 1100 FROM trades', of))).toBe('SQL_TYPE');
  });

  test('vwap multiplies exactly where price × volume leaves the doubles', async () => {
    const rows: Row[] = [
      [at(0), 'A', big, big],
      [at(1), 'A', -big, big - 2n],
    ];
    // (p·v − p·(v − 2)) / (2v − 2) = p / (v − 1) = p / (p − 1), then the price's two decimals.
    const [row] = await rowsFor('SELECT vwap(price, volume) FROM trades', await world(rows));
    expect(row![0]).toBe(0.01);
  });

  test('nanoseconds survive the way through the engine', async () => {
    const rows: Row[] = [[START + 123_456_789n, 'A', 1n, 1n]];
    expect(await rowsFor('SELECT timestamp, max(timestamp) OVER () FROM trades', await world(rows))).toEqual([
      [START + 123_456_789n, START + 123_456_789n],
    ]);
  });
});

describe('bounds', () => {
  test('a result beyond rowsMax is refused by name', async () => {
    const of = await world();
    const limits = { rowsMax: 4, bytesMax: 2 ** 30, timeoutMs: 60_000 };
    await expect(ask('SELECT * FROM trades', of, { limits })).rejects.toThrow(/limit rowsMax/);
    expect((await ask('SELECT * FROM trades LIMIT 4', of, { limits })).rows).toHaveLength(4);
  });

  test.each([
    'SELECT * FROM trades ORDER BY price',
    'SELECT price, count(*) FROM trades GROUP BY price',
    'SELECT DISTINCT timestamp FROM trades',
    'SELECT a.price FROM trades a JOIN trades b ON a.price = b.price',
    'SELECT sum(price) OVER (ORDER BY timestamp ROWS 3 PRECEDING) FROM trades',
    'SELECT median(price) FROM trades',
    "SELECT count(DISTINCT concat('a text that is made for each row ', price)) FROM trades",
  ])('%s stops at bytesMax', async (sql) => {
    const of = await world(many(20_000));
    const limits = { rowsMax: 1e9, bytesMax: 100_000, timeoutMs: 60_000 };
    await expect(ask(sql, of, { limits })).rejects.toThrow(/limit bytesMax/);
  });

  test('ORDER BY with LIMIT keeps only what it may answer', async () => {
    const of = await worldOf([table(trades, many(200_000))], { placement: 'hot', chunkRows: 8192 });
    const limits = { rowsMax: 1e9, bytesMax: 4_000_000, timeoutMs: 60_000 };
    const { rows } = await ask('SELECT price FROM trades ORDER BY price DESC LIMIT 3', of, { limits });
    expect(rows).toEqual([[199_999n], [199_998n], [199_997n]]);
  });

  test('a query that takes too long is stopped', async () => {
    let now = 0;
    const limits = { rowsMax: 1e9, bytesMax: 2 ** 30, timeoutMs: 50 };
    const monotonicMs = (): number => (now += 20);
    await expect(
      ask('SELECT price FROM trades', await world(many(30_000)), { limits, monotonicMs }),
    ).rejects.toThrow(/limit timeoutMs/);
  });

  test('a set flag stops the query at the next block', async () => {
    const cancel = new Int32Array(new SharedArrayBuffer(4));
    const of = await worldOf([table(trades, many(30_000))], { placement: 'hot', chunkRows: 1000 });
    const { statement } = parseStatement('SELECT price FROM trades');
    const result = await execute(statement, of.snapshot, optionsFor(of, { cancel }));
    expect((await result.next())!.rows).toBe(8192);
    Atomics.store(cancel, 0, 1);
    expect(await codeOf(result.next())).toBe('CANCELLED');
  });

  test('blocks are made as they are taken, and the snapshot is released once, at the end or on close', async () => {
    const of = await worldOf([table(trades, many(30_000))], { placement: 'hot', chunkRows: 1000 });
    let released = 0;
    const snapshot: Snapshot = { ...of.snapshot, release: () => released++ };
    const { statement } = parseStatement('SELECT price FROM trades');
    const result = await execute(statement, snapshot, optionsFor(of));
    await result.next();
    expect(result.stats.rowsScanned).toBeLessThan(30_000);
    expect(released).toBe(0);
    result.close();
    result.close();
    expect(released).toBe(1);
    expect(await result.next()).toBeNull();
    await rowsOf(await execute(statement, snapshot, optionsFor(of)));
    expect(released).toBe(2);
    await expect(
      execute(parseStatement('SELECT nope FROM trades').statement, snapshot, optionsFor(of)),
    ).rejects.toThrow();
    expect(released).toBe(3);
  });

  test('a block that was taken does not change when the next is made', async () => {
    const of = await worldOf([table(trades, many(3000))], { placement: 'hot', chunkRows: 1000 });
    const { statement } = parseStatement("SELECT price, timestamp, concat('p', price) FROM trades");
    const result = await execute(statement, of.snapshot, optionsFor(of));
    const first = (await result.next())!;
    const before = structuredClone(first);
    await result.next();
    expect(first).toEqual(before);
  });
});

describe('pruning', () => {
  test('parts of other symbols and hours are not read, and EXPLAIN ANALYZE says so', async () => {
    const rows: Row[] = ['A', 'B', 'C'].flatMap((symbol) =>
      [0, 60, 120].map((minute): Row => [at(minute), symbol, 1n, 1n]),
    );
    const sql =
      "EXPLAIN ANALYZE SELECT price FROM trades WHERE symbol = 'B' AND timestamp >= '2024-03-21 07:00'";
    const text = (await rowsFor(sql, await world(rows))).join('\n');
    expect(text).toContain('parts: 2 read (2 hot, 0 warm, 0 cold), 7 pruned');
    expect(text).toContain('rows: 2 scanned');
  });

  test('EXPLAIN names the kernel where one is taken, and reads nothing', async () => {
    const of = await world();
    const plan = async (sql: string): Promise<string> => (await rowsFor(`EXPLAIN ${sql}`, of)).join('\n');
    expect(await plan('SELECT symbol, vwap(price, volume) FROM trades GROUP BY symbol')).toContain('Kernel');
    expect(await plan('SELECT symbol, median(price) FROM trades GROUP BY symbol')).not.toContain('Kernel');
    const result = await execute(
      parseStatement('EXPLAIN SELECT count(*) FROM trades').statement,
      of.snapshot,
      optionsFor(of),
    );
    await rowsOf(result);
    expect(result.stats.partsRead).toBe(0);
  });

  test('a cold part is refused by a process without a cold tier, with the switch that is off', async () => {
    const of = await world();
    const hot = of.snapshot.tables.get('trades')!;
    const cold = { ...partsIn(hot)[0]!, tier: 'cold' as const, key: 'k.parquet', bytes: 1, crc32c: '' };
    const tables = new Map([['trades', tableOf(hot.schema, [cold])]]);
    const { cold: _, ...options } = optionsFor(of);
    const { statement } = parseStatement('SELECT price FROM trades');
    const result = await execute(statement, { ...of.snapshot, tables }, options);
    await expect(rowsOf(result)).rejects.toThrow(/--cold-tier-enabled/);
  });
});

describe('cold parts', () => {
  test('a folder that is gone, or half gone, is read as the object of the same rows', async () => {
    const of = await worldOf([table(trades, many(100))], { placement: 'cold' });
    const options = optionsFor(of);
    // Its record went first.
    await of.disk.makeDirectory('/half');
    await of.disk.writeFile('/half/volume.bin', [new Uint8Array(40)], false);
    const { statement } = parseStatement('SELECT sum(price), count(volume), max(timestamp) FROM trades');
    const wanted = await rowsOf(await execute(statement, of.snapshot, options));
    const { schema } = of.snapshot.tables.get('trades')!;
    const [object] = partsIn(of.snapshot.tables.get('trades')!) as [ColdPart];
    const answerOf = async (part: WarmPart): Promise<unknown> => {
      const tables = new Map([['trades', tableOf(schema, [part])]]);
      return rowsOf(await execute(statement, { ...of.snapshot, tables }, options));
    };
    for (const folder of ['/gone', '/half'])
      expect(await answerOf({ ...object, tier: 'warm', folder, object })).toEqual(wanted);
    await expect(answerOf({ ...object, tier: 'warm', folder: '/gone' })).rejects.toThrow(
      'segment /gone is gone',
    );
  });

  test('an object that was damaged is refused before anything reads it', async () => {
    const of = await worldOf([table(trades, many(100))], { placement: 'cold' });
    const options = optionsFor(of);
    const { statement } = parseStatement('SELECT price FROM trades');
    expect(await rowsOf(await execute(statement, of.snapshot, options))).toHaveLength(100);
    const damaged = async (key: string): Promise<Uint8Array> => {
      const bytes = Uint8Array.from(await options.cold!(key, new AbortController().signal));
      bytes[bytes.length >> 1]! ^= 1;
      return bytes;
    };
    const result = await execute(statement, of.snapshot, { ...options, cold: damaged });
    await expect(rowsOf(result)).rejects.toThrow(/checksum .*, its plan says/);
  });
});

describe('symbol by symbol', () => {
  /** More than a batch: A and B are in the first, C in the second. */
  const EACH = 40_000;
  const long = (): Row[] =>
    ['A', 'B', 'C'].flatMap((symbol, k) =>
      Array.from({ length: EACH }, (_, i): Row => {
        // One in a hundred is late.
        const time = START + BigInt(i) * 1000n - (i % 100 === 99 ? 5_500n : 0n);
        return [time, symbol, BigInt(i), BigInt(k + 1)];
      }),
    );

  test('windows over more rows than are worked on at a time', async () => {
    const of = await worldOf([table(trades, long())], { placement: 'hot', chunkRows: 1000 });
    const inner = (over: string): string =>
      `SELECT symbol, row_number() OVER (${over}) AS n, sum(volume) OVER (${over} ROWS 9 PRECEDING) AS s FROM trades`;
    const outer = (over: string): string =>
      `SELECT symbol, count(*), max(n), sum(n), sum(s) FROM (${inner(over)}) t GROUP BY symbol`;
    const [rows, numbers] = [BigInt(EACH), (BigInt(EACH) * BigInt(EACH + 1)) / 2n];
    expect(await rowsFor(outer('PARTITION BY symbol ORDER BY timestamp'), of)).toEqual(
      // 10 rows in each frame, but for the first nine.
      ['A', 'B', 'C'].map((symbol, k) => [symbol, rows, rows, numbers, (rows * 10n - 45n) * BigInt(k + 1)]),
    );
    const reaching = await rowsFor(
      'SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY timestamp) AS n FROM trades) t',
      of,
    );
    expect(reaching).toEqual([[3n * rows]]);
    const first = `${inner('PARTITION BY symbol ORDER BY timestamp')} WHERE symbol <> 'A' LIMIT 2`;
    expect(await rowsFor(first, of)).toEqual([
      ['B', 1n, 2n],
      ['B', 2n, 4n],
    ]);
  });

  test('sums over frames that leave the doubles are exact', async () => {
    const large = 2n ** 51n + 1n;
    const of = await world([0, 1, 2, 3].map((minute): Row => [at(minute), 'A', 1n, large]));
    const sql =
      'SELECT sum(volume) OVER (PARTITION BY symbol ORDER BY timestamp ROWS 2 PRECEDING) FROM trades';
    expect(await rowsFor(sql, of)).toEqual([[large], [2n * large], [3n * large], [3n * large]]);
  });

  test('ASOF joins meet symbols that only one side has', async () => {
    const quotes = schema('quotes', [{ name: 'bid', type: ColumnType.INT64 }]);
    const ticks = (symbols: string, value: bigint): Row[] =>
      [...symbols].flatMap((symbol): Row[] => [
        [at(1), symbol, value, 0n],
        [at(3), symbol, value + 1n, 0n],
      ]);
    const of = await world(
      ticks('ACDFG', 10n),
      table(
        quotes,
        ticks('BCEF', 20n).map((row) => row.slice(0, 3)),
      ),
    );
    const join = (kind: string): string =>
      `SELECT t.symbol, t.price, q.bid FROM trades t ${kind} JOIN quotes q ON t.symbol = q.symbol AND t.timestamp > q.timestamp`;
    expect(await rowsFor(join('ASOF'), of)).toEqual([
      ['C', 11n, 20n],
      ['F', 11n, 20n],
    ]);
    const every = (await rowsFor(`${join('ASOF LEFT')} ORDER BY 1, 2`, of)).map((row) => row.join());
    expect(every).toEqual([
      ...['A,10,', 'A,11,', 'C,10,', 'C,11,20', 'D,10,', 'D,11,'],
      ...['F,10,', 'F,11,20', 'G,10,', 'G,11,'],
    ]);
  });

  test('an ASOF join goes back for rows that come late, however far', async () => {
    const quotes = schema('quotes', [{ name: 'bid', type: ColumnType.INT64 }]);
    const count = 500;
    const second = (i: number): bigint => START + BigInt(i) * 1_000_000_000n;
    const order = Array.from({ length: count }, (_, i) => (i * 201) % count);
    const of = await world(
      order.map((i): Row => [second(i), 'A', BigInt(i), 0n]),
      table(
        quotes,
        order.map((i): Row => [second(i), 'A', BigInt(i)]),
      ),
    );
    const joined = (operator: string): Promise<unknown> =>
      rowsFor(
        `SELECT count(*), min(t.price * 100 - q.bid), max(t.price * 100 - q.bid) FROM trades t ASOF JOIN quotes q ON t.symbol = q.symbol AND t.timestamp ${operator} q.timestamp`,
        of,
      );
    expect(await joined('>=')).toEqual([[500n, 0n, 0n]]);
    expect(await joined('>')).toEqual([[499n, 100n, 100n]]);
  });
});

describe('remembered parts', () => {
  const sql =
    'SELECT count(*), sum(volume), min(price), max(price), first(price), last(price), vwap(price, volume) FROM trades';

  test('a part that has grown is answered as if nothing were remembered', async () => {
    const rows = many(40).map(
      (row, i): Row => [
        (row[0]! as bigint) + (i % 7 === 3 ? 0n : 5_000_000n),
        'A',
        BigInt(100 + ((i * 37) % 11)),
        BigInt(i),
      ],
    );
    const cache = new PartCache();
    for (let count = 1; count <= rows.length; count++) {
      const of = await worldOf([table(trades, rows.slice(0, count))], { placement: 'hot', chunkRows: 6 });
      const remembered = (await ask(sql, of, { cache })).rows;
      expect(remembered, `${count} rows`).toEqual((await ask(sql, of)).rows);
    }
  });

  test('what is remembered is not read again', async () => {
    const of = await worldOf([table(trades, many(1000))], { placement: 'hot', chunkRows: 100 });
    const cache = new PartCache();
    const scanned = async (): Promise<number> => {
      const result = await execute(parseStatement(sql).statement, of.snapshot, optionsFor(of, { cache }));
      await rowsOf(result);
      return result.stats.rowsScanned;
    };
    expect(await scanned()).toBe(1000);
    expect(await scanned()).toBe(0);
  });

  test('rows that were not published when the snapshot was taken are not in the answer', async () => {
    const of = await worldOf([table(trades, many(10))], { placement: 'hot', chunkRows: 100 });
    const whole = of.snapshot.tables.get('trades')!;
    const declared = whole.schema;
    const part = partsIn(whole)[0] as HotPart;
    const fewer: HotPart = { ...part, rows: 4, runs: [{ ...part.runs[0]!, rows: 4 }] };
    const snapshot = { ...of.snapshot, tables: new Map([['trades', tableOf(declared, [fewer])]]) };
    for (const query of [
      'SELECT count(*) FROM trades',
      'SELECT sum(volume) FROM trades',
      'SELECT sum(volume + 0) FROM trades',
    ])
      expect(await rowsFor(query, { ...of, snapshot })).toEqual([[4n]]);
  });
});
