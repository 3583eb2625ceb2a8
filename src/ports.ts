// What: the interfaces between the engine and the world: Kafka, object stores, decoders, metrics, logs.
// Why: the engine runs unchanged over real services and over the simulation; connectors are replaced one by one.
// Invariant: a port speaks in our own types, never in a library's.

import type { RecordBatch, RowBuffer } from './columns/batch.ts';
import type { ColumnArray, TableSchema } from './columns/types.ts';

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

export const topicPartitionKey = (tp: TopicPartition): string => `${tp.topic}-${tp.partition}`;

// ---------------------------------------------------------------------------------------------------------
// Ticks in

/** What the engine does when the source has news. Calls for one partition never overlap. */
export interface SourceListener {
  /**
   * A rebalance ended: these are all the partitions that this member now owns. Resolves with the offset to
   * consume each from; the source delivers nothing until then, and then exactly from there.
   */
  assigned(partitions: readonly TopicPartition[]): Promise<ReadonlyMap<string, number>>;
  /** The whole membership is lost or given up: every partition may have another owner from now on. */
  lost(): void;
  /**
   * Records of an assigned partition; the first is at or after the position. The buffers are the source's
   * again when the promise settles. While it is pending, nothing more of this member is delivered (heartbeats go on).
   */
  records(batch: RecordBatch): void | Promise<void>;
  /** The source cannot go on (credentials, topic missing, offset out of range, repeated crashes). */
  failed(error: Error): void;
}

/** One consumer-group member. */
export interface TickSource {
  start(listener: SourceListener): Promise<void>;
  /** Stops delivering these partitions' records until `resume`; heartbeats go on. Idempotent. */
  pause(partitions: readonly TopicPartition[]): void;
  resume(partitions: readonly TopicPartition[]): void;
  /** The topics to consume from now on, in place of those before: the group shares all partitions out anew. */
  subscribe(topics: readonly string[]): void;
  /** Deliver from this offset next (after a position was given up). Only for assigned partitions. */
  seek(partition: TopicPartition, offset: number): void;
  /** Gives the membership up and take part again: `lost`, then `assigned`. */
  rejoin(): Promise<void>;
  /** Leaves the group. Idempotent. */
  stop(): Promise<void>;
}

// ---------------------------------------------------------------------------------------------------------
// The commit record: the group's offset and its metadata string

export interface CommittedOffset {
  readonly offset: number;
  /** As committed; '' when another client or an operator's tool committed it. */
  readonly metadata: string;
}

export interface DeadLetter {
  readonly offset: number;
  readonly timestampMs: number;
  readonly cause: string;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
}

/** A bucket of a view as it is published. */
export interface ViewRecord {
  readonly topic: string;
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly headers: readonly (readonly [string, string])[];
}

/** The commit record of one Kafka partition, written only by its owner. */
export interface CommitLog {
  /**
   * Shuts every earlier owner of the partition out (InitProducerId), then reads what is committed; null when
   * nothing is. Waits for a commit of its own that is under way. After a COMMIT_UNKNOWN, calling this again settles what holds.
   * @throws ZeptoError FENCED (rejoin) when, after a COMMIT_UNKNOWN, another owner has taken over meanwhile.
   */
  fence(): Promise<CommittedOffset | null>;
  /**
   * Commits atomically: offset, metadata, the dead letters and what views publish. Resolved = committed.
   * @throws ZeptoError FENCED (rejoin): not committed, another owner exists. COMMIT_UNKNOWN (retry): may or may
   *   not be committed; fence again and look. METADATA_TOO_LARGE (stop): not committed.
   */
  commit(
    offset: number,
    metadata: string,
    deadLetters: readonly DeadLetter[],
    published?: readonly ViewRecord[],
  ): Promise<void>;
  close(): Promise<void>;
}

export interface PartitionBounds {
  /** First offset that the topic still holds. */
  readonly earliest: number;
  /** Offset after the last record. */
  readonly latest: number;
}

/** Everything the engine asks of the cluster besides records. One per member. */
export interface OffsetStore {
  open(partition: TopicPartition): CommitLog;
  bounds(partition: TopicPartition): Promise<PartitionBounds>;
  /** retention.ms and retention.bytes of the topic; null = unlimited. `compacted` when cleanup.policy has compact. */
  retention(topic: string): Promise<{ ms: number | null; bytes: number | null; compacted: boolean }>;
  close(): Promise<void>;
}

/** What one member of the group has. */
export interface GroupShare {
  /** Where it answers queries; null: it does not say. */
  readonly address: string | null;
  readonly partitions: readonly TopicPartition[];
}

export interface GroupDirectory {
  /** Of all members; null while the group shares out anew. @throws ZeptoError KAFKA_* */
  shares(): Promise<readonly GroupShare[] | null>;
}

/** Gives ids to names through the single-partition symbol topic: its first record for a name fixes the id. */
export interface SymbolDirectory {
  /** Ids for `names`, in their order, assigning where needed. Every member gets the same answer, for ever. Idempotent. */
  assign(names: readonly string[]): Promise<readonly number[]>;
  /** Called for each name in id order, those already known first. */
  subscribe(learn: (name: string, id: number) => void): void;
  close(): Promise<void>;
}

/** Records that every member reads in one order, from the first. */
export interface OrderedLog {
  /** Resolves when the record has been read back, after all before it. May stand twice after a failure in between. */
  append(value: Uint8Array): Promise<void>;
  /** Called for each record in order, those already read first. Once. */
  subscribe(take: (value: Uint8Array) => void): void;
  close(): Promise<void>;
}

/** As bytes: of a million ticks, an object for each would hold more memory than what is sent of them. */
export interface OutgoingTicks {
  readonly count: number;
  /** The key of each tick, which decides its partition, and its value behind it. */
  readonly bytes: Buffer;
  /** Where they end: [2i] the key of tick i, [2i + 1] its value. */
  readonly ends: Uint32Array;
}

/** The offset after the last record written to a partition. */
export interface WrittenEnd {
  readonly partition: number;
  readonly offset: number;
}

/** Puts ticks on a topic, each once. */
export interface TickSink {
  /**
   * Resolves when all are acknowledged by every replica in sync.
   * @throws ZeptoError KAFKA_*; the message says when some may have been written.
   */
  send(topic: string, pieces: readonly OutgoingTicks[]): Promise<readonly WrittenEnd[]>;
  close(): Promise<void>;
}

/** Makes topics, and tells what they are like. */
export interface TopicAdmin {
  /** Makes the topic unless it is there. */
  ensure(topic: string, partitions: number): Promise<void>;
  /** Makes the topic that a view over the table of `source` is published to, or checks it. @throws ZeptoError CONFIG_INVALID, KAFKA_* */
  ensureForView(topic: string, source: string): Promise<void>;
  retention(topic: string): Promise<{ ms: number | null; bytes: number | null; compacted: boolean }>;
}

// ---------------------------------------------------------------------------------------------------------
// Bytes → rows

/** One per (table, shard). */
export interface RowDecoder {
  /**
   * Decodes records [from, to) and appends their rows to `rows`. A record that cannot be decoded goes to
   * `rows.undecodable`; a record with no value (tombstone) is left out of both. A missing time is the record's Kafka
   * timestamp. Names unknown to the dictionary get provisional codes. Returns a promise only when it must wait (a schema to fetch).
   * @throws ZeptoError SCHEMA_UNAVAILABLE (retry): nothing of this call was appended.
   */
  decode(records: RecordBatch, from: number, to: number, rows: RowBuffer): void | Promise<void>;
}

// ---------------------------------------------------------------------------------------------------------
// Objects out

export interface ObjectInfo {
  readonly key: string;
  readonly size: number;
  readonly etag: string;
}

/** An object store, or a local folder that behaves as one. Keys have no leading slash. */
export interface ObjectStore {
  /**
   * Writes the whole object or nothing. 'exists': an object of that key was already there (only stores with
   * conditional writes know) and was left alone. Retries passing faults itself, with back-off, until the signal aborts;
   * an acknowledgement that was lost ends as 'created' or 'exists'.
   * @throws ZeptoError STORE_DENIED, STORE_NO_BUCKET, CONFIG_INVALID (stop); STORE_UNAVAILABLE (retry) when its patience
   *   ends; the signal's reason.
   */
  put(key: string, body: Uint8Array, options: PutOptions): Promise<'created' | 'exists'>;
  /** @throws ZeptoError STORE_DENIED when the credential may not read; STORE_NO_OBJECT when there is none (both stop). */
  get(key: string, signal?: AbortSignal): Promise<Uint8Array>;
  list(prefix: string, signal?: AbortSignal): AsyncIterable<ObjectInfo>;
  /** False when the credential may not delete. */
  delete(key: string): Promise<boolean>;
  /** Learns the store's abilities with one tiny object below `prefix`; makes the errors of a wrong bucket or credential appear at start. */
  probe(prefix: string): Promise<{ conditionalWrites: boolean }>;
  close(): Promise<void>;
}

export interface PutOptions {
  readonly contentType: string;
  readonly signal?: AbortSignal;
}

// ---------------------------------------------------------------------------------------------------------
// Files that others wrote

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

/** Reads the files of duckdb('…'). Rows arrive in pieces as they are taken. */
export interface AnalyticEngine {
  /**
   * Columns of the files that a path or pattern names.
   * @throws ZeptoError STORE_NO_OBJECT, STORE_DENIED (outside of the configured roots), FORMAT_INVALID; the signal's reason
   */
  describe(path: string, signal: AbortSignal): Promise<readonly ForeignColumn[]>;
  /**
   * Rows of a path or pattern, `columns` by name, file after file in the order of their paths.
   * @throws ZeptoError as `describe`; SQL_TYPE when a value has no place in its column's type; LIMIT_EXCEEDED
   */
  readPath(path: string, columns: readonly string[], signal: AbortSignal): AsyncIterable<ForeignRun>;
}

// ---------------------------------------------------------------------------------------------------------
// Local files

/**
 * The few file operations that segments and local manifests need; each can be the last before a crash.
 * Paths are absolute. Errors: ZeptoError DISK_FULL (retry), DISK_ERROR (stop).
 */
export interface Disk {
  /** With parents; no error when it exists. `sync` false: what it makes need not survive a loss of power. */
  makeDirectory(path: string, sync?: boolean): Promise<void>;
  /**
   * Writes the parts one after the other into a new file (an existing one is replaced); they must stay as they are
   * meanwhile. `sync` = fsync before it resolves.
   */
  writeFile(path: string, parts: readonly NodeJS.ArrayBufferView[], sync: boolean): Promise<void>;
  /** Moves a file or folder. 'exists' when `to` is there already (a non-empty folder, or any file). */
  rename(from: string, to: string): Promise<'moved' | 'exists'>;
  /** Makes entries of the folder durable. */
  syncDirectory(path: string): Promise<void>;
  /** Null when there is no such file. */
  readFile(path: string): Promise<Uint8Array | null>;
  /** Names in the folder; empty when there is none. */
  list(path: string): Promise<string[]>;
  /** Files and folders with all below; no error when there is nothing. */
  remove(path: string): Promise<void>;
}

// ---------------------------------------------------------------------------------------------------------
// Watching

export interface Metrics {
  count(name: string, labels: Readonly<Record<string, string>>, by: number): void;
  gauge(name: string, labels: Readonly<Record<string, string>>, value: number): void;
  observe(name: string, labels: Readonly<Record<string, string>>, value: number): void;
}

export interface Logger {
  debug(fields: Readonly<Record<string, unknown>>, message: string): void;
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

/** A table and where its ticks come from, as configuration or the catalogue says. */
export interface TableSource {
  readonly table: TableSchema;
  readonly topic: string;
  readonly format: RecordFormat;
}

/**
 * All that a topic's table has been, oldest first: its index is the version that a commit record names. ALTER TABLE adds one.
 */
export type TableVersions = readonly TableSource[];

export type RecordFormat =
  | JsonFormat
  | { readonly kind: 'avro'; readonly fields: FieldMap }
  | { readonly kind: 'binary' }
  | { readonly kind: 'arrow'; readonly fields: FieldMap };

export interface JsonFormat {
  readonly kind: 'json';
  readonly fields: FieldMap;
}

/** How a column is found in a record: by column name → field name (default the column's own name), and the unit of integer times. */
export interface FieldMap {
  readonly names: Readonly<Record<string, string>>;
  readonly timeUnit: 's' | 'ms' | 'us' | 'ns';
  /** Whether a JSON or Avro number in a scaled column is the value (150.25) or already the scaled integer (1502500). */
  readonly scaledNumbers: 'value' | 'scaled';
}
