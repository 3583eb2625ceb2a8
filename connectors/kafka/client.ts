// What: how to reach the Kafka cluster, as plain data, and the kafkajs client made from it.
// Why: TLS, SASL, time limits and logging are set in one place, the same for every connection of the process.
// Invariant: no password, key or token is ever logged, and none stands in an error.

import { readFileSync } from 'node:fs';
import { isIP, connect as openTcp, type Socket } from 'node:net';
import { type ConnectionOptions, connect as openTls } from 'node:tls';
import {
  type ISocketFactory,
  Kafka,
  type KafkaConfig,
  type LogEntry,
  logLevel,
  type Mechanism,
  type SASLOptions,
} from 'kafkajs';
import type { Clock } from '../../src/kernel/clock.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import { LentMemory } from '../../src/kernel/lent-memory.ts';
import type { Logger } from '../../src/ports.ts';
import { Frames } from './frames.ts';
import { bearerTokens, oauthBearer, type TokenSource } from './oauth.ts';

/** Where the cluster is and how to speak to it. Errors name the settings by their flags (`--kafka-sasl-password`). */
export interface KafkaConnection {
  /** Bootstrap servers, `host:port`; others are discovered. */
  readonly brokers: readonly string[];
  /** Shown in the brokers' logs, metrics and quotas. */
  readonly clientId: string;
  /** Null: plain text. */
  readonly tls: KafkaTls | null;
  /** Null: no authentication, or by TLS client certificate alone. */
  readonly sasl: KafkaSasl | null;
  /** Longest wait for a TCP or TLS connection and for authentication on it. Default 10 s. */
  readonly connectTimeoutMs?: number;
  /** Longest wait for one answer. Default 30 s. */
  readonly requestTimeoutMs?: number;
  /** How often kafkajs repeats a request that failed in passing, before the failure is ours to judge. Default 8. */
  readonly retriesMax?: number;
  /** First pause between repeats (default 100 ms), doubled each time up to `retryPauseMaxMs` (default 5 s). */
  readonly retryPauseMs?: number;
  readonly retryPauseMaxMs?: number;
}

/** PEM files; null or absent: the system's authorities, no client certificate. They are read again for each connection, so that certificates may be renewed while the process runs. */
export interface KafkaTls {
  /** Authorities to trust instead of the system's. */
  readonly caFile: string | null;
  /** Client certificate and its key, for brokers that ask for one: both or neither. */
  readonly certFile: string | null;
  readonly keyFile: string | null;
}

export type KafkaSasl =
  | {
      readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
      readonly username: string;
      /** Secret. */
      readonly password: string;
    }
  | {
      readonly mechanism: 'oauthbearer';
      readonly token: TokenSource;
      /** SASL extensions, which some hosted clusters ask for (`logicalCluster`, `identityPoolId`). */
      readonly extensions?: Readonly<Record<string, string>>;
    };

export const CONNECT_TIMEOUT_MS = 10_000;
export const REQUEST_TIMEOUT_MS = 30_000;

/** @throws ZeptoError CONFIG_INVALID when a broker address or a TLS file is wrong. Connects to nothing yet. */
export function createKafka(connection: KafkaConnection, logger: Logger, clock: Clock = systemClock): Kafka {
  return new Kafka(kafkajsConfig(connection, logger, clock));
}

/**
 * The same settings in kafkajs's words, for the parts of it that `Kafka` hides. Answers over plain connections lie in
 * `memory`.
 */
export function kafkajsConfig(
  connection: KafkaConnection,
  logger: Logger,
  clock: Clock,
  memory = new LentMemory(),
): KafkaConfig {
  const { brokers, clientId, tls, sasl } = connection;
  if (brokers.length === 0) throw invalid('--brokers is empty: give at least one HOST:PORT');
  for (const broker of brokers) brokerAddress(broker);
  if (tls !== null) tlsOptions(tls);
  const connectTimeoutMs = connection.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
  return {
    brokers: [...brokers],
    clientId,
    ssl: tls !== null,
    ...(sasl === null ? {} : { sasl: saslOptions(sasl, connectTimeoutMs, clock) }),
    socketFactory: socketFactory(tls, memory),
    connectionTimeout: connectTimeoutMs,
    authenticationTimeout: connectTimeoutMs,
    requestTimeout: connection.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
    retry: {
      retries: connection.retriesMax ?? 8,
      initialRetryTime: connection.retryPauseMs ?? 100,
      maxRetryTime: connection.retryPauseMaxMs ?? 5_000,
    },
    logLevel: logLevel.INFO,
    logCreator: () => damped(logger, clock),
  };
}

/** @throws ZeptoError CONFIG_INVALID */
export function brokerAddress(broker: string): { readonly host: string; readonly port: number } {
  const match = /^([^:[\]\s/]+):(\d{1,5})$/.exec(broker);
  const port = Number(match?.[2]);
  if (match === null || port < 1 || port > 65_535)
    throw invalid(
      `--brokers has "${broker}": write HOST:PORT without a scheme (an IPv6 address needs a host name)`,
    );
  return { host: match[1]!, port };
}

function saslOptions(sasl: KafkaSasl, timeoutMs: number, clock: Clock): SASLOptions | Mechanism {
  if (sasl.mechanism === 'oauthbearer')
    return oauthBearer(bearerTokens(sasl.token, timeoutMs, clock), sasl.extensions ?? {});
  // A copy: kafkajs keeps its authenticator in it. The cast spells the three mechanisms out as kafkajs's union wants them.
  return { ...sasl } as SASLOptions;
}

function socketFactory(tls: KafkaTls | null, memory: LentMemory): ISocketFactory {
  return ({ host, port, onConnect }) => {
    let socket: Socket;
    if (tls === null) socket = inFrames({ host, port }, memory, onConnect);
    else {
      const servername = isIP(host) ? '' : host; // an address cannot be asked for by name
      socket = openTls({ ...tlsOptions(tls), host, port, servername }, onConnect);
    }
    socket.setKeepAlive(true, 30_000);
    // Requests are small and waited for: Nagle's algorithm would hold each until the last is acknowledged.
    socket.setNoDelay(true);
    return socket;
  };
}

/** A plain connection that emits whole answers as its data. */
function inFrames(
  address: { readonly host: string; readonly port: number },
  memory: LentMemory,
  onConnect: () => void,
): Socket {
  const frames = new Frames(memory, (answer) => socket.emit('data', answer));
  const callback = (bytes: number): boolean => {
    frames.took(bytes);
    return true;
  };
  const socket = openTcp({ ...address, onread: { buffer: () => frames.room(), callback } }, onConnect);
  return socket;
}

function tlsOptions({ caFile, certFile, keyFile }: KafkaTls): ConnectionOptions {
  if ((certFile === null) !== (keyFile === null))
    throw invalid('--kafka-tls-cert and --kafka-tls-key go together: set both or neither');
  return {
    ...(caFile === null ? {} : { ca: pem('--kafka-tls-ca', caFile) }),
    ...(certFile === null ? {} : { cert: pem('--kafka-tls-cert', certFile) }),
    ...(keyFile === null ? {} : { key: pem('--kafka-tls-key', keyFile) }),
  };
}

function pem(flag: string, path: string): Buffer {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    const { code = 'unknown error' } = cause as { code?: string };
    throw new ZeptoError('CONFIG_INVALID', 'stop', `${flag} ${path} cannot be read: ${code}`, { cause });
  }
  if (!bytes.includes('-----BEGIN'))
    throw invalid(`${flag} ${path} is not a PEM file (no "-----BEGIN" in it)`);
  return bytes;
}

/** Only these fields of kafkajs's log entries pass on: a list of what is known to be harmless. */
const harmlessFields = [
  'broker',
  'groupId',
  'memberId',
  'topic',
  'partition',
  'partitions',
  'error',
  'code',
  'retryCount',
  'retryTime',
  'correlationId',
  'size',
  'duration',
  'transactionalId',
  'isLeader',
  'leaderId',
  'groupProtocol',
] as const;

/** While a broker is away kafkajs says the same many times a second. */
const REPEAT_PAUSE_MS = 10_000;
const MESSAGES_REMEMBERED_MAX = 200;

/** Passes a message on at most once in `REPEAT_PAUSE_MS`, with how often it was held back. */
function damped(logger: Logger, clock: Clock): (entry: LogEntry) => void {
  const last = new Map<string, { readonly atMs: number; heldBack: number }>();
  return (entry) => {
    const key = `${entry.namespace} ${entry.log.message} ${entry.log.broker ?? ''}`;
    const nowMs = clock.monotonicMs();
    const before = last.get(key);
    if (before !== undefined && nowMs - before.atMs < REPEAT_PAUSE_MS) {
      before.heldBack++;
      return;
    }
    if (last.size >= MESSAGES_REMEMBERED_MAX) last.clear();
    last.set(key, { atMs: nowMs, heldBack: 0 });
    log(logger, entry, before?.heldBack ?? 0);
  };
}

function log(logger: Logger, entry: LogEntry, heldBack: number): void {
  const fields: Record<string, unknown> = { kafkajs: entry.namespace };
  for (const field of harmlessFields) {
    const value = entry.log[field];
    if (value !== undefined) fields[field] = value instanceof Error ? value.message : value;
  }
  if (heldBack > 0) fields.heldBack = heldBack;
  // What kafkajs calls an error it mostly retries; the ones that last reach us as exceptions.
  if (entry.level === logLevel.ERROR || entry.level === logLevel.WARN) logger.warn(fields, entry.log.message);
  else if (entry.level === logLevel.INFO) logger.info(fields, entry.log.message);
  else logger.debug(fields, entry.log.message);
}

function invalid(message: string): ZeptoError {
  return new ZeptoError('CONFIG_INVALID', 'stop', message);
}
