// What: the Pratt parser of expressions.
// Why: one loop and one table of precedences instead of a rule for each level.
// Invariant: every infix step that deepens the tree to the left is announced by `chain`, every recursion by `nested`.

import type { BinaryOperator, Case, CaseBranch, Expression, Like, Logical } from './ast.ts';
import type { Cursor } from './cursor.ts';
import { parseCallRest } from './parse-call.ts';
import {
  parseDuration,
  parseNumber,
  parseTimestampLiteral,
  parseType,
  seesInterval,
  startsNumber,
} from './parse-literal.ts';
import { parseParameterItems, parseParameterValue, seesParameter } from './parse-parameter.ts';
import { isOperator, parseQuery, startsQuery } from './parse-query.ts';
import * as precedence from './precedence.ts';

export function parseExpression(cursor: Cursor): Expression {
  return parseAbove(cursor, 0);
}

/** An expression of operators that bind at least as tightly as `level`. */
function parseAbove(cursor: Cursor, level: number): Expression {
  return cursor.nested(() => {
    let left = parsePrefix(cursor, level);
    // Operators from this level on may not follow any more: a < b < c, a IN (b) IN (c) and a IS NULL = b are
    // mistakes more often than not.
    let closedLevel = Number.POSITIVE_INFINITY;
    for (;;) {
      const infix = infixLevel(cursor);
      if (infix < level) return left;
      if (infix >= closedLevel)
        throw cursor.refuse(cursor.at, 'comparisons do not chain: join them with AND, or use parentheses');
      left = parseInfix(cursor, left, infix);
      if (infix === precedence.COMPARISON || infix === precedence.RANGE) closedLevel = infix;
      else if (infix === precedence.IS) closedLevel = infix + 1;
    }
  });
}

/** Level of the operator under the cursor; −1 when there is none. */
function infixLevel(cursor: Cursor): number {
  const token = cursor.token;
  if (token.kind === 'operator') return operatorLevel.get(token.text) ?? -1;
  if (token.kind !== 'word') return -1;
  if (token.word === 'NOT') return rangeWords.has(cursor.ahead(1).word) ? precedence.RANGE : -1;
  return wordLevel.get(token.word) ?? -1;
}

const operatorLevel: ReadonlyMap<string, number> = new Map([
  ...Object.entries(precedence.binaryPrecedence).filter(([operator]) => !operator.startsWith('IS')),
  ['!=', precedence.COMPARISON],
  ['==', precedence.COMPARISON],
  ['::', precedence.CAST],
]);
const rangeWords: ReadonlySet<string> = new Set(['BETWEEN', 'IN', 'LIKE', 'ILIKE']);
const wordLevel: ReadonlyMap<string, number> = new Map([
  ['OR', precedence.OR],
  ['AND', precedence.AND],
  ['IS', precedence.IS],
  ...[...rangeWords].map((word): [string, number] => [word, precedence.RANGE]),
]);
const operatorSynonyms: Readonly<Record<string, BinaryOperator>> = { '!=': '<>', '==': '=' };

function parseInfix(cursor: Cursor, left: Expression, level: number): Expression {
  switch (level) {
    case precedence.OR:
    case precedence.AND:
      return parseLogical(cursor, left, level);
    case precedence.IS:
      return parseIs(cursor, left);
    case precedence.RANGE:
      return parseRange(cursor, left);
  }
  cursor.chain();
  const { at, text } = cursor.advance();
  if (level === precedence.CAST) return { kind: 'cast', at, operand: left, type: parseType(cursor) };
  const operator = operatorSynonyms[text] ?? (text as BinaryOperator);
  return { kind: 'binary', at, operator, left, right: parseAbove(cursor, level + 1) };
}

function parseLogical(cursor: Cursor, left: Expression, level: number): Logical {
  const operator = level === precedence.OR ? 'OR' : 'AND';
  const at = cursor.at;
  const operands: Expression[] = [];
  const add = (operand: Expression): void => {
    if (operand.kind === 'logical' && operand.operator === operator) operands.push(...operand.operands);
    else operands.push(operand);
  };
  add(left);
  cursor.chain();
  while (cursor.token.word === operator) {
    cursor.advance();
    add(parseAbove(cursor, level + 1));
  }
  return { kind: 'logical', at, operator, operands };
}

function parseIs(cursor: Cursor, operand: Expression): Expression {
  cursor.chain();
  const { at } = cursor.advance();
  const negated = cursor.acceptWord('NOT');
  if (cursor.acceptWord('NULL')) return { kind: 'is-null', at, operand, negated };
  if (!cursor.acceptWords('DISTINCT', 'FROM')) throw cursor.unexpected();
  const operator = negated ? 'IS NOT DISTINCT FROM' : 'IS DISTINCT FROM';
  return { kind: 'binary', at, operator, left: operand, right: parseAbove(cursor, precedence.IS + 1) };
}

function parseRange(cursor: Cursor, operand: Expression): Expression {
  cursor.chain();
  const at = cursor.at;
  const negated = cursor.acceptWord('NOT');
  const { word } = cursor.advance();
  switch (word) {
    case 'BETWEEN': {
      const low = parseAbove(cursor, precedence.RANGE + 1);
      cursor.expectWord('AND');
      return { kind: 'between', at, operand, low, high: parseAbove(cursor, precedence.RANGE + 1), negated };
    }
    case 'IN':
      return parseIn(cursor, at, operand, negated);
    default:
      return parseLike(cursor, at, operand, negated, word === 'ILIKE');
  }
}

function parseIn(cursor: Cursor, at: number, operand: Expression, negated: boolean): Expression {
  if (seesParameter(cursor)) return inList(at, operand, parseParameterItems(cursor), negated);
  cursor.expectOperator('(');
  if (startsQuery(cursor)) {
    const query = parseQuery(cursor);
    cursor.expectOperator(')');
    return { kind: 'in-query', at, operand, query, negated };
  }
  const items = cursor.commaList(() => parseInItems(cursor)).flat();
  cursor.expectOperator(')');
  return inList(at, operand, items, negated);
}

function parseInItems(cursor: Cursor): Expression[] {
  return seesParameter(cursor) && endsItem(cursor) ? parseParameterItems(cursor) : [parseExpression(cursor)];
}

/** Whether the parameter under the cursor is a whole item, as in ({a:Int64}, {b:Int64} + 1) the first is. */
function endsItem(cursor: Cursor): boolean {
  let distance = 0;
  while (!isOperator(cursor, distance, '}') && cursor.ahead(distance).kind !== 'end') distance++;
  return isOperator(cursor, distance + 1, ',') || isOperator(cursor, distance + 1, ')');
}

/** Nothing is in an empty list, which only a list parameter can be. */
function inList(at: number, operand: Expression, items: readonly Expression[], negated: boolean): Expression {
  if (items.length === 0) return { kind: 'boolean', at, value: negated };
  return { kind: 'in-list', at, operand, items, negated };
}

function parseLike(
  cursor: Cursor,
  at: number,
  operand: Expression,
  negated: boolean,
  ignoreCase: boolean,
): Like {
  const pattern = parseAbove(cursor, precedence.RANGE + 1);
  let escapeCharacter: string | null = null;
  if (cursor.acceptWord('ESCAPE')) {
    const token = cursor.expectKind('string', 'one character in quotes');
    if ([...token.text].length !== 1) throw cursor.refuse(token.at, 'ESCAPE takes one character');
    escapeCharacter = token.text;
  }
  return { kind: 'like', at, operand, pattern, escape: escapeCharacter, ignoreCase, negated };
}

function parsePrefix(cursor: Cursor, level: number): Expression {
  const token = cursor.token;
  const { at } = token;
  if (token.kind === 'operator') {
    if (token.text === '-' || token.text === '+') return parseSigned(cursor);
    if (token.text === '(') return parseParenthesised(cursor);
    if (token.text === '{') return parseParameterValue(cursor);
    throw cursor.unexpected('an expression');
  }
  if (startsNumber(token)) return parseNumber(cursor, at, false);
  if (token.kind === 'duration') return parseDuration(cursor);
  if (token.kind === 'string') return { kind: 'string', at, value: cursor.advance().text };
  if (token.kind === 'word') {
    if (token.word === 'NOT') {
      if (level > precedence.NOT)
        throw cursor.refuse(at, 'NOT binds more loosely here: put it in parentheses');
      cursor.advance();
      return { kind: 'not', at, operand: parseAbove(cursor, precedence.NOT) };
    }
    const special = parseKeyword(cursor);
    if (special !== null) return special;
  }
  return parseColumnOrCall(cursor);
}

function parseKeyword(cursor: Cursor): Expression | null {
  const { word, at } = cursor.token;
  switch (word) {
    case 'NULL':
      cursor.advance();
      return { kind: 'null', at };
    case 'TRUE':
    case 'FALSE':
      cursor.advance();
      return { kind: 'boolean', at, value: word === 'TRUE' };
    case 'CASE':
      return parseCase(cursor);
    case 'CAST':
      return parseCast(cursor);
    case 'EXISTS': {
      cursor.advance();
      cursor.expectOperator('(');
      const query = parseQuery(cursor);
      cursor.expectOperator(')');
      return { kind: 'exists', at, query };
    }
    case 'INTERVAL':
      return seesInterval(cursor) ? parseDuration(cursor) : null;
    case 'TIMESTAMP':
    case 'DATE':
      return cursor.ahead(1).kind === 'string' ? parseTimestampLiteral(cursor) : null;
    default:
      return null;
  }
}

function parseSigned(cursor: Cursor): Expression {
  const { at, text } = cursor.advance();
  if (startsNumber(cursor.token)) return parseNumber(cursor, at, text === '-');
  const operand = parseAbove(cursor, precedence.SIGN);
  return text === '-' ? { kind: 'negate', at, operand } : operand;
}

function parseParenthesised(cursor: Cursor): Expression {
  const { at } = cursor.advance();
  if (startsQuery(cursor)) {
    const query = parseQuery(cursor);
    cursor.expectOperator(')');
    return { kind: 'scalar-query', at, query };
  }
  const inner = parseExpression(cursor);
  cursor.expectOperator(')');
  return inner;
}

function parseCase(cursor: Cursor): Case {
  const { at } = cursor.advance();
  const operand = cursor.seesWord('WHEN') ? null : parseExpression(cursor);
  const branches: CaseBranch[] = [];
  while (cursor.acceptWord('WHEN')) {
    const when = parseExpression(cursor);
    cursor.expectWord('THEN');
    branches.push({ when, result: parseExpression(cursor) });
  }
  if (branches.length === 0) throw cursor.unexpected();
  const otherwise = cursor.acceptWord('ELSE') ? parseExpression(cursor) : null;
  cursor.expectWord('END');
  return { kind: 'case', at, operand, branches, otherwise };
}

function parseCast(cursor: Cursor): Expression {
  const { at } = cursor.advance();
  cursor.expectOperator('(');
  const operand = parseExpression(cursor);
  cursor.expectWord('AS');
  const type = parseType(cursor);
  cursor.expectOperator(')');
  return { kind: 'cast', at, operand, type };
}

function parseColumnOrCall(cursor: Cursor): Expression {
  const token = cursor.token;
  const name = cursor.acceptName('an expression');
  if (name === null) throw cursor.unexpected();
  const next = cursor.token;
  if (next.kind === 'operator' && next.text === '(' && token.kind === 'word')
    return parseCallRest(cursor, token.at, name.toLowerCase());
  if (next.kind !== 'operator' || next.text !== '.')
    return { kind: 'column', at: token.at, table: null, name };
  cursor.advance();
  return { kind: 'column', at: token.at, table: name, name: cursor.expectName('a column') };
}
