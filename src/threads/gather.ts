// What: the small pieces of an answer gathered into fewer, larger ones.
// Why: each piece that leaves a thread costs a message and a wake-up on both sides; most answers are one piece so.
// Invariant: the bytes are those of the pieces in their order; an error comes when all before it were given, or, if none were, at once.

import type { Clock } from '../kernel/clock.ts';

/** Enough for the hop to cost little beside its bytes. */
const BYTES_ENOUGH = 64 * 1024;
/** Rows that come slowly are not held back for longer. */
const HELD_MS_MAX = 10;

export interface Pulled {
  /** Null: there are no more bytes. */
  readonly piece: Uint8Array | null;
  /** Nothing follows. */
  readonly isDone: boolean;
}

export class Gathered {
  private readonly pieces: AsyncIterator<Uint8Array>;
  private readonly clock: Clock;
  private hasGiven = false;
  private failure: { readonly error: unknown } | null = null;

  constructor(pieces: AsyncIterator<Uint8Array>, clock: Clock) {
    this.pieces = pieces;
    this.clock = clock;
  }

  /** @throws what the pieces threw */
  async pull(): Promise<Pulled> {
    if (this.failure !== null) throw this.failure.error;
    const held: Uint8Array[] = [];
    let bytes = 0;
    let isDone = false;
    const startMs = this.clock.monotonicMs();
    while (!isDone && bytes < BYTES_ENOUGH && this.clock.monotonicMs() - startMs < HELD_MS_MAX) {
      const next = await this.nextUnlessLost(held.length > 0);
      if (next === null) break;
      isDone = next.done === true;
      if (next.done === true) break;
      held.push(next.value);
      bytes += next.value.length;
    }
    this.hasGiven ||= held.length > 0;
    const piece = held.length === 0 ? null : held.length === 1 ? held[0]! : Buffer.concat(held, bytes);
    return { piece, isDone };
  }

  async close(): Promise<void> {
    await this.pieces.return?.();
  }

  /** Null: an error, kept until what is held has been given. */
  private async nextUnlessLost(holdsSome: boolean): Promise<IteratorResult<Uint8Array> | null> {
    try {
      return await this.pieces.next();
    } catch (error) {
      if (!this.hasGiven || !holdsSome) throw error;
      this.failure = { error };
      return null;
    }
  }
}
