// What: exact fixed-point numbers: decimal text ↔ scaled integers, doubles → scaled integers, int64 by 32-bit halves.
// Why: a price that passes through a double can come out a tick off, and a BigInt per value is too slow for the hot path.
// Invariant: nothing here rounds. A number that does not fit exactly is a fault, never its neighbour.

/** Why a number has no scaled integer: not a number at all, more decimals than the scale, or beyond int64. */
export type FixedFault = 'syntax' | 'decimals' | 'range';

/** 10^0 … 10^22: the powers of ten that a double holds exactly. */
export const POW10: readonly number[] = Array.from({ length: 23 }, (_, power) => Number(`1e${power}`));

/** The largest stored magnitude. −2^63 itself stands for NULL, so the range is symmetric. */
export const INT64_MAX = 9223372036854775807n;

/** A scaled integer has at most 19 digits; more decimals than this leave no room for a digit. */
export const SCALE_MAX = 18;

const TWO_22 = 0x400000;
const TWO_32 = 0x100000000;
const TWO_53 = 0x20000000000000;
/** A double at or below this is certainly below 2^63, whatever the rounding of the product was. */
const SURELY_INT64 = 9.22337203685477e18;

const NUMBER = /^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/;

/**
 * Number text × 10^scale. The grammar is that of a JSON number (RFC 8259 section 6), exponent included.
 * Trailing zeros beyond the scale are exact and accepted. Time and memory are linear in the text, whatever the exponent.
 */
export function parseFixed(text: string, scale: number): bigint | FixedFault {
  const match = NUMBER.exec(text);
  if (match === null) return 'syntax';
  const fraction = match[3] ?? '';
  const digits = trimZeros(match[2]! + fraction);
  if (digits.text === '') return 0n;
  // Decimal places to move the digits to the left; a huge exponent saturates to ±Infinity and is caught by both tests.
  const shift = Number(match[4] ?? 0) - fraction.length + digits.trailing + scale;
  if (shift < 0) return 'decimals';
  if (digits.text.length + shift > 19) return 'range';
  const value = BigInt(digits.text) * 10n ** BigInt(shift);
  if (value > INT64_MAX) return 'range';
  return match[1] === '-' ? -value : value;
}

function trimZeros(digits: string): { text: string; trailing: number } {
  let start = 0;
  let end = digits.length;
  while (start < end && digits.charCodeAt(start) === 48) start++;
  while (end > start && digits.charCodeAt(end - 1) === 48) end--;
  return { text: digits.slice(start, end), trailing: digits.length - end };
}

/** The value as decimal text with exactly `scale` decimals: (1502500n, 4) → '150.2500'. */
export function formatFixed(value: bigint, scale: number): string {
  if (scale === 0) return value.toString();
  const digits = (value < 0n ? -value : value).toString().padStart(scale + 1, '0');
  const point = digits.length - scale;
  return `${value < 0n ? '-' : ''}${digits.slice(0, point)}.${digits.slice(point)}`;
}

/** The same number at another scale; null when digits would be lost. Not bounded to int64. */
export function rescaleFixed(value: bigint, fromScale: number, toScale: number): bigint | null {
  if (toScale >= fromScale) return value * 10n ** BigInt(toScale - fromScale);
  const divisor = 10n ** BigInt(fromScale - toScale);
  return value % divisor === 0n ? value / divisor : null;
}

/**
 * A double × 10^scale, when the double is the one nearest to a decimal of at most `scale` decimals: 0.1 at scale 1
 * is 1, though the double is not exactly a tenth. NaN (a missing value) is a 'syntax' fault, an infinity a 'range' fault.
 * The result is a number while it is below 2^53, else a bigint.
 */
export function fixedFromDouble(value: number, scale: number): number | bigint | FixedFault {
  const power = POW10[scale]!;
  const scaled = Math.round(value * power);
  if (scaled < TWO_53 && scaled > -TWO_53) return scaled / power === value ? scaled : 'decimals';
  if (Number.isNaN(value)) return 'syntax';
  if (value === Infinity || value === -Infinity) return 'range';
  return parseFixed(String(value), scale);
}

/**
 * Writes ±(a × multiplier + addend) as an int64 to words[at] (low) and words[at + 1] (high).
 * All three are integers: 0 ≤ a < 2^53, 1 ≤ multiplier ≤ 10^9, 0 ≤ addend < 2^51.
 * Returns false, with nothing written, when the result is not surely below 2^63; the caller then takes the BigInt way.
 */
export function writeProduct(
  words: Int32Array,
  at: number,
  a: number,
  multiplier: number,
  addend: number,
  negative: boolean,
): boolean {
  const rounded = a * multiplier + addend;
  let low: number;
  let high: number;
  if (rounded < TWO_53) {
    low = rounded | 0;
    high = (rounded / TWO_32) | 0;
  } else {
    if (!(rounded <= SURELY_INT64)) return false;
    // a = aHigh × 2^22 + aLow, so that each partial product stays below 2^53.
    const aHigh = Math.floor(a / TWO_22);
    const partHigh = aHigh * multiplier;
    const partLow = (a - aHigh * TWO_22) * multiplier + addend + (partHigh & 1023) * TWO_22;
    low = partLow | 0;
    high = (Math.floor(partHigh / 1024) + Math.floor(partLow / TWO_32)) | 0;
  }
  if (negative) {
    low = -low | 0;
    high = low === 0 ? -high | 0 : ~high;
  }
  words[at] = low;
  words[at + 1] = high;
  return true;
}

/** Writes an integer of magnitude below 2^53 as an int64. */
export function writeInteger(words: Int32Array, at: number, value: number): void {
  words[at] = value | 0;
  words[at + 1] = Math.floor(value / TWO_32) | 0;
}
