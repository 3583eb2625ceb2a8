// What: a window's PARTITION BY and ORDER BY worked out: rows in order, where partitions and peers begin.
// Why: window calls that share them share the sort.
// Invariant: positions count rows in the window's order; partitions are adjoining stretches of them.

import type { Expression, WindowSpec } from '../../sql/ast.ts';
import type { Block } from '../block.ts';
import { compile } from '../expression/compile.ts';
import { type Compiled, coerced } from '../expression/compiled.ts';
import { groupOrder } from '../group-order.ts';
import { storable } from '../hash-aggregate.ts';
import { KeptColumn } from '../kept-column.ts';
import { KeyTable, tupleWords } from '../keys.ts';
import { rowNumbers } from '../near-order.ts';
import { type Binding, scopeOf } from '../rows.ts';
import type { Run } from '../run.ts';
import { Scratch } from '../scratch.ts';
import { orderOf, type SortKey } from '../sort.ts';
import { type IntVector, intVector, kindOf, type TextVector, type Vector } from '../vector.ts';

/** Rows are taken in block by block, then arranged. */
export class Arrangement {
  readonly spec: WindowSpec;
  /** Whether every row is at its own position. */
  isIdentity = true;
  /** Positions where partitions begin, and the number of rows. */
  partitions: Int32Array = new Int32Array(0);
  /** Values of the ORDER BY keys, by row. */
  orderVectors: readonly Vector[] = [];
  private readonly run: Run;
  private readonly symbolSlot: number | null;
  /** Where symbols begin among the rows that were taken, when rows come as they are wanted. */
  private readonly symbolStarts: number[] = [];
  private symbol = -1;
  private taken = 0;
  private orderFound: Int32Array | null = null;
  private readonly partitionKeys: readonly Compiled[];
  private readonly orderKeys: readonly Compiled[];
  private readonly table: KeyTable;
  private readonly numbers: KeptColumn;
  /** Of keys that are not just columns. */
  private readonly keptOrder: readonly KeptColumn[];
  private readonly words = new Scratch();
  private readonly ids = new Scratch();
  private readonly floats = new Scratch();

  /** `symbolSlot`: not null when rows come symbol by symbol, each block of one, in the window's order: it is partitioned by it. */
  constructor(spec: WindowSpec, binding: Binding, symbolSlot: number | null, run: Run) {
    const scope = scopeOf(run, binding);
    const typed = (e: Expression): Compiled => {
      const compiled = compile(e, scope);
      return coerced(compiled, storable(compiled.type), e.at);
    };
    this.spec = spec;
    this.run = run;
    this.symbolSlot = symbolSlot;
    this.partitionKeys = spec.partitionBy.map(typed);
    this.orderKeys = spec.orderBy.map((item) => typed(item.expression));
    this.table = new KeyTable(tupleWords(this.partitionKeys.map(({ type }) => kindOf(type))), run.budget);
    this.numbers = new KeptColumn('int', run.budget);
    this.keptOrder = this.orderKeys.map(({ type }) => new KeptColumn(kindOf(type), run.budget));
  }

  /** Row at each position. */
  get order(): Int32Array {
    if (this.orderFound === null) {
      this.run.budget.reserve(this.taken * 4);
      this.orderFound = rowNumbers(this.taken);
    }
    return this.orderFound;
  }

  /** Slots of the keys that rows are ordered by, where they are columns. */
  get orderSlots(): readonly number[] {
    return this.orderKeys.flatMap(({ slot }) => slot ?? []);
  }

  take(block: Block): void {
    const { rows } = block;
    this.taken += rows;
    if (this.symbolSlot !== null) {
      const symbol = (block.column(this.symbolSlot) as TextVector).values[0]!;
      if (symbol !== this.symbol) this.symbolStarts.push(this.taken - rows);
      this.symbol = symbol;
      return;
    }
    if (this.partitionKeys.length > 0) {
      const ids = this.ids.integers(rows);
      const keys = this.partitionKeys.map((key) => key.evaluate(block));
      this.table.numberRows(keys, rows, ids, this.words, true);
      const numbers = this.floats.floats(rows);
      for (let i = 0; i < rows; i++) numbers[i] = ids[i]!;
      this.numbers.append(intVector(numbers), 0, rows);
    }
    this.orderKeys.forEach((key, i) => {
      if (key.slot === undefined) this.keptOrder[i]!.append(key.evaluate(block), 0, rows);
    });
  }

  /** `vectors`: the columns of all rows that were taken. */
  arrange(rows: number, vectors: readonly Vector[]): void {
    this.orderVectors = this.orderKeys.map(({ slot }, i) =>
      slot === undefined ? this.keptOrder[i]!.vector() : vectors[slot]!,
    );
    if (this.symbolSlot !== null) {
      this.partitions = Int32Array.from([...this.symbolStarts, rows]);
      return;
    }
    const keys = this.spec.orderBy.map(
      ({ descending, nullsFirst }, slot): SortKey => ({ slot, descending, nullsFirst }),
    );
    const isPartitioned = this.partitionKeys.length > 0;
    this.run.budget.reserve(rows * 4);
    const { order, starts } = isPartitioned
      ? groupOrder(this.numbers.vector() as IntVector, this.orderVectors, keys, rows, this.run)
      : { order: orderOf(this.orderVectors, keys, rows, this.run), starts: [0, rows] };
    this.orderFound = order;
    this.run.check();
    this.isIdentity = isIdentity(order);
    this.partitions = Int32Array.from(rows === 0 ? [0] : (starts ?? this.startsOf(order, rows)));
  }

  private startsOf(order: Int32Array, rows: number): number[] {
    const ids = this.numbers.vector().values as Float64Array;
    const starts = [0];
    for (let at = 1; at < rows; at++) if (ids[order[at]!] !== ids[order[at - 1]!]) starts.push(at);
    starts.push(rows);
    return starts;
  }

  /** By position: where its peers begin. */
  peerStarts(rows: number): Int32Array {
    const starts = new Int32Array(rows);
    const { order } = this;
    for (let p = 0; p + 1 < this.partitions.length; p++) {
      const first = this.partitions[p]!;
      let peer = first;
      for (let at = first; at < this.partitions[p + 1]!; at++) {
        this.run.tick();
        if (at > first && !this.isPeer(order[at]!, order[at - 1]!)) peer = at;
        starts[at] = peer;
      }
    }
    return starts;
  }

  /** For rows that have nothing to do with those of before. */
  clear(): void {
    this.run.budget.release(this.orderFound?.byteLength ?? 0);
    this.orderFound = null;
    this.taken = 0;
    this.symbol = -1;
    this.symbolStarts.length = 0;
    this.numbers.clear();
    for (const column of this.keptOrder) column.clear();
  }

  release(): void {
    this.clear();
    this.numbers.release();
    this.table.release();
    for (const column of this.keptOrder) column.release();
  }

  private isPeer(a: number, b: number): boolean {
    return this.orderVectors.every((vector) => {
      const [x, y] = [vector.values[a]!, vector.values[b]!];
      return x === y || (typeof x === 'number' && Number.isNaN(x) && Number.isNaN(y as number));
    });
  }
}

function isIdentity(order: Int32Array): boolean {
  for (let at = 0; at < order.length; at++) if (order[at] !== at) return false;
  return true;
}
