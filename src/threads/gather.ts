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

/** Of an answer whose time is over, so many are made to find its end; an error is told in the first, mostly. */
const PULLS_AHEAD_MAX = 16;

export class Gathered {
  private readonly pieces: AsyncIterator<Uint8Array>;
  private readonly clock: Clock;
  private hasGiven = false;
  private failure: { readonly error: unknown } | null = null;
  /** What was made before it was asked for, and whether it is being made. */
  private readonly ahead: Pulled[] = [];
  private making: Promise<void> | null = null;
  private pulling: Promise<unknown> | null = null;

  constructor(pieces: AsyncIterator<Uint8Array>, clock: Clock) {
    this.pieces = pieces;
    this.clock = clock;
  }

  /** One at a time. @throws what the pieces threw */
  async pull(): Promise<Pulled> {
    if (this.making !== null) {
      await this.making;
      const made = this.ahead.shift();
      if (made !== undefined) return made;
    }
    const pulling = this.gather();
    this.pulling = pulling;
    return pulling;
  }

  /**
   * Ends the answer, whose time is over, whoever still reads it: what tells of that is made now, so that the rows it was made of
   * are let go.
   */
  finish(error: unknown): Promise<void> {
    this.making ??= this.makeAhead(error);
    return this.making;
  }

  private async makeAhead(error: unknown): Promise<void> {
    await this.pulling?.catch(() => {});
    try {
      for (let pulls = 0; pulls < PULLS_AHEAD_MAX; pulls++) {
        const pulled = await this.gather();
        this.ahead.push(pulled);
        if (pulled.isDone) return;
      }
      this.failure = { error };
      await this.close();
    } catch (failure) {
      this.failure ??= { error: failure };
    }
  }

  private async gather(): Promise<Pulled> {
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
