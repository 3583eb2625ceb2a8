// What: the schema registry client against a server that answers as told.
// Why: a registry that is down must hold ticks back, and one that says no must not be taken for one that is down.
// Invariant: waits are of the test's own small bounds; the server is local.

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { openSchemaRegistry, type SchemaRegistryOptions } from '../../connectors/decode/schema-registry.ts';
import { systemClock } from '../../src/kernel/clock.ts';

interface Told {
  readonly status: number;
  readonly body: unknown;
  /** Never answer. */
  readonly hang?: boolean;
}

let server: Server | null = null;
const requests: { path: string; authorization: string | undefined }[] = [];

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
  server = null;
  requests.length = 0;
});

async function registry(
  tell: (path: string, count: number) => Told,
  options: Partial<SchemaRegistryOptions> = {},
) {
  server = createServer((request, response) => {
    requests.push({ path: request.url!, authorization: request.headers.authorization });
    const { status, body, hang } = tell(request.url!, requests.length);
    if (hang) return;
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return openSchemaRegistry({
    url,
    auth: null,
    clock: systemClock,
    unknownAgainMs: 5,
    patienceMs: 300,
    ...options,
  });
}

const unknown: Told = { status: 404, body: { error_code: 40403, message: 'Schema not found' } };

test('a schema is asked for once, with basic authentication, below the path of the URL', async () => {
  const source = await registry(() => ({ status: 200, body: { schema: '"long"' } }), {
    auth: { username: 'user', password: 'pass:word' },
  });
  const answers = await Promise.all([source.avroSchema(7), source.avroSchema(7)]);
  expect(answers).toEqual(Array(2).fill({ schema: '"long"', references: [] }));
  expect(await source.avroSchema(7)).toEqual(answers[0]);
  expect(requests).toEqual([
    { path: '/schemas/ids/7', authorization: `Basic ${Buffer.from('user:pass:word').toString('base64')}` },
  ]);
});

test('an unknown id is asked twice before it is believed, then answered from memory for a while', async () => {
  const source = await registry(() => unknown);
  expect(await source.avroSchema(1)).toBe('is not known to the registry');
  expect(await source.avroSchema(1)).toBe('is not known to the registry');
  expect(requests).toHaveLength(2);
});

test('an id that the registry learns of in the meantime is found', async () => {
  const source = await registry((_, count) =>
    count === 1 ? unknown : { status: 200, body: { schema: '"int"' } },
  );
  expect(await source.avroSchema(1)).toEqual({ schema: '"int"', references: [] });
});

test('a schema of another kind is a reason, not an error', async () => {
  const source = await registry(() => ({ status: 200, body: { schemaType: 'PROTOBUF', schema: 'syntax…' } }));
  expect(await source.avroSchema(3)).toBe('is PROTOBUF, not AVRO');
});

test('references come before what needs them, each once', async () => {
  const schemas: Record<string, Told['body']> = {
    '/schemas/ids/1': {
      schema: 'T',
      references: [
        { name: 'B', subject: 'b/b', version: 2 },
        { name: 'C', subject: 'c', version: 1 },
      ],
    },
    '/subjects/b%2Fb/versions/2': { schema: 'B', references: [{ name: 'C', subject: 'c', version: 1 }] },
    '/subjects/c/versions/1': { schema: 'C' },
  };
  const source = await registry((path) => ({ status: 200, body: schemas[path] }));
  expect(await source.avroSchema(1)).toEqual({ schema: 'T', references: ['C', 'B'] });
  expect(requests).toHaveLength(3);
});

test('a fault that passes is waited out', async () => {
  const source = await registry(
    (_, count) =>
      count < 3
        ? { status: 503, body: 'busy' }
        : count === 3
          ? { status: 200, body: '', hang: true }
          : { status: 200, body: { schema: '"int"' } },
    { requestTimeoutMs: 50, patienceMs: 10_000 },
  );
  expect(await source.avroSchema(1)).toEqual({ schema: '"int"', references: [] });
});

test('a registry that stays away is SCHEMA_UNAVAILABLE to retry, and the next call asks again', async () => {
  let up = false;
  const source = await registry(() =>
    up ? { status: 200, body: { schema: '"int"' } } : { status: 500, body: {} },
  );
  await expect(source.avroSchema(1)).rejects.toMatchObject({ code: 'SCHEMA_UNAVAILABLE', action: 'retry' });
  up = true;
  expect(await source.avroSchema(1)).toEqual({ schema: '"int"', references: [] });
});

test('a closed port is SCHEMA_UNAVAILABLE to retry', async () => {
  const source = openSchemaRegistry({
    url: 'http://127.0.0.1:1',
    auth: null,
    clock: systemClock,
    patienceMs: 50,
  });
  await expect(source.avroSchema(1)).rejects.toMatchObject({ code: 'SCHEMA_UNAVAILABLE', action: 'retry' });
});

test.each([
  [{ status: 401, body: { error_code: 401 } }, 'user and password'],
  [{ status: 403, body: {} }, 'user and password'],
  [{ status: 404, body: '<html>nothing here</html>' }, 'Confluent-compatible'],
  [{ status: 404, body: { error_code: 404, message: 'HTTP 404 Not Found' } }, 'Confluent-compatible'],
  [{ status: 200, body: '<html>a login page</html>' }, 'without a schema'],
])('an answer of %j stops, with what to check and without the password', async (told, advice) => {
  const source = await registry(() => told, { auth: { username: 'u', password: 'secret' } });
  const error = await source.avroSchema(1).catch((caught: unknown) => caught);
  expect(error).toMatchObject({ code: 'SCHEMA_UNAVAILABLE', action: 'stop' });
  expect(String(error)).toContain(advice);
  expect(String(error)).not.toContain('secret');
});

test('an answer without end is cut off', async () => {
  const source = await registry(() => ({ status: 200, body: { schema: 'x'.repeat(5_000_000) } }), {
    patienceMs: 0,
  });
  await expect(source.avroSchema(1)).rejects.toThrow('more than 4194304 bytes');
});

test('close ends a request under way', async () => {
  const source = await registry(() => ({ status: 200, body: '', hang: true }), {
    patienceMs: 60_000,
    requestTimeoutMs: 60_000,
  });
  const asked = source.avroSchema(1);
  setTimeout(() => source.close(), 50);
  await expect(asked).rejects.toThrow();
});

test.each(['', 'localhost:8081', 'ftp://h', 'http://user:pass@host'])('the URL %j is refused', (url) => {
  expect(() => openSchemaRegistry({ url, auth: null, clock: systemClock })).toThrow('http or https');
});
