// What: a shard thread: builds one consumer-group member from the configuration and runs it.
// Why: the composition root of the thread that consumes; everything a shard needs is put together here.
// Invariant: nothing of Kafka, S3 or the formats is chosen anywhere else.

import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { createDecoder } from '../../connectors/decode/decoder.ts';
import { openSchemaRegistry } from '../../connectors/decode/schema-registry.ts';
import { localDisk } from '../../connectors/fs/disk.ts';
import { openSymbolFile } from '../../connectors/fs/symbol-file.ts';
import { type Cluster, openCluster } from '../../connectors/kafka/cluster.ts';
import { openOffsetStore } from '../../connectors/kafka/offset-store.ts';
import { createKafkaSource } from '../../connectors/kafka/source.ts';
import { openSymbolTopic } from '../../connectors/kafka/symbol-topic.ts';
import type { ViewEntry } from '../catalogue/catalogue.ts';
import { ColumnMemory } from '../columns/column-memory.ts';
import { deletedHour, droppedHour, policyHours, type StoragePolicy } from '../columns/storage-policy.ts';
import { SymbolTable } from '../columns/symbols.ts';
import { retentionProblem } from '../commit/retention.ts';
import type { Config } from '../config/config.ts';
import { createPlanWriter } from '../engine/plan-writer.ts';
import type { PublishedView } from '../engine/publishing.ts';
import { Shard, type ShardStats } from '../engine/shard.ts';
import { SymbolAssigner } from '../engine/symbols.ts';
import { TopicTable } from '../engine/topic-table.ts';
import { ViewPartials } from '../engine/view-partials.ts';
import { planManifestsOf } from '../format/layout.ts';
import type { SegmentFile, SegmentOutputs } from '../format/segment.ts';
import { systemClock, type Timer } from '../kernel/clock.ts';
import { asZeptoError, ZeptoError } from '../kernel/errors.ts';
import { Feed } from '../live/feed.ts';
import type {
  OffsetStore,
  RowDecoder,
  SymbolDirectory,
  TableSource,
  TableVersions,
  TopicPartition,
} from '../ports.ts';
import { SlabPool } from '../store/arena.ts';
import { type DroppedObjects, dropObjects, expireLocal, type LocalTier } from '../store/tiering.ts';
import { Caller, offer, type PlainError, plainError } from './calls.ts';
import { EncodePool } from './encode-pool.ts';
import { publishedViews } from './published-views.ts';
import { sealPolicy } from './seal-policy.ts';
import type { ShardAsks } from './shard-thread.ts';
import { openObjectStore, type StoreAbilities } from './stores.ts';
import { threadReports } from './thread.ts';

export interface ShardData {
  readonly config: Config;
  readonly index: number;
  readonly abilities: StoreAbilities;
  readonly readers: ShardReaders;
  readonly policies: Tables['policies'];
  readonly dropped: Tables['dropped'];
  readonly versions: Tables['versions'];
  readonly views: Tables['views'];
}

/** The threads that read this shard's rows. */
export interface ShardReaders {
  readonly ports: readonly MessagePort[];
  readonly pinWords: SharedArrayBuffer;
}

/** As the catalogue has them. */
export interface Tables {
  readonly sources: readonly TableSource[];
  /** By topic. */
  readonly versions: ReadonlyMap<string, TableVersions>;
  readonly policies: ReadonlyMap<string, StoragePolicy>;
  readonly dropped: ReadonlyMap<string, number>;
  readonly views: readonly ViewEntry[];
}

/** Sent once, when the shard cannot go on. */
export interface ShardStopped {
  readonly stopped: PlainError;
}

const CHECK_INTERVAL_MS = 200;
/** A commit waits for the values of views no longer than this. */
const BUCKETS_WAIT_MS = 20_000;
const HOUR_MS = 3_600_000;
/** Of addresses, for rows on their way and what they come from. */
const DECODING_BYTES = 2 ** 28;

const { config, index, abilities, readers, ...given } = workerData as ShardData;
let { policies, dropped } = given;
const port = parentPort!;
const main = new Caller<ShardAsks>(port);
const clock = systemClock;
const { logger, metrics, listening } = threadReports(config.log, { shard: index });
const { kafka, group, coldTier } = config;
const memory = ColumnMemory.reserve(config.memory.budgetBytes / config.engine.shards + DECODING_BYTES);
const feed = new Feed(readers.ports, readers.pinWords);
const symbols = new SymbolTable();
const store = coldTier === null ? null : openObjectStore(coldTier, abilities, clock, metrics, logger);
const schemas =
  config.schemaRegistry === null ? null : openSchemaRegistry({ ...config.schemaRegistry, clock });
const outputs = outputsOf(config, abilities);
const hasFiles = outputs.bin !== null || outputs.parquet !== null;
const encoders = hasFiles
  ? new EncodePool(
      Math.max(1, Math.floor(config.engine.encodeThreads / config.engine.shards)),
      { log: config.log, coldTier, shard: index, abilities },
      symbols.names,
      listening,
    )
  : null;
const pool = new SlabPool(memory, encoders === null ? null : (block, bytes) => encoders.touch(block, bytes));
const partials =
  encoders === null || !config.storage.viewPartials
    ? null
    : new ViewPartials({
        outputs,
        ...{ prefix: coldTier?.s3.prefix ?? '', store, disk: localDisk, group: group.id, logger, metrics },
        run: (job, signal) => encoders.partials(job, signal),
        bytesMax: partialBytesMax(),
      });
partials?.setViews(given.views);
/** By table. */
let published: ReadonlyMap<string, readonly PublishedView[]> = new Map();
let shard: Shard | null = null;
let tiering: Timer | null = null;
let isMoving = false;
let catchingUp: Promise<void> | null = null;
const closing = new AbortController();
let isDenialSaid = false;
/** Of every table that there is or was: a partition of a dropped one may still be given back. */
const byTopic = new Map<string, TopicTable>();
const opened: { close(): Promise<void> }[] = [];

async function start(): Promise<void> {
  if (memory === null)
    logger.warn({}, 'no addresses are left for columns (ulimit -v?): rows are taken in at a lower rate');
  const connection = kafka;
  const cluster = openCluster(connection, logger, clock);
  const offsets = openOffsetStore({
    cluster,
    group: group.id,
    clock,
    logger,
    deadLetterTopicName: (topic) => `${topic}${kafka.deadLetterSuffix}`,
  });
  // Before anything that may fail: an open connection keeps the thread, and so the process, from ending.
  opened.push(offsets);
  const directory = await openDirectory(cluster);
  opened.unshift(directory);
  await refuseShortRetention(offsets);
  const assigner = new SymbolAssigner(symbols, directory, clock, logger);
  const writer =
    encoders === null
      ? null
      : createPlanWriter({
          outputs,
          prefix: coldTier?.s3.prefix ?? '',
          store,
          disk: localDisk,
          run: (job, signal) => encoders.segments(job, signal),
          partials: partials === null ? null : (work, signal) => partials.write(work, signal),
          names: symbols.names,
          clock,
          logger,
          metrics,
        });
  takeTables({ sources: config.tables, versions: given.versions });
  takePublished(config.tables, given.views);
  directory.subscribe((name, id) => feed.tell({ kind: 'name-learned', id, name }));
  const common = { clock, logger, metrics, pool, feed };
  shard = new Shard({
    source: createKafkaSource({
      connection,
      config,
      topics: config.tables.map(({ topic }) => topic),
      address: config.http.peerAddress,
      clock,
      logger,
      metrics,
    }),
    common,
    budget: { bytes: config.memory.budgetBytes / config.engine.shards },
    checkIntervalMs: CHECK_INTERVAL_MS,
    hotMs: config.storage.mode === 'tiered' ? config.memory.hotWindowMs : 0,
    policyOf: (table) => policies.get(table) ?? null,
    stopped: (error) => port.postMessage({ stopped: plainError(error) } satisfies ShardStopped),
    partitionParts: (partition) => {
      const table = byTopic.get(partition.topic);
      if (table === undefined)
        throw new ZeptoError('INTERNAL', 'stop', `no table takes topic ${partition.topic}`);
      return {
        ...common,
        table,
        group: group.id,
        offsets,
        writer,
        symbols: assigner,
        sealsRaw: outputs.bin?.compression === 'none',
        policy: sealPolicy(config),
        recovery: { autoOffsetReset: group.autoOffsetReset, onDataLoss: group.onDataLoss },
        hasPlans,
        publishing: {
          views: () => published.get(table.source.table.name) ?? [],
          bucketsOf: (wanted, signal) =>
            main.call(
              'bucketsOf',
              { ...wanted, of: partition },
              AbortSignal.any([signal, AbortSignal.timeout(BUCKETS_WAIT_MS)]),
            ),
        },
        sealed: (work, files, choice) =>
          logger.info(
            {
              topic: partition.topic,
              partition: partition.partition,
              trigger: choice.trigger,
              rows: work.segments.reduce((sum, { rows }) => sum + rows, 0),
              files: files.length,
              deadLetters: work.deadLetters.length,
              committed: work.after.committed,
            },
            'plan committed',
          ),
      };
    },
  });
  await shard.start();
  tiering = clock.every(config.storage.tieringIntervalMs, () => {
    void moveByAge();
    void catchUp();
  });
  void catchUp();
}

/** What age asks for, by the table's policy or the settings. Best effort: what could not be done is tried again next time. */
async function moveByAge(): Promise<void> {
  if (shard === null || isMoving) return;
  isMoving = true;
  try {
    shard.sealByPolicy();
    const nowMs = clock.nowMs();
    for (const partition of shard.stats().partitions) {
      const policy = policies.get(partition.table);
      const hours = policy === undefined ? null : policyHours(policy, nowMs);
      const last = hours === null ? hourLeavingDisk(nowMs) : hours.leavesDisk;
      const isDropped = deletedHour(policy, dropped.get(partition.topic), nowMs);
      if (outputs.bin !== null && (last !== null || isDropped !== null))
        await expireLocal(localTier(outputs.bin.baseDirectory), partition, partition.committed, {
          leavesDisk: outputs.parquet === null ? null : last,
          isDropped,
        });
      if (store !== null && coldTier !== null && isDropped !== null)
        await dropObjects(
          { store, prefix: coldTier.s3.prefix, group: group.id, partialsOf, ...dropping },
          partition,
          partition.committed,
          isDropped,
        );
    }
  } catch (cause) {
    metrics.count('zepto_tiering_failures_total', {}, 1);
    logger.warn(
      { error: asZeptoError(cause).message },
      'old rows could not be moved or removed, trying again later',
    );
  } finally {
    isMoving = false;
  }
}

/** Partials that views lack of what is committed: of views made later, or after a crash. */
function catchUp(): Promise<void> {
  catchingUp ??= catchUpWith(partials)
    .catch((cause) => {
      if (!closing.signal.aborted) logger.error({ error: String(cause) }, 'views were not caught up with');
    })
    .finally(() => {
      catchingUp = null;
    });
  return catchingUp;
}

async function catchUpWith(views: ViewPartials | null): Promise<void> {
  if (views === null || shard === null) return;
  for (const { topic, partition: number } of shard.settled()) {
    // It may have sealed, or gone, while those before it were caught up with.
    const partition = shard.settled().find((one) => one.topic === topic && one.partition === number);
    if (partition === undefined) continue;
    const policy = policies.get(partition.table.name);
    const isDropped = droppedHour(policy, dropped.get(topic), clock.nowMs());
    await views.catchUp(partition, isDropped, closing.signal);
  }
}

/** The encoder threads together hold no more for views than the query threads do. */
function partialBytesMax(): number {
  const segments = config.engine.encodeThreads * (coldTier?.uploadConcurrency ?? 4);
  return Math.floor(config.query.viewBytesMax / segments);
}

function hourLeavingDisk(nowMs: number): number | null {
  return coldTier?.deleteLocalAfterS3 === true
    ? Math.floor((nowMs - coldTier.ageHours * HOUR_MS) / HOUR_MS) - 1
    : null;
}

const localTier = (baseDirectory: string): LocalTier => ({
  disk: localDisk,
  baseDirectory,
  group: group.id,
  letGo: async (partition, folders) => (await shard?.leaveFolders(partition, folders)) ?? false,
  isOnStore: (file) => isListed(file),
});

/** The store itself says that the object is there, whole. */
async function isListed({ path, bytes }: SegmentFile): Promise<boolean> {
  for await (const { key, size, etag } of store!.list(path))
    if (key === path) return size === bytes && etag !== '';
  return false;
}

const partialsOf: DroppedObjects['partialsOf'] = (topic, object, hash) =>
  partials?.keysOf(byTopic.get(topic)!.source.table, object, hash) ?? [];

const dropping: Pick<DroppedObjects, 'done' | 'denied'> = {
  done: new Set(),
  denied: () => {
    if (isDenialSaid) return;
    isDenialSaid = true;
    logger.warn(
      { bucket: coldTier?.s3.bucket, prefix: coldTier?.s3.prefix },
      'the credential may not delete objects: queries leave dropped rows out, the objects stay. Set a lifecycle rule on the bucket that expires objects below this prefix at the age of DROP',
    );
  },
};

function takeTables({ sources, versions }: Pick<Tables, 'sources' | 'versions'>): void {
  for (const { topic } of sources) {
    const told = versions.get(topic)!;
    if (byTopic.get(topic)?.extend(told) === true) continue;
    // What a dropped table's rows were decoded in, half a MiB of addresses or less, is not used again.
    const decoderOf = (source: TableSource): RowDecoder => createDecoder(source, symbols, schemas);
    byTopic.set(topic, new TopicTable(told, decoderOf, memory));
  }
}

function takePublished(sources: readonly TableSource[], views: readonly ViewEntry[]): void {
  const refused = ({ name }: ViewEntry, cause: unknown): void =>
    logger.warn({ view: name, error: asZeptoError(cause).message }, 'a view is not published');
  published = new Map(sources.map(({ table }) => [table.name, publishedViews(views, table, refused)]));
}

async function refuseShortRetention(offsets: OffsetStore): Promise<void> {
  for (const { topic } of config.tables) {
    const problem = retentionProblem(topic, await offsets.retention(topic), sealPolicy(config));
    if (problem !== null) throw new ZeptoError('CONFIG_INVALID', 'stop', problem, { context: { topic } });
  }
}

async function openDirectory(cluster: Cluster): Promise<SymbolDirectory> {
  const { file, topic, countMax } = config.symbols;
  if (file !== null) return openSymbolFile(file);
  return openSymbolTopic({ cluster, topic, group: group.id, clock, logger, metrics, symbolsMax: countMax });
}

/** Whether plans of this group stand in the store or the local folder: then it must not start without its offsets. */
async function hasPlans({ topic, partition }: TopicPartition): Promise<boolean> {
  if (outputs.bin !== null) {
    const folder = planManifestsOf(outputs.bin.baseDirectory, group.id, topic, partition);
    if ((await localDisk.list(folder)).length > 0) return true;
  }
  if (store === null || coldTier === null) return false;
  for await (const _ of store.list(planManifestsOf(coldTier.s3.prefix, group.id, topic, partition)))
    return true;
  return false;
}

async function stop(options: { readonly drain: boolean }): Promise<void> {
  tiering?.cancel();
  await shard?.stop(options);
  closing.abort(new ZeptoError('CANCELLED', 'rejoin', 'the shard stops'));
  await catchingUp;
  await encoders?.close();
  schemas?.close();
  for (const part of opened) await part.close();
  await store?.close();
  for (const reader of readers.ports) reader.close();
  metrics.flush();
}

const calls = {
  start,
  stats: (): ShardStats =>
    shard?.stats() ?? {
      state: 'joining',
      usedBytes: 0,
      budgetBytes: config.memory.budgetBytes / config.engine.shards,
      isPaused: false,
      partitions: [],
    },
  flush: (): Promise<number> => shard?.flush() ?? Promise.resolve(0),
  setTables: ({ sources, versions, views, ...changed }: Tables): void => {
    ({ policies, dropped } = changed);
    takeTables({ sources, versions });
    takePublished(sources, views);
    partials?.setViews(views);
    void catchUp();
    shard?.subscribe(sources.map(({ topic }) => topic));
  },
  stop: async (options: { readonly drain: boolean }): Promise<void> => {
    await stop(options);
    // The answer goes out before the port closes and the thread ends.
    setImmediate(() => port.close());
  },
};
export type ShardCalls = typeof calls;
offer(port, calls);

function outputsOf(
  { storage: { hdbDirectory, compression, commitAfter } }: Config,
  { conditionalWrites }: StoreAbilities,
): SegmentOutputs {
  const wantsBin = coldTier === null || coldTier.format !== 'parquet';
  const bin =
    hdbDirectory === null || !wantsBin
      ? null
      : { baseDirectory: hdbDirectory, compression, sync: commitAfter === 'local' };
  if (coldTier === null || coldTier.format === 'binary') return { bin, parquet: null };
  const { parquetCodec, timestampType, layout, flatEpoch, rowGroupRowsMax, s3 } = coldTier;
  return {
    bin,
    parquet: {
      codec: parquetCodec,
      timestampType,
      layout,
      flatEpoch,
      rowGroupRowsMax,
      prefix: s3.prefix,
      conditionalWrites,
    },
  };
}
