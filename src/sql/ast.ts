// What: the tree of a parsed statement.
// Why: planner, views and HTTP see a small closed set of shapes, so the compiler tells them when one is missed.
// Invariant: the tree is immutable and canonical: what means the same by grammar is the same tree, so that parse(print(tree)) equals tree but for positions.

import type { DataType, ParameterType } from './types.ts';

/**
 * Where the node stands: 0-based character offset of its first character; for an infix or postfix operator, of
 * the operator itself, which is where an error about its operands should point.
 */
export interface Node {
  readonly at: number;
}

// ---------------------------------------------------------------------------------------------------------
// Expressions

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

// ---------------------------------------------------------------------------------------------------------
// Queries

export interface Query extends Node {
  readonly kind: 'query';
  readonly with: readonly CommonTable[];
  readonly body: QueryBody;
  readonly orderBy: readonly OrderItem[];
  readonly limit: RowCount | null;
  readonly offset: RowCount | null;
}

/** Never negative. */
export type RowCount = IntegerLiteral | Parameter;

/** A Query as a body or operand is one in parentheses that has its own WITH, ORDER BY, LIMIT or OFFSET. */
export type QueryBody = Select | Values | SetOperation | Query;

export interface CommonTable extends Node {
  readonly name: string;
  /** Empty: the query's own column names. */
  readonly columns: readonly string[];
  readonly query: Query;
}

/** Two or more operands from left to right; the first is not a SetOperation of the same operator and `all`. */
export interface SetOperation extends Node {
  readonly kind: 'set-operation';
  readonly operator: 'UNION' | 'INTERSECT' | 'EXCEPT';
  readonly all: boolean;
  readonly operands: readonly QueryBody[];
}

/** One or more rows of the same length, one or more values each. */
export interface Values extends Node {
  readonly kind: 'values';
  readonly rows: readonly (readonly Expression[])[];
}

export interface Select extends Node {
  readonly kind: 'select';
  readonly distinct: boolean;
  readonly items: readonly SelectItem[];
  readonly from: TableExpression | null;
  readonly where: Expression | null;
  readonly sampleBy: SampleBy | null;
  readonly latestOn: LatestOn | null;
  /** An integer literal is the ordinal of a select item. */
  readonly groupBy: readonly Expression[];
  readonly having: Expression | null;
}

export type SelectItem = StarItem | ExpressionItem;

/** `*` or `t.*`. */
export interface StarItem extends Node {
  readonly kind: 'star';
  readonly table: string | null;
}

export interface ExpressionItem extends Node {
  readonly kind: 'expression';
  readonly expression: Expression;
  readonly alias: string | null;
}

/** SAMPLE BY 5m FILL(…): one row per bucket of event time and per distinct value of the items that hold no aggregate. */
export interface SampleBy extends Node {
  /** Above 0; buckets begin at multiples of it since 1970 UTC. */
  readonly everyNs: bigint;
  /** Empty: no fill. One: for all aggregates. Else one for each aggregate item, in order. */
  readonly fill: readonly Fill[];
}

export interface Fill extends Node {
  readonly kind: 'none' | 'prev' | 'null' | 'linear' | 'value';
  /** Only with kind `value`. */
  readonly value: IntegerLiteral | DecimalLiteral | FloatLiteral | null;
}

/** LATEST ON ts PARTITION BY keys: of the rows that WHERE lets through, the last by `column` for each key. */
export interface LatestOn extends Node {
  readonly column: ColumnReference;
  readonly partitionBy: readonly ColumnReference[];
}

export type TableExpression = TableSource | Join;
export type TableSource = TableReference | DerivedTable | TableFunction;

export interface TableName extends Node {
  readonly schema: string | null;
  readonly name: string;
}

export interface TableReference extends Node {
  readonly kind: 'table';
  readonly table: TableName;
  readonly alias: string | null;
  /** SAMPLE r: the share of rows read, chosen by a hash; 0 < r ≤ 1. */
  readonly sampleRatio: number | null;
}

/** (SELECT …) AS alias(columns); also (VALUES …). */
export interface DerivedTable extends Node {
  readonly kind: 'derived';
  readonly query: Query;
  readonly alias: string | null;
  /** Empty: the query's own column names. */
  readonly columns: readonly string[];
}

/** duckdb('path'). */
export interface TableFunction extends Node {
  readonly kind: 'table-function';
  /** Lower case. */
  readonly name: string;
  readonly args: readonly Expression[];
  readonly alias: string | null;
}

export type JoinKind =
  | 'INNER'
  | 'LEFT'
  | 'RIGHT'
  | 'FULL'
  | 'CROSS'
  | 'ASOF'
  | 'ASOF LEFT'
  | 'AJ0'
  | 'AJ0 LEFT'
  | 'WINDOW'
  | 'UNION'
  | 'PLUS';

/** Joins chain from left to right; the right side is never itself a join. */
export interface Join extends Node {
  readonly kind: 'join';
  readonly join: JoinKind;
  readonly left: TableExpression;
  readonly right: TableSource;
  /** Null exactly for CROSS and UNION. */
  readonly condition: JoinCondition | null;
  /** ASOF and AJ0 only: how old the matched right row may be; null: any age. Never negative. */
  readonly toleranceNs: bigint | null;
}

export type JoinCondition =
  | { readonly kind: 'on'; readonly expression: Expression }
  | { readonly kind: 'using'; readonly columns: readonly string[] };

// ---------------------------------------------------------------------------------------------------------
// Statements

export interface ParsedStatement {
  readonly statement: Statement;
  /** FORMAT name, as written; null when the request decides. */
  readonly format: string | null;
  readonly settings: readonly Option[];
}

export type Statement =
  | QueryStatement
  | Explain
  | CreateTable
  | DropTable
  | AlterTable
  | CreateView
  | DropView
  | Insert
  | Update
  | Delete
  | Show
  | Describe;

export interface QueryStatement extends Node {
  readonly kind: 'select';
  readonly query: Query;
}

export interface Explain extends Node {
  readonly kind: 'explain';
  /** EXPLAIN ANALYZE: run it and report what was read. */
  readonly analyze: boolean;
  readonly statement: Exclude<Statement, Explain>;
}

/** `key = value` in WITH (…) and SETTINGS. */
export interface Option extends Node {
  readonly name: string;
  /** A bare word is a string. */
  readonly value: OptionValue;
}

export type OptionValue = StringLiteral | IntegerLiteral | DecimalLiteral | FloatLiteral | BooleanLiteral;

export interface ColumnDefinition extends Node {
  readonly name: string;
  readonly type: DataType;
}

export interface CreateTable extends Node {
  readonly kind: 'create-table';
  readonly table: TableName;
  readonly ifNotExists: boolean;
  readonly columns: readonly ColumnDefinition[];
  readonly options: readonly Option[];
}

export interface DropTable extends Node {
  readonly kind: 'drop-table';
  readonly table: TableName;
  readonly ifExists: boolean;
}

export interface AlterTable extends Node {
  readonly kind: 'alter-table';
  readonly table: TableName;
  readonly action: AlterAction;
}

export type AlterAction =
  | { readonly kind: 'add-column'; readonly column: ColumnDefinition }
  | ({ readonly kind: 'drop-column'; readonly name: string } & Node)
  | ({ readonly kind: 'set-storage-policy'; readonly rules: readonly PolicyRule[] } & Node)
  | ({ readonly kind: 'set-ttl'; readonly ageMinutes: number } & Node);

/** As written; storage-policy.ts checks order and repetition. */
export interface PolicyRule extends Node {
  readonly tier: 'HOT' | 'WARM' | 'COLD' | 'DROP';
  readonly ageMinutes: number;
}

export interface CreateView extends Node {
  readonly kind: 'create-view';
  readonly view: TableName;
  readonly orReplace: boolean;
  readonly ifNotExists: boolean;
  readonly query: Query;
  readonly options: readonly Option[];
}

export interface DropView extends Node {
  readonly kind: 'drop-view';
  readonly view: TableName;
  readonly ifExists: boolean;
}

export interface Insert extends Node {
  readonly kind: 'insert';
  readonly table: TableName;
  /** Empty: all columns in declared order. */
  readonly columns: readonly string[];
  /** VALUES or SELECT; null when the rows come with the request, in the statement's FORMAT. */
  readonly query: Query | null;
}

/** Parsed so that the refusal can say why: the log is append-only. */
export interface Update extends Node {
  readonly kind: 'update';
  readonly table: TableName;
  readonly assignments: readonly { readonly column: string; readonly value: Expression }[];
  readonly where: Expression | null;
}

/** Parsed so that the refusal can say why: the log is append-only. */
export interface Delete extends Node {
  readonly kind: 'delete';
  readonly table: TableName;
  readonly where: Expression | null;
}

export type ShowSubject =
  | 'TABLES'
  | 'MATERIALIZED VIEWS'
  | 'STORAGE POLICY'
  | 'TIERS'
  | 'SEGMENTS'
  | 'KAFKA LAG';

export interface Show extends Node {
  readonly kind: 'show';
  readonly subject: ShowSubject;
  /** FOR t; only with STORAGE POLICY, TIERS and SEGMENTS. */
  readonly table: TableName | null;
}

export interface Describe extends Node {
  readonly kind: 'describe';
  readonly table: TableName;
}
