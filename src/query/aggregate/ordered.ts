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
  private shift = 0;

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
      this.base ??= vector.base;
      this.shift = Number(vector.base - this.base);
      if (Math.abs(this.shift) <= NARROW_MAX) return;
    }
    this.widen();
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
      return now === next ? 0 : compareTexts(this.texts.textOf(next), this.texts.textOf(now));
    }
    const next = (source.values as Float64Array)[row]! + (source.kind === 'int' ? this.shift : 0);
    const now = this.values[group]!;
    return next > now ? 1 : next < now ? -1 : next === now ? 0 : Number.NaN;
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

  /** Compares and takes among groups: as `compare(into, from)`. */
  compareGroups(into: number, from: number): number {
    if (this.wide !== null) {
      const [a, b] = [this.wide[from]!, this.wide[into]!];
      return a === NULL_INT64 || b === NULL_INT64 ? Number.NaN : a > b ? 1 : a === b ? 0 : -1;
    }
    if (this.kind === 'text') {
      const [a, b] = [this.codes[from]!, this.codes[into]!];
      if (a === NULL_CODE || b === NULL_CODE) return Number.NaN;
      return a === b ? 0 : compareTexts(this.texts.textOf(a), this.texts.textOf(b));
    }
    return this.values[from]! - this.values[into]!;
  }

  copy(into: number, from: number): void {
    if (this.wide !== null) this.wide[into] = this.wide[from]!;
    else if (this.kind === 'text') this.codes[into] = this.codes[from]!;
    else this.values[into] = this.values[from]!;
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

  private widen(): void {
    if (this.wide !== null) return;
    const narrow = intVector(this.values, this.base ?? 0n);
    this.wide = new BigInt64Array(this.values.length).fill(NULL_INT64);
    for (let group = 0; group < this.groups; group++)
      this.wide[group] = bigintAt(narrow, group) ?? NULL_INT64;
  }
}
