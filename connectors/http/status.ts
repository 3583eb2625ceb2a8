// What: the routes that tell how the process is, and the small administration of the engine.
// Why: probes, scrapers and operators ask these, whether or not SQL is answered here.
// Invariant: only POST changes anything.

import type { FastifyInstance } from 'fastify';
import type { EngineStats, EngineView, ServerVersion } from '../../src/http-port.ts';
import type { Clock } from '../../src/kernel/clock.ts';

const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export function statusRoutes(
  app: FastifyInstance,
  engine: EngineView,
  { version }: ServerVersion,
  clock: Clock,
): void {
  // ClickHouse clients want the dot; the original answered without it.
  app.get('/ping', { config: { access: 'public' } }, (_, reply) => reply.type('text/plain').send('Ok.\n'));

  app.get('/health', { config: { access: 'public' } }, (_, reply) => {
    const reason = engine.unhealthy();
    return reason === null
      ? reply.send({ status: 'healthy' })
      : reply.code(503).send({ status: 'unhealthy', reason });
  });

  app.get('/ready', { config: { access: 'public' } }, async (_, reply) => {
    const reason = await engine.notReady();
    return reason === null
      ? reply.send({ status: 'ready' })
      : reply.code(503).send({ status: 'not_ready', reason });
  });

  app.get('/stats', { config: { access: 'read' } }, async () =>
    statsBody(await engine.stats(), engine.totals(), clock.nowMs()),
  );

  app.get('/metrics', { config: { access: 'metrics' } }, async (_, reply) =>
    reply.type(METRICS_TYPE).send(await engine.metricsText()),
  );

  app.get('/whoami', { config: { access: 'read' } }, (request, reply) => reply.send(request.identity));

  app.get('/admin/version', { config: { access: 'read' } }, (_, reply) =>
    reply.send({ engine: 'ZeptoDB', version, build: `node ${process.version}` }),
  );

  app.post('/admin/flush', { config: { access: 'admin' } }, async () => ({ plans: await engine.flush() }));
}

/** `GET /` where no plugin answers statements there. */
export function rootRoute(app: FastifyInstance): void {
  app.get('/', { config: { access: 'read' } }, (_, reply) => reply.send({ status: 'ok', engine: 'ZeptoDB' }));
}

/** Totals without `zepto_` and `_total`, then the state as it is. Offsets are numbers: exact below 2^53. */
export function statsBody(
  { state, startedAtMs, shards }: EngineStats,
  totals: Readonly<Record<string, number>>,
  nowMs: number,
): Record<string, unknown> {
  const counters = Object.entries(totals).map(([name, value]) => [
    name.replace(/^zepto_/, '').replace(/_total$/, ''),
    value,
  ]);
  return {
    ...Object.fromEntries(counters),
    state,
    uptime_seconds: Math.max(0, Math.floor((nowMs - startedAtMs) / 1000)),
    shards: shards.map((shard, index) => ({
      shard: index,
      state: shard.state,
      memory_used_bytes: shard.usedBytes,
      memory_budget_bytes: shard.budgetBytes,
      paused: shard.isPaused,
      partitions: shard.partitions.map((one) => ({
        topic: one.topic,
        partition: one.partition,
        table: one.table,
        state: one.state,
        position: one.position,
        committed_offset: one.committed,
        end_offset: one.endOffset < 0 ? null : one.endOffset,
        lag: one.endOffset < 0 ? null : Math.max(0, one.endOffset - one.position),
        rows_hot: one.rowsHot,
        bytes_hot: one.bytesHot,
        staircase: one.staircase,
      })),
    })),
  };
}
