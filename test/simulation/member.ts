// What: one simulated process: the real shard over simulated ports.
// Why: what is tested is the code that ships; only its surroundings are made up.
// Invariant: a dead process never acts again, a paused one acts on stale knowledge when it continues.

import { SymbolTable } from '../../src/columns/symbols.ts';
import type { TableSchema } from '../../src/columns/types.ts';
import type { PlanWriter } from '../../src/commit/execute.ts';
import type { SealPolicy } from '../../src/commit/plan.ts';
import { createPlanWriter } from '../../src/engine/plan-writer.ts';
import { Shard } from '../../src/engine/shard.ts';
import { SymbolAssigner } from '../../src/engine/symbols.ts';
import { TopicTable } from '../../src/engine/topic-table.ts';
import { crc32cOf, crc32cText } from '../../src/format/crc32c.ts';
import { planHash, planManifestsOf } from '../../src/format/layout.ts';
import type { EncodeJob, SegmentFile, SegmentSource } from '../../src/format/segment.ts';
import { asZeptoError, ZeptoError } from '../../src/kernel/errors.ts';
import type {
  CommitLog,
  CommittedOffset,
  Disk,
  Logger,
  ObjectStore,
  OffsetStore,
  RowDecoder,
  SymbolDirectory,
} from '../../src/ports.ts';
import { SlabPool } from '../../src/store/arena.ts';
import { roomyMemory } from '../support/column-memory.ts';
import { isUnreadable, ownValue, versionsTo } from './altered.ts';
import { publishingOf } from './published.ts';
import { readFeed } from './reader.ts';
import { ProcessClock } from './scheduler.ts';
import { SimulatedSource } from './source.ts';
import type { World } from './world.ts';

/** The group of every member. */
export const GROUP = 'g';

/** The process's log lines go to the world's trace. */
function tracing(world: World, name: string): Logger {
  const line = (fields: Readonly<Record<string, unknown>>, message: string): void =>
    world.note(name, `${message} ${JSON.stringify(fields)}`);
  return { debug: line, info: line, warn: line, error: line };
}

const unmeasured = { count() {}, gauge() {}, observe() {} };

export class Member {
  readonly name: string;
  readonly clock: ProcessClock;
  readonly source: SimulatedSource;
  readonly shard: Shard;
  private readonly table: TopicTable;
  stoppedWith: ZeptoError | null = null;
  private readonly world: World;

  constructor(
    name: string,
    world: World,
    policy: SealPolicy,
    budgetBytes: number | null,
    rejoin: (member: Member) => void,
  ) {
    this.name = name;
    this.world = world;
    this.clock = new ProcessClock(world.scheduler, world.chance);
    this.source = new SimulatedSource(world, this.clock, () => rejoin(this));
    const logger = tracing(world, name);
    const memory = world.chance.pick([roomyMemory(), null]);
    const pool = new SlabPool(memory);
    const symbols = new SymbolTable();
    const assigner = new SymbolAssigner(symbols, this.directory(), this.clock, logger);
    const common = { clock: this.clock, logger, metrics: unmeasured, pool, feed: readFeed(world, name) };
    const versions = versionsTo(world.tableVersion, world.topic);
    this.table = new TopicTable(versions, ({ table }) => this.decoder(symbols, versionIn(table)), memory);
    this.shard = new Shard({
      source: this.source,
      common,
      budget: { bytes: budgetBytes ?? world.chance.pick([1 << 30, 3 << 20, 1 << 19]) },
      checkIntervalMs: 100,
      hotMs: world.chance.pick([0, 3_600_000]),
      policyOf: () => null,
      stopped: (error) => {
        this.stoppedWith = error;
      },
      partitionParts: ({ partition }) => ({
        ...common,
        group: GROUP,
        table: this.table,
        offsets: this.offsets(),
        writer: this.writer(),
        symbols: assigner,
        sealsRaw: true,
        policy,
        recovery: { autoOffsetReset: 'earliest', onDataLoss: 'stop' },
        hasPlans: async ({ topic, partition }) =>
          [...world.manifests.keys()].some((key) =>
            key.startsWith(planManifestsOf('', GROUP, topic, partition)),
          ),
        publishing: publishingOf(world, this.clock, partition, () => this.positionOf(partition)),
        sealed: () => {},
      }),
    });
  }

  start(): void {
    void this.shard.start();
  }

  /** It has read the catalogue topic to this version of the table. */
  learn(version: number): void {
    this.world.note(this.name, `learns of version ${version}`);
    this.table.extend(versionsTo(version, this.world.topic));
  }

  kill(): void {
    this.world.note(this.name, 'is killed');
    this.clock.kill();
  }

  private positionOf(partition: number): number {
    return this.shard.stats().partitions.find((one) => one.partition === partition)?.position ?? 0;
  }

  private offsets(): OffsetStore {
    const { world, clock } = this;
    return {
      open: ({ partition }) => this.commitLog(partition),
      bounds: ({ partition }) =>
        world.call(
          clock,
          () => {
            const { start, end } = world.partitions[partition]!;
            return { earliest: start, latest: end };
          },
          () => new ZeptoError('KAFKA_UNREACHABLE', 'retry', 'lost'),
        ),
      retention: async () => ({ ms: null, bytes: null, compacted: false }),
      close: async () => {},
    };
  }

  private commitLog(partition: number): CommitLog {
    const { world, clock } = this;
    const target = world.partitions[partition]!;
    const owner = {};
    let epoch = -1;
    /** A commit whose outcome is open: only its own epoch may be given up, nobody else's. */
    let isUnsettled = false;
    let chain: Promise<unknown> = Promise.resolve();
    const inTurn = <T>(run: () => Promise<T>): Promise<T> => {
      const result = chain.then(run);
      chain = result.catch(() => {});
      return result;
    };
    const takeOver = (): { epoch: number; committed: CommittedOffset | null } => {
      if (isUnsettled && world.fenceTellsOfOthers && target.owner !== owner)
        throw new ZeptoError('FENCED', 'rejoin', 'another owner took over meanwhile');
      target.owner = owner;
      target.epoch++;
      return { epoch: target.epoch, committed: target.committed };
    };
    return {
      fence: () =>
        inTurn(async () => {
          const lost = (): ZeptoError => new ZeptoError('KAFKA_UNREACHABLE', 'retry', 'lost');
          const taken = await world.call(clock, takeOver, lost);
          epoch = taken.epoch;
          isUnsettled = false;
          return taken.committed;
        }),
      commit: (offset, metadata, deadLetters, published = []) =>
        inTurn(async () => {
          const mine = epoch;
          try {
            await world.call(
              clock,
              () => world.commit(partition, mine, { offset, metadata }, deadLetters, published),
              () => new ZeptoError('COMMIT_UNKNOWN', 'retry', 'lost'),
            );
          } catch (error) {
            isUnsettled = asZeptoError(error).code === 'COMMIT_UNKNOWN';
            throw error;
          }
        }),
      close: async () => {},
    };
  }

  /** The real writer; segments and manifests end up in the world, each put able to fail. */
  private writer(): PlanWriter {
    const { world } = this;
    const lost = (): ZeptoError => new ZeptoError('STORE_UNAVAILABLE', 'retry', 'lost');
    const store: Pick<ObjectStore, 'put'> = {
      put: (key, body) =>
        world.call(this.clock, () => world.putManifest(key, Buffer.from(body).toString('utf8')), lost),
    };
    return createPlanWriter({
      outputs: {
        bin: null,
        parquet: {
          codec: 'NONE',
          timestampType: 'ns',
          layout: 'hive',
          flatEpoch: 's',
          prefix: '',
          rowGroupRowsMax: 1,
        },
      },
      prefix: '',
      store: store as ObjectStore,
      disk: {} as Disk,
      names: [],
      partials: null,
      clock: this.clock,
      logger: tracing(world, this.name),
      metrics: unmeasured,
      run: async (job, signal) => {
        const files: SegmentFile[] = [];
        for (const segment of job.segments) {
          signal.throwIfAborted();
          const version = versionIn(job.table);
          const rows = rowsOf(segment, version);
          const file = segmentFile(job, segment, rows);
          const { symbol, hour } = segment;
          const stored = { key: file.path, symbol, hour, ...rows, version };
          await world.call(
            this.clock,
            () => world.putFile({ ...stored, content: contentOf(rows) }),
            () => world.chance.pick([lost(), new ZeptoError('STORE_DENIED', 'stop', 'not now')]),
          );
          files.push(file);
        }
        return files;
      },
    });
  }

  private decoder(symbols: SymbolTable, version: number): RowDecoder {
    const { world, clock } = this;
    const decode: (...args: Parameters<RowDecoder['decode']>) => void = (records, from, to, rows) => {
      rows.reserve(rows.rows + to - from);
      const log = world.partitions[records.partition]!.records;
      for (let i = from; i < to; i++) {
        const record = log[records.valueStart[i]! / world.valueBytes]!;
        if (record.kind === 'tombstone') continue;
        if (isUnreadable(record, version)) {
          const { offset, timestampMs } = record;
          rows.undecodable.push({ offset, timestampMs, cause: 'made so', key: null, value: null });
          continue;
        }
        const row = rows.rows++;
        const kafkaTimeNs = BigInt(records.timestampMs[i]!) * 1_000_000n;
        (rows.columns[0]!.values as BigInt64Array)[row] = record.timeNs ?? kafkaTimeNs;
        (rows.columns[1]!.values as Uint32Array)[row] = symbols.codeOfName(record.symbol);
        (rows.columns[2]!.values as BigInt64Array)[row] = BigInt(record.id);
        if (version > 0) (rows.columns[3]!.values as BigInt64Array)[row] = ownValue(version, record.id);
        rows.offset[row] = record.offset;
      }
    };
    return {
      decode: (...args) => {
        const waitMs = world.alterations.decodingMs();
        return waitMs === 0 ? decode(...args) : clock.sleep(waitMs).then(() => decode(...args));
      },
    };
  }

  private directory(): SymbolDirectory {
    const { world, clock } = this;
    let learn: (name: string, id: number) => void = () => {};
    let known = 0;
    const catchUp = (): void => {
      while (known < world.symbols.length) learn(world.symbols[known]!, known++);
    };
    return {
      assign: async (names) => {
        const ids = await world.call(
          clock,
          () =>
            names.map((name) => {
              const at = world.symbols.indexOf(name);
              return at >= 0 ? at : world.symbols.push(name) - 1;
            }),
          () => new ZeptoError('KAFKA_UNREACHABLE', 'retry', 'lost'),
        );
        catchUp();
        return ids;
      },
      subscribe: (listener) => {
        learn = listener;
        catchUp();
      },
      close: async () => {},
    };
  }
}

interface Rows {
  readonly ids: readonly number[];
  readonly times: readonly bigint[];
  /** Of the version's own column. */
  readonly values: readonly bigint[];
}

const versionIn = ({ columns }: TableSchema): number => Number(columns[3]?.name.slice(1) ?? 0);

const rowsOf = ({ chunks }: SegmentSource, version: number): Rows => ({
  times: chunks.flatMap((chunk) => [...(chunk.columns[0] as BigInt64Array)]),
  ids: chunks.flatMap((chunk) => [...(chunk.columns[1] as BigInt64Array)].map(Number)),
  values: version === 0 ? [] : chunks.flatMap((chunk) => [...(chunk.columns[2] as BigInt64Array)]),
});

const contentOf = ({ ids, times, values }: Rows): string =>
  ids.map((id, row) => `${id}@${times[row]}/${values[row] ?? ''}`).join(',');

function segmentFile(job: EncodeJob, segment: SegmentSource, rows: Rows): SegmentFile {
  const bytes = Buffer.from(contentOf(rows));
  const times = rows.times.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  return {
    kind: 'parquet',
    table: job.table.name,
    symbol: segment.symbol,
    hour: segment.hour,
    path: `${segment.symbol}-${segment.hour}-${planHash(job.plan)}`,
    rows: segment.rows,
    bytes: bytes.length,
    crc32c: crc32cText(crc32cOf([bytes])),
    timestampMin: String(times[0]),
    timestampMax: String(times.at(-1)),
  };
}
