// What: a scanner that reads one JSON tick from its bytes straight into the columns, led by what earlier ticks looked like.
// Why: no object, string or BigInt per tick; feeds repeat the same names in the same order, so the bytes up to the next value are foreseen.
// Invariant: it accepts only documents that the fallback accepts, with the same row; on anything unusual it gives up, never guesses.

import { isUtf8 } from 'node:buffer';
import type { RowBuffer } from '../../src/columns/batch.ts';
import { HASH_SEED, hashWord, type SymbolTable, TAIL_MASK } from '../../src/columns/symbols.ts';
import { ColumnType } from '../../src/columns/types.ts';
import { POW10, writeProduct } from '../../src/kernel/fixed.ts';
import { readIsoTime } from './iso-time.ts';
import type { Shape, ShapeStep } from './json-compile.ts';
import {
  digitsEnd,
  isNull,
  isSpace,
  numberEnd,
  readLong,
  skipSpace,
  wordValueLength,
} from './json-tokens.ts';
import { storeMissing } from './store.ts';
import type { Target } from './target.ts';
import { TextSlots } from './text-slots.ts';
import { digitCount, digitsValue, lowestMark, oddMarks, quoteMarks } from './words.ts';

const Op = { TIME: 0, INT64: 1, INT32: 2, FLOAT: 3, SYMBOL: 4, STRING: 5, BOOL: 6, SKIP: 7 } as const;

const OP_OF_TYPE: Readonly<Record<ColumnType, number>> = {
  [ColumnType.INT32]: Op.INT32,
  [ColumnType.INT64]: Op.INT64,
  [ColumnType.TIMESTAMP_NS]: Op.TIME,
  [ColumnType.FLOAT32]: Op.FLOAT,
  [ColumnType.FLOAT64]: Op.FLOAT,
  [ColumnType.SYMBOL]: Op.SYMBOL,
  [ColumnType.STRING]: Op.STRING,
  [ColumnType.BOOL]: Op.BOOL,
};

/** Unknown names remembered, so that the bytes after their values are foreseen too. More are read, only slower. */
const UNKNOWN_FIELDS_MAX = 32;

/**
 * The plan holds, per field, PLAN_WORDS words: what to do with its value, its scale, and what followed it last time:
 * the plan position of the next field, and the bytes between the two values (their length, a mask for the last word, the words).
 */
const PLAN_WORDS = 24;
const AT_SCALE = 1;
const AT_NEXT = 2;
const AT_LENGTH = 3;
const AT_MASK = 4;
const AT_FIELD = 5;
const AT_LITERAL = 8;
const LITERAL_BYTES_MAX = (PLAN_WORDS - AT_LITERAL) * 4 - 4;

/** A document that lies is noticed at the next value, so no read goes further than a literal and a number past its end. */
export const OVERREAD_BYTES = 128;

const END = -1;
const GIVE_UP = -2;

const QUOTE = 34;
const BACKSLASH = 92;
const COMMA = 44;
const MINUS = 45;
const POINT = 46;
const ZERO = 48;
const COLON = 58;
const BRACE_OPEN = 123;
const BRACE_CLOSE = 125;

const TWO_53 = 0x20000000000000;
const TWO_32 = 0x100000000;
const NOT_ASCII = 0x80808080 | 0;
const powers = Float64Array.from(POW10);

export class JsonScanner {
  private readonly target: Target;
  private readonly columnCount: number;
  private readonly plan: Int32Array;
  private readonly names: Uint8Array[];
  /** seen[c] === stamp: column c has its value in this document. */
  private readonly seen: Int32Array;
  private stamp = 0;
  private readonly texts: TextSlots;
  private words: Int32Array[] = [];
  private values: (Float64Array | Float32Array | Uint8Array)[] = [];
  /** Where `step` ended. */
  private position = 0;
  /** All bytes of strings and names read since the document began, or-ed. */
  private bits = 0;

  /** The target's fields must have distinct names. */
  constructor(target: Target, symbols: SymbolTable) {
    this.target = target;
    const columns = target.columns.length;
    const fields = columns + 1 + UNKNOWN_FIELDS_MAX;
    this.columnCount = columns;
    this.plan = new Int32Array(fields * PLAN_WORDS);
    for (let field = 0; field < fields; field++) {
      const column = target.columns[field];
      this.plan[field * PLAN_WORDS] = column === undefined ? Op.SKIP : OP_OF_TYPE[column.type];
      this.plan[field * PLAN_WORDS + AT_SCALE] = column?.scale ?? 0;
      this.plan[field * PLAN_WORDS + AT_FIELD] = field;
    }
    // Behind the columns' names the start of a document, which has none, then unknown names as they come.
    this.names = target.columns.map((column) => Buffer.from(column.field, 'utf8'));
    this.names.push(new Uint8Array(0));
    this.seen = new Int32Array(fields);
    this.texts = new TextSlots(target, symbols);
  }

  /** Takes the buffer's arrays; call again after it grew. */
  attach(rows: RowBuffer): void {
    this.words = rows.columns.map((column) => column.i32);
    this.values = rows.columns.map((column) => column.values as Float64Array | Float32Array | Uint8Array);
  }

  /**
   * Fills row `row` from the document in bytes[start, end), or returns false: read it the plain way. `view` is over the
   * same bytes; they must go on for OVERREAD_BYTES past the end.
   */
  scan(
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
    timestampMs: number,
    rows: RowBuffer,
    row: number,
  ): boolean {
    const { plan, seen } = this;
    const stamp = (this.stamp + 1) | 0;
    this.stamp = stamp;
    this.bits = 0;
    this.texts.clear();
    let filled = 0;
    let at = this.columnCount * PLAN_WORDS;
    let p = start;
    for (;;) {
      // The bytes up to the next value: as foreseen, or read for what they are.
      const length = plan[at + AT_LENGTH]!;
      const whole = p + (length & ~3);
      let literal = at + AT_LITERAL;
      let q = p;
      while (q < whole && plan[literal] === view.getInt32(q, true)) {
        literal++;
        q += 4;
      }
      if (
        q === whole &&
        length > 0 &&
        ((plan[literal]! ^ view.getInt32(q, true)) & plan[at + AT_MASK]!) === 0
      ) {
        at = plan[at + AT_NEXT]!;
        p += length;
      } else {
        at = this.step(bytes, p, end, at);
        p = this.position;
      }
      if (p > end) return false;
      if (at < 0) break;
      let byte = bytes[p]!;
      if (byte <= 32) {
        p = skipSpace(bytes, p);
        if (p >= end) return false;
        byte = bytes[p]!;
      }

      const op = plan[at]!;
      const field = plan[at + AT_FIELD]!;
      if (seen[field] === stamp) return false;
      if (op <= Op.FLOAT) {
        const quoted = byte === QUOTE;
        if (quoted) p++;
        const scale = plan[at + AT_SCALE]!;
        const isoEnd = quoted && op === Op.TIME ? readIsoTime(view, p, this.words[field]!, row * 2) : -1;
        if (isoEnd > 0) p = isoEnd;
        else {
          const negative = bytes[p] === MINUS;
          if (negative) p++;
          let mantissa = 0;
          let digits = 0;
          const first = p;
          do {
            const word = view.getInt32(p, true);
            digits = digitCount(word);
            if (digits === 0) break;
            mantissa = mantissa * powers[digits]! + digitsValue(word, digits);
            p += digits;
          } while (digits === 4 && p - first < 16);
          const integerDigits = p - first;
          if (integerDigits === 0) {
            if (quoted || negative || !isNull(bytes, p)) return false;
            p += 4;
            continue;
          }
          if (integerDigits > 1 && bytes[first] === ZERO) return false;
          let decimals = 0;
          if (integerDigits > 15) {
            // More than a double holds.
            if (op > Op.INT64) return false;
            p = readLong(view, first, scale, this.words[field]!, row * 2, negative);
            if (p < 0) return false;
          } else {
            if (bytes[p] === POINT) {
              const point = ++p;
              do {
                const word = view.getInt32(p, true);
                digits = digitCount(word);
                if (digits === 0) break;
                mantissa = mantissa * powers[digits]! + digitsValue(word, digits);
                p += digits;
              } while (digits === 4 && p - point < 16);
              decimals = p - point;
              if (decimals === 0 || integerDigits + decimals > 15) return false;
            }
            if (op === Op.FLOAT) {
              // Both operands are exact, so the quotient is the nearest double (Clinger 1990).
              const value = mantissa / powers[decimals]!;
              this.values[field]![row] = negative ? -value : value;
            } else {
              if (decimals > scale) return false;
              let value = mantissa * powers[scale - decimals]!;
              if (op === Op.INT32) {
                if (value > 2147483647) return false;
                this.words[field]![row] = negative ? -value : value;
              } else if (value < TWO_53) {
                if (negative) value = -value;
                const words = this.words[field]!;
                words[row * 2] = value | 0;
                words[row * 2 + 1] = Math.floor(value / TWO_32);
              } else {
                const factor = powers[scale - decimals]!;
                if (factor > 1e9 || !writeProduct(this.words[field]!, row * 2, mantissa, factor, 0, negative))
                  return false;
              }
            }
          }
        }
        if (quoted && bytes[p++] !== QUOTE) return false;
      } else if (op <= Op.STRING) {
        if (byte === QUOTE) {
          p = this.readText(view, p + 1, end, field);
          if (p < 0) return false;
        } else if (op === Op.SYMBOL && (byte ^ ZERO) <= 9) {
          const idEnd = digitsEnd(bytes, p);
          if (idEnd - p > 10 || (byte === ZERO && idEnd > p + 1)) return false;
          let id = 0;
          while (p < idEnd) id = id * 10 + (bytes[p++]! ^ ZERO);
          if (id > 2147483647) return false;
          this.words[field]![row] = id;
        } else if (isNull(bytes, p)) {
          p += 4;
          continue;
        } else return false;
      } else if (op === Op.BOOL) {
        const width = byte === 48 || byte === 49 ? 1 : wordValueLength(bytes, p);
        if (width === 0) return false;
        p += width;
        if (byte === 110) continue;
        this.values[field]![row] = byte === 116 || byte === 49 ? 1 : 0;
      } else {
        p = this.skip(bytes, p, end);
        if (p < 0) return false;
        continue;
      }
      seen[field] = stamp;
      filled++;
    }
    if (at === GIVE_UP) return false;
    while (p < end) if (!isSpace(bytes[p++]!)) return false;
    if ((this.bits & NOT_ASCII) !== 0 && !isUtf8(bytes.subarray(start, end))) return false;
    if (filled < this.columnCount && !this.fillMissing(timestampMs, rows, row)) return false;
    return this.texts.store(view, rows.columns, row) === null;
  }

  /** Notes the string that begins at p; its code is looked up when the whole document is known to be good. */
  private readText(view: DataView, from: number, end: number, field: number): number {
    let p = from;
    let hash = HASH_SEED;
    for (;;) {
      const word = view.getInt32(p, true);
      const quote = quoteMarks(word);
      const odd = oddMarks(word);
      if (quote !== 0) {
        const rest = lowestMark(quote);
        const mask = TAIL_MASK[rest]!;
        if ((odd & mask) !== 0) return -1;
        this.bits |= word & mask;
        if (rest > 0) hash = hashWord(hash, word & mask);
        p += rest;
        break;
      }
      if (odd !== 0 || p > end) return -1;
      this.bits |= word;
      hash = hashWord(hash, word);
      p += 4;
    }
    this.texts.put(field, from, p - from, hash);
    return p + 1;
  }

  /** Reads from behind one value to the next: comma, name, colon and blanks. Returns the next field's plan position, END or GIVE_UP. */
  private step(bytes: Uint8Array, from: number, end: number, at: number): number {
    let p = skipSpace(bytes, from);
    if (at === this.columnCount * PLAN_WORDS) {
      if (bytes[p] !== BRACE_OPEN) return GIVE_UP;
      p = skipSpace(bytes, p + 1);
      if (bytes[p] === BRACE_CLOSE) return this.learn(bytes, from, p + 1, end, at, END, 0);
    } else {
      if (bytes[p] === BRACE_CLOSE) return this.learn(bytes, from, p + 1, end, at, END, 0);
      if (bytes[p] !== COMMA) return GIVE_UP;
      p = skipSpace(bytes, p + 1);
    }
    if (bytes[p] !== QUOTE) return GIVE_UP;
    const name = ++p;
    let bits = 0;
    for (let byte = bytes[p]!; byte !== QUOTE; byte = bytes[++p]!) {
      if (byte < 32 || byte === BACKSLASH || p >= end) return GIVE_UP;
      bits |= byte;
    }
    const next = this.fieldOf(bytes, name, p - name);
    p = skipSpace(bytes, p + 1);
    if (bytes[p] !== COLON) return GIVE_UP;
    p = skipSpace(bytes, p + 1);
    return this.learn(bytes, from, p, end, at, next * PLAN_WORDS, bits);
  }

  /** Remembers that the field at `next` came after the one at `at`, and by which bytes. Only ASCII: the others must be checked each time. */
  private learn(
    bytes: Uint8Array,
    from: number,
    to: number,
    end: number,
    at: number,
    next: number,
    bits: number,
  ): number {
    this.position = to;
    this.bits |= bits;
    if (to > end) return GIVE_UP;
    const length = to - from;
    if (bits <= 127 && length <= LITERAL_BYTES_MAX) {
      const { plan } = this;
      plan[at + AT_NEXT] = next;
      plan[at + AT_LENGTH] = length;
      plan[at + AT_MASK] = TAIL_MASK[length & 3]!;
      new Uint8Array(plan.buffer, (at + AT_LITERAL) * 4, LITERAL_BYTES_MAX + 4)
        .fill(0)
        .set(bytes.subarray(from, to));
    }
    return next;
  }

  private fieldOf(bytes: Uint8Array, start: number, length: number): number {
    for (let field = 0; field < this.names.length; field++) {
      const name = this.names[field]!;
      if (name.length !== length || field === this.columnCount) continue;
      let i = 0;
      while (i < length && name[i] === bytes[start + i]) i++;
      if (i === length) return field;
    }
    // The last of the unknown fields stands for all that found no place.
    if (this.names.length <= this.columnCount + UNKNOWN_FIELDS_MAX)
      this.names.push(Uint8Array.prototype.slice.call(bytes, start, start + length));
    return this.names.length - 1;
  }

  /** Past an unknown field's value; −1 for what only the fallback reads: nested values, escapes, anything wrong. */
  private skip(bytes: Uint8Array, from: number, end: number): number {
    if (bytes[from] === QUOTE) {
      let bits = 0;
      let p = from + 1;
      for (let next = bytes[p]!; next !== QUOTE; next = bytes[++p]!) {
        if (next < 32 || next === BACKSLASH || p >= end) return -1;
        bits |= next;
      }
      this.bits |= bits;
      return p + 1;
    }
    const length = wordValueLength(bytes, from);
    return length > 0 ? from + length : numberEnd(bytes, from);
  }

  /**
   * The shape of the document that `scan` took last, as the plan remembers it; null when it remembers less: names that
   * are not ASCII or found no place, long stretches of blanks.
   */
  shape(): Shape | null {
    const { plan } = this;
    const steps: ShapeStep[] = [];
    const seen = new Set<number>();
    let at = this.columnCount * PLAN_WORDS;
    for (;;) {
      const length = plan[at + AT_LENGTH]!;
      if (length === 0 || seen.has(at)) return null;
      seen.add(at);
      const literal = new Uint8Array(plan.buffer, (at + AT_LITERAL) * 4, length).slice();
      at = plan[at + AT_NEXT]!;
      if (at < 0) return { steps, closing: literal };
      steps.push({ literal, column: this.target.columns[plan[at + AT_FIELD]!] ?? null });
    }
  }

  private fillMissing(timestampMs: number, rows: RowBuffer, row: number): boolean {
    for (const column of this.target.columns) {
      if (this.seen[column.index] === this.stamp) continue;
      if (storeMissing(column, rows.columns[column.index]!, row, timestampMs) !== null) return false;
    }
    return true;
  }
}
