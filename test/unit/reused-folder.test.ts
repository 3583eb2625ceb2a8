// What: the plain name of a local folder that went to S3, taken again by the folder of late rows.
// Why: the manifest of the plan that had it stands as long as the plan has other folders here, and lists the name still.
// Invariant: each row once, from the files of its own plan, for queries, views, tiering and the verifier alike.

import { join } from 'node:path';
import { expect, it } from 'vitest';
import { freshRecord } from '../../src/commit/metadata.ts';
import { ViewPartials } from '../../src/engine/view-partials.ts';
import type { PartialJob } from '../../src/engine/write-partials.ts';
import { planManifestKey } from '../../src/format/layout.ts';
import { writeSegments } from '../../src/format/write-segments.ts';
import { partsOf } from '../../src/live/sealed.ts';
import type { ObjectInfo } from '../../src/ports.ts';
import { PartCache } from '../../src/query/part-cache.ts';
import type { AnyPart } from '../../src/query/snapshot.ts';
import { type VerifyOptions, verify } from '../../src/verify/verify.ts';
import { memoryVolume } from '../support/memory-disk.ts';
import {
  ask,
  at,
  BASE,
  forever,
  outputs,
  planOf,
  sealedScene,
  segment,
  table,
} from '../support/sealed-scene.ts';
import { HOUR } from '../support/segment-rows.ts';

const IDS = 'SELECT id FROM trades ORDER BY id';

/** A plan of two hours whose first folder went to S3, and late rows of that hour. */
async function reused() {
  const made = sealedScene();
  await made.seal(4, 0, [segment(0, [1n, 2n, 3n]), segment(1, [4n])]);
  expect(await made.expire(4, { leavesDisk: HOUR })).toBe(1);
  expect(await made.answer(IDS, 4)).toEqual([1n, 2n, 3n, 4n]);
  await made.seal(6, 4, [segment(0, [5n, 6n])]);
  return made;
}

it('rows of a folder that went to S3 are not read from the folder that late rows made under its name', async () => {
  const { answer } = await reused();
  expect(await answer(IDS, 6)).toEqual([1n, 2n, 3n, 4n, 5n, 6n]);
});

it('a folder goes by the manifest of its own plan alone', async () => {
  const { disk, expire, parts, answer } = await reused();
  const warm = async (): Promise<readonly number[]> =>
    (await parts(6)).flatMap(({ tier, rows }) => (tier === 'warm' ? [rows] : [])).sort();
  expect(await warm()).toEqual([1, 2]);
  // The manifest of late rows cannot be read: nobody else may let go of their folder.
  const path = join(BASE, planManifestKey('', planOf(6)));
  const manifest = (await disk.readFile(path))!;
  await disk.remove(path);
  expect(await expire(6, { leavesDisk: HOUR + 1 })).toBe(1);
  await disk.writeFile(path, [manifest], false);
  expect(await warm()).toEqual([2]);
  expect(await expire(6, { leavesDisk: HOUR + 1 })).toBe(1);
  expect(await warm()).toEqual([]);
  expect(await answer(IDS, 6)).toEqual([1n, 2n, 3n, 4n, 5n, 6n]);
});

it('what is remembered of a folder is not told of the one that takes its name', async () => {
  const disk = memoryVolume().mount();
  const cache = new PartCache();
  const sealed = async (offsetNext: number, ids: readonly bigint[]): Promise<readonly AnyPart[]> => {
    const job = {
      ...{ plan: planOf(offsetNext), table, segments: [segment(0, ids)] },
      ...{ outputs: { ...outputs, parquet: null }, strings: new Map() },
    };
    return partsOf(await writeSegments(job, disk, null, 1, forever), at, BASE).parts;
  };
  const sum = (parts: readonly AnyPart[]): Promise<unknown> =>
    ask('SELECT sum(id) FROM trades', parts, { disk, cache });
  const first = await sealed(3, [1n, 2n, 3n]);
  expect(await sum(first)).toEqual([6n]);
  for (const part of first) if (part.tier === 'warm') await disk.remove(part.folder);
  expect(await sum(await sealed(6, [10n, 20n, 30n]))).toEqual([60n]);
});

it('a view is made up for of the rows of each plan, not of those that lie under its names', async () => {
  const { disk, store, logger } = await reused();
  const jobs: PartialJob[] = [];
  const partials = new ViewPartials({
    ...{ outputs, prefix: 'p', store, disk, group: 'g', bytesMax: 2 ** 20, logger },
    run: async (job) => {
      jobs.push(job);
      return [];
    },
    metrics: { gauge() {}, observe() {}, count() {} },
  });
  partials.setViews([
    { name: 'v', source: 'trades', sql: 'SELECT symbol, sum(id) AS s FROM trades GROUP BY symbol' },
  ]);
  await partials.catchUp({ ...at, table, record: freshRecord(6), run: {} }, null, forever);
  const tiers = jobs.flatMap(({ sources }) =>
    sources.map((source) => (source.kind === 'file' ? `${source.part.rows} ${source.part.tier}` : 'rows')),
  );
  expect(tiers.sort()).toEqual(['1 warm', '2 warm', '3 cold']);
});

it('the verifier knows whose folder it is', async () => {
  const { disk, volume } = await reused();
  async function* list(prefix: string): AsyncGenerator<ObjectInfo> {
    for (const [path, { length }] of volume.files()) {
      const key = path.slice(`${BASE}/`.length);
      if (key.startsWith(prefix)) yield { key, size: length, etag: '' };
    }
  }
  const options: VerifyOptions = {
    store: { list, get: async (key) => (await disk.readFile(join(BASE, key)))! },
    ...{ medium: 'bin', prefix: '', group: null, committed: null, progress: () => {} },
    deep: true,
  };
  expect(await verify(options)).toMatchObject({ problems: [], filesRead: 2, filesExpired: 1 });
});
