// What: CRC-32C over byte parts, the checksum of two stretches joined, and its spelling in manifests.
// Why: a folder's checksum follows from its columns' checksums, so no byte is read twice.
// Invariant: combine(crc(a), crc(b), length(b)) = crc(a ++ b).

import { crc32c } from '@node-rs/crc32';
import { bytesOf } from '../columns/types.ts';

/** Reflected Castagnoli polynomial. */
const POLYNOMIAL = 0x82f63b78;

/** CRC-32C (RFC 3720) of the parts one after the other, unsigned; `before` is that of what stands before them. */
export function crc32cOf(parts: readonly NodeJS.ArrayBufferView[], before = 0): number {
  let crc = before;
  for (const part of parts) crc = crc32c(bytesOf(part), crc);
  return crc >>> 0;
}

/** 8 lower-case hex digits. */
export const crc32cText = (crc: number): string => (crc >>> 0).toString(16).padStart(8, '0');

/**
 * CRC-32C of a stretch followed by another one, from their checksums and the length of the second in bytes.
 * In GF(2)[x] modulo the polynomial: crc(a ++ b) = crc(a) · x^(8·length) + crc(b).
 */
export function combineCrc32c(first: number, second: number, secondBytes: number): number {
  return (multiply(first, powerOfBytes(secondBytes)) ^ second) >>> 0;
}

/** Parts of a column have mostly the same length. */
let lastBytes = 0;
let lastPower = powerOfX(0);

function powerOfBytes(bytes: number): number {
  if (bytes !== lastBytes) {
    lastPower = powerOfX(8 * bytes);
    lastBytes = bytes;
  }
  return lastPower;
}

/** Product of two polynomials modulo POLYNOMIAL; bit 31 is the coefficient of x^0 (reflected). */
function multiply(a: number, b: number): number {
  let product = 0;
  for (let bit = 31; bit >= 0; bit--) {
    // Without a branch: half of the bits would be guessed wrong.
    product ^= b & -((a >>> bit) & 1);
    b = (b >>> 1) ^ (POLYNOMIAL & -(b & 1));
  }
  return product >>> 0;
}

/** x^exponent modulo POLYNOMIAL by repeated squaring. */
function powerOfX(exponent: number): number {
  let power = 0x80000000; // x^0
  let square = 0x40000000; // x^1
  for (let rest = exponent; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) power = multiply(power, square);
    square = multiply(square, square);
  }
  return power;
}
