// What: the limits of the parser: length and nesting.
// Why: a recursive parser without them is a stack overflow that anybody can send.
// Invariant: beyond a limit the error is LIMIT_EXCEEDED; below it, parsing, printing and parsing again work.

import { describe, expect, test } from 'vitest';
import { ZeptoError } from '../../src/kernel/errors.ts';
import { NESTING_MAX } from '../../src/sql/cursor.ts';
import { SQL_LENGTH_MAX } from '../../src/sql/lexer.ts';
import { parseStatement } from '../../src/sql/parser.ts';
import { printStatement } from '../../src/sql/print.ts';
import { refusalOf } from '../support/sql-refusal.ts';

/** Statements that nest in all the ways there are. */
const shapes: Record<string, (depth: number) => string> = {
  parentheses: (n) => `SELECT ${'('.repeat(n)}1${')'.repeat(n)}`,
  'open parentheses': (n) => `SELECT ${'('.repeat(n)}`,
  'open subqueries': (n) => '(SELECT '.repeat(n),
  'parentheses before a query': (n) => `${'('.repeat(n)}SELECT 1${')'.repeat(n)}`,
  'parentheses in FROM': (n) => `SELECT * FROM ${'('.repeat(n)}SELECT 1${')'.repeat(n)}`,
  sums: (n) => `SELECT ${'1 + '.repeat(n)}1`,
  'sums to the right': (n) => `SELECT ${'1 + ('.repeat(n)}1${')'.repeat(n)}`,
  casts: (n) => `SELECT x${'::INT'.repeat(n)}`,
  negations: (n) => `SELECT ${'- '.repeat(n)}x`,
  not: (n) => `SELECT ${'NOT '.repeat(n)}x`,
  'is null': (n) => `SELECT x${' IS NULL'.repeat(n)}`,
  'and, or': (n) => `SELECT ${'a AND (b OR '.repeat(n)}c${')'.repeat(n)}`,
  calls: (n) => `SELECT ${'f('.repeat(n)}1${')'.repeat(n)}`,
  case: (n) => `SELECT ${'CASE WHEN a THEN '.repeat(n)}1${' END'.repeat(n)}`,
  between: (n) => `SELECT ${'x BETWEEN 1 AND ('.repeat(n)}1${')'.repeat(n)}`,
  'in lists': (n) => `SELECT ${'x IN ('.repeat(n)}1${')'.repeat(n)}`,
  windows: (n) => `SELECT ${'sum(x) OVER (ORDER BY '.repeat(n)}1${')'.repeat(n)}`,
  subqueries: (n) => `SELECT ${'(SELECT '.repeat(n)}1${')'.repeat(n)}`,
  'derived tables': (n) => `${'SELECT * FROM ('.repeat(n)}SELECT 1${')'.repeat(n)}`,
  'common tables': (n) => `${'WITH a AS ('.repeat(n)}SELECT 1${') SELECT 1'.repeat(n)}`,
  joins: (n) => `SELECT * FROM t${' CROSS JOIN t'.repeat(n)}`,
  'set operations': (n) => `SELECT 1${' UNION SELECT 1 EXCEPT SELECT 1'.repeat(n)}`,
  'mixed set operations': (n) => `SELECT 1${' UNION (SELECT 1 INTERSECT SELECT 1'.repeat(n)}${')'.repeat(n)}`,
  nullable: (n) => `SELECT {a:${'Nullable('.repeat(n)}Int64${')'.repeat(n)}}`,
};

function accepts(sql: string, mayBeNonsense = false): boolean {
  let parsed: ReturnType<typeof parseStatement>;
  try {
    parsed = parseStatement(sql);
  } catch (error) {
    if (!(error instanceof ZeptoError)) throw error;
    if (error.code === 'LIMIT_EXCEEDED' || mayBeNonsense) return false;
    throw error;
  }
  const text = printStatement(parsed);
  expect(printStatement(parseStatement(text))).toBe(text);
  return true;
}

describe('nesting', () => {
  test.each(Object.keys(shapes))(
    '%s: shallow is read, deep is refused, and what is read can be printed and read again',
    (name) => {
      const shape = shapes[name]!;
      for (let depth = 1; depth <= NESTING_MAX + 2; depth++) {
        const accepted = accepts(shape(depth), name.startsWith('open'));
        if (depth <= 20 && !name.startsWith('open')) expect(accepted).toBe(true);
        if (depth > NESTING_MAX) expect(accepted).toBe(false);
      }
      expect(accepts(shape(10_000), name.startsWith('open'))).toBe(false);
    },
  );

  test('the error says where the limit was passed', () => {
    const error = refusalOf(() => parseStatement(`SELECT ${'('.repeat(1_000)}`));
    expect(error.code).toBe('LIMIT_EXCEEDED');
    expect(error.position).toBeLessThan(200);
    expect(error.message).toContain(`nested more than ${NESTING_MAX} deep`);
    expect(refusalOf(() => parseStatement(`SELECT ${'1 + '.repeat(1_000)}1`)).position).toBeLessThan(600);
  });

  test('what stands side by side is not nested', () => {
    const many = (text: string, separator: string): string => Array(2_000).fill(text).join(separator);
    for (const sql of [
      `SELECT ${many('x', ', ')}`,
      `SELECT 1 WHERE ${many('a = 1', ' AND ')}`,
      `SELECT 1 WHERE ${many('a = 1', ' OR ')}`,
      `SELECT 1 WHERE x IN (${many('1', ', ')})`,
      `VALUES ${many("(1, 'a')", ', ')}`,
      many('SELECT 1', ' UNION ALL '),
      `SELECT CASE ${many('WHEN a THEN 1', ' ')} END`,
    ])
      expect(accepts(sql)).toBe(true);
  });
});

describe('length', () => {
  test('a statement of the longest length is read, one character more is refused', () => {
    const sql = 'SELECT 1'.padEnd(SQL_LENGTH_MAX, ' ');
    expect(accepts(sql)).toBe(true);
    expect(refusalOf(() => parseStatement(`${sql} `))).toMatchObject({
      code: 'LIMIT_EXCEEDED',
      position: SQL_LENGTH_MAX,
    });
    expect(refusalOf(() => parseStatement('SELECT 1', { lengthMax: 7 }))).toMatchObject({
      code: 'LIMIT_EXCEEDED',
      position: 7,
    });
  });

  test('texts built to be scanned again and again end in linear time', () => {
    const texts = [
      '(',
      '(SELECT 1, ',
      '((SELECT ',
      '1 + ',
      '/*',
      "''",
      '{a:',
      '{a:Int64}, ',
      '1_',
      '\n',
      'a.',
      'x IN ({a:Int64}, ',
      '- ',
    ];
    for (const text of texts) {
      const started = performance.now();
      for (const prefix of ['', 'SELECT ', "SELECT '", 'SELECT x IN ('])
        accepts(prefix + text.repeat(SQL_LENGTH_MAX / 8 / text.length), true);
      expect(performance.now() - started, text).toBeLessThan(5_000);
    }
  });
});
