// What: statement → canonical SQL.
// Why: the catalogue, the slow-query log and EXPLAIN show one spelling for what means the same.
// Invariant: parseStatement(printStatement(s)) equals s but for positions.

import type {
  AlterAction,
  ColumnDefinition,
  CreateTable,
  CreateView,
  Insert,
  Option,
  ParsedStatement,
  Show,
  Statement,
  Update,
} from './ast.ts';
import { quoteName } from './keywords.ts';
import { printExpression, printLiteral } from './print-expression.ts';
import { columnNames, printQuery, printTableName } from './print-query.ts';
import { typeText } from './types.ts';

export { printExpression } from './print-expression.ts';
export { printQuery } from './print-query.ts';

export function printStatement(parsed: ParsedStatement): string {
  const parts = [print(parsed.statement)];
  if (parsed.settings.length > 0) parts.push(`SETTINGS ${parsed.settings.map(printOption).join(', ')}`);
  if (parsed.format !== null) parts.push(`FORMAT ${parsed.format}`);
  return parts.join(' ');
}

function print(s: Statement): string {
  switch (s.kind) {
    case 'select':
      return printQuery(s.query);
    case 'explain':
      return `EXPLAIN ${s.analyze ? 'ANALYZE ' : ''}${print(s.statement)}`;
    case 'create-table':
      return printCreateTable(s);
    case 'drop-table':
      return `DROP TABLE ${s.ifExists ? 'IF EXISTS ' : ''}${printTableName(s.table)}`;
    case 'alter-table':
      return `ALTER TABLE ${printTableName(s.table)} ${printAction(s.action)}`;
    case 'create-view':
      return printCreateView(s);
    case 'drop-view':
      return `DROP MATERIALIZED VIEW ${s.ifExists ? 'IF EXISTS ' : ''}${printTableName(s.view)}`;
    case 'insert':
      return printInsert(s);
    case 'update':
      return printUpdate(s);
    case 'delete':
      return `DELETE FROM ${printTableName(s.table)}${s.where === null ? '' : ` WHERE ${printExpression(s.where)}`}`;
    case 'show':
      return printShow(s);
    case 'describe':
      return `DESCRIBE ${printTableName(s.table)}`;
  }
}

function printCreateTable(s: CreateTable): string {
  const exists = s.ifNotExists ? 'IF NOT EXISTS ' : '';
  const columns = s.columns.length === 0 ? '' : ` (${s.columns.map(printColumn).join(', ')})`;
  return `CREATE TABLE ${exists}${printTableName(s.table)}${columns}${printOptions(s.options)}`;
}

const printColumn = (column: ColumnDefinition): string =>
  `${quoteName(column.name)} ${typeText(column.type)}`;

function printCreateView(s: CreateView): string {
  const replace = s.orReplace ? 'OR REPLACE ' : '';
  const exists = s.ifNotExists ? 'IF NOT EXISTS ' : '';
  const query = printQuery(s.query);
  return `CREATE ${replace}MATERIALIZED VIEW ${exists}${printTableName(s.view)} AS ${query}${printOptions(s.options)}`;
}

const printOption = (option: Option): string => `${quoteName(option.name)} = ${printLiteral(option.value)}`;

const printOptions = (options: readonly Option[]): string =>
  options.length === 0 ? '' : ` WITH (${options.map(printOption).join(', ')})`;

function printAction(action: AlterAction): string {
  switch (action.kind) {
    case 'add-column':
      return `ADD COLUMN ${printColumn(action.column)}`;
    case 'drop-column':
      return `DROP COLUMN ${quoteName(action.name)}`;
    case 'set-ttl':
      return `SET TTL ${ageText(action.ageMinutes)}`;
    case 'set-storage-policy':
      return `SET STORAGE POLICY ${action.rules.map((rule) => `${rule.tier} ${ageText(rule.ageMinutes)}`).join(' ')}`;
  }
}

/** In the largest unit that divides it: 90 MINUTES, 36 HOURS, 30 DAYS. */
export function ageText(minutes: number): string {
  if (minutes % 1440 === 0) return `${minutes / 1440} DAYS`;
  return minutes % 60 === 0 ? `${minutes / 60} HOURS` : `${minutes} MINUTES`;
}

function printInsert(s: Insert): string {
  const query = s.query === null ? '' : ` ${printQuery(s.query)}`;
  return `INSERT INTO ${printTableName(s.table)}${columnNames(s.columns)}${query}`;
}

function printUpdate(s: Update): string {
  const assignments = s.assignments.map(
    ({ column, value }) => `${quoteName(column)} = ${printExpression(value)}`,
  );
  const where = s.where === null ? '' : ` WHERE ${printExpression(s.where)}`;
  return `UPDATE ${printTableName(s.table)} SET ${assignments.join(', ')}${where}`;
}

function printShow(s: Show): string {
  return `SHOW ${s.subject}${s.table === null ? '' : ` FOR ${printTableName(s.table)}`}`;
}
