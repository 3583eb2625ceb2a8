// What: a stretch of Kafka records as positions in a buffer, and the rows decoded from it as growable columns.
// Why: no object per record on the hot path; a decoder reads positions and writes typed arrays.
// Invariant: offsets strictly increase in a RecordBatch (gaps are legal) and never decrease in a RowBuffer (one record may hold many rows).

import { ZeptoError } from '../kernel/errors.ts';
import { type ColumnLoops, plainLoops } from './column-loops.ts';
import { type Allocation, type ColumnMemory, LoopNumbers } from './column-memory.ts';
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
  /** Typed by `type`; replaced when the buffer grows or is cleared, so fetch it after `reserve`. */
  values: Int32Array | BigInt64Array | Float32Array | Float64Array | Uint32Array | Uint8Array;
  /** The same memory as 32-bit words: for an int64 at row r, [2r] is the low and [2r + 1] the high half. */
  i32: Int32Array;
  /** The same memory, for moving values by their bits. */
  bits: BitsArray;
  /** What works on it. */
  readonly loops: ColumnLoops;
}

/** Numbers of whoever passes rows on, of each as many as there are rows or more; the content is undefined. */
export interface RowNumbers {
  readonly hours: Int32Array;
  /** 0, 1, 2, … */
  readonly all: Int32Array;
  readonly some: Int32Array;
  readonly order: Int32Array;
  readonly symbols: Int32Array;
  readonly lengths: Int32Array;
  /** Where a ColumnMemory has the columns that are stored, and the order; null: nowhere. */
  readonly places: StoredPlaces | null;
}

export interface StoredPlaces {
  readonly memory: ColumnMemory;
  /** Addresses: of each stored column's address and width, and of the order. */
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

/** Rows decoded from one RecordBatch, in offset order. Reused from batch to batch: `clear()` keeps the capacity, if it is not extraordinary. */
export class RowBuffer {
  readonly table: TableSchema;
  readonly columns: readonly ColumnBuffer[];
  /** Offset of the record that each row came from. */
  offset: Float64Array;
  rows = 0;
  capacity: number;
  readonly undecodable: UndecodableRecord[] = [];
  private readonly rowsMax: number;
  private readonly capacityFirst: number;
  /** Where its columns should lie. */
  readonly memory: ColumnMemory | null;
  /** Of the columns and the table of their addresses; null where they have memory of their own. */
  private allocation: Allocation | null = null;
  private columnsAt = 0;
  private readonly numbersRoom = new LoopNumbers();
  private numbersMade: RowNumbers | null = null;

  /** `rowsMax`: no room is made for more, whatever a record announces. */
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
    this.capacityFirst = capacity;
    this.offset = new Float64Array(capacity);
    // Their arrays come with layOut.
    this.columns = table.columns.map(
      (schema) => ({ type: schema.type, schema, loops: this.loops }) as ColumnBuffer,
    );
    this.layOut(capacity);
  }

  /** What works on its columns and numbers. */
  get loops(): ColumnLoops {
    return this.memory?.loops ?? plainLoops;
  }

  clear(): void {
    this.rows = 0;
    this.undecodable.length = 0;
    // One extraordinary message must not hold its memory for ever.
    if (this.capacity > KEPT_ROWS_MAX && this.capacity > this.capacityFirst) {
      this.offset = new Float64Array(this.capacityFirst);
      this.layOut(this.capacityFirst);
    }
  }

  /**
   * Makes room for `rows` rows in all, keeping what is there.
   * @throws ZeptoError LIMIT_EXCEEDED beyond `rowsMax`; RangeError where the system has no such memory: nothing has changed then
   */
  reserve(rows: number): void {
    if (rows > this.rowsMax)
      throw new ZeptoError(
        'LIMIT_EXCEEDED',
        'stop',
        `more than ${this.rowsMax} rows at a time: send them in several parts`,
      );
    if (rows <= this.capacity) return;
    let { capacity } = this;
    while (capacity < rows) capacity *= 2;
    const offset = new Float64Array(capacity);
    offset.set(this.offset);
    this.layOut(capacity);
    this.offset = offset;
  }

  /** Room for the numbers of its rows. */
  numbers(): RowNumbers {
    const made = this.numbersMade;
    if (made !== null && this.rows <= made.all.length) return made;
    let room = NUMBERS_FIRST;
    while (room < this.rows) room *= 2;
    const words = this.numbersRoom.take(this.memory, NUMBERS * room);
    const part = (index: number): Int32Array => words.subarray(index * room, (index + 1) * room);
    const all = part(0);
    for (let i = 0; i < room; i++) all[i] = i;
    const order = part(1);
    const isHere = this.allocation !== null && this.memory!.has(words);
    this.numbersMade = {
      ...{ all, order, hours: part(2), some: part(3), symbols: part(4), lengths: part(5) },
      places: isHere ? { memory: this.memory!, columns: this.columnsAt, order: order.byteOffset } : null,
    };
    return this.numbersMade;
  }

  /** Moves the columns to where there is room for so many rows, with as much of them as fits. */
  private layOut(capacity: number): void {
    const bytes = this.bytesOf(capacity);
    const allocation = this.memory?.allocate(bytes) ?? null;
    const { buffer, byteOffset } = allocation ?? { buffer: new ArrayBuffer(bytes), byteOffset: 0 };
    // From here on nothing fails: what is half moved would be written to where it was.
    let at = byteOffset;
    for (const column of this.columns) {
      const columnBytes = paddedBytes(column.type, capacity);
      const { i32 } = column as Partial<ColumnBuffer>;
      column.values = columnView(column.type, buffer, at, capacity);
      column.i32 = new Int32Array(buffer, at, columnBytes / 4);
      column.bits = bitsView(column.type, buffer, at, capacity);
      if (i32 !== undefined) column.i32.set(i32.subarray(0, column.i32.length));
      at += columnBytes;
    }
    const stored = this.columns.filter((_, index) => index !== this.table.symbolColumn);
    const places = stored.flatMap(({ bits }) => [bits.byteOffset, bits.BYTES_PER_ELEMENT]);
    new Int32Array(buffer, at, places.length).set(places);
    if (this.allocation !== null) this.memory!.release(this.allocation, this.bytesOf(this.capacity));
    this.allocation = allocation;
    this.columnsAt = at;
    this.capacity = capacity;
    this.numbersMade = null;
  }

  private bytesOf(capacity: number): number {
    const perColumn = this.columns.map(({ type }) => paddedBytes(type, capacity));
    return perColumn.reduce((sum, bytes) => sum + bytes, 8 * this.columns.length);
  }
}

/** Of RowNumbers. */
const NUMBERS = 6;
const NUMBERS_FIRST = 4_096;
/** More rows than messages have that a broker takes with its default limits. */
const KEPT_ROWS_MAX = 2 ** 20;
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
