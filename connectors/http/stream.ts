// What: GET /stream: rows of a view or query as server-sent events: all of them first, then those that are new or changed.
// Why: a screen with bars wants what moves, without asking again and again.
// Invariant: whoever applies the events of one connection in order, by the rows' keys, has the answer as it was at the last event; a new connection begins with all rows, so nothing is missed by one that broke.

import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { StatementRequest, StatementService } from '../../src/http-port.ts';
import type { Clock } from '../../src/kernel/clock.ts';
import { asZeptoError, ZeptoError } from '../../src/kernel/errors.ts';
import type { Logger } from '../../src/ports.ts';
import { drained } from './drained.ts';
import { sendError } from './errors.ts';
import type { HttpPlugin } from './server.ts';

export interface StreamParts {
  readonly service: StatementService;
  readonly clock: Clock;
  readonly logger: Logger;
}

const EVERY_MS = 500;
const EVERY_MS_LEAST = 50;
const EVERY_MS_MOST = 60_000;
const ROWS_PER_EVENT = 1_000;
/** Of one answer: it is held as text, to tell what has changed. */
const BYTES_MAX = 64 * 2 ** 20;
/** Proxies cut connections that are silent for longer. */
const COMMENT_MS = 15_000;

export function streamRoutes(parts: StreamParts): HttpPlugin {
  return (app) => {
    app.get('/stream', { config: { access: 'read' } }, async (request, reply) => {
      const query = request.query as Record<string, string | undefined>;
      const { view } = query;
      const sql = query.query ?? (view === undefined ? undefined : `SELECT * FROM ${quoted(view)}`);
      if (sql === undefined)
        return sendError(reply, 400, 'BAD_REQUEST', 'which rows? /stream?view=… or /stream?query=SELECT…');
      const everyMs = Number(query.every_ms ?? EVERY_MS);
      if (!(everyMs >= EVERY_MS_LEAST && everyMs <= EVERY_MS_MOST))
        return sendError(reply, 400, 'BAD_REQUEST', `every_ms: from ${EVERY_MS_LEAST} to ${EVERY_MS_MOST}`);
      const hangUp = new AbortController();
      reply.raw.on('close', () => hangUp.abort());
      const statement: Omit<StatementRequest, 'id'> = {
        text: sql,
        parameters: {},
        format: 'JSONEachRow',
        settings: {},
        data: null,
        subject: request.identity.subject,
        authorization: request.headers.authorization ?? null,
        mayWrite: false,
        mayAdminister: false,
      };
      const ask = (): Promise<string[]> => linesOf(parts.service, statement, hangUp.signal);
      // What is wrong with the query has its own status.
      const first = await ask();
      reply.hijack();
      await push(reply.raw, first, ask, everyMs, parts, hangUp.signal);
      return undefined;
    });
  };
}

async function push(
  raw: ServerResponse,
  first: readonly string[],
  ask: () => Promise<string[]>,
  everyMs: number,
  { clock, logger }: StreamParts,
  signal: AbortSignal,
): Promise<void> {
  raw.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  let number = 0;
  let saidAtMs = clock.monotonicMs();
  const say = async (text: string): Promise<void> => {
    saidAtMs = clock.monotonicMs();
    if (!raw.write(text)) await drained(raw);
  };
  const tell = async (event: string, lines: readonly string[]): Promise<void> => {
    for (let from = 0; from < lines.length || from === 0; from += ROWS_PER_EVENT) {
      const rows = lines.slice(from, from + ROWS_PER_EVENT).join(',');
      await say(`event: ${event}\nid: ${++number}\ndata: [${rows}]\n\n`);
    }
  };
  try {
    await tell('snapshot', first);
    let before: ReadonlySet<string> = new Set(first);
    while (!signal.aborted) {
      await clock.sleep(everyMs, signal);
      const lines = await ask();
      const changed = lines.filter((line) => !before.has(line));
      before = new Set(lines);
      if (changed.length > 0) await tell('update', changed);
      else if (clock.monotonicMs() - saidAtMs >= COMMENT_MS) await say(': nothing new\n\n');
    }
  } catch (cause) {
    if (signal.aborted) return;
    const error = asZeptoError(cause);
    logger.warn({ code: error.code, error: error.message }, 'a stream broke off');
    await say(`event: error\ndata: ${JSON.stringify({ error: error.message, code: error.code })}\n\n`);
  } finally {
    raw.end();
  }
}

async function linesOf(
  service: StatementService,
  statement: Omit<StatementRequest, 'id'>,
  signal: AbortSignal,
): Promise<string[]> {
  const { body } = await service.run({ ...statement, id: randomUUID() }, signal);
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of body) {
    bytes += piece.length;
    if (bytes > BYTES_MAX)
      throw new ZeptoError(
        'LIMIT_EXCEEDED',
        'stop',
        `a stream holds at most ${BYTES_MAX} bytes of rows: narrow the query`,
      );
    pieces.push(piece);
  }
  return Buffer.concat(pieces)
    .toString('utf8')
    .split('\n')
    .filter((line) => line !== '');
}

const quoted = (name: string): string => `\`${name.replaceAll('`', '``')}\``;
