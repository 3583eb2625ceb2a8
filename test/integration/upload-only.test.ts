// What: members whose S3 credential may only add objects, killed and joined while ticks flow.
// Why: a sink that can read and delete history is a risk that operators refuse; DESIGN promises that it need not.
// Invariant: the server enforces the policy and the proxy counts: not one request is refused, and each tick stands once.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, expect, inject, it } from 'vitest';
import type { S3Connection } from '../../services/s3.ts';
import { type Services, startServices } from '../../services/up.ts';
import { type HttpFaultProxy, startHttpFaultProxy } from '../support/http-fault-proxy.ts';
import { s3Client } from '../support/ledger.ts';
import { killMembers } from '../support/member.ts';
import { openScene, settle } from '../support/scene.ts';

const { brokers } = inject('services');
let versity: Services<'s3'>;
let uploader: S3Connection;
let proxy: HttpFaultProxy;
let home: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'zepto-upload-only-'));
  versity = await startServices({ with: ['s3'], s3Server: 'versitygw', report: () => {} });
  const bucket = `arn:aws:s3:::${versity.s3.connection.bucket}`;
  const user = await versity.s3.createUser({
    name: 'uploader',
    policy: {
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Action: ['s3:PutObject', 's3:AbortMultipartUpload'],
          Resource: [`${bucket}/scene-*`],
        },
        { Effect: 'Allow', Action: ['s3:ListBucket'], Resource: [bucket] },
      ],
    },
  });
  proxy = await startHttpFaultProxy(versity.s3.connection.endpoint);
  uploader = { ...user, endpoint: proxy.url };
});
afterEach(killMembers);
afterAll(async () => {
  await proxy?.close();
  await versity?.stop();
  await rm(home, { recursive: true, force: true });
});

it('a credential that may only upload is enough for exactly once, through kills and a rebalance', async () => {
  const scene = await openScene({
    home,
    brokers,
    s3: versity.s3.connection,
    s3OfMembers: uploader,
    partitions: 2,
  });
  const start = (): ReturnType<typeof scene.start> => scene.start('--seal-interval', '500ms');
  const first = start();
  await first.ready();
  await first.query(
    'CREATE MATERIALIZED VIEW counts AS SELECT symbol, count(*) AS n FROM trades GROUP BY symbol',
  );
  const [[definition]] = (await first.query('SELECT definition FROM system.views')) as [[string]];
  void scene.ledger.start({ perSecond: 3_000 });
  await first.logged(/"message":"plan committed"/);
  const second = start();
  await second.until(
    async () => ((await second.partitions()).length === 1 ? true : undefined),
    'its share of the partitions',
    30_000,
  );
  await first.kill();
  await second.until(
    async () => ((await second.partitions()).length === 2 ? true : undefined),
    'the partitions of the killed one',
    30_000,
  );
  await sleep(Math.random() * 500);
  await second.kill();
  await scene.ledger.stop();
  await settle(scene);

  // Partials of a view that is there before its rows need no more than that either.
  const root = s3Client(versity.s3.connection);
  const plansBelow = async (prefix: string): Promise<string[]> => {
    const Prefix = `${prefix}/_plans/`;
    const { Contents = [] } = await root.send(new ListObjectsV2Command({ Bucket: uploader.bucket, Prefix }));
    return Contents.map(({ Key }) => Key!.slice(Prefix.length));
  };
  expect(await plansBelow(`${scene.topic}-views/counts/definition=${definition}`)).toEqual(
    await plansBelow(scene.topic),
  );
  root.destroy();

  expect(proxy.answers.length).toBeGreaterThan(10);
  expect(proxy.answers.filter((status) => status !== 200 && status !== 204 && status !== 412)).toEqual([]);
});

it('the policy is enforced: the same credential can neither read nor write elsewhere', async () => {
  const client = s3Client(uploader);
  const { bucket: Bucket } = uploader;
  const root = s3Client(versity.s3.connection);
  const Key = 'scene-there/x';
  await root.send(new PutObjectCommand({ Bucket, Key, Body: 'x' }));
  root.destroy();
  const denied = { $metadata: { httpStatusCode: 403 } };
  await expect(client.send(new GetObjectCommand({ Bucket, Key }))).rejects.toMatchObject(denied);
  await expect(
    client.send(new PutObjectCommand({ Bucket, Key: 'elsewhere/x', Body: 'x' })),
  ).rejects.toMatchObject(denied);
  client.destroy();
});
