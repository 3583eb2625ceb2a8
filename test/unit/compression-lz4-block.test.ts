// What: LZ4 blocks of columns against two decoders.
// Why: a block that another reader refuses is a lost hour.
// Invariant: the values exactly, and what the format asks of a block's end, whatever the values are.

import fc from 'fast-check';
import { compressSync, uncompressSync } from 'lz4-napi';
import { describe, expect, test } from 'vitest';
import { ticksOfHour } from '../../bench/micro/sealed-hour.ts';
import { bytesOf } from '../../src/columns/types.ts';
import { lz4Block } from '../../src/compression/lz4-block.ts';

/** Decodes a block by the format's description, and checks what it asks of the end. */
function plainDecode(block: Uint8Array): Buffer {
  const out: number[] = [];
  let at = 0;
  const length = (half: number): number => {
    let sum = half;
    for (let more = half === 15 ? 255 : 0; more === 255; sum += more) more = block[at++]!;
    return sum;
  };
  let lastMatchStart = 0;
  for (;;) {
    const token = block[at++]!;
    const literals = length(token >> 4);
    for (let i = 0; i < literals; i++) out.push(block[at++]!);
    if (at === block.length) {
      if (lastMatchStart > 0) {
        expect(literals).toBeGreaterThanOrEqual(5);
        expect(out.length - lastMatchStart).toBeGreaterThanOrEqual(12);
      }
      return Buffer.from(out);
    }
    const offset = block[at++]! | (block[at++]! << 8);
    const match = length(token & 15) + 4;
    lastMatchStart = out.length;
    expect(offset).toBeGreaterThan(0);
    expect(offset).toBeLessThanOrEqual(out.length);
    for (let i = 0; i < match; i++) out.push(out[out.length - offset]!);
  }
}

function byLibrary(block: Uint8Array, bytes: number): Buffer {
  const prefixed = Buffer.alloc(4 + block.length);
  prefixed.writeUInt32LE(bytes);
  prefixed.set(block, 4);
  return uncompressSync(prefixed);
}

/** The same, given in parts of these lengths, over and over. */
function inParts(content: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let from = 0, i = 0; from < content.length; i++) {
    const part = content.subarray(from, from + lengths[i % lengths.length]!);
    parts.push(part);
    from += part.length;
  }
  return parts;
}

function expectWhole(content: Uint8Array, width: number, partLengths: readonly number[]): void {
  const block = lz4Block([content], width);
  expect(plainDecode(block).equals(content)).toBe(true);
  if (content.length > 0) expect(byLibrary(block, content.length).equals(content)).toBe(true);
  expect(Buffer.compare(lz4Block(inParts(content, partLengths), width), block)).toBe(0);
}

/** Values of 64 bits, of which narrower columns keep the lower bytes. */
const value = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
/** How the next value comes from those before: stretches of each follow one another in a column. */
const stretch = fc.record({
  kind: fc.constantFrom('same', 'new', 'step', 'few', 'upper', 'again'),
  times: fc.integer({ min: 1, max: 60 }),
  seed: value,
});

function columnOf(
  stretches: readonly { kind: string; times: number; seed: bigint }[],
  width: number,
): Uint8Array {
  const values: bigint[] = [0n];
  for (const { kind, times, seed } of stretches) {
    for (let i = 0; i < times; i++) {
      const last = values.at(-1)!;
      const mixed = (seed * BigInt(2 * i + 1) * 0x9e3779b97f4a7c15n) >> 7n;
      if (kind === 'same') values.push(last);
      else if (kind === 'new') values.push(mixed);
      else if (kind === 'step') values.push(last + (seed & 0xffffn));
      else if (kind === 'few') values.push(mixed & 3n);
      else if (kind === 'upper') values.push((last & ~0xffffffn) | (mixed & 0xffffffn));
      else values.push(values[Math.max(0, values.length - 1 - Number(seed % 40n))]!);
    }
  }
  const bytes = Buffer.alloc(values.length * width);
  for (const [i, one] of values.entries())
    for (let byte = 0; byte < width; byte++)
      bytes[i * width + byte] = Number((BigInt.asUintN(64, one) >> BigInt(8 * byte)) & 0xffn);
  return bytes;
}

describe('a block', () => {
  test.each([1, 4, 8])('of values of %i bytes gives them back', (width) => {
    fc.assert(
      fc.property(
        fc.array(stretch, { maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 3 }),
        (stretches, lengths) => expectWhole(columnOf(stretches, width), width, lengths),
      ),
      { numRuns: 400 },
    );
  });

  test('of any number of bytes gives them back, alike or not', () => {
    for (let bytes = 0; bytes < 120; bytes++) {
      for (const width of [1, 4, 8]) {
        expectWhole(new Uint8Array(bytes).fill(7), width, [5]);
        expectWhole(
          Uint8Array.from({ length: bytes }, (_, i) => i * 37),
          width,
          [5],
        );
      }
    }
  });

  test('reaches back 65,535 bytes and no further', () => {
    const noise = Uint8Array.from({ length: 64 }, (_, i) => (i * i * 97 + 13) % 251);
    for (const distance of [65_520, 65_528, 65_535, 65_536, 65_544, 131_072, 131_080]) {
      const content = new Uint8Array(distance + 128);
      for (let i = 0; i < content.length; i++) content[i] = Math.imul(i, 0x9e3779b1) >>> 24;
      content.set(noise, 0);
      content.set(noise, distance);
      for (const width of [1, 4, 8]) expectWhole(content, width, [40_000]);
    }
  });

  test('larger than one that is kept, and the next small one', () => {
    const large = new Uint8Array(40_000_000);
    for (let i = 0; i < large.length; i += 8) large[i] = i >> 3;
    const block = lz4Block([large.subarray(0, 1_000_000), large.subarray(1_000_000)], 8);
    expect(byLibrary(block, large.length).equals(large)).toBe(true);
    expectWhole(large.subarray(0, 5_000), 8, [999]);
  });

  test('of ticks is at most a twentieth longer than the one that the library makes', () => {
    for (const clock of ['ms', 'ns'] as const)
      for (const column of ticksOfHour(100_000, clock).chunks[0]!.columns) {
        const content = Buffer.from(bytesOf(column));
        const block = lz4Block([content], column.BYTES_PER_ELEMENT);
        expect(byLibrary(block, content.length).equals(content)).toBe(true);
        expect(block.length).toBeLessThanOrEqual(1.05 * compressSync(content).length);
      }
  });
});
