// What: the plain name of a local folder that went to S3, taken again by the folder of late rows.
// Why: the manifest of the plan that had it stands as long as the plan has other folders here, and lists the name still.
// Invariant: each row once, from the files of its own plan, for queries, views, tiering and the verifier alike.

import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type ColumnSchema, ColumnType, type TableSchema } from '../../src/columns/types.ts';
import { freshRecord } from '../../src/commit/metadata.ts';
import { ViewPartials } from '../../src/engine/view-partials.ts';
import type { PartialJob } from '../../src/engine/write-partials.ts';
import { planManifestKey } from '../../src/format/layout.ts';
import { encodeManifest } from '../../src/format/manifest.ts';
import type { PlanIdentity, SegmentOutputs, SegmentSource } from '../../src/format/segment.ts';
import { writeSegments } from '../../src/format/write-segments.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { loadSealed, partsOf } from '../../src/live/sealed.ts';
import type { ObjectInfo } from '../../src/ports.ts';
import { execute } from '../../src/query/execute.ts';
import { PartCache } from '../../src/query/part-cache.ts';
import { rowsOf } from '../../src/query/result.ts';
import type { AnyPart } from '../../src/query/snapshot.ts';
import { tableOf } from '../../src/query/table-parts.ts';
import { parseStatement } from '../../src/sql/parser.ts';
import { expireLocal, type LeavingHours } from '../../src/store/tiering.ts';
import { type VerifyOptions, verify } from '../../src/verify/verify.ts';
import { memoryVolume } from '../support/memory-disk.ts';
import { memoryBucket, memoryStore } from '../support/memory-store.ts';
import { HOUR, HOUR_NS, segmentOf } from '../support/segment-rows.ts';

const BASE = '/hdb';
const at = { topic: 'trades', partition: 0 };
const forever = new AbortController().signal;
const column = (name: string, type: ColumnType): ColumnSchema => ({ name, type });
const table: TableSchema = {
  name: 'trades',
  columns: [
    column('symbol', ColumnType.SYMBOL),
    column('timestamp', ColumnType.TIMESTAMP_NS),
    column('id', ColumnType.INT64),
  ],
  symbolColumn: 0,
  timestampColumn: 1,
};
const outputs: SegmentOutputs = {
  bin: { baseDirectory: BASE, compression: 'none', sync: false },
  parquet: {
    ...{ codec: 'SNAPPY', timestampType: 'ns', layout: 'hive', flatEpoch: 's' },
    ...{ prefix: 'p', rowGroupRowsMax: 1000, conditionalWrites: true },
  },
};

const planOf = (offsetNext: number): PlanIdentity => ({
  ...{ group: 'g', ...at, incarnation: 0, hourLast: Infinity, offsetNext },
});
/** Rows of these ids, `hours` after the first hour. */
const segment = (hours: number, ids: readonly bigint[]): SegmentSource =>
  segmentOf(
    table,
    ids.map((id) => [HOUR_NS + BigInt(hours) * 3_600_000_000_000n + id, id]),
    { symbol: 0, hour: HOUR + hours },
  );

async function ask(sql: string, parts: readonly AnyPart[], options: object): Promise<unknown> {
  const tables = new Map([['trades', tableOf(table, parts)]]);
  const names = { nameOf: () => 'A', codeOf: () => 0 };
  const result = await execute(
    parseStatement(sql).statement,
    { tables, names, release: () => {} },
    {
      ...{ limits: { rowsMax: 1e6, bytesMax: 2 ** 30, timeoutMs: 60_000 }, nowNs: 0n, monotonicMs: () => 0 },
      ...options,
    },
  );
  return (await rowsOf(result)).flat();
}

function scene() {
  const volume = memoryVolume();
  const disk = volume.mount();
  const bucket = memoryBucket({ conditionalWrites: true });
  const store = memoryStore(bucket, { clock: systemClock });
  const places = { disk, baseDirectory: BASE, store, prefix: 'p' };
  const logger = { debug() {}, info() {}, warn() {}, error() {} };
  const seal = async (
    offsetNext: number,
    offsetBefore: number,
    segments: readonly SegmentSource[],
  ): Promise<void> => {
    const plan = planOf(offsetNext);
    const rows = offsetNext - offsetBefore;
    const job = { plan, table, segments, outputs, strings: new Map() };
    const manifest = encodeManifest({
      ...{ plan, table: 'trades', previousOffsetNext: offsetBefore, deadLetters: [] },
      files: await writeSegments(job, disk, store, 1, forever),
      committedBefore: { offset: offsetBefore, staircase: [] },
      committedAfter: { offset: offsetNext, staircase: [] },
      counts: {
        ...{ records: rows, rowsDecoded: rows, tombstones: 0 },
        ...{ deadLettered: 0, rowsSealed: rows, rowsUnsealed: 0 },
      },
    });
    const path = join(BASE, planManifestKey('', plan));
    await disk.makeDirectory(join(path, '..'));
    await disk.writeFile(path, [manifest], false);
    bucket.write(planManifestKey('p', plan), manifest);
  };
  const expire = (committed: number, hours: Partial<LeavingHours>): Promise<number> => {
    const tier = {
      disk,
      baseDirectory: BASE,
      group: 'g',
      letGo: async () => true,
      isOnStore: async () => true,
    };
    return expireLocal(tier, at, committed, { leavesDisk: null, isDropped: null, ...hours });
  };
  const parts = (committed: number): Promise<readonly AnyPart[]> =>
    loadSealed({ ...at, group: 'g', record: freshRecord(committed) }, places, logger, forever);
  const cold = (key: string): Promise<Uint8Array> => store.get(key);
  const ids = async (committed: number): Promise<unknown> =>
    ask('SELECT id FROM trades ORDER BY id', await parts(committed), { disk, cold });
  return { volume, disk, store, logger, seal, expire, parts, ids };
}

/** A plan of two hours whose first folder went to S3, and late rows of that hour. */
async function reused() {
  const made = scene();
  await made.seal(4, 0, [segment(0, [1n, 2n, 3n]), segment(1, [4n])]);
  expect(await made.expire(4, { leavesDisk: HOUR })).toBe(1);
  expect(await made.ids(4)).toEqual([1n, 2n, 3n, 4n]);
  await made.seal(6, 4, [segment(0, [5n, 6n])]);
  return made;
}

it('rows of a folder that went to S3 are not read from the folder that late rows made under its name', async () => {
  const { ids } = await reused();
  expect(await ids(6)).toEqual([1n, 2n, 3n, 4n, 5n, 6n]);
});

it('a folder goes by the manifest of its own plan alone', async () => {
  const { disk, expire, parts, ids } = await reused();
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
  expect(await ids(6)).toEqual([1n, 2n, 3n, 4n, 5n, 6n]);
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
