// What: a position in Avro binary data and the few reads that all types are made of.
// Why: the readers of fields are functions over one cursor, so a record is read without an object.
// Invariant: positions only grow; whoever reads checks `p` against `end` before it believes what it read.

import type { ColumnBuffer } from '../../src/columns/batch.ts';

/** Readers may read this far past the end of a record (a varint and a fixed value) before they notice. */
export const OVERREAD_BYTES = 32;

const CONTINUED = 0x80808080 | 0;

export class AvroCursor {
  view: DataView = new DataView(new ArrayBuffer(0));
  p = 0;
  end = 0;
  /** The row's columns. */
  columns: readonly ColumnBuffer[] = [];
  /** Kafka timestamp of the record. */
  timestampMs = 0;
  /** The last varint, zigzag undone, as an int64 by halves. */
  low = 0;
  high = 0;
}

/** Reads a zigzag varint of at most ten bytes into low and high. False when it is longer or passes the end. */
export function readVarint(cursor: AvroCursor): boolean {
  const { view, p } = cursor;
  const word = view.getInt32(p, true);
  let low: number;
  let high = 0;
  let length: number;
  const stop = ~word & CONTINUED;
  if (stop !== 0) {
    length = ((31 - Math.clz32(stop & -stop)) >> 3) + 1;
    low = sevens(word & (0xffffffff >>> ((4 - length) << 3)));
  } else {
    const middle = view.getInt32(p + 4, true);
    const middleStop = ~middle & CONTINUED;
    const first = sevens(word);
    if (middleStop !== 0) {
      length = ((31 - Math.clz32(middleStop & -middleStop)) >> 3) + 5;
      const second = sevens(middle & (0xffffffff >>> ((8 - length) << 3)));
      low = first | (second << 28);
      high = second >>> 4;
    } else {
      const second = sevens(middle);
      const last = view.getUint8(p + 8);
      length = 9;
      low = first | (second << 28);
      high = (second >>> 4) | (last << 24);
      if (last > 127) {
        const tenth = view.getUint8(p + 9);
        if (tenth > 1) return false;
        high = (second >>> 4) | ((last & 127) << 24) | (tenth << 31);
        length = 10;
      }
    }
  }
  const sign = -(low & 1);
  cursor.low = ((low >>> 1) | (high << 31)) ^ sign;
  cursor.high = (high >>> 1) ^ sign;
  cursor.p = p + length;
  return cursor.p <= cursor.end;
}

/** The low seven bits of each byte, joined. */
function sevens(word: number): number {
  return (word & 0x7f) | ((word >>> 1) & 0x3f80) | ((word >>> 2) & 0x1fc000) | ((word >>> 3) & 0xfe00000);
}

/** Reads the length of a string or bytes and checks that they lie within the record; −1 when not. */
export function readLength(cursor: AvroCursor): number {
  if (!readVarint(cursor) || cursor.high !== 0 || cursor.low < 0) return -1;
  return cursor.low <= cursor.end - cursor.p ? cursor.low : -1;
}

/** Reads a union's branch or an enum's index; −1 when it is not below `count`. */
export function readIndex(cursor: AvroCursor, count: number): number {
  if (!readVarint(cursor) || cursor.high !== 0 || cursor.low < 0 || cursor.low >= count) return -1;
  return cursor.low;
}
