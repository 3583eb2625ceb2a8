// What: a block of the plan's last operator → a block of the result.
// Why: vectors are mostly written again for the next block; what is handed out must stay.
// Invariant: nothing writes to what the result holds: it is a copy, or final.

import { NULL_BOOL, NULL_CODE, NULL_INT64 } from '../columns/types.ts';
import type { Block } from './block.ts';
import type { ResultBlock, ResultValues } from './result.ts';
import type { Texts } from './texts.ts';
import type { FloatVector, IntVector, Vector } from './vector.ts';

/** What a text column is in every result; the texts are those of one query. */
interface CodedTexts {
  readonly kind: 'text';
  readonly codes: Uint32Array;
  /** By code: the query's code. */
  readonly distinct: readonly number[];
  readonly nulls: Uint8Array | null;
}

type Form = Exclude<ResultValues, { readonly kind: 'text' }> | CodedTexts;

/** Of final vectors, which are asked for again by each read of a view; each goes with its vector. */
const formsOfFinal = new WeakMap<Vector, Form>();

/** Of a block's texts as they are written: fewer cost no more than the block itself. */
const UNITS_UNCOUNTED = 2 ** 22;

export function resultBlock(block: Block, width: number, texts: Texts): ResultBlock {
  const columns: ResultValues[] = [];
  for (let slot = 0; slot < width; slot++) columns.push(resultValues(block.column(slot), block.rows, texts));
  requireWritable(columns, texts);
  return { rows: block.rows, columns };
}

function resultValues(vector: Vector, rows: number, texts: Texts): ResultValues {
  const isKept = vector.isFinal === true && vector.values.length === rows;
  const form = isKept ? keptForm(vector, rows) : formOf(vector, rows);
  if (form.kind !== 'text') return form;
  const { kind, codes, distinct, nulls } = form;
  return { kind, codes, texts: distinct.map((code) => texts.textOf(code)), nulls };
}

/** A text is written anew for each row that has it. @throws ZeptoError LIMIT_EXCEEDED */
function requireWritable(columns: readonly ResultValues[], { budget }: Texts): void {
  const texts = columns.filter((column) => column.kind === 'text');
  let most = 0;
  for (const column of texts)
    most += column.codes.length * column.texts.reduce((longest, { length }) => Math.max(longest, length), 0);
  if (most <= UNITS_UNCOUNTED) return;
  let units = 0;
  for (const column of texts)
    column.codes.forEach((code, row) => {
      if (column.nulls?.[row] !== 1) units += column.texts[code]!.length;
    });
  budget.reserve(2 * units);
  budget.release(2 * units);
}

function keptForm(vector: Vector, rows: number): Form {
  const known = formsOfFinal.get(vector);
  if (known !== undefined) return known;
  const form = formOf(vector, rows);
  formsOfFinal.set(vector, form);
  return form;
}

function formOf(vector: Vector, rows: number): Form {
  switch (vector.kind) {
    case 'int':
      return vector.base === 0n
        ? { kind: 'int', ...doubles(vector, rows) }
        : basedIntegers(vector.values, vector.base, rows);
    case 'wide': {
      const values = vector.values.slice(0, rows);
      return { kind: 'int', values, nulls: clear(values, NULL_INT64, 0n) };
    }
    case 'float':
      return { kind: 'float', ...doubles(vector, rows) };
    case 'bool': {
      const values = vector.values.slice(0, rows);
      return { kind: 'bool', values, nulls: clear(values, NULL_BOOL, 0) };
    }
    case 'text':
      return codedTexts(vector.values, rows);
  }
}

/** NULLs become 0. */
function doubles(
  { values: from, isFinal }: IntVector | FloatVector,
  rows: number,
): { readonly values: Float64Array; readonly nulls: Uint8Array | null } {
  let first = 0;
  while (first < rows && !Number.isNaN(from[first]!)) first++;
  if (first === rows)
    return { values: isFinal === true ? from.subarray(0, rows) : from.slice(0, rows), nulls: null };
  const values = from.slice(0, rows);
  const nulls = new Uint8Array(rows);
  for (let row = first; row < rows; row++) {
    if (!Number.isNaN(values[row]!)) continue;
    nulls[row] = 1;
    values[row] = 0;
  }
  return { values, nulls };
}

/** base + values, written by halves: a BigInt per row would cost more than the query. */
function basedIntegers(from: Float64Array, base: bigint, rows: number): Form {
  const values = new BigInt64Array(rows);
  const halves = new Int32Array(values.buffer);
  const low = Number(BigInt.asUintN(32, base));
  const high = Number(BigInt.asIntN(64, base) >> 32n);
  let nulls: Uint8Array | null = null;
  for (let row = 0; row < rows; row++) {
    const value = from[row]!;
    if (Number.isNaN(value)) {
      nulls ??= new Uint8Array(rows);
      nulls[row] = 1;
      continue;
    }
    const sum = value + low;
    halves[2 * row] = sum | 0;
    halves[2 * row + 1] = (Math.floor(sum / 2 ** 32) + high) | 0;
  }
  return { kind: 'int', values, nulls };
}

/** NULLs of the values, which become 0. */
function clear<T extends BigInt64Array | Uint8Array>(
  values: T,
  absent: T[number],
  zero: T[number],
): Uint8Array | null {
  let nulls: Uint8Array | null = null;
  for (let row = 0; row < values.length; row++) {
    if (values[row] !== absent) continue;
    nulls ??= new Uint8Array(values.length);
    nulls[row] = 1;
    values[row] = zero;
  }
  return nulls;
}

function codedTexts(from: Uint32Array, rows: number): CodedTexts {
  const codes = new Uint32Array(rows);
  const distinct: number[] = [];
  const known = new Map<number, number>();
  let nulls: Uint8Array | null = null;
  let last = NULL_CODE;
  let lastCode = 0;
  for (let row = 0; row < rows; row++) {
    const code = from[row]!;
    if (code === NULL_CODE) {
      nulls ??= new Uint8Array(rows);
      nulls[row] = 1;
      continue;
    }
    // Neighbours mostly are of one symbol.
    if (code !== last) {
      last = code;
      const found = known.get(code);
      if (found === undefined) {
        lastCode = distinct.length;
        known.set(code, lastCode);
        distinct.push(code);
      } else lastCode = found;
    }
    codes[row] = lastCode;
  }
  return { kind: 'text', codes, distinct, nulls };
}
