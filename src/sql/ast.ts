// What: the tree of a parsed statement.
// Why: planner, views and HTTP see a small closed set of shapes, so the compiler tells them when one is missed.
// Invariant: the tree is immutable and canonical: what means the same by grammar is the same tree, so that parse(print(tree)) equals tree but for positions.

import type {
  BooleanLiteral,
  ColumnReference,
  DecimalLiteral,
  Expression,
  FloatLiteral,
  IntegerLiteral,
  Node,
  OrderItem,
  Parameter,
  StringLiteral,
} from './ast-expression.ts';
import type { DataType } from './types.ts';

export type * from './ast-expression.ts';

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
