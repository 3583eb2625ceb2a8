// What: SQL text → tokens with their positions.
// Why: the parser decides by kind and word alone, without looking at characters.
// Invariant: tokens are in text order, do not overlap, and the last one is END at the length of the text.

import { excerpt, syntaxError } from './errors.ts';

export type TokenKind =
  | 'word' // a bare identifier or keyword
  | 'name' // a quoted identifier: never a keyword
  | 'string'
  | 'integer' // 42, 1_000
  | 'decimal' // 1.5, .5
  | 'float' // 1e3, 1.5e-3
  | 'duration' // 5m, 500ms
  | 'operator'
  | 'end';

export interface Token {
  readonly kind: TokenKind;
  /** Unescaped text of a string or name, digits of a number without `_`, else as written. */
  readonly text: string;
  /** Upper case of a word, to compare with keywords; '' for every other kind. */
  readonly word: string;
  /** Offset of the first character, and of the one after the last. */
  readonly at: number;
  readonly end: number;
}

/** Longest statement that is read unless the caller says otherwise, in characters. Bulk rows go by POST /insert/arrow. */
export const SQL_LENGTH_MAX = 1 << 20;

const durationText = /^\d+(ns|us|µs|ms|s|m|min|h|d|w)$/;
const twoCharacterOperators = new Set(['<=', '>=', '<>', '!=', '==', '||', '::', '//']);
const oneCharacterOperators = '(),.;{}:+-*/%=<>';
const unicodeLetter = /[\p{L}\p{M}\p{N}]/u;

export function tokenize(sql: string, lengthMax: number = SQL_LENGTH_MAX): Token[] {
  if (sql.length > lengthMax)
    throw syntaxError(sql, lengthMax, `statement longer than ${lengthMax} characters`, {}, 'LIMIT_EXCEEDED');
  const tokens: Token[] = [];
  let at = 0;
  for (;;) {
    at = skipBlank(sql, at);
    if (at >= sql.length) break;
    const token = readToken(sql, at);
    tokens.push(token);
    at = token.end;
  }
  tokens.push({ kind: 'end', text: '', word: '', at: sql.length, end: sql.length });
  return tokens;
}

function readToken(sql: string, at: number): Token {
  const c = sql.charCodeAt(at);
  if (isLetter(c)) {
    const end = wordEnd(sql, at);
    const text = sql.slice(at, end);
    return { kind: 'word', text, word: text.toUpperCase(), at, end };
  }
  if (isDigit(c) || (c === DOT && isDigit(sql.charCodeAt(at + 1)))) return readNumber(sql, at);
  if (c === QUOTE) return readQuoted(sql, at, "'", 'string');
  if (c === DOUBLE_QUOTE) return readQuoted(sql, at, '"', 'name');
  if (c === BACKTICK) return readQuoted(sql, at, '`', 'name');
  const pair = sql.slice(at, at + 2);
  if (twoCharacterOperators.has(pair)) return { kind: 'operator', text: pair, word: '', at, end: at + 2 };
  const character = String.fromCodePoint(sql.codePointAt(at)!);
  if (oneCharacterOperators.includes(character))
    return { kind: 'operator', text: character, word: '', at, end: at + 1 };
  if (c >= 0x80 && wordEnd(sql, at) > at) {
    const end = wordEnd(sql, at);
    const text = sql.slice(at, end);
    return { kind: 'word', text, word: text.toUpperCase(), at, end };
  }
  throw unexpectedCharacter(sql, at, character);
}

/** Past white space, `-- …` to the end of the line, and C-style comments. */
function skipBlank(sql: string, start: number): number {
  let at = start;
  for (;;) {
    const c = sql.charCodeAt(at);
    if (c === 0x20 || (c >= 0x09 && c <= 0x0d) || c === 0xa0 || c === 0xfeff) at++;
    else if (c === MINUS && sql.charCodeAt(at + 1) === MINUS) {
      const lineEnd = sql.indexOf('\n', at);
      at = lineEnd < 0 ? sql.length : lineEnd + 1;
    } else if (c === SLASH && sql.charCodeAt(at + 1) === STAR) {
      const close = sql.indexOf('*/', at + 2);
      if (close < 0) throw syntaxError(sql, at, 'comment without its closing */', { expected: ['*/'] });
      at = close + 2;
    } else if (c >= 0x80 && /\s/u.test(sql[at]!)) at++;
    else return at;
  }
}

function readNumber(sql: string, at: number): Token {
  let end = digitsEnd(sql, at);
  let kind: TokenKind = 'integer';
  if (sql.charCodeAt(end) === DOT) {
    const fractionEnd = digitsEnd(sql, end + 1);
    // `1.` is the integer 1, as in other dialects; `1.x` is refused below as a word glued to a number.
    if (fractionEnd > end + 1) kind = 'decimal';
    end = fractionEnd;
  }
  const mantissaEnd = end;
  const exponent = sql.charCodeAt(end) | 0x20;
  if (exponent === 0x65) {
    const sign = sql.charCodeAt(end + 1);
    const digits = sign === MINUS || sign === PLUS ? end + 2 : end + 1;
    const exponentEnd = digitsEnd(sql, digits);
    if (exponentEnd > digits) {
      kind = 'float';
      end = exponentEnd;
    }
  }
  const tail = wordEnd(sql, end);
  let text = sql.slice(at, end);
  if (tail > end) {
    text = sql.slice(at, tail);
    if (!durationText.test(text))
      throw syntaxError(sql, at, `'${excerpt(text)}' is neither a number nor a duration such as 5m or 500ms`);
    return { kind: 'duration', text, word: '', at, end: tail };
  }
  if (sql.charCodeAt(end) === DOT && kind !== 'integer')
    throw syntaxError(sql, at, `'${excerpt(text)}.' is not a number`);
  if (kind === 'integer') text = sql.slice(at, mantissaEnd).replace('.', '');
  return { kind, text: text.includes('_') ? text.replaceAll('_', '') : text, word: '', at, end };
}

/** After the digits from `at`; `_` is allowed between two digits. */
function digitsEnd(sql: string, at: number): number {
  let end = at;
  for (;;) {
    const c = sql.charCodeAt(end);
    if (isDigit(c)) end++;
    else if (c === UNDERSCORE && end > at && isDigit(sql.charCodeAt(end + 1))) end++;
    else return end;
  }
}

function readQuoted(sql: string, at: number, quote: string, kind: 'string' | 'name'): Token {
  let close = sql.indexOf(quote, at + 1);
  let doubled = false;
  while (close >= 0 && sql[close + 1] === quote) {
    doubled = true;
    close = sql.indexOf(quote, close + 2);
  }
  if (close < 0) {
    const what = kind === 'string' ? 'string' : 'quoted name';
    throw syntaxError(sql, at, `${what} without its closing ${quote}`, { expected: [quote] });
  }
  const raw = sql.slice(at + 1, close);
  const text = doubled ? raw.replaceAll(quote + quote, quote) : raw;
  if (kind === 'name' && text === '') throw syntaxError(sql, at, 'a quoted name cannot be empty');
  return { kind, text, word: '', at, end: close + 1 };
}

function wordEnd(sql: string, at: number): number {
  let end = at;
  for (;;) {
    const c = sql.charCodeAt(end);
    if (isLetter(c) || isDigit(c) || (c === DOLLAR && end > at)) end++;
    else if (c >= 0x80) {
      const character = String.fromCodePoint(sql.codePointAt(end)!);
      if (!unicodeLetter.test(character)) return end;
      end += character.length;
    } else return end;
  }
}

function unexpectedCharacter(sql: string, at: number, character: string): Error {
  if ('‘’“”´'.includes(character))
    return syntaxError(sql, at, `typographic quote ${character}: strings are in '…', names in "…"`);
  if (character === '[') return syntaxError(sql, at, "unexpected '[': there are no arrays; a list is in (…)");
  if (character === '?' || character === '$')
    return syntaxError(sql, at, `unexpected '${character}': a parameter is written {name:Type}`);
  const shown = character >= ' ' && character !== '\x7f' ? `'${character}'` : JSON.stringify(character);
  return syntaxError(sql, at, `unexpected character ${shown}`);
}

const isDigit = (c: number): boolean => c >= 0x30 && c <= 0x39;
const isLetter = (c: number): boolean =>
  (c >= 0x61 && c <= 0x7a) || (c >= 0x41 && c <= 0x5a) || c === UNDERSCORE;

const QUOTE = 0x27;
const DOUBLE_QUOTE = 0x22;
const BACKTICK = 0x60;
const DOT = 0x2e;
const MINUS = 0x2d;
const PLUS = 0x2b;
const SLASH = 0x2f;
const STAR = 0x2a;
const DOLLAR = 0x24;
const UNDERSCORE = 0x5f;
