// What: an error as ClickHouse's clients know it: a number, a name, and a text in which both stand.
// Why: they read the number from a header and the rest out of the text, before the first byte and within a stream.
// Invariant: every code has a number; the text ends with the name in parentheses.

import type { ErrorCode, ZeptoError } from './errors.ts';

export interface ClickhouseError {
  readonly code: number;
  readonly name: string;
  /** `Code: 60. DB::Exception: unknown table x. (UNKNOWN_TABLE)` */
  readonly text: string;
}

type Known = readonly [code: number, name: string];

const OTHER: Known = [1001, 'STD_EXCEPTION'];

/** Numbers and names of ClickHouse's own list (src/Common/ErrorCodes.cpp). */
const known: Partial<Record<ErrorCode, Known>> = {
  SQL_SYNTAX: [62, 'SYNTAX_ERROR'],
  SQL_NAME: [47, 'UNKNOWN_IDENTIFIER'],
  SQL_TYPE: [43, 'ILLEGAL_TYPE_OF_ARGUMENT'],
  SQL_UNSUPPORTED: [48, 'NOT_IMPLEMENTED'],
  FORMAT_INVALID: [117, 'INCORRECT_DATA'],
  RECORD_UNDECODABLE: [117, 'INCORRECT_DATA'],
  CATALOG_CONFLICT: [57, 'TABLE_ALREADY_EXISTS'],
  UNAUTHORIZED: [497, 'ACCESS_DENIED'],
  CANCELLED: [394, 'QUERY_WAS_CANCELLED'],
  LIMIT_EXCEEDED: [396, 'TOO_MANY_ROWS_OR_BYTES'],
  KAFKA_UNREACHABLE: [210, 'NETWORK_ERROR'],
  GROUP_UNSETTLED: [279, 'ALL_CONNECTION_TRIES_FAILED'],
  STORE_UNAVAILABLE: [499, 'S3_ERROR'],
  STORE_DENIED: [499, 'S3_ERROR'],
  DISK_FULL: [243, 'NOT_ENOUGH_SPACE'],
  INTERNAL: [49, 'LOGICAL_ERROR'],
};

/** By `context.unknown` of a SQL_NAME or SQL_UNSUPPORTED, and `context.limit` of a LIMIT_EXCEEDED. */
const finer: Readonly<Record<string, Known>> = {
  table: [60, 'UNKNOWN_TABLE'],
  function: [46, 'UNKNOWN_FUNCTION'],
  database: [81, 'UNKNOWN_DATABASE'],
  setting: [115, 'UNKNOWN_SETTING'],
  format: [73, 'UNKNOWN_FORMAT'],
  timeoutMs: [159, 'TIMEOUT_EXCEEDED'],
  bytesMax: [241, 'MEMORY_LIMIT_EXCEEDED'],
};

export function clickhouseError({ code, message, context }: ZeptoError): ClickhouseError {
  const detail = context.unknown ?? context.limit;
  const [number, name] = (typeof detail === 'string' && finer[detail]) || (known[code] ?? OTHER);
  return { code: number, name, text: `Code: ${number}. DB::Exception: ${message}. (${name})` };
}
