// What: where keys and values of Kafka records lie in a buffer, with their offsets and times, as growing columns.
// Why: this is the loop that every record passes; it allocates nothing and reads nothing but the record's varints.
// Invariant: no position of a row points outside the bytes that it was read from; offsets increase from row to row.
//
// A record (https://kafka.apache.org/documentation/#record); varints are zigzag:
//
// | field           | type    |                                     |
// | --------------- | ------- | ----------------------------------- |
// | length          | varint  | of what follows                     |
// | attributes      | int8    | unused                              |
// | timestamp delta | varlong | to the batch's base timestamp       |
// | offset delta    | varint  | to the batch's base offset          |
// | key             | bytes   | varint length (−1: null), then them |
// | value           | bytes   | likewise                            |
// | headers         | array   | skipped                             |

/** Length, attributes, two deltas, two lengths and the header count, a byte each. */
export const RECORD_BYTES_MIN = 7;

export class RecordPositions {
  offset = new Float64Array(0);
  timestampMs = new Float64Array(0);
  keyStart = new Int32Array(0);
  keyLength = new Int32Array(0);
  valueStart = new Int32Array(0);
  valueLength = new Int32Array(0);

  /** Makes room for `rows` rows in all, keeping what is there. */
  reserve(rows: number): void {
    if (rows <= this.offset.length) return;
    const capacity = Math.max(rows, this.offset.length * 2, 4_096);
    this.offset = grown(this.offset, new Float64Array(capacity));
    this.timestampMs = grown(this.timestampMs, new Float64Array(capacity));
    this.keyStart = grown(this.keyStart, new Int32Array(capacity));
    this.keyLength = grown(this.keyLength, new Int32Array(capacity));
    this.valueStart = grown(this.valueStart, new Int32Array(capacity));
    this.valueLength = grown(this.valueLength, new Int32Array(capacity));
  }

  /**
   * Reads `count` records from byte `start` into rows from `row` on, for which there is room. Varints of one and two
   * bytes are read in place, which is nearly all of them. Returns the byte after the last record.
   * @throws Error when a record does not lie within [start, end), or their offsets do not increase.
   */
  read(
    bytes: Uint8Array,
    start: number,
    end: number,
    count: number,
    row: number,
    offsetBase: number,
    timestampBase: number,
  ): number {
    const { offset, timestampMs, keyStart, keyLength, valueStart, valueLength } = this;
    let at = start;
    let deltaBefore = -1;
    for (const rowEnd = row + count; row < rowEnd; row++) {
      // A byte past the buffer reads as undefined, which every step below takes for 0; the checks then fail.
      let raw = bytes[at++]!;
      if (raw > 0x7f) {
        const second = bytes[at++]!;
        if (second <= 0x7f) raw = (raw & 0x7f) | (second << 7);
        else {
          raw = longVarint32(bytes, at - 2);
          at = varintEnd;
        }
      }
      const recordEnd = at + ((raw >>> 1) ^ -(raw & 1));
      if (recordEnd > end || recordEnd < at + RECORD_BYTES_MIN - 1)
        throw new Error('a record runs past its batch');
      at++; // attributes

      raw = bytes[at++]!;
      let timestampDelta: number;
      if (raw <= 0x7f) timestampDelta = (raw >>> 1) ^ -(raw & 1);
      else {
        const second = bytes[at++]!;
        if (second <= 0x7f) {
          raw = (raw & 0x7f) | (second << 7);
          timestampDelta = (raw >>> 1) ^ -(raw & 1);
        } else {
          timestampDelta = unzigzag(longVarint(bytes, at - 2));
          at = varintEnd;
        }
      }

      raw = bytes[at++]!;
      if (raw > 0x7f) {
        const second = bytes[at++]!;
        if (second <= 0x7f) raw = (raw & 0x7f) | (second << 7);
        else {
          raw = longVarint32(bytes, at - 2);
          at = varintEnd;
        }
      }
      const offsetDelta = (raw >>> 1) ^ -(raw & 1);
      if (offsetDelta <= deltaBefore) throw new Error('the offsets of its records do not increase');
      deltaBefore = offsetDelta;

      raw = bytes[at++]!;
      if (raw > 0x7f) {
        const second = bytes[at++]!;
        if (second <= 0x7f) raw = (raw & 0x7f) | (second << 7);
        else {
          raw = longVarint32(bytes, at - 2);
          at = varintEnd;
        }
      }
      const keyBytes = (raw >>> 1) ^ -(raw & 1);
      keyStart[row] = at;
      keyLength[row] = keyBytes;
      if (keyBytes > 0) at += keyBytes;
      if (keyBytes < -1) throw new Error('a key has a negative length');

      raw = bytes[at++]!;
      if (raw > 0x7f) {
        const second = bytes[at++]!;
        if (second <= 0x7f) raw = (raw & 0x7f) | (second << 7);
        else {
          raw = longVarint32(bytes, at - 2);
          at = varintEnd;
        }
      }
      const valueBytes = (raw >>> 1) ^ -(raw & 1);
      valueStart[row] = at;
      valueLength[row] = valueBytes;
      if (valueBytes > 0) at += valueBytes;
      // A key that runs past its record brings its value there too.
      if (valueBytes < -1 || at > recordEnd) throw new Error('a key or value runs past its record');

      offset[row] = offsetBase + offsetDelta;
      timestampMs[row] = timestampBase + timestampDelta;
      // What is left are headers, which no table reads.
      at = recordEnd;
    }
    return at;
  }

  /** Drops those of rows [from, to) whose offset is below `offsetMin`, which lead. Returns the row after what is kept. */
  dropBelow(offsetMin: number, from: number, to: number): number {
    let kept = from;
    while (kept < to && this.offset[kept]! < offsetMin) kept++;
    if (kept > from) {
      for (const column of Object.values(this)) column.copyWithin(from, kept, to);
    }
    return to - (kept - from);
  }
}

/** Where the varint that `longVarint` read last ends. */
let varintEnd = 0;

/** A varint of up to ten bytes, before zigzag; exact up to 2^53, which every sane timestamp delta is. */
function longVarint(bytes: Uint8Array, start: number): number {
  let value = 0;
  let scale = 1;
  for (let at = start; at < start + 10; at++, scale *= 128) {
    const byte = bytes[at];
    if (byte === undefined) break;
    value += (byte & 0x7f) * scale;
    if (byte <= 0x7f) {
      varintEnd = at + 1;
      return value;
    }
  }
  throw new Error('a number does not end');
}

function longVarint32(bytes: Uint8Array, start: number): number {
  const value = longVarint(bytes, start);
  if (value > 0xffffffff) throw new Error('a length does not fit 32 bits');
  return value;
}

const unzigzag = (value: number): number => (value % 2 === 0 ? value / 2 : -(value + 1) / 2);

function grown<T extends Float64Array | Int32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
