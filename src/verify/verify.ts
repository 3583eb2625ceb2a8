// What: proves from manifests and a listing that each record stands exactly once, or says where it does not.
// Why: a promise about data is worth what a user can check on their own bucket.
// Invariant: read-only. Manifests are listed before files, so what is written meanwhile is taken for unfinished, never for missing.

import { decodeMetadata } from '../commit/metadata.ts';
import { offsetPlanned } from '../commit/staircase.ts';
import {
  parseBinFolder,
  parsePlanManifestKey,
  planHash,
  planManifestKey,
  ROOT_TABLE,
} from '../format/layout.ts';
import { type PlanManifest, parseManifest } from '../format/manifest.ts';
import type { PlanIdentity, SegmentFile } from '../format/segment.ts';
import { asZeptoError } from '../kernel/errors.ts';
import type { CommittedOffset, TopicPartition } from '../ports.ts';
import { Chain } from './chain.ts';
import { checkContents, planOfFile } from './contents.ts';
import { Inventory, type Medium, type Readable } from './inventory.ts';
import { Findings, type VerifyReport } from './report.ts';

export interface VerifyOptions {
  readonly store: Readable;
  readonly medium: Medium;
  /** '' for a local folder. */
  readonly prefix: string;
  /** Null: all groups. */
  readonly group: string | null;
  /** Reads every file. */
  readonly deep: boolean;
  /** What Kafka holds; null: it is not asked. */
  readonly committed: ((group: string, partition: TopicPartition) => Promise<CommittedOffset | null>) | null;
  readonly progress: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** Reads under way at once. */
const READS = 16;
/** Files without a manifest that are asked for their plan. */
const ASKED_MAX = 1000;

interface Work {
  readonly options: VerifyOptions;
  readonly findings: Findings;
  readonly inventory: Inventory;
  readonly chains: Map<string, Chain>;
  filesRead: number;
  filesExpired: number;
}

/** @throws ZeptoError of the store (denied, unreachable), or the signal's reason. */
export async function verify(options: VerifyOptions): Promise<VerifyReport> {
  const { store, prefix, medium, group, progress, signal } = options;
  const findings = new Findings();
  const inventory = new Inventory(medium, prefix, store, (files) => progress(`${files} files listed`));
  const work: Work = { options, findings, inventory, chains: new Map(), filesRead: 0, filesExpired: 0 };
  const keys: string[] = [];
  for await (const { key } of store.list(prefix === '' ? '_plans/' : `${prefix}/_plans/`, signal)) {
    const name = parsePlanManifestKey(prefix, key);
    if (name === null) findings.problem('manifest-misplaced', key, 'is not the name of a manifest');
    else if (group === null || name.group === group) keys.push(key);
  }
  keys.sort();
  progress(`${keys.length} manifests`);
  if (keys.length === 0)
    findings.problem(
      'nothing',
      prefix,
      'no manifest of a plan stands here: is it the right prefix, folder, group?',
    );
  await inventory.addTable(ROOT_TABLE, signal);
  await readManifests(keys, work);
  for (const chain of work.chains.values()) {
    chain.end();
    await compareWithKafka(chain, work);
  }
  await explainUnnamed(work);
  return {
    isSound: findings.problemCount === 0,
    partitions: [...work.chains.values()].map(({ summary }) => summary),
    filesFound: inventory.size,
    filesRead: work.filesRead,
    filesExpired: work.filesExpired,
    problemCount: findings.problemCount,
    problems: findings.problems,
    warningCount: findings.warningCount,
    warnings: findings.warnings,
  };
}

/** In key order; those of one partition that end at the same offset go to its chain together. */
async function readManifests(keys: readonly string[], work: Work): Promise<void> {
  let waiting: PlanManifest[] = [];
  const settle = (): void => {
    if (waiting.length > 0) chainOf(waiting[0]!, work).addAll(waiting);
    waiting = [];
  };
  for (let at = 0; at < keys.length; at += READS) {
    const read = await Promise.all(keys.slice(at, at + READS).map((key) => readManifest(key, work)));
    for (const manifest of read) {
      if (manifest === null) continue;
      const first = waiting[0]?.plan;
      if (first !== undefined && !endsTogether(first, manifest.plan)) settle();
      waiting.push(manifest);
      await checkFiles(manifest, work);
    }
    if (Math.floor(at / 1000) !== Math.floor((at + READS) / 1000))
      work.options.progress(`${Math.min(at + READS, keys.length)} of ${keys.length} manifests checked`);
  }
  settle();
}

const endsTogether = (a: PlanManifest['plan'], b: PlanManifest['plan']): boolean =>
  a.group === b.group && a.topic === b.topic && a.partition === b.partition && a.offsetNext === b.offsetNext;

async function readManifest(key: string, { options, findings }: Work): Promise<PlanManifest | null> {
  try {
    const manifest = parseManifest(await options.store.get(key, options.signal), key);
    if (planManifestKey(options.prefix, manifest.plan) === key) return manifest;
    findings.problem('manifest-misplaced', key, 'is the manifest of another plan than its name says');
  } catch (cause) {
    const error = asZeptoError(cause);
    if (error.code !== 'FORMAT_INVALID') throw cause;
    findings.problem('manifest-unreadable', key, error.message);
  }
  return null;
}

function chainOf({ plan }: PlanManifest, { chains, findings }: Work): Chain {
  const { group, topic, partition } = plan;
  const key = JSON.stringify([group, topic, partition]);
  let chain = chains.get(key);
  if (chain === undefined) {
    const sums = {
      records: 0,
      rowsDecoded: 0,
      rowsSealed: 0,
      rowsUnsealed: 0,
      deadLettered: 0,
      tombstones: 0,
    };
    const summary = { group, topic, partition, plans: 0, offsetFirst: 0, offsetNext: 0, files: 0, bytes: 0 };
    chain = new Chain({ ...summary, ...sums }, findings);
    chains.set(key, chain);
  }
  return chain;
}

/** The files of the medium that is looked at; those of the other stand elsewhere. */
async function checkFiles(manifest: PlanManifest, work: Work): Promise<void> {
  const { options, inventory } = work;
  await inventory.addTable(manifest.table, options.signal);
  const { summary } = chainOf(manifest, work);
  const present: SegmentFile[] = [];
  for (const file of manifest.files) {
    if (file.kind !== options.medium) continue;
    if (!(await checkListed(file, manifest, work))) continue;
    summary.files++;
    summary.bytes += file.bytes;
    present.push(file);
  }
  if (!options.deep) return;
  const waiting = present.values();
  const lane = async (): Promise<void> => {
    for (const file of waiting) {
      options.signal?.throwIfAborted();
      await checkContents(file, manifest.plan, options.store, work.findings);
      work.filesRead++;
      if (work.filesRead % 1000 === 0) options.progress(`${work.filesRead} files read`);
    }
  };
  await Promise.all(Array.from({ length: READS / 2 }, lane));
}

/** True when the file stands with the bytes that it should have. */
async function checkListed(file: SegmentFile, manifest: PlanManifest, work: Work): Promise<boolean> {
  const { findings, inventory, options } = work;
  const by = `plan ${manifest.plan.offsetNext} of ${chainOf(manifest, work).name}`;
  const bytes = inventory.bytesOf(file.path);
  if (bytes === null || (await isOfAnother(file, manifest.plan, options.store))) {
    if (file.kind === 'bin' && standsOnS3(file, manifest)) work.filesExpired++;
    else findings.problem('missing', file.path, `does not stand, but ${by} names it with ${file.rows} rows`);
    return false;
  }
  if (!inventory.name(file.path))
    findings.problem('named-twice', file.path, `named by ${by} and by another one`);
  if (bytes === file.bytes) return true;
  findings.problem('size', file.path, `has ${bytes} bytes, ${by} says ${file.bytes}`);
  return false;
}

/** A local folder that was let go leaves its plain name to a later plan. */
async function isOfAnother(
  { kind, path }: SegmentFile,
  plan: PlanIdentity,
  store: Readable,
): Promise<boolean> {
  if (kind === 'parquet' || parseBinFolder(path)?.hash !== null) return false;
  const found = await planOfFile(path, store);
  return found !== null && planHash(found) !== planHash(plan);
}

/** A local folder may be let go once its rows stand as Parquet. */
const standsOnS3 = (file: SegmentFile, { files }: PlanManifest): boolean =>
  files.some(({ kind, symbol, hour }) => kind === 'parquet' && symbol === file.symbol && hour === file.hour);

async function compareWithKafka(chain: Chain, { options, findings }: Work): Promise<void> {
  if (options.committed === null) return;
  const { group, topic, partition, offsetNext } = chain.summary;
  const found = await options.committed(group, { topic, partition });
  if (found === null || found.metadata === '') {
    findings.problem('not-committed', chain.name, 'plans stand, but the group has no commit record in Kafka');
    return;
  }
  const record = decodeMetadata(found.offset, found.metadata);
  const planned = offsetPlanned(record.staircase, record.committed);
  if (planned > offsetNext)
    findings.problem(
      'gap',
      chain.name,
      `Kafka has plans up to ${planned}, the manifests end at ${offsetNext}`,
    );
  else if (planned < offsetNext && record.pending?.offsetNext !== offsetNext)
    findings.problem(
      'not-committed',
      chain.name,
      `manifests go to ${offsetNext}, Kafka's record to ${planned}`,
    );
  else if (planned < offsetNext)
    findings.warning('unfinished', chain.name, `plan ${offsetNext} is announced and not yet committed`);
}

/** A file of a plan above its partition's last manifest is being written, or waits for the plan to run again. */
async function explainUnnamed(work: Work): Promise<void> {
  const { options, findings, inventory, chains } = work;
  const unnamed = [...inventory.unnamed];
  let asked = 0;
  for (let at = 0; at < unnamed.length; at += READS) {
    const some = unnamed.slice(at, at + READS);
    const mayAsk = asked < ASKED_MAX;
    asked += some.length;
    const plans = await Promise.all(some.map((path) => (mayAsk ? planOfFile(path, options.store) : null)));
    for (const [i, path] of some.entries()) {
      const plan = plans[i] ?? null;
      if (plan !== null && options.group !== null && plan.group !== options.group) continue;
      const chain =
        plan === null ? undefined : chains.get(JSON.stringify([plan.group, plan.topic, plan.partition]));
      const end = chain?.summary.offsetNext ?? 0;
      if (plan !== null && plan.offsetNext >= end && !(plan.offsetNext === end && chain !== undefined)) {
        const whose = `plan ${plan.offsetNext} of ${plan.group}/${plan.topic}-${plan.partition}`;
        findings.warning('unfinished', path, `belongs to ${whose}, which has no manifest yet`);
      } else
        findings.problem('unnamed', path, 'stands, but no manifest names it: its rows may be there twice');
    }
  }
}
