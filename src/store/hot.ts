// What: the unsealed and in-flight rows of one Kafka partition, by hour and symbol, as columns.
// Why: a plan takes whole hours, so an hour's rows share an arena, and taking them is moving one object.
// Invariant: a row is in exactly one hour partition; what `freeze` took is immutable and keeps its memory until it leaves.

import type { RowBuffer } from '../columns/batch.ts';
import {
  type BitsArray,
  type ColumnSchema,
  SYMBOL_ID_LIMIT,
  storedColumns,
  type TableSchema,
} from '../columns/types.ts';
import type { SegmentFile, SegmentSource } from '../format/segment.ts';
import { assert } from '../kernel/assert.ts';
import { Arena, type SlabPool } from './arena.ts';
import { allocateChunk, type Chunk, findFacts, publish, sealedChunk } from './chunk.ts';

/** Ids below this are looked up in an array; messages may carry any id below 2^31, so the rest goes through a map. */
const DENSE_SYMBOLS = 65_536;
/** Takes a row that a plan has covered. */
const NOBODY = -1;

export type HourState = 'ACTIVE' | 'SEALED' | 'FLUSHING' | 'FLUSHED';

/** Rows of one symbol in one hour. */
export interface SymbolHour {
  /** Unique in its HotPartition. */
  readonly id: number;
  readonly symbol: number;
  readonly hour: number;
  readonly chunks: Chunk[];
  rows: number;
  /** In the append under way: rows to take, 0 outside one, and its place among the parts that take some. */
  incoming: number;
  place: number;
}

/** All rows of one hour. */
export interface HourRows {
  /** Unique in its HotPartition: an hour that was frozen and is met again is another one. */
  readonly id: number;
  readonly hour: number;
  readonly arena: Arena;
  readonly symbols: SymbolHour[];
  /** Index into `symbols` by symbol id, −1 none; ids above DENSE_SYMBOLS are in `sparse`. */
  slots: Int32Array;
  readonly sparse: Map<number, SymbolHour>;
  state: HourState;
  rows: number;
  /** Offset of the first row taken in. */
  readonly offsetFirst: number;
}

/** Hears of each chunk before a row in it is published: readers on other threads find rows by it. */
export type ChunkAdded = (hour: HourRows, part: SymbolHour, chunk: Chunk) => void;

/** Rows whose plan is committed, and the files that hold them. */
export interface Flushed {
  readonly hours: readonly HourRows[];
  files: readonly SegmentFile[];
}

export class HotPartition {
  /** Of the rows that are appended. */
  private table!: TableSchema;
  private stored!: readonly ColumnSchema[];
  private storedIndex!: readonly number[];
  /** Past the offset of the newest row appended. */
  offsetNext = 0;
  private readonly pool: SlabPool;
  private readonly chunkAdded: ChunkAdded;
  private readonly sealsRaw: boolean;
  /** Where `stored` has the times. */
  private time!: number;
  private readonly active = new Map<number, HourRows>();
  /** Unsealed rows of an older version of the table; they only leave. */
  private earlier: HourRows[] = [];
  private readonly flushing: HourRows[] = [];
  /** Oldest plan first. */
  private readonly flushed: Flushed[] = [];
  private nextId = 0;
  /** Of the rows of an append: the place of the part that takes it, or NOBODY; and row numbers, part by part. */
  private owner = new Int32Array(1024);
  private order = new Int32Array(1024);

  /** `sealsRaw`: seals write columns as they are, so facts of full chunks serve them. */
  constructor(
    table: TableSchema,
    pool: SlabPool,
    chunkAdded: ChunkAdded = () => {},
    sealsRaw: boolean = false,
  ) {
    this.chunkAdded = chunkAdded;
    this.sealsRaw = sealsRaw;
    this.pool = pool;
    this.takeUp(table);
  }

  /** Rows that are appended from now on are of this version of the table. */
  takeUp(table: TableSchema): void {
    this.table = table;
    this.stored = storedColumns(table);
    this.storedIndex = table.columns.flatMap((_, i) => (i === table.symbolColumn ? [] : [i]));
    this.time = this.stored.indexOf(table.columns[table.timestampColumn]!);
    this.earlier.push(...this.active.values());
    this.active.clear();
  }

  /** Unsealed rows. */
  get rows(): number {
    return this.unsealed.reduce((sum, { rows }) => sum + rows, 0);
  }

  /** Memory of unsealed rows, in whole slabs. */
  get bytes(): number {
    return bytesIn(this.unsealed);
  }

  /** Hours with unsealed rows, ascending. */
  get hours(): number[] {
    return [...new Set(this.unsealed.map(({ hour }) => hour))].sort((a, b) => a - b);
  }

  /** First offset of an unsealed row; null when there is none. */
  get offsetFirst(): number | null {
    let first: number | null = null;
    for (const { offsetFirst } of this.unsealed)
      if (first === null || offsetFirst < first) first = offsetFirst;
    return first;
  }

  /**
   * Appends rows [0, rows.rows) except those at or below their offset's covered hour: `hours[row] ≤ covered(offset)`.
   * `covered` is null when no row can be covered. Returns the number of rows appended.
   */
  append(rows: RowBuffer, hours: Int32Array, covered: ((offset: number) => number) | null): number {
    const count = rows.rows;
    if (this.order.length < count) {
      this.owner = new Int32Array(rows.capacity);
      this.order = new Int32Array(rows.capacity);
    }
    const symbols = rows.columns[this.table.symbolColumn]!.values as Uint32Array;
    const { owner } = this;
    const touched: SymbolHour[] = [];
    let hour: HourRows | null = null;
    let taken = 0;
    for (let row = 0; row < count; row++) {
      const rowHour = hours[row]!;
      if (covered !== null && rowHour <= covered(rows.offset[row]!)) {
        owner[row] = NOBODY;
        continue;
      }
      if (hour === null || hour.hour !== rowHour) hour = this.hourRows(rowHour, rows.offset[row]!);
      const symbol = symbols[row]!;
      const slot = symbol < hour.slots.length ? hour.slots[symbol]! : -1;
      const target = slot >= 0 ? hour.symbols[slot]! : this.symbolHour(hour, symbol);
      owner[row] = target.incoming++ === 0 ? touch(target, touched) : target.place;
      taken++;
      // Mostly the next rows are of the same hour, and of symbols that it knows.
      if (covered === null) {
        const next = takeKnown(hour, hours, symbols, row + 1, count, owner, touched);
        taken += next - row - 1;
        row = next - 1;
      }
    }
    if (count > 0) this.offsetNext = rows.offset[count - 1]! + 1;
    const starts = new Int32Array(touched.length);
    for (let place = 1; place < touched.length; place++)
      starts[place] = starts[place - 1]! + touched[place - 1]!.incoming;
    this.sortByOwner(count, starts);
    let from = 0;
    for (const target of touched) {
      this.copyRows(rows, target, from);
      from += target.incoming;
      target.incoming = 0;
    }
    return taken;
  }

  /** `starts`: where each place's rows begin in the order. */
  private sortByOwner(count: number, starts: Int32Array): void {
    const { order, owner } = this;
    for (let row = 0; row < count; row++) {
      const place = owner[row]!;
      if (place >= 0) order[starts[place]!++] = row;
    }
  }

  /** Takes every hour ≤ hourLast out of the unsealed rows; they stay readable until `release`. */
  freeze(hourLast: number): HourRows[] {
    const frozen = this.unsealed.filter(({ hour }) => hour <= hourLast);
    frozen.sort((a, b) => a.hour - b.hour);
    for (const hour of frozen) {
      hour.state = 'SEALED';
      if (this.active.get(hour.hour) === hour) this.active.delete(hour.hour);
      this.flushing.push(hour);
    }
    this.earlier = this.earlier.filter(({ hour }) => hour > hourLast);
    return frozen;
  }

  /** Frozen hours whose plan is committed: they stay readable here until they are evicted. */
  settle(frozen: readonly HourRows[], files: readonly SegmentFile[]): void {
    for (const hour of frozen) {
      const at = this.flushing.indexOf(hour);
      assert(at >= 0, 'only frozen hours are settled');
      this.flushing.splice(at, 1);
      hour.state = 'FLUSHED';
    }
    if (frozen.length > 0) this.flushed.push({ hours: frozen, files });
  }

  /** The oldest committed rows in memory: of all hours that `mayGo`, or null. They are no part of this any more; their memory is the caller's to free. */
  evict(mayGo: (hour: number) => boolean): Flushed | null {
    const at = this.flushed.findIndex(({ hours }) => hours.every(({ hour }) => mayGo(hour)));
    return at < 0 ? null : this.flushed.splice(at, 1)[0]!;
  }

  /** These files are removed; others hold the same rows. */
  forgetFiles(paths: ReadonlySet<string>): void {
    for (const one of this.flushed) one.files = one.files.filter(({ path }) => !paths.has(path));
  }

  /** Memory of committed rows, in whole slabs. */
  get flushedBytes(): number {
    return this.flushed.reduce((sum, { hours }) => sum + bytesIn(hours), 0);
  }

  /** Gives all rows up, those in flight too. Their memory is the caller's to free. */
  clear(): HourRows[] {
    const flushed = this.flushed.flatMap(({ hours }) => hours);
    const hours = [...this.unsealed, ...this.flushing, ...flushed];
    this.active.clear();
    this.earlier = [];
    this.flushing.length = 0;
    this.flushed.length = 0;
    return hours;
  }

  private get unsealed(): HourRows[] {
    return [...this.earlier, ...this.active.values()];
  }

  private hourRows(hour: number, offset: number): HourRows {
    const known = this.active.get(hour);
    if (known) return known;
    const made: HourRows = {
      id: this.nextId++,
      hour,
      arena: new Arena(this.pool),
      symbols: [],
      slots: new Int32Array(64).fill(-1),
      sparse: new Map(),
      state: 'ACTIVE',
      rows: 0,
      offsetFirst: offset,
    };
    this.active.set(hour, made);
    return made;
  }

  /** The symbol's rows in this hour, made when there are none. */
  private symbolHour(hour: HourRows, symbol: number): SymbolHour {
    const known = hour.sparse.get(symbol);
    if (known) return known;
    assert(symbol < SYMBOL_ID_LIMIT, 'a provisional symbol code is not stored');
    const made: SymbolHour = {
      id: this.nextId++,
      symbol,
      hour: hour.hour,
      chunks: [],
      rows: 0,
      incoming: 0,
      place: -1,
    };
    hour.symbols.push(made);
    if (symbol >= DENSE_SYMBOLS) {
      hour.sparse.set(symbol, made);
      return made;
    }
    if (symbol >= hour.slots.length) {
      const slots = new Int32Array(Math.max(symbol + 1, hour.slots.length * 2)).fill(-1);
      slots.set(hour.slots);
      hour.slots = slots;
    }
    hour.slots[symbol] = hour.symbols.length - 1;
    return made;
  }

  /** The target's incoming rows, which the order has from `start` on. */
  private copyRows(rows: RowBuffer, target: SymbolHour, start: number): void {
    let from = start;
    const end = start + target.incoming;
    const hour = this.active.get(target.hour)!;
    hour.rows += target.incoming;
    while (from < end) {
      let chunk = target.chunks[target.chunks.length - 1];
      if (chunk === undefined || chunk.rows === chunk.capacity) {
        chunk = allocateChunk(hour.arena, this.stored, target.rows);
        target.chunks.push(chunk);
        this.chunkAdded(hour, target, chunk);
      }
      const count = Math.min(end - from, chunk.capacity - chunk.rows);
      for (let i = 0; i < this.storedIndex.length; i++) {
        const { bits } = rows.columns[this.storedIndex[i]!]!;
        gather(bits, chunk.columns[i]!.bits, this.order, from, count, chunk.rows);
      }
      chunk.rows += count;
      target.rows += count;
      from += count;
      publish(chunk);
      if (this.sealsRaw && chunk.rows === chunk.capacity) findFacts(chunk, this.time);
    }
  }
}

/** Of the first row of an append that a part takes. */
function touch(target: SymbolHour, touched: SymbolHour[]): number {
  target.place = touched.push(target) - 1;
  return target.place;
}

/** Finds the owners of rows [from, to) up to the first, in steps of four, that is of another hour, or of a symbol that has no slot; returns it. */
function takeKnown(
  { hour, slots, symbols: parts }: HourRows,
  hours: Int32Array,
  symbols: Uint32Array,
  from: number,
  to: number,
  owner: Int32Array,
  touched: SymbolHour[],
): number {
  const { length } = slots;
  let row = from;
  for (const stop = to - 3; row < stop; row += 4) {
    const isOfHour =
      hours[row] === hour && hours[row + 1] === hour && hours[row + 2] === hour && hours[row + 3] === hour;
    if (!isOfHour) return row;
    const a = symbols[row]!;
    const b = symbols[row + 1]!;
    const c = symbols[row + 2]!;
    const d = symbols[row + 3]!;
    if (a >= length || b >= length || c >= length || d >= length) return row;
    const i = slots[a]!;
    const j = slots[b]!;
    const k = slots[c]!;
    const l = slots[d]!;
    if ((i | j | k | l) < 0) return row;
    const first = parts[i]!;
    const second = parts[j]!;
    const third = parts[k]!;
    const fourth = parts[l]!;
    owner[row] = first.incoming++ === 0 ? touch(first, touched) : first.place;
    owner[row + 1] = second.incoming++ === 0 ? touch(second, touched) : second.place;
    owner[row + 2] = third.incoming++ === 0 ? touch(third, touched) : third.place;
    owner[row + 3] = fourth.incoming++ === 0 ? touch(fourth, touched) : fourth.place;
  }
  return row;
}

/** `target[at + i] = source[order[from + i]]` for `count` values. */
function gather(
  source: BitsArray,
  target: BitsArray,
  order: Int32Array,
  from: number,
  count: number,
  at: number,
): void {
  if (source instanceof BigInt64Array) gatherLongs(source, target as BigInt64Array, order, from, count, at);
  else if (source instanceof Int32Array) gatherWords(source, target as Int32Array, order, from, count, at);
  else gatherBytes(source, target as Uint8Array, order, from, count, at);
}

// One for each width: a loop that meets two kinds of arrays makes a BigInt on the heap of every int64. Four rows at a time: V8
// looks an array's address and length up anew in each round.

function gatherLongs(
  source: BigInt64Array,
  target: BigInt64Array,
  order: Int32Array,
  from: number,
  count: number,
  at: number,
): void {
  let i = from;
  let to = at;
  for (const stop = from + count - 3; i < stop; i += 4, to += 4) {
    target[to] = source[order[i]!]!;
    target[to + 1] = source[order[i + 1]!]!;
    target[to + 2] = source[order[i + 2]!]!;
    target[to + 3] = source[order[i + 3]!]!;
  }
  for (; i < from + count; i++, to++) target[to] = source[order[i]!]!;
}

function gatherWords(
  source: Int32Array,
  target: Int32Array,
  order: Int32Array,
  from: number,
  count: number,
  at: number,
): void {
  let i = from;
  let to = at;
  for (const stop = from + count - 3; i < stop; i += 4, to += 4) {
    target[to] = source[order[i]!]!;
    target[to + 1] = source[order[i + 1]!]!;
    target[to + 2] = source[order[i + 2]!]!;
    target[to + 3] = source[order[i + 3]!]!;
  }
  for (; i < from + count; i++, to++) target[to] = source[order[i]!]!;
}

function gatherBytes(
  source: Uint8Array,
  target: Uint8Array,
  order: Int32Array,
  from: number,
  count: number,
  at: number,
): void {
  let i = from;
  let to = at;
  for (const stop = from + count - 3; i < stop; i += 4, to += 4) {
    target[to] = source[order[i]!]!;
    target[to + 1] = source[order[i + 1]!]!;
    target[to + 2] = source[order[i + 2]!]!;
    target[to + 3] = source[order[i + 3]!]!;
  }
  for (; i < from + count; i++, to++) target[to] = source[order[i]!]!;
}

/** Frozen hours as segments, by symbol within hour. */
export function segmentsOf(frozen: readonly HourRows[]): SegmentSource[] {
  return frozen.flatMap((hour) =>
    [...hour.symbols]
      .sort((a, b) => a.symbol - b.symbol)
      .map((part) => ({
        symbol: part.symbol,
        hour: part.hour,
        rows: part.rows,
        chunks: part.chunks.map(sealedChunk),
      })),
  );
}

export function bytesIn(hours: readonly HourRows[]): number {
  return hours.reduce((sum, { arena }) => sum + arena.bytes, 0);
}

/** Gives their memory back. Nobody may read them any more. */
export function freeRows(hours: readonly HourRows[]): void {
  for (const { arena } of hours) arena.reset();
}
