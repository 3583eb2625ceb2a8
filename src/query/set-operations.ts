// What: UNION [ALL], INTERSECT, EXCEPT, VALUES, and tables of WITH that are read more than once.
// Why: whole results combined, each row a tuple of its values.
// Invariant: operands come in the same types; but for UNION ALL each distinct row comes once, in the order of the first operand.

import type { SetOperation, Values } from '../sql/ast.ts';
import type { SqlType } from '../sql/types.ts';
import { Columns, each, type Flow, type Operator, Selection } from './block.ts';
import { compile } from './expression/compile.ts';
import { coerced } from './expression/compiled.ts';
import { KeptRows } from './kept-column.ts';
import { encodeTuples, KeyTable, tupleWords } from './keys.ts';
import { type Binding, distinct, scopeOf, vectorsOf } from './rows.ts';
import type { Run } from './run.ts';
import { Scratch } from './scratch.ts';
import { BLOCK_ROWS, type Kind, kindOf, tailOf } from './vector.ts';

export function combined(operation: SetOperation, operands: readonly Operator[]): Operator {
  if (operation.operator === 'UNION') {
    const all = concatenated(operands);
    return operation.all ? all : distinct(all);
  }
  const keep = operation.operator === 'INTERSECT';
  return operands.reduce((left, right) => compared(left, right, keep));
}

function concatenated(operands: readonly Operator[]): Operator {
  return {
    types: operands[0]!.types,
    label: 'Union all',
    details: () => [],
    inputs: operands,
    open: (run) => oneAfterTheOther(operands, run),
  };
}

function* oneAfterTheOther(operands: readonly Operator[], run: Run): Flow {
  for (const operand of operands) yield* operand.open(run);
}

/** Distinct rows of the left that are (`keep`) or are not on the right. */
function compared(left: Operator, right: Operator, keep: boolean): Operator {
  const kinds = left.types.map(kindOf);
  return {
    types: left.types,
    label: keep ? 'Intersect' : 'Except',
    details: () => [],
    inputs: [left, right],
    open: (run) => foundOrNot(left, right, keep, kinds, run),
  };
}

function* foundOrNot(left: Operator, right: Operator, keep: boolean, kinds: readonly Kind[], run: Run): Flow {
  const table = new KeyTable(tupleWords(kinds), run.budget);
  const [keys, numbers, chosenRows] = [new Scratch(), new Scratch(), new Scratch()];
  yield* each(right.open(run), (block) => {
    const words = keys.integers(block.rows * table.width);
    encodeTuples(vectorsOf(block, kinds.length), block.rows, words);
    table.numbersOf(words, block.rows, numbers.integers(block.rows));
  });
  const selection = new Selection();
  for (const item of distinct(left).open(run)) {
    if (item instanceof Promise) {
      yield item;
      continue;
    }
    const { rows } = item;
    const words = keys.integers(rows * table.width);
    const ids = numbers.integers(rows);
    const chosen = chosenRows.integers(rows);
    encodeTuples(vectorsOf(item, kinds.length), rows, words);
    table.findAll(words, rows, ids);
    let count = 0;
    for (let i = 0; i < rows; i++) if (ids[i]! >= 0 === keep) chosen[count++] = i;
    if (count > 0) yield selection.set(item, chosen, count);
  }
  table.release();
}

export function values(body: Values, types: readonly SqlType[], binding: Binding): Operator {
  return {
    types,
    label: 'Values',
    details: () => [`${body.rows.length} rows`],
    inputs: [],
    open: (run) => rowsOfValues(body, types, binding, run),
  };
}

function* rowsOfValues(body: Values, types: readonly SqlType[], binding: Binding, run: Run): Flow {
  const scope = scopeOf(run, binding);
  const kept = new KeptRows(types.map(kindOf), run.budget);
  const one = new Columns(1, []);
  body.rows.forEach((row, at) => {
    const vectors = row.map((e, i) => coerced(compile(e, scope), types[i]!, e.at).evaluate(one));
    kept.put(at, vectors, 0);
  });
  yield* keptRows(kept, run);
}

function* keptRows(kept: KeptRows, run: Run): Flow {
  const vectors = kept.vectors();
  for (let from = 0; from < kept.rows; from += BLOCK_ROWS) {
    run.check();
    yield new Columns(
      Math.min(BLOCK_ROWS, kept.rows - from),
      vectors.map((vector) => tailOf(vector, from)),
    );
  }
}

/** Runs its input once per query, however often it is opened. */
export function shared(input: Operator): Operator {
  const key = {};
  return {
    types: input.types,
    label: 'Shared',
    details: () => [],
    inputs: [input],
    open: (run) => keptOnce(input, key, run),
  };
}

function* keptOnce(input: Operator, key: object, run: Run): Flow {
  let kept = run.prepared.get(key) as KeptRows | undefined;
  if (kept === undefined) {
    const rows = new KeptRows(input.types.map(kindOf), run.budget);
    yield* each(input.open(run), (block) => rows.append(vectorsOf(block, input.types.length), 0, block.rows));
    kept = rows;
    run.prepared.set(key, rows);
  }
  yield* keptRows(kept, run);
}
