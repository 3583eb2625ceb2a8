// What: aggregates of stored columns by symbol and by bucket of time, straight from the parts.
// Why: bars, counts and VWAPs are what tick tables are asked for; parts are by symbol and mostly in time order, so groups are stretches of rows.
// Invariant: the same groups and values as the general way gives; whole parts are remembered, edges are read exactly.

import { NANOS_PER_HOUR, storedColumns } from '../../columns/types.ts';
import { unreachable } from '../../kernel/assert.ts';
import type { Expression } from '../../sql/ast.ts';
import { printExpression } from '../../sql/print-expression.ts';
import type { SqlType } from '../../sql/types.ts';
import { type Accumulator, vectorsOfState } from '../aggregate/accumulator.ts';
import type { Count } from '../aggregate/sums.ts';
import { Columns, type Flow, type Operator, ROW_NUMBERS } from '../block.ts';
import { floorMultiple } from '../expression/arithmetic.ts';
import { narrowed } from '../keys.ts';
import { type KnownAggregate, mayKeepBuckets, PartCache, type PartMemory } from '../part-cache.ts';
import { coverage, hourStart, piecesOf } from '../parts.ts';
import type { Binding } from '../rows.ts';
import type { Run } from '../run.ts';
import type { AnyPart } from '../snapshot.ts';
import { type Chosen, choose, type TableScanSpec } from '../table-scan.ts';
import type { ValueFilter } from '../value-filter.ts';
import { BLOCK_ROWS, tailOf, textVector, type Vector, wideVector } from '../vector.ts';
import { ChosenRows, noExtremes } from './feeds.ts';
import {
  merge,
  PartAggregate,
  type RangeAggregate,
  type RangeCall,
  rangeAggregate,
} from './range-aggregate.ts';
import { boundsInHour, HOUR_NS, hourOf, Stretch } from './stretch.ts';

/**
 * A group key: the symbol, or the event time rounded down: floor((t − origin) / step) × step + origin. Times within a bucket are
 * doubles, so `stepNs` is at most NARROW_MAX.
 */
export type RangeKey =
  | { readonly kind: 'symbol' }
  | { readonly kind: 'bucket'; readonly stepNs: bigint; readonly originNs: bigint };

export interface ScanAggregateSpec {
  readonly scan: TableScanSpec;
  readonly keys: readonly RangeKey[];
  readonly keyExpressions: readonly Expression[];
  readonly calls: readonly RangeCall[];
  readonly types: readonly SqlType[];
  /** As in AggregateSpec. */
  readonly asParts: boolean;
  /** The event time, for first and last. */
  readonly time: Expression | null;
}

/** Columns: the keys, then the calls, or the parts of their states. */
export function scanAggregate(spec: ScanAggregateSpec, input: Operator, binding: Binding): Operator {
  return {
    types: spec.types,
    label: 'Kernel',
    details: () => [
      ...(spec.keys.length === 0 ? [] : [`by ${spec.keyExpressions.map(printExpression).join(', ')}`]),
      spec.calls.map(({ call }) => printExpression(call)).join(', ') || 'no aggregate',
    ],
    inputs: [input],
    open: (run) => groupsOfScan(spec, binding, run),
  };
}

function* groupsOfScan(spec: ScanAggregateSpec, binding: Binding, run: Run): Flow {
  const kernel = new ScanAggregate(spec, binding, run);
  yield* kernel.read();
  yield* kernel.rows();
}

/** All rows are of one. */
const NO_BUCKETS = { number: 0, inNs: 0 };

/** Buckets of an hour that are remembered at most. */
const BUCKETS_KEPT_MAX = 241;

/** Where rows are taken to: a state for each aggregate. */
interface Target {
  readonly states: readonly Accumulator[];
  /** The group of a bucket, by its number. */
  group(bucket: number): number;
}

/** The buckets of one part. */
class PartBuckets implements Target {
  readonly states: readonly Accumulator[];
  /** By group. */
  readonly numbers: number[] = [];
  private readonly groupOf = new Map<number, number>();

  constructor(aggregates: readonly RangeAggregate[]) {
    this.states = aggregates.map(({ make }) => make());
  }

  group(bucket: number): number {
    const known = this.groupOf.get(bucket);
    if (known !== undefined) return known;
    const made = this.numbers.push(bucket) - 1;
    this.groupOf.set(bucket, made);
    for (const state of this.states) state.grow(made + 1);
    return made;
  }
}

class ScanAggregate {
  private readonly spec: ScanAggregateSpec;
  private readonly run: Run;
  private readonly aggregates: readonly RangeAggregate[];
  private readonly cache: PartCache;
  private readonly bucket: Extract<RangeKey, { kind: 'bucket' }> | null;
  private readonly bySymbol: boolean;
  private readonly chosen: Chosen;
  /** Columns to read, the event time apart. */
  private readonly stored: readonly number[];
  private readonly timeIndex: number;
  /** Of the piece at hand: whether all of its rows pass the filter. */
  private passing: 'some' | 'all' = 'all';
  private readonly passed = new ChosenRows();
  /** Whether it is enough to know how many rows pass. */
  private readonly onlyCounts: boolean;
  /** Whether all rows are of one group and only counted. */
  private readonly isPlainCount: boolean;
  /** By group. */
  private readonly symbols: number[] = [];
  private readonly buckets: bigint[] = [];
  /** Groups of the symbol at hand, or of all when symbols are no key, by bucket number. */
  private groupOf = new Map<number, number>();
  private groups = 0;
  /** Of the part at hand. */
  private symbol = -1;
  private target: Target;
  private readonly allGroups: Target;
  /** Name of the buckets for the memory of parts; null: none are remembered. */
  private readonly bucketName: string | null;
  /** Of the hour that was asked for last. */
  private hourBucket = { hourNs: -1n, ...NO_BUCKETS };

  constructor(spec: ScanAggregateSpec, binding: Binding, run: Run) {
    this.spec = spec;
    this.run = run;
    this.cache = run.options.cache ?? new PartCache();
    this.bucket = spec.keys.find((key) => key.kind === 'bucket') ?? null;
    this.bySymbol = spec.keys.some(({ kind }) => kind === 'symbol');
    const { schema } = spec.scan;
    this.timeIndex = storedColumns(schema).indexOf(schema.columns[schema.timestampColumn]!);
    this.chosen = choose(spec.scan, run);
    this.onlyCounts = spec.calls.every(({ columns }) => columns.length === 0);
    this.isPlainCount = this.onlyCounts && spec.keys.length === 0;
    const taken = spec.calls.flatMap(({ columns }) => columns.map(({ index }) => index));
    this.stored = [...new Set([...taken, ...(this.chosen.filter?.stored ?? [])])];
    const memo = noExtremes();
    this.aggregates = spec.calls.map((call) => rangeAggregate(call, spec.time, binding, memo));
    this.allGroups = {
      states: this.aggregates.map(({ state }) => state),
      group: (bucket) => this.group(bucket),
    };
    this.target = this.allGroups;
    this.bucketName = this.nameOfBuckets();
    if (spec.keys.length === 0) this.group(0);
  }

  *read(): Flow {
    const { time, filter } = this.chosen;
    const parts = this.isPlainCount && filter === null ? this.notCounted() : this.chosen.parts;
    for (const part of parts) {
      this.run.tick();
      if (this.bySymbol && part.symbol !== this.symbol) this.groupOf = new Map();
      this.symbol = part.symbol;
      const cover = coverage(part, time);
      if (cover !== 'all') yield* this.takeRanges(part);
      else if (!this.isOneBucket(part)) {
        if (filter === null && this.bucketName !== null) yield* this.takeBuckets(part, this.bucketName);
        else yield* this.takeRanges(part);
      } else if (filter !== null) yield* this.takePassing(part, filter);
      else if (!this.takeKnown(part)) yield* this.takeWhole(part);
    }
  }

  /** Counts the rows of whole parts, all of them one group; returns the other parts. */
  private notCounted(): readonly AnyPart[] {
    const { parts, time } = this.chosen;
    const rest: AnyPart[] = [];
    let counted = 0;
    for (const part of parts) {
      if (coverage(part, time) === 'all') counted += part.rows;
      else rest.push(part);
    }
    this.run.stats.rowsKnown += counted;
    for (const { state } of this.aggregates) (state as Count).addCount(0, counted);
    return rest;
  }

  *rows(): Flow {
    const vectors: Vector[] = this.spec.keys.map((key) => {
      switch (key.kind) {
        case 'symbol':
          return textVector(Uint32Array.from(this.symbols));
        case 'bucket':
          return narrowed(wideVector(BigInt64Array.from(this.buckets)), this.groups);
        default:
          return unreachable(key);
      }
    });
    for (const { state } of this.aggregates)
      vectors.push(...vectorsOfState(state, this.groups, this.spec.asParts));
    for (let from = 0; from < this.groups; from += BLOCK_ROWS)
      yield new Columns(
        Math.min(BLOCK_ROWS, this.groups - from),
        vectors.map((vector) => tailOf(vector, from)),
      );
  }

  private nameOfBuckets(): string | null {
    // Buckets are remembered with their aggregates: without one, there is nothing to find the groups in again.
    if (this.bucket === null || this.aggregates.length === 0) return null;
    const { stepNs, originNs } = this.bucket;
    const perHour = Number(NANOS_PER_HOUR / stepNs) + 1;
    const states = this.chosen.parts.length * this.aggregates.length;
    return perHour > BUCKETS_KEPT_MAX || !mayKeepBuckets(states, perHour) ? null : `${stepNs}:${originNs}`;
  }

  /** Whether all rows that the part can have are of one bucket. */
  private isOneBucket(part: AnyPart): boolean {
    if (this.bucket === null) return true;
    const first = hourStart(part);
    const last = first + NANOS_PER_HOUR - 1n;
    const { stepNs, originNs } = this.bucket;
    return floorMultiple(first - originNs, stepNs) === floorMultiple(last - originNs, stepNs);
  }

  /** The group of a bucket, by its number. */
  private group(bucket: number): number {
    const known = this.groupOf.get(bucket);
    if (known !== undefined) return known;
    const made = this.groups++;
    this.groupOf.set(bucket, made);
    if (this.bySymbol) this.symbols.push(this.symbol);
    if (this.bucket !== null) this.buckets.push(BigInt(bucket) * this.bucket.stepNs + this.bucket.originNs);
    this.run.budget.reserve(64 * (1 + this.aggregates.length));
    for (const { state } of this.aggregates) state.grow(this.groups);
    return made;
  }

  private groupOfPart(part: AnyPart): number {
    if (this.bucket !== null) return this.group(this.bucketAt(hourStart(part)).number);
    return this.bySymbol ? this.group(0) : 0;
  }

  /** Number of the bucket in which an hour begins, and how far into it. Stretches of one hour ask for it many times. */
  private bucketAt(hourNs: bigint): { readonly number: number; readonly inNs: number } {
    if (this.bucket === null) return NO_BUCKETS;
    if (this.hourBucket.hourNs === hourNs) return this.hourBucket;
    const { stepNs, originNs } = this.bucket;
    const start = floorMultiple(hourNs - originNs, stepNs);
    this.hourBucket = { hourNs, number: Number(start / stepNs), inNs: Number(hourNs - originNs - start) };
    return this.hourBucket;
  }

  // -------------------------------------------------------------------------------------------------------
  // Whole parts

  /** All rows of the part are of one group: whether all that is wanted of them is remembered, which is taken then. */
  private takeKnown(part: AnyPart): boolean {
    if (this.onlyCounts) {
      const group = this.groupOfPart(part);
      for (const { state } of this.aggregates) (state as Count).addCount(group, part.rows);
    } else {
      const memory = this.cache.of(part);
      if (!this.aggregates.every((aggregate) => knownOf(aggregate, part, memory) !== null)) return false;
      const group = this.groupOfPart(part);
      for (const aggregate of this.aggregates)
        merge(aggregate.state, group, knownOf(aggregate, part, memory)!.state);
    }
    this.run.stats.rowsKnown += part.rows;
    return true;
  }

  /** As above: what is remembered is merged, only what is new is read. */
  private *takeWhole(part: AnyPart): Flow {
    const group = this.groupOfPart(part);
    const memory = this.cache.of(part);
    const missing: RangeAggregate[] = [];
    for (const aggregate of this.aggregates) {
      const known = knownOf(aggregate, part, memory);
      if (known === null) missing.push(aggregate);
      else merge(aggregate.state, group, known.state);
    }
    this.run.check();
    const runs = runsIn(part);
    const open = missing.map((aggregate) => new PartAggregate(aggregate, memory));
    const from = Math.min(...open.map(({ runsKnown }) => runsKnown));
    const hour = hourOf(hourStart(part));
    let run = 0;
    for (const piece of piecesOf(part, this.spec.scan.schema, this.stored, this.run)) {
      if (piece instanceof Promise) {
        yield piece;
        continue;
      }
      if (run >= from) {
        const stretch = new Stretch(piece, this.timeIndex, hour);
        const starts = this.startsOf(part, stretch, memory, run);
        this.run.stats.rowsScanned += piece.rows;
        for (const aggregate of open) aggregate.take(run, stretch, starts, run < runs - 1);
      } else this.run.stats.rowsKnown += piece.rows;
      run++;
    }
    for (const aggregate of open) merge(aggregate.target, group, aggregate.finish(runs, part.rows));
  }

  /** Where the piece's stretches begin, when first and last must know; the whole piece otherwise. */
  private startsOf(part: AnyPart, stretch: Stretch, memory: PartMemory, run: number): Int32Array {
    const { rows } = stretch.piece;
    stretch.isAscending = true;
    if (part.isSorted || this.spec.time === null) return Int32Array.of(0, rows);
    const { starts } = memory.timesOf(run, rows, () => stretch.times(rows));
    stretch.isAscending = starts !== null;
    return starts ?? Int32Array.of(0, rows);
  }

  /** All rows of the part that pass are of one group. */
  private *takePassing(part: AnyPart, filter: ValueFilter): Flow {
    const memory = this.cache.of(part);
    const { number } = this.bucketAt(hourStart(part));
    const hour = hourOf(hourStart(part));
    let run = 0;
    for (const piece of piecesOf(part, this.spec.scan.schema, this.stored, this.run)) {
      if (piece instanceof Promise) {
        yield piece;
        continue;
      }
      this.run.check();
      const passing = filter.begin(piece, run++, memory);
      this.run.stats.rowsScanned += piece.rows;
      if (passing === 'none') continue;
      this.passing = passing;
      const stretch = new Stretch(piece, this.timeIndex, hour);
      stretch.isAscending = false;
      this.take(number, stretch.set(0, piece.rows));
    }
  }

  // -------------------------------------------------------------------------------------------------------
  // Buckets of whole parts

  /** What is remembered of the part's buckets is merged; otherwise they are read, and remembered. */
  private *takeBuckets(part: AnyPart, name: string): Flow {
    const memory = this.cache.of(part);
    const runs = runsIn(part);
    const names = this.aggregates.map((aggregate) => `${aggregate.name}@${name}`);
    const found = names.map((key) => memory.bucketsOf(key));
    if (found.every((known) => known?.runs === runs && known.rows === part.rows))
      this.run.stats.rowsKnown += part.rows;
    else {
      const own = new PartBuckets(this.aggregates);
      this.target = own;
      yield* this.takeRanges(part);
      this.target = this.allGroups;
      names.forEach((key, i) => {
        found[i] = { runs, rows: part.rows, numbers: own.numbers, state: own.states[i]! };
        memory.keepBuckets(key, found[i]);
      });
    }
    this.run.check();
    for (let i = 0; i < found.length; i++) {
      const { numbers, state } = found[i]!;
      for (let from = 0; from < numbers.length; from++)
        merge(this.aggregates[i]!.state, this.group(numbers[from]!), state, from);
    }
  }

  // -------------------------------------------------------------------------------------------------------
  // Stretches of rows

  private *takeRanges(part: AnyPart): Flow {
    const memory = this.cache.of(part);
    const hourNs = hourStart(part);
    const hour = hourOf(hourNs);
    const columns = this.stored.includes(this.timeIndex) ? this.stored : [...this.stored, this.timeIndex];
    const { min, limit: end } = boundsInHour(this.chosen.time, hourNs);
    let run = 0;
    for (const piece of piecesOf(part, this.spec.scan.schema, columns, this.run)) {
      if (piece instanceof Promise) {
        yield piece;
        continue;
      }
      this.run.check();
      const index = run++;
      const { rows } = piece;
      const times = part.isSorted
        ? null
        : memory.timesOf(index, rows, () => new Stretch(piece, this.timeIndex, hour).times(rows));
      if (times !== null && (times.max < min || times.min >= end)) continue;
      const passing = this.chosen.filter?.begin(piece, index, memory) ?? 'all';
      if (passing === 'none') continue;
      this.passing = passing;
      // What files hold is read anew each time, which costs more than to go through it.
      const facts = part.tier === 'hot' ? memory.blocksOf(index) : null;
      const stretch = new Stretch(piece, this.timeIndex, hour, facts);
      const starts = times === null ? Int32Array.of(0, rows) : times.starts;
      if (starts === null) this.takeUnordered(stretch, min, end);
      else
        for (let k = 0; k + 1 < starts.length; k++)
          this.takeAscending(stretch, starts[k]!, starts[k + 1]!, min, end);
    }
  }

  /** Rows [first, last) of the piece, whose times ascend: buckets end where the next one begins. */
  private takeAscending(stretch: Stretch, first: number, last: number, min: number, end: number): void {
    const { number, inNs } = this.bucketAt(stretch.hourNs);
    let from = min === 0 ? first : stretch.seek(first, last, min);
    const limit = end === HOUR_NS ? last : stretch.seek(from, last, end);
    const step = this.bucket === null ? Number.POSITIVE_INFINITY : Number(this.bucket.stepNs);
    this.run.stats.rowsScanned += limit - from;
    stretch.isAscending = true;
    while (from < limit) {
      const local = this.bucket === null ? 0 : Math.floor((stretch.timeAt(from) + inNs) / step);
      const to = this.bucket === null ? limit : stretch.seek(from, limit, (local + 1) * step - inNs);
      this.take(number + local, stretch.set(from, to));
      from = to;
    }
  }

  /** A stretch ends where a row is of another bucket, or outside of the bounds. */
  private takeUnordered(stretch: Stretch, min: number, end: number): void {
    const { rows } = stretch.piece;
    const { number, inNs } = this.bucketAt(stretch.hourNs);
    const step = this.bucket === null ? Number.POSITIVE_INFINITY : Number(this.bucket.stepNs);
    this.run.stats.rowsScanned += rows;
    stretch.isAscending = false;
    let from = 0;
    let low = 0;
    let high = -1;
    let local: number | null = null;
    for (let row = 0; row < rows; row++) {
      const at = stretch.timeAt(row);
      if (at >= low && at < high) continue;
      if (local !== null) this.take(number + local, stretch.set(from, row));
      from = row;
      if (at < min || at >= end) {
        local = null;
        high = -1;
        continue;
      }
      local = this.bucket === null ? 0 : Math.floor((at + inNs) / step);
      low = this.bucket === null ? min : Math.max(min, local * step - inNs);
      high = this.bucket === null ? end : Math.min(end, (local + 1) * step - inNs);
    }
    if (local !== null) this.take(number + local, stretch.set(from, rows));
  }

  /** Those rows of the stretch, which are of one bucket, that pass the filter. */
  private take(bucket: number, stretch: Stretch): void {
    const { aggregates, target } = this;
    const { filter } = this.chosen;
    if (filter === null || this.passing === 'all') {
      const group = target.group(bucket);
      for (let i = 0; i < aggregates.length; i++) aggregates[i]!.feed(target.states[i]!, group, stretch);
      return;
    }
    for (let { from } = stretch; from < stretch.to; from += BLOCK_ROWS) {
      const rows = Math.min(BLOCK_ROWS, stretch.to - from);
      const count = this.onlyCounts ? filter.count(from, rows) : filter.choose(from, ROW_NUMBERS, rows);
      // A group of no rows is none.
      if (count === 0) continue;
      const group = target.group(bucket);
      this.passed.set(stretch, from, filter.chosen, count);
      for (let i = 0; i < aggregates.length; i++)
        this.passed.feed(target.states[i]!, aggregates[i]!.columns, group);
    }
  }
}

const runsIn = (part: AnyPart): number => (part.tier === 'hot' ? part.runs.length : 1);

/** Of the whole part; null: nothing, or of fewer rows. */
function knownOf({ name }: RangeAggregate, part: AnyPart, memory: PartMemory): KnownAggregate | null {
  const known = memory.whole.get(name);
  return known !== undefined && known.runs === runsIn(part) && known.rows === part.rows ? known : null;
}
