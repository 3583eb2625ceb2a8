// What: a stretch of Kafka records as positions in a buffer, and the rows decoded from it as growable columns.
// Why: no object per record on the hot path; a decoder reads positions and writes typed arrays.
// Invariant: offsets strictly increase in a RecordBatch (gaps are legal) and never decrease in a RowBuffer (one record may hold many rows).

import { ZeptoError } from '../kernel/errors.ts';
import {
  type BitsArray,
  bitsView,
  type ColumnSchema,
  type ColumnType,
  columnView,
  elementBytes,
  type TableSchema,
} from './types.ts';

/**
 * Records of one Kafka partition, as one fetch response delivered them: compressed batches are already
 * decompressed, control and aborted records already left out.
 */
export interface RecordBatch {
  readonly topic: string;
  readonly partition: number;
  readonly count: number;
  /** The bytes that all positions point into. Valid until the handler's promise settles. */
  readonly buffer: Uint8Array;
  /** Absolute offset of each record (exact: offsets stay below 2^53). */
  readonly offset: Float64Array;
  /** Kafka record timestamp in milliseconds since 1970 UTC. */
  readonly timestampMs: Float64Array;
  /** Byte position and length of each key and value; length −1 is a null. */
  readonly keyStart: Int32Array;
  readonly keyLength: Int32Array;
  readonly valueStart: Int32Array;
  readonly valueLength: Int32Array;
  /** The position to fetch next: past every record here and past filtered ones that follow. */
  readonly offsetNext: number;
  /** Last stable offset when the response was made, for lag; −1 unknown. */
  readonly endOffset: number;
}

/** A column that a decoder writes; int64 columns are written by halves (`lo`, `hi` interleaved in `i32`) or through `values`. */
export interface ColumnBuffer {
  readonly type: ColumnType;
  readonly schema: ColumnSchema;
  /** Typed by `type`; replaced when the buffer grows, so fetch it after `reserve`. */
  values: Int32Array | BigInt64Array | Float32Array | Float64Array | Uint32Array | Uint8Array;
  /** The same memory as 32-bit words: for an int64 at row r, [2r] is the low and [2r + 1] the high half. */
  i32: Int32Array;
  /** The same memory, for moving values by their bits. */
  bits: BitsArray;
}

export interface UndecodableRecord {
  readonly offset: number;
  readonly timestampMs: number;
  readonly cause: string;
  /** Copies, since the record batch's buffer is reused. */
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
}

/** Rows decoded from one RecordBatch, in offset order. Reused from batch to batch: `clear()` keeps the capacity. */
export class RowBuffer {
  readonly table: TableSchema;
  readonly columns: readonly ColumnBuffer[];
  /** Offset of the record that each row came from. */
  offset: Float64Array;
  rows = 0;
  capacity: number;
  readonly undecodable: UndecodableRecord[] = [];
  private readonly rowsMax: number;

  /** `rowsMax`: no room is made for more, whatever a record announces. */
  constructor(table: TableSchema, capacity = 4096, rowsMax = Number.POSITIVE_INFINITY) {
    this.table = table;
    this.rowsMax = rowsMax;
    this.capacity = capacity;
    this.offset = new Float64Array(capacity);
    this.columns = table.columns.map((schema) => {
      const buffer = new ArrayBuffer(paddedBytes(schema.type, capacity));
      return {
        type: schema.type,
        schema,
        values: columnView(schema.type, buffer, 0, capacity),
        i32: new Int32Array(buffer),
        bits: bitsView(schema.type, buffer, 0, capacity),
      };
    });
  }

  clear(): void {
    this.rows = 0;
    this.undecodable.length = 0;
  }

  /** Makes room for `rows` rows in all, keeping what is there. @throws ZeptoError LIMIT_EXCEEDED beyond `rowsMax` */
  reserve(rows: number): void {
    if (rows > this.rowsMax)
      throw new ZeptoError(
        'LIMIT_EXCEEDED',
        'stop',
        `more than ${this.rowsMax} rows at a time: send them in several parts`,
      );
    if (rows <= this.capacity) return;
    let capacity = this.capacity;
    while (capacity < rows) capacity *= 2;
    const offset = new Float64Array(capacity);
    offset.set(this.offset);
    this.offset = offset;
    for (const column of this.columns) {
      const buffer = new ArrayBuffer(paddedBytes(column.type, capacity));
      new Uint8Array(buffer).set(new Uint8Array(column.values.buffer));
      column.values = columnView(column.type, buffer, 0, capacity);
      column.i32 = new Int32Array(buffer);
      column.bits = bitsView(column.type, buffer, 0, capacity);
    }
    this.capacity = capacity;
  }
}

function paddedBytes(type: ColumnType, capacity: number): number {
  return Math.ceil((elementBytes[type]! * capacity) / 8) * 8;
}

/** What is decoded and appended at once is read again by the processor while it is still in its cache. */
const PIECE_RECORDS = 4096;
const PIECE_BYTES = 2 ** 18;

/** Where a piece of the records [from, to) ends that begins at `from`: one record at least. */
export function pieceEnd(batch: RecordBatch, from: number, to: number): number {
  const { valueStart } = batch;
  const start = valueStart[from]!;
  let end = Math.min(to, from + PIECE_RECORDS);
  while (end > from + 1 && valueStart[end - 1]! - start > PIECE_BYTES) end = (from + end) >> 1;
  return end;
}

/** Takes the rows of the records at these offsets out and makes the records undecodable for `cause`. */
export function dropRows(
  rows: RowBuffer,
  offsets: ReadonlySet<number>,
  batch: RecordBatch,
  cause: string,
): void {
  let kept = 0;
  for (let row = 0; row < rows.rows; row++) {
    if (offsets.has(rows.offset[row]!)) continue;
    rows.offset[kept] = rows.offset[row]!;
    for (const column of rows.columns) column.values.copyWithin(kept, row, row + 1);
    kept++;
  }
  rows.rows = kept;
  for (let i = 0; i < batch.count; i++)
    if (offsets.has(batch.offset[i]!)) rows.undecodable.push(undecodable(batch, i, cause));
  rows.undecodable.sort((a, b) => a.offset - b.offset);
}

/** Record `index` of the batch as a dead letter, with copies of its key and value. */
export function undecodable(batch: RecordBatch, index: number, cause: string): UndecodableRecord {
  const copy = (start: number, length: number): Uint8Array | null =>
    length < 0 ? null : new Uint8Array(batch.buffer.subarray(start, start + length));
  return {
    offset: batch.offset[index]!,
    timestampMs: batch.timestampMs[index]!,
    cause,
    key: copy(batch.keyStart[index]!, batch.keyLength[index]!),
    value: copy(batch.valueStart[index]!, batch.valueLength[index]!),
  };
}
