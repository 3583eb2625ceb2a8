// What: rows that a policy walks from memory to local files to objects to nothing, on a real member with a real object store.
// Why: each move takes rows from one place while queries read them, and a process may die in the middle of each.
// Invariant: the same query has the same answer before, during and after each move; what is dropped is exactly the hours that are old enough.

import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { paginateListObjectsV2, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { killMembers, MemberProcess } from '../support/member.ts';
import { openScene, type Scene, sealAll } from '../support/scene.ts';

const services = inject('services');
let home: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'zepto-policy-'));
});
// The tests run beside each other: members of one are none of the other's to kill.
afterAll(async () => {
  await killMembers();
  await rm(home, { recursive: true, force: true });
});

const HOUR_NS = 3_600_000_000_000n;
const ANSWER =
  'SELECT symbol, count(*), sum(id), first(price), last(price) FROM trades GROUP BY symbol ORDER BY symbol';

/** Rows of each tier, as SHOW TIERS has them. */
async function tiers(member: MemberProcess): Promise<Record<string, number>> {
  const rows = await member.query(
    "SELECT tier, sum(rows) FROM system.segments WHERE table = 'trades' GROUP BY tier",
  );
  return { hot: 0, warm: 0, cold: 0, ...Object.fromEntries(rows as [string, number][]) };
}

/** Asks all the time until the tiers are as wanted; each answer must be the same. */
async function watched(
  member: MemberProcess,
  answer: unknown[][],
  wanted: (found: Record<string, number>) => boolean,
): Promise<void> {
  await member.until(
    async () => {
      expect(await member.query(ANSWER)).toEqual(answer);
      return wanted(await tiers(member)) || undefined;
    },
    'the move',
    60_000,
  );
  expect(await member.query(ANSWER)).toEqual(answer);
}

async function keysOf({ topic }: Scene): Promise<string[]> {
  const { endpoint, region, accessKeyId, secretAccessKey, bucket } = services.s3;
  const client = new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  });
  const keys: string[] = [];
  for await (const page of paginateListObjectsV2({ client }, { Bucket: bucket, Prefix: `${topic}/` }))
    for (const { Key } of page.Contents ?? []) if (Key!.endsWith('.parquet')) keys.push(Key!);
  return keys;
}

const folders = async ({ hdb }: Scene): Promise<string[]> =>
  (await readdir(hdb, { recursive: true })).filter((path) => path.endsWith('price.bin'));

describe.concurrent('a storage policy', () => {
  it('walks rows through all tiers, with one answer throughout, also when the process dies in the middle', async () => {
    const here = await openScene({ home, brokers: services.brokers, s3: services.s3, partitions: 2 });
    const flags = ['--tiering-interval', '500ms', '--hot-window', '1000h'];
    let member = here.start(...flags);
    await member.ready();
    const restart = async (): Promise<void> => {
      await member.kill();
      member = here.start(...flags);
      await member.ready(90_000);
    };
    void here.ledger.start({ perSecond: 3_000 });
    await member.until(
      async () => ((await member.query('SELECT count(*) FROM trades'))[0]![0] as number) > 6_000 || undefined,
      'ticks',
      60_000,
    );
    await here.ledger.stop();
    await sealAll(member, here.ledger);
    const answer = await member.query(ANSWER);
    expect(answer.length).toBeGreaterThan(10);
    // Committed rows stay in memory as long as the window says.
    expect((await tiers(member)).hot).toBe(here.ledger.produced);

    // Of hours that ended: their age is at least an hour.
    await member.query('ALTER TABLE trades SET STORAGE POLICY HOT 1 MINUTES');
    await watched(member, answer, ({ hot, warm }) => hot === 0 && warm! > 0);
    expect(await member.query('SHOW STORAGE POLICY FOR trades')).toEqual([['trades', 'HOT 1 MINUTES']]);
    expect(await member.query('SELECT hot_minutes, drop_minutes FROM system.policies')).toEqual([[1, null]]);
    await restart();
    await watched(member, answer, ({ warm }) => warm! > 0);

    await member.query('ALTER TABLE trades SET STORAGE POLICY HOT 1 MINUTES WARM 2 MINUTES COLD 3 MINUTES');
    // In the middle of the move.
    await restart();
    await watched(member, answer, ({ hot, warm, cold }) => hot === 0 && warm === 0 && cold! > 0);
    await member.until(
      async () => (await folders(here)).length === 0 || undefined,
      'the end of folders',
      30_000,
    );

    const { dropped: rows, policy, rest } = await oldestHour(member);
    const first = (await member.query('SELECT min(timestamp) FROM trades'))[0]![0] as number;
    const drop = `ALTER TABLE trades SET STORAGE POLICY COLD 3 MINUTES ${policy}`;
    const planned = await member.query(`EXPLAIN ${drop}`);
    expect(planned.find(([action]) => action === 'are dropped')![2]).toBe(rows);
    await member.query(drop);
    expect(await countOf(member)).toEqual([rest, rest]);
    const dropped = async (): Promise<number> =>
      (await keysOf(here)).filter((key) => key.includes(`-${Math.floor(first / Number(HOUR_NS))}`)).length;
    await member.until(
      async () => ((await dropped()) === 0 ? true : undefined),
      'the end of the objects',
      30_000,
    );
    await restart();
    expect(await countOf(member)).toEqual([rest, rest]);
    expect((await keysOf(here)).length).toBeGreaterThan(0);
  }, 240_000);
});

/** The hours of the ticks and the ticks in each; the policy that drops the first of them, and what is left then. */
async function oldestHour(member: MemberProcess): Promise<{ dropped: number; policy: string; rest: number }> {
  const hours = (await member.query(
    `SELECT CAST(timestamp AS INT64) // ${HOUR_NS} AS hour, count(*) FROM trades GROUP BY hour ORDER BY hour`,
  )) as [number, number][];
  expect(hours.length).toBeGreaterThan(1);
  // Its start is half an hour older than the age, that of the next half an hour younger.
  const minutes = Math.round((Date.now() - (hours[0]![0] + 0.5) * 3_600_000) / 60_000);
  return {
    dropped: hours[0]![1],
    policy: `DROP ${minutes} MINUTES`,
    rest: hours.slice(1).reduce((sum, [, rows]) => sum + rows, 0),
  };
}

/** All of the ledger's ticks, as the member answers them. */
async function taken(here: Scene, member: MemberProcess): Promise<unknown[][]> {
  await member.until(
    async () =>
      (await member.query('SELECT count(*) FROM trades'))[0]![0] === here.ledger.produced || undefined,
    'every tick',
    60_000,
  );
  return member.query(ANSWER);
}

const countOf = async (member: MemberProcess): Promise<unknown> =>
  (await member.query('SELECT count(*), count(DISTINCT id) FROM trades'))[0];

describe.concurrent('a storage mode', () => {
  it('pure keeps the window in memory alone, reads it again after SIGKILL, and drops by policy', async () => {
    const here = await openScene({ home, brokers: services.brokers, s3: null, partitions: 2 });
    const start = (): MemberProcess =>
      MemberProcess.start({
        flags: [
          ...['--brokers', here.brokers, '--group', here.topic, '--config', join(home, `${here.topic}.json`)],
          ...['--storage-mode', 'pure', '--hot-window', '100h', '--session-timeout', '6s'],
          ...['--heartbeat-interval', '1s', '--rebalance-timeout', '10s'],
        ],
        env: {},
      });
    let member = start();
    await member.ready();
    await here.ledger.start({ total: 20_000 });
    const answer = await taken(here, member);
    expect(await tiers(member)).toEqual({ hot: here.ledger.produced, warm: 0, cold: 0 });
    await member.kill();
    member = start();
    await member.ready(90_000);
    expect(await taken(here, member)).toEqual(answer);
    const { policy, rest } = await oldestHour(member);
    await member.query(`ALTER TABLE trades SET STORAGE POLICY ${policy}`);
    expect(await countOf(member)).toEqual([rest, rest]);
    await member.kill();
    member = start();
    await member.ready(90_000);
    await member.until(
      async () => ((await countOf(member)) as number[])[0] === rest || undefined,
      'the rest',
      60_000,
    );
    expect(await folders(here)).toEqual([]);
  }, 180_000);

  it('disk reads what is sealed from its files, also after SIGKILL, and removes what a policy drops', async () => {
    const here = await openScene({ home, brokers: services.brokers, s3: null, partitions: 2 });
    const flags = ['--storage-mode', 'disk', '--tiering-interval', '500ms'];
    let member = here.start(...flags);
    await member.ready();
    await here.ledger.start({ total: 20_000 });
    const answer = await taken(here, member);
    await sealAll(member, here.ledger);
    await watched(member, answer, ({ hot, warm }) => hot === 0 && warm === here.ledger.produced);
    await member.kill();
    member = here.start(...flags);
    await member.ready(90_000);
    await watched(member, answer, ({ warm }) => warm === here.ledger.produced);
    const before = (await folders(here)).length;
    const { policy, rest } = await oldestHour(member);
    await member.query(`ALTER TABLE trades SET STORAGE POLICY ${policy}`);
    expect(await countOf(member)).toEqual([rest, rest]);
    await member.until(
      async () => (await folders(here)).length < before || undefined,
      'the end of folders',
      30_000,
    );
    expect(await countOf(member)).toEqual([rest, rest]);
  }, 180_000);
});
