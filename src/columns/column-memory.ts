// What: shared memory of a fixed size in which rows are decoded and kept, and the loops that work on it, in WebAssembly.
// Why: a module sees one memory only: what it reads and what it writes have to lie in it.
// Invariant: no byte has two holders; the loops touch nothing outside of what they are given, and do with arrays of other memory what the plain ones do.

import { assert } from '../kernel/assert.ts';
import { instancesOf, sharedMemory } from '../kernel/web-assembly.ts';
import { type ColumnLoops, plainLoops } from './column-loops.ts';
import type { BitsArray } from './types.ts';
import { COLUMN_LOOPS_WASM } from './wasm/column-loops-wasm.ts';

/** What the module exports; all arguments are addresses and counts. */
interface Loops {
  readonly MEMORY_START: { readonly value: number };
  hoursOf(times: number, rows: number, hours: number): number;
  areAll(words: number, count: number, value: number): number;
  greatestWord(words: number, count: number): number;
  groupBySymbol(
    symbols: number,
    list: number,
    count: number,
    order: number,
    touched: number,
    lengths: number,
  ): number;
  gatherColumns(
    columns: number,
    columnCount: number,
    order: number,
    count: number,
    target: number,
    capacity: number,
    at: number,
  ): void;
  mapKnown(indices: number, codes: number, target: number, from: number, count: number): number;
  copyLongs(source: number, count: number, target: number): number;
  copyWords(source: number, count: number, target: number): number;
}

const PAGE_BYTES = 65_536;
/** One more, and no array over it gets to another thread: V8 keeps the length of its memory in 32 bits. */
const PAGES_MAX = 65_535;
const ALLOCATION_BYTES_MIN = 4_096;
/** What is longer is extraordinary, and must not hold its memory for ever. */
const STAGED_BYTES_MAX = 2 ** 24;
const NUMBERS_KEPT_MAX = 2 ** 22;

/** Memory that stays the holder's until it is freed; the content is undefined. */
export interface Allocation {
  readonly buffer: SharedArrayBuffer;
  readonly byteOffset: number;
}

const loopsOn = instancesOf<Loops>(COLUMN_LOOPS_WASM);

export class ColumnMemory {
  readonly buffer: SharedArrayBuffer;
  readonly loops: ColumnLoops;
  /**
   * Writes the values of `count` rows to columns that lie one behind the other from address `target` on, each of `capacity`
   * values and padded to 8 bytes, from row `at` on. `order`: the address of the row numbers. `columns`: of the address and the
   * width of each column of the source. Nothing is checked.
   */
  readonly gatherColumns: Loops['gatherColumns'];
  private readonly bytes: Uint8Array;
  /** Never handed out from here on. */
  private next: number;
  /** Given back, by size. */
  private readonly free = new Map<number, Allocation[]>();
  private staging: Allocation | null = null;
  private stagingBytes = 0;

  private constructor(buffer: SharedArrayBuffer, wasm: Loops) {
    this.buffer = buffer;
    this.bytes = new Uint8Array(buffer);
    this.loops = loopsIn(buffer, wasm);
    this.gatherColumns = wasm.gatherColumns;
    this.next = wasm.MEMORY_START.value;
  }

  /** Of addresses for `bytes`, just below 4 GiB at most; only what is written to becomes memory. Null where the system has no such stretch. */
  static reserve(bytes: number): ColumnMemory | null {
    const pages = Math.min(PAGES_MAX, Math.ceil(bytes / PAGE_BYTES));
    try {
      const memory = sharedMemory(pages);
      return new ColumnMemory(memory.buffer, loopsOn({ env: { memory } }));
    } catch (cause) {
      if (cause instanceof RangeError) return null;
      throw cause;
    }
  }

  has(array: NodeJS.ArrayBufferView): boolean {
    return array.buffer === this.buffer;
  }

  /** Null when there is no room. */
  allocate(bytes: number): Allocation | null {
    const size = sizeOf(bytes);
    const freed = this.free.get(size)?.pop();
    if (freed !== undefined) return freed;
    if (this.next + size > this.buffer.byteLength) return null;
    const byteOffset = this.next;
    this.next += size;
    return { buffer: this.buffer, byteOffset };
  }

  /** `bytes`: as many as were asked for. */
  release(allocation: Allocation, bytes: number): void {
    const size = sizeOf(bytes);
    const others = this.free.get(size);
    if (others === undefined) this.free.set(size, [allocation]);
    else others.push(allocation);
  }

  /** A copy of the bytes that the loops can read, valid until the next one is made. Null when there is no room, or it is extraordinarily long. */
  stage(source: Uint8Array): DataView | null {
    // V8 copies to shared memory by words only where both lie alike in them.
    const shift = source.byteOffset % 8;
    if (source.length > STAGED_BYTES_MAX) return null;
    const bytes = sizeOf(source.length + shift);
    if (this.staging === null || bytes > this.stagingBytes) {
      if (this.staging !== null) this.release(this.staging, this.stagingBytes);
      this.staging = this.allocate(bytes);
      this.stagingBytes = bytes;
    }
    if (this.staging === null) return null;
    const at = this.staging.byteOffset + shift;
    this.bytes.set(source, at);
    return new DataView(this.buffer, at, source.length);
  }
}

/** Numbers for the loops, in a place that is used again. */
export class LoopNumbers {
  private memory: ColumnMemory | null = null;
  private allocation: Allocation | null = null;
  private numbers: Int32Array = new Int32Array(0);

  /** `count` of them, where the memory has room for them; the content is undefined. They replace the last ones. */
  take(memory: ColumnMemory | null, count: number): Int32Array {
    const isExtraordinary = this.numbers.length > NUMBERS_KEPT_MAX && count <= NUMBERS_KEPT_MAX;
    if (memory !== this.memory || count > this.numbers.length || isExtraordinary) {
      if (this.allocation !== null) this.memory!.release(this.allocation, this.numbers.byteLength);
      this.memory = memory;
      const length = sizeOf(4 * count) / 4;
      this.allocation = memory?.allocate(4 * length) ?? null;
      const { buffer, byteOffset } = this.allocation ?? {
        buffer: new ArrayBuffer(4 * length),
        byteOffset: 0,
      };
      this.numbers = new Int32Array(buffer, byteOffset, length);
    }
    return this.numbers.subarray(0, count);
  }
}

/** A power of two, so that what one gives back serves another. */
function sizeOf(bytes: number): number {
  return Math.max(ALLOCATION_BYTES_MIN, 2 ** Math.ceil(Math.log2(bytes)));
}

function loopsIn(memory: SharedArrayBuffer, wasm: Loops): ColumnLoops {
  const isHere = (...arrays: readonly NodeJS.ArrayBufferView[]): boolean =>
    arrays.every(({ buffer }) => buffer === memory);
  return {
    hoursOf: (times, rows, hours) => {
      if (!isHere(times, hours)) return plainLoops.hoursOf(times, rows, hours);
      assertFits(rows, times, hours);
      return wasm.hoursOf(times.byteOffset, rows, hours.byteOffset);
    },
    areAll: (words, count, value) => {
      if (!isHere(words)) return plainLoops.areAll(words, count, value);
      assertFits(count, words);
      return wasm.areAll(words.byteOffset, count, value) !== 0;
    },
    greatest: (words, count) => {
      if (!isHere(words)) return plainLoops.greatest(words, count);
      assertFits(count, words);
      return wasm.greatestWord(words.byteOffset, count) >>> 0;
    },
    groupBySymbol: (symbols, list, count, order, touched, lengths) => {
      if (!isHere(symbols, list, order, touched, lengths))
        return plainLoops.groupBySymbol(symbols, list, count, order, touched, lengths);
      assertFits(count, list, order, touched, lengths);
      return wasm.groupBySymbol(
        symbols.byteOffset,
        list.byteOffset,
        count,
        order.byteOffset,
        touched.byteOffset,
        lengths.byteOffset,
      );
    },
    mapKnown: (indices, codes, target, at, from, count) => {
      if (!isHere(indices, codes, target))
        return plainLoops.mapKnown(indices, codes, target, at, from, count);
      assertFits(count, indices);
      assertFits(at + count, target);
      return wasm.mapKnown(indices.byteOffset, codes.byteOffset, target.byteOffset + 4 * at, from, count);
    },
    copyValues: (view, start, count, target, at) => {
      const width = target.BYTES_PER_ELEMENT;
      if (width === 1 || !isHere(view, target)) return plainLoops.copyValues(view, start, count, target, at);
      assert(start + width * count <= view.byteLength, 'values are copied from where they are');
      assertFits(at + count, target);
      const loop = width === 8 ? wasm.copyLongs : wasm.copyWords;
      return loop(view.byteOffset + start, count, target.byteOffset + width * at) !== 0;
    },
  };
}

/** What is written behind an array would be another symbol's. */
function assertFits(count: number, ...arrays: readonly BitsArray[]): void {
  for (const { length } of arrays) assert(count <= length, 'a loop over columns stays within them');
}
