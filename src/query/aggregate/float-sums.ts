// What: sums of floats, one per group, with the rounding errors carried along.
// Why: the same rows come in another order once they are sealed; the answer should not change by it.
// Invariant: sum + error is what Neumaier's compensated summation gives (Z. Angew. Math. Mech. 54, 1974).

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

  merge(into: number, from: number): void {
    const error = this.errors[from]!;
    this.add(into, this.sums[from]!);
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
}
