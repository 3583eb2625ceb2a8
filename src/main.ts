// What: the composition root of the process: configuration in, a running engine with HTTP, metrics and logs out.
// Why: the parts know only their ports; here, and in the thread entries, they meet.
// Invariant: whatever ends the process, shards are stopped first and what can be sealed is sealed.

import { randomUUID } from 'node:crypto';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { localDisk } from '../connectors/fs/disk.ts';
import { HttpServer } from '../connectors/http/server.ts';
import { statementRoutes } from '../connectors/http/statements.ts';
import { streamRoutes } from '../connectors/http/stream.ts';
import { openCatalogueTopic, topicAdmin } from '../connectors/kafka/catalogue-topic.ts';
import { type Cluster, openCluster } from '../connectors/kafka/cluster.ts';
import { openGroupDirectory } from '../connectors/kafka/group-shares.ts';
import { createLogger } from '../connectors/log/logger.ts';
import { exposeEngine } from '../connectors/prometheus/engine-gauges.ts';
import { PrometheusMetrics } from '../connectors/prometheus/metrics.ts';
import { type Catalogue, initialCatalogue } from './catalogue/catalogue.ts';
import { SharedCatalogue } from './catalogue/shared.ts';
import { packageVersion } from './cli/version.ts';
import { coldTierLine } from './config/announce.ts';
import type { Config } from './config/config.ts';
import type { LoadedConfig } from './config/load.ts';
import { Engine } from './engine/engine.ts';
import { removeUnfinished } from './format/bin-folder.ts';
import type { EngineView } from './http-port.ts';
import { type Clock, systemClock } from './kernel/clock.ts';
import { asZeptoError, type ZeptoError } from './kernel/errors.ts';
import { pinWords } from './live/pins.ts';
import type { Logger, Metrics } from './ports.ts';
import { UnpackingThread } from './threads/body-decoders.ts';
import { offer } from './threads/calls.ts';
import { GroupWatch } from './threads/group-watch.ts';
import { mainCalls } from './threads/main-calls.ts';
import { type GivenData, QueryPool } from './threads/query-pool.ts';
import type { ShardReaders } from './threads/shard.ts';
import { ShardThread } from './threads/shard-thread.ts';
import { openObjectStore, type StoreAbilities } from './threads/stores.ts';

/** A started process. */
export interface Running {
  readonly engine: Engine;
  readonly view: EngineView;
  /** Where HTTP listens. */
  readonly address: string;
  /** Resolves when the engine or a query thread has stopped by itself, with the reason. */
  readonly failed: Promise<ZeptoError>;
  /** Seals what is in memory, commits and lets go. Idempotent. */
  stop(): Promise<void>;
}

/** @throws ZeptoError when a service cannot be reached or refuses: the message names the setting and the fix. */
export async function start(config: Config, logger: Logger): Promise<Running> {
  const clock = systemClock;
  const metrics = new PrometheusMetrics(clock, { process: true });
  const { coldTier } = config;
  let abilities: StoreAbilities = { conditionalWrites: false };
  if (coldTier !== null) {
    logger.info({}, coldTierLine(coldTier));
    const store = openObjectStore(coldTier, null, clock, metrics, logger);
    try {
      abilities = await store.probe(coldTier.s3.prefix);
    } finally {
      await store.close();
    }
  }
  const { hdbDirectory } = config.storage;
  if (hdbDirectory !== null) await removeUnfinished(hdbDirectory, localDisk);
  let fail: (error: ZeptoError) => void = () => {};
  const failed = new Promise<ZeptoError>((resolve) => {
    fail = resolve;
  });
  const listening = { logger, metrics: metrics.receive.bind(metrics) };
  const cluster = openCluster(config.kafka, logger, clock);
  const catalogue = await openCatalogue(config, cluster, { clock, logger, metrics });
  const { readers, queries, mains } = connectThreads(config, abilities, catalogue.current);
  const tables = [...catalogue.current.tables.values()];
  const shards = readers.map(
    (ofShard, index) =>
      new ShardThread(
        {
          config: { ...config, tables },
          index,
          abilities,
          readers: ofShard,
          policies: catalogue.current.policies,
          dropped: catalogue.current.dropped,
          versions: catalogue.current.versions,
          views: [...catalogue.current.views.values()],
        },
        { bucketsOf: (request, signal) => statements.bucketsOf(request, signal) },
        listening,
        (error) => {
          void engine.fail(error).finally(() => fail(error));
        },
      ),
  );
  const engine = new Engine(shards, clock.nowMs());
  const statements = new QueryPool(queries, listening, clock, (error) => fail(error));
  const { peerAddress } = config.http;
  const group =
    peerAddress === null
      ? null
      : new GroupWatch({
          directory: openGroupDirectory(cluster, config.group.id),
          address: peerAddress,
          told: (shares) => statements.setGroup(shares),
          clock,
          logger,
        });
  const unpacking = new UnpackingThread(listening);
  const calls = mainCalls({ config, catalogue, topics: topicAdmin(cluster, logger), engine, clock, group });
  for (const port of mains) offer(port, calls);
  catalogue.onChange(async (changed) => {
    const { tables, versions, policies, dropped, views } = changed;
    const told = { sources: [...tables.values()], versions, policies, dropped, views: [...views.values()] };
    await Promise.all([statements.setCatalogue(changed), ...shards.map((shard) => shard.setTables(told))]);
  });
  const view: EngineView = {
    unhealthy: () => engine.failedWith?.message ?? null,
    notReady: () => engine.notReady(),
    stats: () => engine.stats(),
    flush: () => engine.flush(),
    metricsText: async () => {
      exposeEngine(metrics, await engine.stats(), (await engine.notReady()) === null);
      return metrics.text();
    },
    totals: () => metrics.totals(),
  };
  const { name, version } = packageVersion();
  const http = new HttpServer({
    settings: config.http,
    engine: view,
    metrics,
    logger,
    clock,
    version: { name, version },
    plugins: [
      statementRoutes({
        ...{ service: statements, clock, logger, metrics },
        slowMs: config.query.slowMs,
        bodyDecoders: unpacking.decoders,
      }),
      streamRoutes({ service: statements, clock, logger }),
    ],
  });
  let stopped: Promise<void> | null = null;
  const stop = (): Promise<void> => {
    stopped ??= (async () => {
      group?.stop();
      await http.stop();
      await unpacking.stop();
      await statements.stop();
      await engine.stop({ drain: engine.failedWith === null });
      await catalogue.close();
      await cluster.close();
      for (const port of mains) port.close();
      metrics.close();
    })();
    return stopped;
  };
  try {
    const address = await http.start();
    await Promise.race([engine.start(), failed.then((error) => Promise.reject(error))]);
    logger.info({ address, shards: config.engine.shards, group: config.group.id }, 'zepto serves');
    return { engine, view, address, failed, stop };
  } catch (cause) {
    await engine.stop({ drain: false });
    await stop();
    throw cause;
  }
}

/** The catalogue as the group has it, over the tables that configuration declares. */
async function openCatalogue(
  config: Config,
  cluster: Cluster,
  { clock, logger, metrics }: { clock: Clock; logger: Logger; metrics: Metrics },
): Promise<SharedCatalogue> {
  try {
    const log = await openCatalogueTopic({ cluster, topic: config.catalogueTopic, clock, logger });
    const initial = initialCatalogue(config.tables);
    return new SharedCatalogue({ log, initial, newId: randomUUID, nowMs: clock.nowMs, logger, metrics });
  } catch (error) {
    await cluster.close();
    throw error;
  }
}

/** A channel from each shard to each query thread, with the words by which they agree, and one from each query thread to here. */
function connectThreads(
  config: Config,
  abilities: StoreAbilities,
  catalogue: Catalogue,
): {
  readonly readers: readonly ShardReaders[];
  readonly queries: readonly GivenData[];
  readonly mains: readonly MessagePort[];
} {
  const threads = config.query.threads;
  const links = Array.from({ length: config.engine.shards }, () => ({
    pinWords: pinWords(threads),
    channels: Array.from({ length: threads }, () => new MessageChannel()),
  }));
  const toMain = Array.from({ length: threads }, () => new MessageChannel());
  return {
    readers: links.map(({ pinWords, channels }) => ({ pinWords, ports: channels.map(({ port1 }) => port1) })),
    queries: Array.from({ length: threads }, (_, index) => ({
      config,
      index,
      abilities,
      catalogue,
      main: toMain[index]!.port2,
      shards: links.map(({ pinWords, channels }) => ({ pinWords, port: channels[index]!.port2 })),
    })),
    mains: toMain.map(({ port1 }) => port1),
  };
}

/** `zepto serve`: runs until a signal asks it to end, or it cannot go on. */
export async function serve({ config, notices }: LoadedConfig): Promise<number> {
  const logger = createLogger({ ...config.log, colours: process.stdout.isTTY === true });
  for (const notice of notices) logger.info({}, notice);
  const asked = signalled();
  const running = await start(config, logger);
  const end = await Promise.race([asked, running.failed]);
  if (typeof end === 'string') logger.info({ signal: end }, 'draining: sealing what is in memory');
  await running.stop();
  if (typeof end === 'string') {
    logger.info({}, 'stopped');
    return 0;
  }
  logger.error({ code: end.code, ...end.context }, end.message);
  return 1;
}

export async function demo(args: readonly string[]): Promise<number> {
  const { runDemo } = await import('../demo/demo.ts');
  return runDemo(args, start);
}

export async function verify(args: readonly string[]): Promise<number> {
  const { runVerify } = await import('./commands/verify.ts');
  return runVerify(args);
}

export async function inspect(args: readonly string[]): Promise<number> {
  const { runInspect } = await import('./commands/inspect.ts');
  return runInspect(args);
}

/** The first signal that asks for an end; a second one ends at once. */
function signalled(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => {
        process.once(signal, () => process.exit(130));
        resolve(signal);
      });
    }
    process.on('unhandledRejection', (cause) => {
      throw asZeptoError(cause);
    });
  });
}
