// What: `npm run simulate`: as many seeds as one likes, on every core, or one seed with its trace.
// Why: a rare history is found by running many; a found one is understood by reading its trace.
// Invariant: each failing seed is printed with the one command that replays it; the last line is JSON.

import { type ChildProcess, fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { runSeed, type SeedResult } from './seeds.ts';

const USAGE = `npm run simulate -- [options]

  --seeds N      How many seeds (default 1000)
  --from S       The first (default 1)
  --processes P  Default: the cores, at most 2
  --first        End at the first seed that fails
  --seed X       Only this one; with --trace all that happens in it
  --json         Nothing but the last line

Ends with {"seeds", "violations", "seedsPerSecond", "failing"}; exit status 1 when a seed failed.
`;

/** Seeds sent to a process at a time. */
const BLOCK = 10;
const PROGRESS_MS = 5_000;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    processes: { type: 'string', default: String(Math.min(2, availableParallelism())) },
    first: { type: 'boolean', default: false },
    trace: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

const startMs = performance.now();
const failing: number[] = [];
let done = 0;

function take({ seed, violations }: SeedResult): void {
  done++;
  if (violations.length === 0) return;
  failing.push(seed);
  if (values.json) return;
  process.stderr.write(`seed ${seed} fails: npm run simulate -- --seed ${seed} --trace\n`);
  for (const violation of violations.slice(0, 5)) process.stderr.write(`  ${violation}\n`);
}

async function runMany(from: number, count: number, processes: number): Promise<void> {
  const end = from + count;
  let next = from;
  const isOver = (): boolean => next >= end || (values.first && failing.length > 0);
  await Promise.all(
    Array.from({ length: processes }, async () => {
      const worker = fork(new URL('./worker.ts', import.meta.url));
      while (!isOver()) {
        const block = Array.from({ length: Math.min(BLOCK, end - next) }, (_, i) => next + i);
        next += block.length;
        await answers(worker, block);
      }
      worker.removeAllListeners();
      worker.kill();
    }),
  );
}

function answers(worker: ChildProcess, block: readonly number[]): Promise<void> {
  return new Promise((resolve, reject) => {
    let left = block.length;
    worker.removeAllListeners();
    worker.on('error', reject);
    worker.on('exit', (code) => reject(new Error(`a process with seeds ${block} ended with ${code}`)));
    worker.on('message', (result: SeedResult) => {
      take(result);
      left--;
      if (left === 0) resolve();
    });
    worker.send(block);
  });
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) {
    process.stderr.write(`--${name} takes a whole number from 1, found "${text}"\n\n${USAGE}`);
    process.exit(2);
  }
  return value;
}

if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
if (values.seed !== undefined) {
  const trace = values.trace ? (line: string) => process.stdout.write(`${line}\n`) : null;
  take(await runSeed(wholeNumber('seed', values.seed), trace));
} else {
  const count = wholeNumber('seeds', values.seeds);
  const progress = setInterval(() => {
    process.stderr.write(`${done} of ${count} seeds, ${failing.length} failed\n`);
  }, PROGRESS_MS);
  await runMany(wholeNumber('from', values.from), count, wholeNumber('processes', values.processes));
  clearInterval(progress);
}
const seconds = (performance.now() - startMs) / 1000;
failing.sort((a, b) => a - b);
const summary = {
  seeds: done,
  violations: failing.length,
  seedsPerSecond: Math.round((done / seconds) * 10) / 10,
  failing: failing.slice(0, 100),
};
process.stdout.write(`${JSON.stringify(summary)}\n`);
process.exit(failing.length > 0 ? 1 : 0);
