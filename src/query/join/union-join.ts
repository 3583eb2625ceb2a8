// What: UNION JOIN: the rows of both sides one after the other, each with NULLs for the other side's columns.
// Why: kdb+'s uj: two feeds of different columns as one table.
// Invariant: every row of either side comes out once.

import { type Flow, type Operator, ROW_NUMBERS } from '../block.ts';
import { vectorsOf } from '../rows.ts';
import type { Run } from '../run.ts';
import { BLOCK_ROWS } from '../vector.ts';
import { Pairs } from './pairs.ts';

/** Left columns, then right ones. */
export function unionJoin(left: Operator, right: Operator): Operator {
  return {
    types: [...left.types, ...right.types],
    label: 'Union join',
    details: () => [],
    inputs: [left, right],
    open: (run) => bothSides(left, right, run),
  };
}

function* bothSides(left: Operator, right: Operator, run: Run): Flow {
  const pairs = new Pairs(left.types, right.types, BLOCK_ROWS);
  pairs.left.set(ROW_NUMBERS);
  pairs.right.set(ROW_NUMBERS);
  for (const item of left.open(run)) yield item instanceof Promise ? item : pairs.set(item.rows, item, null);
  for (const item of right.open(run))
    yield item instanceof Promise ? item : pairs.set(item.rows, null, vectorsOf(item, right.types.length));
}
