// What: what a shard tells the threads that read its rows.
// Why: columns are shared memory, but which chunks there are and whose they are is told in messages, in order.
// Invariant: after the changes of a section, the chunks' published counts and the changes say the same.

import type { TableSchema } from '../columns/types.ts';
import type { CommitRecord } from '../commit/metadata.ts';
import type { SegmentFile } from '../format/segment.ts';

/** A partition is owned and recovered: its sealed rows are those of the committed plans of `record`. */
export interface RunBegun {
  readonly kind: 'run-begun';
  /** Unique in the shard. */
  readonly run: number;
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  /** As the table is called now. */
  readonly table: string;
  /** Of the rows that follow. */
  readonly schema: TableSchema;
  readonly record: CommitRecord;
  /** When it was fenced: of two owners the later one is right. */
  readonly sinceMs: number;
}

/** Rows of chunks that are added from now on have these columns. */
export interface SchemaChanged {
  readonly kind: 'schema-changed';
  readonly run: number;
  readonly schema: TableSchema;
}

/** It has left, with all its rows. */
export interface RunEnded {
  readonly kind: 'run-ended';
  readonly run: number;
}

/** A block of memory that chunks will lie in. */
export interface BlockMade {
  readonly kind: 'block-made';
  readonly block: number;
  readonly buffer: SharedArrayBuffer;
}

/** Numbers, CHUNK_FIELDS for each chunk: hour id, part id, symbol, hour, block, byte offset, capacity. */
export interface ChunksAdded {
  readonly kind: 'chunks-added';
  readonly run: number;
  readonly chunks: readonly number[];
}

export const CHUNK_FIELDS = 7;

/** Committed rows leave memory; `files` hold them. */
export interface HoursEvicted {
  readonly kind: 'hours-evicted';
  readonly run: number;
  /** Ids. */
  readonly hours: readonly number[];
  readonly files: readonly SegmentFile[];
}

/** Local folders go; what is read from them is read from the Parquet objects of the same rows. */
export interface FoldersLeft {
  readonly kind: 'folders-left';
  readonly run: number;
  /** Below the base directory. */
  readonly folders: readonly string[];
}

/** A symbol or text has its id. In id order, from 0. */
export interface NameLearned {
  readonly kind: 'name-learned';
  readonly id: number;
  readonly name: string;
}

export type Change =
  | RunBegun
  | SchemaChanged
  | RunEnded
  | BlockMade
  | ChunksAdded
  | HoursEvicted
  | FoldersLeft
  | NameLearned;

/** One message: the changes of a section, in order. */
export type Changes = readonly Change[];
