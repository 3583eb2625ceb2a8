// What: the tree of an expression.
// Why: planner, views and kernels see a small closed set of shapes, so the compiler tells them when one is missed.
// Invariant: immutable and canonical, as ast.ts says; import from there.

import type { Query } from './ast.ts';
import type { DataType, ParameterType } from './types.ts';

/**
 * Where the node stands: 0-based character offset of its first character; for an infix or postfix operator, of
 * the operator itself, which is where an error about its operands should point.
 */
export interface Node {
  readonly at: number;
}

export type Expression =
  | Literal
  | ColumnReference
  | Parameter
  | Negation
  | Not
  | Logical
  | Binary
  | IsNull
  | Between
  | InList
  | InQuery
  | Like
  | Case
  | Cast
  | Call
  | ScalarQuery
  | Exists;

export type Literal =
  | NullLiteral
  | BooleanLiteral
  | IntegerLiteral
  | DecimalLiteral
  | FloatLiteral
  | StringLiteral
  | TimestampLiteral
  | IntervalLiteral;

export interface NullLiteral extends Node {
  readonly kind: 'null';
}

export interface BooleanLiteral extends Node {
  readonly kind: 'boolean';
  readonly value: boolean;
}

/** Within int64. A sign directly before the digits belongs to the literal. */
export interface IntegerLiteral extends Node {
  readonly kind: 'integer';
  readonly value: bigint;
}

/** `150.25` is 15025 × 10^−2, exactly. 1 ≤ scale ≤ 18, |unscaled| < 10^18; longer ones are read as floats. */
export interface DecimalLiteral extends Node {
  readonly kind: 'decimal';
  readonly unscaled: bigint;
  readonly scale: number;
}

/** Written with an exponent: `1e3`. Always finite. */
export interface FloatLiteral extends Node {
  readonly kind: 'float';
  readonly value: number;
}

export interface StringLiteral extends Node {
  readonly kind: 'string';
  readonly value: string;
}

/** `TIMESTAMP '2024-03-21 09:30'`, `DATE '2024-03-21'`: nanoseconds since 1970 UTC. */
export interface TimestampLiteral extends Node {
  readonly kind: 'timestamp';
  readonly ns: bigint;
}

/** `INTERVAL '5 minutes'`, `5m`: to the type rules an INT64 of nanoseconds. */
export interface IntervalLiteral extends Node {
  readonly kind: 'interval';
  readonly ns: bigint;
}

export interface ColumnReference extends Node {
  readonly kind: 'column';
  /** Alias or table that the column is qualified with, or null. */
  readonly table: string | null;
  readonly name: string;
}

/** `{name:Type}`, replaced by a literal before planning (parameters.ts). */
export interface Parameter extends Node {
  readonly kind: 'parameter';
  readonly name: string;
  readonly type: ParameterType;
}

/** `-x`, but not −5: a sign directly before a number belongs to the literal. */
export interface Negation extends Node {
  readonly kind: 'negate';
  readonly operand: Expression;
}

export interface Not extends Node {
  readonly kind: 'not';
  readonly operand: Expression;
}

/** AND or OR of two or more operands, none of which is a Logical with the same operator. */
export interface Logical extends Node {
  readonly kind: 'logical';
  readonly operator: 'AND' | 'OR';
  readonly operands: readonly Expression[];
}

export type ArithmeticOperator = '+' | '-' | '*' | '/' | '//' | '%';
export type ComparisonOperator =
  | '='
  | '<>'
  | '<'
  | '<='
  | '>'
  | '>='
  | 'IS DISTINCT FROM'
  | 'IS NOT DISTINCT FROM';
export type BinaryOperator = ArithmeticOperator | ComparisonOperator | '||';

export interface Binary extends Node {
  readonly kind: 'binary';
  readonly operator: BinaryOperator;
  readonly left: Expression;
  readonly right: Expression;
}

export interface IsNull extends Node {
  readonly kind: 'is-null';
  readonly operand: Expression;
  readonly negated: boolean;
}

/** Bounds inclusive. */
export interface Between extends Node {
  readonly kind: 'between';
  readonly operand: Expression;
  readonly low: Expression;
  readonly high: Expression;
  readonly negated: boolean;
}

/** One or more items; an ARRAY parameter among them stands for its elements. */
export interface InList extends Node {
  readonly kind: 'in-list';
  readonly operand: Expression;
  readonly items: readonly Expression[];
  readonly negated: boolean;
}

export interface InQuery extends Node {
  readonly kind: 'in-query';
  readonly operand: Expression;
  readonly query: Query;
  readonly negated: boolean;
}

export interface Like extends Node {
  readonly kind: 'like';
  readonly operand: Expression;
  readonly pattern: Expression;
  /** One character after which `%`, `_` and itself stand for themselves, or null. */
  readonly escape: string | null;
  /** ILIKE. */
  readonly ignoreCase: boolean;
  readonly negated: boolean;
}

/** With an operand: CASE x WHEN value …; without (null): CASE WHEN condition …. At least one branch. */
export interface Case extends Node {
  readonly kind: 'case';
  readonly operand: Expression | null;
  readonly branches: readonly CaseBranch[];
  readonly otherwise: Expression | null;
}

export interface CaseBranch {
  readonly when: Expression;
  readonly result: Expression;
}

/** CAST(x AS type) and x::type. */
export interface Cast extends Node {
  readonly kind: 'cast';
  readonly operand: Expression;
  readonly type: DataType;
}

/** A scalar, aggregate or window function; functions.ts says which. */
export interface Call extends Node {
  readonly kind: 'call';
  /** Lower case, as written: an alias such as `mean` is not replaced. */
  readonly name: string;
  readonly args: readonly Expression[];
  /** count(*), also written count(); `args` is empty. */
  readonly star: boolean;
  readonly distinct: boolean;
  /** FILTER (WHERE …). */
  readonly filter: Expression | null;
  readonly over: WindowSpec | null;
}

export interface ScalarQuery extends Node {
  readonly kind: 'scalar-query';
  readonly query: Query;
}

export interface Exists extends Node {
  readonly kind: 'exists';
  readonly query: Query;
}

export interface WindowSpec extends Node {
  readonly partitionBy: readonly Expression[];
  readonly orderBy: readonly OrderItem[];
  /** Null: from the start of the partition to the current row (with ORDER BY: to its last peer), else the whole partition. */
  readonly frame: Frame | null;
}

export interface Frame extends Node {
  /** ROWS counts rows; RANGE measures the ORDER BY value, in nanoseconds for a timestamp. */
  readonly unit: 'ROWS' | 'RANGE';
  readonly start: FrameBound;
  readonly end: FrameBound;
}

export type FrameBound =
  | { readonly kind: 'unbounded-preceding' | 'current-row' | 'unbounded-following' }
  | { readonly kind: 'preceding' | 'following'; readonly offset: FrameOffset };

/** Never negative; an integer when the unit is ROWS. */
export type FrameOffset = IntegerLiteral | DecimalLiteral | FloatLiteral | IntervalLiteral;

export interface OrderItem extends Node {
  /** An integer literal is the ordinal of an output column, except in a window. */
  readonly expression: Expression;
  readonly descending: boolean;
  /** NULLs come last unless NULLS FIRST is written, whatever the direction. */
  readonly nullsFirst: boolean;
}
