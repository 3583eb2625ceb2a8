// What: real members that join, leave, stall and are killed at random while ticks flow and plans run each second.
// Why: exactly once is the product; this is its proof against the real broker and a real object store.
// Invariant: at the end every acknowledged id stands exactly once in the files, every undecodable record once in the dead letters.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { killMembers } from '../support/member.ts';
import { openScene, type Scene, settle } from '../support/scene.ts';

const services = inject('services');
let home: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'zepto-exactly-once-'));
});
// Some tests run beside each other: members of one are none of the other's to kill.
afterAll(async () => {
  await killMembers();
  await rm(home, { recursive: true, force: true });
});

const scene = (mode: 's3' | 'local', partitions = 4): Promise<Scene> =>
  openScene({ home, brokers: services.brokers, s3: mode === 's3' ? services.s3 : null, partitions });

describe('exactly once', () => {
  it.concurrent.each(['s3', 'local'] as const)(
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
      await settle(here);
    },
    240_000,
  );

  it.concurrent('holds when a member is stopped past its session and continued', async () => {
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
    await settle(here);
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
  it.concurrent.each(triggers)('a plan cut by %s holds each tick once', async (trigger, flags) => {
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
    await settle(here);
  });
});
