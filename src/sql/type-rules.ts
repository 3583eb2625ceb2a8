// What: which types go together, and what comes of it.
// Why: one table for the analysis, the kernels and the documentation.
// Invariant: total and symmetric where SQL is: null means "no such operation", never a guess.

import type { ArithmeticOperator } from './ast.ts';
import {
  type DataType,
  DECIMAL_PRECISION_MAX,
  decimal,
  FLOAT64,
  INT64,
  type SqlType,
  STRING,
  sameType,
  TIMESTAMP,
} from './types.ts';

export const isInteger = (type: SqlType): boolean => type.name === 'INT32' || type.name === 'INT64';
export const isFloat = (type: SqlType): boolean => type.name === 'FLOAT32' || type.name === 'FLOAT64';
export const isNumber = (type: SqlType): boolean =>
  isInteger(type) || isFloat(type) || type.name === 'DECIMAL';
export const isText = (type: SqlType): boolean => type.name === 'STRING' || type.name === 'SYMBOL';

const scaleOf = (type: SqlType): number => (type.name === 'DECIMAL' ? type.scale : 0);

/** Type of `left operator right`, or null. Integers are computed in INT64, floats in FLOAT64; leaving INT64 is an error, not a wrap. */
export function arithmeticType(operator: ArithmeticOperator, left: SqlType, right: SqlType): SqlType | null {
  if (left.name === 'NULL' && right.name === 'NULL') return left;
  // An untyped NULL takes the type that makes the operation exist.
  if (left.name === 'NULL')
    return arithmeticType(operator, INT64, right) ?? arithmeticType(operator, right, right);
  if (right.name === 'NULL')
    return arithmeticType(operator, left, INT64) ?? arithmeticType(operator, left, left);
  if (left.name === 'TIMESTAMP_NS' || right.name === 'TIMESTAMP_NS')
    return timestampArithmetic(operator, left, right);
  if (!isNumber(left) || !isNumber(right)) return null;
  switch (operator) {
    case '/':
      return FLOAT64;
    case '//':
      return isInteger(left) && isInteger(right) ? INT64 : null;
    case '*':
      return exactType(left, right, scaleOf(left) + scaleOf(right));
    default:
      return exactType(left, right, Math.max(scaleOf(left), scaleOf(right)));
  }
}

/** A timestamp counts nanoseconds, and so does what is added to it. */
function timestampArithmetic(operator: ArithmeticOperator, left: SqlType, right: SqlType): SqlType | null {
  const both = left.name === 'TIMESTAMP_NS' && right.name === 'TIMESTAMP_NS';
  switch (operator) {
    case '-':
      if (both) return INT64;
      return left.name === 'TIMESTAMP_NS' && isInteger(right) ? TIMESTAMP : null;
    case '+':
      return !both && (isInteger(left) || isInteger(right)) ? TIMESTAMP : null;
    case '//':
    case '%':
      return left.name === 'TIMESTAMP_NS' && isInteger(right) ? INT64 : null;
    default:
      return null;
  }
}

/** Exact as long as the decimals fit into 18 digits; a product of more decimals is a float. */
function exactType(left: SqlType, right: SqlType, scale: number): SqlType {
  if (isFloat(left) || isFloat(right)) return FLOAT64;
  if (isInteger(left) && isInteger(right)) return INT64;
  return scale > DECIMAL_PRECISION_MAX ? FLOAT64 : decimal(DECIMAL_PRECISION_MAX, scale);
}

/** Whether `left = right` and `left < right` make sense. Symbols compare with names and, as numbers, with ids. */
export function comparable(left: SqlType, right: SqlType): boolean {
  if (left.name === 'NULL' || right.name === 'NULL') return true;
  if (isNumber(left) && isNumber(right)) return true;
  if (isText(left) && isText(right)) return true;
  if (left.name === right.name) return true;
  return (
    (isIntegerOr('TIMESTAMP_NS', left) && isIntegerOr('TIMESTAMP_NS', right)) ||
    (isIntegerOr('SYMBOL', left) && isIntegerOr('SYMBOL', right))
  );
}

const isIntegerOr = (name: SqlType['name'], type: SqlType): boolean => isInteger(type) || type.name === name;

/** The one type that values of both can be turned into without loss, or null: for CASE, COALESCE, IN, UNION. */
export function commonType(left: SqlType, right: SqlType): SqlType | null {
  if (left.name === 'NULL') return right;
  if (right.name === 'NULL') return left;
  if (isNumber(left) && isNumber(right)) {
    if (left.name === right.name && left.name !== 'DECIMAL') return left;
    return exactType(left, right, Math.max(scaleOf(left), scaleOf(right)));
  }
  if (sameType(left, right)) return left;
  return isText(left) && isText(right) ? STRING : null;
}

/** Whether CAST(from AS to) exists. A value that does not fit is an error when it is met. */
export function castable(from: SqlType, to: DataType): boolean {
  if (from.name === 'NULL' || from.name === to.name || from.name === 'STRING' || to.name === 'STRING')
    return true;
  if (isNumber(from))
    return (
      isNumber(to) ||
      (isInteger(from) && (to.name === 'TIMESTAMP_NS' || to.name === 'BOOL' || to.name === 'SYMBOL'))
    );
  return isInteger(to);
}

/** Type of sum(x) and delta(x). */
export function sumType(type: SqlType): SqlType {
  if (isFloat(type)) return FLOAT64;
  if (type.name === 'DECIMAL') return decimal(DECIMAL_PRECISION_MAX, type.scale);
  return type.name === 'NULL' ? type : INT64;
}
