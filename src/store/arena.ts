// What: slabs of shared memory, handed out by bumping a pointer and given back all at once.
// Why: an hour's columns are filled together and freed together; no free list, no fragmentation, no garbage collection of buffers.
// Invariant: a slab belongs to one arena or to the pool; what is in use is known to the byte and counts against the budget.

import { assert } from '../kernel/assert.ts';

export const SLAB_BYTES = 65_536;
const BLOCK_SLABS = 64;

export interface Slab {
  readonly buffer: SharedArrayBuffer;
  readonly byteOffset: number;
}

/** Slabs of one shard, carved from 4 MiB blocks. Blocks are kept for reuse; the budget bounds their number. */
export class SlabPool {
  private readonly free: Slab[] = [];
  private slabsUsed = 0;
  private slabsMade = 0;

  get usedBytes(): number {
    return this.slabsUsed * SLAB_BYTES;
  }

  get reservedBytes(): number {
    return this.slabsMade * SLAB_BYTES;
  }

  take(): Slab {
    if (this.free.length === 0) {
      const buffer = new SharedArrayBuffer(BLOCK_SLABS * SLAB_BYTES);
      for (let i = BLOCK_SLABS - 1; i >= 0; i--) this.free.push({ buffer, byteOffset: i * SLAB_BYTES });
      this.slabsMade += BLOCK_SLABS;
    }
    this.slabsUsed++;
    return this.free.pop()!;
  }

  give(slabs: readonly Slab[]): void {
    for (const slab of slabs) this.free.push(slab);
    this.slabsUsed -= slabs.length;
    assert(this.slabsUsed >= 0, 'a slab was given back twice');
  }
}

/** Allocates within slabs; `reset` gives all of them back. An allocation never spans slabs. */
export class Arena {
  private readonly pool: SlabPool;
  private slabs: Slab[] = [];
  private bytesLeft = 0;

  constructor(pool: SlabPool) {
    this.pool = pool;
  }

  get bytes(): number {
    return this.slabs.length * SLAB_BYTES;
  }

  /** `bytes` ≤ SLAB_BYTES, rounded up to a multiple of 8; the content is undefined. */
  allocate(bytes: number): { buffer: SharedArrayBuffer; byteOffset: number } {
    const size = (bytes + 7) & ~7;
    assert(size <= SLAB_BYTES, `an allocation of ${bytes} bytes does not fit a slab`);
    if (size > this.bytesLeft) {
      this.slabs.push(this.pool.take());
      this.bytesLeft = SLAB_BYTES;
    }
    const slab = this.slabs[this.slabs.length - 1]!;
    const byteOffset = slab.byteOffset + SLAB_BYTES - this.bytesLeft;
    this.bytesLeft -= size;
    return { buffer: slab.buffer, byteOffset };
  }

  reset(): void {
    this.pool.give(this.slabs);
    this.slabs = [];
    this.bytesLeft = 0;
  }
}
