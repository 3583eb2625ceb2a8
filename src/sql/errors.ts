// What: the errors of the SQL front end, each with the place in the text.
// Why: whoever typed the statement mends it from the message alone, and an editor can underline the place.
// Invariant: every error of src/sql is made here and carries `position` (0-based character offset).

import { type ErrorCode, ZeptoError } from '../kernel/errors.ts';

export interface SqlErrorDetail {
  /** What could have stood there, in the words of the grammar. */
  readonly expected?: readonly string[];
  /** The nearest keyword or name. */
  readonly suggestion?: string | null;
  /** Of what kind a name is that nothing has. */
  readonly unknown?: 'table' | 'column' | 'function' | 'database';
}

/** Line and column of a character offset, both from 1. */
export function lineAndColumn(sql: string, offset: number): { line: number; column: number } {
  let line = 1;
  let lineStart = 0;
  for (let i = sql.indexOf('\n'); i >= 0 && i < offset; i = sql.indexOf('\n', i + 1)) {
    line++;
    lineStart = i + 1;
  }
  return { line, column: offset - lineStart + 1 };
}

/** An error found while reading the text, when line and column can be told too. */
export function syntaxError(
  sql: string,
  position: number,
  message: string,
  detail: SqlErrorDetail = {},
  code: ErrorCode = 'SQL_SYNTAX',
): ZeptoError {
  const { line, column } = lineAndColumn(sql, position);
  const place = ` at line ${line}, column ${column}`;
  return new ZeptoError(code, 'stop', `${message}${place}${didYouMean(detail.suggestion)}`, {
    context: { position, line, column, ...present(detail) },
  });
}

/** An error found in the tree: a name, a type, a rule. `at` is the node's position. */
export function nodeError(
  code: 'SQL_NAME' | 'SQL_TYPE' | 'SQL_UNSUPPORTED' | 'SQL_SYNTAX' | 'LIMIT_EXCEEDED',
  at: number,
  message: string,
  detail: SqlErrorDetail = {},
): ZeptoError {
  return new ZeptoError(code, 'stop', `${message}${didYouMean(detail.suggestion)}`, {
    context: { position: at, ...present(detail) },
  });
}

/** Text for a message: at most 40 characters, so that a megabyte of input is not answered with a megabyte. */
export function excerpt(text: string): string {
  return text.length <= 40 ? text : `${text.slice(0, 39)}…`;
}

function didYouMean(suggestion: string | null | undefined): string {
  return suggestion === null || suggestion === undefined ? '' : `; did you mean ${suggestion}?`;
}

function present(detail: SqlErrorDetail): Readonly<Record<string, unknown>> {
  return {
    ...(detail.unknown === undefined ? {} : { unknown: detail.unknown }),
    ...(detail.expected === undefined ? {} : { expected: detail.expected }),
    ...(detail.suggestion === null || detail.suggestion === undefined
      ? {}
      : { suggestion: detail.suggestion }),
  };
}
