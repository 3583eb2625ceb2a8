// What: carries a plan out: announce, write, commit. The one place that makes data visible.
// Why: exactly once rests on the order of these three steps, so nothing else in the system performs them.
// Invariant: no file of a plan is written before its intent is committed; after a crash at any point the same plan runs again.

import type { TableSchema } from '../columns/types.ts';
import type { PlanIdentity, SegmentFile, SegmentSource } from '../format/segment.ts';
import { assert } from '../kernel/assert.ts';
import { backoffMs, type Clock } from '../kernel/clock.ts';
import { asZeptoError, ZeptoError } from '../kernel/errors.ts';
import type { CommitLog, CommittedOffset, DeadLetter, Logger, ViewRecord } from '../ports.ts';
import { type CommitRecord, encodeMetadata, type Published } from './metadata.ts';
import { climb, prune, type Step } from './staircase.ts';

/** What a plan took in since the plan before it, in rows and records. */
export interface PlanCounts {
  /** Kafka records at offsets [offset planned before, offsetNext). */
  readonly records: number;
  /** Rows decoded from them. */
  readonly rowsDecoded: number;
  /** Records without a value. */
  readonly tombstones: number;
  /** Rows below offsetNext that stay unsealed after this plan. */
  readonly rowsUnsealed: number;
}

/** All that a plan's files and manifest are made of; the same after every replay. */
export interface PlanWork {
  readonly identity: PlanIdentity;
  /** Of the rows. */
  readonly table: TableSchema;
  /** It may have other columns by now, which views read. */
  readonly tableNow: TableSchema;
  readonly segments: readonly SegmentSource[];
  readonly deadLetters: readonly DeadLetter[];
  readonly counts: PlanCounts;
  readonly before: CommitRecord;
  readonly after: CommitRecord;
}

/** Makes a plan's files and its manifest. Null where plans leave no files (PURE_IN_MEMORY). */
export interface PlanWriter {
  /** Retries what may pass until the signal aborts. Writing the same work again changes nothing. */
  write(work: PlanWork, signal: AbortSignal): Promise<readonly SegmentFile[]>;
}

/** What talking to Kafka about a commit takes. */
export interface KafkaPorts extends Pick<CommitLog, 'fence' | 'commit'> {
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface ExecutePorts extends KafkaPorts {
  readonly writer: PlanWriter | null;
  /** What views publish with a plan's commit: over all rows of the plan, later ones may be in it. */
  readonly publication: () => Promise<Publication>;
}

/** What views publish, and how far they have come with it. */
export interface Publication {
  readonly published: Published | null;
  readonly records: readonly ViewRecord[];
}

/** Records that become visible with a commit. */
export interface Outgoing {
  readonly deadLetters: readonly DeadLetter[];
  readonly published: readonly ViewRecord[];
}

export const nothingOutgoing: Outgoing = { deadLetters: [], published: [] };

/**
 * The record while a plan is under way, and after it. `committedNext` is the first offset that stays unsealed. The version of
 * the table changes only where nothing that is sealed above the committed offset was read under another one.
 */
export function recordsAround(
  before: CommitRecord,
  step: Step,
  committedNext: number,
  watermarkHour: number | null,
  tableVersion: number,
): { announced: CommitRecord; after: CommitRecord } {
  assert(
    tableVersion === before.tableVersion || (before.staircase.length === 0 && before.pending === null),
    'a plan is of the same version of its table as those that it stands on',
  );
  return {
    announced: { ...before, watermarkHour, pending: step, tableVersion },
    after: {
      committed: committedNext,
      incarnation: before.incarnation,
      watermarkHour,
      staircase: prune(climb(before.staircase, step), committedNext),
      pending: null,
      tableVersion,
      published: before.published,
    },
  };
}

/**
 * Runs one plan to its commit. `held` is called with each record once it is known to be committed.
 * @throws ZeptoError FENCED (rejoin) when another owner took over; the signal's reason when aborted. Either way nothing
 *   is lost: the plan is run again by whoever owns the partition.
 */
export async function executePlan(
  work: PlanWork,
  announced: CommitRecord,
  ports: ExecutePorts,
  held: (record: CommitRecord) => void,
  signal: AbortSignal,
): Promise<readonly SegmentFile[]> {
  const isAnnounced = work.before.pending !== null;
  if (ports.writer !== null && !isAnnounced) {
    await commitRecord(asCommitted(work.before), announced, nothingOutgoing, ports, signal);
    held(announced);
  }
  const standing = ports.writer === null ? work.before : announced;
  const files = ports.writer === null ? [] : await ports.writer.write(work, signal);
  const { published, records } = await ports.publication();
  const after = { ...work.after, published };
  const outgoing = { deadLetters: work.deadLetters, published: records };
  await commitRecord(asCommitted(standing), after, outgoing, ports, signal); // THE COMMIT POINT
  held(after);
  return files;
}

/**
 * Replaces what Kafka holds, `from`, by `to`, whatever happens to single calls: an unknown outcome is settled by
 * fencing and looking, so what goes out with `to` goes out once.
 */
export async function commitRecord(
  from: CommittedOffset | null,
  to: CommitRecord,
  { deadLetters, published }: Outgoing,
  ports: KafkaPorts,
  signal: AbortSignal,
): Promise<void> {
  const metadata = encodeMetadata(to);
  for (let attempt = 0; ; attempt++) {
    signal.throwIfAborted();
    try {
      await ports.commit(to.committed, metadata, deadLetters, published);
      return;
    } catch (cause) {
      const error = asZeptoError(cause);
      if (error.action !== 'retry') throw error;
      ports.logger.warn(
        { code: error.code, attempt, error: error.message },
        'commit unsettled, looking it up',
      );
    }
    await ports.clock.sleep(backoffMs(attempt, 50, 5_000, ports.clock), signal);
    const found = await fenceWithRetry(ports, signal);
    if (sameCommitted(found, asCommitted(to))) return;
    if (!sameCommitted(found, from)) {
      throw new ZeptoError('FENCED', 'rejoin', 'another owner has committed this partition in the meantime');
    }
  }
}

/** Fences the partition and reads its record, until Kafka answers or the signal aborts. */
export async function fenceWithRetry(
  ports: Omit<KafkaPorts, 'commit'>,
  signal: AbortSignal,
): Promise<CommittedOffset | null> {
  for (let attempt = 0; ; attempt++) {
    signal.throwIfAborted();
    try {
      return await ports.fence();
    } catch (cause) {
      const error = asZeptoError(cause);
      if (error.action !== 'retry') throw error;
      ports.logger.warn({ code: error.code, attempt, error: error.message }, 'cannot fence, trying again');
      await ports.clock.sleep(backoffMs(attempt, 100, 10_000, ports.clock), signal);
    }
  }
}

export function asCommitted(record: CommitRecord): CommittedOffset {
  return { offset: record.committed, metadata: encodeMetadata(record) };
}

export function sameCommitted(a: CommittedOffset | null, b: CommittedOffset | null): boolean {
  if (a === null || b === null) return a === b;
  return a.offset === b.offset && a.metadata === b.metadata;
}
