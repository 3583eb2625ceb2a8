// What: what a materialized view costs per tick, what reading it costs, and making one over rows that are there.
// Why: a view must cost the ticks next to nothing, and a read of it its buckets instead of the ticks.
// Invariant: each answer is compared with the same query over the rows before a figure is told.

import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import { RowBuffer } from '../../src/columns/batch.ts';
import { ColumnType, NANOS_PER_HOUR, type TableSchema } from '../../src/columns/types.ts';
import { freshRecord } from '../../src/commit/metadata.ts';
import { assert } from '../../src/kernel/assert.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { Changes } from '../../src/live/change.ts';
import { Feed } from '../../src/live/feed.ts';
import { Mirror } from '../../src/live/mirror.ts';
import { pinWords } from '../../src/live/pins.ts';
import { type ExecuteOptions, execute } from '../../src/query/execute.ts';
import { type Cell, emptyStats, rowsOf } from '../../src/query/result.ts';
import { Run } from '../../src/query/run.ts';
import type { Snapshot } from '../../src/query/snapshot.ts';
import { partsIn, tableOf } from '../../src/query/table-parts.ts';
import { openView, type View } from '../../src/query/view/view.ts';
import { parseStatement } from '../../src/sql/parser.ts';
import { SlabPool } from '../../src/store/arena.ts';
import { HotPartition } from '../../src/store/hot.ts';
import { type BenchOptions, median } from '../report.ts';

const table: TableSchema = {
  name: 'trades',
  columns: [
    { name: 'timestamp', type: ColumnType.TIMESTAMP_NS },
    { name: 'symbol', type: ColumnType.SYMBOL },
    { name: 'price', type: ColumnType.INT64, scale: 4 },
    { name: 'volume', type: ColumnType.INT64 },
  ],
  timestampColumn: 0,
  symbolColumn: 1,
};
const schemas = new Map([['trades', table]]);
const HOUR = 475_278;
const BATCH_ROWS = 5_000;
/** A member's views are brought up to the rows about as often as this many batches come at full speed. */
const BATCHES_PER_TURN = 200;

/** Of each way of asking. */
const WARM_MS = 500;
const MEASURED_MS = 1_500;
/** Reads that find 17 buckets changed or new. */
const GROWN_READS = 100;

const BARS =
  'SELECT symbol, xbar(timestamp, 300000000000) AS bar, first(price) AS open, max(price) AS high, min(price) AS low, last(price) AS close, sum(volume) AS volume FROM trades GROUP BY symbol, xbar(timestamp, 300000000000)';

/** One partition in memory, and a reader of it, in one thread. */
function world() {
  const words = pinWords(1);
  const { port1, port2 } = new MessageChannel();
  const feed = new Feed([port1], words);
  const hot = new HotPartition(table, new SlabPool(), (hour, part, chunk) =>
    feed.tellChunk(0, hour, part, chunk),
  );
  feed.section(() =>
    feed.tell({
      kind: 'run-begun',
      run: 0,
      group: 'g',
      topic: 't',
      partition: 0,
      table: table.name,
      schema: table,
      record: freshRecord(),
      sinceMs: 0,
    }),
  );
  const mirror = new Mirror({
    links: [{ pinWords: words, take: () => receiveMessageOnPort(port2)?.message as Changes | undefined }],
    reader: 0,
    baseDirectory: null,
    loadSealed: async () => [],
  });
  const buffer = new RowBuffer(table, BATCH_ROWS);
  let next = 0;
  return {
    snapshot: () => mirror.snapshot(schemas),
    drain: () => mirror.drain(),
    /** `symbols` names in turn, times rising by `stepNs`. */
    append(symbols: number, stepNs: number): void {
      buffer.clear();
      const [times, ids, prices, volumes] = buffer.columns.map(({ values }) => values);
      for (let i = 0; i < BATCH_ROWS; i++, next++) {
        (times as BigInt64Array)[i] = BigInt(HOUR) * NANOS_PER_HOUR + BigInt(next) * BigInt(stepNs);
        (ids as Uint32Array)[i] = (next * 40_503) % symbols;
        (prices as BigInt64Array)[i] = BigInt(1_500_000 + ((next * 7919) % 20_011));
        (volumes as BigInt64Array)[i] = BigInt(1 + ((next * 104_729) % 997));
        buffer.offset[i] = next;
      }
      buffer.rows = BATCH_ROWS;
      feed.section(() => hot.append(buffer, null));
    },
    close(): void {
      port1.close();
      port2.close();
    },
  };
}

const limits = { rowsMax: 1e9, bytesMax: 2 ** 32, timeoutMs: 600_000 };
const options: ExecuteOptions = { limits, nowNs: 0n, monotonicMs: systemClock.monotonicMs };
const names = { nameOf: (code: number) => `S${code}`, codeOf: () => undefined };

function barsOver(): View {
  const run = new Run({ tables: new Map(), names, release: () => {} }, options, emptyStats());
  const tables = new Map([['trades', tableOf(table, [])]]);
  return openView({ name: 'bars', source: 'trades', sql: BARS }, tables, new Map(), run, 2 ** 32);
}

async function answer(sql: string, snapshot: Snapshot, view: View, rewrite: boolean): Promise<Cell[][]> {
  const { statement } = parseStatement(sql);
  const views = new Map([['bars', view]]);
  const more = { ...options, views, isViewRewriteOn: rewrite };
  return rowsOf(await execute(statement, { ...snapshot, names, release: () => {} }, more));
}

/** Takes all rows in; returns nanoseconds. */
async function takeAll(view: View, snapshot: () => Promise<Snapshot>): Promise<number> {
  const from = process.hrtime.bigint();
  const now = await snapshot();
  const { parts } = view.kept!;
  for (const part of partsIn(now.tables.get('trades')!))
    if (parts.known(part) === null)
      for (const wait of parts.take(
        part,
        () => {},
        () => {},
      ))
        await wait;
  now.release();
  return Number(process.hrtime.bigint() - from);
}

const sorted = (rows: Cell[][]): string[] => rows.map((row) => row.map(String).join()).sort();

export async function run(bench: BenchOptions): Promise<void> {
  await costPerTick(bench);
  await readOfBuckets(bench);
  await overRowsThatAreThere(bench);
}

async function costPerTick({ print, runs = 5, records = 20_000_000 }: BenchOptions): Promise<void> {
  const viewNs: number[] = [];
  const appendNs: number[] = [];
  for (let round = 0; round < runs; round++) {
    const here = world();
    const view = barsOver();
    let appended = 0;
    let viewed = 0;
    let rows = 0;
    // 1,000 symbols, 1 M ticks a second.
    for (let batch = 0; rows < records; batch++, rows += BATCH_ROWS) {
      const from = process.hrtime.bigint();
      here.append(1_000, 1_000);
      appended += Number(process.hrtime.bigint() - from);
      if (batch % BATCHES_PER_TURN === 0) {
        here.drain();
        viewed += await takeAll(view, here.snapshot);
      }
    }
    viewed += await takeAll(view, here.snapshot);
    const snapshot = await here.snapshot();
    const [ours, theirs] = [
      await answer('SELECT * FROM bars', snapshot, view, true),
      await answer(BARS, snapshot, view, false),
    ];
    assert(sorted(ours).join('\n') === sorted(theirs).join('\n'), 'the view is what its table gives');
    snapshot.release();
    here.close();
    viewNs.push(viewed / rows);
    appendNs.push(appended / rows);
  }
  print({
    case: 'ohlcv-5m-1000-symbols',
    nsPerTick: Math.round(median(viewNs) * 10) / 10,
    appendNsPerTick: Math.round(median(appendNs) * 10) / 10,
    records,
    runs,
  });
}

async function readOfBuckets({ print, runs = 5 }: BenchOptions): Promise<void> {
  const here = world();
  const view = barsOver();
  // One symbol, 300 ticks in each five minutes: 3,334 buckets.
  for (let rows = 0; rows < 1_000_000; rows += BATCH_ROWS) {
    here.append(1, 1_000_000_000);
    here.drain();
  }
  const snapshot = await here.snapshot();
  const timed = async (sql: string, rewrite: boolean): Promise<{ us: number; rows: Cell[][] }> => {
    const rows = await answer(sql, snapshot, view, rewrite);
    const times: number[] = [];
    const startMs = systemClock.monotonicMs();
    const elapsedMs = (): number => systemClock.monotonicMs() - startMs;
    // All for the same time: what takes less is asked more often, and is compiled no less for it.
    while (elapsedMs() < WARM_MS + MEASURED_MS || times.length < runs) {
      const isWarm = elapsedMs() > WARM_MS;
      const from = process.hrtime.bigint();
      const { statement } = parseStatement(sql);
      const views = new Map([['bars', view]]);
      const result = await execute(
        statement,
        { ...snapshot, names, release: () => {} },
        { ...options, views, isViewRewriteOn: rewrite },
      );
      const blocks = [];
      for await (const block of result) blocks.push(block);
      if (isWarm) times.push(Number(process.hrtime.bigint() - from) / 1000);
    }
    return { us: median(times), rows };
  };
  const scan = await timed(BARS, false);
  const read = await timed('SELECT * FROM bars', true);
  const rewritten = await timed(BARS, true);
  assert(sorted(read.rows).join('\n') === sorted(scan.rows).join('\n'), 'the view is what its table gives');
  assert(
    sorted(rewritten.rows).join('\n') === sorted(scan.rows).join('\n'),
    'so is the query that it answers',
  );
  snapshot.release();
  const grown: number[] = [];
  for (let round = 0; round < GROWN_READS; round++) {
    here.append(1, 1_000_000_000);
    here.drain();
    await takeAll(view, here.snapshot);
    const later = await here.snapshot();
    const from = process.hrtime.bigint();
    await answer('SELECT count(*) FROM bars', later, view, true);
    grown.push(Number(process.hrtime.bigint() - from) / 1000);
    later.release();
  }
  print({
    case: 'read-3334-buckets',
    buckets: read.rows.length,
    viewUs: Math.round(read.us),
    rewrittenUs: Math.round(rewritten.us),
    afterTicksUs: Math.round(median(grown)),
    scanUs: Math.round(scan.us),
    timesFaster: Math.round(scan.us / read.us),
  });
  here.close();
}

async function overRowsThatAreThere({ print, records = 5_000_000 }: BenchOptions): Promise<void> {
  const here = world();
  for (let rows = 0; rows < records; rows += BATCH_ROWS) {
    here.append(1_000, 1_000);
    here.drain();
  }
  const view = barsOver();
  const ns = await takeAll(view, here.snapshot);
  print({
    case: 'backfill-in-memory',
    records,
    seconds: Math.round(ns / 1e7) / 100,
    rowsPerSecond: Math.round((records / ns) * 1e9),
  });
  here.close();
}
