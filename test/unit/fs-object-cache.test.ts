// What: the cache of objects on a local disk.
// Why: a cache that returns half an object, or grows, is worse than none.
// Invariant: what is read is what the store holds, whatever happens to the folder.

import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ObjectCache } from '../../connectors/fs/object-cache.ts';

let home: string;
let fetched: string[];
let hits: boolean[];

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'zepto-object-cache-'));
  fetched = [];
  hits = [];
});
afterEach(() => rm(home, { recursive: true, force: true }));

const bodyOf = (key: string): Uint8Array => Buffer.alloc(100, key);

function cache(bytesMax = 250): ObjectCache {
  return new ObjectCache({
    directory: join(home, 'cache'),
    bytesMax,
    fetch: async (key) => {
      fetched.push(key);
      await new Promise((resolve) => setImmediate(resolve));
      return bodyOf(key);
    },
    looked: (hit) => hits.push(hit),
  });
}

async function bytesOnDisk(): Promise<number> {
  const names = await readdir(join(home, 'cache'));
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(home, 'cache', name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

it('fetches an object once, and gives the bytes of the store each time', async () => {
  const one = cache();
  for (let i = 0; i < 3; i++) expect(Buffer.from(await one.read('a'))).toEqual(bodyOf('a'));
  expect(fetched).toEqual(['a']);
  expect(hits).toEqual([false, true, true]);
});

it('fetches once for all who ask at the same time', async () => {
  const one = cache();
  await Promise.all(Array.from({ length: 5 }, () => one.read('a')));
  expect(fetched).toEqual(['a']);
});

it('keeps an object that is asked for again while its file is written', async () => {
  const one = cache();
  const first = one.read('a');
  while (fetched.length === 0) await new Promise((resolve) => setImmediate(resolve));
  // Its bytes are there at any turn from now on, its file some turns later.
  const others: Promise<Uint8Array>[] = [];
  for (let turn = 0; turn < 30; turn++) {
    others.push(one.read('a'));
    await new Promise((resolve) => setImmediate(resolve));
  }
  for (const bytes of await Promise.all([first, ...others])) expect(Buffer.from(bytes)).toEqual(bodyOf('a'));
  await one.read('a');
  expect(fetched).toEqual(['a']);
  expect(await readdir(join(home, 'cache'))).toHaveLength(1);
});

it('keeps what was read last, within its bytes', async () => {
  const one = cache(250);
  await one.read('a');
  await one.read('b');
  await one.read('a');
  await one.read('c');
  expect(await bytesOnDisk()).toBe(200);
  await one.read('a');
  await one.read('b');
  expect(fetched).toEqual(['a', 'b', 'c', 'b']);
});

it('passes an object on that is larger than the cache', async () => {
  const one = cache(50);
  expect(Buffer.from(await one.read('a'))).toEqual(bodyOf('a'));
  await one.read('a');
  expect(fetched).toEqual(['a', 'a']);
});

it('goes to the store when its file or its folder is gone, and empties the folder it finds', async () => {
  const one = cache();
  await one.read('a');
  await rm(join(home, 'cache'), { recursive: true });
  expect(Buffer.from(await one.read('a'))).toEqual(bodyOf('a'));
  const two = cache();
  await two.read('b');
  await writeFile(join(home, 'cache', 'left'), 'x');
  const three = cache();
  await three.read('c');
  expect(await bytesOnDisk()).toBe(100);
  await three.close();
  expect(await readdir(home)).toEqual([]);
});

describe('a held file', () => {
  const make =
    (text: string) =>
    async (path: string): Promise<void> => {
      fetched.push(text);
      await new Promise((resolve) => setImmediate(resolve));
      await writeFile(path, Buffer.alloc(100, text));
    };
  const codeOf = (work: Promise<unknown>): Promise<unknown> =>
    work.then(
      () => 'none',
      (error: { code?: string }) => error.code,
    );

  it('stays until it is released by all, and is then the first to go', async () => {
    const one = cache(250);
    const first = await one.hold('a', 100, make('a'));
    const again = await one.hold('a', 100, make('a'));
    await one.read('b');
    await one.read('c');
    expect(await readFile(first.path)).toEqual(Buffer.alloc(100, 'a'));
    again.release();
    again.release();
    await one.read('d');
    expect(await readFile(first.path)).toEqual(Buffer.alloc(100, 'a'));
    first.release();
    await one.read('e');
    await expect(readFile(first.path)).rejects.toThrow('ENOENT');
    expect(fetched).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(await bytesOnDisk()).toBeLessThanOrEqual(250);
  });

  it('is refused when what is held leaves no room, and the bytes are never exceeded', async () => {
    const one = cache(250);
    const held = await Promise.all([one.hold('a', 100, make('a')), one.hold('b', 100, make('b'))]);
    expect(await codeOf(one.hold('c', 100, make('c')))).toBe('LIMIT_EXCEEDED');
    expect(Buffer.from(await one.read('d'))).toEqual(bodyOf('d'));
    expect(await bytesOnDisk()).toBe(200);
    for (const file of held) file.release();
    (await one.hold('c', 100, make('c'))).release();
    expect(await codeOf(one.hold('e', 251, make('e')))).toBe('LIMIT_EXCEEDED');
    expect(await bytesOnDisk()).toBe(200);
  });

  it('is made once for all who ask, and by another when its maker gives up', async () => {
    const one = cache();
    const fails = async (): Promise<void> => {
      await new Promise((resolve) => setImmediate(resolve));
      throw Object.assign(new Error('cancelled'), { code: 'CANCELLED' });
    };
    const [gaveUp, ...others] = await Promise.all([
      codeOf(one.hold('a', 100, fails)),
      one.hold('a', 100, make('a')),
      one.hold('a', 100, make('a')),
    ]);
    expect(gaveUp).toBe('CANCELLED');
    expect(fetched).toEqual(['a']);
    expect(await readFile(others[0]!.path)).toEqual(await readFile(others[1]!.path));
    expect(await bytesOnDisk()).toBe(100);
  });

  it('is made anew when somebody has removed it', async () => {
    const one = cache();
    const first = await one.hold('a', 100, make('a'));
    await rm(first.path);
    const second = await one.hold('a', 100, make('a'));
    expect(await readFile(second.path)).toEqual(Buffer.alloc(100, 'a'));
    expect(await bytesOnDisk()).toBe(100);
  });
});
