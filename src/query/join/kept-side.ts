// What: the right side of a join: its rows kept, grouped by their keys, within a key by time or as they came.
// Why: every join asks "which rows have this key?", and the tick joins "which of them are around this time?".
// Invariant: a row with a NULL among its keys is in no group, and a key with a NULL finds none.

import type { SqlType } from '../../sql/types.ts';
import { type Block, each, type Flow } from '../block.ts';
import type { Compiled } from '../expression/compiled.ts';
import { groupOrder } from '../group-order.ts';
import { KeptColumn, KeptRows } from '../kept-column.ts';
import { KeyTable, tupleWords } from '../keys.ts';
import { vectorsOf } from '../rows.ts';
import type { Run } from '../run.ts';
import { Scratch } from '../scratch.ts';
import { type IntVector, intVector, isNullAt, kindOf, type Vector } from '../vector.ts';

export class KeptSide {
  /** All rows, in the order in which they came. */
  readonly rows: KeptRows;
  vectors: readonly Vector[] = [];
  /** Row numbers, group after group. */
  order: Int32Array = new Int32Array(0);
  /** Where each group's rows begin in `order`; one entry more than there are groups. */
  starts: Int32Array = new Int32Array(1);
  /** Times of all rows, when there is a time. */
  readonly times: KeptColumn;
  private readonly run: Run;
  private table: KeyTable;
  private readonly groups: KeptColumn;
  /** Bytes of the order. */
  private arranged = 0;
  private readonly words = new Scratch();
  private readonly ids = new Scratch();

  /** `timeType`: null when rows keep the order in which they came. */
  constructor(types: readonly SqlType[], keyTypes: readonly SqlType[], timeType: SqlType | null, run: Run) {
    this.run = run;
    this.rows = new KeptRows(types.map(kindOf), run.budget);
    this.table = new KeyTable(tupleWords(keyTypes.map(kindOf)), run.budget);
    this.groups = new KeptColumn('int', run.budget);
    this.times = new KeptColumn(timeType === null ? 'int' : kindOf(timeType), run.budget);
  }

  /** Reads all rows. `time`: within a group, rows are ordered by it; rows without one are in no group. */
  *load(input: Flow, keys: readonly Compiled[], time: Compiled | null): Flow {
    const width = this.rows.columns.length;
    const groupOf = new Scratch();
    yield* each(input, (block) => {
      const ids = this.numbers(block, keys, true);
      const instants = time?.evaluate(block) ?? null;
      if (instants !== null) leaveOutNulls(instants, block.rows, ids);
      const groups = groupOf.floats(block.rows);
      for (let i = 0; i < block.rows; i++) groups[i] = ids[i]!;
      this.groups.append(intVector(groups), 0, block.rows);
      if (instants !== null) this.times.append(instants, 0, block.rows);
      this.rows.append(vectorsOf(block, width), 0, block.rows);
    });
    this.arrange(time === null ? null : this.times);
  }

  /** For other rows. */
  clear(): void {
    this.run.budget.release(this.arranged);
    this.arranged = 0;
    this.table.release();
    this.table = new KeyTable(this.table.width, this.run.budget);
    this.rows.clear();
    this.groups.clear();
    this.times.clear();
  }

  /** Group of each row's key, −1 none. */
  find(block: Block, keys: readonly Compiled[]): Int32Array {
    return this.numbers(block, keys, false);
  }

  release(): void {
    this.run.budget.release(this.arranged);
    this.rows.release();
    this.groups.release();
    this.times.release();
    this.table.release();
  }

  private numbers(block: Block, keys: readonly Compiled[], add: boolean): Int32Array {
    const { rows } = block;
    const ids = this.ids.integers(rows);
    const vectors = keys.map((key) => key.evaluate(block));
    this.table.numberRows(vectors, rows, ids, this.words, add);
    for (const vector of vectors) leaveOutNulls(vector, rows, ids);
    return ids;
  }

  private arrange(times: KeptColumn | null): void {
    const { rows } = this.rows;
    this.vectors = this.rows.vectors();
    const groups = this.groups.vector() as IntVector;
    const byTime = { slot: 0, descending: false, nullsFirst: false };
    this.arranged = rows * 4 + this.table.count * 4;
    this.run.budget.reserve(this.arranged);
    this.order =
      times === null
        ? groupOrder(groups, [], [], rows, this.run).order
        : groupOrder(groups, [times.vector()], [byTime], rows, this.run).order;
    const starts = new Int32Array(this.table.count + 1);
    const { values } = groups;
    let at = 0;
    while (at < rows && values[this.order[at]!]! < 0) at++;
    for (let group = 0; group < this.table.count; group++) {
      starts[group] = at;
      while (at < rows && values[this.order[at]!] === group) at++;
    }
    starts[this.table.count] = at;
    this.starts = starts;
  }
}

/** ids[row] = −1 where the value is NULL. */
export function leaveOutNulls(vector: Vector, rows: number, ids: Int32Array): void {
  switch (vector.kind) {
    case 'int':
    case 'float': {
      const { values } = vector;
      for (let i = 0; i < rows; i++) if (Number.isNaN(values[i]!)) ids[i] = -1;
      return;
    }
    default:
      if (vector.kind === 'text' && vector.isConstant && !isNullAt(vector, 0)) return;
      for (let i = 0; i < rows; i++) if (isNullAt(vector, i)) ids[i] = -1;
  }
}
