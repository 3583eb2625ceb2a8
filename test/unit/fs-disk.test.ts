// What: the Disk port over the file system and in memory: the same promises, tested alike.
// Why: segments are written through it, and the simulation's disk must behave as the real one does.
// Invariant: the real disk works below a temporary folder, which is removed.

import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { blockingDisk, localDisk, withoutFirst } from '../../connectors/fs/disk.ts';
import { diskError } from '../../connectors/fs/errors.ts';
import { bytesOf } from '../../src/columns/types.ts';
import type { Disk } from '../../src/ports.ts';
import { memoryVolume } from '../support/memory-disk.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (content: Uint8Array | null): string | null => content && new TextDecoder().decode(content);

async function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'zeptodb-disk-'));
}

const disks = [
  ['local', async () => ({ disk: localDisk, base: await temporaryFolder() })],
  ['blocking', async () => ({ disk: blockingDisk, base: await temporaryFolder() })],
  [
    'memory',
    async () => {
      const disk = memoryVolume().mount();
      await disk.makeDirectory('/base');
      return { disk, base: '/base' };
    },
  ],
] as const;

describe.each(disks)('%s disk', (kind, create) => {
  let disk: Disk;
  let base: string;
  beforeAll(async () => {
    ({ disk, base } = await create());
  });
  afterAll(async () => {
    if (kind !== 'memory') await rm(base, { recursive: true, force: true });
  });

  test('folders are made with their parents, and again without an error', async () => {
    await disk.makeDirectory(`${base}/a/b/c`);
    await disk.makeDirectory(`${base}/a/b/c`);
    expect(await disk.list(`${base}/a/b`)).toEqual(['c']);
  });

  test.each([false, true])('the parts of a file follow each other, sync %s', async (sync) => {
    await disk.writeFile(`${base}/parts`, [bytes('one'), bytes(''), bytes('two'), bytes('three')], sync);
    expect(text(await disk.readFile(`${base}/parts`))).toBe('onetwothree');
  });

  test('a file of no parts is empty, and writing again replaces a longer one', async () => {
    await disk.writeFile(`${base}/again`, [bytes('long content')], false);
    await disk.writeFile(`${base}/again`, [bytes('x')], false);
    expect(text(await disk.readFile(`${base}/again`))).toBe('x');
    await disk.writeFile(`${base}/again`, [], true);
    expect(text(await disk.readFile(`${base}/again`))).toBe('');
  });

  test('more parts than one system call takes are all written', async () => {
    const parts = Array.from({ length: 3_000 }, (_, index) => bytes(`${index},`));
    await disk.writeFile(`${base}/many-parts`, parts, false);
    expect(text(await disk.readFile(`${base}/many-parts`))).toBe(Buffer.concat(parts).toString());
  });

  test('what is not there reads as null and lists as nothing', async () => {
    expect(await disk.readFile(`${base}/missing`)).toBeNull();
    expect(await disk.readFile(`${base}/missing/deeper`)).toBeNull();
    expect(await disk.list(`${base}/missing`)).toEqual([]);
  });

  test('a folder is moved with all that is in it', async () => {
    await disk.makeDirectory(`${base}/move/from`);
    await disk.writeFile(`${base}/move/from/f`, [bytes('content')], true);
    expect(await disk.rename(`${base}/move/from`, `${base}/move/to`)).toBe('moved');
    await disk.syncDirectory(`${base}/move`);
    expect(text(await disk.readFile(`${base}/move/to/f`))).toBe('content');
    expect(await disk.list(`${base}/move`)).toEqual(['to']);
  });

  test('a folder with something in it, and a file, are never replaced', async () => {
    await disk.makeDirectory(`${base}/keep/new`);
    await disk.writeFile(`${base}/keep/new/f`, [bytes('new')], false);
    await disk.makeDirectory(`${base}/keep/old`);
    await disk.writeFile(`${base}/keep/old/f`, [bytes('old')], false);
    await disk.writeFile(`${base}/keep/file`, [bytes('file')], false);
    await disk.writeFile(`${base}/keep/newer`, [bytes('newer')], false);
    expect(await disk.rename(`${base}/keep/new`, `${base}/keep/old`)).toBe('exists');
    expect(await disk.rename(`${base}/keep/new`, `${base}/keep/file`)).toBe('exists');
    expect(await disk.rename(`${base}/keep/newer`, `${base}/keep/file`)).toBe('exists');
    expect(await disk.rename(`${base}/keep/newer`, `${base}/keep/old`)).toBe('exists');
    expect(text(await disk.readFile(`${base}/keep/old/f`))).toBe('old');
    expect(text(await disk.readFile(`${base}/keep/file`))).toBe('file');
    expect(text(await disk.readFile(`${base}/keep/new/f`))).toBe('new');
    expect(text(await disk.readFile(`${base}/keep/newer`))).toBe('newer');
  });

  test('a folder takes the place of an empty one', async () => {
    await disk.makeDirectory(`${base}/place/from`);
    await disk.writeFile(`${base}/place/from/f`, [bytes('x')], false);
    await disk.makeDirectory(`${base}/place/to`);
    expect(await disk.rename(`${base}/place/from`, `${base}/place/to`)).toBe('moved');
    expect(text(await disk.readFile(`${base}/place/to/f`))).toBe('x');
  });

  test('a file is moved', async () => {
    await disk.writeFile(`${base}/file-from`, [bytes('x')], true);
    expect(await disk.rename(`${base}/file-from`, `${base}/file-to`)).toBe('moved');
    expect(await disk.readFile(`${base}/file-from`)).toBeNull();
    expect(text(await disk.readFile(`${base}/file-to`))).toBe('x');
  });

  test('files and folders are removed, and nothing is no error', async () => {
    await disk.makeDirectory(`${base}/remove/deep`);
    await disk.writeFile(`${base}/remove/deep/f`, [bytes('x')], false);
    await disk.remove(`${base}/remove/deep/f`);
    expect(await disk.list(`${base}/remove/deep`)).toEqual([]);
    await disk.remove(`${base}/remove`);
    expect(await disk.list(`${base}/remove`)).toEqual([]);
    await disk.remove(`${base}/remove`);
  });

  test('errors say the path and stop', async () => {
    await disk.writeFile(`${base}/a-file`, [bytes('x')], false);
    const calls = [
      disk.makeDirectory(`${base}/a-file/below`),
      disk.makeDirectory(`${base}/a-file`),
      disk.writeFile(`${base}/no/such/folder/f`, [bytes('x')], false),
      disk.readFile(`${base}/a-file/below`),
      disk.readFile(base),
      disk.list(`${base}/a-file`),
      disk.rename(`${base}/missing`, `${base}/missing-too`),
      disk.syncDirectory(`${base}/missing`),
    ];
    for (const outcome of await Promise.allSettled(calls)) {
      expect(outcome.status).toBe('rejected');
      const error = (outcome as PromiseRejectedResult).reason;
      expect(error).toMatchObject({ code: 'DISK_ERROR', action: 'stop' });
      expect(error.message).toContain(base);
    }
  });
});

describe('local disk', () => {
  test.each([
    ['another', localDisk],
    ['its own', blockingDisk],
  ])(
    'a full disk is reported, to be retried, and what was half written is taken away, in %s thread',
    async (_, disk) => {
      const base = await temporaryFolder();
      // Linux refuses every write there, which is what a full disk does. Behind a link, for the file is removed.
      await symlink('/dev/full', `${base}/f`);
      const writing = disk.writeFile(`${base}/f`, [bytes('x')], false);
      await expect(writing).rejects.toMatchObject({ code: 'DISK_FULL', action: 'retry' });
      expect(await disk.list(base)).toEqual([]);
      await rm(base, { recursive: true });
    },
  );

  test('after a write that took only some bytes, exactly the rest is left', () => {
    const parts = [bytes('ab'), bytes('cde'), bytes('f')];
    const left = Array.from({ length: 7 }, (_, taken) =>
      Buffer.concat(withoutFirst(parts, taken).map(bytesOf)).toString(),
    );
    expect(left).toEqual(['abcdef', 'bcdef', 'cdef', 'def', 'ef', 'f', '']);
  });

  test('every errno has an action: full and exhausted retry, the rest stop', () => {
    const errno = (code: string): Error => Object.assign(new Error(code), { code });
    expect(diskError('write', '/p', errno('EDQUOT'))).toMatchObject({ code: 'DISK_FULL', action: 'retry' });
    expect(diskError('write', '/p', errno('EMFILE'))).toMatchObject({ code: 'DISK_ERROR', action: 'retry' });
    expect(diskError('write', '/p', errno('EROFS'))).toMatchObject({ code: 'DISK_ERROR', action: 'stop' });
    expect(diskError('write', '/p', errno('EWHATEVER'))).toMatchObject({
      code: 'DISK_ERROR',
      action: 'stop',
    });
    expect(diskError('write', '/p', errno('EACCES')).message).toMatch(
      /cannot write \/p: EACCES\. Let the user/,
    );
  });
});

describe('memory disk', () => {
  /** Numbers from a seed. */
  function seeded(seed: number): () => number {
    let state = Math.imul(seed + 1, 2_654_435_761);
    return () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32;
    };
  }

  test('what was synced, names and bytes, survives every loss of power', async () => {
    for (let seed = 0; seed < 200; seed += 1) {
      const volume = memoryVolume();
      const disk = volume.mount();
      await disk.makeDirectory('/d/temp');
      await disk.writeFile('/d/temp/f', [bytes('content')], true);
      await disk.syncDirectory('/d/temp');
      await disk.rename('/d/temp', '/d/final');
      await disk.syncDirectory('/d');
      volume.losePower(seeded(seed));
      expect([...volume.files()]).toEqual([['/d/final/f', Buffer.from('content')]]);
    }
  });

  test('an unsynced rename may be undone, and an unsynced file lost, emptied or cut', async () => {
    const renamed = new Set<string>();
    const contents = new Set<string>();
    for (let seed = 0; seed < 300; seed += 1) {
      const volume = memoryVolume();
      const disk = volume.mount();
      await disk.makeDirectory('/d/temp');
      await disk.writeFile('/d/temp/f', [bytes('content')], true);
      await disk.syncDirectory('/d/temp');
      await disk.rename('/d/temp', '/d/final');
      await disk.writeFile('/d/loose', [bytes('content')], false);
      volume.losePower(seeded(seed));
      const files = volume.files();
      renamed.add([...files.keys()].filter((path) => path !== '/d/loose').join());
      const loose = files.get('/d/loose');
      contents.add(loose === undefined ? 'lost' : text(loose)!);
    }
    expect(renamed).toEqual(new Set(['/d/temp/f', '/d/final/f']));
    expect(contents).toContain('lost');
    expect(contents).toContain('');
    expect(contents).toContain('content');
    expect([...contents].some((left) => left.length > 0 && left.length < 7)).toBe(true);
  });

  test('a moved file never loses both names, even when the process died between them', async () => {
    for (let seed = 0; seed < 100; seed += 1) {
      const volume = memoryVolume();
      const disk = volume.mount({
        during: ({ operation }) => {
          if (operation === 'rename' && seed % 2 === 1) disk.kill();
        },
      });
      await disk.makeDirectory('/a');
      await disk.makeDirectory('/b');
      await disk.writeFile('/a/f', [bytes('x')], true);
      await disk.syncDirectory('/a');
      void disk.rename('/a/f', '/b/f');
      await new Promise((resolve) => setImmediate(resolve));
      if (seed % 2 === 1) expect([...volume.files().keys()]).toEqual(['/a/f', '/b/f']);
      volume.losePower(seeded(seed));
      expect(volume.files().size).toBeGreaterThanOrEqual(1);
    }
  });

  test('a killed process leaves half a file, and nothing of it happens or settles any more', async () => {
    const volume = memoryVolume();
    const disk = volume.mount({ during: () => disk.kill() });
    let settled = false;
    await disk.makeDirectory('/d');
    void disk.writeFile('/d/f', [bytes('abcdef')], true).finally(() => {
      settled = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    void disk.remove('/d').finally(() => {
      settled = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(settled).toBe(false);
    expect(text(volume.files().get('/d/f')!)).toBe('abc');
    expect(text(await volume.mount().readFile('/d/f'))).toBe('abc');
  });

  test('a write beyond the capacity is refused and leaves nothing', async () => {
    const volume = memoryVolume();
    const disk = volume.mount();
    volume.setCapacityBytes(10);
    await disk.makeDirectory('/d');
    await disk.writeFile('/d/f', [bytes('12345678')], true);
    const writing = disk.writeFile('/d/g', [bytes('12345678')], true);
    await expect(writing).rejects.toMatchObject({ code: 'DISK_FULL', action: 'retry' });
    volume.setCapacityBytes(100);
    await disk.writeFile('/d/g', [bytes('12345678')], true);
    expect(volume.files().size).toBe(2);
  });
});
