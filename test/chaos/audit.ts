// What: what is left when everything is healed: ids counted in files, dead letters counted, the chain of plans proved.
// Why: the members' own word counts for nothing here.
// Invariant: DuckDB and the documented layouts read the files; `zepto verify --deep` reads the manifests.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { countBin, countDeadLetters, countParquet, type Found, LEDGER_SYMBOLS } from '../support/ledger.ts';
import { MemberProcess } from '../support/member.ts';
import { type Group, type Stage, TOPIC } from './stage.ts';

export interface Audit {
  readonly group: string;
  readonly rows: number;
  readonly lost: number;
  readonly doubled: number;
  /** Rows that lie under another symbol than their own. */
  readonly misplaced: boolean;
  readonly deadLetters: number;
  readonly deadLettersExpected: number;
  readonly verified: boolean;
  readonly verifyReport: string;
}

const program = join(import.meta.dirname, '../../dist/zepto.js');
const SEAL_TIMEOUT_MS = 300_000;

/** One fresh member takes over what is left, and is drained. */
export async function settleGroup({ plainFlags }: Group, { env, ledger }: Stage): Promise<void> {
  const member = MemberProcess.start({ flags: [...plainFlags, '--seal-interval', '1s'], env });
  await member.ready(SEAL_TIMEOUT_MS);
  await member.until(
    async () => {
      const partitions = await member.partitions();
      const taken = partitions.reduce((sum, one) => sum + one.position, 0);
      const isDone =
        taken === ledger.produced + ledger.undecodable &&
        partitions.every((one) => one.rows_hot === 0 && one.state === 'ACTIVE');
      if (isDone) return true;
      await member.flush();
      await sleep(500);
      return undefined;
    },
    'everything sealed',
    SEAL_TIMEOUT_MS,
  );
  const status = await member.drain();
  if (status !== 0) throw new Error(`the last member ended with ${status}:\n${member.tail()}`);
}

export async function auditS3(stage: Stage): Promise<Audit> {
  const { connection } = stage.services.s3;
  const found = await countParquet(connection, TOPIC, join(stage.home, 'bucket'));
  return audited(stage, stage.toS3.name, found, [
    ...['--s3-bucket', connection.bucket, '--s3-region', connection.region, '--prefix', TOPIC],
    ...['--s3-endpoint-url', connection.endpoint, '--s3-use-path-style'],
  ]);
}

export async function auditDisk(stage: Stage): Promise<Audit> {
  const hdb = join(stage.disk.path, 'hdb');
  return audited(stage, stage.toDisk.name, await countBin(hdb), ['--hdb-dir', hdb]);
}

async function audited(
  stage: Stage,
  group: string,
  found: Found,
  verifyFlags: readonly string[],
): Promise<Audit> {
  const { ledger, services, env } = stage;
  const verify = await run(
    ['verify', '--deep', '--brokers', services.kafka.brokers, '--group', group, ...verifyFlags],
    env,
  );
  return {
    group,
    rows: found.rows,
    lost: ledger.produced - found.distinct,
    doubled: found.rows - found.distinct,
    misplaced: found.pairs !== LEDGER_SYMBOLS,
    // Both groups write to the topic's one dead-letter topic.
    deadLetters: await countDeadLetters(services.kafka.brokers, TOPIC, 2 * ledger.undecodable),
    deadLettersExpected: 2 * ledger.undecodable,
    verified: verify.status === 0,
    verifyReport: verify.text,
  };
}

function run(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ status: number | null; text: string }> {
  const child = spawn(process.execPath, [program, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
  });
  return new Promise((resolve) => child.once('close', (status) => resolve({ status, text })));
}
