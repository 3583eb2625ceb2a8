// What: min, max, first, last, any_value, arg_min, arg_max, bool_and, bool_or: aggregates that answer one of their rows' values.
// Why: all of them compare a row with the best so far, and keep one value.
// Invariant: rows come in storage order, so that among equals the earlier row is the one already kept.

import type { Texts } from '../texts.ts';
import type { Kind, Vector } from '../vector.ts';
import { type Accumulator, addRowByRow, type StatePart } from './accumulator.ts';
import { Ordered } from './ordered.ts';

/** min and max; of booleans also bool_and and bool_or. NULLs are skipped. */
export class Extreme implements Accumulator {
  private readonly best: Ordered;
  private readonly sign: 1 | -1;

  /** `sign`: 1 keeps the largest, −1 the smallest. */
  constructor(kind: Kind, sign: 1 | -1, texts: Texts) {
    this.best = new Ordered(kind, texts);
    this.sign = sign;
  }

  get isLargest(): boolean {
    return this.sign === 1;
  }

  /** A narrow integer. */
  addNumber(group: number, value: number): void {
    this.best.beginOne(0n, value);
    if (!(this.best.compare(group, 0) * this.sign <= 0)) this.best.take(group, 0);
  }

  grow(groups: number): void {
    this.best.grow(groups);
  }

  add([arg]: readonly Vector[], ids: Int32Array, rows: number): void {
    const { best, sign } = this;
    best.begin(arg!);
    for (let i = 0; i < rows; i++) {
      const group = ids[i]!;
      if (group < 0 || best.isNull(i)) continue;
      // NaN: the group has no value yet.
      if (!(best.compare(group, i) * sign <= 0)) best.take(group, i);
    }
  }

  addRun([arg]: readonly Vector[], from: number, to: number, group: number): void {
    const { best, sign } = this;
    best.begin(arg!);
    const row = best.extremeRow(from, to, sign, false, null);
    if (row >= 0 && !(best.compare(group, row) * sign <= 0)) best.take(group, row);
  }

  merge(into: number, source: this, from: number): void {
    if (source.best.isEmpty(from)) return;
    this.best.begin(source.best.vector());
    if (!(this.best.compare(into, from) * this.sign <= 0)) this.best.take(into, from);
  }

  reset(group: number): void {
    this.best.reset(group);
  }

  finish(): Vector {
    return this.best.vector();
  }

  parts(): readonly StatePart[] {
    return [{ name: '', vector: this.best.vector() }];
  }

  restore([best]: readonly Vector[], groups: number): void {
    this.best.takeAll(best!, groups);
  }
}

/** What rows are picked by. `sign`: 1 when the greatest wins, −1 when the least does. */
export interface PickOrder {
  readonly name: 'by' | 'time';
  readonly kind: Kind;
  readonly sign: 1 | -1;
}

/**
 * The value of the row that wins by its orders. Arguments: the value, then the orders, most important first. Rows with a
 * NULL among them are skipped. Without orders the first row wins, or, when the later one wins a tie, the last.
 */
export class Pick implements Accumulator {
  private readonly value: Ordered;
  private readonly orders: readonly Ordered[];
  private readonly by: readonly PickOrder[];
  private readonly lateWinsTie: boolean;

  constructor(kind: Kind, by: readonly PickOrder[], lateWinsTie: boolean, texts: Texts) {
    this.value = new Ordered(kind, texts);
    this.orders = by.map((order) => new Ordered(order.kind, texts));
    this.by = by;
    this.lateWinsTie = lateWinsTie;
  }

  /** A narrow integer, at base + time: for first and last. */
  addNumber(group: number, value: number, time: number, timeBase: bigint): void {
    const order = this.orders[0]!;
    this.value.beginOne(0n, value);
    order.beginOne(timeBase, time);
    if (!this.value.isEmpty(group) && !this.wins(group, 0)) return;
    this.value.take(group, 0);
    order.take(group, 0);
  }

  /** Whether it is the later row that wins, as in last(). */
  get takesLast(): boolean {
    return this.lateWinsTie;
  }

  grow(groups: number): void {
    this.value.grow(groups);
    for (const order of this.orders) order.grow(groups);
  }

  add(args: readonly Vector[], ids: Int32Array, rows: number): void {
    const { value, orders } = this;
    value.begin(args[0]!);
    for (let k = 0; k < orders.length; k++) orders[k]!.begin(args[k + 1]!);
    for (let i = 0; i < rows; i++) {
      const group = ids[i]!;
      if (group < 0 || value.isNull(i) || orders.some((order) => order.isNull(i))) continue;
      if (!value.isEmpty(group) && !this.wins(group, i)) continue;
      value.take(group, i);
      for (const order of orders) order.take(group, i);
    }
  }

  addRun(args: readonly Vector[], from: number, to: number, group: number): void {
    const { value, orders } = this;
    if (orders.length !== 1) {
      addRowByRow(this, args, from, to, group);
      return;
    }
    const order = orders[0]!;
    value.begin(args[0]!);
    order.begin(args[1]!);
    const row = order.extremeRow(from, to, this.by[0]!.sign, this.lateWinsTie, args[0]!);
    if (row < 0 || (!value.isEmpty(group) && !this.wins(group, row))) return;
    value.take(group, row);
    order.take(group, row);
  }

  merge(into: number, source: this, from: number): void {
    if (source.value.isEmpty(from)) return;
    this.value.begin(source.value.vector());
    for (let k = 0; k < this.orders.length; k++) this.orders[k]!.begin(source.orders[k]!.vector());
    if (!this.value.isEmpty(into) && !this.wins(into, from)) return;
    this.value.take(into, from);
    for (const order of this.orders) order.take(into, from);
  }

  reset(group: number): void {
    this.value.reset(group);
    for (const order of this.orders) order.reset(group);
  }

  finish(): Vector {
    return this.value.vector();
  }

  parts(): readonly StatePart[] {
    return [
      { name: '', vector: this.value.vector() },
      ...this.orders.map((order, k) => ({ name: this.by[k]!.name, vector: order.vector() })),
    ];
  }

  restore([value, ...orders]: readonly Vector[], groups: number): void {
    this.value.takeAll(value!, groups);
    for (const [k, order] of this.orders.entries()) order.takeAll(orders[k]!, groups);
  }

  private wins(group: number, row: number): boolean {
    for (let k = 0; k < this.orders.length; k++) {
      const difference = this.orders[k]!.compare(group, row) * this.by[k]!.sign;
      if (difference !== 0) return difference > 0;
    }
    return this.lateWinsTie;
  }
}
