// What: what one execution of a query shares: its snapshot, its texts, its bounds and what it has read so far.
// Why: every operator counts against one budget and stops at one flag, so that a query is bounded as a whole.
// Invariant: memory that an operator keeps from block to block is reserved before it is allocated.

import { ZeptoError } from '../kernel/errors.ts';
import type { AnalyticEngine, Disk } from '../ports.ts';
import type { Registered } from './files.ts';
import type { GroupReader } from './group-scan.ts';
import type { PartCache } from './part-cache.ts';
import { emptyStats, type QueryStats } from './result.ts';
import type { QueryLimits, Snapshot } from './snapshot.ts';
import type { SystemTables } from './system/system-table.ts';
import type { TypeName } from './system/tables.ts';
import { Texts } from './texts.ts';
import type { Views } from './view/view.ts';

/** Simple steps of a loop between two checks: some milliseconds. */
export const CHECK_STEPS = 2 ** 20;
/** Costly ones, less one. */
const TICKS = 2 ** 14 - 1;

/** Bytes that hash tables, sorts, kept rows and texts of a query hold. */
export class Budget {
  /** Of time: to be called from work that takes long between blocks. @throws ZeptoError CANCELLED, LIMIT_EXCEEDED */
  readonly check: () => void;
  private readonly bytesMax: number;
  private used = 0;
  private most = 0;
  private steps = 0;

  constructor(bytesMax: number, check: () => void = () => {}) {
    this.bytesMax = bytesMax;
    this.check = check;
  }

  /** @throws ZeptoError LIMIT_EXCEEDED */
  reserve(bytes: number): void {
    this.used += bytes;
    if (this.used > this.most) this.most = this.used;
    if (this.used <= this.bytesMax) return;
    throw new ZeptoError(
      'LIMIT_EXCEEDED',
      'stop',
      `the query needs more than ${this.bytesMax} bytes of memory (limit bytesMax): narrow it by time or symbol, or add a LIMIT`,
      { context: { limit: 'bytesMax', bytesMax: this.bytesMax } },
    );
  }

  release(bytes: number): void {
    this.used -= bytes;
  }

  /** Of work whose parts differ in length: so many simple steps of it are made. @throws ZeptoError as `check` */
  took(steps: number): void {
    this.steps += steps;
    if (this.steps < CHECK_STEPS) return;
    this.steps = 0;
    this.check();
  }

  /** Highest use so far. */
  get peakBytes(): number {
    return this.most;
  }
}

export interface ExecuteOptions {
  readonly limits: QueryLimits;
  /** When the query began, ns since 1970 UTC: now() in all its rows. */
  readonly nowNs: bigint;
  /** For the timeout: milliseconds, origin arbitrary. */
  readonly monotonicMs: () => number;
  /** Over shared memory; a value other than 0 at [0] stops the query within a block. */
  readonly cancel?: Int32Array;
  /** Aborted with the reason when the query is to stop: what it waits for is given up. */
  readonly signal?: AbortSignal;
  /** Other members of the group, whose rows are read as well; null or absent: those of this one are all. */
  readonly group?: GroupReader | null;
  /** Reads warm parts. Without it a query that needs one is refused. */
  readonly disk?: Disk;
  /** The bytes of a Parquet object of ours. Without it a query that needs one is refused. */
  readonly cold?: (key: string, signal: AbortSignal) => Promise<Uint8Array>;
  /** Reads duckdb('…'). Null or absent: switched off. */
  readonly analytic?: AnalyticEngine | null;
  /** What is known of parts from earlier queries of this thread. */
  readonly cache?: PartCache;
  readonly views?: Views;
  /** Parquet tables: the path of their files by name. */
  readonly registered?: Registered;
  /** Whether a view may answer a query that names its table. Default: yes. */
  readonly isViewRewriteOn?: boolean;
  /** Whether a query gives its groups, each with the parts of its aggregates' states, as another member merges them. */
  readonly asParts?: boolean;
  /** What `system.…` names. */
  readonly system?: SystemTables;
  /** DESCRIBE answers as ClickHouse does, with its names of types; absent: as this system does. */
  readonly clickhouseType?: TypeName;
  /** What version(), hostName() and uptime() answer. */
  readonly server?: ServerFacts;
}

export interface ServerFacts {
  readonly version: string;
  readonly hostName: string;
  readonly uptimeSeconds: number;
}

/** What is put before a query's rows are read: values of scalar subqueries, sets of IN, by AST node. */
export type Prepared = Map<object, unknown>;

/** Of no query: expressions are compiled for what they would give, and nothing is read. */
export const runOfNoQuery = (): Run =>
  new Run(
    {
      tables: new Map(),
      names: { nameOf: () => undefined, codeOf: () => undefined },
      release: () => {},
    },
    {
      limits: {
        rowsMax: Number.MAX_SAFE_INTEGER,
        bytesMax: Number.MAX_SAFE_INTEGER,
        timeoutMs: Number.MAX_SAFE_INTEGER,
      },
      nowNs: 0n,
      monotonicMs: () => 0,
    },
    emptyStats(),
  );

export class Run {
  readonly snapshot: Snapshot;
  readonly options: ExecuteOptions;
  readonly budget: Budget;
  readonly texts: Texts;
  readonly stats: QueryStats;
  readonly prepared: Prepared = new Map();
  /** To be called once per block. @throws ZeptoError CANCELLED, LIMIT_EXCEEDED */
  readonly check: () => void;
  private waiting: { readonly signal: AbortSignal; readonly ended: AbortController } | null = null;
  private ticks = 0;

  constructor(snapshot: Snapshot, options: ExecuteOptions, stats: QueryStats) {
    this.snapshot = snapshot;
    this.options = options;
    this.check = stopCheck(options);
    this.budget = new Budget(options.limits.bytesMax, this.check);
    this.texts = new Texts(snapshot.names, this.budget);
    this.stats = stats;
  }

  /** Aborted when the query ends or is to stop, for what it waits for. Made when asked for: most queries wait for nothing. */
  get signal(): AbortSignal {
    if (this.waiting === null) {
      const ended = new AbortController();
      const { signal } = this.options;
      this.waiting = {
        ended,
        signal: signal === undefined ? ended.signal : AbortSignal.any([ended.signal, signal]),
      };
    }
    return this.waiting.signal;
  }

  /** Idempotent. */
  end(): void {
    this.waiting?.ended.abort();
    this.snapshot.release();
  }

  /** To be called from comparators and from loops with costly steps: checks once in a while. */
  tick(): void {
    if ((++this.ticks & TICKS) === 0) this.check();
  }
}

/** What is to be called now and then from work that takes long: its time begins here. */
export function stopCheck({ cancel, limits, monotonicMs }: ExecuteOptions): () => void {
  const startedMs = monotonicMs();
  return () => {
    if (cancel !== undefined && Atomics.load(cancel, 0) !== 0) throw cancelled();
    if (monotonicMs() - startedMs > limits.timeoutMs) throw tookTooLong(limits.timeoutMs);
  };
}

export const cancelled = (): ZeptoError => new ZeptoError('CANCELLED', 'stop', 'the query was cancelled');

export const tookTooLong = (timeoutMs: number): ZeptoError =>
  new ZeptoError('LIMIT_EXCEEDED', 'stop', `the query took longer than ${timeoutMs} ms (limit timeoutMs)`, {
    context: { limit: 'timeoutMs', timeoutMs },
  });
