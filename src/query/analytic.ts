// What: the port to an analytic engine that reads the files of duckdb('…').
// Why: the language is complete without it; it is asked for what others wrote to a disk or a bucket.
// Invariant: rows arrive in pieces as they are taken; nothing of a file that was not asked for is kept.

import type { ColumnArray } from '../columns/types.ts';

/** A column of foreign files: its name and the type in which it arrives. */
export interface ForeignColumn {
  readonly name: string;
  /** As CREATE TABLE would name it: `INT64`, `DECIMAL(18, 4)`, `TIMESTAMP_NS`, `FLOAT64`, `BOOL`, `STRING`, … */
  readonly type: string;
}

/** Values of one column; numbers, times and booleans with the NULLs of columns/types.ts, decimals scaled; texts as they are. */
export type ForeignValues = ColumnArray | readonly (string | null)[];

export interface ForeignRun {
  readonly rows: number;
  /** In the order that was asked for. */
  readonly columns: readonly ForeignValues[];
}

export interface AnalyticEngine {
  /**
   * Columns of the files that a path or pattern names.
   * @throws ZeptoError STORE_NO_OBJECT, STORE_DENIED (outside of the configured roots), FORMAT_INVALID
   */
  describe(path: string, signal: AbortSignal): Promise<readonly ForeignColumn[]>;
  /** Rows of a path or pattern, `columns` by name. */
  readPath(path: string, columns: readonly string[], signal: AbortSignal): AsyncIterable<ForeignRun>;
  /** Any SQL of the engine's own, over paths within the configured roots. */
  query(sql: string, signal: AbortSignal): AsyncIterable<ForeignRun>;
}
