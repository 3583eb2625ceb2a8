// What: the source against a real broker: every codec of two producers, transactions, compaction, cuts, restarts, rebalances.
// Why: what a log holds is decided by brokers and other clients, and no list of ours is the whole of it.
// Invariant: both ways of decoding give the same records; nothing is lost and nothing comes twice, whatever breaks.

import { AssignerProtocol, CompressionTypes, Kafka, logLevel, Partitioners, type Producer } from 'kafkajs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { KafkaConnection } from '../../connectors/kafka/client.ts';
import { registerCodecs } from '../../connectors/kafka/codecs.ts';
import { listOffset, produce } from '../../connectors/kafka/requests.ts';
import { createKafkaSource, type KafkaSourceConfig } from '../../connectors/kafka/source.ts';
import { type Services, startServices } from '../../services/up.ts';
import type { RecordBatch } from '../../src/columns/batch.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { ZeptoError } from '../../src/kernel/errors.ts';
import {
  type SourceListener,
  type TickSource,
  type TopicPartition,
  topicPartitionKey,
} from '../../src/ports.ts';
import { encodeBatch } from '../support/kafka-batches.ts';
import {
  connectionTo,
  makeTopic,
  recordingLogger,
  testCluster,
  uniqueName,
} from '../support/kafka-cluster.ts';

let services: Services<'kafka'>;
const brokers = (): string => services.kafka.brokers;

beforeAll(async () => {
  services = await startServices({
    with: ['kafka'],
    kafka: {
      listeners: ['proxied', 'sasl'],
      // Compaction within the time of a test.
      properties: { 'log.cleaner.backoff.ms': '200', 'log.segment.delete.delay.ms': '100' },
    },
    report: () => {},
  });
  registerCodecs();
});
afterAll(() => services?.stop());

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((close) => close()));
});

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function until(what: string, isSo: () => boolean | Promise<boolean>, waitMs = 60_000): Promise<void> {
  const endMs = performance.now() + waitMs;
  while (!(await isSo())) {
    if (performance.now() > endMs) throw new Error(`never: ${what}`);
    await sleep(5);
  }
}

function kafkajs(address = brokers()): Kafka {
  return new Kafka({
    brokers: [address],
    logLevel: logLevel.NOTHING,
    retry: { retries: 12, initialRetryTime: 50, maxRetryTime: 500 },
  });
}

async function producer(options: Parameters<Kafka['producer']>[0] = {}): Promise<Producer> {
  const made = kafkajs().producer({ createPartitioner: Partitioners.DefaultPartitioner, ...options });
  await made.connect();
  open.push(() => made.disconnect());
  return made;
}

const perfTest = 'org.apache.kafka.tools.ProducerPerformance';

/** Kafka's own producer. */
async function javaProduce(
  topic: string,
  count: number,
  bytes: number,
  properties: readonly string[],
): Promise<void> {
  await services.kafka.tool(perfTest, [
    ...[
      '--topic',
      topic,
      '--num-records',
      String(count),
      '--record-size',
      String(bytes),
      '--throughput',
      '-1',
    ],
    ...['--producer-props', `bootstrap.servers=${brokers()}`, ...properties],
  ]);
}

interface Taken {
  readonly partition: number;
  readonly offset: number;
  readonly timestampMs: number;
  readonly key: string | null;
  readonly value: string | null;
}

function takenOf(batch: RecordBatch): Taken[] {
  const text = (start: Int32Array, length: Int32Array, row: number): string | null =>
    length[row]! < 0
      ? null
      : Buffer.from(batch.buffer.subarray(start[row]!, start[row]! + length[row]!)).toString('latin1');
  return Array.from({ length: batch.count }, (_, row) => ({
    partition: batch.partition,
    offset: batch.offset[row]!,
    timestampMs: batch.timestampMs[row]!,
    key: text(batch.keyStart, batch.keyLength, row),
    value: text(batch.valueStart, batch.valueLength, row),
  }));
}

interface MemberOptions {
  readonly group?: string;
  readonly connection?: KafkaConnection;
  /** Where a partition starts; members of a group share it. */
  readonly committed?: Map<string, number>;
  readonly kafka?: Partial<KafkaSourceConfig['kafka']>;
}

/** What an engine does: keeps its positions, and checks that records continue there. */
class Member implements SourceListener {
  readonly source: TickSource;
  readonly logger = recordingLogger();
  readonly position = new Map<string, number>();
  readonly taken: Taken[] = [];
  readonly failures: ZeptoError[] = [];
  readonly assignments: string[][] = [];
  losses = 0;
  endOffset = -1;
  readonly committed: Map<string, number>;
  /** Before records are counted as taken. */
  onRecords: (batch: RecordBatch) => void | Promise<void> = () => {};

  constructor(topics: readonly string[], options: MemberOptions = {}) {
    this.committed = options.committed ?? new Map();
    this.source = createKafkaSource({
      connection: options.connection ?? connectionTo(brokers()),
      topics,
      config: {
        kafka: {
          fetchDecode: 'direct',
          fetchWaitMsMax: 100,
          fetchBytesMax: 16 << 20,
          fetchPartitionBytesMax: 4 << 20,
          ...options.kafka,
        },
        group: {
          id: options.group ?? uniqueName('group'),
          sessionTimeoutMs: 6_000,
          heartbeatIntervalMs: 500,
          rebalanceTimeoutMs: 10_000,
        },
      },
      clock: systemClock,
      logger: this.logger,
      metrics: { count: () => {}, gauge: () => {}, observe: () => {} },
    });
    open.push(() => this.source.stop());
  }

  async assigned(partitions: readonly TopicPartition[]): Promise<ReadonlyMap<string, number>> {
    const keys = partitions.map(topicPartitionKey).sort();
    this.assignments.push(keys);
    for (const [key, position] of this.position)
      if (!keys.includes(key)) {
        this.committed.set(key, position);
        this.position.delete(key);
      }
    // As a fence would: whoever had it until now has given it up or been shut out.
    for (const key of keys) if (!this.position.has(key)) this.position.set(key, this.committed.get(key) ?? 0);
    return new Map(this.position);
  }

  lost(): void {
    this.losses++;
  }

  async records(batch: RecordBatch): Promise<void> {
    const key = topicPartitionKey(batch);
    await this.onRecords(batch);
    const position = this.position.get(key)!;
    if (batch.count > 0 && batch.offset[0]! < position) throw new Error(`${key} went back from ${position}`);
    for (const one of takenOf(batch)) this.taken.push(one);
    this.position.set(key, batch.offsetNext);
    this.endOffset = batch.endOffset;
  }

  failed(error: Error): void {
    this.failures.push(error as ZeptoError);
  }

  async reaches(topic: string, ends: readonly number[], waitMs?: number): Promise<void> {
    await until(
      `positions of ${topic} at ${ends.join()}, now ${JSON.stringify([...this.position])} ${this.failures.join()}`,
      () => {
        if (this.failures.length > 0) throw this.failures[0]!;
        return ends.every(
          (end, partition) => this.position.get(topicPartitionKey({ topic, partition })) === end,
        );
      },
      waitMs,
    );
  }
}

async function started(topics: readonly string[], options?: MemberOptions): Promise<Member> {
  const member = new Member(topics, options);
  await member.source.start(member);
  return member;
}

/** The log ends of a topic as read_committed sees them. */
async function endsOf(topic: string): Promise<number[]> {
  const admin = kafkajs().admin();
  await admin.connect();
  const offsets = await admin.fetchTopicOffsets(topic);
  await admin.disconnect();
  return offsets.sort((a, b) => a.partition - b.partition).map(({ high }) => Number(high));
}

/** All records of the topic, by both ways of decoding, which must agree. */
async function readBothWays(topic: string): Promise<Taken[]> {
  const ends = await endsOf(topic);
  const read = async (fetchDecode: 'direct' | 'kafkajs'): Promise<Taken[]> => {
    const member = await started([topic], { kafka: { fetchDecode } });
    await member.reaches(topic, ends);
    await member.source.stop();
    return member.taken.sort((a, b) => a.partition - b.partition || a.offset - b.offset);
  };
  const direct = await read('direct');
  const byKafkajs = await read('kafkajs');
  // Only one pair is compared by `expect`: of some 100,000 it takes minutes.
  const differs = direct.findIndex((one, at) => JSON.stringify(one) !== JSON.stringify(byKafkajs[at]));
  expect(byKafkajs[differs]).toEqual(direct[differs]);
  expect(byKafkajs).toHaveLength(direct.length);
  return direct;
}

const valuesOf = (records: readonly Taken[]): (string | null)[] => records.map(({ value }) => value);
const numbered = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, at) => `v${from + at}`);

describe('what producers write', () => {
  test('kafkajs, with every codec that it can write', async () => {
    const topic = await makeTopic(brokers());
    const by = await producer();
    const codecs = [
      CompressionTypes.None,
      CompressionTypes.GZIP,
      CompressionTypes.Snappy,
      CompressionTypes.LZ4,
    ];
    for (const [at, compression] of codecs.entries())
      await by.send({
        topic,
        compression,
        messages: numbered(500, at * 500).map((value, key) => ({
          key: key % 3 === 0 ? null : `k${key}`,
          value,
          timestamp: String(1_700_000_000_000 + key),
          headers: { codec: String(compression) },
        })),
      });
    const records = await readBothWays(topic);
    expect(valuesOf(records)).toEqual(numbered(2_000));
    expect(records[1_501]).toEqual({
      partition: 0,
      offset: 1_501,
      timestampMs: 1_700_000_000_001,
      key: 'k1',
      value: 'v1501',
    });
    expect(records[1_500]!.key).toBeNull();
  });

  test('Java, with every codec', async () => {
    const topic = await makeTopic(brokers(), { numPartitions: 2 });
    const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];
    for (const codec of codecs)
      await javaProduce(topic, 20_000, 60, [`compression.type=${codec}`, 'linger.ms=20']);
    const records = await readBothWays(topic);
    expect(records).toHaveLength(codecs.length * 20_000);
    expect(records.every(({ value }) => value?.length === 60 && /^[A-Z]+$/.test(value))).toBe(true);
  });

  test('records with the time of the log instead of their own', async () => {
    const topic = await makeTopic(brokers(), {
      configEntries: [{ name: 'message.timestamp.type', value: 'LogAppendTime' }],
    });
    const by = await producer();
    const beforeMs = Date.now();
    await by.send({
      topic,
      compression: CompressionTypes.GZIP,
      messages: numbered(10).map((value) => ({ value, timestamp: '5' })),
    });
    const records = await readBothWays(topic);
    for (const { timestampMs } of records) expect(timestampMs).toBeGreaterThanOrEqual(beforeMs);
  });

  test('very many very small records in one batch', async () => {
    const topic = await makeTopic(brokers(), {
      configEntries: [{ name: 'max.message.bytes', value: '8000000' }],
    });
    // Written by ourselves: kafkajs's producer takes minutes for so many messages at once.
    const records = Array.from({ length: 150_000 }, (_, offsetDelta) => ({
      offsetDelta,
      value: Buffer.from('x'),
    }));
    const cluster = testCluster(brokers());
    for (const codec of ['gzip', 'none'] as const) {
      const batch = encodeBatch({ baseOffset: 0, records, codec, baseTimestamp: Date.now() });
      const target = { kind: 'leader', topic, partition: 0 } as const;
      expect(await cluster.send(target, produce(null, 10_000, topic, 0, batch))).toMatchObject({ code: 0 });
    }
    const read = await readBothWays(topic);
    expect(read).toHaveLength(300_000);
    expect(read.at(-1)).toMatchObject({ offset: 299_999, value: 'x' });
  });

  test('tombstones and empty values, told apart', async () => {
    const topic = await makeTopic(brokers());
    const by = await producer();
    await by.send({
      topic,
      messages: [
        { key: 'a', value: null },
        { key: 'a', value: '' },
        { key: '', value: 'x' },
      ],
    });
    expect((await readBothWays(topic)).map(({ key, value }) => [key, value])).toEqual([
      ['a', null],
      ['a', ''],
      ['', 'x'],
    ]);
  });
});

describe('transactions', () => {
  test('committed records are seen, aborted ones and markers are not, and the position gets past them', async () => {
    const topic = await makeTopic(brokers());
    const one = await producer({
      transactionalId: uniqueName('tx'),
      maxInFlightRequests: 1,
      idempotent: true,
    });
    const two = await producer({
      transactionalId: uniqueName('tx'),
      maxInFlightRequests: 1,
      idempotent: true,
    });
    const plain = await producer();
    const send = (by: Pick<Producer, 'send'>, ...values: string[]): Promise<unknown> =>
      by.send({ topic, compression: CompressionTypes.GZIP, messages: values.map((value) => ({ value })) });
    for (let round = 0; round < 5; round++) {
      const first = await one.transaction();
      const second = await two.transaction();
      await send(first, `aborted ${round}`);
      await send(second, `committed ${round}`);
      await send(plain, `plain ${round}`);
      await send(first, `aborted too ${round}`);
      await (round % 2 === 0 ? first.abort() : second.commit());
      await (round % 2 === 0 ? second.commit() : first.abort());
    }
    const records = await readBothWays(topic);
    expect(valuesOf(records)).toEqual(
      [0, 1, 2, 3, 4].flatMap((round) => [`committed ${round}`, `plain ${round}`]),
    );
    // The last thing in the log is a marker.
    expect((await endsOf(topic))[0]).toBeGreaterThan(records.at(-1)!.offset + 1);
  });

  test('a transaction of the Java producer that was never ended is aborted by its successor, and not seen', async () => {
    const topic = await makeTopic(brokers());
    const transactionalId = uniqueName('java');
    const java = services.kafka
      .tool(perfTest, [
        ...['--topic', topic, '--num-records', '12000', '--record-size', '50', '--throughput', '2000'],
        ...['--transactional-id', transactionalId, '--transaction-duration-ms', '120000'],
        ...['--producer-props', `bootstrap.servers=${brokers()}`, 'compression.type=lz4', 'linger.ms=5'],
      ])
      .catch((error: unknown) => error);
    const plain = await producer();
    const cluster = testCluster(brokers());
    await until('the Java producer has written', async () => {
      const target = { kind: 'leader', topic, partition: 0 } as const;
      return (await cluster.send(target, listOffset(topic, 0, 'latest'))).offset > 1_000;
    });
    // The open transaction holds this back too, until it has ended.
    await plain.send({ topic, messages: [{ value: 'plain' }] });
    const successor = await producer({ transactionalId, maxInFlightRequests: 1, idempotent: true });
    const transaction = await successor.transaction();
    await transaction.send({ topic, messages: [{ value: 'successor' }] });
    await transaction.commit();
    await java;
    const records = await readBothWays(topic);
    expect(valuesOf(records)).toEqual(['plain', 'successor']);
    // The aborted records are in the log.
    expect(records[0]!.offset).toBeGreaterThan(1_000);
  });
});

test('a compacted topic: gaps are stepped over, the last value of each key is there', async () => {
  const topic = await makeTopic(brokers(), {
    configEntries: [
      { name: 'cleanup.policy', value: 'compact' },
      { name: 'min.cleanable.dirty.ratio', value: '0.01' },
      { name: 'segment.bytes', value: '1048576' },
      { name: 'segment.ms', value: '300' },
      { name: 'max.compaction.lag.ms', value: '300' },
    ],
  });
  const by = await producer();
  const rounds = 8;
  for (let round = 0; round < rounds; round++) {
    await by.send({
      topic,
      compression: round % 2 === 0 ? CompressionTypes.GZIP : CompressionTypes.None,
      messages: Array.from({ length: 200 }, (_, at) => ({
        key: at % 10 === 0 ? `once ${round} ${at}` : `k${at % 50}`,
        value: `${round}`,
      })),
    });
    await sleep(150);
  }
  await until('the log is compacted', async () => {
    await by.send({ topic, messages: [{ key: 'last', value: 'x' }] });
    await sleep(500);
    const member = await started([topic]);
    await member.reaches(topic, await endsOf(topic));
    await member.source.stop();
    return member.taken.length < 800;
  });
  const records = await readBothWays(topic);
  const last = new Map(records.map(({ key, value }) => [key, value]));
  for (let round = 0; round < rounds; round++)
    for (let at = 0; at < 200; at += 10) expect(last.get(`once ${round} ${at}`)).toBe(`${round}`);
  for (let at = 0; at < 50; at++) if (at % 10 !== 0) expect(last.get(`k${at}`)).toBe(`${rounds - 1}`);
  const gaps = records.filter(({ offset }, at) => at > 0 && offset > records[at - 1]!.offset + 1);
  expect(gaps.length).toBeGreaterThan(100);
});

describe('when the network or the broker fails', () => {
  test('connections that are cut in the middle of responses cost nothing but time', async () => {
    const { proxied } = services.kafka;
    const { proxy } = proxied!;
    const topic = await makeTopic(brokers(), { numPartitions: 2 });
    await javaProduce(topic, 100_000, 100, ['compression.type=none']);
    const ends = await endsOf(topic);
    const member = new Member([topic], {
      connection: connectionTo(proxied!.brokers, { connectTimeoutMs: 2_000, requestTimeoutMs: 5_000 }),
      kafka: { fetchBytesMax: 400_000, fetchPartitionBytesMax: 200_000 },
    });
    await member.source.start(member);
    await until('it consumes', () => member.taken.length > 0);
    const cutsBefore = proxy.cuts;
    for (const ending of ['fin', 'rst', 'fin', 'rst', 'fin'] as const) {
      proxy.mode = { kind: 'cut', afterBytes: 150_000 + Math.floor(Math.random() * 150_000), ending };
      await sleep(400);
      proxy.mode = { kind: 'pass' };
      await sleep(100);
    }
    await member.reaches(topic, ends);
    expect(proxy.cuts).toBeGreaterThan(cutsBefore);
    expect(member.taken).toHaveLength(100_000);
    expect(new Set(member.taken.map(({ partition, offset }) => `${partition} ${offset}`)).size).toBe(100_000);
    expect(member.failures).toEqual([]);
  });

  test('a broker that stalls is given up and asked again', async () => {
    const { proxied } = services.kafka;
    const { proxy } = proxied!;
    const topic = await makeTopic(brokers());
    const by = await producer();
    await by.send({ topic, messages: [{ value: 'before' }] });
    const member = new Member([topic], {
      connection: connectionTo(proxied!.brokers, { connectTimeoutMs: 1_000, requestTimeoutMs: 1_500 }),
    });
    await member.source.start(member);
    await member.reaches(topic, [1]);
    proxy.mode = { kind: 'stall' };
    await by.send({ topic, messages: [{ value: 'during' }] });
    await sleep(4_000);
    proxy.mode = { kind: 'pass' };
    await member.reaches(topic, [2]);
    expect(valuesOf(member.taken)).toEqual(['before', 'during']);
  });

  test('a broker that is killed and comes back: nothing lost, nothing twice', async () => {
    const topic = await makeTopic(brokers(), { numPartitions: 3 });
    const by = await producer({ retry: { retries: 30, initialRetryTime: 50, maxRetryTime: 300 } });
    const member = await started([topic]);
    let produced = 0;
    let isProducing = true;
    const producing = (async (): Promise<void> => {
      while (isProducing) {
        const messages = numbered(50, produced).map((value) => ({ value }));
        produced += messages.length;
        // A request that the kill leaves unanswered is sent again: such values may be twice in the log.
        await by.send({ topic, messages, acks: -1 }).catch(() => {});
        await sleep(10);
      }
    })();
    await until('it consumes', () => member.taken.length > 200);
    await services.kafka.kill('SIGKILL');
    await sleep(500);
    await services.kafka.start();
    const taken = member.taken.length;
    await until('it consumes again', () => member.taken.length > taken + 200, 90_000);
    isProducing = false;
    await producing;
    await member.reaches(topic, await endsOf(topic), 90_000);
    const offsets = member.taken.map(({ partition, offset }) => `${partition} ${offset}`);
    expect(new Set(offsets).size).toBe(offsets.length);
    expect(offsets.length).toBe((await endsOf(topic)).reduce((sum, end) => sum + end, 0));
    expect(member.failures).toEqual([]);
  });

  test('a broker that is not there yet is waited for, with a word in the log', async () => {
    const topic = await makeTopic(brokers());
    await services.kafka.stop();
    const member = await started([topic]);
    await until('it says so', () =>
      member.logger.lines.some(
        ({ level, fields }) => level === 'warn' && fields.code === 'KAFKA_UNREACHABLE',
      ),
    );
    await services.kafka.start();
    await until('it is assigned', () => member.assignments.length === 1);
    expect(member.failures).toEqual([]);
  });
});

describe('a group', () => {
  test('two members share the partitions, hand them over, and keep what they have', async () => {
    const topic = await makeTopic(brokers(), { numPartitions: 6 });
    const by = await producer();
    const committed = new Map<string, number>();
    const group = uniqueName('group');
    let isProducing = true;
    const producing = (async (): Promise<void> => {
      for (let sent = 0; isProducing; sent += 20) {
        await by.send({ topic, messages: numbered(20, sent).map((value) => ({ value })) });
        await sleep(5);
      }
    })();
    const first = await started([topic], { group, committed });
    await until('the first consumes', () => first.taken.length > 100);
    // Between giving a partition up and its new owner's start nothing may be handed over here.
    const second = await started([topic], { group, committed });
    await until('both have three', () => first.position.size === 3 && second.position.size === 3);
    await until('the second consumes', () => second.taken.length > 100);
    await second.source.stop();
    for (const [key, position] of second.position) committed.set(key, position);
    await until('the first has all again', () => first.position.size === 6);
    const third = await started([topic], { group, committed });
    await until('shared again', () => first.position.size === 3 && third.position.size === 3);
    expect(first.losses + third.losses).toBe(0);
    isProducing = false;
    await producing;
    const ends = await endsOf(topic);
    await until('all is consumed', () =>
      ends.every((end, partition) => {
        const key = topicPartitionKey({ topic, partition });
        return (first.position.get(key) ?? third.position.get(key)) === end;
      }),
    );
    // In the standard form, so that Kafka's own tools show who has what.
    const admin = kafkajs().admin();
    await admin.connect();
    const described = (await admin.describeGroups([group])).groups[0]!;
    await admin.disconnect();
    const shares = described.members.map(({ memberAssignment }) => {
      const { assignment } = AssignerProtocol.MemberAssignment.decode(memberAssignment)!;
      return assignment[topic]!.map((partition) => topicPartitionKey({ topic, partition })).sort();
    });
    expect(shares.sort()).toEqual(
      [[...first.position.keys()].sort(), [...third.position.keys()].sort()].sort(),
    );
    const all = new Set(
      [first, second, third].flatMap(({ taken }) =>
        taken.map(({ partition, offset }) => `${partition} ${offset}`),
      ),
    );
    expect(all.size).toBe(ends.reduce((sum, end) => sum + end, 0));
  });

  test('a paused partition is not handed over, the others are; then it goes on where it was', async () => {
    const topic = await makeTopic(brokers(), { numPartitions: 2 });
    const by = await producer();
    const send = (partition: number, ...values: string[]): Promise<unknown> =>
      by.send({ topic, messages: values.map((value) => ({ value, partition })) });
    const member = await started([topic]);
    await send(0, 'a');
    await send(1, 'b');
    await member.reaches(topic, [1, 1]);
    member.source.pause([{ topic, partition: 0 }]);
    await send(0, 'c');
    await send(1, 'd');
    await member.reaches(topic, [1, 2]);
    await sleep(500);
    expect(valuesOf(member.taken).sort()).toEqual(['a', 'b', 'd']);
    member.source.resume([{ topic, partition: 0 }]);
    await member.reaches(topic, [2, 2]);
    member.position.set(`${topic}-0`, 0);
    member.source.seek({ topic, partition: 0 }, 0);
    await member.reaches(topic, [2, 2]);
    expect(valuesOf(member.taken).sort()).toEqual(['a', 'a', 'b', 'c', 'c', 'd']);
  });

  test('rejoining says lost, then assigns', async () => {
    const topic = await makeTopic(brokers());
    const member = await started([topic]);
    await until('assigned', () => member.assignments.length === 1);
    await member.source.rejoin();
    expect(member.losses).toBe(1);
    await until('assigned again', () => member.assignments.length === 2);
  });

  test('partitions that are added to a topic are found by a member that joins', async () => {
    const topic = await makeTopic(brokers());
    const member = await started([topic]);
    await until('assigned', () => member.assignments.length === 1);
    const admin = kafkajs().admin();
    await admin.connect();
    await admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] });
    await admin.disconnect();
    await until('three partitions', async () => {
      await member.source.rejoin();
      await sleep(200);
      return member.position.size === 3;
    });
  });
});

describe('what an operator must see', () => {
  test('a topic that does not exist', async () => {
    const member = await started(['no-such-topic']);
    await until('it fails', () => member.failures.length > 0);
    expect(member.failures[0]).toMatchObject({ code: 'KAFKA_TOPIC_MISSING', action: 'stop' });
    expect(member.failures[0]!.message).toContain('no-such-topic');
  });

  test('a wrong password', async () => {
    const { sasl } = services.kafka;
    const topic = await makeTopic(brokers());
    const member = await started([topic], {
      connection: connectionTo(sasl!.brokers, {
        sasl: { mechanism: 'scram-sha-256', username: sasl!.username, password: 'not-it' },
      }),
    });
    await until('it fails', () => member.failures.length > 0);
    expect(member.failures[0]).toMatchObject({ code: 'KAFKA_AUTH', action: 'stop' });
    expect(member.failures[0]!.message).toContain('--kafka-sasl-password');
    expect(member.failures[0]!.message).not.toContain('not-it');
  });

  test('an offset that retention has removed: nothing is skipped', async () => {
    const topic = await makeTopic(brokers());
    const by = await producer();
    await by.send({ topic, messages: numbered(100).map((value) => ({ value })) });
    const admin = kafkajs().admin();
    await admin.connect();
    await admin.fetchTopicOffsets(topic); // kafkajs must have heard of the topic
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '60' }] });
    const group = uniqueName('group');
    const member = await started([topic], { group });
    await until('it fails', () => member.failures.length > 0);
    expect(member.failures[0]).toMatchObject({
      code: 'OFFSET_LOST',
      context: { topic, partition: 0, offset: 0 },
    });
    expect(member.taken).toEqual([]);
    // And no offset was committed in the engine's stead.
    const [committed] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
    expect(committed!.partitions).toEqual([expect.objectContaining({ offset: '-1' })]);
    await admin.disconnect();
  });

  test('stopping takes a moment, however long a fetch may wait', async () => {
    const topic = await makeTopic(brokers());
    const member = await started([topic], { kafka: { fetchWaitMsMax: 20_000 } });
    await until('assigned', () => member.assignments.length === 1);
    await sleep(300);
    const startMs = performance.now();
    await Promise.all([member.source.stop(), member.source.stop()]);
    expect(performance.now() - startMs).toBeLessThan(1_500);
  });

  test('new records are handed over within milliseconds', async () => {
    const topic = await makeTopic(brokers());
    const by = await producer();
    const member = await started([topic]);
    await by.send({ topic, messages: [{ value: 'warm' }] });
    await member.reaches(topic, [1]);
    const waits: number[] = [];
    for (let at = 0; at < 20; at++) {
      await by.send({ topic, messages: [{ value: `v${at}` }] });
      const sentMs = performance.now();
      await until('it arrives', () => member.taken.length >= at + 2, 10_000);
      waits.push(performance.now() - sentMs);
    }
    expect(waits.sort((a, b) => a - b)[10]).toBeLessThan(50);
  });
});
