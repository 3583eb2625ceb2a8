// What: how tightly each operator binds.
// Why: parser and printer must agree, or a printed tree reads back as another one.
// Invariant: higher binds tighter; the levels are PostgreSQL's.

import type { BinaryOperator } from './ast.ts';

export const OR = 1;
export const AND = 2;
export const NOT = 3;
/** IS [NOT] NULL, IS [NOT] DISTINCT FROM. */
export const IS = 4;
/** = <> < <= > >=: they do not chain. */
export const COMPARISON = 5;
/** BETWEEN, IN, LIKE: they do not chain. */
export const RANGE = 6;
export const CONCATENATION = 7;
export const ADDITIVE = 8;
export const MULTIPLICATIVE = 9;
export const SIGN = 10;
/** x::type. */
export const CAST = 11;
export const PRIMARY = 12;

export const binaryPrecedence: Readonly<Record<BinaryOperator, number>> = {
  'IS DISTINCT FROM': IS,
  'IS NOT DISTINCT FROM': IS,
  '=': COMPARISON,
  '<>': COMPARISON,
  '<': COMPARISON,
  '<=': COMPARISON,
  '>': COMPARISON,
  '>=': COMPARISON,
  '||': CONCATENATION,
  '+': ADDITIVE,
  '-': ADDITIVE,
  '*': MULTIPLICATIVE,
  '/': MULTIPLICATIVE,
  '//': MULTIPLICATIVE,
  '%': MULTIPLICATIVE,
};
