// What: the operator that answers from what a view keeps: its own groups, or coarser ones made of them.
// Why: reading a view, and an aggregate over its table that the view can answer, are the same: choose groups, merge states.
// Invariant: the columns are those of grouping the rows that the snapshot holds: keys, then calls.

import type { Call, Expression } from '../../sql/ast.ts';
import { printExpression } from '../../sql/print-expression.ts';
import type { SqlType } from '../../sql/types.ts';
import type { Accumulator } from '../aggregate/accumulator.ts';
import { makeAggregate } from '../aggregate/make.ts';
import { type Block, Columns, type Flow, gather, type Operator } from '../block.ts';
import { compile, condition } from '../expression/compile.ts';
import { coerced, slot } from '../expression/compiled.ts';
import { storable } from '../hash-aggregate.ts';
import { decodeTuples, encodeTuples, KeyTable, tupleWords } from '../keys.ts';
import { type Binding, scopeOf } from '../rows.ts';
import type { Run } from '../run.ts';
import { Scratch } from '../scratch.ts';
import type { AnyPart, TableSnapshot } from '../snapshot.ts';
import { partsIn } from '../table-parts.ts';
import { BLOCK_ROWS, type BoolVector, kindOf, piecesOf, tailOf, type Vector } from '../vector.ts';
import type { PartGroups, ViewParts } from './parts.ts';
import type { Whole } from './whole.ts';

/** A call that is answered from the states of one of the view's. */
export interface AnsweredCall {
  readonly call: Call;
  /** Of the view. */
  readonly from: number;
  /** The view's own call; else one whose states take those of the view's. */
  readonly isSame: boolean;
  /** Of its values. */
  readonly type: SqlType;
}

export interface ViewReadSpec {
  readonly name: string;
  readonly parts: ViewParts;
  /** Conditions on the view's keys. */
  readonly conditions: readonly Expression[];
  /** Keys of the answer as expressions over the view's keys; null: the view's own. */
  readonly keys: readonly Expression[] | null;
  /** Which keys of the view those are, when they are all of them: its groups are the answer's. */
  readonly ownKeys: readonly number[] | null;
  readonly calls: readonly AnsweredCall[];
  /** Of conditions and keys, over blocks of the view's keys. */
  readonly binding: Binding;
  /** Whether it is read in place of the table that a query names. */
  readonly isRewrite: boolean;
}

export function viewRead(spec: ViewReadSpec): Operator {
  const { name, parts, conditions, keys, calls, binding, isRewrite } = spec;
  const typeOf = (e: Expression): SqlType => storable(binding.types.get(e)!);
  return {
    types: [...(keys === null ? parts.keyTypes : keys.map(typeOf)), ...calls.map(({ type }) => type)],
    label: `View ${name}`,
    details: () => [
      ...(isRewrite ? [`instead of ${parts.grouped.scan.name}`] : []),
      ...conditions.map(printExpression),
      ...(keys === null ? [] : [`by ${keys.map(printExpression).join(', ')}`]),
    ],
    inputs: [],
    open: (run) => read(spec, run),
  };
}

function* read(spec: ViewReadSpec, run: Run): Flow {
  const { parts, ownKeys } = spec;
  const table = run.snapshot.tables.get(parts.grouped.scan.name)!;
  if (ownKeys === null) {
    yield* coarserGroups(spec, yield* groupsOfAll(parts, table, run), run);
    return;
  }
  const known = parts.wholeOf(table);
  if (known !== null) run.stats.rowsKnown += known.rowsTaken;
  const whole = known ?? parts.merge(table, yield* groupsOfAll(parts, table, run), () => run.check());
  yield* ownGroups(spec, ownKeys, whole, run);
}

/** Of the table's parts in their order, which hold until something is waited for. */
function* groupsOfAll(
  parts: ViewParts,
  table: TableSnapshot,
  run: Run,
): Generator<Promise<unknown>, readonly PartGroups[]> {
  const all = partsIn(table);
  const found: PartGroups[] = new Array(all.length);
  parts.begin();
  try {
    // Files first: while they are waited for, what is kept of parts in memory may grow beyond this snapshot.
    for (const isHot of [false, true])
      for (let i = 0; i < all.length; i++) {
        const part = all[i]!;
        if ((part.tier === 'hot') !== isHot) continue;
        const known = parts.known(part);
        if (known === null)
          yield* taken(parts, part, run, (groups) => {
            found[i] = groups;
          });
        else {
          found[i] = known;
          run.stats.rowsKnown += part.rows;
        }
      }
    forgetGone(parts, all);
  } finally {
    parts.end();
  }
  return found;
}

/** Parts in memory are taken without waiting. */
function taken(
  parts: ViewParts,
  part: AnyPart,
  run: Run,
  found: (groups: PartGroups) => void,
): Generator<Promise<unknown>> {
  run.stats.partsRead++;
  run.stats.tiers[part.tier]++;
  run.stats.rowsScanned += part.rows;
  return parts.take(part, () => run.check(), found);
}

/** What the rows of parts that are no more have left behind. */
function forgetGone(parts: ViewParts, all: readonly AnyPart[]): void {
  if (parts.partsKept <= all.length) {
    parts.forget(() => true);
    return;
  }
  const ids = new Set(all.map(({ id }) => id));
  parts.forget((id) => ids.has(id));
}

/** 1 for each row of the keys that the conditions let through; null: all. */
function chosenGroups(
  { conditions, binding }: ViewReadSpec,
  keys: readonly Vector[],
  rows: number,
  run: Run,
): Uint8Array | null {
  if (conditions.length === 0) return null;
  const scope = scopeOf(run, binding);
  const tests = conditions.map((e) => condition(compile(e, scope)));
  const chosen = new Uint8Array(rows).fill(1);
  for (const { from, block } of blocksOf(keys, rows))
    for (const test of tests) {
      const { values } = test.evaluate(block) as BoolVector;
      for (let i = 0; i < block.rows; i++) if (values[i] !== 1) chosen[from + i] = 0;
    }
  return chosen;
}

function* blocksOf(vectors: readonly Vector[], rows: number): Generator<{ from: number; block: Block }> {
  for (let from = 0; from < rows; from += BLOCK_ROWS)
    yield {
      from,
      block: new Columns(
        Math.min(BLOCK_ROWS, rows - from),
        vectors.map((vector) => tailOf(vector, from)),
      ),
    };
}

/** Makes an empty state of a call. */
function statesFor({ parts, binding }: ViewReadSpec, run: Run): (answered: AnsweredCall) => Accumulator {
  // Arguments are never evaluated: only the kind of state is made.
  const scope = scopeOf(run, {
    types: binding.types,
    resolve: (e) => (e.kind === 'column' ? slot(0, storable(binding.types.get(e)!)) : null),
  });
  return ({ call, from, isSame }) => (isSame ? parts.stateOf(from) : makeAggregate(call, scope, null).state);
}

/** The view's own groups. All that is given of `whole` is taken from it before the first block. */
function* ownGroups(spec: ViewReadSpec, ownKeys: readonly number[], whole: Whole, run: Run): Flow {
  const chosen = chosenRows(spec, whole, run);
  const rows = chosen === null ? whole.rows : chosen.length;
  const take = (column: Vector): readonly Vector[] =>
    chosen === null ? whole.piecesOf(column) : piecesOf(gather(column, chosen, rows, new Scratch()), rows);
  const stateOf = statesFor(spec, run);
  const columns = [
    ...ownKeys.map((key) => take(whole.keys[key]!)),
    ...spec.calls.map((call) =>
      call.isSame
        ? take(whole.call(call.from))
        : piecesOf(converted(stateOf(call), whole, call.from, chosen), rows),
    ),
  ];
  for (let from = 0, piece = 0; from < rows; from += BLOCK_ROWS, piece++) {
    run.check();
    yield new Columns(
      Math.min(BLOCK_ROWS, rows - from),
      columns.map((pieces) => pieces[piece]!),
    );
  }
}

/** Values of a call whose state takes those of another kind, which the view has. */
function converted(state: Accumulator, whole: Whole, from: number, chosen: Int32Array | null): Vector {
  const rows = chosen === null ? whole.rows : chosen.length;
  const { groups } = whole;
  state.grow(rows);
  for (let i = 0; i < rows; i++) {
    const row = chosen === null ? i : chosen[i]!;
    state.merge(i, whole.state(from) as never, groups === null ? row : groups[row]!);
  }
  return state.finish(rows);
}

/** Rows that the conditions let through; null: all. */
function chosenRows(spec: ViewReadSpec, { keys, rows }: Whole, run: Run): Int32Array | null {
  const passed = chosenGroups(spec, keys, rows, run);
  if (passed === null) return null;
  const chosen = new Int32Array(rows);
  let count = 0;
  for (let row = 0; row < rows; row++) if (passed[row] === 1) chosen[count++] = row;
  return chosen.subarray(0, count);
}

/** Groups by other keys: each is made of whole groups of the view. */
function* coarserGroups(spec: ViewReadSpec, found: readonly PartGroups[], run: Run): Flow {
  const { parts, calls, binding } = spec;
  const keys = spec.keys!;
  const chosen = chosenGroups(spec, parts.keysOf(), parts.groups, run);
  const scope = scopeOf(run, binding);
  const types = keys.map((key) => storable(binding.types.get(key)!));
  const compiled = keys.map((key, i) => coerced(compile(key, scope), types[i]!, key.at));
  const table = new KeyTable(tupleWords(types.map(kindOf)), run.budget);
  /** By group of the view: its group in the answer, once a row of it is met; −1 before. */
  const targets = new Int32Array(parts.groups).fill(-1);
  const words = new Int32Array(Math.max(1, parts.groups * table.width));
  for (const { from, block } of blocksOf(parts.keysOf(), parts.groups))
    encodeTuples(
      compiled.map((key) => key.evaluate(block)),
      block.rows,
      words.subarray(from * table.width),
    );
  const states = calls.map(statesFor(spec, run));
  if (keys.length === 0) for (const state of states) state.grow(1);
  for (const { numbers, states: kept } of found) {
    for (let place = 0; place < numbers.length; place++) {
      const group = numbers[place]!;
      if (chosen !== null && chosen[group] === 0) continue;
      let target = targets[group]!;
      if (target < 0) {
        target = keys.length === 0 ? 0 : table.numberOf(words, group * table.width);
        targets[group] = target;
        for (const state of states) state.grow(Math.max(1, table.count));
      }
      for (let c = 0; c < calls.length; c++) states[c]!.merge(target, kept[calls[c]!.from] as never, place);
    }
    run.check();
  }
  const count = keys.length === 0 ? 1 : table.count;
  let at = 0;
  const vectors: Vector[] = types.map((type) => {
    const kind = kindOf(type);
    const vector = decodeTuples(table.words, count, at, table.width, kind);
    at += tupleWords([kind]);
    return vector;
  });
  for (const state of states) vectors.push(state.finish(count));
  for (const { block } of blocksOf(vectors, count)) {
    run.check();
    yield block;
  }
}
