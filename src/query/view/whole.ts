// What: the groups of all parts of a view together: their states merged, and the values of these as columns.
// Why: most reads find the parts as the last one left them and have nothing to merge; others merge what changed parts have a share in.
// Invariant: a column is never written again: who was given it may still hold it when the next one is made.

import type { Accumulator } from '../aggregate/accumulator.ts';
import { gather } from '../block.ts';
import { Scratch } from '../scratch.ts';
import type { AnyPart, TableSnapshot } from '../snapshot.ts';
import { finalVector, headOf, piecesOf, type Vector } from '../vector.ts';
import type { PartGroups } from './parts.ts';

export class Whole {
  /** Groups that have rows. Rows of the columns. */
  rows = 0;
  /** Values of the view's keys. */
  keys: readonly Vector[] = [];
  /** The group of each row, as states number them; null: row k is group k. */
  groups: Int32Array | null = null;
  /** Rows of the table. */
  rowsTaken = 0;
  private readonly states: readonly Accumulator[];
  private readonly hasKeys: boolean;
  private calls: (Vector | null)[] = [];
  private pieces = new Map<Vector, readonly Vector[]>();
  /** Of each group: how many parts have rows of it. */
  private members = new Int32Array(0);
  /** What is merged: how many rows of a part, by its list of groups. */
  private merged: ReadonlyMap<readonly number[], number> = new Map();
  private lists: readonly (readonly AnyPart[])[] | null = null;

  /** `states`: an empty one of each call of the view. */
  constructor(states: readonly Accumulator[], hasKeys: boolean) {
    this.states = states;
    this.hasKeys = hasKeys;
  }

  /** Of states. */
  get groupCount(): number {
    return this.members.length;
  }

  /** Whether it was made of these very rows. */
  isOf({ symbols, partsOf }: TableSnapshot): boolean {
    const { lists } = this;
    return (
      lists?.length === symbols.length && symbols.every((symbol, i) => isSame(partsOf(symbol), lists[i]!))
    );
  }

  /** Lets go of the parts, whose memory may be wanted. */
  letGo(): void {
    this.lists = null;
  }

  /**
   * Becomes that of `found`, the groups of the table's parts in their order; `keys`: of all groups. When `check` throws it must
   * not be used again: its states are then those of some parts and not of others.
   */
  update(
    { symbols, partsOf }: TableSnapshot,
    found: readonly PartGroups[],
    groupCount: number,
    keys: readonly Vector[],
    check: () => void,
  ): void {
    this.merge(found, this.emptied(found, groupCount), check);
    const met = new Int32Array(groupCount);
    let rows = 0;
    for (let group = 0; group < groupCount; group++) if (this.members[group]! > 0) met[rows++] = group;
    // Without keys there is one group, even of no rows.
    const isAll = rows === groupCount || !this.hasKeys;
    this.rows = isAll ? groupCount : rows;
    this.groups = isAll ? null : met.subarray(0, rows);
    this.keys = keys.map((key) => this.chosen(key));
    this.calls = this.states.map(() => null);
    this.pieces = new Map();
    this.rowsTaken = found.reduce((sum, part) => sum + part.rows, 0);
    this.lists = symbols.map((symbol) => partsOf(symbol));
  }

  /** Values of a call of the view. */
  call(index: number): Vector {
    const vector = this.calls[index] ?? this.chosen(this.states[index]!.finish(this.groupCount));
    this.calls[index] = vector;
    return vector;
  }

  /** A column of it in the vectors of its blocks: the same ones for each read, so that what results make of them is made once. */
  piecesOf(column: Vector): readonly Vector[] {
    const pieces = this.pieces.get(column) ?? piecesOf(column, this.rows);
    this.pieces.set(column, pieces);
    return pieces;
  }

  /** Of a call of the view, by group. Valid until the next update. */
  state(index: number): Accumulator {
    return this.states[index]!;
  }

  /** A copy of the rows: a state may write its vector again. */
  private chosen(vector: Vector): Vector {
    const { groups, rows } = this;
    const column = groups === null ? vector : gather(vector, groups, rows, new Scratch());
    return finalVector(headOf(column, rows));
  }

  /** 1 for each group of a part that came, grew or left; they are emptied. */
  private emptied(found: readonly PartGroups[], groupCount: number): Uint8Array {
    const changed = new Uint8Array(groupCount);
    const mark = (numbers: readonly number[]): void => {
      for (const group of numbers) changed[group] = 1;
    };
    const merged = new Map(found.map(({ numbers, rows }) => [numbers, rows]));
    for (const [numbers, rows] of merged) if (this.merged.get(numbers) !== rows) mark(numbers);
    for (const numbers of this.merged.keys()) if (!merged.has(numbers)) mark(numbers);
    this.merged = merged;
    const members = new Int32Array(groupCount);
    members.set(this.members);
    for (const state of this.states) state.grow(groupCount);
    for (let group = 0; group < groupCount; group++) {
      if (changed[group] === 0) continue;
      members[group] = 0;
      for (const state of this.states) state.reset(group);
    }
    this.members = members;
    return changed;
  }

  private merge(found: readonly PartGroups[], changed: Uint8Array, check: () => void): void {
    for (const { numbers, states } of found) {
      for (let place = 0; place < numbers.length; place++) {
        const group = numbers[place]!;
        if (changed[group] === 0) continue;
        this.members[group]!++;
        for (let c = 0; c < states.length; c++) this.states[c]!.merge(group, states[c] as never, place);
      }
      check();
    }
  }
}

/** A part of other rows is another object. */
const isSame = (list: readonly AnyPart[], known: readonly AnyPart[]): boolean =>
  list === known || (list.length === known.length && list.every((part, i) => part === known[i]));
