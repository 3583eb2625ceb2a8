// What: bearer tokens for SASL OAUTHBEARER, from a file or by the OAuth 2 client-credentials grant.
// Why: tokens expire while the process runs, and every new connection needs a valid one.
// Invariant: one request for a token at a time; a token that is still valid survives a failing token server.

import { readFile } from 'node:fs/promises';
import type { Mechanism } from 'kafkajs';
import type { Clock } from '../../src/kernel/clock.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';

export type TokenSource =
  /** A file that something else keeps fresh; read again for each connection. */
  | { readonly kind: 'file'; readonly path: string }
  | {
      readonly kind: 'client-credentials';
      readonly tokenUrl: string;
      readonly clientId: string;
      readonly clientSecret: string;
      readonly scope: string | null;
    };

/**
 * SASL OAUTHBEARER (RFC 7628) for kafkajs. Its own takes a refusal for success, since a broker refuses by a challenge.
 * `extensions` are what some hosted clusters ask for beside the token.
 */
export function oauthBearer(
  token: () => Promise<string>,
  extensions: Readonly<Record<string, string>>,
): Mechanism {
  return {
    mechanism: 'oauthbearer',
    authenticationProvider: ({ host, port, saslAuthenticate }) => ({
      authenticate: async () => {
        const fields = [
          `auth=Bearer ${await token()}`,
          ...Object.entries(extensions).map((pair) => pair.join('=')),
        ];
        const request = lengthPrefixed(`n,,\u0001${fields.join('\u0001')}\u0001\u0001`);
        const challengeBytes = await saslAuthenticate({
          request: { encode: () => request },
          response: { decode: (answer) => answer, parse: (answer) => answer.readInt32BE(0) },
        });
        if ((challengeBytes ?? 0) > 0)
          throw new ZeptoError(
            'KAFKA_AUTH',
            'stop',
            `${host}:${port} refused the bearer token: check --kafka-sasl-token-file or --kafka-sasl-token-url, and the issuer and audience that the broker expects`,
          );
      },
    }),
  };
}

function lengthPrefixed(text: string): Buffer {
  const bytes = Buffer.alloc(4 + Buffer.byteLength(text));
  bytes.writeInt32BE(bytes.length - 4);
  bytes.write(text, 4);
  return bytes;
}

/** A token is renewed when this part of its life has passed. */
const RENEW_AT = 0.8;

/** Rejects with ZeptoError KAFKA_AUTH: `stop` when the source refuses, `retry` when it cannot be reached. */
export function bearerTokens(source: TokenSource, timeoutMs: number, clock: Clock): () => Promise<string> {
  if (source.kind === 'file') return () => tokenFromFile(source.path);
  let held: { value: string; renewAtMs: number; expiresAtMs: number } | null = null;
  let pending: Promise<string> | null = null;

  const renew = async (): Promise<string> => {
    try {
      const { value, lifeMs } = await requestToken(source, timeoutMs);
      const nowMs = clock.monotonicMs();
      held = { value, renewAtMs: nowMs + lifeMs * RENEW_AT, expiresAtMs: nowMs + lifeMs };
      return value;
    } catch (error) {
      if (held !== null && clock.monotonicMs() < held.expiresAtMs) return held.value;
      throw error;
    } finally {
      pending = null;
    }
  };
  return async () => {
    if (held !== null && clock.monotonicMs() < held.renewAtMs) return held.value;
    pending ??= renew();
    return pending;
  };
}

async function tokenFromFile(path: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new ZeptoError('KAFKA_AUTH', 'stop', `--kafka-sasl-token-file ${path} cannot be read`, {
      cause: error,
    });
  }
  const token = text.trim();
  if (token === '')
    throw new ZeptoError('KAFKA_AUTH', 'stop', `--kafka-sasl-token-file ${path} is empty: no token to send`);
  return token;
}

async function requestToken(
  source: Extract<TokenSource, { kind: 'client-credentials' }>,
  timeoutMs: number,
): Promise<{ value: string; lifeMs: number }> {
  const where = `the token server at --kafka-sasl-token-url ${source.tokenUrl}`;
  const credentials = `${encodeURIComponent(source.clientId)}:${encodeURIComponent(source.clientSecret)}`;
  const form = new URLSearchParams({ grant_type: 'client_credentials' });
  if (source.scope !== null) form.set('scope', source.scope);
  let status: number;
  let text: string;
  try {
    const response = await fetch(source.tokenUrl, {
      method: 'POST',
      headers: {
        authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
        'content-type': 'application/x-www-form-urlencoded',
        accept: 'application/json',
      },
      body: form.toString(),
      signal: AbortSignal.timeout(timeoutMs),
    });
    status = response.status;
    text = await response.text();
  } catch (error) {
    throw new ZeptoError('KAFKA_AUTH', 'retry', `${where} does not answer`, { cause: error });
  }
  if (status >= 500) throw new ZeptoError('KAFKA_AUTH', 'retry', `${where} answered ${status}`);
  if (status !== 200)
    throw new ZeptoError(
      'KAFKA_AUTH',
      'stop',
      `${where} answered ${status}: check --kafka-sasl-username (client id), --kafka-sasl-password-file or ZEPTO_KAFKA_SASL_PASSWORD (client secret) and --kafka-sasl-token-scope`,
    );
  const answer = parsed(text);
  if (typeof answer?.access_token !== 'string' || answer.access_token === '')
    throw new ZeptoError('KAFKA_AUTH', 'stop', `${where} answered without an access_token`);
  // RFC 6749 only recommends expires_in; without it a token is asked for again each time.
  const lifeSeconds = typeof answer.expires_in === 'number' ? Math.max(0, answer.expires_in) : 0;
  return { value: answer.access_token, lifeMs: lifeSeconds * 1000 };
}

function parsed(text: string): { access_token?: unknown; expires_in?: unknown } | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' ? value : null;
  } catch {
    return null;
  }
}
