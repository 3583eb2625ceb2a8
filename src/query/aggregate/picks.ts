// What: min, max, first, last, any_value, arg_min, arg_max, bool_and, bool_or: aggregates that answer one of their rows' values.
// Why: all of them compare a row with the best so far, and keep one value.
// Invariant: rows come in storage order, so that among equals the earlier row is the one already kept.

import type { Texts } from '../texts.ts';
import type { Kind, Vector } from '../vector.ts';
import type { Accumulator } from './accumulator.ts';
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

  merge(into: number, from: number): void {
    if (this.best.isEmpty(from)) return;
    if (!(this.best.compareGroups(into, from) * this.sign <= 0)) this.best.copy(into, from);
  }

  reset(group: number): void {
    this.best.reset(group);
  }

  finish(): Vector {
    return this.best.vector();
  }
}

/**
 * The value of the row that wins by its orders. Arguments: the value, then the orders, most important first. Rows with a
 * NULL among them are skipped. Without orders the first row wins, or, when the later one wins a tie, the last.
 */
export class Pick implements Accumulator {
  private readonly value: Ordered;
  private readonly orders: readonly Ordered[];
  private readonly signs: readonly number[];
  private readonly lateWinsTie: boolean;

  /** `signs[k]`: 1 when the greatest order k wins, −1 when the least does. */
  constructor(
    kind: Kind,
    orders: readonly Kind[],
    signs: readonly (1 | -1)[],
    lateWinsTie: boolean,
    texts: Texts,
  ) {
    this.value = new Ordered(kind, texts);
    this.orders = orders.map((order) => new Ordered(order, texts));
    this.signs = signs;
    this.lateWinsTie = lateWinsTie;
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

  merge(into: number, from: number): void {
    if (this.value.isEmpty(from)) return;
    if (!this.value.isEmpty(into) && !this.winsGroup(into, from)) return;
    this.value.copy(into, from);
    for (const order of this.orders) order.copy(into, from);
  }

  reset(group: number): void {
    this.value.reset(group);
    for (const order of this.orders) order.reset(group);
  }

  finish(): Vector {
    return this.value.vector();
  }

  private wins(group: number, row: number): boolean {
    for (let k = 0; k < this.orders.length; k++) {
      const difference = this.orders[k]!.compare(group, row) * this.signs[k]!;
      if (difference !== 0) return difference > 0;
    }
    return this.lateWinsTie;
  }

  private winsGroup(into: number, from: number): boolean {
    for (let k = 0; k < this.orders.length; k++) {
      const difference = this.orders[k]!.compareGroups(into, from) * this.signs[k]!;
      if (difference !== 0) return difference > 0;
    }
    return this.lateWinsTie;
  }
}
