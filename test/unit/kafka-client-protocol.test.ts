// What: the protocol's primitive types there and back, and answers that are cut off.
// Why: a misread length would take one answer's bytes for another's.
// Invariant: whatever the bytes, reading ends with a value or with KAFKA_PROTOCOL.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Reader, Writer } from '../../connectors/kafka/protocol.ts';
import {
  describeTopic,
  fetchRecords,
  groupOffsets,
  initProducerId,
  metadata,
} from '../../connectors/kafka/requests.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';

const written = (write: (to: Writer) => void): Buffer => {
  const to = new Writer();
  write(to);
  return to.finish();
};

describe('primitives', () => {
  it('come back as they were written', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        fc.option(fc.string({ unit: 'grapheme', maxLength: 400 })),
        fc.uint8Array({ maxLength: 2000 }),
        fc.array(fc.string()),
        (int32, int64, text, bytes, list) => {
          const from = new Reader(
            written((to) => {
              to.int32(int32);
              to.int64(int64);
              to.nullableString(text);
              to.bytes(bytes);
              to.array(list, (item) => to.compactString(item));
              to.nullableCompactArray(list, (item) => to.string(item));
              to.tags();
            }),
          );
          expect(from.int32()).toBe(int32);
          expect(from.int64()).toBe(int64);
          expect(from.nullableString()).toBe(text);
          expect(new Uint8Array(from.bytes())).toEqual(bytes);
          expect(from.array(() => from.compactString())).toEqual(list);
          expect(from.compactArray(() => from.string())).toEqual(list);
          from.tags();
          expect(() => from.int8()).toThrow(/ends too early/);
        },
      ),
    );
  });

  it('varints have the bytes that the protocol documents', () => {
    const hex = (write: (to: Writer) => void): string => written(write).toString('hex');
    expect(hex((to) => to.uvarint(300))).toBe('ac02');
    expect(hex((to) => to.varint(-1))).toBe('01');
    expect(hex((to) => to.varint(1))).toBe('02');
    expect(hex((to) => to.varint(-2147483648))).toBe('ffffffff0f');
  });
});

describe('answers of any bytes', () => {
  const requests = [
    metadata(['t']),
    groupOffsets('g', null),
    initProducerId('id', 1, null),
    fetchRecords('t', 0, 0, 1, 1),
    describeTopic('t', ['a']),
  ];

  it('end with a value or with KAFKA_PROTOCOL', () => {
    fc.assert(
      fc.property(fc.constantFrom(...requests), fc.uint8Array({ maxLength: 300 }), (request, bytes) => {
        try {
          request.decode(new Reader(Buffer.from(bytes)));
        } catch (error) {
          expect(error).toBeInstanceOf(ZeptoError);
          expect((error as ZeptoError).code).toBe('KAFKA_PROTOCOL');
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('a claim of two thousand million entries costs nothing', () => {
    const bytes = Buffer.alloc(64);
    bytes.writeInt32BE(2_000_000_000, 4);
    expect(() => metadata([]).decode(new Reader(bytes))).toThrow(/ends too early/);
  });
});
