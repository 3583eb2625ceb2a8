// What: the codecs against frames written by other programs, and against frames that lie.
// Why: producers in any language compress ticks; a frame that claims a terabyte must not be believed.
// Invariant: the output is the input of whoever compressed it, or an error before memory is taken.

import { createRequire } from 'node:module';
import { gzipSync } from 'node:zlib';
import { compressFrameSync } from 'lz4-napi';
import { compressSync } from 'snappy';
import { describe, expect, test } from 'vitest';
import { Codec, decompressInto, GrowableBytes, registerCodecs } from '../../connectors/kafka/codecs.ts';
import { crc32c, plainCrc32c } from '../../connectors/kafka/crc.ts';
import { RecordBatchReader } from '../../connectors/kafka/record-batch.ts';
import { encodeBatch, encodeRecord } from '../support/kafka-batches.ts';

const ticks = Array.from({ length: 60 }, (_, at) => ({
  offsetDelta: at,
  timestampDelta: at,
  key: Buffer.from(`k${at % 3}`),
  value: Buffer.from(`v${at}`),
}));
const raw = Buffer.concat(ticks.map(encodeRecord));

/** `zstd -3` from a pipe (no size in the frame, a checksum), `zstd -19 --stream-size` (single segment), `zstd -1 --no-check`. */
const zstdFrames = [
  'KLUv/QRYDQsAVplEIeDY1HBoCk1Na1rTmta0xmFp5ZaXpjWtiQVFMMIIaijCKToAOgA8AAB3xqbTotTeF5sOi5JSd2izWS01mtVPJrM6YjCr4eWy+lksq53jrG4ztSiltJrNxKJUqaxeM60o/So/Md7je3fY2v2tdXcLC/fWFBTurCUk3FdDQLhDBwd3aWBwfwoK7pGA4A4HBu5PQODuAgLujU1nRQkgOw2Ne3sZGXf2MDDu611c3CELi7usqLg/FBT3ODFxhxIS9xcRcXcQEPfmHh7uzDk43JdraLhDDAx3KeUNQ3PeZUrK/UFBuceTkzs0Mbm/kpK7IyG5NzgycmdQROS+YEjIHQIBucuPj/vj4XGPHR13yMFxfxsbNzYg4DcDo4wyyiijjDLmTDOijDLKKKOMMsqYM80QZZRRRhlllFHGnGlGlFFGGWWUUUYZc6YZoowyyiijjFJG0ZlysEGBBxusAkuuRAa3it4b',
  'KLUv/WDGAS0IAHLOMB0AnTa+I5nUt/2+7ffhsrs3bdbs921HUm1vyZSEFFzjzdz2vfT1mi6XbLUii/WrFVSpPKZSL6JQLp5O1WSipdIkkeRoFEWiD4UgCOT/+bz3eNx3OpXDoZvN1GhkJhMxmL9coMXisFJ5kEJxcDKpEgmldEop/6P7OwcjEXcI5Pnj4dzhqI0GZTDmYiEViphIPAIBDwc3GJ7b3jbe2L2baRpvXAsFSiDMwUAKBDEQeAAAZpnfdtvd7/azjWGssbvtbDOzFnGoIWB7Kky7AfCVMTADe7IF3QVY5VLpFnTXlQmb3YJuvTJh013QrasmbLoVSnbGvmbmOFWo2NpouZGH/ZvKKg==',
  'KLUv/QBI9Q0AZqxuH/CcpAOkKZGZ2ExsJjYjC9LI3luazMRmMrK4+JSuNAVjAGMAaACG9AoKPitcS31Cgs8J11CPgOBz4hrSHxz4jLiW+jufEa6hvml8ntgjvYGBGz/71BcUuHFmj3oCAjd29kg/MODGa596AQE3VnvUBwS4cdojvZkb5z71vxvjHvUAAG6M9khvuwn6igqfJ3It9RQUPj+5hvrn8TmTa0jvOD47uZZ6pXxeuYb6TJ9VriE9Qj6nXEu9hITPmWuoj4jwGXMN6SEgfEa5lvqHB58ncA31Dg4+P7iG9A0NPmdwLfUMDD47uIb6hQWfF24kJD4rtZb6kRGfk1pDvYiIz6nWkD4kxGdUa6kHAfEZqTXUf3z4PJHWkN7Dw+cnraW+o8PnTFpDPQeHz05aQ/qNDZ9XWku9hobPKq2hPiPD55TWkB4Dw+dMa6m/uPAZ0xrqLSx8RmkNBZ5Ya6nf9flZa6iPifE5s9aQHgbGZ2etpf7lxee11lDv4uKzWmtI39Lic1prqWdh8TnXGupXVnzGtYb0Kio+o7WW+pQUnyfUGupRUHx+1BrSn5z4nFFrqTcx8dlRa6gvKfF5qTWkDwA=',
].map((text) => Buffer.from(text, 'base64'));

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

  test('zstd frames of several shapes give what was compressed', () => {
    for (const frame of zstdFrames) {
      const bytes = decompressed(Codec.ZSTD, frame);
      expect(bytes.subarray(0, raw.length)).toEqual(raw);
    }
  });

  test('zstd frames one after the other, with one to skip, give all of it', () => {
    const skippable = Buffer.from('502a4d1803000000aabbcc', 'hex');
    const single = zstdFrames[1]!;
    const bytes = decompressed(Codec.ZSTD, Buffer.concat([single, skippable, zstdFrames[0]!]));
    const second = bytes.indexOf(raw, raw.length);
    expect(bytes.subarray(0, raw.length)).toEqual(raw);
    expect(second).toBeGreaterThanOrEqual(raw.length);
  });

  test('zeros after a zstd batch are not taken for records, and the next batch follows it', () => {
    const batch = (baseOffset: number): Buffer =>
      encodeBatch({ baseOffset, records: ticks, codec: { id: 4, compress: () => zstdFrames[0]! } });
    const reader = new RecordBatchReader();
    reader.open({
      topic: 't',
      partition: 0,
      fetchOffset: 0,
      bytes: Buffer.concat([batch(0), batch(60)]),
      aborted: [],
      endOffset: -1,
    });
    const read = reader.next()!;
    expect(read.count).toBe(120);
    const last = read.valueStart[119]!;
    expect(Buffer.from(read.buffer.subarray(last, last + read.valueLength[119]!)).toString()).toBe('v59');

    const claims = encodeBatch({
      baseOffset: 0,
      records: ticks,
      count: 61,
      lastOffsetDelta: 60,
      codec: { id: 4, compress: () => zstdFrames[0]! },
    });
    reader.open({ topic: 't', partition: 0, fetchOffset: 0, bytes: claims, aborted: [], endOffset: -1 });
    expect(() => reader.next()).toThrow(/runs past its batch/);
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

  test('a zstd frame is measured by its blocks before it is opened', () => {
    // A block of one byte, 128 KiB times over, again and again.
    const block = Buffer.from([0x02 | 0x00, 0x00, 0x10, 0x41]);
    const bomb = Buffer.concat([
      Buffer.from('28b52ffd0058', 'hex'),
      ...Array(1_000).fill(block),
      Buffer.from([0x03, 0, 0, 0x41]),
    ]);
    expect(() => decompressed(Codec.ZSTD, bomb, 1e6)).toThrow(/limit/);
    for (const length of [4, 7, 9, 30, zstdFrames[0]!.length - 1])
      expect(() => decompressed(Codec.ZSTD, zstdFrames[0]!.subarray(0, length))).toThrow();
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
    const unzstd = await CompressionCodecs[Codec.ZSTD]!().decompress(zstdFrames[0]!);
    expect(unzstd.subarray(0, raw.length)).toEqual(raw);
  });
});
