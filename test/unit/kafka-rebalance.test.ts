// What: a rebalance while the engine of a member waits for something that is away.
// Why: the group has shared out anew, and everybody waits for a member that still takes its last assignment.
// Invariant: the engine hears that the last assignment is void, then of the next one.

import { expect, test } from 'vitest';
import { KafkaSource } from '../../connectors/kafka/source.ts';
import { type SourceListener, topicPartitionKey } from '../../src/ports.ts';
import { Chance, ProcessClock, Scheduler } from '../simulation/scheduler.ts';
import { recordingLogger } from '../support/kafka-cluster.ts';
import { SimulatedGroup } from '../support/simulated-group.ts';

test('a member that cannot take its assignment yet hears of the next one', async () => {
  const scheduler = new Scheduler(1_000_000);
  const chance = new Chance(1);
  const group = new SimulatedGroup(scheduler, chance);
  group.addTopic('ticks', 2);
  const heard: string[] = [];
  const startMember = (name: string, assigned: SourceListener['assigned'], lost: () => void): Promise<void> =>
    new KafkaSource(group.wire(), {
      config: {
        kafka: {
          ...{ fetchDecode: 'direct', fetchWaitMsMax: 100 },
          ...{ fetchBytesMax: 3_000, fetchPartitionBytesMax: 1_500 },
        },
        group: { id: 'g', sessionTimeoutMs: 3_000, heartbeatIntervalMs: 300, rebalanceTimeoutMs: 5_000 },
      },
      topics: ['ticks'],
      clock: new ProcessClock(scheduler, chance),
      logger: recordingLogger(),
      metrics: { count() {}, gauge() {}, observe() {} },
    }).start({
      assigned: (partitions) => {
        heard.push(`${name} gets ${partitions.map(topicPartitionKey).sort().join(' and ')}`);
        return assigned(partitions);
      },
      lost: () => {
        heard.push(`${name} has none`);
        lost();
      },
      records: () => {},
      failed: (error) => {
        throw error;
      },
    });
  let giveUp = (): void => {};
  await startMember(
    'A',
    () =>
      new Promise((_, reject) => {
        giveUp = () => reject(new Error('void'));
      }),
    () => giveUp(),
  );
  await scheduler.runUntil(scheduler.nowMs + 10_000, () => {});
  expect(heard).toEqual(['A gets ticks-0 and ticks-1']);
  await startMember(
    'B',
    async (partitions) => new Map(partitions.map((one) => [topicPartitionKey(one), 0])),
    () => {},
  );
  await scheduler.runUntil(scheduler.nowMs + 30_000, () => {});
  expect(heard.filter((text) => text.startsWith('A')).slice(1)).toEqual([
    'A has none',
    expect.stringMatching(/^A gets ticks-[01]$/),
  ]);
});
