// What: the address, the TLS material and the malformed requests of a listening socket.
// Why: what happens below HTTP's own rules is kept apart from routes and access.
// Invariant: a certificate and a key are only ever used as a pair that fits.

import type { Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import { ZeptoError } from '../../src/kernel/errors.ts';

export interface CertificatePair {
  readonly cert: string;
  readonly key: string;
}

/** @throws ZeptoError CONFIG_INVALID */
export function certificatePair([cert = '', key = '']: readonly string[]): CertificatePair {
  try {
    createSecureContext({ cert, key });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ZeptoError('CONFIG_INVALID', 'stop', `--tls-cert and --tls-key do not fit: ${reason}`, {
      cause,
    });
  }
  return { cert, key };
}

export function isLoopback(address: string): boolean {
  return address === 'localhost' || address === '::1' || address.startsWith('127.');
}

export function cannotListen(address: string, port: number, cause: unknown): ZeptoError {
  const code = (cause as { code?: unknown } | null)?.code;
  const reason =
    code === 'EADDRINUSE'
      ? 'the port is in use; --port (or ZEPTO_PORT) chooses another, 0 a free one'
      : code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND'
        ? 'this machine has no such address; --bind (or ZEPTO_BIND) chooses another'
        : code === 'EACCES'
          ? 'permission denied; --port (or ZEPTO_PORT) chooses a port above 1023'
          : cause instanceof Error
            ? cause.message
            : String(cause);
  return new ZeptoError('CONFIG_INVALID', 'stop', `cannot listen on ${address}:${port}: ${reason}`, {
    cause,
  });
}

/** What is no HTTP never reaches a route; the client gets JSON all the same. */
export function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy(error);
    return;
  }
  const [status, message] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? ['431 Request Header Fields Too Large', 'URL and headers are too large: send the statement as body']
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? ['408 Request Timeout', 'the request did not arrive in time']
        : ['400 Bad Request', 'malformed HTTP request'];
  const body = JSON.stringify({ error: message, code: 'BAD_REQUEST' });
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
