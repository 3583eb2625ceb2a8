// What: sums, extremes and sums of products over stored int64 columns, without a BigInt and without a copy.
// Why: these loops are what a bar or a VWAP over millions of ticks costs.
// Invariant: a kernel answers exactly, or says that it cannot: a NULL, or a number that doubles do not hold.

import { NARROW_MAX } from '../vector.ts';

const TWO_32 = 2 ** 32;
/** Halves of that many numbers add up exactly. */
const ROWS_MAX = 2 ** 20;
/** So many numbers below 2^16 add up to an int32. */
const QUARTERS_MAX = 2 ** 15;
/** High halves of narrow numbers have these bits equal to their sign. */
const HIGH_BITS = 20;

/** The column's memory as low and high halves. */
export const halvesOf = (values: BigInt64Array): Int32Array =>
  new Int32Array(values.buffer, values.byteOffset, values.length * 2);

// Most columns hold numbers from 0 to 2^32: their high halves are 0, and the low ones need no doubles. What does not hold is
// noticed by the way, and the general loop runs.

/** Sum of rows [from, to); NaN when it cannot tell. */
export function sumOf(halves: Int32Array, from: number, to: number): number {
  const small = sumOfSmall(halves, from, to);
  return small >= 0 ? small : sumOfAny(halves, from, to);
}

/** −1 when a number is not from 0 to 2^32. */
function sumOfSmall(halves: Int32Array, from: number, to: number): number {
  let sum = 0;
  for (let start = from; start < to; start += QUARTERS_MAX) {
    const end = 2 * Math.min(to, start + QUARTERS_MAX);
    let low = 0;
    let high = 0;
    let tops = 0;
    for (let at = 2 * start; at < end; at += 2) {
      const half = halves[at]!;
      low = (low + (half & 0xffff)) | 0;
      high = (high + (half >>> 16)) | 0;
      tops |= halves[at + 1]!;
    }
    if (tops !== 0) return -1;
    sum += high * 65_536 + low;
  }
  return sum <= NARROW_MAX ? sum : -1;
}

function sumOfAny(halves: Int32Array, from: number, to: number): number {
  if (to - from > ROWS_MAX) return Number.NaN;
  let low = 0;
  let high = 0;
  let spread = 0;
  for (let at = 2 * from; at < 2 * to; at += 2) {
    const top = halves[at + 1]!;
    low += halves[at]! >>> 0;
    high += top;
    spread |= top ^ (top >> 31);
  }
  // Both sums are exact; their own sum is when it stays narrow.
  const sum = high * TWO_32 + low;
  return spread >>> HIGH_BITS === 0 && Math.abs(sum) <= NARROW_MAX ? sum : Number.NaN;
}

export interface Extremes {
  min: number;
  max: number;
}

/** Smallest and largest of rows [from, to), from < to; false when it cannot tell. */
export function extremesOf(halves: Int32Array, from: number, to: number, out: Extremes): boolean {
  return extremesOfSmall(halves, from, to, out) || extremesOfAny(halves, from, to, out);
}

/** False when a number is not from 0 to 2^32. */
function extremesOfSmall(halves: Int32Array, from: number, to: number, out: Extremes): boolean {
  // With the highest bit turned over, numbers without a sign are ordered as those with one.
  let min = 0x7fffffff;
  let max = -0x80000000;
  let tops = 0;
  for (let at = 2 * from; at < 2 * to; at += 2) {
    const value = halves[at]! ^ -0x80000000;
    min = Math.min(min, value);
    max = Math.max(max, value);
    tops |= halves[at + 1]!;
  }
  out.min = min + 0x80000000;
  out.max = max + 0x80000000;
  return tops === 0;
}

function extremesOfAny(halves: Int32Array, from: number, to: number, out: Extremes): boolean {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let spread = 0;
  for (let at = 2 * from; at < 2 * to; at += 2) {
    const top = halves[at + 1]!;
    const value = top * TWO_32 + (halves[at]! >>> 0);
    if (value < min) min = value;
    if (value > max) max = value;
    spread |= top ^ (top >> 31);
  }
  out.min = min;
  out.max = max;
  return spread >>> HIGH_BITS === 0;
}

export interface Products {
  /** Sum of left × right. */
  products: number;
  /** Sum of right. */
  sum: number;
}

/** Over rows [from, to); false when it cannot tell. */
export function productsOf(
  left: Int32Array,
  right: Int32Array,
  from: number,
  to: number,
  out: Products,
): boolean {
  return productsOfSmall(left, right, from, to, out) || productsOfAny(left, right, from, to, out);
}

/** False when a number is not from 0 to 2^32, or a sum leaves the doubles. */
function productsOfSmall(
  left: Int32Array,
  right: Int32Array,
  from: number,
  to: number,
  out: Products,
): boolean {
  let products = 0;
  let sum = 0;
  let tops = 0;
  for (let at = 2 * from; at < 2 * to; at += 2) {
    const factor = right[at]! >>> 0;
    products += (left[at]! >>> 0) * factor;
    sum += factor;
    tops |= left[at + 1]! | right[at + 1]!;
  }
  out.products = products;
  out.sum = sum;
  return tops === 0 && products + sum <= NARROW_MAX;
}

function productsOfAny(
  left: Int32Array,
  right: Int32Array,
  from: number,
  to: number,
  out: Products,
): boolean {
  let products = 0;
  let sum = 0;
  let size = 0;
  let spread = 0;
  for (let at = 2 * from; at < 2 * to; at += 2) {
    const leftTop = left[at + 1]!;
    const rightTop = right[at + 1]!;
    const factor = rightTop * TWO_32 + (right[at]! >>> 0);
    const product = (leftTop * TWO_32 + (left[at]! >>> 0)) * factor;
    products += product;
    sum += factor;
    size += Math.abs(product) + Math.abs(factor);
    spread |= (leftTop ^ (leftTop >> 31)) | (rightTop ^ (rightTop >> 31));
  }
  out.products = products;
  out.sum = sum;
  // No partial sum was larger than the sum of the magnitudes.
  return spread >>> HIGH_BITS === 0 && size <= NARROW_MAX;
}

/** One value; NaN when it is NULL or not narrow. */
export function numberAt(halves: Int32Array, row: number): number {
  const top = halves[2 * row + 1]!;
  if ((top ^ (top >> 31)) >>> HIGH_BITS !== 0) return Number.NaN;
  return top * TWO_32 + (halves[2 * row]! >>> 0);
}
