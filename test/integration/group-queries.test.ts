// What: queries to one member of a group about the rows of all, while members come, die and disagree.
// Why: rows in memory are with the member that consumes them; whoever asks does not know which one that is.
// Invariant: an answer is of every partition exactly once, or is an error that says what is missing.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { killMembers, type MemberProcess } from '../support/member.ts';
import { startPeer } from '../support/peer.ts';
import { openScene } from '../support/scene.ts';

const services = inject('services');
let home: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'zepto-group-'));
});
afterEach(killMembers);
afterAll(() => rm(home, { recursive: true, force: true }));

const numbers = async (member: MemberProcess, more = ''): Promise<unknown[]> =>
  (await member.query(`SELECT count(*), count(DISTINCT id), sum(id) FROM trades ${more}`))[0]!;

/** Of every clause that takes another way when there are peers. */
const QUERIES = [
  'SELECT symbol, count(*), sum(id), min(price), max(price), first(price), last(id) FROM trades GROUP BY symbol ORDER BY symbol',
  "SELECT id, price FROM trades WHERE symbol = 'S3' AND id BETWEEN 100 AND 400 ORDER BY id",
  'SELECT t.id FROM trades AS t WHERE t.price > 104.5 AND t.id < 3000 ORDER BY t.id LIMIT 20',
  'SELECT symbol, id FROM trades LATEST ON timestamp PARTITION BY symbol ORDER BY symbol',
  'SELECT count(*) FROM trades WHERE timestamp > now() - 100h AND id % 2 = 0',
  'SELECT count(*), sum(b.id) FROM trades AS a JOIN trades AS b ON a.id = b.id + 11 WHERE a.id < 500',
  'WITH s AS (SELECT symbol, max(id) AS top FROM trades GROUP BY symbol) SELECT count(*), sum(top) FROM s WHERE top > (SELECT avg(id) FROM trades)',
  'SELECT symbol, id, row_number() OVER (PARTITION BY symbol ORDER BY id) AS n FROM trades WHERE id < 60 ORDER BY id',
  'SELECT a.id, b.id FROM trades AS a ASOF JOIN trades AS b ON a.symbol = b.symbol AND a.timestamp >= b.timestamp WHERE a.id < 50 ORDER BY a.id',
  'SELECT symbol, ticks, ids FROM per_symbol ORDER BY symbol',
  'SELECT xbar(timestamp, 1h) AS hour, count(*) FROM trades GROUP BY hour ORDER BY hour',
];

describe('a query to one member of a group', () => {
  it('is about the rows of all, also when one is killed', async () => {
    const here = await openScene({ home, brokers: services.brokers, s3: null });
    const first = await startPeer(here, '--seal-interval', '2s');
    await first.ready();
    await first.query(
      'CREATE MATERIALIZED VIEW per_symbol AS SELECT symbol, count(*) AS ticks, sum(id) AS ids FROM trades GROUP BY symbol',
    );
    await here.ledger.start({ total: 8_000 });
    await first.until(
      async () => (await numbers(first))[0] === here.ledger.produced || undefined,
      'every tick',
      60_000,
    );
    const expected = [];
    for (const query of QUERIES) expected.push(await first.query(query));
    const second = await startPeer(here, '--seal-interval', '2s');
    await second.ready(90_000);
    const owned = async (member: MemberProcess): Promise<number> => (await member.partitions()).length;
    await second.until(
      async () => ((await owned(first)) === 2 && (await owned(second)) === 2) || undefined,
      'two partitions for each',
      60_000,
    );
    const all = [
      here.ledger.produced,
      here.ledger.produced,
      (here.ledger.produced * (here.ledger.produced - 1)) / 2,
    ];
    for (const member of [first, second]) {
      await member.until(
        async () => JSON.stringify(await numbers(member)) === JSON.stringify(all) || undefined,
        'all rows',
        60_000,
      );
      for (const [i, query] of QUERIES.entries())
        expect(await member.query(query), query).toEqual(expected[i]);
    }
    const alone = await Promise.all([first, second].map((member) => numbers(member, 'SETTINGS fan_out = 0')));
    expect(
      alone.map(([rows]) => rows as number).every((rows) => rows > 0 && rows < here.ledger.produced),
    ).toBe(true);
    expect(alone.reduce((sum, [rows]) => sum + (rows as number), 0)).toBe(here.ledger.produced);
    expect((await first.query('EXPLAIN SELECT count(*) FROM trades')).flat().join('\n')).toMatch(
      /Merge groups.*Group scan trades.*of 1 other members: SELECT count\(\*\) FROM trades/s,
    );

    // While one member seals and the other is killed: rows are never counted twice, and are all there in the end.
    void here.ledger.start({ perSecond: 1_000 });
    for (let look = 0; look < 10; look++) {
      const [rows, distinct] = await numbers(second);
      expect(rows).toBe(distinct);
    }
    await first.kill();
    await here.ledger.stop();
    await second.until(
      async () => (await numbers(second))[0] === here.ledger.produced || undefined,
      'every tick after the kill',
      90_000,
    );
    const [rows, distinct] = await numbers(second);
    expect([rows, distinct]).toEqual([here.ledger.produced, here.ledger.produced]);
  }, 300_000);

  it('is refused when a member does not say where it answers', async () => {
    const here = await openScene({ home, brokers: services.brokers, s3: null });
    const silent = here.start();
    const peer = await startPeer(here, '--seal-interval', '2s');
    await silent.ready();
    await peer.ready(90_000);
    await peer.until(
      async () => {
        const text = await peer.query('SELECT count(*) FROM trades').then(String, String);
        return /set it on all members/.test(text) || undefined;
      },
      'the refusal',
      60_000,
    );
    expect(await peer.query('SELECT count(*) FROM trades SETTINGS fan_out = 0')).toEqual([[0]]);
  }, 180_000);
});
