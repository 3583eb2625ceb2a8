// What: one aggregate of a kernel: its states, how rows reach them, and what is remembered of whole parts.
// Why: what is asked of everything that a symbol ever traded should cost what is new.
// Invariant: a remembered state is never changed; a part that has grown continues from its full runs.

import type { Call, Expression } from '../../sql/ast.ts';
import { functionByName } from '../../sql/functions.ts';
import type { SqlType } from '../../sql/types.ts';
import type { Accumulator } from '../aggregate/accumulator.ts';
import { makeAggregate } from '../aggregate/make.ts';
import type { Compiled } from '../expression/compiled.ts';
import type { PartMemory } from '../part-cache.ts';
import { type Binding, scopeOf } from '../rows.ts';
import { runOfNoQuery } from '../run.ts';
import { type ExtremesMemo, type Feed, feedFor, type StoredColumn } from './feeds.ts';
import type { Stretch } from './stretch.ts';

/** An aggregate of stored columns. */
export interface RangeCall {
  readonly call: Call;
  /** Its arguments; first and last have the event time behind them. */
  readonly columns: readonly StoredColumn[];
}

export interface RangeAggregate {
  readonly columns: readonly StoredColumn[];
  readonly state: Accumulator;
  readonly feed: Feed;
  /** For the memory of parts. */
  readonly name: string;
  readonly make: () => Accumulator;
}

/** Stands where a compiled argument is wanted whose value never is: the feeds read the columns themselves. */
const unread = (type: SqlType): Compiled => ({
  type,
  isConstant: false,
  evaluate: () => {
    throw new RangeError('a kernel reads its columns itself');
  },
});

/** States outlive the query that makes them: they must not keep its snapshot. Kernels take no texts, which would be a query's own. */
const NO_QUERY = runOfNoQuery();

export function rangeAggregate(
  { call, columns }: RangeCall,
  time: Expression | null,
  binding: Binding,
  memo: ExtremesMemo,
): RangeAggregate {
  const scope = scopeOf(NO_QUERY, {
    types: binding.types,
    resolve: (e) => (e.kind === 'column' ? unread(binding.types.get(e)!) : null),
  });
  const timeColumn = time === null ? null : unread(binding.types.get(time)!);
  const make = (): Accumulator => makeAggregate(call, scope, timeColumn).state;
  const state = make();
  const { name } = functionByName(call.name)!;
  return {
    columns,
    state,
    make,
    feed: feedFor(state, columns, memo),
    name: `${name}(${columns.map(({ index, type }) => `${index}:${type}`).join()})`,
  };
}

/** `fromGroup`: of `from`. */
export function merge(into: Accumulator, group: number, from: Accumulator, fromGroup = 0): void {
  into.merge(group, from as never, fromGroup);
}

/** One aggregate of a whole part, continued from what is known of its full runs. */
export class PartAggregate {
  readonly target: Accumulator;
  readonly runsKnown: number;
  private readonly aggregate: RangeAggregate;
  private readonly memory: PartMemory;
  private full: Accumulator;
  private rowsFull: number;

  constructor(aggregate: RangeAggregate, memory: PartMemory) {
    const known = memory.full.get(aggregate.name);
    this.aggregate = aggregate;
    this.memory = memory;
    this.target = aggregate.state;
    this.full = this.copyOf(known?.state ?? null);
    this.runsKnown = known?.runs ?? 0;
    this.rowsFull = known?.rows ?? 0;
  }

  take(run: number, stretch: Stretch, starts: Int32Array, isFull: boolean): void {
    if (run < this.runsKnown) return;
    if (!isFull) {
      // The last run may still grow: what is remembered of full runs must not have it.
      this.memory.full.set(this.aggregate.name, { runs: run, rows: this.rowsFull, state: this.full });
      this.full = this.copyOf(this.full);
    }
    for (let k = 0; k + 1 < starts.length; k++)
      this.aggregate.feed(this.full, 0, stretch.set(starts[k]!, starts[k + 1]!));
    this.rowsFull += stretch.piece.rows;
  }

  finish(runs: number, rows: number): Accumulator {
    this.memory.whole.set(this.aggregate.name, { runs, rows, state: this.full });
    return this.full;
  }

  private copyOf(state: Accumulator | null): Accumulator {
    const copy = this.aggregate.make();
    copy.grow(1);
    if (state !== null) merge(copy, 0, state);
    return copy;
  }
}
