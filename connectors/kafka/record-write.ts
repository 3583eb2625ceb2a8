// What: records → one Kafka record batch (format 2), uncompressed.
// Why: dead letters and symbol names are produced by our own requests, and must be cut to the topic's size limit beforehand.
// Invariant: `recordBytesMax` never underestimates, so a batch filled by it fits.

import { crc32c } from './crc.ts';
import { Writer } from './protocol.ts';
import type { ProducerId } from './requests.ts';

export interface OutgoingRecord {
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/** Bytes of a batch before its first record. */
export const BATCH_HEADER_BYTES = 61;

const TRANSACTIONAL = 0x10;
/** Keeps requests and the broker's validation short. */
export const BATCH_RECORDS_MAX = 5_000;

/** Who sends a batch; brokers take each sequence once. */
export interface Sender {
  readonly producer: ProducerId;
  /** How many records this producer has sent to the partition before. */
  readonly sequence: number;
  readonly isTransactional: boolean;
}

/** Null sender: a batch that is sent twice stands there twice. */
export function encodeRecordBatch(
  records: readonly OutgoingRecord[],
  timestampMs: number,
  sender: Sender | null,
): Buffer {
  const checked = new Writer();
  checked.int16(sender?.isTransactional === true ? TRANSACTIONAL : 0);
  checked.int32(records.length - 1);
  checked.int64(BigInt(timestampMs));
  checked.int64(BigInt(timestampMs));
  checked.int64(sender?.producer.id ?? -1n);
  checked.int16(sender?.producer.epoch ?? -1);
  checked.int32(sender?.sequence ?? -1);
  checked.array(records.map(encodeRecord), (bytes) => checked.raw(bytes));
  const body = checked.finish();

  const batch = new Writer();
  batch.int64(0n);
  batch.int32(4 + 1 + 4 + body.length);
  batch.int32(-1); // leader epoch
  batch.int8(2);
  batch.int32(crc32c(body) | 0);
  batch.raw(body);
  return batch.finish();
}

function encodeRecord(record: OutgoingRecord, offsetDelta: number): Buffer {
  const to = new Writer();
  to.int8(0);
  to.varint(0); // timestamp delta
  to.varint(offsetDelta);
  nullableBytes(to, record.key);
  nullableBytes(to, record.value);
  to.varint(record.headers.length);
  for (const [name, value] of record.headers) {
    nullableBytes(to, Buffer.from(name));
    nullableBytes(to, Buffer.from(value));
  }
  const body = to.finish();
  const whole = new Writer();
  whole.varint(body.length);
  whole.raw(body);
  return whole.finish();
}

function nullableBytes(to: Writer, bytes: Uint8Array | null): void {
  to.varint(bytes?.length ?? -1);
  if (bytes !== null) to.raw(bytes);
}

/** An upper bound of the record's bytes in a batch. */
export function recordBytesMax(record: OutgoingRecord): number {
  // Five bytes for every varint, one for the attributes.
  let bytes = 5 * 6 + 1 + (record.key?.length ?? 0) + (record.value?.length ?? 0);
  for (const [name, value] of record.headers)
    bytes += 10 + Buffer.byteLength(name) + Buffer.byteLength(value);
  return bytes;
}

/** Cut so that each fits `bytesMax` as a batch; a larger record stands alone. */
export function* recordBatches(
  records: Iterable<OutgoingRecord>,
  bytesMax: number,
): Generator<OutgoingRecord[]> {
  let batch: OutgoingRecord[] = [];
  let bytes = BATCH_HEADER_BYTES;
  for (const record of records) {
    const more = recordBytesMax(record);
    if (batch.length > 0 && (bytes + more > bytesMax || batch.length === BATCH_RECORDS_MAX)) {
      yield batch;
      batch = [];
      bytes = BATCH_HEADER_BYTES;
    }
    batch.push(record);
    bytes += more;
  }
  if (batch.length > 0) yield batch;
}
