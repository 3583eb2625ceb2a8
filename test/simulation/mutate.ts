// What: `npm run mutants`: plants each bug in a copy of the code and counts the seeds until the simulation finds it.
// Why: the strength of the simulation is measured, not believed.
// Invariant: the working tree is never touched; a mutant that survives, or no longer fits, fails the command.

import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Mutant, mutants } from './mutants.ts';

const USAGE = `npm run mutants -- [options]

  --seeds N      Seeds that a mutant may survive before it counts as not caught (default 3000)
  --only TEXT    Only mutants whose name contains this
  --json         Nothing but the last line

Ends with {"planted", "caught", "seedsToCatch"}; exit status 1 when one survives.
`;

/** Copies of the code, and mutants under way at once. */
const LANES = 2;
/** A mutant that makes a seed run for ever counts as caught by it. */
const STUCK_MS = 600_000;

const root = join(import.meta.dirname, '..', '..');

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '3000' },
    only: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

function copyOfTheCode(): string {
  const folder = mkdtempSync(join(tmpdir(), 'zepto-mutants-'));
  for (const part of ['src', 'test/simulation', 'test/support', 'package.json', 'tsconfig.json'])
    cpSync(join(root, part), join(folder, part), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

/** Seeds until the simulation failed; null when it never did. */
async function seedsToCatch(mutant: Mutant, folder: string): Promise<number | null> {
  const path = join(folder, mutant.file);
  const text = readFileSync(path, 'utf8');
  if (text.split(mutant.find).length !== 2)
    throw new Error(
      `mutant "${mutant.name}" fits ${mutant.file} ${text.split(mutant.find).length - 1} times`,
    );
  writeFileSync(
    path,
    text.replace(mutant.find, () => mutant.replace),
  );
  try {
    return await firstFailing(folder);
  } finally {
    writeFileSync(path, text);
  }
}

function firstFailing(folder: string): Promise<number | null> {
  const args = ['--import', 'tsx', 'test/simulation/main.ts', '--processes', '1', '--first', '--json'];
  const child = spawn(process.execPath, [...args, '--seeds', values.seeds], {
    cwd: folder,
    timeout: STUCK_MS,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (bytes) => {
    out += bytes;
  });
  child.stderr.on('data', (bytes) => {
    err = (err + bytes).slice(-4000);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', () => {
      try {
        const { failing } = JSON.parse(out.trim().split('\n').at(-1)!) as { failing: number[] };
        resolve(failing[0] ?? null);
      } catch {
        reject(new Error(`the simulation did not end:\n${err}`));
      }
    });
  });
}

if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const chosen = mutants.filter(({ name }) => name.includes(values.only));
const found: Record<string, number> = {};
const waiting = chosen.values();
await Promise.all(
  Array.from({ length: LANES }, async () => {
    const folder = copyOfTheCode();
    try {
      for (const mutant of waiting) {
        const seeds = await seedsToCatch(mutant, folder);
        if (seeds !== null) found[mutant.name] = seeds;
        if (!values.json)
          process.stderr.write(
            `${seeds === null ? 'SURVIVED' : `caught by seed ${seeds}`}: ${mutant.name}\n`,
          );
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }),
);
const caught = Object.keys(found).length;
const inOrder = Object.fromEntries(
  chosen.flatMap(({ name }) => (name in found ? [[name, found[name]]] : [])),
);
process.stdout.write(`${JSON.stringify({ planted: chosen.length, caught, seedsToCatch: inOrder })}\n`);
process.exit(caught === chosen.length ? 0 : 1);
