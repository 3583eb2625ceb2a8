// What: the codecs against frames written by other programs, and against frames that lie.
// Why: producers in any language compress ticks; a frame that claims a terabyte must not be believed.
// Invariant: the output is the input of whoever compressed it, or an error before memory is taken.

import { createRequire } from 'node:module';
import { gzipSync } from 'node:zlib';
import { compressFrameSync } from 'lz4-napi';
import { compressSync } from 'snappy';
import { describe, expect, test } from 'vitest';
import { Codec, decompressInto, registerCodecs } from '../../connectors/kafka/codecs.ts';
import { crc32c, plainCrc32c } from '../../connectors/kafka/crc.ts';
import { RecordBatchReader } from '../../connectors/kafka/record-batch.ts';
import { GrowableBytes } from '../../src/kernel/growable-bytes.ts';
import { encodeBatch, encodeRecord } from '../support/kafka-batches.ts';
import { contentOf, zstdFrames } from '../support/zstd-frames.ts';

const ticks = Array.from({ length: 60 }, (_, at) => ({
  offsetDelta: at,
  timestampDelta: at,
  key: Buffer.from(`k${at % 3}`),
  value: Buffer.from(`v${at}`),
}));
const raw = Buffer.concat(ticks.map(encodeRecord));

const zstdFrame = zstdFrames().find(({ size, args }) => size === 5_000 && args[0] === '-3')!;

function decompressed(codec: number, input: Uint8Array, bytesMax = 1e6): Buffer {
  const output = new GrowableBytes();
  decompressInto(codec, input, output, bytesMax);
  return Buffer.from(output.bytes.subarray(0, output.length));
}

describe('the checksum', () => {
  test('is CRC-32C: the check value of RFC 3720 and the empty one', () => {
    for (const crc of [crc32c, plainCrc32c]) {
      expect(crc(Buffer.from('123456789'))).toBe(0xe3069283);
      expect(crc(Buffer.alloc(32))).toBe(0x8a9136aa);
      expect(crc(Buffer.alloc(0))).toBe(0);
    }
  });

  test('is the same by the native code and by ours', () => {
    const bytes = Buffer.from(Array.from({ length: 999 }, (_, at) => (at * 131) & 0xff));
    for (let end = 0; end < bytes.length; end += 37)
      expect(crc32c(bytes.subarray(3, end))).toBe(plainCrc32c(bytes.subarray(3, end)));
  });
});

describe('decompression', () => {
  test('appends to what is there', () => {
    const output = new GrowableBytes();
    output.append(Buffer.from('before '));
    decompressInto(Codec.GZIP, gzipSync('one '), output, 1e6);
    decompressInto(Codec.LZ4, compressFrameSync(Buffer.from('two ')), output, 1e6);
    decompressInto(Codec.SNAPPY, compressSync('three'), output, 1e6);
    expect(Buffer.from(output.bytes.subarray(0, output.length)).toString()).toBe('before one two three');
  });

  test('bytes after the last record of a batch are not taken for records, nor for nothing', () => {
    const batch = (raw: Buffer): Buffer =>
      encodeBatch({ baseOffset: 0, records: ticks, codec: { id: 1, compress: () => gzipSync(raw) } });
    const read = (bytes: Uint8Array): number | undefined => {
      const reader = new RecordBatchReader();
      reader.open({ topic: 't', partition: 0, fetchOffset: 0, bytes, aborted: [], endOffset: -1 });
      return reader.next()?.count;
    };
    expect(read(batch(raw))).toBe(60);
    expect(() => read(batch(Buffer.concat([raw, Buffer.of(0)])))).toThrow(/after its last record/);
    expect(() => read(batch(raw.subarray(0, raw.length - 1)))).toThrow(/runs past its batch/);
  });
});

describe('frames that lie', () => {
  test('a snappy block that claims more than it can hold is refused', () => {
    // Claims 200 MB in six bytes.
    expect(() => decompressed(Codec.SNAPPY, Buffer.from('80c2d75f0000', 'hex'), 1e9)).toThrow(/claims more/);
    expect(() => decompressed(Codec.SNAPPY, Buffer.from('ffffffffff7f', 'hex'), 1e9)).toThrow();
    expect(() => decompressed(Codec.SNAPPY, compressSync(Buffer.alloc(5_000)), 4_999)).toThrow(/limit/);
  });

  test('xerial framing that is cut or runs past its end is refused', () => {
    const header = '82534e4150505900' + '0000000100000001';
    for (const rest of ['0000', '0000000500', 'ffffffff00', '7fffffff00'])
      expect(() => decompressed(Codec.SNAPPY, Buffer.from(header + rest, 'hex'))).toThrow();
    expect(decompressed(Codec.SNAPPY, Buffer.from(header, 'hex'))).toHaveLength(0);
  });

  test('an LZ4 frame is measured by its blocks before it is opened', () => {
    const bomb = compressFrameSync(Buffer.alloc(20_000_000));
    expect(() => decompressed(Codec.LZ4, bomb, 1e6)).toThrow(/limit/);
    const good = compressFrameSync(Buffer.from('ticks'.repeat(1_000)));
    for (const length of [3, 6, 10, good.length - 4, good.length - 1])
      expect(() => decompressed(Codec.LZ4, good.subarray(0, length))).toThrow();
  });

  test('an LZ4 frame that claims a content size beyond the limit is refused', () => {
    const frame = Buffer.from('04224d186840' + '0000000000ffff00' + '00' + '00000000', 'hex');
    expect(() => decompressed(Codec.LZ4, frame)).toThrow(/limit/);
  });

  test('gzip stops at the limit', () => {
    expect(() => decompressed(Codec.GZIP, gzipSync(Buffer.alloc(5_000_000)), 1e6)).toThrow();
    expect(decompressed(Codec.GZIP, gzipSync(Buffer.alloc(1_000)), 1_000)).toHaveLength(1_000);
  });
});

describe('kafkajs', () => {
  test('gets the codecs that it lacks', async () => {
    registerCodecs();
    const { CompressionCodecs } = createRequire(import.meta.url)('kafkajs') as {
      CompressionCodecs: Record<
        number,
        () => {
          compress(from: { buffer: Buffer }): Promise<Buffer>;
          decompress(bytes: Buffer): Promise<Buffer>;
        }
      >;
    };
    for (const codec of [Codec.GZIP, Codec.SNAPPY, Codec.LZ4]) {
      const { compress, decompress } = CompressionCodecs[codec]!();
      expect(await decompress(await compress({ buffer: raw }))).toEqual(raw);
    }
    const unzstd = await CompressionCodecs[Codec.ZSTD]!().decompress(zstdFrame.bytes);
    expect(unzstd).toEqual(contentOf(zstdFrame.kind, zstdFrame.size));
  });
});
