// What: Kafka record batches (format v2) decoded from a fetch response's bytes into positions in typed arrays.
// Why: an object per message is what makes Node consumers slow; a record costs here what its few varints cost.
// Invariant: only records that a read_committed consumer may see come out, each once, with offsets that strictly increase.
//
// A batch (big-endian; https://kafka.apache.org/documentation/#recordbatch):
//
// | offset | size | field                                                                                   |
// | ------ | ---- | --------------------------------------------------------------------------------------- |
// |      0 |    8 | base offset                                                                             |
// |      8 |    4 | length of what follows this field                                                       |
// |     12 |    4 | partition leader epoch                                                                  |
// |     16 |    1 | magic 2                                                                                 |
// |     17 |    4 | CRC-32C of what follows this field                                                      |
// |     21 |    2 | attributes: 0–2 codec, 3 LogAppendTime, 4 transactional, 5 control, 6 delete horizon    |
// |     23 |    4 | last offset delta                                                                       |
// |     27 |    8 | base timestamp                                                                          |
// |     35 |    8 | max timestamp                                                                           |
// |     43 |    8 | producer id                                                                             |
// |     51 |    2 | producer epoch                                                                          |
// |     53 |    4 | base sequence                                                                           |
// |     57 |    4 | number of records                                                                       |
// |     61 |    – | records (record-positions.ts), compressed as one piece                                  |

import type { RecordBatch } from '../../src/columns/batch.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import { GrowableBytes } from '../../src/kernel/growable-bytes.ts';
import { type AbortedTransaction, AbortedTransactions } from './aborted.ts';
import { decompressInto } from './codecs.ts';
import { crc32c } from './crc.ts';
import { RECORD_BYTES_MIN, RecordPositions } from './record-positions.ts';

export const HEADER_BYTES = 61;
export const LENGTH_AT = 8;
export const MAGIC_AT = 16;
export const CRC_AT = 17;
export const ATTRIBUTES_AT = 21;
export const LAST_OFFSET_DELTA_AT = 23;
export const BASE_TIMESTAMP_AT = 27;
export const MAX_TIMESTAMP_AT = 35;
export const PRODUCER_ID_AT = 43;
export const COUNT_AT = 57;

export const CODEC_MASK = 0x07;
const LOG_APPEND_TIME = 0x08;
const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;

/** Length field and what stands before it. */
export const PREFIX_BYTES = LENGTH_AT + 4;
/** Type of a control record, after its int16 version. */
const ABORT_MARKER = 0;

/** What one fetch response holds of one partition. */
export interface FetchedBatches {
  readonly topic: string;
  readonly partition: number;
  /** Records below it may stand in the first batch and are left out. */
  readonly fetchOffset: number;
  /** Record batches one after the other; the last may be cut. */
  readonly bytes: Uint8Array;
  readonly aborted: readonly AbortedTransaction[];
  /** Last stable offset; −1 unknown. */
  readonly endOffset: number;
}

export interface ReaderLimits {
  /** Largest that one compressed batch may become. */
  readonly batchBytesMax: number;
  /** A RecordBatch ends after the batch that makes its decompressed bytes or its records exceed these. */
  readonly stretchBytesMax: number;
  readonly stretchRecordsMax: number;
}

export const readerLimits: ReaderLimits = {
  batchBytesMax: 128 * 1024 * 1024,
  stretchBytesMax: 32 * 1024 * 1024,
  stretchRecordsMax: 512 * 1024,
};

/**
 * The offset after the last complete batch, from the batches' headers alone; `offset` when there is none.
 * A header that makes no sense ends the walk: the reader will say what is wrong with it.
 */
export function offsetAfter(bytes: Uint8Array, offset: number): number {
  const view = viewOf(bytes);
  let next = offset;
  for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
    const end = at + PREFIX_BYTES + view.getInt32(at + LENGTH_AT);
    if (end > bytes.length || end < at + HEADER_BYTES || view.getUint8(at + MAGIC_AT) !== 2) break;
    next = Math.max(next, int64(view, at) + view.getInt32(at + LAST_OFFSET_DELTA_AT) + 1);
    at = end;
  }
  return next;
}

/** Reads one partition's share of a response at a time. Its arrays are used again for the next stretch. */
export class RecordBatchReader {
  private readonly limits: ReaderLimits;
  private readonly positions = new RecordPositions();
  private readonly unpacked = new GrowableBytes();

  private fetched: FetchedBatches = nothingFetched;
  private view = viewOf(nothingFetched.bytes);
  private aborted: AbortedTransactions | null = null;
  /** Byte at which the next batch begins. */
  private cursor = 0;
  /** A batch may not begin below it. */
  private offsetMin = 0;
  /** Past every record returned or left out. */
  private offsetNext = 0;

  constructor(limits: ReaderLimits = readerLimits) {
    this.limits = limits;
  }

  open(fetched: FetchedBatches): void {
    this.fetched = fetched;
    this.view = viewOf(fetched.bytes);
    this.aborted = fetched.aborted.length === 0 ? null : new AbortedTransactions(fetched.aborted);
    this.cursor = 0;
    this.offsetMin = 0;
    this.offsetNext = fetched.fetchOffset;
    // One extraordinary batch must not hold its memory for ever.
    if (this.unpacked.bytes.length > 4 * this.limits.stretchBytesMax) this.unpacked.bytes = new Uint8Array(0);
  }

  /**
   * The next stretch of records, valid until the following call; null at the end. A stretch of no records says that
   * the position has passed records that were left out.
   * @throws ZeptoError RECORD_CORRUPT or KAFKA_PROTOCOL (stop) when the next batch cannot be read. Every call repeats it.
   */
  next(): RecordBatch | null {
    const { bytes } = this.fetched;
    const offsetBefore = this.offsetNext;
    let rows = 0;
    let isPacked = false;
    this.unpacked.length = 0;
    while (rows < this.limits.stretchRecordsMax && this.unpacked.length < this.limits.stretchBytesMax) {
      const end = this.batchEnd();
      if (end === -1) break;
      try {
        this.checkBatch(end);
        const codec = this.codec();
        if (!this.isHidden(end, rows)) {
          // All positions of a stretch point into one buffer.
          if (rows > 0 && isPacked !== (codec !== 0)) break;
          isPacked = codec !== 0;
          rows = this.readVisible(end, codec, rows);
        }
      } catch (cause) {
        if (rows > 0) break;
        throw this.corrupt(cause);
      }
      this.offsetMin = this.offsetLast() + 1;
      this.offsetNext = Math.max(this.offsetNext, this.offsetMin);
      this.cursor = end;
    }
    if (rows === 0 && this.offsetNext === offsetBefore) return null;
    const { topic, partition, endOffset } = this.fetched;
    const { positions } = this;
    return {
      topic,
      partition,
      count: rows,
      buffer: isPacked ? this.unpacked.bytes : bytes,
      offset: positions.offset,
      timestampMs: positions.timestampMs,
      keyStart: positions.keyStart,
      keyLength: positions.keyLength,
      valueStart: positions.valueStart,
      valueLength: positions.valueLength,
      offsetNext: this.offsetNext,
      endOffset,
    };
  }

  /** Where the batch at the cursor ends; −1 when it is cut or there is none. */
  private batchEnd(): number {
    const { length } = this.fetched.bytes;
    if (this.cursor + PREFIX_BYTES > length) return -1;
    const end = this.cursor + PREFIX_BYTES + this.view.getInt32(this.cursor + LENGTH_AT);
    return end > length ? -1 : end;
  }

  private offsetBase(): number {
    return int64(this.view, this.cursor);
  }

  private offsetLast(): number {
    return this.offsetBase() + this.view.getInt32(this.cursor + LAST_OFFSET_DELTA_AT);
  }

  private codec(): number {
    return this.view.getInt16(this.cursor + ATTRIBUTES_AT) & CODEC_MASK;
  }

  private checkBatch(end: number): void {
    const { cursor, view } = this;
    const magic = end >= cursor + MAGIC_AT + 1 ? view.getInt8(cursor + MAGIC_AT) : -1;
    if (magic === 0 || magic === 1) throw oldFormat(this.fetched, magic);
    if (end < cursor + HEADER_BYTES) throw new Error('the batch is shorter than its header');
    if (magic !== 2) throw new Error(`unknown format version ${magic}`);
    if (crc32c(this.fetched.bytes.subarray(cursor + ATTRIBUTES_AT, end)) !== view.getUint32(cursor + CRC_AT))
      throw new Error('its CRC-32C does not match');
    const count = view.getInt32(cursor + COUNT_AT);
    const lastDelta = view.getInt32(cursor + LAST_OFFSET_DELTA_AT);
    if (this.offsetBase() < this.offsetMin || lastDelta < 0 || !Number.isSafeInteger(this.offsetLast()))
      throw new Error('its offsets do not follow those before');
    if (count < 0) throw new Error(`it claims ${count} records`);
  }

  /**
   * Whether the records of the batch are not for us: a transaction's marker, or of an aborted transaction.
   * `row` is free to be written.
   */
  private isHidden(end: number, row: number): boolean {
    const attributes = this.view.getInt16(this.cursor + ATTRIBUTES_AT);
    if (this.aborted !== null && (attributes & TRANSACTIONAL) !== 0) {
      const producerId = this.view.getBigInt64(this.cursor + PRODUCER_ID_AT);
      if ((attributes & CONTROL) === 0) return this.aborted.covers(producerId, this.offsetLast());
      if (this.markerType(end, row) === ABORT_MARKER) this.aborted.abortedAt(producerId, this.offsetLast());
    }
    return (attributes & CONTROL) !== 0;
  }

  /** Type of the control record: int16 after the int16 version in its key. −1 when compaction has removed it. */
  private markerType(end: number, row: number): number {
    if (this.view.getInt32(this.cursor + COUNT_AT) === 0) return -1;
    const { positions } = this;
    positions.reserve(row + 1);
    positions.read(this.fetched.bytes, this.cursor + HEADER_BYTES, end, 1, row, this.offsetBase(), 0);
    if (positions.keyLength[row]! < 4) throw new Error('a transaction marker has no type');
    return this.view.getInt16(positions.keyStart[row]! + 2);
  }

  /** Reads the records at the cursor into `row` and following; returns the row after. */
  private readVisible(end: number, codec: number, row: number): number {
    const { cursor, view, unpacked } = this;
    const count = view.getInt32(cursor + COUNT_AT);
    // Compaction may leave a batch without records, and then with nothing to decompress.
    if (count === 0) return row;
    let source = this.fetched.bytes;
    let start = cursor + HEADER_BYTES;
    let stop = end;
    if (codec !== 0) {
      start = unpacked.length;
      decompressInto(codec, source.subarray(cursor + HEADER_BYTES, end), unpacked, this.limits.batchBytesMax);
      source = unpacked.bytes;
      stop = unpacked.length;
    }
    if (count > (stop - start) / RECORD_BYTES_MIN)
      throw new Error(`it claims ${count} records in ${stop - start} bytes`);
    const { positions } = this;
    positions.reserve(row + count);
    const timestampBase = int64(view, cursor + BASE_TIMESTAMP_AT);
    const recordsEnd = positions.read(source, start, stop, count, row, this.offsetBase(), timestampBase);
    if (recordsEnd !== stop) throw new Error('it has bytes after its last record');
    if ((view.getInt16(cursor + ATTRIBUTES_AT) & LOG_APPEND_TIME) !== 0)
      positions.timestampMs.fill(int64(view, cursor + MAX_TIMESTAMP_AT), row, row + count);
    if (positions.offset[row + count - 1]! > this.offsetLast())
      throw new Error('a record is past its last offset');
    return positions.dropBelow(this.fetched.fetchOffset, row, row + count);
  }

  private corrupt(cause: unknown): ZeptoError {
    if (cause instanceof ZeptoError) return cause;
    const { topic, partition } = this.fetched;
    const offset = Math.max(this.offsetNext, this.offsetMin);
    const reason = cause instanceof Error ? cause.message : String(cause);
    return new ZeptoError(
      'RECORD_CORRUPT',
      'stop',
      `the record batch at or after offset ${offset} of ${topic}-${partition} cannot be read: ${reason}`,
      { cause, context: { topic, partition, offset } },
    );
  }
}

export function oldFormat({ topic, partition, fetchOffset }: FetchedBatches, magic: number): ZeptoError {
  return new ZeptoError(
    'KAFKA_PROTOCOL',
    'stop',
    `${topic}-${partition} holds records in the old message format v${magic}, which is not read: ` +
      'set message.format.version of the topic to 0.11 or later and produce them again',
    { context: { topic, partition, offset: fetchOffset } },
  );
}

const nothingFetched: FetchedBatches = {
  topic: '',
  partition: -1,
  fetchOffset: 0,
  bytes: new Uint8Array(0),
  aborted: [],
  endOffset: -1,
};

/** Exact up to 2^53. */
const int64 = (view: DataView, at: number): number =>
  view.getInt32(at) * 4_294_967_296 + view.getUint32(at + 4);

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
