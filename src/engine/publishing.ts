// What: which buckets of published views have closed or were corrected, as one run of a partition knows it.
// Why: a bucket is published when the partition's event time has passed its end, and again when a later row changes it.
// Invariant: what is known follows from the commit record and the rows from its `offsetNext` on, so a replay knows the same.

import type { Publication } from '../commit/execute.ts';
import type { Published } from '../commit/metadata.ts';
import type { Clock } from '../kernel/clock.ts';
import { asZeptoError } from '../kernel/errors.ts';
import type { Logger, Metrics, ViewRecord } from '../ports.ts';

/** A view whose buckets go to a topic. A bucket b covers event times [b, b + stepNs) ns. */
export interface PublishedView {
  readonly name: string;
  readonly topic: string;
  readonly stepNs: bigint;
  readonly originNs: bigint;
}

/** Buckets of one view, by their starts, ns since 1970 UTC. */
export interface WantedBuckets {
  readonly view: PublishedView;
  /** Those that have closed: [from, to). */
  readonly from: bigint;
  readonly to: bigint;
  /** Those that were published before; ascending. */
  readonly corrected: readonly bigint[];
}

export interface PublishingPorts {
  /** Of the partition's table, as the catalogue has them now. */
  readonly views: () => readonly PublishedView[];
  /**
   * The values of these buckets over the rows of this partition alone, all that were taken in before the call among them.
   * @throws ZeptoError SQL_*, LIMIT_EXCEEDED: the view cannot be computed; anything else may pass.
   */
  readonly bucketsOf: (wanted: WantedBuckets, signal: AbortSignal) => Promise<readonly ViewRecord[]>;
}

type LateBuckets = Map<string, Set<bigint>>;

/** Ticks of several symbols mostly come in order to within this. What comes later corrects what was published. */
const LATENESS_MS = 1_000;
/** At most one publication in this time, but for those that go with a plan. */
const REST_MS = 1_000;
const NS_PER_MS = 1_000_000n;
const HIGH = 2 ** 32;
/** Doubles of present times in ns are this far from the integers. */
const DOUBT_NS = 4_096;

export class Publishing {
  private readonly ports: PublishingPorts;
  private readonly parts: { readonly clock: Clock; readonly logger: Logger; readonly metrics: Metrics };
  private published: Published | null = null;
  /** Starts of buckets that rows from `offsetNext` on have changed after they closed, by view. */
  private late: LateBuckets = new Map();
  private restsUntilMs = Number.NEGATIVE_INFINITY;

  constructor(ports: PublishingPorts, parts: Publishing['parts']) {
    this.ports = ports;
    this.parts = parts;
  }

  /** As the commit record has it. `endOffset`: a log that has lost its end does not come to what was taken in of it. */
  begin(published: Published | null, endOffset: number): void {
    this.published = published && {
      closedMs: published.closedMs,
      offsetNext: Math.min(published.offsetNext, endOffset),
      offsetSeen: Math.min(published.offsetSeen, endOffset),
    };
  }

  /** Rows below this offset have to be taken in before anything is published again. */
  get offsetSeen(): number {
    return this.published?.offsetSeen ?? 0;
  }

  /** Event times of rows that were taken in, as halves of int64, and their offsets, which ascend. */
  note(times: Int32Array, offsets: Float64Array, rows: number): void {
    const { published } = this;
    if (published === null) return;
    for (const view of this.ports.views()) {
      const end = closedBy(published.closedMs, view);
      const surelyOpenNs = Number(end) + DOUBT_NS;
      // Inside of the bucket that was noted last: old rows mostly come together.
      let sameFromNs = Number.POSITIVE_INFINITY;
      let sameToNs = Number.NEGATIVE_INFINITY;
      for (let row = 0; row < rows; row++) {
        const aboutNs = times[2 * row + 1]! * HIGH + (times[2 * row]! >>> 0);
        if (aboutNs >= surelyOpenNs || (aboutNs >= sameFromNs && aboutNs < sameToNs)) continue;
        if (offsets[row]! < published.offsetNext) continue;
        const time = (BigInt(times[2 * row + 1]!) << 32n) | BigInt(times[2 * row]! >>> 0);
        if (time >= end) continue;
        const bucket = bucketOfTime(time, view);
        this.lateOf(view.name).add(bucket);
        sameFromNs = Number(bucket) + DOUBT_NS;
        sameToNs = Number(bucket + view.stepNs) - DOUBT_NS;
      }
    }
  }

  /** Whether a commit of its own is worth it. `reachedMs`: the event time that the partition has come to. */
  isDue(reachedMs: number): boolean {
    const views = this.ports.views();
    const { published } = this;
    if (views.length === 0 || this.parts.clock.monotonicMs() < this.restsUntilMs) return false;
    if (published === null || this.late.size > 0) return true;
    return views.some((view) => closedBy(reachedMs, view) > closedBy(published.closedMs, view));
  }

  /** What the record of a partition begins with of which no row was ever taken in: everything is published. */
  fresh(offset: number): Published | null {
    return this.ports.views().length === 0 ? null : { closedMs: 0, offsetNext: offset, offsetSeen: offset };
  }

  /**
   * What has closed by `reachedMs` or was corrected. Where nothing is published so far, publishing begins with what closes from
   * now on.
   */
  async publication(reachedMs: number, position: () => number, signal: AbortSignal): Promise<Publication> {
    const views = this.ports.views();
    this.restsUntilMs = this.parts.clock.monotonicMs() + REST_MS;
    if (views.length === 0) {
      this.published = null;
      this.late.clear();
      return { published: null, records: [] };
    }
    const offsetNext = position();
    const before = this.published;
    const closedMs = Math.floor(Math.max(reachedMs, before?.closedMs ?? 0));
    const { late } = this;
    const wanted = before === null ? [] : wantedOf(views, before.closedMs, closedMs, late);
    // Rows that come while the values are made may be in them or not: they count as late ones.
    this.late = new Map();
    this.published = { closedMs, offsetNext, offsetSeen: offsetNext };
    try {
      const records = await this.recordsOf(wanted, signal);
      this.published = { closedMs, offsetNext, offsetSeen: position() };
      return { published: this.published, records };
    } catch (cause) {
      signal.throwIfAborted();
      const { code, message } = asZeptoError(cause);
      this.parts.metrics.count('zepto_view_publications_failed_total', { code }, 1);
      this.parts.logger.warn({ code, error: message }, 'publishing views waits');
      this.published = {
        closedMs: this.notAfter(before?.closedMs ?? closedMs, [late, this.late]),
        offsetNext,
        offsetSeen: offsetNext,
      };
      this.late = new Map();
      return { published: this.published, records: [] };
    }
  }

  /** An event time by which none of these buckets had closed: with it in the record, they are published next time whoever does it. */
  private notAfter(closedMs: number, late: readonly LateBuckets[]): number {
    const starts = late.flatMap((views) => [...views.values()].flatMap((buckets) => [...buckets]));
    return Math.min(closedMs, ...starts.map((start) => Number(start / NS_PER_MS) + LATENESS_MS));
  }

  private async recordsOf(wanted: readonly WantedBuckets[], signal: AbortSignal): Promise<ViewRecord[]> {
    const records: ViewRecord[] = [];
    for (const one of wanted)
      try {
        const found = await this.ports.bucketsOf(one, signal);
        for (const record of found) records.push(record);
        this.parts.metrics.count('zepto_view_buckets_published_total', { view: one.view.name }, found.length);
      } catch (cause) {
        signal.throwIfAborted();
        const { code, message } = asZeptoError(cause);
        if (!code.startsWith('SQL_') && code !== 'LIMIT_EXCEEDED') throw cause;
        // It will not pass: other views and the rows must not wait for it.
        this.parts.metrics.count('zepto_view_publications_failed_total', { code }, 1);
        this.parts.logger.error(
          { view: one.view.name, code, error: message },
          'buckets of a view were not published',
        );
      }
    return records;
  }

  private lateOf(view: string): Set<bigint> {
    const known = this.late.get(view);
    if (known !== undefined) return known;
    const made = new Set<bigint>();
    this.late.set(view, made);
    return made;
  }
}

function wantedOf(
  views: readonly PublishedView[],
  beforeMs: number,
  closedMs: number,
  late: LateBuckets,
): WantedBuckets[] {
  return views.flatMap((view) => {
    const from = closedBy(beforeMs, view);
    const to = closedBy(closedMs, view);
    const corrected = [...(late.get(view.name) ?? [])].sort((a, b) => (a < b ? -1 : 1));
    return to > from || corrected.length > 0 ? [{ view, from, to, corrected }] : [];
  });
}

/** The start of the first bucket that is open at this event time. */
const closedBy = (reachedMs: number, view: PublishedView): bigint =>
  bucketOfTime(BigInt(Math.floor(reachedMs - LATENESS_MS)) * NS_PER_MS, view);

/** The start of the bucket that a time falls in. */
export function bucketOfTime(
  timeNs: bigint,
  { stepNs, originNs }: Pick<PublishedView, 'stepNs' | 'originNs'>,
): bigint {
  const since = timeNs - originNs;
  const within = since % stepNs;
  return timeNs - (within < 0n ? within + stepNs : within);
}
