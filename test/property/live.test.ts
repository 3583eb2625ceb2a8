// What: a shard's feed and a reader's mirror, over random histories and over two real threads.
// Why: SQL reads memory that another thread writes and frees; a row missed, seen twice or torn shows only here.
// Invariant: a snapshot holds the rows below one position of each partition, each once, and stays as it is until it is released.

import { once } from 'node:events';
import { join } from 'node:path';
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { RowBuffer } from '../../src/columns/batch.ts';
import { ColumnType, NANOS_PER_HOUR, type TableSchema } from '../../src/columns/types.ts';
import { freshRecord } from '../../src/commit/metadata.ts';
import type { SegmentFile } from '../../src/format/segment.ts';
import type { Changes } from '../../src/live/change.ts';
import { Feed } from '../../src/live/feed.ts';
import { Mirror } from '../../src/live/mirror.ts';
import { pinWords } from '../../src/live/pins.ts';
import { partsOf, type SealedPart } from '../../src/live/sealed.ts';
import type { Snapshot } from '../../src/query/snapshot.ts';
import { partsIn } from '../../src/query/table-parts.ts';
import { SlabPool } from '../../src/store/arena.ts';
import { bytesIn, type Flushed, freeRows, HotPartition, type HourRows } from '../../src/store/hot.ts';
import { roomyMemory } from '../support/column-memory.ts';

const table: TableSchema = {
  name: 'trades',
  columns: [
    { name: 'timestamp', type: ColumnType.TIMESTAMP_NS },
    { name: 'symbol', type: ColumnType.SYMBOL },
    { name: 'id', type: ColumnType.INT64 },
  ],
  timestampColumn: 0,
  symbolColumn: 1,
};
/** Its columns of before lie in other places. */
const altered: TableSchema = {
  ...table,
  columns: [table.columns[0]!, table.columns[1]!, { name: 'x', type: ColumnType.BOOL }, table.columns[2]!],
};
const schemas = new Map([['trades', table]]);

type FcValue<A> = A extends fc.Arbitrary<infer V> ? V : never;

const BASE = '/hdb';

/** A partition's owner, without Kafka and files. `left`: takes the folders that are gone. */
function owner(feed: Feed, run: number, partition: number, left: Set<string>) {
  const memory = roomyMemory();
  const pool = new SlabPool(memory);
  const hot = new HotPartition(table, pool, (hour, part, chunk) => feed.tellChunk(run, hour, part, chunk));
  let buffer = new RowBuffer(table, undefined, undefined, memory);
  let offset = 0;
  const flushing: HourRows[][] = [];
  feed.section(() =>
    feed.tell({
      kind: 'run-begun',
      run,
      group: 'g',
      topic: 't',
      partition,
      table: table.name,
      schema: table,
      record: freshRecord(),
      sinceMs: run,
    }),
  );
  /** Of plans that are committed, oldest first. */
  const written: (readonly SegmentFile[])[] = [];
  const fileOf = (kind: SegmentFile['kind'], hour: HourRows, symbol: number, rows: number): SegmentFile => ({
    kind,
    table: 'trades',
    symbol,
    hour: hour.hour,
    path: `${kind}/${partition}/${hour.id}/${symbol}`,
    rows,
    bytes: 1,
    crc32c: '00000000',
    timestampMin: '0',
    timestampMax: '0',
  });
  return {
    pool,
    append(count: number): void {
      buffer.clear();
      buffer.reserve(count);
      for (let i = 0; i < count; i++) {
        const id = offset++;
        const hour = BigInt(100 + (id % 3));
        (buffer.columns[0]!.values as BigInt64Array)[i] = hour * NANOS_PER_HOUR + BigInt(id);
        (buffer.columns[1]!.values as Uint32Array)[i] = id % 5;
        (buffer.columns.at(-1)!.values as BigInt64Array)[i] = BigInt(id);
        buffer.offset[i] = id;
      }
      buffer.rows = count;
      feed.section(() => hot.append(buffer, null));
    },
    alter(): void {
      const next = buffer.table === table ? altered : table;
      buffer = new RowBuffer(next, undefined, undefined, memory);
      hot.takeUp(next);
      feed.section(() => feed.tell({ kind: 'schema-changed', run, schema: next }));
    },
    freeze(hourLast: number): void {
      flushing.push(hot.freeze(hourLast));
    },
    settle(): void {
      const frozen = flushing.shift();
      if (frozen === undefined) return;
      const files = frozen.flatMap((hour) =>
        hour.symbols.flatMap(({ symbol, rows }) => [
          fileOf('bin', hour, symbol, rows),
          fileOf('parquet', hour, symbol, rows),
        ]),
      );
      hot.settle(frozen, files);
      written.push(files);
    },
    evict(): void {
      const gone: Flushed | null = hot.evict(() => true);
      if (gone === null) return;
      const hours = gone.hours.map(({ id }) => id);
      feed.section(() => feed.tell({ kind: 'hours-evicted', run, hours, files: gone.files }));
      feed.retire(bytesIn(gone.hours), () => freeRows(gone.hours));
    },
    /** The folders of a plan go, whether its rows are in memory still or not. */
    leaveFolders(): void {
      const files = written.shift();
      if (files === undefined) return;
      const folders = files.filter(({ kind }) => kind === 'bin').map(({ path }) => path);
      hot.forgetFiles(new Set(folders));
      feed.section(() => feed.tell({ kind: 'folders-left', run, folders }));
      for (const folder of folders) left.add(join(BASE, folder));
    },
    end(): void {
      feed.section(() => feed.tell({ kind: 'run-ended', run }));
      const hours = hot.clear();
      feed.retire(bytesIn(hours), () => freeRows(hours));
    },
    get offset(): number {
      return offset;
    },
  };
}

function mirrorOf(
  words: SharedArrayBuffer,
  port: Parameters<typeof receiveMessageOnPort>[0],
  loadSealed: () => Promise<SealedPart[]> = async () => [],
): Mirror {
  return new Mirror({
    links: [{ pinWords: words, take: () => receiveMessageOnPort(port)?.message as Changes | undefined }],
    reader: 0,
    baseDirectory: BASE,
    loadSealed,
  });
}

/** Ids in memory by partition, ascending, and rows that stand in files. */
function read(snapshot: Snapshot): Map<number, { ids: number[]; rows: number }> {
  const found = new Map<number, { ids: number[]; rows: number }>();
  for (const part of partsIn(snapshot.tables.get('trades')!)) {
    const of = found.get(part.partition) ?? { ids: [], rows: 0 };
    found.set(part.partition, of);
    of.rows += part.rows;
    if (part.tier !== 'hot') continue;
    let rows = 0;
    for (const run of part.runs) {
      rows += run.rows;
      const values = run.columns[part.stored.findIndex(({ name }) => name === 'id')] as BigInt64Array;
      for (let row = 0; row < run.rows; row++) of.ids.push(Number(values[row]!));
    }
    expect(rows).toBe(part.rows);
  }
  for (const { ids } of found.values()) ids.sort((a, b) => a - b);
  return found;
}

/** Of each symbol, hour and partition what stands in files comes first, in the order of the plans, then what is in memory. */
function expectInOrder(snapshot: Snapshot): void {
  const last = new Map<string, number>();
  for (const part of partsIn(snapshot.tables.get('trades')!)) {
    const of = `${part.symbol} ${part.hour} ${part.partition}`;
    // Numbers of hours grow with the plans that freeze them.
    const place =
      part.tier === 'hot' ? Number.POSITIVE_INFINITY : Number(/^[a-z]+\/\d+\/(\d+)/.exec(part.id)![1]);
    expect(place).toBeGreaterThanOrEqual(last.get(of) ?? 0);
    last.set(of, place);
  }
}

it('a snapshot holds each row below the position once, whatever was frozen, settled, evicted, altered, given up or left its folder', async () => {
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ kind: fc.constant('append' as const), count: fc.integer({ min: 1, max: 300 }) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('freeze' as const), hour: fc.integer({ min: 99, max: 103 }) }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constantFrom('settle' as const, 'evict' as const, 'leave' as const) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constantFrom('end' as const, 'alter' as const, 'hold' as const, 'let-go' as const),
      }),
    },
  );
  const leftWhileInMemory: [number, FcValue<typeof step>][] = [
    [1, { kind: 'append', count: 1 }],
    [1, { kind: 'freeze', hour: 100 }],
    [1, { kind: 'settle' }],
    [1, { kind: 'leave' }],
  ];
  const lateWhileEvicted: [number, FcValue<typeof step>][] = [
    [1, { kind: 'append', count: 1 }],
    [1, { kind: 'freeze', hour: 103 }],
    [1, { kind: 'settle' }],
    [1, { kind: 'append', count: 30 }],
    [1, { kind: 'evict' }],
    [1, { kind: 'freeze', hour: 103 }],
    [1, { kind: 'settle' }],
    [1, { kind: 'evict' }],
    [1, { kind: 'leave' }],
  ];
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.nat(1), step), { maxLength: 40 }), async (steps) => {
      const { port1, port2 } = new MessageChannel();
      const words = pinWords(1);
      const feed = new Feed([port1], words);
      const mirror = mirrorOf(words, port2);
      let runs = 0;
      const left = new Set<string>();
      const owners = [owner(feed, runs++, 0, left), owner(feed, runs++, 1, left)];
      let held: { snapshot: Snapshot; seen: ReturnType<typeof read> } | null = null;
      for (const [which, action] of steps) {
        const one = owners[which]!;
        if (action.kind === 'append') one.append(action.count);
        else if (action.kind === 'freeze') one.freeze(action.hour);
        else if (action.kind === 'settle') one.settle();
        else if (action.kind === 'evict') one.evict();
        else if (action.kind === 'leave') one.leaveFolders();
        else if (action.kind === 'alter') one.alter();
        else if (action.kind === 'end') {
          one.end();
          owners[which] = owner(feed, runs++, which, left);
        } else if (action.kind === 'hold' && held === null) {
          const snapshot = await mirror.snapshot(schemas);
          held = { snapshot, seen: read(snapshot) };
        } else if (action.kind === 'let-go' && held !== null) {
          expect(read(held.snapshot)).toEqual(held.seen);
          held.snapshot.release();
          held = null;
        }
        const snapshot = await mirror.snapshot(schemas);
        const found = read(snapshot);
        expectInOrder(snapshot);
        for (const part of partsIn(snapshot.tables.get('trades')!))
          if (part.tier === 'warm') expect(left).not.toContain(part.folder);
        for (const [partition, { offset }] of owners.entries()) {
          const { ids, rows } = found.get(partition) ?? { ids: [], rows: 0 };
          expect(rows).toBe(offset);
          expect(new Set(ids).size).toBe(ids.length);
          for (const id of ids) expect(id).toBeLessThan(offset);
        }
        snapshot.release();
      }
      if (held !== null) expect(read(held.snapshot)).toEqual(held.seen);
      held?.snapshot.release();
      for (const one of owners) one.end();
      feed.reclaim();
      for (const one of owners) expect(one.pool.usedBytes).toBe(0);
      expect(feed.retiredBytes).toBe(0);
      port1.close();
    }),
    { numRuns: 150, examples: [[leftWhileInMemory], [lateWhileEvicted]] },
  );
});

/** Two symbols of one plan, each in a folder and in an object. */
const sealedFiles = ([0, 1] as const).flatMap((symbol) =>
  (['bin', 'parquet'] as const).map(
    (kind): SegmentFile => ({
      ...{ kind, table: 'trades', symbol, hour: 100, path: `${kind}/${symbol}`, rows: 7, bytes: 1 },
      ...{ crc32c: '00000000', timestampMin: '0', timestampMax: '0' },
    }),
  ),
);

/** A partition of which those files were sealed before its owner began, and a reader that looks for them with `find`. */
function recovered(find: () => Promise<readonly SegmentFile[]>) {
  const of = { topic: 't', partition: 0 };
  const { port1, port2 } = new MessageChannel();
  const words = pinWords(1);
  const feed = new Feed([port1], words);
  const mirror = mirrorOf(words, port2, async () => partsOf(await find(), of, BASE).parts);
  feed.section(() =>
    feed.tell({
      ...{ kind: 'run-begun', run: 0, group: 'g', ...of, table: table.name, schema: table, sinceMs: 0 },
      record: { ...freshRecord(), committed: 14 },
    }),
  );
  return {
    mirror,
    leaveFolder(folder: string): void {
      feed.section(() => feed.tell({ kind: 'folders-left', run: 0, folders: [folder] }));
      mirror.drain();
    },
    seal(files: readonly SegmentFile[]): void {
      feed.section(() => feed.tell({ kind: 'hours-evicted', run: 0, hours: [], files }));
      mirror.drain();
    },
    close: () => port1.close(),
  };
}

const partsSeen = (snapshot: Snapshot): unknown =>
  partsIn(snapshot.tables.get('trades')!).map(({ tier, id }) => [tier, id]);
const oneFolderLeft = [
  ['cold', 'parquet/0 00000000'],
  ['warm', 'bin/1 00000000'],
];

it.each(['folders', 'objects'])(
  'rows that were found as %s while their folders went are read once, as objects',
  async (found) => {
    let find: (files: readonly SegmentFile[]) => void = () => {};
    const { mirror, leaveFolder, close } = recovered(
      () =>
        new Promise((resolve) => {
          find = resolve;
        }),
    );
    const taken = mirror.snapshot(schemas);
    leaveFolder('bin/0');
    find(sealedFiles.filter(({ kind, symbol }) => symbol === 1 || found === 'folders' || kind === 'parquet'));
    expect(partsSeen(await taken)).toEqual(oneFolderLeft);
    close();
  },
);

it('rows of a folder that takes the name of one that went while others were looked for are read from it', async () => {
  let find: (files: readonly SegmentFile[]) => void = () => {};
  const { mirror, leaveFolder, seal, close } = recovered(
    () =>
      new Promise((resolve) => {
        find = resolve;
      }),
  );
  const taken = mirror.snapshot(schemas);
  leaveFolder('bin/0');
  seal([{ ...sealedFiles[0]!, crc32c: '00000001' }]);
  find(sealedFiles);
  expect(partsSeen(await taken)).toEqual([
    ['cold', 'parquet/0 00000000'],
    ['warm', 'bin/0 00000001'],
    ['warm', 'bin/1 00000000'],
  ]);
  close();
});

it('rows that could not be found are found by the next query, without folders that went meanwhile', async () => {
  let isStoreWell = false;
  const { mirror, leaveFolder, close } = recovered(async () => {
    if (!isStoreWell) throw new Error('the store is away');
    return sealedFiles;
  });
  await expect(mirror.snapshot(schemas)).rejects.toThrow('the store is away');
  leaveFolder('bin/0');
  isStoreWell = true;
  // This one meets what was looked for before the store was well.
  await expect(mirror.snapshot(schemas)).rejects.toThrow('the store is away');
  expect(partsSeen(await mirror.snapshot(schemas))).toEqual(oneFolderLeft);
  close();
});

it('a partition that comes back while another shard still ends with it has its rows again', async () => {
  const { port1, port2 } = new MessageChannel();
  const words = pinWords(1);
  const feed = new Feed([port1], words);
  const mirror = mirrorOf(words, port2);
  const seen = async (): Promise<unknown> => {
    const snapshot = await mirror.snapshot(schemas);
    const found = read(snapshot).get(0)?.rows ?? 0;
    snapshot.release();
    return [found, snapshot.partitions.length];
  };
  const first = owner(feed, 0, 0, new Set());
  first.append(10);
  expect(await seen()).toEqual([10, 1]);
  const between = owner(feed, 1, 0, new Set());
  between.append(3);
  first.append(5);
  expect(await seen()).toEqual([3, 1]);
  between.end();
  expect(await seen()).toEqual([15, 1]);
  first.append(1);
  expect(await seen()).toEqual([16, 1]);
  first.end();
  expect(await seen()).toEqual([0, 0]);
  port1.close();
});

it('over two threads, each look finds all ids up to some position, and none that was freed', async () => {
  const { port1, port2 } = new MessageChannel();
  const words = pinWords(1);
  const file = new URL('../support/live-writer.ts', import.meta.url).href;
  const source = `import('tsx/esm/api').then(({ register }) => { register(); return import('${file}'); })`;
  const worker = new Worker(source, {
    eval: true,
    workerData: { port: port1, words },
    transferList: [port1],
  });
  const mirror = mirrorOf(words, port2);
  const exited = once(worker, 'exit');
  let isRunning = true;
  void exited.then(() => {
    isRunning = false;
  });
  let last = 0;
  let looks = 0;
  // The writer may end between two looks: the last one begins after its end.
  for (let isLast = false; !isLast; ) {
    isLast = !isRunning;
    const snapshot = await mirror.snapshot(schemas);
    const { ids, rows } = read(snapshot).get(0) ?? { ids: [], rows: 0 };
    expect(rows).toBeGreaterThanOrEqual(last);
    // Evicted rows are the older ones of their hours; what is in memory ends at the position.
    if (ids.length > 0) expect(ids.at(-1)).toBe(rows - 1);
    expect(new Set(ids).size).toBe(ids.length);
    last = rows;
    looks++;
    snapshot.release();
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(looks).toBeGreaterThan(50);
  expect(last).toBe(400_000);
  port2.close();
});
