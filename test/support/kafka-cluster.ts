// What: what integration tests of the commit side share: a cluster, topics of their own, all records of a topic.
// Why: every test keeps apart from the others by names of its own, and reads results with a client that is not ours.
// Invariant: whatever was opened is closed at the end of the test file.

import { randomUUID } from 'node:crypto';
import { type ITopicConfig, Kafka, logLevel } from 'kafkajs';
import { afterAll } from 'vitest';
import type { KafkaConnection } from '../../connectors/kafka/client.ts';
import { type Cluster, type ClusterOptions, openCluster } from '../../connectors/kafka/cluster.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { Logger } from '../../src/ports.ts';

export const connectionTo = (brokers: string, fields: Partial<KafkaConnection> = {}): KafkaConnection => ({
  brokers: [brokers],
  clientId: 'test',
  tls: null,
  sasl: null,
  ...fields,
});

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

export function recordingLogger(): Logger & { readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const at =
    (level: LogLine['level']) =>
    (fields: Readonly<Record<string, unknown>>, message: string): void => {
      lines.push({ level, fields, message });
    };
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

const toClose: (() => Promise<unknown>)[] = [];

/** Closed at the end of the file. */
export function testCluster(
  brokers: string,
  options: ClusterOptions & { readonly connection?: Partial<KafkaConnection>; readonly logger?: Logger } = {},
): Cluster {
  const { connection, logger = recordingLogger(), ...rest } = options;
  const cluster = openCluster(connectionTo(brokers, connection), logger, systemClock, rest);
  toClose.push(() => cluster.close());
  return cluster;
}

export const uniqueName = (prefix: string): string => `${prefix}-${randomUUID().slice(0, 8)}`;

/** kafkajs itself, as a second opinion. */
export function plainKafka(brokers: string): Kafka {
  return new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING });
}

export async function makeTopic(brokers: string, config: Partial<ITopicConfig> = {}): Promise<string> {
  const topic = config.topic ?? uniqueName('topic');
  const admin = plainKafka(brokers).admin();
  await admin.connect();
  await admin.createTopics({
    topics: [{ numPartitions: 1, replicationFactor: 1, ...config, topic }],
    waitForLeaders: false,
  });
  // kafkajs's own wait for leaders gives up when the broker has not heard of the topic yet.
  const isReady = (): Promise<boolean> =>
    admin.fetchTopicMetadata({ topics: [topic] }).then(
      ({ topics: [made] }) => made!.partitions.every(({ leader }) => leader >= 0),
      () => false,
    );
  while (!(await isReady())) await new Promise((resolve) => setTimeout(resolve, 20));
  await admin.disconnect();
  return topic;
}

export interface ReadRecord {
  readonly partition: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, string>>;
}

/** The records that a read_committed consumer sees, once `count` of them are there and no more come for a moment. */
export async function readCommitted(brokers: string, topic: string, count: number): Promise<ReadRecord[]> {
  const consumer = plainKafka(brokers).consumer({ groupId: uniqueName('reader'), maxWaitTimeInMs: 100 });
  const records: ReadRecord[] = [];
  let lastAtMs = performance.now();
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ partition, message }) => {
      lastAtMs = performance.now();
      const headers = Object.entries(message.headers ?? {}).map(([name, value]) => [name, String(value)]);
      records.push({
        partition,
        key: message.key,
        value: message.value,
        headers: Object.fromEntries(headers),
      });
    },
  });
  const startMs = performance.now();
  while (records.length < count || performance.now() - lastAtMs < 500) {
    if (performance.now() - startMs > 20_000)
      throw new Error(`${records.length} records in ${topic}, expected ${count}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await consumer.disconnect();
  return records;
}

afterAll(async () => {
  await Promise.all(toClose.splice(0).map((close) => close()));
});
