// What: ALTER TABLE ADD and DROP COLUMN: what they make of a table, and when they are refused.
// Why: files are never rewritten, so a column is known by its name in all of them for ever.
// Invariant: a column name means one thing in all versions of a table; the event time and the symbol stay.

import { isDeepStrictEqual } from 'node:util';
import { type ColumnSchema, ColumnType, columnTypeNames, type TableSchema } from '../columns/types.ts';
import type { RecordFormat, TableSource, TableVersions } from '../ports.ts';
import type { Expression, Select } from '../sql/ast.ts';
import { parseStatement } from '../sql/parser.ts';
import { some } from '../sql/walk.ts';
import type { Catalogue, CatalogueChange, Refusal, ViewEntry } from './catalogue.ts';

export type Alteration = Extract<CatalogueChange, { kind: 'add-column' | 'drop-column' }>;

const COLUMNS_MAX = 1_000;

/** `source` as it is after the change, which fits. */
export function altered(source: TableSource, change: Alteration): TableSource {
  const { table } = source;
  if (change.kind === 'add-column')
    return { ...source, table: { ...table, columns: [...table.columns, change.column] } };
  const columns = table.columns.filter(({ name }) => name !== change.column);
  const placeOf = (index: number): number => columns.indexOf(table.columns[index]!);
  const timestampColumn = placeOf(table.timestampColumn);
  const symbolColumn = placeOf(table.symbolColumn);
  return {
    ...source,
    table: { ...table, columns, timestampColumn, symbolColumn },
    format: withoutField(source.format, change.column),
  };
}

function withoutField(format: RecordFormat, column: string): RecordFormat {
  if (format.kind === 'binary') return format;
  const { [column]: _, ...names } = format.fields.names;
  return { ...format, fields: { ...format.fields, names } };
}

/** A table is declared for its topic. One whose topic's table was never altered begins again: no commit record names a version of it. */
export function withDeclared(versions: Catalogue['versions'], source: TableSource): Catalogue['versions'] {
  const known: TableVersions = versions.get(source.topic) ?? [];
  if (isDeepStrictEqual(known.at(-1), source)) return versions;
  return new Map(versions).set(source.topic, known.length > 1 ? [...known, source] : [source]);
}

export function withAltered(versions: Catalogue['versions'], source: TableSource): Catalogue['versions'] {
  return new Map(versions).set(source.topic, [...versions.get(source.topic)!, source]);
}

export function alterationRefusal(
  { tables, registered, views, versions }: Catalogue,
  change: Alteration,
  configured: ReadonlySet<string>,
): Refusal {
  const { table: name } = change;
  const source = tables.get(name);
  if (registered.has(name)) return `'${name}' is a name for Parquet files: its columns are theirs`;
  if (source === undefined) return `Table '${name}' does not exist`;
  if (configured.has(name))
    return `Table '${name}' is declared by this process's configuration: stop all members (SIGTERM seals what is in memory), change its columns there, start them again`;
  if (source.format.kind === 'binary')
    return `Table '${name}' reads binary records, whose fields are fixed: make another table, on a topic of its own`;
  return change.kind === 'add-column'
    ? additionRefusal(source.table, change.column, versions.get(source.topic)!)
    : dropRefusal(source.table, change.column, views);
}

function additionRefusal(table: TableSchema, column: ColumnSchema, versions: TableVersions): Refusal {
  const { name, type } = column;
  if (has(table, name)) return `Table '${table.name}' has a column '${name}' already`;
  if (versions.some((version) => version.table.name === table.name && has(version.table, name)))
    return `column '${name}' of '${table.name}' was dropped: files still hold its values by that name, which another column would show as its own. Choose another name`;
  if (type === ColumnType.TIMESTAMP_NS || type === ColumnType.SYMBOL)
    return `a ${columnTypeNames[type]} is never NULL, and rows of before have no '${name}': use INT64 or STRING`;
  return table.columns.length < COLUMNS_MAX ? null : `a table has at most ${COLUMNS_MAX} columns`;
}

function dropRefusal(table: TableSchema, name: string, views: Catalogue['views']): Refusal {
  if (!has(table, name)) return `Table '${table.name}' has no column '${name}'`;
  if (table.columns[table.timestampColumn]!.name === name) return `'${name}' is the event time of its rows`;
  if (table.columns[table.symbolColumn]!.name === name) return `'${name}' is the symbol of its rows`;
  const users = [...views.values()].filter((view) => view.source === table.name && uses(view, name));
  if (users.length === 0) return null;
  return `column '${name}' is used by the view ${users.map((view) => view.name).join(', ')}: drop that first`;
}

const has = ({ columns }: TableSchema, name: string): boolean =>
  columns.some((column) => column.name === name);

/** Whether the view names it anywhere; one that this build cannot read may. */
function uses({ sql }: ViewEntry, column: string): boolean {
  const select = selectOf(sql);
  if (select === null) return true;
  const items = select.items.flatMap((item) => (item.kind === 'expression' ? [item.expression] : []));
  const expressions = [...items, ...(select.where === null ? [] : [select.where]), ...select.groupBy];
  return expressions.some((expression) => names(expression, column));
}

function selectOf(sql: string): Select | null {
  try {
    const { statement } = parseStatement(sql);
    const body = statement.kind === 'select' ? statement.query.body : null;
    return body?.kind === 'select' ? body : null;
  } catch {
    return null;
  }
}

const names = (expression: Expression, column: string): boolean =>
  some(expression, (e) => e.kind === 'column' && e.name === column);
