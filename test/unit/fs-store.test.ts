// What: the object store over a folder keeps the contract, and what is its own: durability, full disks, leftovers.
// Why: local Parquet makes the same promises as Parquet on S3.
// Invariant: works below temporary folders, which are removed.

import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createFolderStore } from '../../connectors/fs/store.ts';
import { type Clock, systemClock } from '../../src/kernel/clock.ts';
import type { Logger, Metrics, ObjectStore } from '../../src/ports.ts';
import { memoryVolume } from '../support/memory-disk.ts';
import { collect, objectStoreContract } from '../support/object-store-contract.ts';

const log: Logger = { debug() {}, info() {}, warn() {}, error() {} };
const metrics: Metrics = { count() {}, gauge() {}, observe() {} };
const options = { contentType: 'text/plain' };
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function folderStore(baseDirectory: string, clock: Clock = systemClock): ObjectStore {
  const settings = { baseDirectory, sync: true, patienceMs: 1_000 };
  return createFolderStore(settings, { clock, metrics, log });
}

describe('folder store', () => {
  objectStoreContract(async () => {
    const base = await mkdtemp(join(tmpdir(), 'zeptodb-folder-'));
    return {
      store: createFolderStore(
        { baseDirectory: base, sync: false, patienceMs: 1_000 },
        { clock: systemClock, metrics, log },
      ),
      prefix: 'hdb',
      conditionalWrites: true,
      largeBytes: 1_000_000,
      manyObjects: 500,
      close: () => rm(base, { recursive: true, force: true }),
    };
  });
});

describe('folder store, alone', () => {
  let base: string;
  beforeEach(async () => {
    base = await mkdtemp(join(tmpdir(), 'zeptodb-folder-'));
  });
  afterEach(() => rm(base, { recursive: true, force: true }));

  test('a reader that globs the folder never sees a file that is being written', async () => {
    const store = folderStore(base);
    await store.put('t/a.parquet', bytes('x'), options);
    expect((await readdir(base)).sort()).toEqual(['.uploads', 't']);
    expect(await readdir(join(base, '.uploads'))).toEqual([]);
    await store.put('t/a.parquet', bytes('y'), options);
    expect(await readdir(join(base, '.uploads'))).toEqual([]);
    expect((await collect(store.list(''))).map(({ key }) => key)).toEqual(['t/a.parquet']);
  });

  test('the probe removes what processes left behind a day ago, and nothing younger', async () => {
    await mkdir(join(base, '.uploads'));
    const nowMs = 1_800_000_000_000;
    for (const age of [25, 23]) await writeFile(join(base, '.uploads', `${nowMs - age * 3_600_000}-x`), 'x');
    await folderStore(base, { ...systemClock, nowMs: () => nowMs }).probe('hdb');
    expect(await readdir(join(base, '.uploads'))).toEqual([`${nowMs - 23 * 3_600_000}-x`]);
  });

  test.each(['../escape', 'a/../b', '/absolute', 'a//b', 'a/', '', '.uploads/x'])(
    'the key %j is refused',
    async (key) => {
      await expect(folderStore(base).put(key, bytes('x'), options)).rejects.toMatchObject({
        code: 'INTERNAL',
      });
    },
  );

  test('a base that cannot be made stops with the path', async () => {
    await writeFile(join(base, 'file'), 'x');
    const probing = folderStore(join(base, 'file/below')).probe('hdb');
    await expect(probing).rejects.toMatchObject({ code: 'DISK_ERROR', action: 'stop' });
    await expect(probing).rejects.toThrow(join(base, 'file/below'));
  });
});

describe('folder store over a disk that fails', () => {
  function stepClock(onSleep: () => void): Clock {
    let nowMs = 0;
    return {
      ...systemClock,
      nowMs: () => nowMs,
      monotonicMs: () => nowMs,
      sleep: async (delayMs) => {
        nowMs += delayMs;
        onSleep();
      },
    };
  }

  test('a put waits for space on a full disk', async () => {
    const volume = memoryVolume();
    volume.setCapacityBytes(0);
    let sleeps = 0;
    const clock = stepClock(() => {
      sleeps += 1;
      if (sleeps === 5) volume.setCapacityBytes(1_000);
    });
    const settings = { baseDirectory: '/base', sync: true, patienceMs: 60_000 };
    const store = createFolderStore(settings, { clock, metrics, log, disk: volume.mount() });
    expect(await store.put('a', bytes('x'), options)).toBe('created');
    expect(sleeps).toBe(5);
    expect([...volume.files().keys()]).toEqual(['/base/a']);
  });

  test('when patience ends, the full disk is the error, to be retried', async () => {
    const volume = memoryVolume();
    volume.setCapacityBytes(0);
    const settings = { baseDirectory: '/base', sync: true, patienceMs: 60_000 };
    const store = createFolderStore(settings, {
      clock: stepClock(() => {}),
      metrics,
      log,
      disk: volume.mount(),
    });
    await expect(store.put('a', bytes('x'), options)).rejects.toMatchObject({
      code: 'DISK_FULL',
      action: 'retry',
    });
  });

  test('what a put acknowledged survives every loss of power, also in folders that a dead process made', async () => {
    for (let seed = 0; seed < 400; seed += 1) {
      let state = Math.imul(seed + 1, 2_654_435_761);
      const random = (): number => {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
        return state / 2 ** 32;
      };
      const volume = memoryVolume();
      const acknowledged: string[] = [];
      for (let life = 0; life < 2; life += 1) {
        const dieAt = Math.floor(random() * 30);
        const disk = volume.mount({
          after: ({ number }) => {
            if (number === dieAt) disk.kill();
          },
        });
        const settings = { baseDirectory: '/base', sync: true, patienceMs: 60_000 };
        const store = createFolderStore(settings, { clock: stepClock(() => {}), metrics, log, disk });
        void (async () => {
          for (const key of ['t/y=1/a', 't/y=1/b', 'u/c']) {
            await store.put(key, bytes(`content of ${key}`), options);
            acknowledged.push(key);
          }
        })();
        await new Promise((resolve) => setImmediate(resolve));
      }
      volume.losePower(random);
      for (const [path, content] of volume.files()) {
        if (path.startsWith('/base/.uploads/')) continue;
        expect(Buffer.from(content).toString()).toBe(`content of ${path.slice('/base/'.length)}`);
      }
      for (const key of acknowledged) expect(volume.files().has(`/base/${key}`)).toBe(true);
    }
  });
});
