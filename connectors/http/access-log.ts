// What: an id for every request, one log line and two measurements at its end.
// Why: an answer that a client complains about is found in the log by its id.
// Invariant: the query string is not logged (it may hold a statement), nor any header but the ids.

import type { FastifyInstance } from 'fastify';
import type { Clock } from '../../src/kernel/clock.ts';
import type { Logger, Metrics } from '../../src/ports.ts';

/** An id that the client chose is kept when it is harmless to log and to send back. */
const CLIENT_ID = /^[A-Za-z0-9._-]{1,64}$/;

/** `r` and a growing hex number, as the original's. */
export function requestIds(): (raw: { readonly headers: Record<string, unknown> }) => string {
  let next = 0;
  return ({ headers }) => {
    const given = headers['x-request-id'];
    if (typeof given === 'string' && CLIENT_ID.test(given)) return given;
    next += 1;
    return `r${next.toString(16)}`;
  };
}

interface Arrival {
  readonly atMs: number;
  /** Of the connection, so that the difference at the end is this answer's size. */
  readonly bytesWritten: number;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Null: it was broken before it came here. */
    arrival: Arrival | null;
  }
}

/** Asked every few seconds by probes and scrapers: logged only when they fail. */
const QUIET_ROUTES = new Set(['/ping', '/health', '/ready', '/metrics']);

export function logAccess(app: FastifyInstance, logger: Logger, metrics: Metrics, clock: Clock): void {
  app.decorateRequest('arrival', null);
  app.addHook('onRequest', async (request, reply) => {
    request.arrival = { atMs: clock.monotonicMs(), bytesWritten: request.raw.socket.bytesWritten };
    reply.header('x-request-id', request.id);
  });
  app.addHook('onResponse', async (request, reply) => {
    const { arrival } = request;
    if (arrival === null) return;
    const ms = clock.monotonicMs() - arrival.atMs;
    const status = reply.statusCode;
    // Unknown paths share one route: a scanner must not make a time series per guess.
    const route = request.is404 ? 'none' : (request.routeOptions.url ?? 'none');
    metrics.count('zepto_http_requests_total', { method: request.method, route, status: String(status) }, 1);
    metrics.observe('zepto_http_request_seconds', { route }, ms / 1000);
    const level = QUIET_ROUTES.has(route) && status < 400 ? 'debug' : 'info';
    logger[level](
      {
        request_id: request.id,
        method: request.method,
        path: request.url.split('?')[0],
        status,
        duration_us: Math.round(ms * 1000),
        request_bytes: Number(request.headers['content-length'] ?? 0),
        response_bytes: request.raw.socket.bytesWritten - arrival.bytesWritten,
        remote_addr: request.ip,
        subject: request.identity.subject,
      },
      'request',
    );
  });
}
