// What: aggregates with OVER: one value for each row, of the rows in its frame.
// Why: any accumulator that can be merged slides over frames without ever taking a row out again, so nothing drifts.
// Invariant: each row's value is that of the accumulator over exactly its frame, rows in the window's order.

import type { Aggregate } from '../aggregate/make.ts';
import type { Block } from '../block.ts';
import { KeptColumn } from '../kept-column.ts';
import type { Run } from '../run.ts';
import { BLOCK_ROWS, kindOf, type Vector } from '../vector.ts';
import type { Arrangement } from './arrangement.ts';
import type { Frames } from './frames.ts';

/** Rows of the window's order, [from, from + rows) at most BLOCK_ROWS. */
export type BlockAt = (from: number, rows: number) => Block;

const STATE_BYTES = 32;

/** Values by position. `mergeable`: states can be merged in constant time and memory. */
export function overFrames(
  aggregate: Aggregate,
  arrangement: Arrangement,
  frames: Frames,
  rows: number,
  blockAt: BlockAt,
  mergeable: boolean,
  run: Run,
): Vector {
  if (frames.shape === 'whole') return overPartitions(aggregate, arrangement, rows, blockAt, run);
  if (!mergeable) return oneByOne(aggregate, frames, rows, blockAt, run);
  const bytes = STATE_BYTES * rows * 3;
  run.budget.reserve(bytes);
  const { state } = aggregate;
  state.grow(3 * rows + 1);
  // Group i: the row at position i alone.
  forBlocks(rows, blockAt, run, (block, from, ids) => {
    for (let i = 0; i < block.rows; i++) ids[i] = from + i;
    aggregate.take(block, ids);
  });
  for (let p = 0; p + 1 < arrangement.partitions.length; p++) {
    run.check();
    const first = arrangement.partitions[p]!;
    const last = arrangement.partitions[p + 1]!;
    if (frames.shape === 'growing') grow(aggregate, frames, first, last, rows, run);
    else slide(aggregate, frames, first, last, rows, run);
  }
  const all = state.finish(3 * rows);
  run.budget.release(bytes);
  return { ...all, values: all.values.subarray(2 * rows) } as Vector;
}

/** Group rows + i: everything from the partition's start to i; group 2 × rows + i: the answer at i. */
function grow(
  { state }: Aggregate,
  { end }: Frames,
  first: number,
  last: number,
  rows: number,
  run: Run,
): void {
  for (let at = first; at < last; at++) {
    run.tick();
    if (at > first) state.merge(rows + at, state, rows + at - 1);
    state.merge(rows + at, state, at);
  }
  for (let at = first; at < last; at++) {
    run.tick();
    if (end[at]! > first) state.merge(2 * rows + at, state, rows + end[at]! - 1);
  }
}

/**
 * A queue as two stacks: positions before `middle` have states of everything from them up to `middle` (group rows +
 * position), those from `middle` on are in one state (group 3 × rows). When the front runs out, it is made anew.
 */
function slide(
  { state }: Aggregate,
  { start, end }: Frames,
  first: number,
  last: number,
  rows: number,
  run: Run,
): void {
  const back = 3 * rows;
  let middle = first;
  let reached = first;
  state.reset(back);
  for (let at = first; at < last; at++) {
    const from = start[at]!;
    const to = end[at]!;
    for (; reached < to; reached++) {
      run.tick();
      state.merge(back, state, reached);
    }
    if (to <= from) continue;
    if (from >= middle) {
      for (let position = reached - 1; position >= from; position--) {
        run.tick();
        const group = rows + position;
        state.reset(group);
        state.merge(group, state, position);
        if (position + 1 < reached) state.merge(group, state, group + 1);
      }
      middle = reached;
      state.reset(back);
    }
    const answer = 2 * rows + at;
    state.merge(answer, state, rows + from);
    state.merge(answer, state, back);
  }
}

function overPartitions(
  aggregate: Aggregate,
  { partitions }: Arrangement,
  rows: number,
  blockAt: BlockAt,
  run: Run,
): Vector {
  const partitionOf = new Int32Array(rows);
  const count = partitions.length - 1;
  for (let p = 0; p < count; p++) partitionOf.fill(p, partitions[p]!, partitions[p + 1]!);
  aggregate.state.grow(count);
  forBlocks(rows, blockAt, run, (block, from) => aggregate.take(block, partitionOf.subarray(from)));
  return spread(aggregate.state.finish(count), partitionOf);
}

/** values[i] = vector[groups[i]] */
function spread(vector: Vector, groups: Int32Array): Vector {
  const values = new (vector.values.constructor as new (length: number) => Float64Array)(groups.length);
  const from = vector.values as Float64Array;
  for (let i = 0; i < groups.length; i++) values[i] = from[groups[i]!]!;
  return { ...vector, values } as Vector;
}

/** For aggregates that need all values of a frame at once. */
function oneByOne(
  aggregate: Aggregate,
  { start, end }: Frames,
  rows: number,
  blockAt: BlockAt,
  run: Run,
): Vector {
  const { state } = aggregate;
  state.grow(1);
  const out = new KeptColumn(kindOf(aggregate.type), run.budget);
  const ids = new Int32Array(BLOCK_ROWS);
  for (let at = 0; at < rows; at++) {
    run.check();
    state.reset(0);
    for (let from = start[at]!; from < end[at]!; from += BLOCK_ROWS)
      aggregate.take(blockAt(from, Math.min(BLOCK_ROWS, end[at]! - from)), ids);
    out.append(state.finish(1), 0, 1);
  }
  return out.vector();
}

function forBlocks(
  rows: number,
  blockAt: BlockAt,
  run: Run,
  take: (block: Block, from: number, ids: Int32Array) => void,
): void {
  const ids = new Int32Array(BLOCK_ROWS);
  for (let from = 0; from < rows; from += BLOCK_ROWS) {
    run.check();
    take(blockAt(from, Math.min(BLOCK_ROWS, rows - from)), from, ids);
  }
}
