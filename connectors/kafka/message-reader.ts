// What: a partition's fetched bytes read by kafkajs, message by message, into a RecordBatch.
// Why: the way out when the direct decode is in doubt, its oracle in tests, and its baseline in benchmarks.
// Invariant: gives the records that RecordBatchReader gives, from the same bytes. CRCs are not checked: kafkajs does not.

import { createRequire } from 'node:module';
import type { RecordBatch } from '../../src/columns/batch.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import { GrowableBytes } from '../../src/kernel/growable-bytes.ts';
import { AbortedTransactions } from './aborted.ts';
import { registerCodecs } from './codecs.ts';
import {
  ATTRIBUTES_AT,
  CODEC_MASK,
  COUNT_AT,
  type FetchedBatches,
  HEADER_BYTES,
  LENGTH_AT,
  MAGIC_AT,
  offsetAfter,
  oldFormat,
  PREFIX_BYTES,
} from './record-batch.ts';
import { RECORD_BYTES_MIN, RecordPositions } from './record-positions.ts';

/** What is used of kafkajs's insides. */
interface KafkajsInside {
  readonly Decoder: { new (bytes: Buffer): KafkajsDecoder; readonly prototype: KafkajsDecoder };
  /** Reads one record batch. */
  readonly readRecordBatch: (decoder: object) => Promise<KafkajsBatch>;
}

interface KafkajsDecoder {
  buffer: Buffer;
  offset: number;
  canReadBytes(length: number): boolean;
  readVarInt(): number;
  readVarIntArray(read: (decoder: KafkajsDecoder) => unknown): unknown[];
}

interface KafkajsBatch {
  readonly firstOffset: string;
  readonly lastOffsetDelta: number;
  readonly producerId: string;
  readonly inTransaction: boolean;
  readonly isControlBatch: boolean;
  readonly records: readonly KafkajsMessage[];
}

interface KafkajsMessage {
  readonly offset: string;
  readonly timestamp: string;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
}

/** kafkajs copies all headers for each one that it reads. */
const HEADERS_MAX = 1000;
/** No codec makes more of a byte: each record has an offset of its own. */
const RECORDS_PER_COMPRESSED_BYTE = 1024;

let inside: KafkajsInside | null = null;

/** @throws ZeptoError CONFIG_INVALID when the installed kafkajs is another one than this was written for. */
export function kafkajsInside(): KafkajsInside {
  if (inside !== null) return inside;
  const require = createRequire(import.meta.url);
  const found: KafkajsInside = {
    Decoder: require('kafkajs/src/protocol/decoder'),
    readRecordBatch: require('kafkajs/src/protocol/recordBatch/v0/decoder'),
  };
  const { version } = require('kafkajs/package.json') as { version: string };
  if (version !== '2.2.4' || Object.values(found).some((one) => typeof one !== 'function'))
    throw new ZeptoError(
      'CONFIG_INVALID',
      'stop',
      `--fetch-decode kafkajs needs kafkajs 2.2.4, and ${version} is installed: use --fetch-decode direct`,
    );
  registerCodecs();
  boundHeaders(found.Decoder.prototype);
  inside = found;
  return found;
}

/** A record's headers are the one array that kafkajs reads so; past the end of its bytes it goes on reading empty ones. */
function boundHeaders(prototype: KafkajsDecoder): void {
  prototype.readVarIntArray = function (read) {
    const count = this.readVarInt();
    // A key and a value, a byte of length each.
    const most = Math.min(HEADERS_MAX, (this.buffer.length - this.offset) / 2);
    if (count > most) {
      const why = count > HEADERS_MAX ? ': use --fetch-decode direct, which passes over them' : '';
      throw new Error(`a record claims ${count} headers${why}`);
    }
    return Array.from({ length: Math.max(0, count) }, () => read(this));
  };
}

export class MessageReader {
  private readonly inside = kafkajsInside();
  private readonly positions = new RecordPositions();
  private readonly packed = new GrowableBytes();

  /**
   * Null when the position does not move. The arrays are used again by the next call.
   * @throws ZeptoError RECORD_CORRUPT, KAFKA_PROTOCOL (stop)
   */
  async read(fetched: FetchedBatches): Promise<RecordBatch | null> {
    const { topic, partition, fetchOffset, endOffset, bytes } = fetched;
    const offsetNext = offsetAfter(bytes, fetchOffset);
    const magic = bytes[MAGIC_AT];
    if (magic === 0 || magic === 1) throw oldFormat(fetched, magic);
    if (offsetNext === fetchOffset) return null;
    const { positions, packed } = this;
    const messages = await this.messages(fetched);
    positions.reserve(messages.length);
    packed.length = 0;
    let row = 0;
    for (const message of messages) {
      positions.offset[row] = Number(message.offset);
      positions.timestampMs[row] = Number(message.timestamp);
      positions.keyStart[row] = packed.length;
      positions.keyLength[row] = this.pack(message.key);
      positions.valueStart[row] = packed.length;
      positions.valueLength[row] = this.pack(message.value);
      row++;
    }
    const { offset, timestampMs, keyStart, keyLength, valueStart, valueLength } = positions;
    return {
      topic,
      partition,
      count: row,
      buffer: packed.bytes,
      offset,
      timestampMs,
      keyStart,
      keyLength,
      valueStart,
      valueLength,
      offsetNext,
      endOffset,
    };
  }

  private async messages(fetched: FetchedBatches): Promise<readonly KafkajsMessage[]> {
    const { topic, partition, fetchOffset, bytes } = fetched;
    const { Decoder, readRecordBatch } = this.inside;
    const decoder = new Decoder(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    // kafkajs's own filter takes one aborted transaction per message from its list, and so lets some records through.
    const aborted = new AbortedTransactions(fetched.aborted);
    const visible: KafkajsMessage[] = [];
    try {
      refuseLyingCounts(bytes);
      while (decoder.canReadBytes(HEADER_BYTES)) {
        const batch = await readRecordBatch(decoder);
        if (isHidden(batch, aborted)) continue;
        // One by one: as arguments of one call, which kafkajs makes of them, very many overflow the stack.
        for (const message of batch.records) if (Number(message.offset) >= fetchOffset) visible.push(message);
      }
    } catch (cause) {
      // The last batch of a response may be cut.
      if ((cause as Error).name !== 'KafkaJSPartialMessageError')
        throw new ZeptoError(
          'RECORD_CORRUPT',
          'stop',
          `records at or after offset ${fetchOffset} of ${topic}-${partition} cannot be read by kafkajs: ${(cause as Error).message}`,
          { cause, context: { topic, partition, offset: fetchOffset } },
        );
    }
    return visible;
  }

  /** The length as a RecordBatch gives it. */
  private pack(bytes: Uint8Array | null): number {
    if (bytes === null) return -1;
    this.packed.append(bytes);
    return bytes.length;
  }
}

/** kafkajs makes an array of as many records as a batch says, before it reads one. */
function refuseLyingCounts(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
    const end = at + PREFIX_BYTES + view.getInt32(at + LENGTH_AT);
    if (end > bytes.length) return; // cut, and not read
    const recordsBytes = end - at - HEADER_BYTES;
    const isCompressed = (view.getInt16(at + ATTRIBUTES_AT) & CODEC_MASK) !== 0;
    const most = isCompressed ? recordsBytes * RECORDS_PER_COMPRESSED_BYTE : recordsBytes / RECORD_BYTES_MIN;
    const count = view.getInt32(at + COUNT_AT);
    if (count > Math.max(0, most))
      throw new Error(`a batch claims ${count} records in ${recordsBytes} bytes`);
    if (recordsBytes < 0) throw new Error('a batch is shorter than its header');
    at = end;
  }
}

/** Of an aborted transaction, or the marker of one's end: int16 version, int16 type (0: abort) in its key. */
function isHidden(batch: KafkajsBatch, aborted: AbortedTransactions): boolean {
  const producerId = BigInt(batch.producerId);
  const offsetLast = Number(batch.firstOffset) + batch.lastOffsetDelta;
  if (!batch.isControlBatch) return batch.inTransaction && aborted.covers(producerId, offsetLast);
  if (batch.records[0]?.key?.[3] === 0) aborted.abortedAt(producerId, offsetLast);
  return true;
}
