// What: TLS and SASL against a broker that asks for them, with right and wrong settings.
// Why: a wrong password must end in a sentence about the password, not in retries or a closed connection.
// Invariant: no error and no log line contains a password or a token.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createKafka, type KafkaConnection, type KafkaSasl } from '../../connectors/kafka/client.ts';
import { kafkaError } from '../../connectors/kafka/errors.ts';
import { openOffsetStore } from '../../connectors/kafka/offset-store.ts';
import { oauthToken } from '../../services/kafka-security.ts';
import { type Services, startServices } from '../../services/up.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { ZeptoError } from '../../src/kernel/errors.ts';
import {
  connectionTo,
  makeTopic,
  recordingLogger,
  testCluster,
  uniqueName,
} from '../support/kafka-cluster.ts';

let services: Services<'kafka'>;
let topic: string;
let directory: string;
const logger = recordingLogger();

beforeAll(async () => {
  services = await startServices({
    with: ['kafka'],
    kafka: { listeners: ['sasl', 'ssl'] },
    report: () => {},
  });
  topic = await makeTopic(services.kafka.brokers);
  directory = await mkdtemp(join(tmpdir(), 'kafka-security-'));
});
afterAll(async () => {
  await services?.stop();
  await rm(directory, { recursive: true });
});

/** A commit through our own connections, then a request through kafkajs. */
async function useBoth(brokers: string, connection: Partial<KafkaConnection>): Promise<void> {
  const cluster = testCluster(brokers, { connection, logger, patienceMs: 3_000 });
  const log = openOffsetStore({ cluster, group: uniqueName('g'), clock: systemClock, logger }).open({
    topic,
    partition: 0,
  });
  await log.fence();
  await log.commit(1, 'm', []);
  const admin = createKafka(connectionTo(brokers, connection), logger).admin();
  await admin.connect();
  expect(await admin.listTopics()).toContain(topic);
  await admin.disconnect();
}

/** The failures of our own connections and of kafkajs. */
async function failures(brokers: string, connection: Partial<KafkaConnection>): Promise<ZeptoError[]> {
  const cluster = testCluster(brokers, { connection, logger, patienceMs: 500 });
  const mine = await cluster.partitionCount(topic).catch((error: ZeptoError) => error);
  const settings = connectionTo(brokers, { retriesMax: 1, ...connection });
  const admin = createKafka(settings, logger).admin();
  const theirs = await admin
    .connect()
    .then(() => admin.listTopics())
    .catch((error: unknown) => kafkaError(error, 'connect', settings))
    .finally(() => admin.disconnect());
  return [mine as ZeptoError, theirs as ZeptoError];
}

const passwordSasl = (
  mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512',
  password?: string,
): KafkaSasl => {
  const { sasl } = services.kafka;
  return { mechanism, username: sasl!.username, password: password ?? sasl!.password };
};

describe('SASL', () => {
  it.each(['plain', 'scram-sha-256', 'scram-sha-512'] as const)(
    '%s opens with the right password',
    async (mechanism) => {
      await useBoth(services.kafka.sasl!.brokers, { sasl: passwordSasl(mechanism) });
    },
  );

  it.each(['plain', 'scram-sha-256', 'scram-sha-512'] as const)(
    '%s with a wrong password is refused by the name of the setting, at once',
    async (mechanism) => {
      const startMs = performance.now();
      const errors = await failures(services.kafka.sasl!.brokers, {
        sasl: passwordSasl(mechanism, 'wrong-secret'),
      });
      for (const error of errors) {
        expect(error).toMatchObject({ code: 'KAFKA_AUTH', action: 'stop' });
        expect(error.message).toContain(`refused user "${services.kafka.sasl!.username}" by ${mechanism}`);
        expect(error.message).toContain('--kafka-sasl-password');
        expect(error.message).not.toContain('wrong-secret');
      }
      expect(performance.now() - startMs).toBeLessThan(10_000);
    },
  );

  it('that is wanted and not set is asked for', async () => {
    for (const error of await failures(services.kafka.sasl!.brokers, {})) {
      expect(error.code).toBe('KAFKA_UNREACHABLE');
      expect(error.message).toContain('--kafka-sasl-mechanism');
    }
  });

  it('by a token from a file opens, and the file may change', async () => {
    const path = join(directory, 'token');
    await writeFile(path, oauthToken(3600));
    const sasl: KafkaSasl = { mechanism: 'oauthbearer', token: { kind: 'file', path } };
    await useBoth(services.kafka.sasl!.brokers, { sasl });
    await writeFile(path, 'nonsense');
    for (const error of await failures(services.kafka.sasl!.brokers, { sasl })) {
      expect(error).toMatchObject({ code: 'KAFKA_AUTH', action: 'stop' });
      expect(error.message).toContain('--kafka-sasl-token-file');
    }
    await rm(path);
    for (const error of await failures(services.kafka.sasl!.brokers, { sasl }))
      expect(error.message).toMatch(/--kafka-sasl-token-file .* cannot be read/);
  });

  it('by a token from a token server opens', async () => {
    const server = createServer((_, response) => {
      response.end(JSON.stringify({ access_token: oauthToken(3600), expires_in: 3600 }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const tokenUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`;
    const token = {
      kind: 'client-credentials',
      tokenUrl,
      clientId: 'id',
      clientSecret: 'shh',
      scope: null,
    } as const;
    await useBoth(services.kafka.sasl!.brokers, { sasl: { mechanism: 'oauthbearer', token } });
    await new Promise((resolve) => server.close(resolve));
  });
});

describe('TLS', () => {
  const tls = (caFile: string | null): Partial<KafkaConnection> => ({
    tls: { caFile, certFile: null, keyFile: null },
  });

  it('opens with the authority of the broker', async () => {
    await useBoth(services.kafka.ssl!.brokers, tls(services.kafka.ssl!.caFile));
  });

  it('without it is refused by the name of the setting', async () => {
    for (const error of await failures(services.kafka.ssl!.brokers, tls(null))) {
      expect(error).toMatchObject({ code: 'KAFKA_AUTH', action: 'stop' });
      expect(error.message).toContain('--kafka-tls-ca');
    }
  });

  it('at a port without it says so', async () => {
    for (const error of await failures(services.kafka.brokers, tls(services.kafka.ssl!.caFile))) {
      expect(error.message).toMatch(/TLS|closed the connection/);
    }
  });

  it('that is wanted and not set is asked for', async () => {
    for (const error of await failures(services.kafka.ssl!.brokers, {
      requestTimeoutMs: 2_000,
      connectTimeoutMs: 2_000,
    })) {
      expect(error.code).toBe('KAFKA_UNREACHABLE');
      expect(error.message).toMatch(/--kafka-tls|does not answer/);
    }
  });
});

it('nothing of this left a secret in the log', () => {
  const text = JSON.stringify(logger.lines);
  expect(logger.lines.length).toBeGreaterThan(0);
  for (const secret of [services.kafka.sasl!.password, 'wrong-secret', 'shh', 'nonsense'])
    expect(text).not.toContain(secret);
});
