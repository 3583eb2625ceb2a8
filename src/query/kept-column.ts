// What: a growing column of kept values: what sorts, joins, windows and group keys hold from block to block.
// Why: kept values stay in the form of vectors, so that they are read back as blocks without a conversion.
// Invariant: memory is reserved before it is taken; a column that once met a value beyond doubles is wide from then on.

import { NULL_INT64 } from '../columns/types.ts';
import type { Block } from './block.ts';
import type { Budget } from './run.ts';
import {
  bigintAt,
  boolVector,
  floatVector,
  type IntVector,
  intVector,
  type Kind,
  NARROW_MAX,
  tailOf,
  textVector,
  type Vector,
  wideVector,
} from './vector.ts';

const ROWS_LEAST = 16;
/** To copy as many takes a millisecond or more. */
const LARGE_ROWS = 2 ** 18;
/** Between two checks: each takes a BigInt. */
const WIDENED_ROWS = 2 ** 16;
const BYTES: Readonly<Record<Kind, number>> = { int: 8, float: 8, bool: 1, text: 4 };

type Values = Float64Array | BigInt64Array | Uint8Array | Uint32Array;

export class KeptColumn {
  readonly kind: Kind;
  rows = 0;
  private readonly budget: Budget;
  private values: Values;
  private isWide = false;
  private base: bigint | null = null;

  constructor(kind: Kind, budget: Budget) {
    this.kind = kind;
    this.budget = budget;
    this.values = allocate(kind, 0);
  }

  /** All values, or those from a row on. Valid until the next append or write. */
  vector(from = 0): Vector {
    const whole = this.whole();
    return tailOf(whole, from);
  }

  /** Appends rows [from, to). */
  append(vector: Vector, from: number, to: number): void {
    const at = this.rows;
    this.reserve(at + to - from);
    this.rows = at + to - from;
    if (vector.kind === 'int' || vector.kind === 'wide') this.putIntegers(vector, from, to, at, null);
    else (this.values as Uint8Array).set(vector.values.subarray(from, to) as Uint8Array, at);
  }

  /** Appends vector[chosen[i]] for i < count. */
  appendChosen(vector: Vector, chosen: Int32Array, count: number): void {
    const at = this.rows;
    this.reserve(at + count);
    this.rows = at + count;
    if (vector.kind === 'int' || vector.kind === 'wide') this.putIntegers(vector, 0, count, at, chosen);
    else {
      const from = vector.values;
      const to = this.values as Uint8Array;
      for (let i = 0; i < count; i++) to[at + i] = from[chosen[i]!]!;
    }
  }

  /** values[at] = vector[row]; rows up to `at` must exist or be the next. */
  put(at: number, vector: Vector, row: number): void {
    this.reserve(at + 1);
    if (at >= this.rows) this.rows = at + 1;
    if (vector.kind === 'int' || vector.kind === 'wide') this.putIntegers(vector, row, row + 1, at, null);
    else (this.values as Uint8Array)[at] = vector.values[row]!;
  }

  /** No rows are kept any more; the memory is, for others. */
  clear(): void {
    this.rows = 0;
    this.base = null;
    if (this.isWide) this.release();
  }

  /** Gives the memory back. */
  release(): void {
    this.budget.release(this.values.byteLength);
    this.values = allocate(this.kind, 0);
    this.rows = 0;
    this.base = null;
    this.isWide = false;
  }

  /** Makes room for `rows` rows in all. */
  reserve(rows: number): void {
    if (rows <= this.values.length) return;
    const capacity = Math.max(ROWS_LEAST, rows, Math.ceil(this.values.length * 1.5));
    // The columns of kept rows grow at the same time: together that takes long.
    if (capacity >= LARGE_ROWS) this.budget.check();
    const bytes = capacity * BYTES[this.kind];
    this.budget.reserve(bytes);
    const next = this.isWide ? new BigInt64Array(capacity) : allocate(this.kind, capacity);
    (next as Uint8Array).set(this.values as Uint8Array);
    this.budget.release(this.values.byteLength);
    this.values = next;
  }

  private whole(): Vector {
    switch (this.kind) {
      case 'int':
        return this.isWide
          ? wideVector(this.values as BigInt64Array)
          : intVector(this.values as Float64Array, this.base ?? 0n);
      case 'float':
        return floatVector(this.values as Float64Array);
      case 'bool':
        return boolVector(this.values as Uint8Array);
      case 'text':
        return textVector(this.values as Uint32Array);
    }
  }

  private putIntegers(
    vector: Vector & { kind: 'int' | 'wide' },
    from: number,
    to: number,
    at: number,
    chosen: Int32Array | null,
  ): void {
    if (vector.kind === 'int' && !this.isWide && this.putNarrow(vector, from, to, at, chosen)) return;
    this.widen();
    const target = this.values as BigInt64Array;
    for (let i = from; i < to; i++) {
      const row = chosen === null ? i : chosen[i]!;
      target[at + i - from] = bigintAt(vector, row) ?? NULL_INT64;
    }
  }

  /** False, with rows from `at` on undefined, when a value does not fit beside those that are here. */
  private putNarrow(
    vector: IntVector,
    from: number,
    to: number,
    at: number,
    chosen: Int32Array | null,
  ): boolean {
    this.base ??= vector.base;
    const shift = Number(vector.base - this.base);
    if (!(Math.abs(shift) <= NARROW_MAX)) return false;
    const target = this.values as Float64Array;
    const source = vector.values;
    if (chosen === null && shift === 0) {
      target.set(source.subarray(from, to), at);
      return true;
    }
    let outside = false;
    for (let i = from; i < to; i++) {
      const value = source[chosen === null ? i : chosen[i]!]! + shift;
      if (value > NARROW_MAX || value < -NARROW_MAX) outside = true;
      target[at + i - from] = value;
    }
    return !outside;
  }

  private widen(): void {
    if (this.isWide) return;
    const narrow = intVector(this.values as Float64Array, this.base ?? 0n);
    const values = new BigInt64Array(this.values.length);
    for (let i = 0; i < this.rows; i++) {
      if (i % WIDENED_ROWS === 0) this.budget.check();
      values[i] = bigintAt(narrow, i) ?? NULL_INT64;
    }
    this.values = values;
    this.isWide = true;
  }
}

function allocate(kind: Kind, rows: number): Values {
  switch (kind) {
    case 'int':
    case 'float':
      return new Float64Array(rows);
    case 'bool':
      return new Uint8Array(rows);
    case 'text':
      return new Uint32Array(rows);
  }
}

/** Kept rows: one column for each slot. */
export class KeptRows {
  readonly columns: readonly KeptColumn[];
  rows = 0;

  constructor(kinds: readonly Kind[], budget: Budget) {
    this.columns = kinds.map((kind) => new KeptColumn(kind, budget));
  }

  append(vectors: readonly Vector[], from: number, to: number): void {
    this.columns.forEach((column, i) => {
      column.append(vectors[i]!, from, to);
    });
    this.rows += to - from;
  }

  appendChosen(vectors: readonly Vector[], chosen: Int32Array, count: number): void {
    this.columns.forEach((column, i) => {
      column.appendChosen(vectors[i]!, chosen, count);
    });
    this.rows += count;
  }

  /** Row `at`, which exists or is the next, becomes a row of the vectors. */
  put(at: number, vectors: readonly Vector[], row: number): void {
    for (let i = 0; i < this.columns.length; i++) this.columns[i]!.put(at, vectors[i]!, row);
    if (at >= this.rows) this.rows = at + 1;
  }

  vectors(from = 0): Vector[] {
    return this.columns.map((column) => column.vector(from));
  }

  clear(): void {
    for (const column of this.columns) column.clear();
    this.rows = 0;
  }

  release(): void {
    for (const column of this.columns) column.release();
    this.rows = 0;
  }
}

/** Kept rows of which only some slots are: those that somebody reads. */
export class KeptSlots {
  private readonly slots: readonly number[];
  private readonly kept: KeptRows;

  /** `kinds`: of all slots. `used`: null: all of them. */
  constructor(kinds: readonly Kind[], used: ReadonlySet<number> | null, budget: Budget) {
    this.slots = kinds.flatMap((_, slot) => (used === null || used.has(slot) ? slot : []));
    this.kept = new KeptRows(
      this.slots.map((slot) => kinds[slot]!),
      budget,
    );
  }

  get rows(): number {
    return this.kept.rows;
  }

  append(block: Block): void {
    const vectors = this.slots.map((slot) => block.column(slot));
    this.kept.append(vectors, 0, block.rows);
  }

  /** By slot; undefined where nobody reads it. */
  vectors(): Vector[] {
    const vectors: Vector[] = [];
    this.kept.vectors().forEach((vector, i) => {
      vectors[this.slots[i]!] = vector;
    });
    return vectors;
  }

  clear(): void {
    this.kept.clear();
  }

  release(): void {
    this.kept.release();
  }
}
