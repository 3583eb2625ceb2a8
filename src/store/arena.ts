// What: slabs of shared memory, handed out by bumping a pointer and given back all at once.
// Why: an hour's columns are filled together and freed together; no free list, no fragmentation, no garbage collection of buffers.
// Invariant: a slab belongs to one arena or to the pool; what is in use is known to the byte and counts against the budget.

import type { Allocation, ColumnMemory } from '../columns/column-memory.ts';
import { assert } from '../kernel/assert.ts';

export const SLAB_BYTES = 65_536;
const SLABS_PER_QUAD = 4;
/** Four slabs side by side, for those who have filled many: fewer chunks are passed on, looked through and written. */
export const QUAD_BYTES = SLABS_PER_QUAD * SLAB_BYTES;
const LINE_BYTES = 64;
const BLOCK_QUADS = 16;
const BLOCK_BYTES = BLOCK_QUADS * QUAD_BYTES;
/** The thread that touches them may have something else to do while rows fill one or two. */
const BLOCKS_AHEAD_MAX = 3;
const ALL_FREE = (1 << SLABS_PER_QUAD) - 1;

interface Quad {
  readonly buffer: SharedArrayBuffer;
  readonly byteOffset: number;
  /** A bit for each slab. */
  free: number;
}

export interface Slab {
  readonly buffer: SharedArrayBuffer;
  readonly byteOffset: number;
  /** SLAB_BYTES or QUAD_BYTES. */
  readonly bytes: number;
  /** Those it takes of the quad it lies in; the pool's. */
  readonly quad: Quad;
  readonly bits: number;
}

/** Has another thread touch pages that will soon be written to: the first touch of each costs a microsecond or two. */
export type Touch = (memory: Allocation, bytes: number) => void;

const PAGE_BYTES = 4_096;

/** Makes the system give pages their memory; what they hold stays, whoever writes to them meanwhile. */
export function touchPages({ buffer, byteOffset }: Allocation, bytes: number): void {
  const words = new Int32Array(buffer, byteOffset, bytes / 4);
  // Compared first, a page would be mapped to be read, and once more to be written to.
  for (let at = 0; at < words.length; at += PAGE_BYTES / 4) Atomics.compareExchange(words, at, 0, 0);
}

/** Slabs of one shard, carved from 4 MiB blocks. Blocks are kept for reuse; the budget bounds the number of those in use. */
export class SlabPool {
  /** Where blocks lie as long as it has room; null: each has memory of its own. */
  private readonly memory: ColumnMemory | null;
  private readonly touch: Touch | null;
  /** The more have been needed. */
  private blocksAhead = 0;
  /** Blocks that are touched and that no slab was taken of, oldest first. */
  private readonly ahead: Allocation[] = [];
  private readonly whole: Quad[] = [];
  /** Those with some slabs free and some in use. */
  private readonly parted = new Set<Quad>();
  private bytesUsed = 0;

  constructor(memory: ColumnMemory | null = null, touch: Touch | null = null) {
    this.memory = memory;
    this.touch = touch;
  }

  get usedBytes(): number {
    return this.bytesUsed;
  }

  take(): Slab {
    const quad = this.anyParted() ?? this.anyWhole();
    const bit = quad.free & -quad.free;
    return this.taken(quad, bit, quad.byteOffset + (31 - Math.clz32(bit)) * SLAB_BYTES, SLAB_BYTES);
  }

  /** Null where all that is free is parted: better another slab of those than a new block. */
  takeQuad(): Slab | null {
    if (this.whole.length === 0 && this.parted.size > 0) return null;
    const quad = this.anyWhole();
    return this.taken(quad, ALL_FREE, quad.byteOffset, QUAD_BYTES);
  }

  give(slabs: readonly Slab[]): void {
    for (const { quad, bits, bytes } of slabs) {
      assert((quad.free & bits) === 0, 'a slab was given back twice');
      quad.free |= bits;
      this.bytesUsed -= bytes;
      if (quad.free !== ALL_FREE) this.parted.add(quad);
      else {
        this.parted.delete(quad);
        this.whole.push(quad);
      }
    }
  }

  private anyParted(): Quad | undefined {
    for (const quad of this.parted) return quad;
    return undefined;
  }

  private anyWhole(): Quad {
    if (this.whole.length === 0) {
      const { buffer, byteOffset } = this.newBlock();
      for (let i = BLOCK_QUADS - 1; i >= 0; i--)
        this.whole.push({ buffer, byteOffset: byteOffset + i * QUAD_BYTES, free: ALL_FREE });
    }
    return this.whole.pop()!;
  }

  private newBlock(): Allocation {
    const block = this.ahead.shift() ?? this.reservedBlock();
    if (this.touch === null) return block;
    while (this.ahead.length < this.blocksAhead) {
      const next = this.memory?.allocate(BLOCK_BYTES) ?? null;
      if (next === null) break;
      this.touch(next, BLOCK_BYTES);
      this.ahead.push(next);
    }
    this.blocksAhead = Math.min(this.blocksAhead + 1, BLOCKS_AHEAD_MAX);
    return block;
  }

  private reservedBlock(): Allocation {
    return (
      this.memory?.allocate(BLOCK_BYTES) ?? { buffer: new SharedArrayBuffer(BLOCK_BYTES), byteOffset: 0 }
    );
  }

  private taken(quad: Quad, bits: number, byteOffset: number, bytes: number): Slab {
    quad.free &= ~bits;
    if (quad.free === 0) this.parted.delete(quad);
    else this.parted.add(quad);
    this.bytesUsed += bytes;
    return { buffer: quad.buffer, byteOffset, bytes, quad, bits };
  }
}

/** Allocates within slabs; `reset` gives all of them back, and ends all allocations. An allocation never spans slabs. */
export class Arena {
  private readonly pool: SlabPool;
  private slabs: Slab[] = [];
  /** Where the next allocation is cut from. */
  private open: Slab | null = null;
  private bytesLeft = 0;
  private bytesTaken = 0;

  constructor(pool: SlabPool) {
    this.pool = pool;
  }

  get bytes(): number {
    return this.bytesTaken;
  }

  /** `bytes` ≤ SLAB_BYTES, rounded up to lines of the processor's cache. */
  allocate(bytes: number): Allocation {
    const size = (bytes + LINE_BYTES - 1) & -LINE_BYTES;
    assert(size <= SLAB_BYTES, `an allocation of ${bytes} bytes does not fit a slab`);
    if (this.open === null || size > this.bytesLeft) {
      this.open = this.held(this.pool.take());
      this.bytesLeft = SLAB_BYTES;
    }
    const byteOffset = this.open.byteOffset + SLAB_BYTES - this.bytesLeft;
    this.bytesLeft -= size;
    return { buffer: this.open.buffer, byteOffset };
  }

  /** QUAD_BYTES; null when the pool has none to give. */
  allocateQuad(): Allocation | null {
    const quad = this.pool.takeQuad();
    return quad === null ? null : this.held(quad);
  }

  reset(): void {
    this.pool.give(this.slabs);
    this.slabs = [];
    this.open = null;
    this.bytesLeft = 0;
    this.bytesTaken = 0;
  }

  private held(slab: Slab): Slab {
    this.slabs.push(slab);
    this.bytesTaken += slab.bytes;
    return slab;
  }
}
