// What: docker/ and services/ start the same things.
// Why: no Docker engine runs in the tests, so what can be checked without one is.
// Invariant: reads files, and runs the health check against servers of its own.

import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { APICURIO_VERSION, KAFKA_VERSION, VERSITYGW_VERSION } from '../../services/versions.ts';
import { loadConfig } from '../../src/config/load.ts';

interface ComposeService {
  readonly image: string;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly environment?: Readonly<Record<string, string | number>>;
  readonly depends_on?: Readonly<Record<string, unknown>>;
}

const compose: {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly volumes: Readonly<Record<string, null>>;
} = parse(readFileSync('docker/compose.yaml', 'utf8'));
const dockerfile = readFileSync('docker/Dockerfile', 'utf8');

describe('the compose file', () => {
  test('has the versions that the script installs', () => {
    const images = Object.fromEntries(
      Object.entries(compose.services).map(([name, { image }]) => [name, image]),
    );
    expect(images).toEqual({
      kafka: `apache/kafka:${KAFKA_VERSION}`,
      topics: `apache/kafka:${KAFKA_VERSION}`,
      s3: `versity/versitygw:v${VERSITYGW_VERSION}`,
      'schema-registry': `apicurio/apicurio-registry-mem:${APICURIO_VERSION}`,
      zepto: 'zeptodb-kafka',
    });
  });

  test('names volumes and services that it has', () => {
    const services = Object.values(compose.services);
    const mounted = services.flatMap(({ volumes = [] }) => volumes.map((volume) => volume.split(':')[0]));
    expect(new Set(mounted)).toEqual(new Set(Object.keys(compose.volumes)));
    const depended = services.flatMap(({ depends_on = {} }) => Object.keys(depends_on));
    expect(Object.keys(compose.services)).toEqual(expect.arrayContaining(depended));
  });

  test('opens no port beyond this machine', () => {
    const ports = Object.values(compose.services).flatMap(({ ports = [] }) => ports);
    expect(ports.length).toBe(4);
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
  });

  test('configures the app as its configuration accepts it, with the bucket and the keys of its S3 server', () => {
    const { zepto, s3 } = compose.services;
    const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, ...env } = zepto?.environment ?? {};
    const { config } = loadConfig({ argv: [], env: env as Record<string, string> });
    expect(config.coldTier?.s3).toMatchObject({ bucket: 'zeptodb-ticks', endpointUrl: 'http://s3:7070' });
    expect(s3?.environment).toEqual({
      ROOT_ACCESS_KEY: AWS_ACCESS_KEY_ID,
      ROOT_SECRET_KEY: AWS_SECRET_ACCESS_KEY,
    });
  });
});

describe('the compose file of a member', () => {
  const text = readFileSync('docker/member.yaml', 'utf8');
  const member = (parse(text) as typeof compose).services.zepto!;

  /** As Compose does: `${NAME:-default}`, and `${NAME:?message}`, which is an error when there is none. */
  function environment(given: Readonly<Record<string, string>>): Record<string, string> {
    const entries = Object.entries(member.environment ?? {}).filter(([, value]) => value !== null);
    return Object.fromEntries(
      entries.map(([name, value]) => [
        name,
        String(value).replaceAll(/\$\{(\w+):([-?])([^}]*)\}/g, (_, variable, kind, rest) => {
          if (given[variable] === undefined && kind === '?') throw new Error(`${variable}: ${rest}`);
          return given[variable] ?? rest;
        }),
      ]),
    );
  }

  test('asks for the addresses, and then configures the member as its configuration accepts it', () => {
    const required: Record<string, string> = {};
    for (const [name, value] of [
      ['ZEPTO_BROKERS', 'kafka:9092'],
      ['ZEPTO_GROUP', 'ticks'],
      ['ZEPTO_TOPICS', 'trades=ticks'],
      ['ZEPTO_COLD_TIER_S3_BUCKET', 'my-ticks'],
    ] as const) {
      expect(() => environment(required)).toThrow(`${name}: `);
      required[name] = value;
    }
    const { config, notices } = loadConfig({ argv: [], env: environment(required) });
    expect(config.storage).toMatchObject({ commitAfter: 's3', hdbDirectory: '/data' });
    expect(notices).toEqual(['HTTP authentication is off for the whole network']);
  });

  test('is open to this machine only, and writes to its volumes only', () => {
    expect(member.ports).toEqual(['127.0.0.1:8123:8123']);
    expect(text).toMatch(/^ {4}read_only: true$/m);
    expect(member.volumes).toEqual(['data:/data', 'tmp:/tmp']);
  });
});

describe('the Dockerfile', () => {
  test('copies only what is there, and what its .dockerignore lets through', () => {
    const ignore = readFileSync('docker/Dockerfile.dockerignore', 'utf8');
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap((match) =>
      match[1]!.split(' '),
    );
    expect(copied.length).toBeGreaterThan(8);
    for (const path of copied) {
      expect(existsSync(path), path).toBe(true);
      expect(ignore.split('\n'), path).toContain(`!${path}`);
    }
  });

  test('starts the same program as the package, not as root', () => {
    const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as { bin: { zepto: string } };
    expect(dockerfile).toContain(`ENTRYPOINT ["node", "${manifest.bin.zepto}", "serve"]`);
    expect(dockerfile).toMatch(/^USER 1000:1000$/m);
  });
});

describe('the health check of the image', () => {
  const pair = {
    cert: readFileSync('test/fixtures/tls/first-cert.pem'),
    key: readFileSync('test/fixtures/tls/first-key.pem'),
  };

  /** The check's exit code while `/health` answers `status`. */
  async function check(status: number, tls: boolean, env: Readonly<Record<string, string>> = {}) {
    const answer: RequestListener = ({ url }, response) => {
      response.writeHead(url === '/health' ? status : 404).end();
    };
    const server = tls ? createTlsServer(pair, answer) : createServer(answer);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const code = await new Promise<number>((resolve) => {
      const all = { PATH: process.env.PATH, ZEPTO_PORT: String(port), ...env };
      execFile(process.execPath, ['docker/health.js'], { env: all }, (error) =>
        resolve(error === null ? 0 : Number(error.code)),
      );
    });
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    return code;
  }

  test.each([
    ['over HTTP', false, {}],
    ['over TLS that the environment names', true, { ZEPTO_TLS_CERT: '/tls.crt' }],
    ['over TLS that only the config file names', true, {}],
  ])('passes while the member is well, and fails while it is not: %s', async (_, tls, env) => {
    expect(await check(200, tls, env)).toBe(0);
    expect(await check(503, tls, env)).toBe(1);
  });
});
