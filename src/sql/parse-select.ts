// What: one SELECT: its items and clauses in their order.
// Why: the clause order is the part of the grammar that people get wrong, so it stands in one place.
// Invariant: clauses come at most once and in the order of parseSelect.

import type { ColumnReference, Expression, Fill, LatestOn, SampleBy, Select, SelectItem } from './ast.ts';
import type { Cursor } from './cursor.ts';
import { parseExpression } from './parse-expression.ts';
import { parseTableExpression } from './parse-from.ts';
import { parseLength, parseNumber, startsNumber } from './parse-literal.ts';

export function parseSelect(cursor: Cursor): Select {
  const { at } = cursor.advance();
  const distinct = cursor.acceptWord('DISTINCT');
  if (!distinct) cursor.acceptWord('ALL');
  const items = cursor.commaList(() => parseItem(cursor));
  const from = cursor.acceptWord('FROM') ? parseTableExpression(cursor) : null;
  const where = cursor.acceptWord('WHERE') ? parseExpression(cursor) : null;
  const sampleBy = cursor.acceptWords('SAMPLE', 'BY') ? parseSampleBy(cursor) : null;
  const latestOn = cursor.acceptWords('LATEST', 'ON') ? parseLatestOn(cursor) : null;
  const groupBy = parseGroupBy(cursor, sampleBy);
  const having = cursor.acceptWord('HAVING') ? parseExpression(cursor) : null;
  return { kind: 'select', at, distinct, items, from, where, sampleBy, latestOn, groupBy, having };
}

function parseItem(cursor: Cursor): SelectItem {
  const { at, kind } = cursor.token;
  if (isStar(cursor, 0)) {
    cursor.advance();
    return { kind: 'star', at, table: null };
  }
  const dot = cursor.ahead(1);
  const qualified = (kind === 'word' || kind === 'name') && dot.kind === 'operator' && dot.text === '.';
  if (qualified && isStar(cursor, 2)) {
    const table = cursor.expectName('a table');
    cursor.advance();
    cursor.advance();
    return { kind: 'star', at, table };
  }
  const expression = parseExpression(cursor);
  return { kind: 'expression', at, expression, alias: cursor.acceptAlias() };
}

function isStar(cursor: Cursor, distance: number): boolean {
  const token = cursor.ahead(distance);
  return token.kind === 'operator' && token.text === '*';
}

function parseSampleBy(cursor: Cursor): SampleBy {
  const at = cursor.at;
  const everyNs = parseLength(cursor, 'the bucket of SAMPLE BY', 1n);
  let fill: Fill[] = [];
  if (cursor.acceptWord('FILL')) {
    cursor.expectOperator('(');
    fill = cursor.commaList(() => parseFill(cursor));
    cursor.expectOperator(')');
  }
  return { at, everyNs, fill };
}

const fillWords = ['NONE', 'PREV', 'NULL', 'LINEAR'] as const;

function parseFill(cursor: Cursor): Fill {
  const at = cursor.at;
  const word = fillWords.find((candidate) => cursor.acceptWord(candidate));
  if (word !== undefined) return { at, kind: word.toLowerCase() as Lowercase<typeof word>, value: null };
  const negative = cursor.acceptOperator('-');
  if (!startsNumber(cursor.token)) throw cursor.unexpected('a number');
  return { at, kind: 'value', value: parseNumber(cursor, at, negative) };
}

function parseLatestOn(cursor: Cursor): LatestOn {
  const at = cursor.at;
  const column = parseColumn(cursor);
  cursor.expectWord('PARTITION', 'BY');
  return { at, column, partitionBy: cursor.commaList(() => parseColumn(cursor)) };
}

function parseColumn(cursor: Cursor): ColumnReference {
  const at = cursor.at;
  const first = cursor.expectName('a column');
  if (!cursor.acceptOperator('.')) return { kind: 'column', at, table: null, name: first };
  return { kind: 'column', at, table: first, name: cursor.expectName('a column') };
}

function parseGroupBy(cursor: Cursor, sampleBy: SampleBy | null): Expression[] {
  const at = cursor.at;
  if (!cursor.acceptWords('GROUP', 'BY')) return [];
  if (sampleBy !== null)
    throw cursor.refuse(
      at,
      'SAMPLE BY groups by its bucket and the items without an aggregate: leave GROUP BY out',
    );
  return cursor.commaList(() => parseExpression(cursor));
}
