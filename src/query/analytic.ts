// What: the port to an analytic engine that reads Parquet: cold parts, and the files of duckdb('…').
// Why: the language is complete without it; it is asked for what lies in Parquet on a disk or a bucket.
// Invariant: rows arrive in pieces as they are taken; nothing of a file that was not asked for is kept.

import type { ColumnArray, ColumnSchema } from '../columns/types.ts';

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

/** Which rows are of use; those outside may come too. Bounds are inclusive, null is none. */
export interface TimeBounds {
  readonly min: bigint | null;
  readonly max: bigint | null;
}

export interface ParquetRead {
  /** Object keys of cold parts, as their layout names them, or paths. Read in this order. */
  readonly keys: readonly string[];
  /** Columns wanted, in this order. A file that lacks one gives NULLs. SYMBOL arrives as its id, STRING as text. */
  readonly columns: readonly ColumnSchema[];
  readonly timeColumn: string | null;
  readonly time: TimeBounds;
}

export interface AnalyticEngine {
  /**
   * Columns of the files that a path or pattern names.
   * @throws ZeptoError STORE_NO_OBJECT, STORE_DENIED (outside of the configured roots), FORMAT_INVALID
   */
  describe(path: string, signal: AbortSignal): Promise<readonly ForeignColumn[]>;
  /** Rows of a path or pattern, `columns` by name. */
  readPath(path: string, columns: readonly string[], signal: AbortSignal): AsyncIterable<ForeignRun>;
  /** Rows of Parquet files that this system wrote. */
  readParquet(request: ParquetRead, signal: AbortSignal): AsyncIterable<ForeignRun>;
  /** Any SQL of the engine's own, over paths within the configured roots. */
  query(sql: string, signal: AbortSignal): AsyncIterable<ForeignRun>;
}
