// What: results as members of a group pass them on: blocks of typed arrays, each behind its length.
// Why: the member that asked goes on computing with them; no value is spelled and parsed on the way.
// Invariant: a stream that ends without the length 0 broke off, and is never taken for whole.

import { deserialize, serialize } from 'node:v8';
import type { ResultBlock } from '../../src/http-port.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { ResultFormat } from './result-format.ts';

/** Of a block; a length beyond is none of ours. */
const BLOCK_BYTES_MAX = 2 ** 30;

/** Not for clients: what it looks like may change with each version. */
export const blocksFormat: ResultFormat = {
  name: 'ZeptoBlocks',
  contentType: 'application/vnd.zepto.blocks',
  async *write(result) {
    for await (const { rows, columns } of result) {
      const bytes = serialize({ rows, columns });
      yield lengthOf(bytes.length);
      yield bytes;
    }
    yield lengthOf(0);
  },
};

/** @throws ZeptoError FORMAT_INVALID: cut off, or no such stream */
export async function* readBlocks(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<ResultBlock> {
  const bytes = new PieceReader(pieces);
  try {
    for (let length = await bytes.length(); length > 0; length = await bytes.length())
      yield blockIn(await bytes.take(length));
  } finally {
    await bytes.close();
  }
}

function blockIn(bytes: Uint8Array): ResultBlock {
  try {
    return deserialize(bytes) as ResultBlock;
  } catch (cause) {
    throw broken('a block that cannot be read', cause);
  }
}

class PieceReader {
  private readonly pieces: AsyncIterator<Uint8Array>;
  private held: Uint8Array[] = [];
  private bytes = 0;

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.pieces = pieces[Symbol.asyncIterator]();
  }

  async length(): Promise<number> {
    const length = (await this.take(4)).readUInt32LE();
    if (length > BLOCK_BYTES_MAX) throw broken(`a block of ${length} bytes`);
    return length;
  }

  async close(): Promise<void> {
    await this.pieces.return?.();
  }

  async take(count: number): Promise<Buffer> {
    while (this.bytes < count) {
      const next = await this.pieces.next();
      if (next.done === true) throw broken('an end too soon');
      this.held.push(next.value);
      this.bytes += next.value.length;
    }
    const all = this.held.length === 1 ? this.held[0]! : Buffer.concat(this.held, this.bytes);
    this.held = [all.subarray(count)];
    this.bytes -= count;
    // Typed arrays are read in place where they lie on their boundary: it gets memory of its own.
    return Buffer.from(all.subarray(0, count));
  }
}

function lengthOf(bytes: number): Uint8Array {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes);
  return length;
}

const broken = (what: string, cause?: unknown): ZeptoError =>
  new ZeptoError('FORMAT_INVALID', 'stop', `the answer of another member has ${what}`, { cause });
