// What: a reader of whole runs of records of one writer schema, as code made for that schema and table.
// Why: with types, columns and order as constants a tick costs a third of what a chain of field readers takes.
// Invariant: it takes a record only when the field readers would, with the same row; at anything else it stops before that record.
//
// Fields that are not worth code of their own are read by their field readers from within. Names never become source text.

import type { RecordBatch, RowBuffer } from '../../src/columns/batch.ts';
import { HASH_SEED, type SymbolTable } from '../../src/columns/symbols.ts';
import { ColumnType } from '../../src/columns/types.ts';
import { POW10, writeProduct } from '../../src/kernel/fixed.ts';
import { AvroCursor } from './avro-cursor.ts';
import { type FieldReader, longShift } from './avro-fields.ts';
import type { RecordPlan, RecordStep } from './avro-record.ts';
import type { AvroType } from './avro-schema.ts';
import { fillNull, storeMissing } from './store.ts';
import { isText, Role, type Target, type TargetColumn } from './target.ts';

/** Appends the rows of records from `from` on while they are of this schema and plain; returns the first that was not taken. */
export type RunReader = (
  records: RecordBatch,
  view: DataView,
  from: number,
  to: number,
  rows: RowBuffer,
) => number;

/** No field reads further than this past a record's end before its length is checked. */
const OVERREAD_BYTES = 128;
const TOOLS = { fillNull, storeMissing, writeProduct };

/** Null where the process does not allow code to be made, or a text needs more than code for it. */
export function compileRecord(
  id: number,
  plan: RecordPlan,
  target: Target,
  symbols: SymbolTable,
): RunReader | null {
  if (
    plan.steps.some(
      ({ column, type }) => column !== null && isText(column) && inlineType(type, column) === null,
    )
  )
    return null;
  const source = sourceOf(id, plan, target);
  try {
    const make = new Function('readers', 'target', 'symbols', 'cursor', 'tools', source) as (
      readers: readonly FieldReader[],
      target: Target,
      symbols: SymbolTable,
      cursor: AvroCursor,
      tools: typeof TOOLS,
    ) => RunReader;
    const readers = plan.steps.map((step) => step.read);
    return make(readers, target, symbols, new AvroCursor(), TOOLS);
  } catch (error) {
    if (error instanceof EvalError) return null;
    throw error;
  }
}

function sourceOf(id: number, { steps, missing }: RecordPlan, target: Target): string {
  const texts = steps.flatMap(({ column }) => (column !== null && isText(column) ? [column.index] : []));
  const header = Buffer.alloc(5);
  header.writeUInt32BE(id, 1);
  return `'use strict';
const { fillNull, storeMissing, writeProduct } = tools;
const { clz32, floor, imul, round } = Math;
return (records, view, from, to, rows) => {
  const { valueStart, valueLength, timestampMs, offset } = records;
  const { columns, offset: offsets } = rows;
  const limit = view.byteLength - ${OVERREAD_BYTES};
  const firstRow = rows.rows;
${target.columns.map(({ index, type }) => `  const c${index} = columns[${index}].${isDirect(type) ? 'values' : 'i32'};`).join('\n')}
  let row = firstRow, i = from, w = 0, t = 0, n = 0, x = 0, low = 0, high = 0, negative = false;
${texts.map((index) => `  let start${index} = 0, length${index} = 0;`).join('\n')}
  cursor.view = view;
  cursor.columns = columns;
  for (; i < to; i++) {
    const length = valueLength[i];
    let p = valueStart[i];
    const end = p + length | 0;
    if (length < 5 || end > limit) break;
    if (view.getInt32(p, true) !== ${header.readInt32LE(0)} || view.getUint8(p + 4 | 0) !== ${header[4]}) break;
    p = p + 5 | 0;
${steps.map(stepSource).join('')}
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

function stepSource({ type, column, again }: RecordStep, step: number): string {
  const inline = again ? null : column === null ? skipSource(type) : inlineType(type, column);
  const body =
    inline ??
    `
    cursor.p = p;
    cursor.end = end;
    cursor.timestampMs = timestampMs[i];
    if (readers[${step}](cursor, row) !== null) break;
    p = cursor.p;`;
  return `
    if (p > end) break;${body}`;
}

/** The code for a type into a column; null where there is none, and the field reader does it. */
function inlineType(type: AvroType, column: TargetColumn): string | null {
  if (type.kind === 'union') {
    const empty = type.branches.findIndex((branch) => branch.kind === 'null');
    const value = type.branches.length === 2 && empty >= 0 ? type.branches[1 - empty]! : null;
    const inner = value === null || value.kind === 'union' ? null : inlineType(value, column);
    if (inner === null || column.role !== Role.PLAIN) return null;
    return `
    w = view.getUint8(p);
    p = p + 1 | 0;
    if (w === ${empty * 2}) {${isText(column) ? `\n      length${column.index} = -1;` : ''}
      storeMissing(target.columns[${column.index}], columns[${column.index}], row, 0);
    } else {
      if (w !== ${(1 - empty) * 2}) break;${inner}
    }`;
  }
  switch (type.kind) {
    case 'string':
      return isText(column) ? textSource(column.index) : null;
    case 'int':
    case 'long':
      return longSource(type.logical, column);
    case 'double':
      return doubleSource(column);
    default:
      return null;
  }
}

/** Reads a varint's bits to low and high, zigzag not yet undone. */
const VARINT = `
    w = view.getInt32(p, true);
    t = ~w & 0x80808080;
    high = 0;
    if (t !== 0) {
      n = (31 - clz32(t & -t) >> 3) + 1;
      w &= 0xffffffff >>> (4 - n << 3);
      low = ${sevens('w')};
      p = p + n | 0;
    } else {
      low = ${sevens('w')};
      w = view.getInt32(p + 4 | 0, true);
      t = ~w & 0x80808080;
      if (t !== 0) {
        n = (31 - clz32(t & -t) >> 3) + 1;
        w &= 0xffffffff >>> (4 - n << 3);
        w = ${sevens('w')};
        p = p + 4 + n | 0;
        n = 0;
      } else {
        w = ${sevens('w')};
        n = view.getUint8(p + 8 | 0);
        if (n > 127) break;
        p = p + 9 | 0;
      }
      low |= w << 28;
      high = w >>> 4 | n << 24;
    }`;

function sevens(word: string): string {
  return `${word} & 0x7f | ${word} >>> 1 & 0x3f80 | ${word} >>> 2 & 0x1fc000 | ${word} >>> 3 & 0xfe00000`;
}

/** Undoes the zigzag. */
const SIGNED = `
    t = -(low & 1);
    low = (low >>> 1 | high << 31) ^ t;
    high = high >>> 1 ^ t;`;

function longSource(logical: Parameters<typeof longShift>[0], column: TargetColumn): string | null {
  const { index, type } = column;
  const wide = type === ColumnType.INT64 || type === ColumnType.TIMESTAMP_NS;
  const shift = longShift(logical, column);
  if (shift === null || shift > 9) return null;
  if (type === ColumnType.INT32 && shift === 0) {
    return `${VARINT}${SIGNED}
    if (high !== low >> 31 || low === -2147483648) break;
    c${index}[row] = low;`;
  }
  if (!wide) return null;
  if (shift === 0) {
    return `${VARINT}${SIGNED}
    if (high === -2147483648 && low === 0) break;
    c${index}[row << 1] = low;
    c${index}[(row << 1) + 1] = high;`;
  }
  return `${VARINT}${SIGNED}
    if (high >= 0x200000 || high < -0x200000) break;
    x = high * 4294967296 + (low >>> 0);
    negative = x < 0;
    if (!writeProduct(c${index}, row << 1, negative ? -x : x, ${POW10[shift]}, 0, negative)) break;`;
}

function doubleSource({ index, type, scale }: TargetColumn): string | null {
  const read = `
    x = view.getFloat64(p, true);
    p = p + 8 | 0;`;
  if (type === ColumnType.FLOAT64) return `${read}\n    c${index}[row] = x;`;
  if (type !== ColumnType.INT64) return null;
  // As fixedFromDouble does; NaN and what is not exact stop here.
  return `${read}
    const r${index} = round(x * ${POW10[scale]});
    if (!(r${index} < 9007199254740992 && r${index} > -9007199254740992 && r${index} / ${POW10[scale]} === x)) break;
    c${index}[row << 1] = r${index} | 0;
    c${index}[(row << 1) + 1] = floor(r${index} / 4294967296);`;
}

/** Reads a length of at most two bytes to n. */
const LENGTH = `
    w = view.getUint8(p);
    p = p + 1 | 0;
    if (w > 127) {
      t = view.getUint8(p);
      if (t > 127) break;
      p = p + 1 | 0;
      w = w & 127 | t << 7;
    }
    if ((w & 1) !== 0) break;
    n = w >>> 1;`;

function textSource(index: number): string {
  return `${LENGTH}
    start${index} = p;
    length${index} = n;
    p = p + n | 0;`;
}

/** Only names that have a code, hence are valid UTF-8; a new one is the field readers' to bring in. The text lies before \`end\`. */
function codeSource(index: number): string {
  return `
    n = length${index};
    if (n >= 0) {
      if (n === 0) break;
      t = ${HASH_SEED};
      x = start${index};
      for (; n >= 4; n = n - 4 | 0) {
        t = imul(t ^ view.getInt32(x, true), 0x9e3779b1);
        t ^= t >>> 15;
        x = x + 4 | 0;
      }
      if (n > 0) {
        t = imul(t ^ view.getInt32(x, true) & (1 << (n << 3)) - 1, 0x9e3779b1);
        t ^= t >>> 15;
      }
      w = symbols.findHashed(view, start${index}, length${index}, t);
      if (w < 0) break;
      c${index}[row] = w;
    }`;
}

/** Passes over a field that no column takes; null where the field reader does. */
function skipSource(type: AvroType): string | null {
  switch (type.kind) {
    case 'null':
      return ' ';
    case 'int':
    case 'long':
      return VARINT;
    case 'float':
      return '\n    p = p + 4 | 0;';
    case 'double':
      return '\n    p = p + 8 | 0;';
    case 'string':
    case 'bytes':
      return `${LENGTH}\n    p = p + n | 0;`;
    default:
      return null;
  }
}

function missingTimeSource({ index }: TargetColumn): string {
  return `    if (storeMissing(target.columns[${index}], columns[${index}], row, timestampMs[i]) !== null) break;`;
}
