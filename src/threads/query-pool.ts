// What: the query threads as one service that answers statements.
// Why: HTTP hands a statement over and takes its answer piece by piece; which thread makes it is decided here.
// Invariant: a statement occupies its thread until its last piece is taken or it is closed; a dead thread fails only its own.

import type { Worker } from 'node:worker_threads';
import type { Catalogue } from '../catalogue/catalogue.ts';
import type { RunningStatement, StatementAnswer, StatementRequest, StatementService } from '../http-port.ts';
import type { Clock } from '../kernel/clock.ts';
import { ZeptoError } from '../kernel/errors.ts';
import { unpin } from '../live/pins.ts';
import type { ViewRecord } from '../ports.ts';
import { Caller } from './calls.ts';
import type { GroupShares } from './group-watch.ts';
import type { BucketsRequest } from './published-views.ts';
import type { Opened, QueryCalls, QueryData } from './query.ts';
import { type Listening, startThread } from './thread.ts';

interface Thread {
  readonly worker: Worker;
  readonly caller: Caller<QueryCalls>;
  readonly exited: Promise<void>;
  statements: number;
}

interface Running extends RunningStatement {
  readonly thread: Thread;
  /** Over shared memory: the thread sees it while it computes. */
  readonly cancel: Int32Array;
  /** A message: the thread sees it while it waits. */
  readonly stopping: AbortController;
}

export class QueryPool implements StatementService {
  private readonly threads: Thread[];
  private readonly clock: Clock;
  private readonly statements = new Map<string, Running>();
  private isStopping = false;

  constructor(data: readonly QueryData[], listening: Listening, clock: Clock) {
    this.clock = clock;
    this.threads = data.map((one) => this.startThread(one, listening));
  }

  async run(request: StatementRequest, signal: AbortSignal): Promise<StatementAnswer> {
    const { id, text, subject } = request;
    if (this.statements.has(id))
      throw new ZeptoError('SQL_UNSUPPORTED', 'stop', `a statement with the query_id ${id} runs already`);
    const thread = this.leastBusy();
    const cancel = new Int32Array(new SharedArrayBuffer(4));
    const stopping = new AbortController();
    const running = { id, text, subject, startedAtMs: this.clock.nowMs(), thread, cancel, stopping };
    this.statements.set(id, running);
    thread.statements++;
    const stop = (): boolean => this.cancel(id);
    signal.addEventListener('abort', stop, { once: true });
    const end = (): void => {
      signal.removeEventListener('abort', stop);
      if (this.statements.delete(id)) thread.statements--;
    };
    try {
      if (signal.aborted) stop();
      const asked = { request, cancel: cancel.buffer as SharedArrayBuffer };
      const opened = await thread.caller.call('open', asked, stopping.signal);
      const body = this.body(opened, running, end);
      if (opened.isDone) end();
      return { contentType: opened.contentType, headers: opened.headers, body };
    } catch (error) {
      end();
      throw error;
    }
  }

  running(): readonly RunningStatement[] {
    return [...this.statements.values()].map(({ id, text, subject, startedAtMs }) => ({
      id,
      text,
      subject,
      startedAtMs,
    }));
  }

  cancel(id: string): boolean {
    const running = this.statements.get(id);
    if (running === undefined) return false;
    Atomics.store(running.cancel, 0, 1);
    running.stopping.abort();
    return true;
  }

  /** Resolves when every thread has taken it. */
  async setCatalogue(catalogue: Catalogue): Promise<void> {
    await Promise.all(this.threads.map(({ caller }) => caller.call('setCatalogue', catalogue)));
  }

  /** Resolves when every thread has taken it. */
  async setGroup(shares: GroupShares): Promise<void> {
    await Promise.all(this.threads.map(({ caller }) => caller.call('setGroup', shares)));
  }

  /** By the same thread as long as it lives, which keeps what it has taken in. @throws ZeptoError as PublishedViews */
  bucketsOf(request: BucketsRequest, signal: AbortSignal): Promise<readonly ViewRecord[]> {
    const [thread] = this.threads;
    if (thread === undefined) throw noThread();
    return thread.caller.call('bucketsOf', request, signal);
  }

  async stop(): Promise<void> {
    this.isStopping = true;
    for (const id of this.statements.keys()) this.cancel(id);
    await Promise.all(
      this.threads.map(async ({ worker, caller, exited }) => {
        await caller.call('stop', undefined as never).catch(() => worker.terminate());
        await exited;
      }),
    );
  }

  private async *body(
    { piece, isDone }: Opened,
    { id, thread, stopping }: Running,
    end: () => void,
  ): AsyncGenerator<Uint8Array> {
    let isOver = isDone;
    try {
      if (piece !== null) yield piece;
      while (!isOver) {
        const pulled = await thread.caller.call('next', id, stopping.signal);
        isOver = pulled.isDone;
        if (pulled.piece !== null) yield pulled.piece;
      }
    } finally {
      if (!isOver) await thread.caller.call('close', id).catch(() => {});
      end();
    }
  }

  private leastBusy(): Thread {
    const [first, ...others] = this.threads;
    if (first === undefined) throw noThread();
    return others.reduce((least, one) => (one.statements < least.statements ? one : least), first);
  }

  private startThread(data: QueryData, listening: Listening): Thread {
    const ports = [...data.shards.map(({ port }) => port), data.main];
    const worker = startThread('query', data, listening, ports);
    const caller = new Caller<QueryCalls>(worker);
    worker.on('error', (error) =>
      listening.logger.error({ error: String(error), thread: data.index }, 'a query thread crashed'),
    );
    const exited = new Promise<void>((resolve) => {
      worker.once('exit', () => {
        caller.fail(new ZeptoError('INTERNAL', 'stop', 'the query thread is gone'));
        const at = this.threads.indexOf(thread);
        if (at >= 0 && !this.isStopping) this.threads.splice(at, 1);
        for (const { pinWords } of data.shards) unpin(pinWords, data.index);
        resolve();
      });
    });
    const thread: Thread = { worker, caller, exited, statements: 0 };
    return thread;
  }
}

const noThread = (): ZeptoError => new ZeptoError('INTERNAL', 'stop', 'no query thread runs');
