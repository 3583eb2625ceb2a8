// What: a place in the ordered times of one group, found from where the last search ended.
// Why: left rows mostly come in time order too, so the next place is near the last one: a merge, without being one.
// Invariant: exact for int64 times however far apart; never more steps than a binary search takes.

import { bigintAt, type IntegerVector, isNullAt, NARROW_MAX, type Vector } from '../vector.ts';

export class TimeSearch {
  /** Times in the order of the groups. */
  private readonly narrow: Float64Array | null;
  private readonly base: bigint;
  private readonly wide: BigInt64Array | null;
  private source: Vector;
  private shift: number | null = null;
  /** Whether `lastOfEach` found one for each row. */
  isEachFound = false;

  /** Bytes that it holds beside the times. */
  readonly bytes: number;

  /** `order[0, rows)`: the rows of `times`, group after group, each in time order; null: as they are. */
  constructor(times: Vector, order: Int32Array | null) {
    this.source = times;
    this.base = times.kind === 'int' ? times.base : 0n;
    this.bytes = order === null ? 0 : order.length * 8;
    if (order === null) {
      this.narrow = times.kind === 'wide' ? null : (times.values as Float64Array);
      this.wide = times.kind === 'wide' ? times.values : null;
      return;
    }
    const rows = order.length;
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

  /**
   * out[row] = index of the last time in [start, end) that is at or below the row's, or, with `isStrict`, below it; `start` − 1 when
   * there is none, −1 of a row without a time. Each search begins where the one before ended, the first at `hint`; returns where the last one did.
   */
  lastOfEach(
    rows: number,
    start: number,
    end: number,
    hint: number,
    isStrict: boolean,
    out: Int32Array,
  ): number {
    const { shift, narrow, source } = this;
    let at = Math.min(end, Math.max(start, hint));
    const times = source.values as Float64Array;
    const isNarrow = source.kind === 'int' && shift !== null && narrow !== null;
    const added = isNarrow ? shift - (isStrict ? 1 : 0) : Number.NaN;
    let last = Number.POSITIVE_INFINITY;
    // Or of all that is found: below 0 when one is.
    let found = 0;
    for (let row = 0; row < rows; row++) {
      const limit = isNarrow ? times[row]! + added : Number.NaN;
      if (limit >= last && at + 4 <= end) {
        // Mostly the place is less than four steps ahead.
        if (!(narrow![at + 1]! <= limit)) at += Number(narrow![at]! <= limit);
        else if (!(narrow![at + 3]! <= limit)) at += 2 + Number(narrow![at + 2]! <= limit);
        else at = this.after(row, start, end, at + 4, isStrict);
      } else if (isNullAt(source, row)) {
        out[row] = -1;
        found = -1;
        continue;
      } else at = this.after(row, start, end, at, isStrict);
      last = limit;
      out[row] = at - 1;
      found |= at - 1 - start;
    }
    this.isEachFound = found >= 0;
    return at;
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
