// What: a symbol-hour in a shard's memory, as a reader thread sees it.
// Why: rows are appended all the time; a part for a query is made anew only when there are more.
// Invariant: runs of a part are views over the shard's chunks with as many rows as were published when they were counted.

import type { ColumnRun, HotPart } from '../query/snapshot.ts';
import type { Chunk } from '../store/chunk.ts';
import type { RunBegun } from './change.ts';

export class LivePart {
  readonly number: number;
  private readonly run: RunBegun;
  private readonly symbol: number;
  private readonly hour: number;
  private readonly chunks: Chunk[] = [];
  private readonly runs: ColumnRun[] = [];
  /** Rows of the last chunk when last counted. */
  private lastRows = 0;
  private made: HotPart | null = null;

  constructor(run: RunBegun, number: number, symbol: number, hour: number) {
    this.run = run;
    this.number = number;
    this.symbol = symbol;
    this.hour = hour;
  }

  /** A further chunk: the one before it is full. */
  add(chunk: Chunk): void {
    const last = this.chunks.at(-1);
    if (last !== undefined) this.runs[this.chunks.length - 1] = runOf(last, last.capacity);
    this.chunks.push(chunk);
    this.lastRows = 0;
    this.made = null;
  }

  /** Looks at how many rows are published now. */
  count(): void {
    const rows = Atomics.load(this.chunks.at(-1)!.published, 0);
    if (rows === this.lastRows) return;
    this.lastRows = rows;
    this.made = null;
  }

  /** As it was last counted; null when it holds no row. */
  part(): HotPart | null {
    this.made ??= this.make();
    return this.made.rows === 0 ? null : this.made;
  }

  private make(): HotPart {
    const runs = this.runs.slice();
    if (this.lastRows > 0) runs[this.chunks.length - 1] = runOf(this.chunks.at(-1)!, this.lastRows);
    const { topic, partition, run, sinceMs } = this.run;
    return {
      id: `${topic}-${partition}/${sinceMs}-${run}/${this.number}`,
      tier: 'hot',
      topic,
      partition,
      symbol: this.symbol,
      hour: this.hour,
      rows: runs.reduce((sum, { rows }) => sum + rows, 0),
      timestampMin: null,
      timestampMax: null,
      isSorted: false,
      runs,
    };
  }
}

const runOf = (chunk: Chunk, rows: number): ColumnRun => ({
  rows,
  columns: chunk.columns.map(({ values }) => values),
});
