// What: decompression of Zstandard frames (RFC 8878) to the end of a growing buffer.
// Why: Node 20 has none. The library there is takes a crafted block's word for hours of work, and does not say where its output ends.
// Invariant: every length is checked before it is used; work and memory are bounded by input and limit; a frame is whole or an error.

import type { GrowableBytes } from '../kernel/growable-bytes.ts';
import {
  type Cursor,
  type FseTable,
  fseTable,
  type HuffmanTable,
  readFseTable,
  readHuffmanTable,
  rleTable,
} from './zstd-tables.ts';

const MAGIC = 0xfd2fb528;
/** Skippable frames have sixteen magic numbers. */
const SKIPPABLE_MAGIC = 0x184d2a50;
const BLOCK_BYTES_MAX = 131_072;
/** Readable bytes around the input: bits are read four bytes at a time, and checked afterwards. */
const MARGIN = 16;
/** An offset code beyond it reaches farther back than any output is long. */
const OFFSET_CODE_MAX = 28;

// Codes of lengths (3.1.1.3.2.1.1): how many bits follow each, and what it stands for without them.
const LITERAL_BITS = Uint8Array.of(
  ...Array(16).fill(0),
  1,
  1,
  1,
  1,
  2,
  2,
  3,
  3,
  4,
  6,
  7,
  8,
  9,
  10,
  11,
  12,
  13,
  14,
  15,
  16,
);
const MATCH_BITS = Uint8Array.of(
  ...Array(32).fill(0),
  1,
  1,
  1,
  1,
  2,
  2,
  3,
  3,
  4,
  4,
  5,
  7,
  8,
  9,
  10,
  11,
  12,
  13,
  14,
  15,
  16,
);
const LITERAL_BASE = basesOf(LITERAL_BITS, 0);
const MATCH_BASE = basesOf(MATCH_BITS, 3);

function basesOf(bits: Uint8Array, first: number): Int32Array {
  let next = first;
  return Int32Array.from(bits, (count) => {
    next += 2 ** count;
    return next - 2 ** count;
  });
}

// Default distributions (3.1.1.3.2.2).
const LITERAL_TABLE = fseTable(
  [
    4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1,
    -1, -1,
  ],
  36,
  6,
);
const MATCH_TABLE = fseTable(
  [
    1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
  ],
  53,
  6,
);
const OFFSET_TABLE = fseTable(
  [1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1],
  29,
  5,
);

/** Where a frame's reading is, and what its blocks hand on to the next. */
interface FrameState extends Cursor {
  readonly view: DataView;
  readonly out: GrowableBytes;
  /** Where the frame's output begins: nothing before it may be copied from. */
  readonly origin: number;
  /** Of the block's literals, which lie BLOCK_BYTES_MAX after the block's output begins: no output reaches there. */
  literalsLength: number;
  huffman: HuffmanTable | null;
  literalTable: FseTable | null;
  offsetTable: FseTable | null;
  matchTable: FseTable | null;
  /** The three offsets used last. */
  readonly recent: [number, number, number];
}

/** The input with its margins; grown as needed, and kept. */
let padded = new DataView(new ArrayBuffer(65_536));

/** Appends what all frames of `input` hold. @throws Error when they are not whole, or hold more than `bytesMax` bytes. */
export function unzstdInto(input: Uint8Array, out: GrowableBytes, bytesMax: number): void {
  if (input.length + 2 * MARGIN > padded.byteLength)
    padded = new DataView(new ArrayBuffer(2 * (input.length + 2 * MARGIN)));
  const bytes = new Uint8Array(padded.buffer);
  bytes.set(input, MARGIN);
  const end = MARGIN + input.length;
  const limit = out.length + bytesMax;
  for (let at = MARGIN; at < end; ) at = frame(padded, at, end, out, limit);
}

function frame(view: DataView, start: number, end: number, out: GrowableBytes, limit: number): number {
  const need = (to: number): void => {
    if (to > end) throw new Error('zstd frame is cut');
  };
  need(start + 6);
  const magic = view.getUint32(start, true);
  if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) {
    need(start + 8);
    const after = start + 8 + view.getUint32(start + 4, true);
    need(after);
    return after;
  }
  if (magic !== MAGIC) throw new Error('not a zstd frame');
  const flags = view.getUint8(start + 4);
  if ((flags & 0x08) !== 0) throw new Error('zstd frame has an unknown flag');
  const isSingleSegment = (flags & 0x20) !== 0;
  const dictionaryIdBytes = [0, 1, 2, 4][flags & 3]!;
  const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][flags >> 6]!;
  let at = start + 5 + (isSingleSegment ? 0 : 1);
  need(at + dictionaryIdBytes + sizeBytes);
  for (let byte = 0; byte < dictionaryIdBytes; byte++)
    if (view.getUint8(at + byte) !== 0) throw new Error('zstd frame needs a dictionary');
  at += dictionaryIdBytes;
  const contentBytes = contentSize(view, at, sizeBytes);
  if (contentBytes !== null && out.length + contentBytes > limit)
    throw new Error('decompresses to more than its limit');
  at += sizeBytes;

  const state: FrameState = {
    view,
    at,
    out,
    origin: out.length,
    literalsLength: 0,
    huffman: null,
    literalTable: null,
    offsetTable: null,
    matchTable: null,
    recent: [1, 4, 8],
  };
  for (let isLast = false; !isLast; ) {
    need(state.at + 3);
    const header = view.getUint16(state.at, true) | (view.getUint8(state.at + 2) << 16);
    isLast = (header & 1) !== 0;
    state.at += 3;
    const size = header >> 3;
    const kind = (header >> 1) & 3;
    const blockEnd = state.at + (kind === RLE_BLOCK ? 1 : size);
    if (size > BLOCK_BYTES_MAX) throw new Error('zstd block is too large');
    need(blockEnd);
    readBlock(kind, size, blockEnd, state);
    if (out.length > limit) throw new Error('decompresses to more than its limit');
    state.at = blockEnd;
  }
  if (contentBytes !== null && out.length - state.origin !== contentBytes)
    throw new Error('zstd frame has another size than it says');
  // The checksum of the content is not computed: a record batch has one of all its bytes, and so has a connection.
  const after = state.at + ((flags & 0x04) !== 0 ? 4 : 0);
  need(after);
  return after;
}

function contentSize(view: DataView, at: number, bytes: number): number | null {
  switch (bytes) {
    case 0:
      return null;
    case 1:
      return view.getUint8(at);
    case 2:
      return view.getUint16(at, true) + 256;
    case 4:
      return view.getUint32(at, true);
    default:
      return Number(view.getBigUint64(at, true));
  }
}

const RAW_BLOCK = 0;
const RLE_BLOCK = 1;
const COMPRESSED_BLOCK = 2;

function readBlock(kind: number, size: number, end: number, state: FrameState): void {
  const { out, view } = state;
  // The output, and behind it the literals until they are copied.
  out.reserve(2 * BLOCK_BYTES_MAX);
  switch (kind) {
    case RAW_BLOCK:
      out.append(new Uint8Array(view.buffer, state.at, size));
      return;
    case RLE_BLOCK:
      out.bytes.fill(view.getUint8(state.at), out.length, out.length + size);
      out.length += size;
      return;
    case COMPRESSED_BLOCK:
      readLiterals(end, state);
      readSequences(end, state);
      return;
    default:
      throw new Error('zstd block of an unknown kind');
  }
}

// ---------------------------------------------------------------------------------------------------------
// Literals (3.1.1.3.1)

function readLiterals(end: number, state: FrameState): void {
  const { out, view, at } = state;
  if (at >= end) throw new Error('zstd block is cut');
  const head = view.getUint8(at);
  const kind = head & 3;
  const format = (head >> 2) & 3;
  // A size of 5, 12 or 20 bits, or two of 10, 14 or 18.
  const word = Number(view.getBigUint64(at, true) & 0xff_ffff_ffffn);
  const isPacked = kind >= 2;
  const headBytes = isPacked ? [3, 3, 4, 5][format]! : [1, 2, 1, 3][format]!;
  const bits = isPacked ? [10, 10, 14, 18][format]! : [5, 12, 5, 20][format]!;
  const length = Math.floor(word / (isPacked ? 16 : [8, 16, 8, 16][format]!)) % 2 ** bits;
  const packed = isPacked ? Math.floor(word / 2 ** (4 + bits)) % 2 ** bits : kind === 0 ? length : 1;
  state.at += headBytes;
  const literalsEnd = state.at + packed;
  if (length > BLOCK_BYTES_MAX || literalsEnd > end) throw new Error('zstd literals are cut');
  const target = out.length + BLOCK_BYTES_MAX;
  if (kind === 0) out.bytes.set(new Uint8Array(view.buffer, state.at, length), target);
  else if (kind === 1) out.bytes.fill(view.getUint8(state.at), target, target + length);
  else {
    if (kind === 2) state.huffman = readHuffmanTable(view, state, literalsEnd);
    if (state.huffman === null) throw new Error('zstd literals without a tree');
    const read = format === 0 ? unhuffman : unhuffmanFour;
    read(view, state.at, literalsEnd, state.huffman, out.bytes, target, length);
  }
  state.literalsLength = length;
  state.at = literalsEnd;
}

/** Four streams, of which the sizes of the first three stand in front. */
function unhuffmanFour(
  view: DataView,
  at: number,
  end: number,
  huffman: HuffmanTable,
  out: Uint8Array,
  target: number,
  length: number,
): void {
  const quarter = (length + 3) >> 2;
  if (at + 6 > end || length < 6) throw new Error('zstd literals are cut');
  let source = at + 6;
  for (let stream = 0; stream < 4; stream++) {
    const streamEnd = stream === 3 ? end : source + view.getUint16(at + 2 * stream, true);
    const from = stream * quarter;
    if (streamEnd > end) throw new Error('zstd literals are cut');
    unhuffman(view, source, streamEnd, huffman, out, target + from, stream === 3 ? length - from : quarter);
    source = streamEnd;
  }
}

/** One stream, read from its end: `length` symbols, for exactly its bits. */
function unhuffman(
  view: DataView,
  start: number,
  end: number,
  huffman: HuffmanTable,
  out: Uint8Array,
  target: number,
  length: number,
): void {
  const { entries, bits } = huffman;
  const mask = (1 << bits) - 1;
  const targetEnd = target + length;
  let bit = lastBit(view, start, end);
  // Two symbols take 22 bits at most; of four bytes at any bit, 25 are there.
  while (bit >= 25 && target + 1 < targetEnd) {
    const from = bit - 25;
    const word = view.getUint32(start + (from >> 3), true) >>> (from & 7);
    const first = entries[(word >>> (25 - bits)) & mask]!;
    const used = first >> 8;
    const second = entries[(word >>> (25 - bits - used)) & mask]!;
    out[target++] = first;
    out[target++] = second;
    bit -= used + (second >> 8);
  }
  while (target < targetEnd) {
    if (bit < 0) throw new Error('zstd literals are cut');
    const from = bit - bits;
    // Past the first bit of the stream there are zeros.
    const index =
      from >= 0
        ? (view.getUint32(start + (from >> 3), true) >>> (from & 7)) & mask
        : (view.getUint32(start, true) << -from) & mask;
    const entry = entries[index]!;
    out[target++] = entry;
    bit -= entry >> 8;
  }
  if (bit !== 0) throw new Error('zstd literals do not fill their stream');
}

/** A stream's last byte ends with a 1 and zeros after it: how many bits come before that. */
function lastBit(view: DataView, start: number, end: number): number {
  const last = end > start ? view.getUint8(end - 1) : 0;
  if (last === 0) throw new Error('zstd stream has no end');
  return (end - start) * 8 - 8 + (31 - Math.clz32(last));
}

// ---------------------------------------------------------------------------------------------------------
// Sequences (3.1.1.3.2): so many literals, then so many bytes from so far back

function readSequences(end: number, state: FrameState): void {
  const { out, view } = state;
  const blockStart = out.length;
  let literal = blockStart + BLOCK_BYTES_MAX;
  const literalEnd = literal + state.literalsLength;
  const count = sequenceCount(end, state);
  if (count === 0) {
    if (state.at !== end) throw new Error('zstd block has bytes left over');
    out.bytes.copyWithin(blockStart, literal, literalEnd);
    out.length += state.literalsLength;
    return;
  }
  if (state.at >= end) throw new Error('zstd sequences are cut');
  const modes = view.getUint8(state.at++);
  if ((modes & 3) !== 0) throw new Error('zstd sequences of an unknown mode');
  state.literalTable = readTable(end, state, modes >> 6, LITERAL_TABLE, state.literalTable, 9, 35);
  state.offsetTable = readTable(end, state, (modes >> 4) & 3, OFFSET_TABLE, state.offsetTable, 8, 31);
  state.matchTable = readTable(end, state, (modes >> 2) & 3, MATCH_TABLE, state.matchTable, 9, 52);
  const stream = state.at;

  const literals = state.literalTable.states;
  const offsets = state.offsetTable.states;
  const matches = state.matchTable.states;
  const { bytes } = out;
  const { origin, recent } = state;
  let [recent0, recent1, recent2] = recent;
  let target = blockStart;
  const targetMax = blockStart + BLOCK_BYTES_MAX;
  let bit = lastBit(view, stream, end);
  const first = (log: number): number => {
    bit -= log;
    return bit < 0 ? 0 : (view.getUint32(stream + (bit >> 3), true) >>> (bit & 7)) & ((1 << log) - 1);
  };
  let literalState = literals[first(state.literalTable.log)]!;
  let offsetState = offsets[first(state.offsetTable.log)]!;
  let matchState = matches[first(state.matchTable.log)]!;

  for (let left = count; ; ) {
    const offsetCode = offsetState & 0xff;
    const literalCode = literalState & 0xff;
    const matchCode = matchState & 0xff;
    if (offsetCode > OFFSET_CODE_MAX) throw new Error('zstd offset is too large');
    let offset = 1 << offsetCode;
    if (offsetCode > 24) {
      bit -= offsetCode - 24;
      offset |=
        ((view.getUint32(stream + (bit >> 3), true) >>> (bit & 7)) & ((1 << (offsetCode - 24)) - 1)) << 24;
      bit -= 24;
      offset |= (view.getUint32(stream + (bit >> 3), true) >>> (bit & 7)) & 0xffffff;
    } else {
      bit -= offsetCode;
      offset |= (view.getUint32(stream + (bit >> 3), true) >>> (bit & 7)) & ((1 << offsetCode) - 1);
    }
    // Short lengths are their codes; only of long ones some bits follow.
    let matchLength = matchCode + 3;
    if (matchCode >= 32) {
      const bits = MATCH_BITS[matchCode]!;
      bit -= bits;
      matchLength =
        MATCH_BASE[matchCode]! +
        ((view.getUint32(stream + (bit >> 3), true) >>> (bit & 7)) & ((1 << bits) - 1));
    }
    let literalLength = literalCode;
    if (literalCode >= 16) {
      const bits = LITERAL_BITS[literalCode]!;
      bit -= bits;
      literalLength =
        LITERAL_BASE[literalCode]! +
        ((view.getUint32(stream + (bit >> 3), true) >>> (bit & 7)) & ((1 << bits) - 1));
    }
    if (bit < 0) throw new Error('zstd sequences are cut');

    // Offsets 1 to 3 mean one of the three used last; without literals the first of these would be pointless.
    if (offset > 3) {
      offset -= 3;
      recent2 = recent1;
      recent1 = recent0;
      recent0 = offset;
    } else {
      const which = literalLength === 0 ? offset : offset - 1;
      if (which === 0) offset = recent0;
      else {
        offset = which === 1 ? recent1 : which === 2 ? recent2 : recent0 - 1;
        if (which > 1) recent2 = recent1;
        recent1 = recent0;
        recent0 = offset;
      }
    }

    if (literal + literalLength > literalEnd || target + literalLength + matchLength > targetMax)
      throw new Error('zstd sequence runs past its block');
    if (literalLength > 64) bytes.copyWithin(target, literal, literal + literalLength);
    else for (let byte = 0; byte < literalLength; byte++) bytes[target + byte] = bytes[literal + byte]!;
    target += literalLength;
    literal += literalLength;

    const from = target - offset;
    if (offset <= 0 || from < origin) throw new Error('zstd match reaches before its frame');
    if (matchLength > 64 && offset >= matchLength) bytes.copyWithin(target, from, from + matchLength);
    else for (let byte = 0; byte < matchLength; byte++) bytes[target + byte] = bytes[from + byte]!;
    target += matchLength;

    if (--left === 0) break;
    // The next states, of literals, match and offset in this order.
    const literalStateBits = (literalState >> 8) & 0xff;
    const matchStateBits = (matchState >> 8) & 0xff;
    const offsetStateBits = (offsetState >> 8) & 0xff;
    bit -= literalStateBits;
    const literalWord = view.getUint32(stream + (bit >> 3), true) >>> (bit & 7);
    literalState = literals[(literalState >> 16) + (literalWord & ((1 << literalStateBits) - 1))]!;
    bit -= matchStateBits + offsetStateBits;
    const word = view.getUint32(stream + (bit >> 3), true) >>> (bit & 7);
    matchState = matches[(matchState >> 16) + ((word >>> offsetStateBits) & ((1 << matchStateBits) - 1))]!;
    offsetState = offsets[(offsetState >> 16) + (word & ((1 << offsetStateBits) - 1))]!;
  }
  if (bit !== 0) throw new Error('zstd sequences do not fill their stream');
  recent[0] = recent0;
  recent[1] = recent1;
  recent[2] = recent2;
  const rest = literalEnd - literal;
  if (target + rest > targetMax) throw new Error('zstd literals run past their block');
  bytes.copyWithin(target, literal, literalEnd);
  out.length = target + rest;
}

function sequenceCount(end: number, state: FrameState): number {
  const { view, at } = state;
  if (at >= end) throw new Error('zstd sequences are cut');
  const first = view.getUint8(at);
  const bytes = first < 128 ? 1 : first < 255 ? 2 : 3;
  state.at += bytes;
  if (bytes === 1) return first;
  return bytes === 2 ? ((first - 128) << 8) | view.getUint8(at + 1) : view.getUint16(at + 1, true) + 0x7f00;
}

/** By its mode: the default one, one symbol, one that is described here, or the one of the block before. */
function readTable(
  end: number,
  state: FrameState,
  mode: number,
  predefined: FseTable,
  before: FseTable | null,
  logMax: number,
  symbolMax: number,
): FseTable {
  switch (mode) {
    case 0:
      return predefined;
    case 1: {
      const symbol = state.at < end ? state.view.getUint8(state.at++) : 256;
      if (symbol > symbolMax) throw new Error('zstd table has an unknown symbol');
      return rleTable(symbol);
    }
    case 2:
      return readFseTable(state.view, state, end, logMax, symbolMax);
    default:
      if (before === null) throw new Error('zstd table repeats none');
      return before;
  }
}
