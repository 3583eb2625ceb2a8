// What: FROM: tables, subqueries, duckdb('…'), and the chain of joins.
// Why: the tick joins (ASOF, AJ0, WINDOW, UNION, PLUS) are what this dialect adds to SQL.
// Invariant: a join has a condition exactly when its kind takes one; a tolerance only with ASOF and AJ0.

import type {
  DerivedTable,
  JoinCondition,
  JoinKind,
  TableExpression,
  TableName,
  TableSource,
} from './ast.ts';
import type { Cursor } from './cursor.ts';
import { parseExpression } from './parse-expression.ts';
import { parseLength, startsNumber } from './parse-literal.ts';
import { parseParameterName, seesParameter } from './parse-parameter.ts';
import { parseColumnNames, parseQuery } from './parse-query.ts';

export function parseTableExpression(cursor: Cursor): TableExpression {
  let left: TableExpression = parseSource(cursor);
  for (;;) {
    const at = cursor.at;
    const join = parseJoinKind(cursor);
    if (join === null) return left;
    cursor.chain();
    const right = parseSource(cursor);
    const condition = join === 'CROSS' || join === 'UNION' ? null : parseCondition(cursor, join);
    left = { kind: 'join', at, join, left, right, condition, toleranceNs: parseTolerance(cursor, join) };
  }
}

/** [schema.]table */
export function parseTableName(cursor: Cursor, what = 'a table'): TableName {
  const at = cursor.at;
  if (seesParameter(cursor)) return { at, schema: null, name: parseParameterName(cursor) };
  const first = cursor.expectName(what);
  if (!cursor.acceptOperator('.')) return { at, schema: null, name: first };
  return { at, schema: first, name: cursor.expectName(what) };
}

function parseSource(cursor: Cursor): TableSource {
  const at = cursor.at;
  if (cursor.acceptOperator('(')) return parseDerived(cursor, at);
  const call = cursor.ahead(1);
  if (cursor.token.kind === 'word' && call.kind === 'operator' && call.text === '(') {
    const name = cursor.expectName('a table function').toLowerCase();
    cursor.expectOperator('(');
    const args = cursor.commaList(() => parseExpression(cursor));
    cursor.expectOperator(')');
    return { kind: 'table-function', at, name, args, alias: cursor.acceptAlias() };
  }
  const table = parseTableName(cursor);
  const alias = cursor.acceptAlias();
  return { kind: 'table', at, table, alias, sampleRatio: parseSampleRatio(cursor) };
}

function parseDerived(cursor: Cursor, at: number): DerivedTable {
  const query = parseQuery(cursor);
  cursor.expectOperator(')');
  const alias = cursor.acceptAlias();
  return { kind: 'derived', at, query, alias, columns: alias === null ? [] : parseColumnNames(cursor) };
}

function parseSampleRatio(cursor: Cursor): number | null {
  // SAMPLE BY is another clause.
  if (cursor.ahead(1).word === 'BY' || !cursor.acceptWord('SAMPLE')) return null;
  if (!startsNumber(cursor.token)) throw cursor.unexpected('a share such as 0.1');
  const token = cursor.advance();
  const ratio = Number(token.text);
  if (!(ratio > 0 && ratio <= 1)) throw cursor.refuse(token.at, 'SAMPLE takes a share above 0 and at most 1');
  return ratio;
}

const joinWords = ['INNER', 'LEFT', 'RIGHT', 'FULL', 'CROSS', 'ASOF', 'AJ0', 'WINDOW', 'PLUS', 'UNION'];

function parseJoinKind(cursor: Cursor): JoinKind | null {
  const { word, at, kind, text } = cursor.token;
  if (kind === 'operator' && text === ',')
    throw cursor.unsupported(at, 'tables are joined by CROSS JOIN, not by a comma');
  if (word === 'NATURAL') throw cursor.unsupported(at, 'NATURAL JOIN is not offered: write USING (…)');
  const setOperation = word === 'UNION' && cursor.ahead(1).word !== 'JOIN';
  if (setOperation || (word !== 'JOIN' && !joinWords.includes(word))) {
    cursor.alternative('JOIN', joinWords);
    return null;
  }
  if (cursor.acceptWord('JOIN') || cursor.acceptWords('INNER', 'JOIN')) return 'INNER';
  for (const side of ['LEFT', 'RIGHT', 'FULL'] as const) {
    if (!cursor.acceptWord(side)) continue;
    cursor.acceptWord('OUTER');
    cursor.expectWord('JOIN');
    return side;
  }
  for (const asof of ['ASOF', 'AJ0'] as const) {
    if (!cursor.acceptWord(asof)) continue;
    const left = cursor.acceptWord('LEFT');
    cursor.expectWord('JOIN');
    return left ? `${asof} LEFT` : asof;
  }
  for (const plain of ['CROSS', 'WINDOW', 'PLUS', 'UNION'] as const)
    if (cursor.acceptWords(plain, 'JOIN')) return plain;
  throw cursor.unexpected();
}

function parseCondition(cursor: Cursor, join: JoinKind): JoinCondition {
  if (cursor.acceptWord('ON')) return { kind: 'on', expression: parseExpression(cursor) };
  if (join === 'WINDOW' || !cursor.acceptWord('USING')) throw cursor.unexpected();
  cursor.expectOperator('(');
  const columns = cursor.commaList(() => cursor.expectName('a column'));
  cursor.expectOperator(')');
  return { kind: 'using', columns };
}

function parseTolerance(cursor: Cursor, join: JoinKind): bigint | null {
  const at = cursor.at;
  const asof = join.startsWith('ASOF') || join.startsWith('AJ0');
  if (!asof && cursor.token.word !== 'TOLERANCE') return null;
  if (!cursor.acceptWord('TOLERANCE')) return null;
  if (!asof) throw cursor.refuse(at, 'TOLERANCE belongs to ASOF JOIN and AJ0 JOIN');
  return parseLength(cursor, 'TOLERANCE', 0n);
}
