// What: writes the benchmark's ticks to a topic as record batches that are made here.
// Why: a general producer would take longer than all measurements together.
// Invariant: every batch is acknowledged; a symbol's ticks stand in one partition, in order.

import { BATCH_HEADER_BYTES, encodeRecordBatch } from '../../connectors/kafka/record-write.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { ArrowMessage, TICKS_PER_MESSAGE } from './arrow-ticks.ts';
import { BatchWriter } from './batch-writer.ts';
import { openProducer } from './producer.ts';
import { type RecordFormat, type TickFormat, ticksFromStart, tickWriter } from './ticks.ts';

const RECORDS_PER_BATCH = 4_000;
/** Of a tick's value. */
const RECORD_BYTES_MAX = 96;
const SAMPLE_BATCHES = 32;

export interface PublishOptions {
  /** One broker, `host:port`, which leads every partition. */
  readonly brokers: string;
  readonly topic: string;
  readonly partitions: number;
  /** Ticks. */
  readonly records: number;
  readonly format: TickFormat;
  /** Makes of a plain record batch a compressed one. */
  readonly compress?: (plain: Buffer) => Buffer;
  /** From tick to tick; undefined: the data set's own. */
  readonly stepNs?: number;
}

export interface Published {
  /** Of the log. */
  readonly bytes: number;
  /** Kafka records: the topic's end, summed over its partitions. */
  readonly messages: number;
  /** The first batches as they stand in the log, and how many ticks and plain bytes they hold. */
  readonly sample: { readonly bytes: Buffer; readonly ticks: number; readonly plainBytes: number };
}

/** Ticks of one partition, collected until a batch is full. */
export interface Collector {
  add(): void;
  isFull(): boolean;
  ticks(): number;
  /** Null when there are none. */
  finish(): Buffer | null;
}

/** Makes the topic and fills it. */
export async function publish(options: PublishOptions): Promise<Published> {
  const { brokers, topic, partitions, records, format, compress = (plain) => plain, stepNs } = options;
  const producer = await openProducer(brokers, topic, partitions);
  const nowMs = systemClock.nowMs();
  const { next, collector } = collectorsOf(format, stepNs);
  const collectors = Array.from({ length: partitions }, () => collector(nowMs));
  const sample: Buffer[] = [];
  let sampleTicks = 0;
  let samplePlainBytes = 0;
  let bytes = 0;
  const send = async (partition: number): Promise<void> => {
    const ticks = collectors[partition]!.ticks();
    const plain = collectors[partition]!.finish();
    if (plain === null) return;
    const batch = compress(plain);
    bytes += batch.length;
    if (sample.length < SAMPLE_BATCHES) {
      sample.push(batch);
      sampleTicks += ticks;
      samplePlainBytes += plain.length - BATCH_HEADER_BYTES;
    }
    await producer.send(partition, batch);
  };
  for (let i = 0; i < records; i++) {
    const partition = next() % partitions;
    collectors[partition]!.add();
    if (collectors[partition]!.isFull()) await send(partition);
  }
  for (const partition of collectors.keys()) await send(partition);
  const messages = await producer.close();
  return {
    bytes,
    messages,
    sample: { bytes: Buffer.concat(sample), ticks: sampleTicks, plainBytes: samplePlainBytes },
  };
}

export interface Collectors {
  /** Makes the next tick, which the next `add` takes; its symbol. */
  readonly next: () => number;
  readonly collector: (nowMs: number) => Collector;
}

/** Of one producer's ticks, the data set's from its start. */
export function collectorsOf(format: TickFormat, stepNs: number | undefined): Collectors {
  return format === 'arrow' ? arrowCollectors(stepNs) : recordCollectors(format, stepNs);
}

function recordCollectors(format: RecordFormat, stepNs: number | undefined): Collectors {
  const { symbol, write } = tickWriter(format, stepNs);
  return {
    next: symbol,
    collector: (nowMs) => {
      const batch = new BatchWriter(RECORDS_PER_BATCH, RECORD_BYTES_MAX);
      return {
        add: () => batch.add(write),
        isFull: () => batch.count === RECORDS_PER_BATCH,
        ticks: () => batch.count,
        finish: () => (batch.count === 0 ? null : batch.finish(nowMs)),
      };
    },
  };
}

/** A message is a batch of its own, as large as it is. */
function arrowCollectors(stepNs: number | undefined): Collectors {
  const tick = ticksFromStart(stepNs);
  return {
    next: tick.next,
    collector: (nowMs) => {
      const message = new ArrowMessage();
      return {
        add: () => message.add(tick),
        isFull: () => message.ticks === TICKS_PER_MESSAGE,
        ticks: () => message.ticks,
        finish: () =>
          message.ticks === 0
            ? null
            : encodeRecordBatch([{ key: null, value: message.finish(), headers: [] }], nowMs, null),
      };
    },
  };
}
