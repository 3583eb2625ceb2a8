// What: materialized views on real members that ingest, seal, evict, die and come back.
// Why: a view must be right at every moment, in the very snapshot in which its table is read.
// Invariant: one statement that reads the view and recomputes it from the table finds no difference, ever.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { killMembers, type MemberProcess } from '../support/member.ts';
import { openScene } from '../support/scene.ts';

const services = inject('services');
let home: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'zepto-views-'));
});
afterEach(killMembers);
afterAll(() => rm(home, { recursive: true, force: true }));

const QUERY =
  'SELECT symbol, xbar(timestamp, 60000000000) AS bar, first(price) AS open, max(price) AS high, min(price) AS low, last(price) AS close, sum(id) AS ids, count(*) AS ticks, vwap(price, id) AS vwap FROM trades GROUP BY symbol, xbar(timestamp, 60000000000)';

/** Rows that stand on one side only, a few of each; and the ticks in the view. */
async function compared(member: MemberProcess): Promise<{ different: unknown[][]; ticks: number }> {
  const rows = await member.query(
    `SELECT * FROM ((SELECT 'only in the view' AS side, * FROM (SELECT * FROM bars EXCEPT ${QUERY}) LIMIT 3)
     UNION ALL (SELECT 'only in the table' AS side, * FROM (${QUERY} EXCEPT SELECT * FROM bars) LIMIT 3)
     UNION ALL (SELECT 'ticks', NULL, NULL, NULL, NULL, NULL, NULL, NULL, sum(ticks), NULL FROM bars))
     SETTINGS view_rewrite = 0`,
  );
  const different = rows.filter(([side]) => side !== 'ticks');
  return { different, ticks: (rows.find(([side]) => side === 'ticks')![8] as number | null) ?? 0 };
}

const modes: readonly (readonly [string, boolean, readonly string[]])[] = [
  ['memory and local files', false, ['--seal-interval', '2s', '--storage-mode', 'disk']],
  // Each look reads all objects: not so many that a slow machine does nothing else.
  [
    'memory and objects',
    true,
    ['--seal-interval', '4s', '--hot-window', '1s', '--cold-tier-format', 'parquet'],
  ],
];

describe('a view', () => {
  it.each(modes)(
    'equals its recomputation over %s at every look, also after SIGKILL',
    async (_, isCold, flags) => {
      const here = await openScene({ home, brokers: services.brokers, s3: isCold ? services.s3 : null });
      let member = here.start('--shards', '2', ...flags);
      await member.ready();
      void here.ledger.start({ perSecond: 2_000 });
      await member.until(
        async () =>
          ((await member.query('SELECT count(*) FROM trades'))[0]![0] as number) > 2_000 || undefined,
        'ticks',
        60_000,
      );
      // Over rows that are there, while more come.
      expect(await member.query(`CREATE MATERIALIZED VIEW bars AS ${QUERY}`)).toEqual([
        ["Materialized view 'bars' created"],
      ]);
      let ticks = 0;
      for (let look = 0; look < 20; look++) {
        const found = await compared(member);
        expect(found.different).toEqual([]);
        expect(found.ticks).toBeGreaterThanOrEqual(ticks);
        ticks = found.ticks;
      }
      await member.kill();
      member = here.start('--shards', '2', ...flags);
      await member.ready(90_000);
      for (let look = 0; look < 10; look++) expect((await compared(member)).different).toEqual([]);
      await here.ledger.stop();
      await member.until(
        async () => ((await compared(member)).ticks === here.ledger.produced ? true : undefined),
        'every tick in the view',
        60_000,
      );
      expect((await compared(member)).different).toEqual([]);
      expect(
        (await member.query('EXPLAIN SELECT symbol, count(*) FROM trades GROUP BY symbol')).flat().join('\n'),
      ).toMatch(/View bars: instead of trades/);
      // Rows that are sealed and uploaded meanwhile leave parts behind for a moment.
      const [shown] = await member.until(
        async () => {
          const rows = await member.query('SHOW MATERIALIZED VIEWS');
          return rows[0]![4] === rows[0]![5] ? rows : undefined;
        },
        'all parts in the view',
        30_000,
      );
      expect(shown!.slice(0, 2)).toEqual(['bars', 'trades']);
      expect(await member.query("SELECT view, bytes > 0 FROM system.views WHERE source = 'trades'")).toEqual([
        ['bars', true],
      ]);
    },
    300_000,
  );

  it('is pushed: all rows first, then those that change', async () => {
    const here = await openScene({ home, brokers: services.brokers, s3: null, partitions: 1 });
    const member = here.start();
    await member.ready();
    await member.query(
      'CREATE MATERIALIZED VIEW counts AS SELECT symbol, count(*) AS n FROM trades GROUP BY symbol',
    );
    const insert = (symbol: string): Promise<unknown> =>
      member.query(`INSERT INTO trades (timestamp, symbol, price, id) VALUES (now(), '${symbol}', 1, 1)`);
    await insert('A');
    await insert('B');
    const hangUp = new AbortController();
    const response = await fetch(`${await member.url()}/stream?view=counts&every_ms=50`, {
      signal: hangUp.signal,
    });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    const counts = new Map<string, number>();
    const events: string[] = [];
    const reading = (async () => {
      let text = '';
      for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
        const parts = (text + piece).split('\n\n');
        text = parts.pop()!;
        for (const part of parts) {
          events.push(/^event: (\w+)/m.exec(part)?.[1] ?? 'comment');
          const rows = JSON.parse(/^data: (.*)$/m.exec(part)?.[1] ?? '[]') as {
            symbol: string;
            n: string | number;
          }[];
          for (const { symbol, n } of rows) counts.set(symbol, Number(n));
        }
      }
    })().catch(() => {});
    await member.until(() => counts.size === 2 || undefined, 'the snapshot', 10_000);
    expect([...counts]).toEqual([
      ['A', 1],
      ['B', 1],
    ]);
    await insert('B');
    await insert('C');
    await member.until(
      () => (counts.get('B') === 2 && counts.get('C') === 1) || undefined,
      'the update',
      10_000,
    );
    expect(events[0]).toBe('snapshot');
    expect(new Set(events.slice(1))).toEqual(new Set(['update']));
    hangUp.abort();
    await reading;
    expect((await member.get('/stream')).status).toBe(400);
    expect((await member.get('/stream?view=nothing')).status).toBe(400);
  }, 60_000);

  it('is made, replaced and dropped for all members, and protects what it reads', async () => {
    const here = await openScene({ home, brokers: services.brokers, s3: null, partitions: 2 });
    const [first, second] = [here.start(), here.start()];
    await Promise.all([first.ready(), second.ready()]);
    await first.query(`CREATE MATERIALIZED VIEW bars AS ${QUERY}`);
    await second.until(
      async () => (await second.query('SELECT * FROM bars LIMIT 0')) && true,
      'the view',
      10_000,
    );
    await second.query(
      'CREATE MATERIALIZED VIEW hours AS SELECT symbol, max(high) AS high FROM bars GROUP BY symbol',
    );
    const refusedBy = async (member: MemberProcess, sql: string): Promise<string> => {
      const { status, text } = await member.post('/', sql);
      expect(status, text).toBeGreaterThanOrEqual(400);
      return text;
    };
    expect(await refusedBy(second, 'DROP MATERIALIZED VIEW bars')).toMatch(/used by the view hours/);
    expect(await refusedBy(first, `CREATE MATERIALIZED VIEW bars AS ${QUERY}`)).toMatch(/already exists/);
    expect(
      await refusedBy(
        first,
        'CREATE MATERIALIZED VIEW m AS SELECT symbol, median(price) FROM trades GROUP BY symbol',
      ),
    ).toMatch(/median cannot be updated row by row/);
    expect(
      await refusedBy(first, 'CREATE MATERIALIZED VIEW m AS SELECT nope, count(*) FROM trades GROUP BY nope'),
    ).toMatch(/nope/);
    expect(
      await refusedBy(first, 'ALTER TABLE trades SET STORAGE POLICY WARM 24 HOURS HOT 48 HOURS'),
    ).toMatch(/must come after/);
    await second.query('DROP MATERIALIZED VIEW hours');
    await second.query(
      'CREATE OR REPLACE MATERIALIZED VIEW bars AS SELECT symbol, count(*) AS n FROM trades GROUP BY symbol',
    );
    await first.until(
      async () => (await first.query('SELECT n FROM bars LIMIT 0')) && true,
      'the new view',
      10_000,
    );
    await first.query('DROP MATERIALIZED VIEW bars');
    await second.until(
      async () => ((await second.post('/', 'SELECT * FROM bars')).status === 200 ? undefined : true),
      'the end of the view',
      10_000,
    );
  }, 120_000);
});
