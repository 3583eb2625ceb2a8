// What: lets go of local `.bin` folders whose rows stand on S3, and of everything that a policy has dropped.
// Why: a local disk holds a day, not a year; what the object store has acknowledged need not stand twice.
// Invariant: a folder goes only when its own committed plan names a Parquet object for the same symbol-hour that the store lists whole, or its hour is dropped.

import { join } from 'node:path';
import { isFolderOf } from '../format/bin-folder.ts';
import {
  binPartialFolder,
  LOCAL_VIEWS,
  parsePlanManifestKey,
  planHash,
  planManifestKey,
  planManifestsOf,
} from '../format/layout.ts';
import { type PlanManifest, parseManifest } from '../format/manifest.ts';
import { type SegmentFile, segmentOf } from '../format/segment.ts';
import type { Disk, ObjectStore, TopicPartition } from '../ports.ts';

export interface LocalTier {
  readonly disk: Disk;
  readonly baseDirectory: string;
  readonly group: string;
  /** Resolves when nobody reads these folders any more; false: they are another's to remove. */
  readonly letGo: (partition: TopicPartition, folders: readonly string[]) => Promise<boolean>;
  /** Whether the store lists the object with the size that its plan states. */
  readonly isOnStore: (object: SegmentFile) => Promise<boolean>;
}

/** The last hour whose folders go when their objects stand, and the last one whose folders go in any case; null: none. */
export interface LeavingHours {
  readonly leavesDisk: number | null;
  readonly isDropped: number | null;
}

/**
 * Removes what is old of one Kafka partition. `offsetCommitted`: plans above it are left alone, they may be unfinished.
 * Resolves with the number of folders removed.
 */
export async function expireLocal(
  tier: LocalTier,
  { topic, partition }: TopicPartition,
  offsetCommitted: number,
  hours: LeavingHours,
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
    const { expired, isAll } = await leavingFolders(manifest, hours, tier);
    if (expired.length === 0 && !isAll) continue;
    const leaving = expired.map((one) => one.path);
    if (leaving.length > 0 && !(await tier.letGo({ topic, partition }, leaving))) return removed;
    const views = await viewFolders(tier);
    for (const one of expired) {
      await disk.remove(join(baseDirectory, one.path));
      for (const view of views)
        await disk.remove(join(baseDirectory, binPartialFolder(view, { ...one, hash: plan.hash })));
    }
    removed += expired.length;
    // The object store has the manifest as well; without local files the local copy says nothing.
    if (!isAll) continue;
    for (const view of views) await disk.remove(join(baseDirectory, planManifestKey(view, manifest.plan)));
    await disk.remove(path);
  }
  return removed;
}

/** Below the base directory: of each definition of each view that has or had partials here. */
async function viewFolders({ disk, baseDirectory }: LocalTier): Promise<string[]> {
  const folders: string[] = [];
  for (const view of await disk.list(join(baseDirectory, LOCAL_VIEWS)))
    for (const definition of await disk.list(join(baseDirectory, LOCAL_VIEWS, view)))
      folders.push(`${LOCAL_VIEWS}/${view}/${definition}`);
  return folders;
}

/** The manifest's `.bin` folders that may go. `isAll`: it has no others, nor had it any that went before these. */
async function leavingFolders(
  { plan, files }: PlanManifest,
  { leavesDisk, isDropped }: LeavingHours,
  { disk, baseDirectory, isOnStore }: LocalTier,
): Promise<{ readonly expired: SegmentFile[]; readonly isAll: boolean }> {
  const objects = new Map(files.filter(({ kind }) => kind === 'parquet').map((one) => [segmentOf(one), one]));
  const folders = files.filter(({ kind }) => kind === 'bin');
  const expired: SegmentFile[] = [];
  const hash = planHash(plan);
  let staying = 0;
  for (const file of folders) {
    const isOld = isUpTo(file, later(leavesDisk, isDropped));
    // Gone already, by an earlier call; the name may be a later plan's since then.
    if (isOld && !(await isFolderOf(hash, join(baseDirectory, file.path), disk))) continue;
    const object = objects.get(segmentOf(file));
    const mayGo = isUpTo(file, isDropped) || (isOld && object !== undefined && (await isOnStore(object)));
    if (mayGo) expired.push(file);
    else staying++;
  }
  return { expired, isAll: folders.length > 0 && staying === 0 };
}

const later = (a: number | null, b: number | null): number | null =>
  a === null || b === null ? (a ?? b) : Math.max(a, b);

const isUpTo = ({ hour }: SegmentFile, last: number | null): boolean => last !== null && hour <= last;

export interface DroppedObjects {
  readonly store: ObjectStore;
  readonly prefix: string;
  readonly group: string;
  /** Manifests of which nothing is left to drop; kept from call to call. */
  readonly done: Set<string>;
  /** Objects that views have of a segment of a plan. */
  readonly partialsOf: (topic: string, object: SegmentFile, hash: string) => readonly string[];
  /** The credential may not delete. */
  readonly denied: () => void;
}

/** Deletes the objects of dropped hours of one Kafka partition. Resolves with their number. */
export async function dropObjects(
  { store, prefix, group, done, partialsOf, denied }: DroppedObjects,
  { topic, partition }: TopicPartition,
  offsetCommitted: number,
  hourLast: number,
): Promise<number> {
  let dropped = 0;
  for await (const { key } of store.list(planManifestsOf(prefix, group, topic, partition))) {
    const plan = parsePlanManifestKey(prefix, key);
    if (plan === null || plan.offsetNext > offsetCommitted || done.has(key)) continue;
    const objects = parseManifest(await store.get(key), key).files.filter(({ kind }) => kind === 'parquet');
    for (const object of objects) {
      if (!isUpTo(object, hourLast)) continue;
      for (const path of [...partialsOf(topic, object, plan.hash), object.path])
        if (!(await store.delete(path))) {
          denied();
          return dropped;
        }
      dropped++;
    }
    if (objects.every((object) => isUpTo(object, hourLast))) done.add(key);
  }
  return dropped;
}
