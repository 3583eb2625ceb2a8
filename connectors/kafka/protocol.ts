// What: the Kafka protocol's primitive types, written to and read from bytes.
// Why: the requests that we speak ourselves are a list of these, one line a field.
// Invariant: an answer that is cut off or inconsistent throws KAFKA_PROTOCOL; it is never read past its end.

import { ZeptoError } from '../../src/kernel/errors.ts';

export class Writer {
  private buffer = Buffer.allocUnsafe(256);
  private length = 0;

  finish(): Buffer {
    return this.buffer.subarray(0, this.length);
  }
  int8(value: number): void {
    this.length = this.reserve(1).writeInt8(value, this.length);
  }
  int16(value: number): void {
    this.length = this.reserve(2).writeInt16BE(value, this.length);
  }
  int32(value: number): void {
    this.length = this.reserve(4).writeInt32BE(value, this.length);
  }
  int64(value: bigint): void {
    this.length = this.reserve(8).writeBigInt64BE(value, this.length);
  }
  boolean(value: boolean): void {
    this.int8(value ? 1 : 0);
  }
  string(value: string): void {
    this.int16(Buffer.byteLength(value));
    this.raw(Buffer.from(value));
  }
  nullableString(value: string | null): void {
    if (value === null) this.int16(-1);
    else this.string(value);
  }
  bytes(value: Uint8Array): void {
    this.int32(value.length);
    this.raw(value);
  }
  array<T>(items: readonly T[], write: (item: T) => void): void {
    this.int32(items.length);
    for (const item of items) write(item);
  }
  /** Flexible versions: lengths are unsigned varints, one too high. */
  compactString(value: string): void {
    this.nullableCompactString(value);
  }
  nullableCompactString(value: string | null): void {
    this.uvarint(value === null ? 0 : Buffer.byteLength(value) + 1);
    if (value !== null) this.raw(Buffer.from(value));
  }
  nullableCompactArray<T>(items: readonly T[] | null, write: (item: T) => void): void {
    this.uvarint(items === null ? 0 : items.length + 1);
    for (const item of items ?? []) write(item);
  }
  /** No tagged fields. */
  tags(): void {
    this.uvarint(0);
  }
  uvarint(value: number): void {
    let rest = value >>> 0;
    while (rest > 0x7f) {
      this.length = this.reserve(1).writeUInt8((rest & 0x7f) | 0x80, this.length);
      rest >>>= 7;
    }
    this.length = this.reserve(1).writeUInt8(rest, this.length);
  }
  /** Zigzag, as in records. */
  varint(value: number): void {
    this.uvarint((value << 1) ^ (value >> 31));
  }
  raw(value: Uint8Array): void {
    this.reserve(value.length).set(value, this.length);
    this.length += value.length;
  }
  private reserve(bytes: number): Buffer {
    if (this.length + bytes > this.buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.length + bytes));
      this.buffer.copy(grown, 0, 0, this.length);
      this.buffer = grown;
    }
    return this.buffer;
  }
}

export class Reader {
  private readonly buffer: Buffer;
  private position = 0;

  constructor(buffer: Buffer) {
    this.buffer = buffer;
  }
  int8(): number {
    return this.buffer.readInt8(this.take(1));
  }
  int16(): number {
    return this.buffer.readInt16BE(this.take(2));
  }
  int32(): number {
    return this.buffer.readInt32BE(this.take(4));
  }
  int64(): bigint {
    return this.buffer.readBigInt64BE(this.take(8));
  }
  boolean(): boolean {
    return this.int8() !== 0;
  }
  string(): string {
    const value = this.nullableString();
    if (value === null) throw malformed('null where a string must be');
    return value;
  }
  nullableString(): string | null {
    const length = this.int16();
    return length < 0 ? null : this.text(length);
  }
  bytes(): Buffer {
    const length = this.int32();
    if (length < 0) return Buffer.alloc(0);
    const start = this.take(length);
    return this.buffer.subarray(start, start + length);
  }
  array<T>(read: () => T): T[] {
    return this.items(this.int32(), read);
  }
  compactString(): string {
    const value = this.nullableCompactString();
    if (value === null) throw malformed('null where a string must be');
    return value;
  }
  nullableCompactString(): string | null {
    const length = this.uvarint() - 1;
    return length < 0 ? null : this.text(length);
  }
  compactArray<T>(read: () => T): T[] {
    return this.items(this.uvarint() - 1, read);
  }
  tags(): void {
    for (let count = this.uvarint(); count > 0; count--) {
      this.uvarint();
      this.take(this.uvarint());
    }
  }
  uvarint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.buffer.readUInt8(this.take(1));
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw malformed('a varint without an end');
  }
  private items<T>(count: number, read: () => T): T[] {
    const items: T[] = [];
    for (let i = 0; i < count; i++) items.push(read());
    return items;
  }
  private text(length: number): string {
    const start = this.take(length);
    return this.buffer.toString('utf8', start, start + length);
  }
  /** Steps over `bytes` and returns where they start. */
  private take(bytes: number): number {
    const start = this.position;
    if (bytes < 0 || start + bytes > this.buffer.length) throw malformed('the answer ends too early');
    this.position = start + bytes;
    return start;
  }
}

export function malformed(detail: string): ZeptoError {
  return new ZeptoError('KAFKA_PROTOCOL', 'stop', `malformed answer from Kafka: ${detail}`);
}
