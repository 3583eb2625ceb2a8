// What: what an expression becomes before rows are read: a function from a block to a vector.
// Why: types, operators and constants are decided once; per block there is one call for each node.
// Invariant: `evaluate` leaves its block alone; its vector lasts until it is called again.

import type { ColumnReference, Expression } from '../../sql/ast.ts';
import { isFloat } from '../../sql/type-rules.ts';
import { FLOAT64, type SqlType } from '../../sql/types.ts';
import type { Block } from '../block.ts';
import type { Run } from '../run.ts';
import { Scratch } from '../scratch.ts';
import { constantVector, kindOf, type Scalar, scalarAt, scaleOf, type Vector } from '../vector.ts';
import { rescaled, toFloats } from './arithmetic.ts';

export interface Compiled {
  readonly type: SqlType;
  evaluate(block: Block): Vector;
  /** The same in every row of the query. */
  readonly isConstant: boolean;
  /** Set when the values are those of this column of the block. */
  readonly slot?: number;
}

export interface Scope {
  readonly run: Run;
  readonly types: ReadonlyMap<Expression, SqlType>;
  /** A value that is there already, in a slot of the block; asked for each node before it is compiled. */
  resolve(e: Expression, scope: Scope): Compiled | null;
}

export const typeOf = (e: Expression, scope: Scope): SqlType => scope.types.get(e)!;

/** A column of the block. */
export function slot(index: number, type: SqlType): Compiled {
  return { type, isConstant: false, slot: index, evaluate: (block) => block.column(index) };
}

export function constant(type: SqlType, value: Scalar): Compiled {
  const kind = kindOf(type);
  let vector: Vector | null = null;
  return {
    type,
    isConstant: true,
    evaluate({ rows }) {
      if (vector === null || vector.values.length < rows)
        vector = constantVector(kind, value, Math.max(rows, 2 * (vector?.values.length ?? 0)));
      return vector;
    },
  };
}

const oneRow: Block = {
  rows: 1,
  column: () => {
    throw new RangeError('a constant reads no column');
  },
};

/** The value of a constant expression. */
export const constantValue = (e: Compiled): Scalar => scalarAt(e.evaluate(oneRow), 0);

/**
 * A node over its operands. When all of them are constant, it is computed once, and not before a row asks for it: an
 * error in a branch that is never taken is none.
 */
export function node(
  type: SqlType,
  operands: readonly Compiled[],
  evaluate: (block: Block) => Vector,
): Compiled {
  if (!operands.every(({ isConstant }) => isConstant)) return { type, isConstant: false, evaluate };
  let folded: Compiled | null = null;
  return {
    type,
    isConstant: true,
    evaluate(block) {
      folded ??= constant(type, scalarAt(evaluate(oneRow), 0));
      return folded.evaluate(block);
    },
  };
}

/** The same value in a common type (type-rules.ts): NULLs typed, decimals at the wanted scale, numbers as floats. */
export function coerced(e: Compiled, to: SqlType, at: number): Compiled {
  if (e.type.name === 'NULL') return constant(to, null);
  const kind = kindOf(to);
  const from = kindOf(e.type);
  const scratch = new Scratch();
  if (kind === 'float' && from === 'int') {
    const scale = scaleOf(e.type);
    return node(to, [e], (block) => toFloats(e.evaluate(block), scale, block.rows, scratch));
  }
  if (kind === 'int' && from === 'int' && scaleOf(to) !== scaleOf(e.type)) {
    const digits = scaleOf(to) - scaleOf(e.type);
    return node(to, [e], (block) => rescaled(e.evaluate(block), digits, block.rows, scratch, at));
  }
  return { ...e, type: to };
}

/** A number as a float; other things as they are. */
export const asFloat = (e: Compiled, at: number): Compiled => (isFloat(e.type) ? e : coerced(e, FLOAT64, at));

export type ColumnNode = ColumnReference;
