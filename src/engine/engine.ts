// What: the shards of one process as one thing: start, look, flush, stop.
// Why: HTTP, the command line and the demo deal with an engine, not with threads.
// Invariant: when one shard cannot go on the whole engine stops, after the others have let go; nothing runs half.

import type { ZeptoError } from '../kernel/errors.ts';
import type { PartitionStats, ShardStats } from './shard.ts';

/** A shard as seen from outside its thread. */
export interface ShardHandle {
  start(): Promise<void>;
  stats(): Promise<ShardStats>;
  /** Resolves with the number of plans committed. */
  flush(): Promise<number>;
  stop(options: { readonly drain: boolean }): Promise<void>;
}

export interface EngineStats {
  readonly state: 'starting' | 'running' | 'stopping' | 'stopped' | 'failed';
  readonly startedAtMs: number;
  readonly shards: readonly ShardStats[];
}

export class Engine {
  private readonly shards: readonly ShardHandle[];
  private state: EngineStats['state'] = 'starting';
  private readonly startedAtMs: number;
  private stopped: Promise<void> | null = null;
  private failure: ZeptoError | null = null;

  constructor(shards: readonly ShardHandle[], startedAtMs: number) {
    this.shards = shards;
    this.startedAtMs = startedAtMs;
  }

  /** Why the engine stopped by itself; null while it runs or when it was told to stop. */
  get failedWith(): ZeptoError | null {
    return this.failure;
  }

  async start(): Promise<void> {
    await Promise.all(this.shards.map((shard) => shard.start()));
    if (this.state === 'starting') this.state = 'running';
  }

  async stats(): Promise<EngineStats> {
    const shards = await Promise.all(this.shards.map((shard) => shard.stats()));
    return { state: this.state, startedAtMs: this.startedAtMs, shards };
  }

  /** Null when ticks flow; otherwise what is missing. */
  async notReady(): Promise<string | null> {
    if (this.failure !== null) return this.failure.message;
    if (this.state !== 'running') return `the engine is ${this.state}`;
    const { shards } = await this.stats();
    const waiting = shards.filter(({ state }) => state !== 'running').length;
    if (waiting > 0) return `${waiting} of ${shards.length} shards have not joined the group yet`;
    const replaying = shards.flatMap(({ partitions }) => partitions.filter(isReplaying)).length;
    return replaying > 0 ? `${replaying} partitions replay their log` : null;
  }

  async flush(): Promise<number> {
    const plans = await Promise.all(this.shards.map((shard) => shard.flush()));
    return plans.reduce((sum, count) => sum + count, 0);
  }

  /** A shard gave up: the others seal nothing more and let go. */
  async fail(error: ZeptoError): Promise<void> {
    if (this.failure !== null || this.stopped !== null) return;
    this.failure = error;
    await this.stop({ drain: false });
    this.state = 'failed';
  }

  /** Idempotent. `drain` seals and commits what is in memory first. */
  stop(options: { readonly drain: boolean }): Promise<void> {
    this.stopped ??= this.stopShards(options);
    return this.stopped;
  }

  private async stopShards(options: { readonly drain: boolean }): Promise<void> {
    this.state = 'stopping';
    await Promise.all(this.shards.map((shard) => shard.stop(options)));
    this.state = 'stopped';
  }
}

const isReplaying = (partition: PartitionStats): boolean => partition.state === 'REPLAYING';
