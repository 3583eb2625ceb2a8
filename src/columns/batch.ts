// What: a stretch of Kafka records as positions in a buffer, and the rows decoded from it as growable columns.
// Why: no object per record on the hot path; a decoder reads positions and writes typed arrays.
// Invariant: offsets strictly increase in a RecordBatch (gaps are legal) and never decrease in a RowBuffer (one record may hold many rows).

import { ZeptoError } from '../kernel/errors.ts';
import { type ColumnLoops, plainLoops } from './column-loops.ts';
import type { Allocation, ColumnMemory } from './column-memory.ts';
import {
  type BitsArray,
  bitsView,
  type ColumnSchema,
  ColumnType,
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
  /** What works on it. */
  loops: ColumnLoops;
}

/** Numbers of whoever passes rows on, as many as there is room for rows; the content is undefined. */
export interface RowNumbers {
  hours: Int32Array;
  /** 0, 1, 2, … */
  all: Int32Array;
  some: Int32Array;
  order: Int32Array;
  symbols: Int32Array;
  lengths: Int32Array;
}

/** Where a ColumnMemory has the columns that are stored. */
export interface StoredPlaces {
  readonly memory: ColumnMemory;
  /** Addresses: of each stored column's address and width, and of `numbers.order`. */
  readonly columns: number;
  readonly order: number;
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
  /** Both are replaced when the buffer grows. */
  numbers!: RowNumbers;
  /** Null: nowhere. */
  places: StoredPlaces | null = null;
  rows = 0;
  capacity: number;
  readonly undecodable: UndecodableRecord[] = [];
  private readonly rowsMax: number;
  private readonly memory: ColumnMemory | null;
  /** Of columns and numbers; null where they have memory of their own. */
  private allocation: Allocation | null = null;

  /** `rowsMax`: no room is made for more, whatever a record announces. `memory`: where the rows should lie. */
  constructor(
    table: TableSchema,
    capacity = 4096,
    rowsMax = Number.POSITIVE_INFINITY,
    memory: ColumnMemory | null = null,
  ) {
    this.table = table;
    this.rowsMax = rowsMax;
    this.memory = memory;
    this.capacity = capacity;
    this.offset = new Float64Array(capacity);
    // Their arrays come with the first layOut.
    this.columns = table.columns.map((schema) => ({ type: schema.type, schema }) as ColumnBuffer);
    this.layOut();
  }

  /** What works on its columns and numbers. */
  get loops(): ColumnLoops {
    return this.allocation === null ? plainLoops : this.memory!.loops;
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
    const { allocation } = this;
    const bytes = this.bytes;
    const before = this.columns.map(({ i32 }) => i32);
    while (this.capacity < rows) this.capacity *= 2;
    const offset = new Float64Array(this.capacity);
    offset.set(this.offset);
    this.offset = offset;
    this.layOut();
    for (const [index, column] of this.columns.entries()) column.i32.set(before[index]!);
    if (allocation !== null) this.memory!.release(allocation, bytes);
  }

  private get bytes(): number {
    const perColumn = this.columns.map(({ type }) => paddedBytes(type, this.capacity));
    const numbers = NUMBERS * paddedBytes(ColumnType.INT32, this.capacity);
    return perColumn.reduce((sum, bytes) => sum + bytes, numbers + 8 * this.columns.length);
  }

  private layOut(): void {
    const { capacity } = this;
    this.allocation = this.memory?.allocate(this.bytes) ?? null;
    const { buffer, byteOffset } = this.allocation ?? { buffer: new ArrayBuffer(this.bytes), byteOffset: 0 };
    let at = byteOffset;
    for (const column of this.columns) {
      const bytes = paddedBytes(column.type, capacity);
      column.values = columnView(column.type, buffer, at, capacity);
      column.i32 = new Int32Array(buffer, at, bytes / 4);
      column.bits = bitsView(column.type, buffer, at, capacity);
      column.loops = this.loops;
      at += bytes;
    }
    const words = (): Int32Array => {
      const array = new Int32Array(buffer, at, capacity);
      at += paddedBytes(ColumnType.INT32, capacity);
      return array;
    };
    const all = words();
    for (let i = 0; i < capacity; i++) all[i] = i;
    this.numbers = {
      all,
      hours: words(),
      some: words(),
      order: words(),
      symbols: words(),
      lengths: words(),
    };
    this.places = null;
    if (this.allocation === null) return;
    const stored = this.columns.filter((_, index) => index !== this.table.symbolColumn);
    const columns = stored.flatMap(({ bits }) => [bits.byteOffset, bits.BYTES_PER_ELEMENT]);
    new Int32Array(buffer, at, columns.length).set(columns);
    this.places = { memory: this.memory!, columns: at, order: this.numbers.order.byteOffset };
  }
}

/** Of RowNumbers. */
const NUMBERS = 6;
const LINE_BYTES = 64;

/** Whole lines of the processor's cache. */
function paddedBytes(type: ColumnType, capacity: number): number {
  return Math.ceil((elementBytes[type]! * capacity) / LINE_BYTES) * LINE_BYTES;
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
