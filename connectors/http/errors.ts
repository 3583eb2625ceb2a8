// What: errors as HTTP answers: status and `{error, code, position, exception}`.
// Why: clients of the original read `error`, ClickHouse's `exception`; programs need the code, editors the position in the SQL text.
// Invariant: a defect of ours answers 500 with the request's id and nothing of its inside; the log has the rest.

import type { FastifyError, FastifyInstance, FastifyReply } from 'fastify';
import { clickhouseError } from '../../src/kernel/clickhouse-error.ts';
import { type ErrorCode, ZeptoError } from '../../src/kernel/errors.ts';
import type { Logger } from '../../src/ports.ts';

const statusByCode: Partial<Record<ErrorCode, number>> = {
  SQL_SYNTAX: 400,
  SQL_NAME: 400,
  SQL_TYPE: 400,
  SQL_UNSUPPORTED: 400,
  LIMIT_EXCEEDED: 400,
  FORMAT_INVALID: 400,
  RECORD_UNDECODABLE: 400,
  CATALOG_CONFLICT: 409,
  UNAUTHORIZED: 403,
  STORE_DENIED: 403,
  STORE_NO_OBJECT: 404,
  CANCELLED: 408,
  KAFKA_UNREACHABLE: 503,
  GROUP_UNSETTLED: 503,
  STORE_UNAVAILABLE: 503,
  SCHEMA_UNAVAILABLE: 503,
  DISK_FULL: 503,
};

export function sendError(
  reply: FastifyReply,
  status: number,
  code: string,
  message: string,
  more: { readonly position?: number | undefined; readonly exception?: string } = {},
): FastifyReply {
  const body = JSON.stringify({ error: message, code, ...more });
  return reply.code(status).type('application/json; charset=utf-8').send(body);
}

/** Answers what handlers throw, unknown paths and wrong methods. */
export function answerErrors(app: FastifyInstance, logger: Logger): void {
  app.setErrorHandler((error: FastifyError | ZeptoError, request, reply) => {
    if (error instanceof ZeptoError) {
      const status = statusByCode[error.code];
      const { position } = error.context;
      const { code, text: exception } = clickhouseError(error);
      reply.header('x-clickhouse-exception-code', code);
      if (status !== undefined)
        return sendError(reply, status, error.code, error.message, { position, exception });
    } else if (error.statusCode !== undefined && error.statusCode < 500)
      return sendError(reply, error.statusCode, codeOf(error.statusCode), clientMessage(error, app));
    logger.error({ request_id: request.id, error }, 'request failed');
    return sendError(reply, 500, 'INTERNAL', `internal error; the log has more under ${request.id}`);
  });
  app.setNotFoundHandler((request, reply) => {
    const url = request.url.split('?')[0]!;
    const allowed = ['GET', 'POST', 'DELETE'].filter((method) => app.hasRoute({ method, url }));
    if (allowed.length === 0)
      return sendError(reply, 404, 'NOT_FOUND', `no such path: ${request.method} ${url}`);
    reply.header('allow', allowed.join(', '));
    return sendError(reply, 405, 'METHOD_NOT_ALLOWED', `${url} takes ${allowed.join(' or ')}`);
  });
}

/** What fastify found wrong with a request, in our words where they say more. */
function clientMessage(error: FastifyError, app: FastifyInstance): string {
  if (error.statusCode === 413) return `request body larger than ${app.initialConfig.bodyLimit} bytes`;
  return error.message;
}

function codeOf(status: number): string {
  if (status === 413) return 'LIMIT_EXCEEDED';
  return 'BAD_REQUEST';
}
