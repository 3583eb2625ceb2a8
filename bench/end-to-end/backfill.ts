// What: a materialized view made over ten million rows in memory while ticks arrive at full speed.
// Why: a view is made in trading hours; the stream must not wait for what has been.
// Invariant: the view's rows are those that a scan of the table computes; with and without a view, the same rows are ingested by new processes in turns.

import { startServices } from '../../services/up.ts';
import { assert } from '../../src/kernel/assert.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { type BenchOptions, median } from '../report.ts';
import { Member, type MemberState } from './member.ts';
import { publish } from './publish.ts';
import { stepWithinHourNs } from './ticks.ts';

const PARTITIONS = 4;
const TOPIC = 'backfill';
/** Of the records: how many are there when the view is made. */
const BEFORE = 2 / 3;
const TIMEOUT_MS = 180_000;

const BARS =
  'SELECT symbol, xbar(timestamp, 1m) AS bar, first(price) AS open, max(price) AS high, min(price) AS low, ' +
  'last(price) AS close, sum(volume) AS volume, count(*) AS ticks FROM trades GROUP BY symbol, bar';

export async function run({ records = 15_000_000, runs = 5, print }: BenchOptions): Promise<void> {
  const services = await startServices({ with: ['kafka'], report: () => {} });
  try {
    const { brokers } = services.kafka;
    const stepNs = stepWithinHourNs(records);
    await publish({ brokers, topic: TOPIC, partitions: PARTITIONS, records, format: 'json', stepNs });
    print({ bench: 'backfill', records, partitions: PARTITIONS, runs });
    const rounds: { readonly without: Ingested; readonly beside: Ingested }[] = [];
    for (let round = 0; round < runs; round++)
      rounds.push({
        without: await ingested(brokers, records, false),
        beside: await ingested(brokers, records, true),
      });
    const of = (figure: (round: (typeof rounds)[number]) => number): number => median(rounds.map(figure));
    // Of neighbours in time: what else the machine does then slows both.
    const share = (part: (beside: Ingested) => number): number =>
      Math.round(of(({ without, beside }) => 1 - part(beside) / without.rowsPerSecond) * 1_000) / 1_000;
    print({
      case: 'backfill-while-ingesting',
      rowsBefore: Math.round(of(({ beside }) => beside.rowsBefore)),
      createMs: Math.round(of(({ beside }) => beside.createMs)),
      rowsPerSecond: Math.round(of(({ beside }) => beside.rowsPerSecond)),
      rowsPerSecondWhileMade: Math.round(of(({ beside }) => beside.rowsPerSecondWhileMade)),
      rowsPerSecondWithoutView: Math.round(of(({ without }) => without.rowsPerSecond)),
      slowedBy: share(({ rowsPerSecond }) => rowsPerSecond),
      slowedByWhileMade: share(({ rowsPerSecondWhileMade }) => rowsPerSecondWhileMade),
    });
  } finally {
    await services.stop();
  }
}

interface Ingested {
  /** When the view is made. */
  readonly rowsBefore: number;
  /** From then to the last row. */
  readonly rowsPerSecond: number;
  /** From then until CREATE answered, if ticks still arrived. */
  readonly rowsPerSecondWhileMade: number;
  readonly createMs: number;
}

let groups = 0;

async function ingested(brokers: string, records: number, withView: boolean): Promise<Ingested> {
  const group = `backfill-${groups++}`;
  const flags = ['--brokers', brokers, '--group', group, '--topics', `trades=${TOPIC}`, '--format', 'json'];
  const member = new Member([...flags, '--storage-mode', 'pure', '--memory-budget', '4GiB'], {}, []);
  try {
    const from = await member.until(
      ({ rowsHot }) => rowsHot >= records * BEFORE,
      `${records * BEFORE} rows`,
      TIMEOUT_MS,
    );
    assert(from.rowsHot < records * 0.9, 'ticks still arrive when the view is made');
    const startMs = systemClock.monotonicMs();
    const rateUntil = ({ rowsHot }: MemberState, endMs: number): number =>
      ((rowsHot - from.rowsHot) / (endMs - startMs)) * 1_000;
    const making = withView ? made(member) : null;
    const last = await member.until(({ rowsHot }) => rowsHot >= records, 'all rows', TIMEOUT_MS);
    const rowsPerSecond = rateUntil(last, systemClock.monotonicMs());
    const view = await making;
    if (view !== null) await requireExact(member);
    return {
      rowsBefore: from.rowsHot,
      rowsPerSecond,
      rowsPerSecondWhileMade:
        view === null || view.state.rowsHot >= records ? rowsPerSecond : rateUntil(view.state, view.atMs),
      createMs: view === null ? 0 : view.atMs - startMs,
    };
  } finally {
    await member.stop('SIGKILL');
  }
}

/** When CREATE answered, and what was there then. */
async function made(member: Member): Promise<{ readonly atMs: number; readonly state: MemberState }> {
  await ask(member, `CREATE MATERIALIZED VIEW bars AS ${BARS}`);
  const atMs = systemClock.monotonicMs();
  return { atMs, state: await member.state() };
}

async function requireExact(member: Member): Promise<void> {
  const order = 'ORDER BY symbol, bar';
  const view = await ask(
    member,
    `SELECT symbol, bar, open, high, low, close, volume, ticks FROM bars ${order}`,
  );
  const scan = await ask(member, `${BARS} ${order} SETTINGS view_rewrite = 0`);
  assert(
    view.length > 0 && JSON.stringify(view) === JSON.stringify(scan),
    'the view is what a scan computes',
  );
}

async function ask(member: Member, sql: string): Promise<readonly unknown[]> {
  const response = await fetch(`${member.address}/`, { method: 'POST', body: sql });
  const text = await response.text();
  if (!response.ok) throw new Error(`${sql}: ${response.status} ${text}`);
  return (JSON.parse(text) as { data: readonly unknown[] }).data;
}
