// What: one consumer-group member: its partitions, its memory budget, its seals.
// Why: single-threaded and sharing nothing, so more cores or machines are more members of the same group.
// Invariant: a partition is taken in only by the run that fenced it; leaving or failing drops memory, never rows.

import type { RecordBatch } from '../columns/batch.ts';
import { policyHours, type StoragePolicy } from '../columns/storage-policy.ts';
import type { SealRequest } from '../commit/plan.ts';
import { backoffMs, type Timer } from '../kernel/clock.ts';
import { asZeptoError, ZeptoError } from '../kernel/errors.ts';
import type { SourceListener, TickSource, TopicPartition } from '../ports.ts';
import { topicPartitionKey } from '../ports.ts';
import { bytesOver, type MemoryBudget, type Pressure, pressureOf } from './budget.ts';
import { type PartitionPorts, PartitionRun } from './partition.ts';
import type { SettledPartition } from './view-partials.ts';

const HOUR_MS = 3_600_000;

/** What a partition run needs besides what the shard adds. */
export type PartitionParts = Omit<PartitionPorts, 'failed'>;

export interface ShardParts {
  readonly source: TickSource;
  /** Parts for a partition's run, by the table that its topic feeds. */
  readonly partitionParts: (partition: TopicPartition) => PartitionParts;
  readonly common: Pick<PartitionParts, 'clock' | 'logger' | 'metrics' | 'pool' | 'feed'>;
  readonly budget: MemoryBudget;
  /** Committed rows stay in memory until their hour ended this long ago, or memory is needed. */
  readonly hotMs: number;
  /** Of a table that has one, as it is now. */
  readonly policyOf: (table: string) => StoragePolicy | null;
  /** How often seals and memory are looked at. */
  readonly checkIntervalMs: number;
  /** The shard cannot go on: an operator must act. Called once. */
  readonly stopped: (error: ZeptoError) => void;
}

export interface PartitionStats {
  readonly topic: string;
  readonly partition: number;
  readonly table: string;
  /** Under which records are taken in. */
  readonly tableVersion: number;
  readonly position: number;
  readonly committed: number;
  readonly endOffset: number;
  readonly rowsHot: number;
  readonly bytesHot: number;
  /** Of committed rows that are still in memory. */
  readonly bytesFlushed: number;
  readonly staircase: number;
  readonly state: 'REPLAYING' | 'ACTIVE' | 'FLUSHING';
}

export interface ShardStats {
  readonly state: 'joining' | 'running' | 'stopped';
  readonly usedBytes: number;
  readonly budgetBytes: number;
  readonly isPaused: boolean;
  readonly partitions: readonly PartitionStats[];
}

export class Shard implements SourceListener {
  private readonly parts: ShardParts;
  private readonly runs = new Map<string, PartitionRun>();
  private readonly closing = new Set<Promise<void>>();
  private timer: Timer | null = null;
  private state: ShardStats['state'] = 'joining';
  private pressure: Pressure = 'none';
  private paused: readonly TopicPartition[] = [];
  /** Aborted by the next assignment and by a loss: recovering for it is in vain then. */
  private assignment = new AbortController();
  private isRejoining = false;
  /** Since the last rejoining began a partition was given up. */
  private wantsRejoin = false;
  private nextRun = 0;

  constructor(parts: ShardParts) {
    this.parts = parts;
  }

  async start(): Promise<void> {
    const { clock } = this.parts.common;
    this.timer = clock.every(this.parts.checkIntervalMs, () => this.check());
    await this.parts.source.start(this);
  }

  /** Consumes these topics from now on; partitions of others are let go when the group has shared them out anew. */
  subscribe(topics: readonly string[]): void {
    this.parts.source.subscribe(topics);
  }

  /** A rebalance ended. What stays and holds what it left keeps its memory; the rest recovers from Kafka. */
  async assigned(partitions: readonly TopicPartition[]): Promise<ReadonlyMap<string, number>> {
    const { signal } = this.voidAssignment();
    const wanted = new Set(partitions.map(topicPartitionKey));
    for (const [key, run] of this.runs) if (!wanted.has(key)) this.drop(key, run);
    this.parts.common.metrics.count('zepto_rebalances_total', {}, 1);
    let positions: (readonly [string, number])[];
    try {
      positions = await Promise.all(
        partitions.map(async (partition) => {
          const run = await this.runOf(partition, signal);
          return [topicPartitionKey(partition), run.position] as const;
        }),
      );
    } catch (cause) {
      if (!signal.aborted) this.fail(asZeptoError(cause));
      throw cause;
    }
    if (signal.aborted) return new Map(positions);
    this.state = 'running';
    this.paused = [];
    this.applyPressure();
    // Given up while others recovered: nobody would take its records in.
    if (positions.some(([key]) => !this.runs.has(key))) void this.rejoin();
    return new Map(positions);
  }

  lost(): void {
    this.voidAssignment();
    if (this.state === 'running') this.state = 'joining';
    // What it waits for may be away for long, and the next assignment waits for it.
    for (const [key, run] of this.runs) if (!run.isRecovered) this.drop(key, run);
  }

  async records(batch: RecordBatch): Promise<void> {
    const run = this.runs.get(topicPartitionKey(batch));
    if (run === undefined) return;
    try {
      await run.take(batch);
    } catch (cause) {
      this.runFailed(run, asZeptoError(cause));
    }
    this.applyPressure();
  }

  failed(cause: Error): void {
    this.fail(asZeptoError(cause));
  }

  /** Seals everything that can be sealed and resolves when it is committed. Returns the number of plans committed. */
  async flush(request: Exclude<SealRequest, null> = 'demand'): Promise<number> {
    const sealed = await Promise.all(
      [...this.runs.values()].map(async (run) => {
        const underWay = run.isSealing ? run.seal(null) : null;
        if (underWay !== null) await underWay;
        const plan = run.seal(request);
        await plan;
        return plan === null ? 0 : 1;
      }),
    );
    return sealed.reduce<number>((sum, one) => sum + one, 0);
  }

  /** Seals partitions that hold rows of hours which their table's policy wants in files by now. */
  sealByPolicy(): void {
    const nowMs = this.parts.common.clock.nowMs();
    for (const run of this.runs.values()) {
      const policy = this.parts.policyOf(run.table.source.table.name);
      const last = policy && policyHours(policy, nowMs).isSealed;
      if (last !== null && run.hot.hours.some((hour) => hour <= last)) void run.seal('demand');
    }
  }

  /** See PartitionRun. False: the partition is not owned here any more, so its next owner's readers may read them. */
  async leaveFolders(partition: TopicPartition, folders: readonly string[]): Promise<boolean> {
    return (await this.runs.get(topicPartitionKey(partition))?.leaveFolders(folders)) ?? false;
  }

  /** Partitions that have no plan under way, nor one to run again. */
  settled(): readonly SettledPartition[] {
    return [...this.runs.values()]
      .filter((run) => !run.isSealing && !run.isReplaying)
      .map((run) => ({ ...run.partition, table: run.table.source.table, record: run.record, run }));
  }

  stats(): ShardStats {
    return {
      state: this.state,
      usedBytes: this.usedBytes(),
      budgetBytes: this.parts.budget.bytes,
      isPaused: this.paused.length > 0,
      partitions: [...this.runs.values()].map((run) => ({
        topic: run.partition.topic,
        partition: run.partition.partition,
        table: run.table.source.table.name,
        tableVersion: run.tableVersion,
        position: run.position,
        committed: run.record.committed,
        endOffset: run.endOffset,
        rowsHot: run.hot.rows,
        bytesHot: run.hot.bytes,
        bytesFlushed: run.hot.flushedBytes,
        staircase: run.record.staircase.length,
        state: run.isReplaying ? 'REPLAYING' : run.isSealing ? 'FLUSHING' : 'ACTIVE',
      })),
    };
  }

  /** Seals what is in memory (`drain`), leaves the group and lets go of everything. Idempotent. */
  async stop(options: { readonly drain: boolean }): Promise<void> {
    if (this.state === 'stopped') return;
    this.parts.source.pause([...this.runs.values()].map((run) => run.partition));
    if (options.drain && this.state === 'running') await this.flush('shutdown');
    this.state = 'stopped';
    this.voidAssignment();
    this.timer?.cancel();
    await this.parts.source.stop();
    for (const [key, run] of this.runs) this.drop(key, run);
    await Promise.all(this.closing);
  }

  /** Begins the next one, which is returned. */
  private voidAssignment(): AbortController {
    this.assignment.abort(new ZeptoError('CANCELLED', 'rejoin', 'the assignment is void'));
    this.assignment = new AbortController();
    return this.assignment;
  }

  /** Waits for what is away. @throws the signal's reason when the assignment is void meanwhile; what no waiting mends. */
  private async runOf(partition: TopicPartition, signal: AbortSignal): Promise<PartitionRun> {
    const key = topicPartitionKey(partition);
    for (let attempt = 0; ; attempt++) {
      const parts = this.parts.partitionParts(partition);
      const known = this.runs.get(key);
      if (known !== undefined) {
        // A table that was dropped and made anew is another table.
        if (known.table === parts.table && (await known.revalidate())) return known;
        this.drop(key, known);
        // To fence now would be to take the partition from its owner.
        signal.throwIfAborted();
      }
      const run = new PartitionRun(this.nextRun++, partition, {
        ...parts,
        failed: (failedRun, error) => this.runFailed(failedRun, error),
      });
      this.runs.set(key, run);
      try {
        await run.recover();
        return run;
      } catch (cause) {
        const error = asZeptoError(cause);
        this.drop(key, run);
        if (signal.aborted || (error.action !== 'rejoin' && error.action !== 'retry')) throw error;
        this.parts.common.logger.warn(
          { ...partition, code: error.code, error: error.message },
          'a partition could not be recovered yet, again',
        );
        await this.parts.common.clock.sleep(backoffMs(attempt, 200, 10_000, this.parts.common.clock), signal);
      }
    }
  }

  private drop(key: string, run: PartitionRun): void {
    if (this.runs.get(key) === run) this.runs.delete(key);
    const closed = run.close().catch((cause) => {
      this.parts.common.logger.warn(
        { error: asZeptoError(cause).message },
        'a partition did not close cleanly',
      );
    });
    this.closing.add(closed);
    void closed.then(() => this.closing.delete(closed));
  }

  private runFailed(run: PartitionRun, error: ZeptoError): void {
    const key = topicPartitionKey(run.partition);
    if (this.runs.get(key) !== run) return;
    this.drop(key, run);
    if (error.action === 'stop') {
      this.fail(error);
      return;
    }
    const { logger, metrics } = this.parts.common;
    metrics.count(
      'zepto_fenced_total',
      { topic: run.partition.topic, partition: String(run.partition.partition) },
      1,
    );
    logger.warn(
      { ...run.partition, code: error.code, error: error.message },
      'partition given up, joining anew',
    );
    void this.rejoin();
  }

  private async rejoin(): Promise<void> {
    if (this.isRejoining) {
      // Assigned anew already: what was given up since is not in that rejoining.
      this.wantsRejoin ||= this.state === 'running';
      return;
    }
    if (this.state === 'stopped') return;
    this.isRejoining = true;
    try {
      do {
        this.wantsRejoin = false;
        await this.parts.source.rejoin();
      } while (this.wantsRejoin);
    } catch (cause) {
      this.fail(asZeptoError(cause));
    } finally {
      this.isRejoining = false;
    }
  }

  private fail(error: ZeptoError): void {
    if (this.state === 'stopped') return;
    this.parts.common.logger.error({ code: error.code, ...error.context }, error.message);
    this.parts.stopped(error);
  }

  private check(): void {
    if (this.state !== 'running') return;
    for (const run of this.runs.values()) {
      void run.seal(null);
      run.publish();
    }
    this.evictOld();
    this.applyPressure();
  }

  private evictOld(): void {
    const { clock, feed } = this.parts.common;
    feed.reclaim();
    const nowMs = clock.nowMs();
    const hourLast = Math.floor((nowMs - this.parts.hotMs) / HOUR_MS) - 1;
    for (const run of this.runs.values()) {
      const policy = this.parts.policyOf(run.table.source.table.name);
      const last = (policy && policyHours(policy, nowMs).leavesMemory) ?? hourLast;
      while (run.evict((hour) => hour <= last) > 0);
    }
  }

  /** Committed rows go first: their files have them. */
  private evictFor(bytes: number): void {
    for (let freed = 0; freed < bytes; ) {
      let most: PartitionRun | null = null;
      for (const run of this.runs.values())
        if (most === null || run.hot.flushedBytes > most.hot.flushedBytes) most = run;
      const gone = most?.evict(() => true) ?? 0;
      if (gone === 0) return;
      freed += gone;
    }
  }

  /** Under pressure committed rows go, then the partition with the most memory seals; when that is not enough, fetching pauses. */
  private applyPressure(): void {
    const { feed } = this.parts.common;
    const over = bytesOver(this.usedBytes() - feed.retiredBytes, this.parts.budget);
    if (over > 0) this.evictFor(over);
    feed.reclaim();
    this.pressure = pressureOf(this.usedBytes(), this.parts.budget, this.paused.length > 0);
    if (this.pressure === 'none') {
      this.resume();
      return;
    }
    let largest: PartitionRun | null = null;
    for (const run of this.runs.values())
      if (
        !run.isSealing &&
        !run.isReplaying &&
        (largest === null || unsealedBytes(run) > unsealedBytes(largest))
      )
        largest = run;
    if (largest !== null) void largest.seal('memory');
    if (this.pressure === 'pause') this.pause();
    else this.resume();
  }

  private pause(): void {
    // A partition that still replays cannot seal, so pausing it would never end.
    const partitions = [...this.runs.values()].filter((run) => !run.isReplaying).map((run) => run.partition);
    if (partitions.length === this.paused.length) return;
    this.paused = partitions;
    this.parts.source.pause(partitions);
    this.parts.common.metrics.count('zepto_pauses_total', {}, 1);
  }

  private resume(): void {
    if (this.paused.length === 0) return;
    this.parts.source.resume(this.paused);
    this.paused = [];
  }

  private usedBytes(): number {
    let bytes = this.parts.common.pool.usedBytes;
    for (const run of this.runs.values()) bytes += run.deadLetterBytes;
    return bytes;
  }
}

/** What a seal can give back. */
const unsealedBytes = ({ hot, deadLetterBytes }: PartitionRun): number => hot.bytes + deadLetterBytes;
