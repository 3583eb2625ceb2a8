// What: the OpenAPI document beside the routes of a running server and what they answer.
// Why: a document that says what is not so is worse than none.
// Invariant: routes and permissions are read from the routes themselves, answers come over a real socket.

import { Validator } from '@seriousme/openapi-schema-validator';
import fastify from 'fastify';
import { afterEach, expect, it } from 'vitest';
import { guardAccess } from '../../connectors/http/access.ts';
import { openApiDocument, openApiRoute } from '../../connectors/http/openapi.ts';
import { statementRoutes } from '../../connectors/http/statements.ts';
import { statusRoutes } from '../../connectors/http/status.ts';
import { streamRoutes } from '../../connectors/http/stream.ts';
import type { EngineView, StatementService } from '../../src/http-port.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { Logger, Metrics } from '../../src/ports.ts';

type Operations = Record<string, Record<string, { 'x-permission': string; responses: object }>>;

const version = { name: 'zeptodb-kafka', version: '1.2.3' };
const apps: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const app of apps.splice(0)) await app.close();
});

/** All routes, as the server registers them, with what each asks for. */
async function routed(): Promise<{ app: ReturnType<typeof fastify>; routes: string[] }> {
  const app = fastify();
  apps.push(app);
  const routes: string[] = [];
  app.addHook('onRoute', ({ method, url, config }) => {
    if (method === 'HEAD') return;
    routes.push(`${method} ${url.replace(/:(\w+)/g, '{$1}')} ${config?.access ?? 'admin'}`);
  });
  const engine: EngineView = {
    unhealthy: () => null,
    notReady: async () => 'no partition yet',
    stats: async () => ({ state: 'running', startedAtMs: 0, shards: [] }),
    flush: async () => 3,
    metricsText: async () => '',
    totals: () => ({ zepto_ticks_ingested_total: 7 }),
  };
  const service: StatementService = {
    run: () => Promise.reject(new Error('not asked for')),
    running: () => [{ id: 'a', text: 'SELECT 1', subject: 'me', startedAtMs: 1 }],
    cancel: (id) => id === 'a',
  };
  const logger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
  const metrics = { count() {}, observe() {} } as unknown as Metrics;
  const parts = { service, clock: systemClock, logger, metrics, slowMs: 0, bodyDecoders: {} };
  guardAccess(app, { keys: null, isLoopback: true, clock: systemClock });
  statusRoutes(app, engine, version, systemClock);
  openApiRoute(app, version);
  await app.register(async (scope) => statementRoutes(parts)(scope));
  await app.register(async (scope) => streamRoutes(parts)(scope));
  return { app, routes };
}

const documentedPaths = openApiDocument(version).paths as Operations;

it('is valid OpenAPI 3.1', async () => {
  const { valid, errors } = await new Validator().validate(
    openApiDocument(version) as Record<string, unknown>,
  );
  expect(errors).toBeUndefined();
  expect(valid).toBe(true);
});

it('has the routes that there are, with their permissions', async () => {
  const { routes } = await routed();
  const documented = Object.entries(documentedPaths).flatMap(([path, operations]) =>
    Object.entries(operations).map(
      ([method, operation]) => `${method.toUpperCase()} ${path} ${operation['x-permission']}`,
    ),
  );
  expect(documented.sort()).toEqual(routes.sort());
});

it('has the statuses and members of the answers', async () => {
  const { app } = await routed();
  const address = await app.listen({ host: '127.0.0.1', port: 0 });
  const asked = [
    ['GET', '/', 200],
    ['GET', '/ping', 200],
    ['GET', '/health', 200],
    ['GET', '/ready', 503],
    ['GET', '/stats', 200],
    ['GET', '/whoami', 200],
    ['GET', '/openapi.json', 200],
    ['GET', '/admin/version', 200],
    ['POST', '/admin/flush', 200],
    ['GET', '/admin/queries', 200],
    ['DELETE', '/admin/queries/{id}', 404],
    ['GET', '/stream', 400],
  ] as const;
  for (const [method, path, status] of asked) {
    const answer = await fetch(`${address}${path.replace('{id}', 'other')}`, { method });
    expect(answer.status, path).toBe(status);
    const response = (documentedPaths[path]![method.toLowerCase()]!.responses as Record<string, unknown>)[
      String(status)
    ] as { content: Record<string, { schema: { properties?: object; items?: { properties: object } } }> };
    const type = (answer.headers.get('content-type') ?? '').split(';')[0]!;
    const documented = response.content[type];
    expect(documented, `${path} ${type}`).toBeDefined();
    const wanted = documented!.schema.items?.properties ?? documented!.schema.properties;
    if (wanted === undefined) continue;
    const body = (await answer.json()) as object | object[];
    expect(Object.keys(Array.isArray(body) ? body[0]! : body).sort()).toEqual(Object.keys(wanted).sort());
  }
});
