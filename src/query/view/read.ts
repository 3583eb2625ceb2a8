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
import type { AnyPart } from '../snapshot.ts';
import { partsIn } from '../table-parts.ts';
import { BLOCK_ROWS, type BoolVector, kindOf, tailOf, type Vector } from '../vector.ts';
import type { PartGroups, ViewParts } from './parts.ts';

/** A call that is answered from the states of one of the view's. */
export interface AnsweredCall {
  readonly call: Call;
  /** Of the view. */
  readonly from: number;
  /** The view's own call; else one whose states take those of the view's. */
  readonly isSame: boolean;
}

export interface ViewReadSpec {
  readonly name: string;
  readonly parts: ViewParts;
  /** Conditions on the view's keys. */
  readonly conditions: readonly Expression[];
  /** Keys of the answer as expressions over the view's keys; null: the view's own. */
  readonly keys: readonly Expression[] | null;
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
    types: [...(keys === null ? parts.keyTypes : keys.map(typeOf)), ...calls.map(({ call }) => typeOf(call))],
    label: `View ${name}`,
    details: [
      ...(isRewrite ? [`instead of ${parts.grouped.scan.name}`] : []),
      ...conditions.map(printExpression),
      ...(keys === null ? [] : [`by ${keys.map(printExpression).join(', ')}`]),
    ],
    inputs: [],
    open: (run) => read(spec, run),
  };
}

function* read(spec: ViewReadSpec, run: Run): Flow {
  const { parts } = spec;
  const table = run.snapshot.tables.get(parts.grouped.scan.name)!;
  const all = partsIn(table);
  const found: PartGroups[] = new Array(all.length);
  // Files first: while they are waited for, what is kept of parts in memory may grow beyond this snapshot.
  for (const [i, part] of all.entries()) if (part.tier !== 'hot') yield* groupsOf(parts, part, run, found, i);
  for (const [i, part] of all.entries()) if (part.tier === 'hot') yield* groupsOf(parts, part, run, found, i);
  const chosen = chosenGroups(spec, run);
  yield* spec.keys === null ? ownGroups(spec, found, chosen, run) : coarserGroups(spec, found, chosen, run);
  forgetGone(parts, all);
}

/** Fills in found[i]. Parts in memory are taken without waiting. */
function* groupsOf(
  parts: ViewParts,
  part: AnyPart,
  run: Run,
  found: PartGroups[],
  i: number,
): Generator<Promise<unknown>> {
  const known = parts.known(part);
  if (known !== null) {
    found[i] = known;
    run.stats.rowsKnown += part.rows;
    return;
  }
  run.stats.partsRead++;
  run.stats.tiers[part.tier]++;
  run.stats.rowsScanned += part.rows;
  yield* parts.take(
    part,
    () => run.check(),
    (groups) => {
      found[i] = groups;
    },
  );
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

/** 1 for each group of the view that the conditions let through; null: all. */
function chosenGroups({ parts, conditions, binding }: ViewReadSpec, run: Run): Uint8Array | null {
  if (conditions.length === 0) return null;
  const scope = scopeOf(run, binding);
  const tests = conditions.map((e) => condition(compile(e, scope)));
  const vectors = parts.keysOf();
  const chosen = new Uint8Array(parts.groups).fill(1);
  for (const { from, block } of blocksOf(vectors, parts.groups))
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

function statesFor({ parts, calls, binding }: ViewReadSpec, run: Run): Accumulator[] {
  // Arguments are never evaluated: only the kind of state is made.
  const scope = scopeOf(run, {
    types: binding.types,
    resolve: (e) => (e.kind === 'column' ? slot(0, storable(binding.types.get(e)!)) : null),
  });
  return calls.map(({ call, from, isSame }) =>
    isSame ? parts.stateOf(from) : makeAggregate(call, scope, null).state,
  );
}

/** The view's groups that have rows, in the order of their first ones. */
function* ownGroups(
  spec: ViewReadSpec,
  found: readonly PartGroups[],
  chosen: Uint8Array | null,
  run: Run,
): Flow {
  const isWhole = chosen === null && !spec.isRewrite;
  const known = isWhole ? spec.parts.total(found) : null;
  const { vectors, rows } = known ?? merged(spec, found, chosen, run);
  if (isWhole && known === null) spec.parts.keepTotal(found, { vectors, rows });
  for (const { block } of blocksOf(vectors, rows)) {
    run.check();
    yield block;
  }
}

function merged(
  spec: ViewReadSpec,
  found: readonly PartGroups[],
  chosen: Uint8Array | null,
  run: Run,
): { readonly vectors: readonly Vector[]; readonly rows: number } {
  const { parts, calls } = spec;
  const states = statesFor(spec, run);
  for (const state of states) state.grow(parts.groups);
  const isMet = new Uint8Array(parts.groups);
  for (const { numbers, states: kept } of found) {
    for (let place = 0; place < numbers.length; place++) {
      const group = numbers[place]!;
      if (chosen !== null && chosen[group] === 0) continue;
      isMet[group] = 1;
      for (let c = 0; c < calls.length; c++) states[c]!.merge(group, kept[calls[c]!.from] as never, place);
    }
    run.check();
  }
  const met = new Int32Array(parts.groups);
  let count = 0;
  for (let group = 0; group < isMet.length; group++) if (isMet[group] === 1) met[count++] = group;
  // Without keys there is one group, even of no rows.
  if (parts.keyTypes.length === 0) count = 1;
  const vectors = [...parts.keysOf(), ...states.map((state) => state.finish(parts.groups))];
  return { vectors: vectors.map((vector) => gather(vector, met, count, new Scratch())), rows: count };
}

/** Groups by other keys: each is made of whole groups of the view. */
function* coarserGroups(
  spec: ViewReadSpec,
  found: readonly PartGroups[],
  chosen: Uint8Array | null,
  run: Run,
): Flow {
  const { parts, calls, binding } = spec;
  const keys = spec.keys!;
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
  const states = statesFor(spec, run);
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
