// What: a snapshot as the analysis sees it: tables with their columns and event times.
// Why: names are checked against exactly the tables that will be read.
// Invariant: columns stand in declared order, so that their indexes are those of the table's schema.

import { timeColumnOf } from '../sql/analyze.ts';
import type { StringLiteral, TableFunction, TableName } from '../sql/ast.ts';
import type { Catalog, SourceTable } from '../sql/scope.ts';
import { typeOfColumn } from '../sql/types.ts';
import { type FileColumns, noneRegistered, type Registered } from './files.ts';
import type { Snapshot } from './snapshot.ts';
import { noSystemTables, type SystemTables } from './system/system-table.ts';
import { noViews, type Views, viewAsTable } from './view/view.ts';

/** `files`: columns of each path that is to be read, by duckdb('path') or by a name that is registered for it. */
export function catalogOf(
  tables: Snapshot['tables'],
  files: FileColumns,
  views: Views = noViews,
  system: SystemTables = noSystemTables,
  registered: Registered = noneRegistered,
): Catalog {
  const registeredTable = (name: string): SourceTable | undefined => {
    const path = registered.get(name);
    const columns = path === undefined ? undefined : files.get(path);
    return columns && { columns, timestamp: timeColumnOf(columns), files: path! };
  };
  return {
    table({ schema, name }: TableName): SourceTable | undefined {
      if (schema === 'system') {
        const columns = system.get(name)?.columns;
        return columns && { columns, timestamp: null };
      }
      if (schema !== null && schema !== 'default') return undefined;
      const view = views.get(name);
      if (view !== undefined) return viewAsTable(view);
      const table = tables.get(name)?.schema;
      if (table === undefined) return registeredTable(name);
      return {
        columns: table.columns.map((column) => ({ name: column.name, type: typeOfColumn(column) })),
        timestamp: table.columns[table.timestampColumn]!.name,
      };
    },
    tableFunction({ args }: TableFunction): SourceTable | undefined {
      const path = args[0];
      const columns = path?.kind === 'string' ? files.get(path.value) : undefined;
      return columns && { columns, timestamp: null, files: (path as StringLiteral).value };
    },
    tableNames: () => [
      ...tables.keys(),
      ...views.keys(),
      ...registered.keys(),
      ...[...system.keys()].map((name) => `system.${name}`),
    ],
  };
}
