// What: the one error type of the system.
// Why: a caller decides by `action` alone whether to retry, skip, rejoin or stop; the code says what happened.
// Invariant: an error without a known action is `stop`: the unknown is never retried and never skipped.

export type ErrorCode =
  | 'CONFIG_INVALID'
  | 'KAFKA_UNREACHABLE'
  | 'KAFKA_AUTH'
  | 'KAFKA_TOPIC_MISSING'
  | 'KAFKA_PROTOCOL'
  | 'FENCED'
  | 'COMMIT_UNKNOWN'
  | 'OFFSET_LOST'
  | 'METADATA_UNREADABLE'
  | 'METADATA_TOO_LARGE'
  | 'RECORD_CORRUPT'
  | 'RECORD_UNDECODABLE'
  | 'SCHEMA_UNAVAILABLE'
  | 'SYMBOL_LIMIT'
  | 'STORE_UNAVAILABLE'
  | 'STORE_DENIED'
  | 'STORE_NO_BUCKET'
  | 'STORE_NO_OBJECT'
  | 'STORE_CONFLICT'
  | 'DISK_FULL'
  | 'DISK_ERROR'
  | 'FORMAT_INVALID'
  | 'SQL_SYNTAX'
  | 'SQL_NAME'
  | 'SQL_TYPE'
  | 'SQL_UNSUPPORTED'
  | 'LIMIT_EXCEEDED'
  | 'CANCELLED'
  | 'UNAUTHORIZED'
  | 'CATALOG_CONFLICT'
  | 'GROUP_UNSETTLED'
  | 'INTERNAL';

/** retry: the same call may succeed later. skip-record: dead-letter it. rejoin: give the partition up and take part again. stop: an operator must act. */
export type ErrorAction = 'retry' | 'skip-record' | 'rejoin' | 'stop';

export interface ErrorContext {
  readonly topic?: string;
  readonly partition?: number;
  readonly offset?: number;
  /** Character offset, 0-based, into the SQL text. */
  readonly position?: number;
  readonly [detail: string]: unknown;
}

export class ZeptoError extends Error {
  readonly code: ErrorCode;
  readonly action: ErrorAction;
  readonly context: ErrorContext;

  constructor(
    code: ErrorCode,
    action: ErrorAction,
    message: string,
    options: { cause?: unknown; context?: ErrorContext } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ZeptoError';
    this.code = code;
    this.action = action;
    this.context = options.context ?? {};
  }
}

/** The error as a ZeptoError; a foreign one becomes INTERNAL with action `stop`. */
export function asZeptoError(error: unknown): ZeptoError {
  if (error instanceof ZeptoError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new ZeptoError('INTERNAL', 'stop', message, { cause: error });
}
