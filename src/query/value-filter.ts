// What: the rows of a piece whose stored values are within all of a scan's ranges.
// Why: a piece that a range takes whole or leaves out whole is told by its smallest and largest value alone, which are remembered.
// Invariant: exactly the rows that fulfil the scan's value conditions.

import { ROW_NUMBERS } from './block.ts';
import { type Extremes, extremesOf, halvesOf } from './kernels/int64.ts';
import { countNear, type NearBound, type RowTest, testOf } from './kernels/within.ts';
import type { PartMemory } from './part-cache.ts';
import type { Piece } from './parts.ts';
import type { ColumnRange } from './value-ranges.ts';
import { BLOCK_ROWS } from './vector.ts';

export class ValueFilter {
  /** Row numbers that `choose` wrote. */
  readonly chosen: Int32Array = new Int32Array(BLOCK_ROWS);
  /** Indexes into storedColumns of what must be read. */
  readonly stored: readonly number[];
  private readonly ranges: readonly ColumnRange[];
  private readonly tests: RowTest[] = [];
  /** Bounds of the tests, and whether they tell of all of them. */
  private readonly near: NearBound[] = [];
  private areNear = true;

  constructor(ranges: readonly ColumnRange[]) {
    this.ranges = ranges;
    this.stored = ranges.map(({ index }) => index);
  }

  /** Which rows of a part's piece can pass; `choose` is for this piece from now on. */
  begin(piece: Piece, run: number, memory: PartMemory): 'none' | 'some' | 'all' {
    this.tests.length = 0;
    this.near.length = 0;
    this.areNear = true;
    for (const range of this.ranges) {
      const values = piece.columns[range.index];
      const test = testOf(range, values, () =>
        memory.extremesOf(range.index, run, piece.rows, () =>
          extremes(halvesOf(values as BigInt64Array), piece.rows),
        ),
      );
      if (test === 'none') return 'none';
      if (test === 'all') continue;
      this.tests.push(test);
      if (test.near === null) this.areNear = false;
      else for (const bound of test.near) this.near.push(bound);
    }
    return this.tests.length === 0 ? 'all' : 'some';
  }

  /** Those of input[0, count), numbers of at most BLOCK_ROWS rows counted from `from`, that pass; returns how many. */
  choose(from: number, input: Int32Array, count: number): number {
    let rows = input;
    let left = count;
    for (const test of this.tests) {
      left = test.choose(from, rows, left, this.chosen);
      rows = this.chosen;
    }
    return left;
  }

  /** How many of rows [from, from + rows), at most BLOCK_ROWS, pass. */
  count(from: number, rows: number): number {
    const counted = this.areNear ? countNear(this.near, from, from + rows) : null;
    if (counted !== null) return counted;
    return this.choose(from, ROW_NUMBERS, rows);
  }
}

function extremes(halves: Int32Array, rows: number): Extremes | null {
  const out = { min: 0, max: 0 };
  return extremesOf(halves, 0, rows, out) ? out : null;
}
