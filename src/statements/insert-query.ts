// What: INSERT … VALUES or SELECT → a query whose columns have exactly the types of the table's columns.
// Why: a value is converted, or refused, by the same rules as CAST, before anything is sent.
// Invariant: the query's columns stand in the order of the INSERT's own columns.

import { analyzeInsert } from '../sql/analyze-insert.ts';
import type { Expression, Insert, Query, Select } from '../sql/ast.ts';
import type { Catalog, SourceTable } from '../sql/scope.ts';
import { type DataType, STRING } from '../sql/types.ts';

export interface InsertQuery {
  readonly query: Query;
  /** Indexes into the table's columns, for each column of the query. */
  readonly columns: readonly number[];
}

/** @throws ZeptoError SQL_NAME or SQL_TYPE with position; the INSERT must have a query. */
export function insertQuery(insert: Insert, query: Query, table: SourceTable, catalog: Catalog): InsertQuery {
  const { columns } = analyzeInsert(insert, table, catalog);
  const types = columns.map((index) => storedAs(table.columns[index]!.type as DataType));
  const { at } = query;
  const cast = (operand: Expression, i: number): Expression => ({
    kind: 'cast',
    at: operand.at,
    operand,
    type: types[i]!,
  });
  if (query.body.kind === 'values')
    return {
      columns,
      query: { ...query, body: { ...query.body, rows: query.body.rows.map((row) => row.map(cast)) } },
    };
  const names = columns.map((_, i) => `c${i}`);
  const select: Select = {
    kind: 'select',
    at,
    distinct: false,
    items: names.map((name, i) => ({
      kind: 'expression',
      at,
      expression: cast({ kind: 'column', at, table: null, name }, i),
      alias: null,
    })),
    from: { kind: 'derived', at, query, alias: 'rows', columns: names },
    where: null,
    sampleBy: null,
    latestOn: null,
    groupBy: [],
    having: null,
  };
  return {
    columns,
    query: { kind: 'query', at, with: [], body: select, orderBy: [], limit: null, offset: null },
  };
}

/** Names travel as texts: whoever reads the topic gives them their ids. */
const storedAs = (type: DataType): DataType => (type.name === 'SYMBOL' ? STRING : type);
