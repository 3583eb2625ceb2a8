// What: a simulated consumer-group member as the engine's source of ticks.
// Why: rebalances, stale deliveries and pauses are where consumers lose or double rows.
// Invariant: calls to the listener never overlap; after `assigned` delivery starts exactly at the offsets it answered.

import type { RecordBatch } from '../../src/columns/batch.ts';
import {
  type SourceListener,
  type TickSource,
  type TopicPartition,
  topicPartitionKey,
} from '../../src/ports.ts';
import type { ProcessClock } from './scheduler.ts';
import type { LogRecord, World } from './world.ts';

export class SimulatedSource implements TickSource {
  private listener: SourceListener | null = null;
  private readonly world: World;
  private readonly clock: ProcessClock;
  private readonly askRebalance: () => void;
  private positions = new Map<string, number>();
  private readonly paused = new Set<string>();
  private chain: Promise<void> = Promise.resolve();
  private isStopped = false;

  constructor(world: World, clock: ProcessClock, askRebalance: () => void) {
    this.world = world;
    this.clock = clock;
    this.askRebalance = askRebalance;
  }

  async start(listener: SourceListener): Promise<void> {
    this.listener = listener;
    this.askRebalance();
    this.poll();
  }

  /** The coordinator's answer to a join. */
  rebalanced(partitions: readonly TopicPartition[]): void {
    this.inTurn(async () => {
      this.listener!.lost();
      this.positions = new Map();
      this.paused.clear();
      const positions = await this.listener!.assigned(partitions);
      this.positions = new Map(positions);
    });
  }

  pause(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) this.paused.add(topicPartitionKey(partition));
  }

  resume(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) this.paused.delete(topicPartitionKey(partition));
  }

  /** The simulated world has one topic. */
  subscribe(): void {}

  seek(partition: TopicPartition, offset: number): void {
    this.positions.set(topicPartitionKey(partition), offset);
  }

  async rejoin(): Promise<void> {
    this.askRebalance();
  }

  async stop(): Promise<void> {
    this.isStopped = true;
  }

  private poll(): void {
    this.clock.after(5 + this.world.chance.below(60), () => {
      if (this.isStopped) return;
      this.inTurn(() => this.deliver());
      this.poll();
    });
  }

  private async deliver(): Promise<void> {
    const ready = [...this.positions.keys()].filter((key) => !this.paused.has(key));
    if (ready.length === 0) return;
    const key = this.world.chance.pick(ready);
    const batch = this.fetch(Number(key.slice(key.lastIndexOf('-') + 1)), this.positions.get(key)!);
    if (batch === null) return;
    this.positions.set(key, batch.offsetNext);
    await this.listener!.records(batch);
  }

  private fetch(partition: number, position: number): RecordBatch | null {
    const { records, end } = this.world.partitions[partition]!;
    let first = firstAtOrAbove(records, position);
    if (first === records.length) return null;
    const count = Math.min(1 + this.world.chance.below(25), records.length - first);
    const taken = records.slice(first, first + count);
    const offsetLast = taken[taken.length - 1]!.offset;
    return {
      topic: this.world.topic,
      partition,
      count,
      buffer: new Uint8Array(0),
      offset: Float64Array.from(taken, ({ offset }) => offset),
      timestampMs: Float64Array.from(taken, ({ timestampMs }) => timestampMs),
      keyStart: new Int32Array(count),
      keyLength: new Int32Array(count).fill(-1),
      valueStart: Int32Array.from(taken, () => first++ * this.world.valueBytes),
      valueLength: Int32Array.from(taken, ({ kind }) => (kind === 'tombstone' ? -1 : 0)),
      offsetNext: offsetLast + 1,
      endOffset: end,
    };
  }

  private inTurn(run: () => Promise<void>): void {
    this.chain = this.chain.then(run).catch(() => {});
  }
}

function firstAtOrAbove(records: readonly LogRecord[], position: number): number {
  let low = 0;
  let high = records.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (records[middle]!.offset < position) low = middle + 1;
    else high = middle;
  }
  return low;
}
