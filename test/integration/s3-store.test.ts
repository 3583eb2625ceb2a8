// What: the S3 store against real servers, with faults between them.
// Why: signatures, conditional writes, checksums, multipart uploads and policies are what servers do, not what we think.
// Invariant: both servers see the same tests; at the end of each, what was acknowledged stands with its bytes.

import { ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { createBucketClient } from '../../connectors/s3/client.ts';
import { type S3Settings, s3Defaults } from '../../connectors/s3/settings.ts';
import { createS3Store } from '../../connectors/s3/store.ts';
import { type FaultProxy, startProxy } from '../../services/proxy.ts';
import type { S3, S3Connection } from '../../services/s3.ts';
import { type Services, startServices } from '../../services/up.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { Logger, Metrics, ObjectStore } from '../../src/ports.ts';
import {
  type HttpFaultProxy,
  type RequestFault,
  s3Error,
  startHttpFaultProxy,
} from '../support/http-fault-proxy.ts';
import {
  collect,
  inLanes,
  objectStoreContract,
  pattern,
  sameBytes,
} from '../support/object-store-contract.ts';

const MEBIBYTE = 1024 * 1024;
const log: Logger = { debug() {}, info() {}, warn() {}, error() {} };
const metrics: Metrics = { count() {}, gauge() {}, observe() {} };
const options = { contentType: 'application/vnd.apache.parquet' };

let versity: Services<'s3'>;
let prefixes = 0;
const newPrefix = (): string => `s3-store-${process.pid}-${prefixes++}`;

beforeAll(async () => {
  versity = await startServices({ with: ['s3'], s3Server: 'versitygw', report: () => {} });
});
afterAll(() => versity?.stop());

/** Parts and bounds are small, so that every path is met in seconds. */
function openStore(
  connection: S3Connection,
  changes: Partial<S3Settings> = {},
  openClient = createBucketClient,
): ObjectStore {
  const { endpoint, region, bucket, accessKeyId, secretAccessKey } = connection;
  const settings: S3Settings = {
    ...s3Defaults,
    bucket,
    region,
    endpointUrl: endpoint,
    usePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
    multipartThresholdBytes: 6 * MEBIBYTE,
    partBytes: 5 * MEBIBYTE,
    backoffBaseMs: 5,
    backoffCapMs: 50,
    patienceMs: 60_000,
    ...changes,
  };
  return createS3Store(settings, { clock: systemClock, metrics, log }, openClient);
}

/** Uploads that were begun and neither completed nor aborted. */
async function unfinishedUploads(connection: S3Connection, prefix: string): Promise<string[]> {
  const { endpoint, region, bucket, accessKeyId, secretAccessKey } = connection;
  const client = new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  });
  const { Uploads } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
  client.destroy();
  return (Uploads ?? []).map(({ Key }) => Key!).filter((key) => key.startsWith(prefix));
}

/** versitygw answers a repeated Complete while the first one, whose answer was lost, has yet to show its object. */
const untilListed = (store: ObjectStore, prefix: string, keys: readonly string[]): Promise<void> =>
  expect
    .poll(async () => (await collect(store.list(prefix))).map(({ key }) => key), { timeout: 5_000 })
    .toEqual(keys);

describe.each(['s3proxy', 'versitygw'] as const)('%s', (name) => {
  const connect = (): S3Connection => (name === 's3proxy' ? inject('services').s3 : versity.s3.connection);

  describe('the contract', () => {
    objectStoreContract(async () => {
      const store = openStore(connect());
      return {
        store,
        prefix: newPrefix(),
        conditionalWrites: true,
        largeBytes: 11 * MEBIBYTE + 7,
        manyObjects: 1_050,
        close: () => store.close(),
      };
    });
  });

  describe('the contract, for buckets whose requests only the SDK can sign', () => {
    objectStoreContract(async () => {
      const store = openStore(connect(), {}, (...args) => ({ ...createBucketClient(...args), direct: null }));
      return {
        store,
        prefix: newPrefix(),
        conditionalWrites: true,
        largeBytes: 7 * MEBIBYTE,
        manyObjects: 20,
        close: () => store.close(),
      };
    });
  });

  describe('through faults', () => {
    let proxy: HttpFaultProxy;
    let store: ObjectStore;
    let prefix: string;
    beforeEach(async () => {
      proxy = await startHttpFaultProxy(connect().endpoint);
      store = openStore({ ...connect(), endpoint: proxy.url });
      prefix = newPrefix();
    });
    afterEach(async () => {
      await store.close();
      await proxy.close();
    });

    /** Each request that is the first of its kind meets the fault. */
    function onceEach(fault: RequestFault): (request: { method: string; url: string }) => RequestFault {
      const met = new Set<string>();
      return ({ method, url }) => {
        const kind = `${method} ${url.includes('uploads') ? 'create' : url.replace(/uploadId=[^&]*/, '')}`;
        if (met.has(kind)) return { kind: 'pass' };
        met.add(kind);
        return fault;
      };
    }

    const faults = [
      ['503', s3Error(503, 'SlowDown')],
      ['an HTML page with 502', { kind: 'answer', status: 502, body: '<html>Bad Gateway</html>' }],
      ['a connection cut in the body', { kind: 'cut-request', afterBytes: 1_000 }],
      ['a body damaged on the way', { kind: 'corrupt' }],
      ['done, and the answer lost', { kind: 'drop-answer' }],
      ['done, and the answer cut short', { kind: 'cut-answer', afterBytes: 20 }],
    ] as const satisfies readonly (readonly [string, RequestFault])[];

    test.each(faults)('a small object arrives whole: %s', async (what, fault) => {
      const body = pattern(20_000, 1);
      proxy.setFault(onceEach(fault));
      const created = await store.put(`${prefix}/a`, body, options);
      expect(created).toBe(what.startsWith('done') ? 'exists' : 'created');
      expect(sameBytes(await store.get(`${prefix}/a`), body)).toBe(true);
    });

    test.each(faults)('a large object arrives whole and leaves no parts: %s', async (_, fault) => {
      const body = pattern(11 * MEBIBYTE, 2);
      proxy.setFault(onceEach(fault));
      expect(['created', 'exists']).toContain(await store.put(`${prefix}/large`, body, options));
      proxy.setFault(() => ({ kind: 'pass' }));
      await untilListed(store, prefix, [`${prefix}/large`]);
      expect(sameBytes(await store.get(`${prefix}/large`), body)).toBe(true);
      // A lost answer to the first request leaves an upload that nobody has the id of, with no parts in it.
      const unknown = proxy.seen.length > 0 && fault.kind.endsWith('answer') && fault.kind !== 'answer';
      expect((await unfinishedUploads(connect(), prefix)).length).toBeLessThanOrEqual(unknown ? 1 : 0);
    });

    test.each(faults.filter(([, fault]) => fault.kind !== 'corrupt'))(
      'reading and listing: %s',
      async (_, fault) => {
        const body = pattern(200_000, 3);
        await store.put(`${prefix}/a`, body, options);
        proxy.setFault(onceEach(fault));
        expect(sameBytes(await store.get(`${prefix}/a`), body)).toBe(true);
        expect((await collect(store.list(prefix))).map(({ key }) => key)).toEqual([`${prefix}/a`]);
        expect(await store.delete(`${prefix}/a`)).toBe(true);
      },
    );

    test('a large upload that is aborted ends at once and leaves no parts', async () => {
      const controller = new AbortController();
      proxy.setFault(({ url }) => {
        if (!url.includes('partNumber=2')) return { kind: 'pass' };
        setTimeout(() => controller.abort(new Error('shutting down')), 20);
        return { kind: 'hang' };
      });
      const put = store.put(`${prefix}/large`, pattern(11 * MEBIBYTE, 4), {
        ...options,
        signal: controller.signal,
      });
      await expect(put).rejects.toThrow('shutting down');
      expect(await unfinishedUploads(connect(), prefix)).toEqual([]);
      expect(await collect(store.list(prefix))).toEqual([]);
    });

    const isCompletion = ({ method, url }: { method: string; url: string }): boolean =>
      method === 'POST' && url.includes('uploadId=');

    test.each([
      [
        'an upload',
        s3Error(404, 'NoSuchUpload'),
        ({ method, url }) => method === 'PUT' && url.includes('partNumber=1'),
      ],
      ['a part', s3Error(400, 'InvalidPart'), isCompletion],
    ] satisfies [string, RequestFault, (request: { method: string; url: string }) => boolean][])(
      '%s that the server forgot is sent again',
      async (_, forgotten, isMet) => {
        let met = 0;
        proxy.setFault((request) => (isMet(request) && met++ === 0 ? forgotten : { kind: 'pass' }));
        const body = pattern(7 * MEBIBYTE, 5);
        expect(await store.put(`${prefix}/large`, body, options)).toBe('created');
        expect(met).toBe(2);
        expect(sameBytes(await store.get(`${prefix}/large`), body)).toBe(true);
        expect(await unfinishedUploads(connect(), prefix)).toEqual([]);
      },
    );

    test('a server that forgets parts each time is unavailable', async () => {
      proxy.setFault((request) => (isCompletion(request) ? s3Error(400, 'InvalidPart') : { kind: 'pass' }));
      const put = store.put(`${prefix}/large`, pattern(7 * MEBIBYTE, 6), options);
      await expect(put).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', action: 'retry' });
      expect(await unfinishedUploads(connect(), prefix)).toEqual([]);
    });

    test('among many puts with faults by chance, what was acknowledged stands, each once', async () => {
      let state = 20_260_321;
      const random = (): number => {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
        return state / 2 ** 32;
      };
      const kinds: readonly RequestFault[] = [
        s3Error(503, 'SlowDown'),
        s3Error(500, 'InternalError'),
        s3Error(403, 'AccessDenied'),
        { kind: 'cut-request', afterBytes: 500 },
        { kind: 'drop-answer' },
        { kind: 'cut-answer', afterBytes: 0 },
        { kind: 'corrupt' },
        { kind: 'delay', ms: 50 },
      ];
      await store.put(`${prefix}/first`, pattern(10, 0), options);
      proxy.setFault(() => (random() < 0.3 ? kinds[Math.floor(random() * kinds.length)]! : { kind: 'pass' }));
      const keys = Array.from(
        { length: 300 },
        (_, index) => `${prefix}/many/${String(index).padStart(3, '0')}`,
      );
      const sizeOf = (index: number): number => (index % 100 === 0 ? 7 * MEBIBYTE : 1_000 + index * 50);
      await inLanes(16, keys, async (key, index) => {
        expect(['created', 'exists']).toContain(await store.put(key, pattern(sizeOf(index), index), options));
      });
      proxy.setFault(() => ({ kind: 'pass' }));
      await untilListed(store, `${prefix}/many/`, keys);
      await inLanes(16, keys, async (key, index) => {
        expect(sameBytes(await store.get(key), pattern(sizeOf(index), index))).toBe(true);
      });
    });
  });

  describe('behind a slow line', () => {
    let line: FaultProxy;
    beforeEach(async () => {
      line = await startProxy({ target: { port: Number(new URL(connect().endpoint).port) } });
    });
    afterEach(() => line.close());

    test('uploads go on at its pace, none is given up, and nothing piles up', async () => {
      const store = openStore(
        { ...connect(), endpoint: `http://${line.host}:${line.port}` },
        { stallMs: 1_000 },
      );
      const prefix = newPrefix();
      line.mode = { kind: 'trickle', bytesPerSecond: 4 * MEBIBYTE };
      const keys = Array.from({ length: 100 }, (_, index) => `${prefix}/${index}`);
      const body = pattern(128 * 1024, 1);
      let mostBytes = 0;
      const startBytes = process.memoryUsage().arrayBuffers;
      await inLanes(8, keys, async (key) => {
        expect(await store.put(key, body, options)).toBe('created');
        mostBytes = Math.max(mostBytes, process.memoryUsage().arrayBuffers - startBytes);
      });
      expect(mostBytes).toBeLessThan(16 * MEBIBYTE);
      await store.close();
    });

    test('a line that stalls is given up and used again when it passes', async () => {
      const store = openStore(
        { ...connect(), endpoint: `http://${line.host}:${line.port}` },
        { stallMs: 200 },
      );
      const key = `${newPrefix()}/a`;
      line.mode = { kind: 'stall' };
      setTimeout(() => {
        line.mode = { kind: 'pass' };
      }, 700);
      expect(['created', 'exists']).toContain(await store.put(key, pattern(10_000, 1), options));
      await store.close();
    });
  });
});

describe('an upload-only credential', () => {
  let connection: S3Connection;
  let proxy: HttpFaultProxy;
  let store: ObjectStore;
  const prefix = 'upload-only/hdb';

  beforeAll(async () => {
    const bucket = versity.s3.connection.bucket;
    connection = await versity.s3.createUser({
      name: 'uploader',
      policy: {
        Version: '2012-10-17',
        Statement: [
          {
            Effect: 'Allow',
            Action: ['s3:PutObject', 's3:AbortMultipartUpload'],
            Resource: `arn:aws:s3:::${bucket}/${prefix}/*`,
          },
          { Effect: 'Allow', Action: 's3:ListBucket', Resource: `arn:aws:s3:::${bucket}` },
        ],
      },
    });
    proxy = await startHttpFaultProxy(connection.endpoint);
    store = openStore({ ...connection, endpoint: proxy.url }, { deniedPatienceMs: 50 });
  });
  afterAll(async () => {
    await store?.close();
    await proxy?.close();
  });

  test('is enough to probe, put, put in parts, adopt and list', async () => {
    expect(await store.probe(prefix)).toEqual({ conditionalWrites: true });
    expect(await store.put(`${prefix}/a`, pattern(1_000, 1), options)).toBe('created');
    expect(await store.put(`${prefix}/a`, pattern(1_000, 1), options)).toBe('exists');
    const large = pattern(7 * MEBIBYTE, 2);
    expect(await store.put(`${prefix}/large`, large, options)).toBe('created');
    expect(await store.put(`${prefix}/large`, large, options)).toBe('exists');
    expect(new Set(proxy.seen.map(({ method }) => method))).toEqual(new Set(['PUT', 'POST', 'DELETE']));
    expect((await collect(store.list(`${prefix}/`))).map(({ key }) => key)).toEqual([
      `${prefix}/_probe/conditional-writes`,
      `${prefix}/a`,
      `${prefix}/large`,
    ]);
    expect(await unfinishedUploads(versity.s3.connection, prefix)).toEqual([]);
  });

  test('may not read, delete or write elsewhere, and each says so', async () => {
    await store.put(`${prefix}/kept`, pattern(10, 1), options);
    await expect(store.get(`${prefix}/kept`)).rejects.toMatchObject({ code: 'STORE_DENIED', action: 'stop' });
    await expect(store.get(`${prefix}/kept`)).rejects.toThrow('s3:GetObject');
    expect(await store.delete(`${prefix}/kept`)).toBe(false);
    const elsewhere = store.put('elsewhere/a', pattern(10, 1), options);
    await expect(elsewhere).rejects.toMatchObject({ code: 'STORE_DENIED', action: 'stop' });
    await expect(elsewhere).rejects.toThrow('s3:PutObject');
  });

  test.each([
    ['bucket', { bucket: 'no-such-bucket' }, 'STORE_NO_BUCKET', '--cold-tier-s3-bucket'],
    ['key', { accessKeyId: 'AKIANOBODY' }, 'STORE_DENIED', 'AWS_ACCESS_KEY_ID'],
    ['secret', { secretAccessKey: 'wrong' }, 'STORE_DENIED', 'AWS_SECRET_ACCESS_KEY'],
  ] as const)('with a wrong %s, the probe stops at once with what to do', async (_, changes, code, fix) => {
    const wrong = openStore({ ...versity.s3.connection, ...changes });
    const probing = wrong.probe('hdb');
    await expect(probing).rejects.toMatchObject({ code, action: 'stop' });
    await expect(probing).rejects.toThrow(fix);
    await wrong.close();
  });
});

describe('a server that is killed and started again', () => {
  let own: Services<'s3'>;
  let server: S3;
  beforeAll(async () => {
    own = await startServices({ with: ['s3'], s3Server: 'versitygw', report: () => {} });
    server = own.s3;
  });
  afterAll(() => own?.stop());

  test('keeps what it acknowledged, and the uploads in between arrive', async () => {
    const store = openStore(server.connection);
    const prefix = newPrefix();
    const keys = Array.from({ length: 400 }, (_, index) => `${prefix}/${String(index).padStart(3, '0')}`);
    let acknowledged = 0;
    const uploading = inLanes(8, keys, async (key, index) => {
      await store.put(key, pattern(20_000, index), options);
      acknowledged += 1;
      if (acknowledged === 100) restarted = server.kill('SIGKILL').then(() => server.start());
    });
    let restarted: Promise<unknown> | undefined;
    await uploading;
    await restarted;
    expect(restarted).toBeDefined();
    expect((await collect(store.list(prefix))).map(({ key }) => key)).toEqual(keys);
    await inLanes(8, keys, async (key, index) => {
      expect(sameBytes(await store.get(key), pattern(20_000, index))).toBe(true);
    });
    await store.close();
  });
});
