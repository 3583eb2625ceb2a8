// What: x IN (a list of constants, or a subquery's rows).
// Why: a list of a thousand symbols is one look-up a row, not a thousand comparisons.
// Invariant: as SQL has it: NULL when x is NULL, or when nothing matches and the list holds a NULL; an empty one holds nothing.

import { NULL_BOOL } from '../../columns/types.ts';
import type { InQuery } from '../../sql/ast.ts';
import { BOOL, type SqlType } from '../../sql/types.ts';
import { encodeTuples, KeyTable, tupleWords } from '../keys.ts';
import { Scratch } from '../scratch.ts';
import { boolVector, isNullAt, kindOf, scaleOf, type Vector } from '../vector.ts';
import { comparable, comparisonType } from './compare.ts';
import { type Compiled, constant, node, type Scope } from './compiled.ts';

/** Below this many items, comparing them one by one costs less. */
const ITEMS_LEAST = 4;

/** The distinct values of a list, in one type. */
export interface ValueSet {
  readonly type: SqlType;
  readonly table: KeyTable;
  readonly hasNull: boolean;
  readonly isEmpty: boolean;
}

/** Null when the items must be compared one by one. */
export function compileMembership(
  operand: Compiled,
  items: readonly Compiled[],
  scope: Scope,
  at: number,
): Compiled | null {
  if (items.length < ITEMS_LEAST || !items.every(({ isConstant }) => isConstant)) return null;
  const type = items.reduce((common, item) => comparisonType(common, item.type), operand.type);
  if (type.name === 'NULL') return null;
  const sameScale = [operand, ...items].every(
    (e) => e.type.name === 'NULL' || kindOf(type) !== 'int' || scaleOf(e.type) === scaleOf(type),
  );
  // At another scale a value may not fit, where a comparison would only be false.
  if (!sameScale) return null;
  const table = new KeyTable(tupleWords([kindOf(type)]), scope.run.budget);
  const words = new Int32Array(table.width);
  let hasNull = false;
  const oneRow = {
    rows: 1,
    column: (): Vector => {
      throw new RangeError('a constant reads no column');
    },
  };
  for (const item of items) {
    const vector = comparable(item, type, at).evaluate(oneRow);
    if (isNullAt(vector, 0)) hasNull = true;
    else {
      encodeTuples([vector], 1, words);
      table.numberOf(words, 0);
    }
  }
  return memberOf(comparable(operand, type, at), { type, table, hasNull, isEmpty: false });
}

/** The set was put into `run.prepared` before the query's rows are read. */
export function inSubquery(operand: Compiled, e: InQuery, scope: Scope): Compiled {
  const set = scope.run.prepared.get(e) as ValueSet;
  if (set.isEmpty) return constant(BOOL, false);
  if (operand.type.name === 'NULL' || set.type.name === 'NULL') return constant(BOOL, null);
  return memberOf(comparable(operand, set.type, e.at), set);
}

function memberOf(operand: Compiled, set: ValueSet): Compiled {
  const [scratch, keys, found] = [new Scratch(), new Scratch(), new Scratch()];
  const missing = set.hasNull ? NULL_BOOL : 0;
  return node(BOOL, [operand], (block) => {
    const { rows } = block;
    const vector = operand.evaluate(block);
    const words = keys.integers(rows * set.table.width);
    const ids = found.integers(rows);
    const out = scratch.bytes(rows);
    encodeTuples([vector], rows, words);
    set.table.findAll(words, rows, ids);
    for (let i = 0; i < rows; i++) out[i] = isNullAt(vector, i) ? NULL_BOOL : ids[i]! >= 0 ? 1 : missing;
    return boolVector(out);
  });
}
