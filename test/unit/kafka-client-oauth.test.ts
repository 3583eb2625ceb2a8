// What: bearer tokens from a file and from a token server.
// Why: a token expires while the process runs; every new connection must get one that is still good.
// Invariant: no error contains the client secret.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { bearerTokens, type TokenSource } from '../../connectors/kafka/oauth.ts';
import { type Clock, systemClock } from '../../src/kernel/clock.ts';

describe('a token file', () => {
  it('is read again each time, and surrounding space is left out', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'oauth-'));
    const path = join(directory, 'token');
    try {
      const token = bearerTokens({ kind: 'file', path }, 1000, systemClock);
      await writeFile(path, 'first\n');
      expect(await token()).toBe('first');
      await writeFile(path, ' second \n');
      expect(await token()).toBe('second');
      await writeFile(path, '\n');
      await expect(token()).rejects.toMatchObject({ code: 'KAFKA_AUTH', action: 'stop' });
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('that is missing is named with its flag', async () => {
    const token = bearerTokens({ kind: 'file', path: '/nowhere/token' }, 1000, systemClock);
    await expect(token()).rejects.toThrow(/--kafka-sasl-token-file \/nowhere\/token/);
  });
});

describe('a token server', () => {
  let server: Server | undefined;
  afterEach(
    () => new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve()))),
  );

  interface Asked {
    readonly authorization: string;
    readonly form: URLSearchParams;
  }
  async function tokenServer(
    answer: (asked: Asked, response: ServerResponse, count: number) => void,
  ): Promise<{ source: TokenSource; asked: Asked[] }> {
    const asked: Asked[] = [];
    server = createServer(async (request: IncomingMessage, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      asked.push({ authorization: request.headers.authorization ?? '', form: new URLSearchParams(body) });
      answer(asked.at(-1)!, response, asked.length);
    });
    await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const source: TokenSource = {
      kind: 'client-credentials',
      tokenUrl: `http://127.0.0.1:${port}/token`,
      clientId: 'me:1',
      clientSecret: 'hunter2',
      scope: 'kafka',
    };
    return { source, asked };
  }
  const clockAt = (time: { ms: number }): Clock => ({ ...systemClock, monotonicMs: () => time.ms });
  const give = (response: ServerResponse, value: string, expiresInS: number): void => {
    response.end(JSON.stringify({ access_token: value, token_type: 'Bearer', expires_in: expiresInS }));
  };

  it('is asked by the client-credentials grant, with the credentials in the header', async () => {
    const { source, asked } = await tokenServer((_, response) => give(response, 't', 60));
    expect(await bearerTokens(source, 1000, systemClock)()).toBe('t');
    expect(Object.fromEntries(asked[0]!.form)).toEqual({ grant_type: 'client_credentials', scope: 'kafka' });
    expect(Buffer.from(asked[0]!.authorization.slice(6), 'base64').toString()).toBe('me%3A1:hunter2');
  });

  it('is asked again only when most of the life of the token is over', async () => {
    const { source, asked } = await tokenServer((_, response, count) => give(response, `t${count}`, 100));
    const time = { ms: 0 };
    const token = bearerTokens(source, 1000, clockAt(time));
    expect(await token()).toBe('t1');
    time.ms = 79_000;
    expect(await token()).toBe('t1');
    time.ms = 81_000;
    expect(await token()).toBe('t2');
    expect(asked.length).toBe(2);
  });

  it('is asked once however many connections want a token at the same time', async () => {
    const { source, asked } = await tokenServer((_, response, count) => give(response, `t${count}`, 100));
    const token = bearerTokens(source, 1000, systemClock);
    expect(await Promise.all([token(), token(), token()])).toEqual(['t1', 't1', 't1']);
    expect(asked.length).toBe(1);
  });

  it('may fail while the token is still valid, and not longer', async () => {
    const { source } = await tokenServer((_, response, count) => {
      if (count === 1) give(response, 't1', 100);
      else response.writeHead(503).end();
    });
    const time = { ms: 0 };
    const token = bearerTokens(source, 1000, clockAt(time));
    await token();
    time.ms = 90_000;
    expect(await token()).toBe('t1');
    time.ms = 101_000;
    await expect(token()).rejects.toMatchObject({ code: 'KAFKA_AUTH', action: 'retry' });
  });

  it('that refuses the client stops with the settings to check, and without the secret', async () => {
    const { source } = await tokenServer((_, response) =>
      response.writeHead(401).end('{"error":"invalid_client"}'),
    );
    const failure = await bearerTokens(source, 1000, systemClock)().catch((error: Error) => error);
    expect(failure).toMatchObject({ code: 'KAFKA_AUTH', action: 'stop' });
    expect(String(failure)).toMatch(/--kafka-sasl-username .*--kafka-sasl-password/);
    expect(String(failure)).not.toContain('hunter2');
  });

  it.each(['', 'null', '{"access_token":""}', '<html>'])('that answers %j gives no token', async (body) => {
    const { source } = await tokenServer((_, response) => response.end(body));
    await expect(bearerTokens(source, 1000, systemClock)()).rejects.toThrow(/without an access_token/);
  });

  it('that is down is worth another try', async () => {
    const source: TokenSource = {
      kind: 'client-credentials',
      tokenUrl: 'http://127.0.0.1:1/token',
      clientId: 'me',
      clientSecret: 'hunter2',
      scope: null,
    };
    const token = bearerTokens(source, 1000, systemClock);
    await expect(token()).rejects.toMatchObject({ code: 'KAFKA_AUTH', action: 'retry' });
    await expect(token()).rejects.toThrow(/does not answer/);
  });
});
