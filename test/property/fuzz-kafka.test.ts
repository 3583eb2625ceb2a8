// What: answers of brokers, bytes of other members, compressed batches and records of the group's own topics, damaged.
// Why: a proxy, another program with our group's name or a broken broker sends what it likes.
// Invariant: an answer no larger than its bytes allow, or the error that the reader documents; never a crash, never endless work.

import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { compressFrameSync } from 'lz4-napi';
import { compressSync } from 'snappy';
import { describe, expect, it } from 'vitest';
import { assignPartitions } from '../../connectors/kafka/assignor.ts';
import { Codec, decompressInto } from '../../connectors/kafka/codecs.ts';
import { fetchBatches } from '../../connectors/kafka/fetch-request.ts';
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from '../../connectors/kafka/group-protocol.ts';
import { heartbeat, joinGroup, leaveGroup, syncGroup } from '../../connectors/kafka/group-requests.ts';
import { MessageReader } from '../../connectors/kafka/message-reader.ts';
import { Reader, Writer } from '../../connectors/kafka/protocol.ts';
import {
  addOffsetsToTransaction,
  addPartitionToTransaction,
  apiVersions,
  commitOffsetInTransaction,
  createTopic,
  describeTopic,
  endTransaction,
  fetchRecords,
  findCoordinator,
  groupOffsets,
  initProducerId,
  type KafkaRequest,
  listOffset,
  metadata,
  produce,
} from '../../connectors/kafka/requests.ts';
import { symbolOf, symbolRecord } from '../../connectors/kafka/symbol-record.ts';
import { decodeChange, encodeChange } from '../../src/catalogue/change-record.ts';
import { ColumnType } from '../../src/columns/types.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import { GrowableBytes } from '../../src/kernel/growable-bytes.ts';
import { encodeBatch, sealed, varint } from '../support/kafka-batches.ts';
import { damage, damaged, damagedJson, jsonDamage } from '../support/mutations.ts';

/** Gives what it is asked for by chance, and writes down the bytes of an answer that says so. */
class Inventor extends Reader {
  readonly to = new Writer();
  private readonly next: () => number;
  private depth = 0;

  constructor(numbers: readonly number[]) {
    super(Buffer.alloc(0));
    let at = 0;
    this.next = () => numbers[at++ % numbers.length]! + at;
  }
  override int8(): number {
    const value = this.next() % 2;
    this.to.int8(value);
    return value;
  }
  override int16(): number {
    const value = this.next() % 100;
    this.to.int16(value);
    return value;
  }
  override int32(): number {
    const value = this.next() % 1000;
    this.to.int32(value);
    return value;
  }
  override int64(): bigint {
    const value = BigInt(this.next());
    this.to.int64(value);
    return value;
  }
  override nullableString(): string | null {
    return this.string();
  }
  override string(): string {
    const value = 'é'.repeat(this.next() % 4);
    this.to.string(value);
    return value;
  }
  override bytes(): Buffer {
    const value = Buffer.alloc(this.next() % 20, 7);
    this.to.bytes(value);
    return value;
  }
  override array<T>(read: () => T): T[] {
    const count = this.count();
    this.to.int32(count);
    return this.several(count, read);
  }
  override compactArray<T>(read: () => T): T[] {
    const count = this.count();
    this.to.uvarint(count + 1);
    return this.several(count, read);
  }
  override compactString(): string {
    const value = 'x'.repeat(this.next() % 4);
    this.to.compactString(value);
    return value;
  }
  override nullableCompactString(): string | null {
    return this.compactString();
  }
  override tags(): void {
    this.to.tags();
  }
  private count(): number {
    return this.depth > 3 ? 0 : 1 + (this.next() % 3);
  }
  private several<T>(count: number, read: () => T): T[] {
    this.depth++;
    const items = Array.from({ length: count }, read);
    this.depth--;
    return items;
  }
}

const producer = { id: 1n, epoch: 0 };
const member = { groupId: 'g', memberId: 'm', generation: 1 };
const join = {
  groupId: 'g',
  memberId: '',
  sessionTimeoutMs: 1,
  rebalanceTimeoutMs: 1,
  protocol: 'p',
  metadata: new Uint8Array(0),
};
const commit = { group: 'g', topic: 't', partition: 0, offset: 1, metadata: '' };
const requests: readonly KafkaRequest<unknown>[] = [
  apiVersions(),
  metadata(['t']),
  findCoordinator('group', 'g'),
  initProducerId('id', 1, null),
  addPartitionToTransaction('id', producer, 't', 0),
  addOffsetsToTransaction('id', producer, 'g'),
  commitOffsetInTransaction('id', producer, commit),
  endTransaction('id', producer, 'commit'),
  groupOffsets('g', null),
  listOffset('t', 0, 'latest'),
  produce(null, 1, 't', 0, new Uint8Array(0)),
  fetchRecords('t', 0, 0, 1, 1),
  createTopic({ name: 't', partitions: 1, config: {} }, 1),
  describeTopic('t', ['a']),
  joinGroup(join),
  syncGroup(member, new Map()),
  heartbeat(member),
  leaveGroup('g', 'm'),
  fetchBatches({ waitMsMax: 1, bytesMin: 1, bytesMax: 1, partitions: [] }),
];

/** How many values an answer holds, itself included. */
function sizeOf(value: unknown): number {
  if (typeof value === 'string') return 1 + value.length;
  if (value instanceof Uint8Array) return 1 + value.length;
  if (value instanceof Map) return sizeOf([...value]);
  if (typeof value !== 'object' || value === null) return 1;
  return Object.values(value).reduce<number>((sum, inner) => sum + sizeOf(inner), 1);
}

/** Objects may have names for what is a byte or two on the wire. */
const VALUES_PER_BYTE = 4;

describe('answers', () => {
  const numbers = fc.array(fc.nat(50_000), { minLength: 1, maxLength: 30 });

  it('as they should be are read whole, byte by byte', () => {
    fc.assert(
      fc.property(fc.constantFrom(...requests), numbers, (request, chance) => {
        const inventor = new Inventor(chance);
        const expected = request.decode(inventor);
        const bytes = inventor.to.finish();
        expect(request.decode(new Reader(Buffer.from(bytes)))).toEqual(expected);
        // No field is read by chance: without its last byte it is refused, unless what is left out is not looked at.
        if (bytes.length > 0)
          expect(sizeOf(expected)).toBeLessThanOrEqual(16 + bytes.length * VALUES_PER_BYTE);
      }),
      { numRuns: 2000 },
    );
  });

  it('that are damaged end with a value of their size, or with KAFKA_PROTOCOL', () => {
    fc.assert(
      fc.property(fc.constantFrom(...requests), numbers, damage, (request, chance, changes) => {
        const inventor = new Inventor(chance);
        request.decode(inventor);
        const bytes = damaged(inventor.to.finish(), changes);
        try {
          const answer = request.decode(new Reader(bytes));
          expect(sizeOf(answer)).toBeLessThanOrEqual(16 + bytes.length * VALUES_PER_BYTE);
        } catch (error) {
          if (!(error instanceof ZeptoError)) throw error;
          expect(error.code).toBe('KAFKA_PROTOCOL');
        }
      }),
      { numRuns: 10_000 },
    );
  });
});

describe('what members say', () => {
  const subscription = encodeSubscription({
    topics: ['ticks', 'quotes'],
    owned: { ticks: [0, 2], quotes: [1] },
    generation: 7,
    address: 'http://h:8123',
  });
  const userDataAt = Buffer.from(subscription).indexOf('{');

  it('however damaged, is a subscription, and every partition still gets one owner', () => {
    const said = fc.oneof(
      damage.map((changes) => damaged(subscription, changes)),
      jsonDamage.map((changes) => {
        const data = Buffer.from(
          JSON.stringify(
            damagedJson(JSON.parse(Buffer.from(subscription.subarray(userDataAt)).toString()), changes),
          ) ?? '',
        );
        const length = Buffer.alloc(4);
        length.writeInt32BE(data.length);
        return Buffer.concat([subscription.subarray(0, userDataAt - 4), length, data]);
      }),
      fc.uint8Array({ maxLength: 100 }),
    );
    fc.assert(
      fc.property(fc.array(said, { minLength: 1, maxLength: 4 }), (all) => {
        const members = [subscription, ...all].map((bytes, i) => ({
          memberId: `m${i}`,
          ...decodeSubscription(bytes),
        }));
        const partitionsOf = new Map([
          ['ticks', [0, 1, 2]],
          ['quotes', [0, 1]],
        ]);
        const shares = [...assignPartitions(members, partitionsOf).values()];
        for (const [topic, partitions] of partitionsOf)
          expect(shares.flatMap((share) => share[topic] ?? []).sort()).toEqual(partitions);
      }),
      { numRuns: 3000 },
    );
  });

  it('of an assignment, gives each partition once, or is refused', () => {
    const whole = encodeAssignment({ ticks: [0, 1, 2, 5], quotes: [0] });
    fc.assert(
      fc.property(damage, (changes) => {
        try {
          for (const partitions of Object.values(decodeAssignment(damaged(whole, changes)))) {
            expect(partitions.every((partition) => partition >= 0)).toBe(true);
            expect(new Set(partitions).size).toBe(partitions.length);
          }
        } catch (error) {
          expect(error).toMatchObject({ code: 'KAFKA_PROTOCOL' });
        }
      }),
      { numRuns: 5000 },
    );
    expect(() => decodeAssignment(encodeAssignment({ ticks: [1, 1] }))).toThrow(/twice/);
  });
});

describe('compressed bytes', () => {
  const content = fc.oneof(
    fc.uint8Array({ maxLength: 400 }),
    fc.tuple(fc.nat(255), fc.nat(20_000)).map(([byte, length]) => new Uint8Array(length).fill(byte)),
  );
  const compressors: readonly (readonly [number, (bytes: Buffer) => Uint8Array])[] = [
    [Codec.GZIP, (bytes) => gzipSync(bytes)],
    [Codec.SNAPPY, (bytes) => compressSync(bytes)],
    [Codec.LZ4, (bytes) => compressFrameSync(bytes)],
  ];

  it('that are damaged give no more than the limit, or an error', () => {
    const LIMIT = 10_000;
    fc.assert(
      fc.property(fc.constantFrom(...compressors), content, damage, ([codec, compress], bytes, changes) => {
        const output = new GrowableBytes();
        try {
          decompressInto(codec, damaged(compress(Buffer.from(bytes)), changes), output, LIMIT);
          expect(output.length).toBeLessThanOrEqual(LIMIT);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
        // The largest block of an LZ4 frame has its room before its content is known.
        expect(output.bytes.length).toBeLessThanOrEqual(2 * (LIMIT + 4 * 2 ** 20));
      }),
      { numRuns: 5000 },
    );
  });
});

describe('record batches read by kafkajs', () => {
  const reader = new MessageReader();
  const value = Buffer.from('{"symbol":"A"}');
  const batches = (['none', 'gzip', 'snappy', 'xerial', 'lz4'] as const).map((codec) =>
    encodeBatch({
      baseOffset: 5,
      baseTimestamp: 1_700_000_000_000,
      codec,
      records: Array.from({ length: 20 }, (_, offsetDelta) => ({
        offsetDelta,
        key: offsetDelta % 2 === 0 ? value : null,
        value,
        headers: [['h', value]] as const,
      })),
    }),
  );

  it('that are damaged, with the checksum made right again, give positions within their bytes, or RECORD_CORRUPT', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...batches), damage, async (batch, changes) => {
        const bytes = damaged(batch, changes);
        if (bytes.length > 61) sealed(bytes);
        const fetched = { topic: 't', partition: 0, fetchOffset: 0, bytes, aborted: [], endOffset: -1 };
        try {
          const read = await reader.read(fetched);
          for (let i = 0; i < (read?.count ?? 0); i++)
            expect(read!.valueStart[i]! + Math.max(0, read!.valueLength[i]!)).toBeLessThanOrEqual(
              read!.buffer.length,
            );
        } catch (error) {
          if (!(error instanceof ZeptoError)) throw error;
          expect(['RECORD_CORRUPT', 'KAFKA_PROTOCOL']).toContain(error.code);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('a batch that claims more records than its bytes can hold', () => {
  it.each(['none', 'gzip', 'lz4'] as const)(
    'is refused before kafkajs makes room for them: %s',
    async (codec) => {
      const records = [{ offsetDelta: 0, value: Buffer.from('x') }];
      const bytes = encodeBatch({ baseOffset: 0, codec, records, count: 200_000_000, lastOffsetDelta: 0 });
      const fetched = { topic: 't', partition: 0, fetchOffset: 0, bytes, aborted: [], endOffset: -1 };
      await expect(new MessageReader().read(fetched)).rejects.toThrow(/claims 200000000 records/);
    },
  );
});

describe('a record that claims more headers than its bytes can hold', () => {
  it.each([2 ** 30, 100_000])('is refused by the reader of kafkajs: %i', async (claimed) => {
    const headers = Array.from({ length: 3 }, () => ['h', null] as const);
    const whole = encodeBatch({ baseOffset: 0, records: [{ offsetDelta: 0, headers }] });
    // The count stands before three headers of three bytes each; the record's own length grows with it.
    const countAt = whole.length - 3 * 3 - 1;
    const count = varint(claimed);
    const bytes = Buffer.concat([whole.subarray(0, countAt), count, whole.subarray(countAt + 1)]);
    const grown = count.length - 1;
    bytes.writeInt32BE(bytes.readInt32BE(8) + grown, 8);
    bytes[61]! += 2 * grown;
    const fetched = { topic: 't', partition: 0, fetchOffset: 0, bytes, aborted: [], endOffset: -1 };
    await expect(new MessageReader().read(fetched)).rejects.toThrow(`claims ${claimed} headers`);
  });
});

describe('records of the group’s own topics', () => {
  it('name a symbol when key and value agree, however damaged', () => {
    const { key, value } = symbolRecord('BRK.B é', 'g', 0);
    fc.assert(
      fc.property(damage, damage, fc.boolean(), fc.boolean(), (keyChanges, valueChanges, isKey, isValue) => {
        const changed = isKey ? damaged(key!, keyChanges) : key!;
        const name = symbolOf(changed, isValue ? damaged(value!, valueChanges) : value!);
        if (name !== null) expect(Buffer.from(name)).toEqual(Buffer.from(changed));
      }),
      { numRuns: 3000 },
    );
  });

  it('change the catalogue to what a table can be, or not at all', () => {
    const change = encodeChange({
      id: 'x',
      atMs: 0,
      change: {
        kind: 'create-table',
        source: {
          table: {
            name: 'bids',
            columns: [
              { name: 'ts', type: ColumnType.TIMESTAMP_NS },
              { name: 'sym', type: ColumnType.SYMBOL },
              { name: 'size', type: ColumnType.INT64, scale: 2 },
            ],
            timestampColumn: 0,
            symbolColumn: 1,
          },
          topic: 'bids',
          format: { kind: 'json', fields: { names: { sym: 's' }, timeUnit: 'ms', scaledNumbers: 'value' } },
        },
      },
    });
    expect(decodeChange(change)).toMatchObject({ id: 'x', change: { kind: 'create-table' } });
    fc.assert(
      fc.property(fc.oneof(damage, jsonDamage), (changes) => {
        const bytes =
          'isLittle' in changes[0]!
            ? damaged(change, changes as never)
            : Buffer.from(
                JSON.stringify(damagedJson(JSON.parse(Buffer.from(change).toString()), changes as never)) ??
                  '',
              );
        const decoded = decodeChange(bytes)?.change;
        if (decoded?.kind !== 'create-table') return;
        const { table, topic } = decoded.source;
        expect(table.columns[table.timestampColumn]?.type).toBe(ColumnType.TIMESTAMP_NS);
        expect(table.columns[table.symbolColumn]?.type).toBe(ColumnType.SYMBOL);
        for (const name of [table.name, topic, ...table.columns.map((column) => column.name)])
          expect(name).not.toMatch(/[/\\\0]|^\.\.?$|^$/);
      }),
      { numRuns: 5000 },
    );
  });
});
