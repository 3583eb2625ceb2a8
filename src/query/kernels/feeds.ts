// What: how a stretch of a stored piece reaches an accumulator.
// Why: the common aggregates read the columns as they lie; all others get the same rows as vectors.
// Invariant: whichever way is taken, the accumulator holds what `addRun` of those rows would have given it.

import type { ColumnArray, ColumnType } from '../../columns/types.ts';
import { typeOfColumn } from '../../sql/types.ts';
import type { Accumulator } from '../aggregate/accumulator.ts';
import { Extreme, Pick } from '../aggregate/picks.ts';
import { Count, IntegerSum, IntegerVwap } from '../aggregate/sums.ts';
import { ROW_NUMBERS } from '../block.ts';
import { readChosen, readColumn } from '../read-column.ts';
import { Scratch } from '../scratch.ts';
import { BLOCK_ROWS, constantVector, isNullAt, kindOf, type Vector } from '../vector.ts';
import { type Extremes, extremesOf, numberAt, type Products, productsOf, sumOf } from './int64.ts';
import { isInt64, type Stretch } from './stretch.ts';

/** A stored column that an aggregate takes. */
export interface StoredColumn {
  /** Index into storedColumns. */
  readonly index: number;
  readonly type: ColumnType;
}

export type Feed = (state: Accumulator, group: number, stretch: Stretch) => void;

/** The extremes computed last. min and max of a column mostly stand side by side: the second finds what the first made. */
export interface ExtremesMemo extends Extremes {
  column: ColumnArray | null;
  from: number;
  to: number;
}

export const noExtremes = (): ExtremesMemo => ({ min: 0, max: 0, column: null, from: 0, to: 0 });

/** The way for an accumulator over these columns; of first and last, the second is the event time. */
export function feedFor(state: Accumulator, columns: readonly StoredColumn[], memo: ExtremesMemo): Feed {
  const plain = vectorFeed(columns);
  const [first, second] = columns;
  if (state instanceof Count) return columns.length === 0 ? countFeed : plain;
  if (state instanceof Pick && columns.length === 2) return pickFeed(columns, plain);
  if (!columns.every(({ type }) => isInt64(type))) return plain;
  if (state instanceof IntegerSum) return sumFeed(first!.index, plain);
  if (state instanceof IntegerVwap) return productFeed(first!.index, second!.index, plain);
  if (state instanceof Extreme) return extremeFeed(first!.index, memo, plain);
  return plain;
}

/** Some rows of a piece, each column read once for all aggregates that take it. */
export class ChosenRows {
  rows = 0;
  private stretch: Stretch | null = null;
  private from = 0;
  private chosen: Int32Array = ROW_NUMBERS;
  private readonly cached: (Vector | null)[] = [];
  private readonly scratch: Scratch[] = [];

  /** Rows `from + chosen[i]`, i < rows. */
  set(stretch: Stretch, from: number, chosen: Int32Array, rows: number): this {
    this.stretch = stretch;
    this.from = from;
    this.chosen = chosen;
    this.rows = rows;
    this.cached.fill(null);
    return this;
  }

  /** All of them are of one group. */
  feed(state: Accumulator, columns: readonly StoredColumn[], group: number): void {
    const { rows } = this;
    if (state instanceof Count && columns.length === 0) state.addCount(group, rows);
    else
      state.addRun(
        columns.map((column) => this.vector(column)),
        0,
        rows,
        group,
      );
  }

  private vector({ index, type }: StoredColumn): Vector {
    this.scratch[index] ??= new Scratch();
    this.cached[index] ??= this.read(index, type, this.scratch[index]);
    return this.cached[index];
  }

  private read(index: number, type: ColumnType, scratch: Scratch): Vector {
    const { piece, hourNs } = this.stretch!;
    const values = piece.columns[index];
    if (values === undefined) return nullsOf(type, this.rows);
    return readChosen(values, type, this.from, this.chosen, this.rows, hourNs, scratch);
  }
}

const countFeed: Feed = (state, group, { from, to }) => {
  (state as Count).addCount(group, to - from);
};

function sumFeed(index: number, otherwise: Feed): Feed {
  return (state, group, stretch) => {
    const halves = stretch.halvesOf(index);
    const { from, to, facts } = stretch;
    const sum =
      halves === null ? Number.NaN : (facts?.sumOf(index, halves, from, to) ?? sumOf(halves, from, to));
    if (Number.isNaN(sum)) otherwise(state, group, stretch);
    else (state as IntegerSum).addSum(group, sum, to - from);
  };
}

function productFeed(left: number, right: number, otherwise: Feed): Feed {
  const out: Products = { products: 0, sum: 0 };
  return (state, group, stretch) => {
    const l = stretch.halvesOf(left);
    const r = stretch.halvesOf(right);
    const { from, to, facts } = stretch;
    if (
      l !== null &&
      r !== null &&
      (facts?.productsOf(left, right, l, r, from, to, out) ?? productsOf(l, r, from, to, out))
    )
      (state as IntegerVwap).addSums(group, out.products, out.sum);
    else otherwise(state, group, stretch);
  };
}

function extremeFeed(index: number, memo: ExtremesMemo, otherwise: Feed): Feed {
  return (state, group, stretch) => {
    const { piece, from, to, facts } = stretch;
    const column = piece.columns[index] ?? null;
    const isMade = memo.column === column && memo.from === from && memo.to === to;
    const find = (halves: Int32Array): boolean =>
      facts?.extremesOf(index, halves, from, to, memo) ?? extremesOf(halves, from, to, memo);
    if (column === null || !(isMade || find(stretch.halvesOf(index)!))) {
      memo.column = null;
      otherwise(state, group, stretch);
      return;
    }
    memo.column = column;
    memo.from = from;
    memo.to = to;
    const extreme = state as Extreme;
    extreme.addNumber(group, extreme.isLargest ? memo.max : memo.min);
  };
}

/** first and last of rows in time order are at an end: of equal times the earliest row is first, the latest last. */
function pickFeed(columns: readonly StoredColumn[], otherwise: Feed): Feed {
  const scratch = columns.map(() => new Scratch());
  const [value] = columns;
  const isPlain = isInt64(value!.type);
  return (state, group, stretch) => {
    if (!stretch.isAscending) {
      otherwise(state, group, stretch);
      return;
    }
    const pick = state as Pick;
    const step = pick.takesLast ? -1 : 1;
    const halves = isPlain ? stretch.halvesOf(value!.index) : null;
    for (
      let row = pick.takesLast ? stretch.to - 1 : stretch.from;
      row >= stretch.from && row < stretch.to;
      row += step
    ) {
      const number = halves === null ? Number.NaN : numberAt(halves, row);
      if (!Number.isNaN(number)) {
        pick.addNumber(group, number, stretch.timeAt(row), stretch.hourNs);
        return;
      }
      const vectors = columns.map((column, k) => vectorOf(stretch, column, row, 1, scratch[k]!));
      // Of a stretch of NULLs the next value is looked for.
      if (isNullAt(vectors[0]!, 0)) continue;
      state.addRun(vectors, 0, 1, group);
      return;
    }
  };
}

function vectorFeed(columns: readonly StoredColumn[]): Feed {
  const scratch = columns.map(() => new Scratch());
  return (state, group, stretch) => {
    for (let from = stretch.from; from < stretch.to; from += BLOCK_ROWS) {
      const rows = Math.min(BLOCK_ROWS, stretch.to - from);
      state.addRun(
        columns.map((column, k) => vectorOf(stretch, column, from, rows, scratch[k]!)),
        0,
        rows,
        group,
      );
    }
  };
}

function vectorOf(
  { piece, hourNs }: Stretch,
  { index, type }: StoredColumn,
  from: number,
  rows: number,
  scratch: Scratch,
): Vector {
  const values = piece.columns[index];
  if (values === undefined) return nullsOf(type, rows);
  return readColumn(values, type, from, rows, hourNs, scratch);
}

const nullsOf = (type: ColumnType, rows: number): Vector =>
  constantVector(kindOf(typeOfColumn({ name: '', type })), null, rows);
