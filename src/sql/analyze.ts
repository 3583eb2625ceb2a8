// What: the names and types of a whole query, checked against a catalogue.
// Why: everything that can be told to be wrong without data is told before any is read.
// Invariant: needs no storage: the catalogue is asked for columns and nothing else.

import type { CommonScope, Findings, OrderKey, QueryAnalysis, SelectAnalysis } from './analysis.ts';
import { placeIn, renamed } from './analyze-from.ts';
import { analyzeSelect, ordinal, outputPlace, requireGrouped, sameColumn } from './analyze-select.ts';
import type { Expression, OrderItem, Query, QueryBody, SetOperation, Values } from './ast.ts';
import { excerpt, nodeError } from './errors.ts';
import { nearest } from './nearest.ts';
import { type Catalog, emptyScope, type OutputColumn } from './scope.ts';
import { typeOf, unify } from './type-expression.ts';
import { commonType } from './type-rules.ts';
import { NULL, typeText } from './types.ts';
import { sameExpression } from './walk.ts';

/** @throws ZeptoError SQL_NAME, SQL_TYPE or SQL_UNSUPPORTED with `position`. */
export function analyzeQuery(query: Query, catalog: Catalog): QueryAnalysis {
  const findings = noFindings(catalog);
  const columns = analyzeNestedQuery(query, findings, new Map());
  return { columns, ...findings };
}

export function noFindings(catalog: Catalog): Findings {
  return {
    catalog,
    types: new Map(),
    references: new Map(),
    selects: new Map(),
    orders: new Map(),
    joins: new Map(),
    sources: new Map(),
    commonTables: new Map(),
    outputs: new Map(),
  };
}

/** A query inside of another: it sees the tables of WITH, but no column around it. */
export function analyzeNestedQuery(
  query: Query,
  findings: Findings,
  outer: CommonScope,
): readonly OutputColumn[] {
  let commonTables = outer;
  for (const definition of query.with) {
    const columns = analyzeNestedQuery(definition.query, findings, commonTables);
    const table = renamed(columns, definition.columns, definition.at);
    commonTables = new Map(commonTables).set(definition.name, { definition, table });
  }
  const orderBy = query.orderBy.map((item) => item.expression);
  const { columns, select } = analyzeBody(query.body, orderBy, findings, commonTables);
  const distinct = query.body.kind === 'select' && query.body.distinct;
  const keys = query.orderBy.map((item) => orderKey(item, columns, select, distinct, findings, commonTables));
  findings.orders.set(query, keys);
  findings.outputs.set(query, columns);
  return columns;
}

interface Body {
  readonly columns: readonly OutputColumn[];
  readonly select: SelectAnalysis | null;
}

function analyzeBody(
  body: QueryBody,
  orderBy: readonly Expression[],
  findings: Findings,
  commonTables: CommonScope,
): Body {
  switch (body.kind) {
    case 'select': {
      const select = analyzeSelect(body, orderBy, findings, commonTables);
      findings.selects.set(body, select);
      return { columns: select.items.map(({ name, type }) => ({ name, type })), select };
    }
    case 'query':
      return { columns: analyzeNestedQuery(body, findings, commonTables), select: null };
    case 'values':
      return { columns: valuesColumns(body, findings, commonTables), select: null };
    case 'set-operation':
      return { columns: setColumns(body, findings, commonTables), select: null };
  }
}

function valuesColumns(values: Values, findings: Findings, commonTables: CommonScope): OutputColumn[] {
  const place = placeIn(emptyScope, findings, commonTables, 'VALUES');
  for (const row of values.rows) for (const value of row) typeOf(value, place);
  return values.rows[0]!.map((_, i) => ({
    name: `column${i + 1}`,
    type: unify(
      values.rows.map((row) => row[i]!),
      `column ${i + 1} of VALUES`,
      place,
    ),
  }));
}

/** Names are the first operand's; types are what all have in common. */
function setColumns(operation: SetOperation, findings: Findings, commonTables: CommonScope): OutputColumn[] {
  const operands = operation.operands.map((body) => analyzeBody(body, [], findings, commonTables).columns);
  const first = operands[0]!;
  const lengths = operands.map((columns) => columns.length);
  if (lengths.some((length) => length !== first.length))
    throw nodeError(
      'SQL_TYPE',
      operation.at,
      `${operation.operator} of queries with ${lengths.join(' and ')} columns`,
    );
  return first.map(({ name }, i) => {
    let type: OutputColumn['type'] = NULL;
    for (const columns of operands) {
      const next = commonType(type, columns[i]!.type);
      if (next === null) {
        const mixed = `${typeText(type)} and ${typeText(columns[i]!.type)}`;
        throw nodeError(
          'SQL_TYPE',
          operation.at,
          `${operation.operator}: column ${i + 1} (${excerpt(name)}) mixes ${mixed}`,
        );
      }
      type = next;
    }
    return { name, type };
  });
}

/** An ordinal, else an output column by its name, else the same expression as an item, else over the columns of FROM. */
function orderKey(
  item: OrderItem,
  columns: readonly OutputColumn[],
  select: SelectAnalysis | null,
  distinct: boolean,
  findings: Findings,
  commonTables: CommonScope,
): OrderKey {
  const key = item.expression;
  if (key.kind === 'integer') return { kind: 'output', index: columns.indexOf(ordinal(key, columns)) };
  if (key.kind === 'column' && key.table === null) {
    const index = columns.findIndex(({ name }) => name === key.name);
    if (index >= 0) return { kind: 'output', index };
  }
  if (select === null) {
    const place = { ...placeIn(emptyScope, findings, commonTables, 'ORDER BY'), outputs: columns };
    if (key.kind === 'column') throw unknownOutput(key, columns);
    typeOf(key, place);
    return { kind: 'expression', expression: key };
  }
  typeOf(key, outputPlace(select, findings, commonTables, 'ORDER BY'));
  const index = select.items.findIndex(({ expression }) =>
    sameExpression(expression, key, (l, r) => sameColumn(l, r, findings)),
  );
  if (index >= 0) return { kind: 'output', index };
  if (distinct)
    throw nodeError('SQL_TYPE', key.at, 'with DISTINCT, ORDER BY can only name columns of the select list');
  requireGrouped(key, select, findings);
  return { kind: 'expression', expression: key };
}

function unknownOutput(key: Expression & { kind: 'column' }, columns: readonly OutputColumn[]): Error {
  const names = columns.map(({ name }) => name);
  return nodeError('SQL_NAME', key.at, `ORDER BY: ${excerpt(key.name)} is no column of the result`, {
    suggestion: nearest(key.name, names),
  });
}

/** The column that serves as event time: the one called timestamp, or the only timestamp. */
export function timeColumnOf(columns: readonly OutputColumn[]): string | null {
  const times = columns.filter(({ type }) => type.name === 'TIMESTAMP_NS');
  const named = times.find(({ name }) => name === 'timestamp');
  return (named ?? (times.length === 1 ? times[0] : undefined))?.name ?? null;
}
