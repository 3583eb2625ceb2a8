// What: answers cut out of a connection's bytes, however these arrive.
// Why: one byte too many or too few and every later answer is read wrong.
// Invariant: memory that comes round again is written over in between, as a socket does.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Frames } from '../../connectors/kafka/frames.ts';
import { LentMemory } from '../../src/kernel/lent-memory.ts';

const framed = (answer: Uint8Array): Buffer => {
  const size = Buffer.alloc(4);
  size.writeInt32BE(answer.length);
  return Buffer.concat([size, answer]);
};

function cutAt(at: readonly number[], bytes: Buffer): Buffer[] {
  const bounds = [0, ...at.map((cut) => Math.min(cut, bytes.length)), bytes.length].sort((a, b) => a - b);
  return bounds.slice(1).map((end, i) => bytes.subarray(bounds[i]!, end));
}

function taken(pieces: readonly Uint8Array[]): string[] {
  const found: Buffer[] = [];
  const frames = new Frames(new LentMemory(), (answer) => found.push(answer));
  for (const piece of pieces) read(frames, piece);
  // All of them are held to the end, as by whoever decodes them.
  return found.map((answer) => answer.toString('hex'));
}

/** As a socket reads: what there is, as far as there is room. */
function read(frames: Frames, piece: Uint8Array): void {
  for (let at = 0; at < piece.length; ) {
    const room = frames.room();
    const bytes = Math.min(room.length, piece.length - at);
    room.set(piece.subarray(at, at + bytes));
    frames.took(bytes);
    at += bytes;
    const next = frames.room();
    expect(next.length).toBeGreaterThan(0);
    if (next.buffer === room.buffer && next.byteOffset === room.byteOffset) next.fill(0xee);
  }
}

describe('frames', () => {
  it('are whole answers, wherever the bytes are cut', () => {
    const answers = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 });
    const cuts = fc.array(fc.nat(200), { maxLength: 20 });
    fc.assert(
      fc.property(answers, cuts, (wanted, at) => {
        expect(taken(cutAt(at, Buffer.concat(wanted.map(framed))))).toEqual(
          wanted.map((answer) => framed(answer).toString('hex')),
        );
      }),
      { numRuns: 500 },
    );
  });

  it('are whole where they are larger than what is read at once', () => {
    const length = fc.oneof(fc.nat(40), fc.integer({ min: 65_000, max: 66_000 }), fc.nat(300_000));
    fc.assert(
      fc.property(fc.array(length, { maxLength: 6 }), fc.array(fc.nat(1_000_000)), (lengths, at) => {
        const wanted = lengths.map((bytes, k) => new Uint8Array(bytes).map((_, i) => i * 31 + k));
        expect(taken(cutAt(at, Buffer.concat(wanted.map(framed)))).join()).toBe(
          wanted.map((answer) => framed(answer).toString('hex')).join(),
        );
      }),
      { numRuns: 60 },
    );
  });

  it('make room for an answer beyond the first 64 MiB as it arrives', () => {
    const size = 70 * 2 ** 20;
    const sizes: number[] = [];
    const frames = new Frames(new LentMemory(), (answer) =>
      sizes.push(answer.length, answer[4]!, answer.at(-1)!),
    );
    const header = Buffer.alloc(4);
    header.writeInt32BE(size);
    read(frames, header);
    const piece = new Uint8Array(2 ** 20).fill(7);
    for (let i = 0; i < 70; i++) read(frames, piece);
    expect(sizes).toEqual([size + 4, 7, 7]);
  });

  it('give a negative size on at once', () => {
    expect(taken([Uint8Array.from([0xff, 0xff, 0xff, 0xff, 1])])).toEqual(['ffffffff']);
  });
});
