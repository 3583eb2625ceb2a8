// What: a place in the ordered times of one group, found from where the last search ended.
// Why: left rows mostly come in time order too, so the next place is near the last one: a merge, without being one.
// Invariant: exact for int64 times however far apart; never more steps than a binary search takes.

import { bigintAt, type IntegerVector, isNullAt, NARROW_MAX, type Vector } from '../vector.ts';

/** Steps that are taken one by one before others are doubled. */
const NEAR_STEPS = 16;

export class TimeSearch {
  /** Times in the order of the groups. */
  private readonly narrow: Float64Array | null;
  private readonly base: bigint;
  private readonly wide: BigInt64Array | null;
  private source: Vector;
  private shift: number | null = null;

  /** `order[0, rows)`: the rows of `times`, group after group, each in time order. */
  constructor(times: Vector, order: Int32Array) {
    const rows = order.length;
    this.source = times;
    this.base = times.kind === 'int' ? times.base : 0n;
    if (times.kind === 'wide') {
      this.narrow = null;
      this.wide = new BigInt64Array(rows);
      for (let i = 0; i < rows; i++) this.wide[i] = times.values[order[i]!]!;
    } else {
      this.wide = null;
      this.narrow = new Float64Array(rows);
      const values = times.values as Float64Array;
      for (let i = 0; i < rows; i++) this.narrow[i] = values[order[i]!]!;
    }
  }

  get bytes(): number {
    return (this.narrow ?? this.wide)!.byteLength;
  }

  /** The vector that the next `after` calls look up. */
  begin(vector: Vector): void {
    this.source = vector;
    this.shift = null;
    if (this.narrow === null) return;
    if (vector.kind === 'float') this.shift = 0;
    else if (vector.kind === 'int') {
      const shift = Number(vector.base - this.base);
      if (Math.abs(shift) <= NARROW_MAX) this.shift = shift;
    }
  }

  /**
   * First index in [start, end) whose time is above the row's, or, with `orEqual`, at or above it; `end` when there is
   * none. The search begins at `hint`.
   */
  after(row: number, start: number, end: number, hint: number, orEqual: boolean): number {
    let low = start;
    let high = end;
    let step = 1;
    let at = Math.min(end, Math.max(start, hint));
    // Doubling steps away from the hint until the place is between `low` and `high`.
    if (at < end && !this.isAfter(at, row, orEqual)) {
      low = at + 1;
      while (low + step < end && !this.isAfter(low + step, row, orEqual)) {
        low += step + 1;
        step *= 2;
      }
      high = Math.min(end, low + step);
    } else {
      high = at;
      while (high - step >= start && this.isAfter(high - step, row, orEqual)) {
        high -= step;
        step *= 2;
      }
      low = Math.max(start, high - step);
    }
    while (low < high) {
      at = (low + high) >>> 1;
      if (this.isAfter(at, row, orEqual)) high = at;
      else low = at + 1;
    }
    return low;
  }

  /** out[row] = `after` of each row; each search begins where the one before ended. */
  afterEach(rows: number, start: number, end: number, hint: number, orEqual: boolean, out: Int32Array): void {
    const { shift, narrow } = this;
    let at = Math.min(end, Math.max(start, hint));
    if (shift === null || narrow === null) {
      for (let row = 0; row < rows; row++) {
        if (!isNullAt(this.source, row)) at = this.after(row, start, end, at, orEqual);
        out[row] = at;
      }
      return;
    }
    const times = this.source.values as Float64Array;
    for (let row = 0; row < rows; row++) {
      const limit = times[row]! + shift;
      // Mostly the place is a few steps ahead.
      const near = Math.min(end, at + NEAR_STEPS);
      if (orEqual) while (at < near && narrow[at]! < limit) at++;
      else while (at < near && narrow[at]! <= limit) at++;
      const isEarlier = at > start && (orEqual ? narrow[at - 1]! >= limit : narrow[at - 1]! > limit);
      if (isEarlier || (at === near && near < end)) at = this.after(row, start, end, at, orEqual);
      out[row] = at;
    }
  }

  /** Time at an index minus the row's, as a bigint or, of floats, a number. */
  isOlderThan(index: number, row: number, tolerance: bigint): boolean {
    if (this.shift !== null)
      return (
        (this.source.values as Float64Array)[row]! + this.shift - this.narrow![index]! > Number(tolerance)
      );
    return bigintAt(this.source as IntegerVector, row)! - this.timeAt(index) > tolerance;
  }

  private isAfter(index: number, row: number, orEqual: boolean): boolean {
    if (this.shift !== null) {
      const time = this.narrow![index]!;
      const limit = (this.source.values as Float64Array)[row]! + this.shift;
      return orEqual ? time >= limit : time > limit;
    }
    const time = this.timeAt(index);
    const limit = bigintAt(this.source as IntegerVector, row)!;
    return orEqual ? time >= limit : time > limit;
  }

  private timeAt(index: number): bigint {
    return this.wide === null ? this.base + BigInt(this.narrow![index]!) : this.wide[index]!;
  }
}
