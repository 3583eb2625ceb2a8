// What: LATEST ON time PARTITION BY keys: of each key's rows the last by time.
// Why: "the newest quote of each symbol" is the question asked most of a tick table.
// Invariant: of rows with equal times the one that is later in storage order stays; NULL times lose to all others.

import type { ColumnReference } from '../sql/ast.ts';
import { printExpression } from '../sql/print-expression.ts';
import { Ordered } from './aggregate/ordered.ts';
import { each, type Flow, type Operator } from './block.ts';
import { compile } from './expression/compile.ts';
import { KeptRows } from './kept-column.ts';
import { encodeTuples, KeyTable, tupleWords } from './keys.ts';
import { type Binding, scopeOf, vectorsOf } from './rows.ts';
import type { Run } from './run.ts';
import { Scratch } from './scratch.ts';
import { inOrder } from './sort.ts';
import { kindOf } from './vector.ts';

export function latestOn(
  input: Operator,
  time: ColumnReference,
  partitionBy: readonly ColumnReference[],
  binding: Binding,
): Operator {
  return {
    types: input.types,
    label: 'Latest',
    details: () => [`on ${printExpression(time)} by ${partitionBy.map(printExpression).join(', ')}`],
    inputs: [input],
    open: (run) => latestRows(input, time, partitionBy, binding, run),
  };
}

function* latestRows(
  input: Operator,
  time: ColumnReference,
  partitionBy: readonly ColumnReference[],
  binding: Binding,
  run: Run,
): Flow {
  const scope = scopeOf(run, binding);
  const instant = compile(time, scope);
  const keys = partitionBy.map((key) => compile(key, scope));
  const table = new KeyTable(tupleWords(keys.map(({ type }) => kindOf(type))), run.budget);
  const latest = new Ordered('int', run.texts);
  const kept = new KeptRows(input.types.map(kindOf), run.budget);
  const [words, numbers, winners, touched] = [new Scratch(), new Scratch(), new Scratch(), new Scratch()];
  yield* each(input.open(run), (block) => {
    const { rows } = block;
    const tuples = words.integers(rows * table.width);
    const ids = numbers.integers(rows);
    encodeTuples(
      keys.map((key) => key.evaluate(block)),
      rows,
      tuples,
    );
    const before = table.count;
    table.numbersOf(tuples, rows, ids);
    latest.grow(table.count);
    latest.begin(instant.evaluate(block));
    const winner = winners.integers(table.count).fill(-1, 0, table.count);
    const won = touched.integers(rows);
    let count = 0;
    for (let row = 0; row < rows; row++) {
      const id = ids[row]!;
      const isFirst = id >= before && winner[id]! < 0;
      if (!isFirst && (latest.isNull(row) || latest.compare(id, row) < 0)) continue;
      latest.take(id, row);
      if (winner[id]! < 0) won[count++] = id;
      winner[id] = row;
    }
    // Each key's row is copied once per block, whatever number of rows it had.
    const vectors = vectorsOf(block, input.types.length);
    for (let i = 0; i < count; i++) kept.put(won[i]!, vectors, winner[won[i]!]!);
  });
  const all = Int32Array.from({ length: table.count }, (_, i) => i);
  yield* inOrder(kept.vectors(), all, table.count, run);
  kept.release();
  table.release();
}
