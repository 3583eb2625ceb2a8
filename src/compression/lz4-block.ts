// What: a column's values to one LZ4 block (no frame, no size), by the module of WebAssembly in wasm/.
// Why: 64-bit arithmetic on bytes, which JavaScript does not have, and values instead of bytes: twice as fast as the library.
// Invariant: the same values give the same block, whatever parts they come in; a block stays as it is until it is given back.

import { LentMemory } from '../kernel/lent-memory.ts';
import { instancesOf } from '../kernel/web-assembly.ts';
import { LZ4_COLUMNS_WASM } from './wasm/lz4-columns-wasm.ts';

/** What the module exports. */
interface Compressor {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  readonly INPUT_START: { readonly value: number };
  compress(input: number, bytes: number, output: number, width: number): number;
}

const PAGE_BYTES = 65_536;
/** Memory of a module never shrinks: a larger one is let go. */
const KEPT_BYTES_MAX = 2 ** 26;
/** What `compress` may write beyond the longest block. */
const MARGIN_BYTES = 32;

/** Of blocks. */
const lent = new LentMemory(2 ** 24);
const newCompressor = instancesOf<Compressor>(LZ4_COLUMNS_WASM);
let kept: Compressor | null = null;

/**
 * `parts`: the column's bytes, together at most 1 GiB, of values of `width` bytes. Memory may be shared. What is returned should
 * be given back.
 */
export function lz4Block(parts: readonly Uint8Array[], width: number): Uint8Array {
  const bytes = parts.reduce((sum, part) => sum + part.length, 0);
  kept ??= newCompressor({});
  const { memory, compress } = kept;
  const inputStart = kept.INPUT_START.value;
  const output = inputStart + Math.ceil(bytes / 8) * 8;
  const missing = output + Math.ceil((bytes * 256) / 255) + MARGIN_BYTES - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES));
  const heap = new Uint8Array(memory.buffer);
  let end = inputStart;
  for (const part of parts) {
    heap.set(part, end);
    end += part.length;
  }
  const blockBytes = compress(inputStart, bytes, output, width);
  const block = lent.take(blockBytes).subarray(0, blockBytes);
  block.set(heap.subarray(output, output + blockBytes));
  if (heap.length > KEPT_BYTES_MAX) kept = null;
  return block;
}

/** Nobody reads it any more. */
export const giveBlockBack = (block: Uint8Array): void => lent.give(block.buffer);
