// What: the routes that answer SQL: this system's own and, when a format is asked for, ClickHouse's over HTTP.
// Why: existing clients of either kind work against one port.
// Invariant: nothing is sent before the first piece of the answer is there, so what fails until then has its own status; a client that hangs up ends its statement.

import type { ServerResponse } from 'node:http';
import { finished } from 'node:stream/promises';
import { createGzip, type Gzip } from 'node:zlib';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { StatementAnswer, StatementRequest, StatementService } from '../../src/http-port.ts';
import type { Clock } from '../../src/kernel/clock.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { Logger, Metrics } from '../../src/ports.ts';
import { drained } from './drained.ts';
import { sendError } from './errors.ts';
import type { HttpPlugin } from './server.ts';
import {
  acceptsGzip,
  type BodyDecoders,
  bodyOf,
  formOf,
  type Query,
  queryOf,
  statementAndRows,
  statementOf,
} from './statement-request.ts';

export interface StatementParts {
  readonly service: StatementService;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** A statement that takes at least this long is logged with its text; 0 = none. */
  readonly slowMs: number;
  /** Of bodies, besides gzip. */
  readonly bodyDecoders: BodyDecoders;
}

/** In the log and the list of queries. */
const TEXT_CHARS_MAX = 2_000;
/** Held back for a client that waits for the end before it looks at the status. */
const WAIT_BYTES_MAX = 8 * 2 ** 20;

export function statementRoutes(parts: StatementParts): HttpPlugin {
  return (app) => {
    app.get('/', { config: { access: 'read' } }, (request, reply) => {
      const query = queryOf(request);
      if (query.query === undefined) return reply.send({ status: 'ok', engine: 'ZeptoDB' });
      return answer(parts, request, reply, { query, text: query.query, data: null, mayChange: false });
    });

    app.post('/', { config: { access: 'read' } }, async (request, reply) => {
      const body = await bodyOf(request, parts.bodyDecoders);
      const form = await formOf(request, body);
      const query = { ...queryOf(request), ...form };
      const rest = form === null && body.length > 0 ? body : null;
      if (query.query !== undefined)
        return answer(parts, request, reply, { query, text: query.query, data: rest, mayChange: true });
      if (rest === null) return sendError(reply, 400, 'BAD_REQUEST', 'Empty query body');
      return answer(parts, request, reply, { query, ...statementAndRows(rest), mayChange: true });
    });

    app.post('/insert/arrow', { config: { access: 'write' } }, async (request, reply) => {
      const query = queryOf(request);
      const table = query.table ?? query.table_name;
      if (table === undefined)
        return sendError(reply, 400, 'BAD_REQUEST', 'which table? /insert/arrow?table=…');
      const data = await bodyOf(request, parts.bodyDecoders);
      const text = `INSERT INTO ${quoted(table)} FORMAT ArrowStream`;
      return answer(parts, request, reply, { query, text, data, mayChange: true });
    });

    app.get('/admin/queries', { config: { access: 'admin' } }, () =>
      parts.service.running().map(({ id, subject, text, startedAtMs }) => ({
        id,
        subject,
        sql: text.slice(0, TEXT_CHARS_MAX),
        started_at_ns: startedAtMs * 1_000_000,
      })),
    );

    app.delete('/admin/queries/:id', { config: { access: 'admin' } }, (request, reply) => {
      const { id } = request.params as { id: string };
      if (parts.service.cancel(id)) return reply.send({ cancelled: true });
      return sendError(reply, 404, 'NOT_FOUND', 'Query not found');
    });
  };
}

interface Asked {
  readonly query: Query;
  readonly text: string;
  /** Rows of an INSERT. */
  readonly data: Uint8Array | null;
  /** Whether the request's method allows more than reading. */
  readonly mayChange: boolean;
}

async function answer(
  parts: StatementParts,
  request: FastifyRequest,
  reply: FastifyReply,
  { query, text, data, mayChange }: Asked,
): Promise<FastifyReply | undefined> {
  const { service, clock, logger, metrics, slowMs } = parts;
  const statement = statementOf(request, query, text, data, mayChange);
  const hangUp = new AbortController();
  reply.raw.on('close', () => {
    if (!reply.raw.writableFinished) hangUp.abort();
  });
  const startedMs = clock.monotonicMs();
  let outcome = 'ok';
  try {
    const made = await service.run(statement, hangUp.signal);
    await send(reply, statement, made, query, acceptsGzip(request, query));
  } catch (error) {
    outcome = error instanceof ZeptoError ? error.code : 'INTERNAL';
    if (!reply.raw.headersSent) throw error;
    // The bytes have said so where the format can; a cut connection says it in any case.
    logger.warn({ request_id: request.id, error: String(error) }, 'an answer broke off');
    reply.raw.socket?.destroySoon();
  } finally {
    const seconds = (clock.monotonicMs() - startedMs) / 1000;
    metrics.observe('zepto_query_seconds', { outcome }, seconds);
    if (slowMs > 0 && seconds * 1000 >= slowMs)
      logger.info(
        {
          request_id: request.id,
          query_id: statement.id,
          subject: statement.subject,
          seconds,
          outcome,
          sql: text.slice(0, TEXT_CHARS_MAX),
        },
        'slow statement',
      );
  }
  return undefined;
}

async function send(
  reply: FastifyReply,
  { id }: StatementRequest,
  { contentType, headers, body }: StatementAnswer,
  query: Query,
  gzip: boolean,
): Promise<void> {
  const pieces = body[Symbol.asyncIterator]();
  const { held, isWhole } = await firstPieces(pieces, query.wait_end_of_query === '1');
  reply.hijack();
  const { raw } = reply;
  for (const [name, value] of Object.entries({ ...reply.getHeaders(), ...headers }))
    if (value !== undefined) raw.setHeader(name, value);
  raw.setHeader('content-type', contentType);
  raw.setHeader('x-clickhouse-query-id', id);
  if (isWhole && !gzip) {
    const bytes = Buffer.concat(held);
    raw.setHeader('content-length', bytes.length);
    raw.end(bytes);
    return;
  }
  if (gzip) raw.setHeader('content-encoding', 'gzip');
  const sink = gzip ? compressed(raw) : raw;
  try {
    for (const piece of held) await write(sink, piece);
    for (let next = await pieces.next(); next.done !== true; next = await pieces.next())
      await write(sink, next.value);
  } finally {
    await pieces.return?.();
    // The mark of an error is among what was written: it goes out before the connection is cut.
    if (sink !== raw) await finished(sink.end()).catch(() => {});
  }
  raw.end();
}

/**
 * Before the status is sent. An answer of one piece gets its length; with `wait`, as ClickHouse has it, one that fails
 * before its end gets the status of its error, unless it is large.
 */
async function firstPieces(
  pieces: AsyncIterator<Uint8Array>,
  wait: boolean,
): Promise<{ readonly held: readonly Uint8Array[]; readonly isWhole: boolean }> {
  const held: Uint8Array[] = [];
  let bytes = 0;
  while (wait ? bytes < WAIT_BYTES_MAX : held.length < 2) {
    const next = await pieces.next();
    if (next.done === true) return { held, isWhole: true };
    held.push(next.value);
    bytes += next.value.length;
  }
  return { held, isWhole: false };
}

/** What is written to it goes to the client as gzip; it does not end the answer. */
function compressed(raw: ServerResponse): Gzip {
  const gzip = createGzip();
  gzip.pipe(raw, { end: false });
  raw.once('close', () => gzip.destroy());
  return gzip;
}

/** Waits while the client does not take what was written. @throws ZeptoError CANCELLED when it has hung up */
async function write(sink: Gzip | ServerResponse, piece: Uint8Array): Promise<void> {
  // What is closed already says so no more: to wait for it would be for ever.
  if (sink.destroyed) throw new ZeptoError('CANCELLED', 'stop', 'the client has hung up');
  if (piece.length === 0 || sink.write(piece)) return;
  await drained(sink);
}

const quoted = (name: string): string => `\`${name.replaceAll('`', '``')}\``;
