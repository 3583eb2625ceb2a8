// What: the tables, views and files that a query reads, wherever in it they stand.
// Why: access lists, `duckdb()` paths and the use of a view by another are decided before the query is analysed.
// Invariant: names that WITH defines are not reported; everything else in a FROM is, once for each place.

import type {
  Expression,
  Query,
  QueryBody,
  Select,
  TableExpression,
  TableFunction,
  TableReference,
} from './ast.ts';
import { walk } from './walk.ts';

export function sourcesOf(query: Query): (TableReference | TableFunction)[] {
  const found: (TableReference | TableFunction)[] = [];
  collectQuery(query, new Set(), found);
  return found;
}

type Found = (TableReference | TableFunction)[];
type Names = ReadonlySet<string>;

function collectQuery(query: Query, outer: Names, found: Found): void {
  let hidden = outer;
  for (const table of query.with) {
    collectQuery(table.query, hidden, found);
    hidden = new Set([...hidden, table.name]);
  }
  collectBody(query.body, hidden, found);
  for (const item of query.orderBy) collectExpression(item.expression, hidden, found);
}

function collectBody(body: QueryBody, hidden: Names, found: Found): void {
  switch (body.kind) {
    case 'query':
      collectQuery(body, hidden, found);
      break;
    case 'set-operation':
      for (const operand of body.operands) collectBody(operand, hidden, found);
      break;
    case 'values':
      for (const row of body.rows) for (const value of row) collectExpression(value, hidden, found);
      break;
    case 'select':
      collectSelect(body, hidden, found);
      break;
  }
}

function collectSelect(select: Select, hidden: Names, found: Found): void {
  if (select.from !== null) collectTable(select.from, hidden, found);
  for (const item of select.items)
    if (item.kind === 'expression') collectExpression(item.expression, hidden, found);
  for (const e of [select.where, ...select.groupBy, select.having])
    if (e !== null) collectExpression(e, hidden, found);
}

function collectTable(table: TableExpression, hidden: Names, found: Found): void {
  switch (table.kind) {
    case 'join':
      collectTable(table.left, hidden, found);
      collectTable(table.right, hidden, found);
      if (table.condition?.kind === 'on') collectExpression(table.condition.expression, hidden, found);
      break;
    case 'derived':
      collectQuery(table.query, hidden, found);
      break;
    case 'table':
      if (table.table.schema !== null || !hidden.has(table.table.name)) found.push(table);
      break;
    case 'table-function':
      found.push(table);
      break;
  }
}

function collectExpression(expression: Expression, hidden: Names, found: Found): void {
  walk(expression, (e) => {
    if (e.kind === 'scalar-query' || e.kind === 'exists' || e.kind === 'in-query')
      collectQuery(e.query, hidden, found);
    return true;
  });
}
