// What: the unsealed and in-flight rows of one Kafka partition, by hour and symbol, as columns.
// Why: a plan takes whole hours, so an hour's rows share an arena, and taking them is moving one object.
// Invariant: a row is in exactly one hour partition; what `freeze` took is immutable and keeps its memory until it leaves.

import type { RowBuffer } from '../columns/batch.ts';
import { gather } from '../columns/column-loops.ts';
import { type ColumnSchema, SYMBOL_ID_LIMIT, storedColumns, type TableSchema } from '../columns/types.ts';
import type { SegmentFile, SegmentSource } from '../format/segment.ts';
import { assert } from '../kernel/assert.ts';
import { Arena, type SlabPool } from './arena.ts';
import { allocateChunk, type Chunk, findFacts, publish, sealedChunk } from './chunk.ts';

/** Ids below this are looked up in an array; messages may carry any id below 2^31, so the rest goes through a map. */
const DENSE_SYMBOLS = 65_536;

export type HourState = 'ACTIVE' | 'SEALED' | 'FLUSHING' | 'FLUSHED';

/** Rows of one symbol in one hour. */
export interface SymbolHour {
  /** Unique in its HotPartition. */
  readonly id: number;
  readonly symbol: number;
  readonly hour: number;
  readonly chunks: Chunk[];
  rows: number;
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

/** What an append did. */
export interface Appended {
  readonly rows: number;
  /** The greatest event time of all rows that were given, as the nearest double; −Infinity of none. */
  readonly newestNs: number;
}

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
   * Appends rows [0, rows.rows) except those at or below their offset's covered hour: `hour ≤ covered(offset)`. `covered` is
   * null when no row can be covered.
   */
  append(rows: RowBuffer, covered: ((offset: number) => number) | null): Appended {
    const { columns, loops, offset, rows: count } = rows;
    const { all, hours } = rows.numbers();
    assert(rows.table === this.table, 'rows are of the version of the table that is appended to');
    const times = columns[this.table.timestampColumn]!.values as BigInt64Array;
    const newestNs = loops.hoursOf(times, count, hours);
    if (count === 0) return { rows: 0, newestNs };
    const greatest = loops.greatest(columns[this.table.symbolColumn]!.i32, count);
    assert(greatest < SYMBOL_ID_LIMIT, 'a provisional symbol code is not stored');
    this.offsetNext = offset[count - 1]! + 1;
    if (covered === null && loops.areAll(hours, count, hours[0]!)) {
      this.appendHour(rows, all, count);
      return { rows: count, newestNs };
    }
    let left: Int32Array = all.subarray(0, count);
    if (covered !== null) left = left.filter((row) => hours[row]! > covered(offset[row]!));
    this.appendHours(rows, left);
    return { rows: left.length, newestNs };
  }

  /** These rows, of any hours. */
  private appendHours(rows: RowBuffer, list: Int32Array): void {
    const { hours, some } = rows.numbers();
    const byHour = new Map<number, { rows: number; next: number }>();
    let of = { rows: 0, next: 0 };
    let hour = Number.NaN;
    const find = (row: number): void => {
      if (hours[row] === hour) return;
      hour = hours[row]!;
      of = byHour.get(hour) ?? { rows: 0, next: 0 };
      byHour.set(hour, of);
    };
    for (const row of list) {
      find(row);
      of.rows++;
    }
    let from = 0;
    for (const one of byHour.values()) {
      one.next = from;
      from += one.rows;
    }
    for (const row of list) {
      find(row);
      some[of.next++] = row;
    }
    for (const one of byHour.values())
      this.appendHour(rows, some.subarray(one.next - one.rows, one.next), one.rows);
  }

  /** The first `count` rows of the list, all of one hour. */
  private appendHour(rows: RowBuffer, list: Int32Array, count: number): void {
    const { hours, order, symbols, lengths } = rows.numbers();
    const ofRows = rows.columns[this.table.symbolColumn]!.values as Uint32Array;
    const hour = this.hourRows(hours[list[0]!]!, rows.offset[list[0]!]!);
    hour.rows += count;
    const groups = rows.loops.groupBySymbol(ofRows, list, count, order, symbols, lengths);
    let from = 0;
    for (let i = 0; i < groups; i++) {
      this.copyRows(rows, hour, this.symbolHour(hour, symbols[i]!), from, lengths[i]!);
      from += lengths[i]!;
    }
    for (; from < count; from++)
      this.copyRows(rows, hour, this.symbolHour(hour, ofRows[order[from]!]!), from, 1);
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
    const slot = symbol < hour.slots.length ? hour.slots[symbol]! : -1;
    const known = slot >= 0 ? hour.symbols[slot] : hour.sparse.get(symbol);
    if (known !== undefined) return known;
    const made: SymbolHour = {
      id: this.nextId++,
      symbol,
      hour: hour.hour,
      chunks: [],
      rows: 0,
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

  /** `count` rows of the target, which the order has from `start` on. */
  private copyRows(rows: RowBuffer, hour: HourRows, target: SymbolHour, start: number, count: number): void {
    const { order, places } = rows.numbers();
    const end = start + count;
    for (let from = start; from < end; ) {
      let chunk = target.chunks[target.chunks.length - 1];
      if (chunk === undefined || chunk.rows === chunk.capacity) {
        chunk = allocateChunk(hour.arena, this.stored, target.rows);
        target.chunks.push(chunk);
        this.chunkAdded(hour, target, chunk);
      }
      const fitting = Math.min(end - from, chunk.capacity - chunk.rows);
      if (places !== null && places.memory.buffer === chunk.buffer)
        places.memory.gatherColumns(
          places.columns,
          this.storedIndex.length,
          places.order + 4 * from,
          fitting,
          chunk.columnsAt,
          chunk.capacity,
          chunk.rows,
        );
      else
        for (const [i, index] of this.storedIndex.entries())
          gather(rows.columns[index]!.bits, order, from, fitting, chunk.columns[i]!.bits, chunk.rows);
      chunk.rows += fitting;
      target.rows += fitting;
      from += fitting;
      publish(chunk);
      if (this.sealsRaw && chunk.rows === chunk.capacity) findFacts(chunk, this.time);
    }
  }
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
