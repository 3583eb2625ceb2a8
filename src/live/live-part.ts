// What: a symbol-hour in a shard's memory, as a reader thread sees it.
// Why: rows are appended all the time; a part is made of them only when a query wants it, and again only when there are more.
// Invariant: a part of n rows is views over the chunks that hold the first n rows; what is appended later does not show.

import type { ColumnSchema } from '../columns/types.ts';
import type { ColumnRun, HotPart } from '../query/snapshot.ts';
import type { Chunk } from '../store/chunk.ts';
import type { RunBegun } from './change.ts';

export class LivePart {
  /** Of its run. */
  readonly number: number;
  readonly symbol: number;
  readonly hour: number;
  readonly partition: number;
  /** Its place in the row counts of a snapshot. */
  readonly slot: number;
  private readonly run: RunBegun;
  private readonly stored: readonly ColumnSchema[];
  private readonly chunks: Chunk[] = [];
  /** Rows of all chunks but the last: they are full. */
  private fullRows = 0;
  private last: Int32Array = new Int32Array(1);
  private made: HotPart | null = null;

  constructor(
    run: RunBegun,
    stored: readonly ColumnSchema[],
    number: number,
    symbol: number,
    hour: number,
    slot: number,
  ) {
    this.run = run;
    this.stored = stored;
    this.partition = run.partition;
    this.number = number;
    this.symbol = symbol;
    this.hour = hour;
    this.slot = slot;
  }

  /** Of its parts. */
  get id(): string {
    const { topic, partition, run, sinceMs } = this.run;
    return `${topic}-${partition}/${sinceMs}-${run}/${this.number}`;
  }

  /** A further chunk: the one before it is full. */
  add(chunk: Chunk): void {
    this.fullRows += this.chunks.at(-1)?.capacity ?? 0;
    this.chunks.push(chunk);
    this.last = chunk.published;
  }

  /** Rows that are published now. */
  count(): number {
    return this.fullRows + Atomics.load(this.last, 0);
  }

  part(rows: number): HotPart {
    if (this.made?.rows !== rows) this.made = this.make(rows);
    return this.made;
  }

  private make(rows: number): HotPart {
    const runs: ColumnRun[] = [];
    let left = rows;
    for (const { capacity, columns } of this.chunks) {
      if (left <= 0) break;
      runs.push({ rows: Math.min(left, capacity), columns: columns.map(({ values }) => values) });
      left -= capacity;
    }
    const { topic, partition } = this.run;
    return {
      id: this.id,
      tier: 'hot',
      topic,
      partition,
      symbol: this.symbol,
      hour: this.hour,
      rows,
      timestampMin: null,
      timestampMax: null,
      isSorted: false,
      stored: this.stored,
      runs,
    };
  }
}
