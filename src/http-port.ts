// What: what the HTTP server and the metrics ask of the process that they run in.
// Why: connectors see the engine through this narrow view; a test hands them a plain object instead.
// Invariant: read-only, but for flush; nothing here waits for anything but the shards' answers.

import type { EngineStats } from './engine/engine.ts';

export type { EngineStats } from './engine/engine.ts';
export type { PartitionStats, ShardStats } from './engine/shard.ts';
export type { QueryStats, ResultBlock, ResultSet, ResultValues } from './query/result.ts';
export type { OutputColumn } from './sql/scope.ts';
export type { SqlType } from './sql/types.ts';

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

/** A statement as it came over HTTP. */
export interface StatementRequest {
  /** The client's `query_id`, or one made for it; unique among those that run. */
  readonly id: string;
  readonly text: string;
  /** Values of `{name:Type}`, as text. */
  readonly parameters: Readonly<Record<string, string>>;
  /** For a statement without FORMAT; null: this system's own JSON. */
  readonly format: string | null;
  /** From the URL; SETTINGS in the text override them. */
  readonly settings: Readonly<Record<string, string>>;
  /** Rows that come with an INSERT, in the statement's FORMAT; null when there are none. */
  readonly data: Uint8Array | null;
  readonly subject: string;
  /** Secret: the Authorization header, which other members of the group are shown. Null: there is none. */
  readonly authorization: string | null;
  readonly mayWrite: boolean;
  readonly mayAdminister: boolean;
}

export interface StatementAnswer {
  readonly contentType: string;
  /** Known before the first byte. */
  readonly headers: Readonly<Record<string, string>>;
  /** Pieces as they are made; taking none slows the query. An error after the first is marked in the bytes as the format allows. */
  readonly body: AsyncIterable<Uint8Array>;
}

export interface RunningStatement {
  readonly id: string;
  readonly text: string;
  readonly subject: string;
  readonly startedAtMs: number;
}

/** What answers SQL. */
export interface StatementService {
  /** @throws ZeptoError before the first byte: SQL_*, LIMIT_EXCEEDED, CANCELLED, UNAUTHORIZED, CATALOG_CONFLICT, … An aborted signal cancels. */
  run(request: StatementRequest, signal: AbortSignal): Promise<StatementAnswer>;
  running(): readonly RunningStatement[];
  /** False when no such statement runs. */
  cancel(id: string): boolean;
}
