// What: a snapshot as the analysis sees it: tables with their columns and event times.
// Why: names are checked against exactly the tables that will be read.
// Invariant: columns stand in declared order, so that their indexes are those of the table's schema.

import type { TableFunction, TableName } from '../sql/ast.ts';
import type { Catalog, OutputColumn, SourceTable } from '../sql/scope.ts';
import { typeOfColumn } from '../sql/types.ts';
import type { Snapshot } from './snapshot.ts';
import { noSystemTables, type SystemTables } from './system/system-table.ts';
import { noViews, type Views, viewAsTable } from './view/view.ts';

/** `files`: columns of each duckdb('path') of the query, by path. */
export function catalogOf(
  tables: Snapshot['tables'],
  files: ReadonlyMap<string, readonly OutputColumn[]>,
  views: Views = noViews,
  system: SystemTables = noSystemTables,
): Catalog {
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
      if (table === undefined) return undefined;
      return {
        columns: table.columns.map((column) => ({ name: column.name, type: typeOfColumn(column) })),
        timestamp: table.columns[table.timestampColumn]!.name,
      };
    },
    tableFunction({ args }: TableFunction): SourceTable | undefined {
      const path = args[0];
      const columns = path?.kind === 'string' ? files.get(path.value) : undefined;
      return columns && { columns, timestamp: null };
    },
    tableNames: () => [
      ...tables.keys(),
      ...views.keys(),
      ...[...system.keys()].map((name) => `system.${name}`),
    ],
  };
}
