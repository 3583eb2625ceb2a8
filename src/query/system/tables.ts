// What: the system tables that a snapshot and the language answer by themselves: tables, columns, segments, tiers, functions, …
// Why: clients and dashboards look there for what exists, under the names that ClickHouse gives it.
// Invariant: a table is listed exactly when a query may name it.

import { functions } from '../../sql/functions.ts';
import type { OutputColumn } from '../../sql/scope.ts';
import { INT64, STRING, typeText } from '../../sql/types.ts';
import { catalogOf } from '../catalog.ts';
import { columnsAt, type FileColumns, noneRegistered } from '../files.ts';
import type { Run } from '../run.ts';
import { noViews } from '../view/view.ts';
import { segmentsTable, sizeOf, tiersTable } from './segments.ts';
import { noSystemTables, type SystemColumn, type SystemTables, systemTable } from './system-table.ts';

/** What a client may know a type by. */
export type TypeName = (column: OutputColumn) => string;

export function snapshotTables(clickhouseType: TypeName): SystemTables {
  return new Map([
    ['databases', systemTable(databaseColumns, () => ['default', 'system'])],
    ['tables', systemTable(tableColumns, tablesOf)],
    ['columns', systemTable(columnColumns(clickhouseType), columnsOf)],
    ['segments', segmentsTable],
    ['tiers', tiersTable],
    ['functions', systemTable(functionColumns, namedFunctions)],
    ['one', systemTable([{ name: 'dummy', type: INT64, of: () => 0n }], () => [null])],
  ]);
}

const text = <Row>(name: string, of: (row: Row) => string | null): SystemColumn<Row> => ({
  name,
  type: STRING,
  of,
});
const count = <Row>(name: string, of: (row: Row) => bigint | null): SystemColumn<Row> => ({
  name,
  type: INT64,
  of,
});

const databaseColumns: readonly SystemColumn<string>[] = [
  text('name', (name) => name),
  text('engine', (name) => (name === 'system' ? 'System' : 'ZeptoDB')),
  text('comment', () => ''),
];

interface ListedTable {
  readonly database: string;
  readonly name: string;
  readonly engine: 'Ticks' | 'Parquet' | 'MaterializedView' | 'System';
  readonly comment: string;
  readonly size: ReturnType<typeof sizeOf> | null;
}

function tablesOf(run: Run): ListedTable[] {
  const { views = noViews, system = noSystemTables, registered = noneRegistered } = run.options;
  const listed = (database: string, names: Iterable<string>, engine: ListedTable['engine']): ListedTable[] =>
    [...names].sort().map((name) => ({ database, name, engine, comment: '', size: null }));
  return [
    ...listed('default', run.snapshot.tables.keys(), 'Ticks').map((table) => ({
      ...table,
      size: sizeOf(table.name, run),
    })),
    ...listed('default', registered.keys(), 'Parquet').map((table) => ({
      ...table,
      comment: registered.get(table.name)!,
    })),
    ...listed('default', views.keys(), 'MaterializedView'),
    ...listed('system', system.keys(), 'System'),
  ];
}

const tableColumns: readonly SystemColumn<ListedTable>[] = [
  text('database', ({ database }) => database),
  text('name', ({ name }) => name),
  text('engine', ({ engine }) => engine),
  count('total_rows', ({ size }) => size?.rows ?? null),
  count('total_bytes', ({ size }) => size?.bytes ?? null),
  count('symbols', ({ size }) => size?.symbols ?? null),
  count('segments', ({ size }) => size?.segments ?? null),
  text('comment', ({ comment }) => comment),
];

interface ListedColumn {
  readonly database: string;
  readonly table: string;
  readonly column: OutputColumn;
  /** From 1. */
  readonly position: number;
}

async function columnsOf(run: Run): Promise<Iterable<ListedColumn>> {
  return listedColumns(run, await readableFiles(run));
}

/** Files that cannot be read now have no columns here: DESCRIBE and a query say why. */
async function readableFiles({ options, signal }: Run): Promise<FileColumns> {
  const { registered = noneRegistered } = options;
  const found = await Promise.allSettled(
    [...registered.values()].map(async (path) => [path, await columnsAt(path, options, signal)] as const),
  );
  return new Map(found.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])));
}

function* listedColumns(run: Run, files: FileColumns): Generator<ListedColumn> {
  const { views = noViews, system = noSystemTables, registered } = run.options;
  const catalog = catalogOf(run.snapshot.tables, files, views, system, registered);
  for (const { database, name: table } of tablesOf(run)) {
    const source = catalog.table({ at: 0, schema: database, name: table });
    for (const [index, column] of (source?.columns ?? []).entries())
      yield { database, table, column, position: index + 1 };
  }
}

const columnColumns = (clickhouseType: TypeName): readonly SystemColumn<ListedColumn>[] => [
  text('database', ({ database }) => database),
  text('table', ({ table }) => table),
  text('name', ({ column }) => column.name),
  text('type', ({ column }) => clickhouseType(column)),
  text('sql_type', ({ column }) => typeText(column.type)),
  count('position', ({ position }) => BigInt(position)),
  text('default_kind', () => ''),
  text('default_expression', () => ''),
  text('comment', () => ''),
];

interface NamedFunction {
  readonly name: string;
  readonly kind: string;
  /** Of the function that it is another name for; '' when it is the name itself. */
  readonly aliasTo: string;
  readonly note: string;
}

const namedFunctions = (): NamedFunction[] =>
  functions.flatMap(({ name, aliases, kind, note }) => [
    { name, kind, aliasTo: '', note },
    ...aliases.map((alias) => ({ name: alias, kind, aliasTo: name, note })),
  ]);

const functionColumns: readonly SystemColumn<NamedFunction>[] = [
  text('name', ({ name }) => name),
  text('kind', ({ kind }) => kind),
  count('is_aggregate', ({ kind }) => (kind === 'aggregate' ? 1n : 0n)),
  count('case_insensitive', () => 1n),
  text('alias_to', ({ aliasTo }) => aliasTo),
  text('description', ({ note }) => note),
];
