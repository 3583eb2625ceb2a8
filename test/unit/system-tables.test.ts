// What: SHOW, DESCRIBE and the system tables over a snapshot with rows in all tiers.
// Why: who runs the system, and every client that connects, asks these first.
// Invariant: what they say of rows adds up to what the tables themselves answer.

import { describe, expect, test } from 'vitest';
import { clickhouseType } from '../../connectors/formats/clickhouse-types.ts';
import { ColumnType, type TableSchema } from '../../src/columns/types.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { ExecuteOptions } from '../../src/query/execute.ts';
import { emptyStats } from '../../src/query/result.ts';
import { Run } from '../../src/query/run.ts';
import { systemTable } from '../../src/query/system/system-table.ts';
import { snapshotTables } from '../../src/query/system/tables.ts';
import { openView } from '../../src/query/view/view.ts';
import { functions } from '../../src/sql/functions.ts';
import { INT64, STRING } from '../../src/sql/types.ts';
import { ask, optionsFor } from '../support/query-oracle.ts';
import { type Row, type World, worldOf } from '../support/query-tables.ts';

const HOUR_NS = 3_600_000_000_000n;
/** 2024-03-21 06:00 UTC. */
const START = 1_711_000_800_000_000_000n;

const trades: TableSchema = {
  name: 'trades',
  columns: [
    { name: 'timestamp', type: ColumnType.TIMESTAMP_NS },
    { name: 'symbol', type: ColumnType.SYMBOL },
    { name: 'price', type: ColumnType.INT64, scale: 4 },
    { name: 'venue', type: ColumnType.STRING },
  ],
  timestampColumn: 0,
  symbolColumn: 1,
};
const quotes: TableSchema = { ...trades, name: 'quotes' };

const rows: readonly Row[] = Array.from({ length: 60 }, (_, i) => [
  START + BigInt(i) * (HOUR_NS / 20n),
  ['AAPL', 'MSFT'][i % 2]!,
  BigInt(i),
  'X',
]);

/** AAPL: a third in memory, a third in folders, a third in objects; MSFT: all in memory. */
const world = (): Promise<World> =>
  worldOf(
    [
      { schema: trades, rows },
      { schema: quotes, rows: [] },
    ],
    {
      placement: (symbol, hour) => {
        if (symbol !== 0) return 'hot';
        return (['cold', 'warm', 'hot'] as const)[hour - Number(START / HOUR_NS)]!;
      },
    },
  );

const system = new Map([
  ...snapshotTables(clickhouseType),
  ['later', systemTable([{ name: 'n', type: INT64, of: (n: number) => BigInt(n) }], async () => [2, 1, 3])],
  [
    'nothing',
    systemTable([{ name: 't', type: STRING, of: () => null }], () => Promise.reject(new Error('gone'))),
  ],
]);
const server = { version: '1.2.3', hostName: 'here', uptimeSeconds: 42 };
const rowsFor = async (sql: string, more: Partial<ExecuteOptions> = {}): Promise<unknown[][]> =>
  (await ask(sql, await world(), { system, server, ...more })).rows.map((row) => [...row]);

const failure = async (sql: string): Promise<ZeptoError> => {
  const error = await rowsFor(sql).catch((cause: unknown) => cause);
  if (error instanceof ZeptoError) return error;
  throw new Error(`${sql} did not fail`);
};

describe('SHOW', () => {
  test('TABLES lists the tables with their rows, by name', async () => {
    expect(await rowsFor('SHOW TABLES')).toEqual([
      ['quotes', 0n],
      ['trades', 60n],
    ]);
  });

  test('TIERS has a row for each tier of each table, and their rows add up', async () => {
    const hour = (n: number): bigint => START + BigInt(n) * HOUR_NS;
    const bytes = expect.any(BigInt);
    expect(await rowsFor('SHOW TIERS FOR trades')).toEqual([
      ['trades', 'hot', 4n, 2n, 40n, 40n * 20n, hour(0), hour(2)],
      ['trades', 'warm', 1n, 1n, 10n, null, hour(1), hour(1)],
      ['trades', 'cold', 1n, 1n, 10n, bytes, hour(0), hour(0)],
    ]);
    expect(await rowsFor("SELECT sum(rows), count(*) FROM system.tiers WHERE table = 'quotes'")).toEqual([
      [0n, 3n],
    ]);
  });

  test('SEGMENTS has a row for each part, with its place and the times that are known', async () => {
    const segments = await rowsFor('SHOW SEGMENTS FOR trades');
    expect(segments.map(([table, symbol, , hour, tier, rows]) => [table, symbol, hour, tier, rows])).toEqual(
      [
        ['cold', 'warm', 'hot'].map((tier, h) => ['trades', 'AAPL', START + BigInt(h) * HOUR_NS, tier, 10n]),
        [0, 1, 2].map((h) => ['trades', 'MSFT', START + BigInt(h) * HOUR_NS, 'hot', 10n]),
      ].flat(),
    );
    expect(
      await rowsFor(
        'SELECT tier, file IS NULL, min_time IS NULL, max_time - min_time FROM system.segments ORDER BY tier, hour LIMIT 2',
      ),
    ).toEqual([
      ['cold', false, false, (HOUR_NS / 20n) * 18n],
      ['hot', true, true, null],
    ]);
  });

  test('of an unknown table is an error with the nearest name', async () => {
    for (const sql of ['SHOW SEGMENTS FOR trade', 'SHOW TIERS FOR trade', 'DESCRIBE trade']) {
      const { code, message, context } = await failure(sql);
      expect([code, context.unknown], sql).toEqual(['SQL_NAME', 'table']);
      expect(message).toContain('did you mean trades?');
    }
  });
});

describe('DESCRIBE', () => {
  test('names the columns and types as declared', async () => {
    expect(await rowsFor('DESCRIBE TABLE trades')).toEqual([
      ['timestamp', 'TIMESTAMP_NS'],
      ['symbol', 'SYMBOL'],
      ['price', 'DECIMAL(18, 4)'],
      ['venue', 'STRING'],
    ]);
    expect(await rowsFor('DESC system.later')).toEqual([['n', 'INT64']]);
  });

  test('answers clients of ClickHouse in their columns and types', async () => {
    const { names, rows: described } = await ask('DESCRIBE trades', await world(), { clickhouseType });
    expect(names).toEqual([
      ...['name', 'type', 'default_type', 'default_expression'],
      ...['comment', 'codec_expression', 'ttl_expression'],
    ]);
    expect(described[0]).toEqual(['timestamp', "Nullable(DateTime64(9, 'UTC'))", '', '', '', '', '']);
  });
});

describe('a system table', () => {
  test('takes every clause of the language', async () => {
    expect(
      await rowsFor(`WITH big AS (SELECT table, symbol, sum(rows) AS n FROM system.segments s
                       GROUP BY table, symbol HAVING sum(rows) > 5)
                     SELECT b.symbol, b.n, t.engine, row_number() OVER (ORDER BY b.symbol DESC)
                     FROM big b JOIN system.tables t ON t.name = b.table
                     WHERE b.symbol IN (SELECT symbol FROM trades) ORDER BY 1 LIMIT 5`),
    ).toEqual([
      ['AAPL', 30n, 'Ticks', 2n],
      ['MSFT', 30n, 'Ticks', 1n],
    ]);
    expect(await rowsFor('SELECT n FROM system.later UNION ALL SELECT 9 ORDER BY n')).toEqual([
      [1n],
      [2n],
      [3n],
      [9n],
    ]);
    expect(await rowsFor('EXPLAIN SELECT count(*) FROM system.later WHERE n > 1')).toContainEqual([
      expect.stringContaining('System later'),
    ]);
    expect(await rowsFor('EXPLAIN SHOW TABLES')).toContainEqual([expect.stringContaining('System tables')]);
  });

  test('lists tables, columns, databases and functions as queries may name them', async () => {
    expect(await rowsFor("SELECT name, engine FROM system.tables WHERE database = 'system'")).toEqual(
      [...system.keys()].sort().map((name) => [name, 'System']),
    );
    expect(
      await rowsFor(
        "SELECT name, type, position FROM system.columns WHERE database = 'default' AND table = 'quotes' ORDER BY position",
      ),
    ).toEqual([
      ['timestamp', "Nullable(DateTime64(9, 'UTC'))", 1n],
      ['symbol', 'Nullable(String)', 2n],
      ['price', 'Nullable(Decimal(18, 4))', 3n],
      ['venue', 'Nullable(String)', 4n],
    ]);
    expect(await rowsFor('SELECT name FROM system.databases')).toEqual([['default'], ['system']]);
    expect(await rowsFor("SELECT count(*) FROM system.functions WHERE alias_to = ''")).toEqual([
      [BigInt(functions.length)],
    ]);
    expect(await rowsFor('SELECT * FROM system.one')).toEqual([[0n]]);
  });

  test('that is unknown, or cannot be read, is an error', async () => {
    expect((await failure('SELECT * FROM system.segmnts')).message).toContain(
      'did you mean system.segments?',
    );
    await expect(rowsFor('SELECT * FROM system.nothing')).rejects.toThrow('gone');
    expect((await failure('SHOW KAFKA LAG')).code).toBe('SQL_NAME');
  });

  test('of more rows than a block has comes whole', async () => {
    const many = systemTable([{ name: 'n', type: INT64, of: (n: bigint) => n }], () =>
      Array.from({ length: 20_000 }, (_, i) => BigInt(i)),
    );
    expect(
      await rowsFor('SELECT count(*), sum(n), max(n) FROM system.many', {
        system: new Map([['many', many]]),
      }),
    ).toEqual([[20_000n, 199_990_000n, 19_999n]]);
  });
});

describe('a view over a table', () => {
  test('does not answer for a WITH or a system table of the same name', async () => {
    const sql = 'SELECT symbol, count(*) AS n FROM trades GROUP BY symbol';
    const here = await world();
    const run = new Run({ ...here.snapshot, tables: new Map() }, optionsFor(here), emptyStats());
    const declaration = { name: 'v', source: 'trades', sql };
    const view = openView(declaration, here.snapshot.tables, new Map(), run, 2 ** 30);
    // The symbol is where the table has it.
    const twin = systemTable(
      [
        { name: 'n', type: INT64, of: () => 0n },
        { name: 'symbol', type: STRING, of: (symbol: string) => symbol },
      ],
      () => ['one', 'one'],
    );
    const more = { views: new Map([['v', view]]), system: new Map([['trades', twin]]) };
    const rowsIn = async (text: string): Promise<unknown> => (await ask(text, here, more)).rows;
    expect(await rowsIn(`${sql} ORDER BY 1`)).toEqual([
      ['AAPL', 30n],
      ['MSFT', 30n],
    ]);
    expect(await rowsIn(`WITH trades AS (SELECT 0 AS n, 'other' AS symbol) ${sql}`)).toEqual([['other', 1n]]);
    expect(await rowsIn(sql.replace('trades', 'system.trades'))).toEqual([['one', 2n]]);
  });
});

describe('a statement without FROM', () => {
  test('answers what clients ask of a server', async () => {
    expect(
      await rowsFor(
        'SELECT version(), timezone(), currentDatabase(), database(), hostName(), uptime(), 1 + 1 AS two',
      ),
    ).toEqual([['1.2.3', 'UTC', 'default', 'default', 'here', 42n, 2n]]);
  });
});
