// What: a block's values of one expression, in the form that loops run over.
// Why: int64 arithmetic without a BigInt per row: most blocks fit doubles exactly, the few that do not are told apart once per block.
// Invariant: NULL is a value of its own (NaN, −2^63, 0xff, 0xffffffff), as in stored columns; a number is never rounded by its form.

import { NULL_BOOL, NULL_CODE, NULL_INT64 } from '../columns/types.ts';
import type { SqlType } from '../sql/types.ts';

/** Rows of a block at most: the vectors of a query's expressions then stay in the processor's cache. */
export const BLOCK_ROWS = 8192;

/** Largest magnitude in an IntVector: the sum or difference of two such numbers is still exact in a double. */
export const NARROW_MAX = 2 ** 52;

/** Of all vectors. */
interface Written {
  /** Never written again: it may be handed out as it is. */
  readonly isFinal?: true;
}

/** Integers, timestamps and scaled decimals: base + values[i], exactly; NaN is NULL. |values[i]| ≤ NARROW_MAX. */
export interface IntVector extends Written {
  readonly kind: 'int';
  readonly values: Float64Array;
  readonly base: bigint;
}

/** The same types where a value does not fit an IntVector; −2^63 is NULL. */
export interface WideVector extends Written {
  readonly kind: 'wide';
  readonly values: BigInt64Array;
}

/** NaN is NULL: there is no other NaN. */
export interface FloatVector extends Written {
  readonly kind: 'float';
  readonly values: Float64Array;
}

/** 0, 1, or 0xff for NULL. */
export interface BoolVector extends Written {
  readonly kind: 'bool';
  readonly values: Uint8Array;
}

/** Codes of the query's texts (texts.ts); 0xffffffff is NULL. A SYMBOL's code is its id. */
export interface TextVector extends Written {
  readonly kind: 'text';
  readonly values: Uint32Array;
  /** All values are the same, as a part's symbol is: who groups by it need not look at each row. */
  readonly isConstant?: true;
}

/**
 * Valid until whatever made it makes the next one: a vector that is kept must be copied. The arrays may be longer
 * than the block.
 */
export type Vector = IntVector | WideVector | FloatVector | BoolVector | TextVector;
export type IntegerVector = IntVector | WideVector;

/** `wide` is a form of `int`. */
export type Kind = 'int' | 'float' | 'bool' | 'text';

export function kindOf(type: SqlType): Kind {
  switch (type.name) {
    case 'FLOAT32':
    case 'FLOAT64':
      return 'float';
    case 'BOOL':
      return 'bool';
    case 'SYMBOL':
    case 'STRING':
      return 'text';
    default:
      return 'int';
  }
}

/** Decimals of the stored integer. */
export const scaleOf = (type: SqlType): number => (type.name === 'DECIMAL' ? type.scale : 0);

export const intVector = (values: Float64Array, base = 0n): IntVector => ({ kind: 'int', values, base });
export const wideVector = (values: BigInt64Array): WideVector => ({ kind: 'wide', values });
export const floatVector = (values: Float64Array): FloatVector => ({ kind: 'float', values });
export const boolVector = (values: Uint8Array): BoolVector => ({ kind: 'bool', values });
export const textVector = (values: Uint32Array): TextVector => ({ kind: 'text', values });
export const constantText = (code: number, rows: number): TextVector => ({
  kind: 'text',
  values: new Uint32Array(rows).fill(code),
  isConstant: true,
});

/** The integer at a row, or null. For the ways that are allowed to be slow. */
export function bigintAt(vector: IntegerVector, row: number): bigint | null {
  if (vector.kind === 'wide') {
    const value = vector.values[row]!;
    return value === NULL_INT64 ? null : value;
  }
  const value = vector.values[row]!;
  return Number.isNaN(value) ? null : vector.base + BigInt(value);
}

export function isNullAt(vector: Vector, row: number): boolean {
  switch (vector.kind) {
    case 'int':
    case 'float':
      return Number.isNaN(vector.values[row]!);
    case 'wide':
      return vector.values[row] === NULL_INT64;
    case 'bool':
      return vector.values[row] === NULL_BOOL;
    case 'text':
      return vector.values[row] === NULL_CODE;
  }
}

/** One value as plain data: integers as bigint, texts as their code. */
export type Scalar = bigint | number | boolean | null;

export function scalarAt(vector: Vector, row: number): Scalar {
  switch (vector.kind) {
    case 'int':
    case 'wide':
      return bigintAt(vector, row);
    case 'bool': {
      const value = vector.values[row]!;
      return value === NULL_BOOL ? null : value === 1;
    }
    default:
      return isNullAt(vector, row) ? null : vector.values[row]!;
  }
}

/** `rows` times the same value. */
export function constantVector(kind: Kind, value: Scalar, rows: number): Vector {
  switch (kind) {
    case 'int':
      return constantInt(value as bigint | null, rows);
    case 'float':
      return floatVector(new Float64Array(rows).fill(value === null ? Number.NaN : (value as number)));
    case 'bool':
      return boolVector(new Uint8Array(rows).fill(value === null ? NULL_BOOL : value === true ? 1 : 0));
    case 'text':
      return constantText(value === null ? NULL_CODE : (value as number), rows);
  }
}

function constantInt(value: bigint | null, rows: number): IntVector {
  const values = new Float64Array(rows);
  if (value === null) return intVector(values.fill(Number.NaN));
  const isNarrow = value <= BigInt(NARROW_MAX) && value >= -BigInt(NARROW_MAX);
  return isNarrow ? intVector(values.fill(Number(value))) : intVector(values, value);
}

/** Values `from` and after as a vector of their own, over the same memory. */
export function tailOf(vector: Vector, from: number): Vector {
  return from === 0 ? vector : ({ ...vector, values: vector.values.subarray(from) } as Vector);
}

/** Values [0, rows) as they are given out: in vectors of a block's rows, over the same memory. */
export function piecesOf(vector: Vector, rows: number): Vector[] {
  if (rows <= BLOCK_ROWS) return [vector];
  const pieces: Vector[] = [];
  for (let from = 0; from < rows; from += BLOCK_ROWS) {
    const values = vector.values.subarray(from, Math.min(from + BLOCK_ROWS, rows));
    pieces.push({ ...vector, values } as Vector);
  }
  return pieces;
}

/** Values [0, rows) as a vector of their own, over memory of their own. */
export function headOf(vector: Vector, rows: number): Vector {
  return { ...vector, values: vector.values.slice(0, rows) } as Vector;
}

export const finalVector = (vector: Vector): Vector => ({ ...vector, isFinal: true });
