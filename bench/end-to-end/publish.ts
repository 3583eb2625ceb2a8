// What: writes the benchmark's ticks to a topic as record batches that are made here.
// Why: a general producer would take longer than all measurements together.
// Invariant: every batch is acknowledged; a symbol's ticks stand in one partition, in order.

import { Kafka } from 'kafkajs';
import { brokerAddress, kafkajsConfig } from '../../connectors/kafka/client.ts';
import { crc32c } from '../../connectors/kafka/crc.ts';
import { openLink } from '../../connectors/kafka/link.ts';
import { produce } from '../../connectors/kafka/requests.ts';
import { assert } from '../../src/kernel/assert.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { Logger } from '../../src/ports.ts';
import { type TickFormat, tickWriter } from './ticks.ts';

const RECORDS_PER_BATCH = 4_000;
const HEADER_BYTES = 61;
/** A tick and what frames it. */
const RECORD_BYTES_MAX = 128;
const TIMEOUT_MS = 30_000;
const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

export interface PublishOptions {
  /** One broker, `host:port`, which leads every partition. */
  readonly brokers: string;
  readonly topic: string;
  readonly partitions: number;
  readonly records: number;
  readonly format: TickFormat;
}

/** Makes the topic and fills it. Bytes of the log. */
export async function publish(options: PublishOptions): Promise<{ readonly bytes: number }> {
  const { brokers, topic, partitions, records, format } = options;
  const connection = { brokers: [brokers], clientId: 'bench', tls: null, sasl: null };
  const config = kafkajsConfig(connection, silent, systemClock);
  const kafka = new Kafka(config);
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: partitions }], waitForLeaders: true });
  await admin.disconnect();

  const { host, port } = brokerAddress(brokers);
  const link = await openLink(host, port, config, kafka.logger(), systemClock);
  const nowMs = systemClock.nowMs();
  const batches = Array.from({ length: partitions }, () => new Batch(nowMs));
  const ticks = tickWriter(format);
  let bytes = 0;
  const inFlight: (Promise<void> | undefined)[] = [];
  const send = async (partition: number): Promise<void> => {
    const batch = batches[partition]!.finish();
    bytes += batch.length;
    // One at a time per partition keeps their order.
    await inFlight[partition];
    inFlight[partition] = link
      .send(produce(null, TIMEOUT_MS, topic, partition, batch))
      .then(({ code }) => assert(code === 0, `the broker refused a batch: error ${code}`));
  };
  for (let i = 0; i < records; i++) {
    const partition = ticks.symbol() % partitions;
    const batch = batches[partition]!;
    batch.add(ticks.write);
    if (batch.count === RECORDS_PER_BATCH) await send(partition);
  }
  for (const [partition, batch] of batches.entries()) if (batch.count > 0) await send(partition);
  await Promise.all(inFlight);
  link.close();
  return { bytes };
}

/** A record batch of format 2 that is filled and copied out. */
class Batch {
  count = 0;
  private readonly bytes = Buffer.alloc(HEADER_BYTES + RECORDS_PER_BATCH * RECORD_BYTES_MAX);
  private readonly value = Buffer.alloc(RECORD_BYTES_MAX);
  private at = HEADER_BYTES;

  private readonly nowMs: number;

  constructor(nowMs: number) {
    this.nowMs = nowMs;
  }

  add(write: (to: Buffer, at: number) => number): void {
    const { bytes, value } = this;
    const valueBytes = write(value, 0);
    const delta = this.count++;
    // Attributes, timestamp delta 0, offset delta, no key, value length, value, no headers.
    const length = 1 + 1 + varintBytes(delta) + 1 + varintBytes(valueBytes) + valueBytes + 1;
    let at = varint(bytes, this.at, length);
    bytes[at++] = 0;
    bytes[at++] = 0;
    at = varint(bytes, at, delta);
    bytes[at++] = 1;
    at = varint(bytes, at, valueBytes);
    at += value.copy(bytes, at, 0, valueBytes);
    bytes[at++] = 0;
    this.at = at;
  }

  finish(): Buffer {
    const batch = Buffer.from(this.bytes.subarray(0, this.at));
    batch.writeInt32BE(batch.length - 12, 8);
    batch.writeInt32BE(-1, 12);
    batch[16] = 2;
    batch.writeInt32BE(this.count - 1, 23);
    batch.writeBigInt64BE(BigInt(this.nowMs), 27);
    batch.writeBigInt64BE(BigInt(this.nowMs), 35);
    batch.fill(0xff, 43, 57);
    batch.writeInt32BE(this.count, 57);
    batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
    this.at = HEADER_BYTES;
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
