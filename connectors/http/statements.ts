// What: the routes that answer SQL: this system's own and, when a format is asked for, ClickHouse's over HTTP.
// Why: existing clients of either kind work against one port.
// Invariant: nothing is sent before the first piece of the answer is there, so what fails until then has its own status; a client that hangs up ends its statement.

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { createGzip, gunzip } from 'node:zlib';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { StatementAnswer, StatementRequest, StatementService } from '../../src/http-port.ts';
import type { Clock } from '../../src/kernel/clock.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { Logger, Metrics } from '../../src/ports.ts';
import { may } from './access.ts';
import { sendError } from './errors.ts';
import type { HttpPlugin } from './server.ts';

export interface StatementParts {
  readonly service: StatementService;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** A statement that takes at least this long is logged with its text; 0 = none. */
  readonly slowMs: number;
}

/** In the log and the list of queries. */
const TEXT_CHARS_MAX = 2_000;
/** Of a gzip body, expanded: a bound against bodies that only look small. */
const EXPANDED_BYTES_MAX = 512 * 2 ** 20;

const expand = promisify(gunzip);

export function statementRoutes(parts: StatementParts): HttpPlugin {
  return (app) => {
    app.get('/', { config: { access: 'read' } }, (request, reply) => {
      const query = queryOf(request);
      if (query.query === undefined) return reply.send({ status: 'ok', engine: 'ZeptoDB' });
      return answer(parts, request, reply, query.query, null, false);
    });

    app.post('/', { config: { access: 'read' } }, async (request, reply) => {
      const { query } = queryOf(request);
      const body = await bodyOf(request);
      if (query !== undefined)
        return answer(parts, request, reply, query, body.length > 0 ? body : null, true);
      if (body.length === 0) return sendError(reply, 400, 'BAD_REQUEST', 'Empty query body');
      return answer(parts, request, reply, body.toString('utf8'), null, true);
    });

    app.post('/insert/arrow', { config: { access: 'write' } }, async (request, reply) => {
      const query = queryOf(request);
      const table = query.table ?? query.table_name;
      if (table === undefined)
        return sendError(reply, 400, 'BAD_REQUEST', 'which table? /insert/arrow?table=…');
      const body = await bodyOf(request);
      const text = `INSERT INTO ${quoted(table)} FORMAT ArrowStream`;
      return answer(parts, request, reply, text, body, true);
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

async function answer(
  parts: StatementParts,
  request: FastifyRequest,
  reply: FastifyReply,
  text: string,
  data: Uint8Array | null,
  mayChange: boolean,
): Promise<FastifyReply | undefined> {
  const { service, clock, logger, metrics, slowMs } = parts;
  const statement = statementOf(request, text, data, mayChange);
  const hangUp = new AbortController();
  reply.raw.on('close', () => hangUp.abort());
  const startedMs = clock.monotonicMs();
  let outcome = 'ok';
  try {
    const made = await service.run(statement, hangUp.signal);
    await send(reply, statement, made, acceptsGzip(request));
  } catch (error) {
    outcome = error instanceof ZeptoError ? error.code : 'INTERNAL';
    if (!reply.raw.headersSent) throw error;
    // The bytes have said so where the format can; a cut connection says it in any case.
    logger.warn({ request_id: request.id, error: String(error) }, 'an answer broke off');
    reply.raw.destroy();
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

function statementOf(
  request: FastifyRequest,
  text: string,
  data: Uint8Array | null,
  mayChange: boolean,
): StatementRequest {
  const query = queryOf(request);
  const parameters: Record<string, string> = {};
  const settings: Record<string, string> = {};
  for (const [name, value] of Object.entries(query)) {
    if (name.startsWith('param_')) parameters[name.slice('param_'.length)] = value;
    else if (!OWN_PARAMETERS.has(name)) settings[name] = value;
  }
  return {
    id: query.query_id || randomUUID(),
    text,
    parameters,
    format: formatOf(request, query),
    settings,
    data,
    subject: request.identity.subject,
    mayWrite: mayChange && may(request.identity, 'write'),
    mayAdminister: mayChange && may(request.identity, 'admin'),
  };
}

/** Of the URL, with a meaning of their own here. */
const OWN_PARAMETERS = new Set([
  'query',
  'query_id',
  'database',
  'default_format',
  'format',
  'table',
  'table_name',
  'session_id',
  'enable_http_compression',
]);

function formatOf({ headers }: FastifyRequest, query: Record<string, string>): string | null {
  const named = query.default_format ?? query.format ?? single(headers['x-clickhouse-format']);
  if (named !== undefined) return named;
  return headers.accept?.includes('application/vnd.apache.arrow.stream') ? 'ArrowStream' : null;
}

const single = (value: string | string[] | undefined): string | undefined =>
  Array.isArray(value) ? value[0] : value;

/** Clients ask for compression by a parameter of ClickHouse's; without it a small answer goes out as it is. */
function acceptsGzip(request: FastifyRequest): boolean {
  const asked = queryOf(request).enable_http_compression === '1';
  return asked && /\bgzip\b/.test(single(request.headers['accept-encoding']) ?? '');
}

async function send(
  reply: FastifyReply,
  { id }: StatementRequest,
  { contentType, headers, body }: StatementAnswer,
  gzip: boolean,
): Promise<void> {
  const pieces = body[Symbol.asyncIterator]();
  const first = await pieces.next();
  const second = first.done === true ? first : await pieces.next();
  reply.hijack();
  const { raw } = reply;
  for (const [name, value] of Object.entries({ ...reply.getHeaders(), ...headers }))
    if (value !== undefined) raw.setHeader(name, value);
  raw.setHeader('content-type', contentType);
  raw.setHeader('x-clickhouse-query-id', id);
  const only = first.done === true ? new Uint8Array(0) : first.value;
  if (second.done === true && !gzip) {
    raw.setHeader('content-length', only.length);
    raw.end(only);
    return;
  }
  if (gzip) raw.setHeader('content-encoding', 'gzip');
  const sink = gzip ? createGzip() : raw;
  if (gzip) sink.pipe(raw);
  try {
    await write(sink, only);
    for (let next = second; next.done !== true; next = await pieces.next()) {
      if (raw.destroyed) throw new ZeptoError('CANCELLED', 'stop', 'the client has hung up');
      await write(sink, next.value);
    }
    sink.end();
  } finally {
    await pieces.return?.();
  }
}

/** Waits while the client does not take what was written. */
async function write(sink: NodeJS.WritableStream, piece: Uint8Array): Promise<void> {
  if (piece.length === 0 || sink.write(piece)) return;
  await Promise.race([once(sink, 'drain'), once(sink, 'close')]);
}

const queryOf = (request: FastifyRequest): Record<string, string> => {
  const query = request.query as Record<string, string | string[]>;
  return Object.fromEntries(Object.entries(query).map(([name, value]) => [name, single(value)!]));
};

async function bodyOf(request: FastifyRequest): Promise<Buffer> {
  const body = (request.body as Buffer | undefined) ?? Buffer.alloc(0);
  const encoding = single(request.headers['content-encoding']);
  if (encoding === undefined || encoding === 'identity' || body.length === 0) return body;
  if (encoding !== 'gzip')
    throw new ZeptoError('FORMAT_INVALID', 'stop', `Content-Encoding ${encoding} is not known: use gzip`);
  try {
    return await expand(body, { maxOutputLength: EXPANDED_BYTES_MAX });
  } catch (cause) {
    throw new ZeptoError('FORMAT_INVALID', 'stop', `the body is no gzip: ${String(cause)}`, { cause });
  }
}

const quoted = (name: string): string => `\`${name.replaceAll('`', '``')}\``;
