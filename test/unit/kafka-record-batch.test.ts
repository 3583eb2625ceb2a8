// What: the record batch decoder against bytes written from Kafka's documentation, field by field.
// Why: a position that is one off is a wrong price in a file for ever.
// Invariant: what the reader returns are exactly the records that a read_committed consumer may see.

import { describe, expect, test } from 'vitest';
import {
  ATTRIBUTES_AT,
  BASE_TIMESTAMP_AT,
  COUNT_AT,
  CRC_AT,
  type FetchedBatches,
  HEADER_BYTES,
  LAST_OFFSET_DELTA_AT,
  LENGTH_AT,
  MAGIC_AT,
  MAX_TIMESTAMP_AT,
  offsetAfter,
  PRODUCER_ID_AT,
  RecordBatchReader,
  readerLimits,
} from '../../connectors/kafka/record-batch.ts';
import type { RecordBatch } from '../../src/columns/batch.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import { controlBatch, encodeBatch, encodeRecord, sealed, type TestBatch } from '../support/kafka-batches.ts';

interface Seen {
  offset: number;
  timestampMs: number;
  key: string | null;
  value: string | null;
}

const text = (value: string): Buffer => Buffer.from(value);

function fetched(bytes: Uint8Array, more: Partial<FetchedBatches> = {}): FetchedBatches {
  return { topic: 'ticks', partition: 3, fetchOffset: 0, bytes, aborted: [], endOffset: -1, ...more };
}

function recordsOf(batch: RecordBatch): Seen[] {
  const field = (start: Int32Array, length: Int32Array, row: number): string | null =>
    length[row] === -1
      ? null
      : Buffer.from(batch.buffer.subarray(start[row]!, start[row]! + length[row]!)).toString('latin1');
  return Array.from({ length: batch.count }, (_, row) => ({
    offset: batch.offset[row]!,
    timestampMs: batch.timestampMs[row]!,
    key: field(batch.keyStart, batch.keyLength, row),
    value: field(batch.valueStart, batch.valueLength, row),
  }));
}

/** All stretches, copied out before the reader uses its arrays again. */
function readAll(
  input: FetchedBatches,
  reader = new RecordBatchReader(),
): { records: Seen[]; stretches: number; offsetNext: number } {
  reader.open(input);
  const records: Seen[] = [];
  let stretches = 0;
  let offsetNext = input.fetchOffset;
  for (let batch = reader.next(); batch !== null; batch = reader.next()) {
    records.push(...recordsOf(batch));
    stretches++;
    offsetNext = batch.offsetNext;
  }
  return { records, stretches, offsetNext };
}

const offsetsOf = (input: FetchedBatches): number[] => readAll(input).records.map(({ offset }) => offset);

function errorOf(act: () => unknown): ZeptoError {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(ZeptoError);
    return error as ZeptoError;
  }
  throw new Error('nothing was thrown');
}

/** Values v{offset}. */
const plain = (baseOffset: number, count: number, more: Partial<TestBatch> = {}): Buffer =>
  encodeBatch({
    baseOffset,
    baseTimestamp: 1_700_000_000_000,
    records: Array.from({ length: count }, (_, at) => ({
      offsetDelta: at,
      timestampDelta: at,
      key: text(`k${at % 3}`),
      value: text(`v${baseOffset + at}`),
    })),
    ...more,
  });

describe('the batch header', () => {
  test('has its fields where Kafka documents them', () => {
    const bytes = Buffer.alloc(HEADER_BYTES);
    expect([
      LENGTH_AT,
      MAGIC_AT,
      CRC_AT,
      ATTRIBUTES_AT,
      LAST_OFFSET_DELTA_AT,
      BASE_TIMESTAMP_AT,
      MAX_TIMESTAMP_AT,
      PRODUCER_ID_AT,
      COUNT_AT,
      bytes.length,
    ]).toEqual([8, 16, 17, 21, 23, 27, 35, 43, 57, 61]);
  });
});

describe('records', () => {
  test('offset, time, key and value come out as they went in, of one and of many bytes', () => {
    const long = 'x'.repeat(70_000);
    const bytes = encodeBatch({
      baseOffset: 2 ** 40,
      baseTimestamp: 1_700_000_000_000,
      records: [
        { offsetDelta: 0, value: text('a') },
        { offsetDelta: 5, timestampDelta: -3, key: text(''), value: text('') },
        { offsetDelta: 70, timestampDelta: 100, key: text('k'), value: null },
        { offsetDelta: 9_000, timestampDelta: 20_000, key: text(long), value: text(long) },
        { offsetDelta: 3_000_000, timestampDelta: 86_400_000_000, key: null, value: text('z') },
      ],
    });
    expect(readAll(fetched(bytes)).records).toEqual([
      { offset: 2 ** 40, timestampMs: 1_700_000_000_000, key: null, value: 'a' },
      { offset: 2 ** 40 + 5, timestampMs: 1_699_999_999_997, key: '', value: '' },
      { offset: 2 ** 40 + 70, timestampMs: 1_700_000_000_100, key: 'k', value: null },
      { offset: 2 ** 40 + 9_000, timestampMs: 1_700_000_020_000, key: long, value: long },
      { offset: 2 ** 40 + 3_000_000, timestampMs: 1_786_400_000_000, key: null, value: 'z' },
    ]);
  });

  test('headers are stepped over', () => {
    const bytes = encodeBatch({
      baseOffset: 0,
      records: [
        {
          offsetDelta: 0,
          value: text('a'),
          headers: [
            ['trace', text('x'.repeat(300))],
            ['none', null],
          ],
        },
        { offsetDelta: 1, value: text('b') },
      ],
    });
    expect(readAll(fetched(bytes)).records.map(({ value }) => value)).toEqual(['a', 'b']);
  });

  test('with LogAppendTime every record has the time of the batch', () => {
    const bytes = plain(0, 3, { logAppendTime: true, maxTimestamp: 1_800_000_000_000 });
    expect(readAll(fetched(bytes)).records.map(({ timestampMs }) => timestampMs)).toEqual(
      Array(3).fill(1_800_000_000_000),
    );
  });

  test('batches of one response merge, and point into the response without a copy', () => {
    const bytes = Buffer.concat([plain(0, 3), plain(3, 4), plain(10, 2)]);
    const reader = new RecordBatchReader();
    reader.open(fetched(bytes, { endOffset: 40 }));
    const batch = reader.next()!;
    expect(recordsOf(batch).map(({ value }) => value)).toEqual(
      [0, 1, 2, 3, 4, 5, 6, 10, 11].map((offset) => `v${offset}`),
    );
    expect(batch.buffer).toBe(bytes);
    expect(batch).toMatchObject({ topic: 'ticks', partition: 3, count: 9, offsetNext: 12, endOffset: 40 });
    expect(reader.next()).toBeNull();
  });

  test('the arrays are used again, and nothing of the last response is left in the next', () => {
    const reader = new RecordBatchReader();
    readAll(fetched(plain(0, 10_000)), reader);
    expect(
      readAll(fetched(plain(50, 2), { fetchOffset: 50 }), reader).records.map(({ value }) => value),
    ).toEqual(['v50', 'v51']);
  });
});

describe('compression', () => {
  for (const codec of ['gzip', 'snappy', 'xerial', 'lz4'] as const) {
    test(`${codec} batches give the same records as plain ones`, () => {
      const batches = (choice: TestBatch['codec']): FetchedBatches =>
        fetched(Buffer.concat([plain(0, 500, { codec: choice! }), plain(500, 1_500, { codec: choice! })]));
      expect(readAll(batches(codec)).records).toEqual(readAll(batches('none')).records);
    });
  }

  test('a stretch ends where compressed and plain batches meet, and nothing is lost there', () => {
    const bytes = Buffer.concat([
      plain(0, 5),
      plain(5, 5, { codec: 'gzip' }),
      plain(10, 5, { codec: 'lz4' }),
      plain(15, 5),
    ]);
    const { records, stretches, offsetNext } = readAll(fetched(bytes));
    expect(records.map(({ value }) => value)).toEqual(Array.from({ length: 20 }, (_, at) => `v${at}`));
    expect(stretches).toBe(3);
    expect(offsetNext).toBe(20);
  });

  test('a stretch ends when it has grown enough', () => {
    const reader = new RecordBatchReader({ ...readerLimits, stretchBytesMax: 4_000, stretchRecordsMax: 700 });
    const packed = Buffer.concat(
      Array.from({ length: 10 }, (_, at) => plain(at * 100, 100, { codec: 'gzip' })),
    );
    const packedRead = readAll(fetched(packed), reader);
    expect(packedRead.records).toHaveLength(1_000);
    expect(packedRead.stretches).toBeGreaterThan(2);
    const many = Buffer.concat(Array.from({ length: 10 }, (_, at) => plain(at * 100, 100)));
    expect(readAll(fetched(many), reader)).toMatchObject({ stretches: 2, offsetNext: 1_000 });
  });

  test('a batch that would decompress beyond the limit is refused, before it takes the memory', () => {
    const reader = new RecordBatchReader({ ...readerLimits, batchBytesMax: 100_000 });
    for (const codec of ['gzip', 'snappy', 'xerial', 'lz4'] as const) {
      const bomb = encodeBatch({
        baseOffset: 0,
        codec,
        records: [{ offsetDelta: 0, value: Buffer.alloc(5_000_000) }],
      });
      const error = errorOf(() => readAll(fetched(bomb), reader));
      expect(error).toMatchObject({
        code: 'RECORD_CORRUPT',
        context: { topic: 'ticks', partition: 3, offset: 0 },
      });
    }
  });
});

describe('what a response begins and ends with', () => {
  test('records below the fetch offset are left out', () => {
    const bytes = Buffer.concat([plain(90, 10), plain(100, 10)]);
    expect(offsetsOf(fetched(bytes, { fetchOffset: 95 }))).toEqual(
      Array.from({ length: 15 }, (_, at) => 95 + at),
    );
    const packed = Buffer.concat([plain(90, 10, { codec: 'gzip' }), plain(100, 10, { codec: 'gzip' })]);
    expect(readAll(fetched(packed, { fetchOffset: 97 })).records.map(({ value }) => value)).toEqual(
      Array.from({ length: 13 }, (_, at) => `v${97 + at}`),
    );
  });

  test('a batch that is cut off is left for the next fetch', () => {
    const whole = plain(0, 5);
    const cut = plain(5, 5);
    for (const length of [1, 11, 12, 17, 60, 61, cut.length - 1]) {
      const bytes = Buffer.concat([whole, cut.subarray(0, length)]);
      expect(readAll(fetched(bytes))).toMatchObject({ offsetNext: 5, stretches: 1 });
      expect(offsetAfter(bytes, 0)).toBe(5);
    }
  });

  test('a response without a whole batch does not move the position', () => {
    expect(readAll(fetched(plain(0, 5).subarray(0, 70), { fetchOffset: 3 }))).toMatchObject({
      stretches: 0,
      offsetNext: 3,
    });
    expect(readAll(fetched(Buffer.alloc(0), { fetchOffset: 3 }))).toMatchObject({ stretches: 0 });
  });

  test('the position passes what compaction removed at the end of a batch', () => {
    const bytes = encodeBatch({
      baseOffset: 10,
      lastOffsetDelta: 9,
      records: [{ offsetDelta: 2, value: text('a') }],
    });
    expect(readAll(fetched(bytes, { fetchOffset: 10 }))).toMatchObject({ offsetNext: 20 });
    expect(offsetAfter(bytes, 10)).toBe(20);
    expect(offsetsOf(fetched(bytes, { fetchOffset: 10 }))).toEqual([12]);
  });

  test('a batch that compaction has emptied moves the position and gives no records', () => {
    for (const codec of ['none', 'gzip'] as const) {
      const bytes = encodeBatch({ baseOffset: 10, lastOffsetDelta: 9, records: [], codec });
      expect(readAll(fetched(bytes, { fetchOffset: 10 }))).toMatchObject({
        records: [],
        stretches: 1,
        offsetNext: 20,
      });
    }
  });

  test('the end of the headers and the end of the reading agree', () => {
    const bytes = Buffer.concat([plain(0, 5), controlBatch(5, 7n, 'commit'), plain(6, 5).subarray(0, 80)]);
    expect(offsetAfter(bytes, 0)).toBe(6);
    expect(readAll(fetched(bytes)).offsetNext).toBe(6);
  });
});

describe('transactions', () => {
  const inTransaction = (
    baseOffset: number,
    count: number,
    producerId: bigint,
    more: Partial<TestBatch> = {},
  ): Buffer => plain(baseOffset, count, { transactional: true, producerId, ...more });

  test('markers are left out', () => {
    const bytes = Buffer.concat([inTransaction(0, 2, 7n), controlBatch(2, 7n, 'commit'), plain(3, 1)]);
    expect(readAll(fetched(bytes))).toMatchObject({ offsetNext: 4 });
    expect(offsetsOf(fetched(bytes))).toEqual([0, 1, 3]);
  });

  test('records of aborted transactions are left out, those of others between them are not', () => {
    const bytes = Buffer.concat([
      inTransaction(0, 2, 7n), // aborted
      inTransaction(2, 2, 8n), // committed
      plain(4, 1),
      inTransaction(5, 1, 7n), // aborted
      controlBatch(6, 7n, 'abort'),
      inTransaction(7, 1, 7n), // committed: another transaction of the same producer
      controlBatch(8, 8n, 'commit'),
      controlBatch(9, 7n, 'commit'),
      inTransaction(10, 1, 8n), // aborted
      controlBatch(11, 8n, 'abort'),
    ]);
    const aborted = [
      { producerId: 8n, firstOffset: 10 },
      { producerId: 7n, firstOffset: 0 },
    ];
    expect(offsetsOf(fetched(bytes, { aborted }))).toEqual([2, 3, 4, 7]);
    expect(readAll(fetched(bytes, { aborted })).offsetNext).toBe(12);
  });

  test('a marker read among records leaves the rows before it as they were', () => {
    const bytes = Buffer.concat([
      plain(0, 1),
      inTransaction(1, 1, 7n),
      controlBatch(2, 7n, 'abort'),
      plain(3, 1),
    ]);
    expect(
      readAll(fetched(bytes, { aborted: [{ producerId: 7n, firstOffset: 1 }] })).records.map(
        ({ value }) => value,
      ),
    ).toEqual(['v0', 'v3']);
  });

  test('a fetch that begins inside an aborted transaction leaves its rest out', () => {
    const bytes = Buffer.concat([
      inTransaction(10, 5, 7n),
      controlBatch(15, 7n, 'abort'),
      inTransaction(16, 1, 7n),
    ]);
    expect(
      offsetsOf(fetched(bytes, { fetchOffset: 12, aborted: [{ producerId: 7n, firstOffset: 3 }] })),
    ).toEqual([16]);
  });

  test('a response of nothing but aborted records moves the position', () => {
    const bytes = Buffer.concat([inTransaction(0, 5, 7n), controlBatch(5, 7n, 'abort')]);
    expect(readAll(fetched(bytes, { aborted: [{ producerId: 7n, firstOffset: 0 }] }))).toMatchObject({
      records: [],
      stretches: 1,
      offsetNext: 6,
    });
  });

  test('an idempotent producer outside a transaction is not mistaken for one that aborted', () => {
    const bytes = plain(0, 2, { producerId: 7n });
    expect(offsetsOf(fetched(bytes, { aborted: [{ producerId: 7n, firstOffset: 0 }] }))).toEqual([0, 1]);
  });

  test('producer ids beyond 2^53 are told apart', () => {
    const one = 2n ** 60n;
    const bytes = Buffer.concat([inTransaction(0, 1, one), inTransaction(1, 1, one + 1n)]);
    expect(offsetsOf(fetched(bytes, { aborted: [{ producerId: one, firstOffset: 0 }] }))).toEqual([1]);
  });
});

describe('bytes that are not right', () => {
  const corrupt = (bytes: Uint8Array, more: Partial<FetchedBatches> = {}): ZeptoError =>
    errorOf(() => readAll(fetched(bytes, more)));

  test('a flipped bit anywhere after the checksum is found', () => {
    const good = plain(0, 3);
    for (let at = CRC_AT; at < good.length; at++) {
      const bytes = Buffer.from(good);
      bytes[at]! ^= 0x10;
      expect(corrupt(bytes)).toMatchObject({ code: 'RECORD_CORRUPT', action: 'stop' });
    }
  });

  test('the error names topic, partition and offset, and comes after the records before it', () => {
    const bad = plain(5, 5);
    bad[bad.length - 1]! ^= 1;
    const reader = new RecordBatchReader();
    reader.open(fetched(Buffer.concat([plain(0, 5), bad])));
    expect(reader.next()).toMatchObject({ count: 5, offsetNext: 5 });
    for (let again = 0; again < 2; again++) {
      const error = errorOf(() => reader.next());
      expect(error.context).toEqual({ topic: 'ticks', partition: 3, offset: 5 });
      expect(error.message).toContain('ticks-3');
      expect(error.message).toContain('CRC');
    }
  });

  test('the old message formats are refused with the way out', () => {
    for (const magic of [0, 1]) {
      const error = corrupt(plain(0, 1, { magic }));
      expect(error).toMatchObject({ code: 'KAFKA_PROTOCOL', action: 'stop' });
      expect(error.message).toContain('message.format.version');
    }
    expect(corrupt(plain(0, 1, { magic: 3 }))).toMatchObject({ code: 'RECORD_CORRUPT' });
  });

  test('headers that make no sense are refused', () => {
    const changed = (change: (bytes: Buffer) => void): Buffer => {
      const bytes = plain(0, 3);
      change(bytes);
      return sealed(bytes);
    };
    for (const bytes of [
      changed((b) => b.writeInt32BE(48, LENGTH_AT)),
      changed((b) => b.writeInt32BE(-1, LENGTH_AT)),
      changed((b) => b.writeInt32BE(-2_000_000_000, LENGTH_AT)),
      changed((b) => b.writeInt32BE(-1, LAST_OFFSET_DELTA_AT)),
      changed((b) => b.writeInt32BE(1, LAST_OFFSET_DELTA_AT)),
      changed((b) => b.writeBigInt64BE(-5n, 0)),
      changed((b) => b.writeBigInt64BE(2n ** 60n, 0)),
      changed((b) => b.writeInt32BE(-1, COUNT_AT)),
      changed((b) => b.writeInt32BE(2_000_000_000, COUNT_AT)),
      changed((b) => b.writeInt16BE(5, ATTRIBUTES_AT)),
      changed((b) => b.writeInt16BE(7, ATTRIBUTES_AT)),
    ])
      expect(corrupt(bytes)).toMatchObject({ code: 'RECORD_CORRUPT' });
  });

  test('a count that the bytes cannot hold takes no memory', () => {
    const bytes = plain(0, 1, { count: 1_000_000_000, lastOffsetDelta: 2_000_000_000 });
    expect(corrupt(bytes).message).toContain('1000000000 records');
  });

  test('records that do not keep to their batch are refused', () => {
    const record = encodeRecord({ offsetDelta: 0, key: text('key'), value: text('value') });
    const changed = (at: number, value: number): Buffer => {
      const bytes = encodeBatch({
        baseOffset: 0,
        records: [{ offsetDelta: 0, key: text('key'), value: text('value') }],
      });
      expect(bytes.subarray(HEADER_BYTES)).toEqual(record);
      bytes[HEADER_BYTES + at] = value;
      return sealed(bytes);
    };
    for (const bytes of [
      changed(0, 0x02), // length 1
      changed(0, 0x01), // length −1
      changed(0, 0x7e), // length 63
      changed(0, 0xff), // no end
      changed(4, 0x7e), // key of 63
      changed(4, 0x03), // key of −2
      changed(4, 0x18), // key to the end of the record
      changed(8, 0x7e), // value of 63
      changed(8, 0x05), // value of −3
    ])
      expect(corrupt(bytes)).toMatchObject({ code: 'RECORD_CORRUPT' });
  });

  test('a length below −1, or beyond 32 bits, is refused where the rest would fit', () => {
    const batchOf = (record: string): Buffer => {
      const bytes = encodeBatch({
        baseOffset: 0,
        records: [{ offsetDelta: 0 }],
        codec: { id: 0, compress: () => Buffer.from(record, 'hex') },
      });
      return bytes;
    };
    // Length 8, attributes, two deltas, no key, value "abc", no headers.
    const good = '12000000' + '01' + '06616263' + '00';
    expect(readAll(fetched(batchOf(good))).records).toMatchObject([{ key: null, value: 'abc' }]);
    expect(corrupt(batchOf(good.replace('000001', '000003'))).message).toContain('negative');
    // The length as 2^32 + 18.
    expect(corrupt(batchOf('928080801000000001' + '06616263' + '00')).message).toContain('32 bits');
  });

  test('offsets that do not increase are refused, within a batch and between batches', () => {
    const records = [
      { offsetDelta: 0, value: text('a') },
      { offsetDelta: 2, value: text('b') },
      { offsetDelta: 2, value: text('c') },
    ];
    expect(corrupt(encodeBatch({ baseOffset: 0, records, lastOffsetDelta: 5 }))).toMatchObject({
      code: 'RECORD_CORRUPT',
    });
    expect(
      corrupt(encodeBatch({ baseOffset: 0, records: records.slice(0, 2), lastOffsetDelta: 1 })),
    ).toMatchObject({
      code: 'RECORD_CORRUPT',
    });
    const reader = new RecordBatchReader();
    reader.open(fetched(Buffer.concat([plain(0, 5), plain(4, 5)])));
    expect(reader.next()).toMatchObject({ count: 5 });
    expect(errorOf(() => reader.next())).toMatchObject({ code: 'RECORD_CORRUPT', context: { offset: 5 } });
  });

  test('compressed bytes that are not of their codec are refused', () => {
    for (const id of [1, 2, 3, 4]) {
      for (const bytes of [Buffer.alloc(0), Buffer.alloc(40, 0xff), Buffer.from('28b52ffd0458', 'hex')]) {
        const batch = plain(0, 3, { codec: { id, compress: () => bytes } });
        expect(corrupt(batch)).toMatchObject({ code: 'RECORD_CORRUPT' });
      }
    }
  });
});
