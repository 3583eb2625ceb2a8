// What: views that are published to a topic by real members that seal, die and come back.
// Why: whoever follows the topic must end with the bars that SQL answers, and must never see one go back.
// Invariant: of each key the last record is the view's row over all ticks; closed once, corrected as often as late ticks come.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Consumer, Kafka, logLevel } from 'kafkajs';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { killMembers, type MemberProcess } from '../support/member.ts';
import { openScene } from '../support/scene.ts';

const services = inject('services');
let home: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'zepto-published-'));
});
afterEach(killMembers);
afterAll(() => rm(home, { recursive: true, force: true }));

interface Bar {
  readonly symbol: string;
  readonly bar: string;
  readonly ticks: string;
  readonly ids: string;
  readonly close: number;
}

/** What a reader of committed records finds in the topic. */
class Follower {
  readonly last = new Map<string, Bar>();
  /** How often a bucket was told to be closed, by key. */
  readonly closed = new Map<string, number>();
  corrections = 0;
  readonly wrong: string[] = [];
  private readonly consumer: Consumer;

  constructor(brokers: string, group: string) {
    const kafka = new Kafka({ brokers: [brokers], clientId: 'follower', logLevel: logLevel.ERROR });
    this.consumer = kafka.consumer({ groupId: group });
  }

  async follow(topic: string): Promise<void> {
    await this.consumer.connect();
    await this.consumer.subscribe({ topic, fromBeginning: true });
    await this.consumer.run({
      eachMessage: async ({ message }) => {
        const key = message.key!.toString();
        const bar = JSON.parse(message.value!.toString()) as Bar;
        const before = this.last.get(key);
        if (before !== undefined && Number(before.ticks) > Number(bar.ticks))
          this.wrong.push(`${key} went back from ${before.ticks} to ${bar.ticks} ticks`);
        if (String(message.headers?.view) !== 'bars')
          this.wrong.push(`${key} is of ${message.headers?.view}`);
        if (String(message.headers?.kind) === 'corrected') this.corrections++;
        else this.closed.set(key, (this.closed.get(key) ?? 0) + 1);
        this.last.set(key, bar);
      },
    });
  }

  stop(): Promise<void> {
    return this.consumer.disconnect();
  }
}

const QUERY =
  'SELECT symbol, xbar(timestamp, 10m) AS bar, last(price) AS close, sum(id) AS ids, count(*) AS ticks FROM trades GROUP BY symbol, bar';

/** Bars that are over, as SQL answers them now, in the form of the topic. */
async function barsOf(member: MemberProcess): Promise<Map<string, Bar>> {
  const response = await member.post(
    '/',
    `SELECT * FROM (${QUERY}) WHERE bar < now() - 610s SETTINGS view_rewrite = 0 FORMAT JSONEachRow`,
  );
  const bars = response.text.split('\n').filter((line) => line !== '');
  return new Map(
    bars.map((line) => {
      const bar = JSON.parse(line) as Bar;
      return [JSON.stringify({ symbol: bar.symbol, bar: bar.bar }), bar];
    }),
  );
}

describe('a published view', () => {
  it('gives its topic each bar that SQL has, also when members are killed', async () => {
    const here = await openScene({ home, brokers: services.brokers, s3: services.s3 });
    const flags = ['--hot-window', '1s', '--cold-tier-format', 'parquet', '--seal-interval', '2s'];
    const bars = `${here.topic}-bars`;
    const start = (): MemberProcess => here.start('--shards', '2', ...flags);
    let member = start();
    await member.ready();
    expect(await member.query(`CREATE MATERIALIZED VIEW bars WITH (topic = '${bars}') AS ${QUERY}`)).toEqual([
      [`Materialized view 'bars' created, published to ${bars}`],
    ]);
    const follower = new Follower(services.brokers, `${bars}-follower`);
    await follower.follow(bars);
    void here.ledger.start({ perSecond: 2_000 });
    for (let kill = 0; kill < 3; kill++) {
      await new Promise((resolve) => setTimeout(resolve, 2_000 + 1_500 * Math.random()));
      await member.kill();
      member = start();
      await member.ready(90_000);
    }
    await here.ledger.stop();
    // The last bars close by the clock when the topic has been silent for a while.
    await member.until(
      async () => {
        const expected = await barsOf(member);
        const same = [...expected].every(([key, bar]) => follower.last.get(key)?.ids === bar.ids);
        return (expected.size > 0 && same) || undefined;
      },
      'every bar in the topic',
      60_000,
    );
    const expected = await barsOf(member);
    for (const [key, bar] of expected) expect(follower.last.get(key)).toEqual(bar);
    const extra = [...follower.last.keys()].filter((key) => !expected.has(key));
    expect(extra.length).toBeLessThanOrEqual(16); // bars that have ended since they were asked for
    expect(follower.wrong).toEqual([]);
    expect(follower.corrections).toBeGreaterThan(0);
    expect([...follower.closed.values()].filter((times) => times !== 1)).toEqual([]);
    await follower.stop();
  }, 300_000);

  it('is refused where it could not work, with the reason', async () => {
    const here = await openScene({ home, brokers: services.brokers, s3: null, partitions: 2 });
    const member = here.start();
    await member.ready();
    const create = (name: string, topic: string, query: string): Promise<unknown> =>
      member.query(`CREATE MATERIALIZED VIEW ${name} AS ${query} WITH (topic = '${topic}')`);
    const minutes = 'SELECT xbar(timestamp, 1m) AS bar, count(*) AS n FROM trades GROUP BY bar';
    await expect(
      create('v', `${here.topic}-v`, 'SELECT symbol, count(*) AS n FROM trades GROUP BY symbol'),
    ).rejects.toThrow(/groups by a bucket of the event time/);
    await expect(
      create(
        'v',
        `${here.topic}-v`,
        'SELECT xbar(timestamp, 1m) AS bar, count(*) AS n FROM trades GROUP BY bar, symbol',
      ),
    ).rejects.toThrow(/symbol is missing from its SELECT/);
    await expect(create('v', here.topic, minutes)).rejects.toThrow(/fills table 'trades'/);
    await expect(create('v', 'no/topic', minutes)).rejects.toThrow(/name of a Kafka topic/);
    await create('v', `${here.topic}-v`, minutes);
    await expect(create('w', `${here.topic}-v`, minutes)).rejects.toThrow(/view 'v' is published to/);
    await expect(
      create('w', `${here.topic}-w`, 'SELECT bar, sum(n) AS n FROM v GROUP BY bar'),
    ).rejects.toThrow(/'v' is a view: publish a view over the table/);
    await expect(
      member.query(`CREATE MATERIALIZED VIEW w AS ${minutes} WITH (topics = 'x')`),
    ).rejects.toThrow(/no option topics.*topic/);
  });
});
