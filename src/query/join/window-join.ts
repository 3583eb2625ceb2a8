// What: WINDOW JOIN: each left row with aggregates over the right rows of equal keys around its time.
// Why: "the average bid of the five seconds before each trade".
// Invariant: every left row comes out once; over an empty window counts are 0 and the rest is NULL.

import type { Call, Expression } from '../../sql/ast.ts';
import { printExpression } from '../../sql/print-expression.ts';
import { type Aggregate, makeAggregate } from '../aggregate/make.ts';
import { type Block, Columns, type Flow, type Operator } from '../block.ts';
import { comparable, comparisonType } from '../expression/compare.ts';
import { compile } from '../expression/compile.ts';
import { storable } from '../hash-aggregate.ts';
import { type Binding, scopeOf, vectorsOf } from '../rows.ts';
import type { Run } from '../run.ts';
import { BLOCK_ROWS, isNullAt } from '../vector.ts';
import { type JoinKey, keysOf } from './join-keys.ts';
import { KeptSide } from './kept-side.ts';
import { Pairs } from './pairs.ts';
import { TimeSearch } from './time-search.ts';

export interface WindowJoinSpec {
  readonly keys: readonly JoinKey[];
  /** Over the right side. */
  readonly time: Expression;
  /** Over the left side; both bounds are inclusive. */
  readonly low: Expression;
  readonly high: Expression;
  /** Over pairs of a left and a right row. */
  readonly calls: readonly Call[];
}

/** Left columns, then the calls. */
export function windowJoin(
  left: Operator,
  right: Operator,
  spec: WindowJoinSpec,
  bindings: { readonly left: Binding; readonly right: Binding; readonly both: Binding },
): Operator {
  const on = (): string[] => [
    ...spec.keys.map((key) => `${printExpression(key.left)} = ${printExpression(key.right)}`),
    `${printExpression(spec.time)} between ${printExpression(spec.low)} and ${printExpression(spec.high)}`,
  ];
  return {
    types: [...left.types, ...spec.calls.map((call) => storable(bindings.both.types.get(call)!))],
    label: 'Window join',
    details: () => [`on ${on().join(' and ')}`, spec.calls.map(printExpression).join(', ')],
    inputs: [left, right],
    open: (run) => join(left, right, spec, bindings, run),
  };
}

function* join(
  left: Operator,
  right: Operator,
  spec: WindowJoinSpec,
  bindings: { readonly left: Binding; readonly right: Binding; readonly both: Binding },
  run: Run,
): Flow {
  const keys = keysOf(spec.keys, bindings.left, bindings.right, run);
  const leftScope = scopeOf(run, bindings.left);
  const bounds = [compile(spec.low, leftScope), compile(spec.high, leftScope)];
  const instant = compile(spec.time, scopeOf(run, bindings.right));
  const type = storable(bounds.reduce((common, e) => comparisonType(common, e.type), instant.type));
  const [low, high] = bounds.map((e) => comparable(e, type, e === bounds[0] ? spec.low.at : spec.high.at));
  const side = new KeptSide(right.types, keys.types, type, run);
  yield* side.load(right.open(run), keys.right, comparable(instant, type, spec.time.at));
  const search = new TimeSearch(side.times.vector(), side.order);
  run.budget.reserve(search.bytes);
  const scope = scopeOf(run, bindings.both);
  const pairs = new Pairs(left.types, right.types, BLOCK_ROWS);
  const ids = new Int32Array(BLOCK_ROWS);
  const [lowHints, highHints] = [side.starts.slice(), side.starts.slice()];
  for (const item of left.open(run)) {
    if (item instanceof Promise) {
      yield item;
      continue;
    }
    run.check();
    const { rows } = item;
    const aggregates = spec.calls.map((call) => makeAggregate(call, scope, null));
    for (const { state } of aggregates) state.grow(rows);
    const groups = side.find(item, keys.left);
    const [from, to] = [new Int32Array(rows), new Int32Array(rows)];
    for (const [vector, ends, hints, orEqual] of [
      [low!.evaluate(item), from, lowHints, true],
      [high!.evaluate(item), to, highHints, false],
    ] as const) {
      search.begin(vector);
      for (let row = 0; row < rows; row++) {
        const group = groups[row]!;
        if (group < 0 || isNullAt(vector, row)) ends[row] = -1;
        else {
          const [start, end] = [side.starts[group]!, side.starts[group + 1]!];
          ends[row] = search.after(row, start, end, hints[group]!, orEqual);
          hints[group] = ends[row]!;
        }
      }
    }
    let count = 0;
    for (let row = 0; row < rows; row++) {
      if (from[row]! < 0) continue;
      for (let at = from[row]!; at < to[row]!; at++) {
        pairs.left[count] = row;
        pairs.right[count] = side.order[at]!;
        ids[count++] = row;
        if (count === BLOCK_ROWS) {
          take(aggregates, pairs.set(count, item, side.vectors), ids, run);
          count = 0;
        }
      }
    }
    if (count > 0) take(aggregates, pairs.set(count, item, side.vectors), ids, run);
    yield new Columns(rows, [
      ...vectorsOf(item, left.types.length),
      ...aggregates.map(({ state }) => state.finish(rows)),
    ]);
  }
  run.budget.release(search.bytes);
  side.release();
}

function take(aggregates: readonly Aggregate[], pairs: Block, ids: Int32Array, run: Run): void {
  run.check();
  for (const aggregate of aggregates) aggregate.take(pairs, ids);
}
