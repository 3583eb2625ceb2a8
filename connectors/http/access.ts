// What: who sends a request and what it may do: bearer keys, roles, and browsers kept out of an open server.
// Why: one hook decides before any handler runs; a route states only which permission it needs.
// Invariant: a route that states nothing needs `admin`; a refused request has read no body and changed nothing.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '../../src/kernel/clock.ts';
import { type ApiKey, findApiKey, type Permission, type Role, rolePermissions } from './api-keys.ts';
import { sendError } from './errors.ts';

/** Who asks. Without API keys everybody is an anonymous administrator. */
export interface Identity {
  readonly subject: string;
  readonly role: Role;
}

declare module 'fastify' {
  interface FastifyRequest {
    identity: Identity;
  }
  interface FastifyContextConfig {
    /** What a request to this route must be allowed to do. Default `admin`. */
    access?: Permission | 'public';
  }
}

const anonymous: Identity = { subject: 'anonymous', role: 'admin' };
const nobody: Identity = { subject: '', role: 'analyst' };

export const may = ({ role }: Identity, permission: Permission): boolean =>
  (rolePermissions[role] as readonly Permission[]).includes(permission);

export interface AccessRules {
  /** Null: no keys are asked for. A function, because the file is read again when it changes. */
  readonly keys: (() => readonly ApiKey[]) | null;
  /** Only requests that name a loopback host are answered, which keeps rebound DNS names out. */
  readonly isLoopback: boolean;
  readonly clock: Clock;
}

export function guardAccess(app: FastifyInstance, rules: AccessRules): void {
  // Declared for the engine's sake (one shape for all requests); the hook below fills it in for each.
  app.decorateRequest('identity', null as never);
  app.addHook('onRequest', async (request, reply) => {
    request.identity = nobody;
    const needed = request.is404 ? 'read' : (request.routeOptions.config.access ?? 'admin');
    if (rules.keys === null) {
      const reason = foreignBrowser(request, rules.isLoopback);
      if (reason !== null) return refuse(reply, 403, reason);
      request.identity = anonymous;
      return undefined;
    }
    if (needed === 'public') return undefined;
    const key = identify(request, rules.keys(), rules.clock.nowMs());
    if ('refusal' in key) {
      if (key.status === 401) reply.header('www-authenticate', 'Bearer realm="ZeptoDB"');
      return refuse(reply, key.status, key.refusal);
    }
    request.identity = { subject: key.id, role: key.role };
    if (may(request.identity, needed)) return undefined;
    const word = needed === 'admin' ? 'Admin' : needed.toUpperCase();
    return refuse(reply, 403, `${word} permission required`);
  });
}

function refuse(reply: FastifyReply, status: number, message: string): FastifyReply {
  return sendError(reply, status, 'UNAUTHORIZED', message);
}

function identify(
  request: FastifyRequest,
  keys: readonly ApiKey[],
  nowMs: number,
): ApiKey | { readonly status: number; readonly refusal: string } {
  const given = request.raw.headersDistinct.authorization ?? [];
  if (given.length > 1) return { status: 400, refusal: 'More than one Authorization header' };
  if (given[0] === undefined) return { status: 401, refusal: 'No Authorization header' };
  const presented = /^Bearer +(\S+)$/i.exec(given[0].trim())?.[1];
  if (presented === undefined) return { status: 401, refusal: 'Invalid Authorization header format' };
  return findApiKey(keys, presented, nowMs) ?? { status: 401, refusal: 'Invalid API key' };
}

const LOOPBACK_HOST = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i;

/**
 * Without keys, a page that somebody has open in a browser on this machine could send statements here. Such a
 * request carries another site's Origin, or, with a DNS name rebound to 127.0.0.1, another site's Host.
 */
function foreignBrowser(request: FastifyRequest, isLoopback: boolean): string | null {
  const { host, origin } = request.headers;
  if (isLoopback && host !== undefined && !LOOPBACK_HOST.test(host))
    return `Host ${host} is not this machine: use 127.0.0.1, or API keys`;
  if (origin === undefined || origin.replace(/^https?:\/\//, '') === host) return null;
  return `Requests of other sites (Origin ${origin}) are not answered without API keys`;
}
