// What: random materialized views over random tables: their rows, and queries that they answer in place of their table.
// Why: a view that is wrong for one combination of keys, aggregates and tiers is wrong without anybody noticing.
// Invariant: a view holds what DuckDB computes from the rows, at every step; a query has the same answer with views and without.

import type { DuckDBConnection } from '@duckdb/node-api';
import { describe, expect, it } from 'vitest';
import { ColumnType, type TableSchema } from '../../src/columns/types.ts';
import { hourOfNs } from '../../src/format/layout.ts';
import { catalogOf } from '../../src/query/catalog.ts';
import { emptyStats } from '../../src/query/result.ts';
import { Run } from '../../src/query/run.ts';
import { partsIn } from '../../src/query/table-parts.ts';
import { BLOCK_ROWS } from '../../src/query/vector.ts';
import { openView, type View, type ViewDeclaration } from '../../src/query/view/view.ts';
import { analyzeQuery } from '../../src/sql/analyze.ts';
import { parseQuery } from '../../src/sql/parser.ts';
import { seededRandom, tablesOf } from '../support/query-data.ts';
import { toDuckdb } from '../support/query-duckdb.ts';
import { ask, askDuckdb, comparableRows, difference, optionsFor } from '../support/query-oracle.ts';
import {
  duckdbOf,
  newGround,
  type Placement,
  type Row,
  type Sealed,
  type TestTable,
  type World,
  worldOf,
} from '../support/query-tables.ts';

const placements: readonly Placement[] = ['hot', 'warm', 'cold', 'mixed'];
const MINUTE = 60_000_000_000;

const keys = [
  'symbol',
  `xbar(timestamp, ${MINUTE})`,
  `xbar(timestamp, ${5 * MINUTE})`,
  `xbar(timestamp, ${90 * MINUTE})`,
  "date_trunc('hour', timestamp)",
  'venue',
  'flags',
  'side',
  'flags % 3',
];
const aggregates = [
  'count(*)',
  'count(price)',
  'sum(volume)',
  'sum(price)',
  'sum(ratio)',
  'avg(price)',
  'avg(ratio)',
  'min(price)',
  'max(ratio)',
  'min(venue)',
  'first(price)',
  'last(price)',
  'first(venue)',
  'last(ratio)',
  'vwap(price, volume)',
  'stddev(ratio)',
  'sum(price * volume)',
  'max(volume + 1)',
  'sum(volume) FILTER (WHERE side)',
];
const conditions = [
  'price > 150',
  "symbol <> 'MSFT'",
  "timestamp >= '2024-03-21 07:00'",
  'flags IS NOT NULL',
];

function randomView(seed: number): string {
  const random = seededRandom(seed * 7919 + 1);
  const some = <T>(list: readonly T[], count: number): T[] =>
    [...list]
      .map((value) => ({ value, at: random() }))
      .sort((a, b) => a.at - b.at)
      .slice(0, count)
      .map(({ value }) => value);
  const by = some(keys, Math.floor(random() * 4));
  const calls = some(aggregates, 1 + Math.floor(random() * 5));
  const where = some(conditions, random() < 0.4 ? 1 : 0);
  const items = [...by.map((key, i) => `${key} AS k${i}`), ...calls.map((call, i) => `${call} AS a${i}`)];
  return `SELECT ${items.join(', ')} FROM ticks${where.length > 0 ? ` WHERE ${where[0]}` : ''}${by.length > 0 ? ` GROUP BY ${by.join(', ')}` : ''}`;
}

function viewIn(
  world: World,
  sql: string,
  name = 'v',
  views: ReadonlyMap<string, View> = new Map(),
  bytesMax = 2 ** 30,
): View {
  const declaration: ViewDeclaration = { name, source: /FROM (\w+)/.exec(sql)![1]!, sql };
  const run = new Run({ ...world.snapshot, tables: new Map() }, optionsFor(world), emptyStats());
  return openView(declaration, world.snapshot.tables, views, run, bytesMax);
}

async function expectSame(
  sql: string,
  reference: string,
  world: World,
  oracle: DuckDBConnection,
  views: ReadonlyMap<string, View>,
): Promise<void> {
  const query = parseQuery(reference);
  const translated = toDuckdb(query, analyzeQuery(query, catalogOf(world.snapshot.tables, new Map())));
  const ours = await ask(sql, world, { views });
  const found = difference(comparableRows(ours), await askDuckdb(translated, oracle), false);
  expect(found, `${sql}\n${reference}\n${translated}`).toBeNull();
}

const worldAt = (
  n: number,
  rows: readonly number[] = [1],
): Promise<{ world: World; oracle: DuckDBConnection }> =>
  (async () => {
    const tables = tablesOf(n * 31 + 5, rows[n % rows.length]!);
    const placement = placements[n % placements.length]!;
    const world = await worldOf(tables, {
      placement: n % 5 === 4 ? (symbol, hour) => placements[(symbol + hour) % placements.length]! : placement,
      chunkRows: [7, 64, 1, 1000][n % 4]!,
    });
    return { world, oracle: await duckdbOf(tables, world.scanned) };
  })();

describe('a read of a view that is stopped half way', () => {
  const schema: TableSchema = {
    name: 'trades',
    columns: [
      { name: 'timestamp', type: ColumnType.TIMESTAMP_NS },
      { name: 'symbol', type: ColumnType.SYMBOL },
      { name: 'volume', type: ColumnType.INT64 },
    ],
    timestampColumn: 0,
    symbolColumn: 1,
  };
  const rows = Array.from({ length: 5 * BLOCK_ROWS }, (_, i): Row => {
    return [1_711_000_800_000_000_000n + BigInt(i) * 1_000_000n, 'A', BigInt(i)];
  });

  it.each(['', ' WHERE volume % 3 = 0'])(
    'leaves nothing behind that later reads would count%s',
    async (where) => {
      const sql = `SELECT symbol, count(*), sum(volume) FROM trades${where} GROUP BY symbol`;
      const few = await worldOf([{ schema, rows: rows.slice(0, 10) }], {
        placement: 'hot',
        chunkRows: 1_000,
      });
      const all = await worldOf([{ schema, rows }], { placement: 'hot', chunkRows: 1_000 });
      const wanted = (await ask(sql, all)).rows;
      let stopped = 0;
      for (let checks = 1; checks < 40; checks++) {
        const views = new Map([['v', viewIn(few, sql)]]);
        await ask('SELECT * FROM v', few, { views });
        let asked = 0;
        const monotonicMs = (): number => (++asked > checks ? Number.MAX_SAFE_INTEGER : 0);
        await ask('SELECT * FROM v', all, { views, monotonicMs }).catch(() => stopped++);
        expect((await ask('SELECT * FROM v', all, { views })).rows, `after ${checks} checks`).toEqual(wanted);
      }
      expect(stopped).toBeGreaterThan(5);
    },
  );
});

describe('a materialized view', () => {
  it('holds what DuckDB computes from the rows, for 200 random views over rows in all tiers', async () => {
    for (let n = 0; n < 10; n++) {
      const { world, oracle } = await worldAt(n, [1, 0.2, 3]);
      for (let i = 0; i < 20; i++) {
        const sql = randomView(n * 100 + i);
        const views = new Map([['v', viewIn(world, sql)]]);
        await expectSame('SELECT * FROM v', sql, world, oracle, views);
        // And once more, from what is kept.
        await expectSame('SELECT * FROM v', sql, world, oracle, views);
      }
      oracle.closeSync();
    }
  }, 120_000);

  it('gives more groups than a block has rows, also some of them, and again from what is kept', async () => {
    const ticks = tablesOf(5, 40).filter(({ schema }) => schema.name === 'ticks');
    const world = await worldOf(ticks, { placement: 'mixed', chunkRows: 1000 });
    const oracle = await duckdbOf(ticks, world.scanned);
    const sql = 'SELECT seq, timestamp, symbol, sum(volume) AS v FROM ticks GROUP BY seq, timestamp, symbol';
    const views = new Map([['v', viewIn(world, sql)]]);
    for (const where of ['', '', " WHERE symbol <> 'MSFT'"])
      await expectSame(
        `SELECT * FROM v${where}`,
        sql.replace(' GROUP', `${where} GROUP`),
        world,
        oracle,
        views,
      );
    expect(views.get('v')!.kept!.parts.groups).toBeGreaterThan(BLOCK_ROWS);
    oracle.closeSync();
  }, 120_000);
});

const bars = `SELECT symbol, xbar(timestamp, ${5 * MINUTE}) AS bar, first(price) AS open, max(price) AS high, min(price) AS low, last(price) AS close, sum(volume) AS volume, count(*) AS ticks, vwap(price, volume) AS vwap, avg(ratio) AS ratio FROM ticks GROUP BY symbol, xbar(timestamp, ${5 * MINUTE})`;

describe('a view of bars', () => {
  const byName: readonly (readonly [string, string])[] = [
    ["SELECT * FROM bars WHERE symbol = 'AAPL'", `${bars.replace(' GROUP', " WHERE symbol = 'AAPL' GROUP")}`],
    [
      "SELECT * FROM bars WHERE bar >= '2024-03-21 08:00' AND symbol IN ('AAPL', 'TSLA')",
      bars.replace(' GROUP', " WHERE timestamp >= '2024-03-21 08:00' AND symbol IN ('AAPL', 'TSLA') GROUP"),
    ],
    [
      'SELECT symbol, max(high), sum(volume) FROM bars GROUP BY symbol',
      'SELECT symbol, max(price), sum(volume) FROM ticks GROUP BY symbol',
    ],
    ['SELECT count(*) FROM bars WHERE ticks > 1', `SELECT count(*) FROM (${bars}) WHERE ticks > 1`],
  ];
  it.each(byName)('answers %s', async (sql, reference) => {
    for (let n = 0; n < 5; n++) {
      const { world, oracle } = await worldAt(n);
      await expectSame(sql, reference, world, oracle, new Map([['bars', viewIn(world, bars, 'bars')]]));
      oracle.closeSync();
    }
  });

  const answered = [
    bars,
    'SELECT symbol, count(*) FROM ticks GROUP BY symbol',
    'SELECT count(*), sum(volume), vwap(price, volume) FROM ticks',
    `SELECT xbar(timestamp, ${15 * MINUTE}) AS b, max(price), last(price), first(price) FROM ticks GROUP BY b`,
    "SELECT date_trunc('hour', timestamp) AS h, symbol, sum(volume) FROM ticks WHERE symbol <> 'ZZ' GROUP BY h, symbol",
    'SELECT symbol, sum(ratio), count(ratio), avg(volume) FROM ticks WHERE timestamp >= 1711008000000000000 AND timestamp < 1711011600000000000 GROUP BY symbol',
    "SELECT symbol, sum(volume) AS total FROM ticks WHERE symbol IN ('AAPL', 'MSFT') GROUP BY symbol HAVING total > 10",
    'SELECT lower(symbol) AS s, min(price) FROM ticks GROUP BY s',
  ];
  it.each(answered)('answers in its place: %s', async (sql) => {
    for (let n = 0; n < 5; n++) {
      const { world, oracle } = await worldAt(n);
      const views = new Map([['bars', viewIn(world, bars, 'bars')]]);
      expect((await ask(`EXPLAIN ${sql}`, world, { views })).rows.flat().join('\n')).toMatch(
        /View bars: instead of ticks/,
      );
      expect(
        (await ask(`EXPLAIN ${sql}`, world, { views, isViewRewriteOn: false })).rows.flat().join('\n'),
      ).not.toMatch(/View bars/);
      await expectSame(sql, sql, world, oracle, views);
      oracle.closeSync();
    }
  });

  const notAnswered = [
    'SELECT symbol, max(volume) FROM ticks GROUP BY symbol',
    `SELECT xbar(timestamp, ${MINUTE}) AS b, count(*) FROM ticks GROUP BY b`,
    "SELECT count(*) FROM ticks WHERE timestamp >= '2024-03-21 07:02'",
    'SELECT count(*) FROM ticks WHERE price > 150',
    'SELECT venue, count(*) FROM ticks GROUP BY venue',
    'SELECT count(DISTINCT price) FROM ticks',
    'SELECT median(price) FROM ticks',
  ];
  it.each(notAnswered)('leaves to the table: %s', async (sql) => {
    const { world, oracle } = await worldAt(3);
    const views = new Map([['bars', viewIn(world, bars, 'bars')]]);
    expect((await ask(`EXPLAIN ${sql}`, world, { views })).rows.flat().join('\n')).not.toMatch(/View/);
    await expectSame(sql, sql, world, oracle, views);
    oracle.closeSync();
  });

  it('feeds a view over it', async () => {
    const { world, oracle } = await worldAt(4);
    const five = viewIn(world, bars, 'bars');
    const hours =
      "SELECT symbol, date_trunc('hour', bar) AS hour, first(open) AS open, max(high) AS high, last(close) AS close, sum(volume) AS volume FROM bars GROUP BY symbol, date_trunc('hour', bar)";
    const views = new Map([['bars', five]]);
    views.set('hours', viewIn(world, hours, 'hours', views));
    await expectSame(
      'SELECT symbol, hour, high, volume FROM hours',
      "SELECT symbol, date_trunc('hour', timestamp), max(price), sum(volume) FROM ticks GROUP BY symbol, date_trunc('hour', timestamp)",
      world,
      oracle,
      views,
    );
    oracle.closeSync();
  });
});

interface Moment {
  readonly world: World;
  readonly oracle: DuckDBConnection;
}

/** A table whose rows come, are sealed, go to S3, are dropped, and leave with their partition and come back. */
class History {
  private readonly random: () => number;
  private readonly table: TestTable;
  private readonly ground = newGround();
  private readonly sealed = new Map<string, Sealed>();
  private readonly counts = new Map<string, number>();
  private readonly dropped = new Set<number>();
  private away: number | null = null;
  private taken = 0;

  constructor(seed: number) {
    this.random = seededRandom(seed);
    this.table = tablesOf(seed, 1).find(({ schema }) => schema.name === 'ticks')!;
  }

  async next(): Promise<Moment> {
    this.change();
    const { schema } = this.table;
    const rows = this.table.rows.slice(0, this.taken).filter((row) => {
      const symbol = this.ground.names.codeFor(row[schema.symbolColumn] as string);
      return symbol !== this.away && !this.dropped.has(hourOfNs(row[schema.timestampColumn] as bigint));
    });
    const table = { schema, rows };
    this.counts.clear();
    const world = await worldOf([table], {
      placement: (symbol, hour, count) => {
        this.counts.set(`${symbol}/${hour}`, count);
        return this.sealed.get(`${symbol}/${hour}`) ?? [0, 0];
      },
      ground: this.ground,
    });
    return { world, oracle: await duckdbOf([table], world.scanned) };
  }

  private change(): void {
    const choice = this.random();
    if (choice < 0.1) return;
    if (choice < 0.6 || this.taken === 0)
      this.taken += Math.floor((this.random() * this.table.rows.length) / (choice < 0.2 ? 40 : 4));
    else if (choice < 0.8)
      for (const [key, count] of this.counts)
        if (this.random() < 0.4) this.sealed.set(key, [this.random() < 0.4 ? count : 0, count]);
        else {
          const [, sealed] = this.sealed.get(key) ?? [0, 0];
          if (this.random() < 0.4) this.sealed.set(key, [sealed, sealed]);
        }
    else if (choice < 0.93)
      this.away = this.away === null ? Math.floor(this.random() * this.ground.names.names.length) : null;
    else for (const key of [...this.counts.keys()].slice(0, 1)) this.dropped.add(Number(key.split('/')[1]));
  }
}

/** Tells the view which rows stand in a file now, as a member does. */
function tellMoved(view: View, before: World, after: World): void {
  const later = partsIn(after.snapshot.tables.get('ticks')!);
  for (const part of partsIn(before.snapshot.tables.get('ticks')!)) {
    const files = later.filter(({ symbol, hour }) => symbol === part.symbol && hour === part.hour);
    const isWhole = part.tier === 'hot' && part.id.endsWith('/0') && files.length === 1;
    if (isWhole && files[0]!.tier === 'warm' && files[0]!.rows === part.rows)
      view.kept!.parts.moved(part.id, files[0]!.id, part.rows);
  }
}

describe('a view that is read while its table changes', () => {
  it('holds what DuckDB computes at every step, of rows that come, move, leave and come back', async () => {
    for (let n = 0; n < 8; n++) {
      const sql = n % 2 === 0 ? bars : randomView(n);
      const history = new History(n * 131 + 17);
      let before = await history.next();
      // Too little memory to keep all parts, or even one.
      const view = viewIn(before.world, sql, 'v', new Map(), [2 ** 30, 20_000, 2 ** 30, 100][n >> 1]!);
      const views = new Map([['v', view]]);
      for (let step = 0; step < 9; step++) {
        const now = await history.next();
        if (step % 3 !== 0) tellMoved(view, before.world, now.world);
        for (const read of ['SELECT * FROM v', sql, 'SELECT * FROM v'])
          await expectSame(read, sql, now.world, now.oracle, views);
        // A query that began before, and the next one.
        if (step % 3 === 0) await expectSame('SELECT * FROM v', sql, before.world, before.oracle, views);
        before.oracle.closeSync();
        before = now;
      }
      before.oracle.closeSync();
    }
  }, 240_000);
});

describe('what a view cannot hold', () => {
  const refused: readonly (readonly [string, RegExp])[] = [
    ['SELECT symbol, median(price) FROM ticks GROUP BY symbol', /median cannot be updated row by row/],
    ['SELECT count(DISTINCT venue) FROM ticks', /DISTINCT/],
    ['SELECT symbol, price FROM ticks', /needs an aggregate/],
    ['SELECT nope, count(*) FROM ticks GROUP BY nope', /nope/],
    ['SELECT symbol, count(*) FROM ticks GROUP BY symbol HAVING count(*) > 1', /HAVING/],
    ['SELECT symbol, count(*) FROM ticks GROUP BY symbol ORDER BY 1', /no order/],
    ['SELECT count(*) FROM ticks t JOIN fills f ON t.symbol = f.symbol', /no join/],
    ['SELECT count(*) FROM ticks WHERE timestamp > now() - 1h', /changes with time/],
    ['SELECT count(*) FROM ticks WHERE price > (SELECT 1)', /subquery/],
    ['SELECT symbol, sum(volume) AS x, sum(price) AS x FROM ticks GROUP BY symbol', /called x/],
  ];
  it.each(refused)('%s', async (sql, reason) => {
    const { world, oracle } = await worldAt(0);
    expect(() => viewIn(world, sql)).toThrow(reason);
    oracle.closeSync();
  });
});
