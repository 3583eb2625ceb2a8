// What: blocks of joined rows: pairs of a left row and a right row, either of which may be missing.
// Why: a join decides which rows go together; their columns are copied only when something asks for them.
// Invariant: a row number of −1 is no row: all its columns are NULL.

import { NULL_BOOL, NULL_CODE, NULL_INT64 } from '../../columns/types.ts';
import type { SqlType } from '../../sql/types.ts';
import { type Block, gather } from '../block.ts';
import { Scratch } from '../scratch.ts';
import {
  bigintAt,
  boolVector,
  constantVector,
  floatVector,
  intVector,
  kindOf,
  textVector,
  type Vector,
  wideVector,
} from '../vector.ts';

/** Left columns, then right ones. */
export class Pairs implements Block {
  rows = 0;
  /** Row numbers; filled by the join before `set`. */
  readonly left: Int32Array;
  readonly right: Int32Array;
  private readonly leftTypes: readonly SqlType[];
  private readonly rightTypes: readonly SqlType[];
  private readonly cached: (Vector | null)[];
  private readonly scratch: readonly Scratch[];
  private leftBlock: Block | null = null;
  private rightVectors: readonly Vector[] | null = null;
  private isLeftWhole = false;
  private isRightFound = false;

  constructor(leftTypes: readonly SqlType[], rightTypes: readonly SqlType[], capacity: number) {
    this.left = new Int32Array(capacity);
    this.right = new Int32Array(capacity);
    this.leftTypes = leftTypes;
    this.rightTypes = rightTypes;
    this.cached = [...leftTypes, ...rightTypes].map(() => null);
    this.scratch = this.cached.map(() => new Scratch());
  }

  /**
   * The first `rows` pairs, of these rows; null: that side has none. `isLeftWhole`: the left rows are those of the block, each
   * once; `isRightFound`: no right row is −1.
   */
  set(
    rows: number,
    left: Block | null,
    right: readonly Vector[] | null,
    isLeftWhole = false,
    isRightFound = false,
  ): this {
    this.rows = rows;
    this.isLeftWhole = isLeftWhole;
    this.isRightFound = isRightFound;
    this.leftBlock = left;
    this.rightVectors = right;
    this.cached.fill(null);
    return this;
  }

  column(slot: number): Vector {
    this.cached[slot] ??= this.read(slot);
    return this.cached[slot];
  }

  private read(slot: number): Vector {
    const scratch = this.scratch[slot]!;
    const width = this.leftTypes.length;
    if (slot < width && this.isLeftWhole) return this.leftBlock!.column(slot);
    if (slot < width)
      return this.leftBlock === null
        ? constantVector(kindOf(this.leftTypes[slot]!), null, this.rows)
        : gatherOrNull(this.leftBlock.column(slot), this.left, this.rows, scratch);
    return this.rightVectors === null
      ? constantVector(kindOf(this.rightTypes[slot - width]!), null, this.rows)
      : (this.isRightFound ? gather : gatherOrNull)(
          this.rightVectors[slot - width]!,
          this.right,
          this.rows,
          scratch,
        );
  }
}

/** values[i] = vector[chosen[i]], NULL where chosen[i] < 0. */
function gatherOrNull(vector: Vector, chosen: Int32Array, rows: number, scratch: Scratch): Vector {
  let isMissing = false;
  for (let i = 0; i < rows; i++) if (chosen[i]! < 0) isMissing = true;
  if (!isMissing) return gather(vector, chosen, rows, scratch);
  switch (vector.kind) {
    case 'int':
    case 'float': {
      const out = scratch.floats(rows);
      for (let i = 0; i < rows; i++) out[i] = chosen[i]! < 0 ? Number.NaN : vector.values[chosen[i]!]!;
      return vector.kind === 'int' ? intVector(out, vector.base) : floatVector(out);
    }
    case 'wide': {
      const out = scratch.bigints(rows);
      for (let i = 0; i < rows; i++)
        out[i] = chosen[i]! < 0 ? NULL_INT64 : (bigintAt(vector, chosen[i]!) ?? NULL_INT64);
      return wideVector(out);
    }
    case 'bool': {
      const out = scratch.bytes(rows);
      for (let i = 0; i < rows; i++) out[i] = chosen[i]! < 0 ? NULL_BOOL : vector.values[chosen[i]!]!;
      return boolVector(out);
    }
    case 'text': {
      const out = scratch.codes(rows);
      for (let i = 0; i < rows; i++) out[i] = chosen[i]! < 0 ? NULL_CODE : vector.values[chosen[i]!]!;
      return textVector(out);
    }
  }
}
