// What: an HTTP request → the statement that it carries, with format, parameters, settings and rows.
// Why: this system's own clients and ClickHouse's put the same things in different places.
// Invariant: what a client has sent is taken, or named in a refusal, or has no meaning here; the role comes from the key alone.

import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { FastifyRequest } from 'fastify';
import type { StatementRequest } from '../../src/http-port.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import { may } from './access.ts';

/** Of the URL, or of a form: each name once. */
export type Query = Readonly<Record<string, string>>;

/** Of a gzip body, expanded: a bound against bodies that only look small. */
const EXPANDED_BYTES_MAX = 512 * 2 ** 20;

/** Of the URL, with a meaning of their own, or about a login that is told by the key alone. */
const OWN_PARAMETERS = new Set([
  ...['query', 'query_id', 'database', 'default_format', 'format', 'table', 'table_name'],
  ...['session_id', 'user', 'password'],
]);

/** Bytes, expanded to at most so many. @throws Error when they are not of this encoding, are cut, or hold more. */
export type BodyDecoder = (bytes: Uint8Array, bytesMax: number) => Uint8Array | Promise<Uint8Array>;
/** By the name in Content-Encoding. */
export type BodyDecoders = Readonly<Record<string, BodyDecoder>>;

const expand = promisify(gunzip);
const gzip: BodyDecoder = (bytes, maxOutputLength) => expand(bytes, { maxOutputLength });

/** It comes back in a header. */
function idOf(given: string | undefined): string {
  if (!given) return randomUUID();
  if (/^[ -~]{1,256}$/.test(given)) return given;
  throw new ZeptoError(
    'SQL_UNSUPPORTED',
    'stop',
    'query_id: at most 256 printable ASCII characters are taken',
  );
}

/** @throws ZeptoError SQL_NAME for a database that there is not, SQL_UNSUPPORTED for an id that no header takes */
export function statementOf(
  request: FastifyRequest,
  query: Query,
  text: string,
  data: Uint8Array | null,
  mayChange: boolean,
): StatementRequest {
  const { database = '' } = query;
  if (!['', 'default', 'system'].includes(database))
    throw new ZeptoError('SQL_NAME', 'stop', `there is no database ${database}: tables lie in default`, {
      context: { unknown: 'database' },
    });
  const parameters: Record<string, string> = {};
  const settings: Record<string, string> = {};
  for (const [name, value] of Object.entries(query)) {
    if (name.startsWith('param_')) parameters[name.slice('param_'.length)] = value;
    else if (!OWN_PARAMETERS.has(name)) settings[name] = value;
  }
  return {
    id: idOf(query.query_id),
    text,
    parameters,
    format: formatOf(request, query),
    settings,
    data,
    subject: request.identity.subject,
    authorization: request.headers.authorization ?? null,
    mayWrite: mayChange && may(request.identity, 'write'),
    mayAdminister: mayChange && may(request.identity, 'admin'),
  };
}

/** For a statement without FORMAT; null: this system's own JSON. */
function formatOf({ headers }: FastifyRequest, query: Query): string | null {
  const named = query.default_format ?? query.format;
  // In the URL it has always been the stream; FORMAT Arrow in a statement is ClickHouse's, a file.
  if (named !== undefined) return named.toLowerCase() === 'arrow' ? 'ArrowStream' : named;
  const format = single(headers['x-clickhouse-format']);
  if (format !== undefined) return format;
  if (headers.accept?.includes('application/vnd.apache.arrow.stream')) return 'ArrowStream';
  const isClickhouseClient =
    /clickhouse/i.test(headers['user-agent'] ?? '') || headers['x-clickhouse-user'] !== undefined;
  return isClickhouseClient ? 'TabSeparated' : null;
}

const single = (value: string | string[] | undefined): string | undefined =>
  Array.isArray(value) ? value[0] : value;

/** Clients ask for compression by a parameter of ClickHouse's; without it a small answer goes out as it is. */
export function acceptsGzip({ headers }: FastifyRequest, query: Query): boolean {
  const asked = query.enable_http_compression === '1';
  return asked && /\bgzip\b/.test(single(headers['accept-encoding']) ?? '');
}

export function queryOf(request: FastifyRequest): Query {
  const query = request.query as Record<string, string | string[]>;
  return Object.fromEntries(Object.entries(query).map(([name, value]) => [name, single(value)!]));
}

/** Expanded by one of `more` or as gzip. @throws ZeptoError FORMAT_INVALID */
export async function bodyOf(request: FastifyRequest, more: BodyDecoders): Promise<Buffer> {
  const body = (request.body as Buffer | undefined) ?? Buffer.alloc(0);
  const encoding = single(request.headers['content-encoding']);
  if (encoding === undefined || encoding === 'identity' || body.length === 0) return body;
  const decoders: BodyDecoders = { gzip, ...more };
  if (!Object.hasOwn(decoders, encoding)) {
    const known = Object.keys(decoders).join(', ');
    throw new ZeptoError(
      'FORMAT_INVALID',
      'stop',
      `Content-Encoding ${encoding} is not known: use ${known} or none`,
    );
  }
  try {
    const { buffer, byteOffset, length } = await decoders[encoding]!(body, EXPANDED_BYTES_MAX);
    return Buffer.from(buffer, byteOffset, length);
  } catch (cause) {
    if (cause instanceof ZeptoError && cause.code !== 'FORMAT_INVALID') throw cause;
    throw new ZeptoError('FORMAT_INVALID', 'stop', `the body is no ${encoding}: ${String(cause)}`, { cause });
  }
}

/** A table's name or a list of columns may hold anything in quotes; a quote that is doubled ends one and begins the next. */
const QUOTED = '`[^`]*`|"[^"]*"';
/** In Latin-1, so that positions are those of bytes. The rows begin on the next line, with whatever byte they begin. */
const INSERT_WITH_ROWS = new RegExp(
  `^\\s*INSERT\\s+INTO\\s+(?:[\\w.$\\x80-\\xff]|${QUOTED})+\\s*(?:\\((?:[^()\`"]|${QUOTED})*\\)\\s*)?FORMAT\\s+\\w+[ \\t]*\\r?\\n`,
  'i',
);
/** Of an INSERT, up to its rows. */
const INSERT_BYTES_MAX = 262_144;

/** A body that is a statement; behind an INSERT … FORMAT and the end of its line stand the rows. */
export function statementAndRows(body: Buffer): { readonly text: string; readonly data: Buffer | null } {
  const head = body.toString('latin1', 0, INSERT_BYTES_MAX);
  const length = INSERT_WITH_ROWS.exec(head)?.[0].length ?? body.length;
  return {
    text: body.toString('utf8', 0, length),
    data: length < body.length ? body.subarray(length) : null,
  };
}

/** Parameters too long for a URL come as the fields of a form; null: the body is none. @throws ZeptoError FORMAT_INVALID */
export async function formOf(request: FastifyRequest, body: Uint8Array): Promise<Query | null> {
  const type = single(request.headers['content-type']) ?? '';
  if (!type.startsWith('multipart/form-data')) return null;
  try {
    const form = await new Response(body, { headers: { 'content-type': type } }).formData();
    const fields = [...form.entries()];
    const file = fields.find(([, value]) => typeof value !== 'string');
    if (file === undefined) return Object.fromEntries(fields as [string, string][]);
    throw new ZeptoError(
      'SQL_UNSUPPORTED',
      'stop',
      `external data (${file[0]}) is not supported: join a table`,
    );
  } catch (cause) {
    if (cause instanceof ZeptoError) throw cause;
    throw new ZeptoError('FORMAT_INVALID', 'stop', `the body is no form: ${String(cause)}`, { cause });
  }
}
