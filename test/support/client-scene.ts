// What: a member with a small table of every type and a larger one of ticks, for clients to read.
// Why: each client is asked about the same rows, whose values are written down once.
// Invariant: all rows came through Kafka; when the scene is handed out they are all in the answer.

import { expect } from 'vitest';
import { LEDGER_SYMBOLS } from './ledger.ts';
import type { MemberProcess } from './member.ts';
import { openScene, type Scene } from './scene.ts';

export interface ClientScene extends Scene {
  readonly member: MemberProcess;
  readonly url: string;
}

/** Of trades; enough for an answer of several pieces. */
export const TICKS = 40_000;

/** What a client must make of the rows of `deals`, by time. Nanoseconds since 2024-03-21 06:00 UTC. */
export const deals = [
  { ns: 1, symbol: 'AAPL', price: 150.25, size: '10', venue: 'X', share: 0.5, buy: true },
  {
    ns: 1_000,
    symbol: 'MSFT',
    price: 99.0001,
    size: '9007199254740993',
    venue: null,
    share: null,
    buy: false,
  },
  {
    ns: 1_000_000_002,
    symbol: 'BRK.B',
    price: -0.5,
    size: '-3',
    venue: 'a,"b"\tc\\',
    share: 1e-9,
    buy: true,
  },
  { ns: 2_000_000_000, symbol: 'ÉLAN', price: null, size: null, venue: '', share: -0.25, buy: null },
] as const;

export const DEALS_START_NS = 1_711_000_800_000_000_000n;

export async function openClientScene(home: string, brokers: string): Promise<ClientScene> {
  const scene = await openScene({ home, brokers, s3: null, partitions: 2 });
  const member = scene.start();
  await member.ready();
  await member.query(
    `CREATE TABLE deals (timestamp TIMESTAMP, symbol SYMBOL, price DECIMAL(18, 4), size INT64, venue STRING,
       share FLOAT64, buy BOOL) WITH (topic = '${scene.topic}-deals', partitions = 1)`,
  );
  const rows = deals.map(({ ns, symbol, price, size, venue, share, buy }) => {
    const text = venue === null ? 'NULL' : `'${venue}'`;
    return `(${DEALS_START_NS + BigInt(ns)}, '${symbol}', ${price}, ${size}, ${text}, ${share}, ${buy})`;
  });
  expect(await member.query(`INSERT INTO deals VALUES ${rows.join(', ')}`)).toEqual([[deals.length]]);
  await scene.ledger.start({ total: TICKS });
  await member.until(
    async () => {
      const [[count]] = (await member.query('SELECT count(*) FROM trades')) as [[number]];
      return count === scene.ledger.produced ? true : undefined;
    },
    'every tick in the answer',
    60_000,
  );
  expect(scene.ledger.produced).toBeGreaterThan(30_000);
  expect(await member.query('SELECT count(DISTINCT symbol) FROM trades')).toEqual([[LEDGER_SYMBOLS]]);
  return { ...scene, member, url: await member.url() };
}

/** Statements that run, as the administrator sees them. */
export async function runningQueries(url: string): Promise<readonly { readonly id: string }[]> {
  return (await (await fetch(`${url}/admin/queries`)).json()) as { id: string }[];
}
