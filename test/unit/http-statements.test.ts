// What: the routes that answer SQL, over real sockets, in front of a service that is a plain function.
// Why: what goes to the service, and when the status, the end and the hang-up come, is the contract that clients build on.
// Invariant: a statement has ended when its client has gone, wherever in the answer that was.

import { once } from 'node:events';
import { request as rawRequest, type ServerResponse } from 'node:http';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { drained } from '../../connectors/http/drained.ts';
import { HttpServer } from '../../connectors/http/server.ts';
import type { BodyDecoders } from '../../connectors/http/statement-request.ts';
import { statementRoutes } from '../../connectors/http/statements.ts';
import { streamRoutes } from '../../connectors/http/stream.ts';
import { PrometheusMetrics } from '../../connectors/prometheus/metrics.ts';
import type { EngineView, StatementRequest, StatementService } from '../../src/http-port.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const nothing = (): void => {};
const quiet = { debug: nothing, info: nothing, warn: nothing, error: nothing };
const bytes = (text: string): Uint8Array => Buffer.from(text);

interface Served {
  readonly url: string;
  /** What the service was asked, in order. */
  readonly asked: StatementRequest[];
  readonly signals: AbortSignal[];
  /** Bodies that were read to their end, broke off, or were left. */
  readonly ended: string[];
}

/** Serves `body` for every statement. */
async function serve(
  body: (request: StatementRequest, signal: AbortSignal) => AsyncGenerator<Uint8Array>,
  {
    bodyDecoders = {},
    answering = nothing,
  }: { readonly bodyDecoders?: BodyDecoders; readonly answering?: (raw: ServerResponse) => void } = {},
): Promise<Served> {
  const asked: StatementRequest[] = [];
  const signals: AbortSignal[] = [];
  const ended: string[] = [];
  const service: StatementService = {
    async run(request, signal) {
      asked.push(request);
      signals.push(signal);
      const tracked = async function* (): AsyncGenerator<Uint8Array> {
        try {
          yield* body(request, signal);
        } finally {
          ended.push(request.id);
        }
      };
      return { contentType: 'text/plain; charset=utf-8', headers: { 'x-made': 'yes' }, body: tracked() };
    },
    running: () => [{ id: 'q1', text: 'SELECT 1', subject: 'anonymous', startedAtMs: 1_711_000_800_000 }],
    cancel: (id) => id === 'q1',
  };
  const metrics = new PrometheusMetrics(systemClock, { process: false });
  const server = new HttpServer({
    settings: { bind: '127.0.0.1', port: 0, apiKeysFile: null, tls: null, requestBytesMax: 1_000_000 },
    engine: {} as EngineView,
    metrics,
    logger: quiet,
    clock: systemClock,
    version: { name: 'zepto', version: '1' },
    plugins: [
      async (app) => {
        app.addHook('onRequest', async (_, reply) => answering(reply.raw));
        const parts = { service, clock: systemClock, logger: quiet };
        await statementRoutes({ ...parts, metrics, slowMs: 0, bodyDecoders })(app);
        await streamRoutes(parts)(app);
      },
    ],
  });
  cleanups.push(
    () => metrics.close(),
    () => server.stop(),
  );
  return { url: await server.start(), asked, signals, ended };
}

async function* pieces(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield bytes(text);
}
const ofOnePiece = (): AsyncGenerator<Uint8Array> => pieces('fine');

async function until(holds: () => boolean): Promise<void> {
  for (let waited = 0; !holds(); waited += 5) {
    if (waited > 5_000) throw new Error('still not so after 5 s');
    await sleep(5);
  }
}

describe('a request', () => {
  it('carries text, parameters, settings and id from the URL or the body', async () => {
    const { url, asked } = await serve(ofOnePiece);
    await fetch(`${url}/?query=SELECT+1&param_a=x%26y&max_threads=2&query_id=mine&database=default&user=u`);
    await fetch(`${url}/?param_a=1`, { method: 'POST', body: 'SELECT {a:Int64}' });
    expect(asked[0]).toMatchObject({
      ...{ id: 'mine', text: 'SELECT 1', parameters: { a: 'x&y' }, settings: { max_threads: '2' } },
      ...{
        format: null,
        data: null,
        subject: 'anonymous',
        authorization: null,
        mayWrite: false,
        mayAdminister: false,
      },
    });
    expect(asked[1]).toMatchObject({ text: 'SELECT {a:Int64}', parameters: { a: '1' }, mayWrite: true });
    expect(asked[1]!.id).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('carries rows when the statement is in the URL, and both may be gzip', async () => {
    const { url, asked } = await serve(ofOnePiece);
    const insert = `${url}/?query=INSERT+INTO+t+FORMAT+CSV`;
    await fetch(insert, { method: 'POST', body: '1,2\n' });
    await fetch(insert, {
      method: 'POST',
      body: gzipSync('3,4\n'),
      headers: { 'content-encoding': 'gzip' },
    });
    await fetch(url, { method: 'POST', body: gzipSync('SELECT 1'), headers: { 'content-encoding': 'gzip' } });
    expect(asked.map(({ text }) => text)).toEqual([
      'INSERT INTO t FORMAT CSV',
      'INSERT INTO t FORMAT CSV',
      'SELECT 1',
    ]);
    expect(asked.map(({ data }) => data && Buffer.from(data).toString())).toEqual(['1,2\n', '3,4\n', null]);
  });

  it.each([
    'INSERT INTO t FORMAT Native\n',
    'insert into `t` (`a b`, "c)", d) format Native  \r\n',
    '\n INSERT INTO default.t\n(a,\n `x``y(`)\nFORMAT Native\n',
    'INSERT INTO tîck FORMAT Native\n',
  ])('carries rows behind %j too, byte for byte', async (statement) => {
    const { url, asked } = await serve(ofOnePiece);
    const rows = Buffer.from([0x0a, 0x09, 0x20, 0xff, 0x00, 0x0a]);
    await fetch(url, { method: 'POST', body: Buffer.concat([Buffer.from(statement), rows]) });
    expect(asked[0]).toMatchObject({ text: statement });
    expect([...asked[0]!.data!]).toEqual([...rows]);
  });

  it.each([
    'INSERT INTO t FORMAT Native',
    'INSERT INTO t FORMAT Native\n',
    "INSERT INTO t VALUES ('FORMAT CSV\n1,2')",
    'INSERT INTO t (a) SELECT 1 FORMAT CSV\n',
    'SELECT 1 FORMAT CSV\n',
    `INSERT INTO t (${'``'.repeat(50_000)}`,
    `INSERT INTO ${'a'.repeat(100_000)}`,
  ])('that holds no rows is all statement: %#', async (statement) => {
    const { url, asked } = await serve(ofOnePiece);
    await fetch(url, { method: 'POST', body: statement });
    expect(asked[0]).toMatchObject({ text: statement, data: null });
  });

  it('may be of another encoding that the process reads, and is refused when it is damaged', async () => {
    const bodyDecoders: BodyDecoders = {
      twice: (body) => {
        if (body.length % 2 === 1) throw new Error('half a byte');
        return body.subarray(0, body.length / 2);
      },
    };
    const { url, asked } = await serve(ofOnePiece, { bodyDecoders });
    const send = (body: string): Promise<Response> =>
      fetch(url, { method: 'POST', body, headers: { 'content-encoding': 'twice' } });
    await send('SELECT 1SELECT 1');
    expect(asked[0]).toMatchObject({ text: 'SELECT 1' });
    expect(await (await send('odd')).json()).toMatchObject({
      error: expect.stringContaining('the body is no twice: Error: half a byte'),
      code: 'FORMAT_INVALID',
    });
  });

  it('may be a form, for what is too long for a URL', async () => {
    const { url, asked } = await serve(ofOnePiece);
    const body = new FormData();
    body.append('query', 'SELECT {a:String}');
    body.append('param_a', 'ü'.repeat(1000));
    await fetch(`${url}/?query_id=form`, { method: 'POST', body });
    expect(asked[0]).toMatchObject({
      ...{ id: 'form', text: 'SELECT {a:String}', parameters: { a: 'ü'.repeat(1000) }, data: null },
    });
    body.append('external', new Blob(['1\n']), 'rows.tsv');
    const refused = await fetch(url, { method: 'POST', body });
    expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([
      400,
      'SQL_UNSUPPORTED',
    ]);
  });

  it.each([
    ['/?query=x&default_format=CSV', {}, 'CSV'],
    ['/?query=x&format=arrow', {}, 'ArrowStream'],
    ['/?query=x', { 'x-clickhouse-format': 'TSV' }, 'TSV'],
    ['/?query=x', { accept: 'application/vnd.apache.arrow.stream' }, 'ArrowStream'],
    ['/?query=x', { 'user-agent': 'clickhouse-connect/1.12.0 (lv:py/3.11)' }, 'TabSeparated'],
    ['/?query=x', { 'x-clickhouse-user': 'default' }, 'TabSeparated'],
    ['/?query=x', { 'user-agent': 'curl/8' }, null],
  ])('%s %j asks for the format %s', async (path, headers, format) => {
    const { url, asked } = await serve(ofOnePiece);
    await fetch(url + path, { headers: headers as Record<string, string> });
    expect(asked[0]!.format).toBe(format);
  });

  it.each([
    ['POST', '/', '', {}, 400, 'Empty query body'],
    ['POST', '/', 'x', { 'content-encoding': 'br' }, 400, 'br is not known: use gzip or none'],
    ['POST', '/', 'x', { 'content-encoding': 'toString' }, 400, 'toString is not known'],
    ['POST', '/', 'x', { 'content-encoding': 'gzip' }, 400, 'no gzip'],
    ['POST', '/insert/arrow', 'x', {}, 400, 'which table?'],
    ['GET', '/?query=x&database=other', undefined, {}, 400, 'there is no database other'],
    ['DELETE', '/admin/queries/none', undefined, {}, 404, 'Query not found'],
  ] as const)('%s %s with %j is refused', async (method, path, body, headers, status, message) => {
    const { url, asked } = await serve(ofOnePiece);
    const answer = await fetch(url + path, { method, headers, ...(body === undefined ? {} : { body }) });
    expect(answer.status).toBe(status);
    expect(((await answer.json()) as { error: string }).error).toContain(message);
    expect(asked).toEqual([]);
  });

  it('lists what runs and cancels it', async () => {
    const { url } = await serve(ofOnePiece);
    expect(await (await fetch(`${url}/admin/queries`)).json()).toEqual([
      { id: 'q1', subject: 'anonymous', sql: 'SELECT 1', started_at_ns: 1_711_000_800_000_000_000 },
    ]);
    const cancelled = await fetch(`${url}/admin/queries/q1`, { method: 'DELETE' });
    expect(await cancelled.json()).toEqual({ cancelled: true });
  });
});

describe('an answer', () => {
  it('of one piece has its length, and headers and id with it', async () => {
    const { url, ended } = await serve(ofOnePiece);
    const answer = await fetch(`${url}/?query=x&query_id=one`);
    expect(await answer.text()).toBe('fine');
    expect(answer.headers.get('content-length')).toBe('4');
    expect(answer.headers.get('x-made')).toBe('yes');
    expect(answer.headers.get('x-clickhouse-query-id')).toBe('one');
    expect(ended).toEqual(['one']);
  });

  it('is refused where its id could not be sent back', async () => {
    const { url, ended } = await serve(ofOnePiece);
    for (const id of ['a\nb', 'ü', 'x'.repeat(257)]) {
      const answer = await fetch(`${url}/?query=x&query_id=${encodeURIComponent(id)}`);
      expect(answer.status).toBe(400);
      expect(await answer.text()).toContain('query_id');
    }
    expect(ended).toEqual([]);
  });

  it('of many pieces streams, as gzip when it is asked for and accepted', async () => {
    const { url } = await serve(() => pieces('a'.repeat(50_000), 'b', '', 'c'));
    const plain = await fetch(`${url}/?query=x`);
    expect(plain.headers.get('content-length')).toBeNull();
    expect(await plain.text()).toBe(`${'a'.repeat(50_000)}bc`);
    const raw = await new Promise<Buffer>((resolve, reject) => {
      const options = { headers: { 'accept-encoding': 'gzip' } };
      rawRequest(`${url}/?query=x&enable_http_compression=1`, options, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => resolve(Buffer.concat(chunks)));
      })
        .on('error', reject)
        .end();
    });
    expect(raw.length).toBeLessThan(1_000);
    expect(gunzipSync(raw).toString()).toBe(`${'a'.repeat(50_000)}bc`);
  });

  const tooMuch = new ZeptoError('LIMIT_EXCEEDED', 'stop', 'too much', { context: { limit: 'rowsMax' } });
  async function* failing(before: readonly string[]): AsyncGenerator<Uint8Array> {
    yield* pieces(...before);
    throw tooMuch;
  }

  it('that fails before its first piece has status, code, position and number of the error', async () => {
    const { url } = await serve(() => failing([]));
    const answer = await fetch(`${url}/?query=x`);
    expect(answer.status).toBe(400);
    expect(answer.headers.get('x-clickhouse-exception-code')).toBe('396');
    expect(await answer.json()).toEqual({
      ...{ error: 'too much', code: 'LIMIT_EXCEEDED' },
      exception: 'Code: 396. DB::Exception: too much. (TOO_MANY_ROWS_OR_BYTES)',
    });
  });

  it.each(['identity', 'gzip'])(
    'that fails later delivers what was written and is cut, %s',
    async (encoding) => {
      const { url, ended } = await serve(() => failing(['rows '.repeat(20_000), 'more ', 'MARK']));
      const got = await new Promise<{ text: string; complete: boolean }>((resolve) => {
        const options = { headers: { 'accept-encoding': encoding } };
        rawRequest(`${url}/?query=x&enable_http_compression=1`, options, (response) => {
          expect(response.statusCode).toBe(200);
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', nothing);
          response.on('close', () => {
            const all = Buffer.concat(chunks);
            const text = encoding === 'gzip' ? gunzipSync(all).toString() : all.toString();
            resolve({ text, complete: response.complete });
          });
        }).end();
      });
      expect(got.complete).toBe(false);
      expect(got.text.endsWith('more MARK')).toBe(true);
      expect(ended.length).toBe(1);
    },
  );

  it('waits for its end when the client wants the status of that', async () => {
    const { url } = await serve(() => failing(['rows '.repeat(20_000), 'more ', 'MARK']));
    const answer = await fetch(`${url}/?query=x&wait_end_of_query=1`);
    expect(answer.status).toBe(400);
    const { url: fine } = await serve(() => pieces('a', 'b', 'c'));
    const whole = await fetch(`${fine}/?query=x&wait_end_of_query=1`);
    expect([whole.headers.get('content-length'), await whole.text()]).toEqual(['3', 'abc']);
  });

  it('is made no faster than it is taken', async () => {
    let made = 0;
    const { url, ended } = await serve(async function* () {
      for (; made < 1_000; made++) yield Buffer.alloc(1_000_000);
    });
    const client = rawRequest(`${url}/?query=x`, (response) => response.pause());
    client.on('error', nothing);
    client.end();
    await until(() => made >= 2);
    await sleep(300);
    // What fits into the buffers of two sockets.
    expect(made).toBeLessThan(50);
    client.destroy();
    await until(() => ended.length === 1);
  });
});

describe('a client that takes an answer slower than it is made', () => {
  /** Listeners of the response, as what is sent goes on. */
  const listeners = async (url: (base: string) => string, body: Parameters<typeof serve>[0]) => {
    let raw: ServerResponse | null = null;
    const served = await serve(body, {
      answering: (response) => {
        raw = response;
      },
    });
    const counts: number[] = [];
    let taken = 0;
    const client = rawRequest(url(served.url), (response) =>
      response.on('data', (piece: Buffer) => {
        taken += piece.length;
        if (taken < counts.length * 1_000_000) return;
        const names = ['drain', 'close', 'error'] as const;
        counts.push(names.reduce((sum, name) => sum + raw!.listenerCount(name), 0));
        if (counts.length === 20) client.destroy();
      }),
    );
    client.on('error', nothing);
    client.end();
    await until(() => counts.length === 20);
    return counts;
  };

  it('leaves no listener for each wait, also when the answer is watched', async () => {
    const whole = await listeners(
      (base) => `${base}/?query=x`,
      async function* () {
        for (;;) yield Buffer.alloc(1_000_000);
      },
    );
    let asked = 0;
    const watched = await listeners(
      (base) => `${base}/stream?query=x&every_ms=50`,
      () => pieces(`{"n":${asked++},"pad":"${'x'.repeat(1_000_000)}"}\n`),
    );
    for (const counts of [whole, watched]) expect(Math.max(...counts)).toBeLessThan(10);
  });

  it('is not waited for when it has gone already', async () => {
    const sink = new PassThrough();
    await once(sink.destroy(), 'close');
    await drained(sink);
  });
});

describe('a client that hangs up', () => {
  /** Pieces for ever; those before the first need `hold` to resolve. */
  const endless = (hold: (signal: AbortSignal) => Promise<void>) =>
    async function* (_: StatementRequest, signal: AbortSignal): AsyncGenerator<Uint8Array> {
      await hold(signal);
      for (;;) {
        if (signal.aborted) throw new ZeptoError('CANCELLED', 'stop', 'cancelled');
        yield bytes('row\n'.repeat(100));
        await sleep(1);
      }
    };
  const aborted = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => signal.addEventListener('abort', () => resolve()));

  it.each(['', '&enable_http_compression=1'])(
    'in the middle of an answer ends its statement%s',
    async (more) => {
      const { url, signals, ended } = await serve(endless(async () => {}));
      const client = rawRequest(
        `${url}/?query=x${more}`,
        { headers: { 'accept-encoding': 'gzip' } },
        (response) => response.once('data', () => client.destroy()),
      );
      client.on('error', nothing);
      client.end();
      await until(() => ended.length === 1);
      expect(signals[0]!.aborted).toBe(true);
    },
  );

  it('before the first piece ends its statement', async () => {
    const { url, signals, ended } = await serve(endless(aborted));
    const client = rawRequest(`${url}/?query=x`);
    client.on('error', nothing);
    client.end();
    await until(() => signals.length === 1);
    client.destroy();
    await until(() => ended.length === 1);
  });

  it('when pieces are ready but not yet written ends its statement', async () => {
    const { url, signals, ended } = await serve(async function* (_, signal) {
      yield bytes('first');
      await aborted(signal);
      // As a format marks an error: the mark is a piece, then the error comes.
      yield bytes('mark');
      throw new ZeptoError('CANCELLED', 'stop', 'cancelled');
    });
    const client = rawRequest(`${url}/?query=x`);
    client.on('error', nothing);
    client.end();
    await until(() => signals.length === 1);
    client.destroy();
    await until(() => ended.length === 1);
  });
});
