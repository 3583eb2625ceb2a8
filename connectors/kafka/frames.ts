// What: the bytes of a connection to a broker, cut into answers, each in one piece of memory.
// Why: a socket's stream allocates a buffer for every 64 KiB and kafkajs joins them afterwards.
// Invariant: what is handed out is the bytes received, in order, whole answers but for the first bytes of a nonsensical one.
//
//   an answer     offset size field
//                      0    4 bytes that follow, i32 big-endian
//                      4    – the answer

import type { LentMemory } from '../../src/kernel/lent-memory.ts';

const SIZE_BYTES = 4;
/** What arrives while no answer is under way: sizes, and whole small answers. */
const START_BYTES = 65_536;
/** More is made room for as it arrives: a size is a claim. */
const ROOM_BYTES_FIRST = 2 ** 26;

/** Of each connection: bytes are read into `room`, then told to `took`; `take` gets each whole answer with its size. */
export class Frames {
  private readonly memory: LentMemory;
  private readonly take: (answer: Buffer) => void;
  private readonly start = Buffer.allocUnsafeSlow(START_BYTES);
  private answer: Buffer = Buffer.alloc(0);
  private filled = 0;
  /** Of the answer under way, its size included; 0: not known yet. */
  private bytes = 0;
  private readonly size = Buffer.alloc(SIZE_BYTES);

  constructor(memory: LentMemory, take: (answer: Buffer) => void) {
    this.memory = memory;
    this.take = take;
  }

  /** Where the next bytes go: what is left of an answer comes to its place without a copy. */
  room(): Buffer {
    if (this.bytes === 0) return this.start;
    if (this.filled === this.answer.length) this.grow(1);
    return this.answer.subarray(this.filled, this.bytes);
  }

  /** So many bytes are in what `room` gave last. */
  took(bytes: number): void {
    if (this.bytes === 0) {
      this.add(this.start.subarray(0, bytes));
      return;
    }
    this.filled += bytes;
    if (this.filled === this.bytes) this.finish();
  }

  private add(piece: Buffer): void {
    let at = 0;
    while (at < piece.length) {
      if (this.bytes === 0) at = this.addToSize(piece, at);
      else at = this.addToAnswer(piece, at);
      if (this.bytes > 0 && this.filled === this.bytes) this.finish();
    }
  }

  private addToSize(piece: Buffer, at: number): number {
    const end = Math.min(piece.length, at + SIZE_BYTES - this.filled);
    this.size.set(piece.subarray(at, end), this.filled);
    this.filled += end - at;
    if (this.filled < SIZE_BYTES) return end;
    // A negative size is kafkajs's to refuse: it gets it at once.
    this.bytes = SIZE_BYTES + Math.max(0, this.size.readInt32BE());
    this.answer = this.memory.take(Math.min(this.bytes, ROOM_BYTES_FIRST));
    this.answer.set(this.size);
    return end;
  }

  private addToAnswer(piece: Buffer, at: number): number {
    const end = Math.min(piece.length, at + this.bytes - this.filled);
    if (this.filled + end - at > this.answer.length) this.grow(end - at);
    this.answer.set(piece.subarray(at, end), this.filled);
    this.filled += end - at;
    return end;
  }

  private grow(more: number): void {
    const larger = this.memory.take(Math.min(this.bytes, 2 * this.answer.length + more));
    larger.set(this.answer.subarray(0, this.filled));
    this.memory.give(this.answer.buffer);
    this.answer = larger;
  }

  private finish(): void {
    const answer = this.answer.subarray(0, this.filled);
    this.bytes = 0;
    this.filled = 0;
    this.answer = Buffer.alloc(0);
    this.take(answer);
  }
}
