// What: one SELECT: its items, groups and the rules that bind them.
// Why: a column that is neither grouped nor aggregated has no value to show; that is an error, not the first row's.
// Invariant: in a grouped SELECT every column outside of an aggregate belongs to a group key.

import type { CommonScope, Findings, Grouping, OutputItem, SelectAnalysis } from './analysis.ts';
import { analyzeFrom, placeIn } from './analyze-from.ts';
import type { ColumnReference, Expression, Select, SelectItem, StarItem } from './ast.ts';
import { excerpt, nodeError } from './errors.ts';
import { printExpression } from './print-expression.ts';
import { type Scope, type ScopeColumn, samePlaces, starColumns } from './scope.ts';
import { isAggregateCall, isWindowCall } from './type-call.ts';
import { type Place, requireCondition, typeOf } from './type-expression.ts';
import { isNumber } from './type-rules.ts';
import { childrenOf, sameExpression, some } from './walk.ts';

/** `orderBy` counts when it is decided whether the SELECT is grouped; it is analysed by the caller. */
export function analyzeSelect(
  select: Select,
  orderBy: readonly Expression[],
  findings: Findings,
  commonTables: CommonScope,
): SelectAnalysis {
  const scope = analyzeFrom(select.from, findings, commonTables);
  const aliases = select.items.flatMap((item) =>
    item.kind === 'expression' && item.alias !== null ? [item.alias] : [],
  );
  const at = (clause: string): Place => ({
    ...placeIn(scope, findings, commonTables, clause),
    hiddenAliases: aliases,
  });
  if (select.where !== null) requireCondition(select.where, at('WHERE'));
  if (select.latestOn !== null) checkLatestOn(select.latestOn, at('LATEST ON'));
  const itemPlace: Place = { ...at('SELECT'), aggregates: true, windows: true };
  const items = select.items.flatMap((item) => itemsOf(item, itemPlace));
  const grouping = groupingOf(select, scope, items, orderBy);
  const timeColumn = select.sampleBy === null ? null : sampleTime(select, scope, items);
  const groupKeys =
    grouping === 'samples'
      ? items.filter((item) => !some(item.expression, isAggregateCall)).map((item) => item.expression)
      : select.groupBy.map((key) => groupKey(key, items, at('GROUP BY')));
  const analysis: SelectAnalysis = { scope, items, grouping, groupKeys, timeColumn };
  if (select.having !== null)
    requireCondition(select.having, {
      ...outputPlace(analysis, findings, commonTables, 'HAVING'),
      windows: false,
    });
  for (const item of items) requireGrouped(item.expression, analysis, findings);
  if (select.having !== null) requireGrouped(select.having, analysis, findings);
  return analysis;
}

/** Where HAVING and ORDER BY stand: output columns can be named; in a grouped SELECT they hide columns of FROM. */
export function outputPlace(
  analysis: SelectAnalysis,
  findings: Findings,
  commonTables: CommonScope,
  clause: string,
): Place {
  return {
    ...placeIn(analysis.scope, findings, commonTables, clause),
    aggregates: analysis.grouping !== 'rows',
    windows: true,
    outputs: analysis.items,
    outputsFirst: analysis.grouping !== 'rows',
  };
}

function itemsOf(item: SelectItem, place: Place): OutputItem[] {
  if (item.kind === 'star') return starItems(item, place);
  const type = typeOf(item.expression, place);
  return [{ name: item.alias ?? nameOf(item.expression), type, expression: item.expression }];
}

/** Of a column its name, of anything else its canonical text. */
export function nameOf(e: Expression): string {
  return e.kind === 'column' ? e.name : printExpression(e);
}

function starItems(star: StarItem, place: Place): OutputItem[] {
  if (place.scope.sources.length === 0) throw nodeError('SQL_NAME', star.at, '* needs a FROM');
  return starColumns(place.scope, star).map((column) => {
    const expression: ColumnReference = { kind: 'column', at: star.at, table: star.table, name: column.name };
    if (column.places.some(({ source }) => source === place.scope.windowSource))
      throw nodeError('SQL_NAME', star.at, 'the right side of a WINDOW JOIN can only be aggregated');
    place.findings.references.set(expression, { kind: 'source', column });
    place.findings.types.set(expression, column.type);
    return { name: column.name, type: column.type, expression };
  });
}

function groupingOf(
  select: Select,
  scope: Scope,
  items: readonly OutputItem[],
  orderBy: readonly Expression[],
): Grouping {
  if (scope.windowSource !== null) {
    const other = select.groupBy[0] ?? select.having ?? select.sampleBy ?? select.latestOn;
    if (other !== undefined && other !== null)
      throw nodeError(
        'SQL_UNSUPPORTED',
        other.at,
        'a WINDOW JOIN is not grouped again: put it into a subquery',
      );
    return 'window-join';
  }
  if (select.sampleBy !== null) return 'samples';
  const aggregated = [...items.map((item) => item.expression), ...orderBy].some((e) =>
    some(e, isAggregateCall),
  );
  return select.groupBy.length > 0 || select.having !== null || aggregated ? 'groups' : 'rows';
}

function sampleTime(select: Select, scope: Scope, items: readonly OutputItem[]): ScopeColumn {
  const { at, fill } = select.sampleBy!;
  const source = scope.sources[0];
  const column = source?.columns.find((candidate) => candidate.name === source.timestamp);
  if (column === undefined)
    throw nodeError('SQL_TYPE', at, 'SAMPLE BY needs a table with an event time in FROM');
  const aggregates = items.filter((item) => some(item.expression, isAggregateCall));
  if (aggregates.length === 0)
    throw nodeError('SQL_TYPE', at, 'SAMPLE BY needs an aggregate in the select list');
  if (fill.length > 1 && fill.length !== aggregates.length)
    throw nodeError(
      'SQL_TYPE',
      fill[0]!.at,
      `FILL has ${fill.length} values for ${aggregates.length} aggregates`,
    );
  aggregates.forEach((item, i) => {
    const rule = fill[fill.length === 1 ? 0 : i];
    if (rule !== undefined && (rule.kind === 'linear' || rule.kind === 'value') && !isNumber(item.type))
      throw nodeError(
        'SQL_TYPE',
        rule.at,
        `FILL(${rule.kind}) needs a number, ${excerpt(item.name)} is none`,
      );
  });
  return column;
}

function checkLatestOn(latestOn: NonNullable<Select['latestOn']>, place: Place): void {
  const type = typeOf(latestOn.column, place);
  if (type.name !== 'TIMESTAMP_NS')
    throw nodeError(
      'SQL_TYPE',
      latestOn.column.at,
      `LATEST ON needs a timestamp, ${excerpt(latestOn.column.name)} is none`,
    );
  for (const key of latestOn.partitionBy) typeOf(key, place);
}

/** A column of FROM first, then an output column by its name; an integer is an ordinal. */
function groupKey(key: Expression, items: readonly OutputItem[], place: Place): Expression {
  if (key.kind === 'integer') return ungrouped(ordinal(key, items).expression, key);
  if (
    key.kind === 'column' &&
    key.table === null &&
    !place.scope.columns.some(({ name }) => name === key.name)
  ) {
    const item = items.find(({ name }) => name === key.name);
    if (item !== undefined) return ungrouped(item.expression, key);
  }
  typeOf(key, { ...place, outputs: [] });
  return key;
}

function ungrouped(expression: Expression, key: Expression): Expression {
  if (some(expression, (e) => isAggregateCall(e) || isWindowCall(e)))
    throw nodeError(
      'SQL_TYPE',
      key.at,
      `GROUP BY cannot name ${excerpt(printExpression(expression))}: it is computed from the groups`,
    );
  return expression;
}

/** The item at a 1-based ordinal. */
export function ordinal<T>(key: Expression & { kind: 'integer' }, items: readonly T[]): T {
  const item = items[Number(key.value) - 1];
  if (item === undefined)
    throw nodeError(
      'SQL_NAME',
      key.at,
      `there is no column ${key.value}: the select list has ${items.length}`,
    );
  return item;
}

/** @throws when a column stands outside of group keys and aggregates. */
export function requireGrouped(e: Expression, analysis: SelectAnalysis, findings: Findings): void {
  if (analysis.grouping !== 'groups' && analysis.grouping !== 'samples') return;
  const check = (node: Expression): void => {
    if (isAggregateCall(node)) return;
    if (analysis.groupKeys.some((key) => sameExpression(key, node, (l, r) => sameColumn(l, r, findings))))
      return;
    if (node.kind === 'column') {
      const reference = findings.references.get(node);
      if (reference?.kind === 'item') return;
      // With SAMPLE BY, the event time is the start of the bucket, and as such a key.
      if (
        reference !== undefined &&
        analysis.timeColumn !== null &&
        samePlaces(reference.column, analysis.timeColumn)
      )
        return;
      const name = excerpt(printExpression(node));
      throw nodeError(
        'SQL_TYPE',
        node.at,
        `${name} must stand in GROUP BY or in an aggregate such as last(${name})`,
      );
    }
    for (const child of childrenOf(node)) check(child);
  };
  check(e);
}

/** Whether two references name the same column. */
export function sameColumn(left: Expression, right: Expression, findings: Findings): boolean {
  if (left.kind !== 'column' || right.kind !== 'column') return false;
  const l = findings.references.get(left);
  const r = findings.references.get(right);
  if (l?.kind === 'item' || r?.kind === 'item')
    return l?.kind === 'item' && r?.kind === 'item' && l.index === r.index;
  return l !== undefined && r !== undefined && samePlaces(l.column, r.column);
}
