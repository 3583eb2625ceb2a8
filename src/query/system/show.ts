// What: SHOW as the SELECT that it stands for, and the columns of DESCRIBE.
// Why: what SHOW tells can be asked for with conditions and joins too, and both ways give the same rows.
// Invariant: an unknown table is an error with the nearest name, never an empty answer.

import type { Describe, Query, Show, ShowSubject, TableName } from '../../sql/ast.ts';
import { excerpt, nodeError } from '../../sql/errors.ts';
import { quoteString } from '../../sql/keywords.ts';
import { nearest } from '../../sql/nearest.ts';
import { parseQuery } from '../../sql/parser.ts';
import type { Catalog, OutputColumn, SourceTable } from '../../sql/scope.ts';
import { STRING, typeText } from '../../sql/types.ts';
import { plainResult } from '../plain-result.ts';
import type { ResultSet } from '../result.ts';
import type { TypeName } from './tables.ts';

/** `$` stands for the condition of FOR. */
const queries: Readonly<Record<ShowSubject, string>> = {
  TABLES: `SELECT name, total_rows AS rows FROM system.tables
           WHERE database = 'default' AND engine IN ('Ticks', 'Parquet') ORDER BY name`,
  TIERS: `SELECT * FROM system.tiers $ ORDER BY table, strpos('hot warm cold', tier)`,
  SEGMENTS: 'SELECT * FROM system.segments $ ORDER BY table, symbol, hour, partition, min_time NULLS LAST',
  'MATERIALIZED VIEWS': 'SELECT * FROM system.views ORDER BY view',
  'STORAGE POLICY': 'SELECT table, policy FROM system.policies $ ORDER BY table',
  'KAFKA LAG': 'SELECT * FROM system.kafka_lag ORDER BY topic, partition',
};

/** @throws ZeptoError SQL_NAME for FOR an unknown table */
export function showQuery({ subject, table }: Show, catalog: Catalog): Query {
  if (table !== null) known(table, catalog);
  const condition = table === null ? '' : `WHERE table = ${quoteString(table.name)}`;
  return parseQuery(queries[subject].replace('$', () => condition));
}

/**
 * `clickhouseType` null: this system's own answer, `column` and `type` as declared; else the columns that clients of
 * ClickHouse look for.
 */
export function describeTable(
  { table }: Describe,
  catalog: Catalog,
  clickhouseType: TypeName | null,
): ResultSet {
  const { columns } = known(table, catalog);
  if (clickhouseType === null)
    return plainResult(
      texts('column', 'type'),
      columns.map(({ name, type }) => [name, typeText(type)]),
    );
  return plainResult(
    texts(
      ...['name', 'type', 'default_type', 'default_expression'],
      ...['comment', 'codec_expression', 'ttl_expression'],
    ),
    columns.map((column) => [column.name, clickhouseType(column), '', '', '', '', '']),
  );
}

function known(table: TableName, catalog: Catalog): SourceTable {
  const found = catalog.table(table);
  if (found !== undefined) return found;
  const shown = table.schema === null ? table.name : `${table.schema}.${table.name}`;
  throw nodeError('SQL_NAME', table.at, `unknown table ${excerpt(shown)}`, {
    unknown: 'table',
    suggestion: nearest(shown, catalog.tableNames()),
  });
}

const texts = (...names: readonly string[]): OutputColumn[] => names.map((name) => ({ name, type: STRING }));
