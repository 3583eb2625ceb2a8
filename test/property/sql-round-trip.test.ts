// What: the parser reads what the printer writes.
// Why: a view's definition lives as text in the catalogue; a wrong parenthesis would change what it means.
// Invariant: parse(print(tree)) = tree but for positions, and print is a fixed point.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseExpression, parseStatement } from '../../src/sql/parser.ts';
import { printExpression, printStatement } from '../../src/sql/print.ts';
import { expression, operators, withoutPositions } from '../support/sql-arbitrary.ts';
import { statement } from '../support/sql-arbitrary-statement.ts';

describe('SQL round trip', () => {
  test('a printed statement parses back to the same tree', () => {
    fc.assert(
      fc.property(statement, (tree) => {
        const text = printStatement(tree);
        const parsed = parseStatement(text);
        expect(withoutPositions(parsed)).toStrictEqual(withoutPositions(tree));
        expect(printStatement(parsed)).toBe(text);
      }),
      { numRuns: 2_500 },
    );
  });

  test('a printed expression parses back to the same tree', () => {
    fc.assert(
      fc.property(expression, (tree) => {
        expect(withoutPositions(parseExpression(printExpression(tree)))).toStrictEqual(
          withoutPositions(tree),
        );
      }),
      { numRuns: 2_500 },
    );
  });

  test('parentheses stand where precedence needs them', () => {
    fc.assert(
      fc.property(operators, (tree) => {
        expect(withoutPositions(parseExpression(printExpression(tree)))).toStrictEqual(tree);
      }),
      { numRuns: 5_000 },
    );
  });
});
