// What: what the HTTP server and the metrics ask of the process that they run in.
// Why: connectors see the engine through this narrow view; a test hands them a plain object instead.
// Invariant: read-only, but for flush; nothing here waits for anything but the shards' answers.

import type { EngineStats } from './engine/engine.ts';

export type { EngineStats } from './engine/engine.ts';
export type { PartitionStats, ShardStats } from './engine/shard.ts';

export interface EngineView {
  /** Why the process should be started anew; null while it is well. */
  unhealthy(): string | null;
  /** What is missing until ticks flow; null when they do. */
  notReady(): Promise<string | null>;
  stats(): Promise<EngineStats>;
  /** Seals what is in memory. Resolves with the number of plans committed. */
  flush(): Promise<number>;
  /** Prometheus text format. */
  metricsText(): Promise<string>;
  /** Totals since start, over all labels, by metric name. */
  totals(): Readonly<Record<string, number>>;
}

export interface ServerVersion {
  readonly name: string;
  readonly version: string;
}
