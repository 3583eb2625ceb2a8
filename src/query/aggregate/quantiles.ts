// What: median, percentile and percentile_cont.
// Why: they need all values of a group at once; no smaller state gives exact answers.
// Invariant: every value is kept until the end, within the query's budget.

import { NULL_INT64 } from '../../columns/types.ts';
import { KeptColumn } from '../kept-column.ts';
import { narrowed } from '../keys.ts';
import type { Budget } from '../run.ts';
import { floatVector, isNullAt, type Kind, type Vector, wideVector } from '../vector.ts';
import { type Accumulator, addRowByRow } from './accumulator.ts';
import { select } from './selection.ts';

/** A float argument is interpolated unless `discrete`; an integer one answers the value at floor(share × (n − 1)). */
export class Quantile implements Accumulator {
  private readonly kind: Kind;
  private readonly percent: number;
  private readonly discrete: boolean;
  private readonly budget: Budget;
  private readonly groups: KeptColumn[] = [];

  constructor(kind: Kind, percent: number, discrete: boolean, budget: Budget) {
    this.kind = kind;
    this.percent = percent;
    this.discrete = discrete;
    this.budget = budget;
  }

  grow(groups: number): void {
    while (this.groups.length < groups) this.groups.push(new KeptColumn(this.kind, this.budget));
  }

  add([arg]: readonly Vector[], ids: Int32Array, rows: number): void {
    for (let i = 0; i < rows; i++) {
      if (ids[i]! < 0 || isNullAt(arg!, i)) continue;
      const group = this.groups[ids[i]!]!;
      group.put(group.rows, arg!, i);
    }
  }

  addRun(args: readonly Vector[], from: number, to: number, group: number): void {
    addRowByRow(this, args, from, to, group);
  }

  merge(into: number, source: this, from: number): void {
    const column = source.groups[from]!;
    this.groups[into]!.append(column.vector(), 0, column.rows);
  }

  reset(group: number): void {
    this.groups[group]!.release();
  }

  finish(groups: number): Vector {
    if (this.kind === 'int') {
      const values = new BigInt64Array(groups);
      for (let group = 0; group < groups; group++) values[group] = this.integerOf(this.groups[group]!);
      return narrowed(wideVector(values), groups);
    }
    const values = new Float64Array(groups);
    for (let group = 0; group < groups; group++) values[group] = this.floatOf(this.groups[group]!);
    return floatVector(values);
  }

  private integerOf(column: KeptColumn): bigint {
    const { rows } = column;
    if (rows === 0) return NULL_INT64;
    const vector = column.vector();
    const index = this.indexOf(rows);
    const { check } = this.budget;
    if (vector.kind === 'wide') return select(vector.values.subarray(0, rows), index, check);
    const value = select((vector.values as Float64Array).subarray(0, rows), index, check);
    return (vector.kind === 'int' ? vector.base : 0n) + BigInt(value);
  }

  private floatOf(column: KeptColumn): number {
    const { rows } = column;
    if (rows === 0) return Number.NaN;
    // The order of kept values is nobody's concern, so they are rearranged where they are.
    const values = (column.vector().values as Float64Array).subarray(0, rows);
    const { check } = this.budget;
    if (this.discrete) return select(values, this.indexOf(rows), check);
    const position = (this.percent * (rows - 1)) / 100;
    const index = Math.floor(position);
    const low = select(values, index, check);
    const share = position - index;
    return share === 0 ? low : low + (smallest(values, index + 1) - low) * share;
  }

  private indexOf(rows: number): number {
    return Math.floor((this.percent * (rows - 1)) / 100);
  }
}

function smallest(values: Float64Array, from: number): number {
  let least = values[from]!;
  for (let i = from + 1; i < values.length; i++) if (values[i]! < least) least = values[i]!;
  return least;
}
