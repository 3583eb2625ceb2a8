// What: a materialized view as a query thread holds it, from its declaration.
// Why: what cannot be kept up to date row by row must be refused when the view is made, with the reason.
// Invariant: a view answers what its query would; over a table it keeps groups of each part, over a view it is computed from that one's groups.

import { analyzeQuery, timeColumnOf } from '../../sql/analyze.ts';
import type { Call, Expression, Query, Select } from '../../sql/ast.ts';
import { nodeError } from '../../sql/errors.ts';
import { functionByName } from '../../sql/functions.ts';
import { parseStatement } from '../../sql/parser.ts';
import type { Catalog, OutputColumn, SourceTable } from '../../sql/scope.ts';
import { walk } from '../../sql/walk.ts';
import { catalogOf } from '../catalog.ts';
import { type GroupedParts, Planner } from '../plan.ts';
import type { Run } from '../run.ts';
import type { Snapshot } from '../snapshot.ts';
import { ViewParts } from './parts.ts';

export interface ViewDeclaration {
  readonly name: string;
  /** The table or view that it reads. */
  readonly source: string;
  /** Its query. */
  readonly sql: string;
}

export interface View {
  readonly declaration: ViewDeclaration;
  readonly query: Query;
  readonly planner: Planner;
  readonly columns: readonly OutputColumn[];
  /** Null for a view over a view. */
  readonly kept: { readonly grouped: GroupedParts; readonly parts: ViewParts } | null;
}

export type Views = ReadonlyMap<string, View>;

export const noViews: Views = new Map();

/** What a view is to a query that names it. */
export const viewAsTable = ({ columns }: View): SourceTable => ({
  columns,
  timestamp: timeColumnOf(columns),
});

/** Aggregates whose states merge, so that a part's is kept once and for all. */
const incremental: ReadonlySet<string> = new Set([
  ...['count', 'sum', 'avg', 'min', 'max', 'first', 'last', 'vwap', 'any_value', 'arg_min', 'arg_max'],
  ...['var_pop', 'var_samp', 'stddev_pop', 'stddev_samp', 'bool_and', 'bool_or'],
]);

/** The table or view that a view's query reads. @throws ZeptoError SQL_UNSUPPORTED with position. */
export function sourceOf(query: Query): string {
  const select = selectOf(query);
  if (select.from?.kind !== 'table')
    throw refused(select.at, 'a view reads one table or view: no join, no subquery in FROM');
  return select.from.table.name;
}

/** @throws ZeptoError SQL_* with position: the query is none, or none that a view can keep. */
export function checkView(query: Query, catalog: Catalog): readonly OutputColumn[] {
  const select = selectOf(query);
  sourceOf(query);
  if (select.from?.kind === 'table' && select.from.sampleRatio !== null)
    throw refused(select.from.at, 'a view takes every row: no SAMPLE');
  const { columns, selects } = analyzeQuery(query, catalog);
  const analysis = selects.get(select)!;
  if (analysis.grouping !== 'groups')
    throw refused(select.at, 'a view groups: it needs an aggregate, such as count(*), and mostly GROUP BY');
  for (const { expression } of analysis.items) checkExpression(expression);
  for (const key of analysis.groupKeys) checkExpression(key);
  if (select.where !== null) checkExpression(select.where);
  const names = columns.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw refused(select.at, `two columns of the view are called ${twice}: use AS`);
  return columns;
}

function selectOf(query: Query): Select {
  const { body } = query;
  if (body.kind !== 'select' || query.with.length > 0)
    throw refused(query.at, 'a view is one SELECT: no WITH, no UNION');
  if (query.orderBy.length > 0 || query.limit !== null || query.offset !== null)
    throw refused(query.at, 'a view has no order and no limit: give them when it is read');
  if (body.having !== null || body.distinct)
    throw refused(body.at, 'a view has no HAVING and no DISTINCT: filter when it is read');
  if (body.sampleBy !== null || body.latestOn !== null)
    throw refused(body.at, 'a view groups by GROUP BY, with xbar(timestamp, …) for bars');
  return body;
}

const passing: ReadonlySet<string> = new Set(['now', 'random', 'rand', 'today', 'current_timestamp']);

function checkExpression(expression: Expression): void {
  walk(expression, (e) => {
    if (e.kind === 'scalar-query' || e.kind === 'exists' || e.kind === 'in-query')
      throw refused(e.at, 'a view cannot hold a subquery: its answer would change without a new row');
    if (e.kind === 'call') checkCall(e);
    return true;
  });
}

function checkCall(call: Call): void {
  if (call.over !== null) throw refused(call.at, 'a view cannot hold a window function');
  const spec = functionByName(call.name);
  if (passing.has(call.name)) throw refused(call.at, `${call.name}() changes with time, a view must not`);
  if (spec?.kind !== 'aggregate') return;
  if (call.distinct)
    throw refused(
      call.at,
      `${call.name}(DISTINCT …) needs all values again for each new row: a view cannot keep it`,
    );
  if (!incremental.has(spec.name))
    throw refused(
      call.at,
      `${call.name} cannot be updated row by row, since it needs all values: a view cannot keep it. Possible: ${[...incremental].join(', ')}`,
    );
}

const refused = (at: number, message: string): Error => nodeError('SQL_UNSUPPORTED', at, message);

export const queryOfView = ({ sql }: ViewDeclaration): Query => {
  const { statement } = parseStatement(sql);
  if (statement.kind !== 'select') throw refused(0, 'a view is a query');
  return statement.query;
};

/**
 * The view over these tables and the views that it may read. `run` is kept as long as the view.
 * @throws ZeptoError SQL_*: its table has gone or changed.
 */
export function openView(
  declaration: ViewDeclaration,
  tables: Snapshot['tables'],
  views: Views,
  run: Run,
  bytesMax: number,
): View {
  const query = queryOfView(declaration);
  const catalog = catalogOf(tables, new Map(), views);
  checkView(query, catalog);
  const analysis = analyzeQuery(query, catalog);
  const planner = new Planner(analysis, tables, views);
  const select = selectOf(query);
  const grouped = views.has(declaration.source) ? null : planner.groupedParts(select);
  return {
    declaration,
    query,
    planner,
    columns: analysis.columns,
    kept: grouped === null ? null : { grouped, parts: new ViewParts(grouped, run, bytesMax) },
  };
}
