// What: a run of rows of one symbol-hour as contiguous columns in one slab.
// Why: one writer appends and publishes a row count; readers on other threads take a snapshot without a lock.
// Invariant: rows below the published count never change; the count never shrinks.

import type { Allocation } from '../columns/column-memory.ts';
import {
  type BitsArray,
  bitsView,
  type ColumnArray,
  type ColumnSchema,
  columnView,
  elementBytes,
} from '../columns/types.ts';
import type { ChunkFacts, SegmentChunk } from '../format/segment.ts';
import { factsOf } from '../format/segment-columns.ts';
import { type Arena, QUAD_BYTES, SLAB_BYTES } from './arena.ts';

const CHUNK_ROWS_FIRST = 64;
/**
 * Of which 8 are used. As many as stand before a column in a `.bin` file, so that no column lies less than a cache line before
 * where it comes to lie in a page of the file: that takes twice the time to copy on processors of AMD.
 */
const HEADER_BYTES = 32;

export interface ChunkColumn {
  readonly values: ColumnArray;
  /** The same memory, for moving values by their bits. */
  readonly bits: BitsArray;
}

export interface Chunk {
  /** The memory that it lies in, and where in it its columns begin, one behind the other, each padded to 8 bytes. */
  readonly buffer: SharedArrayBuffer;
  readonly columnsAt: number;
  readonly capacity: number;
  readonly columns: readonly ChunkColumn[];
  /** [0]: rows that readers may see, stored with Atomics after the values. */
  readonly published: Int32Array;
  /** Rows written; only the writer reads it. */
  rows: number;
  /** Of a full chunk, where its writer wants them. */
  facts: ChunkFacts | null;
}

/**
 * The next chunk of a partition that has `rowsSoFar` rows: sizes double, so that small partitions stay small, up to a slab,
 * and then a quad, of which at most a third of the partition's memory can be empty.
 */
export function allocateChunk(arena: Arena, columns: readonly ColumnSchema[], rowsSoFar: number): Chunk {
  const rowsPerQuad = rowsWithin(QUAD_BYTES, columns);
  const quad = rowsSoFar >= 2 * rowsPerQuad ? arena.allocateQuad() : null;
  if (quad !== null) return emptyChunk(quad, columns, rowsPerQuad);
  const capacity = Math.min(rowsWithin(SLAB_BYTES, columns), Math.max(CHUNK_ROWS_FIRST, rowsSoFar));
  return emptyChunk(arena.allocate(chunkBytes(columns, capacity)), columns, capacity);
}

function rowsWithin(bytes: number, columns: readonly ColumnSchema[]): number {
  const rowBytes = columns.reduce((sum, column) => sum + elementBytes[column.type]!, 0);
  return Math.floor((bytes - HEADER_BYTES - 8 * columns.length) / rowBytes) & ~15;
}

function emptyChunk(memory: Allocation, columns: readonly ColumnSchema[], capacity: number): Chunk {
  const chunk = chunkAt(memory.buffer, memory.byteOffset, columns, capacity);
  chunk.published[0] = 0;
  return chunk;
}

function chunkBytes(columns: readonly ColumnSchema[], capacity: number): number {
  return columns.reduce((sum, { type }) => sum + padded(capacity * elementBytes[type]!), HEADER_BYTES);
}

const padded = (bytes: number): number => (bytes + 7) & ~7;

/** The chunk that lies there, as its writer or any other thread sees it. */
export function chunkAt(
  buffer: SharedArrayBuffer,
  byteOffset: number,
  columns: readonly ColumnSchema[],
  capacity: number,
): Chunk {
  const columnsAt = byteOffset + HEADER_BYTES;
  let at = columnsAt;
  const views = columns.map(({ type }) => {
    const values = columnView(type, buffer, at, capacity);
    const width = elementBytes[type]!;
    const bits = bitsView(type, buffer, at, capacity);
    at += padded(capacity * width);
    return { values, bits };
  });
  const published = new Int32Array(buffer, byteOffset, 2);
  return { buffer, columnsAt, capacity, columns: views, published, rows: 0, facts: null };
}

export function publish(chunk: Chunk): void {
  Atomics.store(chunk.published, 0, chunk.rows);
}

/** Of a full chunk; `time` is the place of the event time among its columns. */
export function findFacts(chunk: Chunk, time: number): void {
  chunk.facts = factsOf(
    chunk.columns.map(({ values }) => values),
    time,
  );
}

/** The chunk's rows as a segment's source, by reference. */
export function sealedChunk(chunk: Chunk): SegmentChunk {
  return {
    rows: chunk.rows,
    columns: chunk.columns.map(({ values }) => values.subarray(0, chunk.rows) as ColumnArray),
    ...(chunk.facts !== null && { facts: chunk.facts }),
  };
}
