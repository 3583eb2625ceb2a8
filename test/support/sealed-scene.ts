// What: plans of one partition in folders and in objects, as they are sealed, let go, dropped and asked.
// Why: what a manifest names may be gone, or another's: that shows where sealing, tiering and queries meet.
// Invariant: a plan's files and manifests are what the engine writes.

import { join } from 'node:path';
import { type ColumnSchema, ColumnType, type TableSchema } from '../../src/columns/types.ts';
import { freshRecord } from '../../src/commit/metadata.ts';
import { planManifestKey } from '../../src/format/layout.ts';
import { encodeManifest } from '../../src/format/manifest.ts';
import type { PlanIdentity, SegmentOutputs, SegmentSource } from '../../src/format/segment.ts';
import { writeSegments } from '../../src/format/write-segments.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { loadSealed } from '../../src/live/sealed.ts';
import { withoutDropped } from '../../src/query/dropped.ts';
import { execute } from '../../src/query/execute.ts';
import { rowsOf } from '../../src/query/result.ts';
import type { AnyPart } from '../../src/query/snapshot.ts';
import { tableOf } from '../../src/query/table-parts.ts';
import { parseStatement } from '../../src/sql/parser.ts';
import { dropObjects, expireLocal, type LeavingHours } from '../../src/store/tiering.ts';
import { memoryVolume } from './memory-disk.ts';
import { memoryBucket, memoryStore } from './memory-store.ts';
import { HOUR, HOUR_NS, segmentOf } from './segment-rows.ts';

export const BASE = '/hdb';
export const at = { topic: 'trades', partition: 0 };
export const forever = new AbortController().signal;
const column = (name: string, type: ColumnType): ColumnSchema => ({ name, type });
export const table: TableSchema = {
  name: 'trades',
  columns: [
    column('symbol', ColumnType.SYMBOL),
    column('timestamp', ColumnType.TIMESTAMP_NS),
    column('id', ColumnType.INT64),
  ],
  symbolColumn: 0,
  timestampColumn: 1,
};
export const outputs: SegmentOutputs = {
  bin: { baseDirectory: BASE, compression: 'none', sync: false },
  parquet: {
    ...{ codec: 'SNAPPY', timestampType: 'ns', layout: 'hive', flatEpoch: 's' },
    ...{ prefix: 'p', rowGroupRowsMax: 1000, conditionalWrites: true },
  },
};

export const planOf = (offsetNext: number): PlanIdentity => ({
  ...{ group: 'g', ...at, incarnation: 0, hourLast: Infinity, offsetNext },
});
/** Rows of these ids, `hours` after HOUR. */
export const segment = (hours: number, ids: readonly bigint[]): SegmentSource =>
  segmentOf(
    table,
    ids.map((id) => [HOUR_NS + BigInt(hours) * 3_600_000_000_000n + id, id]),
    { symbol: 0, hour: HOUR + hours },
  );

/** The values that the statement answers of these parts, row by row; `dropped`: as for `withoutDropped`. */
export async function ask(
  sql: string,
  parts: readonly AnyPart[],
  options: object,
  dropped: ReadonlyMap<string, number> = new Map(),
): Promise<unknown> {
  const tables = new Map([['trades', tableOf(table, parts)]]);
  const names = { nameOf: () => 'A', codeOf: () => 0 };
  const result = await execute(
    parseStatement(sql).statement,
    withoutDropped({ tables, names, release: () => {} }, dropped),
    {
      ...{ limits: { rowsMax: 1e6, bytesMax: 2 ** 30, timeoutMs: 60_000 }, nowNs: 0n, monotonicMs: () => 0 },
      ...options,
    },
  );
  return (await rowsOf(result)).flat();
}

/** A disk and a bucket, and what is done with them. */
export function sealedScene() {
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
  /** All that stands of these hours goes. Resolves with the number of objects. */
  const drop = async (committed: number, hourLast: number): Promise<number> => {
    await expire(committed, { isDropped: hourLast });
    const dropping = { store, prefix: 'p', group: 'g', done: new Set<string>(), partialsOf: () => [] };
    const denied = (): void => {
      throw new Error('this store deletes');
    };
    return dropObjects({ ...dropping, denied }, at, committed, hourLast);
  };
  const parts = (committed: number): Promise<readonly AnyPart[]> =>
    loadSealed({ ...at, group: 'g', record: freshRecord(committed) }, places, logger, forever);
  const cold = (key: string): Promise<Uint8Array> => store.get(key);
  const answer = async (
    sql: string,
    committed: number,
    dropped?: ReadonlyMap<string, number>,
  ): Promise<unknown> => ask(sql, await parts(committed), { disk, cold }, dropped);
  return { volume, disk, store, logger, seal, expire, drop, parts, answer };
}
