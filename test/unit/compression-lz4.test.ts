// What: the LZ4 frame decoder against frames of another encoder, written by hand, and damaged ones.
// Why: a record batch is one frame; a wrong byte is a wrong price, a crafted frame must not stop the consumer.
// Invariant: the content exactly, or an error in bounded time and memory.

import fc from 'fast-check';
import { compressFrameSync, decompressFrameSync } from 'lz4-napi';
import { describe, expect, test } from 'vitest';
import { unlz4Into } from '../../src/compression/lz4.ts';
import { GrowableBytes } from '../../src/kernel/growable-bytes.ts';
import { contentOf } from '../support/zstd-frames.ts';

function unlz4(bytes: Uint8Array, bytesMax = 1e7): Buffer {
  const out = new GrowableBytes();
  out.append(Buffer.from('before'));
  unlz4Into(bytes, out, bytesMax);
  return Buffer.from(out.bytes.subarray('before'.length, out.length));
}

/** A frame with these blocks; flags and block size as in the format, header checksum wrong, as it is not looked at. */
function frameOf(blocks: readonly Buffer[], flags = 0x60, blockSize = 0x40): Buffer {
  const parts: Buffer[] = [Buffer.from([0x04, 0x22, 0x4d, 0x18, flags, blockSize, 0])];
  for (const block of blocks) {
    const size = Buffer.alloc(4);
    size.writeUInt32LE(block.length);
    parts.push(size, block, Buffer.alloc((flags & 0x10) !== 0 ? 4 : 0));
  }
  parts.push(Buffer.alloc(4), Buffer.alloc((flags & 0x04) !== 0 ? 4 : 0));
  return Buffer.concat(parts);
}

describe('LZ4 frames', () => {
  test('of any content give it back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(40), (bytes, times) => {
        const content = Buffer.concat(Array(times).fill(bytes));
        expect(unlz4(compressFrameSync(content)).equals(content)).toBe(true);
      }),
      { numRuns: 300 },
    );
    for (const kind of ['noise', 'ticks', 'one-byte', 'skewed', 'mixed'] as const) {
      const content = contentOf(kind, 700_000);
      expect(unlz4(compressFrameSync(content)).equals(content)).toBe(true);
      expect(
        unlz4(compressFrameSync(content, { blockChecksums: true, contentChecksum: true })).equals(content),
      ).toBe(true);
    }
  });

  test('whose blocks reach into the block before, and frames one after the other', () => {
    // "abcd", then in the next block a match of 4 at offset 4, and a literal.
    const first = Buffer.from('4061626364', 'hex');
    const second = Buffer.from('00' + '0400' + '1065', 'hex');
    const frame = frameOf([first, second], 0x40);
    expect(unlz4(frame).toString()).toBe('abcdabcde');
    const skippable = Buffer.from('532a4d1802000000ffff', 'hex');
    expect(unlz4(Buffer.concat([frame, skippable, frame])).toString()).toBe('abcdabcdeabcdabcde');
    // A frame does not reach into the one before it.
    expect(() => unlz4(Buffer.concat([frame, frameOf([second], 0x40)]))).toThrow(/before its frame/);
  });

  test('with checksums and sizes in them are measured right', () => {
    const block = Buffer.from('4061626364', 'hex');
    expect(unlz4(frameOf([block, block], 0x74)).toString()).toBe('abcdabcd');
    const sized = (bytes: number): Buffer => {
      const frame = frameOf([block], 0x68);
      const size = Buffer.alloc(8);
      size.writeBigUInt64LE(BigInt(bytes));
      return Buffer.concat([frame.subarray(0, 6), size, frame.subarray(6)]);
    };
    expect(unlz4(sized(4)).toString()).toBe('abcd');
    expect(() => unlz4(sized(5))).toThrow(/another size/);
    expect(() => unlz4(sized(2 ** 50))).toThrow(/limit/);
  });

  test('that are cut anywhere are refused', () => {
    const frame = compressFrameSync(contentOf('ticks', 2_000));
    for (let end = 0; end < frame.length; end++) expect(() => unlz4(frame.subarray(0, end))).toThrow();
  });

  test('that hold more than the limit, or what a frame cannot hold, are refused', () => {
    expect(() => unlz4(compressFrameSync(Buffer.alloc(5_000_000)), 1_000_000)).toThrow(/limit/);
    const refused: readonly (readonly [string, RegExp])[] = [
      ['00' + '0000' + '1065', /before its frame/], // offset 0
      ['1061' + '0200' + '1065', /before its frame/], // offset 2 after one byte
      ['f0', /cut/], // a length without its rest
      ['f0ff', /cut/],
      ['5061', /past their block/],
      ['10610100', /within a sequence/], // a match at the end
      ['106101', /cut/],
      [`1f610100${'ff'.repeat(300)}001065`, /past its block/], // 76 KB from a block of 64
    ];
    for (const [block, message] of refused)
      expect(() => unlz4(frameOf([Buffer.from(block, 'hex')]))).toThrow(message);
    expect(() => unlz4(frameOf([], 0x20))).toThrow(/version/);
    expect(() => unlz4(frameOf([], 0x61))).toThrow(/dictionary/);
    expect(() => unlz4(frameOf([], 0x60, 0x30))).toThrow(/block size/);
    expect(() => unlz4(Buffer.alloc(20))).toThrow(/not an LZ4 frame/);
  });

  test('with bytes changed give an error of ours, or what another decoder gives', () => {
    const contents = (['ticks', 'skewed', 'mixed'] as const).map((kind) =>
      compressFrameSync(contentOf(kind, 1_500)),
    );
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(fc.constantFrom(...contents), changes, (good, list) => {
        const bytes = Buffer.from(good);
        // The header has a checksum, which the other decoder looks at.
        for (const [at, value] of list) bytes[7 + (at % (bytes.length - 7))] = value;
        let ours: Buffer;
        try {
          ours = unlz4(bytes);
        } catch (error) {
          expect((error as Error).message).toMatch(/LZ4|limit/);
          return;
        }
        expect(decompressFrameSync(bytes).equals(ours)).toBe(true);
      }),
      { numRuns: 3_000 },
    );
  });
});
