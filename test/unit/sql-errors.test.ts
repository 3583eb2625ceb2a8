// What: syntax errors: where they point, what they expected, what they suggest.
// Why: whoever types SQL by hand mends it from the message alone.
// Invariant: position, line and column name the first character that does not fit.

import { describe, expect, test } from 'vitest';
import { lineAndColumn } from '../../src/sql/errors.ts';
import { nearest } from '../../src/sql/nearest.ts';
import { parseStatement } from '../../src/sql/parser.ts';
import { refusalOf } from '../support/sql-refusal.ts';

const refused = (sql: string) => refusalOf(() => parseStatement(sql));

describe('syntax errors', () => {
  test('the message has what was expected, what was there, and the place', () => {
    const error = refused('SELECT a\nFROM t WHERE');
    expect(error).toMatchObject({ code: 'SQL_SYNTAX', position: 21, line: 2, column: 13 });
    expect(error.message).toBe(
      'expected an expression but got the end of the statement at line 2, column 13',
    );
  });

  // The mark ^ stands before the character that the error must point at.
  test.each([
    ['^SELEKT 1', 'SELECT'],
    ['SELECT a ^t.b', 'FROM instead of', 'SELECT a FORM ^t'],
    ['SELECT * FROM t WEHRE ^x = 1', "WHERE instead of 'WEHRE'"],
    ['SELECT * FROM t x ^WEHRE y', 'WHERE'],
    ['SELECT * FROM t ^ORDER x', 'ORDER BY'],
    ['SELECT a FROM t GROUP BY a ^HAVNG b', 'HAVING'],
    ['SELECT a FROM t x ^ASFO JOIN u', 'ASOF'],
    ['SELECT a FROM t LIMIT 1 ^OFSET 2', 'OFFSET'],
    ['CREATE ^TABEL t (a INT)', 'TABLE'],
    ['CREATE ^MATERIALISED VIEW v AS SELECT 1', 'MATERIALIZED VIEW'],
    ['CREATE TABLE t (a ^DOUBEL)', 'DOUBLE'],
    ['SELECT CAST(a AS ^INTERGER)', 'INTEGER'],
    ['SHOW ^TABELS', 'TABLES'],
    ['SHOW STORAGE POLICY ^FRO t', 'FOR'],
    ['SELECT ^cuont(*)', 'count', 'SELECT cuont(^*)'],
    ['ALTER TABLE t SET STORAGE ^POLCY HOT 1', null, 'ALTER TABLE t SET ^STORAGE POLCY HOT 1'],
  ] as [string, string | null, string?][])('%s suggests %s', (marked, suggestion, other) => {
    const text = other ?? marked;
    const error = refused(text.replace('^', ''));
    expect(error.code).toBe('SQL_SYNTAX');
    expect(error.position).toBe(text.indexOf('^'));
    if (suggestion !== null) expect(error.suggestion).toContain(suggestion);
  });

  test.each([
    ['', 'expected'],
    ['^', 'expected EXPLAIN, SELECT'],
    [' -- nothing\n^', 'the end of the statement'],
    ['SELECT ^FROM t', "expected DISTINCT, ALL or an expression but got 'FROM'"],
    ['SELECT a,^, b', 'expected an expression'],
    ['SELECT a, ^FROM t', 'expected an expression'],
    ['SELECT count(a ^FROM t', "expected ',' or ')'"],
    ['SELECT (a^', "expected ')' but got the end"],
    ['SELECT a FROM ^', 'expected'],
    ['SELECT a FROM t ^)', "but got ')'"],
    ['SELECT a FROM t^, u', 'CROSS JOIN'],
    ['SELECT a FROM t ^NATURAL JOIN u', 'USING'],
    ['SELECT a FROM t JOIN u^', 'expected'],
    ['SELECT a FROM t JOIN u ON TRUE ^TOLERANCE 5s', 'TOLERANCE belongs to ASOF JOIN'],
    ['SELECT a FROM t ASOF JOIN u ON TRUE TOLERANCE ^-5s', 'an interval'],
    ["SELECT a FROM t ASOF JOIN u ON TRUE TOLERANCE ^'-5 seconds'", 'at least zero'],
    ['SELECT a FROM t WINDOW JOIN u ^USING (x)', 'expected'],
    ['SELECT a FROM t LIMIT ^-1', 'a number of rows'],
    ['SELECT a FROM t LIMIT 5 ^WHERE b', 'expected OFFSET, FORMAT, SETTINGS'],
    ['SELECT a FROM t SAMPLE ^2', 'at most 1'],
    ['SELECT a FROM t SAMPLE ^0', 'above 0'],
    ['SELECT a FROM t SAMPLE BY ^0s', 'above zero'],
    ['SELECT a FROM t SAMPLE BY ^x', 'an interval such as 5m'],
    ['SELECT a FROM t SAMPLE BY 1h ^GROUP BY a', 'leave GROUP BY out'],
    ['SELECT a FROM t SAMPLE BY 1h FILL(^x)', 'NONE, PREV, NULL, LINEAR'],
    ['SELECT a FROM t LATEST ON ts ^', 'PARTITION'],
    ['SELECT a < b ^< c', 'do not chain'],
    ['SELECT a IN (1) ^IN (2)', 'do not chain'],
    ['SELECT a IS NULL ^= b', 'do not chain'],
    ['SELECT a = ^NOT b', 'parentheses'],
    ['SELECT a IN (^)', 'expected an expression'],
    ['SELECT a BETWEEN 1 ^OR 2', 'expected AND'],
    ["SELECT a LIKE 'x' ESCAPE ^'ab'", 'one character'],
    ['SELECT CASE ^END', 'expected'],
    ['SELECT CASE WHEN a THEN 1 ^', 'expected WHEN, ELSE or END'],
    ['SELECT ^99999999999999999999', 'beyond INT64'],
    ['SELECT ^9223372036854775808', 'beyond INT64'],
    ['SELECT ^1e999', 'beyond FLOAT64'],
    ["SELECT TIMESTAMP ^'2024-02-30'", 'is not a timestamp'],
    ["SELECT INTERVAL ^'5 fortnights'", "unknown time unit 'fortnights'"],
    ["SELECT INTERVAL ^'1 month'", 'no fixed length'],
    ['SELECT INTERVAL 5 ^M', 'no fixed length'],
    ['SELECT INTERVAL 5 ^x', 'expected a unit'],
    ['SELECT CAST(a AS ^DATE)', 'use TIMESTAMP'],
    ['SELECT CAST(a AS VARCHAR^(10))', 'takes no length'],
    ['SELECT CAST(a AS ^DECIMAL)', 'DECIMAL(18, 4)'],
    ['SELECT CAST(a AS DECIMAL(^19, 4))', '1 to 18 digits'],
    ['SELECT CAST(a AS DECIMAL(^4, 5))', 'more decimals than digits'],
    ['SELECT sum(a) OVER (ORDER BY b ROWS BETWEEN ^1 FOLLOWING AND 1 PRECEDING)', 'ends before it starts'],
    ['SELECT sum(a) OVER (ORDER BY b ROWS ^1.5 PRECEDING)', 'a number of rows'],
    ['SELECT sum(a) ^OVER w', 'named windows'],
    ['SELECT sum(^*)', 'only count takes *'],
    ['SELECT 1 UNION SELECT 2 ^EXCEPT ALL SELECT 3', 'EXCEPT ALL is not offered'],
    ['WITH ^RECURSIVE a AS (SELECT 1) SELECT 1', 'RECURSIVE'],
    ['WITH a AS (SELECT 1), ^a AS (SELECT 2) SELECT 1', 'twice'],
    ['VALUES (1, 2), ^(3)', 'differ in length'],
    ['SELECT 1; ^SELECT 2', 'one statement at a time'],
    ['SELECT 1 FORMAT ^', 'a format'],
    ['SELECT 1 SETTINGS a ^1', "'='"],
    ['SELECT 1 SETTINGS a = 1, ^a = 2', 'set twice'],
    ['SELECT {a^}', "':'"],
    ['SELECT {a:^Strin}', 'unknown type'],
    ['CREATE TABLE t (a INT, ^a INT)', 'there twice'],
    ['CREATE TABLE t ^AS SELECT 1', 'expected'],
    ['CREATE OR REPLACE MATERIALIZED VIEW ^IF NOT EXISTS v AS SELECT 1', 'exclude each other'],
    ['ALTER TABLE t SET STORAGE POLICY ^', 'expected HOT, WARM, COLD or DROP'],
    ['ALTER TABLE t SET STORAGE POLICY HOT ^-1', 'an age'],
    ['ALTER TABLE t SET STORAGE POLICY HOT 1 ^WEEKS', 'MINUTES, HOURS or DAYS'],
    ['ALTER TABLE t SET STORAGE POLICY HOT 1 HOURS ^LUKEWARM 3', 'expected'],
    ['ALTER TABLE t SET ^ATTRIBUTE a SORTED', 'not needed'],
    ['INSERT INTO t^', 'VALUES, SELECT or FORMAT'],
    ['INSERT INTO t ^(a, a) VALUES (1, 2)', 'there twice'],
    ['EXPLAIN ^EXPLAIN SELECT 1', 'expected'],
    ['SHOW TABLES ^FOR t', 'expected'],
  ])('%j is refused', (marked, message) => {
    const error = refused(marked.replace('^', ''));
    expect(error.message).toContain(message);
    if (marked.includes('^')) expect(error.position).toBe(marked.indexOf('^'));
  });

  test('a message quotes at most a little of the text', () => {
    expect(refused(`SELECT a ${'x'.repeat(5_000)} y`).message.length).toBeLessThan(500);
  });
});

describe('line and column', () => {
  test('count from 1, also behind line ends of both kinds', () => {
    expect(lineAndColumn('a\r\nbc\nd', 0)).toEqual({ line: 1, column: 1 });
    expect(lineAndColumn('a\r\nbc\nd', 4)).toEqual({ line: 2, column: 2 });
    expect(lineAndColumn('a\r\nbc\nd', 6)).toEqual({ line: 3, column: 1 });
  });
});

describe('nearest name', () => {
  test.each([
    ['pirce', 'price'],
    ['Price', 'price'],
    ['volum', 'volume'],
    ['timstamp', 'timestamp'],
    ['vol', null],
    ['x', null],
    ['zzzzzz', null],
    ['p'.repeat(10_000), null],
  ])('%s → %s', (word, expected) => {
    expect(nearest(word, ['price', 'volume', 'timestamp', 'a'])).toBe(expected);
  });
});
