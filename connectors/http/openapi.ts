// What: the OpenAPI document of all routes, as `GET /openapi.json` gives it.
// Why: clients, gateways and people who write against this port generate, check and browse from it.
// Invariant: it has exactly the routes that there are, each with the permission that the route itself asks for.

import type { FastifyInstance } from 'fastify';
import type { ServerVersion } from '../../src/http-port.ts';
import type { Permission } from './api-keys.ts';

type Schema = Readonly<Record<string, unknown>>;
type Responses = Readonly<Record<string, Schema>>;

interface Operation {
  readonly summary: string;
  readonly access: Permission | 'public';
  readonly parameters?: readonly Schema[];
  readonly requestBody?: Schema;
  /** Beside those that any route may answer. */
  readonly responses: Responses;
}

export function openApiRoute(app: FastifyInstance, version: ServerVersion): void {
  const document = JSON.stringify(openApiDocument(version));
  app.get('/openapi.json', { config: { access: 'public' } }, (_, reply) =>
    reply.type('application/json; charset=utf-8').send(document),
  );
}

export function openApiDocument({ version }: ServerVersion): Schema {
  return {
    openapi: '3.1.0',
    info: {
      title: 'ZeptoDB Kafka connector',
      version,
      description: 'SQL over the ticks of a Kafka consumer group: in memory, on disk and on S3.',
    },
    components: {
      securitySchemes: {
        apiKey: {
          type: 'http',
          scheme: 'bearer',
          description: 'A key of --api-keys-file. A server without that setting asks for none.',
        },
      },
      schemas: { Error: errorSchema, Answer: answerSchema, Stats: statsSchema },
    },
    paths: Object.fromEntries(
      Object.entries(paths).map(([path, operations]) => [path, mapped(operations, described)]),
    ),
  };
}

function described({ access, responses, ...operation }: Operation): Schema {
  const isPublic = access === 'public';
  return {
    ...operation,
    security: isPublic ? [] : [{ apiKey: [] }],
    'x-permission': access,
    responses: {
      ...responses,
      ...(!isPublic && { '401': failure('No valid API key'), '403': failure('The key may not do this') }),
      default: failure('Any other error'),
    },
  };
}

function mapped<A, B>(values: Readonly<Record<string, A>>, by: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, by(value)]));
}

const json = (description: string, schema: Schema): Schema => ({
  description,
  content: { 'application/json': { schema } },
});
const text = (description: string, type: string): Schema => ({
  description,
  content: { [type]: { schema: { type: 'string' } } },
});
const object = (properties: Readonly<Record<string, Schema>>, optional: readonly string[] = []): Schema => ({
  type: 'object',
  properties,
  required: Object.keys(properties).filter((name) => !optional.includes(name)),
});
const string: Schema = { type: 'string' };
const integer: Schema = { type: 'integer' };
const inQuery = (name: string, description: string, schema: Schema = string): Schema => ({
  name,
  in: 'query',
  description,
  schema,
});

const errorSchema = object(
  {
    error: string,
    code: { ...string, description: 'Such as SQL_SYNTAX, LIMIT_EXCEEDED, UNAUTHORIZED.' },
    position: { ...integer, description: 'Character offset in the statement.' },
    exception: { ...string, description: 'The text that ClickHouse clients look for.' },
  },
  ['position', 'exception'],
);

const answerSchema = object({
  columns: { type: 'array', items: string },
  data: { type: 'array', items: { type: 'array', items: {} } },
  rows: integer,
  rows_scanned: integer,
  execution_time_us: { type: 'number' },
});

const statsSchema: Schema = {
  ...object({ state: string, uptime_seconds: integer, shards: { type: 'array', items: { type: 'object' } } }),
  additionalProperties: { type: 'number' },
};

const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });
const failure = (description: string): Schema => json(description, ref('Error'));

/** Of statements. Whatever has no meaning of its own is a setting of the statement. */
const statementParameters = [
  inQuery('query_id', 'Names the statement among those that run.'),
  inQuery('default_format', 'For a statement without FORMAT: JSONEachRow, CSVWithNames, ArrowStream, …'),
  {
    name: 'settings',
    in: 'query',
    description:
      'Settings of the statement, a parameter each (`SELECT * FROM system.settings` lists them), and `param_NAME`, the value of `{NAME:Type}`.',
    schema: { type: 'object', additionalProperties: string },
    style: 'form',
    explode: true,
  },
];

const statementResponses: Responses = {
  '200': {
    description:
      'Rows in the format asked for; without one as application/json. A later error is marked in the body.',
    content: {
      'application/json': { schema: ref('Answer') },
      'application/x-ndjson': { schema: string },
      'text/csv': { schema: string },
      'text/tab-separated-values': { schema: string },
      'application/vnd.apache.arrow.stream': { schema: {} },
      'application/octet-stream': { schema: {} },
    },
  },
  '400': failure('Syntax, an unknown name, a type, a limit; `position` where SQL is at fault'),
  '408': failure('Cancelled, or out of its time'),
  '409': failure('Another change of the catalogue was faster'),
  '503': failure('Kafka, the store or the registry is out of reach; or the disk is full'),
};

const paths: Readonly<Record<string, Readonly<Record<string, Operation>>>> = {
  '/': {
    get: {
      summary: 'A statement that reads; without one, that the server is there',
      access: 'read',
      parameters: [inQuery('query', 'The statement.'), ...statementParameters],
      responses: statementResponses,
    },
    post: {
      summary: 'A statement; what changes something needs write or admin',
      access: 'read',
      parameters: [
        inQuery('query', 'The statement; the body has then the rows of an INSERT.'),
        ...statementParameters,
      ],
      requestBody: {
        description:
          'The statement, behind the line of an INSERT … FORMAT its rows, or the rows alone. May be gzip, lz4 or zstd (Content-Encoding).',
        content: { 'text/plain': { schema: string }, 'application/octet-stream': { schema: {} } },
      },
      responses: statementResponses,
    },
  },
  '/insert/arrow': {
    post: {
      summary:
        'Inserts the rows of an Arrow IPC stream or file: durable in Kafka and visible here when this answers',
      access: 'write',
      parameters: [
        inQuery('table', 'The table. `table_name` is taken too.'),
        inQuery('table_name', 'As `table`.'),
      ],
      requestBody: {
        required: true,
        content: { 'application/vnd.apache.arrow.stream': { schema: {} } },
      },
      responses: { ...statementResponses, '200': json('How many rows', { type: 'object' }) },
    },
  },
  '/stream': {
    get: {
      summary:
        'Rows of a view or query as server-sent events: all of them first, then what is new or changed',
      access: 'read',
      parameters: [
        inQuery('view', 'The view or table.'),
        inQuery('query', 'A SELECT instead.'),
        inQuery('every_ms', 'Time between two looks.', {
          type: 'integer',
          minimum: 50,
          maximum: 60_000,
          default: 500,
        }),
      ],
      responses: {
        '200': text('Events', 'text/event-stream'),
        '400': failure('No rows named, or an error of the query'),
      },
    },
  },
  '/ping': {
    get: {
      summary: 'Whether the server is there, for ClickHouse clients',
      access: 'public',
      responses: { '200': text('`Ok.` and a line end', 'text/plain') },
    },
  },
  '/health': {
    get: {
      summary: 'Liveness: whether the process should be started anew',
      access: 'public',
      responses: {
        '200': json('It is well', object({ status: { const: 'healthy' } })),
        '503': json('Start it anew', object({ status: { const: 'unhealthy' }, reason: string })),
      },
    },
  },
  '/ready': {
    get: {
      summary: 'Readiness: whether ticks flow',
      access: 'public',
      responses: {
        '200': json('They flow', object({ status: { const: 'ready' } })),
        '503': json('What is missing', object({ status: { const: 'not_ready' }, reason: string })),
      },
    },
  },
  '/stats': {
    get: {
      summary: 'Totals, and per shard and Kafka partition: position, committed offset, lag, rows in memory',
      access: 'read',
      responses: { '200': json('The state', ref('Stats')) },
    },
  },
  '/metrics': {
    get: {
      summary: 'Prometheus text format',
      access: 'metrics',
      responses: { '200': text('Metrics', 'text/plain') },
    },
  },
  '/whoami': {
    get: {
      summary: 'Subject and role of the key',
      access: 'read',
      responses: { '200': json('Who asks', object({ subject: string, role: string })) },
    },
  },
  '/openapi.json': {
    get: {
      summary: 'This document',
      access: 'public',
      responses: { '200': json('OpenAPI 3.1', { type: 'object' }) },
    },
  },
  '/admin/version': {
    get: {
      summary: 'Name, version and build',
      access: 'read',
      responses: { '200': json('What runs', object({ engine: string, version: string, build: string })) },
    },
  },
  '/admin/flush': {
    post: {
      summary: 'Seals what is in memory and commits',
      access: 'admin',
      responses: { '200': json('Plans committed', object({ plans: integer })) },
    },
  },
  '/admin/queries': {
    get: {
      summary: 'Statements that run',
      access: 'admin',
      responses: {
        '200': json('Each with its id', {
          type: 'array',
          items: object({ id: string, subject: string, sql: string, started_at_ns: integer }),
        }),
      },
    },
  },
  '/admin/queries/{id}': {
    delete: {
      summary: 'Cancels a statement',
      access: 'admin',
      parameters: [{ name: 'id', in: 'path', required: true, description: 'Its query_id.', schema: string }],
      responses: {
        '200': json('Cancelled', object({ cancelled: { const: true } })),
        '404': failure('None runs under that id'),
      },
    },
  },
};
