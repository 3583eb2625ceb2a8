// What: window functions: a value for each row out of the rows around it.
// Why: rolling means, changes from tick to tick, ranks.
// Invariant: rows come out in the order in which they came in, each with its values.

import type { Call, Expression, WindowSpec } from '../sql/ast.ts';
import { functionByName } from '../sql/functions.ts';
import { printExpression } from '../sql/print-expression.ts';
import type { SqlType } from '../sql/types.ts';
import { makeAggregate } from './aggregate/make.ts';
import { type Block, Columns, each, type Flow, gather, type Operator, Selection } from './block.ts';
import { compile } from './expression/compile.ts';
import type { Compiled } from './expression/compiled.ts';
import { storable } from './hash-aggregate.ts';
import { KeptColumn, KeptRows } from './kept-column.ts';
import { type Binding, scopeOf, vectorsOf } from './rows.ts';
import type { Run } from './run.ts';
import { Scratch } from './scratch.ts';
import { BLOCK_ROWS, kindOf, scaleOf, tailOf, type Vector } from './vector.ts';
import { Arrangement } from './window/arrangement.ts';
import { overFrames } from './window/frame-aggregates.ts';
import { type Frames, framesOf } from './window/frames.ts';
import { windowFunction } from './window/functions.ts';
import { type RollingName, rolling } from './window/rolling.ts';

/** The input's columns, then the calls. `time`: the event time that first and last go by, if there is one. */
export function windowed(
  input: Operator,
  calls: readonly Call[],
  binding: Binding,
  time: Expression | null,
): Operator {
  return {
    types: [...input.types, ...calls.map((call): SqlType => storable(binding.types.get(call)!))],
    label: 'Window',
    details: calls.map(printExpression),
    inputs: [input],
    open: (run) => compute(input, calls, binding, time, run),
  };
}

function* compute(
  input: Operator,
  calls: readonly Call[],
  binding: Binding,
  time: Expression | null,
  run: Run,
): Flow {
  const width = input.types.length;
  const kept = new KeptRows(input.types.map(kindOf), run.budget);
  const arrangements = new Map<string, Arrangement>();
  const arrangementOf = (call: Call): Arrangement => {
    const key = textOf({ ...call.over!, frame: null });
    const made = arrangements.get(key) ?? new Arrangement(call.over!, binding, run);
    arrangements.set(key, made);
    return made;
  };
  for (const call of calls) arrangementOf(call);
  yield* each(input.open(run), (block) => {
    kept.append(vectorsOf(block, width), 0, block.rows);
    for (const arrangement of arrangements.values()) arrangement.take(block);
  });
  const { rows } = kept;
  const vectors = kept.vectors();
  run.check();
  for (const arrangement of arrangements.values()) arrangement.arrange(rows);
  const results = calls.map((call) => {
    const arrangement = arrangementOf(call);
    const values = valuesOf(call, arrangement, vectors, rows, binding, time, run);
    run.check();
    return inRowOrder(values, arrangement, rows);
  });
  run.budget.reserve(8 * rows * calls.length);
  for (let from = 0; from < rows; from += BLOCK_ROWS) {
    run.check();
    yield new Columns(
      Math.min(BLOCK_ROWS, rows - from),
      [...vectors, ...results].map((vector) => tailOf(vector, from)),
    );
  }
  run.budget.release(8 * rows * calls.length);
  for (const arrangement of arrangements.values()) arrangement.release(rows);
  kept.release();
}

const isRolling = (name: string): name is RollingName => ['sum', 'avg', 'min', 'max'].includes(name);

/** PARTITION BY and ORDER BY as text: equal texts mean equal windows. */
function textOf(over: WindowSpec): string {
  return printExpression({
    kind: 'call',
    at: 0,
    name: 'w',
    args: [],
    star: false,
    distinct: false,
    filter: null,
    over,
  });
}

/** Values of a call by position in its window's order. */
function valuesOf(
  call: Call,
  arrangement: Arrangement,
  vectors: readonly Vector[],
  rows: number,
  binding: Binding,
  time: Expression | null,
  run: Run,
): Vector {
  const scope = scopeOf(run, binding);
  const blockAt = blocksOf(arrangement, vectors, rows);
  const keptValues = (e: Compiled): Vector => {
    const column = new KeptColumn(kindOf(e.type), run.budget);
    column.reserve(rows);
    for (let from = 0; from < rows; from += BLOCK_ROWS) {
      run.check();
      const block = blockAt(from, Math.min(BLOCK_ROWS, rows - from));
      column.append(e.evaluate(block), 0, block.rows);
    }
    return column.vector();
  };
  const orderKey = call.over!.orderBy[0];
  const keyType = orderKey === undefined ? null : storable(binding.types.get(orderKey.expression)!);
  const frames = (): Frames => framesOf(call.over!, arrangement, rows, keyType);
  const spec = functionByName(call.name)!;
  if (isRolling(spec.name) && call.filter === null) {
    const [arg] = call.args;
    const compiled = compile(arg!, scope);
    const values =
      kindOf(compiled.type) === 'bool' || compiled.type.name === 'NULL' ? null : keptValues(compiled);
    const made = values && rolling(spec.name, values, scaleOf(compiled.type), frames(), rows, run);
    if (made !== null) return made;
  }
  if (spec.kind === 'aggregate') {
    const aggregate = makeAggregate(call, scope, time === null ? null : compile(time, scope));
    return overFrames(aggregate, arrangement, frames(), rows, blockAt, spec.incremental, run);
  }
  return windowFunction(call, { arrangement, rows, frames, valuesOf: keptValues }, scope);
}

/** Rows in the window's order as blocks. */
function blocksOf(
  arrangement: Arrangement,
  vectors: readonly Vector[],
  rows: number,
): (from: number, count: number) => Block {
  if (arrangement.isIdentity)
    return (from, count) =>
      new Columns(
        count,
        vectors.map((vector) => tailOf(vector, from)),
      );
  const all = new Columns(rows, vectors);
  const selection = new Selection();
  return (from, count) => selection.set(all, arrangement.order.subarray(from, from + count), count);
}

function inRowOrder(values: Vector, arrangement: Arrangement, rows: number): Vector {
  if (arrangement.isIdentity) return values;
  const positionOf = new Int32Array(rows);
  for (let position = 0; position < rows; position++) positionOf[arrangement.order[position]!] = position;
  return gather(values, positionOf, rows, new Scratch());
}
