// What: a query thread: statements in, pieces of their answers out.
// Why: the composition root of the thread that reads what shards write; HTTP and heartbeats never wait for a query.
// Invariant: a piece is made when it is asked for; a statement that is closed holds no memory of any shard.

import { randomUUID } from 'node:crypto';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { clickhouseType } from '../../connectors/formats/clickhouse-types.ts';
import { resultFormat } from '../../connectors/formats/format.ts';
import { blockingDisk, localDisk } from '../../connectors/fs/disk.ts';
import { ObjectCache } from '../../connectors/fs/object-cache.ts';
import { openCluster } from '../../connectors/kafka/cluster.ts';
import { openTickSink } from '../../connectors/kafka/tick-sink.ts';
import { type Catalogue, droppedHours } from '../catalogue/catalogue.ts';
import { packageVersion } from '../cli/version.ts';
import type { TableSchema } from '../columns/types.ts';
import type { Config } from '../config/config.ts';
import type { StatementRequest } from '../http-port.ts';
import { systemClock } from '../kernel/clock.ts';
import { ZeptoError } from '../kernel/errors.ts';
import { formatFixed } from '../kernel/fixed.ts';
import type { Changes, RunBegun } from '../live/change.ts';
import { Mirror, type MirrorSnapshot } from '../live/mirror.ts';
import { loadSealed, type SealedPart } from '../live/sealed.ts';
import type { TickSink, TopicPartition, ViewRecord } from '../ports.ts';
import { withoutDropped } from '../query/dropped.ts';
import type { ExecuteOptions } from '../query/execute.ts';
import { PartCache } from '../query/part-cache.ts';
import { cancelled, tookTooLong } from '../query/run.ts';
import type { OptionValue, ParsedStatement } from '../sql/ast.ts';
import { parseStatement } from '../sql/parser.ts';
import { checkSettings, isOff, limitsFor, mayOnlyRead } from '../statements/request-settings.ts';
import { Caller, offer } from './calls.ts';
import { openForeignFiles } from './foreign-files.ts';
import { Gathered, type Pulled } from './gather.ts';
import type { GroupShares } from './group-watch.ts';
import type { MainCalls } from './main-calls.ts';
import { arePartsAsked, groupReader, narrowedTo, nowAsked, partitionsAsked, unknownGroup } from './peers.ts';
import { type BucketsRequest, PublishedViews } from './published-views.ts';
import { answer, type StatementParts } from './statements.ts';
import { openObjectStore, type StoreAbilities } from './stores.ts';
import { systemTables } from './system-tables.ts';
import { threadReports } from './thread.ts';
import { ViewKeeper } from './view-keeper.ts';

export interface QueryData {
  readonly config: Config;
  readonly index: number;
  readonly abilities: StoreAbilities;
  readonly shards: readonly { readonly port: MessagePort; readonly pinWords: SharedArrayBuffer }[];
  readonly catalogue: Catalogue;
  /** In shared memory, one for each statement that runs: other than 0, it is to stop. */
  readonly cancelWords: Int32Array;
  /** To the main thread. */
  readonly main: MessagePort;
}

/** Answer to `open`: with the first piece. */
export interface Opened extends Pulled {
  readonly contentType: string;
  readonly headers: Readonly<Record<string, string>>;
}

interface Open {
  readonly pieces: Gathered;
  readonly stopping: Stopping;
}

/** Ends what a statement waits for, when it is cancelled or its time is over. */
interface Stopping {
  readonly signal: AbortSignal;
  readonly cancel: () => void;
  readonly end: () => void;
  /** What is made of the answer, once there is some. */
  pieces: Gathered | null;
}

const DRAIN_INTERVAL_MS = 100;
/** As ClickHouse has it. */
const EXCEPTION_TAG_CHARS = 16;
/** A timer of more would go off at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;
/** A member that is killed has its session for some seconds; then others have its partitions. */
const UNSETTLED_MS_MAX = 30_000;
const UNSETTLED_PAUSE_MS = 200;
const FIND_AGAIN_MS = 1_000;

const { config, index, abilities, shards, main, cancelWords, ...given } = workerData as QueryData;
const port = parentPort!;
const clock = systemClock;
const threadStartedMs = clock.monotonicMs();
const { version } = packageVersion();
const hostName = hostname();
const { logger, metrics } = threadReports(config.log, { thread: 'query', index });
const { coldTier, storage, query } = config;
const store = coldTier === null ? null : openObjectStore(coldTier, abilities, clock, metrics, logger);
const places = {
  disk: localDisk,
  baseDirectory: storage.hdbDirectory,
  store,
  prefix: coldTier?.s3.prefix ?? '',
};
const directory = join(
  query.cacheDirectory ?? join(tmpdir(), `zepto-cold-cache-${process.pid}`),
  `query-${index}`,
);
const objects = new ObjectCache({
  directory,
  bytesMax: Math.floor(query.cacheBytesMax / query.threads),
  // Only asked for parts that stand on S3, of which there are none without a store.
  fetch: (key) => store!.get(key, closing.signal),
  looked: (hit) => metrics.count('zepto_cold_reads_total', { result: hit ? 'hit' : 'miss' }, 1),
});
const cold = store === null ? {} : { cold: (key: string) => objects.read(key) };
const foreign = openForeignFiles({ config, cache: objects, store, clock, metrics, logger });
const closing = new AbortController();
let { catalogue } = given;
let schemas = schemasOf(catalogue);
const mirror = new Mirror({
  links: shards.map(({ port: shard, pinWords }) => ({
    pinWords,
    take: () => receiveMessageOnPort(shard)?.message as Changes | undefined,
  })),
  reader: index,
  baseDirectory: storage.hdbDirectory,
  loadSealed: findSealed,
  moved: (from, to, rows) => views.moved(from, to, rows),
});
/** What could not be found is looked for anew by the next query that comes: not more often than once in a while. */
async function findSealed(run: RunBegun): Promise<SealedPart[]> {
  try {
    return await loadSealed(run, places, logger, closing.signal);
  } catch (error) {
    await clock.sleep(FIND_AGAIN_MS, closing.signal);
    throw error;
  }
}
/** Rows that their table's policy has dropped are in no answer, whether their files are gone or not. */
const snapshot = async (): Promise<MirrorSnapshot> =>
  withoutDropped(await mirror.snapshot(schemas), droppedHours(catalogue, clock.nowMs()));
const reading = {
  names: mirror.names,
  snapshot,
  options: { disk: blockingDisk, monotonicMs: clock.monotonicMs, ...cold },
  bytesMax: Math.floor(query.viewBytesMax / query.threads),
};
const views = new ViewKeeper({ ...reading, clock, logger });
const published = new PublishedViews(reading, catalogue);
const draining = clock.every(DRAIN_INTERVAL_MS, () => {
  mirror.drain();
  void views.advance();
});
let cache = new PartCache();
views.set(catalogue);
let sink: TickSink | null = null;
const statementParts: StatementParts = {
  catalogue: () => catalogue,
  snapshot,
  main: new Caller<MainCalls>(main),
  sink: () => {
    sink ??= openTickSink(openCluster(config.kafka, logger, clock), clock);
    return sink;
  },
  nowMs: clock.nowMs,
  views,
};
const systemOf = systemTables(statementParts);
/** Null: not known, or not asked for. */
let group: GroupShares | null = null;
const open = new Map<string, Open>();

/** A partition moves now and then: whoever has it next is asked when the group has settled. */
async function start(request: StatementRequest, cancel: Int32Array, gone: AbortSignal): Promise<Opened> {
  const startedMs = clock.monotonicMs();
  for (;;)
    try {
      return await startOnce(request, cancel, gone);
    } catch (error) {
      const isPassing =
        error instanceof ZeptoError && error.code === 'GROUP_UNSETTLED' && error.action === 'retry';
      const isPeer = partitionsAsked(request.settings) !== null;
      if (!isPassing || isPeer || clock.monotonicMs() - startedMs > UNSETTLED_MS_MAX) throw error;
      await clock.sleep(UNSETTLED_PAUSE_MS, gone);
      await statementParts.main.call('lookAtGroup', undefined as never);
    }
}

async function startOnce(request: StatementRequest, cancel: Int32Array, gone: AbortSignal): Promise<Opened> {
  const startedMs = clock.monotonicMs();
  const parsed = parseStatement(request.text, {
    parameters: new Map(Object.entries(request.parameters)),
  });
  // FORMAT of an INSERT is that of its rows.
  const format = parsed.statement.kind === 'insert' ? null : parsed.format;
  const writer = resultFormat(format ?? request.format);
  const isClickhouse = writer !== resultFormat(null);
  const asked = settingsOf(request, parsed.settings);
  checkSettings(asked);
  const limits = limitsFor(asked, {
    rowsMax: query.rowsMax,
    bytesMax: query.bytesMax,
    timeoutMs: query.timeoutMs === 0 ? Number.MAX_SAFE_INTEGER : query.timeoutMs,
  });
  const stopping = stoppable(limits.timeoutMs);
  const asPeer = partitionsAsked(asked);
  const isOfGroup = config.http.peerAddress !== null && asPeer === null && !isOff(asked.fan_out);
  const shares = isOfGroup ? group : null;
  const nowNs = nowAsked(asked) ?? BigInt(clock.nowMs()) * 1_000_000n;
  const { authorization } = request;
  const topicOf = (table: string): string | undefined => catalogue.tables.get(table)?.topic;
  const reader = shares && groupReader({ shares, topicOf, authorization, nowNs });
  // Also of a member that is alone: what it has lost to one that joins just now must not be missing in silence.
  const partitions = asPeer ?? shares?.own ?? null;
  const parts: StatementParts = {
    ...statementParts,
    snapshot: async () => {
      if (isOfGroup && shares === null) throw unknownGroup();
      const taken = await snapshot();
      if (partitions === null) return taken;
      // A peer reads one table.
      const isRead = ({ topic }: TopicPartition): boolean => asPeer === null || topic === asPeer[0]!.topic;
      return narrowedTo(taken, partitions, taken.partitions.filter(isRead));
    },
  };
  const options: ExecuteOptions = {
    limits,
    nowNs,
    group: reader,
    asParts: asPeer !== null && arePartsAsked(asked),
    monotonicMs: clock.monotonicMs,
    cancel,
    signal: stopping.signal,
    disk: blockingDisk,
    analytic: foreign?.engine ?? null,
    cache,
    views: views.current,
    registered: catalogue.registered,
    isViewRewriteOn: !isOff(asked.view_rewrite),
    system: systemOf(asked),
    server: {
      version,
      hostName,
      uptimeSeconds: Math.floor((startedMs - threadStartedMs) / 1000),
    },
    ...cold,
    ...(isClickhouse ? { clickhouseType } : {}),
  };
  const by = mayOnlyRead(asked) ? { ...request, mayWrite: false, mayAdminister: false } : request;
  const about = {
    elapsedUs: () => Math.round((clock.monotonicMs() - startedMs) * 1000),
    settings: asked,
    exceptionTag: isClickhouse ? randomUUID().replaceAll('-', '').slice(0, EXCEPTION_TAG_CHARS) : '',
  };
  const { pieces, piece, isDone } = await whileWanted(stopping, gone, async () => {
    const result = await answer(parsed, by, options, parts);
    const pieces = new Gathered(writer.write(result, about)[Symbol.asyncIterator](), clock);
    stopping.pieces = pieces;
    const { piece, isDone } = await pieces.pull();
    return { pieces, piece, isDone };
  });
  if (isDone) stopping.end();
  else open.set(request.id, { pieces, stopping });
  const headers: Record<string, string> = isClickhouse
    ? {
        'x-clickhouse-format': writer.name,
        'x-clickhouse-timezone': 'UTC',
        'x-clickhouse-exception-tag': about.exceptionTag,
      }
    : {};
  return { contentType: writer.contentType, headers, piece, isDone };
}

function stoppable(timeoutMs: number): Stopping {
  const controller = new AbortController();
  const over = (): void => {
    const error = tookTooLong(timeoutMs);
    controller.abort(error);
    // A client that has stopped reading would keep a snapshot for as long as it stays.
    void stopping.pieces?.finish(error);
  };
  const timer = timeoutMs > TIMER_MS_MAX ? null : clock.after(timeoutMs, over);
  const stopping: Stopping = {
    signal: controller.signal,
    cancel: () => controller.abort(cancelled()),
    end: () => timer?.cancel(),
    pieces: null,
  };
  return stopping;
}

/** One call for a statement; an error ends the statement. */
async function whileWanted<T>(stopping: Stopping, gone: AbortSignal, call: () => Promise<T>): Promise<T> {
  const stop = (): void => stopping.cancel();
  gone.addEventListener('abort', stop, { once: true });
  try {
    return await call();
  } catch (error) {
    stopping.end();
    throw error;
  } finally {
    gone.removeEventListener('abort', stop);
  }
}

function schemasOf({ tables }: Catalogue): ReadonlyMap<string, TableSchema> {
  return new Map([...tables].map(([name, { table }]) => [name, table]));
}

/** Those of the text override those of the request. */
function settingsOf(
  { settings }: StatementRequest,
  ofText: ParsedStatement['settings'],
): Readonly<Record<string, string>> {
  if (ofText.length === 0) return settings;
  return { ...settings, ...Object.fromEntries(ofText.map(({ name, value }) => [name, textOfOption(value)])) };
}

function textOfOption(value: OptionValue): string {
  return value.kind === 'decimal' ? formatFixed(value.unscaled, value.scale) : String(value.value);
}

const calls = {
  setCatalogue: (changed: Catalogue): void => {
    catalogue = changed;
    const before = schemas;
    schemas = schemasOf(changed);
    // What is known of parts goes by the places of columns in their table.
    if (!isDeepStrictEqual(before, schemas)) cache = new PartCache();
    views.set(changed);
    published.set(changed);
  },
  setGroup: (shares: GroupShares): void => {
    group = shares;
  },
  bucketsOf: (request: BucketsRequest, gone: AbortSignal): Promise<ViewRecord[]> =>
    published.bucketsOf(request, gone),
  open: (
    { request, word }: { request: StatementRequest; word: number },
    gone: AbortSignal,
  ): Promise<Opened> => start(request, cancelWords.subarray(word, word + 1), gone),
  next: async (id: string, gone: AbortSignal): Promise<Pulled> => {
    const running = open.get(id);
    if (running === undefined) throw new ZeptoError('CANCELLED', 'stop', `statement ${id} has ended`);
    try {
      const pulled = await whileWanted(running.stopping, gone, () => running.pieces.pull());
      if (pulled.isDone) {
        open.delete(id);
        running.stopping.end();
      }
      return pulled;
    } catch (error) {
      open.delete(id);
      throw error;
    }
  },
  close: async (id: string): Promise<void> => {
    const running = open.get(id);
    open.delete(id);
    running?.stopping.end();
    await running?.pieces.close();
  },
  stop: async (): Promise<void> => {
    draining.cancel();
    closing.abort(new ZeptoError('CANCELLED', 'stop', 'the process stops'));
    for (const { pieces, stopping } of open.values()) {
      stopping.end();
      await pieces.close();
    }
    await foreign?.close();
    await objects.close();
    await store?.close();
    for (const { port: shard } of shards) shard.close();
    await sink?.close();
    main.close();
    metrics.flush();
    setImmediate(() => port.close());
  },
};
export type QueryCalls = typeof calls;
offer(port, calls);
