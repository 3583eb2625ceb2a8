// What: the UTC hour of each row, from int64 event times held as two 32-bit halves.
// Why: a BigInt division per tick would cost more than decoding it; neighbours nearly always share the hour.
// Invariant: exact for every int64, negative times included (floor, not truncation).

import { NANOS_PER_HOUR } from '../columns/types.ts';

const HALF = 0x1_0000_0000;

/** hours[row] = floor(time / 1 h) for rows [from, to); `words` holds low and high halves of each time. */
export function hoursOf(words: Int32Array, from: number, to: number, hours: Int32Array): void {
  let hour = 0;
  let startHigh = 1;
  let startLow = 0;
  let endHigh = 0;
  let endLow = 0;
  for (let row = from; row < to; row++) {
    const low = words[2 * row]! >>> 0;
    const high = words[2 * row + 1]!;
    const inHour =
      (high > startHigh || (high === startHigh && low >= startLow)) &&
      (high < endHigh || (high === endHigh && low < endLow));
    if (!inHour) {
      const time = (BigInt(high) << 32n) | BigInt(low);
      const quotient = time / NANOS_PER_HOUR;
      const floor = quotient * NANOS_PER_HOUR > time ? quotient - 1n : quotient;
      hour = Number(floor);
      const start = floor * NANOS_PER_HOUR;
      const end = start + NANOS_PER_HOUR;
      startHigh = Number(start >> 32n);
      startLow = Number(start & BigInt(HALF - 1));
      endHigh = Number(end >> 32n);
      endLow = Number(end & BigInt(HALF - 1));
    }
    hours[row] = hour;
  }
}
