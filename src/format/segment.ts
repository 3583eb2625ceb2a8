// What: a sealed segment on its way to its files, and what is known of the files once they stand.
// Why: the shard hands columns to the encoder by reference; the encoder hands back what the manifest needs.
// Invariant: the columns of a sealed segment never change again; they are shared, not copied, between threads.

import type { ColumnArray, TableSchema } from '../columns/types.ts';

/** Names one plan for ever: the same plan always has the same identity, another plan never has. */
export interface PlanIdentity {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  /** Grows when an operator lets the group start over on lost or recreated data; keeps names of both lives apart. */
  readonly incarnation: number;
  /** Seals rows of this hour (hours since 1970 UTC) and before; Infinity = all. */
  readonly hourLast: number;
  /** Seals rows of offsets below this one. */
  readonly offsetNext: number;
}

/** Columns in `storedColumns(table)` order; each array holds exactly `rows` values, over a SharedArrayBuffer. */
export interface SegmentChunk {
  readonly rows: number;
  readonly columns: readonly ColumnArray[];
  /** Absent where nobody has looked. */
  readonly facts?: ChunkFacts;
}

/** What was found out of a chunk when its last row came, its values in the processor's cache: a seal need not look again. */
export interface ChunkFacts {
  /** CRC-32C of each column's bytes. */
  readonly crc32c: readonly number[];
  /** Each time is as late as the one before, or later. */
  readonly isSorted: boolean;
}

/** Rows of one symbol in one UTC hour from one Kafka partition, in offset order. */
export interface SegmentSource {
  readonly symbol: number;
  /** Hours since 1970-01-01T00 UTC; negative before. */
  readonly hour: number;
  readonly rows: number;
  readonly chunks: readonly SegmentChunk[];
}

/** Which of a plan's segments something is of. */
export const segmentOf = ({ symbol, hour }: { readonly symbol: number; readonly hour: number }): string =>
  `${symbol}/${hour}`;

export interface SegmentOutputs {
  /** Local `.bin` folder tree; null = none. */
  readonly bin: {
    readonly baseDirectory: string;
    readonly compression: 'none' | 'lz4';
    readonly sync: boolean;
  } | null;
  /** Parquet object; null = none. `localDirectory` instead of the object store when set. */
  readonly parquet: ParquetOptions | null;
}

export interface ParquetOptions {
  readonly codec: 'SNAPPY' | 'ZSTD' | 'LZ4_RAW' | 'NONE';
  readonly timestampType: 'ns' | 'us' | 'int64';
  readonly layout: 'hive' | 'flat';
  readonly flatEpoch: 's' | 'ns';
  /** Key prefix of the trades table; other tables go to `{prefix}-{table}`. */
  readonly prefix: string;
  readonly rowGroupRowsMax: number;
  /** What the store's probe said; absent = no. Flat names go without a hash only where a put can say 'exists'. */
  readonly conditionalWrites?: boolean;
}

/** One file of a plan, as its manifest lists it. */
export interface SegmentFile {
  readonly kind: 'bin' | 'parquet';
  readonly table: string;
  readonly symbol: number;
  readonly hour: number;
  /** Object key, or folder path below the base directory for `.bin`. */
  readonly path: string;
  readonly rows: number;
  readonly bytes: number;
  /** Of the object; of a `.bin` folder: of its column files' bytes in stored-column order. 8 lower-case hex digits. */
  readonly crc32c: string;
  /** Event time range, ns since 1970 UTC, decimal strings (exact in JSON). */
  readonly timestampMin: string;
  readonly timestampMax: string;
}

/** A piece of encoding work that a pool thread does at once: some segments of one table and plan. */
export interface EncodeJob {
  readonly plan: PlanIdentity;
  readonly table: TableSchema;
  readonly segments: readonly SegmentSource[];
  readonly outputs: SegmentOutputs;
  /** Names for STRING columns by code: only the codes that occur. */
  readonly strings: ReadonlyMap<number, string>;
}
