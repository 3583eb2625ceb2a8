// What: the UTC hour of each row, from int64 event times held as two 32-bit halves.
// Why: a BigInt division per tick would cost more than decoding it; neighbours nearly always share the hour.
// Invariant: exact for every int64, negative times included (floor, not truncation).

import { NANOS_PER_HOUR } from '../columns/types.ts';

const HALF = 0x1_0000_0000;
const HOUR_NS = Number(NANOS_PER_HOUR);

/** Doubles near 2^63 are 1,024 apart, and three roundings add up: so close to the hour's edges the halves decide. */
const DOUBT_NS = 4_096;

/**
 * hours[row] = floor(time / 1 h) for rows [from, to); `words` holds low and high halves of each time. Returns the
 * greatest time in ns, as the nearest double; −Infinity of no rows.
 */
export function hoursOf(words: Int32Array, from: number, to: number, hours: Int32Array): number {
  let hour = 0;
  let surelyFrom = Number.POSITIVE_INFINITY;
  let surelyBelow = Number.NEGATIVE_INFINITY;
  let greatest = Number.NEGATIVE_INFINITY;
  for (let row = from; row < to; row++) {
    const low = words[2 * row]! >>> 0;
    const high = words[2 * row + 1]!;
    const about = high * HALF + low;
    if (about > greatest) greatest = about;
    if (!(about >= surelyFrom && about < surelyBelow)) {
      hour = hourOf(low, high);
      surelyFrom = hour * HOUR_NS + DOUBT_NS;
      surelyBelow = (hour + 1) * HOUR_NS - DOUBT_NS;
    }
    hours[row] = hour;
    // Mostly the next ones are of it too: four at a time, since V8 looks both arrays up anew in each round.
    for (; row + 4 < to; row += 4) {
      const at = 2 * row + 2;
      const a = words[at + 1]! * HALF + (words[at]! >>> 0);
      const b = words[at + 3]! * HALF + (words[at + 2]! >>> 0);
      const c = words[at + 5]! * HALF + (words[at + 4]! >>> 0);
      const d = words[at + 7]! * HALF + (words[at + 6]! >>> 0);
      const least = Math.min(Math.min(a, b), Math.min(c, d));
      const most = Math.max(Math.max(a, b), Math.max(c, d));
      if (!(least >= surelyFrom && most < surelyBelow)) break;
      if (most > greatest) greatest = most;
      hours[row + 1] = hour;
      hours[row + 2] = hour;
      hours[row + 3] = hour;
      hours[row + 4] = hour;
    }
  }
  return greatest;
}

function hourOf(low: number, high: number): number {
  const time = (BigInt(high) << 32n) | BigInt(low);
  const quotient = time / NANOS_PER_HOUR;
  return Number(quotient * NANOS_PER_HOUR > time ? quotient - 1n : quotient);
}
