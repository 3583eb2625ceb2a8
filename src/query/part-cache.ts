// What: what a thread remembers of parts from query to query: how rows stand in time order, the extremes of chunks, facts of blocks, and aggregates of whole parts and of their buckets.
// Why: COUNT and VWAP of everything that a symbol ever traded should cost what is new, not what is old.
// Invariant: rows below a published count never change, so an entry is right for every part of its id that begins with the same runs.

import type { Accumulator } from './aggregate/accumulator.ts';
import { BlockFacts, type Kept } from './kernels/block-facts.ts';
import type { Extremes } from './kernels/int64.ts';
import type { AnyPart } from './snapshot.ts';
import type { Ranges } from './time-order.ts';

/** Entries are forgotten all at once when there are more: a bound that costs nothing to keep. */
const PARTS_MAX = 100_000;
/** Likewise of the facts of blocks: those of a column take a twentieth to a tenth of what the column takes. */
const FACT_BYTES_MAX = 64 * 2 ** 20;
/** And of buckets. A query that would need more than a half of it keeps none: the next one would find nothing of it. */
const BUCKET_BYTES_MAX = 64 * 2 ** 20;

/** What a state takes, and what each of its groups does, roughly. */
const STATE_BYTES = 512;
const GROUP_BYTES = 32;
const bytesOfState = (groups: number): number => STATE_BYTES + GROUP_BYTES * groups;

/** Whether so many states of so many groups each are worth keeping. */
export const mayKeepBuckets = (states: number, groups: number): boolean =>
  states * bytesOfState(groups) <= BUCKET_BYTES_MAX / 2;

/** Of each number. */
const RANGE_BYTES = 8;

/** An aggregate over the first `runs` runs of a part, `rows` rows in all. */
export interface KnownAggregate {
  readonly runs: number;
  readonly rows: number;
  /** One group, 0, unless it is said. Never changed once it is here. */
  readonly state: Accumulator;
}

/** The same with a group for each bucket. */
export interface KnownBuckets extends KnownAggregate {
  /** Of the buckets, by group of the state. */
  readonly numbers: readonly number[];
}

/** Event times of a run, as nanoseconds since its hour began. */
export interface RunTimes {
  readonly min: number;
  readonly max: number;
  /** Where stretches of ascending times begin, and the number of rows; null: too many to tell. */
  readonly starts: Int32Array | null;
}

/** By run: what was found, and how many rows the run had then. */
interface RunFacts<T> {
  readonly rows: number[];
  readonly found: T[];
}

const noFacts = <T>(): RunFacts<T> => ({ rows: [], found: [] });

export class PartMemory {
  /** Rows of each run that something is known of. */
  private readonly runRows: number[] = [];
  private readonly times = noFacts<RunTimes>();
  /** By stored column: smallest and largest value; null: not to be told. */
  private readonly extremes = new Map<number, RunFacts<Extremes | null>>();
  /** Over full runs, which only grow in number; and over all runs of the part when it was last read. */
  readonly full = new Map<string, KnownAggregate>();
  readonly whole = new Map<string, KnownAggregate>();
  /** Of all rows when there were so many. */
  private order: { readonly rows: number; readonly ranges: Ranges | null } | null = null;
  private readonly blocks: BlockFacts[] = [];
  private readonly buckets = new Map<string, KnownBuckets>();
  /** Of facts and orders, and of buckets. */
  factBytes = 0;
  bucketBytes = 0;
  private readonly kept: Kept = (bytes) => {
    this.factBytes += bytes;
    this.grown(bytes, 0);
  };
  private readonly grown: (factBytes: number, bucketBytes: number) => void;

  constructor(grown: (factBytes: number, bucketBytes: number) => void) {
    this.grown = grown;
  }

  /** Whether `part` begins with what is known here. */
  fits(part: AnyPart): boolean {
    if (part.tier !== 'hot') return true;
    return this.runRows.every((rows, i) => (part.runs[i]?.rows ?? 0) >= rows);
  }

  /** Of a run of this many rows; `find` looks when it is not known. */
  timesOf(run: number, rows: number, find: () => RunTimes): RunTimes {
    return this.known(this.times, run, rows, find);
  }

  extremesOf(column: number, run: number, rows: number, find: () => Extremes | null): Extremes | null {
    let facts = this.extremes.get(column);
    if (facts === undefined) {
      facts = noFacts();
      this.extremes.set(column, facts);
    }
    return this.known(facts, run, rows, find);
  }

  /** By the name of an aggregate and of buckets. */
  bucketsOf(name: string): KnownBuckets | undefined {
    return this.buckets.get(name);
  }

  keepBuckets(name: string, found: KnownBuckets): void {
    const before = this.buckets.get(name);
    const bytes =
      bytesOfState(found.numbers.length) - (before === undefined ? 0 : bytesOfState(before.numbers.length));
    this.bucketBytes += bytes;
    this.grown(0, bytes);
    this.buckets.set(name, found);
  }

  forgetBuckets(): void {
    this.buckets.clear();
    this.bucketBytes = 0;
  }

  /** All rows of the part in time order; `find` looks when it is not known of so many. */
  orderOf(rows: number, find: () => Ranges | null): Ranges | null {
    if (this.order?.rows === rows) return this.order.ranges;
    const ranges = find();
    this.kept(RANGE_BYTES * ((ranges?.length ?? 0) - (this.order?.ranges?.length ?? 0)));
    this.order = { rows, ranges };
    return ranges;
  }

  /** Of a run, which may grow: what is known of its first rows stays true. */
  blocksOf(run: number): BlockFacts {
    this.blocks[run] ??= new BlockFacts(this.kept);
    return this.blocks[run];
  }

  private known<T>(facts: RunFacts<T>, run: number, rows: number, find: () => T): T {
    if (facts.rows[run] === rows) return facts.found[run] as T;
    const found = find();
    facts.rows[run] = rows;
    facts.found[run] = found;
    if (!(this.runRows[run]! >= rows)) this.runRows[run] = rows;
    return found;
  }
}

export class PartCache {
  private readonly parts = new Map<string, PartMemory>();
  private factBytes = 0;
  private bucketBytes = 0;

  of(part: AnyPart): PartMemory {
    if (this.factBytes >= FACT_BYTES_MAX) this.forget();
    if (this.bucketBytes >= BUCKET_BYTES_MAX) this.forgetBuckets();
    const known = this.parts.get(part.id);
    if (known?.fits(part)) return known;
    if (known !== undefined) {
      this.parts.delete(part.id);
      this.factBytes -= known.factBytes;
      this.bucketBytes -= known.bucketBytes;
    }
    if (this.parts.size >= PARTS_MAX) this.forget();
    const made: PartMemory = new PartMemory((factBytes, bucketBytes) => {
      // A query may still hold what was forgotten.
      if (this.parts.get(part.id) !== made) return;
      this.factBytes += factBytes;
      this.bucketBytes += bucketBytes;
    });
    this.parts.set(part.id, made);
    return made;
  }

  private forget(): void {
    this.parts.clear();
    this.factBytes = 0;
    this.bucketBytes = 0;
  }

  private forgetBuckets(): void {
    for (const memory of this.parts.values()) memory.forgetBuckets();
    this.bucketBytes = 0;
  }
}
