// What: the names that an expression can see, and what each stands for.
// Why: an unknown or ambiguous name is an error with the nearest one, never zeros or an empty answer.
// Invariant: a resolved column names its places: a source of FROM and a column of it.

import type { ColumnReference, StarItem, TableFunction, TableName, TableSource } from './ast.ts';
import { excerpt, nodeError } from './errors.ts';
import { nearest } from './nearest.ts';
import type { SqlType } from './types.ts';

export interface OutputColumn {
  readonly name: string;
  readonly type: SqlType;
}

/** What FROM can name: a table, a view, a subquery's result. */
export interface SourceTable {
  readonly columns: readonly OutputColumn[];
  /** Name of the event-time column, which SAMPLE BY uses; null when there is none. */
  readonly timestamp: string | null;
  /** Path or pattern of the Parquet files whose rows it has; absent: it is no such table. */
  readonly files?: string;
}

/** What the analysis must know of the world. */
export interface Catalog {
  table(name: TableName): SourceTable | undefined;
  /** Columns of `duckdb('path')`, which the caller has looked up before. */
  tableFunction(call: TableFunction): SourceTable | undefined;
  /** For suggestions. */
  tableNames(): Iterable<string>;
}

/** One column of one source; `index` counts its table's columns. */
export interface Place {
  readonly source: TableSource;
  readonly index: number;
}

export interface ScopeColumn extends OutputColumn {
  /**
   * Mostly one. Several with `first`: the first that is not NULL (USING of a full join, UNION JOIN). Two with
   * `plus`: their sum, a NULL on the right counting as 0 (PLUS JOIN).
   */
  readonly places: readonly Place[];
  readonly combine: 'first' | 'plus';
  /** Whether `*` shows it. */
  readonly inStar: boolean;
}

export interface ScopeSource {
  readonly source: TableSource;
  /** Alias, or the table's name; null for a subquery without one. */
  readonly name: string | null;
  readonly columns: readonly ScopeColumn[];
  readonly timestamp: string | null;
}

export interface Scope {
  readonly sources: readonly ScopeSource[];
  /** What unqualified names and `*` see, in order. */
  readonly columns: readonly ScopeColumn[];
  /** The right side of a WINDOW JOIN: visible inside of aggregates only. */
  readonly windowSource: TableSource | null;
}

export const emptyScope: Scope = { sources: [], columns: [], windowSource: null };

export function scopeOf(source: TableSource, table: SourceTable): ScopeSource {
  const columns = table.columns.map(
    ({ name, type }, index): ScopeColumn => ({
      name,
      type,
      places: [{ source, index }],
      combine: 'first',
      inStar: true,
    }),
  );
  return { source, name: nameOf(source), columns, timestamp: table.timestamp };
}

function nameOf(source: TableSource): string | null {
  if (source.alias !== null) return source.alias;
  return source.kind === 'table' ? source.table.name : source.kind === 'table-function' ? source.name : null;
}

export const singleScope = (source: ScopeSource): Scope => ({
  sources: [source],
  columns: source.columns,
  windowSource: null,
});

/** Everything of both sides; names that stand on both are ambiguous unless qualified. */
export function joinedScope(left: Scope, right: ScopeSource): Scope {
  if (right.name !== null && left.sources.some((source) => source.name === right.name))
    throw nodeError('SQL_NAME', right.source.at, `${right.name} stands twice in FROM: give one an alias`);
  return {
    sources: [...left.sources, right],
    columns: [...left.columns, ...right.columns],
    windowSource: left.windowSource,
  };
}

/** The column, or null when there is none. @throws when it is ambiguous. */
export function lookUp(scope: Scope, reference: ColumnReference): ScopeColumn | null {
  const { table, name, at } = reference;
  const columns = table === null ? scope.columns : sourceNamed(scope, table, at).columns;
  let found: ScopeColumn | null = null;
  for (const column of columns) {
    if (column.name !== name) continue;
    if (found !== null) throw ambiguousColumn(scope, reference);
    found = column;
  }
  return found;
}

function ambiguousColumn(scope: Scope, { table, name, at }: ColumnReference): Error {
  if (table !== null)
    return nodeError('SQL_NAME', at, `${excerpt(table)} has several columns ${excerpt(name)}`);
  const qualified = scope.columns
    .filter((column) => column.name === name)
    .map((column) => {
      const source = scope.sources.find((candidate) => candidate.source === column.places[0]!.source);
      return source?.name == null ? name : `${source.name}.${name}`;
    });
  return nodeError('SQL_NAME', at, `${excerpt(name)} is ambiguous: ${[...new Set(qualified)].join(' or ')}`);
}

/** The column. @throws ZeptoError SQL_NAME with the nearest name. */
export function resolve(
  scope: Scope,
  reference: ColumnReference,
  alsoKnown: readonly string[] = [],
): ScopeColumn {
  const column = lookUp(scope, reference);
  if (column === null) throw unknownColumn(scope, reference, alsoKnown);
  return column;
}

export function unknownColumn(scope: Scope, reference: ColumnReference, alsoKnown: readonly string[]): Error {
  const { table, name, at } = reference;
  const source = table === null ? undefined : scope.sources.find((candidate) => candidate.name === table);
  const names = [...(source ?? scope).columns.map((column) => column.name), ...alsoKnown];
  const where = source === undefined ? '' : ` in ${excerpt(source.name ?? '')}`;
  const suggestion = nearest(name, names);
  const hint = suggestion === null && table === null ? ': a string is written in single quotes' : '';
  return nodeError('SQL_NAME', at, `unknown column ${excerpt(name)}${where}${hint}`, { suggestion });
}

function sourceNamed(scope: Scope, table: string, at: number): ScopeSource {
  const source = scope.sources.find((candidate) => candidate.name === table);
  if (source !== undefined) return source;
  const names = scope.sources.flatMap((candidate) => (candidate.name === null ? [] : [candidate.name]));
  // A table that has an alias is known by the alias alone.
  const hidden = scope.sources.find(({ source: s }) => s.kind === 'table' && s.table.name === table);
  const suggestion = hidden === undefined ? nearest(table, names) : hidden.name;
  throw nodeError('SQL_NAME', at, `unknown table ${excerpt(table)} in this query`, { suggestion });
}

/** The columns of `*` or `t.*`. */
export function starColumns(scope: Scope, star: StarItem): readonly ScopeColumn[] {
  if (star.table !== null) return sourceNamed(scope, star.table, star.at).columns;
  return scope.columns.filter((column) => column.inStar);
}

export function samePlaces(left: ScopeColumn, right: ScopeColumn): boolean {
  return (
    left.combine === right.combine &&
    left.places.length === right.places.length &&
    left.places.every((place, i) => {
      const other = right.places[i]!;
      return place.source === other.source && place.index === other.index;
    })
  );
}
