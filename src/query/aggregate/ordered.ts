// What: one value per group that rows are compared with: the smallest so far, the latest time.
// Why: min, max, first, last, arg_min and arg_max differ only in what they compare and what they keep.
// Invariant: values compare as SQL orders them: numbers exactly, texts by their UTF-8 bytes, false before true.

import { NULL_BOOL, NULL_CODE, NULL_INT64 } from '../../columns/types.ts';
import { compareTexts, type Texts } from '../texts.ts';
import {
  bigintAt,
  boolVector,
  floatVector,
  type IntegerVector,
  intVector,
  isNullAt,
  type Kind,
  NARROW_MAX,
  textVector,
  type Vector,
  wideVector,
} from '../vector.ts';
import { roomFor } from './accumulator.ts';

export class Ordered {
  private readonly kind: Kind;
  private readonly texts: Texts;
  /** Numbers and booleans, and integers from `base` on; NaN: no value. */
  private values = new Float64Array(0);
  private base: bigint | null = null;
  /** Integers, once one did not fit `values`. */
  private wide: BigInt64Array | null = null;
  private codes = new Uint32Array(0);
  private groups = 0;
  private source: Vector = floatVector(this.values);
  /** Of the source's base from `base`; `shifted` is the base that it is for. */
  private shift = 0;
  private shifted: bigint | null = null;
  private readonly one = { kind: 'int' as const, values: new Float64Array(1), base: 0n };

  constructor(kind: Kind, texts: Texts) {
    this.kind = kind;
    this.texts = texts;
  }

  grow(groups: number): void {
    if (groups <= this.groups) return;
    if (this.kind === 'text') {
      this.codes = roomFor(this.codes, groups);
      this.codes.fill(NULL_CODE, this.groups, groups);
    } else if (this.wide !== null) {
      this.wide = roomFor(this.wide, groups);
      this.wide.fill(NULL_INT64, this.groups, groups);
    } else {
      this.values = roomFor(this.values, groups);
      this.values.fill(Number.NaN, this.groups, groups);
    }
    this.groups = groups;
  }

  /** The vector whose rows the next calls mean. */
  begin(vector: Vector): void {
    this.source = vector;
    if (vector.kind !== 'int' && vector.kind !== 'wide') return;
    if (vector.kind === 'int' && this.wide === null) {
      if (vector.base === this.shifted) return;
      this.base ??= vector.base;
      const shift = Number(vector.base - this.base);
      if (Math.abs(shift) <= NARROW_MAX) {
        this.shift = shift;
        this.shifted = vector.base;
        return;
      }
    }
    this.widen();
  }

  /** A single number, base + value, that the next calls mean by row 0. */
  beginOne(base: bigint, value: number): void {
    this.one.values[0] = value;
    this.one.base = base;
    this.begin(this.one);
  }

  isNull(row: number): boolean {
    return isNullAt(this.source, row);
  }

  /** Above 0 when the row's value is larger than the group's, 0 when they are equal; NaN when the group has none. */
  compare(group: number, row: number): number {
    const { source } = this;
    if (this.wide !== null) {
      const now = this.wide[group]!;
      const next = bigintAt(source as IntegerVector, row)!;
      return now === NULL_INT64 ? Number.NaN : next > now ? 1 : next === now ? 0 : -1;
    }
    if (source.kind === 'text') {
      const now = this.codes[group]!;
      const next = source.values[row]!;
      if (now === NULL_CODE) return Number.NaN;
      return now === next ? 0 : compareTexts(this.texts.read(next), this.texts.read(now));
    }
    const next = (source.values as Float64Array)[row]! + (source.kind === 'int' ? this.shift : 0);
    const now = this.values[group]!;
    return next > now ? 1 : next < now ? -1 : next === now ? 0 : Number.NaN;
  }

  /**
   * The row in [from, to) with the largest (`sign` 1) or smallest value, of equal ones the first, or with `late` the last;
   * −1 when all are NULL. Rows for which `skip` has a NULL do not count.
   */
  extremeRow(from: number, to: number, sign: 1 | -1, late: boolean, skip: Vector | null): number {
    const { source } = this;
    if (source.kind === 'int' || source.kind === 'float')
      return extremeNumber(source.values, from, to, sign, late, skip);
    let best = -1;
    for (let i = from; i < to; i++) {
      if (isNullAt(source, i) || (skip !== null && isNullAt(skip, i))) continue;
      const difference = best < 0 ? 1 : this.compareRows(best, i) * sign;
      if (difference > 0 || (late && difference === 0)) best = i;
    }
    return best;
  }

  /** The group's value becomes the row's. */
  take(group: number, row: number): void {
    const { source } = this;
    if (this.wide !== null) this.wide[group] = bigintAt(source as IntegerVector, row) ?? NULL_INT64;
    else if (source.kind === 'text') this.codes[group] = source.values[row]!;
    else if (source.kind === 'int') {
      const value = source.values[row]! + this.shift;
      if (value > NARROW_MAX || value < -NARROW_MAX) {
        this.widen();
        this.take(group, row);
      } else this.values[group] = value;
    } else this.values[group] = (source.values as Float64Array)[row]!;
  }

  /** Group i takes row i. */
  takeAll(vector: Vector, groups: number): void {
    this.begin(vector);
    for (let group = 0; group < groups; group++) if (!this.isNull(group)) this.take(group, group);
  }

  isEmpty(group: number): boolean {
    if (this.wide !== null) return this.wide[group] === NULL_INT64;
    return this.kind === 'text' ? this.codes[group] === NULL_CODE : Number.isNaN(this.values[group]!);
  }

  reset(group: number): void {
    if (this.wide !== null) this.wide[group] = NULL_INT64;
    else if (this.kind === 'text') this.codes[group] = NULL_CODE;
    else this.values[group] = Number.NaN;
  }

  vector(): Vector {
    switch (this.kind) {
      case 'int':
        return this.wide === null ? intVector(this.values, this.base ?? 0n) : wideVector(this.wide);
      case 'float':
        return floatVector(this.values);
      case 'text':
        return textVector(this.codes);
      case 'bool': {
        const out = new Uint8Array(this.groups);
        for (let group = 0; group < this.groups; group++)
          out[group] = Number.isNaN(this.values[group]!) ? NULL_BOOL : this.values[group]!;
        return boolVector(out);
      }
    }
  }

  /** Above 0 when row b has the larger value. */
  private compareRows(a: number, b: number): number {
    const { source } = this;
    if (source.kind === 'text') {
      const [x, y] = [source.values[a]!, source.values[b]!];
      return x === y ? 0 : compareTexts(this.texts.read(y), this.texts.read(x));
    }
    const [x, y] = [source.values[a]!, source.values[b]!];
    return y > x ? 1 : y < x ? -1 : 0;
  }

  private widen(): void {
    if (this.wide !== null) return;
    const narrow = intVector(this.values, this.base ?? 0n);
    this.wide = new BigInt64Array(this.values.length).fill(NULL_INT64);
    for (let group = 0; group < this.groups; group++)
      this.wide[group] = bigintAt(narrow, group) ?? NULL_INT64;
  }
}

function extremeNumber(
  values: Float64Array,
  from: number,
  to: number,
  sign: 1 | -1,
  late: boolean,
  skip: Vector | null,
): number {
  let best = -1;
  let bestValue = Number.NEGATIVE_INFINITY;
  for (let i = from; i < to; i++) {
    const value = values[i]! * sign;
    // NaN is neither above nor equal.
    if (!(value > bestValue || (value === bestValue && (late || best < 0)))) continue;
    if (skip !== null && isNullAt(skip, i)) continue;
    best = i;
    bestValue = value;
  }
  return best;
}
