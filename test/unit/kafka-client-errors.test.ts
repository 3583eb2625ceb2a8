// What: kafkajs's failures, as it wraps them, become errors that name the setting to look at.
// Why: "Closed connection" is no help to an operator whose broker wants TLS.
// Invariant: every failure has an action; only those that may pass are `retry`.

import { describe, expect, it } from 'vitest';
import type { KafkaConnection } from '../../connectors/kafka/client.ts';
import { codeName, isPassing, KafkaCode, kafkaError, refusal } from '../../connectors/kafka/errors.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';

const plain: KafkaConnection = { brokers: ['b:9092'], clientId: 't', tls: null, sasl: null };
const scram: KafkaConnection = {
  ...plain,
  sasl: { mechanism: 'scram-sha-256', username: 'alice', password: 'hunter2' },
};
/** An error as kafkajs makes them: a name, and fields beside the message. */
const failure = (name: string, message: string, fields: object = {}): Error =>
  Object.assign(new Error(message), { name, ...fields });
const connectionError = (message: string, code?: string): Error =>
  failure('KafkaJSConnectionError', `Connection error: ${message}`, {
    broker: 'b:9092',
    ...(code ? { code } : {}),
  });

describe('a failure of kafkajs', () => {
  it.each<[string, Error, KafkaConnection, string, string, RegExp]>([
    [
      'refused',
      connectionError('connect ECONNREFUSED 1.2.3.4:9092', 'ECONNREFUSED'),
      plain,
      'KAFKA_UNREACHABLE',
      'retry',
      /nothing listens at b:9092: check --brokers/,
    ],
    [
      'unknown host',
      connectionError('getaddrinfo ENOTFOUND b', 'ENOTFOUND'),
      plain,
      'KAFKA_UNREACHABLE',
      'retry',
      /cannot be resolved/,
    ],
    [
      'timeout',
      failure('KafkaJSConnectionError', 'Connection timeout', { broker: 'b:9092' }),
      plain,
      'KAFKA_UNREACHABLE',
      'retry',
      /does not answer in time/,
    ],
    [
      'request timeout',
      failure('KafkaJSRequestTimeoutError', 'Request EndTxn(key: 26, version: 1) timed out'),
      plain,
      'KAFKA_UNREACHABLE',
      'retry',
      /does not answer in time/,
    ],
    [
      'closed, with nothing set',
      failure('KafkaJSConnectionClosedError', 'Closed connection'),
      plain,
      'KAFKA_UNREACHABLE',
      'retry',
      /set --kafka-tls .*set --kafka-sasl-mechanism/,
    ],
    [
      'closed, with SASL',
      failure('KafkaJSConnectionClosedError', 'Closed connection'),
      scram,
      'KAFKA_UNREACHABLE',
      'retry',
      /set --kafka-tls if the listener is TLS \(/,
    ],
    [
      'wrong password',
      failure('KafkaJSSASLAuthenticationError', 'SASL SCRAM SHA256 authentication failed'),
      scram,
      'KAFKA_AUTH',
      'stop',
      /refused user "alice" .*--kafka-sasl-password/,
    ],
    [
      'mechanism not offered',
      failure(
        'KafkaJSSASLAuthenticationError',
        'SASL SCRAM-SHA-256 mechanism is not supported by the server',
      ),
      scram,
      'KAFKA_AUTH',
      'stop',
      /does not offer --kafka-sasl-mechanism scram-sha-256/,
    ],
    [
      'unknown authority',
      connectionError('self-signed certificate in certificate chain', 'SELF_SIGNED_CERT_IN_CHAIN'),
      plain,
      'KAFKA_AUTH',
      'stop',
      /--kafka-tls-ca/,
    ],
    [
      'wrong name',
      connectionError("Hostname/IP does not match certificate's altnames", 'ERR_TLS_CERT_ALTNAME_INVALID'),
      plain,
      'KAFKA_AUTH',
      'stop',
      /for another name/,
    ],
    [
      'expired',
      connectionError('certificate has expired', 'CERT_HAS_EXPIRED'),
      plain,
      'KAFKA_AUTH',
      'stop',
      /has expired/,
    ],
    [
      'TLS to a plain port',
      connectionError('write EPROTO ssl3_get_record:wrong version number', 'EPROTO'),
      plain,
      'KAFKA_UNREACHABLE',
      'stop',
      /does not speak TLS/,
    ],
    [
      'topic missing',
      failure('KafkaJSProtocolError', 'no', { type: 'UNKNOWN_TOPIC_OR_PARTITION', code: 3, retriable: true }),
      plain,
      'KAFKA_TOPIC_MISSING',
      'stop',
      /does not exist/,
    ],
    [
      'no right to the group',
      failure('KafkaJSProtocolError', 'no', { type: 'GROUP_AUTHORIZATION_FAILED', code: 30 }),
      plain,
      'KAFKA_AUTH',
      'stop',
      /the consumer group/,
    ],
    [
      'coordinator loading',
      failure('KafkaJSProtocolError', 'no', { type: 'GROUP_LOAD_IN_PROGRESS', code: 14, retriable: true }),
      plain,
      'KAFKA_UNREACHABLE',
      'retry',
      /COORDINATOR_LOAD_IN_PROGRESS/,
    ],
    ['anything else', new Error('surprise'), plain, 'KAFKA_PROTOCOL', 'stop', /surprise/],
  ])('%s', (_, error, connection, code, action, message) => {
    const result = kafkaError(error, 'join the group', connection);
    expect(result).toMatchObject({ code, action });
    expect(result.message).toMatch(message);
    expect(result.message).toContain('join the group');
    expect(result.message).not.toContain('hunter2');
  });

  it('is found however deep it is wrapped', () => {
    const inner = failure('KafkaJSSASLAuthenticationError', 'SASL PLAIN authentication failed');
    const retried = failure('KafkaJSNumberOfRetriesExceeded', 'gave up', { cause: inner });
    const outer = failure('KafkaJSNonRetriableError', 'gave up', { cause: retried });
    expect(kafkaError(outer, 'connect', scram).code).toBe('KAFKA_AUTH');
    const several = failure('KafkaJSAggregateError', 'several', { errors: [inner] });
    expect(kafkaError(several, 'connect', scram).code).toBe('KAFKA_AUTH');
  });

  it('that wraps itself ends the search', () => {
    const loop = failure('KafkaJSError', 'loop');
    Object.assign(loop, { cause: loop });
    expect(kafkaError(loop, 'connect', plain).code).toBe('KAFKA_PROTOCOL');
  });

  it('that we threw ourselves stays as it is', () => {
    const ours = new ZeptoError('KAFKA_AUTH', 'retry', 'the token server is away');
    const wrapped = failure('KafkaJSNonRetriableError', 'x', { cause: ours });
    expect(kafkaError(wrapped, 'connect', plain)).toBe(ours);
  });
});

describe('an answer with an error code', () => {
  it('that may pass is retried, another stops', () => {
    for (const code of Object.values(KafkaCode)) {
      const { action } = refusal(code, 'do it');
      expect(action, codeName(code)).toBe(
        isPassing(code) && code !== KafkaCode.UNKNOWN_TOPIC_OR_PARTITION ? 'retry' : 'stop',
      );
    }
  });

  it('that we do not know stops, with its number', () => {
    expect(refusal(119, 'do it')).toMatchObject({ code: 'KAFKA_PROTOCOL', action: 'stop' });
    expect(refusal(119, 'do it').message).toContain('119');
  });
});
