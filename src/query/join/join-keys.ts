// What: the equal keys of a join, compiled to one type on both sides.
// Why: `t.symbol = q.symbol` may compare a SYMBOL with a STRING, or prices of two scales.
// Invariant: keys that are equal in SQL have equal words on both sides.

import type { Expression } from '../../sql/ast.ts';
import type { SqlType } from '../../sql/types.ts';
import { comparable, comparisonType } from '../expression/compare.ts';
import { compile } from '../expression/compile.ts';
import type { Compiled } from '../expression/compiled.ts';
import { storable } from '../hash-aggregate.ts';
import { type Binding, scopeOf } from '../rows.ts';
import type { Run } from '../run.ts';

export interface JoinKey {
  readonly left: Expression;
  readonly right: Expression;
}

export interface CompiledKeys {
  readonly left: readonly Compiled[];
  readonly right: readonly Compiled[];
  readonly types: readonly SqlType[];
}

export function keysOf(keys: readonly JoinKey[], left: Binding, right: Binding, run: Run): CompiledKeys {
  const pairs = keys.map((key) => commonPair(key.left, key.right, left, right, run));
  return {
    left: pairs.map((pair) => pair.left),
    right: pairs.map((pair) => pair.right),
    types: pairs.map((pair) => pair.type),
  };
}

/** Two expressions in the type in which they compare. */
export function commonPair(
  left: Expression,
  right: Expression,
  leftBinding: Binding,
  rightBinding: Binding,
  run: Run,
): { left: Compiled; right: Compiled; type: SqlType } {
  const l = compile(left, scopeOf(run, leftBinding));
  const r = compile(right, scopeOf(run, rightBinding));
  const type = storable(comparisonType(l.type, r.type));
  return { left: comparable(l, type, left.at), right: comparable(r, type, right.at), type };
}
