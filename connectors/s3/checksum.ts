// What: CRC32C as S3's headers want it.
// Why: the server compares it with what arrived, so a body damaged on the way is refused instead of stored.
// Invariant: big-endian bytes, base64.

import { crc32c } from '@node-rs/crc32';

export function crc32cBase64(bytes: Uint8Array): string {
  const value = Buffer.allocUnsafe(4);
  value.writeUInt32BE(crc32c(bytes));
  return value.toString('base64');
}
