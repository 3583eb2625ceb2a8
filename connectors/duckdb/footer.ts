// What: the schema in a Parquet file's footer: its columns, and where it says that nanoseconds are UTC.
// Why: DuckDB before 2.0 cuts timestamp(ns, UTC) to microseconds in silence, and reads timestamp(ns) exactly. The two differ
//   in one bit of the footer, which is changed in a copy of the file. Files of one query are told apart by their columns too.
// Invariant: nothing but that bit is ever changed; what is no footer is FORMAT_INVALID.
// Source: the Thrift compact protocol, and SchemaElement, LogicalType and TimestampType of parquet.thrift:
//   FileMetaData 2 schema · SchemaElement 4 name, 5 num_children, 10 logicalType · LogicalType 8 TIMESTAMP ·
//   TimestampType 1 isAdjustedToUTC, 2 unit · TimeUnit 3 NANOS

import { ZeptoError } from '../../src/kernel/errors.ts';

/** Bytes at the end of a file: length of the footer, then the magic. */
export const TAIL_BYTES = 8;
const MAGIC = 'PAR1';
const FOOTER_BYTES_MAX = 256 * 2 ** 20;

const TRUE = 1;
const FALSE = 2;
const BINARY = 8;
const LIST = 9;
const SET = 10;
const MAP = 11;
const STRUCT = 12;

export interface FooterColumn {
  /** Equal when two files have the column in the same type. */
  readonly shape: string;
  /** Of the bytes, from the footer's start, that say UTC of nanoseconds, the column's own and those within it. */
  readonly utcNanosAt: readonly number[];
}

/** Length of the footer, from the file's last bytes. @throws ZeptoError FORMAT_INVALID */
export function footerBytes(tail: Uint8Array, fileBytes: number, name: string): number {
  const view = Buffer.from(tail.buffer, tail.byteOffset, tail.byteLength);
  if (fileBytes < TAIL_BYTES + MAGIC.length || view.toString('latin1', 4, 8) !== MAGIC)
    throw invalid(name, 'it does not end as one');
  const bytes = view.readUInt32LE(0);
  if (bytes > fileBytes - TAIL_BYTES || bytes > FOOTER_BYTES_MAX)
    throw invalid(name, `its footer of ${bytes} bytes is longer than it may be`);
  return bytes;
}

/** The top-level columns, in their order. @throws ZeptoError FORMAT_INVALID */
export function footerColumns(footer: Uint8Array, name: string): Map<string, FooterColumn> {
  try {
    return new Footer(footer).columns();
  } catch (cause) {
    if (cause instanceof ZeptoError) throw cause;
    throw invalid(name, 'its footer is damaged', cause);
  }
}

/** The byte that says local time where the one before said UTC. */
export const asLocalTime = (byte: number): number => (byte & 0xf0) | FALSE;

function invalid(name: string, why: string, cause?: unknown): ZeptoError {
  return new ZeptoError('FORMAT_INVALID', 'stop', `${name} is no Parquet file: ${why}`, {
    cause,
    context: { path: name },
  });
}

interface Element {
  readonly name: string;
  readonly children: number;
  readonly utcNanosAt: number | null;
  readonly bytes: Uint8Array;
}

class Footer {
  private readonly bytes: Uint8Array;
  private at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  columns(): Map<string, FooterColumn> {
    const elements: Element[] = [];
    this.fields((id, type) => {
      if (id !== 2 || type !== LIST) return false;
      const { size } = this.listHeader();
      for (let i = 0; i < size; i++) elements.push(this.element());
      // What follows tells of every row group and can be long.
      return 'enough';
    });
    const columns = new Map<string, FooterColumn>();
    // The first element is the root; each other is followed by its children.
    for (let i = 1; i < elements.length; ) {
      const column = elements[i]!;
      const first = i;
      for (let open = 1; open > 0; i++) open += elements[i]!.children - 1;
      const within = elements.slice(first, i);
      columns.set(column.name, {
        shape: Buffer.concat(within.map(({ bytes }) => bytes)).toString('latin1'),
        utcNanosAt: within.flatMap(({ utcNanosAt }) => (utcNanosAt === null ? [] : [utcNanosAt])),
      });
    }
    return columns;
  }

  private element(): Element {
    const from = this.at;
    let name = '';
    let children = 0;
    let utcNanosAt: number | null = null;
    this.fields((id, type) => {
      if (id === 4 && type === BINARY) name = this.text();
      else if (id === 5) children = this.zigzag();
      else if (id === 10 && type === STRUCT) utcNanosAt = this.logicalType();
      else return false;
      return true;
    });
    return { name, children, utcNanosAt, bytes: this.bytes.subarray(from, this.at) };
  }

  private logicalType(): number | null {
    let found: number | null = null;
    this.fields((id, type) => {
      if (id !== 8 || type !== STRUCT) return false;
      let utcAt: number | null = null;
      let isNanos = false;
      this.fields((field, kind, headerAt) => {
        if (field === 1 && kind === TRUE) utcAt = headerAt;
        if (field !== 2 || kind !== STRUCT) return false;
        this.fields((unit) => {
          if (unit === 3) isNanos = true;
          return false;
        });
        return true;
      });
      if (isNanos) found = utcAt;
      return true;
    });
    return found;
  }

  /** Each field of a struct; what `take` does not read (false) is skipped. */
  private fields(take: (id: number, type: number, headerAt: number) => boolean | 'enough'): void {
    let id = 0;
    for (;;) {
      const headerAt = this.at;
      const header = this.byte();
      if (header === 0) return;
      const type = header & 15;
      id = header >> 4 === 0 ? this.zigzag() : id + (header >> 4);
      const taken = take(id, type, headerAt);
      if (taken === 'enough') return;
      if (!taken) this.skip(type);
    }
  }

  private skip(type: number): void {
    if (type === TRUE || type === FALSE) return;
    if (type === 3) this.at += 1;
    else if (type >= 4 && type <= 6) this.varint();
    else if (type === 7) this.at += 8;
    else if (type === BINARY) this.skipBytes(this.varint());
    else if (type === LIST || type === SET) {
      const { size, type: item } = this.listHeader();
      for (let i = 0; i < size; i++) this.skipItem(item);
    } else if (type === MAP) {
      const size = this.varint();
      const kinds = size === 0 ? 0 : this.byte();
      for (let i = 0; i < size; i++) {
        this.skipItem(kinds >> 4);
        this.skipItem(kinds & 15);
      }
    } else if (type === STRUCT) this.fields(() => false);
    else throw new RangeError(`no such type: ${type}`);
    if (this.at > this.bytes.length) throw new RangeError('the footer ends too early');
  }

  private skipBytes(count: number): void {
    this.at += count;
  }

  /** Within a list, a boolean is a byte of its own. */
  private skipItem(type: number): void {
    if (type === TRUE || type === FALSE) this.byte();
    else this.skip(type);
  }

  private listHeader(): { size: number; type: number } {
    const header = this.byte();
    return { size: header >> 4 === 15 ? this.varint() : header >> 4, type: header & 15 };
  }

  private text(): string {
    const size = this.varint();
    if (this.at + size > this.bytes.length) throw new RangeError('the footer ends within a name');
    this.at += size;
    return new TextDecoder().decode(this.bytes.subarray(this.at - size, this.at));
  }

  private zigzag(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  private varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  private byte(): number {
    const byte = this.bytes[this.at++];
    if (byte === undefined) throw new RangeError('the footer ends too early');
    return byte;
  }
}
