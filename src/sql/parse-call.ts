// What: function calls: arguments, FILTER, OVER and window frames.
// Why: `count(*)`, `count(DISTINCT x)` and frames are the grammar's own small corner.
// Invariant: frame offsets are literals and never negative; a frame is written from the earlier bound to the later.

import type { Call, Frame, FrameBound, FrameOffset, OrderItem, WindowSpec } from './ast.ts';
import type { Cursor } from './cursor.ts';
import { excerpt } from './errors.ts';
import { nearest } from './nearest.ts';
import { parseExpression } from './parse-expression.ts';
import { parseDuration, parseNumber, seesInterval, startsNumber } from './parse-literal.ts';

/** The rest of `name(`: the cursor is on the parenthesis. */
export function parseCallRest(cursor: Cursor, at: number, name: string): Call {
  cursor.expectOperator('(');
  let star = false;
  let distinct = false;
  let args: Call['args'] = [];
  if (cursor.token.kind === 'operator' && cursor.token.text === '*') {
    if (name !== 'count')
      throw cursor.refuse(cursor.at, `only count takes *, not ${excerpt(name)}`, nearest(name, ['count']));
    cursor.advance();
    star = true;
  } else if (cursor.token.kind === 'operator' && cursor.token.text === ')') {
    // count() is ClickHouse's count(*).
    star = name === 'count';
  } else {
    distinct = cursor.acceptWord('DISTINCT');
    args = cursor.commaList(() => parseExpression(cursor));
  }
  cursor.expectOperator(')');
  const filter = seesWordBeforeParenthesis(cursor, 'FILTER') ? parseFilter(cursor) : null;
  const over = seesWordBeforeParenthesis(cursor, 'OVER') ? parseWindow(cursor) : null;
  if (cursor.token.word === 'OVER' && over === null)
    throw cursor.unsupported(cursor.at, 'named windows are not offered: write OVER (…)');
  return { kind: 'call', at, name, args, star, distinct, filter, over };
}

function seesWordBeforeParenthesis(cursor: Cursor, word: string): boolean {
  const next = cursor.ahead(1);
  return cursor.token.word === word && next.kind === 'operator' && next.text === '(';
}

function parseFilter(cursor: Cursor): Call['filter'] {
  cursor.advance();
  cursor.expectOperator('(');
  cursor.expectWord('WHERE');
  const condition = parseExpression(cursor);
  cursor.expectOperator(')');
  return condition;
}

function parseWindow(cursor: Cursor): WindowSpec {
  const { at } = cursor.advance();
  cursor.expectOperator('(');
  const partitionBy = cursor.acceptWords('PARTITION', 'BY')
    ? cursor.commaList(() => parseExpression(cursor))
    : [];
  const orderBy = parseOrderBy(cursor);
  const frame = cursor.seesWord('ROWS') || cursor.seesWord('RANGE') ? parseFrame(cursor) : null;
  cursor.expectOperator(')');
  return { at, partitionBy, orderBy, frame };
}

/** [ORDER BY …]; empty without it. */
export function parseOrderBy(cursor: Cursor): OrderItem[] {
  return cursor.acceptWords('ORDER', 'BY') ? cursor.commaList(() => parseOrderItem(cursor)) : [];
}

function parseOrderItem(cursor: Cursor): OrderItem {
  const at = cursor.at;
  const expression = parseExpression(cursor);
  const descending = cursor.acceptWord('DESC');
  if (!descending) cursor.acceptWord('ASC');
  let nullsFirst = false;
  if (cursor.acceptWord('NULLS')) {
    nullsFirst = cursor.acceptWord('FIRST');
    if (!nullsFirst) cursor.expectWord('LAST');
  }
  return { at, expression, descending, nullsFirst };
}

/** ROWS n PRECEDING means BETWEEN n PRECEDING AND CURRENT ROW. */
function parseFrame(cursor: Cursor): Frame {
  const { at, word } = cursor.advance();
  const unit = word as Frame['unit'];
  const startAt = cursor.acceptWord('BETWEEN') ? cursor.at : -1;
  const boundAt = cursor.at;
  const start = parseFrameBound(cursor, unit);
  let end: FrameBound = { kind: 'current-row' };
  if (startAt >= 0) {
    cursor.expectWord('AND');
    end = parseFrameBound(cursor, unit);
  }
  const backwards =
    start.kind === 'unbounded-following' ||
    end.kind === 'unbounded-preceding' ||
    boundOrder[start.kind] > boundOrder[end.kind];
  if (backwards) throw cursor.refuse(boundAt, 'the frame ends before it starts');
  return { at, unit, start, end };
}

const boundOrder: Readonly<Record<FrameBound['kind'], number>> = {
  'unbounded-preceding': 0,
  preceding: 1,
  'current-row': 2,
  following: 3,
  'unbounded-following': 4,
};

function parseFrameBound(cursor: Cursor, unit: Frame['unit']): FrameBound {
  if (cursor.acceptWords('CURRENT', 'ROW')) return { kind: 'current-row' };
  if (cursor.acceptWord('UNBOUNDED')) {
    if (cursor.acceptWord('PRECEDING')) return { kind: 'unbounded-preceding' };
    cursor.expectWord('FOLLOWING');
    return { kind: 'unbounded-following' };
  }
  const offset = parseFrameOffset(cursor, unit);
  if (cursor.acceptWord('PRECEDING')) return { kind: 'preceding', offset };
  cursor.expectWord('FOLLOWING');
  return { kind: 'following', offset };
}

function parseFrameOffset(cursor: Cursor, unit: Frame['unit']): FrameOffset {
  const { kind, at } = cursor.token;
  if (unit === 'ROWS') {
    if (kind !== 'integer') throw cursor.unexpected('a number of rows');
    return parseNumber(cursor, at, false) as FrameOffset;
  }
  if (kind === 'duration' || seesInterval(cursor)) {
    const interval = parseDuration(cursor);
    if (interval.ns < 0n) throw cursor.refuse(at, 'the offset of a frame cannot be negative');
    return interval;
  }
  if (!startsNumber(cursor.token)) throw cursor.unexpected('a number or an interval');
  return parseNumber(cursor, at, false);
}
