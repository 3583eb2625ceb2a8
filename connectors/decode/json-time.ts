// What: an integer time in JSON text, of as many digits as a time of this century has, to nanoseconds as an int64.
// Why: ticks of one second share its ten digits, so only the digits after them need reading.
// Invariant: it writes a value only when every character was a digit and no digit follows.

import { writeProduct } from '../../src/kernel/fixed.ts';
import { digitCount, digitsValue } from './words.ts';

/** After the ten digits of the seconds: 9 digits count nanoseconds, 6 microseconds, 3 milliseconds. */
const SECOND_DIGITS = 10;

export class TimeReader {
  /** The ten characters of the second that was read last, and that second in nanoseconds. */
  private word0 = 0;
  private word1 = 0;
  private word2 = 0;
  private low = 0;
  private high = 0;
  private readonly pair = new Int32Array(2);

  /** Writes the time at p as nanoseconds to words[at], words[at + 1]. Returns where its digits end; −1: read it in another way. */
  read(view: DataView, p: number, scale: number, words: Int32Array, at: number): number {
    const word2 = view.getInt32(p + 8, true);
    if (
      view.getInt32(p, true) !== this.word0 ||
      view.getInt32(p + 4, true) !== this.word1 ||
      (word2 & 0xffff) !== this.word2
    ) {
      if (!this.learnSecond(view, p)) return -1;
    }
    let q = p + SECOND_DIGITS;
    let nanos = 0;
    if (scale === 0) {
      const word3 = view.getInt32(p + 12, true);
      const word4 = view.getInt32(p + 16, true);
      if (digitCount(word2) + digitCount(word3) !== 8 || digitCount(word4) !== 3) return -1;
      nanos =
        Math.imul(digitsValue((word2 & -0x10000) | 0x3030, 4), 10_000_000) +
        Math.imul(digitsValue(word3, 4), 1000) +
        digitsValue(word4, 3);
      q += 9;
    } else if (scale === 3) {
      const word3 = view.getInt32(p + 12, true);
      if (digitCount(word2) + digitCount(word3) !== 8 || digitCount(view.getInt32(p + 16, true)) !== 0)
        return -1;
      nanos =
        Math.imul(digitsValue((word2 & -0x10000) | 0x3030, 4), 10_000_000) +
        Math.imul(digitsValue(word3, 4), 1000);
      q += 6;
    } else return -1;
    const low = (this.low + nanos) | 0;
    words[at] = low;
    words[at + 1] = this.high + (low >>> 0 < nanos ? 1 : 0);
    return q;
  }

  private learnSecond(view: DataView, p: number): boolean {
    const word0 = view.getInt32(p, true);
    const word1 = view.getInt32(p + 4, true);
    const word2 = view.getInt32(p + 8, true);
    // A first digit of 0 is no JSON number, and 10^10 s × 10^9 would leave int64: both are for the general way.
    if (digitCount(word0) + digitCount(word1) !== 8 || digitCount(word2) < 2) return false;
    const first = word0 & 0xff;
    if (first === 0x30 || first > 0x38) return false;
    const seconds = digitsValue(word0, 4) * 1e6 + digitsValue(word1, 4) * 100 + digitsValue(word2, 2);
    writeProduct(this.pair, 0, seconds, 1e9, 0, false);
    this.low = this.pair[0]!;
    this.high = this.pair[1]!;
    this.word0 = word0;
    this.word1 = word1;
    this.word2 = word2 & 0xffff;
    return true;
  }
}
