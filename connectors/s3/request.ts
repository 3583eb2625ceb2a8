// What: one signed PUT of a body in memory, over a kept-alive connection.
// Why: sealed hours are many small objects; the SDK's stack costs about four times the CPU of the request itself.
// Invariant: settles exactly once: with the status line of an answer, or with an error; never hangs longer than its bounds.

import http from 'node:http';
import https from 'node:https';
import type { Clock, Timer } from '../../src/kernel/clock.ts';
import { S3Failure } from './fault.ts';

/** The connection pools, shared with the SDK's client. */
export interface Agents {
  readonly http: http.Agent;
  readonly https: https.Agent;
}

export function createAgents(connectionsMax: number): Agents {
  // Last used, first out: few connections stay warm and the others can time out at the server.
  const options = {
    keepAlive: true,
    maxSockets: connectionsMax,
    maxFreeSockets: connectionsMax,
    scheduling: 'lifo',
  } as const;
  return { http: new http.Agent(options), https: new https.Agent(options) };
}

export interface PutRequest {
  readonly url: URL;
  /** Encoded; replaces the URL's. */
  readonly path: string;
  readonly headers: http.OutgoingHttpHeaders;
  readonly body: Uint8Array;
  readonly signal: AbortSignal | undefined;
  /** No progress for this long ends the attempt. */
  readonly stallMs: number;
}

/** Error answers are a few hundred bytes; more than this of one is not read. */
const ANSWER_BYTES_MAX = 16_384;
/** A body that moves slower than this is not making progress worth waiting for. */
const SLOWEST_BYTES_PER_MS = 16;

/** Bound on one request, however little progress it makes. */
export const longestRequestMs = (bodyBytes: number, stallMs: number): number =>
  4 * stallMs + Math.ceil(bodyBytes / SLOWEST_BYTES_PER_MS);

/** @throws S3Failure for any status but 2xx; Node's error when the connection failed; the signal's reason. */
export function sendPut(request: PutRequest, agents: Agents, clock: Clock): Promise<void> {
  const { url, body, signal, stallMs } = request;
  const secure = url.protocol === 'https:';
  return new Promise((resolve, reject) => {
    const outgoing = (secure ? https : http).request({
      method: 'PUT',
      host: url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname,
      port: url.port === '' ? (secure ? 443 : 80) : url.port,
      path: request.path,
      headers: request.headers,
      agent: secure ? agents.https : agents.http,
      timeout: stallMs,
    });
    const giveUp = (why: string): void => {
      outgoing.destroy(Object.assign(new Error(why), { code: 'ETIMEDOUT' }));
    };
    // The socket's own time-out does not see a server that trickles. The wait for a free connection does not count.
    const boundMs = longestRequestMs(body.byteLength, stallMs);
    let bound: Timer | null = null;
    outgoing.on('socket', () => {
      bound = clock.after(boundMs, () => giveUp(`no answer in ${boundMs} ms`));
    });
    const onAbort = (): void => void outgoing.destroy();
    const settle = (act: () => void): void => {
      bound?.cancel();
      signal?.removeEventListener('abort', onAbort);
      act();
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    outgoing.on('timeout', () => giveUp(`no progress in ${stallMs} ms`));
    outgoing.on('error', (error) => settle(() => reject(signal?.aborted ? signal.reason : error)));
    outgoing.on('response', (response) => {
      const status = response.statusCode!;
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        if (text.length < ANSWER_BYTES_MAX) text += chunk;
      });
      // A cut after the status line changes nothing: the server has answered.
      response.on('error', () => {});
      response.on('close', () => {
        // An answer that came before the body was sent: the rest of the body would only hold the connection.
        if (!outgoing.writableFinished) outgoing.destroy();
        settle(() => (status >= 200 && status < 300 ? resolve() : reject(readFailure(response, text))));
      });
    });
    outgoing.end(Buffer.from(body.buffer, body.byteOffset, body.byteLength));
  });
}

function readFailure(response: http.IncomingMessage, text: string): S3Failure {
  const status = response.statusCode!;
  const header = (name: string): string => {
    const value = response.headers[name];
    return typeof value === 'string' ? value : '';
  };
  return new S3Failure({
    status,
    code: element(text, 'Code'),
    message: element(text, 'Message') || response.statusMessage || '',
    requestId: header('x-amz-request-id'),
    bucketRegion: header('x-amz-bucket-region') || element(text, 'Region'),
    serverMs: Date.parse(header('date')),
  });
}

/** Content of the first element of that name; '' when there is none. Error documents are flat. */
function element(xml: string, name: string): string {
  const start = xml.indexOf(`<${name}>`);
  const end = xml.indexOf(`</${name}>`, start);
  if (start < 0 || end < 0) return '';
  return xml
    .slice(start + name.length + 2, end)
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'");
}
