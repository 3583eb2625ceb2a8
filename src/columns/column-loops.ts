// What: the loops over columns that every row goes through between a decoder and its symbol's columns, in plain TypeScript.
// Why: for rows outside of a ColumnMemory; and as what its WebAssembly, three times as fast, is compared with.
// Invariant: nothing is read or written beyond the counts that are given.

import { type BitsArray, NANOS_PER_HOUR } from './types.ts';

/** All counts are of values, not of bytes. */
export interface ColumnLoops {
  /** hours[row] = floor(times[row] / 1 h). Returns the greatest time in ns, as the nearest double; −Infinity of no rows. */
  hoursOf(times: BigInt64Array, rows: number, hours: Int32Array): number;
  areAll(words: Int32Array, count: number, value: number): boolean;
  /** Without their signs; 0 of none. */
  greatest(words: Int32Array, count: number): number;
  /**
   * Writes the row numbers that `list` has, ascending, to `order`, symbol by symbol. Returns how many symbols there are: of
   * each, in `touched` and `lengths`, its id and its number of rows. Ids from SYMBOLS_GROUPED on are left out of both, and
   * their rows stand behind all others in `order`.
   */
  groupBySymbol(
    symbols: Uint32Array,
    list: Int32Array,
    count: number,
    order: Int32Array,
    touched: Int32Array,
    lengths: Int32Array,
  ): number;
  /**
   * target[at + i] = codes[indices[i]] for i in [from, count), up to the first index below 0 or of a code that is UNTOUCHED,
   * whose i is returned. Nothing checks that an index has a code.
   */
  mapKnown(
    indices: Int32Array,
    codes: Int32Array,
    target: Int32Array,
    at: number,
    from: number,
    count: number,
  ): number;
  /**
   * Copies `count` values of the target's width from byte `start` of the view to target[at…]. Returns whether one of them is
   * the least integer of its width, which is NULL's; of bytes, never.
   */
  copyValues(view: DataView, start: number, count: number, target: BitsArray, at: number): boolean;
}

/** Rows of these are grouped at once, those of others one by one. */
export const SYMBOLS_GROUPED = 1 << 20;
/** Of a code that was not looked up yet. */
export const UNTOUCHED = -2;

const WORD_MIN = -2147483648;
let counts: Int32Array | null = null;

export const plainLoops: ColumnLoops = {
  hoursOf(times, rows, hours) {
    let greatest: bigint | null = null;
    for (let row = 0; row < rows; row++) {
      const time = times[row]!;
      const hour = time / NANOS_PER_HOUR;
      hours[row] = Number(hour * NANOS_PER_HOUR > time ? hour - 1n : hour);
      if (greatest === null || time > greatest) greatest = time;
    }
    return greatest === null ? Number.NEGATIVE_INFINITY : Number(greatest);
  },

  areAll(words, count, value) {
    for (let i = 0; i < count; i++) if (words[i] !== value) return false;
    return true;
  },

  greatest(words, count) {
    let greatest = 0;
    for (let i = 0; i < count; i++) greatest = Math.max(greatest, words[i]! >>> 0);
    return greatest;
  },

  groupBySymbol(symbols, list, count, order, touched, lengths) {
    counts ??= new Int32Array(SYMBOLS_GROUPED);
    let groups = 0;
    for (let i = 0; i < count; i++) {
      const symbol = symbols[list[i]!]!;
      if (symbol < SYMBOLS_GROUPED && counts[symbol]!++ === 0) touched[groups++] = symbol;
    }
    let next = 0;
    for (let i = 0; i < groups; i++) {
      const symbol = touched[i]!;
      lengths[i] = counts[symbol]!;
      counts[symbol] = next;
      next += lengths[i]!;
    }
    for (let i = 0; i < count; i++) {
      const row = list[i]!;
      const symbol = symbols[row]!;
      order[symbol < SYMBOLS_GROUPED ? counts[symbol]!++ : next++] = row;
    }
    for (let i = 0; i < groups; i++) counts[touched[i]!] = 0;
    return groups;
  },

  mapKnown(indices, codes, target, at, from, count) {
    let i = from;
    for (; i < count; i++) {
      const index = indices[i]!;
      if (index < 0 || codes[index] === UNTOUCHED) break;
      target[at + i] = codes[index]!;
    }
    return i;
  },

  copyValues(view, start, count, target, at) {
    const width = target.BYTES_PER_ELEMENT;
    const bytes = new Uint8Array(target.buffer, target.byteOffset + at * width, count * width);
    bytes.set(new Uint8Array(view.buffer, view.byteOffset + start, bytes.length));
    if (width === 1) return false;
    const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    if (width === 4) return words.includes(WORD_MIN);
    for (let i = 1; i < words.length; i += 2) if (words[i] === WORD_MIN && words[i - 1] === 0) return true;
    return false;
  },
};

/** target[at + i] = source[order[from + i]] for `count` values. */
export function gather(
  source: BitsArray,
  order: Int32Array,
  from: number,
  count: number,
  target: BitsArray,
  at: number,
): void {
  if (source instanceof BigInt64Array) gatherLongs(source, order, from, count, target as BigInt64Array, at);
  else if (source instanceof Int32Array) gatherWords(source, order, from, count, target as Int32Array, at);
  else gatherBytes(source, order, from, count, target as Uint8Array, at);
}

// One for each width: a loop that meets two kinds of arrays makes a BigInt on the heap of every int64.

function gatherLongs(
  source: BigInt64Array,
  order: Int32Array,
  from: number,
  count: number,
  target: BigInt64Array,
  at: number,
): void {
  for (let i = 0; i < count; i++) target[at + i] = source[order[from + i]!]!;
}

function gatherWords(
  source: Int32Array,
  order: Int32Array,
  from: number,
  count: number,
  target: Int32Array,
  at: number,
): void {
  for (let i = 0; i < count; i++) target[at + i] = source[order[from + i]!]!;
}

function gatherBytes(
  source: Uint8Array,
  order: Int32Array,
  from: number,
  count: number,
  target: Uint8Array,
  at: number,
): void {
  for (let i = 0; i < count; i++) target[at + i] = source[order[from + i]!]!;
}
