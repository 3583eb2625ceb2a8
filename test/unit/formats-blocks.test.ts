// What: blocks as members pass them on, written and read back, and streams that broke off.
// Why: a part of another member's rows taken for all of them would be a wrong answer.
// Invariant: what is read is what was written, or FORMAT_INVALID.

import { describe, expect, it } from 'vitest';
import { blocksFormat, readBlocks } from '../../connectors/formats/blocks.ts';
import { emptyStats, type ResultBlock, type ResultSet } from '../../src/query/result.ts';

const block: ResultBlock = {
  rows: 2,
  columns: [
    { kind: 'int', values: BigInt64Array.of(2n ** 62n, 0n), nulls: Uint8Array.of(0, 1) },
    { kind: 'float', values: Float64Array.of(1.5, Number.POSITIVE_INFINITY), nulls: null },
    { kind: 'bool', values: Uint8Array.of(1, 0), nulls: null },
    { kind: 'text', codes: Uint32Array.of(1, 0), texts: ['B', 'Ä'], nulls: null },
  ],
};

function resultOf(blocks: readonly ResultBlock[]): ResultSet {
  const left = [...blocks];
  return {
    columns: [],
    stats: emptyStats(),
    next: async () => left.shift() ?? null,
    close: () => {},
    async *[Symbol.asyncIterator]() {
      yield* left;
    },
  };
}

async function written(blocks: readonly ResultBlock[]): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  const about = { elapsedUs: () => 0, settings: {}, exceptionTag: '' };
  for await (const piece of blocksFormat.write(resultOf(blocks), about)) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function read(bytes: Uint8Array, size = 7): Promise<ResultBlock[]> {
  const blocks: ResultBlock[] = [];
  for await (const one of readBlocks(inPieces(bytes, size))) blocks.push(one);
  return blocks;
}

describe('blocks between members', () => {
  it('are read as they were written, whatever the pieces', async () => {
    for (const size of [1, 7, 1_000_000])
      expect(await read(await written([block, block]), size)).toEqual([block, block]);
    expect(await read(await written([]))).toEqual([]);
  });

  it('that broke off are refused, wherever', async () => {
    const bytes = await written([block]);
    for (let end = 0; end < bytes.length; end++)
      await expect(read(bytes.subarray(0, end)), String(end)).rejects.toMatchObject({
        code: 'FORMAT_INVALID',
      });
  });

  it('of absurd lengths or other bytes are refused', async () => {
    await expect(read(Buffer.from('ffffffff00', 'hex'))).rejects.toThrow(/a block of 4294967295 bytes/);
    await expect(read(Buffer.from('<html>no member</html>'))).rejects.toMatchObject({
      code: 'FORMAT_INVALID',
    });
    await expect(read(Buffer.from('030000000102030000000000', 'hex'))).rejects.toThrow(/cannot be read/);
  });
});
