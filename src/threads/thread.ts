// What: starts a worker thread from a file beside this one, and carries its logs and measurements to who started it.
// Why: the same code runs as compiled JavaScript in production and straight from TypeScript in development.
// Invariant: log lines and counts of a thread reach the main thread in order, through every thread in between.

import { parentPort, type Transferable, Worker } from 'node:worker_threads';
import { type LogMessage, relayLogger, replayLog } from '../../connectors/log/relay.ts';
import { MetricsBatch, type MetricsMessage } from '../../connectors/prometheus/batch.ts';
import type { LogConfig } from '../config/config.ts';
import { systemClock } from '../kernel/clock.ts';
import type { Logger } from '../ports.ts';

interface Told {
  readonly log?: LogMessage;
  readonly metrics?: MetricsMessage;
}

/** Where a thread's logs and measurements end up. */
export interface Listening {
  readonly logger: Logger;
  readonly metrics: (message: MetricsMessage) => void;
}

/** Of each thread's objects that are new. V8's own limit is 48, which half a dozen threads reach together when ticks come fast. */
const YOUNG_MIB_MAX = 6;

/** `name` is a file of src/threads without its ending. `data` arrives as `workerData`. */
export function startThread(
  name: 'shard' | 'encoder' | 'query' | 'unpacker',
  data: unknown,
  listening: Listening,
  transfer: readonly Transferable[] = [],
): Worker {
  const isTypeScript = import.meta.url.endsWith('.ts');
  const file = new URL(`./${name}.${isTypeScript ? 'ts' : 'js'}`, import.meta.url);
  const worker = new Worker(file, {
    name,
    workerData: data,
    transferList: [...transfer],
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB_MAX },
    ...(isTypeScript ? { execArgv: ['--import', 'tsx'] } : {}),
  });
  worker.on('message', (told: Told) => {
    if (told.log !== undefined) replayLog(listening.logger, told.log);
    if (told.metrics !== undefined) listening.metrics(told.metrics);
  });
  return worker;
}

/** Inside a thread: its logger and metrics, and how to pass on those of threads that it starts itself. */
export function threadReports(
  log: LogConfig,
  fields: Readonly<Record<string, unknown>>,
): { logger: Logger; metrics: MetricsBatch; listening: Listening } {
  const port = parentPort!;
  const logger = relayLogger(log.level, fields, (entry) => port.postMessage({ log: entry }));
  const metrics = new MetricsBatch(systemClock, (message) => port.postMessage({ metrics: message }));
  return {
    logger,
    metrics,
    listening: { logger, metrics: (message) => port.postMessage({ metrics: message }) },
  };
}
