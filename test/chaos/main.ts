// What: `npm run chaos`: members under faults of all kinds for some minutes, then the count of what is left.
// Why: exactly once is proved where it is hardest, by ids that the producer gave.
// Invariant: exit status 0 only when nothing is lost, nothing doubled, and the verifier agrees.

import { writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { killMembers } from '../support/member.ts';
import { auditDisk, auditS3, settleGroup } from './audit.ts';
import { chooseFault } from './faults.ts';
import { Random } from './random.ts';
import { type ChaosResult, markdown } from './report.ts';
import { openStage, type Stage } from './stage.ts';
import { type Watched, watch } from './watch.ts';

const USAGE = `npm run chaos -- [options]

  --minutes M    How long faults come (default 5)
  --seed N       Of the plan of faults (default 1)
  --per-second R Ticks produced a second (default 1500)
  --report FILE  Writes the report as Markdown
  --json         Nothing but the last line

Needs root or user namespaces (a small disk is mounted) and libfaketime (apt-get install faketime).
Ends with a JSON line; exit status 1 when a tick was lost or doubled.
`;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string', default: '1' },
    'per-second': { type: 'string', default: '1500' },
    report: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

/** Between the begins of two faults. */
const GAP_SECONDS = [1, 14] as const;

const startMs = performance.now();
const say = (text: string): void => {
  if (!values.json)
    process.stderr.write(`${((performance.now() - startMs) / 1000).toFixed(0).padStart(5)} s  ${text}\n`);
};

function number(name: 'minutes' | 'seed' | 'per-second'): number {
  const value = Number(values[name]);
  if (Number.isFinite(value) && value > 0) return value;
  process.stderr.write(`--${name} takes a number above 0, found "${values[name]}"\n\n${USAGE}`);
  process.exit(2);
}

/** Faults until the time is over; each kind with the times it came. */
async function harass(stage: Stage, random: Random, minutes: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  const running = new Map<string, Promise<void>>();
  const endMs = performance.now() + minutes * 60_000;
  while (performance.now() < endMs) {
    const fault = chooseFault(random);
    // One of a kind at a time: two would undo each other.
    if (!running.has(roomOf(fault.kind))) {
      counts[fault.kind] = (counts[fault.kind] ?? 0) + 1;
      const begun = fault.run(stage, random).then(
        (target) => say(`${fault.kind}: ${target}`),
        (error) => say(`${fault.kind} failed: ${error}`),
      );
      running.set(
        roomOf(fault.kind),
        begun.finally(() => running.delete(roomOf(fault.kind))),
      );
    }
    await sleep(random.between(...GAP_SECONDS) * 1000);
  }
  await Promise.all(running.values());
  return counts;
}

/** What must not be done twice at the same time. */
const roomOf = (kind: string): string => /^(broker connection|broker|S3|disk)/.exec(kind)?.[1] ?? kind;

async function chaos(minutes: number, seed: number, perSecond: number): Promise<ChaosResult> {
  const stage = await openStage(minutes * 60 + 1_800);
  try {
    const { ledger, toS3, toDisk } = stage;
    const members = [...toS3.members, ...toDisk.members];
    await Promise.all(members.map((member) => member.current.ready(120_000)));
    say('all members are ready');
    void ledger.start({ perSecond });
    const over = new AbortController();
    const watching = watch(stage, over.signal);
    const faults = await harass(stage, new Random(seed), minutes);
    say('healed; the producer stops');
    await ledger.stop();
    over.abort();
    const watched: Watched = await watching;
    await Promise.all(members.map((member) => member.retire()));
    say('members have left; fresh ones seal what is left');
    for (const group of [toS3, toDisk]) await settleGroup(group, stage);
    say('counting');
    const audits = [await auditS3(stage), await auditDisk(stage)];
    const lost = audits.reduce((sum, one) => sum + one.lost, 0);
    const doubled = audits.reduce((sum, one) => sum + one.doubled, 0);
    const sound = audits.every(
      (one) => one.verified && !one.misplaced && one.deadLetters === one.deadLettersExpected,
    );
    return {
      seed,
      minutes,
      machine: `${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`,
      faults,
      faultsInAll: Object.values(faults).reduce((sum, times) => sum + times, 0),
      produced: ledger.produced,
      undecodable: ledger.undecodable,
      starts: members.reduce((sum, { starts }) => sum + starts, 0),
      ownEnds: members.flatMap(({ ownEnds }) => ownEnds),
      watched,
      audits,
      lost,
      doubled,
      seconds: (performance.now() - startMs) / 1000,
      sound: sound && lost === 0 && doubled === 0 && watched.violations.length === 0,
    };
  } finally {
    await killMembers();
    await stage.close();
  }
}

if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const result = await chaos(number('minutes'), number('seed'), number('per-second'));
if (values.report !== undefined) await writeFile(values.report, markdown(result));
if (!values.json) {
  process.stderr.write(`\n${markdown(result)}\n`);
  for (const { name, lastWords } of result.ownEnds)
    process.stderr.write(`${name} ended by itself:\n${lastWords}\n`);
  for (const one of result.audits) if (!one.verified) process.stderr.write(`${one.verifyReport}\n`);
}
process.stdout.write(
  `${JSON.stringify({ ...result, audits: result.audits.map(({ verifyReport: _, ...rest }) => rest) })}\n`,
);
process.exit(result.sound ? 0 : 1);
