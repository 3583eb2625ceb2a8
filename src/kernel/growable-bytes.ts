// What: bytes that grow as they are needed and keep their capacity.
// Why: decompressed batches, and messages of an INSERT, land one after the other in one buffer, without a new one each.
// Invariant: the first `length` bytes are what was appended; positions in them stay right when the buffer is replaced.

export class GrowableBytes {
  bytes = new Uint8Array(0);
  length = 0;

  /** Room for `more` bytes after the first `length`, which are kept. */
  reserve(more: number): void {
    const wanted = this.length + more;
    if (wanted <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(wanted, this.bytes.length * 2, 65_536));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  append(more: Uint8Array): void {
    this.reserve(more.length);
    this.bytes.set(more, this.length);
    this.length += more.length;
  }
}
