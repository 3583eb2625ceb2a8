// What: numbers, durations, typed literals and type names.
// Why: each has rules of its own about range and exactness, and none of them contains an expression.
// Invariant: a literal is exact or refused; only one with more than 18 digits and a decimal point becomes a float.

import type {
  DecimalLiteral,
  FloatLiteral,
  IntegerLiteral,
  IntervalLiteral,
  TimestampLiteral,
} from './ast.ts';
import type { Cursor } from './cursor.ts';
import { excerpt } from './errors.ts';
import { isCalendarUnit, parseInterval, unitOf, unitWords } from './interval.ts';
import type { Token } from './lexer.ts';
import { nearest } from './nearest.ts';
import { parseTimestamp } from './timestamp.ts';
import { type DataType, DECIMAL_PRECISION_MAX, decimal, typesByName } from './types.ts';

export type NumberLiteral = IntegerLiteral | DecimalLiteral | FloatLiteral;

const INT64_LIMIT = 1n << 63n;

export const startsNumber = (token: Token): boolean =>
  token.kind === 'integer' || token.kind === 'decimal' || token.kind === 'float';

/** The number token under the cursor; `at` is where its sign stands when it is negative. */
export function parseNumber(cursor: Cursor, at: number, negative: boolean): NumberLiteral {
  const token = cursor.advance();
  if (token.kind === 'integer') return { kind: 'integer', at, value: integerValue(cursor, token, negative) };
  if (token.kind === 'decimal') {
    const dot = token.text.indexOf('.');
    const digits = (token.text.slice(0, dot) + token.text.slice(dot + 1)).replace(/^0+(?=\d)/, '');
    const scale = token.text.length - dot - 1;
    if (digits.length <= DECIMAL_PRECISION_MAX && scale <= DECIMAL_PRECISION_MAX) {
      const unscaled = BigInt(digits);
      return { kind: 'decimal', at, unscaled: negative ? -unscaled : unscaled, scale };
    }
  }
  const value = Number(token.text);
  if (!Number.isFinite(value)) throw cursor.refuse(token.at, `${excerpt(token.text)} is beyond FLOAT64`);
  return { kind: 'float', at, value: negative ? -value : value };
}

function integerValue(cursor: Cursor, token: Token, negative: boolean): bigint {
  const digits = token.text.replace(/^0+(?=\d)/, '');
  const magnitude = digits.length > 19 ? INT64_LIMIT * 2n : BigInt(digits);
  if (magnitude > INT64_LIMIT || (magnitude === INT64_LIMIT && !negative))
    throw cursor.refuse(
      token.at,
      `integer ${excerpt(token.text)} is beyond INT64; write an exponent for a float`,
    );
  return negative ? -magnitude : magnitude;
}

/** A non-negative integer below 2^53 that counts something. */
export function parseCount(cursor: Cursor, what: string): number {
  const token = cursor.expectKind('integer', what);
  const value = Number(token.text);
  if (!Number.isSafeInteger(value)) throw cursor.refuse(token.at, `${excerpt(token.text)} is too large`);
  return value;
}

/** Whether `INTERVAL` under the cursor begins a literal and is not a column of that name. */
export function seesInterval(cursor: Cursor): boolean {
  const next = cursor.ahead(1).kind;
  return cursor.token.word === 'INTERVAL' && (next === 'string' || next === 'integer' || next === 'duration');
}

/** `[INTERVAL] '5 minutes'`, `[INTERVAL] '5' MINUTES`, `[INTERVAL] 5 MINUTES`, `[INTERVAL] 5m`. */
export function parseDuration(cursor: Cursor): IntervalLiteral {
  const at = cursor.at;
  if (seesInterval(cursor)) cursor.advance();
  const token = cursor.token;
  if (token.kind === 'duration') {
    cursor.advance();
    return { kind: 'interval', at, ns: intervalNs(cursor, token, token.text) };
  }
  if (token.kind !== 'string' && token.kind !== 'integer')
    throw cursor.unexpected("an interval such as 5m or '5 minutes'");
  cursor.advance();
  if (token.kind === 'string' && !/^\s*[+-]?\d+\s*$/.test(token.text))
    return { kind: 'interval', at, ns: intervalNs(cursor, token, token.text) };
  const unit = cursor.token;
  if (unit.kind !== 'word' || unitOf(unit.text) === null) {
    if (unit.kind === 'word' && isCalendarUnit(unit.text))
      throw cursor.refuse(unit.at, `${unit.text} has no fixed length: use days, or date_trunc('month', …)`);
    throw cursor.unexpected(`a unit (${unitWords.join(', ')})`);
  }
  cursor.advance();
  return { kind: 'interval', at, ns: intervalNs(cursor, token, `${token.text} ${unit.text}`) };
}

/** The same, where a length must be above zero (buckets) or at least zero (tolerances). */
export function parseLength(cursor: Cursor, what: string, least: 0n | 1n): bigint {
  const { at, ns } = parseDuration(cursor);
  if (ns < least) throw cursor.refuse(at, `${what} must be ${least === 0n ? 'at least' : 'above'} zero`);
  return ns;
}

function intervalNs(cursor: Cursor, token: Token, text: string): bigint {
  const ns = parseInterval(text);
  if (typeof ns === 'string') throw cursor.refuse(token.at, ns);
  return ns;
}

/** `TIMESTAMP '…'` or `DATE '…'`; the cursor is on the word. */
export function parseTimestampLiteral(cursor: Cursor): TimestampLiteral {
  const { at } = cursor.advance();
  const token = cursor.advance();
  const ns = parseTimestamp(token.text);
  if (ns === null) {
    const message = `'${excerpt(token.text)}' is not a timestamp such as '2024-03-21 09:30:00.123456789'`;
    throw cursor.refuse(token.at, message);
  }
  return { kind: 'timestamp', at, ns };
}

/** A type as CREATE TABLE and CAST take it. */
export function parseType(cursor: Cursor): DataType {
  const token = cursor.expectKind('word', 'a type');
  if (token.word === 'DECIMAL' || token.word === 'NUMERIC') return parseDecimalType(cursor, token);
  const type = typesByName.get(token.word);
  if (type === undefined) throw unknownType(cursor, token);
  if (cursor.token.text === '(' && cursor.token.kind === 'operator')
    throw cursor.refuse(cursor.at, `${token.text} takes no length`);
  return type;
}

function parseDecimalType(cursor: Cursor, token: Token): DataType {
  if (!cursor.acceptOperator('('))
    throw cursor.refuse(token.at, `${token.word} needs its digits and decimals, as in DECIMAL(18, 4)`);
  const at = cursor.at;
  const precision = parseCount(cursor, 'the number of digits');
  const scale = cursor.acceptOperator(',') ? parseCount(cursor, 'the number of decimals') : 0;
  cursor.expectOperator(')');
  if (precision < 1 || precision > DECIMAL_PRECISION_MAX)
    throw cursor.refuse(at, `a DECIMAL has 1 to ${DECIMAL_PRECISION_MAX} digits`);
  if (scale > precision) throw cursor.refuse(at, 'a DECIMAL cannot have more decimals than digits');
  return decimal(precision, scale);
}

function unknownType(cursor: Cursor, token: Token): Error {
  if (token.word === 'DATE') return cursor.unsupported(token.at, 'there is no DATE type: use TIMESTAMP');
  const suggestion = nearest(token.word, [...typesByName.keys(), 'DECIMAL']);
  const known = suggestion === null ? ` (types are ${typeNames})` : '';
  return cursor.refuse(token.at, `unknown type '${excerpt(token.text)}'${known}`, suggestion);
}

const typeNames = `${[...new Set([...typesByName.values()].map((type) => type.name))].join(', ')} and DECIMAL(p, s)`;
