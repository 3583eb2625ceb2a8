// What: a bounded pool of encoder threads that turn sealed columns into files.
// Why: compressing, encoding and uploading never stand in the way of consuming or of heartbeats.
// Invariant: at most `size` jobs run at a time, the rest wait in order; a thread that dies takes its job back to the queue's head.

import type { Worker } from 'node:worker_threads';
import type { Allocation } from '../columns/column-memory.ts';
import type { PartialJob, ViewPartialFiles } from '../engine/write-partials.ts';
import type { EncodeJob, SegmentFile } from '../format/segment.ts';
import { ZeptoError } from '../kernel/errors.ts';
import { Caller } from './calls.ts';
import type { EncoderCalls, EncoderData } from './encoder.ts';
import { type Listening, startThread } from './thread.ts';

interface Encoder {
  readonly worker: Worker;
  readonly caller: Caller<EncoderCalls>;
  readonly exited: Promise<void>;
  /** Of the dictionary. */
  namesKnown: number;
}

export class EncodePool {
  private readonly idle: Encoder[] = [];
  private readonly waiting: ((encoder: Encoder) => void)[] = [];
  private readonly encoders = new Set<Encoder>();
  private readonly data: EncoderData;
  private readonly names: readonly string[];
  private readonly listening: Listening;
  private isClosed = false;

  /** `names`: of the dictionary, by code; it grows. */
  constructor(size: number, data: EncoderData, names: readonly string[], listening: Listening) {
    this.data = data;
    this.names = names;
    this.listening = listening;
    for (let i = 0; i < size; i++) this.free(this.startEncoder());
  }

  /** Files of segments, by the next free thread. */
  segments(job: EncodeJob, signal: AbortSignal): Promise<SegmentFile[]> {
    return this.run(signal, ({ caller }) => caller.call('segments', job, signal));
  }

  /** Partials of views, by the next free thread, once it knows all names. */
  partials(job: PartialJob, signal: AbortSignal): Promise<ViewPartialFiles[]> {
    return this.run(signal, async (encoder) => {
      const names = this.names.slice(encoder.namesKnown);
      if (names.length > 0) await encoder.caller.call('learn', names);
      encoder.namesKnown += names.length;
      return encoder.caller.call('partials', job, signal);
    });
  }

  /** Touches pages that will be written to, if a thread has time for it. */
  touch(pages: Allocation, bytes: number): void {
    // One that dies meanwhile says so elsewhere.
    this.idle
      .at(-1)
      ?.caller.call('touch', { pages, bytes })
      .catch(() => {});
  }

  /** Jobs are idempotent, so one whose thread died runs again. */
  private async run<T>(signal: AbortSignal, work: (encoder: Encoder) => Promise<T>): Promise<T> {
    for (;;) {
      const encoder = await this.take();
      if (signal.aborted) {
        this.free(encoder);
        signal.throwIfAborted();
      }
      try {
        return await work(encoder);
      } catch (error) {
        if (this.encoders.has(encoder)) throw error;
        this.listening.logger.error({ error: String(error) }, 'an encoder thread died, its job runs again');
      } finally {
        if (this.encoders.has(encoder)) this.free(encoder);
      }
    }
  }

  async close(): Promise<void> {
    this.isClosed = true;
    const exited = [...this.encoders].map(({ worker, exited: gone }) => {
      worker.postMessage({ close: true });
      return gone;
    });
    await Promise.all(exited);
  }

  private startEncoder(): Encoder {
    const worker = startThread('encoder', this.data, this.listening);
    const exited = new Promise<void>((resolve) => {
      worker.once('exit', () => {
        this.encoders.delete(encoder);
        const at = this.idle.indexOf(encoder);
        if (at >= 0) this.idle.splice(at, 1);
        encoder.caller.fail(new ZeptoError('INTERNAL', 'retry', 'the encoder thread is gone'));
        if (!this.isClosed) this.free(this.startEncoder());
        resolve();
      });
    });
    worker.on('error', (error) =>
      this.listening.logger.error({ error: String(error) }, 'encoder thread failed'),
    );
    const encoder: Encoder = { worker, caller: new Caller<EncoderCalls>(worker), exited, namesKnown: 0 };
    this.encoders.add(encoder);
    return encoder;
  }

  private take(): Promise<Encoder> {
    const encoder = this.idle.pop();
    if (encoder !== undefined) return Promise.resolve(encoder);
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  private free(encoder: Encoder): void {
    const next = this.waiting.shift();
    if (next !== undefined) next(encoder);
    else this.idle.push(encoder);
  }
}
