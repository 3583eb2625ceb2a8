// What: a walk over the bytes of Native blocks: counts, texts, and the error that says where it was.
// Why: every length comes from outside; each is compared with what is there before it is believed.
// Invariant: the position never leaves the bytes; a length costs nothing until its bytes are known to be there.

import { ZeptoError } from '../../src/kernel/errors.ts';

/** Texts are compared by whole words, which may reach behind the last one. */
const PADDING_BYTES = 16;
const TWO_32 = 0x100000000;
const TWO_21 = 0x200000;
/** 7 bits a byte: what eight bytes hold is still an exact number, and no length is longer. */
const VARUINT_BYTES_MAX = 7;

export class NativeCursor {
  readonly view: DataView;
  at = 0;
  readonly end: number;
  /** `block 2, column price`: what errors begin with. */
  where = '';
  private readonly bytes: Buffer;

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.alloc(bytes.length + PADDING_BYTES);
    this.bytes.set(bytes);
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
    this.end = bytes.length;
  }

  get left(): number {
    return this.end - this.at;
  }

  fault(problem: string): ZeptoError {
    return new ZeptoError('FORMAT_INVALID', 'stop', `Native ${this.where}: ${problem}`);
  }

  /** Steps over `count` items of at least `bytes` each; returns where they begin. */
  take(count: number, bytes: number, what: string): number {
    if (count * bytes > this.left)
      throw this.fault(`${count} ${what} would take ${count * bytes} bytes, and ${this.left} are left`);
    const start = this.at;
    this.at += count * bytes;
    return start;
  }

  varuint(): number {
    let value = 0;
    for (let i = 0; i < VARUINT_BYTES_MAX; i++) {
      const byte = this.view.getUint8(this.take(1, 1, 'byte of a length'));
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
    }
    throw this.fault(`a length beyond 2^${7 * VARUINT_BYTES_MAX}`);
  }

  /** An unsigned integer of eight bytes that counts something. */
  count(): number {
    const at = this.take(1, 8, 'count');
    const high = this.view.getUint32(at + 4, true);
    if (high >= TWO_21) throw this.fault('a count beyond 2^53');
    return high * TWO_32 + this.view.getUint32(at, true);
  }

  /** A name of a column or a type. */
  name(): string {
    const length = this.varuint();
    const start = this.take(length, 1, 'bytes of a name');
    return this.bytes.toString('utf8', start, start + length);
  }
}
