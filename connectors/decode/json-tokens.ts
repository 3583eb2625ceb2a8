// What: reading single JSON tokens from bytes: where they end, and digits that are more than a double holds.
// Why: the scanner and the compiled readers share what is not worth writing twice or inlining.
// Invariant: −1 stands for "not that, or not plain"; it never throws, and reads less than 32 bytes past `end`.

import { POW10, writeProduct } from '../../src/kernel/fixed.ts';
import { digitCount, digitsValue, lowestMark, oddMarks, quoteMarks } from './words.ts';

const QUOTE = 34;
const PLUS = 43;
const MINUS = 45;
const POINT = 46;
const ZERO = 48;
const NOT_ASCII = 0x80808080 | 0;

export function isSpace(byte: number): boolean {
  return byte === 32 || byte === 10 || byte === 13 || byte === 9;
}

export function skipSpace(bytes: Uint8Array, from: number): number {
  let p = from;
  while (isSpace(bytes[p]!)) p++;
  return p;
}

export function isNull(bytes: Uint8Array, p: number): boolean {
  return bytes[p] === 110 && bytes[p + 1] === 117 && bytes[p + 2] === 108 && bytes[p + 3] === 108;
}

/** Length of `true`, `false` or `null` at p; 0 when none stands there. */
export function wordValueLength(bytes: Uint8Array, p: number): number {
  if (isNull(bytes, p)) return 4;
  if (bytes[p] === 116) return bytes[p + 1] === 114 && bytes[p + 2] === 117 && bytes[p + 3] === 101 ? 4 : 0;
  if (bytes[p] !== 102 || bytes[p + 1] !== 97 || bytes[p + 2] !== 108) return 0;
  return bytes[p + 3] === 115 && bytes[p + 4] === 101 ? 5 : 0;
}

/** Past the number at `from`; −1 when none stands there. */
export function numberEnd(bytes: Uint8Array, from: number): number {
  const integer = bytes[from] === MINUS ? from + 1 : from;
  let p = digitsEnd(bytes, integer);
  if (p === integer || (bytes[integer] === ZERO && p > integer + 1)) return -1;
  if (bytes[p] === POINT) {
    const fraction = p + 1;
    p = digitsEnd(bytes, fraction);
    if (p === fraction) return -1;
  }
  if ((bytes[p]! | 32) === 101) {
    const exponent = bytes[p + 1] === PLUS || bytes[p + 1] === MINUS ? p + 2 : p + 1;
    p = digitsEnd(bytes, exponent);
    if (p === exponent) return -1;
  }
  return p;
}

export function digitsEnd(bytes: Uint8Array, from: number): number {
  let p = from;
  while ((bytes[p]! ^ ZERO) <= 9) p++;
  return p;
}

/** Past a value that is no array or object, its string plain ASCII; −1 otherwise. */
export function plainValueEnd(bytes: Uint8Array, view: DataView, from: number, end: number): number {
  if (bytes[from] === QUOTE) {
    for (let p = from + 1; p <= end; p += 4) {
      const word = view.getInt32(p, true);
      const odd = oddMarks(word) | (word & NOT_ASCII);
      const quote = quoteMarks(word);
      if (quote === 0 && odd === 0) continue;
      const length = lowestMark(quote);
      return quote !== 0 && length < lowestMark(odd) ? p + length + 1 : -1;
    }
    return -1;
  }
  const length = wordValueLength(bytes, from);
  return length > 0 ? from + length : numberEnd(bytes, from);
}

/** The 8 to 19 digits at `first` × 10^scale as an int64. Returns where they end; −1 when they are more, or beyond int64. */
export function readLong(
  view: DataView,
  first: number,
  scale: number,
  words: Int32Array,
  at: number,
  negative: boolean,
): number {
  const head =
    digitsValue(view.getInt32(first, true), 4) * 1e4 + digitsValue(view.getInt32(first + 4, true), 4);
  let rest = 0;
  let p = first + 8;
  for (let digits = 4; digits === 4 && p - first < 20; p += digits) {
    const word = view.getInt32(p, true);
    digits = digitCount(word);
    if (digits > 0) rest = rest * POW10[digits]! + digitsValue(word, digits);
  }
  const shift = p - first - 8 + scale;
  // In range, head × 10^shift < 10^19 with head ≥ 10^7: then shift ≤ 11 and all factors are small. Out of range shows below.
  const factor = shift > 9 ? 1e9 : POW10[shift]!;
  const a = head * POW10[shift > 9 ? shift - 9 : 0]!;
  return writeProduct(words, at, a, factor, rest * POW10[scale]!, negative) ? p : -1;
}

/**
 * The ten digits at p as seconds, in nanoseconds, to words[0] and words[1]. False when they are not ten digits, begin
 * with 0 (no JSON number) or with 9 (no int64 of nanoseconds).
 */
export function readSecond(view: DataView, p: number, words: Int32Array): boolean {
  const word0 = view.getInt32(p, true);
  const word1 = view.getInt32(p + 4, true);
  const word2 = view.getInt32(p + 8, true);
  if (digitCount(word0) + digitCount(word1) !== 8 || digitCount(word2) < 2) return false;
  const first = word0 & 0xff;
  if (first === ZERO || first > ZERO + 8) return false;
  const seconds = digitsValue(word0, 4) * 1e6 + digitsValue(word1, 4) * 100 + digitsValue(word2, 2);
  return writeProduct(words, 0, seconds, 1e9, 0, false);
}
