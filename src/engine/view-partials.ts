// What: the partials of views as a shard keeps them: written with each plan, and made up for where a committed plan has none.
// Why: whoever reads the bucket finds bars beside the rows; a view made later, or a crash in between, leaves gaps to fill.
// Invariant: a view's record of a plan stands only when all its partials of that plan stand; a view never holds up the rows.

import { join } from 'node:path';
import type { TableSchema } from '../columns/types.ts';
import type { PlanWork } from '../commit/execute.ts';
import type { CommitRecord } from '../commit/metadata.ts';
import { isFolderOf } from '../format/bin-folder.ts';
import {
  flatKey,
  hiveKey,
  planHash,
  planManifestKey,
  planManifestsOf,
  viewPrefix,
} from '../format/layout.ts';
import type { PlanManifest } from '../format/manifest.ts';
import type { PlanIdentity, SegmentFile, SegmentOutputs } from '../format/segment.ts';
import { encodeViewManifest } from '../format/view-manifest.ts';
import { asZeptoError } from '../kernel/errors.ts';
import {
  isCommitted,
  type Listed,
  listPlans,
  partsOf,
  readManifest,
  type SealedPlaces,
} from '../live/sealed.ts';
import type { Disk, Logger, Metrics, ObjectStore, TopicPartition } from '../ports.ts';
import { PartialView } from '../query/view/partial.ts';
import type { ViewDeclaration } from '../query/view/view.ts';
import { inJobs } from './jobs.ts';
import { writeLocalManifest } from './local-manifest.ts';
import type { PartialJob, PartialSource, ViewPartialFiles } from './write-partials.ts';

export interface ViewPartialsParts {
  readonly outputs: SegmentOutputs;
  /** Key prefix in the object store. */
  readonly prefix: string;
  readonly store: ObjectStore | null;
  readonly disk: Disk;
  readonly group: string;
  /** Runs a job on some encoder thread. */
  readonly run: (job: PartialJob, signal: AbortSignal) => Promise<ViewPartialFiles[]>;
  /** What the groups of one segment may take. */
  readonly bytesMax: number;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** An owned partition with no plan under way. */
export interface SettledPartition extends TopicPartition {
  readonly table: TableSchema;
  readonly record: CommitRecord;
  /** The same object as long as nobody else has owned it. */
  readonly run: object;
}

type FailureOf = NonNullable<ViewPartialFiles['failure']>;

export class ViewPartials {
  private readonly parts: ViewPartialsParts;
  private declarations: readonly ViewDeclaration[] = [];
  private opened = new WeakMap<TableSchema, readonly PartialView[]>();
  /** Prefixes of views that have partials of all plans so far, or that can have no more. */
  private readonly complete = new WeakMap<object, Set<string>>();
  private readonly said = new Set<string>();
  private mayRead = true;

  constructor(parts: ViewPartialsParts) {
    this.parts = parts;
  }

  /** As the catalogue has them, views over views included: those have no partials of their own. */
  setViews(declarations: readonly ViewDeclaration[]): void {
    this.declarations = declarations;
    this.opened = new WeakMap();
  }

  /** Of a plan's segments, before it is committed. @throws ZeptoError STORE_*, DISK_*; the signal's reason */
  async write({ identity, table, tableNow, segments }: PlanWork, signal: AbortSignal): Promise<void> {
    const sources = segments.map((segment): PartialSource => ({ kind: 'rows', segment, table }));
    await this.writePlan(identity, tableNow, this.viewsOf(tableNow), sources, atOnce, signal);
  }

  /**
   * Of committed plans that lack some. What fails is tried again by the next call, but for what cannot be had. `dropped`: the
   * last hour that is. @throws the signal's reason
   */
  async catchUp(of: SettledPartition, dropped: number | null, signal: AbortSignal): Promise<void> {
    const complete = this.complete.get(of.run) ?? new Set();
    this.complete.set(of.run, complete);
    const views = this.viewsOf(of.table).filter((view) => !complete.has(this.prefixOf(view)));
    if (views.length === 0) return;
    try {
      if (await this.fill(of, views, dropped, signal))
        for (const view of views) complete.add(this.prefixOf(view));
    } catch (cause) {
      signal.throwIfAborted();
      this.tell(of, cause);
    }
  }

  /** Objects that views of today have of a segment of a plan. */
  keysOf(table: TableSchema, { symbol, hour }: SegmentFile, hash: string): readonly string[] {
    const { parquet } = this.parts.outputs;
    if (parquet === null) return [];
    const name = { symbol, hour, hash };
    return this.viewsOf(table).map((view) =>
      parquet.layout === 'hive'
        ? hiveKey(this.prefixOf(view), name)
        : flatKey(this.prefixOf(view), name, parquet.flatEpoch),
    );
  }

  private viewsOf(table: TableSchema): readonly PartialView[] {
    const known = this.opened.get(table);
    if (known !== undefined) return known;
    const views = this.declarations.flatMap((declaration) => {
      if (declaration.source !== table.name) return [];
      try {
        return [new PartialView(declaration, table)];
      } catch (cause) {
        const { code, message } = asZeptoError(cause);
        this.failed(declaration.name, { code, message });
        return [];
      }
    });
    this.opened.set(table, views);
    return views;
  }

  private async writePlan(
    plan: PlanIdentity,
    table: TableSchema,
    views: readonly PartialView[],
    sources: readonly PartialSource[],
    settle: (jobs: readonly Job[]) => Promise<Done[]>,
    signal: AbortSignal,
  ): Promise<void> {
    if (views.length === 0) return;
    const { outputs, bytesMax, run } = this.parts;
    const declarations = views.map(({ declaration }) => declaration);
    const jobs = inJobs(sources, rowsOf).map(
      (some): Job =>
        () =>
          run({ plan, table, views: declarations, sources: some, outputs, bytesMax }, signal),
    );
    const done = await settle(jobs);
    for (const [i, view] of views.entries()) {
      const failure = done.map((job) => job[i]!.failure).find((found) => found !== null) ?? null;
      const files = done.flatMap((job) => job[i]!.files);
      if (failure === null) await this.writeRecord(view, plan, files, signal);
      else this.failed(view.declaration.name, failure);
    }
  }

  /** That the view has all partials of the plan. */
  private async writeRecord(
    view: PartialView,
    plan: PlanIdentity,
    files: readonly SegmentFile[],
    signal: AbortSignal,
  ): Promise<void> {
    const { outputs, store, disk } = this.parts;
    const { name, source, sql } = view.declaration;
    const recordOf = (kind: SegmentFile['kind']): Uint8Array =>
      encodeViewManifest({
        ...{ plan, view: name, definition: view.definition, source, query: sql },
        files: files.filter((file) => file.kind === kind),
      });
    const { bin } = outputs;
    if (bin !== null) {
      const path = planManifestKey(viewPrefix('', name, view.definition), plan);
      await writeLocalManifest(path, recordOf('bin'), { ...bin, sync: false }, disk);
    }
    if (store === null || outputs.parquet === null) return;
    try {
      const key = planManifestKey(this.prefixOf(view), plan);
      await store.put(key, recordOf('parquet'), { contentType: 'application/json', signal });
    } catch (cause) {
      const { code, message } = asZeptoError(cause);
      if (code !== 'STORE_DENIED') throw cause;
      this.failed(name, { code, message });
    }
  }

  /** False when something was left that a later call may do. */
  private async fill(
    of: SettledPartition,
    views: readonly PartialView[],
    dropped: number | null,
    signal: AbortSignal,
  ): Promise<boolean> {
    const places = this.places();
    const named = { ...of, group: this.parts.group };
    const standing = await Promise.all(views.map((view) => this.recordsOf(view, of, signal)));
    let isDone = true;
    for (const plan of await listPlans(named, places, signal)) {
      const lacking = views.filter((_, i) => this.lacks(plan, standing[i]!));
      if (lacking.length === 0) continue;
      try {
        const { manifest, isLocal } = await readManifest(plan, named, places, signal);
        if (!isCommitted(manifest.plan, of.record)) continue;
        const sources = await this.sourcesOf(manifest, of, isLocal, dropped);
        await this.writePlan(manifest.plan, of.table, lacking, sources, inTurn, signal);
      } catch (cause) {
        signal.throwIfAborted();
        if (asZeptoError(cause).code === 'STORE_DENIED') this.denied();
        else {
          isDone = false;
          this.tell(of, cause);
        }
      }
    }
    return isDone;
  }

  private lacks({ name, isLocal }: Listed, { objects, folders }: Standing): boolean {
    // Local plans stand in the store too; of others nothing can be known without reading it.
    if (isLocal && this.parts.outputs.bin !== null && !folders.has(name)) return true;
    return (isLocal || this.mayRead) && this.parts.outputs.parquet !== null && !objects.has(name);
  }

  /** Names of the plans that a view has a record of. */
  private async recordsOf(
    view: PartialView,
    { topic, partition }: TopicPartition,
    signal: AbortSignal,
  ): Promise<Standing> {
    const { store, disk, group, outputs } = this.parts;
    const objects = new Set<string>();
    const folders = new Set<string>();
    if (store !== null) {
      const prefix = planManifestsOf(this.prefixOf(view), group, topic, partition);
      for await (const { key } of store.list(prefix, signal)) objects.add(key.slice(prefix.length));
    }
    if (outputs.bin !== null) {
      const within = viewPrefix('', view.declaration.name, view.definition);
      const folder = planManifestsOf(within, group, topic, partition);
      for (const name of await disk.list(join(outputs.bin.baseDirectory, folder))) folders.add(name);
    }
    return { objects, folders };
  }

  /** Files of the plan's segments, those of dropped hours left out. */
  private async sourcesOf(
    { plan, files }: PlanManifest,
    of: TopicPartition,
    isLocal: boolean,
    dropped: number | null,
  ): Promise<PartialSource[]> {
    const { disk } = this.parts;
    const { baseDirectory } = this.places();
    const hash = planHash(plan);
    const sources: PartialSource[] = [];
    for (const part of partsOf(files, of, isLocal ? baseDirectory : null).parts) {
      if (dropped !== null && part.hour <= dropped) continue;
      const object = part.tier === 'cold' ? part : (part.object ?? null);
      const parquet = object !== null;
      if (part.tier === 'warm' && (await isFolderOf(hash, part.folder, disk)))
        sources.push({ kind: 'file', part, bin: true, parquet });
      else if (object !== null) sources.push({ kind: 'file', part: object, bin: false, parquet });
    }
    return sources;
  }

  private places(): SealedPlaces {
    const { disk, outputs, store, prefix } = this.parts;
    return { disk, baseDirectory: outputs.bin?.baseDirectory ?? null, store, prefix };
  }

  private prefixOf({ declaration, definition }: PartialView): string {
    return viewPrefix(this.parts.prefix, declaration.name, definition);
  }

  private failed(view: string, { code, message }: FailureOf): void {
    this.parts.metrics.count('zepto_view_partials_failed_total', { code }, 1);
    this.sayOnce(
      `${view} ${code} ${message}`,
      { view, code, error: message },
      'partials of a view are not written',
    );
  }

  private denied(): void {
    this.mayRead = false;
    this.sayOnce(
      'denied',
      {},
      'the credential may not read objects: views that were made after their rows were sealed have no partials of them in the bucket',
    );
  }

  private sayOnce(what: string, fields: Readonly<Record<string, unknown>>, message: string): void {
    if (this.said.has(what) || this.said.size >= SAID_MAX) return;
    this.said.add(what);
    this.parts.logger.warn(fields, message);
  }

  private tell({ topic, partition }: TopicPartition, cause: unknown): void {
    const { code, message } = asZeptoError(cause);
    this.parts.metrics.count('zepto_view_partials_failed_total', { code }, 1);
    this.parts.logger.warn(
      { topic, partition, code, error: message },
      'missing partials of views could not be made, trying again later',
    );
  }
}

/** What became of the views of a job. */
type Done = readonly ViewPartialFiles[];
type Job = () => Promise<Done>;

/** An error is told when no job reads rows any more. */
async function atOnce(jobs: readonly Job[]): Promise<Done[]> {
  const running = jobs.map((job) => job());
  await Promise.allSettled(running);
  return Promise.all(running);
}

/** A plan that is sealed meanwhile waits for one of them at most. */
async function inTurn(jobs: readonly Job[]): Promise<Done[]> {
  const done: Done[] = [];
  for (const job of jobs) done.push(await job());
  return done;
}

/** Names of manifests that a view has records of, in the store and in the local folder. */
interface Standing {
  readonly objects: ReadonlySet<string>;
  readonly folders: ReadonlySet<string>;
}

/** Different troubles that are told. */
const SAID_MAX = 1_000;

const rowsOf = (source: PartialSource): number =>
  source.kind === 'rows' ? source.segment.rows : source.part.rows;
