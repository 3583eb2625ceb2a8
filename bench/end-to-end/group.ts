// What: aggregates over the rows of two members, asked of one: by groups that are merged, and by rows that are sent.
// Why: more members take more ticks in; what they hold should not be slower to ask for.
// Invariant: both ways give the same answer, and all ticks are in it.

import { freePort } from '../../services/ports.ts';
import { startServices } from '../../services/up.ts';
import { assert } from '../../src/kernel/assert.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { type BenchOptions, median } from '../report.ts';
import { Member } from './member.ts';
import { publish } from './publish.ts';
import { RECORDS_MAX } from './ticks.ts';

const TOPIC = 'group';
const PARTITIONS = 4;
const TIMEOUT_MS = 180_000;

interface Question {
  readonly name: string;
  readonly items: string;
  readonly by: string;
}

const questions: readonly Question[] = [
  { name: 'count', items: 'count(*)', by: '' },
  { name: 'vwap by symbol', items: 'symbol, vwap(price, volume)', by: 'GROUP BY symbol ORDER BY symbol' },
  {
    // Without first and last, which go by the order of rows where those come out of a subquery.
    name: 'bars 5m of all symbols',
    items: 'symbol, xbar(timestamp, 5m) AS bar, max(price), min(price), sum(volume), count(*)',
    by: 'GROUP BY symbol, bar ORDER BY symbol, bar',
  },
];

export async function run({ print, runs = 7, records = 5_000_000, only }: BenchOptions): Promise<void> {
  assert(records <= RECORDS_MAX, `at most ${RECORDS_MAX} ticks fit their hour`);
  const services = await startServices({ with: ['kafka'], report: () => {} });
  const { brokers } = services.kafka;
  const members: Member[] = [];
  try {
    await publish({ brokers, topic: TOPIC, partitions: PARTITIONS, records, format: 'json' });
    members.push(await startMember(brokers), await startMember(brokers));
    const [asked, other] = members as [Member, Member];
    await asked.until(
      ({ partitions }) => partitions === PARTITIONS / 2,
      'half of the partitions',
      TIMEOUT_MS,
    );
    const ask = (sql: string): Promise<string> => answerOf(asked, sql);
    while ((await ask('SELECT count(*) FROM trades')) !== `[[${records}]]`) await systemClock.sleep(100);
    const { rowsHot: rowsOfOther } = await other.state();
    print({ bench: 'group', members: members.length, rows: records, rowsOfOther, runs });
    for (const { name, items, by } of questions) {
      if (only !== undefined && !only.includes(name)) continue;
      const groups = `SELECT ${items} FROM trades ${by}`;
      // What stands in a subquery is read as rows.
      const rows = `SELECT ${items} FROM (SELECT symbol, timestamp, price, volume FROM trades) t ${by}`;
      assert((await ask(groups)) === (await ask(rows)), `${name} has two answers`);
      const groupsMs = await medianMs(runs, () => ask(groups));
      const rowsMs = await medianMs(runs, () => ask(rows));
      const aloneMs = await medianMs(runs, () => ask(`${groups} SETTINGS fan_out = 0`));
      print({ case: name, groupsMs, rowsMs, timesFaster: rounded(rowsMs / groupsMs), aloneMs });
    }
  } finally {
    await Promise.all(members.map((member) => member.stop('SIGKILL')));
    await services.stop();
  }
}

async function startMember(brokers: string): Promise<Member> {
  const port = String(await freePort());
  const own = ['--port', port, '--peer-address', `http://127.0.0.1:${port}`];
  const topics = ['--topics', `trades=${TOPIC}`];
  const flags = ['--brokers', brokers, '--group', TOPIC, ...topics, '--storage-mode', 'pure', ...own];
  return new Member([...flags, '--memory-budget', '1GiB'], {}, []);
}

async function answerOf(member: Member, sql: string): Promise<string> {
  const response = await fetch(`${member.address}/`, { method: 'POST', body: sql });
  const body = (await response.json()) as { data?: unknown };
  assert(response.ok, `${sql}: ${JSON.stringify(body)}`);
  return JSON.stringify(body.data);
}

async function medianMs(runs: number, ask: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let i = -2; i < runs; i++) {
    const startMs = systemClock.monotonicMs();
    await ask();
    if (i >= 0) times.push(systemClock.monotonicMs() - startMs);
  }
  return rounded(median(times));
}

const rounded = (value: number): number => Number(value.toPrecision(3));
