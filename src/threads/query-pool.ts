// What: the query threads as one service that answers statements.
// Why: HTTP hands a statement over and takes its answer piece by piece; which thread makes it is decided here.
// Invariant: a statement occupies its thread until its last piece is taken or it is closed; a thread that ends by itself is told of.

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
  /** A word for each statement: the thread sees it while it computes. */
  readonly cancelWords: Int32Array;
  /** Words of no statement. */
  readonly freeWords: number[];
}

interface Running extends RunningStatement {
  readonly thread: Thread;
  /** Its word. */
  readonly word: number;
  /** A message: the thread sees it while it waits. */
  readonly stopping: AbortController;
}

/** What a thread is given by who starts the pool. */
export type GivenData = Omit<QueryData, 'cancelWords'>;

/** On a thread at a time. */
const STATEMENTS_MAX = 4_096;

export class QueryPool implements StatementService {
  private readonly threads: Thread[];
  private readonly clock: Clock;
  private readonly failed: (error: ZeptoError) => void;
  private readonly statements = new Map<string, Running>();
  private isStopping = false;

  /**
   * `failed` is called when a thread has ended that was to go on. Another one in its place would not know what shards have told
   * their readers since the process began, so the process is to begin anew.
   */
  constructor(
    data: readonly GivenData[],
    listening: Listening,
    clock: Clock,
    failed: (error: ZeptoError) => void,
  ) {
    this.clock = clock;
    this.failed = failed;
    this.threads = data.map((one) => this.startThread(one, listening));
  }

  async run(request: StatementRequest, signal: AbortSignal): Promise<StatementAnswer> {
    const { id, text, subject } = request;
    if (this.statements.has(id))
      throw new ZeptoError('SQL_UNSUPPORTED', 'stop', `a statement with the query_id ${id} runs already`);
    const thread = this.leastBusy();
    const word = thread.freeWords.pop();
    if (word === undefined)
      throw new ZeptoError(
        'LIMIT_EXCEEDED',
        'retry',
        `${STATEMENTS_MAX} statements run already: ask again later`,
      );
    Atomics.store(thread.cancelWords, word, 0);
    const stopping = new AbortController();
    const running = { id, text, subject, startedAtMs: this.clock.nowMs(), thread, word, stopping };
    this.statements.set(id, running);
    const stop = (): boolean => this.cancel(id);
    signal.addEventListener('abort', stop, { once: true });
    const end = (): void => {
      signal.removeEventListener('abort', stop);
      if (this.statements.delete(id)) thread.freeWords.push(word);
    };
    try {
      if (signal.aborted) stop();
      const opened = await thread.caller.call('open', { request, word }, stopping.signal);
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
    Atomics.store(running.thread.cancelWords, running.word, 1);
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
    return others.reduce(
      (least, one) => (one.freeWords.length > least.freeWords.length ? one : least),
      first,
    );
  }

  private startThread(data: GivenData, listening: Listening): Thread {
    const ports = [...data.shards.map(({ port }) => port), data.main];
    const cancelWords = new Int32Array(new SharedArrayBuffer(4 * STATEMENTS_MAX));
    const all: QueryData = { ...data, cancelWords };
    const worker = startThread('query', all, listening, ports);
    const caller = new Caller<QueryCalls>(worker);
    let crash: Error | undefined;
    worker.on('error', (error) => {
      crash = error;
    });
    const exited = new Promise<void>((resolve) => {
      worker.once('exit', (code) => {
        const how = crash === undefined ? `ended with code ${code}` : `crashed: ${crash.message}`;
        const gone = new ZeptoError('INTERNAL', 'stop', `query thread ${data.index} ${how}`, {
          cause: crash,
        });
        caller.fail(gone);
        if (!this.isStopping) {
          this.threads.splice(this.threads.indexOf(thread), 1);
          this.failed(gone);
        }
        for (const { pinWords } of data.shards) unpin(pinWords, data.index);
        resolve();
      });
    });
    const freeWords = Array.from({ length: STATEMENTS_MAX }, (_, i) => i);
    const thread: Thread = { worker, caller, exited, cancelWords, freeWords };
    return thread;
  }
}

const noThread = (): ZeptoError => new ZeptoError('INTERNAL', 'stop', 'no query thread runs');
