// What: record batches of format 2 whose records are written in place, uncompressed, without keys and headers.
// Why: a general producer makes objects of each record; a benchmark's producer must cost less than what it measures.
// Invariant: `finish` copies out a whole batch with its checksum and leaves the writer empty.

import { crc32c } from '../../connectors/kafka/crc.ts';
import { BATCH_HEADER_BYTES } from '../../connectors/kafka/record-write.ts';

/** Length, attributes, timestamp delta, offset delta, key, value length, header count: at their longest. */
const FRAME_BYTES_MAX = 5 + 1 + 1 + 5 + 1 + 5 + 1;

export class BatchWriter {
  count = 0;
  private readonly bytes: Buffer;
  private readonly value: Buffer;
  private at = BATCH_HEADER_BYTES;

  constructor(recordsMax: number, valueBytesMax: number) {
    this.bytes = Buffer.alloc(BATCH_HEADER_BYTES + recordsMax * (valueBytesMax + FRAME_BYTES_MAX));
    this.value = Buffer.alloc(valueBytesMax);
  }

  /** `write` puts the record's value to the buffer and returns where it ends. */
  add(write: (to: Buffer, at: number) => number): void {
    const { bytes, value } = this;
    const valueBytes = write(value, 0);
    const delta = this.count++;
    const length = 1 + 1 + varintBytes(delta) + 1 + varintBytes(valueBytes) + valueBytes + 1;
    let at = varint(bytes, this.at, length);
    bytes[at++] = 0;
    bytes[at++] = 0;
    at = varint(bytes, at, delta);
    bytes[at++] = 1; // no key
    at = varint(bytes, at, valueBytes);
    at += value.copy(bytes, at, 0, valueBytes);
    bytes[at++] = 0;
    this.at = at;
  }

  finish(nowMs: number): Buffer {
    const batch = Buffer.from(this.bytes.subarray(0, this.at));
    batch.writeInt32BE(batch.length - 12, 8);
    batch.writeInt32BE(-1, 12);
    batch[16] = 2;
    batch.writeInt32BE(this.count - 1, 23);
    batch.writeBigInt64BE(BigInt(nowMs), 27);
    batch.writeBigInt64BE(BigInt(nowMs), 35);
    batch.fill(0xff, 43, 57); // no producer id
    batch.writeInt32BE(this.count, 57);
    batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
    this.at = BATCH_HEADER_BYTES;
    this.count = 0;
    return batch;
  }
}

/** Zigzag varint of a number from 0 to 2^30. */
function varint(to: Buffer, start: number, value: number): number {
  let rest = value << 1;
  let at = start;
  while (rest > 0x7f) {
    to[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  to[at++] = rest;
  return at;
}

function varintBytes(value: number): number {
  return value < 64 ? 1 : value < 8_192 ? 2 : 3;
}
