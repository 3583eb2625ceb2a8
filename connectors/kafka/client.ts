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
  type SASLOptions,
} from 'kafkajs';
import type { Clock } from '../../src/kernel/clock.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { Logger } from '../../src/ports.ts';
import { bearerTokens, type TokenSource } from './oauth.ts';

/** Where the cluster is and how to speak to it. Every field is named in error messages as `kafka.{field}`. */
export interface KafkaConnection {
  /** Bootstrap servers, `host:port`; others are discovered. */
  readonly brokers: readonly string[];
  /** Shown in the brokers' logs, metrics and quotas. */
  readonly clientId: string;
  /** Null: plain text. */
  readonly tls: KafkaTls | null;
  /** Null: no authentication, or by TLS client certificate alone. */
  readonly sasl: KafkaSasl | null;
  /** Longest wait for a TCP or TLS connection. */
  readonly connectTimeoutMs: number;
  /** Longest wait for one answer. */
  readonly requestTimeoutMs: number;
  /** How often the client repeats a request that failed in passing, before the failure is ours to judge. */
  readonly retriesMax: number;
  /** First pause between repeats; doubles up to `retryPauseMaxMs`. */
  readonly retryPauseMs: number;
  readonly retryPauseMaxMs: number;
}

/** PEM files. They are read again for each connection, so certificates may be renewed while the process runs. */
export interface KafkaTls {
  /** Authorities to trust instead of the system's. */
  readonly caFile?: string;
  /** Client certificate and its key, for brokers that ask for one. */
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly keyPassphrase?: string;
  /** Name to expect in the brokers' certificates, when it is not the host name. */
  readonly serverName?: string;
  /** False accepts any certificate: no protection against an impostor. Default true. */
  readonly verify?: boolean;
}

export type KafkaSasl =
  | {
      readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512';
      readonly username: string;
      readonly password: string;
    }
  | {
      readonly mechanism: 'OAUTHBEARER';
      readonly token: TokenSource;
      /** SASL extensions, as some hosted clusters ask for (`logicalCluster`, `identityPoolId`). */
      readonly extensions?: Readonly<Record<string, string>>;
    };

/** Everything but the brokers at its default. */
export const kafkaConnectionDefaults: Omit<KafkaConnection, 'brokers'> = {
  clientId: 'zepto',
  tls: null,
  sasl: null,
  connectTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  retriesMax: 8,
  retryPauseMs: 100,
  retryPauseMaxMs: 5_000,
};

/** @throws ZeptoError CONFIG_INVALID when a broker address or a TLS file is wrong. Connects to nothing yet. */
export function createKafka(connection: KafkaConnection, logger: Logger, clock: Clock = systemClock): Kafka {
  return new Kafka(kafkajsConfig(connection, logger, clock));
}

/** The same settings in kafkajs's words, for the parts of it that `Kafka` hides. */
export function kafkajsConfig(connection: KafkaConnection, logger: Logger, clock: Clock): KafkaConfig {
  for (const broker of connection.brokers) brokerAddress(broker);
  if (connection.brokers.length === 0) throw invalid('kafka.brokers is empty: give at least one host:port');
  if (connection.tls !== null) tlsOptions(connection.tls);
  const { tls, sasl } = connection;
  if (sasl?.mechanism === 'PLAIN' && tls === null)
    logger.warn({}, 'kafka.sasl PLAIN without kafka.tls sends the password in clear text');
  if (tls?.verify === false) logger.warn({}, 'kafka.tls.verify is off: the brokers are not authenticated');
  return {
    brokers: [...connection.brokers],
    clientId: connection.clientId,
    ssl: tls !== null,
    ...(sasl === null ? {} : { sasl: saslOptions(sasl, connection, clock) }),
    socketFactory: socketFactory(tls),
    connectionTimeout: connection.connectTimeoutMs,
    authenticationTimeout: connection.connectTimeoutMs,
    requestTimeout: connection.requestTimeoutMs,
    retry: {
      retries: connection.retriesMax,
      initialRetryTime: connection.retryPauseMs,
      maxRetryTime: connection.retryPauseMaxMs,
    },
    logLevel: logLevel.INFO,
    logCreator: () => (entry) => log(logger, entry),
  };
}

/** @throws ZeptoError CONFIG_INVALID */
export function brokerAddress(broker: string): { readonly host: string; readonly port: number } {
  const match = /^([^:[\]\s/]+):(\d{1,5})$/.exec(broker);
  const port = Number(match?.[2]);
  if (match === null || port < 1 || port > 65_535)
    throw invalid(
      `kafka.brokers has "${broker}": write host:port without a scheme (an IPv6 address needs a host name)`,
    );
  return { host: match[1]!, port };
}

function saslOptions(sasl: KafkaSasl, connection: KafkaConnection, clock: Clock): SASLOptions {
  switch (sasl.mechanism) {
    case 'PLAIN':
      return { mechanism: 'plain', username: sasl.username, password: sasl.password };
    case 'SCRAM-SHA-256':
      return { mechanism: 'scram-sha-256', username: sasl.username, password: sasl.password };
    case 'SCRAM-SHA-512':
      return { mechanism: 'scram-sha-512', username: sasl.username, password: sasl.password };
    case 'OAUTHBEARER': {
      const token = bearerTokens(sasl.token, connection.connectTimeoutMs, clock);
      const { extensions } = sasl;
      return {
        mechanism: 'oauthbearer',
        // kafkajs passes `extensions` on, though its types do not name it.
        oauthBearerProvider: async () => ({ value: await token(), ...(extensions ? { extensions } : {}) }),
      };
    }
  }
}

function socketFactory(tls: KafkaTls | null): ISocketFactory {
  return ({ host, port, onConnect }) => {
    let socket: Socket;
    if (tls === null) socket = openTcp({ host, port }, onConnect);
    else {
      const servername = tls.serverName ?? (isIP(host) ? '' : host);
      socket = openTls({ ...tlsOptions(tls), host, port, servername }, onConnect);
    }
    socket.setKeepAlive(true, 30_000);
    // Requests are small and waited for: Nagle's algorithm would hold each until the last is acknowledged.
    socket.setNoDelay(true);
    return socket;
  };
}

function tlsOptions(tls: KafkaTls): ConnectionOptions {
  const options: ConnectionOptions = { rejectUnauthorized: tls.verify !== false };
  if ((tls.certFile === undefined) !== (tls.keyFile === undefined))
    throw invalid('kafka.tls.certFile and kafka.tls.keyFile go together: set both or neither');
  if (tls.caFile !== undefined) options.ca = pem('caFile', tls.caFile);
  if (tls.certFile !== undefined) options.cert = pem('certFile', tls.certFile);
  if (tls.keyFile !== undefined) options.key = pem('keyFile', tls.keyFile);
  if (tls.keyPassphrase !== undefined) options.passphrase = tls.keyPassphrase;
  // With a name to expect, the certificate is checked against it even when brokers are reached by address.
  return options;
}

function pem(field: string, path: string): Buffer {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new ZeptoError('CONFIG_INVALID', 'stop', `kafka.tls.${field} ${path} cannot be read`, {
      cause: error,
    });
  }
  if (!bytes.includes('-----BEGIN'))
    throw invalid(`kafka.tls.${field} ${path} is not a PEM file (no "-----BEGIN" in it)`);
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

function log(logger: Logger, entry: LogEntry): void {
  const fields: Record<string, unknown> = { kafkajs: entry.namespace };
  for (const field of harmlessFields) {
    const value = entry.log[field];
    if (value !== undefined) fields[field] = value instanceof Error ? value.message : value;
  }
  // What kafkajs calls an error it mostly retries; the ones that last reach us as exceptions.
  if (entry.level === logLevel.ERROR || entry.level === logLevel.WARN) logger.warn(fields, entry.log.message);
  else if (entry.level === logLevel.INFO) logger.info(fields, entry.log.message);
  else logger.debug(fields, entry.log.message);
}

function invalid(message: string): ZeptoError {
  return new ZeptoError('CONFIG_INVALID', 'stop', message);
}
