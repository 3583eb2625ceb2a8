// What: the entropy tables of Zstandard: FSE (RFC 8878, 4.1) and Huffman (4.2), read from their descriptions.
// Why: a block's literals and sequences are decoded through them, state by state.
// Invariant: a table is complete or an error: no state leads outside it, no symbol is above its maximum.

/** By state: symbol | bits to read << 8 | base of the next state << 16. */
export interface FseTable {
  readonly states: Int32Array;
  /** Bits of the first state. */
  readonly log: number;
}

/** By the next `bits` bits: symbol | length of its code << 8. */
export interface HuffmanTable {
  readonly entries: Uint16Array;
  readonly bits: number;
}

export const HUFFMAN_BITS_MAX = 11;

/** Where reading goes on. */
export interface Cursor {
  at: number;
}

const highBit = (value: number): number => 31 - Math.clz32(value);

/** The distribution at the cursor, as a table. A few bytes behind `end` must be readable. @throws Error */
export function readFseTable(
  view: DataView,
  cursor: Cursor,
  end: number,
  logMax: number,
  symbolMax: number,
): FseTable {
  let bit = cursor.at * 8;
  const look = (count: number): number => (view.getUint32(bit >> 3, true) >>> (bit & 7)) & ((1 << count) - 1);
  const log = look(4) + 5;
  if (log > logMax) throw new Error('zstd table is too large');
  bit += 4;
  const counts = new Int16Array(symbolMax + 1);
  let left = 1 << log;
  let symbol = 0;
  while (left > 0) {
    if (symbol > symbolMax || bit >> 3 >= end) throw new Error('zstd table does not add up');
    // Values that need it take a bit more: those at or above the threshold.
    const bits = highBit(left + 1);
    const threshold = (2 << bits) - 2 - left;
    let value = look(bits + 1);
    const low = value & ((1 << bits) - 1);
    if (low < threshold) {
      value = low;
      bit += bits;
    } else {
      if (value >= 1 << bits) value -= threshold;
      bit += bits + 1;
    }
    // −1 stands for "less than one".
    const count = value - 1;
    left -= Math.abs(count);
    counts[symbol++] = count;
    if (count === 0) {
      let zeros: number;
      do {
        zeros = look(2);
        bit += 2;
        symbol += zeros;
        if (bit >> 3 > end) throw new Error('zstd table does not end');
      } while (zeros === 3);
    }
  }
  if (left < 0) throw new Error('zstd table does not add up');
  cursor.at = (bit + 7) >> 3;
  if (cursor.at > end) throw new Error('zstd table is cut');
  return fseTable(counts, symbol, log);
}

export function fseTable(counts: ArrayLike<number>, symbols: number, log: number): FseTable {
  const size = 1 << log;
  const symbolOf = new Uint8Array(size);
  const next = new Uint16Array(symbols);
  let high = size - 1;
  for (let symbol = 0; symbol < symbols; symbol++) {
    const count = counts[symbol]!;
    next[symbol] = Math.abs(count);
    if (count === -1) symbolOf[high--] = symbol;
  }
  const step = (size >> 1) + (size >> 3) + 3;
  let at = 0;
  for (let symbol = 0; symbol < symbols; symbol++) {
    for (let left = counts[symbol]!; left > 0; left--) {
      symbolOf[at] = symbol;
      do at = (at + step) & (size - 1);
      while (at > high);
    }
  }
  const states = new Int32Array(size);
  for (let state = 0; state < size; state++) {
    const symbol = symbolOf[state]!;
    const occurrence = next[symbol]!;
    next[symbol] = occurrence + 1;
    const bits = log - highBit(occurrence);
    states[state] = symbol | (bits << 8) | (((occurrence << bits) - size) << 16);
  }
  return { states, log };
}

/** One symbol only, which takes no bits. */
export const rleTable = (symbol: number): FseTable => ({ states: Int32Array.of(symbol), log: 0 });

/** The tree at the cursor. @throws Error */
export function readHuffmanTable(view: DataView, cursor: Cursor, end: number): HuffmanTable {
  const weights = new Uint8Array(256);
  const { at } = cursor;
  if (at >= end) throw new Error('zstd tree is cut');
  const head = view.getUint8(at);
  let count = 0;
  if (head >= 128) {
    count = head - 127;
    const bytes = (count + 1) >> 1;
    if (at + 1 + bytes > end) throw new Error('zstd tree is cut');
    for (let symbol = 0; symbol < count; symbol++) {
      const pair = view.getUint8(at + 1 + (symbol >> 1));
      weights[symbol] = symbol & 1 ? pair & 15 : pair >> 4;
    }
    cursor.at = at + 1 + bytes;
  } else {
    if (head === 0 || at + 1 + head > end) throw new Error('zstd tree is cut');
    cursor.at = at + 1;
    count = readWeights(view, cursor, at + 1 + head, weights);
  }
  return huffmanTable(weights, count);
}

/** Weights by two FSE states in turn, until their bits are used up. Returns how many. */
function readWeights(view: DataView, cursor: Cursor, end: number, weights: Uint8Array): number {
  const { states, log } = readFseTable(view, cursor, end, 6, HUFFMAN_BITS_MAX + 1);
  const start = cursor.at;
  cursor.at = end;
  const last = end > start ? view.getUint8(end - 1) : 0;
  if (last === 0) throw new Error('zstd tree has no weights');
  let bit = (end - start) * 8 - 8 + highBit(last);
  // Beyond the first bit there are zeros.
  const read = (count: number): number => {
    bit -= count;
    const from = Math.max(bit, 0);
    const there =
      (view.getUint32(start + (from >> 3), true) >>> (from & 7)) &
      ((1 << Math.max(count + Math.min(bit, 0), 0)) - 1);
    return bit >= 0 ? there : there << Math.min(-bit, count);
  };
  let one = read(log);
  let other = read(log);
  if (bit < 0) throw new Error('zstd tree has no weights');
  for (let count = 0; count < 254; ) {
    const entry = states[one]!;
    weights[count++] = entry & 0xff;
    const next = (entry >> 16) + read((entry >> 8) & 0xff);
    one = other;
    other = next;
    if (bit < 0) {
      weights[count++] = states[one]! & 0xff;
      return count;
    }
  }
  throw new Error('zstd tree has too many weights');
}

/** The last weight is not written: it fills the tree up. */
function huffmanTable(weights: Uint8Array, count: number): HuffmanTable {
  let sum = 0;
  for (let symbol = 0; symbol < count; symbol++) {
    const weight = weights[symbol]!;
    if (weight > HUFFMAN_BITS_MAX) throw new Error('zstd tree is too deep');
    if (weight > 0) sum += 1 << (weight - 1);
  }
  if (sum === 0) throw new Error('zstd tree is empty');
  const bits = highBit(sum) + 1;
  const rest = (1 << bits) - sum;
  if (bits > HUFFMAN_BITS_MAX || (rest & (rest - 1)) !== 0) throw new Error('zstd tree does not add up');
  weights[count] = highBit(rest) + 1;
  const entries = new Uint16Array(1 << bits);
  let at = 0;
  for (let weight = 1; weight <= bits; weight++) {
    for (let symbol = 0; symbol <= count; symbol++) {
      if (weights[symbol] !== weight) continue;
      entries.fill(symbol | ((bits + 1 - weight) << 8), at, at + (1 << (weight - 1)));
      at += 1 << (weight - 1);
    }
  }
  return { entries, bits };
}
