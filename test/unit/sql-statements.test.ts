// What: questions asked of whole statements: permission, sources, whether an INSERT fits its table.
// Why: they are answered before anything runs.
// Invariant: answered from the tree alone.

import { describe, expect, test } from 'vitest';
import { accessOf } from '../../src/sql/access.ts';
import { analyzeInsert } from '../../src/sql/analyze-insert.ts';
import type { Insert } from '../../src/sql/ast.ts';
import { constantOf } from '../../src/sql/constant.ts';
import { parseExpression, parseQuery, parseStatement } from '../../src/sql/parser.ts';
import { sourcesOf } from '../../src/sql/sources.ts';
import { columnOf, decimal, typeOfColumn, typesByName } from '../../src/sql/types.ts';
import { conjuncts } from '../../src/sql/walk.ts';
import { testCatalog, testTables } from '../support/sql-catalog.ts';
import { refusalOf } from '../support/sql-refusal.ts';

describe('access', () => {
  test.each([
    ['SELECT 1', 'read'],
    ['SHOW TABLES', 'read'],
    ['DESCRIBE t', 'read'],
    ['EXPLAIN DROP TABLE t', 'read'],
    ['EXPLAIN ANALYZE INSERT INTO t VALUES (1)', 'write'],
    ['INSERT INTO t VALUES (1)', 'write'],
    ['UPDATE t SET a = 1', 'write'],
    ['DELETE FROM t', 'write'],
    ['CREATE TABLE t (a INT)', 'admin'],
    ['DROP TABLE t', 'admin'],
    ['ALTER TABLE t ADD a INT', 'admin'],
    ['CREATE MATERIALIZED VIEW v AS SELECT 1', 'admin'],
    ['DROP MATERIALIZED VIEW v', 'admin'],
  ])('%s needs %s', (sql, access) => {
    expect(accessOf(parseStatement(sql).statement)).toBe(access);
  });
});

describe('sources', () => {
  const names = (sql: string): string[] =>
    sourcesOf(parseQuery(sql)).map((source) =>
      source.kind === 'table' ? source.table.name : `${source.name}()`,
    );

  test('are found in every corner of a query', () => {
    expect(
      names(`WITH w AS (SELECT * FROM a) SELECT (SELECT 1 FROM b), CASE WHEN EXISTS (SELECT 1 FROM c) THEN 1 END
        FROM w JOIN (SELECT * FROM d) x ON x.k IN (SELECT k FROM e) CROSS JOIN duckdb('f')
        WHERE y > (SELECT max(y) FROM g) GROUP BY (SELECT 1 FROM h) HAVING (SELECT TRUE FROM i)
        UNION ALL VALUES ((SELECT 1 FROM j)) ORDER BY (SELECT 1 FROM k)`).sort(),
    ).toEqual(['a', 'b', 'c', 'd', 'duckdb()', 'e', 'g', 'h', 'i', 'j', 'k']);
  });

  test('a name of WITH is no source where it is visible, and one where it is not', () => {
    expect(names('WITH t AS (SELECT * FROM t) SELECT * FROM t')).toEqual(['t']);
    expect(names('SELECT * FROM (WITH t AS (SELECT 1) SELECT * FROM t) x CROSS JOIN t')).toEqual(['t']);
    expect(names('WITH t AS (SELECT 1) SELECT * FROM system.t')).toEqual(['t']);
  });
});

describe('INSERT', () => {
  const analyze = (sql: string) =>
    analyzeInsert(parseStatement(sql).statement as Insert, testTables.trades!, testCatalog);

  test('values go to the columns in declared or given order', () => {
    expect(analyze("INSERT INTO trades VALUES ('A', 1.5, 3, '2024-01-01', 'B', TRUE)").columns).toEqual([
      0, 1, 2, 3, 4, 5,
    ]);
    expect(
      analyze('INSERT INTO trades (timestamp, symbol, price) VALUES (5, 3, NULL), (6, 4, 1)').columns,
    ).toEqual([3, 0, 1]);
    expect(
      analyze("INSERT INTO trades (symbol, timestamp) VALUES ('A', '2024-01-01'), (7, 5)").columns,
    ).toEqual([0, 3]);
    expect(analyze('INSERT INTO trades FORMAT JSONEachRow').query).toBeNull();
    expect(
      analyze('INSERT INTO trades (symbol, price) SELECT symbol, max(bid) FROM quotes GROUP BY symbol')
        .columns,
    ).toEqual([0, 1]);
  });

  test.each([
    ["INSERT INTO trades ^VALUES ('A')", 'SQL_TYPE', 'expected 6, got 1'],
    [
      "INSERT INTO ^trades (symbol, pirce) VALUES ('A', 1)",
      'SQL_NAME',
      'unknown column pirce in trades; did you mean price?',
    ],
    ['INSERT INTO ^trades (price) VALUES (1)', 'SQL_TYPE', 'column symbol needs a value'],
    [
      "INSERT INTO trades (symbol, price) VALUES ('A', ^'x')",
      'SQL_TYPE',
      'column price: STRING cannot be stored as DECIMAL(18, 4)',
    ],
    ["INSERT INTO trades (symbol, price) VALUES ('A', 1), (^NULL, 2)", 'SQL_TYPE', 'a SYMBOL is never NULL'],
    [
      "INSERT INTO trades (symbol, timestamp) VALUES ('A', ^'soon')",
      'SQL_TYPE',
      'cannot be stored as TIMESTAMP_NS',
    ],
    ["INSERT INTO trades (symbol, volume) ^SELECT 'A', 'x'", 'SQL_TYPE', 'cannot be stored as INT64'],
  ])('%s is refused', (marked, code, message) => {
    const error = refusalOf(() => analyze(marked.replace('^', '')));
    expect(error).toMatchObject({ code, position: marked.indexOf('^') });
    expect(error.message).toContain(message);
  });
});

describe('small parts', () => {
  test('conjuncts are the operands of AND', () => {
    expect(conjuncts(null)).toEqual([]);
    expect(conjuncts(parseExpression('a OR b'))).toHaveLength(1);
    expect(conjuncts(parseExpression('a AND (b AND c) AND d'))).toHaveLength(4);
  });

  test.each([
    ['5 * 60 * 1000000000', 300_000_000_000n],
    ['-5m', -300_000_000_000n],
    ['7 // 2 - 7 % 2', 2n],
    ['1.5', 1.5],
    ["'x'", 'x'],
    ['9223372036854775807 + 1', null],
    ['1 // 0', null],
    ['x + 1', null],
    ['now()', null],
  ])('the constant %s is %s', (sql, expected) => {
    expect(constantOf(parseExpression(sql))).toBe(expected);
  });

  test('each type is stored in a column and read back from it', () => {
    for (const type of typesByName.values()) expect(typeOfColumn(columnOf('c', type))).toEqual(type);
    expect(columnOf('c', decimal(9, 4))).toEqual({ name: 'c', type: 0, scale: 4 });
    expect(columnOf('c', decimal(10, 4))).toEqual({ name: 'c', type: 1, scale: 4 });
    expect(columnOf('c', decimal(18, 0))).toEqual({ name: 'c', type: 1 });
    expect(typeOfColumn(columnOf('c', decimal(10, 4)))).toEqual(decimal(18, 4));
    expect(typeOfColumn(columnOf('c', decimal(5, 2)))).toEqual(decimal(9, 2));
  });
});
