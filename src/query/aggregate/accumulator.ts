// What: what every aggregate is: a state per group that takes rows, takes other states, and gives values.
// Why: GROUP BY, SAMPLE BY, WINDOW JOIN and window frames differ in which rows belong together, not in what is done with them.
// Invariant: adding rows in pieces and merging gives what adding all of them gives.

import { tailOf, type Vector } from '../vector.ts';

export interface Accumulator {
  /** Makes room for groups [0, groups); new ones are empty. */
  grow(groups: number): void;
  /** Adds row i of the arguments to group ids[i], i < rows; an id below 0 is no group. Rows come in storage order. */
  add(args: readonly Vector[], ids: Int32Array, rows: number): void;
  /** As `add`, for rows [from, to) that all belong to one group. */
  addRun(args: readonly Vector[], from: number, to: number, group: number): void;
  /**
   * Adds what group `from` of `source`, which may be this very state, holds to group `into`; its rows come after those of
   * `into`. `source` stays as it is.
   */
  merge(into: number, source: this, from: number): void;
  /** Empties a group. */
  reset(group: number): void;
  /** Values of groups [0, groups). */
  finish(groups: number): Vector;
  /** Of groups [0, groups): what merges with the same parts of other states by plain sums, extremes and orders. Absent: nothing does. */
  parts?(groups: number): readonly StatePart[];
  /** Groups [0, groups) of an empty state become those whose `parts` these are. Given where `parts` is. */
  restore?(parts: readonly Vector[], groups: number): void;
}

/** One number, text or boolean of each group's state. */
export interface StatePart {
  /** '': the aggregate's value itself. */
  readonly name: string;
  readonly vector: Vector;
}

/** Of groups [0, groups): the values, or the states in parts for who merges them. */
export function vectorsOfState(state: Accumulator, groups: number, asParts: boolean): readonly Vector[] {
  return asParts ? state.parts!(groups).map(({ vector }) => vector) : [state.finish(groups)];
}

/** A larger copy when it is too small for `length`; what is new is 0. */
export function roomFor<T extends Float64Array | Int32Array | Uint8Array | Uint32Array | BigInt64Array>(
  array: T,
  length: number,
): T {
  if (array.length >= length) return array;
  const capacity = Math.max(8, length, array.length * 2);
  const larger = new (array.constructor as new (size: number) => T)(capacity);
  (larger as Uint8Array).set(array as Uint8Array);
  return larger;
}

/** `addRun` for accumulators that have nothing better. */
export function addRowByRow(
  state: Accumulator,
  args: readonly Vector[],
  from: number,
  to: number,
  group: number,
): void {
  const ids = new Int32Array(to - from).fill(group);
  state.add(
    args.map((arg) => tailOf(arg, from)),
    ids,
    to - from,
  );
}
