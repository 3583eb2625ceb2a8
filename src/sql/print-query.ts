// What: query → canonical SQL.
// Why: a view's definition is kept as text in the catalogue, and must mean tomorrow what it meant today.
// Invariant: the text parses back to the same tree.

import type {
  Fill,
  Join,
  Query,
  QueryBody,
  SampleBy,
  Select,
  SelectItem,
  SetOperation,
  TableExpression,
  TableName,
  TableSource,
} from './ast.ts';
import { intervalText } from './interval.ts';
import { quoteName } from './keywords.ts';
import { printExpression, printLiteral, printOrder } from './print-expression.ts';

export function printQuery(query: Query): string {
  const parts: string[] = [];
  if (query.with.length > 0) {
    const tables = query.with.map(
      (table) => `${quoteName(table.name)}${columnNames(table.columns)} AS (${printQuery(table.query)})`,
    );
    parts.push(`WITH ${tables.join(', ')}`);
  }
  parts.push(printBody(query.body));
  if (query.orderBy.length > 0) parts.push(`ORDER BY ${printOrder(query.orderBy)}`);
  if (query.limit !== null) parts.push(`LIMIT ${printExpression(query.limit)}`);
  if (query.offset !== null) parts.push(`OFFSET ${printExpression(query.offset)}`);
  return parts.join(' ');
}

function printBody(body: QueryBody): string {
  switch (body.kind) {
    case 'select':
      return printSelect(body);
    case 'values':
      return `VALUES ${body.rows.map((row) => `(${row.map(printExpression).join(', ')})`).join(', ')}`;
    case 'query':
      return `(${printQuery(body)})`;
    case 'set-operation':
      return printSetOperation(body);
  }
}

/** In parentheses where an operand would otherwise be read as part of its neighbour. */
function printSetOperation(operation: SetOperation): string {
  const level = setLevel(operation);
  const operands = operation.operands.map((operand, i) => {
    const text = printBody(operand);
    if (operand.kind !== 'set-operation') return text;
    const loose = setLevel(operand) < level || (setLevel(operand) === level && i > 0);
    return loose ? `(${text})` : text;
  });
  return operands.join(` ${operation.operator}${operation.all ? ' ALL' : ''} `);
}

/** INTERSECT binds tighter than UNION and EXCEPT. */
const setLevel = (operation: SetOperation): number => (operation.operator === 'INTERSECT' ? 2 : 1);

function printSelect(select: Select): string {
  const parts = [select.distinct ? 'SELECT DISTINCT' : 'SELECT', select.items.map(printItem).join(', ')];
  if (select.from !== null) parts.push('FROM', printTable(select.from));
  if (select.where !== null) parts.push('WHERE', printExpression(select.where));
  if (select.sampleBy !== null) parts.push(printSampleBy(select.sampleBy));
  if (select.latestOn !== null) {
    const keys = select.latestOn.partitionBy.map(printExpression).join(', ');
    parts.push(`LATEST ON ${printExpression(select.latestOn.column)} PARTITION BY ${keys}`);
  }
  if (select.groupBy.length > 0) parts.push('GROUP BY', select.groupBy.map(printExpression).join(', '));
  if (select.having !== null) parts.push('HAVING', printExpression(select.having));
  return parts.join(' ');
}

function printItem(item: SelectItem): string {
  if (item.kind === 'star') return item.table === null ? '*' : `${quoteName(item.table)}.*`;
  return `${printExpression(item.expression)}${alias(item.alias)}`;
}

function printSampleBy(sampleBy: SampleBy): string {
  const fill = sampleBy.fill.length === 0 ? '' : ` FILL(${sampleBy.fill.map(printFill).join(', ')})`;
  return `SAMPLE BY INTERVAL '${intervalText(sampleBy.everyNs)}'${fill}`;
}

const printFill = (fill: Fill): string =>
  fill.value === null ? fill.kind.toUpperCase() : printLiteral(fill.value);

function printTable(table: TableExpression): string {
  return table.kind === 'join' ? printJoin(table) : printSource(table);
}

function printSource(source: TableSource): string {
  switch (source.kind) {
    case 'table': {
      const sample = source.sampleRatio === null ? '' : ` SAMPLE ${source.sampleRatio}`;
      return `${printTableName(source.table)}${alias(source.alias)}${sample}`;
    }
    case 'derived':
      return `(${printQuery(source.query)})${alias(source.alias)}${columnNames(source.columns)}`;
    case 'table-function':
      return `${source.name}(${source.args.map(printExpression).join(', ')})${alias(source.alias)}`;
  }
}

function printJoin(join: Join): string {
  const parts = [
    printTable(join.left),
    join.join === 'INNER' ? 'JOIN' : `${join.join} JOIN`,
    printSource(join.right),
  ];
  if (join.condition?.kind === 'on') parts.push('ON', printExpression(join.condition.expression));
  if (join.condition?.kind === 'using') parts.push(`USING${columnNames(join.condition.columns)}`);
  if (join.toleranceNs !== null) parts.push(`TOLERANCE INTERVAL '${intervalText(join.toleranceNs)}'`);
  return parts.join(' ');
}

export function printTableName(table: TableName): string {
  return table.schema === null
    ? quoteName(table.name)
    : `${quoteName(table.schema)}.${quoteName(table.name)}`;
}

/** ` (a, b)`; nothing for none. */
export function columnNames(columns: readonly string[]): string {
  return columns.length === 0 ? '' : ` (${columns.map(quoteName).join(', ')})`;
}

const alias = (name: string | null): string => (name === null ? '' : ` AS ${quoteName(name)}`);
