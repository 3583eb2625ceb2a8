// What: both ways of reading record batches over random logs, against the records that were written, and over damaged bytes.
// Why: an interplay of compaction, transactions, codecs and cut responses is not thought of, it is found.
// Invariant: both readers give exactly the visible records; damage gives a typed error or records, never anything else.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AbortedTransaction } from '../../connectors/kafka/aborted.ts';
import { MessageReader } from '../../connectors/kafka/message-reader.ts';
import {
  type FetchedBatches,
  offsetAfter,
  RecordBatchReader,
  readerLimits,
} from '../../connectors/kafka/record-batch.ts';
import type { RecordBatch } from '../../src/columns/batch.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import { controlBatch, encodeBatch, sealed, type TestBatch } from '../support/kafka-batches.ts';

interface Visible {
  offset: number;
  timestampMs: number;
  key: string | null;
  value: string | null;
}

/** A step in the life of a partition. */
type Step =
  | {
      kind: 'batch';
      producer: number;
      batch: Pick<TestBatch, 'codec' | 'logAppendTime' | 'records'>;
      tail: number;
    }
  | { kind: 'end'; producer: number; type: 'abort' | 'commit' };

const bytes = fc.option(fc.uint8Array({ maxLength: 90 }), { freq: 6 });
const record = fc.record({
  gap: fc.nat(3),
  timestampDelta: fc.integer({ min: -1e9, max: 1e12 }),
  key: bytes,
  value: bytes,
  hasHeader: fc.boolean(),
});

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .record({
        producer: fc.nat(3),
        codec: fc.constantFrom('none', 'none', 'gzip', 'snappy', 'xerial', 'lz4'),
        logAppendTime: fc.boolean(),
        records: fc.array(record, { maxLength: 12 }),
        tail: fc.nat(3),
      })
      .map(({ producer, codec, logAppendTime, records, tail }): Step => {
        let offsetDelta = -1;
        return {
          kind: 'batch',
          producer,
          tail,
          batch: {
            codec: codec as 'none',
            logAppendTime,
            records: records.map(({ gap, hasHeader, ...rest }) => {
              offsetDelta += 1 + gap;
              return { ...rest, offsetDelta, headers: hasHeader ? [['h', rest.key] as const] : [] };
            }),
          },
        };
      }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('end' as const),
      producer: fc.integer({ min: 1, max: 3 }),
      type: fc.constantFrom('abort' as const, 'commit' as const),
    }),
  },
);

interface Log {
  batches: Buffer[];
  /** All records with their transaction: index into `ends`, or −1. */
  written: { record: Visible; transaction: number }[];
  /** With the offset of the abort marker. */
  aborted: (AbortedTransaction & { endOffset: number })[];
  offsetNext: number;
}

/** Writes the steps as a broker's log; producer 0 has no transactions, those of others that stay open are aborted at the end. */
function logOf(steps: readonly Step[]): Log {
  const log: Log = { batches: [], written: [], aborted: [], offsetNext: 0 };
  const open = new Map<number, { firstOffset: number; transaction: number }>();
  const abortedTransactions = new Set<number>();
  let transactions = 0;
  const end = (producer: number, type: 'abort' | 'commit'): void => {
    const transaction = open.get(producer);
    if (transaction === undefined) return;
    open.delete(producer);
    if (type === 'abort') {
      abortedTransactions.add(transaction.transaction);
      log.aborted.push({
        producerId: BigInt(producer),
        firstOffset: transaction.firstOffset,
        endOffset: log.offsetNext,
      });
    }
    log.batches.push(controlBatch(log.offsetNext++, BigInt(producer), type));
  };
  for (const one of steps) {
    if (one.kind === 'end') {
      end(one.producer, one.type);
      continue;
    }
    const { producer, batch, tail } = one;
    const baseOffset = log.offsetNext;
    const transactional = producer > 0;
    if (transactional && !open.has(producer))
      open.set(producer, { firstOffset: baseOffset, transaction: transactions++ });
    const lastOffsetDelta = (batch.records.at(-1)?.offsetDelta ?? 0) + tail;
    const baseTimestamp = 1_700_000_000_000;
    log.batches.push(
      encodeBatch({
        ...batch,
        baseOffset,
        lastOffsetDelta,
        baseTimestamp,
        maxTimestamp: baseTimestamp + 5,
        transactional,
        ...(transactional ? { producerId: BigInt(producer) } : {}),
      }),
    );
    for (const { offsetDelta, timestampDelta, key, value } of batch.records)
      log.written.push({
        transaction: transactional ? open.get(producer)!.transaction : -1,
        record: {
          offset: baseOffset + offsetDelta,
          timestampMs: baseTimestamp + (batch.logAppendTime ? 5 : timestampDelta!),
          key: hex(key!),
          value: hex(value!),
        },
      });
    log.offsetNext = baseOffset + lastOffsetDelta + 1;
  }
  for (const producer of [...open.keys()]) end(producer, 'abort');
  log.written = log.written.filter(({ transaction }) => !abortedTransactions.has(transaction));
  return log;
}

const hex = (value: Uint8Array | null): string | null =>
  value === null ? null : Buffer.from(value).toString('hex');

function visibleOf(batch: RecordBatch): Visible[] {
  const field = (start: Int32Array, length: Int32Array, row: number): string | null =>
    length[row]! < 0 ? null : hex(batch.buffer.subarray(start[row]!, start[row]! + length[row]!));
  return Array.from({ length: batch.count }, (_, row) => ({
    offset: batch.offset[row]!,
    timestampMs: batch.timestampMs[row]!,
    key: field(batch.keyStart, batch.keyLength, row),
    value: field(batch.valueStart, batch.valueLength, row),
  }));
}

interface Read {
  records: Visible[];
  offsetNext: number;
}

const direct = new RecordBatchReader({ ...readerLimits, stretchRecordsMax: 20, stretchBytesMax: 500 });

function readDirect(fetched: FetchedBatches): Read {
  direct.open(fetched);
  const read: Read = { records: [], offsetNext: fetched.fetchOffset };
  for (let batch = direct.next(); batch !== null; batch = direct.next()) {
    expect(batch.offsetNext).toBeGreaterThan(read.offsetNext);
    read.records.push(...visibleOf(batch));
    read.offsetNext = batch.offsetNext;
  }
  return read;
}

const messages = new MessageReader();

async function readByKafkajs(fetched: FetchedBatches): Promise<Read> {
  const batch = await messages.read(fetched);
  return batch === null
    ? { records: [], offsetNext: fetched.fetchOffset }
    : { records: visibleOf(batch), offsetNext: batch.offsetNext };
}

const steps = fc.array(step, { maxLength: 14 });

describe('a fetch anywhere in a log', () => {
  test('gives the visible records from there on, by both readers', async () => {
    await fc.assert(
      fc.asyncProperty(steps, fc.nat(), fc.nat(), async (life, from, cut) => {
        const log = logOf(life);
        const fetchOffset = log.offsetNext === 0 ? 0 : from % log.offsetNext;
        // A broker begins with the batch that holds the fetch offset, and may cut the last one.
        const offsets = log.batches.map((batch) => Number(batch.readBigInt64BE(0)));
        const first = offsets.findLastIndex((offset) => offset <= fetchOffset);
        const rest = log.batches.slice(Math.max(first, 0));
        const last = rest.at(-1);
        const isCut = last !== undefined && rest.length > 1 && cut % 3 === 0;
        if (isCut) rest[rest.length - 1] = last.subarray(0, cut % last.length);
        const offsetNext = isCut ? Number(last.readBigInt64BE(0)) : log.offsetNext;
        const fetched: FetchedBatches = {
          topic: 'ticks',
          partition: 0,
          fetchOffset,
          bytes: Buffer.concat(rest),
          // A broker lists those that end at or after the fetch offset, in no promised order.
          aborted: log.aborted.filter((one) => one.endOffset >= fetchOffset).reverse(),
          endOffset: log.offsetNext,
        };
        const expected: Read = {
          records: log.written
            .map(({ record: one }) => one)
            .filter(({ offset }) => offset >= fetchOffset && offset < offsetNext),
          offsetNext: Math.max(offsetNext, fetchOffset),
        };
        expect(readDirect(fetched)).toEqual(expected);
        expect(await readByKafkajs(fetched)).toEqual(expected);
        expect(offsetAfter(fetched.bytes, fetchOffset)).toBe(expected.offsetNext);
      }),
      { numRuns: 300 },
    );
  });

  test('of more records than fit on a stack is read by both readers', async () => {
    const one = Buffer.from('1');
    const count = 200_000;
    const fetched: FetchedBatches = {
      topic: 'ticks',
      partition: 0,
      fetchOffset: 0,
      bytes: encodeBatch({
        baseOffset: 0,
        codec: 'lz4',
        records: Array.from({ length: count }, (_, offsetDelta) => ({ offsetDelta, value: one })),
      }),
      aborted: [],
      endOffset: count,
    };
    const reader = new RecordBatchReader();
    reader.open(fetched);
    for (const batch of [reader.next()!, (await messages.read(fetched))!]) {
      expect(batch.count).toBe(count);
      expect(batch.offset[count - 1]).toBe(count - 1);
      expect(batch.buffer[batch.valueStart[count - 1]!]).toBe(one[0]);
    }
  });
});

describe('damaged bytes', () => {
  /** Whatever was done to them: an end, and no error but ours. */
  function survives(fetched: FetchedBatches): void {
    const reader = new RecordBatchReader({ ...readerLimits, batchBytesMax: 1_000_000 });
    reader.open(fetched);
    try {
      for (let batch = reader.next(); batch !== null; batch = reader.next()) {
        let before = fetched.fetchOffset - 1;
        for (const { offset } of visibleOf(batch)) {
          expect(offset).toBeGreaterThan(before);
          before = offset;
        }
        expect(batch.offsetNext).toBeGreaterThan(before);
      }
    } catch (error) {
      expect(error).toBeInstanceOf(ZeptoError);
      expect(['RECORD_CORRUPT', 'KAFKA_PROTOCOL']).toContain((error as ZeptoError).code);
    }
  }

  test('give a typed error or records in order, with a checksum that was made right again', () => {
    fc.assert(
      fc.property(
        steps,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (life, changes) => {
          const { batches, aborted } = logOf(life);
          for (const batch of batches) {
            for (const [at, value] of changes) batch[at % batch.length] = value;
            sealed(batch);
          }
          survives({
            topic: 't',
            partition: 0,
            fetchOffset: 0,
            bytes: Buffer.concat(batches),
            aborted,
            endOffset: -1,
          });
        },
      ),
      { numRuns: 500 },
    );
  });

  test('that never were batches give a typed error or nothing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
        survives({ topic: 't', partition: 0, fetchOffset: 0, bytes: noise, aborted: [], endOffset: -1 });
      }),
      { numRuns: 500 },
    );
  });
});
