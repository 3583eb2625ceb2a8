// What: names and types of queries, and every way they can be wrong.
// Why: an unknown column must be an error with its place, not zeros.
// Invariant: what passes here has a type for every output column.

import { describe, expect, test } from 'vitest';
import type { QueryAnalysis } from '../../src/sql/analysis.ts';
import { analyzeQuery } from '../../src/sql/analyze.ts';
import type { Join, Select } from '../../src/sql/ast.ts';
import { parseQuery } from '../../src/sql/parser.ts';
import { printExpression } from '../../src/sql/print.ts';
import { typeText } from '../../src/sql/types.ts';
import { testCatalog } from '../support/sql-catalog.ts';
import { refusalOf } from '../support/sql-refusal.ts';

const analyze = (sql: string): QueryAnalysis => analyzeQuery(parseQuery(sql), testCatalog);
const columns = (sql: string): string =>
  analyze(sql)
    .columns.map(({ name, type }) => `${name} ${typeText(type)}`)
    .join(' | ');
/** Types of expressions over trades. */
const types = (list: string): string =>
  analyze(`SELECT ${list} FROM trades`)
    .columns.map(({ type }) => typeText(type).replaceAll(' ', ''))
    .join(' ');

/** The mark ^ stands before the character that the error must point at. */
function refuses(marked: string, code: string, message: string, suggestion?: string): void {
  const error = refusalOf(() => analyze(marked.replace('^', '')));
  expect(error.message).toContain(message);
  expect(error.code).toBe(code);
  expect(error.position).toBe(marked.indexOf('^'));
  if (suggestion !== undefined) expect(error.suggestion).toBe(suggestion);
}

describe('types of expressions', () => {
  test.each([
    [
      'volume + 1, volume - 1, volume * 2, volume // 2, volume % 2, volume / 2',
      'INT64 INT64 INT64 INT64 INT64 FLOAT64',
    ],
    [
      'price + 1, price - 0.00001, price * volume, price * price',
      'DECIMAL(18,4) DECIMAL(18,5) DECIMAL(18,4) DECIMAL(18,8)',
    ],
    [
      'price * price * price * price * price, price / 2, price % 1, price + 1e0',
      'FLOAT64 FLOAT64 DECIMAL(18,4) FLOAT64',
    ],
    [
      'timestamp + 5m, 5m + timestamp, timestamp - 1, timestamp - timestamp',
      'TIMESTAMP_NS TIMESTAMP_NS TIMESTAMP_NS INT64',
    ],
    ['timestamp // 1000, timestamp % 1000, 2 * 5m, -volume, -price', 'INT64 INT64 INT64 INT64 DECIMAL(18,4)'],
    [
      "side || 1, symbol = 'A', symbol = 3, timestamp > '2024-01-01', timestamp > 5",
      'STRING BOOL BOOL BOOL BOOL',
    ],
    ["price BETWEEN 1 AND 2.5, price IN (1, 2.5), side LIKE 'B%', price LIKE '1%'", 'BOOL BOOL BOOL BOOL'],
    ['CASE WHEN aggressive THEN 1 ELSE price END, CASE side WHEN symbol THEN NULL END', 'DECIMAL(18,4) NULL'],
    [
      "CASE WHEN aggressive THEN timestamp ELSE '2024-01-01' END, coalesce(symbol, side)",
      'TIMESTAMP_NS STRING',
    ],
    [
      'NULL, NULL + 1, NULL + NULL, NULL + timestamp, timestamp - NULL',
      'NULL INT64 NULL TIMESTAMP_NS TIMESTAMP_NS',
    ],
    [
      'CAST(price AS DOUBLE), price::INT, timestamp::BIGINT, symbol::TEXT, aggressive::INT',
      'FLOAT64 INT32 INT64 STRING INT32',
    ],
    [
      'abs(price), sqrt(price), round(price, 2), mod(volume, 3), greatest(volume, price)',
      'DECIMAL(18,4) FLOAT64 DECIMAL(18,4) INT64 DECIMAL(18,4)',
    ],
    [
      "now(), xbar(timestamp, 5 * 60 * 1000000000), xbar(price, 10), date_trunc('min', timestamp)",
      'TIMESTAMP_NS TIMESTAMP_NS DECIMAL(18,4) TIMESTAMP_NS',
    ],
    [
      "epoch_s(timestamp), epoch_ms('2024-01-01'), date_part('hour', timestamp), time_bucket(5m, timestamp)",
      'INT64 INT64 INT64 TIMESTAMP_NS',
    ],
    [
      '(SELECT max(bid) FROM quotes), EXISTS (SELECT 1), price IN (SELECT bid FROM quotes)',
      'FLOAT64 BOOL BOOL',
    ],
    [
      'delta(timestamp) OVER (ORDER BY timestamp), delta(price) OVER (ORDER BY timestamp)',
      'INT64 DECIMAL(18,4)',
    ],
    [
      'lag(volume, 1, 0.5) OVER (ORDER BY timestamp), ema(price, 12) OVER (ORDER BY timestamp)',
      'DECIMAL(18,1) FLOAT64',
    ],
    ['row_number() OVER (), ratio(volume) OVER (ORDER BY timestamp)', 'INT64 FLOAT64'],
  ])('%s', (list, expected) => {
    expect(types(list)).toBe(expected);
  });

  test('aggregates', () => {
    expect(
      types(
        'count(*), sum(volume), sum(price), sum(price / 2), avg(volume), min(timestamp), last(symbol), vwap(price, volume), median(price)',
      ),
    ).toBe('INT64 INT64 DECIMAL(18,4) FLOAT64 FLOAT64 TIMESTAMP_NS SYMBOL FLOAT64 FLOAT64');
    expect(
      types('percentile(price, 99), percentile_cont(price, 99), stddev(volume), arg_max(timestamp, price)'),
    ).toBe('DECIMAL(18,4) FLOAT64 FLOAT64 TIMESTAMP_NS');
  });

  test.each([
    ['SELECT side ^+ 1 FROM trades', 'no + of side (STRING) and 1 (INT64)'],
    ['SELECT timestamp ^+ timestamp FROM trades', 'no + of'],
    ['SELECT timestamp ^* 2 FROM trades', 'no * of'],
    ['SELECT price ^// 2 FROM trades', 'no // of'],
    ['SELECT ^-side FROM trades', 'cannot negate side'],
    ['SELECT * FROM trades WHERE ^price', 'WHERE needs a condition, got price'],
    ['SELECT * FROM trades WHERE aggressive AND ^volume', 'AND needs a condition'],
    ["SELECT * FROM trades WHERE price ^> '100'", 'a number is written without quotes'],
    ["SELECT * FROM trades WHERE timestamp > ^'yesterday'", 'is not a timestamp'],
    ['SELECT * FROM trades WHERE price ^= side', 'cannot compare'],
    ['SELECT * FROM trades WHERE price ^BETWEEN 1 AND side', 'cannot compare'],
    ["SELECT * FROM trades WHERE volume IN (1, ^'x')", 'cannot compare'],
    ['SELECT * FROM trades WHERE volume ^IN (SELECT venue FROM venues)', 'cannot compare'],
    ['SELECT * FROM trades WHERE volume ^IN (SELECT * FROM venues)', 'must have one column, this one has 4'],
    ['SELECT * FROM trades WHERE aggressive ^LIKE 1', 'LIKE matches text'],
    ["SELECT CASE WHEN aggressive THEN 'a' ELSE ^1 END FROM trades", 'CASE mixes STRING and 1 (INT64)'],
    ['SELECT coalesce(price, ^side) FROM trades', 'coalesce mixes'],
    ['SELECT ^CAST(aggressive AS TIMESTAMP) FROM trades', 'cannot cast'],
    ["SELECT abs(^'x')", 'abs takes a number'],
    ['SELECT ^abs(1, 2)', 'abs takes 1 argument, got 2'],
    ['SELECT ^substr(side) FROM trades', 'substr takes 2 to 3 arguments, got 1'],
    ['SELECT ^coalesce() FROM trades', 'coalesce takes 1 or more arguments, got 0'],
    ['SELECT ^now(1)', 'now takes no arguments, got 1'],
    ['SELECT xbar(timestamp, ^volume) FROM trades', 'xbar needs a constant here, not volume'],
    ['SELECT xbar(timestamp, ^0) FROM trades', 'a number above zero'],
    ['SELECT percentile(price, ^101) FROM trades', 'a percentage from 0 to 100'],
    ['SELECT lag(price, ^-1) OVER (ORDER BY timestamp) FROM trades', 'a whole number from 0'],
    ["SELECT date_trunc(^'minut', timestamp) FROM trades", 'one of'],
  ])('%s is a type error', (marked, message) => {
    refuses(marked, 'SQL_TYPE', message);
  });
});

describe('names', () => {
  test('an output column is named by its alias, its column or its text', () => {
    expect(columns('SELECT price p, t.volume, count(*), price+1 FROM trades t GROUP BY 1, 2, 4')).toBe(
      'p DECIMAL(18, 4) | volume INT64 | count(*) INT64 | price + 1 DECIMAL(18, 4)',
    );
  });

  test('* keeps declared order, t.* takes one side', () => {
    expect(analyze('SELECT * FROM venues').columns.map(({ name }) => name)).toEqual([
      'symbol',
      'venue',
      'lots',
      'fee',
    ]);
    expect(columns('SELECT q.*, 1 AS one FROM trades t CROSS JOIN quotes q')).toBe(
      'symbol SYMBOL | bid FLOAT64 | ask FLOAT64 | timestamp TIMESTAMP_NS | one INT64',
    );
  });

  test.each([
    ['SELECT ^pirce FROM trades', 'unknown column pirce', 'price'],
    ['SELECT ^Price FROM trades', 'unknown column Price', 'price'],
    ['SELECT ^t.pirce FROM trades t', 'unknown column pirce in t', 'price'],
    ['SELECT ^trades.price FROM trades t', 'unknown table trades in this query', 't'],
    ['SELECT price FROM ^trads', 'unknown table trads', 'trades'],
    ['SELECT price FROM ^other.trades', 'unknown table other.trades', undefined],
    ['SELECT ^cuont(price) FROM trades', 'unknown function cuont', 'count'],
    [
      'SELECT ^symbol FROM trades t CROSS JOIN quotes q',
      'symbol is ambiguous: t.symbol or q.symbol',
      undefined,
    ],
    ['SELECT 1 FROM trades CROSS JOIN ^trades', 'stands twice', undefined],
    ['SELECT ^x.* FROM trades', 'unknown table x', undefined],
    ['SELECT ^*', '* needs a FROM', undefined],
    ['SELECT * FROM trades WHERE symbol = ^"AAPL"', 'a string is written in single quotes', undefined],
    [
      'SELECT volume AS v FROM trades WHERE ^v > 1',
      'an alias of the select list, which WHERE comes before',
      undefined,
    ],
    ["SELECT * FROM ^read_csv('x')", 'unknown table function', undefined],
    ["SELECT * FROM ^duckdb('nope')", 'cannot read', undefined],
    [
      'SELECT price FROM trades WHERE volume = (SELECT max(bid) FROM quotes WHERE quotes.symbol = ^trades.symbol)',
      'unknown table',
      undefined,
    ],
  ])('%s', (marked, message, suggestion) => {
    refuses(marked, 'SQL_NAME', message, suggestion);
  });

  test('tables of WITH hide tables, and are seen by later ones and in subqueries', () => {
    expect(
      columns(
        'WITH trades AS (SELECT 1 AS x), b (y) AS (SELECT x + 1 FROM trades) SELECT y, (SELECT max(x) FROM trades) AS m FROM b',
      ),
    ).toBe('y INT64 | m INT64');
    refuses(
      'WITH a (x, y) AS (SELECT 1) SELECT * FROM a'.replace('a (', '^a ('),
      'SQL_NAME',
      '2 column names for 1 columns',
    );
  });

  test('derived tables, VALUES and files', () => {
    expect(columns("SELECT * FROM (VALUES (1, 'a'), (2.5, NULL)) AS v (n, s)")).toBe(
      'n DECIMAL(18, 1) | s STRING',
    );
    expect(columns('VALUES (1)')).toBe('column1 INT64');
    expect(columns("SELECT price FROM duckdb('old.parquet')")).toBe('price DECIMAL(18, 4)');
    expect(columns('SELECT price FROM default.trades')).toBe('price DECIMAL(18, 4)');
  });
});

describe('groups', () => {
  const groupKeys = (sql: string): string[] => {
    const query = parseQuery(sql);
    return analyzeQuery(query, testCatalog)
      .selects.get(query.body as Select)!
      .groupKeys.map(printExpression);
  };

  test('GROUP BY takes expressions, ordinals and aliases; a column of FROM comes before an alias', () => {
    expect(
      groupKeys('SELECT symbol s, xbar(timestamp, 5m) AS bar, count(*) FROM trades GROUP BY s, 2'),
    ).toEqual(['symbol', "xbar(timestamp, INTERVAL '5 minutes')"]);
    expect(groupKeys('SELECT side AS volume, sum(volume) FROM trades GROUP BY volume, side')).toEqual([
      'volume',
      'side',
    ]);
  });

  test('an expression over a group key is grouped, qualified or not', () => {
    analyze('SELECT trades.volume + 1, upper(side), sum(price) FROM trades GROUP BY volume, upper(side)');
    analyze('SELECT sum(sum(volume)) OVER (ORDER BY symbol), symbol FROM trades GROUP BY symbol');
  });

  test('HAVING and ORDER BY see aliases of the select list', () => {
    const a = analyze(
      'SELECT symbol, sum(volume) AS volume FROM trades GROUP BY symbol HAVING volume > 5 ORDER BY volume + 1, max(price)',
    );
    expect([...a.orders.values()].at(-1)!.map(({ kind }) => kind)).toEqual(['expression', 'expression']);
  });

  test.each([
    [
      'SELECT ^price FROM trades GROUP BY symbol',
      'price must stand in GROUP BY or in an aggregate such as last(price)',
    ],
    ['SELECT ^price, count(*) FROM trades', 'must stand in GROUP BY'],
    ['SELECT price + ^volume FROM trades GROUP BY price', 'must stand in GROUP BY'],
    ['SELECT ^* FROM trades GROUP BY symbol', 'must stand in GROUP BY'],
    ['SELECT symbol FROM trades GROUP BY symbol HAVING ^price > 1', 'must stand in GROUP BY'],
    ['SELECT symbol FROM trades GROUP BY symbol ORDER BY ^price', 'must stand in GROUP BY'],
    ['SELECT sum(price) FROM trades GROUP BY ^1', 'computed from the groups'],
    ['SELECT 1 FROM trades GROUP BY ^sum(price)', 'the aggregate sum cannot stand in GROUP BY'],
    ['SELECT 1 FROM trades WHERE ^sum(price) > 1', 'the aggregate sum cannot stand in WHERE'],
    ['SELECT sum(^sum(price)) FROM trades', 'inside of an aggregate'],
    ['SELECT 1 FROM trades WHERE ^row_number() OVER () = 1', 'cannot stand in WHERE'],
    ['SELECT symbol FROM trades GROUP BY symbol HAVING ^row_number() OVER () = 1', 'cannot stand in HAVING'],
    ['SELECT sum(^lag(price) OVER ()) FROM trades', 'inside of an aggregate'],
    ['SELECT lag(^lag(price) OVER ()) OVER () FROM trades', 'another window function'],
    ['SELECT ^row_number() FROM trades', 'needs OVER'],
    ['SELECT ^abs(price) OVER () FROM trades', 'takes no OVER'],
    ['SELECT ^abs(DISTINCT price) FROM trades', 'is not an aggregate'],
    ['SELECT ^first(DISTINCT price) FROM trades', 'DISTINCT'],
    ['SELECT ^wj_avg(price) FROM trades', 'needs a WINDOW JOIN'],
    ['SELECT sum(price) OVER (ORDER BY timestamp RANGE ^1.5 PRECEDING) FROM trades', 'takes an interval'],
    ['SELECT sum(price) OVER (ORDER BY volume RANGE ^5m PRECEDING) FROM trades', 'takes a number'],
    ['SELECT sum(price) OVER (RANGE ^5 PRECEDING) FROM trades', 'exactly one ORDER BY key'],
    ['SELECT sum(price) OVER (ORDER BY side RANGE ^5 PRECEDING) FROM trades', 'a number or a timestamp'],
  ])('%s', (marked, message) => {
    refuses(marked, 'SQL_TYPE', message);
  });

  test.each([['SELECT price FROM trades GROUP BY ^2'], ['SELECT price FROM trades ORDER BY ^0']])(
    '%s',
    (marked) => {
      refuses(marked, 'SQL_NAME', 'there is no column');
    },
  );
});

describe('order', () => {
  const keys = (sql: string): unknown[] => {
    const query = parseQuery(sql);
    return analyzeQuery(query, testCatalog)
      .orders.get(query)!
      .map((key) => (key.kind === 'output' ? key.index : 'expression'));
  };

  test('an ordinal, an output name or a selected expression sorts by the output column', () => {
    expect(keys('SELECT price, volume v, -volume FROM trades ORDER BY 2, v, price, -volume, side')).toEqual([
      1,
      1,
      0,
      2,
      'expression',
    ]);
  });

  test('after DISTINCT and set operations only output columns can sort', () => {
    refuses('SELECT DISTINCT price FROM trades ORDER BY ^volume', 'SQL_TYPE', 'with DISTINCT');
    refuses(
      'SELECT price FROM trades UNION SELECT 1 ORDER BY ^volume',
      'SQL_NAME',
      'is no column of the result',
    );
    expect(keys('SELECT price AS p FROM trades UNION SELECT 1 ORDER BY p, -p')).toEqual([0, 'expression']);
  });

  test('set operations have the first names and the common types', () => {
    expect(columns("SELECT price AS p, symbol FROM trades UNION ALL SELECT 1, 'x'")).toBe(
      'p DECIMAL(18, 4) | symbol STRING',
    );
    refuses('SELECT 1 ^UNION SELECT 1, 2', 'SQL_TYPE', 'with 1 and 2 columns');
    refuses("SELECT 1 ^UNION SELECT 'a'", 'SQL_TYPE', 'mixes INT64 and STRING');
  });
});

describe('joins', () => {
  const joinOf = (sql: string) => {
    const query = parseQuery(sql);
    const analysis = analyzeQuery(query, testCatalog);
    const join = analysis.joins.get((query.body as Select).from as Join)!;
    return {
      names: analysis.columns.map(({ name }) => name).join(' '),
      equalities: join.equalities.map((e) => `${printExpression(e.left)} = ${printExpression(e.right)}`),
      asof:
        join.asof === null
          ? null
          : `${printExpression(join.asof.left)} ${join.asof.strict ? '>' : '>='} ${printExpression(join.asof.right)}`,
      window:
        join.window === null
          ? null
          : [join.window.time, join.window.low, join.window.high].map(printExpression),
      residual: join.residual.map(printExpression),
    };
  };

  test('equal keys are told from other conditions, whichever side they are written on', () => {
    expect(
      joinOf(
        'SELECT t.price FROM trades t JOIN venues v ON v.symbol = t.symbol AND t.volume > v.lots AND v.lots = 3',
      ),
    ).toMatchObject({ equalities: ['t.symbol = v.symbol', '3 = v.lots'], residual: ['t.volume > v.lots'] });
  });

  test('USING merges its columns', () => {
    expect(joinOf('SELECT * FROM trades JOIN venues USING (symbol)')).toMatchObject({
      names: 'symbol price volume timestamp side aggressive venue lots fee',
      equalities: ['symbol = symbol'],
    });
    analyze('SELECT symbol FROM trades FULL JOIN venues USING (symbol)');
  });

  test('ASOF takes its keys and its time, with the sides either way round', () => {
    expect(
      joinOf(
        'SELECT t.price, bid FROM trades t ASOF JOIN quotes q ON q.timestamp <= t.timestamp + 5s AND t.symbol = q.symbol',
      ),
    ).toMatchObject({
      equalities: ['t.symbol = q.symbol'],
      asof: "t.timestamp + INTERVAL '5 seconds' >= q.timestamp",
    });
    expect(joinOf('SELECT bid FROM trades t ASOF JOIN quotes q ON t.timestamp > q.timestamp').asof).toBe(
      't.timestamp > q.timestamp',
    );
    expect(joinOf('SELECT bid FROM trades t ASOF JOIN quotes q USING (symbol, timestamp)')).toMatchObject({
      equalities: ['symbol = symbol'],
      asof: 'timestamp >= timestamp',
    });
  });

  test('AJ0 shows the left columns, and the right ones by name', () => {
    expect(
      joinOf('SELECT *, bid, q.timestamp FROM trades t AJ0 JOIN quotes q USING (symbol, timestamp)').names,
    ).toBe('symbol price volume timestamp side aggressive bid timestamp');
  });

  test('WINDOW JOIN aggregates the right side for each left row', () => {
    const sql = `SELECT t.price, wj_avg(q.bid) AS b, max(ask), count(*) FROM trades t
      WINDOW JOIN quotes q ON t.symbol = q.symbol AND q.timestamp BETWEEN t.timestamp - 5s AND t.timestamp`;
    expect(joinOf(sql)).toMatchObject({
      names: 'price b max(ask) count(*)',
      equalities: ['t.symbol = q.symbol'],
      window: ['q.timestamp', "t.timestamp - INTERVAL '5 seconds'", 't.timestamp'],
    });
    const query = parseQuery(sql);
    expect(analyzeQuery(query, testCatalog).selects.get(query.body as Select)!.grouping).toBe('window-join');
  });

  test('UNION JOIN has the columns of both, PLUS JOIN adds those of one name', () => {
    expect(joinOf('SELECT * FROM trades UNION JOIN quotes').names).toBe(
      'symbol price volume timestamp side aggressive bid ask',
    );
    const plus = analyze('SELECT * FROM trades t PLUS JOIN orders o ON t.symbol = o.symbol');
    expect(plus.columns.map(({ name }) => name).join(' ')).toBe(
      'symbol price volume timestamp side aggressive sent filled',
    );
    const combined = [...plus.selects.values()][0]!.scope.columns.map(
      ({ name, combine }) => `${name} ${combine}`,
    );
    expect(combined).toContain('volume plus');
    expect(combined).toContain('symbol first');
  });

  test.each([
    [
      'SELECT 1 FROM trades t ^ASOF JOIN quotes q ON t.symbol = q.symbol',
      'SQL_TYPE',
      'left.time >= right.time',
    ],
    [
      'SELECT 1 FROM trades t ASOF JOIN quotes q ON t.timestamp ^<= q.timestamp',
      'SQL_UNSUPPORTED',
      'left.time >= right.time',
    ],
    [
      'SELECT 1 FROM trades t ASOF JOIN quotes q ON t.timestamp >= q.timestamp AND t.price ^> q.bid',
      'SQL_TYPE',
      'one time condition',
    ],
    [
      'SELECT 1 FROM trades t ASOF JOIN quotes q ON t.timestamp >= q.timestamp AND t.price ^<> q.bid',
      'SQL_UNSUPPORTED',
      'left.key',
    ],
    ['SELECT 1 FROM trades t ^WINDOW JOIN quotes q ON t.symbol = q.symbol', 'SQL_TYPE', 'BETWEEN'],
    [
      'SELECT 1 FROM trades t PLUS JOIN quotes q ON t.price ^> q.bid',
      'SQL_UNSUPPORTED',
      'left.key = right.key',
    ],
    ['SELECT 1 FROM trades t ^PLUS JOIN quotes q ON TRUE', 'SQL_UNSUPPORTED', 'left.key = right.key'],
    [
      'SELECT 1 FROM trades t ^UNION JOIN (SELECT 1 AS price, 2 AS side) q',
      'SQL_TYPE',
      'side has types that do not go together',
    ],
    ['SELECT 1 FROM trades t JOIN quotes q USING (^nope)', 'SQL_NAME', 'unknown column nope'],
    ['SELECT 1 FROM trades t JOIN quotes q ON ^t.price', 'SQL_TYPE', 'ON needs a condition'],
    [
      'SELECT ^q.bid FROM trades t WINDOW JOIN quotes q ON q.timestamp BETWEEN t.timestamp AND t.timestamp',
      'SQL_NAME',
      'use it in an aggregate',
    ],
    [
      'SELECT ^q.* FROM trades t WINDOW JOIN quotes q ON q.timestamp BETWEEN t.timestamp AND t.timestamp',
      'SQL_NAME',
      'can only be aggregated',
    ],
    [
      'SELECT 1 FROM trades t WINDOW JOIN quotes q ON q.timestamp BETWEEN t.timestamp AND t.timestamp GROUP BY ^t.symbol',
      'SQL_UNSUPPORTED',
      'not grouped again',
    ],
    [
      'SELECT 1 FROM trades t WINDOW JOIN quotes q ON q.timestamp BETWEEN t.timestamp AND t.timestamp ^CROSS JOIN venues',
      'SQL_UNSUPPORTED',
      'must be the last join',
    ],
  ])('%s', (marked, code, message) => {
    // USING and ON TRUE have no place of their own: the error points at the join.
    const place = marked.includes('USING') || marked.includes('ON TRUE') ? null : marked;
    if (place !== null) refuses(marked, code, message);
    else
      expect(refusalOf(() => analyze(marked.replace('^', '')))).toMatchObject({
        code,
        message: expect.stringContaining(message),
      });
  });
});

describe('time series clauses', () => {
  test('SAMPLE BY groups by the items without an aggregate; the event time means the bucket', () => {
    const query = parseQuery(
      'SELECT timestamp, symbol, avg(price) FROM trades SAMPLE BY 1h FILL(linear) ORDER BY timestamp',
    );
    const select = analyzeQuery(query, testCatalog).selects.get(query.body as Select)!;
    expect(select.grouping).toBe('samples');
    expect(select.timeColumn?.name).toBe('timestamp');
    expect(select.groupKeys.map(printExpression)).toEqual(['timestamp', 'symbol']);
    analyze('SELECT avg(price) FROM trades SAMPLE BY 1h ORDER BY timestamp');
    analyze('SELECT sum(v) FROM (SELECT timestamp, volume AS v FROM trades) AS d SAMPLE BY 1h');
  });

  test.each([
    ['SELECT count(*) FROM venues SAMPLE BY ^1h', 'SQL_TYPE', 'needs a table with an event time'],
    ['SELECT price FROM trades SAMPLE BY ^1h', 'SQL_TYPE', 'needs an aggregate'],
    ['SELECT avg(price) FROM trades SAMPLE BY 1h FILL(^prev, null)', 'SQL_TYPE', '2 values for 1 aggregates'],
    ['SELECT last(side) FROM trades SAMPLE BY 1h FILL(^linear)', 'SQL_TYPE', 'needs a number'],
    ['SELECT last(price) - ^price FROM trades SAMPLE BY 1h', 'SQL_TYPE', 'must stand in GROUP BY'],
    ['SELECT * FROM trades LATEST ON ^price PARTITION BY symbol', 'SQL_TYPE', 'LATEST ON needs a timestamp'],
    ['SELECT * FROM trades LATEST ON timestamp PARTITION BY ^symbl', 'SQL_NAME', 'unknown column symbl'],
  ])('%s', (marked, code, message) => {
    refuses(marked, code, message);
  });
});

describe('the side tables', () => {
  test('every expression has a type, every column a meaning', () => {
    const a = analyze(`WITH c AS (SELECT symbol, max(price) AS top FROM trades GROUP BY symbol)
      SELECT t.symbol, CASE WHEN t.price > c.top / 2 THEN 1 END AS high, row_number() OVER (PARTITION BY t.symbol ORDER BY t.timestamp)
      FROM trades t JOIN c ON c.symbol = t.symbol WHERE t.volume IN (SELECT lots FROM venues) ORDER BY high`);
    expect(a.references.size).toBeGreaterThan(10);
    for (const type of a.types.values()) expect(type).toBeDefined();
    expect(a.commonTables.size).toBe(1);
    expect(a.outputs.size).toBe(3);
  });

  test('a query as deep as the parser allows is analysed', () => {
    const n = 30;
    analyze(`SELECT ${'(SELECT 1 + '.repeat(n)}1${')'.repeat(n)}`);
    analyze(`SELECT ${'1 + '.repeat(120)}1`);
    analyze(`SELECT ${'- '.repeat(120)}volume FROM trades`);
  });
});
