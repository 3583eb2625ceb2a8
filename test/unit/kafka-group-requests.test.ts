// What: group and fetch requests byte for byte against kafkajs's encoders, answers against its decoders; and the parts of kafkajs that we stand on.
// Why: a wrong field is refused by a broker at best; at worst the group believes something else than we said.
// Invariant: kafkajs's own code, at the version that was read, says the same. Another version fails here first.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, expect, test } from 'vitest';
import { fetchBatches } from '../../connectors/kafka/fetch-request.ts';
import { heartbeat, joinGroup, leaveGroup, syncGroup } from '../../connectors/kafka/group-requests.ts';
import { kafkajsInside } from '../../connectors/kafka/message-reader.ts';
import { Reader, Writer } from '../../connectors/kafka/protocol.ts';
import type { KafkaRequest } from '../../connectors/kafka/requests.ts';
import { encodeBatch } from '../support/kafka-batches.ts';

const require = createRequire(import.meta.url);

interface Theirs {
  readonly request: {
    readonly apiKey: number;
    readonly apiVersion: number;
    encode(): Promise<{ buffer: Buffer }>;
  };
  readonly response: { decode(bytes: Buffer): Promise<Record<string, unknown>> };
}

const theirs = (name: string, version: number, args: object): Theirs =>
  require('kafkajs/src/protocol/requests').requests[name].protocol({ version })(args);

async function expectSame(ours: KafkaRequest<unknown>, kafkajs: Theirs): Promise<void> {
  const to = new Writer();
  ours.encode(to);
  expect(kafkajs.request).toMatchObject({ apiKey: ours.key, apiVersion: ours.version });
  expect(to.finish().toString('hex')).toBe((await kafkajs.request.encode()).buffer.toString('hex'));
}

/** An answer written field by field. */
function answer(write: (to: Writer) => void): Buffer {
  const to = new Writer();
  write(to);
  return Buffer.from(to.finish());
}

const member = { groupId: 'gruppe-ä', memberId: 'me', generation: 7 };
const metadata = Buffer.from('about me');

describe('group requests', () => {
  test('join', async () => {
    const ours = joinGroup({
      groupId: 'gruppe-ä',
      memberId: 'me',
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 60_000,
      protocol: 'p',
      metadata,
    });
    const kafkajs = theirs('JoinGroup', 5, {
      groupId: 'gruppe-ä',
      memberId: 'me',
      sessionTimeout: 10_000,
      rebalanceTimeout: 60_000,
      protocolType: 'consumer',
      groupProtocols: [{ name: 'p', metadata }],
    });
    await expectSame(ours, kafkajs);
    const bytes = answer((to) => {
      to.int32(5);
      to.int16(0);
      to.int32(9);
      to.string('p');
      to.string('leader');
      to.string('me');
      to.array(['leader', 'me'], (id) => {
        to.string(id);
        to.nullableString(null);
        to.bytes(Buffer.from(`of ${id}`));
      });
    });
    const { members, ...rest } = ours.decode(new Reader(bytes)) as ReturnType<typeof ours.decode>;
    expect(rest).toEqual({ code: 0, generation: 9, leaderId: 'leader', memberId: 'me' });
    const decoded = await kafkajs.response.decode(bytes);
    expect(decoded).toMatchObject({ generationId: 9, leaderId: 'leader', memberId: 'me' });
    expect(
      members.map(({ memberId, metadata: said }) => ({
        memberId,
        memberMetadata: said,
        groupInstanceId: null,
      })),
    ).toEqual(decoded.members);
  });

  test('sync', async () => {
    const kafkajs = theirs('SyncGroup', 3, {
      groupId: 'gruppe-ä',
      memberId: 'me',
      generationId: 7,
      groupAssignment: [
        { memberId: 'a', memberAssignment: metadata },
        { memberId: 'b', memberAssignment: Buffer.alloc(0) },
      ],
    });
    const ours = syncGroup(
      member,
      new Map([
        ['a', metadata],
        ['b', new Uint8Array(0)],
      ]),
    );
    await expectSame(ours, kafkajs);
    const bytes = answer((to) => {
      to.int32(0);
      to.int16(27);
      to.bytes(metadata);
    });
    expect(ours.decode(new Reader(bytes))).toEqual({ code: 27, assignment: metadata });
  });

  test('heartbeat and leave', async () => {
    await expectSame(
      heartbeat(member),
      theirs('Heartbeat', 3, { groupId: 'gruppe-ä', memberId: 'me', groupGenerationId: 7 }),
    );
    await expectSame(
      leaveGroup('gruppe-ä', 'me'),
      theirs('LeaveGroup', 2, { groupId: 'gruppe-ä', memberId: 'me' }),
    );
    const bytes = answer((to) => {
      to.int32(0);
      to.int16(25);
    });
    expect(heartbeat(member).decode(new Reader(bytes))).toEqual({ code: 25 });
    expect(leaveGroup('g', 'm').decode(new Reader(bytes))).toEqual({ code: 25 });
  });
});

describe('fetch', () => {
  const ours = fetchBatches({
    waitMsMax: 200,
    bytesMin: 1,
    bytesMax: 16_000_000,
    partitions: [
      { topic: 'ticks', partition: 3, offset: 2 ** 41 + 5, bytesMax: 4_000_000 },
      { topic: 'quotes', partition: 0, offset: 0, bytesMax: 4_000_000 },
    ],
  });
  const kafkajs = theirs('Fetch', 11, {
    maxWaitTime: 200,
    minBytes: 1,
    maxBytes: 16_000_000,
    isolationLevel: 1,
    rackId: '',
    topics: [
      {
        topic: 'ticks',
        partitions: [{ partition: 3, fetchOffset: String(2 ** 41 + 5), maxBytes: 4_000_000 }],
      },
      { topic: 'quotes', partitions: [{ partition: 0, fetchOffset: '0', maxBytes: 4_000_000 }] },
    ],
  });

  test('is sent as kafkajs sends it', async () => {
    await expectSame(ours, kafkajs);
  });

  test('is read as kafkajs reads it, with the records left where they are', async () => {
    const records = encodeBatch({ baseOffset: 5, records: [{ offsetDelta: 0, value: Buffer.from('a') }] });
    const bytes = answer((to) => {
      to.int32(3); // throttle
      to.int16(0);
      to.int32(0);
      to.array(['ticks', 'quotes'], (topic) => {
        to.string(topic);
        to.array([3, 4], (partition) => {
          to.int32(partition);
          to.int16(partition === 4 ? 1 : 0);
          to.int64(2n ** 41n);
          to.int64(2n ** 40n);
          to.int64(1n);
          to.array([7n, 2n ** 60n], (producer) => {
            to.int64(producer);
            to.int64(11n);
          });
          to.int32(-1);
          to.bytes(partition === 4 ? new Uint8Array(0) : records);
        });
      });
    });
    const { code, partitions } = ours.decode(new Reader(bytes));
    expect(code).toBe(0);
    const decoded = (await kafkajs.response.decode(bytes)) as {
      responses: {
        topicName: string;
        partitions: {
          partition: number;
          errorCode: number;
          lastStableOffset: string;
          abortedTransactions: { producerId: string; firstOffset: string }[];
          messages: unknown[];
        }[];
      }[];
    };
    expect(partitions.map(({ records: _, ...rest }) => rest)).toEqual(
      decoded.responses.flatMap(({ topicName, partitions: theirPartitions }) =>
        theirPartitions.map((one) => ({
          topic: topicName,
          partition: one.partition,
          code: one.errorCode,
          lastStableOffset: Number(one.lastStableOffset),
          aborted: one.abortedTransactions.map(({ producerId, firstOffset }) => ({
            producerId: BigInt(producerId),
            firstOffset: Number(firstOffset),
          })),
        })),
      ),
    );
    expect(partitions.map(({ records: mine }) => mine.length)).toEqual([
      records.length,
      0,
      records.length,
      0,
    ]);
    expect(partitions[0]!.records.buffer).toBe(bytes.buffer);
    expect(Buffer.from(partitions[0]!.records)).toEqual(records);
  });

  test('an answer that is cut off is refused, wherever that is', () => {
    const bytes = answer((to) => {
      to.int32(0);
      to.int16(0);
      to.int32(0);
      to.array(['ticks'], (topic) => {
        to.string(topic);
        to.array([3], (partition) => {
          to.int32(partition);
          to.int16(0);
          for (let field = 0; field < 3; field++) to.int64(0n);
          to.array([7n], (producer) => {
            to.int64(producer);
            to.int64(11n);
          });
          to.int32(-1);
          to.bytes(Buffer.alloc(20));
        });
      });
    });
    expect(ours.decode(new Reader(bytes)).partitions).toHaveLength(1);
    for (let end = 0; end < bytes.length; end++)
      expect(() => ours.decode(new Reader(bytes.subarray(0, end)))).toThrow(/malformed/);
  });
});

describe('kafkajs', () => {
  /** SHA-256 of the files whose insides are used: connections, SASL, record batches. */
  const used: Readonly<Record<string, string>> = {
    'package.json': 'c8453acdf1944fcc',
    'src/network/connection.js': '2a993b2e74421ca6',
    'src/network/requestQueue/index.js': 'b55986089c14f8f7',
    'src/broker/saslAuthenticator/index.js': '535765470e117239',
    'src/protocol/decoder.js': '83c43fac8d6b8ef2',
    'src/protocol/recordBatch/v0/decoder.js': '38cae7fc865f9bc5',
    'src/protocol/recordBatch/record/v0/decoder.js': '86d740054c8be29b',
    'src/protocol/message/compression/index.js': '666ec6400225fe90',
  };

  test('is the one whose insides were read: after a change, read these files again and test against brokers', () => {
    const found = Object.fromEntries(
      Object.keys(used).map((file) => [
        file,
        createHash('sha256')
          .update(readFileSync(require.resolve(`kafkajs/${file}`)))
          .digest('hex')
          .slice(0, 16),
      ]),
    );
    expect(found).toEqual(used);
  });

  test('has what the fallback decode takes from it', () => {
    expect(() => kafkajsInside()).not.toThrow();
  });
});
