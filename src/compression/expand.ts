// What: LZ4 frames and Zstandard frames, expanded to the end of a growing buffer.
// Why: Kafka's batches and Arrow's buffers come in both.
// Invariant: no input makes the output larger than its limit; what is refused is an error, never a shorter output.

import * as zlib from 'node:zlib';
import type { GrowableBytes } from '../kernel/growable-bytes.ts';
import { unlz4Into } from './lz4.ts';
import { unzstdInto } from './zstd.ts';

/**
 * Appends what `input` holds to `output`.
 * @throws Error when the input is not of this codec, is cut, or would give more than `bytesMax` bytes.
 */
export type Expand = (input: Uint8Array, output: GrowableBytes, bytesMax: number) => void;

type ZstdSync = (input: Uint8Array, options: { maxOutputLength: number }) => Buffer;
/** In Node from 22.15 on. */
const nativeUnzstd = (zlib as unknown as { zstdDecompressSync?: ZstdSync }).zstdDecompressSync;

export const expandLz4: Expand = unlz4Into;
export const expandZstd: Expand =
  nativeUnzstd === undefined
    ? unzstdInto
    : (input, output, bytesMax) => output.append(nativeUnzstd(input, { maxOutputLength: bytesMax }));
