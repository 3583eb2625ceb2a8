// What: SQL over HTTP against members that ingest, seal, hand rows from tier to tier, die and come back.
// Why: an answer must hold each row once at every moment, not only when all is at rest.
// Invariant: what a query has seen is seen by every later one, and nothing twice. LIVE_SQL_SECONDS sets how long it looks.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { killMembers, type MemberProcess } from '../support/member.ts';
import { startPeer } from '../support/peer.ts';
import { openScene } from '../support/scene.ts';

const services = inject('services');
const seconds = Number(process.env.LIVE_SQL_SECONDS ?? 10);
let home: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'zepto-live-sql-'));
});
afterEach(killMembers);
afterAll(() => rm(home, { recursive: true, force: true }));

async function idsOf(member: MemberProcess): Promise<Set<number>> {
  const rows = (await member.query('SELECT id FROM trades')) as [number][];
  const ids = new Set(rows.map(([id]) => id));
  expect(ids.size, 'ids that are seen twice').toBe(rows.length);
  return ids;
}

/** Two members have two partitions each. */
async function shareWith(other: MemberProcess, member: MemberProcess): Promise<void> {
  for (const one of [member, other])
    await one.until(async () => (await one.partitions()).length === 2 || undefined, 'its share', 60_000);
}

const toDisk = ['--storage-mode', 'disk'];
const toObjects = ['--hot-window', '1s', '--cold-tier-format', 'parquet'];
/** Where rows go, whether objects are written, processes, flags, and what EXPLAIN must have met. */
const tiers: readonly (readonly [string, boolean, number, readonly string[], RegExp])[] = [
  ['memory', false, 1, ['--hot-window', '100h'], /[1-9]\d* hot/],
  ['memory and local files', false, 1, toDisk, /[1-9]\d* warm/],
  ['memory and objects', true, 1, toObjects, /[1-9]\d* cold/],
  ['memory and objects of two processes', true, 2, toObjects, /Group scan.*[1-9]\d* cold/s],
];

describe('a query', () => {
  it.each(tiers)(
    `sees each row once, over %s, while two members ingest and seal each second`,
    async (_, isCold, processes, flags, explained) => {
      const here = await openScene({ home, brokers: services.brokers, s3: isCold ? services.s3 : null });
      const shards = ['--shards', String(2 / processes), '--seal-interval', '1s'];
      const member = await startPeer(here, ...shards, ...flags);
      if (processes === 2) await shareWith(await startPeer(here, ...shards, ...flags), member);
      await member.ready();
      void here.ledger.start({ perSecond: 3_000 });
      const until = Date.now() + seconds * 1000;
      let counted = 0;
      let before = new Set<number>();
      let looks = 0;
      while (Date.now() < until) {
        const [[count, distinct]] = (await member.query(
          'SELECT count(*), count(DISTINCT id) FROM trades',
        )) as [[number, number]];
        expect(distinct).toBe(count);
        expect(count).toBeGreaterThanOrEqual(counted);
        counted = count;
        if (looks++ % 10 !== 0) continue;
        const ids = await idsOf(member);
        expect([...before].filter((id) => !ids.has(id))).toEqual([]);
        before = ids;
      }
      await here.ledger.stop();
      expect(looks).toBeGreaterThan(3);
      await member.until(
        async () => ((await idsOf(member)).size === here.ledger.produced ? true : undefined),
        'every tick in the answer',
        30_000,
      );
      expect((await member.query('EXPLAIN ANALYZE SELECT count(*) FROM trades')).flat().join()).toMatch(
        explained,
      );
    },
    seconds * 1000 + 120_000,
  );

  it.each([
    ['local files', false, toDisk],
    ['objects', true, toObjects],
  ] as const)(
    'finds after SIGKILL and a new start all that was there before, in %s',
    async (_, isCold, flags) => {
      const here = await openScene({ home, brokers: services.brokers, s3: isCold ? services.s3 : null });
      const first = here.start('--seal-interval', '1s', ...flags);
      await first.ready();
      await here.ledger.start({ total: 20_000 });
      await first.until(
        async () => ((await idsOf(first)).size === here.ledger.produced ? true : undefined),
        'every tick in the answer',
        30_000,
      );
      const symbols = await first.query(
        'SELECT symbol, count(*), sum(price), max(id) FROM trades GROUP BY symbol ORDER BY symbol',
      );
      await first.kill();
      const second = here.start('--seal-interval', '1s', ...flags);
      await second.ready();
      expect((await idsOf(second)).size).toBe(here.ledger.produced);
      expect(
        await second.query(
          'SELECT symbol, count(*), sum(price), max(id) FROM trades GROUP BY symbol ORDER BY symbol',
        ),
      ).toEqual(symbols);
    },
  );
});
