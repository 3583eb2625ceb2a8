// What: each clause, statement and spelling, and the canonical text it is read as.
// Why: the canonical text shows how a statement was understood: precedence, defaults, synonyms.
// Invariant: what is on the right parses to itself.

import { describe, expect, test } from 'vitest';
import type { Call, Expression, Query, Select } from '../../src/sql/ast.ts';
import { parseExpression, parseQuery, parseStatement } from '../../src/sql/parser.ts';
import { printExpression, printStatement } from '../../src/sql/print.ts';

const canonical = (sql: string): string => printStatement(parseStatement(sql));

function readsAs(pairs: readonly (readonly [sql: string, canonical: string])[]): void {
  test.each(pairs)('%s', (sql, expected) => {
    expect(canonical(sql)).toBe(expected);
    expect(canonical(expected)).toBe(expected);
  });
}

/** Fully parenthesised, to show the tree. */
function tree(e: Expression): string {
  switch (e.kind) {
    case 'binary':
      return `(${tree(e.left)} ${e.operator} ${tree(e.right)})`;
    case 'logical':
      return `(${e.operands.map(tree).join(` ${e.operator} `)})`;
    case 'not':
      return `(NOT ${tree(e.operand)})`;
    case 'negate':
      return `(- ${tree(e.operand)})`;
    case 'is-null':
      return `(${tree(e.operand)} IS ${e.negated ? 'NOT ' : ''}NULL)`;
    case 'between':
      return `(${tree(e.operand)} BETWEEN ${tree(e.low)} AND ${tree(e.high)})`;
    case 'in-list':
      return `(${tree(e.operand)} IN [${e.items.map(tree).join(', ')}])`;
    case 'cast':
      return `(${tree(e.operand)} :: ${e.type.name})`;
    default:
      return printExpression(e);
  }
}

describe('precedence', () => {
  test.each([
    ['a OR b AND c', '(a OR (b AND c))'],
    ['(a OR b) AND c', '((a OR b) AND c)'],
    ['a AND (b AND c) AND d', '(a AND b AND c AND d)'],
    ['NOT a = b', '(NOT (a = b))'],
    ['NOT a AND b', '((NOT a) AND b)'],
    ['NOT NOT a', '(NOT (NOT a))'],
    ['a = b IS NULL', '((a = b) IS NULL)'],
    ['a + b * c - d', '((a + (b * c)) - d)'],
    ['a - b - c', '((a - b) - c)'],
    ['a - (b - c)', '(a - (b - c))'],
    ['a / b // c % d', '(((a / b) // c) % d)'],
    ["a || b || 'c'", "((a || b) || 'c')"],
    ['a || b + c', '(a || (b + c))'],
    ['a < b + 1', '(a < (b + 1))'],
    ['-a * b', '((- a) * b)'],
    ['- -a', '(- (- a))'],
    ['+a', 'a'],
    ['-a::INT', '(- (a :: INT32))'],
    ['-5::BIGINT', '(-5 :: INT64)'],
    ['a::INT::TEXT', '((a :: INT32) :: STRING)'],
    ['a BETWEEN 1 AND 2 AND b', '((a BETWEEN 1 AND 2) AND b)'],
    ['a BETWEEN b + 1 AND c * 2', '(a BETWEEN (b + 1) AND (c * 2))'],
    ['a IN (1, 2) = TRUE', '((a IN [1, 2]) = TRUE)'],
    ['NOT a IN (1)', '(NOT (a IN [1]))'],
    ['a IS DISTINCT FROM b OR c', '((a IS DISTINCT FROM b) OR c)'],
    ['a != b', '(a <> b)'],
    ['a == b', '(a = b)'],
    ['a -1', '(a - 1)'],
    ['a - -1', '(a - -1)'],
  ])('%s', (sql, expected) => {
    expect(tree(parseExpression(sql))).toBe(expected);
  });
});

describe('literals', () => {
  test.each<[string, unknown]>([
    ['9223372036854775807', { kind: 'integer', at: 0, value: 9223372036854775807n }],
    ['-9223372036854775808', { kind: 'integer', at: 0, value: -9223372036854775808n }],
    ['9007199254740993', { kind: 'integer', at: 0, value: 9007199254740993n }],
    ['1_000', { kind: 'integer', at: 0, value: 1000n }],
    ['150.25', { kind: 'decimal', at: 0, unscaled: 15025n, scale: 2 }],
    ['-0.10', { kind: 'decimal', at: 0, unscaled: -10n, scale: 2 }],
    ['.5', { kind: 'decimal', at: 0, unscaled: 5n, scale: 1 }],
    ['0.1234567890123456789', { kind: 'float', at: 0, value: 0.12345678901234568 }],
    ['1e3', { kind: 'float', at: 0, value: 1000 }],
    ['-1.5e-3', { kind: 'float', at: 0, value: -0.0015 }],
    ["'it''s'", { kind: 'string', at: 0, value: "it's" }],
    ['NULL', { kind: 'null', at: 0 }],
    ['true', { kind: 'boolean', at: 0, value: true }],
    ["TIMESTAMP '2024-03-21 09:30'", { kind: 'timestamp', at: 0, ns: 1_711_013_400_000_000_000n }],
    ["DATE '1970-01-02'", { kind: 'timestamp', at: 0, ns: 86_400_000_000_000n }],
    ["INTERVAL '5 minutes'", { kind: 'interval', at: 0, ns: 300_000_000_000n }],
    ["INTERVAL '5' MINUTES", { kind: 'interval', at: 0, ns: 300_000_000_000n }],
    ['INTERVAL 5 MINUTES', { kind: 'interval', at: 0, ns: 300_000_000_000n }],
    ['INTERVAL 1 m', { kind: 'interval', at: 0, ns: 60_000_000_000n }],
    ['5m', { kind: 'interval', at: 0, ns: 300_000_000_000n }],
  ])('%s', (sql, expected) => {
    expect(parseExpression(sql)).toEqual(expected);
  });

  test('the words that begin typed literals are columns elsewhere', () => {
    const columns = ['timestamp', 'date', 'interval', 'first', 'last', 'rows', 'values_', 'filter', 'over'];
    for (const name of columns)
      expect(parseExpression(name)).toEqual({ kind: 'column', at: 0, table: null, name });
    expect(tree(parseExpression('timestamp - interval'))).toBe('(timestamp - interval)');
  });
});

describe('positions', () => {
  test('a node stands at its first character, an operator at itself', () => {
    const e = parseExpression('price  *  (volume + 1)');
    expect(e).toMatchObject({
      at: 7,
      left: { at: 0 },
      right: { at: 18, left: { at: 11 }, right: { at: 20 } },
    });
  });

  test('clauses and calls know where they stand', () => {
    const { statement } = parseStatement('SELECT a,\n  sum(b) FROM t SAMPLE BY 1h');
    const select = (statement as { query: Query }).query.body as Select;
    expect(select.at).toBe(0);
    expect(select.items.map((item) => item.at)).toEqual([7, 12]);
    expect(select.from?.at).toBe(24);
    expect(select.sampleBy?.at).toBe(36);
  });
});

describe('expressions', () => {
  readsAs([
    ['SELECT case when a then 1 else 2 end', 'SELECT CASE WHEN a THEN 1 ELSE 2 END'],
    [
      "SELECT CASE x WHEN 1 THEN 'a' WHEN 2 THEN 'b' END",
      "SELECT CASE x WHEN 1 THEN 'a' WHEN 2 THEN 'b' END",
    ],
    ['SELECT x::DECIMAL(18,4), CAST(y AS VARCHAR)', 'SELECT CAST(x AS DECIMAL(18, 4)), CAST(y AS STRING)'],
    ["SELECT a NOT LIKE 'x%' ESCAPE '!' , b ILIKE 'y'", "SELECT a NOT LIKE 'x%' ESCAPE '!', b ILIKE 'y'"],
    [
      'SELECT a NOT BETWEEN 1 AND 2, b NOT IN (1), c IS NOT NULL',
      'SELECT a NOT BETWEEN 1 AND 2, b NOT IN (1), c IS NOT NULL',
    ],
    ['SELECT a IS NOT DISTINCT FROM NULL', 'SELECT a IS NOT DISTINCT FROM NULL'],
    [
      'SELECT COUNT(*), Count(), count(DISTINCT a), SUM(a) FILTER (WHERE b > 1)',
      'SELECT count(*), count(*), count(DISTINCT a), sum(a) FILTER (WHERE b > 1)',
    ],
    [
      'SELECT (SELECT 1), EXISTS (SELECT 1), a IN (SELECT b FROM t)',
      'SELECT (SELECT 1), EXISTS (SELECT 1), a IN (SELECT b FROM t)',
    ],
    ['SELECT ((SELECT 1) + 1)', 'SELECT (SELECT 1) + 1'],
    ['SELECT ((SELECT 1) UNION ALL SELECT 2)', 'SELECT (SELECT 1 UNION ALL SELECT 2)'],
    ['SELECT -(5), - x, -(-x), -(a + b)', 'SELECT -(5), -x, - -x, -(a + b)'],
    ['SELECT 1000000000000000000000.0', 'SELECT 1e+21'],
  ]);
});

describe('window functions', () => {
  readsAs([
    ['SELECT row_number() OVER ()', 'SELECT row_number() OVER ()'],
    [
      'SELECT avg(p) OVER (PARTITION BY s ORDER BY t ROWS 20 PRECEDING)',
      'SELECT avg(p) OVER (PARTITION BY s ORDER BY t ROWS BETWEEN 20 PRECEDING AND CURRENT ROW)',
    ],
    [
      'SELECT sum(p) OVER (ORDER BY t DESC NULLS FIRST ROWS UNBOUNDED PRECEDING)',
      'SELECT sum(p) OVER (ORDER BY t DESC NULLS FIRST ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)',
    ],
    [
      'SELECT sum(p) OVER (ORDER BY t RANGE BETWEEN 5m PRECEDING AND 1.5 FOLLOWING)',
      "SELECT sum(p) OVER (ORDER BY t RANGE BETWEEN INTERVAL '5 minutes' PRECEDING AND 1.5 FOLLOWING)",
    ],
    [
      'SELECT sum(p) OVER (ROWS BETWEEN 1 PRECEDING AND UNBOUNDED FOLLOWING)',
      'SELECT sum(p) OVER (ROWS BETWEEN 1 PRECEDING AND UNBOUNDED FOLLOWING)',
    ],
  ]);
});

describe('select', () => {
  readsAs([
    ['select 1;', 'SELECT 1'],
    ['SELECT ALL a, t.*, * FROM t', 'SELECT a, t.*, * FROM t'],
    [
      'SELECT DISTINCT a b, c AS "d e", f AS select FROM t',
      'SELECT DISTINCT a AS b, c AS "d e", f AS "select" FROM t',
    ],
    ['SELECT `a`, "b" FROM `t`', 'SELECT a, b FROM t'],
    ['SELECT a FROM system.tiers', 'SELECT a FROM system.tiers'],
    ['SELECT a FROM t SAMPLE 0.1 WHERE b', 'SELECT a FROM t SAMPLE 0.1 WHERE b'],
    ['SELECT a FROM t x SAMPLE 1 JOIN u ON TRUE', 'SELECT a FROM t AS x SAMPLE 1 JOIN u ON TRUE'],
    [
      'SELECT a, count(*) FROM t WHERE b GROUP BY 1, c + 1 HAVING count(*) > 1 ORDER BY 2 DESC, a ASC NULLS LAST LIMIT 10 OFFSET 5',
      'SELECT a, count(*) FROM t WHERE b GROUP BY 1, c + 1 HAVING count(*) > 1 ORDER BY 2 DESC, a LIMIT 10 OFFSET 5',
    ],
    ['SELECT a FROM t OFFSET 5 LIMIT 10', 'SELECT a FROM t LIMIT 10 OFFSET 5'],
    ["SELECT * FROM duckdb('s3://b/*.parquet') d", "SELECT * FROM duckdb('s3://b/*.parquet') AS d"],
    ['SELECT * FROM (SELECT 1) AS x (a)', 'SELECT * FROM (SELECT 1) AS x (a)'],
    ['SELECT * FROM ((SELECT 1))', 'SELECT * FROM (SELECT 1)'],
    ['SELECT * FROM (VALUES (1, 2), (3, 4)) v (a, b)', 'SELECT * FROM (VALUES (1, 2), (3, 4)) AS v (a, b)'],
    ['VALUES (1), (2)', 'VALUES (1), (2)'],
    [
      'WITH a AS (SELECT 1), b (x) AS (SELECT * FROM a) SELECT * FROM b',
      'WITH a AS (SELECT 1), b (x) AS (SELECT * FROM a) SELECT * FROM b',
    ],
  ]);
});

describe('set operations', () => {
  readsAs([
    ['SELECT 1 UNION SELECT 2 UNION SELECT 3', 'SELECT 1 UNION SELECT 2 UNION SELECT 3'],
    ['(SELECT 1 UNION ALL SELECT 2) UNION ALL SELECT 3', 'SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3'],
    ['SELECT 1 UNION ALL (SELECT 2 UNION ALL SELECT 3)', 'SELECT 1 UNION ALL (SELECT 2 UNION ALL SELECT 3)'],
    ['SELECT 1 UNION DISTINCT SELECT 2', 'SELECT 1 UNION SELECT 2'],
    ['SELECT 1 UNION SELECT 2 INTERSECT SELECT 3', 'SELECT 1 UNION SELECT 2 INTERSECT SELECT 3'],
    ['(SELECT 1 UNION SELECT 2) INTERSECT SELECT 3', '(SELECT 1 UNION SELECT 2) INTERSECT SELECT 3'],
    ['SELECT 1 EXCEPT SELECT 2 ORDER BY 1 LIMIT 1', 'SELECT 1 EXCEPT SELECT 2 ORDER BY 1 LIMIT 1'],
    ['(SELECT 1 ORDER BY 1 LIMIT 1) UNION ALL SELECT 2', '(SELECT 1 ORDER BY 1 LIMIT 1) UNION ALL SELECT 2'],
    ['((SELECT 1))', 'SELECT 1'],
  ]);

  test('INTERSECT binds tighter than UNION', () => {
    const { body } = parseQuery('SELECT 1 UNION SELECT 2 INTERSECT SELECT 3');
    expect(body).toMatchObject({
      operator: 'UNION',
      operands: [{ kind: 'select' }, { operator: 'INTERSECT' }],
    });
  });

  test('a chain of one operation is one flat node, of two kinds it nests to the left', () => {
    expect(parseQuery('SELECT 1 UNION SELECT 2 UNION SELECT 3').body).toMatchObject({
      operands: { length: 3 },
    });
    expect(parseQuery('SELECT 1 UNION ALL SELECT 2 UNION SELECT 3').body).toMatchObject({
      all: false,
      operands: [{ operator: 'UNION', all: true }, { kind: 'select' }],
    });
  });
});

describe('joins', () => {
  const select = (join: string): string => `SELECT * FROM a ${join}`;
  readsAs(
    [
      ['INNER JOIN b ON a.x = b.x', 'JOIN b ON a.x = b.x'],
      ['LEFT OUTER JOIN b USING (x, y)', 'LEFT JOIN b USING (x, y)'],
      ['RIGHT JOIN b ON TRUE', 'RIGHT JOIN b ON TRUE'],
      ['FULL OUTER JOIN b ON TRUE', 'FULL JOIN b ON TRUE'],
      ['CROSS JOIN b', 'CROSS JOIN b'],
      [
        'ASOF JOIN b ON a.t >= b.t TOLERANCE 500ms',
        "ASOF JOIN b ON a.t >= b.t TOLERANCE INTERVAL '500 milliseconds'",
      ],
      [
        'ASOF LEFT JOIN b ON a.t >= b.t TOLERANCE 5 SECONDS',
        "ASOF LEFT JOIN b ON a.t >= b.t TOLERANCE INTERVAL '5 seconds'",
      ],
      ['AJ0 JOIN b USING (x, t)', 'AJ0 JOIN b USING (x, t)'],
      [
        'WINDOW JOIN b ON b.t BETWEEN a.t - 5s AND a.t',
        "WINDOW JOIN b ON b.t BETWEEN a.t - INTERVAL '5 seconds' AND a.t",
      ],
      ['UNION JOIN b', 'UNION JOIN b'],
      ['PLUS JOIN b ON a.x = b.x', 'PLUS JOIN b ON a.x = b.x'],
      ['JOIN b ON TRUE LEFT JOIN (SELECT 1) c ON TRUE', 'JOIN b ON TRUE LEFT JOIN (SELECT 1) AS c ON TRUE'],
      ['UNION SELECT 1', 'UNION SELECT 1'],
    ].map(([sql, expected]) => [select(sql!), select(expected!)]),
  );
});

describe('time series clauses', () => {
  readsAs([
    ['SELECT s, avg(p) FROM t SAMPLE BY 5m', "SELECT s, avg(p) FROM t SAMPLE BY INTERVAL '5 minutes'"],
    [
      'SELECT avg(p) FROM t SAMPLE BY 1 HOUR FILL(prev)',
      "SELECT avg(p) FROM t SAMPLE BY INTERVAL '1 hour' FILL(PREV)",
    ],
    [
      "SELECT avg(p) FROM t WHERE x SAMPLE BY INTERVAL '90' SECOND FILL(none, NULL, linear, -1.5) ORDER BY 1",
      "SELECT avg(p) FROM t WHERE x SAMPLE BY INTERVAL '90 seconds' FILL(NONE, NULL, LINEAR, -1.5) ORDER BY 1",
    ],
    [
      'SELECT * FROM t WHERE a LATEST ON ts PARTITION BY symbol, t.side',
      'SELECT * FROM t WHERE a LATEST ON ts PARTITION BY symbol, t.side',
    ],
  ]);
});

describe('format, settings and parameters', () => {
  readsAs([
    ['SELECT 1 FORMAT JSONEachRow', 'SELECT 1 FORMAT JSONEachRow'],
    ['SELECT a FROM t FORMAT Null;', 'SELECT a FROM t FORMAT Null'],
    [
      "SELECT 1 FORMAT CSV SETTINGS a = 1, b = 'x', c = true, d = fast, e = -1.5",
      "SELECT 1 SETTINGS a = 1, b = 'x', c = TRUE, d = 'fast', e = -1.5 FORMAT CSV",
    ],
    ['SHOW TABLES FORMAT JSON', 'SHOW TABLES FORMAT JSON'],
    [
      'SELECT {a:UInt8}, {b:Nullable(String)} LIMIT {n:UInt64}',
      'SELECT {a:INT32}, {b:STRING} LIMIT {n:INT64}',
    ],
    [
      "SELECT a IN {l:Array(LowCardinality(String))}, {t:DateTime64(9, 'UTC')}",
      'SELECT a IN ({l:ARRAY(STRING)}), {t:TIMESTAMP_NS}',
    ],
    ['SELECT {d:Decimal(9, 2)}', 'SELECT {d:DECIMAL(9, 2)}'],
  ]);
});

describe('data definition', () => {
  readsAs([
    [
      "CREATE TABLE IF NOT EXISTS t (a BIGINT, b double, c DECIMAL(18,4), d symbol, e TEXT, f timestamp, g BOOLEAN, h INT, i REAL) WITH (topic='x', format = json, n = 3)",
      "CREATE TABLE IF NOT EXISTS t (a INT64, b FLOAT64, c DECIMAL(18, 4), d SYMBOL, e STRING, f TIMESTAMP_NS, g BOOL, h INT32, i FLOAT32) WITH (topic = 'x', format = 'json', n = 3)",
    ],
    ['CREATE TABLE s.t (a NUMERIC(5))', 'CREATE TABLE s.t (a DECIMAL(5, 0))'],
    ['DROP TABLE IF EXISTS t', 'DROP TABLE IF EXISTS t'],
    ['DROP TABLE if', 'DROP TABLE if'],
    ['ALTER TABLE t ADD COLUMN a INT', 'ALTER TABLE t ADD COLUMN a INT32'],
    ['ALTER TABLE t ADD a INT', 'ALTER TABLE t ADD COLUMN a INT32'],
    ['ALTER TABLE t DROP a', 'ALTER TABLE t DROP COLUMN a'],
    ['ALTER TABLE t SET TTL 30 DAYS', 'ALTER TABLE t SET TTL 30 DAYS'],
    ['ALTER TABLE t SET TTL 30', 'ALTER TABLE t SET TTL 30 DAYS'],
    [
      'ALTER TABLE t SET STORAGE POLICY HOT 90 MINUTES WARM 24 COLD 30 DAYS DROP 365 DAYS',
      'ALTER TABLE t SET STORAGE POLICY HOT 90 MINUTES WARM 1 DAYS COLD 30 DAYS DROP 365 DAYS',
    ],
    [
      'ALTER TABLE t SET STORAGE POLICY WARM 1 FORMAT JSON',
      'ALTER TABLE t SET STORAGE POLICY WARM 1 HOURS FORMAT JSON',
    ],
    [
      "CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT s, xbar(ts, 1m) AS bar, sum(v) FROM t GROUP BY s, bar WITH (topic='bars')",
      "CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT s, xbar(ts, INTERVAL '1 minute') AS bar, sum(v) FROM t GROUP BY s, bar WITH (topic = 'bars')",
    ],
    [
      'CREATE MATERIALIZED VIEW IF NOT EXISTS v AS SELECT 1',
      'CREATE MATERIALIZED VIEW IF NOT EXISTS v AS SELECT 1',
    ],
    ['DROP MATERIALIZED VIEW IF EXISTS v', 'DROP MATERIALIZED VIEW IF EXISTS v'],
  ]);
});

describe('other statements', () => {
  readsAs([
    [
      "INSERT INTO t VALUES (1, 'a', NULL), (2, 'b', -1.5)",
      "INSERT INTO t VALUES (1, 'a', NULL), (2, 'b', -1.5)",
    ],
    ['INSERT INTO t (a, b) SELECT 1, 2', 'INSERT INTO t (a, b) SELECT 1, 2'],
    ['INSERT INTO t (SELECT 1)', 'INSERT INTO t SELECT 1'],
    ['INSERT INTO t (a) FORMAT JSONEachRow', 'INSERT INTO t (a) FORMAT JSONEachRow'],
    ['UPDATE t SET a = 1, b = c + 1 WHERE d', 'UPDATE t SET a = 1, b = c + 1 WHERE d'],
    ['DELETE FROM t WHERE a = 1', 'DELETE FROM t WHERE a = 1'],
    ['show tables', 'SHOW TABLES'],
    ['SHOW MATERIALIZED VIEWS', 'SHOW MATERIALIZED VIEWS'],
    ['SHOW STORAGE POLICY FOR t', 'SHOW STORAGE POLICY FOR t'],
    ['SHOW STORAGE POLICY', 'SHOW STORAGE POLICY'],
    ['SHOW TIERS FOR t', 'SHOW TIERS FOR t'],
    ['SHOW SEGMENTS', 'SHOW SEGMENTS'],
    ['SHOW KAFKA LAG', 'SHOW KAFKA LAG'],
    ['DESC t', 'DESCRIBE t'],
    ['DESCRIBE TABLE s.t', 'DESCRIBE s.t'],
    ['EXPLAIN SELECT 1', 'EXPLAIN SELECT 1'],
    ['EXPLAIN ANALYZE SELECT 1', 'EXPLAIN ANALYZE SELECT 1'],
    [
      'EXPLAIN ALTER TABLE t SET STORAGE POLICY HOT 1',
      'EXPLAIN ALTER TABLE t SET STORAGE POLICY HOT 1 HOURS',
    ],
  ]);
});

describe('the clause words as names', () => {
  test('soft keywords are columns, tables and aliases after AS', () => {
    for (const word of [
      'sample',
      'latest',
      'window',
      'asof',
      'plus',
      'tolerance',
      'over',
      'filter',
      'format',
      'settings',
      'aj0',
    ]) {
      const sql = `SELECT ${word} AS ${word} FROM ${word} AS ${word} WHERE ${word} = 1`;
      expect(canonical(sql)).toBe(sql);
    }
  });

  test('a call keeps the name it was written with, in lower case', () => {
    expect((parseExpression('Mean(x)') as Call).name).toBe('mean');
  });
});
