// What: INNER, LEFT, RIGHT, FULL, CROSS and PLUS joins: left rows with the kept right rows of equal keys.
// Why: one side is kept, the other streams past it.
// Invariant: rows come in the left side's order; right rows without a match, where the join keeps them, come last.

import type { Expression, JoinKind } from '../../sql/ast.ts';
import { printExpression } from '../../sql/print-expression.ts';
import type { Block, Flow, Operator } from '../block.ts';
import { compile, condition } from '../expression/compile.ts';
import { type Binding, scopeOf, Test } from '../rows.ts';
import type { Run } from '../run.ts';
import { BLOCK_ROWS, type BoolVector } from '../vector.ts';
import { type JoinKey, keysOf } from './join-keys.ts';
import { KeptSide } from './kept-side.ts';
import { Pairs } from './pairs.ts';

export interface HashJoinSpec {
  readonly kind: JoinKind;
  readonly keys: readonly JoinKey[];
  /** Further conditions, over the columns of both sides. */
  readonly residual: readonly Expression[];
}

/** Left columns, then right ones. */
export function hashJoin(
  left: Operator,
  right: Operator,
  spec: HashJoinSpec,
  bindings: { readonly left: Binding; readonly right: Binding; readonly both: Binding },
): Operator {
  const on = (): string[] => [
    ...spec.keys.map((key) => `${printExpression(key.left)} = ${printExpression(key.right)}`),
    ...spec.residual.map(printExpression),
  ];
  return {
    types: [...left.types, ...right.types],
    label: `${spec.kind === 'INNER' ? 'Hash' : spec.kind} join`,
    details: () => (on().length === 0 ? [] : [`on ${on().join(' and ')}`]),
    inputs: [left, right],
    open: (run) => join(left, right, spec, bindings, run),
  };
}

function* join(
  left: Operator,
  right: Operator,
  spec: HashJoinSpec,
  bindings: { readonly left: Binding; readonly right: Binding; readonly both: Binding },
  run: Run,
): Flow {
  const keys = keysOf(spec.keys, bindings.left, bindings.right, run);
  const side = new KeptSide(right.types, keys.types, null, run);
  yield* side.load(right.open(run), keys.right, null);
  const keepsLeft = spec.kind === 'LEFT' || spec.kind === 'FULL' || spec.kind === 'PLUS';
  const keepsRight = spec.kind === 'RIGHT' || spec.kind === 'FULL';
  const isPlus = spec.kind === 'PLUS';
  const scope = scopeOf(run, bindings.both);
  const test =
    spec.residual.length === 0 ? null : new Residual(spec.residual.map((e) => condition(compile(e, scope))));
  const pairs = new Pairs(left.types, right.types, BLOCK_ROWS);
  const rightMatched = new Uint8Array(keepsRight ? side.rows.rows : 0);
  for (const item of left.open(run)) {
    if (item instanceof Promise) {
      yield item;
      continue;
    }
    const ids = side.find(item, keys.left);
    const leftMatched = new Uint8Array(keepsLeft && test !== null ? item.rows : 0);
    let count = 0;
    const flush = (): Block | null => {
      const block = pairs.set(count, item, side.vectors);
      const rows = count;
      count = 0;
      if (rows === 0) return null;
      run.check();
      const passed = test === null ? block : test.passed(block, leftMatched);
      if (keepsRight)
        for (let i = 0; i < rows; i++)
          if (pairs.right[i]! >= 0 && (test === null || test.holds(i))) rightMatched[pairs.right[i]!] = 1;
      return passed;
    };
    for (let row = 0; row < item.rows; row++) {
      const id = ids[row]!;
      const start = id < 0 ? 0 : side.starts[id]!;
      let end = id < 0 ? 0 : side.starts[id + 1]!;
      if (isPlus && end > start) end = start + 1;
      if (start === end && keepsLeft && test === null) {
        pairs.left[count] = row;
        pairs.right[count++] = -1;
        if (count === BLOCK_ROWS) yield* some(flush());
      }
      for (let at = start; at < end; at++) {
        pairs.left[count] = row;
        pairs.right[count++] = side.order[at]!;
        if (count === BLOCK_ROWS) yield* some(flush());
      }
    }
    yield* some(flush());
    if (keepsLeft && test !== null) {
      for (let row = 0; row < item.rows; row++) if (leftMatched[row] === 0) pairs.left[count++] = row;
      if (count > 0) yield pairs.set(count, item, null);
    }
  }
  if (keepsRight) yield* unmatched(pairs, side, rightMatched, run);
  side.release();
}

function* some(block: Block | null): Flow {
  if (block !== null) yield block;
}

function* unmatched(pairs: Pairs, side: KeptSide, matched: Uint8Array, run: Run): Flow {
  let count = 0;
  for (let row = 0; row < matched.length; row++) {
    if (matched[row] === 1) continue;
    pairs.right[count++] = row;
    if (count < BLOCK_ROWS) continue;
    run.check();
    yield pairs.set(count, null, side.vectors);
    count = 0;
  }
  if (count > 0) yield pairs.set(count, null, side.vectors);
}

/** The conditions beside the keys, and which pairs fulfilled them. */
class Residual {
  private readonly conditions: readonly ReturnType<typeof condition>[];
  private readonly tests: readonly Test[];
  private fulfilled = new Uint8Array(BLOCK_ROWS);

  constructor(conditions: readonly ReturnType<typeof condition>[]) {
    this.conditions = conditions;
    this.tests = conditions.map((e) => new Test(e));
  }

  /** The pairs that fulfil all; marks their left rows. */
  passed(pairs: Pairs, leftMatched: Uint8Array): Block | null {
    this.fulfilled.fill(1, 0, pairs.rows);
    for (const e of this.conditions) {
      const { values } = e.evaluate(pairs) as BoolVector;
      for (let i = 0; i < pairs.rows; i++) if (values[i] !== 1) this.fulfilled[i] = 0;
    }
    if (leftMatched.length > 0)
      for (let i = 0; i < pairs.rows; i++) if (this.fulfilled[i] === 1) leftMatched[pairs.left[i]!] = 1;
    let block: Block | null = pairs;
    for (const test of this.tests) block = block && test.passed(block);
    return block;
  }

  holds(pair: number): boolean {
    return this.fulfilled[pair] === 1;
  }
}
