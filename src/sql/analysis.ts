// What: what the analysis of a query found out, keyed by the nodes of its tree.
// Why: the tree stays small and closed; the planner looks types and columns up instead of working them out again.
// Invariant: every expression below the query has a type, every column reference a meaning, every select its items.

import type {
  ColumnReference,
  CommonTable,
  Expression,
  Join,
  Query,
  Select,
  TableReference,
  TableSource,
} from './ast.ts';
import type { Catalog, OutputColumn, Scope, ScopeColumn, SourceTable } from './scope.ts';
import type { SqlType } from './types.ts';

/** A column of FROM, or (in HAVING and ORDER BY) an output column of the same SELECT by its name. */
export type Reference =
  | { readonly kind: 'source'; readonly column: ScopeColumn }
  | { readonly kind: 'item'; readonly index: number };

export interface OutputItem extends OutputColumn {
  /** As written, or a reference made for a column of `*`. */
  readonly expression: Expression;
}

/**
 * - `rows`: a row in, a row out
 * - `groups`: a row for each combination of `groupKeys`; one row in all when there are none
 * - `samples`: likewise, and for each bucket of `timeColumn`
 * - `window-join`: a row for each row of the left side, aggregates over the right side's window
 */
export type Grouping = 'rows' | 'groups' | 'samples' | 'window-join';

export interface SelectAnalysis {
  readonly scope: Scope;
  readonly items: readonly OutputItem[];
  readonly grouping: Grouping;
  /** Ordinals and aliases replaced by what they name; with SAMPLE BY the items that hold no aggregate. */
  readonly groupKeys: readonly Expression[];
  /** SAMPLE BY: the event time; where an item names it, the start of the bucket is meant. */
  readonly timeColumn: ScopeColumn | null;
}

export type OrderKey =
  | { readonly kind: 'output'; readonly index: number }
  /** Over the scope of the query's SELECT, and its items by name. */
  | { readonly kind: 'expression'; readonly expression: Expression };

export interface JoinAnalysis {
  /** Conditions `left = right`, each side only with columns of its side. USING is here too. */
  readonly equalities: readonly { readonly left: Expression; readonly right: Expression }[];
  /** ASOF and AJ0: the right row is the last with time ≤ the left's, or < it when `strict`. */
  readonly asof: { readonly left: Expression; readonly right: Expression; readonly strict: boolean } | null;
  /** WINDOW: the right rows with low ≤ time ≤ high. */
  readonly window: { readonly time: Expression; readonly low: Expression; readonly high: Expression } | null;
  /** Conditions of other forms; none with ASOF, AJ0, WINDOW and PLUS. */
  readonly residual: readonly Expression[];
}

export interface QueryAnalysis {
  readonly columns: readonly OutputColumn[];
  readonly types: ReadonlyMap<Expression, SqlType>;
  readonly references: ReadonlyMap<ColumnReference, Reference>;
  readonly selects: ReadonlyMap<Select, SelectAnalysis>;
  readonly orders: ReadonlyMap<Query, readonly OrderKey[]>;
  readonly joins: ReadonlyMap<Join, JoinAnalysis>;
  readonly sources: ReadonlyMap<TableSource, SourceTable>;
  /** References that name a table of WITH. */
  readonly commonTables: ReadonlyMap<TableReference, CommonTable>;
  /** Output columns of every query in the tree, this one and subqueries. */
  readonly outputs: ReadonlyMap<Query, readonly OutputColumn[]>;
}

/** The maps while they are filled. */
export interface Findings {
  readonly catalog: Catalog;
  readonly types: Map<Expression, SqlType>;
  readonly references: Map<ColumnReference, Reference>;
  readonly selects: Map<Select, SelectAnalysis>;
  readonly orders: Map<Query, readonly OrderKey[]>;
  readonly joins: Map<Join, JoinAnalysis>;
  readonly sources: Map<TableSource, SourceTable>;
  readonly commonTables: Map<TableReference, CommonTable>;
  readonly outputs: Map<Query, readonly OutputColumn[]>;
}

/** Tables of WITH that are visible, with their columns. */
export type CommonScope = ReadonlyMap<
  string,
  { readonly definition: CommonTable; readonly table: SourceTable }
>;
