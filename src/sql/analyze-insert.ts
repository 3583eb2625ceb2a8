// What: an INSERT checked against its table: columns, their number, and whether each value can go where it shall.
// Why: rows go to Kafka and stay for ever; what cannot be stored must be refused before it is sent.
// Invariant: after the check each value position names a column, and every time and symbol column gets a value.

import type { QueryAnalysis } from './analysis.ts';
import { analyzeQuery, noFindings } from './analyze.ts';
import { placeIn } from './analyze-from.ts';
import type { Insert, Query, Values } from './ast.ts';
import { excerpt, nodeError } from './errors.ts';
import { nearest } from './nearest.ts';
import { type Catalog, emptyScope, type SourceTable } from './scope.ts';
import { parseTimestamp } from './timestamp.ts';
import { typeOf } from './type-expression.ts';
import { isInteger, isNumber } from './type-rules.ts';
import { type SqlType, typeText } from './types.ts';

export interface InsertAnalysis {
  /** For each value of a row, the index of its column in the table. */
  readonly columns: readonly number[];
  /** Of VALUES the types of the single values, without columns; null when the rows come with the request. */
  readonly query: QueryAnalysis | null;
}

/** @throws ZeptoError SQL_NAME or SQL_TYPE with position. */
export function analyzeInsert(insert: Insert, table: SourceTable, catalog: Catalog): InsertAnalysis {
  const columns = targetColumns(insert, table);
  if (insert.query === null) return { columns, query: null };
  const { body } = insert.query;
  const query = body.kind === 'values' ? analyzeRows(body, catalog) : analyzeQuery(insert.query, catalog);
  const count = body.kind === 'values' ? body.rows[0]!.length : query.columns.length;
  if (count !== columns.length)
    throw nodeError(
      'SQL_TYPE',
      insert.query.at,
      `column count mismatch: expected ${columns.length}, got ${count}`,
    );
  columns.forEach((index, i) => {
    const column = table.columns[index]!;
    for (const { at, type, literal } of valuesAt(insert.query!, query, i)) {
      const problem = assignmentProblem(type, column.type, literal);
      if (problem !== null) throw nodeError('SQL_TYPE', at, `column ${excerpt(column.name)}: ${problem}`);
    }
  });
  return { columns, query };
}

function targetColumns(insert: Insert, table: SourceTable): number[] {
  if (insert.columns.length === 0) return table.columns.map((_, index) => index);
  const indices = insert.columns.map((name) => {
    const index = table.columns.findIndex((column) => column.name === name);
    if (index >= 0) return index;
    throw nodeError(
      'SQL_NAME',
      insert.table.at,
      `unknown column ${excerpt(name)} in ${excerpt(insert.table.name)}`,
      {
        suggestion: nearest(
          name,
          table.columns.map((column) => column.name),
        ),
      },
    );
  });
  // A missing event time is the record's Kafka timestamp, as for any message without one; a symbol has no default.
  table.columns.forEach((column, index) => {
    if (column.type.name === 'SYMBOL' && !indices.includes(index))
      throw nodeError(
        'SQL_TYPE',
        insert.table.at,
        `column ${excerpt(column.name)} needs a value: a symbol is never NULL`,
      );
  });
  return indices;
}

/** Each value goes into its column by itself: the rows need no common type, as those of a VALUES table do. */
function analyzeRows(values: Values, catalog: Catalog): QueryAnalysis {
  const findings = noFindings(catalog);
  const place = placeIn(emptyScope, findings, new Map(), 'VALUES');
  for (const row of values.rows) for (const value of row) typeOf(value, place);
  return { ...findings, columns: [] };
}

interface Value {
  readonly at: number;
  readonly type: SqlType;
  /** Text of a string literal, else null. */
  readonly literal: string | null;
}

/** Each value of VALUES by itself, so that the error points at it; of another query its column. */
function valuesAt(query: Query, analysis: QueryAnalysis, i: number): Value[] {
  if (query.body.kind !== 'values') return [{ at: query.at, type: analysis.columns[i]!.type, literal: null }];
  return query.body.rows.map((row) => {
    const e = row[i]!;
    return { at: e.at, type: analysis.types.get(e)!, literal: e.kind === 'string' ? e.value : null };
  });
}

/** Why a value of type `from` cannot go into a column of type `to`; null when it can. Ranges are checked row by row. */
function assignmentProblem(from: SqlType, to: SqlType, literal: string | null): string | null {
  if (from.name === 'NULL')
    return to.name === 'SYMBOL' || to.name === 'TIMESTAMP_NS' ? `a ${typeText(to)} is never NULL` : null;
  const fits =
    from.name === to.name ||
    (isNumber(from) && isNumber(to)) ||
    (isInteger(from) && (to.name === 'TIMESTAMP_NS' || to.name === 'SYMBOL')) ||
    (from.name === 'TIMESTAMP_NS' && to.name === 'INT64') ||
    (from.name === 'STRING' && to.name === 'SYMBOL') ||
    (from.name === 'SYMBOL' && to.name === 'STRING') ||
    (to.name === 'TIMESTAMP_NS' && literal !== null && parseTimestamp(literal) !== null);
  return fits ? null : `${typeText(from)} cannot be stored as ${typeText(to)}`;
}
