// What: + − × // % and negation of integers and decimals, exactly, and the step from integers to floats.
// Why: doubles are exact up to 2^53 and fast; where a block leaves them it is computed again in BigInt.
// Invariant: a result is exact or an error: nothing wraps and nothing is rounded. Division by zero is NULL.

import { NULL_INT64 } from '../../columns/types.ts';
import { INT64_MAX, POW10 } from '../../kernel/fixed.ts';
import { nodeError } from '../../sql/errors.ts';
import { addInto } from '../kernels/unrolled.ts';
import type { Scratch } from '../scratch.ts';
import {
  bigintAt,
  floatVector,
  type IntegerVector,
  type IntVector,
  intVector,
  NARROW_MAX,
  type Vector,
  wideVector,
} from '../vector.ts';

export type IntegerOperator = '+' | '-' | '*' | '//' | '%';

/** A base this far from the ends of int64 cannot leave it by a narrow value. */
const BASE_MAX = INT64_MAX - BigInt(NARROW_MAX) * 2n;

/** left operator right, both at the same scale (but for *). `at`: position for an overflow. */
export function integerArithmetic(
  operator: IntegerOperator,
  left: IntegerVector,
  right: IntegerVector,
  rows: number,
  scratch: Scratch,
  at: number,
): IntegerVector {
  if (left.kind === 'int' && right.kind === 'int') {
    const narrow = narrowArithmetic(operator, left, right, rows, scratch);
    if (narrow !== null) return narrow;
  }
  return wideArithmetic(operator, left, right, rows, scratch, at);
}

/** Null when a result leaves the doubles that are exact. */
function narrowArithmetic(
  operator: IntegerOperator,
  left: IntVector,
  right: IntVector,
  rows: number,
  scratch: Scratch,
): IntVector | null {
  const out = scratch.floats(rows);
  if (operator === '+' || operator === '-') {
    const a = left.values;
    const b = right.values;
    const isWithin = addInto(out, a, b, operator === '+' ? 1 : -1, rows, NARROW_MAX);
    const base = operator === '+' ? left.base + right.base : left.base - right.base;
    return isWithin && isSafeBase(base) ? intVector(out, base) : null;
  }
  const by = plain(right, rows, out)?.values;
  if (by === undefined) return null;
  if (operator !== '*' && left.base > BigInt(NARROW_MAX)) return divideTimes(operator, left, by, rows, out);
  if (right.base !== 0n && left.base !== 0n) return null;
  const a = plain(left, rows, out)?.values;
  if (a === undefined) return null;
  // Adding 0 turns −0 into 0.
  switch (operator) {
    case '*':
      for (let i = 0; i < rows; i++) out[i] = a[i]! * by[i]! + 0;
      break;
    case '//':
      for (let i = 0; i < rows; i++) out[i] = by[i] === 0 ? Number.NaN : Math.trunc(a[i]! / by[i]!) + 0;
      break;
    case '%':
      for (let i = 0; i < rows; i++) out[i] = (a[i]! % by[i]!) + 0;
      break;
  }
  return withinNarrow(out, rows) ? intVector(out) : null;
}

const isSafeBase = (base: bigint): boolean => base < BASE_MAX && base > -BASE_MAX;

/** With base 0, written to `out` where it had another; null when that does not fit. */
function plain(vector: IntVector, rows: number, out: Float64Array): IntVector | null {
  if (vector.base === 0n) return vector;
  const base = Number(vector.base);
  if (Math.abs(base) > NARROW_MAX) return null;
  const from = vector.values;
  for (let i = 0; i < rows; i++) out[i] = from[i]! + base;
  return withinNarrow(out, rows) ? intVector(out) : null;
}

/** Timestamps, all above zero, by one positive number: 1 minute, 1 day. */
function divideTimes(
  operator: '//' | '%',
  left: IntVector,
  by: Float64Array,
  rows: number,
  out: Float64Array,
): IntVector | null {
  const size = by[0]!;
  if (!(size > 0)) return null;
  for (let i = 1; i < rows; i++) if (by[i] !== size) return null;
  if (operator === '//') return quotients(left, size, rows, out);
  const rest = Number(left.base - floorMultiple(left.base, BigInt(size)));
  const a = left.values;
  for (let i = 0; i < rows; i++) out[i] = a[i]! + rest - Math.floor((a[i]! + rest) / size) * size;
  return intVector(out);
}

/** floor(x / size), size > 0. */
function quotients(vector: IntVector, size: number, rows: number, out: Float64Array): IntVector {
  const step = BigInt(size);
  const start = floorMultiple(vector.base, step);
  const rest = Number(vector.base - start);
  const from = vector.values;
  for (let i = 0; i < rows; i++) out[i] = Math.floor((from[i]! + rest) / size);
  return intVector(out, start / step);
}

/** floor(x / step), 0 < step ≤ NARROW_MAX. */
export function floorDivided(
  vector: IntegerVector,
  step: number,
  rows: number,
  scratch: Scratch,
): IntegerVector {
  if (vector.kind === 'int') return quotients(vector, step, rows, scratch.floats(rows));
  const out = scratch.bigints(rows);
  const by = BigInt(step);
  for (let i = 0; i < rows; i++) {
    const value = vector.values[i]!;
    out[i] = value === NULL_INT64 ? NULL_INT64 : floorDivide(value, by);
  }
  return wideVector(out);
}

/** Whether all are at most NARROW_MAX; NaN is. */
function withinNarrow(values: Float64Array, rows: number): boolean {
  let outside = false;
  for (let i = 0; i < rows; i++) {
    const value = values[i]!;
    if (value > NARROW_MAX || value < -NARROW_MAX) outside = true;
  }
  return !outside;
}

function wideArithmetic(
  operator: IntegerOperator,
  left: IntegerVector,
  right: IntegerVector,
  rows: number,
  scratch: Scratch,
  at: number,
): IntegerVector {
  const out = scratch.bigints(rows);
  const apply = bigintOperators[operator];
  for (let i = 0; i < rows; i++) {
    const a = bigintAt(left, i);
    const b = bigintAt(right, i);
    const value = a === null || b === null ? null : apply(a, b);
    out[i] = value === null ? NULL_INT64 : withinInt64(value, at);
  }
  return wideVector(out);
}

const bigintOperators: Readonly<Record<IntegerOperator, (a: bigint, b: bigint) => bigint | null>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '//': (a, b) => (b === 0n ? null : a / b),
  '%': (a, b) => (b === 0n ? null : a % b),
};

/** @throws ZeptoError SQL_TYPE when the value does not fit an INT64. */
export function withinInt64(value: bigint, at: number): bigint {
  if (value > INT64_MAX || value < -INT64_MAX)
    throw nodeError('SQL_TYPE', at, 'the result does not fit an INT64: cast to FLOAT64 first');
  return value;
}

export function negated(vector: IntegerVector, rows: number, scratch: Scratch): IntegerVector {
  if (vector.kind === 'int') {
    const out = scratch.floats(rows);
    const from = vector.values;
    // 0 − x rather than −x, so that there is one zero.
    for (let i = 0; i < rows; i++) out[i] = 0 - from[i]!;
    return intVector(out, -vector.base);
  }
  const out = scratch.bigints(rows);
  for (let i = 0; i < rows; i++) {
    const value = vector.values[i]!;
    out[i] = value === NULL_INT64 ? NULL_INT64 : -value;
  }
  return wideVector(out);
}

/** Times 10^digits, digits > 0: a decimal at a larger scale. @throws SQL_TYPE when it does not fit. */
export function rescaled(
  vector: Vector,
  digits: number,
  rows: number,
  scratch: Scratch,
  at: number,
): IntegerVector {
  const integers = vector as IntegerVector;
  if (integers.kind === 'int' && integers.base === 0n) {
    const out = scratch.floats(rows);
    const from = integers.values;
    const factor = POW10[digits]!;
    for (let i = 0; i < rows; i++) out[i] = from[i]! * factor;
    if (withinNarrow(out, rows)) return intVector(out);
  }
  const out = scratch.bigints(rows);
  const factor = 10n ** BigInt(digits);
  for (let i = 0; i < rows; i++) {
    const value = bigintAt(integers, i);
    out[i] = value === null ? NULL_INT64 : withinInt64(value * factor, at);
  }
  return wideVector(out);
}

/** Integers or decimals as the nearest doubles. */
export function toFloats(vector: Vector, scale: number, rows: number, scratch: Scratch): Vector {
  const integers = vector as IntegerVector;
  const out = scratch.floats(rows);
  const divisor = POW10[scale]!;
  const narrow = integers.kind === 'int' ? plain(integers, rows, out) : null;
  if (narrow !== null) {
    const from = narrow.values;
    if (scale === 0) return floatVector(from);
    for (let i = 0; i < rows; i++) out[i] = from[i]! / divisor;
    return floatVector(out);
  }
  for (let i = 0; i < rows; i++) {
    const value = bigintAt(integers, i);
    out[i] = value === null ? Number.NaN : Number(value) / divisor;
  }
  return floatVector(out);
}

export type FloatOperator = '+' | '-' | '*' | '/' | '%';

export function floatArithmetic(
  operator: FloatOperator,
  left: Float64Array,
  right: Float64Array,
  rows: number,
  out: Float64Array,
): Float64Array {
  switch (operator) {
    case '+':
      for (let i = 0; i < rows; i++) out[i] = left[i]! + right[i]!;
      break;
    case '-':
      for (let i = 0; i < rows; i++) out[i] = left[i]! - right[i]!;
      break;
    case '*':
      for (let i = 0; i < rows; i++) out[i] = left[i]! * right[i]!;
      break;
    case '/':
      for (let i = 0; i < rows; i++) out[i] = right[i] === 0 ? Number.NaN : left[i]! / right[i]!;
      break;
    case '%':
      for (let i = 0; i < rows; i++) out[i] = left[i]! % right[i]!;
      break;
  }
  return out;
}

/** Whole multiples of `step` (> 0) at or below each value: xbar. */
export function roundedDown(
  vector: IntegerVector,
  step: bigint,
  rows: number,
  scratch: Scratch,
  at: number,
): IntegerVector {
  if (vector.kind === 'int' && step <= BigInt(NARROW_MAX)) {
    const out = scratch.floats(rows);
    const from = vector.values;
    const size = Number(step);
    const start = floorMultiple(vector.base, step);
    const rest = Number(vector.base - start);
    for (let i = 0; i < rows; i++) out[i] = Math.floor((from[i]! + rest) / size) * size;
    if (isSafeBase(start) && withinNarrow(out, rows)) return intVector(out, start);
  }
  const out = scratch.bigints(rows);
  for (let i = 0; i < rows; i++) {
    const value = bigintAt(vector, i);
    out[i] = value === null ? NULL_INT64 : withinInt64(floorMultiple(value, step), at);
  }
  return wideVector(out);
}

export function floorMultiple(value: bigint, step: bigint): bigint {
  const rest = value % step;
  return value - (rest < 0n ? rest + step : rest);
}

export const floorDivide = (value: bigint, by: bigint): bigint => floorMultiple(value, by) / by;
