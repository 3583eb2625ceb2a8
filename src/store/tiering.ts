// What: lets go of local `.bin` folders whose rows stand on S3 and are old enough to be served from there.
// Why: a local disk holds a day, not a year; what the object store has acknowledged need not stand twice.
// Invariant: a folder goes only when its committed plan names a Parquet object for the same symbol-hour; the local manifest goes last.

import { join } from 'node:path';
import { parsePlanManifestKey, planManifestsOf } from '../format/layout.ts';
import { type PlanManifest, parseManifest } from '../format/manifest.ts';
import type { SegmentFile } from '../format/segment.ts';
import type { Disk, TopicPartition } from '../ports.ts';

const HOUR_MS = 3_600_000;

export interface LocalTier {
  readonly disk: Disk;
  readonly baseDirectory: string;
  readonly group: string;
  /** Age of an hour, from its end, at which its folders go. */
  readonly ageMs: number;
  /** Resolves when nobody reads these folders any more; `objects` hold the same rows. */
  readonly letGo: (
    partition: TopicPartition,
    folders: readonly string[],
    objects: readonly SegmentFile[],
  ) => Promise<void>;
}

/**
 * Removes what is old of one Kafka partition. `offsetCommitted`: plans above it are left alone, they may be unfinished.
 * Resolves with the number of folders removed.
 */
export async function expireLocal(
  tier: LocalTier,
  { topic, partition }: TopicPartition,
  offsetCommitted: number,
  nowMs: number,
): Promise<number> {
  const { disk, baseDirectory, group } = tier;
  const folder = planManifestsOf('', group, topic, partition);
  let removed = 0;
  for (const name of await disk.list(join(baseDirectory, folder))) {
    const key = `${folder}${name}`;
    const plan = parsePlanManifestKey('', key);
    if (plan === null || plan.offsetNext > offsetCommitted) continue;
    const path = join(baseDirectory, key);
    const bytes = await disk.readFile(path);
    if (bytes === null) continue;
    const manifest = parseManifest(bytes, key);
    const expired = expiredFolders(manifest, nowMs - tier.ageMs);
    if (expired.length === 0) continue;
    const hours = new Set(expired.map(segmentOf));
    await tier.letGo(
      { topic, partition },
      expired.map((one) => one.path),
      manifest.files.filter((one) => one.kind === 'parquet' && hours.has(segmentOf(one))),
    );
    for (const { path: expiredPath } of expired) await disk.remove(join(baseDirectory, expiredPath));
    removed += expired.length;
    // The object store has the manifest as well; without local files the local copy says nothing.
    const left = manifest.files.filter(({ kind }) => kind === 'bin').length - expired.length;
    if (left === 0) await disk.remove(path);
  }
  return removed;
}

const segmentOf = ({ symbol, hour }: SegmentFile): string => `${symbol}/${hour}`;

/** The manifest's `.bin` folders of hours that ended before `beforeMs` and that stand as Parquet too. */
export function expiredFolders(manifest: PlanManifest, beforeMs: number): SegmentFile[] {
  const onStore = new Set(manifest.files.filter(({ kind }) => kind === 'parquet').map(segmentOf));
  return manifest.files.filter(
    (one) => one.kind === 'bin' && onStore.has(segmentOf(one)) && (one.hour + 1) * HOUR_MS <= beforeMs,
  );
}
