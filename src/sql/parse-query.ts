// What: queries: WITH, set operations, VALUES, parentheses, ORDER BY, LIMIT.
// Why: everything that combines whole SELECTs, apart from what one SELECT says.
// Invariant: superfluous parentheses leave no trace; chains of one set operation are one flat node.

import type { CommonTable, Expression, Query, QueryBody, RowCount, SetOperation, Values } from './ast.ts';
import { type Cursor, NESTING_MAX } from './cursor.ts';
import { parseOrderBy } from './parse-call.ts';
import { parseExpression } from './parse-expression.ts';
import { parseNumber } from './parse-literal.ts';
import { parseParameterValue, seesParameter } from './parse-parameter.ts';
import { parseSelect } from './parse-select.ts';

const queryWords: ReadonlySet<string> = new Set(['SELECT', 'WITH', 'VALUES']);
const afterOperandWords: ReadonlySet<string> = new Set([
  'UNION',
  'INTERSECT',
  'EXCEPT',
  'ORDER',
  'LIMIT',
  'OFFSET',
]);

/**
 * Whether what follows an opening parenthesis is a query. A further parenthesis may open a query's operand,
 * `((SELECT 1) UNION …)`, or an expression, `((SELECT 1) + 1)`: what follows its end tells.
 */
export function startsQuery(cursor: Cursor): boolean {
  if (queryWords.has(cursor.token.word)) return true;
  let distance = 0;
  while (distance <= NESTING_MAX && isOperator(cursor, distance, '(')) distance++;
  if (distance === 0 || !queryWords.has(cursor.ahead(distance).word)) return false;
  return afterOperandWords.has(cursor.afterClosing().word);
}

export function isOperator(cursor: Cursor, distance: number, text: string): boolean {
  const token = cursor.ahead(distance);
  return token.kind === 'operator' && token.text === text;
}

export function parseQuery(cursor: Cursor): Query {
  return cursor.nested(() => {
    const at = cursor.at;
    const commonTables = cursor.acceptWord('WITH') ? parseCommonTables(cursor) : [];
    const body = parseUnion(cursor);
    const orderBy = parseOrderBy(cursor);
    let limit: RowCount | null = null;
    let offset: RowCount | null = null;
    while (limit === null || offset === null) {
      if (limit === null && cursor.acceptWord('LIMIT')) limit = parseRowCount(cursor);
      else if (offset === null && cursor.acceptWord('OFFSET')) offset = parseRowCount(cursor);
      else break;
    }
    const plain = commonTables.length === 0 && orderBy.length === 0 && limit === null && offset === null;
    if (plain && body.kind === 'query') return body;
    return { kind: 'query', at, with: commonTables, body, orderBy, limit, offset };
  });
}

function parseCommonTables(cursor: Cursor): CommonTable[] {
  if (cursor.token.word === 'RECURSIVE') throw cursor.unsupported(cursor.at, 'WITH RECURSIVE is not offered');
  const seen = new Set<string>();
  return cursor.commaList(() => {
    const at = cursor.at;
    const name = cursor.expectName('a name');
    if (seen.has(name)) throw cursor.refuse(at, `WITH defines ${name} twice`);
    seen.add(name);
    const columns = parseColumnNames(cursor);
    cursor.expectWord('AS');
    cursor.expectOperator('(');
    const query = parseQuery(cursor);
    cursor.expectOperator(')');
    return { at, name, columns, query };
  });
}

/** `(a, b)`, or nothing. */
export function parseColumnNames(cursor: Cursor): string[] {
  if (!cursor.acceptOperator('(')) return [];
  const names = cursor.commaList(() => cursor.expectName('a column'));
  cursor.expectOperator(')');
  return names;
}

function parseRowCount(cursor: Cursor): RowCount {
  const { at, kind } = cursor.token;
  if (kind !== 'integer' && !seesParameter(cursor)) throw cursor.unexpected('a number of rows');
  const count = kind === 'integer' ? parseNumber(cursor, at, false) : parseParameterValue(cursor);
  if (count.kind === 'parameter' || (count.kind === 'integer' && count.value >= 0n)) return count;
  throw cursor.mistyped(at, 'a number of rows is a whole number from 0');
}

function parseUnion(cursor: Cursor): QueryBody {
  return parseSetOperations(cursor, ['UNION', 'EXCEPT'], () =>
    // INTERSECT binds tighter than UNION and EXCEPT.
    cursor.apart(() => parseSetOperations(cursor, ['INTERSECT'], () => parseOperand(cursor))),
  );
}

function parseSetOperations(
  cursor: Cursor,
  operators: readonly SetOperation['operator'][],
  operand: () => QueryBody,
): QueryBody {
  let left = operand();
  for (;;) {
    const at = cursor.at;
    const operator = operators.find((word) => cursor.acceptWord(word));
    if (operator === undefined) return left;
    const all = cursor.acceptWord('ALL');
    if (!all) cursor.acceptWord('DISTINCT');
    if (all && operator !== 'UNION')
      throw cursor.unsupported(at, `${operator} ALL is not offered: use ${operator}`);
    if (left.kind === 'set-operation' && left.operator === operator && left.all === all) {
      left = { ...left, operands: [...left.operands, operand()] };
    } else {
      cursor.chain();
      left = { kind: 'set-operation', at, operator, all, operands: [left, operand()] };
    }
  }
}

function parseOperand(cursor: Cursor): QueryBody {
  if (cursor.token.word === 'SELECT') return cursor.nested(() => parseSelect(cursor));
  if (cursor.token.word === 'VALUES') return parseValues(cursor);
  if (!cursor.acceptOperator('(')) throw cursor.unexpected('SELECT');
  const query = parseQuery(cursor);
  cursor.expectOperator(')');
  return isPlain(query) ? query.body : query;
}

const isPlain = (query: Query): boolean =>
  query.with.length === 0 && query.orderBy.length === 0 && query.limit === null && query.offset === null;

export function parseValues(cursor: Cursor): Values {
  const { at } = cursor.advance();
  let length = 0;
  const rows = cursor.commaList((): readonly Expression[] => {
    const rowAt = cursor.at;
    cursor.expectOperator('(');
    const row = cursor.commaList(() => parseExpression(cursor));
    cursor.expectOperator(')');
    if (length === 0) length = row.length;
    else if (row.length !== length)
      throw cursor.refuse(rowAt, `VALUES rows differ in length: ${length} and ${row.length}`);
    return row;
  });
  return { kind: 'values', at, rows };
}
