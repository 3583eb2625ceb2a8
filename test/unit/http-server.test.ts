// What: the HTTP server over real sockets: routes, keys and roles, limits, errors, TLS, log, graceful end.
// Why: probes, scrapers and operators depend on statuses and bodies; the network depends on what is refused.
// Invariant: every request here goes through the listening server.

import { createHash } from 'node:crypto';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as rawRequest } from 'node:http';
import { get as getTls } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { may } from '../../connectors/http/access.ts';
import { findApiKey, parseApiKeys } from '../../connectors/http/api-keys.ts';
import { HttpServer, type HttpServerParts, type HttpSettings } from '../../connectors/http/server.ts';
import { PrometheusMetrics } from '../../connectors/prometheus/metrics.ts';
import type { EngineView } from '../../src/http-port.ts';
import { type Clock, systemClock } from '../../src/kernel/clock.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { Logger } from '../../src/ports.ts';

const FIXTURES = join(import.meta.dirname, '../fixtures/tls');

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'zepto-http-'));
  cleanups.push(() => rmSync(path, { recursive: true }));
  return path;
}

const wellEngine: EngineView = {
  unhealthy: () => null,
  notReady: async () => null,
  stats: async () => ({
    state: 'running',
    startedAtMs: 1_000,
    shards: [
      {
        state: 'running',
        usedBytes: 5,
        budgetBytes: 10,
        isPaused: false,
        partitions: [
          {
            topic: 'ticks',
            partition: 3,
            table: 'trades',
            tableVersion: 0,
            position: 100,
            committed: 40,
            endOffset: 130,
            rowsHot: 60,
            bytesHot: 600,
            bytesFlushed: 0,
            staircase: 1,
            state: 'ACTIVE',
          },
        ],
      },
    ],
  }),
  flush: async () => 2,
  metricsText: async () => '# HELP x y\n',
  totals: () => ({ zepto_ticks_ingested_total: 7 }),
};

interface Running {
  readonly url: string;
  readonly server: HttpServer;
  readonly logged: { level: string; fields: Record<string, unknown>; message: string }[];
  readonly metrics: PrometheusMetrics;
  /** Runs what the clock's `every` was asked for. */
  readonly tick: () => void;
}

async function serve(
  settings: Partial<HttpSettings> = {},
  more: Partial<Pick<HttpServerParts, 'plugins'>> & { engine?: Partial<EngineView> } = {},
): Promise<Running> {
  const logged: Running['logged'] = [];
  const at =
    (level: string): Logger['info'] =>
    (fields, message) =>
      logged.push({ level, fields, message });
  const callbacks = new Set<() => void>();
  const clock: Clock = {
    ...systemClock,
    nowMs: () => 61_000,
    every(_, callback) {
      callbacks.add(callback);
      return { cancel: () => callbacks.delete(callback) };
    },
  };
  const metrics = new PrometheusMetrics(clock, { process: false });
  const server = new HttpServer({
    settings: {
      bind: '127.0.0.1',
      port: 0,
      apiKeysFile: null,
      tls: null,
      requestBytesMax: 1_000,
      ...settings,
    },
    engine: { ...wellEngine, ...more.engine },
    metrics,
    logger: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') },
    clock,
    version: { name: 'zepto', version: '1.2.3' },
    plugins: more.plugins ?? [],
  });
  cleanups.push(
    () => server.stop(),
    () => metrics.close(),
  );
  const url = await server.start();
  return {
    url,
    server,
    logged,
    metrics,
    tick: () => {
      for (const callback of callbacks) callback();
    },
  };
}

/** Log lines are written after the answer has left. */
async function accessLine(running: Running, path: string): Promise<Running['logged'][number] | undefined> {
  for (let i = 0; i < 100; i++) {
    const line = running.logged.find(({ fields }) => fields.path === path);
    if (line !== undefined) return line;
    await systemClock.sleep(5);
  }
  return undefined;
}

const keyLine = (id: string, key: string, role: string, more = '|1|0|||0'): string =>
  `${id}|${id}'s key|${createHash('sha256').update(key).digest('hex')}|${role}|${more}`;

const KEYS = [
  '# zeptodb-keys-v1',
  keyLine('root', 'zepto_root', 'admin'),
  keyLine('bob', 'zepto_bob', 'reader'),
  keyLine('wendy', 'zepto_wendy', 'writer'),
  keyLine('prom', 'zepto_prom', 'metrics'),
  keyLine('gone', 'zepto_gone', 'admin', '|0|0|||0'),
  keyLine('old', 'zepto_old', 'admin', '|1|0|||60000000000'),
  keyLine('new', 'zepto_new', 'admin', '|1|0|||62000000000'),
  '',
].join('\n');

function keysFile(text: string = KEYS): string {
  const path = join(folder(), 'keys.txt');
  writeFileSync(path, text);
  return path;
}

const bearer = (key: string): { headers: Record<string, string> } => ({
  headers: { authorization: `Bearer ${key}` },
});

describe('routes', () => {
  it.each([
    ['/', '{"status":"ok","engine":"ZeptoDB"}'],
    ['/ping', 'Ok.\n'],
    ['/health', '{"status":"healthy"}'],
    ['/ready', '{"status":"ready"}'],
    ['/metrics', '# HELP x y\n'],
    ['/whoami', '{"subject":"anonymous","role":"admin"}'],
    ['/admin/version', `{"engine":"ZeptoDB","version":"1.2.3","build":"node ${process.version}"}`],
  ])('GET %s answers %s', async (path, body) => {
    const { url } = await serve();
    const answer = await fetch(url + path);
    expect([answer.status, await answer.text()]).toEqual([200, body]);
  });

  it('/metrics is the text format that Prometheus asks for', async () => {
    const { url } = await serve();
    expect((await fetch(`${url}/metrics`)).headers.get('content-type')).toBe(
      'text/plain; version=0.0.4; charset=utf-8',
    );
  });

  it('/health and /ready say 503 and why', async () => {
    const { url } = await serve(
      {},
      { engine: { unhealthy: () => 'a shard failed', notReady: async () => 'no assignment yet' } },
    );
    const health = await fetch(`${url}/health`);
    const ready = await fetch(`${url}/ready`);
    expect([health.status, await health.json()]).toEqual([
      503,
      { status: 'unhealthy', reason: 'a shard failed' },
    ]);
    expect([ready.status, await ready.json()]).toEqual([
      503,
      { status: 'not_ready', reason: 'no assignment yet' },
    ]);
  });

  it('/stats gives totals and the state of every partition', async () => {
    const { url } = await serve();
    expect(await (await fetch(`${url}/stats`)).json()).toEqual({
      ticks_ingested: 7,
      state: 'running',
      uptime_seconds: 60,
      shards: [
        {
          shard: 0,
          state: 'running',
          memory_used_bytes: 5,
          memory_budget_bytes: 10,
          paused: false,
          partitions: [
            {
              topic: 'ticks',
              partition: 3,
              table: 'trades',
              state: 'ACTIVE',
              position: 100,
              committed_offset: 40,
              end_offset: 130,
              lag: 30,
              rows_hot: 60,
              bytes_hot: 600,
              staircase: 1,
            },
          ],
        },
      ],
    });
  });

  it.each([
    [{}],
    [{ body: '' }],
    [{ body: 'a=b', headers: { 'content-type': 'application/x-www-form-urlencoded' } }],
    [{ body: '', headers: { 'content-type': 'application/json' } }],
  ])('POST /admin/flush says how many plans it wrote, whatever body comes with it: %j', async (init) => {
    const { url } = await serve();
    const answer = await fetch(`${url}/admin/flush`, { method: 'POST', ...init });
    expect([answer.status, await answer.json()]).toEqual([200, { plans: 2 }]);
  });

  it('a plugin brings routes of its own, the root too', async () => {
    const { url } = await serve(
      {},
      {
        plugins: [
          (app) => {
            app.get('/', { config: { access: 'read' } }, (request, reply) =>
              reply.send({ query: (request.query as { query?: string }).query }),
            );
            app.post('/', { config: { access: 'read' } }, (request, reply) =>
              reply.send({ body: (request.body as Buffer).toString() }),
            );
          },
        ],
      },
    );
    expect(await (await fetch(`${url}/?query=SELECT%201`)).json()).toEqual({ query: 'SELECT 1' });
    expect(await (await fetch(url, { method: 'POST', body: 'SELECT 2' })).json()).toEqual({
      body: 'SELECT 2',
    });
  });
});

describe('errors', () => {
  const failing: HttpServerParts['plugins'] = [
    (app) => {
      app.get('/syntax', { config: { access: 'read' } }, async () => {
        throw new ZeptoError('SQL_SYNTAX', 'stop', 'expected FROM', { context: { position: 9 } });
      });
      app.get('/defect', { config: { access: 'read' } }, async () => {
        throw new TypeError('secret detail');
      });
    },
  ];

  it.each([
    ['GET', '/nowhere?x=1', 404, { error: 'no such path: GET /nowhere', code: 'NOT_FOUND' }],
    ['GET', '/admin/flush', 405, { error: '/admin/flush takes POST', code: 'METHOD_NOT_ALLOWED' }],
    ['DELETE', '/ping', 405, { error: '/ping takes GET', code: 'METHOD_NOT_ALLOWED' }],
    [
      'GET',
      '/syntax',
      400,
      {
        ...{ error: 'expected FROM', code: 'SQL_SYNTAX', position: 9 },
        exception: 'Code: 62. DB::Exception: expected FROM. (SYNTAX_ERROR)',
      },
    ],
  ])('%s %s answers %i and says why', async (method, path, status, body) => {
    const { url } = await serve({}, { plugins: failing });
    const answer = await fetch(url + path, { method });
    expect([answer.status, await answer.json()]).toEqual([status, body]);
    if (status === 405) expect(answer.headers.get('allow')).toBe(path === '/ping' ? 'GET' : 'POST');
    expect(answer.headers.get('x-clickhouse-exception-code')).toBe(status === 400 ? '62' : null);
  });

  it('a defect answers 500 with the id under which the log has it, and nothing else', async () => {
    const running = await serve({}, { plugins: failing });
    const answer = await fetch(`${running.url}/defect`, { headers: { 'x-request-id': 'mine' } });
    const text = await answer.text();
    expect(answer.status).toBe(500);
    expect(text).not.toContain('secret detail');
    expect(text).toContain('mine');
    const line = running.logged.find(({ level }) => level === 'error');
    expect(line?.fields).toMatchObject({ request_id: 'mine', error: expect.any(TypeError) });
  });

  it('a body above the limit is answered with 413, announced or not', async () => {
    const { url } = await serve();
    const expected = { error: 'request body larger than 1000 bytes', code: 'LIMIT_EXCEEDED' };
    const announced = await fetch(`${url}/admin/flush`, { method: 'POST', body: 'x'.repeat(1_001) });
    expect([announced.status, await announced.json()]).toEqual([413, expected]);
    const chunked = await new Promise<number | undefined>((resolve, reject) => {
      const sending = rawRequest(`${url}/admin/flush`, { method: 'POST' }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      });
      sending.on('error', reject);
      for (let i = 0; i < 11; i++) sending.write('x'.repeat(100));
      sending.end();
    });
    expect(chunked).toBe(413);
  });

  it.each([
    ['NONSENSE\r\n\r\n', /^HTTP\/1\.1 400 .*\r\n\r\n\{"error":"malformed HTTP request"/s],
    [`GET /${'x'.repeat(70_000)} HTTP/1.1\r\nhost: localhost\r\n\r\n`, /^HTTP\/1\.1 431 /],
  ])('bytes that are no request are answered in JSON too', async (bytes, expected) => {
    const { url } = await serve();
    const answer = await new Promise<string>((resolve, reject) => {
      let text = '';
      const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write(bytes));
      socket.on('data', (chunk) => (text += chunk.toString()));
      socket.on('close', () => resolve(text));
      socket.on('error', reject);
    });
    expect(answer).toMatch(expected);
  });
});

describe('request ids and the access log', () => {
  it('every answer carries an id, the client’s own when it is harmless', async () => {
    const { url } = await serve();
    const ids = await Promise.all(
      [undefined, 'abc-1', 'x'.repeat(65), 'a b'].map(async (id) => {
        const answer = await fetch(
          `${url}/ping`,
          id === undefined ? {} : { headers: { 'x-request-id': id } },
        );
        return answer.headers.get('x-request-id');
      }),
    );
    expect(ids[1]).toBe('abc-1');
    expect(ids.filter((id) => /^r[0-9a-f]+$/.test(id ?? ''))).toHaveLength(3);
    expect(new Set(ids).size).toBe(4);
  });

  it('a request is one line without its query string, and counts once', async () => {
    const running = await serve({ apiKeysFile: keysFile() });
    await fetch(`${running.url}/stats?query=secret`, bearer('zepto_bob'));
    const line = await accessLine(running, '/stats');
    expect(line).toEqual({
      level: 'info',
      message: 'request',
      fields: {
        request_id: 'r1',
        method: 'GET',
        path: '/stats',
        status: 200,
        duration_us: expect.any(Number),
        request_bytes: 0,
        response_bytes: expect.any(Number),
        remote_addr: '127.0.0.1',
        subject: 'bob',
      },
    });
    expect(line?.fields.response_bytes).toBeGreaterThan(300);
    expect(await running.metrics.text()).toContain(
      'zepto_http_requests_total{method="GET",route="/stats",status="200"} 1',
    );
    expect(running.metrics.total('zepto_metrics_rejected_total')).toBe(0);
  });

  it('probes are logged for debugging only, paths that do not exist share one series', async () => {
    const running = await serve();
    await fetch(`${running.url}/ping`);
    expect((await accessLine(running, '/ping'))?.level).toBe('debug');
    await fetch(`${running.url}/guess-1`);
    await fetch(`${running.url}/guess-2`);
    await accessLine(running, '/guess-2');
    expect(await running.metrics.text()).toContain('route="none",status="404"} 2');
  });
});

describe('access', () => {
  it.each([
    ['/ping', undefined, 200],
    ['/health', undefined, 200],
    ['/ready', undefined, 200],
    ['/stats', undefined, 401],
    ['/stats', 'zepto_nobody', 401],
    ['/stats', 'zepto_bob', 200],
    ['/stats', 'zepto_prom', 403],
    ['/metrics', 'zepto_prom', 200],
    ['/metrics', 'zepto_bob', 403],
    ['/metrics', 'zepto_wendy', 200],
    ['/stats', 'zepto_gone', 401],
    ['/stats', 'zepto_old', 401],
    ['/stats', 'zepto_new', 200],
    ['/nowhere', undefined, 401],
    ['/nowhere', 'zepto_bob', 404],
    ['/unstated', 'zepto_wendy', 403],
    ['/unstated', 'zepto_root', 200],
  ])('GET %s with the key %s answers %i', async (path, key, status) => {
    const unstated: HttpServerParts['plugins'] = [
      (app) => void app.get('/unstated', (_, reply) => reply.send('x')),
    ];
    const { url } = await serve({ apiKeysFile: keysFile() }, { plugins: unstated });
    const answer = await fetch(url + path, key === undefined ? {} : bearer(key));
    expect(answer.status).toBe(status);
    expect(answer.headers.get('www-authenticate')).toBe(status === 401 ? 'Bearer realm="ZeptoDB"' : null);
  });

  it.each<[Record<string, string | string[]>, number, string]>([
    [{}, 401, 'No Authorization header'],
    [{ authorization: 'Basic Ym9iOng=' }, 401, 'Invalid Authorization header format'],
    [{ authorization: 'Bearer' }, 401, 'Invalid Authorization header format'],
    [{ authorization: 'bearer zepto_bob' }, 403, 'Admin permission required'],
    [{ authorization: ['Bearer zepto_root', 'Bearer zepto_bob'] }, 400, 'More than one Authorization header'],
  ])('POST /admin/flush with %j answers %i, and flushes nothing', async (headers, status, error) => {
    let flushed = 0;
    const engine = { flush: async () => (flushed += 1) };
    const { url } = await serve({ apiKeysFile: keysFile() }, { engine });
    const [found, body] = await new Promise<[number | undefined, string]>((resolve, reject) => {
      const sending = rawRequest(`${url}/admin/flush`, { method: 'POST', headers }, (answer) => {
        let text = '';
        answer.on('data', (chunk) => (text += chunk));
        answer.on('end', () => resolve([answer.statusCode, text]));
      });
      sending.on('error', reject);
      sending.end();
    });
    expect([found, JSON.parse(body)]).toEqual([status, { error, code: 'UNAUTHORIZED' }]);
    expect(flushed).toBe(0);
  });

  it('a key that is taken out of the file stops working, a broken file leaves the former keys in force', async () => {
    const apiKeysFile = keysFile();
    const running = await serve({ apiKeysFile });
    const status = async (key: string): Promise<number> =>
      (await fetch(`${running.url}/stats`, bearer(key))).status;
    writeFileSync(
      apiKeysFile,
      KEYS.split('\n')
        .filter((line) => !line.startsWith('bob'))
        .join('\n'),
    );
    running.tick();
    expect([await status('zepto_bob'), await status('zepto_root')]).toEqual([401, 200]);
    writeFileSync(apiKeysFile, 'nonsense');
    running.tick();
    expect([await status('zepto_bob'), await status('zepto_root')]).toEqual([401, 200]);
    expect(running.logged.filter(({ level }) => level === 'error')).toHaveLength(1);
    running.tick();
    expect(running.logged.filter(({ level }) => level === 'error')).toHaveLength(1);
  });

  it('without keys, pages of other sites and rebound names are kept out; tools are not', async () => {
    const { url } = await serve();
    const { port, host } = new URL(url);
    const status = (headers: Record<string, string>): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        const sending = rawRequest(
          { host: '127.0.0.1', port, path: '/admin/flush', method: 'POST', headers },
          (answer) => {
            answer.resume();
            resolve(answer.statusCode);
          },
        );
        sending.on('error', reject);
        sending.end();
      });
    expect(await status({ origin: 'https://evil.example' })).toBe(403);
    expect(await status({ host: 'evil.example' })).toBe(403);
    expect(await status({ host: `evil.example:${port}`, origin: `http://evil.example:${port}` })).toBe(403);
    expect(await status({ origin: 'null' })).toBe(403);
    expect(await status({ origin: `http://${host}` })).toBe(200);
    expect(await status({ host: `localhost:${port}` })).toBe(200);
    expect(await status({})).toBe(200);
  });
});

describe('the keys file', () => {
  const line = keyLine('a', 'k', 'reader');
  it.each([
    ['', /first line must be/],
    ['# zeptodb-keys-v2\n', /first line must be/],
    [`# zeptodb-keys-v1\n${line}|x`, /line 2: expects 10 fields separated by "\|", found 11/],
    [`# zeptodb-keys-v1\n\n${line.replace('reader', 'god')}`, /line 3: unknown role "god"/],
    [`# zeptodb-keys-v1\n${line.replace('reader', 'toString')}`, /unknown role/],
    [`# zeptodb-keys-v1\na|n|abc|reader||1|0|||`, /no SHA-256/],
    [`# zeptodb-keys-v1\n${keyLine('a', 'k', 'reader', 'AAPL|1|0|||')}`, /limited to symbols/],
    [`# zeptodb-keys-v1\n${keyLine('a', 'k', 'reader', '|1|0|trades||')}`, /limited to symbols/],
    [`# zeptodb-keys-v1\n${keyLine('a', 'k', 'reader', '|yes|0|||')}`, /enabled/],
    [`# zeptodb-keys-v1\n${line}\n${line}`, /the id "a" stands twice/],
  ])('%j is refused', (text, expected) => {
    expect(() => parseApiKeys(text, 'keys.txt')).toThrow(expected);
  });

  it('comments and empty lines are passed over, and lines may end as on Windows', () => {
    const keys = parseApiKeys(`# zeptodb-keys-v1\r\n# ours\r\n\r\n${line}\r\n`, 'keys.txt');
    expect(keys.map(({ id, role }) => [id, role])).toEqual([['a', 'reader']]);
    expect(findApiKey(keys, 'k', 0)?.id).toBe('a');
    expect(findApiKey(keys, 'K', 0)).toBeNull();
  });

  it('roles permit what the original’s do', () => {
    const permitted = (role: Parameters<typeof may>[0]['role']): string[] =>
      (['read', 'write', 'admin', 'metrics'] as const).filter((what) => may({ subject: '', role }, what));
    expect(permitted('admin')).toEqual(['read', 'write', 'admin', 'metrics']);
    expect(permitted('writer')).toEqual(['read', 'write', 'metrics']);
    expect(permitted('reader')).toEqual(['read']);
    expect(permitted('analyst')).toEqual([]);
    expect(permitted('metrics')).toEqual(['metrics']);
  });
});

describe('TLS', () => {
  function pair(): { certFile: string; keyFile: string; use: (name: string) => void } {
    const path = folder();
    const [certFile, keyFile] = [join(path, 'cert.pem'), join(path, 'key.pem')];
    const use = (name: string): void => {
      copyFileSync(join(FIXTURES, `${name}-cert.pem`), certFile);
      copyFileSync(join(FIXTURES, `${name}-key.pem`), keyFile);
    };
    use('first');
    return { certFile, keyFile, use };
  }

  const commonName = (url: string): Promise<string> =>
    new Promise((resolve, reject) => {
      getTls(`${url}/ping`, { rejectUnauthorized: false, agent: false }, (answer) => {
        answer.resume();
        resolve(String((answer.socket as TLSSocket).getPeerCertificate().subject.CN));
      }).on('error', reject);
    });

  it('a certificate that is renewed is used from then on, a pair that does not fit is not', async () => {
    const tls = pair();
    const running = await serve({ tls });
    expect(running.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    expect(await commonName(running.url)).toBe('first');
    copyFileSync(join(FIXTURES, 'second-cert.pem'), tls.certFile);
    running.tick();
    expect(await commonName(running.url)).toBe('first');
    tls.use('second');
    running.tick();
    expect(await commonName(running.url)).toBe('second');
  });

  it('a pair that does not fit, or is missing, is refused at start', async () => {
    const tls = pair();
    copyFileSync(join(FIXTURES, 'second-cert.pem'), tls.certFile);
    await expect(serve({ tls })).rejects.toThrow(/--tls-cert and --tls-key do not fit/);
    await expect(serve({ tls: { ...tls, keyFile: '/nowhere' } })).rejects.toThrow(/cannot be read/);
  });
});

describe('start and stop', () => {
  it('a port in use is refused with the way out', async () => {
    const { url } = await serve();
    await expect(serve({ port: Number(new URL(url).port) })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('the port is in use; --port (or ZEPTO_PORT) chooses another'),
    });
  });

  it('an address that is not of this machine is refused', async () => {
    await expect(serve({ bind: '192.0.2.1' })).rejects.toThrow(/this machine has no such address/);
  });

  it('stop lets a request under way end, takes no new one, and can be called twice', async () => {
    let answerNow = (): void => {};
    const waiting = new Promise<void>((resolve) => {
      answerNow = resolve;
    });
    const engine = {
      flush: async () => {
        await waiting;
        return 5;
      },
    };
    const { url, server } = await serve({}, { engine });
    const underWay = fetch(`${url}/admin/flush`, { method: 'POST' });
    await systemClock.sleep(50);
    const stopped = Promise.all([server.stop(), server.stop()]);
    await systemClock.sleep(20);
    await expect(fetch(`${url}/ping`)).rejects.toThrow();
    answerNow();
    const answeredMs = systemClock.monotonicMs();
    expect(await (await underWay).json()).toEqual({ plans: 5 });
    await stopped;
    // A client that would keep its connection does not hold the end up until the drain's deadline.
    expect(systemClock.monotonicMs() - answeredMs).toBeLessThan(2_000);
  });

  it('a server that never started can be stopped', async () => {
    const { server } = await serve();
    await server.stop();
    await expect(server.stop()).resolves.toBeUndefined();
  });
});
