// What: `{name:Type}` with values as ClickHouse clients send them.
// Why: values come from users of users; none may ever be read as SQL.
// Invariant: a value gives a literal of its type or a refusal.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Expression } from '../../src/sql/ast.ts';
import { parseExpression, parseStatement } from '../../src/sql/parser.ts';
import { printStatement } from '../../src/sql/print.ts';
import { refusalOf } from '../support/sql-refusal.ts';

const bound = (sql: string, values: Record<string, string>): string =>
  printStatement(parseStatement(sql, { parameters: new Map(Object.entries(values)) }));
const value = (type: string, text: string): string =>
  bound(`SELECT {p:${type}}`, { p: text }).slice('SELECT '.length);

describe('parameters', () => {
  test.each([
    ['UInt8', '13', '13'],
    ['Int64', '-9223372036854775808', '-9223372036854775808'],
    ['Float64', '1.5', '1.5e0'],
    ['Decimal(18, 4)', '150.25', '150.2500'],
    ['Decimal(9, 0)', '-7', '-7'],
    ['Bool', 'TRUE', 'TRUE'],
    ['Bool', '0', 'FALSE'],
    ['String', "it's", "'it''s'"],
    ['String', "'; DROP TABLE t --", "'''; DROP TABLE t --'"],
    ['String', "a\\tb\\\\c\\'d\\n", "'a\tb\\c''d\n'"],
    ['Nullable(String)', '\\N', 'NULL'],
    ['Symbol', 'AAPL', "'AAPL'"],
    ['DateTime64(9)', '2024-03-21 09:30:00.000000001', "TIMESTAMP '2024-03-21 09:30:00.000000001'"],
    ['DateTime', '1711013400', "TIMESTAMP '2024-03-21 09:30:00'"],
    ['DateTime64(3)', '1711013400.123', "TIMESTAMP '2024-03-21 09:30:00.123'"],
    ['Date', '2024-03-21', "TIMESTAMP '2024-03-21 00:00:00'"],
    ['Identifier', 'price', 'price'],
    ['Identifier', 't.select', 't."select"'],
  ])('{p:%s} with %s is %s', (type, text, expected) => {
    expect(value(type, text)).toBe(expected);
  });

  test.each([
    ['UInt8', '1 OR 1=1'],
    ['Int32', '2147483648'],
    ['Int64', '9223372036854775808'],
    ['UInt64', '18446744073709551615'],
    ['Int64', ''],
    ['Float64', 'nan'],
    ['Float64', 'inf'],
    ['Float64', ''],
    ['Float64', '1; DROP TABLE t'],
    ['Decimal(4, 2)', '123.45'],
    ['Decimal(4, 2)', '1.234'],
    ['Bool', 'yes'],
    ['DateTime', 'yesterday'],
    ['DateTime', '99999999999'],
    ['Array(Int64)', '[1]'],
  ])('{p:%s} refuses %j', (type, text) => {
    const error = refusalOf(() => value(type, text));
    expect(error.code).toBe('SQL_TYPE');
    expect(error.position).toBe('SELECT '.length);
  });

  test('a list parameter stands for its elements after IN', () => {
    const sql = 'SELECT a FROM t WHERE s IN {l:Array(String)}';
    expect(bound(sql, { l: "['A','it\\'s', 'x,]y']" })).toBe(
      "SELECT a FROM t WHERE s IN ('A', 'it''s', 'x,]y')",
    );
    expect(bound('SELECT a IN ({l:Array(Int64)}, 3)', { l: '[1, 2]' })).toBe('SELECT a IN (1, 2, 3)');
    expect(bound('SELECT a IN ({l:Int64} + 1, 3)', { l: '1' })).toBe('SELECT a IN (1 + 1, 3)');
    for (const text of ["['A'", "['A',]", "['A' 'B']", 'A', "[['A']]", '[1,,2]'])
      expect(refusalOf(() => bound(sql, { l: text })).code).toBe('SQL_TYPE');
  });

  test('nothing is in an empty list', () => {
    expect(bound('SELECT a IN {l:Array(Int64)}, a NOT IN {l:Array(Int64)}', { l: '[]' })).toBe(
      'SELECT FALSE, TRUE',
    );
  });

  test('a name parameter names a table', () => {
    expect(bound('SELECT 1 FROM {t:Identifier}', { t: 'my trades' })).toBe('SELECT 1 FROM "my trades"');
    expect(refusalOf(() => bound('SELECT 1 FROM {t:String}', { t: 'x' })).message).toContain(
      '{t:Identifier}',
    );
  });

  test('a row count must be a whole number from 0', () => {
    expect(bound('SELECT 1 LIMIT {n:UInt64}', { n: '5' })).toBe('SELECT 1 LIMIT 5');
    expect(refusalOf(() => bound('SELECT 1 LIMIT {n:Int64}', { n: '-5' })).code).toBe('SQL_TYPE');
    expect(refusalOf(() => bound('SELECT 1 LIMIT {n:String}', { n: '5' })).code).toBe('SQL_TYPE');
  });

  test('a missing value is an error when values are given, else the parameter stays', () => {
    expect(refusalOf(() => bound('SELECT {p:Int64}', {})).message).toContain('no value for parameter p');
    expect(parseExpression('{p:Int64}')).toEqual({
      kind: 'parameter',
      at: 0,
      name: 'p',
      type: { name: 'INT64' },
    });
  });

  test('no string value is ever anything but that string', () => {
    const escaped = (text: string): string => text.replaceAll('\\', '\\\\');
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 20 }), (text) => {
        const parsed = parseStatement('SELECT {p:String}', { parameters: new Map([['p', escaped(text)]]) });
        const item = (
          parsed.statement as unknown as { query: { body: { items: { expression: Expression }[] } } }
        ).query.body.items[0]!;
        expect(item.expression).toEqual({ kind: 'string', at: 7, value: text });
      }),
    );
  });
});
