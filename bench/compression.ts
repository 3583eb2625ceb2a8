// What: the codecs of record batches as a producer applies them, and what undoing them costs by itself.
// Why: compressed topics are measured against their codec's own cost, in the same run and on the same bytes.
// Invariant: a compressed batch differs from the plain one in its records' bytes, length, attributes and checksum only.

import { spawnSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import { compressFrameSync } from 'lz4-napi';
import { compressSync } from 'snappy';
import { Codec, decompressInto } from '../connectors/kafka/codecs.ts';
import { crc32c } from '../connectors/kafka/crc.ts';
import { ATTRIBUTES_AT, CRC_AT, HEADER_BYTES, LENGTH_AT } from '../connectors/kafka/record-batch.ts';
import { assert } from '../src/kernel/assert.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { GrowableBytes } from '../src/kernel/growable-bytes.ts';

export const CODEC_NAMES = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;
export type CodecName = (typeof CODEC_NAMES)[number];

/** Why a case without its compressor is left out. */
export const ZSTD_MISSING = 'zstd frames are made by the program zstd, which is not on the PATH';

type Compress = (bytes: Buffer) => Buffer;

const codecIds: Readonly<Record<CodecName, number>> = {
  none: Codec.NONE,
  gzip: Codec.GZIP,
  snappy: Codec.SNAPPY,
  lz4: Codec.LZ4,
  zstd: Codec.ZSTD,
};

/** Makes a plain record batch a compressed one. Null: no program here can write this codec. */
export function batchCompressor(codec: CodecName): ((plain: Buffer) => Buffer) | null {
  if (codec === 'none') return (plain) => plain;
  const compress = compressors[codec]();
  if (compress === null) return null;
  return (plain) => {
    const batch = Buffer.concat([plain.subarray(0, HEADER_BYTES), compress(plain.subarray(HEADER_BYTES))]);
    batch.writeInt32BE(batch.length - LENGTH_AT - 4, LENGTH_AT);
    batch.writeInt16BE(codecIds[codec], ATTRIBUTES_AT);
    batch.writeUInt32BE(crc32c(batch.subarray(ATTRIBUTES_AT)), CRC_AT);
    return batch;
  };
}

const compressors: Readonly<Record<Exclude<CodecName, 'none'>, () => Compress | null>> = {
  gzip: () => (bytes) => gzipSync(bytes),
  snappy: () => javaSnappy,
  lz4: () => (bytes) => compressFrameSync(bytes),
  zstd: zstdCompressor,
};

/** As snappy-java frames it: a header, then blocks of 32 KiB. */
function javaSnappy(bytes: Buffer): Buffer {
  const parts: Buffer[] = [Buffer.from('82534e41505059000000000100000001', 'hex')];
  for (let at = 0; at < bytes.length; at += 32_768) {
    const block = compressSync(bytes.subarray(at, at + 32_768));
    const length = Buffer.alloc(4);
    length.writeInt32BE(block.length);
    parts.push(length, block);
  }
  return Buffer.concat(parts);
}

function zstdCompressor(): Compress | null {
  if (spawnSync('zstd', ['--version']).status !== 0) return null;
  return (bytes) => {
    const { status, stdout } = spawnSync('zstd', ['-3', '-c', '-q', '--no-check'], {
      input: bytes,
      maxBuffer: bytes.length + 2 ** 20,
    });
    assert(status === 0, 'zstd failed');
    return stdout;
  };
}

/** Milliseconds to decompress the batches that stand in `bytes`, as the reader does it, and nothing else. */
export function codecAloneMs(bytes: Buffer, plainBytesMin: number): number {
  const unpacked = new GrowableBytes();
  const startMs = systemClock.monotonicMs();
  for (let at = 0; at < bytes.length; ) {
    const end = at + LENGTH_AT + 4 + bytes.readInt32BE(at + LENGTH_AT);
    const codec = bytes.readInt16BE(at + ATTRIBUTES_AT) & 7;
    decompressInto(codec, bytes.subarray(at + HEADER_BYTES, end), unpacked, 1e9);
    at = end;
  }
  const tookMs = systemClock.monotonicMs() - startMs;
  assert(unpacked.length >= plainBytesMin, 'the codec lost bytes');
  return tookMs;
}
