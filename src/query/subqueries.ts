// What: subqueries run to their end, before the rows of the query that asks for them.
// Why: they see nothing of the rows around them, so once is enough, and their values can prune what is read next.
// Invariant: afterwards `run.prepared` holds each one's value, by its node in the tree.

import { nodeError } from '../sql/errors.ts';
import type { SqlType } from '../sql/types.ts';
import { each, type Flow } from './block.ts';
import { comparable } from './expression/compare.ts';
import { slot } from './expression/compiled.ts';
import type { ValueSet } from './expression/membership.ts';
import { storable } from './hash-aggregate.ts';
import { encodeTuples, KeyTable, tupleWords } from './keys.ts';
import type { Subquery } from './plan.ts';
import type { Run } from './run.ts';
import { Scratch } from './scratch.ts';
import { isNullAt, kindOf, type Scalar, scalarAt } from './vector.ts';

export function* runSubqueries(subqueries: readonly Subquery[], run: Run): Flow {
  for (const subquery of subqueries) {
    switch (subquery.node.kind) {
      case 'exists': {
        let exists = false;
        yield* each(subquery.operator.open(run), () => {
          exists = true;
        });
        run.prepared.set(subquery.node, exists);
        break;
      }
      case 'scalar-query':
        yield* scalar(subquery, run);
        break;
      case 'in-query':
        yield* membership(subquery, run);
    }
  }
}

function* scalar({ node, operator }: Subquery, run: Run): Flow {
  let value: Scalar = null;
  let rows = 0;
  yield* each(operator.open(run), (block) => {
    rows += block.rows;
    if (rows > 1)
      throw nodeError('SQL_TYPE', node.at, 'a subquery that stands for a value has more than one row');
    value = scalarAt(block.column(0), 0);
  });
  run.prepared.set(node, value);
}

function* membership({ node, operator, type }: Subquery, run: Run): Flow {
  const stored: SqlType = storable(type);
  const value = comparable(slot(0, operator.types[0]!), stored, node.at);
  const table = new KeyTable(tupleWords([kindOf(stored)]), run.budget);
  const [keys, ids] = [new Scratch(), new Scratch()];
  let hasNull = false;
  let isEmpty = true;
  yield* each(operator.open(run), (block) => {
    const { rows } = block;
    const vector = value.evaluate(block);
    const words = keys.integers(rows * table.width);
    isEmpty = false;
    encodeTuples([vector], rows, words);
    for (let row = 0; row < rows; row++) if (isNullAt(vector, row)) hasNull = true;
    table.numbersOf(words, rows, ids.integers(rows));
  });
  const set: ValueSet = { type, table, hasNull, isEmpty };
  run.prepared.set(node, set);
}
