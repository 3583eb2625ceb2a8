// What: the ASOF join of rows of one symbol whose right ones come in time order.
// Why: so ticks come; then the join is a merge that needs no keys and no sort, and keeps only what is read of the right side.
// Invariant: as the ASOF join: of equal times the right row that came later.

import type { SqlType } from '../../sql/types.ts';
import { type Block, each, type Flow } from '../block.ts';
import type { Compiled } from '../expression/compiled.ts';
import { KeptColumn, KeptSlots } from '../kept-column.ts';
import type { Run } from '../run.ts';
import { BLOCK_ROWS, kindOf } from '../vector.ts';
import type { AsofJoinSpec } from './asof-join.ts';
import { Pairs } from './pairs.ts';
import { TimeSearch } from './time-search.ts';

export class OrderedAsofJoin {
  private readonly spec: AsofJoinSpec;
  private readonly leftTime: Compiled;
  private readonly rightTime: Compiled;
  /** Of the right rows. */
  private readonly times: KeptColumn;
  private readonly kept: KeptSlots;
  private readonly pairs: Pairs;

  /** `times`: of one type. `used`: slots of the right side that are read. */
  constructor(
    leftTypes: readonly SqlType[],
    rightTypes: readonly SqlType[],
    spec: AsofJoinSpec,
    times: { readonly left: Compiled; readonly right: Compiled },
    used: ReadonlySet<number>,
    run: Run,
  ) {
    this.spec = spec;
    this.leftTime = times.left;
    this.rightTime = times.right;
    this.times = new KeptColumn(kindOf(times.right.type), run.budget);
    this.kept = new KeptSlots(rightTypes.map(kindOf), used, run.budget);
    this.pairs = new Pairs(leftTypes, rightTypes, BLOCK_ROWS);
  }

  *of(left: Flow, right: Flow): Flow {
    const { kept, times, pairs } = this;
    yield* each(right, (block) => {
      times.append(this.rightTime.evaluate(block), 0, block.rows);
      kept.append(block);
    });
    const vectors = kept.vectors();
    const search = new TimeSearch(times.vector(), null);
    let hint = 0;
    for (const item of left) {
      if (item instanceof Promise) {
        yield item;
        continue;
      }
      search.begin(this.leftTime.evaluate(item));
      hint = search.lastOfEach(item.rows, 0, times.rows, hint, this.spec.strict, pairs.right);
      const isFound = search.isEachFound && this.spec.toleranceNs === null;
      const count = isFound ? item.rows : this.choose(item, search);
      if (count > 0) yield pairs.set(count, item, vectors, count === item.rows, isFound);
    }
    kept.clear();
    times.clear();
  }

  release(): void {
    this.kept.release();
    this.times.release();
  }

  /** Leaves pairs of rows that are not to come out, and fills in the left ones; returns how many are left. */
  private choose({ rows }: Block, search: TimeSearch): number {
    const { left, right } = this.pairs;
    const { keepsLeft, toleranceNs } = this.spec;
    if (toleranceNs !== null)
      for (let row = 0; row < rows; row++)
        if (right[row]! >= 0 && search.isOlderThan(right[row]!, row, toleranceNs)) right[row] = -1;
    let count = 0;
    for (let row = 0; row < rows; row++) {
      const match = right[row]!;
      left[count] = row;
      right[count] = match;
      if (match >= 0 || keepsLeft) count++;
    }
    return count;
  }
}
