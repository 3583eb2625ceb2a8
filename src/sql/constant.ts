// What: the value of an expression that is the same in every row.
// Why: bucket lengths, percentiles and units must be known before a row is read: `xbar(timestamp, 5 * 60 * 1000000000)`.
// Invariant: null when the expression depends on a row, on the clock or on a subquery, or leaves INT64.

import type { Expression } from './ast.ts';

export type Constant = bigint | number | string | boolean;

/** Integers, intervals and timestamps as bigint, decimals and floats as number. */
export function constantOf(e: Expression): Constant | null {
  switch (e.kind) {
    case 'integer':
    case 'string':
    case 'boolean':
    case 'float':
      return e.value;
    case 'interval':
    case 'timestamp':
      return e.ns;
    case 'decimal':
      return Number(e.unscaled) / 10 ** e.scale;
    case 'negate': {
      const operand = constantOf(e.operand);
      if (typeof operand === 'number') return -operand;
      return typeof operand === 'bigint' ? withinInt64(-operand) : null;
    }
    case 'binary': {
      const left = constantOf(e.left);
      const right = constantOf(e.right);
      return typeof left === 'bigint' && typeof right === 'bigint'
        ? integerArithmetic(e.operator, left, right)
        : null;
    }
    default:
      return null;
  }
}

function integerArithmetic(operator: string, left: bigint, right: bigint): bigint | null {
  switch (operator) {
    case '+':
      return withinInt64(left + right);
    case '-':
      return withinInt64(left - right);
    case '*':
      return withinInt64(left * right);
    case '//':
      return right === 0n ? null : withinInt64(left / right);
    case '%':
      return right === 0n ? null : left % right;
    default:
      return null;
  }
}

const withinInt64 = (value: bigint): bigint | null => (BigInt.asIntN(64, value) === value ? value : null);
