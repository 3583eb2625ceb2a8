// What: writer schemas from a Confluent-compatible schema registry over HTTP.
// Why: the ids in the records mean nothing without it, and it is the one thing that decoding may have to wait for.
// Invariant: no answer is guessed: unreachable is never taken for unknown, and unknown is asked twice.

import { backoffMs, type Clock } from '../../src/kernel/clock.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { AvroSchemaText, SchemaSource } from './schema-source.ts';

export interface SchemaRegistryOptions {
  /** Base URL, a path included where the registry has one. */
  readonly url: string;
  readonly auth: { readonly username: string; readonly password: string } | null;
  readonly clock: Clock;
  /** For one answer; default 5 s. */
  readonly requestTimeoutMs?: number;
  /** For all attempts at one schema; default 15 s. The caller may call again. */
  readonly patienceMs?: number;
  /** Before an unknown id is asked again, and before it is believed to be unknown; default 1 s. */
  readonly unknownAgainMs?: number;
}

export interface SchemaRegistry extends SchemaSource {
  /** Ends requests under way. Idempotent. */
  close(): void;
}

const REQUESTS_MAX = 8;
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
const REFERENCES_MAX = 200;
/** An unknown id is answered from memory for this long, so that a stream of them does not flood the registry. */
const UNKNOWN_FOR_MS = 30_000;
const UNKNOWN_IDS_MAX = 10_000;

/** The API's own codes for a subject, version or schema that does not exist. Any other 404 is of a wrong URL. */
const NOT_THERE: ReadonlySet<unknown> = new Set([40401, 40402, 40403]);

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

export function openSchemaRegistry(options: SchemaRegistryOptions): SchemaRegistry {
  const { clock, auth } = options;
  const base = baseUrl(options.url);
  const requestTimeoutMs = options.requestTimeoutMs ?? 5_000;
  const patienceMs = options.patienceMs ?? 15_000;
  const unknownAgainMs = options.unknownAgainMs ?? 1_000;
  const headers: Record<string, string> = {
    accept: 'application/vnd.schemaregistry.v1+json, application/json',
  };
  if (auth !== null)
    headers.authorization = `Basic ${Buffer.from(`${auth.username}:${auth.password}`).toString('base64')}`;

  const closing = new AbortController();
  const schemas = new Map<number, Promise<AvroSchemaText | string>>();
  const unknownUntil = new Map<number, number>();
  const waiting: (() => void)[] = [];
  let requests = 0;

  /** One attempt. Rejects when there is no answer in time. */
  async function request(path: string): Promise<Answer> {
    if (requests >= REQUESTS_MAX) await new Promise<void>((resume) => waiting.push(resume));
    requests++;
    const abort = new AbortController();
    const timer = clock.after(requestTimeoutMs, () =>
      abort.abort(new Error(`no answer in ${requestTimeoutMs} ms`)),
    );
    try {
      const signal = AbortSignal.any([abort.signal, closing.signal]);
      const response = await fetch(`${base}${path}`, { headers, signal });
      return { status: response.status, body: parseAnswer(await boundedText(response)) };
    } finally {
      timer.cancel();
      requests--;
      waiting.shift()?.();
    }
  }

  /** Asks until there is an answer that means something. */
  async function ask(path: string): Promise<Answer> {
    const started = clock.monotonicMs();
    for (let attempt = 0; ; attempt++) {
      let problem: string;
      let cause: unknown;
      try {
        const answer = await request(path);
        const { status } = answer;
        if (status < 300 || (status === 404 && NOT_THERE.has(answer.body.error_code))) return answer;
        problem = `answers ${status} for ${path}`;
        if (status === 401 || status === 403)
          throw refused(`${problem}: check the schema registry's user and password`);
        if (status < 500 && status !== 408 && status !== 429)
          throw refused(`${problem}: check that its URL is that of a Confluent-compatible API`);
      } catch (error) {
        if (error instanceof ZeptoError) throw error;
        cause = error;
        problem = reasonOf(error);
      }
      if (closing.signal.aborted || clock.monotonicMs() - started > patienceMs) {
        throw new ZeptoError('SCHEMA_UNAVAILABLE', 'retry', `the schema registry at ${base} ${problem}`, {
          cause,
        });
      }
      await clock.sleep(backoffMs(attempt, 100, 2_000, clock), closing.signal);
    }
  }

  function refused(problem: string): ZeptoError {
    return new ZeptoError('SCHEMA_UNAVAILABLE', 'stop', `the schema registry at ${base} ${problem}`);
  }

  async function fetchSchema(id: number): Promise<AvroSchemaText | string> {
    const path = `/schemas/ids/${id}`;
    let answer = await ask(path);
    if (answer.status === 404) {
      // A replica of the registry may learn of a new schema after its first records are read.
      await clock.sleep(unknownAgainMs, closing.signal);
      answer = await ask(path);
    }
    if (answer.status === 404) return 'is not known to the registry';
    const { schemaType = 'AVRO', schema, references } = answer.body;
    if (schemaType !== 'AVRO') return `is ${String(schemaType)}, not AVRO`;
    if (typeof schema !== 'string') throw refused(`answers ${path} without a schema`);
    const texts = new Map<string, string>();
    await addReferences(references, texts);
    return { schema, references: [...texts.values()] };
  }

  /** Depth first, so that each text comes after those that it needs. */
  async function addReferences(references: unknown, texts: Map<string, string>): Promise<void> {
    if (!Array.isArray(references)) return;
    for (const reference of references as unknown[]) {
      const { subject, version } = (reference ?? {}) as { subject?: unknown; version?: unknown };
      const isNamed =
        typeof subject === 'string' && (typeof version === 'number' || typeof version === 'string');
      if (!isNamed) throw refused('has a schema with a reference that names no subject and version');
      const path = `/subjects/${encodeURIComponent(subject)}/versions/${encodeURIComponent(version)}`;
      if (texts.has(path)) continue;
      if (texts.size >= REFERENCES_MAX)
        throw refused(`has a schema with more than ${REFERENCES_MAX} references`);
      texts.set(path, '{"type":"null"}');
      const { status, body } = await ask(path);
      if (status === 404 || typeof body.schema !== 'string')
        throw refused(`has no ${path}, though a schema refers to it`);
      await addReferences(body.references, texts);
      // Again, so that it stands behind its own references.
      texts.delete(path);
      texts.set(path, body.schema);
    }
  }

  function rememberUnknown(id: number): void {
    unknownUntil.delete(id);
    unknownUntil.set(id, clock.monotonicMs() + UNKNOWN_FOR_MS);
    if (unknownUntil.size > UNKNOWN_IDS_MAX) unknownUntil.delete(unknownUntil.keys().next().value!);
  }

  return {
    avroSchema(id) {
      const known = schemas.get(id);
      if (known !== undefined) return known;
      if ((unknownUntil.get(id) ?? 0) > clock.monotonicMs())
        return Promise.resolve('is not known to the registry');
      const fetched = fetchSchema(id);
      schemas.set(id, fetched);
      fetched.then(
        (schema) => {
          if (typeof schema !== 'string') return;
          schemas.delete(id);
          rememberUnknown(id);
        },
        () => schemas.delete(id),
      );
      return fetched;
    },
    close() {
      closing.abort(new Error('closed'));
    },
  };
}

/** Without a trailing slash. @throws ZeptoError CONFIG_INVALID; credentials in the URL would end in messages. */
function baseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') {
    throw new ZeptoError(
      'CONFIG_INVALID',
      'stop',
      'the schema registry needs an http or https URL, its user and password in settings of their own',
    );
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '');
}

async function boundedText(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    bytes += part.length;
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`answers with more than ${ANSWER_BYTES_MAX} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** Not JSON, or JSON that is no object: an answer of something else than a registry. */
function parseAnswer(text: string): Readonly<Record<string, unknown>> {
  try {
    const body: unknown = JSON.parse(text);
    return typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'cannot be reached';
  const inner = error.cause instanceof Error ? error.cause : error;
  return `cannot be reached: ${inner.message}`;
}
