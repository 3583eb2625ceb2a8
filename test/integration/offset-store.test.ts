// What: commits, fences and dead letters against the real broker, with the network cut and the broker killed at the worst moments.
// Why: what is sealed rests on knowing exactly what the group has committed, and on nobody else being able to change it.
// Invariant: what a fence returns is what holds: the value of the last commit that took effect, never an older one.

import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { Cluster } from '../../connectors/kafka/cluster.ts';
import { type OffsetStoreOptions, openOffsetStore } from '../../connectors/kafka/offset-store.ts';
import { commitOffsetInTransaction, initProducerId } from '../../connectors/kafka/requests.ts';
import { type Services, startServices } from '../../services/up.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { CommittedOffset, DeadLetter, OffsetStore } from '../../src/ports.ts';
import {
  makeTopic,
  plainKafka,
  readCommitted,
  recordingLogger,
  testCluster,
  uniqueName,
} from '../support/kafka-cluster.ts';

const { brokers } = inject('services');
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function storeOver(cluster: Cluster, group: string, options: Partial<OffsetStoreOptions> = {}): OffsetStore {
  return openOffsetStore({ cluster, group, clock: systemClock, logger: recordingLogger(), ...options });
}

/** A member: its own connections, a group that nobody else uses. */
function member(group = uniqueName('group'), options: Partial<OffsetStoreOptions> = {}): OffsetStore {
  return storeOver(testCluster(brokers), group, options);
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'resolved',
    (error: unknown) => (error instanceof ZeptoError ? error.code : String(error)),
  );
}

const letter = (fields: Partial<DeadLetter>): DeadLetter => ({
  offset: 3,
  timestampMs: 1_700_000_000_000,
  cause: 'not JSON',
  key: null,
  value: Buffer.from('{'),
  ...fields,
});

describe('a commit log', () => {
  it('finds nothing before the first commit, then offset and metadata as committed', async () => {
    const topic = await makeTopic(brokers, { numPartitions: 2 });
    const group = uniqueName('group');
    const store = member(group);
    const log = store.open({ topic, partition: 1 });
    expect(await log.fence()).toBeNull();
    await log.commit(41, 'staircase é ✓', []);
    await log.commit(42, '', []);
    expect(await log.fence()).toEqual({ offset: 42, metadata: '' });
    expect(await store.open({ topic, partition: 0 }).fence()).toBeNull();

    const admin = plainKafka(brokers).admin();
    await admin.connect();
    const [seen] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
    await admin.disconnect();
    expect(seen!.partitions.find(({ partition }) => partition === 1)).toMatchObject({ offset: '42' });
  });

  it('shuts an earlier owner out for good', async () => {
    const topic = await makeTopic(brokers);
    const group = uniqueName('group');
    const zombie = member(group).open({ topic, partition: 0 });
    await zombie.fence();
    await zombie.commit(10, 'mine', []);
    const owner = member(group).open({ topic, partition: 0 });
    expect(await owner.fence()).toEqual({ offset: 10, metadata: 'mine' });
    expect(await codeOf(zombie.commit(11, 'zombie', [letter({})]))).toBe('FENCED');
    expect(await codeOf(zombie.commit(12, 'zombie', []))).toBe('FENCED');
    await owner.commit(20, 'owner', []);
    expect(await owner.fence()).toEqual({ offset: 20, metadata: 'owner' });
    expect(await readCommitted(brokers, `${topic}.dlq`, 0)).toEqual([]);
  });

  it('never reads an old value right after a commit, in 500 rounds', async () => {
    const topic = await makeTopic(brokers);
    const group = uniqueName('group');
    const [one, two] = [member(group), member(group)];
    let log = one.open({ topic, partition: 0 });
    await log.fence();
    for (let round = 1; round <= 500; round++) {
      await log.commit(round, `m${round}`, []);
      // By turns: the same log, a new one of the same member, one of another member.
      if (round % 3 === 1) log = one.open({ topic, partition: 0 });
      if (round % 3 === 2) log = two.open({ topic, partition: 0 });
      expect(await log.fence()).toEqual({ offset: round, metadata: `m${round}` });
    }
  });

  it('refuses metadata above the limit of the broker and goes on', async () => {
    const topic = await makeTopic(brokers);
    const log = member().open({ topic, partition: 0 });
    await log.fence();
    await log.commit(1, 'x'.repeat(4096), []);
    expect(await codeOf(log.commit(2, 'x'.repeat(4097), [letter({})]))).toBe('METADATA_TOO_LARGE');
    await log.commit(3, 'ok', []);
    expect(await log.fence()).toEqual({ offset: 3, metadata: 'ok' });
    expect(await readCommitted(brokers, `${topic}.dlq`, 0)).toEqual([]);
  });

  it('aborts what a dead owner left hanging, at once', async () => {
    const topic = await makeTopic(brokers);
    const group = uniqueName('group');
    const cluster = testCluster(brokers);
    const dead = storeOver(dyingBefore(cluster, 'EndTxn'), group).open({ topic, partition: 0 });
    await dead.fence();
    expect(await codeOf(dead.commit(99, 'never', [letter({})]))).toBe('COMMIT_UNKNOWN');
    const startMs = performance.now();
    const owner = member(group).open({ topic, partition: 0 });
    expect(await owner.fence()).toBeNull();
    expect(performance.now() - startMs).toBeLessThan(3_000);
    await owner.commit(5, 'owner', [letter({ offset: 4 })]);
    const letters = await readCommitted(brokers, `${topic}.dlq`, 1);
    expect(letters.map(({ headers }) => headers.offset)).toEqual(['4']);
  });

  it('closes as often as one likes', async () => {
    const topic = await makeTopic(brokers);
    const store = member();
    const log = store.open({ topic, partition: 0 });
    await log.fence();
    await Promise.all([log.close(), log.close(), store.close(), store.close()]);
    await store.close();
  });
});

describe('dead letters', () => {
  it('are committed with the offset, as they were, with where they came from', async () => {
    const topic = await makeTopic(brokers, { numPartitions: 3 });
    const log = member().open({ topic, partition: 2 });
    await log.fence();
    const value = Buffer.from([0, 255, 1]);
    await log.commit(9, 'm', [
      letter({ offset: 7, key: Buffer.from('k'), value, cause: 'é' }),
      letter({ offset: 8, key: Buffer.alloc(0), value: null }),
    ]);
    const letters = await readCommitted(brokers, `${topic}.dlq`, 2);
    expect(letters).toEqual([
      {
        partition: 2,
        key: Buffer.from('k'),
        value,
        headers: { cause: 'é', topic, partition: '2', offset: '7', timestamp: '1700000000000' },
      },
      {
        partition: 2,
        key: Buffer.alloc(0),
        value: null,
        headers: { cause: 'not JSON', topic, partition: '2', offset: '8', timestamp: '1700000000000' },
      },
    ]);
  });

  it('of any size and number do not make a commit fail', async () => {
    const topic = await makeTopic(brokers);
    await makeTopic(brokers, {
      topic: `${topic}.dlq`,
      configEntries: [{ name: 'max.message.bytes', value: '20000' }],
    });
    const log = member().open({ topic, partition: 0 });
    await log.fence();
    const letters = Array.from({ length: 3_000 }, (_, offset) =>
      letter({ offset, value: Buffer.alloc(100, offset) }),
    );
    letters[1_000] = letter({
      offset: 1_000,
      key: Buffer.alloc(30_000, 1),
      value: Buffer.alloc(3_000_000, 2),
    });
    await log.commit(3_000, 'm', letters);
    const read = await readCommitted(brokers, `${topic}.dlq`, 3_000);
    expect(read.map(({ headers }) => Number(headers.offset))).toEqual(letters.map(({ offset }) => offset));
    expect(read[1_000]!.headers).toMatchObject({ 'key-bytes': '30000', 'value-bytes': '3000000' });
  });

  it('find smaller batches by trying when the topic takes less than it did', async () => {
    const topic = await makeTopic(brokers);
    const log = member().open({ topic, partition: 0 });
    await log.fence();
    const admin = plainKafka(brokers).admin();
    await admin.connect();
    await admin.alterConfigs({
      validateOnly: false,
      resources: [
        { type: 2, name: `${topic}.dlq`, configEntries: [{ name: 'max.message.bytes', value: '100000' }] },
      ],
    });
    await admin.disconnect();
    const letters = Array.from({ length: 300 }, (_, offset) =>
      letter({ offset, value: Buffer.alloc(1_000) }),
    );
    await log.commit(300, 'm', letters);
    expect((await readCommitted(brokers, `${topic}.dlq`, 300)).length).toBe(300);
  });

  it('get their topic, with the partitions of the source', async () => {
    const topic = await makeTopic(brokers, { numPartitions: 5 });
    const cluster = testCluster(brokers);
    await storeOver(cluster, uniqueName('group')).open({ topic, partition: 0 }).fence();
    expect(await cluster.partitionCount(`${topic}.dlq`)).toBe(5);
  });

  it('get their topic again when it was deleted in mid-run', async () => {
    const topic = await makeTopic(brokers);
    const log = member().open({ topic, partition: 0 });
    await log.fence();
    await log.commit(1, 'before', [letter({})]);
    const admin = plainKafka(brokers).admin();
    await admin.connect();
    await admin.deleteTopics({ topics: [`${topic}.dlq`] });
    await admin.disconnect();
    expect(await codeOf(log.commit(2, 'after', [letter({ offset: 50 })]))).toBe('COMMIT_UNKNOWN');
    expect(await log.fence()).toEqual({ offset: 1, metadata: 'before' });
    await log.commit(2, 'after', [letter({ offset: 50 })]);
    expect((await readCommitted(brokers, `${topic}.dlq`, 1)).map(({ headers }) => headers.offset)).toEqual([
      '50',
    ]);
  });

  it.each([
    ['compacted', { 'cleanup.policy': 'compact' }, /is compacted/],
    ['too small', { 'max.message.bytes': '1000' }, /takes only 1000 bytes/],
  ])('a topic that is %s is refused at the first fence', async (_, config, message) => {
    const topic = await makeTopic(brokers);
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
    await makeTopic(brokers, { topic: `${topic}.dlq`, configEntries });
    const failure = await member()
      .open({ topic, partition: 0 })
      .fence()
      .catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'CONFIG_INVALID', action: 'stop' });
    expect((failure as Error).message).toMatch(message);
  });

  it('whose topic can have no such name stop the start, and name it', async () => {
    const topic = await makeTopic(brokers, { topic: uniqueName('t'.repeat(240)) });
    const failure = await member()
      .open({ topic, partition: 0 })
      .fence()
      .catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'KAFKA_TOPIC_MISSING', action: 'stop' });
    expect((failure as Error).message).toMatch(/[^ ]+\.dlq up: INVALID_TOPIC_EXCEPTION/);
  });
});

describe('what is asked of the cluster', () => {
  it('bounds are the first offset held and the one after the last', async () => {
    const topic = await makeTopic(brokers);
    const store = member();
    const producer = plainKafka(brokers).producer();
    await producer.connect();
    await producer.send({ topic, messages: Array.from({ length: 10 }, () => ({ value: 'x' })) });
    await producer.disconnect();
    const admin = plainKafka(brokers).admin();
    await admin.connect();
    await admin.fetchTopicOffsets(topic); // kafkajs deletes records only of topics that it has met
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '4' }] });
    await admin.disconnect();
    expect(await store.bounds({ topic, partition: 0 })).toEqual({ earliest: 4, latest: 10 });
  });

  it('retention is what the topic has, null where there is no limit', async () => {
    const configEntries = [
      { name: 'retention.ms', value: '3600000' },
      { name: 'cleanup.policy', value: 'compact,delete' },
    ];
    const store = member();
    const limited = await makeTopic(brokers, { configEntries });
    expect(await store.retention(limited)).toEqual({ ms: 3_600_000, bytes: null, compacted: true });
    const endless = await makeTopic(brokers, {
      configEntries: [
        { name: 'retention.ms', value: '-1' },
        { name: 'retention.bytes', value: '1000000' },
      ],
    });
    expect(await store.retention(endless)).toEqual({ ms: null, bytes: 1_000_000, compacted: false });
  });

  it('a topic that does not exist is an error at once, not after all patience', async () => {
    const store = member();
    const partition = { topic: uniqueName('none'), partition: 0 };
    const startMs = performance.now();
    expect(await codeOf(store.open(partition).fence())).toBe('KAFKA_TOPIC_MISSING');
    expect(await codeOf(store.bounds(partition))).toBe('KAFKA_TOPIC_MISSING');
    expect(await codeOf(store.retention(partition.topic))).toBe('KAFKA_TOPIC_MISSING');
    expect(performance.now() - startMs).toBeLessThan(10_000);
  });

  it('a broker that is away is waited for, then named', async () => {
    const cluster = testCluster('127.0.0.1:1', { patienceMs: 300 });
    const failure = await storeOver(cluster, 'g')
      .open({ topic: 't', partition: 0 })
      .fence()
      .catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'KAFKA_UNREACHABLE', action: 'retry' });
    expect((failure as Error).message).toMatch(/nothing listens at 127\.0\.0\.1:1: check --brokers/);
  });
});

it('a log is closed without waiting for a broker that is away', async () => {
  const cluster = testCluster('127.0.0.1:1', { patienceMs: 60_000 });
  const log = storeOver(cluster, 'g').open({ topic: 't', partition: 0 });
  const fenced = codeOf(log.fence());
  await sleep(100);
  const startMs = performance.now();
  await log.close();
  expect(await fenced).toBe('CANCELLED');
  expect(performance.now() - startMs).toBeLessThan(2_000);
});

// ---------------------------------------------------------------------------------------------------------

/** The cluster as a process sees it that dies just before it sends its first request of that name. */
function dyingBefore(cluster: Cluster, name: string): Cluster {
  let isDead = false;
  return {
    ...cluster,
    send: (target, request, signal) => {
      isDead ||= request.name === name;
      return isDead ? Promise.reject(new Error('dead')) : cluster.send(target, request, signal);
    },
  };
}

describe('a transaction whose marker was never written', () => {
  let services: Services<'kafka'>;
  beforeAll(async () => {
    // The broker then takes an offset into no transaction at all, which leaves it pending as a lost marker does.
    const properties = { 'transaction.partition.verification.enable': 'false' };
    services = await startServices({ with: ['kafka'], kafka: { properties }, report: () => {} });
  });
  afterAll(() => services.stop());

  it('is completed by the next owner, who goes on from its commit', async () => {
    const group = uniqueName('group');
    const topic = await makeTopic(services.kafka.brokers);
    const cluster = testCluster(services.kafka.brokers);
    const log = storeOver(cluster, group).open({ topic, partition: 0 });
    await log.fence();
    await log.commit(10, 'before', []);
    const transactionalId = `${group}-${topic}-0`;
    const coordinator = { kind: 'coordinator', of: 'transaction', key: transactionalId } as const;
    const { producer } = await cluster.ask(
      coordinator,
      initProducerId(transactionalId, 60_000, null),
      ({ code }) => code,
      'test',
    );
    const pending = { group, topic, partition: 0, offset: 20, metadata: 'pending' };
    const request = commitOffsetInTransaction(transactionalId, producer, pending);
    expect(
      await cluster.ask({ kind: 'coordinator', of: 'group', key: group }, request, (code) => code, 'test'),
    ).toBe(0);
    const logger = recordingLogger();
    const owner = storeOver(testCluster(services.kafka.brokers), group, { logger }).open({
      topic,
      partition: 0,
    });
    expect(await owner.fence()).toEqual({ offset: 20, metadata: 'pending' });
    expect(logger.lines.map(({ message }) => message).join()).toMatch(
      /left the last commit of a former owner pending/,
    );
    await owner.commit(30, 'after', []);
    expect(await owner.fence()).toEqual({ offset: 30, metadata: 'after' });
    await owner.close();
  }, 90_000);
});

describe('when the network or the broker fails', () => {
  let services: Services<'kafka'>;
  beforeAll(async () => {
    services = await startServices({ with: ['kafka'], kafka: { listeners: ['proxied'] }, report: () => {} });
  });
  afterAll(() => services.stop());

  /**
   * Cuts the connection when a request of that name is on its way: before the broker gets a byte of it, or after it
   * has answered and before a byte of that comes through. (`ask` has its own way to the brokers and is not disturbed.)
   */
  function cutting(cluster: Cluster, name: string, lost: () => 'request' | 'answer'): Cluster {
    const { proxy } = services.kafka.proxied!;
    return {
      ...cluster,
      send: async (target, request, signal) => {
        if (request.name !== name) return cluster.send(target, request, signal);
        const direction = lost() === 'answer' ? 'toClient' : 'toServer';
        proxy.mode = { kind: 'cut', afterBytes: 0, direction, ending: 'rst' };
        const answer = cluster.send(target, request, signal);
        await answer.catch(() => {});
        proxy.mode = { kind: 'pass' };
        return answer;
      },
    };
  }

  it('a fence tells whether a commit holds whose end was cut off, in 100 rounds', async () => {
    const plain = services.kafka.brokers;
    const topic = await makeTopic(plain);
    const group = uniqueName('group');
    let round = 0;
    const cluster = testCluster(services.kafka.proxied!.brokers);
    const cut = cutting(cluster, 'EndTxn', () => (round % 2 === 0 ? 'answer' : 'request'));
    const log = storeOver(cut, group).open({ topic, partition: 0 });
    const secondOpinion = plainKafka(plain).admin();
    await secondOpinion.connect();
    let held: CommittedOffset | null = await log.fence();
    const holding: string[] = [];
    for (round = 1; round <= 100; round++) {
      const next = { offset: round, metadata: `m${round}` };
      expect(await codeOf(log.commit(round, next.metadata, [letter({ offset: round })]))).toBe(
        'COMMIT_UNKNOWN',
      );
      const found = await log.fence();
      if (found?.offset === round) {
        expect(found).toEqual(next);
        held = next;
        holding.push(String(round));
      }
      expect(found, `round ${round}`).toEqual(held);
      const [seen] = await secondOpinion.fetchOffsets({ groupId: group, topics: [topic] });
      expect(Number(seen!.partitions[0]!.offset)).toBe(held?.offset ?? -1);
    }
    await secondOpinion.disconnect();
    // Every second end arrived, the others did not.
    expect(holding).toEqual(Array.from({ length: 50 }, (_, i) => String(2 * i + 2)));
    const letters = await readCommitted(plain, `${topic}.dlq`, holding.length);
    expect(letters.map(({ headers }) => headers.offset)).toEqual(holding);
  });

  it('whoever settles a commit of its own shuts no later owner out', async () => {
    const topic = await makeTopic(services.kafka.brokers);
    const group = uniqueName('group');
    const cluster = cutting(testCluster(services.kafka.proxied!.brokers), 'EndTxn', () => 'request');
    const stopped = storeOver(cluster, group).open({ topic, partition: 0 });
    await stopped.fence();
    expect(await codeOf(stopped.commit(1, 'stopped', []))).toBe('COMMIT_UNKNOWN');
    const owner = storeOver(testCluster(services.kafka.brokers), group).open({ topic, partition: 0 });
    expect(await owner.fence()).toBeNull();
    await owner.commit(5, 'owner', []);
    expect(await codeOf(stopped.fence())).toBe('FENCED');
    await owner.commit(6, 'owner', []);
    // Assigned again, it is the owner.
    expect(await stopped.fence()).toEqual({ offset: 6, metadata: 'owner' });
    expect(await codeOf(owner.commit(7, 'owner', []))).toBe('FENCED');
  });

  it('64 partitions share a few connections, and commit and fence together in little time', async () => {
    const { proxy } = services.kafka.proxied!;
    const partitions = 64;
    const topic = await makeTopic(services.kafka.brokers, { numPartitions: partitions });
    const before = proxy.openConnections;
    const store = storeOver(testCluster(services.kafka.proxied!.brokers), uniqueName('group'));
    const logs = Array.from({ length: partitions }, (_, partition) => store.open({ topic, partition }));
    const timed = async (work: () => Promise<unknown>): Promise<number> => {
      const startMs = performance.now();
      await work();
      return performance.now() - startMs;
    };
    await logs[0]!.fence();
    const fenceMs = await timed(() => Promise.all(logs.map((log) => log.fence())));
    const commitMs = await timed(() => Promise.all(logs.map((log, i) => log.commit(i, 'm', []))));
    expect(proxy.openConnections - before).toBeLessThanOrEqual(2);
    expect(fenceMs).toBeLessThan(3_000);
    expect(commitMs).toBeLessThan(3_000);
    const found = await Promise.all(logs.map((log) => log.fence()));
    expect(found.map((committed) => committed?.offset)).toEqual(logs.map((_, i) => i));
  });

  it('commits of many partitions lose and double nothing while the broker is killed and comes back', async () => {
    const partitions = 8;
    const plain = services.kafka.brokers;
    const topic = await makeTopic(plain, { numPartitions: partitions });
    const group = uniqueName('group');
    const store = storeOver(testCluster(plain, { connection: { requestTimeoutMs: 5_000 } }), group);
    const isOver = { now: false };
    let unknown = 0;

    async function run(partition: number): Promise<string[]> {
      const log = store.open({ topic, partition });
      const holding: string[] = [];
      let held = await log.fence();
      for (let offset = 1; !isOver.now; offset++) {
        const next = { offset, metadata: `m${offset}` };
        const outcome = await codeOf(log.commit(offset, next.metadata, [letter({ offset })]));
        if (outcome === 'COMMIT_UNKNOWN') {
          unknown++;
          const found = await settled(() => log.fence());
          if (found?.offset !== offset) expect(found).toEqual(held);
          else holding.push(String(offset));
          held = found;
        } else {
          expect(outcome).toBe('resolved');
          holding.push(String(offset));
          held = next;
        }
        await sleep(10);
      }
      expect(await settled(() => log.fence())).toEqual(held);
      return holding;
    }

    const runs = Promise.all(Array.from({ length: partitions }, (_, partition) => run(partition)));
    for (let kill = 0; kill < 2; kill++) {
      await sleep(1_000);
      await services.kafka.kill();
      await sleep(300);
      await services.kafka.start();
    }
    await sleep(2_000);
    isOver.now = true;
    const holding = await runs;
    expect(unknown).toBeGreaterThan(0);
    const letters = await readCommitted(plain, `${topic}.dlq`, holding.flat().length);
    for (let partition = 0; partition < partitions; partition++) {
      const inPartition = letters.filter((record) => record.partition === partition);
      expect(inPartition.map(({ headers }) => headers.offset)).toEqual(holding[partition]);
    }
  });
});

/** As the engine does: again, while it says that it may work later. */
async function settled<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof ZeptoError) || error.action !== 'retry') throw error;
      await sleep(100);
    }
  }
}
