// What: writes a plan's files and then its manifest, to the local folder and the object store.
// Why: the commit needs one call that ends when everything the plan names is durable where it has to be.
// Invariant: the manifest comes last; what it lists is there. Writing the same plan again changes nothing.

import { ColumnType, NULL_CODE, storedColumns, type TableSchema } from '../columns/types.ts';
import type { PlanWork, PlanWriter } from '../commit/execute.ts';
import { offsetPlanned } from '../commit/staircase.ts';
import { planManifestKey, symbolNamesKey } from '../format/layout.ts';
import { deadLetterRanges, encodeManifest } from '../format/manifest.ts';
import type { EncodeJob, SegmentFile, SegmentOutputs, SegmentSource } from '../format/segment.ts';
import { backoffMs, type Clock } from '../kernel/clock.ts';
import { asZeptoError } from '../kernel/errors.ts';
import { inLanes } from '../kernel/lanes.ts';
import type { Disk, Logger, Metrics, ObjectStore } from '../ports.ts';
import { inJobs } from './jobs.ts';
import { writeLocalManifest } from './local-manifest.ts';

/** Runs one encode job on some thread. */
export type RunJob = (job: EncodeJob, signal: AbortSignal) => Promise<SegmentFile[]>;

export interface PlanWriterParts {
  readonly outputs: SegmentOutputs;
  /** Key prefix in the object store. */
  readonly prefix: string;
  /** Null: the cold tier is off. */
  readonly store: ObjectStore | null;
  readonly disk: Disk;
  readonly run: RunJob;
  /** Writes what views have of a plan's segments; null: nothing is wanted of them. */
  readonly partials: ((work: PlanWork, signal: AbortSignal) => Promise<void>) | null;
  readonly names: readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export function createPlanWriter(parts: PlanWriterParts): PlanWriter {
  let namesWritten = 0;

  async function write(work: PlanWork, signal: AbortSignal): Promise<readonly SegmentFile[]> {
    const jobs = jobsOf(work, parts.outputs, parts.names);
    // Ends when no job is under way any more: whoever gives the plan up frees the memory that they read.
    const written: SegmentFile[][] = [];
    await inLanes(jobs.entries(), Math.max(1, jobs.length), signal, async ([at, job], either) => {
      written[at] = await patiently(() => parts.run(job, either), either);
    });
    const files = written.flat();
    const { partials } = parts;
    if (partials !== null) await patiently(() => partials(work, signal), signal);
    await patiently(() => writeNames(work.identity.group, signal), signal);
    const manifest = encodeManifest(manifestOf(work, files));
    await patiently(() => writeManifest(work, manifest, signal), signal);
    return files;
  }

  /** The names of all ids so far, as a file of their own each time there are more: readers join the newest. */
  async function writeNames(group: string, signal: AbortSignal): Promise<void> {
    const count = parts.names.length;
    if (parts.store === null || count <= namesWritten) return;
    const csv = ['id,name', ...parts.names.slice(0, count).map((name, id) => `${id},${csvField(name)}`), ''];
    const key = symbolNamesKey(parts.prefix, group, 0, count - 1);
    await parts.store.put(key, Buffer.from(csv.join('\n')), { contentType: 'text/csv', signal });
    namesWritten = count;
  }

  async function writeManifest(work: PlanWork, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    const { bin } = parts.outputs;
    if (bin !== null) await writeLocalManifest(planManifestKey('', work.identity), bytes, bin, parts.disk);
    if (parts.store === null) return;
    const key = planManifestKey(parts.prefix, work.identity);
    await parts.store.put(key, bytes, { contentType: 'application/json', signal });
  }

  /** Whatever the store or the disk says, rows are kept and tried again: the memory budget slows the consumer meanwhile. */
  async function patiently<T>(attempt: () => Promise<T>, signal: AbortSignal): Promise<T> {
    for (let failures = 0; ; failures++) {
      signal.throwIfAborted();
      try {
        return await attempt();
      } catch (cause) {
        signal.throwIfAborted();
        const error = asZeptoError(cause);
        if (!isOutside(error.code)) throw error;
        parts.metrics.count('zepto_plan_write_failures_total', { code: error.code }, 1);
        parts.logger.error(
          { code: error.code, failures, error: error.message },
          'sealing waits, rows stay in memory',
        );
        await parts.clock.sleep(backoffMs(failures, 200, 15_000, parts.clock), signal);
      }
    }
  }

  return { write };
}

/** Trouble outside the process that an operator or time can mend while rows wait; anything else is a defect and stops. */
function isOutside(code: string): boolean {
  return code.startsWith('STORE_') || code.startsWith('DISK_');
}

function manifestOf(work: PlanWork, files: readonly SegmentFile[]): Parameters<typeof encodeManifest>[0] {
  const { before, after, counts, deadLetters } = work;
  return {
    plan: work.identity,
    table: work.table.name,
    previousOffsetNext: offsetPlanned(before.staircase, before.committed),
    committedBefore: { offset: before.committed, staircase: before.staircase },
    committedAfter: { offset: after.committed, staircase: after.staircase },
    counts: {
      ...counts,
      deadLettered: deadLetters.length,
      rowsSealed: work.segments.reduce((sum, { rows }) => sum + rows, 0),
    },
    deadLetters: deadLetterRanges(deadLetters),
    files,
  };
}

function jobsOf(work: PlanWork, outputs: SegmentOutputs, names: readonly string[]): EncodeJob[] {
  return inJobs(work.segments, ({ rows }) => rows).map((segments) => ({
    plan: work.identity,
    table: work.table,
    segments,
    outputs,
    strings: stringsOf(work.table, segments, names),
  }));
}

/** Names of the STRING codes that occur in the segments. */
function stringsOf(
  table: TableSchema,
  segments: readonly SegmentSource[],
  names: readonly string[],
): Map<number, string> {
  const strings = new Map<number, string>();
  const columns = storedColumns(table).flatMap(({ type }, i) => (type === ColumnType.STRING ? [i] : []));
  for (const column of columns)
    for (const segment of segments)
      for (const chunk of segment.chunks)
        for (const code of chunk.columns[column] as Uint32Array)
          if (code !== NULL_CODE && !strings.has(code)) strings.set(code, names[code]!);
  return strings;
}

const csvField = (name: string): string => (/[",\r\n]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name);
