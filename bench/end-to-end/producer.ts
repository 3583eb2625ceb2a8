// What: a new topic and a connection that puts finished record batches to it.
// Why: what a benchmark measures begins behind its producer, which must neither reorder nor lose.
// Invariant: batches of a partition are acknowledged in the order in which they were sent; an error of the broker rejects.

import { Kafka } from 'kafkajs';
import { brokerAddress, kafkajsConfig } from '../../connectors/kafka/client.ts';
import { KafkaCode } from '../../connectors/kafka/errors.ts';
import { openLink } from '../../connectors/kafka/link.ts';
import { produce } from '../../connectors/kafka/requests.ts';
import { assert } from '../../src/kernel/assert.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { Logger } from '../../src/ports.ts';

const TIMEOUT_MS = 30_000;
const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

export interface Producer {
  /** Resolves when the batch is on its way: the partition's former one is acknowledged. */
  send(partition: number, batch: Buffer): Promise<void>;
  /** Resolves when the batch is acknowledged; batches may overtake nothing on the one connection. */
  sendAndWait(partition: number, batch: Buffer): Promise<void>;
  /** Waits for all; the partitions' ends, added up. */
  close(): Promise<number>;
}

/** `brokers`: one, `host:port`, which leads every partition. */
export async function openProducer(brokers: string, topic: string, partitions: number): Promise<Producer> {
  const connection = { brokers: [brokers], clientId: 'bench', tls: null, sasl: null };
  const config = kafkajsConfig(connection, silent, systemClock);
  const kafka = new Kafka(config);
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: partitions }], waitForLeaders: true });

  const { host, port } = brokerAddress(brokers);
  const link = await openLink(host, port, config, kafka.logger(), systemClock);
  const inFlight: (Promise<void> | undefined)[] = [];
  async function sendAndWait(partition: number, batch: Buffer): Promise<void> {
    let { code } = await link.send(produce(null, TIMEOUT_MS, topic, partition, batch));
    // A topic that has just been made: its leader is known before it leads.
    const giveUpMs = systemClock.monotonicMs() + TIMEOUT_MS;
    while (code === KafkaCode.NOT_LEADER_OR_FOLLOWER && systemClock.monotonicMs() < giveUpMs) {
      await systemClock.sleep(100);
      ({ code } = await link.send(produce(null, TIMEOUT_MS, topic, partition, batch)));
    }
    assert(code === 0, `the broker refused a batch: error ${code}`);
  }
  return {
    sendAndWait,
    send: async (partition, batch) => {
      await inFlight[partition];
      inFlight[partition] = sendAndWait(partition, batch);
    },
    close: async () => {
      await Promise.all(inFlight);
      link.close();
      const ends = await admin.fetchTopicOffsets(topic);
      await admin.disconnect();
      return ends.reduce((sum, { high }) => sum + Number(high), 0);
    },
  };
}
