// What: a stretch of rows of one stored piece, and the piece's columns as halves.
// Why: kernels take many short stretches; what belongs to the piece is made once for all of them.
// Invariant: rows [from, to) of `piece`; event times ascend in them when `isAscending`.

import { ColumnType, NANOS_PER_HOUR } from '../../columns/types.ts';
import type { TimeBounds } from '../conditions.ts';
import type { RunTimes } from '../part-cache.ts';
import type { Piece } from '../parts.ts';
import type { BlockFacts } from './block-facts.ts';
import { halvesOf } from './int64.ts';

const TWO_32 = 2 ** 32;
export const HOUR_NS = Number(NANOS_PER_HOUR);

/** When a part's hour begins, and its halves: made once for all of the part's pieces. */
export interface HourStart {
  readonly ns: bigint;
  readonly low: number;
  readonly high: number;
}

export const hourOf = (ns: bigint): HourStart => ({
  ns,
  low: Number(BigInt.asUintN(32, ns)),
  high: Number(ns >> 32n),
});

/** The times of an hour that are within the bounds, as nanoseconds since it began: from `min` up to `limit`. */
export function boundsInHour(
  time: TimeBounds,
  hourNs: bigint,
): { readonly min: number; readonly limit: number } {
  return {
    min: time.min <= hourNs ? 0 : Number(time.min - hourNs),
    limit: time.max >= hourNs + NANOS_PER_HOUR ? HOUR_NS : Number(time.max - hourNs) + 1,
  };
}

export class Stretch {
  readonly piece: Piece;
  /** When the part's hour begins. */
  readonly hourNs: bigint;
  /** What is kept of the piece from query to query; null: nothing is. */
  readonly facts: BlockFacts | null;
  from = 0;
  to = 0;
  isAscending = true;
  private readonly halves: (Int32Array | null | undefined)[] = [];
  private readonly timeIndex: number;
  private readonly hourLow: number;
  private readonly hourHigh: number;

  constructor(
    piece: Piece,
    timeIndex: number,
    { ns, low, high }: HourStart,
    facts: BlockFacts | null = null,
  ) {
    this.piece = piece;
    this.facts = facts;
    this.timeIndex = timeIndex;
    this.hourNs = ns;
    this.hourLow = low;
    this.hourHigh = high;
  }

  set(from: number, to: number): this {
    this.from = from;
    this.to = to;
    return this;
  }

  /** An int64 column's memory; null when the part has no such column. */
  halvesOf(index: number): Int32Array | null {
    const known = this.halves[index];
    if (known !== undefined) return known;
    const values = this.piece.columns[index];
    const made = values === undefined ? null : halvesOf(values as BigInt64Array);
    this.halves[index] = made;
    return made;
  }

  /** Event time of a row, as nanoseconds since the hour began. */
  timeAt(row: number): number {
    const halves = this.halvesOf(this.timeIndex)!;
    return (halves[2 * row + 1]! - this.hourHigh) * TWO_32 + ((halves[2 * row]! >>> 0) - this.hourLow);
  }

  /**
   * First row in [from, to), whose times ascend, at or after `time`; `to` when there is none. Ticks come evenly enough for the
   * place to be guessed, so that few of the rows on the way to it have to be fetched from memory.
   */
  seek(from: number, to: number, time: number): number {
    if (from >= to) return from;
    const first = this.timeAt(from);
    if (first >= time) return from;
    let high = to - 1;
    const last = this.timeAt(high);
    if (last < time) return to;
    // Row `low` is before the time, row `high` is not.
    let low = from;
    const guess = low + Math.floor(((time - first) / (last - first)) * (high - low));
    let step = 1;
    if (guess > low && this.timeAt(guess) < time) {
      low = guess;
      while (low + step < high && this.timeAt(low + step) < time) {
        low += step;
        step *= 2;
      }
      high = Math.min(high, low + step);
    } else {
      if (guess > low) high = guess;
      while (high - step > low && this.timeAt(high - step) >= time) {
        high -= step;
        step *= 2;
      }
      low = Math.max(low, high - step);
    }
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (this.timeAt(middle) < time) low = middle;
      else high = middle;
    }
    return high;
  }

  /** `starts` is null when there are so many stretches that the rows had better be taken one by one. */
  times(rows: number): RunTimes {
    const halves = this.halvesOf(this.timeIndex)!;
    const { hourLow, hourHigh } = this;
    const starts = [0];
    const most = 2 + rows / ROWS_PER_STRETCH_LEAST;
    let last = Number.NEGATIVE_INFINITY;
    let min = Number.POSITIVE_INFINITY;
    let max = Number.NEGATIVE_INFINITY;
    for (let row = 0; row < rows; row++) {
      const next = (halves[2 * row + 1]! - hourHigh) * TWO_32 + ((halves[2 * row]! >>> 0) - hourLow);
      if (next < min) min = next;
      if (next > max) max = next;
      if (next < last && starts.length <= most) starts.push(row);
      last = next;
    }
    if (starts.length > most) return { min, max, starts: null };
    starts.push(rows);
    return { min, max, starts: Int32Array.from(starts) };
  }
}

const ROWS_PER_STRETCH_LEAST = 32;

/** Whether a column's halves are int64. */
export const isInt64 = (type: ColumnType): boolean => type === ColumnType.INT64;
