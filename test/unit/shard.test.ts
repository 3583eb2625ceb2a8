// What: one shard over ports of the test: what it does when something is away, memory runs short, or partitions are given up.
// Why: these moments last for milliseconds, or come once a year; services can hardly be made to have them.
// Invariant: a passing failure stops nothing, and rows keep their memory while anything reads them.

import { expect, test, vi } from 'vitest';
import type { RecordBatch } from '../../src/columns/batch.ts';
import { SymbolTable } from '../../src/columns/symbols.ts';
import { encodeMetadata, freshRecord } from '../../src/commit/metadata.ts';
import { createPlanWriter } from '../../src/engine/plan-writer.ts';
import { Shard } from '../../src/engine/shard.ts';
import { SymbolAssigner } from '../../src/engine/symbols.ts';
import { TopicTable } from '../../src/engine/topic-table.ts';
import type { EncodeJob, SegmentFile } from '../../src/format/segment.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import { Feed } from '../../src/live/feed.ts';
import { pinWords } from '../../src/live/pins.ts';
import type {
  CommittedOffset,
  Disk,
  PartitionBounds,
  RowDecoder,
  SourceListener,
  TickSource,
  TopicPartition,
} from '../../src/ports.ts';
import { SlabPool } from '../../src/store/arena.ts';
import { recordBatch, trades } from '../support/decode-records.ts';

const logger = { debug() {}, info() {}, warn() {}, error() {} };
const metrics = { count() {}, gauge() {}, observe() {} };
const clock = systemClock;
const pass = (ms: number): Promise<void> => clock.sleep(ms);

/** Values are `{symbol} {price}`; what begins with an x cannot be decoded. */
const decoder: RowDecoder = {
  decode(records, from, to, rows) {
    rows.reserve(rows.rows + to - from);
    const [symbols, prices, volumes, times] = rows.columns.map(({ values }) => values) as [
      Uint32Array,
      BigInt64Array,
      BigInt64Array,
      BigInt64Array,
    ];
    for (let i = from; i < to; i++) {
      const start = records.valueStart[i]!;
      const value = new Uint8Array(records.buffer.subarray(start, start + records.valueLength[i]!));
      const text = Buffer.from(value).toString();
      const offset = records.offset[i]!;
      if (text.startsWith('x')) {
        rows.undecodable.push({ offset, timestampMs: 0, cause: 'an x', key: null, value });
        continue;
      }
      const [symbol, price] = text.split(' ');
      const row = rows.rows++;
      symbols[row] = Number(symbol);
      prices[row] = BigInt(price!);
      volumes[row] = 1n;
      times[row] = BigInt(clock.nowMs()) * 1_000_000n;
      rows.offset[row] = offset;
    }
  },
};

class TestSource implements TickSource {
  listener!: SourceListener;
  rejoins = 0;
  /** What `rejoin` waits for. */
  private leaving: Promise<void> = Promise.resolve();
  async start(listener: SourceListener): Promise<void> {
    this.listener = listener;
  }
  assign(...partitions: number[]): Promise<unknown> {
    return this.listener.assigned(partitions.map((partition) => ({ topic: 't', partition })));
  }
  /** Until what is returned is called, no `rejoin` ends. */
  holdLeaving(): () => void {
    let left = (): void => {};
    this.leaving = new Promise((resolve) => {
      left = resolve;
    });
    return left;
  }
  rejoin(): Promise<void> {
    this.rejoins++;
    this.listener.lost();
    return this.leaving;
  }
  pause(): void {}
  resume(): void {}
  subscribe(): void {}
  seek(): void {}
  async stop(): Promise<void> {}
}

async function startShard(
  given: {
    readonly bounds?: (partition: number) => Promise<PartitionBounds>;
    readonly fence?: (partition: number) => Promise<void>;
    /** Of a commit, before it is kept. */
    readonly commit?: () => Promise<void>;
    readonly encode?: (job: EncodeJob) => Promise<SegmentFile[]>;
    readonly budgetBytes?: number;
  } = {},
) {
  const source = new TestSource();
  const stopped: ZeptoError[] = [];
  const committed = new Map<number, CommittedOffset>();
  const letters: number[] = [];
  const fences: number[] = [];
  const common = { clock, logger, metrics, pool: new SlabPool(), feed: new Feed([], pinWords(0)) };
  const symbolTopic = { assign: async () => [], subscribe: () => {}, close: async () => {} };
  const symbols = new SymbolAssigner(new SymbolTable(), symbolTopic, clock, logger);
  const table = new TopicTable([{ table: trades, topic: 't', format: { kind: 'binary' } }], () => decoder);
  const writer = createPlanWriter({
    ...{ outputs: { bin: null, parquet: null }, prefix: '', store: null, disk: {} as Disk, partials: null },
    ...{ names: [], clock, logger, metrics, run: given.encode ?? (async () => []) },
  });
  const shard = new Shard({
    source,
    common,
    budget: { bytes: given.budgetBytes ?? 2 ** 28 },
    hotMs: 0,
    policyOf: () => null,
    checkIntervalMs: 10,
    stopped: (error) => stopped.push(error),
    partitionParts: () => ({
      ...common,
      ...{ group: 'g', table, symbols, sealsRaw: false, writer },
      policy: {
        ...{ isWindow: false, intervalMs: 0, idleMs: 0, rowsMax: 0, bytesMax: 0, allowedLatenessMs: 60_000 },
        ...{ holdBackRecords: 0, holdBackBytes: 0, holdBackMs: 0 },
      },
      recovery: { autoOffsetReset: 'earliest', onDataLoss: 'stop' },
      publishing: { views: () => [], bucketsOf: async () => [] },
      hasPlans: async () => false,
      sealed: () => {},
      offsets: {
        open: ({ partition }: TopicPartition) => ({
          fence: async () => {
            fences.push(partition);
            await given.fence?.(partition);
            return committed.get(partition) ?? null;
          },
          commit: async (offset, metadata, deadLetters) => {
            if (committed.has(partition)) await given.commit?.();
            committed.set(partition, { offset, metadata });
            for (const letter of deadLetters) letters.push(letter.offset);
          },
          close: async () => {},
        }),
        bounds: ({ partition }) =>
          given.bounds?.(partition) ?? Promise.resolve({ earliest: 0, latest: 1_000_000 }),
        retention: async () => ({ ms: null, bytes: null, compacted: false }),
        close: async () => {},
      },
    }),
  });
  await shard.start();
  /** The next records of a partition. */
  const ends = new Map<number, number>();
  const take = async (partition: number, count: number, textOf: (i: number) => string): Promise<void> => {
    const from = ends.get(partition) ?? 0;
    ends.set(partition, from + count);
    const batch: RecordBatch = {
      ...recordBatch(Array.from({ length: count }, (_, i) => ({ value: textOf(i) }))),
      ...{ topic: 't', partition, offsetNext: from + count },
      offset: Float64Array.from({ length: count }, (_, i) => from + i),
    };
    await source.listener.records(batch);
  };
  return { shard, source, stopped, committed, letters, take, fences };
}

const away = new ZeptoError('KAFKA_UNREACHABLE', 'retry', 'no leader');
const fenced = new ZeptoError('FENCED', 'rejoin', 'another owner');

test('rows that an encode job still reads keep their memory when their partition is given up', async () => {
  let encode = (): void => {};
  const encoding = new Promise<void>((resolve) => {
    encode = resolve;
  });
  const written = new Set<bigint>();
  let jobs = 0;
  const { shard, source, take } = await startShard({
    // The store refuses the first job, which waits to be tried again; an encoder is at work on the second.
    encode: async ({ segments }) => {
      if (jobs++ === 0) throw new ZeptoError('STORE_UNAVAILABLE', 'retry', 'not now');
      await encoding;
      for (const { chunks } of segments)
        for (const { columns } of chunks) for (const price of columns[0] as BigInt64Array) written.add(price);
      return [];
    },
  });
  await source.assign(0, 1);
  // More symbols than one job takes.
  await take(0, 300, (i) => `${i} 1`);
  void shard.flush();
  await vi.waitFor(() => expect(jobs).toBe(2));
  // Another member gets partition 0, and rows of partition 1 need memory.
  await source.assign(1);
  await pass(20);
  await take(1, 300, (i) => `${i} 2`);
  encode();
  await vi.waitFor(() => expect(written.size).toBeGreaterThan(0));
  expect([...written]).toEqual([1n]);
  await shard.stop({ drain: false });
});

test('a partition whose leader is away while it is recovered is waited for', async () => {
  let asked = 0;
  const { shard, source, stopped } = await startShard({
    bounds: async () => {
      if (asked++ === 0) throw away;
      return { earliest: 0, latest: 10 };
    },
  });
  await source.assign(0);
  expect(asked).toBe(2);
  expect(stopped).toEqual([]);
  expect(shard.stats().state).toBe('running');
  await shard.stop({ drain: false });
});

test.each(['fence', 'bounds'] as const)(
  'an assignment that is lost meanwhile does not wait for what is away: its %s',
  async (what) => {
    const { shard, source, stopped, fences } = await startShard({
      [what]: async () => {
        throw away;
      },
    });
    const assigned = source.assign(0);
    await vi.waitFor(() => expect(fences.length).toBeGreaterThan(0));
    source.listener.lost();
    await expect(assigned).rejects.toThrow();
    expect(stopped).toEqual([]);
    expect(shard.stats()).toMatchObject({ state: 'joining', partitions: [] });
    await shard.stop({ drain: false });
  },
);

test('a partition of an assignment that is void is not fenced away from its next owner', async () => {
  let isAway = false;
  const { shard, source, fences } = await startShard({
    fence: async () => {
      if (isAway) throw away;
    },
  });
  await source.assign(0);
  isAway = true;
  const assigned = source.assign(0, 1);
  await vi.waitFor(() => expect(fences).toContain(1));
  source.listener.lost();
  await expect(assigned).rejects.toThrow();
  isAway = false;
  await source.assign(2);
  await pass(300);
  expect(shard.stats().partitions.map(({ partition }) => partition)).toEqual([2]);
  expect(fences.at(-1)).toBe(2);
  await shard.stop({ drain: false });
});

test('nothing is fenced any more once the shard has stopped', async () => {
  const { shard, source, stopped, fences } = await startShard({
    bounds: async () => {
      await pass(50);
      return { earliest: 0, latest: 10 };
    },
  });
  const assigned = source.assign(0);
  await vi.waitFor(() => expect(fences).toEqual([0]));
  await shard.stop({ drain: false });
  await Promise.allSettled([assigned]);
  expect(fences).toEqual([0]);
  expect(stopped).toEqual([]);
  expect(shard.stats().partitions).toEqual([]);
});

test('under memory pressure dead letters are sealed, whichever partition has them', async () => {
  const { shard, source, letters, take } = await startShard({ budgetBytes: 2 ** 22 });
  await source.assign(0, 1);
  await take(1, 3_000, () => `x${'-'.repeat(1_000)}`);
  expect(shard.stats().isPaused).toBe(true);
  await vi.waitFor(() => expect(letters).toHaveLength(3_000));
  await vi.waitFor(() => expect(shard.stats().isPaused).toBe(false));
  await shard.stop({ drain: false });
});

test('under memory pressure a partition that replays does not keep the others from sealing', async () => {
  const { shard, source, committed, take } = await startShard({ budgetBytes: 2 ** 19 });
  const pending = { hourLast: Number.POSITIVE_INFINITY, offsetNext: 1_000_000 };
  committed.set(1, { offset: 0, metadata: encodeMetadata({ ...freshRecord(), pending }) });
  await source.assign(0, 1);
  await take(1, 5_000, () => '1 1');
  await take(0, 3_000, () => '1 1');
  await vi.waitFor(() => expect(committed.get(0)!.offset).toBe(3_000));
  expect(committed.get(1)!.offset).toBe(0);
  await shard.stop({ drain: false });
});

test('a partition given up while the last rejoining is not yet answered is taken up again', async () => {
  const { shard, source, take } = await startShard({
    commit: async () => {
      throw fenced;
    },
  });
  await source.assign(0);
  const left = source.holdLeaving();
  await take(0, 1, () => '1 1');
  await shard.flush();
  await vi.waitFor(() => expect(source.rejoins).toBe(1));
  // The join was answered before the leave.
  await source.assign(0);
  await take(0, 1, () => '1 1');
  await shard.flush();
  await vi.waitFor(() => expect(shard.stats().partitions).toEqual([]));
  left();
  await vi.waitFor(() => expect(source.rejoins).toBe(2));
  await shard.stop({ drain: false });
});

test('a partition given up while another of its assignment recovers is taken up again', async () => {
  let recover = (): void => {};
  const recovering = new Promise<void>((resolve) => {
    recover = resolve;
  });
  const { shard, source, committed, take } = await startShard({
    bounds: async (partition) => {
      if (partition === 1) await recovering;
      return { earliest: 0, latest: 10 };
    },
    commit: async () => {
      throw fenced;
    },
  });
  await source.assign(0);
  const left = source.holdLeaving();
  await take(0, 1, () => '1 1');
  await shard.flush();
  await vi.waitFor(() => expect(source.rejoins).toBe(1));
  // It has to write what another owner announced, and fails at it before 1 is there.
  const pending = { hourLast: Number.POSITIVE_INFINITY, offsetNext: 0 };
  committed.set(0, { offset: 0, metadata: encodeMetadata({ ...freshRecord(), pending }) });
  const assigned = source.assign(0, 1);
  await vi.waitFor(() => expect(shard.stats().partitions.map(({ partition }) => partition)).toEqual([1]));
  recover();
  await assigned;
  left();
  await vi.waitFor(() => expect(source.rejoins).toBe(2));
  await shard.stop({ drain: false });
});
