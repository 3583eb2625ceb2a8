// What: the S3 store against a small server of the test's own that fails as told.
// Why: every way in which a PUT can fail is met here in milliseconds; real servers are met in the integration tests.
// Invariant: no test waits for real time-outs; bounds are set to milliseconds.

import { createHash } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { crc32c } from '@node-rs/crc32';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type S3Settings, s3Defaults } from '../../connectors/s3/settings.ts';
import { createS3Store } from '../../connectors/s3/store.ts';
import { type Clock, systemClock } from '../../src/kernel/clock.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { Metrics, ObjectStore } from '../../src/ports.ts';
import { type HttpFaultProxy, s3Error, startHttpFaultProxy } from '../support/http-fault-proxy.ts';
import { pattern, sameBytes } from '../support/object-store-contract.ts';

/** Keeps what is put, knows `If-None-Match: *`, and refuses what does not match its checksums. */
interface PutServer {
  readonly url: string;
  readonly objects: Map<string, Buffer>;
  readonly puts: { key: string; headers: http.IncomingHttpHeaders; status: number }[];
  conditionalWrites: 'kept' | 'ignored' | 'not-implemented';
  close(): void;
}

async function startPutServer(): Promise<PutServer> {
  const server = http.createServer((request, answer) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const status = take(decodeURIComponent(request.url!), request.headers, Buffer.concat(chunks));
      const code = status === 501 ? 'NotImplemented' : 'PreconditionFailed';
      answer.writeHead(status).end(status === 200 ? '' : `<Error><Code>${code}</Code></Error>`);
    });
  });
  function take(key: string, headers: http.IncomingHttpHeaders, body: Buffer): number {
    const status = judge(key, headers, body);
    putServer.puts.push({ key, headers, status });
    if (status === 200) putServer.objects.set(key, body);
    return status;
  }
  function judge(key: string, headers: http.IncomingHttpHeaders, body: Buffer): number {
    const crc = Buffer.from(headers['x-amz-checksum-crc32c'] as string, 'base64').readUInt32BE();
    if (crc !== crc32c(body)) return 400;
    if (headers['x-amz-content-sha256'] !== createHash('sha256').update(body).digest('hex')) return 400;
    if (headers['if-none-match'] !== '*') return 200;
    if (putServer.conditionalWrites === 'not-implemented') return 501;
    return putServer.conditionalWrites === 'kept' && putServer.objects.has(key) ? 412 : 200;
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const putServer: PutServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    objects: new Map(),
    puts: [],
    conditionalWrites: 'kept',
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
  return putServer;
}

const SECRET = 'a-secret-that-must-not-be-seen';
const options = { contentType: 'application/vnd.apache.parquet' };
const body = pattern(10_000, 1);

let server: PutServer;
let proxy: HttpFaultProxy;
let stores: ObjectStore[];
let counted: { name: string; labels: Readonly<Record<string, string>>; by: number }[];
let logged: string[];

beforeAll(async () => {
  server = await startPutServer();
});
afterAll(() => server.close());
beforeEach(async () => {
  proxy = await startHttpFaultProxy(server.url);
  server.objects.clear();
  server.puts.length = 0;
  server.conditionalWrites = 'kept';
  stores = [];
  counted = [];
  logged = [];
});
afterEach(async () => {
  await Promise.all(stores.map((store) => store.close()));
  await proxy.close();
});

function openStore(changes: Partial<S3Settings> = {}, clock: Clock = systemClock): ObjectStore {
  const metrics: Metrics = {
    count: (name, labels, by) => void counted.push({ name, labels, by }),
    gauge() {},
    observe() {},
  };
  const note = (fields: object, message: string): void => {
    logged.push(`${message} ${JSON.stringify(fields)}`);
  };
  const settings: S3Settings = {
    ...s3Defaults,
    bucket: 'ticks',
    region: 'us-east-1',
    endpointUrl: proxy.url,
    usePathStyle: true,
    credentials: { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: SECRET },
    backoffBaseMs: 1,
    backoffCapMs: 5,
    patienceMs: 2_000,
    deniedPatienceMs: 200,
    stallMs: 1_000,
    ...changes,
  };
  const store = createS3Store(settings, {
    clock,
    metrics,
    log: { debug: note, info: note, warn: note, error: note },
  });
  stores.push(store);
  return store;
}

/** The first `n` requests meet the fault, later ones pass. */
const firstMeet =
  (
    n: number,
    fault: ReturnType<Parameters<HttpFaultProxy['setFault']>[0]>,
  ): Parameters<HttpFaultProxy['setFault']>[0] =>
  ({ number }) =>
    number < n ? fault : { kind: 'pass' };

async function failure(promise: Promise<unknown>): Promise<ZeptoError> {
  const error = await promise.then(
    (value) => {
      throw new Error(`did not fail but gave ${JSON.stringify(value)}`);
    },
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ZeptoError);
  return error as ZeptoError;
}

describe('a put', () => {
  test('is one request, and reads nothing', async () => {
    const store = openStore();
    expect(await store.put('a/b', body, options)).toBe('created');
    expect(proxy.seen.map(({ method, url }) => `${method} ${url}`)).toEqual(['PUT /ticks/a/b']);
    expect(sameBytes(server.objects.get('/ticks/a/b')!, body)).toBe(true);
  });

  test('tells the server type, checksum, encryption and storage class', async () => {
    const store = openStore({
      encryption: { kind: 'sse-kms', keyId: 'arn:aws:kms:eu-west-1:1:key/k' },
      storageClass: 'STANDARD_IA',
    });
    await store.put('a', body, options);
    expect(server.puts[0]!.headers).toMatchObject({
      'content-type': 'application/vnd.apache.parquet',
      'if-none-match': '*',
      'x-amz-server-side-encryption': 'aws:kms',
      'x-amz-server-side-encryption-aws-kms-key-id': 'arn:aws:kms:eu-west-1:1:key/k',
      'x-amz-storage-class': 'STANDARD_IA',
    });
  });

  test('of a body in shared memory works', async () => {
    const shared = new Uint8Array(new SharedArrayBuffer(1_000), 10, 500);
    shared.set(body.subarray(0, 500));
    await openStore().put('a', shared, options);
    expect(sameBytes(server.objects.get('/ticks/a')!, body.subarray(0, 500))).toBe(true);
  });

  test('keeps its connection for the next', async () => {
    const store = openStore();
    for (let index = 0; index < 20; index += 1) await store.put(`k${index}`, body, options);
    expect(proxy.connections).toBe(1);
  });

  test('uses no more connections than it may', async () => {
    const store = openStore({ connectionsMax: 3 });
    let most = 0;
    proxy.setFault(() => {
      most = Math.max(most, proxy.inFlight);
      return { kind: 'delay', ms: 5 };
    });
    await Promise.all(Array.from({ length: 30 }, (_, index) => store.put(`k${index}`, body, options)));
    expect(most).toBe(3);
  });
});

describe('faults that pass', () => {
  test.each([
    ['503 SlowDown', s3Error(503, 'SlowDown')],
    ['500 InternalError', s3Error(500, 'InternalError')],
    ['a 502 page of a proxy', { kind: 'answer', status: 502, body: '<html>Bad Gateway</html>' }],
    ['429', s3Error(429, 'TooManyRequests')],
    ['409 ConditionalRequestConflict', s3Error(409, 'ConditionalRequestConflict')],
    ['400 RequestTimeout', s3Error(400, 'RequestTimeout')],
    ['a body that was damaged on the way', s3Error(400, 'BadDigest')],
    ['a connection cut in the middle of the body', { kind: 'cut-request', afterBytes: 1 }],
    ['a connection cut before anything', { kind: 'cut-request', afterBytes: 0 }],
  ] as const)('%s is waited out', async (_, fault) => {
    proxy.setFault(firstMeet(7, fault));
    expect(await openStore().put('a', body, options)).toBe('created');
    expect(proxy.seen).toHaveLength(8);
    expect(sameBytes(server.objects.get('/ticks/a')!, body)).toBe(true);
    const failures = counted.filter(({ name }) => name === 'zepto_store_failures_total');
    expect(failures).toHaveLength(7);
    expect(failures[0]!.labels).toMatchObject({ store: 's3', operation: 'put' });
  });

  test('an acknowledgement that was lost ends as exists, and the object stands once', async () => {
    proxy.setFault(firstMeet(1, { kind: 'drop-answer' }));
    expect(await openStore().put('a', body, options)).toBe('exists');
    expect(server.puts.map(({ status }) => status)).toEqual([200, 412]);
  });

  test('without conditional writes it ends as created, with the same bytes', async () => {
    server.conditionalWrites = 'ignored';
    const store = openStore();
    await store.probe('hdb');
    proxy.setFault(({ number }) => (number === 2 ? { kind: 'drop-answer' } : { kind: 'pass' }));
    expect(await store.put('a', body, options)).toBe('created');
    expect(sameBytes(server.objects.get('/ticks/a')!, body)).toBe(true);
  });

  test('a server that hangs is given up after the stall time, and tried again', async () => {
    proxy.setFault(firstMeet(2, { kind: 'hang' }));
    const startMs = performance.now();
    expect(await openStore({ stallMs: 50 }).put('a', body, options)).toBe('created');
    expect(performance.now() - startMs).toBeLessThan(800);
  });

  test('a server that trickles its answer is given up too', async () => {
    const trickle = http.createServer((_, answer) => {
      answer.writeHead(200, { 'content-length': '1000' });
      const timer = setInterval(() => answer.write('x'), 10);
      answer.on('close', () => clearInterval(timer));
    });
    await new Promise<void>((resolve) => trickle.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(trickle.address() as AddressInfo).port}`;
    const error = await failure(
      openStore({ endpointUrl: url, stallMs: 30, patienceMs: 100 }).put('a', new Uint8Array(0), options),
    );
    expect(error.code).toBe('STORE_UNAVAILABLE');
    trickle.closeAllConnections();
    trickle.close();
  });

  test('an outage is told once, and its end too', async () => {
    const store = openStore();
    proxy.setFault(firstMeet(40, s3Error(503, 'SlowDown')));
    await Promise.all(Array.from({ length: 4 }, (_, index) => store.put(`k${index}`, body, options)));
    expect(logged.filter((line) => line.startsWith('object store fails'))).toHaveLength(1);
    expect(logged.filter((line) => line.startsWith('object store answers again'))).toHaveLength(1);
  });

  test('patience ends with STORE_UNAVAILABLE, to be retried, with the last fault', async () => {
    proxy.setFault(() => s3Error(503, 'SlowDown'));
    const error = await failure(openStore({ patienceMs: 60 }).put('a', body, options));
    expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', action: 'retry' });
    expect(error.message).toMatch(
      /s3:\/\/ticks\/a: no success in \d+ attempts .* 503 SlowDown \(said by the test\)/,
    );
    expect(error.context).toMatchObject({ bucket: 'ticks', key: 'a', fault: 'SlowDown', requestId: 'R1' });
  });

  test('nobody listening is STORE_UNAVAILABLE and names the flag', async () => {
    const error = await failure(
      openStore({ endpointUrl: 'http://127.0.0.1:1', probePatienceMs: 30 }).probe('hdb'),
    );
    expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', action: 'retry' });
    expect(error.message).toContain('--cold-tier-s3-endpoint-url');
  });
});

describe('an abort', () => {
  test.each([
    ['in the middle of a request', { kind: 'hang' }],
    ['during back-off', s3Error(503, 'SlowDown')],
  ] as const)('%s ends the call with its reason', async (_, fault) => {
    proxy.setFault(() => fault);
    const controller = new AbortController();
    const putting = openStore({
      backoffBaseMs: 10_000,
      backoffCapMs: 10_000,
      patienceMs: 60_000,
      stallMs: 60_000,
    }).put('a', body, { ...options, signal: controller.signal });
    setTimeout(() => controller.abort(new Error('shutting down')), 30);
    await expect(putting).rejects.toThrow('shutting down');
  });

  test('leaves no listener on a signal that lives long', async () => {
    const { signal } = new AbortController();
    let listening = 0;
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = ((...args: Parameters<typeof addEventListener>) => {
      listening += 1;
      addEventListener.apply(signal, args);
    }) as typeof addEventListener;
    signal.removeEventListener = ((...args: Parameters<typeof removeEventListener>) => {
      listening -= 1;
      removeEventListener.apply(signal, args);
    }) as typeof removeEventListener;
    const store = openStore();
    proxy.setFault(firstMeet(3, s3Error(503, 'SlowDown')));
    for (let index = 0; index < 5; index += 1) await store.put(`k${index}`, body, { ...options, signal });
    expect(listening).toBe(0);
  });
});

test('a store that is closed tries nothing again', async () => {
  const store = openStore();
  proxy.setFault(() => ({ kind: 'hang' }));
  const putting = store.put('a', body, options);
  await expect.poll(() => proxy.seen.length).toBe(1);
  await store.close();
  await store.close();
  await expect(putting).rejects.toMatchObject({ code: 'CANCELLED' });
  expect(proxy.seen).toHaveLength(1);
});

describe('refusals', () => {
  test.each([
    ['403 AccessDenied', s3Error(403, 'AccessDenied'), 'STORE_DENIED', 's3:PutObject'],
    ['a wrong key', s3Error(403, 'InvalidAccessKeyId'), 'STORE_DENIED', 'AWS_ACCESS_KEY_ID'],
    ['a wrong secret', s3Error(403, 'SignatureDoesNotMatch'), 'STORE_DENIED', 'AWS_SECRET_ACCESS_KEY'],
    ['a missing bucket', s3Error(404, 'NoSuchBucket'), 'STORE_NO_BUCKET', '--cold-tier-s3-bucket'],
    [
      'another region',
      s3Error(301, 'PermanentRedirect', { 'x-amz-bucket-region': 'eu-central-1' }),
      'CONFIG_INVALID',
      '--cold-tier-s3-region to eu-central-1',
    ],
    ['a class it does not have', s3Error(400, 'InvalidStorageClass'), 'STORE_DENIED', 'InvalidStorageClass'],
    [
      'something that is not an S3 server',
      { kind: 'answer', status: 404, body: 'not here' },
      'STORE_DENIED',
      '--cold-tier-s3-endpoint-url',
    ],
  ] as const)('%s stops at start, after one request, with what to do', async (_, fault, code, fix) => {
    proxy.setFault(() => fault);
    const error = await failure(openStore().probe('hdb'));
    expect(error).toMatchObject({ code, action: 'stop' });
    expect(error.message).toContain(fix);
    expect(proxy.seen).toHaveLength(1);
    expect(`${JSON.stringify(error)}${error.stack}${JSON.stringify(error.cause)}${logged}`).not.toContain(
      SECRET,
    );
  });

  test('TLS to a server that speaks none names the endpoint', async () => {
    const error = await failure(
      openStore({ endpointUrl: proxy.url.replace('http:', 'https:') }).probe('hdb'),
    );
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', action: 'stop' });
    expect(error.message).toContain('--cold-tier-s3-endpoint-url');
  });

  test.each([s3Error(403, 'AccessDenied'), s3Error(404, 'NoSuchBucket')])(
    'from a store that has worked is waited out for a while (%#)',
    async (fault) => {
      const store = openStore();
      await store.put('a', body, options);
      proxy.setFault(({ number }) => (number < 6 ? fault : { kind: 'pass' }));
      expect(await store.put('b', body, options)).toBe('created');
    },
  );

  test('and believed after that while', async () => {
    const store = openStore({ deniedPatienceMs: 50 });
    await store.put('a', body, options);
    proxy.setFault(() => s3Error(403, 'AccessDenied'));
    expect(await failure(store.put('b', body, options))).toMatchObject({
      code: 'STORE_DENIED',
      action: 'stop',
    });
    expect(proxy.seen.length).toBeGreaterThan(3);
  });
});

describe('credentials and clocks', () => {
  test('credentials that expired are renewed', async () => {
    let given = 0;
    const store = openStore({
      credentials: async () => ({
        accessKeyId: `AKIA${given++}`,
        secretAccessKey: SECRET,
        sessionToken: 'token',
        expiration: new Date(Date.now() + 3_600_000),
      }),
    });
    proxy.setFault(({ headers }) =>
      headers.authorization!.includes('AKIA0/') ? s3Error(400, 'ExpiredToken') : { kind: 'pass' },
    );
    expect(await store.put('a', body, options)).toBe('created');
    expect(given).toBe(2);
    expect(server.puts[0]!.headers['x-amz-security-token']).toBe('token');
  });

  test('credentials that cannot be renewed stop with where to renew them', async () => {
    proxy.setFault(() => s3Error(400, 'ExpiredToken'));
    const error = await failure(openStore({ deniedPatienceMs: 30 }).put('a', body, options));
    expect(error).toMatchObject({ code: 'STORE_DENIED', action: 'stop' });
    expect(error.message).toContain('renew');
  });

  test('no credentials at all stop with how to give them', async () => {
    const missing = Object.assign(new Error('Could not load credentials from any providers'), {
      name: 'CredentialsProviderError',
    });
    const error = await failure(openStore({ credentials: () => Promise.reject(missing) }).probe('hdb'));
    expect(error).toMatchObject({ code: 'STORE_DENIED', action: 'stop' });
    expect(error.message).toContain('AWS_PROFILE');
  });

  test("a clock that is wrong is allowed for, by the server's", async () => {
    const hourMs = 3_600_000;
    const fast: Clock = { ...systemClock, nowMs: () => Date.now() + hourMs };
    proxy.setFault(({ headers }) => {
      const date = String(headers['x-amz-date']).replace(
        /(....)(..)(..)T(..)(..)(..)Z/,
        '$1-$2-$3T$4:$5:$6Z',
      );
      const skewed = Math.abs(Date.parse(date) - Date.now()) > 900_000;
      return skewed ? s3Error(403, 'RequestTimeTooSkewed') : { kind: 'pass' };
    });
    const store = openStore({}, fast);
    expect(await store.put('a', body, options)).toBe('created');
    expect(await store.put('b', body, options)).toBe('created');
    expect(proxy.seen).toHaveLength(3);
  });
});

describe('the probe', () => {
  test.each([
    ['kept', true],
    ['ignored', false],
    ['not-implemented', false],
  ] as const)('learns that conditional writes are %s', async (conditionalWrites, learned) => {
    server.conditionalWrites = conditionalWrites;
    expect(await openStore().probe('hdb')).toEqual({ conditionalWrites: learned });
    expect([...server.objects.keys()]).toEqual(['/ticks/hdb/_probe/conditional-writes']);
    expect(new Set(proxy.seen.map(({ method }) => method))).toEqual(new Set(['PUT']));
  });

  test('of a store that does not know the header, later puts leave it out', async () => {
    server.conditionalWrites = 'not-implemented';
    const store = openStore();
    await store.probe('hdb');
    expect(await store.put('a', body, options)).toBe('created');
    expect(server.puts.at(-1)!.headers['if-none-match']).toBeUndefined();
  });

  test('of one instance serves the others: header and patience are as if they had probed', async () => {
    server.conditionalWrites = 'not-implemented';
    const learned = await openStore().probe('hdb');
    const store = openStore({ learned });
    const soon = proxy.seen.length + 3;
    proxy.setFault(({ number }) => (number < soon ? s3Error(403, 'AccessDenied') : { kind: 'pass' }));
    expect(await store.put('a', body, options)).toBe('created');
    expect(server.puts.at(-1)!.headers['if-none-match']).toBeUndefined();
  });

  test('asks once where its object is there from an earlier start', async () => {
    await openStore().probe('');
    const before = proxy.seen.length;
    expect(await openStore().probe('')).toEqual({ conditionalWrites: true });
    expect(proxy.seen.length - before).toBe(1);
    expect([...server.objects.keys()]).toEqual(['/ticks/_probe/conditional-writes']);
  });
});
