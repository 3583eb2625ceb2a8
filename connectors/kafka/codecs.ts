// What: the compression codecs of Kafka record batches: gzip, snappy, lz4 and zstd, for our decoder and for kafkajs.
// Why: any producer may choose any of them; kafkajs knows gzip alone and ends the consumer at the others.
// Invariant: no input makes the output larger than its limit; what a codec refuses is an error, never a shorter output.

import { createRequire } from 'node:module';
import * as zlib from 'node:zlib';
import { compressFrameSync } from 'lz4-napi';
import { compressSync as snappyCompress, uncompressSync as snappyUncompress } from 'snappy';
import { type Expand, expandLz4, expandZstd } from '../../src/compression/expand.ts';
import { GrowableBytes } from '../../src/kernel/growable-bytes.ts';

/** As in the attributes of a record batch. */
export const Codec = { NONE: 0, GZIP: 1, SNAPPY: 2, LZ4: 3, ZSTD: 4 } as const;
export type Codec = (typeof Codec)[keyof typeof Codec];

/**
 * Appends the decompressed `input` to `output`.
 * @throws Error when the input is not of this codec, is cut, or would give more than `bytesMax` bytes.
 */
export function decompressInto(
  codec: number,
  input: Uint8Array,
  output: GrowableBytes,
  bytesMax: number,
): void {
  const decompress = decompressors[codec];
  if (decompress === undefined) throw new Error(`unknown compression codec ${codec}`);
  decompress(input, output, bytesMax);
}

const decompressors: Readonly<Record<number, Expand>> = {
  [Codec.GZIP]: gunzipInto,
  [Codec.SNAPPY]: unsnappyInto,
  [Codec.LZ4]: expandLz4,
  [Codec.ZSTD]: expandZstd,
};

function gunzipInto(input: Uint8Array, output: GrowableBytes, bytesMax: number): void {
  // The last four bytes are the size modulo 2^32: a hint that saves zlib from growing its output in small steps.
  const hint = input.length < 18 ? 0 : viewOf(input).getUint32(input.length - 4, true);
  const chunkSize = Math.min(Math.max(hint + 64, 1_024), Math.min(bytesMax, input.length * 64) + 1_024);
  output.append(zlib.gunzipSync(input, { maxOutputLength: bytesMax, chunkSize }));
}

// ---------------------------------------------------------------------------------------------------------
// Snappy: the raw block, or the framing of the Java library (xerial): magic, two int32, then blocks of int32 length + raw.

const XERIAL_MAGIC = Uint8Array.of(0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00);
const XERIAL_HEADER_BYTES = 16;

function unsnappyInto(input: Uint8Array, output: GrowableBytes, bytesMax: number): void {
  const limit = output.length + bytesMax;
  if (!XERIAL_MAGIC.every((byte, at) => input[at] === byte)) {
    unsnappyBlockInto(input, output, limit);
    return;
  }
  const view = viewOf(input);
  for (let at = XERIAL_HEADER_BYTES; at < input.length; ) {
    const length = at + 4 <= input.length ? view.getInt32(at) : -1;
    const start = at + 4;
    if (length < 0 || start + length > input.length) throw new Error('snappy block runs past the end');
    unsnappyBlockInto(input.subarray(start, start + length), output, limit);
    at = start + length;
  }
}

function unsnappyBlockInto(block: Uint8Array, output: GrowableBytes, limit: number): void {
  // The block begins with its size as a varint; it is checked before anything of that size is made.
  let size = 0;
  for (let at = 0, scale = 1; ; at++, scale *= 128) {
    const byte = block[at];
    if (byte === undefined || at === 5) throw new Error('snappy block has no size');
    size += (byte & 0x7f) * scale;
    if (byte < 0x80) break;
  }
  if (output.length + size > limit) throw tooLarge();
  // At best two bytes of a block copy 64.
  if (size > block.length * 64) throw new Error('snappy block claims more than it can hold');
  output.append(snappyUncompress(block, { asBuffer: true, copyOutputData: true }) as Buffer);
}

// ---------------------------------------------------------------------------------------------------------
// For kafkajs: its producer, and its own consumers

const KAFKAJS_BYTES_MAX = 512 * 1024 * 1024;

interface KafkajsCodec {
  compress(encoder: { readonly buffer: Buffer }): Promise<Buffer>;
  decompress(buffer: Buffer): Promise<Buffer>;
}

/** Gives kafkajs the codecs that it lacks. Idempotent; a codec that the program registered itself stays. */
export function registerCodecs(): void {
  const { CompressionCodecs } = createRequire(import.meta.url)('kafkajs') as {
    CompressionCodecs: Record<number, () => KafkajsCodec>;
  };
  for (const codec of [Codec.SNAPPY, Codec.LZ4, Codec.ZSTD] as const) {
    try {
      CompressionCodecs[codec]?.();
    } catch {
      // Its placeholder throws when asked for a codec.
      CompressionCodecs[codec] = () => kafkajsCodec(codec);
    }
  }
}

function kafkajsCodec(codec: typeof Codec.SNAPPY | typeof Codec.LZ4 | typeof Codec.ZSTD): KafkajsCodec {
  return {
    compress: async ({ buffer }) => compressors[codec](buffer),
    decompress: async (buffer) => {
      const output = new GrowableBytes();
      decompressInto(codec, buffer, output, KAFKAJS_BYTES_MAX);
      return asBuffer(output.bytes.subarray(0, output.length));
    },
  };
}

const compressors = {
  [Codec.SNAPPY]: (bytes: Buffer): Buffer => {
    const block = snappyCompress(bytes);
    const header = Buffer.alloc(XERIAL_HEADER_BYTES + 4);
    header.set(XERIAL_MAGIC);
    header.writeInt32BE(1, 8);
    header.writeInt32BE(1, 12);
    header.writeInt32BE(block.length, XERIAL_HEADER_BYTES);
    return Buffer.concat([header, block]);
  },
  [Codec.LZ4]: (bytes: Buffer): Buffer => compressFrameSync(bytes),
  [Codec.ZSTD]: (bytes: Buffer): Buffer => {
    const compress = (zlib as unknown as { zstdCompressSync?: (bytes: Buffer) => Buffer }).zstdCompressSync;
    if (compress === undefined)
      throw new Error('producing with zstd needs Node 22.15 or later; reading it does not');
    return compress(bytes);
  },
};

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const tooLarge = (): Error => new Error('decompresses to more than its limit');
