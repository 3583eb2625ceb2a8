// What: the Parquet files that a query reads, by duckdb('path') or by the name of a registered table, and their columns.
// Why: names and types are checked before a row is read, so the files are found when the query begins.
// Invariant: each path is looked up once for a query; a table of ticks or a view is never taken for files.

import type { TableFunction, TableReference } from '../sql/ast.ts';
import type { OutputColumn } from '../sql/scope.ts';
import { type DataType, decimal, STRING, typesByName } from '../sql/types.ts';
import { requireAnalytic } from './parts.ts';
import type { ExecuteOptions } from './run.ts';

/** Registered Parquet tables: path or pattern by name. */
export type Registered = ReadonlyMap<string, string>;

export const noneRegistered: Registered = new Map();

/** By path. */
export type FileColumns = ReadonlyMap<string, readonly OutputColumn[]>;

export const noFiles: FileColumns = new Map();

/** Columns of the files among what FROM may name. @throws ZeptoError as `columnsAt` */
export async function filesOf(
  sources: readonly (TableReference | TableFunction)[],
  options: Pick<ExecuteOptions, 'analytic' | 'registered'>,
  signal: AbortSignal,
): Promise<FileColumns> {
  const files = new Map<string, readonly OutputColumn[]>();
  for (const path of pathsOf(sources, options)) files.set(path, await columnsAt(path, options, signal));
  return files;
}

/** Each once. */
export function pathsOf(
  sources: readonly (TableReference | TableFunction)[],
  { registered = noneRegistered }: Pick<ExecuteOptions, 'registered'>,
): ReadonlySet<string> {
  const paths = new Set<string>();
  for (const source of sources) {
    const path = pathOf(source, registered);
    if (path !== undefined) paths.add(path);
  }
  return paths;
}

/** @throws ZeptoError STORE_DENIED, STORE_NO_OBJECT, FORMAT_INVALID; SQL_UNSUPPORTED when DuckDB is switched off */
export async function columnsAt(
  path: string,
  options: Pick<ExecuteOptions, 'analytic'>,
  signal: AbortSignal,
): Promise<readonly OutputColumn[]> {
  const columns = await requireAnalytic(options, path).describe(path, signal);
  return columns.map(({ name, type }) => ({ name, type: dataType(type) }));
}

function pathOf(source: TableReference | TableFunction, registered: Registered): string | undefined {
  if (source.kind === 'table') {
    const { schema, name } = source.table;
    return schema === null || schema === 'default' ? registered.get(name) : undefined;
  }
  const path = source.args[0];
  return path?.kind === 'string' ? path.value : undefined;
}

function dataType(text: string): DataType {
  const match = /^DECIMAL\((\d+), *(\d+)\)$/.exec(text);
  if (match !== null) return decimal(Number(match[1]), Number(match[2]));
  return typesByName.get(text) ?? STRING;
}
