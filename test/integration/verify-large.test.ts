// What: `zepto verify` on a bucket of 10,000 objects on a real S3 server: sound, and with each kind of damage.
// Why: a user checks a bucket of that size before lunch; what is slow or blind there is not used.
// Invariant: each damage is planted alone and taken back; the command itself, as it ships, says what it is.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { s3Defaults } from '../../connectors/s3/settings.ts';
import { createS3Store } from '../../connectors/s3/store.ts';
import { planManifestKey } from '../../src/format/layout.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { ObjectStore } from '../../src/ports.ts';
import type { VerifyReport } from '../../src/verify/report.ts';
import { offsetsPerPlan, parquetBody, planAt, soundBucket, withGap } from '../support/sound-bucket.ts';

const { s3 } = inject('services');
const program = join(import.meta.dirname, '../../dist/zepto.js');
const PREFIX = `verify-large-${process.pid}`;
const SHAPE = { partitions: 4, plans: 25, symbols: 99 };
const LANES = 16;
const content = { contentType: 'application/octet-stream' };

let store: ObjectStore;
const objects = new Map<string, Uint8Array>();

beforeAll(async () => {
  const { endpoint, region, bucket, accessKeyId, secretAccessKey } = s3;
  store = createS3Store(
    {
      ...s3Defaults,
      bucket,
      region,
      endpointUrl: endpoint,
      usePathStyle: true,
      credentials: { accessKeyId, secretAccessKey },
    },
    {
      clock: systemClock,
      metrics: { count() {}, gauge() {}, observe() {} },
      log: { debug() {}, info() {}, warn() {}, error() {} },
    },
  );
  for await (const [key, bytes] of soundBucket(PREFIX, SHAPE, parquetBody)) objects.set(key, bytes);
  expect(objects.size).toBe(10_000);
  await inLanes([...objects], ([key, bytes]) => store.put(key, bytes, content));
});
afterAll(() => store?.close());

async function inLanes<T>(items: readonly T[], run: (item: T) => Promise<unknown>): Promise<void> {
  const waiting = items.values();
  const lane = async (): Promise<void> => {
    for (const item of waiting) await run(item);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

function zeptoVerify(...more: readonly string[]): Promise<{ status: number; report: VerifyReport }> {
  const place = ['--s3-bucket', s3.bucket, '--s3-region', s3.region, '--prefix', PREFIX];
  const server = ['--s3-endpoint-url', s3.endpoint, '--s3-use-path-style'];
  const env = {
    ...process.env,
    AWS_ACCESS_KEY_ID: s3.accessKeyId,
    AWS_SECRET_ACCESS_KEY: s3.secretAccessKey,
  };
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [program, 'verify', ...place, ...server, '--json', ...more],
      { env, maxBuffer: 2 ** 26 },
      (error, stdout, stderr) => {
        if (stdout === '') reject(new Error(`no report:\n${stderr}`));
        else resolve({ status: Number(error?.code ?? 0), report: JSON.parse(stdout) as VerifyReport });
      },
    );
  });
}

describe('10,000 objects', () => {
  const first = (): string => [...objects.keys()].find((key) => key.endsWith('.parquet'))!;
  const manifest = (n: number): string => planManifestKey(PREFIX, planAt(0, n * offsetsPerPlan(SHAPE)));

  async function foundWith(
    key: string,
    damaged: Uint8Array | null,
    ...more: readonly string[]
  ): Promise<readonly string[]> {
    const whole = objects.get(key) ?? null;
    await store.delete(key);
    if (damaged !== null) await store.put(key, damaged, content);
    try {
      const { status, report } = await zeptoVerify(...more);
      expect(status).toBe(report.isSound ? 0 : 1);
      return [...new Set(report.problems.map(({ kind }) => kind))].sort();
    } finally {
      await store.delete(key);
      if (whole !== null) await store.put(key, whole, content);
    }
  }

  it('are sound, by their listing and with every byte read', async () => {
    for (const more of [[], ['--deep']]) {
      const { status, report } = await zeptoVerify(...more);
      expect(report).toMatchObject({ isSound: true, filesFound: 9_900, problemCount: 0, warningCount: 0 });
      expect(report.filesRead).toBe(more.length * 9_900);
      expect(status).toBe(0);
    }
  });

  it('less a deleted one, or with a doubled one, are not', async () => {
    expect(await foundWith(first(), null)).toEqual(['missing']);
    expect(await foundWith(first().replace('.parquet', '-2.parquet'), objects.get(first())!)).toEqual([
      'unnamed',
    ]);
  });

  it('with a truncated one, or a changed byte, are not', async () => {
    const bytes = objects.get(first())!;
    expect(await foundWith(first(), bytes.subarray(0, -1))).toEqual(['size']);
    const changed = Uint8Array.from(bytes);
    changed[changed.length >> 1]! ^= 1;
    expect(await foundWith(first(), changed, '--deep')).toEqual(['checksum']);
  });

  it('with a missing manifest, or a gap between offsets, are not', async () => {
    expect(await foundWith(manifest(2), null)).toEqual(['gap', 'unnamed']);
    expect(await foundWith(manifest(2), withGap(objects.get(manifest(2))!, 1))).toEqual(['gap']);
  });
});
