// What: queries whose client hangs up, before the first byte and in the middle of a long answer.
// Why: a notebook that is closed, or a dashboard that reloads, must not leave its query behind to take a core.
// Invariant: soon after the connection is gone no statement runs and the next query is answered; the time it took is reported.

import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { type ClientScene, openClientScene, runningQueries } from '../support/client-scene.ts';
import { killMembers } from '../support/member.ts';

const services = inject('services');
let home: string;
let scene: ClientScene;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'zepto-abandoned-'));
  scene = await openClientScene(home, services.brokers);
});
afterAll(async () => {
  await killMembers();
  await rm(home, { recursive: true, force: true });
});

/** Longer than any query may go on for. */
const PATIENCE_MS = 10_000;

/** Sends a statement, hangs up some time after it runs, and says how long it was still in the list, in ms. */
async function hangUp(sql: string, wait: 'running' | 'first byte', delayMs: number): Promise<number> {
  const { hostname, port } = new URL(scene.url);
  const client = request({ hostname, port, method: 'POST', path: '/?query_id=abandoned' });
  const answered = new Promise<void>((resolve) => {
    client.on('response', (response) => response.once('data', () => resolve()));
  });
  client.on('error', () => {});
  client.end(sql);
  if (wait === 'first byte') await answered;
  await until(async () => (await runningQueries(scene.url)).some(({ id }) => id === 'abandoned'));
  await sleep(delayMs);
  const startedMs = performance.now();
  client.destroy();
  await until(async () => (await runningQueries(scene.url)).length === 0);
  return performance.now() - startedMs;
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const giveUpAt = performance.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (performance.now() > giveUpAt) throw new Error(`still not so after ${PATIENCE_MS} ms`);
    await sleep(2);
  }
}

/** Early and late: a sort begins when all rows are there. */
const DELAYS_MS = [0, 300, 900, 2_000];

const heavy: readonly (readonly [string, 'running' | 'first byte', string])[] = [
  [
    'counts a cross join',
    'running',
    'SELECT count(*) FROM trades a CROSS JOIN trades b WHERE a.price + b.price < 0',
  ],
  [
    'joins a table with itself on few keys',
    'running',
    'SELECT sum(a.id + b.id) FROM trades a JOIN trades b ON a.symbol = b.symbol WHERE a.price * b.id = -1',
  ],
  [
    'groups and sorts a cross join',
    'running',
    'SELECT a.id, max(b.id) AS m FROM trades a CROSS JOIN trades b GROUP BY a.id ORDER BY m DESC LIMIT 5',
  ],
  [
    'joins a window of rows around each row',
    'running',
    `SELECT a.id, count(*), sum(b.price) FROM trades a WINDOW JOIN trades b
       ON b.timestamp BETWEEN a.timestamp - 10h AND a.timestamp + 10h`,
  ],
  [
    'sorts millions of rows by numbers',
    'running',
    'SELECT a.id, b.id AS c FROM trades a CROSS JOIN trades b WHERE a.id < 80 ORDER BY b.price, a.id DESC LIMIT 100000 OFFSET 1000000',
  ],
  [
    'sorts millions of rows by texts',
    'running',
    'SELECT concat(b.symbol, CAST(a.id * b.id AS STRING)) AS t FROM trades a CROSS JOIN trades b WHERE a.id < 60 ORDER BY t',
  ],
  [
    'computes rolling means over millions of rows',
    'running',
    `SELECT max(m) FROM (SELECT avg(a.price) OVER (PARTITION BY b.symbol ORDER BY b.timestamp, a.id ROWS 100 PRECEDING) AS m
       FROM trades a CROSS JOIN trades b WHERE a.id < 60)`,
  ],
  [
    'finds the median of millions of values',
    'running',
    'SELECT median(a.price * b.id) FROM trades a CROSS JOIN trades b WHERE a.id < 300',
  ],
  [
    'counts millions of distinct values',
    'running',
    'SELECT count(DISTINCT a.id * b.id) FROM trades a CROSS JOIN trades b WHERE a.id < 200',
  ],
  [
    'streams a cross join as JSON lines',
    'first byte',
    'SELECT a.id, b.symbol, a.price * b.price FROM trades a CROSS JOIN trades b FORMAT JSONEachRow',
  ],
  [
    'streams a cross join as Arrow',
    'first byte',
    'SELECT a.id, b.id FROM trades a CROSS JOIN trades b FORMAT ArrowStream',
  ],
];

describe('a query that its client abandons', () => {
  it.each(heavy)('ends when it %s', async (_, wait, sql) => {
    const times: number[] = [];
    for (const delayMs of DELAYS_MS) times.push(await hangUp(sql, wait, delayMs));
    console.info(`gone from the list after ${times.map((ms) => ms.toFixed(0)).join(', ')} ms: ${sql}`);
    expect(await scene.member.query('SELECT count(*) FROM deals')).toEqual([[4]]);
    expect(await runningQueries(scene.url)).toEqual([]);
  });

  it('ends when an administrator cancels it, with an answer that says so', async () => {
    const answer = scene.member.post('/?query_id=cancelled', heavy[0]![2]);
    await until(async () => (await runningQueries(scene.url)).some(({ id }) => id === 'cancelled'));
    const cancelled = await fetch(`${scene.url}/admin/queries/cancelled`, { method: 'DELETE' });
    expect(await cancelled.json()).toEqual({ cancelled: true });
    const { status, text } = await answer;
    expect(status).toBe(408);
    expect(JSON.parse(text)).toMatchObject({ code: 'CANCELLED' });
    expect((await fetch(`${scene.url}/admin/queries/cancelled`, { method: 'DELETE' })).status).toBe(404);
  });

  it('ends when its time is over though its client reads no further, and tells it so when it does', async () => {
    const { hostname, port } = new URL(scene.url);
    const path = '/?query_id=paused&max_execution_time=1&default_format=JSONEachRow';
    const client = request({ hostname, port, method: 'POST', path });
    client.end('SELECT a.id, b.symbol, a.price * b.price FROM trades a CROSS JOIN trades b');
    const response = await new Promise<IncomingMessage>((resolve) => client.once('response', resolve));
    await once(response, 'readable');
    await sleep(2_000);
    let end = '';
    response.setEncoding('utf8');
    response.on('error', () => {}); // cut off behind what tells why
    response.on('data', (text: string) => {
      end = (end + text).slice(-1_000);
    });
    await new Promise((resolve) => response.once('close', resolve));
    expect(end).toContain('limit timeoutMs');
    expect(await runningQueries(scene.url)).toEqual([]);
  });
});
