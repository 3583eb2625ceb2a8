// What: dead letters as record batches: content, cuts and limits, read back by the decoder of the consuming side.
// Why: a dead letter that a topic refuses would hold the commit up that carries it.
// Invariant: a batch never exceeds its limit, whatever the letters; together the batches hold each letter once, in order.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Cluster } from '../../connectors/kafka/cluster.ts';
import { deadLetterRecord, nextDeadLetterBatch } from '../../connectors/kafka/dead-letter.ts';
import { BATCH_BYTES_MIN, deadLetterTopicOf } from '../../connectors/kafka/outgoing-topic.ts';
import { RecordBatchReader } from '../../connectors/kafka/record-batch.ts';
import {
  encodeRecordBatch,
  type OutgoingRecord,
  recordBytesMax,
} from '../../connectors/kafka/record-write.ts';
import type { DeadLetter } from '../../src/ports.ts';

const from = { topic: 'ticks', partition: 3 };
const letter = (fields: Partial<DeadLetter>): DeadLetter => ({
  offset: 7,
  timestampMs: 1_700_000_000_000,
  cause: 'not JSON',
  key: null,
  value: Buffer.from('{'),
  ...fields,
});
const headersOf = (record: OutgoingRecord): Record<string, string> => Object.fromEntries(record.headers);

describe('a dead letter', () => {
  it('keeps key and value and says where it came from', () => {
    const record = deadLetterRecord(letter({ key: Buffer.from('k') }), from, 1_000_000);
    expect(record.key).toEqual(Buffer.from('k'));
    expect(record.value).toEqual(Buffer.from('{'));
    expect(headersOf(record)).toEqual({
      cause: 'not JSON',
      topic: 'ticks',
      partition: '3',
      offset: '7',
      timestamp: '1700000000000',
    });
  });

  it('tells a null from an empty key or value', () => {
    const record = deadLetterRecord(letter({ key: Buffer.alloc(0), value: null }), from, 1_000_000);
    expect(record.key).toEqual(Buffer.alloc(0));
    expect(record.value).toBeNull();
  });

  it('too large is cut, with the full length in a header', () => {
    const record = deadLetterRecord(
      letter({ key: Buffer.from('k'), value: Buffer.alloc(20_000, 'v') }),
      from,
      10_000,
    );
    expect(recordBytesMax(record)).toBeLessThanOrEqual(10_000);
    expect(record.key).toEqual(Buffer.from('k'));
    expect(record.value!.length).toBeGreaterThan(9_000);
    expect(headersOf(record)).toMatchObject({ 'value-bytes': '20000' });
    expect(headersOf(record)).not.toHaveProperty('key-bytes');
  });

  it('with a huge key keeps something of both', () => {
    const record = deadLetterRecord(
      letter({ key: Buffer.alloc(50_000), value: Buffer.alloc(50_000) }),
      from,
      10_000,
    );
    expect(record.key!.length).toBeGreaterThan(4_000);
    expect(record.value!.length).toBeGreaterThan(4_000);
    expect(headersOf(record)).toMatchObject({ 'key-bytes': '50000', 'value-bytes': '50000' });
  });
});

const letters = fc.array(
  fc.record({
    offset: fc.nat(),
    timestampMs: fc.integer({ min: -1, max: 2 ** 45 }),
    cause: fc.oneof(
      fc.string(),
      fc.nat({ max: 5_000 }).map((length) => '€'.repeat(length)),
    ),
    key: fc.option(fc.nat({ max: 20_000 }).map((length) => Buffer.alloc(length, 1))),
    value: fc.option(fc.nat({ max: 20_000 }).map((length) => Buffer.alloc(length, 2))),
  }),
  { minLength: 1, maxLength: 30 },
);

describe('batches of dead letters', () => {
  it('never exceed the limit and hold each letter once, in order', () => {
    fc.assert(
      fc.property(letters, fc.integer({ min: BATCH_BYTES_MIN, max: 60_000 }), (list, bytesMax) => {
        const offsets: string[] = [];
        for (let sent = 0; sent < list.length; ) {
          const records = nextDeadLetterBatch(list, sent, from, bytesMax);
          expect(encodeRecordBatch(records, 0, null).length).toBeLessThanOrEqual(bytesMax);
          offsets.push(...records.map((record) => headersOf(record).offset!));
          sent += records.length;
        }
        expect(offsets).toEqual(list.map(({ offset }) => String(offset)));
      }),
      { numRuns: 200 },
    );
  });

  it('are record batches that a consumer reads', () => {
    fc.assert(
      fc.property(letters, (list) => {
        const records = nextDeadLetterBatch(list, 0, from, 1_000_000);
        const reader = new RecordBatchReader();
        const sender = { producer: { id: 5n, epoch: 2 }, sequence: 9, isTransactional: true };
        const bytes = encodeRecordBatch(records, 1_700_000_000_000, sender);
        reader.open({ topic: 'ticks.dlq', partition: 0, fetchOffset: 0, bytes, aborted: [], endOffset: -1 });
        const batch = reader.next()!;
        expect(batch.count).toBe(records.length);
        records.forEach((record, i) => {
          // Compared by Buffer: element by element takes seconds.
          const isSame = (start: number, length: number, bytes: Uint8Array | null): boolean =>
            bytes === null
              ? length === -1
              : length >= 0 && Buffer.compare(batch.buffer.subarray(start, start + length), bytes) === 0;
          expect(isSame(batch.keyStart[i]!, batch.keyLength[i]!, record.key)).toBe(true);
          expect(isSame(batch.valueStart[i]!, batch.valueLength[i]!, record.value)).toBe(true);
          expect(batch.timestampMs[i]).toBe(1_700_000_000_000);
        });
      }),
      { numRuns: 50 },
    );
  });
});

it('of a topic that a broker has not heard of yet are tried again', async () => {
  const cluster = { partitionCount: async () => null } as unknown as Cluster;
  const logger = { debug() {}, info() {}, warn() {}, error() {} };
  await expect(deadLetterTopicOf(cluster, 'ticks', 'ticks.DLQ', logger).ensure()).rejects.toMatchObject({
    code: 'KAFKA_TOPIC_MISSING',
    action: 'retry',
  });
});
