// What: what the other members of the group are asked of a table that a query names.
// Why: they leave out rows that the query cannot want; what comes is asked again, so leaving one in does no harm.
// Invariant: every row that passes the conditions passes those that are sent.

import type { Expression, TableReference } from '../sql/ast.ts';
import { quoteName } from '../sql/keywords.ts';
import { printExpression } from '../sql/print-expression.ts';
import { some } from '../sql/walk.ts';
import type { PeerQuery } from './group-scan.ts';
import type { Planner } from './plan.ts';

/** Each row has its own: what one member lets through says nothing about another. */
const perRow: ReadonlySet<string> = new Set(['random', 'rand']);

const unsent: ReadonlySet<Expression['kind']> = new Set(['scalar-query', 'exists', 'in-query', 'parameter']);

export function peerQuery(
  planner: Planner,
  table: TableReference,
  conditions: readonly Expression[],
  columns: readonly string[],
): PeerQuery {
  const alias = quoteName(table.alias ?? table.table.name);
  const sent = conditions
    .filter((condition) => isOfTable(planner, table, condition))
    .map((e) => `(${printExpression(e)})`);
  const where = sent.length === 0 ? '' : ` WHERE ${sent.join(' AND ')}`;
  const sample = table.sampleRatio === null ? '' : ` SAMPLE ${table.sampleRatio}`;
  const names = columns.map((name) => `${alias}.${quoteName(name)}`).join(', ');
  const name = quoteName(table.table.name);
  return {
    table: table.table.name,
    sql: `SELECT ${names} FROM ${name} AS ${alias}${sample}${where}`,
  };
}

/** Whether it means the same without the rest of the query. */
const isOfTable = (planner: Planner, table: TableReference, condition: Expression): boolean =>
  !some(condition, (e) => {
    if (unsent.has(e.kind)) return true;
    if (e.kind === 'call') return perRow.has(e.name) || e.over !== null;
    return e.kind === 'column' && planner.sourceColumn(e, table) === null;
  });
