// What: what the real services promise to every other test, demo and benchmark.
// Why: a failure here means the ground is broken, not the code that stands on it.
// Invariant: every server of a set of this file's own is stopped by this file.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { Kafka, type KafkaConfig, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { oauthToken } from '../../services/kafka-security.ts';
import { isAlive } from '../../services/lock.ts';
import type { S3Connection } from '../../services/s3.ts';
import { type Services, startServices } from '../../services/up.ts';

const run = promisify(execFile);
const cli = ['--import', 'tsx', 'services/main.ts'];
const quiet = (): void => {};

function kafka(brokers: string, config: Partial<KafkaConfig> = {}): Kafka {
  return new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING, ...config });
}

function s3Client({ endpoint, region, accessKeyId, secretAccessKey }: S3Connection): S3Client {
  return new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
    maxAttempts: 1,
  });
}

/** Makes the topic, writes the values and reads as many back from its beginning. */
async function roundTrip(client: Kafka, topic: string, values: readonly string[]): Promise<string[]> {
  const admin = client.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: 1 }], waitForLeaders: true });
  await admin.disconnect();
  const producer = client.producer();
  await producer.connect();
  await producer.send({ topic, messages: values.map((value) => ({ value })) });
  await producer.disconnect();
  return readAll(client, topic, values.length);
}

async function readAll(client: Kafka, topic: string, count: number): Promise<string[]> {
  const consumer = client.consumer({ groupId: `${topic}-${Math.random()}`, maxWaitTimeInMs: 100 });
  const read: string[] = [];
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await new Promise<void>((resolve, reject) => {
    consumer.on(consumer.events.CRASH, ({ payload }) => payload.restart || reject(payload.error));
    void consumer.run({
      eachMessage: async ({ message }) => {
        read.push(message.value?.toString() ?? '');
        if (read.length === count) resolve();
      },
    });
  });
  await consumer.disconnect();
  return read;
}

async function statusOf(
  call: Promise<{ $metadata: { httpStatusCode?: number } }>,
): Promise<number | undefined> {
  return call.then(
    (answer) => answer.$metadata.httpStatusCode,
    (error) => error.$metadata?.httpStatusCode,
  );
}

async function connects(brokers: string, config: Partial<KafkaConfig>): Promise<boolean> {
  const admin = kafka(brokers, { ...config, retry: { retries: 0 } }).admin();
  try {
    await admin.connect();
    await admin.listTopics();
    return true;
  } catch {
    return false;
  } finally {
    await admin.disconnect();
  }
}

describe('the services of the run', () => {
  const { brokers, sasl, ssl, s3, schemaRegistry } = inject('services');

  test('records written to a topic are read back in order', async () => {
    expect(await roundTrip(kafka(brokers), 'services-round-trip', ['a', 'b', 'c'])).toEqual(['a', 'b', 'c']);
  });

  test('a topic that nobody made is not made by writing to it', async () => {
    const producer = kafka(brokers, { retry: { retries: 0 } }).producer({ allowAutoTopicCreation: true });
    await producer.connect();
    await expect(producer.send({ topic: 'services-unmade', messages: [{ value: 'a' }] })).rejects.toThrow();
    await producer.disconnect();
  });

  test.each(['plain', 'scram-sha-256', 'scram-sha-512'] as const)(
    'SASL %s lets the user in, and nobody with a wrong password',
    async (mechanism) => {
      const { username, password } = sasl;
      expect(await connects(sasl.brokers, { sasl: { mechanism, username, password } } as KafkaConfig)).toBe(
        true,
      );
      expect(
        await connects(brokers, { sasl: { mechanism, username, password: 'wrong' } } as KafkaConfig),
      ).toBe(false);
    },
  );

  test('SASL OAUTHBEARER lets a token in, and none that has expired', async () => {
    const withToken = (value: string): Partial<KafkaConfig> => ({
      sasl: { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value }) },
    });
    expect(await connects(sasl.brokers, withToken(oauthToken(3600)))).toBe(true);
    expect(await connects(sasl.brokers, withToken(oauthToken(-60)))).toBe(false);
  });

  test('TLS is taken with its certificate, and refused without', async () => {
    expect(await connects(ssl.brokers, { ssl: { ca: ssl.ca } })).toBe(true);
    expect(await connects(ssl.brokers, { ssl: true })).toBe(false);
  });

  test('an object is listed, and a second put with If-None-Match is refused with 412 and changes nothing', async () => {
    const client = s3Client(s3);
    const object = { Bucket: s3.bucket, Key: 'services-test/object' };
    expect(
      await statusOf(client.send(new PutObjectCommand({ ...object, Body: 'first', IfNoneMatch: '*' }))),
    ).toBe(200);
    expect(
      await statusOf(client.send(new PutObjectCommand({ ...object, Body: 'second', IfNoneMatch: '*' }))),
    ).toBe(412);
    const list = await client.send(new ListObjectsV2Command({ Bucket: s3.bucket, Prefix: 'services-test/' }));
    expect(list.Contents?.map(({ Key, Size }) => [Key, Size])).toEqual([['services-test/object', 5]]);
    const read = await client.send(new GetObjectCommand(object));
    expect(await read.Body?.transformToString()).toBe('first');
    client.destroy();
  });

  test('a schema registered under a subject is read back by its id', async () => {
    const schema = JSON.stringify({
      type: 'record',
      name: 'Tick',
      fields: [{ name: 'price', type: 'long' }],
    });
    const registered = await fetch(`${schemaRegistry}/subjects/services-test-value/versions`, {
      method: 'POST',
      headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
      body: JSON.stringify({ schema }),
    });
    const { id } = (await registered.json()) as { id: number };
    const read = await fetch(`${schemaRegistry}/schemas/ids/${id}`);
    expect(JSON.parse(((await read.json()) as { schema: string }).schema)).toEqual(JSON.parse(schema));
  });
});

describe('a broker of a set of its own', () => {
  let services: Services<'kafka'>;
  beforeAll(async () => {
    services = await startServices({
      with: ['kafka'],
      kafka: { listeners: ['proxied'], properties: { 'message.max.bytes': '2000000' } },
      report: quiet,
    });
  });
  afterAll(() => services?.stop());

  test('after SIGKILL it comes back on its port with its records, and takes new ones', async () => {
    const client = kafka(services.kafka.brokers);
    await roundTrip(client, 'kept', ['a', 'b']);
    const pid = services.kafka.pid;
    await services.kafka.kill('SIGKILL');
    expect(services.kafka.pid).toBeUndefined();
    await services.kafka.start();
    expect(services.kafka.pid).not.toBe(pid);
    const producer = client.producer();
    await producer.connect();
    await producer.send({ topic: 'kept', messages: [{ value: 'c' }] });
    await producer.disconnect();
    expect(await readAll(client, 'kept', 3)).toEqual(['a', 'b', 'c']);
  });

  test('a client of the proxied listener stays behind its proxy after it has learnt where the broker is', async () => {
    const { brokers, proxy } = services.kafka.proxied!;
    await roundTrip(kafka(brokers), 'proxied', ['a']);
    const producer = kafka(brokers, { requestTimeout: 1_000, retry: { retries: 0 } }).producer();
    await producer.connect();
    const send = (value: string): Promise<unknown> =>
      producer.send({ topic: 'proxied', messages: [{ value }] });
    await send('b');
    proxy.mode = { kind: 'stall' };
    await expect(send('c')).rejects.toThrow();
    proxy.mode = { kind: 'reset' };
    await expect(send('d')).rejects.toThrow();
    proxy.mode = { kind: 'pass' };
    await producer.disconnect();
    expect(await connects(brokers, {})).toBe(true);
  });

  test("Kafka's own tools run against it, and its extra properties hold", async () => {
    const { brokers, tool } = services.kafka;
    const printed = await tool('kafka.admin.ConfigCommand', [
      ...[
        '--bootstrap-server',
        brokers,
        '--describe',
        '--all',
        '--entity-type',
        'brokers',
        '--entity-name',
        '1',
      ],
    ]);
    expect(printed).toContain('message.max.bytes=2000000');
  });
});

describe('versitygw', () => {
  let services: Services<'s3'>;
  beforeAll(async () => {
    services = await startServices({ with: ['s3'], s3Server: 'versitygw', report: quiet });
  });
  afterAll(() => services?.stop());

  test('a user who may only upload puts and lists, and neither gets, heads nor puts elsewhere', async () => {
    const { bucket } = services.s3.connection;
    const uploader = await services.s3.createUser({
      name: 'uploader',
      policy: {
        Version: '2012-10-17',
        Statement: [
          {
            Effect: 'Allow',
            Action: ['s3:PutObject', 's3:AbortMultipartUpload'],
            Resource: `arn:aws:s3:::${bucket}/ticks/*`,
          },
          { Effect: 'Allow', Action: 's3:ListBucket', Resource: `arn:aws:s3:::${bucket}` },
        ],
      },
    });
    const client = s3Client(uploader);
    const object = { Bucket: bucket, Key: 'ticks/a' };
    expect(
      await statusOf(client.send(new PutObjectCommand({ ...object, Body: 'a', IfNoneMatch: '*' }))),
    ).toBe(200);
    expect(
      await statusOf(client.send(new PutObjectCommand({ ...object, Body: 'b', IfNoneMatch: '*' }))),
    ).toBe(412);
    expect(await statusOf(client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: 'ticks/' })))).toBe(
      200,
    );
    expect(await statusOf(client.send(new GetObjectCommand(object)))).toBe(403);
    expect(await statusOf(client.send(new HeadObjectCommand(object)))).toBe(403);
    expect(await statusOf(client.send(new PutObjectCommand({ ...object, Key: 'other/a', Body: 'a' })))).toBe(
      403,
    );
    client.destroy();
  });

  test('objects and users outlive a kill and a restart on the same port', async () => {
    const { s3 } = services;
    const nobody = await s3.createUser({
      name: 'nobody',
      policy: {
        Version: '2012-10-17',
        Statement: [{ Effect: 'Deny', Action: 's3:*', Resource: '*' }],
      },
    });
    const root = s3Client(s3.connection);
    await root.send(new PutObjectCommand({ Bucket: s3.connection.bucket, Key: 'kept', Body: 'a' }));
    await s3.kill('SIGKILL');
    await s3.start();
    const object = { Bucket: s3.connection.bucket, Key: 'kept' };
    expect(await statusOf(root.send(new GetObjectCommand(object)))).toBe(200);
    const denied = s3Client(nobody);
    expect(await statusOf(denied.send(new GetObjectCommand(object)))).toBe(403);
    root.destroy();
    denied.destroy();
  });
});

describe('a set that ends', () => {
  test('with the process that started it, even by SIGKILL, and leaves no process and no file', async () => {
    const script = `
      import { startServices } from './services/up.ts';
      const services = await startServices({ with: ['s3'], report: () => {} });
      console.log(JSON.stringify({ pid: services.s3.pid, log: services.s3.logFile }));
      setInterval(() => {}, 1000);`;
    const starter = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [printed] = await once(starter.stdout, 'data');
    const { pid, log } = JSON.parse(String(printed)) as { pid: number; log: string };
    expect(isAlive(pid)).toBe(true);
    starter.kill('SIGKILL');
    await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false);
    await expect.poll(() => stat(log).catch(() => undefined), { timeout: 10_000 }).toBeUndefined();
  });

  test('by `down`, having outlived `up`, which prints where to connect as one JSON line', async () => {
    const dir = join(await mkdtemp(join(tmpdir(), 'services-test-')), 'set');
    const up = [...cli, 'up', '--json', '--with', 's3', '--dir', dir];
    const first = (await run(process.execPath, up)).stdout;
    expect(JSON.parse(first)).toEqual({
      s3: {
        endpoint: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
        region: 'us-east-1',
        bucket: expect.any(String),
        accessKeyId: expect.any(String),
        secretAccessKey: expect.any(String),
      },
    });
    expect((await run(process.execPath, up)).stdout).toBe(first);
    const status = [...cli, 'status', '--json', '--dir', dir];
    expect((await run(process.execPath, status)).stdout).toBe(first);
    await run(process.execPath, [...cli, 'down', '--dir', dir]);
    await expect(stat(dir)).rejects.toThrow('ENOENT');
    await expect(run(process.execPath, status)).rejects.toMatchObject({ code: 1 });
    await rm(join(dir, '..'), { recursive: true });
  });
});

describe('a set that cannot start says what to do', () => {
  test.each([
    ['java', {}],
    ['mvn', { XDG_CACHE_HOME: '' }],
  ])('when %s is missing', async (missing, env) => {
    const dir = await mkdtemp(join(tmpdir(), 'services-test-'));
    const start = run(process.execPath, [...cli, 'up', '--with', 's3', '--dir', join(dir, 'set')], {
      env: { ...process.env, PATH: dir, ...('XDG_CACHE_HOME' in env && { XDG_CACHE_HOME: dir }) },
    });
    await expect(start).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        new RegExp(`'${missing}' is needed and was not found[\\s\\S]*To do: install`),
      ),
    });
    await rm(dir, { recursive: true });
  });

  test('when the folder holds the files of someone else', async () => {
    const start = run(process.execPath, [...cli, 'up', '--dir', 'services']);
    await expect(start).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/not empty and holds no set of services[\s\S]*To do: give a new folder/),
    });
  });

  test('when the broker refuses its configuration, with the end of its log', async () => {
    const start = startServices({
      with: ['kafka'],
      kafka: { properties: { 'log.retention.check.interval.ms': '-1' } },
      report: quiet,
    });
    await expect(start).rejects.toThrow(/log\.retention\.check\.interval\.ms[\s\S]*To do: /);
  });
});
