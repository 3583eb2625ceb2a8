// What: one connection to a broker for the requests in requests.ts, on kafkajs's socket, TLS and SASL.
// Why: kafkajs keeps half-read answers over a reconnect; a connection that lives only once has nothing to keep.
// Invariant: after one request that was not answered, or not understood, the connection is closed and all on it reject.

import { createRequire } from 'node:module';
import type { KafkaConfig, Logger as KafkajsLogger } from 'kafkajs';
import type { Clock } from '../../src/kernel/clock.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import { CONNECT_TIMEOUT_MS } from './client.ts';
import { Reader, Writer } from './protocol.ts';
import { apiVersions, type KafkaRequest, type VersionRanges } from './requests.ts';

export interface Link {
  /** `host:port` */
  readonly address: string;
  isOpen(): boolean;
  send<Answer>(request: KafkaRequest<Answer>): Promise<Answer>;
  close(): void;
}

/** The part of kafkajs's Connection that is used here. */
interface KafkajsConnection {
  connect(): Promise<unknown>;
  authenticate(): Promise<void>;
  isConnected(): boolean;
  setVersions(versions: VersionRanges): void;
  setSupportAuthenticationProtocol(supported: boolean): void;
  rejectRequests(error: Error): void;
  disconnect(): Promise<unknown>;
  send(call: {
    request: {
      apiKey: number;
      apiVersion: number;
      apiName: string;
      encode(): Promise<{ buf: Buffer; buffer: Buffer }>;
    };
    response: {
      decode(payload: Buffer): Promise<{ answer: unknown }>;
      parse(decoded: { answer: unknown }): Promise<unknown>;
    };
    logResponseError: boolean;
  }): Promise<unknown>;
}

/** How it puts answers together: pieces that arrived and are not read yet. */
interface Accumulation {
  chunks: Uint8Array[];
  bytesBuffered: number;
  processData(piece: Uint8Array): unknown;
}

const KafkajsConnection = createRequire(import.meta.url)('kafkajs/src/network/connection.js') as new (
  options: object,
) => KafkajsConnection & Accumulation;

/** kafkajs keeps a piece of no bytes behind each answer, and joins it with the next into new memory: a copy of every answer. */
class Connection extends KafkajsConnection {
  override processData(piece: Uint8Array): unknown {
    if (this.bytesBuffered === 0) this.chunks = [];
    return super.processData(piece);
  }
}

/** Connected, agreed on versions and authenticated, within the connect timeout. Rejects with what kafkajs or Node threw. */
export async function openLink(
  host: string,
  port: number,
  config: KafkaConfig,
  logger: KafkajsLogger,
  clock: Clock,
): Promise<Link> {
  const {
    ssl,
    sasl,
    clientId,
    connectionTimeout = CONNECT_TIMEOUT_MS,
    requestTimeout,
    socketFactory,
  } = config;
  const address = `${host}:${port}`;
  const connection = new Connection({
    host,
    port,
    ssl,
    sasl,
    clientId,
    connectionTimeout,
    requestTimeout,
    enforceRequestTimeout: true,
    socketFactory,
    logger,
  });
  let versions: VersionRanges | null = null;

  function close(reason = 'was closed'): void {
    connection.rejectRequests(
      new ZeptoError('KAFKA_UNREACHABLE', 'retry', `the connection to ${address} ${reason}`),
    );
    // Settles by itself: there is nothing left that it would wait for.
    connection.disconnect().catch(() => {});
  }

  async function send<Answer>(request: KafkaRequest<Answer>): Promise<Answer> {
    if (versions !== null) refuseUnknownVersion(request, versions, address);
    try {
      const answer = await connection.send({
        request: {
          apiKey: request.key,
          apiVersion: request.version,
          apiName: request.name,
          encode: async () => {
            const to = new Writer();
            request.encode(to);
            const bytes = to.finish();
            return { buf: bytes, buffer: bytes };
          },
        },
        response: {
          decode: async (payload) => ({ answer: request.decode(new Reader(payload)) }),
          parse: async (decoded) => decoded.answer,
        },
        logResponseError: false,
      });
      return answer as Answer;
    } catch (error) {
      close('was given up after a request without an answer');
      throw error;
    }
  }

  const deadline = clock.after(connectionTimeout, () =>
    close(`was not ready after ${connectionTimeout} ms: timed out`),
  );
  try {
    await connection.connect();
    versions = await send(apiVersions());
    connection.setVersions(versions);
    connection.setSupportAuthenticationProtocol(true);
    await connection.authenticate();
  } catch (error) {
    close();
    throw error;
  } finally {
    deadline.cancel();
  }
  return { address, isOpen: () => connection.isConnected(), send, close: () => close() };
}

function refuseUnknownVersion(
  request: KafkaRequest<unknown>,
  versions: VersionRanges,
  address: string,
): void {
  const range = versions[request.key];
  if (range !== undefined && range.minVersion <= request.version && request.version <= range.maxVersion)
    return;
  throw new ZeptoError(
    'KAFKA_PROTOCOL',
    'stop',
    `${address} does not speak version ${request.version} of ${request.name}: Kafka 2.5 to 4.x does`,
  );
}
