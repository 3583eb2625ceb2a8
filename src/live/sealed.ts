// What: the sealed rows of a Kafka partition as parts: local folders where they stand, else Parquet objects.
// Why: a member that takes a partition over answers for all that was ever sealed of it, not only for what it saw.
// Invariant: only files of committed plans become parts, each row in one: a folder and an object of the same rows are one part.

import { join } from 'node:path';
import type { CommitRecord } from '../commit/metadata.ts';
import { offsetPlanned } from '../commit/staircase.ts';
import { isFolderOf } from '../format/bin-folder.ts';
import { parsePlanManifestKey, planHash, planManifestsOf } from '../format/layout.ts';
import { type PlanManifest, parseManifest } from '../format/manifest.ts';
import { type PlanIdentity, type SegmentFile, segmentOf } from '../format/segment.ts';
import { ZeptoError } from '../kernel/errors.ts';
import type { Disk, Logger, ObjectStore, TopicPartition } from '../ports.ts';
import type { ColdPart, WarmPart } from '../query/snapshot.ts';

export type SealedPart = WarmPart | ColdPart;

/** Where sealed rows may stand. */
export interface SealedPlaces {
  readonly disk: Disk;
  /** Of `.bin` folders; null: none are written here. */
  readonly baseDirectory: string | null;
  /** Null: the cold tier is off. */
  readonly store: ObjectStore | null;
  /** Key prefix in the store. */
  readonly prefix: string;
}

/** Manifests, or folders, read at the same time. */
const READS_MAX = 16;

/**
 * All parts of the committed plans, in the order of their plans.
 * @throws ZeptoError STORE_DENIED when the credential may write but not read; FORMAT_INVALID; the signal's reason.
 */
export async function loadSealed(
  of: TopicPartition & { readonly group: string; readonly record: CommitRecord },
  places: SealedPlaces,
  logger: Logger,
  signal: AbortSignal,
): Promise<SealedPart[]> {
  const plans = await listPlans(of, places, signal);
  const offsetMax = offsetPlanned(of.record.staircase, of.record.committed);
  const read = await inParallel(
    plans.filter(({ offsetNext }) => offsetNext <= offsetMax || of.record.incarnation > 0),
    (listed) => readManifest(listed, of, places, signal),
  );
  const manifests = read.filter(({ manifest }) => isCommitted(manifest.plan, of.record));
  manifests.sort((a, b) => byPlan(a.manifest.plan, b.manifest.plan));
  const parts: SealedPart[] = [];
  let elsewhere = 0;
  for (const { manifest, isLocal } of manifests) {
    const found = partsOf(manifest.files, of, isLocal ? places.baseDirectory : null);
    const hash = planHash(manifest.plan);
    const stand = await inParallel(
      found.parts,
      async (part) => part.tier === 'cold' || isFolderOf(hash, part.folder, places.disk),
    );
    for (const [at, part] of found.parts.entries())
      if (stand[at]) parts.push(part);
      else if (part.tier === 'warm' && part.object) parts.push(part.object);
      else elsewhere++;
    elsewhere += found.elsewhere;
  }
  if (elsewhere > 0)
    logger.warn(
      { topic: of.topic, partition: of.partition, segments: elsewhere },
      'local files of this partition stand on another machine or were removed: queries here do not see their rows',
    );
  return parts;
}

/** Parts of files of one plan: folders below `baseDirectory`, with their objects, and objects for the rest. `elsewhere`: folders of another machine. */
export function partsOf(
  files: readonly SegmentFile[],
  { topic, partition }: TopicPartition,
  baseDirectory: string | null,
): { parts: SealedPart[]; elsewhere: number } {
  const objects = new Map<string, ColdPart>();
  for (const file of files)
    if (file.kind === 'parquet') objects.set(segmentOf(file), coldPart(file, topic, partition));
  const parts = new Map<string, SealedPart>(objects);
  let elsewhere = 0;
  for (const file of files) {
    if (file.kind === 'parquet') continue;
    if (baseDirectory === null) {
      elsewhere++;
      continue;
    }
    const key = segmentOf(file);
    const folder = join(baseDirectory, file.path);
    const object = objects.get(key) ?? null;
    parts.set(key, { ...common(file, topic, partition), tier: 'warm', folder, bytes: file.bytes, object });
  }
  // What is local elsewhere but an object too is read as the object.
  return { parts: [...parts.values()], elsewhere: Math.max(0, elsewhere - parts.size) };
}

function coldPart(file: SegmentFile, topic: string, partition: number): ColdPart {
  return {
    ...common(file, topic, partition),
    tier: 'cold',
    key: file.path,
    bytes: file.bytes,
    crc32c: file.crc32c,
  };
}

function common(file: SegmentFile, topic: string, partition: number): Omit<WarmPart, 'tier' | 'folder'> {
  return {
    // A folder that was let go leaves its name to other rows.
    id: `${file.path} ${file.crc32c}`,
    topic,
    partition,
    symbol: file.symbol,
    hour: file.hour,
    rows: file.rows,
    timestampMin: BigInt(file.timestampMin),
    timestampMax: BigInt(file.timestampMax),
    isSorted: true,
  };
}

/** Whether a plan with a manifest is one. The announced plan may have its files and its manifest already; its rows are in memory again. */
export function isCommitted(
  plan: PlanIdentity,
  { committed, staircase, pending, incarnation }: CommitRecord,
): boolean {
  if (plan.incarnation !== incarnation) return plan.incarnation < incarnation;
  const isPending =
    pending !== null && plan.offsetNext === pending.offsetNext && plan.hourLast === pending.hourLast;
  return !isPending && plan.offsetNext <= offsetPlanned(staircase, committed);
}

/** Of two plans up to the same offset, the one of fewer hours came first. */
const byPlan = (a: PlanIdentity, b: PlanIdentity): number =>
  a.incarnation - b.incarnation || a.offsetNext - b.offsetNext || a.hourLast - b.hourLast;

/** A manifest in a listing. */
export interface Listed {
  readonly offsetNext: number;
  /** In the folder of the partition's manifests. */
  readonly name: string;
  readonly isLocal: boolean;
}

export async function listPlans(
  { group, topic, partition }: TopicPartition & { readonly group: string },
  { disk, baseDirectory, store, prefix }: SealedPlaces,
  signal: AbortSignal,
): Promise<Listed[]> {
  const folder = planManifestsOf('', group, topic, partition);
  const found = new Map<string, Listed>();
  if (store !== null) {
    const prefixLength = planManifestsOf(prefix, group, topic, partition).length;
    for await (const { key } of store.list(planManifestsOf(prefix, group, topic, partition), signal))
      take(key.slice(prefixLength), false);
  }
  if (baseDirectory !== null)
    for (const name of await disk.list(join(baseDirectory, folder))) take(name, true);
  return [...found.values()];

  function take(name: string, isLocal: boolean): void {
    const plan = parsePlanManifestKey('', `${folder}${name}`);
    if (plan !== null) found.set(name, { offsetNext: plan.offsetNext, name, isLocal });
  }
}

/** @throws ZeptoError STORE_DENIED, FORMAT_INVALID; the signal's reason */
export async function readManifest(
  { name, isLocal }: Listed,
  { group, topic, partition }: TopicPartition & { readonly group: string },
  { disk, baseDirectory, store, prefix }: SealedPlaces,
  signal: AbortSignal,
): Promise<{ manifest: PlanManifest; isLocal: boolean }> {
  signal.throwIfAborted();
  if (isLocal) {
    const path = join(baseDirectory!, planManifestsOf('', group, topic, partition), name);
    const bytes = await disk.readFile(path);
    if (bytes !== null) return { manifest: parseManifest(bytes, path), isLocal };
  }
  if (store === null) throw new ZeptoError('FORMAT_INVALID', 'stop', `the manifest ${name} is gone`);
  const key = `${planManifestsOf(prefix, group, topic, partition)}${name}`;
  return { manifest: parseManifest(await store.get(key, signal), key), isLocal: false };
}

async function inParallel<A, B>(list: readonly A[], work: (one: A) => Promise<B>): Promise<B[]> {
  const results: B[] = new Array(list.length);
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < list.length) {
      const at = next++;
      results[at] = await work(list[at]!);
    }
  };
  await Promise.all(Array.from({ length: Math.min(READS_MAX, list.length) }, lane));
  return results;
}
