// What: Kafka record batches and fetch responses written byte by byte, good ones and bad ones.
// Why: the decoder is tested against bytes that no library of ours made, and that no broker would send.
// Invariant: without `damage`, what is written is what a broker may store.

import { gzipSync } from 'node:zlib';
import { compressFrameSync } from 'lz4-napi';
import { compressSync } from 'snappy';
import { plainCrc32c } from '../../connectors/kafka/crc.ts';

export interface TestRecord {
  /** To the batch's base offset. */
  readonly offsetDelta: number;
  readonly timestampDelta?: number;
  readonly key?: Uint8Array | null;
  readonly value?: Uint8Array | null;
  readonly headers?: readonly (readonly [string, Uint8Array | null])[];
}

export interface TestBatch {
  readonly baseOffset: number;
  readonly records: readonly TestRecord[];
  /** Default: the last record's. Compaction keeps the one that was written. */
  readonly lastOffsetDelta?: number;
  readonly baseTimestamp?: number;
  readonly maxTimestamp?: number;
  readonly codec?:
    | 'none'
    | 'gzip'
    | 'snappy'
    | 'xerial'
    | 'lz4'
    | { id: number; compress: (bytes: Buffer) => Buffer };
  readonly logAppendTime?: boolean;
  readonly transactional?: boolean;
  readonly control?: boolean;
  readonly producerId?: bigint;
  /** Instead of the number of records. */
  readonly count?: number;
  readonly magic?: number;
}

export function encodeBatch(batch: TestBatch): Buffer {
  const raw = Buffer.concat(batch.records.map(encodeRecord));
  const codec = compression(batch.codec ?? 'none');
  // A batch emptied by compaction holds no compressed bytes either.
  const records = batch.records.length === 0 ? raw : codec.compress(raw);
  const header = Buffer.alloc(61);
  header.writeBigInt64BE(BigInt(batch.baseOffset), 0);
  header.writeInt32BE(49 + records.length, 8);
  header.writeInt32BE(0, 12);
  header.writeInt8(batch.magic ?? 2, 16);
  header.writeInt16BE(
    codec.id |
      (batch.logAppendTime ? 0x08 : 0) |
      (batch.transactional ? 0x10 : 0) |
      (batch.control ? 0x20 : 0),
    21,
  );
  header.writeInt32BE(batch.lastOffsetDelta ?? batch.records.at(-1)?.offsetDelta ?? 0, 23);
  header.writeBigInt64BE(BigInt(batch.baseTimestamp ?? 0), 27);
  header.writeBigInt64BE(BigInt(batch.maxTimestamp ?? batch.baseTimestamp ?? 0), 35);
  header.writeBigInt64BE(batch.producerId ?? -1n, 43);
  header.writeInt16BE(batch.producerId === undefined ? -1 : 0, 51);
  header.writeInt32BE(-1, 53);
  header.writeInt32BE(batch.count ?? batch.records.length, 57);
  const bytes = Buffer.concat([header, records]);
  return sealed(bytes);
}

/** The batch with its checksum made right again, after its bytes were changed. */
export function sealed(bytes: Buffer): Buffer {
  bytes.writeUInt32BE(plainCrc32c(bytes.subarray(21)), 17);
  return bytes;
}

/** The end of a transaction, as the coordinator writes it. */
export function controlBatch(baseOffset: number, producerId: bigint, type: 'abort' | 'commit'): Buffer {
  const key = Buffer.alloc(4);
  key.writeInt16BE(type === 'abort' ? 0 : 1, 2);
  return encodeBatch({
    baseOffset,
    producerId,
    transactional: true,
    control: true,
    records: [{ offsetDelta: 0, key, value: Buffer.alloc(6) }],
  });
}

export function encodeRecord(record: TestRecord): Buffer {
  const headers = record.headers ?? [];
  const body = Buffer.concat([
    Buffer.of(0),
    varint(record.timestampDelta ?? 0),
    varint(record.offsetDelta),
    sized(record.key ?? null),
    sized(record.value ?? null),
    varint(headers.length),
    ...headers.flatMap(([name, value]) => [sized(Buffer.from(name)), sized(value)]),
  ]);
  return Buffer.concat([varint(body.length), body]);
}

function sized(bytes: Uint8Array | null): Buffer {
  return bytes === null ? varint(-1) : Buffer.concat([varint(bytes.length), bytes]);
}

/** Zigzag varint; exact for all safe integers. */
export function varint(value: number): Buffer {
  let rest = value >= 0 ? BigInt(value) * 2n : BigInt(-value) * 2n - 1n;
  const bytes: number[] = [];
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

function compression(codec: NonNullable<TestBatch['codec']>): {
  id: number;
  compress: (bytes: Buffer) => Buffer;
} {
  if (typeof codec === 'object') return codec;
  switch (codec) {
    case 'none':
      return { id: 0, compress: (bytes) => bytes };
    case 'gzip':
      return { id: 1, compress: (bytes) => gzipSync(bytes) };
    case 'snappy':
      return { id: 2, compress: (bytes) => compressSync(bytes) };
    case 'xerial':
      return { id: 2, compress: xerial };
    case 'lz4':
      return { id: 3, compress: (bytes) => compressFrameSync(bytes) };
  }
}

/** The framing of the Java library, in blocks of 1,000 bytes. */
function xerial(bytes: Buffer): Buffer {
  const parts: Buffer[] = [Buffer.from('82534e4150505900' + '00000001' + '00000001', 'hex')];
  for (let at = 0; at < bytes.length; at += 1_000) {
    const block = compressSync(bytes.subarray(at, at + 1_000));
    const length = Buffer.alloc(4);
    length.writeInt32BE(block.length);
    parts.push(length, block);
  }
  return Buffer.concat(parts);
}
