// What: GROUP BY: rows to groups by their keys, groups to one row each.
// Why: every grouping that no kernel takes comes here: any keys, any aggregates, any input.
// Invariant: groups come in the order in which their first rows did; without keys there is one group, even of no rows.

import type { Call, Expression } from '../sql/ast.ts';
import { printExpression } from '../sql/print-expression.ts';
import { BOOL, FLOAT64, INT64, type SqlType, STRING } from '../sql/types.ts';
import { type Accumulator, vectorsOfState } from './aggregate/accumulator.ts';
import { type Aggregate, makeAggregate, type Runs } from './aggregate/make.ts';
import { type Block, Columns, each, type Flow, type Operator } from './block.ts';
import { compile } from './expression/compile.ts';
import { coerced } from './expression/compiled.ts';
import { decodeTuples, KeyTable, tupleWords } from './keys.ts';
import type { Binding } from './rows.ts';
import { scopeOf } from './rows.ts';
import { type Run, runOfNoQuery } from './run.ts';
import { Scratch } from './scratch.ts';
import { BLOCK_ROWS, kindOf, tailOf, type Vector } from './vector.ts';

/** What a group's states take, roughly, per aggregate. */
const STATE_BYTES = 32;
/** Shorter runs are taken row by row. */
const RUN_ROWS_LEAST = 8;

export interface AggregateSpec {
  readonly keys: readonly Expression[];
  /** By key, where it is not the aggregate's own. */
  readonly bindings: readonly Binding[];
  readonly calls: readonly Call[];
  /** Event time of the input, for first and last; null: the order of rows. */
  readonly time: Expression | null;
  /** Whether states are given in parts, for who merges them, instead of values. */
  readonly asParts?: boolean;
}

/** Columns: the keys, then the calls, or the parts of their states. */
export function hashAggregate(input: Operator, spec: AggregateSpec, binding: Binding): Operator {
  return {
    types: typesOf(spec, binding),
    label: spec.keys.length === 0 ? 'Aggregate' : 'Group',
    details: () => detailsOf(spec),
    inputs: [input],
    open: (run) => grouped(input, spec, binding, run),
  };
}

function* grouped(input: Operator, spec: AggregateSpec, binding: Binding, run: Run): Flow {
  const groups = new Groups(spec, binding, run);
  yield* each(input.open(run), (block) => groups.take(block));
  yield* groups.rows();
}

/** Groups whose states come in parts. `binding`: as for who made them. */
export function mergedGroups(parts: Operator, spec: AggregateSpec, binding: Binding): Operator {
  return {
    types: typesOf(spec, binding),
    label: 'Merge groups',
    details: () => detailsOf(spec),
    inputs: [parts],
    open: (run) => merged(parts, spec, binding, run),
  };
}

function* merged(parts: Operator, spec: AggregateSpec, binding: Binding, run: Run): Flow {
  const groups = new Groups(spec, binding, run);
  yield* each(parts.open(run), (block) => groups.merge(block));
  yield* groups.rows();
}

function typesOf(spec: AggregateSpec, binding: Binding): SqlType[] {
  const typeOf = (e: Expression): SqlType => storable(binding.types.get(e)!);
  const keys = spec.keys.map(typeOf);
  return spec.asParts === true
    ? [...keys, ...typesOfParts(spec, binding)]
    : [...keys, ...spec.calls.map(typeOf)];
}

const detailsOf = ({ keys, calls }: AggregateSpec): string[] => [
  ...(keys.length === 0 ? [] : [`by ${keys.map(printExpression).join(', ')}`]),
  calls.map(printExpression).join(', ') || 'no aggregate',
];

/** Whether all states can be merged from parts. */
export const haveParts = (spec: AggregateSpec, binding: Binding): boolean =>
  spec.calls.every(({ distinct }) => !distinct) &&
  emptyStates(spec, binding).every(({ parts }) => parts !== undefined);

const typesOfParts = (spec: AggregateSpec, binding: Binding): SqlType[] =>
  emptyStates(spec, binding).flatMap((state) => state.parts!(0).map(({ vector }) => typeOfKind(vector.kind)));

function typeOfKind(kind: Vector['kind']): SqlType {
  switch (kind) {
    case 'int':
    case 'wide':
      return INT64;
    case 'float':
      return FLOAT64;
    case 'bool':
      return BOOL;
    case 'text':
      return STRING;
  }
}

/** Of the calls, outside of any query. */
function emptyStates(spec: AggregateSpec, binding: Binding): Accumulator[] {
  const scope = scopeOf(runOfNoQuery(), binding);
  const time = spec.time === null ? null : compile(spec.time, scope);
  return spec.calls.map((call) => makeAggregate(call, scope, time).state);
}

/** A key that is an untyped NULL is kept as an integer. */
export const storable = (type: SqlType): SqlType => (type.name === 'NULL' ? { name: 'INT64' } : type);

/** Rows in, groups out. */
export class Groups {
  private readonly run: Run;
  private readonly keyTypes: readonly SqlType[];
  private readonly keys;
  private readonly aggregates: readonly Aggregate[];
  private readonly table: KeyTable;
  private readonly words = new Scratch();
  private readonly ids = new Scratch();
  private readonly starts = new Scratch();
  private readonly asParts: boolean;
  private groups = 0;

  constructor(spec: AggregateSpec, binding: Binding, run: Run) {
    const scope = scopeOf(run, binding);
    this.run = run;
    this.asParts = spec.asParts ?? false;
    this.keyTypes = spec.keys.map((key) => storable(binding.types.get(key)!));
    this.keys = spec.keys.map((key, i) =>
      coerced(compile(key, scopeOf(run, spec.bindings[i] ?? binding)), this.keyTypes[i]!, key.at),
    );
    const time = spec.time === null ? null : compile(spec.time, scope);
    this.aggregates = spec.calls.map((call) => makeAggregate(call, scope, time));
    this.table = new KeyTable(tupleWords(this.keyTypes.map(kindOf)), run.budget);
    if (spec.keys.length === 0) this.grow(1);
  }

  take(block: Block): void {
    const { rows } = block;
    const ids = this.ids.integers(rows);
    const runs = this.number(block, ids);
    this.grow(Math.max(this.groups, this.table.count));
    for (const aggregate of this.aggregates) aggregate.take(block, ids, runs);
  }

  /** Groups that others have made of their rows, which come after those that are here: keys, then parts of states. */
  merge(block: Block): void {
    const { rows } = block;
    const ids = this.ids.integers(rows);
    const keys = this.keyTypes.map((_, slot) => block.column(slot));
    this.table.numberRows(keys, rows, ids, this.words, true);
    this.grow(Math.max(this.groups, this.table.count));
    let at = keys.length;
    for (const { state, makeState } of this.aggregates) {
      const theirs = makeState();
      theirs.grow(rows);
      const parts = theirs.parts!(0).map((_, k) => block.column(at + k));
      at += parts.length;
      theirs.restore!(parts, rows);
      for (let row = 0; row < rows; row++) state.merge(ids[row]!, theirs as never, row);
    }
  }

  /** Fills in each row's group; returns its runs unless they are many. */
  private number(block: Block, ids: Int32Array): Runs | undefined {
    const { rows } = block;
    const vectors = this.keys.map((key) => key.evaluate(block));
    const isOne = this.table.numberRows(vectors, rows, ids, this.words, true);
    return isOne ? { count: 1, starts: Int32Array.of(0, rows) } : this.runsOf(ids, rows);
  }

  private runsOf(ids: Int32Array, rows: number): Runs | undefined {
    const starts = this.starts.integers(rows + 1);
    const most = rows / RUN_ROWS_LEAST;
    let count = 1;
    starts[0] = 0;
    for (let i = 1; i < rows; i++) {
      if (ids[i] === ids[i - 1]) continue;
      if (count > most) return undefined;
      starts[count++] = i;
    }
    starts[count] = rows;
    return { count, starts };
  }

  get count(): number {
    return this.groups;
  }

  /** Of each aggregate. */
  get states(): readonly Accumulator[] {
    return this.aggregates.map(({ state }) => state);
  }

  /** Values of the keys of all groups. */
  keyValues(): Vector[] {
    const { groups, table } = this;
    let at = 0;
    return this.keyTypes.map((type) => {
      const kind = kindOf(type);
      const vector = decodeTuples(table.words, groups, at, table.width, kind);
      at += tupleWords([kind]);
      return vector;
    });
  }

  *rows(): Flow {
    const { groups } = this;
    const vectors = this.keyValues();
    for (const { state } of this.aggregates) vectors.push(...vectorsOfState(state, groups, this.asParts));
    for (let from = 0; from < groups; from += BLOCK_ROWS) {
      this.run.check();
      yield new Columns(
        Math.min(BLOCK_ROWS, groups - from),
        vectors.map((vector) => tailOf(vector, from)),
      );
    }
  }

  private grow(groups: number): void {
    if (groups <= this.groups) return;
    this.run.budget.reserve((groups - this.groups) * STATE_BYTES * this.aggregates.length);
    this.groups = groups;
    for (const { state } of this.aggregates) state.grow(groups);
  }
}
