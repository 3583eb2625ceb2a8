// What: members while a broker, just started, has not heard of a topic yet.
// Why: each look-up may go to another broker; what one does not know must neither stop a member nor leave a topic to nobody.
// Invariant: each record is taken in once the brokers agree.

import { expect, test } from 'vitest';
import type { MemberWire } from '../../connectors/kafka/member-wire.ts';
import { KafkaSource } from '../../connectors/kafka/source.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import { topicPartitionKey } from '../../src/ports.ts';
import { Chance, ProcessClock, Scheduler } from '../simulation/scheduler.ts';
import { recordingLogger } from '../support/kafka-cluster.ts';
import { SimulatedGroup } from '../support/simulated-group.ts';

const RECORDS = 10;
const topics = ['ticks', 'quotes'];

/** A member of a group of one, for so long of its clock; `spoil` changes what the brokers answer. */
async function runMember(
  spoil: (wire: MemberWire) => MemberWire,
  ms: number,
): Promise<{ failures: Error[]; taken: Record<string, number> }> {
  const scheduler = new Scheduler(1_000_000);
  const chance = new Chance(1);
  const group = new SimulatedGroup(scheduler, chance);
  for (const topic of topics) {
    group.addTopic(topic, 2, 2);
    for (const partition of [0, 1]) group.produce(topic, partition, RECORDS);
  }
  const failures: Error[] = [];
  const taken: Record<string, number> = {};
  const source = new KafkaSource(spoil(group.wire()), {
    config: {
      kafka: {
        fetchDecode: 'direct',
        fetchWaitMsMax: 100,
        fetchBytesMax: 3_000,
        fetchPartitionBytesMax: 1_500,
      },
      group: { id: 'g', sessionTimeoutMs: 3_000, heartbeatIntervalMs: 300, rebalanceTimeoutMs: 5_000 },
    },
    topics,
    clock: new ProcessClock(scheduler, chance),
    logger: recordingLogger(),
    metrics: { count() {}, gauge() {}, observe() {} },
  });
  await source.start({
    assigned: async (partitions) =>
      new Map(partitions.map(topicPartitionKey).map((key) => [key, taken[key] ?? 0])),
    lost: () => {},
    records: (batch) => {
      taken[topicPartitionKey(batch)] = batch.offsetNext;
    },
    failed: (error) => failures.push(error),
  });
  await scheduler.runUntil(scheduler.nowMs + ms, () => {});
  return { failures, taken };
}

const everything = { 'ticks-0': RECORDS, 'ticks-1': RECORDS, 'quotes-0': RECORDS, 'quotes-1': RECORDS };

test('a fetch that finds the topic unknown is made again', async () => {
  let fetches = 0;
  const missing = new ZeptoError('KAFKA_TOPIC_MISSING', 'stop', 'Kafka could not find topic ticks', {
    context: { topic: 'ticks', isSent: false },
  });
  const { failures, taken } = await runMember(
    (wire) => ({
      ...wire,
      fetch: (fetch, signal) => (++fetches === 3 ? Promise.reject(missing) : wire.fetch(fetch, signal)),
    }),
    20_000,
  );
  expect(failures).toEqual([]);
  expect(taken).toEqual(everything);
});

test('a topic that was unknown while partitions were shared out gets an owner soon', async () => {
  let hasJoined = false;
  let wasHidden = false;
  const { failures, taken } = await runMember(
    (wire) => ({
      ...wire,
      join: async (join, signal) => {
        const answer = await wire.join(join, signal);
        hasJoined = answer.code === 0;
        return answer;
      },
      // Of the group's leader, once.
      topics: async (names) => {
        const found = await wire.topics(names);
        if (!hasJoined || wasHidden) return found;
        wasHidden = true;
        return new Map([...found].filter(([topic]) => topic !== 'quotes'));
      },
    }),
    180_000,
  );
  expect(wasHidden).toBe(true);
  expect(failures).toEqual([]);
  expect(taken).toEqual(everything);
});
