// What: what Kafka's and kafkajs's failures mean to us, as ZeptoErrors that name the setting and the way out.
// Why: kafkajs wraps causes in one another and says "Closed connection" where an operator must hear "this listener wants TLS".
// Invariant: a message names settings, brokers and topics, never a credential.

import { type ErrorContext, ZeptoError } from '../../src/kernel/errors.ts';
import type { KafkaConnection } from './client.ts';

/** Error codes of the Kafka protocol that we decide by. */
export const KafkaCode = {
  NONE: 0,
  OFFSET_OUT_OF_RANGE: 1,
  CORRUPT_MESSAGE: 2,
  UNKNOWN_TOPIC_OR_PARTITION: 3,
  LEADER_NOT_AVAILABLE: 5,
  NOT_LEADER_OR_FOLLOWER: 6,
  REQUEST_TIMED_OUT: 7,
  BROKER_NOT_AVAILABLE: 8,
  REPLICA_NOT_AVAILABLE: 9,
  MESSAGE_TOO_LARGE: 10,
  OFFSET_METADATA_TOO_LARGE: 12,
  NETWORK_EXCEPTION: 13,
  COORDINATOR_LOAD_IN_PROGRESS: 14,
  COORDINATOR_NOT_AVAILABLE: 15,
  NOT_COORDINATOR: 16,
  INVALID_TOPIC_EXCEPTION: 17,
  RECORD_LIST_TOO_LARGE: 18,
  NOT_ENOUGH_REPLICAS: 19,
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: 20,
  TOPIC_AUTHORIZATION_FAILED: 29,
  GROUP_AUTHORIZATION_FAILED: 30,
  CLUSTER_AUTHORIZATION_FAILED: 31,
  SASL_AUTHENTICATION_FAILED: 58,
  UNSUPPORTED_SASL_MECHANISM: 33,
  ILLEGAL_SASL_STATE: 34,
  UNSUPPORTED_VERSION: 35,
  TOPIC_ALREADY_EXISTS: 36,
  INVALID_PARTITIONS: 37,
  INVALID_REPLICATION_FACTOR: 38,
  INVALID_CONFIG: 40,
  NOT_CONTROLLER: 41,
  POLICY_VIOLATION: 44,
  OUT_OF_ORDER_SEQUENCE_NUMBER: 45,
  DUPLICATE_SEQUENCE_NUMBER: 46,
  INVALID_PRODUCER_EPOCH: 47,
  INVALID_TXN_STATE: 48,
  INVALID_PRODUCER_ID_MAPPING: 49,
  INVALID_TRANSACTION_TIMEOUT: 50,
  CONCURRENT_TRANSACTIONS: 51,
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: 53,
  OPERATION_NOT_ATTEMPTED: 55,
  KAFKA_STORAGE_ERROR: 56,
  UNKNOWN_PRODUCER_ID: 59,
  FENCED_LEADER_EPOCH: 74,
  UNKNOWN_LEADER_EPOCH: 75,
  OFFSET_NOT_AVAILABLE: 78,
  INVALID_RECORD: 87,
  UNSTABLE_OFFSET_COMMIT: 88,
  THROTTLING_QUOTA_EXCEEDED: 89,
  PRODUCER_FENCED: 90,
  TRANSACTION_ABORTABLE: 120,
} as const;

const nameByCode = new Map<number, string>(Object.entries(KafkaCode).map(([name, code]) => [code, name]));

/** `INVALID_PRODUCER_EPOCH (47)`. */
export function codeName(code: number): string {
  return `${nameByCode.get(code) ?? 'error'} (${code})`;
}

/** The broker did not do what was asked, and may do it in a moment: leaders move, coordinators load, transactions end. */
export function isPassing(code: number): boolean {
  return passing.has(code);
}

const passing: ReadonlySet<number> = new Set([
  KafkaCode.CORRUPT_MESSAGE,
  KafkaCode.UNKNOWN_TOPIC_OR_PARTITION,
  KafkaCode.LEADER_NOT_AVAILABLE,
  KafkaCode.NOT_LEADER_OR_FOLLOWER,
  KafkaCode.REQUEST_TIMED_OUT,
  KafkaCode.BROKER_NOT_AVAILABLE,
  KafkaCode.REPLICA_NOT_AVAILABLE,
  KafkaCode.NETWORK_EXCEPTION,
  KafkaCode.COORDINATOR_LOAD_IN_PROGRESS,
  KafkaCode.COORDINATOR_NOT_AVAILABLE,
  KafkaCode.NOT_COORDINATOR,
  KafkaCode.NOT_ENOUGH_REPLICAS,
  KafkaCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
  KafkaCode.NOT_CONTROLLER,
  KafkaCode.CONCURRENT_TRANSACTIONS,
  KafkaCode.KAFKA_STORAGE_ERROR,
  KafkaCode.FENCED_LEADER_EPOCH,
  KafkaCode.UNKNOWN_LEADER_EPOCH,
  KafkaCode.OFFSET_NOT_AVAILABLE,
  KafkaCode.UNSTABLE_OFFSET_COMMIT,
  KafkaCode.THROTTLING_QUOTA_EXCEEDED,
]);

/** Another producer with the same transactional id exists, or the coordinator gave ours up. */
export function isFenced(code: number): boolean {
  return (
    code === KafkaCode.INVALID_PRODUCER_EPOCH ||
    code === KafkaCode.PRODUCER_FENCED ||
    code === KafkaCode.INVALID_PRODUCER_ID_MAPPING
  );
}

export function isCoordinatorMoved(code: number): boolean {
  return code === KafkaCode.NOT_COORDINATOR || code === KafkaCode.COORDINATOR_NOT_AVAILABLE;
}

/** What the credential lacks, for the authorisation codes. */
const missingRight = new Map<number, string>([
  [KafkaCode.TOPIC_AUTHORIZATION_FAILED, 'the topic'],
  [KafkaCode.GROUP_AUTHORIZATION_FAILED, 'the consumer group'],
  [KafkaCode.CLUSTER_AUTHORIZATION_FAILED, 'the cluster'],
  [KafkaCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, 'the transactional id'],
]);

/** An answer with an error code, as a ZeptoError. `doing` completes "Kafka refused to …". */
export function refusal(code: number, doing: string, context: ErrorContext = {}): ZeptoError {
  const right = missingRight.get(code);
  if (right !== undefined)
    return new ZeptoError(
      'KAFKA_AUTH',
      'stop',
      `Kafka refused to ${doing}: ${codeName(code)}. Grant this process's Kafka user the right to ${right}`,
      { context },
    );
  if (code === KafkaCode.UNKNOWN_TOPIC_OR_PARTITION || code === KafkaCode.INVALID_TOPIC_EXCEPTION)
    return new ZeptoError('KAFKA_TOPIC_MISSING', 'stop', `Kafka could not ${doing}: ${codeName(code)}`, {
      context,
    });
  if (isPassing(code))
    return new ZeptoError('KAFKA_UNREACHABLE', 'retry', `Kafka could not yet ${doing}: ${codeName(code)}`, {
      context,
    });
  return new ZeptoError('KAFKA_PROTOCOL', 'stop', `Kafka refused to ${doing}: ${codeName(code)}`, {
    context,
  });
}

/**
 * Any failure of kafkajs as a ZeptoError: KAFKA_AUTH (stop), KAFKA_TOPIC_MISSING (stop), KAFKA_UNREACHABLE (retry),
 * KAFKA_PROTOCOL (stop). `doing` completes "while trying to …".
 */
export function kafkaError(
  error: unknown,
  doing: string,
  connection: KafkaConnection,
  context: ErrorContext = {},
): ZeptoError {
  const chain = causes(error);
  for (const link of chain) if (link instanceof ZeptoError) return link;
  const fail = (code: ZeptoError['code'], action: ZeptoError['action'], message: string): ZeptoError =>
    new ZeptoError(code, action, `${message} (while trying to ${doing})`, { cause: error, context });

  for (const link of chain) {
    const fields = link as {
      name?: string;
      type?: string;
      code?: unknown;
      message?: string;
      broker?: string;
    };
    const text = fields.message ?? '';
    const broker = fields.broker ?? connection.brokers.join(', ');
    if (isAuthentication(fields.name, fields.type, text))
      return fail('KAFKA_AUTH', 'stop', authenticationAdvice(text, connection, broker));
    const tls = tlsAdvice(String(fields.code ?? ''), text, broker);
    if (tls !== null) return fail(tls.code, 'stop', tls.message);
    if (typeof fields.code === 'number' && missingRight.has(fields.code))
      return refusal(fields.code, doing, context);
    if (fields.type === 'UNKNOWN_TOPIC_OR_PARTITION')
      return fail('KAFKA_TOPIC_MISSING', 'stop', 'the topic does not exist; create it or correct the name');
  }
  for (const link of chain) {
    const { name = '', code, retriable } = link as { name?: string; code?: unknown; retriable?: boolean };
    if (networkErrors.has(name) || (typeof code === 'string' && /^E[A-Z]+$/.test(code)))
      return fail('KAFKA_UNREACHABLE', 'retry', networkAdvice(link as Error, connection));
    if (typeof code === 'number' && (retriable === true || isPassing(code)))
      return fail('KAFKA_UNREACHABLE', 'retry', `Kafka answered ${codeName(code)}`);
  }
  const last = chain.at(-1);
  return fail('KAFKA_PROTOCOL', 'stop', last instanceof Error ? last.message : String(last));
}

const networkErrors = new Set([
  'KafkaJSConnectionError',
  'KafkaJSConnectionClosedError',
  'KafkaJSRequestTimeoutError',
  'KafkaJSBrokerNotFound',
  'KafkaJSNoBrokerAvailableError',
  'KafkaJSLockTimeout',
  'KafkaJSTimeout',
  'KafkaJSMetadataNotLoaded',
  'KafkaJSTopicMetadataNotLoaded',
  'KafkaJSGroupCoordinatorNotFound',
]);

/** The error and what it wraps, outermost first. */
function causes(error: unknown): unknown[] {
  const chain: unknown[] = [];
  let link: unknown = error;
  while (link !== undefined && link !== null && chain.length < 16 && !chain.includes(link)) {
    chain.push(link);
    const { cause, errors, originalError } = link as {
      cause?: unknown;
      errors?: unknown[];
      originalError?: unknown;
    };
    link = cause ?? originalError ?? errors?.[0];
  }
  return chain;
}

function isAuthentication(name: string | undefined, type: string | undefined, text: string): boolean {
  return (
    name === 'KafkaJSSASLAuthenticationError' ||
    type === 'SASL_AUTHENTICATION_FAILED' ||
    type === 'UNSUPPORTED_SASL_MECHANISM' ||
    // A request that was already on its way when the broker refused the credentials.
    type === 'ILLEGAL_SASL_STATE' ||
    /SASL \S+ (mechanism is not supported|authentication failed)/i.test(text)
  );
}

function authenticationAdvice(text: string, connection: KafkaConnection, broker: string): string {
  const { sasl } = connection;
  if (sasl === null)
    return `${broker} wants SASL authentication: set --kafka-sasl-mechanism and its credentials`;
  if (/not supported|UNSUPPORTED/i.test(text))
    return `${broker} does not offer --kafka-sasl-mechanism ${sasl.mechanism}: choose one that its listener has enabled`;
  if (sasl.mechanism === 'oauthbearer')
    return `${broker} refused the bearer token: check --kafka-sasl-token-file or --kafka-sasl-token-url, and the issuer and audience that the broker expects`;
  return `${broker} refused user "${sasl.username}" by ${sasl.mechanism}: check --kafka-sasl-username and --kafka-sasl-password-file (or ZEPTO_KAFKA_SASL_PASSWORD)`;
}

/** Codes of Node's TLS layer that no repeat will heal. */
function tlsAdvice(
  code: string,
  text: string,
  broker: string,
): { code: 'KAFKA_AUTH' | 'KAFKA_UNREACHABLE'; message: string } | null {
  if (
    /SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER|CERT_UNTRUSTED/.test(code) ||
    /self.signed certificate|unable to (verify|get)/i.test(text)
  )
    return {
      code: 'KAFKA_AUTH',
      message: `the certificate of ${broker} is not signed by a trusted authority: set --kafka-tls-ca to the authority's PEM file`,
    };
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' || /does not match certificate/i.test(text))
    return {
      code: 'KAFKA_AUTH',
      message: `the certificate of ${broker} is for another name: the broker must be named as in its certificate, in --brokers and in its advertised.listeners`,
    };
  if (code === 'CERT_HAS_EXPIRED' || /certificate has expired/i.test(text))
    return { code: 'KAFKA_AUTH', message: `the certificate of ${broker} has expired` };
  if (/wrong version number|packet length too long|unknown protocol/i.test(text))
    return {
      code: 'KAFKA_UNREACHABLE',
      message: `${broker} does not speak TLS on this port: use its TLS listener or leave --kafka-tls out`,
    };
  if (/alert (certificate required|bad certificate|unknown ca|handshake failure)/i.test(text))
    return {
      code: 'KAFKA_AUTH',
      message: `${broker} did not accept our certificate: check --kafka-tls-cert and --kafka-tls-key`,
    };
  return null;
}

function networkAdvice(link: Error, connection: KafkaConnection): string {
  const { broker } = link as { broker?: string };
  const where = broker ?? connection.brokers.join(', ');
  if (/ENOTFOUND|EAI_AGAIN/.test(link.message))
    return `${where} cannot be resolved: check the host in --brokers`;
  if (/ECONNREFUSED/.test(link.message))
    return `nothing listens at ${where}: check --brokers, and that the broker runs`;
  if (/closed|ECONNRESET|socket disconnected/i.test(link.message)) {
    const hints = [
      ...(connection.tls === null ? ['set --kafka-tls if the listener is TLS'] : []),
      ...(connection.sasl === null ? ['set --kafka-sasl-mechanism if it wants authentication'] : []),
    ];
    return `${where} closed the connection${hints.length > 0 ? `: if this lasts, ${hints.join(', and ')}` : ''}`;
  }
  if (/timed? ?out/i.test(link.message))
    return `${where} does not answer in time: check --brokers and the network`;
  return `${where} is not reachable: ${link.message}`;
}
