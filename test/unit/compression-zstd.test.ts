// What: the zstd decoder against frames that the zstd program wrote, and against frames that lie.
// Why: a record batch is one frame; a wrong byte is a wrong price, a crafted frame must not stop the consumer.
// Invariant: the content exactly, or an error in bounded time and memory.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { unzstdInto } from '../../src/compression/zstd.ts';
import { GrowableBytes } from '../../src/kernel/growable-bytes.ts';
import { contentOf, zstdFrames } from '../support/zstd-frames.ts';

function unzstd(bytes: Uint8Array, bytesMax = 1e8): Buffer {
  const out = new GrowableBytes();
  unzstdInto(bytes, out, bytesMax);
  return Buffer.from(out.bytes.buffer, 0, out.length);
}

const frames = zstdFrames();
const small = frames.filter(({ size }) => size <= 20_000);

describe('frames of the zstd program', () => {
  test.each(frames)('$kind, $size bytes, zstd $args', ({ kind, size, bytes }) => {
    expect(unzstd(bytes).equals(contentOf(kind, size))).toBe(true);
  });

  test('one after the other, with frames to skip between them, are one content', () => {
    const skippable = Buffer.from('5e2a4d1803000000aabbcc', 'hex');
    const parts = small.flatMap(({ bytes }) => [bytes, skippable]);
    expect(
      unzstd(Buffer.concat(parts)).equals(
        Buffer.concat(small.map(({ kind, size }) => contentOf(kind, size))),
      ),
    ).toBe(true);
  });

  test('are appended to what is there, and do not reach into it', () => {
    const out = new GrowableBytes();
    for (const { bytes } of small) {
      out.append(Buffer.from('between'));
      unzstdInto(bytes, out, 1e6);
    }
    const expected = Buffer.concat(
      small.flatMap(({ kind, size }) => [Buffer.from('between'), contentOf(kind, size)]),
    );
    expect(Buffer.from(out.bytes.subarray(0, out.length)).equals(expected)).toBe(true);
    // A repeat of offset 1 at the very start of a frame, after other output.
    const reaching = Buffer.from('28b52ffd0058' + '2d0000' + '00' + '01' + '00' + '80', 'hex');
    expect(() => unzstdInto(reaching, out, 1e6)).toThrow();
  });
});

describe('frames that lie', () => {
  test('that are cut anywhere are refused', () => {
    for (const { bytes } of small)
      for (let end = 1; end < Math.min(bytes.length, 400); end++)
        expect(() => unzstd(bytes.subarray(0, end))).toThrow();
  });

  test('give no more than the limit', () => {
    const large = frames.find(({ kind, size }) => kind === 'one-byte' && size === 400_000)!;
    expect(() => unzstd(large.bytes, 399_999)).toThrow(/limit/);
    expect(unzstd(large.bytes, 400_000)).toHaveLength(400_000);
    // A content size of a terabyte takes no memory.
    expect(() => unzstd(Buffer.from('28b52ffde0' + '0000000000010000' + '010000', 'hex'))).toThrow(/limit/);
    // Blocks of one byte, 128 KiB times over, again and again.
    const bomb = Buffer.concat([
      Buffer.from('28b52ffd0058', 'hex'),
      ...Array(5_000).fill(Buffer.from('02001041', 'hex')),
    ]);
    expect(() => unzstd(bomb, 1e6)).toThrow(/limit/);
  });

  test('that need what is not there are refused by name', () => {
    expect(() => unzstd(Buffer.from('28b52ffd0358ffffffff010000', 'hex'))).toThrow(/dictionary/);
    expect(() => unzstd(Buffer.from('28b52ffd0858010000', 'hex'))).toThrow(/unknown flag/);
    expect(() => unzstd(Buffer.from('28b52ffd0058070000', 'hex'))).toThrow(/unknown kind/);
    expect(() => unzstd(Buffer.from('28b52ffd0058ffffff', 'hex'))).toThrow(/too large/);
    expect(() => unzstd(Buffer.from('0000000000000000', 'hex'))).toThrow(/not a zstd frame/);
  });

  test('with bytes changed give an error of ours, or content within the limit', () => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 });
    const frame = fc.constantFrom(...small.filter(({ size }) => size > 0));
    let readable = 0;
    fc.assert(
      fc.property(frame, changes, ({ bytes: good }, list) => {
        const bytes = Buffer.from(good);
        for (const [at, value] of list) bytes[at % bytes.length] = value;
        try {
          expect(unzstd(bytes, 300_000).length).toBeLessThanOrEqual(300_000);
          readable++;
        } catch (error) {
          // Not one of reading or writing outside of what is there.
          expect((error as Error).message).toMatch(/zstd|limit/);
        }
      }),
      { numRuns: 3_000 },
    );
    // Bytes of literals make other content, and no error.
    expect(readable).toBeGreaterThan(300);
  });
});
