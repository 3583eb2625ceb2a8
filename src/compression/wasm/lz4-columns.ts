// What: a column's values to one LZ4 block, in AssemblyScript: TypeScript's words for WebAssembly.
// Why: values repeat as a whole, or in their upper bytes; looked at one by one they take a third of the time that bytes take.
// Invariant: what LZ4 asks of a block's end holds: the last match starts 12 bytes before it or more, the last 5 are literals.
//
// https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md. Addresses are those of the module's own memory. `&` and `|`
// between conditions keep branches that no processor could guess out of the loop.

const SLOT_BITS: u32 = 12;
const SLOTS_BYTES: usize = 4 << SLOT_BITS;
/** Where each kind of value was seen last, u32 addresses: by all bytes of a value, and by all but the two lowest. */
const WHOLE_SLOTS: usize = 0;
const UPPER_SLOTS: usize = SLOTS_BYTES;
/** Input starts here or later: a slot that was never filled is then further away than a match may be. */
export const INPUT_START: usize = 1 << 17;
const OFFSET_MAX: usize = 65_535;
const MATCH_BYTES_MIN: usize = 4;
/** Values nearer to the end are not looked at: 24 bytes from one on are read and may match, 5 more may not. */
const TAIL_BYTES: usize = 29;
const LAST_LITERALS: usize = 5;
/** Values looked up by their upper bytes in vain before it is tried on one of 64 only. */
const PATIENCE: i32 = 64;

const MIX: u64 = ((<u64>0x9e3779b9) << 32) | 0x7f4a7c15;

function slotOf(value: u64): usize {
  return (<usize>((value * MIX) >> (64 - SLOT_BITS))) << 2;
}

/**
 * Writes the block of `bytes` bytes at `input`, values of `width` bytes (1, 4 or 8), to `output` on, where there is room
 * for `bytes` × 256 / 255 + 32. Returns its length.
 */
export function compress(input: usize, bytes: usize, output: usize, width: usize): usize {
  const end = input + bytes;
  let out = output;
  /** All before is written. */
  let anchor = input;
  if (bytes >= TAIL_BYTES + 8) {
    memory.fill(WHOLE_SLOTS, 0, 2 * SLOTS_BYTES);
    const lastStart = end - TAIL_BYTES;
    const matchEnd = end - LAST_LITERALS;
    let hope = PATIENCE;
    for (let at = input; at < input + 8; at += width)
      store<u32>(WHOLE_SLOTS + slotOf(load<u64>(at)), <u32>at);
    for (let at = input + 8; at <= lastStart; ) {
      const value = load<u64>(at);
      const slot = WHOLE_SLOTS + slotOf(value);
      const seen = <usize>load<u32>(slot);
      store<u32>(slot, <u32>at);
      const difference = value ^ load<u64>(at - 8);
      let start = at;
      let offset: usize = 8;
      let matched = at + 8;
      if (u32(difference === 0) | (u32(at - seen <= OFFSET_MAX) & u32(load<u64>(seen) === value))) {
        if (difference !== 0) offset = at - seen;
        if (anchor > at) start = anchor;
        else if (u32(anchor < at) & u32(at - offset >= input + 8)) {
          const equal = clz(load<u64>(at - 8) ^ load<u64>(at - 8 - offset)) >> 3;
          start -= min(<usize>equal, at - anchor);
        }
      } else {
        const upper = <usize>(clz(difference) >> 3);
        let isSeen = false;
        if ((u32(hope > 0) | u32((at & 511) === 0)) & u32(upper < 6)) {
          const upperSlot = UPPER_SLOTS + slotOf(value >> 16);
          const upperSeen = <usize>load<u32>(upperSlot);
          store<u32>(upperSlot, <u32>at);
          const rest = load<u64>(upperSeen) ^ value;
          if (u32(at - upperSeen <= OFFSET_MAX) & u32(rest >> 16 === 0)) {
            isSeen = true;
            offset = at - upperSeen;
            start = at + ((rest & 0xff00) === 0 ? 1 : 2);
          }
          hope = isSeen ? PATIENCE : hope - 1;
        }
        if (!isSeen) {
          if (u32(width !== 8) | u32(upper < MATCH_BYTES_MIN)) {
            at += width;
            continue;
          }
          start = at + 8 - upper;
        }
        start = max(start, anchor);
      }
      const equal = i8x16.bitmask(i8x16.eq(v128.load(matched), v128.load(matched - offset))) ^ 0xffff;
      matched = equal !== 0 ? matched + <usize>ctz(equal) : matchedTo(matched + 16, offset, matchEnd);
      const length = matched - start;
      if (length < MATCH_BYTES_MIN) {
        at += width;
        continue;
      }
      out = sequence(out, anchor, start - anchor, offset, length - MATCH_BYTES_MIN);
      anchor = matched;
      // On with the value that the match ends in, or before.
      at += width;
      if (matched >= at + width) at = matched & -width;
    }
  }
  return lastSequence(out, anchor, end - anchor) - output;
}

/** Where bytes from `at` on cease to be what they are `offset` before. */
function matchedTo(at: usize, offset: usize, limit: usize): usize {
  for (; at + 8 <= limit; at += 8) {
    const difference = load<u64>(at) ^ load<u64>(at - offset);
    if (difference !== 0) return at + <usize>(ctz(difference) >> 3);
  }
  while (at < limit && load<u8>(at) === load<u8>(at - offset)) at++;
  return at;
}

/** Both lengths as they are told: literals, and the bytes of the match above the least. Returns the byte after. */
function sequence(out: usize, from: usize, literals: usize, offset: usize, more: usize): usize {
  if (u32(literals < 15) & u32(more < 15)) {
    store<u8>(out, <u8>((literals << 4) | more));
    // Always 16 bytes: what is too much is written over.
    store<u64>(out + 1, load<u64>(from));
    store<u64>(out + 9, load<u64>(from + 8));
    out += literals + 3;
    store<u16>(out - 2, <u16>offset);
    return out;
  }
  store<u8>(out, <u8>((min<usize>(literals, 15) << 4) | min<usize>(more, 15)));
  out = literalRun(out + 1, from, literals);
  store<u16>(out, <u16>offset);
  return lengthRest(out + 2, more);
}

function lastSequence(out: usize, from: usize, literals: usize): usize {
  store<u8>(out, <u8>(min<usize>(literals, 15) << 4));
  return literalRun(out + 1, from, literals);
}

function literalRun(out: usize, from: usize, literals: usize): usize {
  out = lengthRest(out, literals);
  memory.copy(out, from, literals);
  return out + literals;
}

/** What of a length its half of the token has no room for. */
function lengthRest(out: usize, length: usize): usize {
  if (length < 15) return out;
  let rest = length - 15;
  for (; rest >= 255; rest -= 255) store<u8>(out++, 255);
  store<u8>(out++, <u8>rest);
  return out;
}
