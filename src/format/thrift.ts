// What: the Thrift compact protocol, read: structs field by field, what is not wanted passed over.
// Why: a Parquet footer is written in it; a library that ends the process on damaged bytes cannot read what may be damaged.
// Invariant: nothing is read past the end, work is linear in the bytes whatever counts they claim, depth is bounded; else it throws RangeError.
// Source: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md

export const ThriftType = {
  TRUE: 1,
  FALSE: 2,
  BYTE: 3,
  I16: 4,
  I32: 5,
  I64: 6,
  DOUBLE: 7,
  BINARY: 8,
  LIST: 9,
  SET: 10,
  MAP: 11,
  STRUCT: 12,
} as const;

const DEPTH_MAX = 64;

export class ThriftReader {
  private readonly bytes: Uint8Array;
  private at = 0;
  private depth = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** A struct: `take` reads a field's value and says true, or false to have it passed over. */
  struct(take: (id: number, type: number) => boolean): void {
    this.deeper();
    for (let id = 0; ; ) {
      const header = this.byte();
      if (header === 0) break;
      id = header >> 4 === 0 ? this.integer() : id + (header >> 4);
      if (!take(id, header & 15)) this.skip(header & 15);
    }
    this.depth--;
  }

  /** A list: `take` reads one item of this type. Returns how many there were. */
  list(take: (type: number) => void): number {
    this.deeper();
    const header = this.byte();
    const size = header >> 4 === 15 ? this.varint() : header >> 4;
    for (let i = 0; i < size; i++) {
      const before = this.at;
      take(header & 15);
      // The count alone would keep us here.
      if (this.at === before) throw new RangeError('items of no bytes');
    }
    this.depth--;
    return size;
  }

  /** Of 16, 32 or 64 bits; exact up to 2^53. */
  integer(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  text(): string {
    const size = this.varint();
    this.pass(size);
    return new TextDecoder().decode(this.bytes.subarray(this.at - size, this.at));
  }

  /** Passes over a field's value. */
  skip(type: number): void {
    const { TRUE, FALSE, BYTE, I16, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT } = ThriftType;
    if (type === TRUE || type === FALSE) return; // the value stands in the type
    if (type === BYTE) this.pass(1);
    else if (type >= I16 && type <= I64) this.varint();
    else if (type === DOUBLE) this.pass(8);
    else if (type === BINARY) this.pass(this.varint());
    else if (type === LIST || type === SET) this.list((item) => this.skipItem(item));
    else if (type === MAP) this.skipMap();
    else if (type === STRUCT) this.struct(() => false);
    else throw new RangeError(`no such type: ${type}`);
  }

  private skipMap(): void {
    this.deeper();
    const size = this.varint();
    const kinds = size === 0 ? 0 : this.byte();
    for (let i = 0; i < size; i++) {
      this.skipItem(kinds >> 4);
      this.skipItem(kinds & 15);
    }
    this.depth--;
  }

  /** Within a list, a boolean is a byte of its own. */
  private skipItem(type: number): void {
    if (type === ThriftType.TRUE || type === ThriftType.FALSE) this.pass(1);
    else this.skip(type);
  }

  private deeper(): void {
    if (++this.depth > DEPTH_MAX) throw new RangeError(`nested more than ${DEPTH_MAX} deep`);
  }

  private varint(): number {
    let value = 0;
    for (let scale = 1, count = 0; count < 10; scale *= 128, count++) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw new RangeError('a number does not end');
  }

  private byte(): number {
    this.pass(1);
    return this.bytes[this.at - 1]!;
  }

  private pass(count: number): void {
    if (count > this.bytes.length - this.at) throw new RangeError('ends too early');
    this.at += count;
  }
}
