// What: the analytic engine of a query thread, with the buckets and the cache that it reads through.
// Why: duckdb('path') reads where the operator allows it, through the same stores and within the same bounds as all else.
// Invariant: buckets are opened when a query first names them; `close` ends the engine before them.

import { availableParallelism } from 'node:os';
import { DuckdbEngine } from '../../connectors/duckdb/engine.ts';
import type { ObjectCache } from '../../connectors/fs/object-cache.ts';
import type { Config } from '../config/config.ts';
import type { Clock } from '../kernel/clock.ts';
import type { AnalyticEngine, Logger, Metrics, ObjectStore } from '../ports.ts';
import { openBucket } from './stores.ts';

/** Further ones would take from ingestion what a scan gains. */
const THREADS_MAX = 2;
const CONNECTIONS_MAX = 8;

export interface ForeignFiles {
  readonly engine: AnalyticEngine;
  close(): Promise<void>;
}

export interface ForeignFilesParts {
  readonly config: Config;
  readonly cache: ObjectCache;
  /** The cold tier's. */
  readonly store: ObjectStore | null;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/** Null: switched off. */
export function openForeignFiles(parts: ForeignFilesParts): ForeignFiles | null {
  const { config, cache, store, clock, metrics, logger } = parts;
  const { duckdb, threads } = config.query;
  if (!duckdb.enabled) return null;
  const buckets = new Map<string, ObjectStore>();
  const storeOf = (bucket: string): ObjectStore => {
    if (store !== null && bucket === config.coldTier?.s3.bucket) return store;
    const open = buckets.get(bucket);
    if (open !== undefined) return open;
    // Nothing is written: whether it could be done conditionally does not matter.
    const learned = { conditionalWrites: false };
    const opened = openBucket({ ...duckdb.s3, bucket }, CONNECTIONS_MAX, learned, clock, metrics, logger);
    buckets.set(bucket, opened);
    return opened;
  };
  const engine = new DuckdbEngine(
    {
      roots: duckdb.roots,
      memoryLimitMb: Math.floor(duckdb.memoryLimitMb / threads),
      threads: Math.min(THREADS_MAX, availableParallelism()),
    },
    { copies: cache, storeOf },
  );
  return {
    engine,
    close: async () => {
      await engine.close();
      for (const bucket of buckets.values()) await bucket.close();
    },
  };
}
