// What: what a query reads: the parts of a table as they stood at one moment, in memory, in local files, on S3.
// Why: kernels run over the same column slices whatever tier they come from, and each row is in one part.
// Invariant: a snapshot never changes: rows appended later are not in it, parts moved between tiers stay readable until `release`.

import type { ColumnArray, ColumnSchema, TableSchema } from '../columns/types.ts';

export type Tier = 'hot' | 'warm' | 'cold';

/** A run of rows as contiguous columns, in the order of its part's `stored`. Arrays may lie over shared memory. */
export interface ColumnRun {
  readonly rows: number;
  readonly columns: readonly ColumnArray[];
}

/** Rows of one symbol in one hour from one Kafka partition. */
export interface Part {
  /**
   * Unique and stable while the part exists; the same rows keep it when they are replayed into the same segment. A later part
   * of the same id begins with the same rows in the same runs, each at least as long: what is known of them stays known.
   */
  readonly id: string;
  readonly tier: Tier;
  readonly topic: string;
  readonly partition: number;
  readonly symbol: number;
  /** Hours since 1970 UTC: all rows have event times in [hour, hour + 1). */
  readonly hour: number;
  readonly rows: number;
  /** Event time bounds where known without reading (sealed parts), ns. */
  readonly timestampMin: bigint | null;
  readonly timestampMax: bigint | null;
  /** Whether rows are sorted by event time (sealed parts are; hot ones are in offset order, sorted or not). */
  readonly isSorted: boolean;
}

/** In memory: chunks with the row counts published when the snapshot was taken. */
export interface HotPart extends Part {
  readonly tier: 'hot';
  /** Columns of the runs: those that the table stored when the rows were taken in. */
  readonly stored: readonly ColumnSchema[];
  readonly runs: readonly ColumnRun[];
}

/** A local `.bin` folder. */
export interface WarmPart extends Part {
  readonly tier: 'warm';
  readonly folder: string;
  /** Absent: not known. */
  readonly bytes?: number;
  /** Of the same rows, for when the folder is gone; null or absent: there is none. */
  readonly object?: ColdPart | null;
}

/** A Parquet object. */
export interface ColdPart extends Part {
  readonly tier: 'cold';
  readonly key: string;
  readonly bytes: number;
  /** Of the whole object, as its manifest says. */
  readonly crc32c: string;
}

export type AnyPart = HotPart | WarmPart | ColdPart;

export interface TableSnapshot {
  readonly schema: TableSchema;
  /** Ids of the symbols that have parts, ascending. */
  readonly symbols: readonly number[];
  /**
   * By hour, then Kafka partition. Parts of the same topic, partition and hour stand in offset order: ties of event time
   * go by it.
   */
  partsOf(symbol: number): readonly AnyPart[];
  /** Of all symbols. */
  readonly partCount: number;
}

/** Names of symbols and STRING values by code, and back. */
export interface Names {
  nameOf(code: number): string | undefined;
  codeOf(name: string): number | undefined;
}

export interface Snapshot {
  /** Tables by name. */
  readonly tables: ReadonlyMap<string, TableSnapshot>;
  readonly names: Names;
  /** Lets go of the memory that the snapshot pins. Idempotent. */
  release(): void;
}

/** What bounds a query; all are positive. */
export interface QueryLimits {
  readonly rowsMax: number;
  readonly bytesMax: number;
  readonly timeoutMs: number;
}
