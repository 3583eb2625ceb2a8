// What: an encoder thread: encode jobs in, files written.
// Why: the composition root of the thread that compresses, encodes and uploads.
// Invariant: one job at a time; the pool that started the thread decides what it does and when it ends.

import { parentPort, workerData } from 'node:worker_threads';
import { blockingDisk } from '../../connectors/fs/disk.ts';
import type { Allocation } from '../columns/column-memory.ts';
import type { ColdTierConfig, LogConfig } from '../config/config.ts';
import { type PartialJob, type ViewPartialFiles, writePartials } from '../engine/write-partials.ts';
import type { EncodeJob, SegmentFile } from '../format/segment.ts';
import { writeSegments } from '../format/write-segments.ts';
import { systemClock } from '../kernel/clock.ts';
import { touchPages } from '../store/arena.ts';
import { offer } from './calls.ts';
import { openObjectStore, type StoreAbilities } from './stores.ts';
import { threadReports } from './thread.ts';

export interface EncoderData {
  readonly log: LogConfig;
  readonly coldTier: ColdTierConfig | null;
  readonly shard: number;
  readonly abilities: StoreAbilities;
}

const { log, coldTier, shard, abilities } = workerData as EncoderData;
const { logger, metrics } = threadReports(log, { shard, thread: 'encoder' });
const store = coldTier === null ? null : openObjectStore(coldTier, abilities, systemClock, metrics, logger);
const concurrency = coldTier?.uploadConcurrency ?? 4;

const names: string[] = [];
const codes = new Map<string, number>();
const partialPorts = {
  ...{ disk: blockingDisk, store, concurrency, monotonicMs: systemClock.monotonicMs },
  names: { nameOf: (code: number) => names[code], codeOf: (name: string) => codes.get(name) },
};

const calls = {
  touch: ({ pages, bytes }: { readonly pages: Allocation; readonly bytes: number }): void =>
    touchPages(pages, bytes),
  segments: (job: EncodeJob, signal: AbortSignal): Promise<SegmentFile[]> =>
    writeSegments(job, blockingDisk, store, concurrency, signal),
  /** Names of the next codes. */
  learn: (more: readonly string[]): void => {
    for (const name of more) codes.set(name, names.push(name) - 1);
  },
  partials: (job: PartialJob, signal: AbortSignal): Promise<ViewPartialFiles[]> =>
    writePartials(job, partialPorts, signal),
};
export type EncoderCalls = typeof calls;

const port = parentPort!;
offer(port, calls);
port.on('message', (message: { readonly close?: true }) => {
  if (message.close !== true) return;
  metrics.flush();
  void store?.close();
  port.close();
});
