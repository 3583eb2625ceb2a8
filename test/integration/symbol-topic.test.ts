// What: the symbol topic under racing members, restarts, foreign records and lost data, against the real broker.
// Why: an id stands in every file of a symbol; two members that disagree once spoil the bucket.
// Invariant: whoever asks, whenever, gets the same id for a name; ids are dense from 0.

import { CompressionTypes } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { Cluster } from '../../connectors/kafka/cluster.ts';
import { openOffsetStore } from '../../connectors/kafka/offset-store.ts';
import { openSymbolTopic, type SymbolTopicOptions } from '../../connectors/kafka/symbol-topic.ts';
import { type Services, startServices } from '../../services/up.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { SymbolDirectory } from '../../src/ports.ts';
import { makeTopic, plainKafka, recordingLogger, testCluster, uniqueName } from '../support/kafka-cluster.ts';

const { brokers } = inject('services');
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const opened: SymbolDirectory[] = [];
afterAll(() => Promise.all(opened.map((directory) => directory.close())));

async function open(
  group: string,
  options: Partial<SymbolTopicOptions> & { cluster?: Cluster } = {},
): Promise<SymbolDirectory> {
  const cluster = options.cluster ?? testCluster(brokers);
  const directory = await openSymbolTopic({
    group,
    clock: systemClock,
    logger: recordingLogger(),
    ...options,
    cluster,
  });
  opened.push(directory);
  return directory;
}

function learned(directory: SymbolDirectory): string[] {
  const names: string[] = [];
  directory.subscribe((name, id) => {
    expect(id).toBe(names.length);
    names.push(name);
  });
  return names;
}

async function until(condition: () => boolean): Promise<void> {
  for (let waitedMs = 0; !condition(); waitedMs += 10) {
    if (waitedMs > 20_000) throw new Error('waited for 20 s in vain');
    await sleep(10);
  }
}

function shuffled<T>(items: readonly T[], seed: number): T[] {
  const out = [...items];
  let state = seed;
  for (let i = out.length - 1; i > 0; i--) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    const j = state % (i + 1);
    [out[i], out[j]] = [out[j]!, out[i]!];
  }
  return out;
}

async function produceRaw(
  topic: string,
  messages: { key: Buffer | string | null; value: Buffer | string | null }[],
  compression = CompressionTypes.None,
): Promise<void> {
  const producer = plainKafka(brokers).producer();
  await producer.connect();
  await producer.send({ topic, messages, compression });
  await producer.disconnect();
}

describe('symbol ids', () => {
  it('are the same for four members that race for 2,000 names in small and large bites', async () => {
    const group = uniqueName('group');
    const members = await Promise.all([1, 2, 3, 4].map(() => open(group)));
    const names = Array.from({ length: 2_000 }, (_, i) => `S${i}`);
    await Promise.all(
      members.map(async (member, index) => {
        const mine = shuffled(names, index + 1).slice(0, 1_700);
        for (let from = 0; from < mine.length; from += 1 + ((from * 7) % 400)) {
          await member.assign(mine.slice(from, from + 1 + ((from * 7) % 400)));
        }
      }),
    );
    const answers = await Promise.all(members.map((member) => member.assign(names)));
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect([...answers[0]!].sort((a, b) => a - b)).toEqual(names.map((_, id) => id));
    const later = await open(group);
    expect(await later.assign(names)).toEqual(answers[0]);
  });

  it('reach every subscriber in id order, known ones first, then live', async () => {
    const group = uniqueName('group');
    const [one, two] = [await open(group), await open(group)];
    await one.assign(['A', 'B']);
    await two.assign(['B']);
    const names = learned(two);
    expect(names).toEqual(['A', 'B']);
    expect(await one.assign(['C', 'A', 'D', 'C'])).toEqual([2, 0, 3, 2]);
    await until(() => names.length === 4);
    expect(names).toEqual(['A', 'B', 'C', 'D']);
    const own = learned(one);
    await one.assign(['E']);
    expect(own).toEqual(['A', 'B', 'C', 'D', 'E']); // before assign resolves
  });

  it('cost a new name little time', async () => {
    const directory = await open(uniqueName('group'));
    const tookMs: number[] = [];
    for (let i = 0; i < 100; i++) {
      const startMs = performance.now();
      await directory.assign([`L${i}`]);
      tookMs.push(performance.now() - startMs);
    }
    expect(tookMs.sort((a, b) => a - b)[50]).toBeLessThan(20);
  });

  it('are given to names of any text', async () => {
    const group = uniqueName('group');
    const names = ['', ' ', 'é✓𝄞', 'a"b\\c\n', '\u0000', 'x'.repeat(1_024)];
    const directory = await open(group);
    expect(await directory.assign(names)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(await (await open(group)).assign(names)).toEqual([0, 1, 2, 3, 4, 5]);
    // Half a surrogate pair has no UTF-8: both are the replacement character.
    expect(await directory.assign(['\ud800', '\udc00'])).toEqual([6, 6]);
  });

  it('are counted over valid records alone, and the first of a name counts', async () => {
    const group = uniqueName('group');
    const topic = `${group}-symbols`;
    const logger = recordingLogger();
    const counted: number[] = [];
    const metrics = {
      count: (name: string, _: unknown, by: number) => {
        if (name === 'zepto_symbol_records_skipped_total') counted.push(by);
      },
      gauge: () => {},
      observe: () => {},
    };
    const before = await open(group, { logger, metrics });
    await before.assign(['A']);
    const record = (name: string): { key: string; value: string } => ({
      key: name,
      value: JSON.stringify({ symbol: name }),
    });
    await produceRaw(topic, [
      { key: null, value: 'x' },
      { key: 'A', value: null },
      { key: 'B', value: 'not JSON' },
      { key: 'B', value: '{"symbol":"C"}' },
      { key: 'B', value: 'null' },
      { key: Buffer.from([0xff]), value: '{"symbol":"\ufffd"}' },
      record('A'),
      record('Z'),
      record('Z'),
    ]);
    await produceRaw(topic, [record('Y'), record('A')], CompressionTypes.GZIP);
    expect(await before.assign(['B', 'Z', 'Y'])).toEqual([3, 1, 2]);
    expect(counted.reduce((sum, by) => sum + by, 0)).toBe(6);
    expect(logger.lines.find(({ message }) => /not symbols/.test(message))?.fields).toMatchObject({
      offset: 1,
    });
    expect(await (await open(group)).assign(['A', 'Z', 'Y', 'B'])).toEqual([0, 1, 2, 3]);
  });

  it('end at the bound, and names that have one keep it', async () => {
    const directory = await open(uniqueName('group'), { symbolsMax: 3 });
    expect(await directory.assign(['A', 'B'])).toEqual([0, 1]);
    await expect(directory.assign(['C', 'D'])).rejects.toMatchObject({
      code: 'SYMBOL_LIMIT',
      action: 'skip-record',
    });
    expect(await directory.assign(['C'])).toEqual([2]);
    await expect(directory.assign(['A', 'D'])).rejects.toThrow(/--symbols-max/);
    expect(await directory.assign(['A', 'C'])).toEqual([0, 2]);
    await expect(directory.assign(['x'.repeat(1_025)])).rejects.toMatchObject({
      code: 'SYMBOL_LIMIT',
      action: 'skip-record',
    });
  });
});

describe('a symbol topic', () => {
  const keepAll = [
    { name: 'retention.ms', value: '-1' },
    { name: 'retention.bytes', value: '-1' },
  ];

  it('is made with settings that keep everything, and taken as it is when it has them', async () => {
    const group = uniqueName('group');
    await open(group);
    const cluster = testCluster(brokers);
    expect(await cluster.partitionCount(`${group}-symbols`)).toBe(1);
    const byHand = await makeTopic(brokers, { configEntries: keepAll });
    const directory = await open(group, { topic: byHand });
    expect(await directory.assign(['A'])).toEqual([0]);
  });

  it.each([
    [
      'compacted',
      { configEntries: [{ name: 'cleanup.policy', value: 'compact' }, ...keepAll] },
      /cleanup.policy=compact/,
    ],
    ['of two partitions', { numPartitions: 2, configEntries: keepAll }, /has 2 partitions/],
    ['kept for a week', {}, /retention.ms=604800000/],
    [
      'kept to a size',
      { configEntries: [keepAll[0]!, { name: 'retention.bytes', value: '1000' }] },
      /retention.bytes=1000/,
    ],
  ])('that is %s is refused', async (_, config, message) => {
    const topic = await makeTopic(brokers, config);
    const failure = await open(uniqueName('group'), { topic }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'CONFIG_INVALID', action: 'stop' });
    expect((failure as Error).message).toMatch(message);
  });

  it('whose first records were deleted is refused', async () => {
    const group = uniqueName('group');
    await (await open(group)).assign(['A', 'B']);
    const admin = plainKafka(brokers).admin();
    await admin.connect();
    const topic = `${group}-symbols`;
    await admin.fetchTopicOffsets(topic);
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '1' }] });
    await admin.disconnect();
    await expect(open(group)).rejects.toMatchObject({ code: 'OFFSET_LOST', action: 'stop' });
  });

  it('that is missing though the group has written data is not made anew', async () => {
    const group = uniqueName('group');
    const ticks = await makeTopic(brokers);
    const store = openOffsetStore({
      cluster: testCluster(brokers),
      group,
      clock: systemClock,
      logger: recordingLogger(),
    });
    const log = store.open({ topic: ticks, partition: 0 });
    await log.fence();
    await log.commit(5, 'v1', []);
    const failure = await open(group).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'KAFKA_TOPIC_MISSING', action: 'stop' });
    await makeTopic(brokers, { topic: `${group}-symbols`, configEntries: keepAll });
    expect(await (await open(group)).assign(['A'])).toEqual([0]);
  });

  it('that is made anew under a running member stops it', async () => {
    const group = uniqueName('group');
    const directory = await open(group);
    await directory.assign(['A', 'B', 'C']);
    const admin = plainKafka(brokers).admin();
    await admin.connect();
    await admin.deleteTopics({ topics: [`${group}-symbols`] });
    await sleep(200);
    await makeTopic(brokers, { topic: `${group}-symbols`, configEntries: keepAll });
    await admin.disconnect();
    await expect(async () => {
      for (let i = 0; i < 100; i++) {
        await directory.assign([`new${i}`]);
        await sleep(50);
      }
    }).rejects.toMatchObject({ code: 'OFFSET_LOST', action: 'stop' });
  });

  it('is let go of at once, as often as one likes, and what waits is told', async () => {
    const directory = await open(uniqueName('group'));
    const waiting = directory.assign(['A']).catch((error: unknown) => error);
    const startMs = performance.now();
    await Promise.all([directory.close(), directory.close()]);
    await directory.close();
    expect(performance.now() - startMs).toBeLessThan(1_000);
    expect(await waiting).toMatchObject({ code: 'CANCELLED' });
    await expect(directory.assign(['B'])).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});

describe('when the network or the broker fails', () => {
  let services: Services<'kafka'>;
  beforeAll(async () => {
    services = await startServices({ with: ['kafka'], kafka: { listeners: ['proxied'] }, report: () => {} });
  });
  afterAll(() => services.stop());

  it('members agree though connections are cut all the time and the broker is killed', async () => {
    const { proxied } = services.kafka;
    const group = uniqueName('group');
    const through = (): Cluster => testCluster(proxied!.brokers, { connection: { requestTimeoutMs: 5_000 } });
    const members = await Promise.all([1, 2, 3].map(() => open(group, { cluster: through() })));
    const seen = members.map(learned);
    let isOver = false;
    const work = members.map(async (member, index) => {
      for (let i = 0; !isOver; i++) {
        // Every other name is asked for by all three.
        const names = [`own-${index}-${i}`, `all-${i}`];
        for (;;) {
          const ids = await member.assign(names).catch((error: { action: string }) => {
            expect(error.action).toBe('retry');
            return null;
          });
          if (ids !== null) break;
        }
      }
    });
    for (let cut = 0; cut < 20; cut++) {
      await sleep(50);
      proxied!.proxy.mode = {
        kind: 'cut',
        afterBytes: cut * 37,
        direction: cut % 2 ? 'toServer' : 'toClient',
        ending: cut % 3 ? 'fin' : 'rst',
      };
      await sleep(30);
      proxied!.proxy.mode = { kind: 'pass' };
    }
    await services.kafka.kill();
    await services.kafka.start();
    await sleep(1_000);
    isOver = true;
    await Promise.all(work);
    const truth = learned(await open(group, { cluster: testCluster(services.kafka.brokers) }));
    expect(truth.length).toBeGreaterThan(50);
    expect(new Set(truth).size).toBe(truth.length);
    await until(() => seen.every((names) => names.length === truth.length));
    for (const names of seen) expect(names).toEqual(truth);
  });
});
