// What: ASOF and AJ0 joins: each left row with the last right row of equal keys that is not later.
// Why: "which quote stood when this trade was made" is what tick data is joined for.
// Invariant: one row for each left row, or, without LEFT, at most one; equal times: the right row that is later in storage order.

import { intervalText } from '../../sql/interval.ts';
import { printExpression } from '../../sql/print-expression.ts';
import type { SqlType } from '../../sql/types.ts';
import type { Flow, Operator } from '../block.ts';
import type { Binding } from '../rows.ts';
import type { Run } from '../run.ts';
import { SymbolBatches } from '../symbol-batches.ts';
import { BLOCK_ROWS } from '../vector.ts';
import { type CompiledKeys, commonPair, type JoinKey, keysOf } from './join-keys.ts';
import { KeptSide, leaveOutNulls } from './kept-side.ts';
import { OrderedAsofJoin } from './ordered-asof.ts';
import { Pairs } from './pairs.ts';
import { TimeSearch } from './time-search.ts';

/** Both sides come symbol by symbol, and only rows of equal symbols go together. */
export interface SymbolSlots {
  readonly left: number;
  readonly right: number;
}

export interface AsofJoinSpec {
  readonly label: string;
  /** Not null: `keys` are those beside the symbol. */
  readonly symbols: SymbolSlots | null;
  /** Not null: right rows come in the order of `time`, there are no `keys`, and of the right side only these slots are read. */
  readonly usedOfRight: ReadonlySet<number> | null;
  readonly keepsLeft: boolean;
  readonly keys: readonly JoinKey[];
  readonly time: JoinKey;
  /** The right time must be before the left's, not at it. */
  readonly strict: boolean;
  readonly toleranceNs: bigint | null;
}

/** Left columns, then right ones. */
export function asofJoin(
  left: Operator,
  right: Operator,
  spec: AsofJoinSpec,
  bindings: { readonly left: Binding; readonly right: Binding },
): Operator {
  const { time, strict, toleranceNs } = spec;
  const on = (): string[] => [
    ...spec.keys.map((key) => `${printExpression(key.left)} = ${printExpression(key.right)}`),
    `${printExpression(time.left)} ${strict ? '>' : '>='} ${printExpression(time.right)}`,
  ];
  return {
    types: [...left.types, ...right.types],
    label: `${spec.label} join`,
    details: () => [
      `on ${on().join(' and ')}`,
      ...(toleranceNs === null ? [] : [`tolerance ${intervalText(toleranceNs)}`]),
    ],
    inputs: [left, right],
    open: (run) => joined(left, right, spec, bindings, run),
  };
}

function* joined(
  left: Operator,
  right: Operator,
  spec: AsofJoinSpec,
  bindings: { readonly left: Binding; readonly right: Binding },
  run: Run,
): Flow {
  const times = commonPair(spec.time.left, spec.time.right, bindings.left, bindings.right, run);
  const join =
    spec.usedOfRight === null
      ? new AsofJoin(left.types, right.types, spec, times, bindings, run)
      : new OrderedAsofJoin(left.types, right.types, spec, times, spec.usedOfRight, run);
  if (spec.symbols === null) yield* join.of(left.open(run), right.open(run));
  else yield* bySymbol(left.open(run), right.open(run), spec.symbols, join);
  join.release();
}

/** One symbol after the other: of the right side, only one's rows are kept. */
function* bySymbol(
  leftFlow: Flow,
  rightFlow: Flow,
  slots: SymbolSlots,
  join: AsofJoin | OrderedAsofJoin,
): Flow {
  const left = new SymbolBatches(leftFlow, slots.left);
  const right = new SymbolBatches(rightFlow, slots.right);
  try {
    yield* left.begin();
    while (left.symbol !== null) {
      yield* right.skipTo(left.symbol);
      const isMet = right.symbol === left.symbol;
      yield* join.of(left.rows(0), isMet ? right.rows(0) : noRows());
    }
  } finally {
    left.close();
    right.close();
  }
}

function* noRows(): Flow {}

/** Left rows with right rows, for one pair of flows after the other. */
class AsofJoin {
  private readonly spec: AsofJoinSpec;
  private readonly run: Run;
  private readonly keys: CompiledKeys;
  private readonly time: ReturnType<typeof commonPair>;
  private readonly side: KeptSide;
  private readonly pairs: Pairs;
  private readonly places = new Int32Array(BLOCK_ROWS);

  constructor(
    leftTypes: readonly SqlType[],
    rightTypes: readonly SqlType[],
    spec: AsofJoinSpec,
    time: ReturnType<typeof commonPair>,
    bindings: { readonly left: Binding; readonly right: Binding },
    run: Run,
  ) {
    this.spec = spec;
    this.run = run;
    this.keys = keysOf(spec.keys, bindings.left, bindings.right, run);
    this.time = time;
    this.side = new KeptSide(rightTypes, this.keys.types, this.time.type, run);
    this.pairs = new Pairs(leftTypes, rightTypes, BLOCK_ROWS);
  }

  *of(left: Flow, right: Flow): Flow {
    const { side, run, keys, time, pairs } = this;
    yield* side.load(right, keys.right, time.right);
    const search = new TimeSearch(side.times.vector(), side.order);
    run.budget.reserve(search.bytes);
    const hints = side.starts.slice();
    for (const item of left) {
      if (item instanceof Promise) {
        yield item;
        continue;
      }
      const ids = side.find(item, keys.left);
      const instants = time.left.evaluate(item);
      leaveOutNulls(instants, item.rows, ids);
      search.begin(instants);
      this.place(ids, item.rows, search, hints);
      const count = this.pair(ids, item.rows, search);
      if (count > 0) yield pairs.set(count, item, side.vectors, count === item.rows);
    }
    run.budget.release(search.bytes);
    side.clear();
  }

  release(): void {
    this.side.release();
  }

  /** places[row] = index of the last right row of its group that is not later; below the group's first when there is none. */
  private place(ids: Int32Array, rows: number, search: TimeSearch, hints: Int32Array): void {
    const { places } = this;
    const { starts } = this.side;
    const { strict } = this.spec;
    if (this.keys.left.length === 0 && starts.length > 1) {
      hints[0] = search.lastOfEach(rows, starts[0]!, starts[1]!, hints[0]!, strict, places);
      return;
    }
    for (let row = 0; row < rows; row++) {
      const id = ids[row]!;
      if (id < 0) continue;
      hints[id] = search.after(row, starts[id]!, starts[id + 1]!, hints[id]!, strict);
      places[row] = hints[id] - 1;
    }
  }

  /** Fills in the pairs; returns how many. */
  private pair(ids: Int32Array, rows: number, search: TimeSearch): number {
    const { places } = this;
    const { starts, order } = this.side;
    const { left, right } = this.pairs;
    const { keepsLeft, toleranceNs } = this.spec;
    let count = 0;
    for (let row = 0; row < rows; row++) {
      const id = ids[row]!;
      let match = -1;
      if (id >= 0) {
        const last = places[row]!;
        const isClose =
          last >= starts[id]! && (toleranceNs === null || !search.isOlderThan(last, row, toleranceNs));
        if (isClose) match = order[last]!;
      }
      if (match < 0 && !keepsLeft) continue;
      left[count] = row;
      right[count++] = match;
    }
    return count;
  }
}
