// What: sums of integers, one per group, exact at any size.
// Why: a double adds integers exactly up to 2^53; only what lies beyond is carried in a BigInt.
// Invariant: sums[group] + carry = the sum; |sums[group]| ≤ 2^52 between additions, so that a narrow value can be added exactly.

import { NULL_INT64 } from '../../columns/types.ts';
import { ZeptoError } from '../../kernel/errors.ts';
import { bigintAt, type IntegerVector, NARROW_MAX, type Vector, wideVector } from '../vector.ts';
import { roomFor, type StatePart } from './accumulator.ts';

/** What a carry counts: values below it, of either sign, fit an int64 and are never its NULL. */
const CARRY = 2n ** 63n;
const NARROW = BigInt(NARROW_MAX);

export class ExactSums {
  private sums = new Float64Array(0);
  private readonly carries = new Map<number, bigint>();

  grow(groups: number): void {
    this.sums = roomFor(this.sums, groups);
  }

  /** `value` is a whole number of at most NARROW_MAX. */
  add(group: number, value: number): void {
    const sum = this.sums[group]! + value;
    this.sums[group] = sum;
    if (sum > NARROW_MAX || sum < -NARROW_MAX) this.carry(group);
  }

  addBigint(group: number, value: bigint): void {
    this.carries.set(group, (this.carries.get(group) ?? 0n) + value);
  }

  /** left[row] × right[row], exactly. */
  addProduct(group: number, left: number, right: number): void {
    const product = left * right;
    if (product <= NARROW_MAX && product >= -NARROW_MAX) this.add(group, product);
    else this.addBigint(group, BigInt(left) * BigInt(right));
  }

  /** Adds the values that are not NULL, and counts them. */
  addAll(vector: IntegerVector, ids: Int32Array, rows: number, counts: Float64Array): void {
    if (vector.kind === 'int' && vector.base === 0n) {
      const { values } = vector;
      for (let i = 0; i < rows; i++) {
        const group = ids[i]!;
        const value = values[i]!;
        if (group < 0 || Number.isNaN(value)) continue;
        this.add(group, value);
        counts[group]!++;
      }
      return;
    }
    for (let i = 0; i < rows; i++) {
      const group = ids[i]!;
      if (group < 0) continue;
      const value = bigintAt(vector, i);
      if (value === null) continue;
      this.addBigint(group, value);
      counts[group]!++;
    }
  }

  /** As `addAll` for rows [from, to) of one group; returns how many were not NULL. */
  addRun(vector: IntegerVector, from: number, to: number, group: number): number {
    let count = 0;
    if (vector.kind === 'int' && vector.base === 0n) {
      const { values } = vector;
      const whole = wholeSum(values, from, to);
      if (whole !== null) {
        this.add(group, whole);
        return to - from;
      }
      let sum = 0;
      let size = 0;
      for (let i = from; i < to; i++) {
        const value = values[i]!;
        if (Number.isNaN(value)) continue;
        sum += value;
        size += Math.abs(value);
        count++;
      }
      // No partial sum was larger than the sum of the magnitudes: all of them were exact.
      if (size <= NARROW_MAX) {
        this.add(group, sum);
        return count;
      }
      for (let i = from; i < to; i++) if (!Number.isNaN(values[i]!)) this.add(group, values[i]!);
      return count;
    }
    let sum = 0n;
    for (let i = from; i < to; i++) {
      const value = bigintAt(vector, i);
      if (value === null) continue;
      sum += value;
      count++;
    }
    this.addBigint(group, sum);
    return count;
  }

  merge(into: number, source: ExactSums, from: number): void {
    this.add(into, source.sums[from]!);
    const carry = source.carries.get(from);
    if (carry !== undefined) this.addBigint(into, carry);
  }

  reset(group: number): void {
    this.sums[group] = 0;
    this.carries.delete(group);
  }

  total(group: number): bigint {
    return (this.carries.get(group) ?? 0n) + BigInt(this.sums[group]!);
  }

  /** Totals of groups [0, groups); null: one may be beyond NARROW_MAX. */
  narrow(groups: number): Float64Array | null {
    return this.carries.size === 0 ? this.sums.slice(0, groups) : null;
  }

  /** The nearest double. */
  approximate(group: number): number {
    const carry = this.carries.get(group);
    return carry === undefined ? this.sums[group]! : Number(carry + BigInt(this.sums[group]!));
  }

  /**
   * Sums of groups [0, groups) as two int64: carry × 2^63 + value, both of the sum's sign; the carry is 0 for sums that fit.
   * `isEmpty`: groups whose sum is NULL. @throws ZeptoError LIMIT_EXCEEDED: a sum of 2^126 or more.
   */
  parts(
    groups: number,
    name: string,
    isEmpty: (group: number) => boolean = () => false,
  ): readonly StatePart[] {
    const values = new BigInt64Array(groups).fill(NULL_INT64);
    const carries = new BigInt64Array(groups).fill(NULL_INT64);
    for (let group = 0; group < groups; group++) {
      if (isEmpty(group)) continue;
      const total = this.total(group);
      const carry = total / CARRY;
      if (carry >= CARRY || carry <= -CARRY)
        throw new ZeptoError('LIMIT_EXCEEDED', 'stop', 'a sum has more than 126 bits');
      values[group] = total % CARRY;
      carries[group] = carry;
    }
    return [
      { name, vector: wideVector(values) },
      { name: name === '' ? 'carry' : `${name}_carry`, vector: wideVector(carries) },
    ];
  }

  /** Of `parts`. */
  restore(values: Vector, carries: Vector, groups: number): void {
    for (let group = 0; group < groups; group++) {
      const value = bigintAt(values as IntegerVector, group);
      if (value === null) continue;
      const total = value + CARRY * bigintAt(carries as IntegerVector, group)!;
      if (total <= NARROW && total >= -NARROW) this.add(group, Number(total));
      else this.addBigint(group, total);
    }
  }

  private carry(group: number): void {
    this.addBigint(group, BigInt(this.sums[group]!));
    this.sums[group] = 0;
  }
}

/** The sum of values [from, to); null when one is NULL, or a sum of some of them might not be exact. */
function wholeSum(values: Float64Array, from: number, to: number): number | null {
  // Four sums, so that none waits for the one before it.
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let size = 0;
  let sizeToo = 0;
  let i = from;
  for (const stop = to - 3; i < stop; i += 4) {
    const v = values[i]!;
    const w = values[i + 1]!;
    const x = values[i + 2]!;
    const y = values[i + 3]!;
    a += v;
    b += w;
    c += x;
    d += y;
    size += Math.abs(v) + Math.abs(w);
    sizeToo += Math.abs(x) + Math.abs(y);
  }
  for (; i < to; i++) {
    a += values[i]!;
    size += Math.abs(values[i]!);
  }
  // No partial sum was larger than the sum of the magnitudes: all of them were exact. NaN is above nothing and below nothing.
  return size + sizeToo <= NARROW_MAX ? a + b + (c + d) : null;
}
