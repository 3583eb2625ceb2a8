// What: CREATE, DROP and ALTER.
// Why: what changes the catalogue is small and stands apart from what reads data.
// Invariant: what the text alone can show to be wrong (two columns of a name, OR REPLACE with IF NOT EXISTS) is refused here.

import type {
  AlterAction,
  AlterTable,
  ColumnDefinition,
  CreateTable,
  CreateView,
  DropTable,
  DropView,
  Option,
  OptionValue,
  PolicyRule,
} from './ast.ts';
import type { Cursor } from './cursor.ts';
import { excerpt } from './errors.ts';
import { parseTableName } from './parse-from.ts';
import { parseCount, parseNumber, parseType, startsNumber } from './parse-literal.ts';
import { parseQuery } from './parse-query.ts';

export function parseCreate(cursor: Cursor): CreateTable | CreateView {
  const { at } = cursor.advance();
  if (cursor.acceptWord('TABLE')) return parseCreateTable(cursor, at);
  const orReplace = cursor.acceptWords('OR', 'REPLACE');
  if (!cursor.acceptWords('MATERIALIZED', 'VIEW')) throw cursor.unexpected();
  const existsAt = cursor.at;
  const ifNotExists = cursor.acceptWords('IF', 'NOT', 'EXISTS');
  if (orReplace && ifNotExists)
    throw cursor.refuse(existsAt, 'OR REPLACE and IF NOT EXISTS exclude each other');
  const view = parseTableName(cursor, 'a view');
  // Before the query, as others have it, or after it.
  const before = parseWith(cursor);
  cursor.expectWord('AS');
  const query = parseQuery(cursor);
  const options = before.length > 0 ? before : parseWith(cursor);
  return { kind: 'create-view', at, view, orReplace, ifNotExists, query, options };
}

function parseCreateTable(cursor: Cursor, at: number): CreateTable {
  const ifNotExists = cursor.acceptWords('IF', 'NOT', 'EXISTS');
  const table = parseTableName(cursor);
  // A table of files takes its columns from them.
  const columns = cursor.seesWord('WITH') ? [] : parseColumnDefinitions(cursor);
  return { kind: 'create-table', at, table, ifNotExists, columns, options: parseWith(cursor) };
}

function parseColumnDefinitions(cursor: Cursor): ColumnDefinition[] {
  cursor.expectOperator('(');
  const columns = cursor.commaList(() => parseColumnDefinition(cursor));
  cursor.expectOperator(')');
  const seen = new Set<string>();
  for (const column of columns) {
    if (seen.has(column.name))
      throw cursor.refuse(column.at, `column ${excerpt(column.name)} is there twice`);
    seen.add(column.name);
  }
  return columns;
}

function parseColumnDefinition(cursor: Cursor): ColumnDefinition {
  const at = cursor.at;
  return { at, name: cursor.expectName('a column'), type: parseType(cursor) };
}

/** [WITH (key = value, …)]; keys at most once. */
function parseWith(cursor: Cursor): Option[] {
  if (!cursor.acceptWord('WITH')) return [];
  cursor.expectOperator('(');
  const options = parseOptions(cursor);
  cursor.expectOperator(')');
  return options;
}

export function parseOptions(cursor: Cursor): Option[] {
  const seen = new Set<string>();
  return cursor.commaList(() => {
    const at = cursor.at;
    const name = cursor.expectName('an option');
    if (seen.has(name)) throw cursor.refuse(at, `${excerpt(name)} is set twice`);
    seen.add(name);
    cursor.expectOperator('=');
    return { at, name, value: parseOptionValue(cursor) };
  });
}

function parseOptionValue(cursor: Cursor): OptionValue {
  const token = cursor.token;
  const { at } = token;
  if (startsNumber(token)) return parseNumber(cursor, at, false);
  if (cursor.acceptOperator('-')) {
    if (!startsNumber(cursor.token)) throw cursor.unexpected('a number');
    return parseNumber(cursor, at, true);
  }
  if (token.kind === 'string') return { kind: 'string', at, value: cursor.advance().text };
  if (token.kind !== 'word') throw cursor.unexpected('a value');
  cursor.advance();
  if (token.word === 'TRUE' || token.word === 'FALSE')
    return { kind: 'boolean', at, value: token.word === 'TRUE' };
  return { kind: 'string', at, value: token.text };
}

export function parseDrop(cursor: Cursor): DropTable | DropView {
  const { at } = cursor.advance();
  if (cursor.acceptWord('TABLE')) {
    const ifExists = cursor.acceptWords('IF', 'EXISTS');
    return { kind: 'drop-table', at, ifExists, table: parseTableName(cursor) };
  }
  if (!cursor.acceptWords('MATERIALIZED', 'VIEW')) throw cursor.unexpected();
  const ifExists = cursor.acceptWords('IF', 'EXISTS');
  return { kind: 'drop-view', at, ifExists, view: parseTableName(cursor, 'a view') };
}

export function parseAlter(cursor: Cursor): AlterTable {
  const { at } = cursor.advance();
  cursor.expectWord('TABLE');
  const table = parseTableName(cursor);
  return { kind: 'alter-table', at, table, action: parseAlterAction(cursor) };
}

function parseAlterAction(cursor: Cursor): AlterAction {
  const at = cursor.at;
  if (cursor.acceptWord('ADD')) {
    cursor.acceptWord('COLUMN');
    return { kind: 'add-column', column: parseColumnDefinition(cursor) };
  }
  if (cursor.acceptWord('DROP')) {
    cursor.acceptWord('COLUMN');
    return { kind: 'drop-column', at, name: cursor.expectName('a column') };
  }
  cursor.expectWord('SET');
  if (cursor.acceptWord('TTL')) return { kind: 'set-ttl', at, ageMinutes: parseAge(cursor, 'DAYS') };
  if (cursor.token.word === 'ATTRIBUTE')
    throw cursor.unsupported(
      cursor.at,
      'SET ATTRIBUTE is not needed: blocks carry statistics, rows are in time order',
    );
  if (!cursor.acceptWords('STORAGE', 'POLICY')) throw cursor.unexpected();
  const rules: PolicyRule[] = [parsePolicyRule(cursor)];
  while (tiers.some((tier) => cursor.seesWord(tier))) rules.push(parsePolicyRule(cursor));
  return { kind: 'set-storage-policy', at, rules };
}

const tiers = ['HOT', 'WARM', 'COLD', 'DROP'] as const;

function parsePolicyRule(cursor: Cursor): PolicyRule {
  const at = cursor.at;
  const tier = tiers.find((candidate) => cursor.acceptWord(candidate));
  if (tier === undefined) throw cursor.unexpected();
  return { at, tier, ageMinutes: parseAge(cursor, 'HOURS') };
}

const minutesIn: Readonly<Record<string, number>> = {
  MINUTE: 1,
  MINUTES: 1,
  HOUR: 60,
  HOURS: 60,
  DAY: 1440,
  DAYS: 1440,
};

/** `n unit`; without a unit, `unitWhenOmitted`. */
function parseAge(cursor: Cursor, unitWhenOmitted: 'HOURS' | 'DAYS'): number {
  const countAt = cursor.at;
  const count = parseCount(cursor, 'an age such as 24 HOURS');
  let unit: string = unitWhenOmitted;
  const token = cursor.token;
  const endsAge = token.kind !== 'word' || followsAge.has(token.word);
  if (!endsAge) {
    if (!(token.word in minutesIn)) throw cursor.unexpected('MINUTES, HOURS or DAYS');
    unit = token.word;
    cursor.advance();
  }
  const minutes = count * minutesIn[unit]!;
  if (!Number.isSafeInteger(minutes)) throw cursor.refuse(countAt, 'the age is too large');
  return minutes;
}

const followsAge: ReadonlySet<string> = new Set([...tiers, 'FORMAT', 'SETTINGS']);
