// What: the parser on texts that nobody would write.
// Why: SQL comes from the network; a crash, a hang or an untyped error would be an outage anyone can cause.
// Invariant: every text gives a statement or a ZeptoError with a position inside of the text.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { ParsedStatement } from '../../src/sql/ast.ts';
import { parseStatement } from '../../src/sql/parser.ts';
import { printStatement } from '../../src/sql/print.ts';
import { statement } from '../support/sql-arbitrary-statement.ts';

/** Either refused properly, or accepted, and then its printed form is accepted too. */
function survives(sql: string): void {
  const parsed = parseOrRefuse(sql);
  if (parsed === null) return;
  const text = printStatement(parsed);
  expect(printStatement(parseStatement(text))).toBe(text);
}

function parseOrRefuse(sql: string): ParsedStatement | null {
  try {
    return parseStatement(sql);
  } catch (error) {
    if (!(error instanceof ZeptoError)) throw error;
    expect(['SQL_SYNTAX', 'SQL_UNSUPPORTED', 'SQL_TYPE', 'LIMIT_EXCEEDED']).toContain(error.code);
    const { position } = error.context;
    expect(position).toBeGreaterThanOrEqual(0);
    expect(position).toBeLessThanOrEqual(sql.length);
    expect(error.message.length).toBeLessThan(1_000);
    return null;
  }
}

const fragments = [
  'SELECT',
  'FROM',
  'WHERE',
  'GROUP',
  'BY',
  'ORDER',
  'LIMIT',
  'JOIN',
  'ASOF',
  'ON',
  'AS',
  'UNION',
  'ALL',
  'WITH',
  'VALUES',
  'CASE',
  'WHEN',
  'THEN',
  'END',
  'NOT',
  'IN',
  'BETWEEN',
  'AND',
  'OR',
  'IS',
  'NULL',
  'LIKE',
  'OVER',
  'ROWS',
  'PRECEDING',
  'SAMPLE',
  'FILL',
  'LATEST',
  'PARTITION',
  'INTERVAL',
  'TIMESTAMP',
  'CREATE',
  'TABLE',
  'ALTER',
  'SET',
  'SHOW',
  'EXPLAIN',
  'INSERT',
  'INTO',
  'FORMAT',
  'SETTINGS',
  'CAST',
  'EXISTS',
  '(',
  ')',
  ',',
  '.',
  ';',
  '*',
  '+',
  '-',
  '/',
  '::',
  '=',
  '<',
  '||',
  '{',
  '}',
  ':',
  "'x'",
  '"q"',
  '`b`',
  '1',
  '1.5',
  '1e3',
  '5m',
  'x',
  't',
  'count',
  '--',
  '/*',
  '*/',
  "'",
  '"',
  '5 minutes',
  'Array',
  'Int64',
  '\n',
  '\u0000',
  '\ud800',
  '∞',
];

describe('SQL fuzz', () => {
  test('random text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 60 }), survives), { numRuns: 2_500 });
  });

  test('random bytes read as UTF-8 and as Latin-1', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        survives(Buffer.from(bytes).toString('utf8'));
        survives(Buffer.from(bytes).toString('latin1'));
      }),
      { numRuns: 1_500 },
    );
  });

  test('random sequences of the words of the language', () => {
    const sequence = fc.array(fc.constantFrom(...fragments), { maxLength: 30 });
    fc.assert(
      fc.property(sequence, (words) => survives(words.join(' '))),
      { numRuns: 5_000 },
    );
  });

  test('valid statements cut, doubled, swapped and patched', () => {
    const mutation = fc.record({
      kind: fc.constantFrom('cut', 'keep', 'double', 'patch'),
      from: fc.nat({ max: 400 }),
      length: fc.nat({ max: 20 }),
      patch: fc.constantFrom(...fragments),
    });
    fc.assert(
      fc.property(statement, fc.array(mutation, { minLength: 1, maxLength: 3 }), (tree, mutations) => {
        let sql = printStatement(tree);
        for (const { kind, from, length, patch } of mutations) {
          const start = from % (sql.length + 1);
          const middle = sql.slice(start, start + length);
          const rest = sql.slice(start + length);
          if (kind === 'cut') sql = sql.slice(0, start) + rest;
          else if (kind === 'keep') sql = sql.slice(0, start + length);
          else if (kind === 'double') sql = sql.slice(0, start) + middle + middle + rest;
          else sql = `${sql.slice(0, start)} ${patch} ${rest}`;
        }
        survives(sql);
      }),
      { numRuns: 5_000 },
    );
  });
});
