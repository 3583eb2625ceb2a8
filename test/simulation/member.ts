// What: one simulated process: the real shard over simulated ports.
// Why: what is tested is the code that ships; only its surroundings are made up.
// Invariant: a dead process never acts again, a paused one acts on stale knowledge when it continues.

import { RowBuffer } from '../../src/columns/batch.ts';
import { SymbolTable } from '../../src/columns/symbols.ts';
import { ColumnType, type TableSchema } from '../../src/columns/types.ts';
import type { PlanWork, PlanWriter } from '../../src/commit/execute.ts';
import type { SealPolicy } from '../../src/commit/plan.ts';
import { offsetPlanned } from '../../src/commit/staircase.ts';
import { Shard } from '../../src/engine/shard.ts';
import { SymbolAssigner } from '../../src/engine/symbols.ts';
import { planHash } from '../../src/format/layout.ts';
import type { SegmentFile } from '../../src/format/segment.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type {
  CommitLog,
  Logger,
  OffsetStore,
  RowDecoder,
  SymbolDirectory,
  TableSource,
} from '../../src/ports.ts';
import { SlabPool } from '../../src/store/arena.ts';
import { ProcessClock } from './scheduler.ts';
import { SimulatedSource } from './source.ts';
import type { World } from './world.ts';

const HOUR_NS = 3_600_000_000_000n;

export const simulatedTable: TableSchema = {
  name: 'trades',
  columns: [
    { name: 'timestamp', type: ColumnType.TIMESTAMP_NS },
    { name: 'symbol', type: ColumnType.SYMBOL },
    { name: 'id', type: ColumnType.INT64 },
  ],
  timestampColumn: 0,
  symbolColumn: 1,
};

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
  stoppedWith: ZeptoError | null = null;
  private readonly world: World;

  constructor(name: string, world: World, policy: SealPolicy, rejoin: (member: Member) => void) {
    this.name = name;
    this.world = world;
    this.clock = new ProcessClock(world.scheduler, world.chance);
    this.source = new SimulatedSource(world, this.clock, () => rejoin(this));
    const logger = tracing(world, name);
    const pool = new SlabPool();
    const symbols = new SymbolTable();
    const assigner = new SymbolAssigner(symbols, this.directory(), this.clock, logger);
    const common = { clock: this.clock, logger, metrics: unmeasured, pool };
    const table: TableSource = {
      table: simulatedTable,
      topic: world.topic,
      format: { kind: 'json', fields: { names: {}, timeUnit: 'ns', scaledNumbers: 'value' } },
    };
    const rows = new RowBuffer(simulatedTable, 64);
    this.shard = new Shard({
      source: this.source,
      common,
      budget: { bytes: world.chance.pick([1 << 30, 3 << 20, 1 << 19]) },
      checkIntervalMs: 100,
      stopped: (error) => {
        this.stoppedWith = error;
      },
      partitionParts: () => ({
        ...common,
        group: 'g',
        source: table,
        offsets: this.offsets(),
        writer: this.writer(),
        decoder: this.decoder(symbols),
        symbols: assigner,
        rows,
        policy,
        recovery: { autoOffsetReset: 'earliest', onDataLoss: 'stop' },
        hasPlans: async (partition) =>
          [...world.manifests.keys()].some((key) => key.startsWith(`${partition.partition}/`)),
        sealed: () => {},
      }),
    });
  }

  start(): void {
    void this.shard.start();
  }

  kill(): void {
    this.world.note(this.name, 'is killed');
    this.clock.kill();
  }

  private offsets(): OffsetStore {
    const { world, clock } = this;
    return {
      open: ({ partition }) => this.commitLog(partition),
      bounds: ({ partition }) =>
        world
          .call(
            clock,
            () => {
              const { records, end } = world.partitions[partition]!;
              return { earliest: records[0]?.offset ?? end, latest: end };
            },
            () => new ZeptoError('KAFKA_UNREACHABLE', 'retry', 'lost'),
          )
          .catch(async (error) => {
            if (error.code !== 'KAFKA_UNREACHABLE') throw error;
            const { records, end } = world.partitions[partition]!;
            return { earliest: records[0]?.offset ?? end, latest: end };
          }),
      retention: async () => ({ ms: null, bytes: null, compacted: false }),
      close: async () => {},
    };
  }

  private commitLog(partition: number): CommitLog {
    const { world, clock } = this;
    let epoch = -1;
    let chain: Promise<unknown> = Promise.resolve();
    const inTurn = <T>(run: () => Promise<T>): Promise<T> => {
      const result = chain.then(run);
      chain = result.catch(() => {});
      return result;
    };
    return {
      fence: () =>
        inTurn(() =>
          world.call(
            clock,
            () => {
              const target = world.partitions[partition]!;
              target.epoch++;
              epoch = target.epoch;
              return target.committed;
            },
            () => new ZeptoError('KAFKA_UNREACHABLE', 'retry', 'lost'),
          ),
        ),
      commit: (offset, metadata, deadLetters) =>
        inTurn(() => {
          const mine = epoch;
          return world.call(
            clock,
            () => world.commit(partition, mine, { offset, metadata }, deadLetters),
            () => new ZeptoError('COMMIT_UNKNOWN', 'retry', 'lost'),
          );
        }),
      close: async () => {},
    };
  }

  private writer(): PlanWriter {
    return {
      write: async (work, signal) => {
        const files: SegmentFile[] = [];
        for (const segment of work.segments) {
          const ids = segment.chunks.flatMap((chunk) => [...(chunk.columns[1] as BigInt64Array)].map(Number));
          const key = `${segment.symbol}-${segment.hour}-${planHash(work.identity)}`;
          await this.put(() => this.world.putFile({ key, ids, content: ids.join(',') }), signal);
          files.push({
            kind: 'parquet',
            table: work.table.name,
            symbol: segment.symbol,
            hour: segment.hour,
            path: key,
            rows: segment.rows,
            bytes: 0,
            crc32c: '00000000',
            timestampMin: '0',
            timestampMax: '0',
          });
        }
        const manifest = manifestOf(work);
        const key = `${work.identity.partition}/${work.identity.offsetNext}-${planHash(work.identity)}`;
        await this.put(() => this.world.putManifest(key, manifest), signal);
        return files;
      },
    };
  }

  /** As an object store does it: until it is acknowledged. */
  private async put(effect: () => unknown, signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      try {
        await this.world.call(this.clock, effect, () => new ZeptoError('STORE_UNAVAILABLE', 'retry', 'lost'));
        return;
      } catch {
        await this.clock.sleep(20, signal);
      }
    }
  }

  private decoder(symbols: SymbolTable): RowDecoder {
    const { world } = this;
    return {
      decode: (records, from, to, rows) => {
        rows.reserve(rows.rows + to - from);
        const log = world.partitions[records.partition]!.records;
        for (let i = from; i < to; i++) {
          const record = log[records.valueStart[i]!]!;
          if (record.kind === 'tombstone') continue;
          if (record.kind === 'undecodable') {
            const { offset, timestampMs } = record;
            rows.undecodable.push({ offset, timestampMs, cause: 'made so', key: null, value: null });
            continue;
          }
          const row = rows.rows++;
          (rows.columns[0]!.values as BigInt64Array)[row] = BigInt(record.hour) * HOUR_NS + BigInt(record.id);
          (rows.columns[1]!.values as Uint32Array)[row] = symbols.codeOfName(record.symbol);
          (rows.columns[2]!.values as BigInt64Array)[row] = BigInt(record.id);
          rows.offset[row] = record.offset;
        }
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

function manifestOf(work: PlanWork): string {
  return JSON.stringify({
    hourLast: String(work.identity.hourLast),
    offsetNext: work.identity.offsetNext,
    previous: offsetPlanned(work.before.staircase, work.before.committed),
    committedBefore: work.before.committed,
    committedAfter: work.after.committed,
    rows: work.segments.reduce((sum, { rows }) => sum + rows, 0),
    counts: work.counts,
    deadLetters: work.deadLetters.map(({ offset }) => offset),
  });
}
