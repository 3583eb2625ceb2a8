// What: text that grows row by row, given away as pieces of bytes.
// Why: a piece is large enough to be worth its way through a socket, and small enough to keep memory flat.
// Invariant: the pieces, one after the other, are the UTF-8 of all that was added.

const PIECE_CHARS = 65_536;

export class TextPieces {
  private text = '';

  add(text: string): void {
    this.text += text;
  }

  /** A piece when there is enough for one. */
  take(): Uint8Array | null {
    return this.text.length < PIECE_CHARS ? null : this.rest();
  }

  /** Whatever there is; may be empty. */
  rest(): Uint8Array {
    const bytes = Buffer.from(this.text, 'utf8');
    this.text = '';
    return bytes;
  }
}
