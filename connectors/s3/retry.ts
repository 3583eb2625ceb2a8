// What: one operation on the store, tried until it succeeds, is refused, or patience ends.
// Why: every call waits out the same faults in the same way, and an outage is told once, not once per request.
// Invariant: nothing waits without a bound, and every failed attempt is counted.

import { backoffMs, type Clock } from '../../src/kernel/clock.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { Logger, Metrics } from '../../src/ports.ts';
import { classify, type Fault, plainFailure } from './fault.ts';
import { reachHint, reason, refusal, unavailable } from './refusal.ts';
import type { S3Settings } from './settings.ts';

/** Of a store that has never worked. */
const MENDING_MS = 2_000;

export interface Operation {
  /** For metrics and messages. */
  readonly name:
    | 'put'
    | 'part'
    | 'create-upload'
    | 'complete-upload'
    | 'abort-upload'
    | 'get'
    | 'list'
    | 'delete';
  readonly key: string;
  /** Instead of the settings'. */
  readonly patienceMs?: number;
  readonly signal?: AbortSignal;
  /** Faults that are an answer to this operation; they are thrown as they came. */
  readonly answers?: readonly Fault['kind'][];
}

export interface Retrying {
  /**
   * Runs `attempt` until it resolves. Rejects with the signal's reason, with a ZeptoError, or with the error of one of
   * the operation's `answers`.
   */
  run<T>(operation: Operation, attempt: () => Promise<T>): Promise<T>;
}

export interface RetrySurroundings {
  readonly settings: S3Settings;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** Nothing is tried again then. */
  isClosed(): boolean;
  /** Called before a request is tried again after `expired` or `skewed`. */
  mend(fault: Fault, error: unknown): Promise<void>;
}

export function createRetrying(around: RetrySurroundings): Retrying {
  const { settings, clock, metrics, log } = around;
  const labels = { store: 's3' };
  // A refusal is believed at once from a store that has never worked, and only after a while from one that has.
  let hasWorked = settings.learned !== null;
  let outageSinceMs: number | null = null;

  function succeeded(): void {
    hasWorked = true;
    if (outageSinceMs === null) return;
    const seconds = ((clock.monotonicMs() - outageSinceMs) / 1000).toFixed(1);
    outageSinceMs = null;
    metrics.gauge('zepto_store_failing', labels, 0);
    log.info({ bucket: settings.bucket }, `object store answers again after ${seconds} s`);
  }

  function outage(operation: Operation, fault: Fault, error: unknown): void {
    if (outageSinceMs !== null) return;
    outageSinceMs = clock.monotonicMs();
    metrics.gauge('zepto_store_failing', labels, 1);
    const { bucket } = settings;
    log.warn(
      { bucket, operation: operation.name, key: operation.key, reason: reason(fault, error) },
      `object store fails; trying again with back-off.${reachHint(fault.code, settings)}`,
    );
  }

  /** How long this kind of fault is tried again, from the first attempt. 0 = not at all. */
  function patienceMs(fault: Fault, operation: Operation): number {
    const patience = operation.patienceMs ?? settings.patienceMs;
    switch (fault.kind) {
      case 'passing':
        return patience;
      case 'expired':
      case 'skewed':
        // Long enough to see whether new credentials, or the server's time, are taken.
        return Math.min(
          patience,
          settings.deniedPatienceMs,
          hasWorked ? Number.POSITIVE_INFINITY : MENDING_MS,
        );
      case 'denied':
      case 'no-bucket':
        return hasWorked ? Math.min(patience, settings.deniedPatienceMs) : 0;
      default:
        return 0;
    }
  }

  return {
    async run(operation, attempt) {
      const startMs = clock.monotonicMs();
      for (let attempts = 1; ; attempts += 1) {
        operation.signal?.throwIfAborted();
        try {
          const result = await attempt();
          succeeded();
          return result;
        } catch (thrown) {
          operation.signal?.throwIfAborted();
          const error = plainFailure(thrown);
          const fault = classify(error);
          if (operation.answers?.includes(fault.kind)) {
            if (fault.kind !== 'denied') succeeded();
            throw error;
          }
          metrics.count(
            'zepto_store_failures_total',
            { ...labels, operation: operation.name, code: fault.code },
            1,
          );
          if (around.isClosed())
            throw new ZeptoError('CANCELLED', 'stop', 'the object store was closed', { cause: error });
          const spentMs = clock.monotonicMs() - startMs;
          const boundMs = patienceMs(fault, operation);
          if (spentMs >= boundMs) {
            throw fault.kind === 'passing'
              ? unavailable(operation, fault, error, settings, attempts, spentMs)
              : refusal(operation, fault, error, settings);
          }
          outage(operation, fault, error);
          if (fault.kind === 'expired' || fault.kind === 'skewed') await around.mend(fault, error);
          const delayMs = backoffMs(attempts - 1, settings.backoffBaseMs, settings.backoffCapMs, clock);
          await clock.sleep(Math.min(delayMs, boundMs - spentMs), operation.signal);
        }
      }
    },
  };
}
