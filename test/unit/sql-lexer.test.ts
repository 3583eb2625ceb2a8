// What: tokens and their positions.
// Why: every error message points at what the lexer says.
// Invariant: tokens cover the text in order, blanks and comments left out.

import { describe, expect, test } from 'vitest';
import { ZeptoError } from '../../src/kernel/errors.ts';
import { tokenize } from '../../src/sql/lexer.ts';

const kinds = (sql: string): string[] => tokenize(sql).map((token) => `${token.kind}:${token.text}`);

function refusal(sql: string): { message: string; position: unknown } {
  try {
    tokenize(sql);
  } catch (error) {
    if (error instanceof ZeptoError) return { message: error.message, position: error.context.position };
    throw error;
  }
  throw new Error(`accepted: ${sql}`);
}

describe('SQL lexer', () => {
  test('words keep their case and know their upper case', () => {
    expect(tokenize('Select')[0]).toEqual({ kind: 'word', text: 'Select', word: 'SELECT', at: 0, end: 6 });
  });

  test('positions are character offsets, past blanks and both kinds of comment', () => {
    const tokens = tokenize('a -- b\n /* c * / */ d\t"e f"');
    expect(tokens.map(({ text, at, end }) => [text, at, end])).toEqual([
      ['a', 0, 1],
      ['d', 20, 21],
      ['e f', 22, 27],
      ['', 27, 27],
    ]);
  });

  test('a comment may end the text without a newline', () => {
    expect(kinds('a --')).toEqual(['word:a', 'end:']);
  });

  test.each([
    ['42', 'integer:42'],
    ['1_000_000', 'integer:1000000'],
    ['1.', 'integer:1'],
    ['1.50', 'decimal:1.50'],
    ['.5', 'decimal:.5'],
    ['1e3', 'float:1e3'],
    ['1.5E-3', 'float:1.5E-3'],
    ['1.e2', 'float:1.e2'],
    ['5m', 'duration:5m'],
    ['500ms', 'duration:500ms'],
    ["'it''s'", "string:it's"],
    ['"a""b"', 'name:a"b'],
    ['`a``b`', 'name:a`b'],
    ['größe', 'word:größe'],
    ['日本', 'word:日本'],
  ])('%s is one token', (sql, token) => {
    expect(kinds(sql)).toEqual([token, 'end:']);
  });

  test('operators of two characters are not split', () => {
    expect(kinds('a<=b<>c!=d::e||f//g==h')).toEqual([
      'word:a',
      'operator:<=',
      'word:b',
      'operator:<>',
      'word:c',
      'operator:!=',
      'word:d',
      'operator:::',
      'word:e',
      'operator:||',
      'word:f',
      'operator://',
      'word:g',
      'operator:==',
      'word:h',
      'end:',
    ]);
  });

  test('a byte order mark and no-break spaces are blanks', () => {
    expect(kinds('\ufeffa\u00a0b')).toEqual(['word:a', 'word:b', 'end:']);
  });

  test.each([
    ["SELECT 'abc", 7, "string without its closing '"],
    ['SELECT "abc', 7, 'quoted name without its closing "'],
    ['a /* b', 2, 'comment without its closing */'],
    ['a ""', 2, 'cannot be empty'],
    ['1abc', 0, "'1abc' is neither a number nor a duration"],
    ['5M', 0, "'5M' is neither"],
    ['1.5h', 0, "'1.5h' is neither"],
    ['1.2.3', 0, "'1.2.' is not a number"],
    ['a = ’b’', 4, 'typographic quote'],
    ['a[1]', 1, 'there are no arrays'],
    ['a = $1', 4, '{name:Type}'],
    ['a = ?', 4, '{name:Type}'],
    ['a \u0000', 2, 'unexpected character "\\u0000"'],
    ['a ∞', 2, "unexpected character '∞'"],
  ])('%j is refused at %i', (sql, position, message) => {
    const error = refusal(sql);
    expect(error.message).toContain(message);
    expect(error.position).toBe(position);
  });
});
