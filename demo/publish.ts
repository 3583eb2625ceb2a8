// What: publishes the tick stream to the two demo topics, as fast as asked.
// Why: the demo needs a producer that is honest about what the broker acknowledged.
// Invariant: `counts` holds only acknowledged records.

import type { Kafka, Producer } from 'kafkajs';
import { Partitioners } from 'kafkajs';
import type { Clock } from '../src/kernel/clock.ts';
import { type TickRecord, type TickStreamOptions, tickStream } from './ticks.ts';

export interface PublishCounts {
  trades: number;
  quotes: number;
  broken: number;
}

export interface PublishOptions {
  readonly topics: { readonly trades: string; readonly quotes: string };
  readonly stream: TickStreamOptions;
  /** Records in all; null = until the signal. */
  readonly count: number | null;
  /** Records per second; null = as fast as the broker takes them. */
  readonly rate: number | null;
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

const BATCH = 4_000;
const BATCHES_IN_FLIGHT = 3;

export async function createTopics(
  kafka: Kafka,
  topics: readonly string[],
  partitions: number,
): Promise<void> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    await admin.createTopics({ topics: topics.map((topic) => ({ topic, numPartitions: partitions })) });
  } finally {
    await admin.disconnect();
  }
}

/** Resolves when all is acknowledged. `counts` grows meanwhile. */
export async function publish(kafka: Kafka, options: PublishOptions, counts: PublishCounts): Promise<void> {
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
  try {
    const stream = tickStream(options.stream);
    const startedMs = options.clock.monotonicMs();
    let made = 0;
    const lane = async (): Promise<void> => {
      while (!options.signal.aborted) {
        const size = batchSize(options, made, options.clock.monotonicMs() - startedMs);
        if (size === null) return;
        if (size === 0) {
          await options.clock.sleep(20);
          continue;
        }
        made += size;
        const batch = Array.from({ length: size }, () => stream.next().value);
        await send(producer, options, batch);
        for (const record of batch) counts[record.isGood ? record.table : 'broken']++;
      }
    };
    await Promise.all(Array.from({ length: BATCHES_IN_FLIGHT }, lane));
  } finally {
    await producer.disconnect();
  }
}

/** Null when all is made; 0 when the rate says wait. */
function batchSize({ count, rate }: PublishOptions, made: number, elapsedMs: number): number | null {
  const left = count === null ? BATCH : count - made;
  if (left <= 0) return null;
  const due = rate === null ? BATCH : Math.floor((rate * elapsedMs) / 1000) - made;
  return Math.max(0, Math.min(BATCH, left, due));
}

async function send(
  producer: Producer,
  options: PublishOptions,
  batch: readonly TickRecord[],
): Promise<void> {
  const topicMessages = (['trades', 'quotes'] as const).map((table) => ({
    topic: options.topics[table],
    messages: batch.filter((record) => record.table === table).map(({ key, value }) => ({ key, value })),
  }));
  await producer.sendBatch({ topicMessages, acks: -1 });
}
