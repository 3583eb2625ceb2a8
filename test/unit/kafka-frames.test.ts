// What: answers cut out of a connection's bytes, however these arrive.
// Why: one byte too many or too few and every later answer is read wrong.
// Invariant: the pieces of a case are written over after they were taken, as a socket's buffer is.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AnswerMemory } from '../../connectors/kafka/answer-memory.ts';
import { Frames } from '../../connectors/kafka/frames.ts';

const framed = (answer: Uint8Array): Buffer => {
  const size = Buffer.alloc(4);
  size.writeInt32BE(answer.length);
  return Buffer.concat([size, answer]);
};

function taken(pieces: readonly Uint8Array[]): string[] {
  const found: string[] = [];
  const frames = new Frames(new AnswerMemory(), (answer) => found.push(answer.toString('hex')));
  for (const piece of pieces) {
    const buffer = Uint8Array.from(piece);
    frames.add(buffer);
    buffer.fill(0xee);
  }
  return found;
}

describe('frames', () => {
  it('are whole answers, wherever the bytes are cut', () => {
    const answers = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 });
    const cuts = fc.array(fc.nat(200), { maxLength: 20 });
    fc.assert(
      fc.property(answers, cuts, (wanted, at) => {
        const bytes = Buffer.concat(wanted.map(framed));
        const bounds = [0, ...at.map((cut) => Math.min(cut, bytes.length)), bytes.length].sort(
          (a, b) => a - b,
        );
        const pieces = bounds.slice(1).map((end, i) => bytes.subarray(bounds[i]!, end));
        expect(taken(pieces)).toEqual(wanted.map((answer) => framed(answer).toString('hex')));
      }),
      { numRuns: 500 },
    );
  });

  it('make room for an answer beyond the first 64 MiB as it arrives', () => {
    const size = 70 * 2 ** 20;
    const sizes: number[] = [];
    const frames = new Frames(new AnswerMemory(), (answer) =>
      sizes.push(answer.length, answer[4]!, answer.at(-1)!),
    );
    frames.add(
      framed(new Uint8Array(0))
        .fill(0)
        .map((_, i) => (size >>> (24 - 8 * i)) & 0xff),
    );
    const piece = new Uint8Array(2 ** 20).fill(7);
    for (let i = 0; i < 70; i++) frames.add(piece);
    expect(sizes).toEqual([size + 4, 7, 7]);
  });

  it('give a negative size on at once', () => {
    expect(taken([Uint8Array.from([0xff, 0xff, 0xff, 0xff, 1])])).toEqual(['ffffffff']);
  });
});
