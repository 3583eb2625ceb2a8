// What: the cache of objects on a local disk.
// Why: a cache that returns half an object, or grows, is worse than none.
// Invariant: what is read is what the store holds, whatever happens to the folder.

import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
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
