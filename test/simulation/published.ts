// What: a published view in the simulated world: what a reader would answer, and what must stand in the view's topic.
// Why: buckets go out in the commit's transaction, so they must be neither lost nor older than before, whoever dies.
// Invariant: after each commit, a closed bucket stands with at least all rows below the record's `offsetNext`.

import { decodeMetadata } from '../../src/commit/metadata.ts';
import { bucketOfTime, type PublishedView, type PublishingPorts } from '../../src/engine/publishing.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { CommittedOffset, ViewRecord } from '../../src/ports.ts';
import type { ProcessClock } from './scheduler.ts';
import type { LogRecord, World } from './world.ts';

const HOUR_NS = 3_600_000_000_000n;
const LATENESS_MS = 1_000;

const view: PublishedView = { name: 'bars', topic: 'bars', stepNs: HOUR_NS, originNs: 0n };

/** Two of three worlds have it. */
export const isPublished = (seed: number): boolean => seed % 3 !== 0;

/** A view that lists the ids of its rows. `position`: to which the process has taken the partition in. */
export function publishingOf(
  world: World,
  clock: ProcessClock,
  partition: number,
  position: () => number,
): PublishingPorts {
  return {
    views: () => (world.isPublished ? [view] : []),
    bucketsOf: ({ from, to, corrected }) =>
      world.call(
        clock,
        () => {
          const below = position();
          const buckets = new Map<bigint, number[]>();
          for (const record of world.partitions[partition]!.records) {
            const bucket = bucketOf(record);
            const isWanted = (bucket >= from && bucket < to) || corrected.includes(bucket);
            if (!isRow(record) || record.offset >= below || !isWanted) continue;
            buckets.set(bucket, [...(buckets.get(bucket) ?? []), record.id]);
          }
          return [...buckets].map(([bucket, ids]) => recordOf(bucket, ids));
        },
        () => new ZeptoError('STORE_UNAVAILABLE', 'retry', 'lost'),
      ),
  };
}

/** Of a partition: the ids in each bucket as its topic has them. */
export class ViewTopic {
  private readonly values = new Map<string, ReadonlySet<number>>();
  private readonly world: World;

  constructor(world: World) {
    this.world = world;
  }

  /** What comes with a commit. */
  take(records: readonly ViewRecord[]): void {
    for (const { key, value } of records) {
      const name = Buffer.from(key).toString();
      const ids = new Set<number>(JSON.parse(Buffer.from(value).toString()));
      const lost = [...(this.values.get(name) ?? [])].filter((id) => !ids.has(id));
      if (lost.length > 0)
        this.world.violation(`bucket ${name} is published without row ${lost[0]}, which it had`);
      this.values.set(name, ids);
    }
  }

  /** Closed buckets hold the rows of `log` that the record says. */
  check(log: readonly LogRecord[], { offset, metadata }: CommittedOffset): void {
    const { published } = decodeMetadata(offset, metadata);
    if (published === null) return;
    const end = bucketOfTime(BigInt(published.closedMs - LATENESS_MS) * 1_000_000n, view);
    for (const record of log) {
      const bucket = bucketOf(record);
      if (!isRow(record) || record.offset >= published.offsetNext || bucket >= end) continue;
      if (this.values.get(String(bucket))?.has(record.id) !== true)
        this.world.violation(
          `row ${record.id} (${record.offset}) is missing from bucket ${bucket}, which closed`,
        );
    }
  }
}

/** Whatever the version of the table is. */
const isRow = ({ kind, fails }: LogRecord): boolean => kind === 'row' && fails === 'never';

const bucketOf = ({ timeNs, timestampMs }: LogRecord): bigint =>
  bucketOfTime(timeNs ?? BigInt(timestampMs) * 1_000_000n, view);

const recordOf = (bucket: bigint, ids: readonly number[]): ViewRecord => ({
  topic: view.topic,
  key: Buffer.from(String(bucket)),
  value: Buffer.from(JSON.stringify(ids)),
  headers: [],
});
