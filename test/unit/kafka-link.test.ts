// What: a connection to a broker that answers at once, on a real socket.
// Why: kafkajs puts answers together in parts of it that may change; a copy of each large answer halves the speed of reading.
// Invariant: the broker is this test's; what is asserted is where the bytes of an answer lie.

import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { kafkajsConfig } from '../../connectors/kafka/client.ts';
import { openLink } from '../../connectors/kafka/link.ts';
import { Writer } from '../../connectors/kafka/protocol.ts';
import type { KafkaRequest } from '../../connectors/kafka/requests.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { LentMemory } from '../../src/kernel/lent-memory.ts';
import { connectionTo, recordingLogger } from '../support/kafka-cluster.ts';

const API_VERSIONS = 18;
const FETCH = 1;
const ANSWER_BYTES = 3 * 2 ** 20;

let server: Server;
afterEach(() => server.close());

/** Answers fetches with bytes that are the number of the answer. */
async function listen(): Promise<number> {
  let answers = 0;
  server = createServer((socket: Socket) => {
    socket.on('data', (request) => {
      const to = new Writer();
      to.raw(request.subarray(8, 12)); // correlation id
      if (request.readInt16BE(4) === API_VERSIONS) {
        to.int16(0);
        to.array([FETCH, API_VERSIONS], (key) => {
          to.int16(key);
          to.int16(0);
          to.int16(20);
        });
        to.int32(0);
      } else to.bytes(new Uint8Array(ANSWER_BYTES).fill(++answers));
      const answer = to.finish();
      const size = Buffer.alloc(4);
      size.writeInt32BE(answer.length);
      socket.write(size);
      socket.write(answer);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as { port: number }).port;
}

const fetchBytes: KafkaRequest<Uint8Array> = {
  name: 'Fetch',
  key: FETCH,
  version: 11,
  encode: () => {},
  decode: (from) => from.bytes(),
};

describe('a link', () => {
  it('hands large answers out where they were received, in memory that is used again', async () => {
    const port = await listen();
    const logger = recordingLogger();
    const memory = new LentMemory();
    const config = kafkajsConfig(connectionTo(`127.0.0.1:${port}`), logger, systemClock, memory);
    const kafkajsLogger = { namespace: () => kafkajsLogger, info() {}, error() {}, warn() {}, debug() {} };
    const link = await openLink('127.0.0.1', port, config, kafkajsLogger as never, systemClock);
    const lent = new Set<ArrayBufferLike>();
    for (let answer = 0; answer < 4; answer++) {
      const { buffer, byteOffset, length } = await link.send(fetchBytes);
      expect(length).toBe(ANSWER_BYTES);
      const bytes = new Uint8Array(buffer, byteOffset, length);
      expect([bytes[0], bytes.at(-1)]).toEqual([answer + 1, answer + 1]);
      lent.add(buffer);
      memory.give(buffer);
    }
    link.close();
    expect(lent.size).toBe(1);
  });
});
