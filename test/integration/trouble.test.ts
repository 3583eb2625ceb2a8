// What: a member meets what goes wrong around it: brokers, credentials, buckets, disks, records and offsets.
// Why: each has one right answer, a message that names the fix or a retry that loses nothing, and only real trouble shows it.
// Invariant: whatever happened, what was acknowledged to the producer stands exactly once, or the member refused to start.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { type Services, startServices } from '../../services/up.ts';
import { type HttpFaultProxy, s3Error, startHttpFaultProxy } from '../support/http-fault-proxy.ts';
import { killMembers, type MemberProcess } from '../support/member.ts';
import { expectEachOnce, openScene, sealAll, settle } from '../support/scene.ts';
import { openSmallDisk, type SmallDisk } from '../support/small-disk.ts';

const services = inject('services');
const { brokers, s3 } = services;
const kafka = new Kafka({ brokers: [brokers], clientId: 'trouble', logLevel: logLevel.NOTHING });
let home: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'zepto-trouble-'));
});
// Some tests run beside each other: members of one are none of the other's to kill.
afterAll(async () => {
  await killMembers();
  await rm(home, { recursive: true, force: true });
});

/** The member ends by itself, unsuccessfully. Returns all it said. */
async function refused(member: MemberProcess, withinMs: number): Promise<string> {
  const limit = new AbortController();
  const late = sleep(withinMs, 'late', { signal: limit.signal }).catch(() => 'ended');
  const status = await Promise.race([member.exited(), late]);
  limit.abort();
  expect(status, `${withinMs} ms have passed:\n${member.tail()}`).toBe(1);
  return member.log.join('\n');
}

describe('a broker', () => {
  let own: Services<'kafka'>;
  beforeAll(async () => {
    own = await startServices({ with: ['kafka'], report: () => {} });
  });
  beforeEach(() => own.kafka.start());
  afterAll(() => own?.stop());

  it('that is down when the member starts is waited for, and said', async () => {
    const scene = await openScene({ home, brokers: own.kafka.brokers, s3: null, partitions: 2 });
    await own.kafka.kill();
    const member = scene.start();
    await member.logged(new RegExp(`nothing listens at ${own.kafka.brokers}: check --brokers`), 30_000);
    await sleep(1_000);
    expect(member.log.length, 'lines logged while waiting').toBeLessThan(30);
    await own.kafka.start();
    await member.ready();
    await scene.ledger.start({ total: 5_000 });
    await settle(scene, member);
  });

  it('that is killed and restarted in mid-run costs no tick and doubles none', async () => {
    const scene = await openScene({ home, brokers: own.kafka.brokers, s3: null, partitions: 2 });
    const member = scene.start('--seal-interval', '300ms');
    await member.ready();
    const flowing = scene.ledger.start({ total: 10_000 });
    await member.logged(/"message":"plan committed"/);
    // The producer's own retries are not what is tested: it pauses, the member's plans do not.
    await flowing;
    await own.kafka.kill();
    await member.logged(/"code":"KAFKA_UNREACHABLE"/);
    await own.kafka.start();
    await scene.ledger.start({ total: 20_000 });
    await settle(scene, member);
  });
});

describe('a setting that is wrong ends the member at once and is named:', () => {
  it('the topic', async () => {
    const scene = await openScene({ home, brokers, s3: null, partitions: 1 });
    const said = await refused(scene.start('--topics', 'trades=no-such-topic'), 30_000);
    expect(said).toMatch(/topic no-such-topic does not exist.*--topics/);
  });

  it('the Kafka password, which no line shows', async () => {
    const scene = await openScene({ home, brokers, s3: null, partitions: 1 });
    const { sasl } = services;
    const member = scene.startIn(
      { ZEPTO_KAFKA_SASL_PASSWORD: 'wrong-and-secret' },
      ...['--brokers', sasl.brokers, '--kafka-sasl-mechanism', 'scram-sha-256'],
      ...['--kafka-sasl-username', sasl.username, '--log-level', 'debug'],
    );
    const said = await refused(member, 30_000);
    expect(said).toMatch(
      new RegExp(`refused user "${sasl.username}".*--kafka-sasl-username and --kafka-sasl-password-file`),
    );
    expect(said).not.toContain('wrong-and-secret');
  });

  it.each(['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'])('%s, which no line shows', async (name) => {
    const scene = await openScene({ home, brokers, s3, partitions: 1 });
    const member = scene.startIn({ [name]: 'wrong-and-secret' }, '--log-level', 'debug');
    const said = await refused(member, 30_000);
    expect(said).toMatch(/check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY/);
    expect(said).not.toContain('wrong-and-secret');
    expect(said).not.toContain(s3.secretAccessKey);
  });

  it('the bucket', async () => {
    const scene = await openScene({ home, brokers, s3, partitions: 1 });
    const said = await refused(scene.start('--cold-tier-s3-bucket', 'no-such-bucket'), 30_000);
    expect(said).toMatch(/'no-such-bucket'.*--cold-tier-s3-bucket/);
  });
});

describe.concurrent('S3', () => {
  let proxy: HttpFaultProxy;
  beforeAll(async () => {
    proxy = await startHttpFaultProxy(s3.endpoint);
  });
  afterAll(() => proxy?.close());

  it('that answers 503 and cuts connections for a while is tried again until each tick stands once', async () => {
    const s3OfMembers = { ...s3, endpoint: proxy.url };
    const scene = await openScene({ home, brokers, s3, s3OfMembers, partitions: 2 });
    const member = scene.start('--seal-interval', '300ms');
    await member.ready();
    void scene.ledger.start({ perSecond: 3_000 });
    await member.logged(/"message":"plan committed"/);
    const faults = [
      s3Error(503, 'SlowDown'),
      { kind: 'cut-request', afterBytes: 100 },
      { kind: 'drop-answer' },
      { kind: 'cut-answer', afterBytes: 0 },
      { kind: 'pass' },
    ] as const;
    const before = proxy.seen.length;
    proxy.setFault(({ number }) => faults[number % faults.length]!);
    await sleep(2_000);
    proxy.setFault(() => s3Error(503, 'ServiceUnavailable'));
    await member.logged(/object store fails; trying again with back-off/);
    await sleep(1_000);
    expect(proxy.seen.length - before).toBeGreaterThan(faults.length);
    proxy.setFault(() => ({ kind: 'pass' }));
    await member.logged(/object store answers again after/);
    await scene.ledger.stop();
    await settle(scene, member);
  });
});

describe.concurrent('a disk', () => {
  let disk: SmallDisk;
  beforeAll(async () => {
    disk = await openSmallDisk(join(home, 'small-disk'), 16);
  });
  afterAll(() => disk?.close());

  it('that is full keeps rows in memory and says so; they are sealed once when there is space', async () => {
    const scene = await openScene({ home, brokers, s3: null, partitions: 1, hdb: join(disk.path, 'hdb') });
    const member = scene.start('--seal-interval', '300ms');
    await member.ready();
    await scene.ledger.start({ total: 5_000 });
    await member.logged(/"message":"plan committed"/);
    await disk.fill();
    const more = scene.ledger.start({ total: 10_000 });
    const said = await member.logged(/"code":"DISK_FULL"/);
    expect(said).toMatch(/the disk is full \(ENOSPC\). Free space there/);
    await more;
    await member.until(
      async () => ((await member.partitions())[0]!.position === 10_000 ? true : undefined),
      'consumption to go on',
      10_000,
    );
    await disk.free();
    await settle(scene, member);
  });
});

describe.concurrent('records', () => {
  it('that cannot be decoded become dead letters with their origin, and the others are stored', async () => {
    const scene = await openScene({ home, brokers, s3: null, partitions: 1 });
    const { topic } = scene;
    await scene.ledger.start({ total: 100 });
    const bad = ['{"symbol":"S1","id":', '', '[]', 'null', '{}', '\u0000\u00ff{{', '{"timestamp":"soon"}'];
    const producer = kafka.producer();
    await producer.connect();
    const [sent] = await producer.send({
      topic,
      acks: -1,
      messages: bad.map((value) => ({ key: 'k', value })),
    });
    await producer.disconnect();
    const firstOffset = Number(sent!.baseOffset);
    scene.ledger.undecodable += bad.length;
    await settle(scene);

    const letters = await deadLetters(topic, scene.ledger.undecodable);
    const ours = letters.filter(({ offset }) => Number(offset) >= firstOffset);
    expect(ours.map(({ value }) => value)).toEqual(bad);
    expect(ours.map(({ offset }) => Number(offset))).toEqual(bad.map((_, i) => firstOffset + i));
    for (const letter of ours) {
      expect(letter).toMatchObject({ topic, partition: '0' });
      expect(letter.cause).toMatch(/\w+ \w+/);
    }
  });
});

describe.concurrent('offsets', () => {
  it('with metadata of a newer version are refused and left alone', async () => {
    const scene = await openScene({ home, brokers, s3: null, partitions: 1 });
    const { topic } = scene;
    await scene.ledger.start({ total: 1_000 });
    await settle(scene, scene.start());
    const metadata = 'zepto9 of a later release';
    await commitWith(metadata, '42', topic);

    const said = await refused(scene.start(), 30_000);
    expect(said).toMatch(/written by a newer version \(format 9, this build reads formats 1 to 3\): upgrade/);
    expect(await committed(topic)).toEqual([{ partition: 0, offset: '42', metadata }]);
    await expectEachOnce(scene);
  });

  it('whose symbol topic has gone are refused: a new one would give the ids to other names', async () => {
    const scene = await openScene({ home, brokers, s3: null, partitions: 1 });
    await commitWith('zepto1 …', '0', scene.topic);
    const said = await refused(scene.start(), 30_000);
    expect(said).toMatch(/symbol topic \S+ does not exist.*--symbols-topic or restore the topic/);
  });

  it.each(['deleted', 'reset'] as const)(
    'that were %s while plans stand in the store are refused: no row is doubled',
    async (how) => {
      const scene = await openScene({ home, brokers, s3, partitions: 1 });
      const { topic } = scene;
      await scene.ledger.start({ total: 2_000 });
      const member = scene.start();
      await sealAll(member, scene.ledger);
      expect(await member.drain()).toBe(0);
      const admin = kafka.admin();
      await admin.connect();
      if (how === 'deleted') await admin.deleteGroups([topic]);
      else await admin.setOffsets({ groupId: topic, topic, partitions: [{ partition: 0, offset: '0' }] });
      await admin.disconnect();
      // Neither the store nor the disk alone may be overlooked.
      await rm(join(scene.hdb, '_plans'), { recursive: true, force: true });

      const said = await refused(scene.start(), 30_000);
      expect(said).toMatch(/its plans stand in the store.*Restore the group's offsets/);
      await expectEachOnce(scene);
    },
  );
});

/** Only a transaction carries metadata past kafkajs. */
async function commitWith(metadata: string, offset: string, topic: string): Promise<void> {
  const producer = kafka.producer({ transactionalId: topic, maxInFlightRequests: 1, idempotent: true });
  await producer.connect();
  const transaction = await producer.transaction();
  const topics = [{ topic, partitions: [{ partition: 0, offset, metadata }] }];
  for (let attempt = 0; ; attempt++) {
    try {
      await transaction.sendOffsets({ consumerGroupId: topic, topics });
      break;
    } catch (error) {
      // The broker makes the topic of offsets for the first group, which takes a moment.
      if (attempt === 50) throw error;
      await sleep(100);
    }
  }
  await transaction.commit();
  await producer.disconnect();
}

async function committed(
  group: string,
): Promise<{ partition: number; offset: string; metadata: string | null }[]> {
  const admin = kafka.admin();
  await admin.connect();
  const [found] = await admin.fetchOffsets({ groupId: group });
  await admin.disconnect();
  return found!.partitions.map(({ partition, offset, metadata }) => ({ partition, offset, metadata }));
}

type Letter = Record<'cause' | 'topic' | 'partition' | 'offset' | 'value', string>;

async function deadLetters(topic: string, count: number): Promise<Letter[]> {
  const letters: Letter[] = [];
  const consumer = kafka.consumer({ groupId: `${topic}-letters` });
  await consumer.connect();
  await consumer.subscribe({ topic: `${topic}.dlq`, fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ message: { value, headers = {} } }) => {
      const text = (name: string): string => String(headers[name]);
      letters.push({
        cause: text('cause'),
        topic: text('topic'),
        partition: text('partition'),
        offset: text('offset'),
        value: String(value),
      });
    },
  });
  for (let waits = 0; letters.length < count && waits < 300; waits++) await sleep(50);
  await consumer.disconnect();
  return letters;
}
