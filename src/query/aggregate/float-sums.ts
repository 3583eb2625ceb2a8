// What: sums of floats, one per group, with the rounding errors carried along.
// Why: the same rows come in another order once they are sealed; the answer should not change by it.
// Invariant: sum + error is what Neumaier's compensated summation gives (Z. Angew. Math. Mech. 54, 1974).

import { floatVector, type Vector } from '../vector.ts';
import { roomFor } from './accumulator.ts';

export class FloatSums {
  private sums = new Float64Array(0);
  private errors = new Float64Array(0);

  grow(groups: number): void {
    this.sums = roomFor(this.sums, groups);
    this.errors = roomFor(this.errors, groups);
  }

  add(group: number, value: number): void {
    const before = this.sums[group]!;
    const sum = before + value;
    this.errors[group]! += Math.abs(before) >= Math.abs(value) ? before - sum + value : value - sum + before;
    this.sums[group] = sum;
  }

  /** Adds rows [from, to) to one group; returns how many were not NULL. */
  addRun(values: Float64Array, from: number, to: number, group: number): number {
    let sum = this.sums[group]!;
    let error = this.errors[group]!;
    let count = 0;
    for (let i = from; i < to; i++) {
      const value = values[i]!;
      if (Number.isNaN(value)) continue;
      // As `add`, without asking which of the two is larger (Knuth, The Art of Computer Programming 2, 4.2.2).
      const next = sum + value;
      const added = next - sum;
      error += sum - (next - added) + (value - added);
      sum = next;
      count++;
    }
    this.sums[group] = sum;
    this.errors[group] = error;
    return count;
  }

  merge(into: number, source: FloatSums, from: number): void {
    const error = source.errors[from]!;
    this.add(into, source.sums[from]!);
    this.errors[into]! += error;
  }

  reset(group: number): void {
    this.sums[group] = 0;
    this.errors[group] = 0;
  }

  total(group: number): number {
    const total = this.sums[group]! + this.errors[group]!;
    // With an infinity among the values the error is no number.
    return Number.isNaN(total) ? this.sums[group]! : total;
  }

  /** Of `totals`: the errors are in them. */
  restore(totals: Vector, groups: number): void {
    const values = totals.values as Float64Array;
    for (let group = 0; group < groups; group++)
      if (!Number.isNaN(values[group]!)) this.sums[group] = values[group]!;
  }

  totals(groups: number): Vector {
    return floatVector(Float64Array.from({ length: groups }, (_, group) => this.total(group)));
  }
}
