// What: which local folders go once their rows stand on S3, and which must stay.
// Why: a folder removed too early is a row that nobody can read until the next seal of nothing.
// Invariant: only folders of committed plans, old enough, with a Parquet twin, are removed.

import { dirname } from 'node:path';
import { expect, it } from 'vitest';
import { binPartialFolder, planHash, planManifestKey } from '../../src/format/layout.ts';
import { encodeManifest } from '../../src/format/manifest.ts';
import type { SegmentFile } from '../../src/format/segment.ts';
import { expireLocal } from '../../src/store/tiering.ts';
import { memoryVolume } from '../support/memory-disk.ts';

const plan = { group: 'g', topic: 't', partition: 0, incarnation: 0, hourLast: Infinity, offsetNext: 10 };

function file(kind: 'bin' | 'parquet', hour: number): SegmentFile {
  const path = kind === 'bin' ? `1/${BigInt(hour) * 3_600_000_000_000n}` : `hdb/1-${hour}.parquet`;
  const time = String(BigInt(hour) * 3_600_000_000_000n);
  const common = { table: 'trades', symbol: 1, hour, rows: 1, bytes: 9, crc32c: '00000000' };
  return { kind, path, ...common, timestampMin: time, timestampMax: time };
}

async function volume(files: readonly SegmentFile[], unlisted: ReadonlySet<string> = new Set()) {
  const disk = memoryVolume();
  const mounted = disk.mount();
  await mounted.makeDirectory('/hdb/_plans/g/t/0');
  for (const { kind, path } of files) {
    if (kind !== 'bin') continue;
    await mounted.makeDirectory(`/hdb/${path}`);
    await mounted.writeFile(`/hdb/${path}/price.bin`, [new Uint8Array(9)], false);
  }
  const rows = files.filter(({ kind }) => kind === files[0]!.kind).length;
  const manifest = encodeManifest({
    plan,
    table: 'trades',
    previousOffsetNext: 0,
    committedBefore: { offset: 0, staircase: [] },
    committedAfter: { offset: 10, staircase: [] },
    counts: {
      records: rows,
      rowsDecoded: rows,
      tombstones: 0,
      deadLettered: 0,
      rowsSealed: rows,
      rowsUnsealed: 0,
    },
    deadLetters: [],
    files,
  });
  await mounted.writeFile(`/hdb/${planManifestKey('', plan)}`, [manifest], false);
  const owner = { isHere: true };
  const tier = {
    disk: mounted,
    baseDirectory: '/hdb',
    group: 'g',
    letGo: async () => owner.isHere,
    isOnStore: async ({ path }: SegmentFile) => !unlisted.has(path),
  };
  const expire = (
    committed: number,
    leavesDisk: number | null,
    isDropped: number | null = null,
  ): Promise<number> => expireLocal(tier, { topic: 't', partition: 0 }, committed, { leavesDisk, isDropped });
  return { expire, owner, disk: mounted, paths: () => [...disk.files().keys()].sort() };
}

const both = [file('bin', 100), file('bin', 120), file('parquet', 100), file('parquet', 120)];

it('leaves folders alone whose partition has gone to another owner', async () => {
  const { expire, owner, paths } = await volume(both);
  const before = paths();
  owner.isHere = false;
  expect(await expire(10, 200)).toBe(0);
  expect(paths()).toEqual(before);
});

it('removes an hour that is past its age and stands on S3, and keeps a younger one', async () => {
  const { expire, paths } = await volume(both);
  expect(await expire(10, 99)).toBe(0);
  expect(await expire(10, 100)).toBe(1);
  expect(paths()).toEqual([
    `/hdb/1/${120n * 3_600_000_000_000n}/price.bin`,
    `/hdb/${planManifestKey('', plan)}`,
  ]);
});

it('removes the local manifest when nothing is left of its plan', async () => {
  const { expire, paths } = await volume(both);
  expect(await expire(10, 1000)).toBe(2);
  expect(paths()).toEqual([]);
});

it('removes it too when its folders went one after the other, or before a crash', async () => {
  const { expire, paths } = await volume(both);
  expect(await expire(10, 100)).toBe(1);
  expect(await expire(10, 120)).toBe(1);
  expect(paths()).toEqual([]);
  const crashed = await volume(both);
  for (const { kind, path } of both) if (kind === 'bin') await crashed.disk.remove(`/hdb/${path}`);
  expect(await crashed.expire(10, 100)).toBe(0);
  expect(crashed.paths()).toHaveLength(1);
  expect(await crashed.expire(10, 120)).toBe(0);
  expect(crashed.paths()).toEqual([]);
});

it('removes what views have of a segment with it, of any definition, and their records with the plan', async () => {
  const hash = planHash(plan);
  const views = ['_views/bars/definition=0000000000000001', '_views/old/definition=0000000000000002'];
  const left = async (hourLast: number): Promise<string[]> => {
    const { expire, disk, paths } = await volume(both);
    const put = async (path: string): Promise<void> => {
      await disk.makeDirectory(dirname(path));
      await disk.writeFile(path, [Buffer.of(1)], false);
    };
    for (const view of views) {
      for (const hour of [100, 120])
        await put(`/hdb/${binPartialFolder(view, { symbol: 1, hour, hash })}/open.bin`);
      await put(`/hdb/${planManifestKey(view, plan)}`);
    }
    await expire(10, hourLast);
    return paths();
  };
  const ofViews = (await left(100)).filter((path) => path.startsWith('/hdb/_views/'));
  expect(ofViews).toEqual(
    views.flatMap((view) => [
      `/hdb/${binPartialFolder(view, { symbol: 1, hour: 120, hash })}/open.bin`,
      `/hdb/${planManifestKey(view, plan)}`,
    ]),
  );
  expect(await left(120)).toEqual([]);
});

it('leaves plans above the committed offset alone', async () => {
  const { expire } = await volume(both);
  expect(await expire(9, 1000)).toBe(0);
});

it('leaves folders alone that have no Parquet twin', async () => {
  const { expire, paths } = await volume([file('bin', 100), file('bin', 120)]);
  expect(await expire(10, 1000)).toBe(0);
  expect(paths()).toHaveLength(3);
});

it('leaves a folder alone whose object the store does not list whole', async () => {
  const { expire } = await volume(both, new Set(['hdb/1-100.parquet']));
  expect(await expire(10, 1000)).toBe(1);
});

it('removes dropped hours whether they stand on S3 or not', async () => {
  const { expire } = await volume([file('bin', 100), file('bin', 120)]);
  expect(await expire(10, null, 110)).toBe(1);
  expect(await expire(10, null, 110)).toBe(0);
});
