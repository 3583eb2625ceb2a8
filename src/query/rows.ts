// What: the operators that let rows through: filter, project, distinct, limit, values.
// Why: each is a few lines over blocks, and together they are most of a plan.
// Invariant: rows keep their order.

import type { Expression } from '../sql/ast.ts';
import { printExpression } from '../sql/print-expression.ts';
import type { SqlType } from '../sql/types.ts';
import { type Block, Columns, type Flow, Head, type Operator, Selection } from './block.ts';
import { compile, condition } from './expression/compile.ts';
import { type Compiled, coerced, constant, type Scope } from './expression/compiled.ts';
import { encodeTuples, KeyTable, tupleWords } from './keys.ts';
import type { Run } from './run.ts';
import { Scratch } from './scratch.ts';
import { type BoolVector, type Kind, kindOf, tailOf, type Vector } from './vector.ts';

/** How the expressions over an operator's rows find what they name. */
export interface Binding {
  readonly types: ReadonlyMap<Expression, SqlType>;
  readonly resolve: Scope['resolve'];
}

export const scopeOf = (run: Run, { types, resolve }: Binding): Scope => ({ run, types, resolve });

/** Rows for which all conditions are true; each is asked of the rows that the one before let through. */
export function filter(
  input: Operator,
  conditions: readonly Expression[],
  binding: Binding,
  label = 'Filter',
): Operator {
  if (conditions.length === 0) return input;
  return {
    types: input.types,
    label,
    details: () => conditions.map(printExpression),
    inputs: [input],
    open: (run) => passing(input, conditions, binding, run),
  };
}

function* passing(input: Operator, conditions: readonly Expression[], binding: Binding, run: Run): Flow {
  const scope = scopeOf(run, binding);
  const tests = conditions.map((e) => new Test(condition(compile(e, scope))));
  for (const item of input.open(run)) {
    if (item instanceof Promise) {
      yield item;
      continue;
    }
    let block: Block | null = item;
    for (const test of tests) block = block && test.passed(block);
    if (block !== null) yield block;
  }
}

/** One condition as a step from block to block. */
export class Test {
  private readonly condition: Compiled;
  private readonly scratch = new Scratch();
  private readonly selection = new Selection();

  constructor(condition: Compiled) {
    this.condition = condition;
  }

  /** The block's rows for which it is true; null when there are none. */
  passed(block: Block): Block | null {
    const { rows } = block;
    const { values } = this.condition.evaluate(block) as BoolVector;
    const chosen = this.scratch.integers(rows);
    let count = 0;
    for (let i = 0; i < rows; i++) {
      chosen[count] = i;
      if (values[i] === 1) count++;
    }
    if (count === rows) return block;
    return count === 0 ? null : this.selection.set(block, chosen, count);
  }
}

export interface ProjectedColumn {
  readonly expression: Expression;
  /** The type wanted; the expression's is coerced to it. */
  readonly type: SqlType;
}

export function project(input: Operator, columns: readonly ProjectedColumn[], binding: Binding): Operator {
  return {
    types: columns.map(({ type }) => type),
    label: 'Project',
    details: () => [columns.map(({ expression }) => printExpression(expression)).join(', ')],
    inputs: [input],
    open: (run) => {
      const scope = scopeOf(run, binding);
      return mapped(
        input.open(run),
        columns.map(({ expression, type }) => coerced(compile(expression, scope), type, expression.at)),
      );
    },
  };
}

/** Blocks whose columns are computed when they are asked for. */
export function* mapped(flow: Flow, columns: readonly Compiled[]): Flow {
  const output = new Computed(columns);
  for (const item of flow) {
    if (item instanceof Promise) yield item;
    else yield output.set(item);
  }
}

export class Computed implements Block {
  rows = 0;
  private input: Block | null = null;
  private readonly columns: readonly Compiled[];
  private readonly cached: (Vector | null)[];

  constructor(columns: readonly Compiled[]) {
    this.columns = columns;
    this.cached = columns.map(() => null);
  }

  set(input: Block): this {
    this.input = input;
    this.rows = input.rows;
    this.cached.fill(null);
    return this;
  }

  column(slot: number): Vector {
    this.cached[slot] ??= this.columns[slot]!.evaluate(this.input!);
    return this.cached[slot];
  }
}

/** The first `count` columns of each block. */
export function dropColumns(input: Operator, count: number): Operator {
  return { ...input, types: input.types.slice(0, count) };
}

/** Columns in other types of the same values. */
/** Columns of the input, which are of the types `from`, as of other types. */
export function retyped(
  input: Operator,
  from: readonly SqlType[],
  types: readonly SqlType[],
  at: number,
): Operator {
  return {
    ...input,
    types,
    open: (run) =>
      mapped(
        input.open(run),
        types.map((type, i) =>
          from[i]!.name === 'NULL'
            ? constant(type, null)
            : coerced(
                { type: input.types[i]!, isConstant: false, evaluate: (block) => block.column(i) },
                type,
                at,
              ),
        ),
      ),
  };
}

export const vectorsOf = (block: Block, count: number): Vector[] =>
  Array.from({ length: count }, (_, slot) => block.column(slot));

/** The first row of each distinct tuple. */
export function distinct(input: Operator): Operator {
  const kinds = input.types.map(kindOf);
  return {
    types: input.types,
    label: 'Distinct',
    details: () => [],
    inputs: [input],
    open: (run) => firstOfEach(input, kinds, run),
  };
}

function* firstOfEach(input: Operator, kinds: readonly Kind[], run: Run): Flow {
  const table = new KeyTable(tupleWords(kinds), run.budget);
  const [keys, numbers, fresh] = [new Scratch(), new Scratch(), new Scratch()];
  const selection = new Selection();
  for (const item of input.open(run)) {
    if (item instanceof Promise) {
      yield item;
      continue;
    }
    const { rows } = item;
    const words = keys.integers(rows * table.width);
    const ids = numbers.integers(rows);
    const chosen = fresh.integers(rows);
    encodeTuples(vectorsOf(item, kinds.length), rows, words);
    let met = table.count;
    table.numbersOf(words, rows, ids);
    let count = 0;
    for (let i = 0; i < rows; i++)
      if (ids[i] === met) {
        chosen[count++] = i;
        met++;
      }
    if (count > 0) yield count === rows ? item : selection.set(item, chosen, count);
  }
  table.release();
}

/** Rows [offset, offset + limit). */
export function limited(input: Operator, limit: number, offset: number): Operator {
  if (limit === Number.POSITIVE_INFINITY && offset === 0) return input;
  return {
    types: input.types,
    label: 'Limit',
    details: () => [
      ...(limit === Number.POSITIVE_INFINITY ? [] : [`limit ${limit}`]),
      ...(offset === 0 ? [] : [`offset ${offset}`]),
    ],
    inputs: [input],
    open: (run) => cut(input, limit, offset, run),
  };
}

function* cut(input: Operator, limit: number, offset: number, run: Run): Flow {
  let skip = offset;
  let left = limit;
  const width = input.types.length;
  if (left === 0) return;
  for (const item of input.open(run)) {
    if (item instanceof Promise) {
      yield item;
      continue;
    }
    if (skip >= item.rows) {
      skip -= item.rows;
      continue;
    }
    const rows = Math.min(item.rows - skip, left);
    const block: Block =
      skip === 0
        ? item
        : new Columns(
            item.rows - skip,
            vectorsOf(item, width).map((vector) => tailOf(vector, skip)),
          );
    skip = 0;
    left -= rows;
    yield rows === block.rows ? block : new Head(block, rows);
    // The input is not asked for a row that nobody wants.
    if (left === 0) return;
  }
}

/** One row without columns: what a SELECT without FROM reads. */
export const oneRow: Operator = {
  types: [],
  label: 'One row',
  details: () => [],
  inputs: [],
  *open() {
    yield new Columns(1, []);
  },
};
