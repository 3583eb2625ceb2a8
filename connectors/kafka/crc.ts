// What: CRC-32C of a stretch of bytes, natively where the platform has it.
// Why: a record batch carries this checksum and kafkajs does not look at it; a flipped bit must not become a price.
// Invariant: both implementations give the same unsigned number.

import { createRequire } from 'node:module';

/** Reflected Castagnoli polynomial (RFC 3720). */
const POLYNOMIAL = 0x82f63b78;

/** CRC-32C of `bytes`, unsigned. */
export const crc32c: (bytes: Uint8Array) => number = nativeCrc32c() ?? plainCrc32c;

/** About 7 GB/s; null where the package has no binary for this platform. */
function nativeCrc32c(): ((bytes: Uint8Array) => number) | null {
  try {
    const native: { crc32c(input: Uint8Array): number } = createRequire(import.meta.url)('@node-rs/crc32');
    return native.crc32c;
  } catch {
    return null;
  }
}

let table: Uint32Array | null = null;

/** Byte by byte through a table, about 0.4 GB/s. */
export function plainCrc32c(bytes: Uint8Array): number {
  table ??= crcTable();
  let crc = 0xffffffff;
  for (let at = 0; at < bytes.length; at++) crc = table[(crc ^ bytes[at]!) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

function crcTable(): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, index) => {
    let crc = index;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    return crc >>> 0;
  });
}
