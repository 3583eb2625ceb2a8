// What: a shard in its own thread, as the engine handles it.
// Why: the engine starts, asks and stops shards without knowing where they run.
// Invariant: a thread that ends by itself is a failed shard, never a silent one.

import type { Worker } from 'node:worker_threads';
import type { ShardHandle } from '../engine/engine.ts';
import type { ShardStats } from '../engine/shard.ts';
import { ZeptoError } from '../kernel/errors.ts';
import type { ViewRecord } from '../ports.ts';
import { Caller, errorOf, offer } from './calls.ts';
import type { BucketsRequest } from './published-views.ts';
import type { ShardCalls, ShardData, ShardStopped, Tables } from './shard.ts';
import { type Listening, startThread } from './thread.ts';

/** What a shard asks of the process. */
export type ShardAsks = {
  readonly bucketsOf: (request: BucketsRequest, signal: AbortSignal) => Promise<readonly ViewRecord[]>;
};

export class ShardThread implements ShardHandle {
  private readonly worker: Worker;
  private readonly caller: Caller<ShardCalls>;
  private readonly exited: Promise<void>;
  private last: ShardStats | null = null;
  private isStopping = false;

  /** `failed` is called when the shard cannot go on. */
  constructor(data: ShardData, asks: ShardAsks, listening: Listening, failed: (error: ZeptoError) => void) {
    this.worker = startThread('shard', data, listening, data.readers.ports);
    offer(this.worker, asks);
    this.caller = new Caller<ShardCalls>(this.worker);
    this.worker.on('message', (message: Partial<ShardStopped>) => {
      if (message.stopped !== undefined) failed(errorOf(message.stopped));
    });
    this.worker.on('error', (error) =>
      failed(
        new ZeptoError('INTERNAL', 'stop', `shard ${data.index} crashed: ${error.message}`, { cause: error }),
      ),
    );
    this.exited = new Promise((resolve) => {
      this.worker.once('exit', (code) => {
        const gone = new ZeptoError('INTERNAL', 'stop', `shard ${data.index} ended with code ${code}`);
        this.caller.fail(gone);
        if (!this.isStopping) failed(gone);
        resolve();
      });
    });
  }

  start(): Promise<void> {
    return this.caller.call('start', undefined as never);
  }

  /** While the thread goes down, the last numbers known. */
  async stats(): Promise<ShardStats> {
    try {
      this.last = await this.caller.call('stats', undefined as never);
    } catch (error) {
      if (this.last === null) throw error;
      this.last = { ...this.last, state: 'stopped' };
    }
    return this.last;
  }

  setTables(tables: Tables): Promise<void> {
    return this.caller.call('setTables', tables);
  }

  flush(): Promise<number> {
    return this.caller.call('flush', undefined as never);
  }

  /** Resolves when the thread is gone; a thread that is already gone is stopped. */
  async stop(options: { readonly drain: boolean }): Promise<void> {
    this.isStopping = true;
    const stopped = this.caller.call('stop', options).catch(() => this.worker.terminate());
    await stopped;
    await this.exited;
  }
}
