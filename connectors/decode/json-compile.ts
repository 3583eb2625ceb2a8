// What: a reader compiled for one shape of tick: these names in this order with these bytes between the values.
// Why: with names, types and columns as constants a tick costs a third of what the general scanner takes.
// Invariant: it takes a record only when the scanner would, with the same row; at the first other byte it stops before that record.
//
// The code is made of numbers only: the bytes of names become 32-bit constants, never source text.

import type { RecordBatch, RowBuffer } from '../../src/columns/batch.ts';
import { HASH_SEED, type SymbolTable } from '../../src/columns/symbols.ts';
import { ColumnType, NULL_INT32 } from '../../src/columns/types.ts';
import { POW10 } from '../../src/kernel/fixed.ts';
import { readIsoTime } from './iso-time.ts';
import { plainValueEnd, readLong, readSecond } from './json-tokens.ts';
import { fillNull, storeMissing } from './store.ts';
import { isText, Role, type Target, type TargetColumn } from './target.ts';

export interface ShapeStep {
  /** The bytes from behind the last value to this one. */
  readonly literal: Uint8Array;
  /** Null: a field that the table does not have. */
  readonly column: TargetColumn | null;
}

export interface Shape {
  readonly steps: readonly ShapeStep[];
  /** The bytes behind the last value. */
  readonly closing: Uint8Array;
}

/** Appends the rows of records from `from` on while they have the shape; returns the first that was not taken. */
export type ShapeReader = (
  records: RecordBatch,
  view: DataView,
  from: number,
  to: number,
  rows: RowBuffer,
) => number;

/** Values are read this far past a record's end before the lie is noticed. */
const OVERREAD_BYTES = 128;
const NULL_WORD = 0x6c6c756e;
const TRUE_WORD = 0x65757274;
const FALS_WORD = 0x736c6166;

/** Null where the process does not allow code to be made, or the shape has no symbol. */
export function compileShape(shape: Shape, target: Target, symbols: SymbolTable): ShapeReader | null {
  if (!shape.steps.some(({ column }) => column?.role === Role.SYMBOL)) return null;
  const source = sourceOf(shape, target);
  try {
    const make = new Function('target', 'symbols', 'tools', source) as (
      target: Target,
      symbols: SymbolTable,
      tools: typeof TOOLS,
    ) => ShapeReader;
    return make(target, symbols, TOOLS);
  } catch (error) {
    if (error instanceof EvalError) return null;
    throw error;
  }
}

const TOOLS = {
  plainValueEnd,
  readIsoTime,
  readLong,
  readSecond,
  fillNull,
  storeMissing,
  POW10: Float64Array.from(POW10),
};

function sourceOf({ steps, closing }: Shape, target: Target): string {
  const present = new Set(steps.map((step) => step.column?.index));
  const missing = target.columns.filter((column) => !present.has(column.index));
  const texts = steps.flatMap(({ column }) => (column !== null && isText(column) ? [column.index] : []));
  return `'use strict';
const { plainValueEnd, readIsoTime, readLong, readSecond, fillNull, storeMissing, POW10 } = tools;
const { clz32, imul } = Math;
const pair = new Int32Array(2);
return (records, view, from, to, rows) => {
  const { buffer, valueStart, valueLength, timestampMs, offset } = records;
  const { columns, offset: offsets } = rows;
  const limit = view.byteLength - ${OVERREAD_BYTES};
  const firstRow = rows.rows;
${target.columns.map(({ index, type }) => `  const c${index} = columns[${index}].${isDirect(type) ? 'values' : 'i32'};`).join('\n')}
  let row = firstRow, i = from, w = 0, t = 0, o = 0, n = 0, m = 0, d = 0, x = 0, quoted = false, negative = false;
  let second0 = 0, second1 = 0, second2 = 0, low = 0, high = 0;
${texts.map((index) => `  let start${index} = 0, length${index} = 0, hash${index} = 0;`).join('\n')}
  run: for (; i < to; i++) {
    const length = valueLength[i];
    let p = valueStart[i];
    const end = p + length | 0;
    if (length < 0 || end > limit) break;
${steps.map((step) => literalSource(step.literal) + valueSource(step.column)).join('')}
${literalSource(closing)}
    if (p !== end) break;
${missing
  .filter((column) => column.role === Role.TIME)
  .map(missingTimeSource)
  .join('\n')}
${texts.map(codeSource).join('')}
    offsets[row++] = offset[i];
  }
${missing
  .filter((column) => column.role === Role.PLAIN)
  .map(({ index }) => `  fillNull(columns[${index}], firstRow, row);`)
  .join('\n')}
  rows.rows = row;
  return i;
};`;
}

/** Columns written through `values`; the others are written as 32-bit words. */
function isDirect(type: ColumnType): boolean {
  return type === ColumnType.FLOAT32 || type === ColumnType.FLOAT64 || type === ColumnType.BOOL;
}

/** Goes on behind these bytes, or stops. */
function literalSource(literal: Uint8Array): string {
  const padded = new DataView(new ArrayBuffer((literal.length + 3) & ~3));
  new Uint8Array(padded.buffer).set(literal);
  const tests = Array.from({ length: padded.byteLength >> 2 }, (_, word) => {
    const rest = literal.length - word * 4;
    const read = `view.getInt32(p + ${word * 4}, true)`;
    const mask = rest >= 4 ? '' : ` & ${(1 << (rest * 8)) - 1}`;
    return `(${read}${mask}) !== ${padded.getInt32(word * 4, true)}`;
  });
  return `
    if (p > end || ${tests.join(' || ')}) break;
    p = p + ${literal.length} | 0;`;
}

function valueSource(column: TargetColumn | null): string {
  if (column === null) return '\n    if ((p = plainValueEnd(buffer, view, p, end)) < 0) break;';
  if (isText(column)) return textSource(column);
  if (column.type === ColumnType.BOOL) return boolSource(column);
  return column.type === ColumnType.TIMESTAMP_NS ? timeSource(column) : numberSource(column);
}

/** The first `n` characters of w that are digits; t holds them as values. */
const COUNT = `t = w ^ 0x30303030; o = (t + 0x06060606 | t) & 0xf0f0f0f0; n = o === 0 ? 4 : 31 - clz32(o & -o) >> 3;`;

/** The number that the first n (not 0) values in t make. */
const VALUE = 'imul(imul(t << (4 - n << 3), 2561) >>> 8 & 0xff00ff, 6553601) >>> 16';

/** The number that the four values of a word make. */
const four = (word: string): string => `(imul(imul(${word}, 2561) >>> 8 & 0xff00ff, 6553601) >>> 16)`;

function numberSource(column: TargetColumn): string {
  const { index, scale, type } = column;
  const long = type === ColumnType.INT64 || type === ColumnType.TIMESTAMP_NS;
  return `
    w = view.getInt32(p, true);
    quoted = (w & 255) === 34;
    if (quoted) w = view.getInt32(p = p + 1 | 0, true);
    negative = (w & 255) === 45;
    if (negative) w = view.getInt32(p = p + 1 | 0, true);
    ${COUNT}
    if (n === 0) {
      if (w !== ${NULL_WORD} || quoted || negative) break;
      ${nullSource(column)}
      p = p + 4 | 0;
    } else {
      if (n > 1 && (w & 255) === 48) break;
      m = ${VALUE};
      p = p + n | 0;
      if (n === 4) {
        w = view.getInt32(p, true);
        ${COUNT}
        if (n > 0) {
          m = m * POW10[n] + (${VALUE});
          p = p + n | 0;
        }
      } else n = 0;
      if (n === 4 && (view.getUint8(p) ^ 48) <= 9) {
        ${long ? `p = readLong(view, p - 8 | 0, ${scale}, c${index}, row << 1, negative);\n        if (p < 0) break;` : 'break;'}
      } else {
        d = 0;
        x = 0;
        if (view.getUint8(p) === 46) {
          w = view.getInt32(p + 1 | 0, true);
          ${COUNT}
          if (n === 0) break;
          x = ${VALUE};
          d = n;
          p = p + 1 + n | 0;
          if (n === 4) {
            w = view.getInt32(p, true);
            ${COUNT}
            if (n > 0) {
              x = x * POW10[n] + (${VALUE});
              d = d + n | 0;
              p = p + n | 0;
            }
          }
        }
        ${storeSource(column)}
      }
      if (quoted) {
        if (view.getUint8(p) !== 34) break;
        p = p + 1 | 0;
      }
    }`;
}

/** Stores m and a fraction of d decimals that is x / 10^d; m is below 10^8, d at most 8. */
function storeSource({ index, scale, type }: TargetColumn): string {
  if (type === ColumnType.FLOAT32 || type === ColumnType.FLOAT64) {
    return `x = m * POW10[d] + x;
        if (!(x < 9007199254740992)) break;
        x = x / POW10[d];
        c${index}[row] = negative ? -x : x;`;
  }
  const scaled = `if (d > ${scale}) break;
        x = m * ${10 ** scale} + x * POW10[${scale} - d];`;
  if (type === ColumnType.INT32) {
    return `${scaled}
        if (x > 2147483647) break;
        c${index}[row] = negative ? -x : x;`;
  }
  return `${scaled}
        ${scale > 7 ? 'if (!(x < 9007199254740992)) break;' : ''}
        t = x | 0;
        o = x / 4294967296 | 0;
        if (negative) {
          t = -t | 0;
          o = t === 0 ? -o | 0 : ~o;
        }
        c${index}[row << 1] = t;
        c${index}[(row << 1) + 1] = o;`;
}

/** NULL, where the column may hold it. */
function nullSource({ index, type, role }: TargetColumn): string {
  if (role !== Role.PLAIN) return 'break;';
  switch (type) {
    case ColumnType.INT32:
      return `c${index}[row] = ${NULL_INT32};`;
    case ColumnType.FLOAT32:
    case ColumnType.FLOAT64:
      return `c${index}[row] = NaN;`;
    default:
      return `c${index}[row << 1] = 0;
      c${index}[(row << 1) + 1] = -2147483648;`;
  }
}

/** A time as text, or as a number; an integer of nanoseconds, microseconds or milliseconds mostly has the second of the tick before. */
function timeSource(column: TargetColumn): string {
  return `
    if (view.getUint8(p) === 34) {
      p = readIsoTime(view, p + 1 | 0, c${column.index}, row << 1);
      if (p < 0 || view.getUint8(p) !== 34) break;
      p = p + 1 | 0;
    } else {${column.scale === 9 ? numberSource(column) : epochSource(column)}
    }`;
}

/** An integer of as many digits as a time of this century has: ten of its second, the rest as the unit says. */
function epochSource({ index, scale }: TargetColumn): string {
  // Behind the second: two digits in the third word (a), then four (b), then three (t), or fewer.
  const rest =
    scale === 0
      ? `const b = view.getInt32(p + 12 | 0, true) ^ 0x30303030;
      t = (view.getInt32(p + 16 | 0, true) ^ 0x303030) << 8;
      if (((a + 0x06060606 | a | b + 0x06060606 | b | t + 0x06060600 | t) & 0xf0f0f0f0) !== 0) break;
      n = imul(${four('a')}, 10000000) + imul(${four('b')}, 1000) + ${four('t')} | 0;`
      : scale === 3
        ? `const b = view.getInt32(p + 12 | 0, true) ^ 0x30303030;
      if (((a + 0x06060606 | a | b + 0x06060606 | b) & 0xf0f0f0f0) !== 0) break;
      n = imul(${four('a')}, 10000000) + imul(${four('b')}, 1000) | 0;`
        : `t = view.getUint8(p + 12 | 0) ^ 0x30;
      if (((a + 0x06060606 | a) & 0xf0f0f0f0) !== 0 || t > 9) break;
      n = imul(${four('a')}, 10000000) + imul(t, 1000000) | 0;`;
  return `
      const w0 = view.getInt32(p, true);
      const w1 = view.getInt32(p + 4 | 0, true);
      const w2 = view.getInt32(p + 8 | 0, true);
      if (w0 !== second0 || w1 !== second1 || (w2 & 0xffff) !== second2) {
        if (!readSecond(view, p, pair)) break;
        second0 = w0;
        second1 = w1;
        second2 = w2 & 0xffff;
        low = pair[0];
        high = pair[1];
      }
      const a = (w2 & -0x10000 | 0x3030) ^ 0x30303030;
      ${rest}
      t = low + n | 0;
      c${index}[row << 1] = t;
      c${index}[(row << 1) + 1] = high + (t >>> 0 < n ? 1 : 0);
      p = p + ${19 - scale} | 0;`;
}

/** Notes where a plain string lies and its hash; an id is stored at once. */
function textSource({ index, type, role }: TargetColumn): string {
  const nothing =
    role === Role.SYMBOL ? '' : `if (w === ${NULL_WORD}) { c${index}[row] = -1; p = p + 4 | 0; } else `;
  const id =
    type === ColumnType.SYMBOL
      ? `{
        ${COUNT}
        if (n === 0 || n > 1 && (w & 255) === 48) break;
        m = ${VALUE};
        p = p + n | 0;
        if (n === 4) {
          w = view.getInt32(p, true);
          ${COUNT}
          if (n > 0) {
            m = m * POW10[n] + (${VALUE});
            p = p + n | 0;
          }
        }
        c${index}[row] = m;
      }`
      : 'break;';
  return `
    w = view.getInt32(p, true);
    if ((w & 255) !== 34) {
      length${index} = -1;
      ${nothing}${id}
    } else {
      start${index} = p = p + 1 | 0;
      hash${index} = ${HASH_SEED};
      for (;;) {
        w = view.getInt32(p, true);
        t = w ^ 0x5c5c5c5c;
        o = (t - 0x01010101 & ~t | w - 0x20202020 & ~w) & 0x80808080;
        t = w ^ 0x22222222;
        t = t - 0x01010101 & ~t & 0x80808080;
        if (t !== 0) break;
        if (o !== 0 || p > end) break run;
        hash${index} = imul(hash${index} ^ w, 0x9e3779b1);
        hash${index} ^= hash${index} >>> 15;
        p = p + 4 | 0;
      }
      n = 31 - clz32(t & -t) >> 3;
      if (n > 0) {
        t = (1 << (n << 3)) - 1;
        if ((o & t) !== 0) break;
        hash${index} = imul(hash${index} ^ w & t, 0x9e3779b1);
        hash${index} ^= hash${index} >>> 15;
        p = p + n | 0;
      }
      length${index} = p - start${index} | 0;
      p = p + 1 | 0;
    }`;
}

/** Only names that have a code, hence are valid UTF-8; a new one is the scanner's to bring in. */
function codeSource(index: number): string {
  return `
    if (length${index} >= 0) {
      if (length${index} === 0) break;
      n = symbols.findHashed(view, start${index}, length${index}, hash${index});
      if (n < 0) break;
      c${index}[row] = n;
    }`;
}

function boolSource({ index }: TargetColumn): string {
  return `
    w = view.getInt32(p, true);
    if (w === ${TRUE_WORD}) {
      c${index}[row] = 1;
      p = p + 4 | 0;
    } else {
      if (w !== ${FALS_WORD} || view.getUint8(p + 4 | 0) !== 101) break;
      c${index}[row] = 0;
      p = p + 5 | 0;
    }`;
}

function missingTimeSource({ index }: TargetColumn): string {
  return `    if (storeMissing(target.columns[${index}], columns[${index}], row, timestampMs[i]) !== null) break;`;
}
