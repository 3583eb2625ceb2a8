// What: DuckDB's errors as ours.
// Why: a caller decides by code; a reader must see his own path, not that of a copy in the cache.
// Invariant: what the signal stopped is told with the signal's reason.

import { ZeptoError } from '../../src/kernel/errors.ts';

/** `files` are those that were read; `named` puts the query's own paths into a message. */
export function duckdbError(
  error: unknown,
  files: string,
  named: (message: string) => string,
  signal: AbortSignal,
): unknown {
  if (signal.aborted) return signal.reason;
  if (error instanceof ZeptoError) return error;
  const message = named(error instanceof Error ? error.message : String(error));
  if (message.startsWith('Out of Memory Error'))
    return new ZeptoError(
      'LIMIT_EXCEEDED',
      'stop',
      `DuckDB's memory does not suffice (--duckdb-memory-limit-mb, shared by --query-threads): ${message}`,
      { cause: error, context: { limit: 'bytesMax' } },
    );
  if (message.startsWith('Conversion Error'))
    return new ZeptoError(
      'SQL_TYPE',
      'stop',
      `${files}: a value has no place in its column's type: ${message}`,
      {
        cause: error,
      },
    );
  if (isBroken(error)) return new ZeptoError('INTERNAL', 'stop', message, { cause: error });
  return new ZeptoError('FORMAT_INVALID', 'stop', `cannot read ${files}: ${message}`, { cause: error });
}

/** The database answers nothing any more. */
export function isBroken(error: unknown): boolean {
  return error instanceof Error && /^(FATAL|INTERNAL) Error/.test(error.message);
}
