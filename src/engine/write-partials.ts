// What: a job of view partials carried out: for each segment and view one Parquet object, one `.bin` folder, or both.
// Why: it runs in an encoder thread, for segments on their way to their files, or over such files later.
// Invariant: running the same job again leaves the same files; what one view cannot have keeps no other from having its own.

import { storedColumns, type TableSchema } from '../columns/types.ts';
import { type BinOutput, writeBinFolder } from '../format/bin-folder.ts';
import { crc32cOf, crc32cText } from '../format/crc32c.ts';
import { binPartialFolder, flatKey, hiveKey, planHash, viewPrefix } from '../format/layout.ts';
import { parquetEncoder } from '../format/parquet.ts';
import { planRecord } from '../format/plan-record.ts';
import { PARQUET_CONTENT_TYPE } from '../format/put-parquet.ts';
import type {
  ParquetOptions,
  PlanIdentity,
  SegmentFile,
  SegmentOutputs,
  SegmentSource,
} from '../format/segment.ts';
import { type SegmentColumns, sortedColumns } from '../format/segment-columns.ts';
import { asZeptoError } from '../kernel/errors.ts';
import { inLanes } from '../kernel/lanes.ts';
import type { Disk, ObjectStore } from '../ports.ts';
import type { ColdPart, HotPart, Names, Part, WarmPart } from '../query/snapshot.ts';
import { type Partial, PartialView } from '../query/view/partial.ts';
import type { ViewDeclaration } from '../query/view/view.ts';

export interface PartialJob {
  readonly plan: PlanIdentity;
  /** As the views read it. */
  readonly table: TableSchema;
  readonly views: readonly ViewDeclaration[];
  readonly sources: readonly PartialSource[];
  readonly outputs: SegmentOutputs;
  /** What the groups of one segment may take. */
  readonly bytesMax: number;
}

/** A segment in memory, or a file of one with the kinds of partials that are wanted of it. */
export type PartialSource =
  | {
      readonly kind: 'rows';
      readonly segment: SegmentSource /** Of the rows. */;
      readonly table: TableSchema;
    }
  | {
      readonly kind: 'file';
      readonly part: WarmPart | ColdPart;
      readonly bin: boolean;
      readonly parquet: boolean;
    };

/** What became of a view. */
export interface ViewPartialFiles {
  readonly files: readonly SegmentFile[];
  /** Why some of its partials cannot be made or written; null: all stand. */
  readonly failure: { readonly code: string; readonly message: string } | null;
}

export interface PartialPorts {
  readonly disk: Disk;
  readonly store: ObjectStore | null;
  readonly names: Names;
  readonly monotonicMs: () => number;
  /** Segments under way at the same time. */
  readonly concurrency: number;
}

/**
 * Resolves with what became of each view, in their order.
 * @throws the first error of disk or store that says nothing about a view; or the signal's reason.
 */
export async function writePartials(
  job: PartialJob,
  ports: PartialPorts,
  signal: AbortSignal,
): Promise<ViewPartialFiles[]> {
  const writers = job.views.map((declaration) => new ViewWriter(declaration, job, ports));
  await inLanes(job.sources, ports.concurrency, signal, async (source, either) => {
    const opened = openSource(source, job.plan);
    for (const writer of writers) await writer.write(opened, either);
  });
  return writers.map(({ files, failure }) => ({ files, failure }));
}

/** Wanted outputs of one segment, and its rows as a part. */
interface OpenSource {
  readonly part: HotPart | WarmPart | ColdPart;
  readonly bin: boolean;
  readonly parquet: boolean;
  /** The object's bytes: read once for all views. */
  bytes: Promise<Uint8Array> | null;
}

function openSource(source: PartialSource, { topic, partition }: PlanIdentity): OpenSource {
  if (source.kind === 'file') return { ...source, bytes: null };
  const { segment, table } = source;
  const { symbol, hour } = segment;
  const { rows, columns, timestampMin, timestampMax } = sortedColumns(segment, table);
  const part: HotPart = {
    ...{ tier: 'hot', id: '', topic, partition, symbol, hour, rows },
    ...{ timestampMin, timestampMax, isSorted: true },
    stored: storedColumns(table),
    runs: columns[0]!.map((first, k) => ({
      rows: first.length,
      columns: columns.map((parts) => parts[k]!),
    })),
  };
  return { part, bin: true, parquet: true, bytes: null };
}

/** The partials of one view. */
class ViewWriter {
  readonly files: SegmentFile[] = [];
  failure: ViewPartialFiles['failure'] = null;
  private readonly job: PartialJob;
  private readonly ports: PartialPorts;
  private readonly view: PartialView | null;

  constructor(declaration: ViewDeclaration, job: PartialJob, ports: PartialPorts) {
    this.job = job;
    this.ports = ports;
    this.view = this.orFailed(() => new PartialView(declaration, job.table));
  }

  async write(source: OpenSource, signal: AbortSignal): Promise<void> {
    const { view } = this;
    const { bin, parquet } = this.job.outputs;
    if (view === null || this.failure !== null) return;
    const made = await this.made(view, source, parquet !== null && source.parquet ? parquet : null, signal);
    if (made === null) return;
    const { partial, body } = made;
    if (bin !== null && source.bin && !partial.hasComputedTexts)
      this.files.push(await this.writeBin(view, source, partial, bin));
    if (parquet !== null && body !== null)
      await this.writeParquet(view, source, partial, body, parquet, signal);
  }

  /** A partial, and its object. Null: no row of the segment is in the view, the segment is gone, or the view has failed. */
  private async made(
    view: PartialView,
    source: OpenSource,
    parquet: ParquetOptions | null,
    signal: AbortSignal,
  ): Promise<{ partial: Partial; body: Uint8Array | null } | null> {
    const { plan, bytesMax } = this.job;
    const { disk, store, names, monotonicMs } = this.ports;
    const options = {
      ...{ names, disk, monotonicMs, nowNs: 0n, signal },
      limits: { rowsMax: Number.MAX_SAFE_INTEGER, bytesMax, timeoutMs: Number.MAX_SAFE_INTEGER },
      cold: (key: string): Promise<Uint8Array> => {
        source.bytes ??= store!.get(key, signal);
        return source.bytes;
      },
    };
    try {
      const partial = await view.make(source.part, plan, options);
      if (partial === null) return null;
      return { partial, body: parquet === null ? null : await this.encoded(view, source, partial, parquet) };
    } catch (cause) {
      signal.throwIfAborted();
      const { code } = asZeptoError(cause);
      // Dropped meanwhile, or by a lifecycle rule of the bucket.
      if (code === 'STORE_NO_OBJECT') return null;
      if (isOfSource(code)) throw cause;
      this.fail(cause);
      return null;
    }
  }

  private encoded(
    view: PartialView,
    { part }: OpenSource,
    partial: Partial,
    options: ParquetOptions,
  ): Promise<Uint8Array> {
    const { source, sql } = view.declaration;
    const parts = view.columns.map(({ name, of, part: ofState }) => ({ name, of, part: ofState }));
    const about = { view: { definition: view.definition, source, query: sql, parts } };
    const encode = parquetEncoder(this.job.plan, view.table, options, partial.strings, about);
    return encode(part.symbol, part.hour, columnsOf(partial, part));
  }

  private writeBin(
    view: PartialView,
    { part }: OpenSource,
    partial: Partial,
    output: BinOutput,
  ): Promise<SegmentFile> {
    const plan = planRecord(this.job.plan);
    const { symbol, hour } = part;
    const path = binPartialFolder(prefixOf(view, ''), { symbol, hour, hash: plan.hash });
    const key = { plan, table: view.table, symbol, hour, paths: [path] };
    // What a loss of power takes of it can be made again, and its checksums tell.
    const unsynced = { ...output, sync: false };
    return writeBinFolder(key, async () => columnsOf(partial, part), unsynced, this.ports.disk);
  }

  private async writeParquet(
    view: PartialView,
    { part }: OpenSource,
    { rows }: Partial,
    body: Uint8Array,
    options: ParquetOptions,
    signal: AbortSignal,
  ): Promise<void> {
    const { symbol, hour } = part;
    const within = prefixOf(view, options.prefix);
    const name = { symbol, hour, hash: planHash(this.job.plan) };
    const path = options.layout === 'hive' ? hiveKey(within, name) : flatKey(within, name, options.flatEpoch);
    try {
      await this.ports.store!.put(path, body, { contentType: PARQUET_CONTENT_TYPE, signal });
    } catch (cause) {
      // Segments may be written here, views may not: the way of rows is not held up by that.
      if (asZeptoError(cause).code !== 'STORE_DENIED') throw cause;
      this.fail(cause);
      return;
    }
    this.files.push({
      ...{ kind: 'parquet', table: view.declaration.name, symbol, hour, path, rows, bytes: body.length },
      crc32c: crc32cText(crc32cOf([body])),
      timestampMin: String(part.timestampMin),
      timestampMax: String(part.timestampMax),
    });
  }

  private orFailed<T>(make: () => T): T | null {
    try {
      return make();
    } catch (cause) {
      this.fail(cause);
      return null;
    }
  }

  private fail(cause: unknown): void {
    const { code, message } = asZeptoError(cause);
    this.failure = { code, message };
  }
}

/** Trouble with what is read, which says nothing about a view. */
const isOfSource = (code: string): boolean => /^(STORE|DISK|FORMAT)_/.test(code);

const columnsOf = ({ rows, columns }: Partial, { timestampMin, timestampMax }: Part): SegmentColumns => ({
  ...{ rows, columns: columns.map((column) => [column]) },
  // A segment's times are known without reading it.
  ...{ timestampMin: timestampMin!, timestampMax: timestampMax! },
});

const prefixOf = ({ declaration, definition }: PartialView, prefix: string): string =>
  viewPrefix(prefix, declaration.name, definition);
