// What: ASOF and AJ0 joins: each left row with the last right row of equal keys that is not later.
// Why: "which quote stood when this trade was made" is what tick data is joined for.
// Invariant: one row for each left row, or, without LEFT, at most one; equal times: the right row that is later in storage order.

import { intervalText } from '../../sql/interval.ts';
import { printExpression } from '../../sql/print-expression.ts';
import type { Flow, Operator } from '../block.ts';
import type { Binding } from '../rows.ts';
import type { Run } from '../run.ts';
import { BLOCK_ROWS, isNullAt } from '../vector.ts';
import { commonPair, type JoinKey, keysOf } from './join-keys.ts';
import { KeptSide } from './kept-side.ts';
import { Pairs } from './pairs.ts';
import { TimeSearch } from './time-search.ts';

export interface AsofJoinSpec {
  readonly label: string;
  readonly keepsLeft: boolean;
  readonly keys: readonly JoinKey[];
  readonly time: JoinKey;
  /** The right time must be before the left's, not at it. */
  readonly strict: boolean;
  readonly toleranceNs: bigint | null;
}

/** Left columns, then right ones. */
export function asofJoin(
  left: Operator,
  right: Operator,
  spec: AsofJoinSpec,
  bindings: { readonly left: Binding; readonly right: Binding },
): Operator {
  const on = spec.keys.map((key) => `${printExpression(key.left)} = ${printExpression(key.right)}`);
  const { time, strict, toleranceNs } = spec;
  on.push(`${printExpression(time.left)} ${strict ? '>' : '>='} ${printExpression(time.right)}`);
  return {
    types: [...left.types, ...right.types],
    label: `${spec.label} join`,
    details: [
      `on ${on.join(' and ')}`,
      ...(toleranceNs === null ? [] : [`tolerance ${intervalText(toleranceNs)}`]),
    ],
    inputs: [left, right],
    open: (run) => join(left, right, spec, bindings, run),
  };
}

function* join(
  left: Operator,
  right: Operator,
  spec: AsofJoinSpec,
  bindings: { readonly left: Binding; readonly right: Binding },
  run: Run,
): Flow {
  const keys = keysOf(spec.keys, bindings.left, bindings.right, run);
  const time = commonPair(spec.time.left, spec.time.right, bindings.left, bindings.right, run);
  const side = new KeptSide(right.types, keys.types, time.type, run);
  yield* side.load(right, keys.right, time.right);
  const search = new TimeSearch(side.times.vector(), side.order);
  run.budget.reserve(search.bytes);
  const hints = side.starts.slice();
  const pairs = new Pairs(left.types, right.types, BLOCK_ROWS);
  for (const item of left.open(run)) {
    if (item instanceof Promise) {
      yield item;
      continue;
    }
    const ids = side.find(item, keys.left);
    const instants = time.left.evaluate(item);
    search.begin(instants);
    let count = 0;
    for (let row = 0; row < item.rows; row++) {
      const id = ids[row]!;
      let match = -1;
      if (id >= 0 && !isNullAt(instants, row)) {
        const start = side.starts[id]!;
        const end = side.starts[id + 1]!;
        const after = search.after(row, start, end, hints[id]!, spec.strict);
        hints[id] = after;
        const isClose =
          after > start &&
          (spec.toleranceNs === null || !search.isOlderThan(after - 1, row, spec.toleranceNs));
        if (isClose) match = side.order[after - 1]!;
      }
      if (match < 0 && !spec.keepsLeft) continue;
      pairs.left[count] = row;
      pairs.right[count++] = match;
    }
    if (count > 0) yield pairs.set(count, item, side.vectors);
  }
  run.budget.release(search.bytes);
  side.release();
}
