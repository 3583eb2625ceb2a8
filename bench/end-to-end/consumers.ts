// What: consumers that only count: kafkajs's eachBatch, the Java client, and our source without an engine behind it.
// Why: figures move with the machine and its load; the ratio to a known consumer in the same run does not.
// Invariant: each reads the whole topic, from its assignment to its last record, and the count is checked.

import { Kafka as Kafkajs, logLevel } from 'kafkajs';
import { createKafkaSource } from '../../connectors/kafka/source.ts';
import type { Kafka } from '../../services/kafka.ts';
import { assert } from '../../src/kernel/assert.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { topicPartitionKey } from '../../src/ports.ts';

export interface Consumed {
  readonly rowsPerSecond: number;
  /** Null where it was not read. */
  readonly cpuMicrosPerRow: number | null;
}

export async function kafkajsEachBatch(brokers: string, topic: string, records: number): Promise<Consumed> {
  const kafka = new Kafkajs({ brokers: [brokers], clientId: 'bench', logLevel: logLevel.ERROR });
  const consumer = kafka.consumer({
    groupId: `eachbatch-${topic}-${systemClock.nowMs()}`,
    maxBytesPerPartition: 4 * 2 ** 20,
    maxBytes: 16 * 2 ** 20,
  });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  let count = 0;
  let startMs = 0;
  let cpu = process.cpuUsage();
  consumer.on(consumer.events.GROUP_JOIN, () => {
    startMs = systemClock.monotonicMs();
    cpu = process.cpuUsage();
  });
  const consumed = new Promise<Consumed>((resolve) => {
    void consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: true,
      eachBatch: async ({ batch }) => {
        count += batch.messages.length;
        if (count < records) return;
        const seconds = (systemClock.monotonicMs() - startMs) / 1_000;
        const { user, system } = process.cpuUsage(cpu);
        resolve({ rowsPerSecond: records / seconds, cpuMicrosPerRow: (user + system) / records });
      },
    });
  });
  const result = await consumed;
  await consumer.disconnect();
  assert(count === records, `eachBatch counted ${count} of ${records}`);
  return result;
}

/** Record batches fetched, checked by their CRC-32C and read into typed arrays, as the engine gets them. */
export async function recordBatches(brokers: string, topic: string, records: number): Promise<Consumed> {
  const silent = { debug() {}, info() {}, warn() {}, error() {} };
  const source = createKafkaSource({
    connection: { brokers: [brokers], clientId: 'bench', tls: null, sasl: null },
    config: {
      kafka: {
        fetchDecode: 'direct',
        fetchWaitMsMax: 500,
        fetchBytesMax: 4 * 2 ** 20,
        fetchPartitionBytesMax: 2 ** 20,
      },
      group: {
        id: `record-batches-${topic}-${systemClock.nowMs()}`,
        sessionTimeoutMs: 30_000,
        heartbeatIntervalMs: 3_000,
        rebalanceTimeoutMs: 60_000,
      },
    },
    topics: [topic],
    clock: systemClock,
    logger: silent,
    metrics: { count() {}, gauge() {}, observe() {} },
  });
  let count = 0;
  let valueBytes = 0;
  let startMs = 0;
  let cpu = process.cpuUsage();
  const seconds = await new Promise<number>((resolve, reject) => {
    void source.start({
      assigned: async (partitions) => {
        startMs = systemClock.monotonicMs();
        cpu = process.cpuUsage();
        return new Map(partitions.map((partition) => [topicPartitionKey(partition), 0]));
      },
      lost() {},
      records: async (batch) => {
        count += batch.count;
        for (let row = 0; row < batch.count; row++) valueBytes += batch.valueLength[row]!;
        if (count >= records) resolve((systemClock.monotonicMs() - startMs) / 1_000);
      },
      failed: reject,
    });
  });
  const { user, system } = process.cpuUsage(cpu);
  await source.stop();
  assert(count === records, `our source counted ${count} of ${records}`);
  assert(valueBytes > records, 'values have bytes');
  return { rowsPerSecond: records / seconds, cpuMicrosPerRow: (user + system) / records };
}

/** Rate of Kafka's own ConsumerPerformance, its rebalance and start left out. */
export async function javaConsumerPerformance(
  kafka: Kafka,
  topic: string,
  records: number,
): Promise<Consumed> {
  const printed = await kafka.tool('org.apache.kafka.tools.ConsumerPerformance', [
    ...['--bootstrap-server', kafka.brokers, '--topic', topic, '--num-records', String(records)],
    ...['--timeout', '30000'],
  ]);
  const lines = printed.split('\n').map((line) => line.split(',').map((field) => field.trim()));
  const head = lines.findIndex((fields) => fields[0] === 'start.time');
  const fieldOf = (name: string): number => Number(lines[head + 1]?.[lines[head]?.indexOf(name) ?? -1]);
  const counted = fieldOf('data.consumed.in.nMsg');
  assert(counted === records, `ConsumerPerformance counted ${counted} of ${records}:\n${printed}`);
  return { rowsPerSecond: fieldOf('fetch.nMsg.sec'), cpuMicrosPerRow: null };
}
