// What: the Kafka settings as plain data: what is accepted, what is refused with which flag, what is logged.
// Why: a wrong setting must be found before the first connection, and a credential must never reach a log.
// Invariant: no text of a log line or an error contains the password.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LogEntry } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  brokerAddress,
  createKafka,
  type KafkaConnection,
  kafkajsConfig,
} from '../../connectors/kafka/client.ts';
import type { KafkaConfig } from '../../src/config/config.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { Logger } from '../../src/ports.ts';

const plain: KafkaConnection = { brokers: ['localhost:9092'], clientId: 'test', tls: null, sasl: null };

function recordingLogger(): { logger: Logger; lines: { level: string; text: string }[] } {
  const lines: { level: string; text: string }[] = [];
  const at =
    (level: string) =>
    (fields: Readonly<Record<string, unknown>>, message: string): void => {
      lines.push({ level, text: JSON.stringify([fields, message]) });
    };
  return { logger: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }, lines };
}

describe('broker addresses', () => {
  it.each([
    ['localhost:9092', { host: 'localhost', port: 9092 }],
    ['kafka-0.kafka.svc:19092', { host: 'kafka-0.kafka.svc', port: 19092 }],
    ['10.0.0.1:65535', { host: '10.0.0.1', port: 65535 }],
  ])('%s is taken apart', (text, expected) => {
    expect(brokerAddress(text)).toEqual(expected);
  });

  it.each([
    'localhost',
    'localhost:0',
    'localhost:65536',
    'kafka://localhost:9092',
    '[::1]:9092',
    'a b:1',
    '',
  ])('"%s" is refused by the name of its flag', (text) => {
    expect(() => createKafka({ ...plain, brokers: [text] }, recordingLogger().logger)).toThrow(/--brokers/);
  });

  it('an empty list is refused', () => {
    expect(() => createKafka({ ...plain, brokers: [] }, recordingLogger().logger)).toThrow(
      /--brokers is empty/,
    );
  });
});

describe('TLS files', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'kafka-client-'));
    await writeFile(join(directory, 'ca.pem'), '-----BEGIN CERTIFICATE-----\n');
    await writeFile(join(directory, 'ca.der'), 'not text');
  });
  afterAll(() => rm(directory, { recursive: true }));
  const tls = (files: object): KafkaConnection => ({
    ...plain,
    tls: { caFile: null, certFile: null, keyFile: null, ...files },
  });

  it('a file that is missing is refused before anything connects', () => {
    const connection = tls({ caFile: join(directory, 'none.pem') });
    expect(() => createKafka(connection, recordingLogger().logger)).toThrow(/--kafka-tls-ca .*ENOENT/);
  });

  it('a file that is not PEM is refused', () => {
    const connection = tls({ caFile: join(directory, 'ca.der') });
    expect(() => createKafka(connection, recordingLogger().logger)).toThrow(/not a PEM file/);
  });

  it('a certificate without its key is refused', () => {
    const connection = tls({ certFile: join(directory, 'ca.pem') });
    expect(() => createKafka(connection, recordingLogger().logger)).toThrow(/--kafka-tls-key/);
  });

  it('a good file is accepted', () => {
    expect(() =>
      createKafka(tls({ caFile: join(directory, 'ca.pem') }), recordingLogger().logger),
    ).not.toThrow();
  });
});

describe('logging', () => {
  it('says the same thing once in a while, and how often it was said', () => {
    const { logger, lines } = recordingLogger();
    let nowMs = 0;
    const write = kafkajsConfig(plain, logger, { ...systemClock, monotonicMs: () => nowMs }).logCreator!(4);
    for (nowMs = 0; nowMs <= 30_000; nowMs += 100) write(entry(1, { broker: 'b:1' }));
    expect(lines.length).toBe(4);
    expect(lines[1]!.text).toContain('"heldBack":99');
    write(entry(1, { broker: 'b:2' }));
    expect(lines.length).toBe(5);
  });

  const entry = (level: number, log: object): LogEntry => ({
    namespace: 'Connection',
    level,
    label: '',
    log: { timestamp: '', message: 'text', ...log },
  });

  it('passes fields that are known to be harmless, and no others', () => {
    const { logger, lines } = recordingLogger();
    const write = kafkajsConfig(plain, logger, systemClock).logCreator!(4);
    write(entry(4, { broker: 'b:1', groupId: 'g', sasl: { password: 'hunter2' }, payload: 'hunter2' }));
    expect(lines).toEqual([
      { level: 'info', text: '[{"kafkajs":"Connection","broker":"b:1","groupId":"g"},"text"]' },
    ]);
  });

  it("kafkajs's errors are warnings: what lasts is thrown", () => {
    const { logger, lines } = recordingLogger();
    const write = kafkajsConfig(plain, logger, systemClock).logCreator!(4);
    write(entry(1, { error: new Error('boom') }));
    expect(lines).toEqual([{ level: 'warn', text: '[{"kafkajs":"Connection","error":"boom"},"text"]' }]);
  });
});

it('the configuration of the program is accepted as it is', () => {
  const config: KafkaConfig = {
    brokers: ['localhost:9092'],
    clientId: 'zepto',
    tls: null,
    sasl: { mechanism: 'scram-sha-512', username: 'alice', password: 'hunter2' },
    fetchDecode: 'direct',
    fetchWaitMsMax: 200,
    fetchBytesMax: 1,
    fetchPartitionBytesMax: 1,
    deadLetterSuffix: '.dlq',
  };
  const { sasl, clientId } = kafkajsConfig(config, recordingLogger().logger, systemClock);
  expect(sasl).toEqual({ mechanism: 'scram-sha-512', username: 'alice', password: 'hunter2' });
  expect(clientId).toBe('zepto');
});
