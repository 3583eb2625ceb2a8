// What: what the other members of the group are asked of a table that a query names.
// Why: they leave out rows that the query cannot want; what comes is asked again, so leaving one in does no harm.
// Invariant: every row that passes the conditions passes those that are sent.

import type { Call, Expression, TableReference } from '../sql/ast.ts';
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
  const alias = aliasOf(table);
  const sent = conditions.filter((condition) => isOfTable(planner, table, condition));
  const names = columns.map((name) => `${alias}.${quoteName(name)}`).join(', ');
  return {
    table: table.table.name,
    sql: `SELECT ${names} FROM ${source(table, sent)}`,
    wantsParts: false,
  };
}

/** Groups of the rows that pass the conditions, asked of each member by itself; null: they mean nothing to a member alone. */
export function peerGroups(
  planner: Planner,
  table: TableReference,
  conditions: readonly Expression[],
  keys: readonly Expression[],
  calls: readonly Call[],
): PeerQuery | null {
  const all = [...conditions, ...keys, ...calls];
  if (!all.every((e) => isOfTable(planner, table, e))) return null;
  // A number in GROUP BY would be a place.
  if (!keys.every((key) => some(key, ({ kind }) => kind === 'column'))) return null;
  const printed = keys.map(printExpression);
  const by = keys.length === 0 ? '' : ` GROUP BY ${printed.join(', ')}`;
  return {
    table: table.table.name,
    sql: `SELECT ${[...printed, ...calls.map(printExpression)].join(', ')} FROM ${source(table, conditions)}${by}`,
    wantsParts: true,
  };
}

function source(table: TableReference, conditions: readonly Expression[]): string {
  const sample = table.sampleRatio === null ? '' : ` SAMPLE ${table.sampleRatio}`;
  const where = conditions.map((e) => `(${printExpression(e)})`).join(' AND ');
  return `${quoteName(table.table.name)} AS ${aliasOf(table)}${sample}${where === '' ? '' : ` WHERE ${where}`}`;
}

const aliasOf = (table: TableReference): string => quoteName(table.alias ?? table.table.name);

/** Whether it means the same without the rest of the query. */
const isOfTable = (planner: Planner, table: TableReference, condition: Expression): boolean =>
  !some(condition, (e) => {
    if (unsent.has(e.kind)) return true;
    if (e.kind === 'call') return perRow.has(e.name) || e.over !== null;
    return e.kind === 'column' && planner.sourceColumn(e, table) === null;
  });
