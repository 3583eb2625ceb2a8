// What: the statements that DuckDB is asked: columns, rows and their number, of a list of files.
// Why: all SQL that is ever sent to it, but for its set-up, is written here, from names and paths in quotes.
// Invariant: a statement reads exactly the given files, in their order, and gives each column in its promised type.

import { ZeptoError } from '../../src/kernel/errors.ts';
import type { ForeignColumn } from '../../src/ports.ts';
import { columnSql, type ForeignType, nullSql, textSql } from './column-types.ts';
import type { Readable } from './exact-copy.ts';
import { valuesInPaths } from './hive.ts';

export interface WantedColumn extends ForeignColumn {
  readonly type: ForeignType;
  readonly isFromPath: boolean;
}

export interface DescribedColumn {
  readonly name: string;
  readonly duckdbType: string;
}

/** DuckDB's name for the place of a row's file in the list. */
const FILE_INDEX = 'file_index';

type Files = readonly Pick<Readable, 'path' | 'file'>[];

export const describeSql = (files: Files): string => `DESCRIBE SELECT * FROM ${source(files)}`;

export const countSql = (files: Files): string => `SELECT count(*) FROM ${source(files)}`;

/** @throws ZeptoError FORMAT_INVALID when a column has no such type in these files */
export function selectSql(
  columns: readonly WantedColumn[],
  there: readonly DescribedColumn[],
  files: Files,
): string {
  if (columns.some(({ isFromPath }) => isFromPath) && there.some(({ name }) => sameName(name, FILE_INDEX)))
    throw new ZeptoError(
      'FORMAT_INVALID',
      'stop',
      `${files[0]!.file.name} has a column ${FILE_INDEX}, beside which columns in paths cannot be read: leave them out`,
    );
  const values = columns.map((column) =>
    column.isFromPath ? pathSql(column, files) : fileSql(column, there, files),
  );
  return `SELECT ${values.join(', ')} FROM ${source(files)}`;
}

/** To DuckDB, `Price` and `price` are one column. */
export const sameName = (left: string, right: string): boolean => left.toLowerCase() === right.toLowerCase();

function source(files: Files): string {
  return `read_parquet([${files.map(({ path }) => textSql(path)).join(', ')}], hive_partitioning = false)`;
}

function pathSql({ name, type }: WantedColumn, files: Files): string {
  const values = valuesInPaths(
    name,
    files.map(({ file }) => file.name),
  );
  const list = values.map((value) =>
    value === null ? 'NULL' : type === 'INT64' ? BigInt(value) : textSql(value),
  );
  return `CAST([${list.join(', ')}][${FILE_INDEX}::BIGINT + 1] AS ${type === 'INT64' ? 'BIGINT' : 'VARCHAR'})`;
}

function fileSql({ name, type }: WantedColumn, there: readonly DescribedColumn[], files: Files): string {
  const found = there.find((column) => sameName(column.name, name));
  if (found === undefined) return nullSql(type);
  const sql = columnSql(found.name, found.duckdbType, type);
  if (sql !== null) return sql;
  const path = files[0]!.file.name;
  throw new ZeptoError(
    'FORMAT_INVALID',
    'stop',
    `column ${name} is ${found.duckdbType} in ${path} and ${type} in the files before: read them apart`,
    { context: { path, column: name } },
  );
}
