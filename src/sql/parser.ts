// What: SQL text → one typed statement.
// Why: the only way into the language: HTTP, views and the catalogue all call parseStatement.
// Invariant: the whole text is read or refused: nothing after the statement is ignored.

import type {
  Delete,
  Describe,
  Explain,
  Expression,
  Insert,
  Option,
  ParsedStatement,
  Query,
  Show,
  ShowSubject,
  Statement,
  Update,
} from './ast.ts';
import { Cursor } from './cursor.ts';
import { parseAlter, parseCreate, parseDrop, parseOptions } from './parse-ddl.ts';
import { parseExpression as parseExpressionAt } from './parse-expression.ts';
import { parseTableName } from './parse-from.ts';
import { parseColumnNames, parseQuery as parseQueryAt, startsQuery } from './parse-query.ts';

export interface ParseOptions {
  /** Refuse longer texts; SQL_LENGTH_MAX unless given. */
  readonly lengthMax?: number;
  /** Values of `{name:Type}`, as text; when given, each parameter must have one, and none stays in the tree. */
  readonly parameters?: ReadonlyMap<string, string>;
}

/**
 * Parses one statement, with its FORMAT and SETTINGS and an optional `;`.
 * @throws ZeptoError SQL_SYNTAX or SQL_UNSUPPORTED with position, line, column, expected and suggestion in its
 *   context; LIMIT_EXCEEDED when the text is too long or nested too deep.
 */
export function parseStatement(sql: string, options: ParseOptions = {}): ParsedStatement {
  const cursor = new Cursor(sql, options);
  const statement = parseOne(cursor);
  let format: string | null = null;
  let settings: Option[] = [];
  for (;;) {
    if (format === null && cursor.acceptWord('FORMAT')) format = cursor.expectKind('word', 'a format').text;
    else if (settings.length === 0 && cursor.acceptWord('SETTINGS')) settings = parseOptions(cursor);
    else break;
  }
  if (cursor.acceptOperator(';') && cursor.token.kind !== 'end')
    throw cursor.refuse(cursor.at, 'one statement at a time: nothing may follow the semicolon');
  if (cursor.token.kind !== 'end') throw cursor.unexpected();
  if (statement.kind === 'insert' && statement.query === null && format === null)
    throw cursor.refuse(cursor.at, 'INSERT needs VALUES, SELECT or FORMAT');
  return { statement, format, settings };
}

/** Parses a query alone, as a view's definition is kept. */
export function parseQuery(sql: string): Query {
  return parseAll(sql, parseQueryAt);
}

/** Parses an expression alone, for tests and for filters in configuration. */
export function parseExpression(sql: string): Expression {
  return parseAll(sql, parseExpressionAt);
}

function parseAll<T>(sql: string, rule: (cursor: Cursor) => T): T {
  const cursor = new Cursor(sql);
  const result = rule(cursor);
  if (cursor.token.kind !== 'end') throw cursor.unexpected();
  return result;
}

function parseOne(cursor: Cursor): Statement {
  if (cursor.seesWord('EXPLAIN')) return parseExplain(cursor);
  return parsePlain(cursor);
}

function parseExplain(cursor: Cursor): Explain {
  const { at } = cursor.advance();
  const analyze = cursor.acceptWord('ANALYZE');
  return { kind: 'explain', at, analyze, statement: parsePlain(cursor) };
}

function parsePlain(cursor: Cursor): Exclude<Statement, Explain> {
  const at = cursor.at;
  if (cursor.seesWord('SELECT') || cursor.seesWord('WITH') || cursor.seesWord('VALUES'))
    return { kind: 'select', at, query: parseQueryAt(cursor) };
  if (cursor.token.kind === 'operator' && cursor.token.text === '(')
    return { kind: 'select', at, query: parseQueryAt(cursor) };
  if (cursor.seesWord('INSERT')) return parseInsert(cursor);
  if (cursor.seesWord('CREATE')) return parseCreate(cursor);
  if (cursor.seesWord('ALTER')) return parseAlter(cursor);
  if (cursor.seesWord('DROP')) return parseDrop(cursor);
  if (cursor.seesWord('SHOW')) return parseShow(cursor);
  if (cursor.seesWord('DESCRIBE') || cursor.token.word === 'DESC') return parseDescribe(cursor);
  if (cursor.seesWord('UPDATE')) return parseUpdate(cursor);
  if (cursor.seesWord('DELETE')) return parseDelete(cursor);
  throw cursor.unexpected();
}

function parseInsert(cursor: Cursor): Insert {
  const { at } = cursor.advance();
  cursor.expectWord('INTO');
  const table = parseTableName(cursor);
  const columnsAt = cursor.at;
  // `INSERT INTO t (SELECT …)` is a query in parentheses, not a list of columns.
  const inner = cursor.ahead(1);
  const parenthesised = inner.kind === 'operator' || ['SELECT', 'WITH', 'VALUES'].includes(inner.word);
  const columns = parenthesised ? [] : parseColumnNames(cursor);
  if (new Set(columns).size < columns.length) throw cursor.refuse(columnsAt, 'a column is there twice');
  const hasQuery = startsQuery(cursor) || (cursor.token.kind === 'operator' && cursor.token.text === '(');
  return { kind: 'insert', at, table, columns, query: hasQuery ? parseQueryAt(cursor) : null };
}

function parseUpdate(cursor: Cursor): Update {
  const { at } = cursor.advance();
  const table = parseTableName(cursor);
  cursor.expectWord('SET');
  const assignments = cursor.commaList(() => {
    const column = cursor.expectName('a column');
    cursor.expectOperator('=');
    return { column, value: parseExpressionAt(cursor) };
  });
  const where = cursor.acceptWord('WHERE') ? parseExpressionAt(cursor) : null;
  return { kind: 'update', at, table, assignments, where };
}

function parseDelete(cursor: Cursor): Delete {
  const { at } = cursor.advance();
  cursor.expectWord('FROM');
  const table = parseTableName(cursor);
  return { kind: 'delete', at, table, where: cursor.acceptWord('WHERE') ? parseExpressionAt(cursor) : null };
}

function parseDescribe(cursor: Cursor): Describe {
  const { at } = cursor.advance();
  cursor.acceptWord('TABLE');
  return { kind: 'describe', at, table: parseTableName(cursor) };
}

const showSubjects: readonly ShowSubject[] = [
  'TABLES',
  'MATERIALIZED VIEWS',
  'STORAGE POLICY',
  'TIERS',
  'SEGMENTS',
  'KAFKA LAG',
];
const subjectsOfATable: ReadonlySet<ShowSubject> = new Set(['STORAGE POLICY', 'TIERS', 'SEGMENTS']);

function parseShow(cursor: Cursor): Show {
  const { at } = cursor.advance();
  const subject = showSubjects.find((words) =>
    cursor.acceptWords(...(words.split(' ') as [string, ...string[]])),
  );
  if (subject === undefined) throw cursor.unexpected();
  const table = subjectsOfATable.has(subject) && cursor.acceptWord('FOR') ? parseTableName(cursor) : null;
  return { kind: 'show', at, subject, table };
}
