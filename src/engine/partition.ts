// What: one Kafka partition in the hands of its owner: recover, take records in, seal, commit.
// Why: one object owns the loop of one partition, so position, memory and commit record move together.
// Invariant: rows in memory + sealed rows + dead letters = records below the position, each once.

import { pieceEnd, type RecordBatch, type RowBuffer } from '../columns/batch.ts';
import {
  asCommitted,
  commitRecord,
  executePlan,
  fenceWithRetry,
  type KafkaPorts,
  nothingOutgoing,
  type PlanWork,
  type PlanWriter,
  type Publication,
  recordsAround,
} from '../commit/execute.ts';
import { type CommitRecord, encodeMetadata, freshRecord } from '../commit/metadata.ts';
import {
  type Choice,
  choosePlan,
  type PartitionView,
  type SealPolicy,
  type SealRequest,
} from '../commit/plan.ts';
import { type RecoverOptions, recover } from '../commit/recover.ts';
import { hourCovered, offsetPlanned, type Step } from '../commit/staircase.ts';
import type { SegmentFile } from '../format/segment.ts';
import { assert } from '../kernel/assert.ts';
import type { Clock } from '../kernel/clock.ts';
import { asZeptoError, ZeptoError } from '../kernel/errors.ts';
import type { Feed } from '../live/feed.ts';
import type { DeadLetter, Logger, Metrics, OffsetStore, TopicPartition } from '../ports.ts';
import type { SlabPool } from '../store/arena.ts';
import { bytesIn, freeRows, HotPartition, type HourRows, segmentsOf } from '../store/hot.ts';
import { GuardedLog } from './guarded-log.ts';
import { Publishing, type PublishingPorts } from './publishing.ts';
import type { SymbolAssigner } from './symbols.ts';
import type { Reading, TopicTable } from './topic-table.ts';

export interface PartitionPorts {
  readonly group: string;
  /** What the topic fills. */
  readonly table: TopicTable;
  readonly offsets: OffsetStore;
  readonly writer: PlanWriter | null;
  readonly symbols: SymbolAssigner;
  readonly pool: SlabPool;
  /** Seals write columns as they are: what they need to know of full chunks is found out at once. */
  readonly sealsRaw: boolean;
  /** To the threads that read rows. */
  readonly feed: Feed;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly policy: SealPolicy;
  readonly recovery: RecoverOptions;
  /** Views whose buckets go to topics. */
  readonly publishing: PublishingPorts;
  /** Whether any plan of this group and partition stands in the store; asked when the group has no record. */
  readonly hasPlans: (partition: TopicPartition) => Promise<boolean>;
  /** A plan was committed: its files are the truth, its rows leave memory. */
  readonly sealed: (work: PlanWork, files: readonly SegmentFile[], choice: Choice) => void;
  /** The partition can no longer go on here. */
  readonly failed: (partition: PartitionRun, error: ZeptoError) => void;
}

/** The catalogue topic is read as it grows. */
const VERSION_WAIT_MS = 30_000;
const VERSION_POLL_MS = 100;
/** A partition that has been silent for so long has come to the time of the wall clock. */
const SILENT_MS = 10_000;

interface Taken {
  records: number;
  rowsDecoded: number;
  tombstones: number;
}

export class PartitionRun {
  readonly partition: TopicPartition;
  /** Unique in the shard. */
  readonly id: number;
  /** What Kafka is known to hold. */
  record: CommitRecord = freshRecord();
  /** Next offset to take in. */
  position = 0;
  /** Last known end of the partition; −1 unknown. */
  endOffset = -1;
  readonly hot: HotPartition;
  private readonly publishing: Publishing;
  private readonly ports: PartitionPorts;
  /** How records are read: under one version of the table, from one plan of all hours to another. */
  private reading: Reading;
  private readonly labels: { topic: string; partition: string };
  private readonly log: GuardedLog;
  private readonly abort = new AbortController();
  private deadLetters: DeadLetter[] = [];
  private deadLetterBytesHeld = 0;
  /** Rows below this offset may be covered by the staircase that recovery found. */
  private coveredBelow = 0;
  /** Records below this offset were counted by an earlier plan. */
  private countedFrom = 0;
  private taken: Taken = { records: 0, rowsDecoded: 0, tombstones: 0 };
  private watermarkMs: number | null = null;
  private hourClosedLast = Number.NEGATIVE_INFINITY;
  private sealedAtMs = 0;
  private lastRowAtMs = 0;
  private committedMovedAtMs = 0;
  private bytesAhead = 0;
  private plan: Promise<void> | null = null;
  /** Recovered, and readers know that it runs. */
  private isTold = false;
  /** What the plan under way may have committed without this side knowing yet. */
  private inTransit: readonly CommitRecord[] = [];

  constructor(id: number, partition: TopicPartition, ports: PartitionPorts) {
    this.id = id;
    this.partition = partition;
    this.ports = ports;
    this.labels = { topic: partition.topic, partition: String(partition.partition) };
    this.reading = ports.table.at(ports.table.newest);
    this.publishing = new Publishing(ports.publishing, ports);
    this.hot = new HotPartition(
      this.reading.source.table,
      ports.pool,
      (hour, part, chunk) => ports.feed.tellChunk(id, hour, part, chunk),
      ports.sealsRaw,
    );
    this.log = new GuardedLog({
      log: ports.offsets.open(partition),
      ...{ run: this.abort, clock: ports.clock, logger: ports.logger },
      committed: (seconds) => ports.metrics.observe('zepto_commit_seconds', this.labels, seconds),
    });
  }

  /** What it fills. */
  get table(): TopicTable {
    return this.ports.table;
  }

  /** Of the table, under which records are taken in. */
  get tableVersion(): number {
    return this.reading.version;
  }

  get isSealing(): boolean {
    return this.plan !== null;
  }

  get isRecovered(): boolean {
    return this.isTold;
  }

  /** Not recovered, or still catching up with what an earlier run had planned: no new plan may be cut before that. */
  get isReplaying(): boolean {
    const from = Math.max(this.coveredBelow, this.publishing.offsetSeen);
    return !this.isTold || this.position < from || this.pendingStep !== null;
  }

  /** The announced plan that waits for its offset. */
  private get pendingStep(): Step | null {
    return this.plan === null ? this.record.pending : null;
  }

  get deadLetterBytes(): number {
    return this.deadLetterBytesHeld;
  }

  /** Fences, reads the commit record and prepares the replay from it. Returns the offset to consume from. */
  async recover(): Promise<number> {
    const { ports, partition } = this;
    const kafka = this.kafka();
    const found = await fenceWithRetry(kafka, this.abort.signal);
    // Whoever fences later is the owner, whichever of the two has recovered first.
    const sinceMs = ports.clock.nowMs();
    const bounds = await ports.offsets.bounds(partition);
    const recovery = recover(found, bounds, partition, ports.recovery);
    if (recovery.expectNoPlans && (await ports.hasPlans(partition)))
      throw new ZeptoError(
        'OFFSET_LOST',
        'stop',
        `${partition.topic}-${partition.partition}: group ${ports.group} has no offsets of its own, but its plans stand in the store: the offsets expired or were reset, and going on would double rows. Restore the group's offsets, or use a new --group with a new prefix`,
        { context: { ...partition } },
      );
    const record: CommitRecord = recovery.isNew
      ? { ...recovery.record, published: this.publishing.fresh(recovery.record.committed) }
      : recovery.record;
    if (recovery.isNew) await commitRecord(found, record, nothingOutgoing, kafka, this.abort.signal);
    if (recovery.recordsLost > 0) {
      ports.metrics.count('zepto_records_lost_total', this.labels, recovery.recordsLost);
      ports.logger.error({ ...partition, records: recovery.recordsLost }, 'records were lost to retention');
    }
    await this.knowVersion(record.tableVersion);
    this.record = record;
    this.publishing.begin(record.published, bounds.latest);
    // What is sealed above the committed offset, and what is announced, was read under the version of the record.
    const isBound = ports.writer !== null && (record.staircase.length > 0 || record.pending !== null);
    this.read(isBound ? record.tableVersion : ports.table.newest);
    this.position = Math.max(record.committed, bounds.earliest);
    this.endOffset = bounds.latest;
    this.coveredBelow = offsetPlanned(record.staircase, record.committed);
    this.countedFrom = this.coveredBelow;
    this.watermarkMs = record.watermarkHour === null ? null : record.watermarkHour * 3_600_000;
    const now = ports.clock.nowMs();
    this.sealedAtMs = now;
    this.lastRowAtMs = now;
    this.committedMovedAtMs = now;
    ports.logger.info(
      {
        ...partition,
        committed: record.committed,
        staircase: record.staircase.length,
        pending: record.pending?.offsetNext ?? null,
        incarnation: record.incarnation,
      },
      'partition recovered',
    );
    // Given up meanwhile: readers must not hear of it after its end.
    this.abort.signal.throwIfAborted();
    this.isTold = true;
    ports.feed.section(() =>
      ports.feed.tell({
        kind: 'run-begun',
        run: this.id,
        group: ports.group,
        ...partition,
        table: ports.table.source.table.name,
        schema: this.reading.source.table,
        record,
        sinceMs,
      }),
    );
    this.runPendingIfReached();
    return this.position;
  }

  /**
   * After a rebalance that left the partition here: fences again; true when Kafka still holds the very record that
   * this member left, so memory and position stand. False: this run is over, recover a new one.
   */
  revalidate(): Promise<boolean> {
    return this.log.revalidate(() => [this.record, ...this.inTransit]);
  }

  /** Takes records in: decodes, appends, moves the position. Runs the announced plan when its offset is reached. */
  async take(batch: RecordBatch): Promise<void> {
    if (this.abort.signal.aborted) return;
    this.endOffset = Math.max(this.endOffset, batch.endOffset);
    let from = lowerBound(batch.offset, batch.count, this.position);
    while (from < batch.count) {
      const stop = this.pendingStep;
      const end = stop === null ? batch.count : lowerBound(batch.offset, batch.count, stop.offsetNext);
      const to = pieceEnd(batch, from, end);
      const next = to < batch.count ? batch.offset[to]! : batch.offsetNext;
      if (to > from) await this.takeRange(batch, from, to, next);
      else this.position = next;
      if (this.abort.signal.aborted) return;
      this.runPendingIfReached();
      from = to;
    }
    if (batch.offsetNext > this.position) this.position = batch.offsetNext;
    this.runPendingIfReached();
  }

  /** Starts the next plan if one is due. Returns its promise, or the one under way, or null. */
  seal(request: SealRequest): Promise<void> | null {
    if (this.plan !== null || this.isReplaying || this.abort.signal.aborted) return this.plan;
    if (this.isOutdated && this.isFree) this.readNewest();
    const choice = choosePlan(this.view(), this.ports.policy, request, this.ports.clock.nowMs());
    return choice === null ? null : this.startPlan(choice);
  }

  /** Publishes what has closed or was corrected, in a commit of its own, if that is due and nothing else is under way. */
  publish(): void {
    if (this.plan !== null || this.isReplaying || this.abort.signal.aborted) return;
    if (!this.publishing.isDue(this.reachedMs)) return;
    this.plan = this.runPublication().finally(() => {
      this.inTransit = [];
      this.plan = null;
    });
  }

  view(): PartitionView {
    return {
      position: this.position,
      committed: this.record.committed,
      metadataChars: encodeMetadata(this.record).length,
      rows: this.hot.rows,
      bytes: this.hot.bytes + this.deadLetterBytesHeld,
      deadLetters: this.deadLetters.length,
      bytesAhead: this.bytesAhead,
      hours: this.hot.hours,
      watermarkMs: this.watermarkMs,
      hourClosedLast: this.hourClosedLast,
      sealedAtMs: this.sealedAtMs,
      lastRowAtMs: this.lastRowAtMs,
      committedMovedAtMs: this.committedMovedAtMs,
      isOutdated: this.isOutdated,
    };
  }

  /** Lets the oldest committed rows go whose hours may go, to be read from their files. Returns their bytes; 0 when there are none. */
  evict(mayGo: (hour: number) => boolean): number {
    const evicted = this.hot.evict(mayGo);
    if (evicted === null) return 0;
    this.leave(evicted.hours, evicted.files);
    return bytesIn(evicted.hours);
  }

  /**
   * Local folders whose rows stand in objects, or are dropped, are about to be removed. Resolves when nobody reads them any
   * more; false: readers have not heard of this run yet, or no longer do, and nothing may go.
   */
  async leaveFolders(folders: readonly string[]): Promise<boolean> {
    if (!this.isTold) return false;
    const { feed } = this.ports;
    this.hot.forgetFiles(new Set(folders));
    feed.section(() => feed.tell({ kind: 'folders-left', run: this.id, folders }));
    await new Promise<void>((resolve) => feed.retire(0, resolve));
    return true;
  }

  /** Ends this run: unsealed rows are dropped (they replay from Kafka), a plan under way is abandoned. Idempotent. */
  async close(): Promise<void> {
    this.abort.abort(new ZeptoError('CANCELLED', 'rejoin', 'the partition was given up'));
    await this.plan;
    const { feed } = this.ports;
    if (this.isTold) feed.section(() => feed.tell({ kind: 'run-ended', run: this.id }));
    this.isTold = false;
    const hours = this.hot.clear();
    feed.retire(bytesIn(hours), () => freeRows(hours));
    this.deadLetters = [];
    this.deadLetterBytesHeld = 0;
    await this.log.close();
  }

  /** Readers find these rows in their files from now on. */
  private leave(hours: readonly HourRows[], files: readonly SegmentFile[]): void {
    const { feed } = this.ports;
    const ids = hours.map(({ id }) => id);
    feed.section(() => feed.tell({ kind: 'hours-evicted', run: this.id, hours: ids, files }));
    feed.retire(bytesIn(hours), () => freeRows(hours));
  }

  private get isOutdated(): boolean {
    return this.reading.version < this.ports.table.newest;
  }

  /** Nothing has been read under the present version that a replay would have to read so again. */
  private get isFree(): boolean {
    return this.ports.writer === null || (this.record.staircase.length === 0 && this.taken.records === 0);
  }

  /**
   * Each member reads the catalogue for itself: who takes a partition over may not have come to what its last owner knew.
   * @throws ZeptoError METADATA_UNREADABLE when it does not come
   */
  private async knowVersion(version: number): Promise<void> {
    const { clock, table, logger } = this.ports;
    const startMs = clock.monotonicMs();
    while (version > table.newest) {
      if (clock.monotonicMs() - startMs > VERSION_WAIT_MS)
        throw new ZeptoError(
          'METADATA_UNREADABLE',
          'stop',
          `${this.partition.topic}-${this.partition.partition}: rows were sealed under version ${version} of table '${table.source.table.name}', of which this member knows ${table.newest}: all members need the same --catalogue-topic, and a table that was altered by SQL must not be declared in their configuration`,
          { context: { ...this.partition } },
        );
      logger.info(
        { ...this.partition, version },
        'waiting for the catalogue to tell of this version of the table',
      );
      await clock.sleep(VERSION_POLL_MS, this.abort.signal);
    }
  }

  private read(version: number): void {
    if (version === this.reading.version) return;
    this.reading = this.ports.table.at(version);
    this.hot.takeUp(this.reading.source.table);
  }

  /** Rows from here on are of the newest version of the table. */
  private readNewest(): void {
    const { feed, table } = this.ports;
    this.read(table.newest);
    const schema = this.reading.source.table;
    feed.section(() => feed.tell({ kind: 'schema-changed', run: this.id, schema }));
  }

  private kafka(): KafkaPorts {
    const { clock, logger } = this.ports;
    return {
      fence: () => this.log.fence(),
      commit: (...args) => this.log.commit(...args),
      ...{ clock, logger },
    };
  }

  /** Rows and position change in one go, with no await between: a plan cut there would hold rows above its offset. */
  private async takeRange(batch: RecordBatch, from: number, to: number, next: number): Promise<void> {
    const { ports } = this;
    const { signal } = this.abort;
    let reading: Reading;
    do {
      reading = this.reading;
      reading.rows.clear();
      await decodeWithRetry(reading, ports, batch, from, to, signal);
      await ports.symbols.resolve(reading.rows, reading.source.table, batch, signal);
      if (signal.aborted) return;
      // A plan may have ended the version while this waited.
    } while (reading !== this.reading);
    const { rows } = reading;
    const times = rows.columns[reading.source.table.timestampColumn]!;
    const isReplay = batch.offset[from]! < this.coveredBelow;
    const { staircase } = this.record;
    const covered = isReplay ? (offset: number): number => hourCovered(staircase, offset) : null;
    const appended = ports.feed.section(() => this.hot.append(rows, covered));
    this.position = next;
    this.countTaken(batch, from, to, rows);
    this.publishing.note(times.i32, rows.offset, rows.rows);
    this.keepDeadLetters(rows);
    this.advanceWatermark(appended.newestNs);
    if (rows.rows > 0) this.lastRowAtMs = ports.clock.nowMs();
    ports.metrics.count('zepto_kafka_messages_consumed_total', this.labels, to - from);
    const bytes = bytesOf(batch, from, to);
    this.bytesAhead += bytes;
    ports.metrics.count('zepto_kafka_bytes_consumed_total', this.labels, bytes);
    ports.metrics.count('zepto_ticks_ingested_total', this.labels, appended.rows);
  }

  private countTaken(batch: RecordBatch, from: number, to: number, rows: RowBuffer): void {
    const first = Math.max(from, lowerBound(batch.offset, to, this.countedFrom));
    const firstRow = lowerBound(rows.offset, rows.rows, this.countedFrom);
    const undecodable = rows.undecodable.filter(({ offset }) => offset >= this.countedFrom).length;
    let tombstones = 0;
    for (let i = first; i < to; i++) if (batch.valueLength[i]! < 0) tombstones++;
    if (undecodable > 0)
      this.ports.metrics.count('zepto_kafka_decode_errors_total', this.labels, undecodable);
    this.taken.records += to - first;
    this.taken.rowsDecoded += rows.rows - firstRow;
    this.taken.tombstones += tombstones;
  }

  /** Dead letters at offsets that a plan has covered were published with it. */
  private keepDeadLetters(rows: RowBuffer): void {
    for (const record of rows.undecodable) {
      if (record.offset < this.coveredBelow) continue;
      this.deadLetters.push(record);
      this.deadLetterBytesHeld += deadLetterBytes(record);
    }
  }

  private advanceWatermark(timeNs: number): void {
    const ms = timeNs / 1e6;
    if (ms > (this.watermarkMs ?? Number.NEGATIVE_INFINITY)) this.watermarkMs = ms;
  }

  /** Event time that buckets close by, ms. Ticks dated in the future do not close what the wall clock has not reached. */
  private get reachedMs(): number {
    const { clock } = this.ports;
    const nowMs = clock.nowMs();
    const isSilent = this.position >= this.endOffset && nowMs - this.lastRowAtMs >= SILENT_MS;
    return Math.max(0, isSilent ? nowMs : Math.min(nowMs, this.watermarkMs ?? 0));
  }

  private publication(): Promise<Publication> {
    return this.publishing.publication(this.reachedMs, () => this.position, this.abort.signal);
  }

  private async runPublication(): Promise<void> {
    const before = this.record;
    try {
      const { published, records } = await this.publication();
      const after = { ...before, published };
      this.inTransit = [after];
      const outgoing = { deadLetters: [], published: records };
      await commitRecord(asCommitted(before), after, outgoing, this.kafka(), this.abort.signal);
      this.record = after;
    } catch (cause) {
      if (!this.abort.signal.aborted) this.ports.failed(this, asZeptoError(cause));
    }
  }

  private runPendingIfReached(): void {
    const step = this.pendingStep;
    if (step !== null && this.position >= step.offsetNext) void this.startPlan({ trigger: 'recovery', step });
  }

  private startPlan(choice: Choice): Promise<void> {
    const { step } = choice;
    assert(this.hot.offsetNext <= step.offsetNext, 'a plan holds no row at or above its offset');
    const frozen = this.hot.freeze(step.hourLast);
    const deadLetters = this.deadLetters;
    const bytes = this.deadLetterBytesHeld;
    this.deadLetters = [];
    const { taken } = this;
    this.taken = { records: 0, rowsDecoded: 0, tombstones: 0 };
    this.countedFrom = step.offsetNext;
    const watermarkHour = this.watermarkMs === null ? null : Math.floor(this.watermarkMs / 3_600_000);
    const before = this.record;
    const { announced, after } = recordsAround(
      before,
      step,
      this.hot.offsetFirst ?? step.offsetNext,
      watermarkHour,
      // Without files nothing is ever read again as it was.
      this.ports.writer === null ? before.tableVersion : this.reading.version,
    );
    const work: PlanWork = {
      identity: {
        group: this.ports.group,
        topic: this.partition.topic,
        partition: this.partition.partition,
        incarnation: before.incarnation,
        hourLast: step.hourLast,
        offsetNext: step.offsetNext,
      },
      table: this.reading.source.table,
      tableNow: this.ports.table.source.table,
      segments: segmentsOf(frozen),
      deadLetters,
      counts: { ...taken, rowsUnsealed: this.hot.rows },
      before,
      after,
    };
    this.inTransit = [announced, after];
    const plan = this.runPlan(choice, work, announced, frozen).finally(() => {
      this.deadLetterBytesHeld -= bytes;
      this.inTransit = [];
      this.plan = null;
    });
    this.plan = plan;
    // It took all that was read under this version.
    if (step.hourLast === Number.POSITIVE_INFINITY && this.isOutdated) this.readNewest();
    return plan;
  }

  private async runPlan(
    choice: Choice,
    work: PlanWork,
    announced: CommitRecord,
    frozen: readonly HourRows[],
  ): Promise<void> {
    const { ports } = this;
    const started = ports.clock.monotonicMs();
    for (const hour of frozen) hour.state = 'FLUSHING';
    try {
      const files = await executePlan(
        work,
        announced,
        {
          ...this.kafka(),
          writer: ports.writer,
          publication: async () => {
            const publication = await this.publication();
            this.inTransit = [announced, { ...work.after, published: publication.published }];
            return publication;
          },
        },
        (record) => {
          if (record.committed > this.record.committed) {
            this.committedMovedAtMs = ports.clock.nowMs();
            this.bytesAhead = 0;
          }
          this.record = record;
        },
        this.abort.signal,
      );
      this.sealedAtMs = ports.clock.nowMs();
      if (choice.trigger === 'hour-closed') this.hourClosedLast = choice.step.hourLast;
      this.hot.settle(frozen, files);
      // Without files there is nothing behind memory: what a plan took is given up.
      if (ports.writer === null) this.evict(() => true);
      ports.sealed(work, files, choice);
      const rows = work.segments.reduce((sum, segment) => sum + segment.rows, 0);
      ports.metrics.count('zepto_ticks_stored_total', this.labels, rows);
      if (work.deadLetters.length > 0)
        ports.metrics.count('zepto_dead_letters_total', this.labels, work.deadLetters.length);
      ports.metrics.count('zepto_plans_committed_total', { ...this.labels, trigger: choice.trigger }, 1);
      ports.metrics.observe('zepto_plan_seconds', this.labels, (ports.clock.monotonicMs() - started) / 1000);
    } catch (cause) {
      const error = asZeptoError(cause);
      // The rows stay until this run is closed: their plan is in Kafka, and whoever owns the partition runs it again.
      if (!this.abort.signal.aborted) ports.failed(this, error);
    }
  }
}

/** First index in ascending `values[0, count)` whose value is at or above `wanted`. */
export function lowerBound(values: Float64Array, count: number, wanted: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[middle]! < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Of keys and values. */
function bytesOf(batch: RecordBatch, from: number, to: number): number {
  let bytes = 0;
  for (let i = from; i < to; i++)
    bytes += Math.max(0, batch.keyLength[i]!) + Math.max(0, batch.valueLength[i]!);
  return bytes;
}

const DEAD_LETTER_OVERHEAD_BYTES = 200;

function deadLetterBytes(letter: DeadLetter): number {
  return (letter.key?.length ?? 0) + (letter.value?.length ?? 0) + DEAD_LETTER_OVERHEAD_BYTES;
}

async function decodeWithRetry(
  { decoder, rows }: Reading,
  ports: PartitionPorts,
  batch: RecordBatch,
  from: number,
  to: number,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    try {
      const waiting = decoder.decode(batch, from, to, rows);
      if (waiting !== undefined) await waiting;
      return;
    } catch (cause) {
      const error = asZeptoError(cause);
      if (error.action !== 'retry') throw error;
      ports.logger.warn({ code: error.code, error: error.message }, 'decoding waits');
      await ports.clock.sleep(1_000, signal);
    }
  }
}
