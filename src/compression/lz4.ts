// What: decompression of LZ4 frames to the end of a growing buffer.
// Why: the native library gives a new buffer for each batch and no bound for it; making those costs more than decoding.
// Invariant: every length is checked before it is used; output is bounded by the limit; a frame is whole or an error.
//
// https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md and lz4_Block_format.md. Checksums are stepped over: a
// record batch has one of all its bytes, and so has what comes over a connection.

import type { GrowableBytes } from '../kernel/growable-bytes.ts';

const MAGIC = 0x184d2204;
const SKIPPABLE_MAGIC = 0x184d2a50;
const UNCOMPRESSED = 0x80000000;
const MATCH_BYTES_MIN = 4;

/** Appends what all frames of `input` hold. @throws Error when they are not whole, or hold more than `bytesMax` bytes. */
export function unlz4Into(input: Uint8Array, out: GrowableBytes, bytesMax: number): void {
  const limit = out.length + bytesMax;
  if (input.length === 0) throw new Error('not an LZ4 frame');
  for (let at = 0; at < input.length; ) at = frame(input, at, out, limit);
}

function frame(input: Uint8Array, start: number, out: GrowableBytes, limit: number): number {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  const need = (to: number): void => {
    if (to > input.length) throw new Error('LZ4 frame is cut');
  };
  need(start + 7);
  const magic = view.getUint32(start, true);
  if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) {
    need(start + 8);
    const after = start + 8 + view.getUint32(start + 4, true);
    need(after);
    return after;
  }
  if (magic !== MAGIC) throw new Error('not an LZ4 frame');
  const flags = view.getUint8(start + 4);
  if (flags >> 6 !== 1) throw new Error('LZ4 frame of an unknown version');
  if ((flags & 0x01) !== 0) throw new Error('LZ4 frame needs a dictionary');
  const blockCode = (view.getUint8(start + 5) >> 4) & 7;
  if (blockCode < 4) throw new Error('LZ4 frame of an unknown block size');
  const blockBytesMax = 2 ** (8 + 2 * blockCode);
  const hasContentSize = (flags & 0x08) !== 0;
  let at = start + 6 + (hasContentSize ? 8 : 0) + 1;
  need(at);
  const contentBytes = hasContentSize ? Number(view.getBigUint64(start + 6, true)) : null;
  const origin = out.length;
  if (contentBytes !== null && origin + contentBytes > limit) throw tooLarge();
  for (;;) {
    need(at + 4);
    const word = view.getUint32(at, true);
    at += 4;
    if (word === 0) break;
    const bytes = word % UNCOMPRESSED;
    need(at + bytes);
    out.reserve(blockBytesMax);
    if (word >= UNCOMPRESSED) {
      if (bytes > blockBytesMax) throw new Error('LZ4 block is too large');
      out.append(input.subarray(at, at + bytes));
    } else
      out.length = block(input, at, at + bytes, out.bytes, out.length, out.length + blockBytesMax, origin);
    if (out.length > limit) throw tooLarge();
    at += bytes + ((flags & 0x10) !== 0 ? 4 : 0);
  }
  if (contentBytes !== null && out.length - origin !== contentBytes)
    throw new Error('LZ4 frame has another size than it says');
  at += (flags & 0x04) !== 0 ? 4 : 0;
  need(at);
  return at;
}

/** Decodes one block from `target` on, where there is room until `targetMax`. Returns the byte after the last written. */
function block(
  input: Uint8Array,
  at: number,
  end: number,
  out: Uint8Array,
  target: number,
  targetMax: number,
  origin: number,
): number {
  while (at < end) {
    const token = input[at++]!;
    let literals = token >> 4;
    if (literals === 15) {
      let more: number;
      do {
        more = at < end ? input[at++]! : 256;
        literals += more;
      } while (more === 255);
      if (more === 256) throw new Error('LZ4 block is cut');
    }
    if (at + literals > end || target + literals > targetMax)
      throw new Error('LZ4 literals run past their block');
    if (literals > 64) out.set(input.subarray(at, at + literals), target);
    else for (let byte = 0; byte < literals; byte++) out[target + byte] = input[at + byte]!;
    target += literals;
    at += literals;
    // The last sequence has literals only.
    if (at === end) return target;

    if (at + 2 > end) throw new Error('LZ4 block is cut');
    const offset = input[at]! | (input[at + 1]! << 8);
    at += 2;
    let length = (token & 15) + MATCH_BYTES_MIN;
    if ((token & 15) === 15) {
      let more: number;
      do {
        more = at < end ? input[at++]! : 256;
        length += more;
      } while (more === 255);
      if (more === 256) throw new Error('LZ4 block is cut');
    }
    const from = target - offset;
    if (offset === 0 || from < origin) throw new Error('LZ4 match reaches before its frame');
    if (target + length > targetMax) throw new Error('LZ4 match runs past its block');
    if (length > 64 && offset >= length) out.copyWithin(target, from, from + length);
    else for (let byte = 0; byte < length; byte++) out[target + byte] = out[from + byte]!;
    target += length;
  }
  throw new Error('LZ4 block ends within a sequence');
}

const tooLarge = (): Error => new Error('decompresses to more than its limit');
