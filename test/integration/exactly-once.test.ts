// What: real members that join, leave, stall and are killed at random while ticks flow and plans run each second.
// Why: exactly once is the product; this is its proof against the real broker and a real object store.
// Invariant: at the end every acknowledged id stands exactly once in the files, every undecodable record once in the dead letters.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import {
  countBin,
  countDeadLetters,
  countParquet,
  LEDGER_SYMBOLS,
  Ledger,
  ledgerTable,
} from '../support/ledger.ts';
import { killMembers, MemberProcess } from '../support/member.ts';

const services = inject('services');
let home: string;
let runs = 0;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'zepto-exactly-once-'));
});
afterEach(killMembers);
afterAll(() => rm(home, { recursive: true, force: true }));

interface Scene {
  readonly topic: string;
  readonly prefix: string;
  readonly hdb: string;
  readonly ledger: Ledger;
  start(...flags: readonly string[]): MemberProcess;
}

async function scene(mode: 's3' | 'local', partitions = 4): Promise<Scene> {
  const name = `once-${Date.now()}-${runs++}`;
  const hdb = join(home, name);
  await mkdir(hdb);
  const config = join(home, `${name}.json`);
  await writeFile(config, JSON.stringify({ tables: { trades: { topic: name, ...ledgerTable } } }));
  const ledger = new Ledger({ brokers: services.brokers, topic: name, partitions, hours: 5 });
  await ledger.createTopic();
  const { s3 } = services;
  const common = ['--brokers', services.brokers, '--group', name, '--config', config, '--hdb-dir', hdb];
  const timeouts = ['--session-timeout', '6s', '--heartbeat-interval', '1s', '--rebalance-timeout', '10s'];
  const cold = [
    ...['--cold-tier-enabled', '--cold-tier-format', 'both', '--cold-tier-s3-bucket', s3.bucket],
    ...['--cold-tier-s3-endpoint-url', s3.endpoint, '--cold-tier-s3-use-path-style'],
    ...['--cold-tier-s3-region', s3.region, '--cold-tier-s3-prefix', name],
  ];
  const env = { AWS_ACCESS_KEY_ID: s3.accessKeyId, AWS_SECRET_ACCESS_KEY: s3.secretAccessKey };
  return {
    topic: name,
    prefix: name,
    hdb,
    ledger,
    start: (...flags) =>
      MemberProcess.start({
        flags: [...common, ...timeouts, ...(mode === 's3' ? cold : []), ...flags],
        env,
      }),
  };
}

/** One member takes over what is left, everything is sealed, and every id is counted. */
async function settle({ ledger, topic, prefix, hdb, start }: Scene, mode: 's3' | 'local'): Promise<void> {
  const last = start('--seal-interval', '1s');
  await last.ready(90_000);
  await last.until(
    async () => {
      const partitions = await last.partitions();
      const isDone =
        partitions.length > 0 &&
        partitions.every((one) => one.lag === 0 && one.rows_hot === 0 && one.state === 'ACTIVE');
      if (!isDone) await last.flush();
      return isDone ? true : undefined;
    },
    'everything sealed',
    90_000,
  );
  expect(await last.drain()).toBe(0);
  const expected = { rows: ledger.produced, distinct: ledger.produced, pairs: LEDGER_SYMBOLS };
  expect(await countBin(hdb)).toEqual(expected);
  if (mode === 's3') expect(await countParquet(services.s3, prefix, join(home, 'bucket'))).toEqual(expected);
  expect(await countDeadLetters(services.brokers, topic, ledger.undecodable)).toBe(ledger.undecodable);
}

describe('exactly once', () => {
  it.each(['s3', 'local'] as const)(
    'holds while members are killed, drained and joined, offsets moving after %s',
    async (mode) => {
      const here = await scene(mode);
      const members = [here.start('--seal-interval', '1s'), here.start('--seal-interval', '1s')];
      await Promise.all(members.map((member) => member.ready()));
      void here.ledger.start({ perSecond: 6_000 });
      let kills = 0;
      while (kills < 11) {
        await sleep(300 + Math.random() * 2_700);
        const index = Math.floor(Math.random() * members.length);
        const member = members[index]!;
        if (Math.random() < 0.2) {
          await member.ready();
          expect(await member.drain(), member.tail()).toBe(0);
        } else {
          await member.kill();
          kills++;
        }
        members[index] = here.start('--seal-interval', '1s');
      }
      await here.ledger.stop();
      await Promise.all(members.map((member) => member.kill()));
      expect(here.ledger.produced).toBeGreaterThan(30_000);
      await settle(here, mode);
    },
    240_000,
  );

  it('holds when a member is stopped past its session and continued', async () => {
    const here = await scene('s3');
    const zombie = here.start('--seal-interval', '500ms');
    await zombie.ready();
    void here.ledger.start({ perSecond: 6_000 });
    const other = here.start('--seal-interval', '500ms');
    await other.ready();
    for (let round = 0; round < 2; round++) {
      await sleep(1_000 + Math.random() * 1_000);
      zombie.signal('SIGSTOP');
      // Past the session timeout of 6 s: the other member owns everything, and goes on.
      await other.until(
        async () => ((await other.partitions()).length === 4 ? true : undefined),
        'the zombie to lose its partitions',
        30_000,
      );
      await sleep(1_000);
      zombie.signal('SIGCONT');
      await sleep(3_000);
    }
    await here.ledger.stop();
    expect(zombie.isRunning, zombie.tail()).toBe(true);
    await zombie.drain();
    await other.drain();
    await settle(here, 's3');
  }, 180_000);

  // Hours close in none but the first case.
  const never = ['--allowed-lateness', '1000h'];
  const triggers: readonly (readonly [string, readonly string[]])[] = [
    ['hour-closed', ['--allowed-lateness', '1s']],
    ['interval', ['--seal-interval', '500ms']],
    ['idle', ['--seal-idle', '1s']],
    ['rows', ['--seal-rows', '1000']],
    ['bytes', ['--seal-bytes', '1MiB']],
    ['memory', ['--memory-budget', '16MiB']],
    ['hold-back', ['--hold-back-max-records', '2000']],
    ['demand', []],
    ['shutdown', []],
  ];
  it.each(triggers)('a plan cut by %s holds each tick once', async (trigger, flags) => {
    const here = await scene('local', 1);
    const member = here.start(...(trigger === 'hour-closed' ? [] : never), ...flags);
    await member.ready();
    await here.ledger.start({ total: { memory: 500_000, bytes: 60_000 }[trigger] ?? 12_000 });
    if (trigger === 'demand') {
      await sleep(1_000);
      await member.flush();
    }
    if (trigger === 'shutdown') {
      await sleep(1_500);
      expect(await member.drain()).toBe(0);
    }
    await member
      .logged(new RegExp(`"trigger":"${trigger}"`), 20_000)
      .catch((error) => (member.tail().includes(`"trigger":"${trigger}"`) ? '' : Promise.reject(error)));
    if (member.isRunning) await member.kill();
    await settle(here, 'local');
  });
});
