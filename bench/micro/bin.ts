// What: `.bin` segments of 1 M ticks written and read, beside plain files and LZ4 of the same bytes in the same run.
// Why: the format should cost little more than the disk and the compressor under it.
// Invariant: every measured answer is checked; figures are medians; data ends in the page cache, or on the disk where a case says so.

import {
  closeSync,
  fdatasyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { compressSync, uncompressSync } from 'lz4-napi';
import { localDisk } from '../../connectors/fs/disk.ts';
import { type ColumnArray, ColumnType, columnView, type TableSchema } from '../../src/columns/types.ts';
import { crc32cOf } from '../../src/format/crc32c.ts';
import { nsOfHour } from '../../src/format/layout.ts';
import { openSegment } from '../../src/format/read-segment.ts';
import type { EncodeJob, SegmentFile, SegmentSource } from '../../src/format/segment.ts';
import { writeSegments } from '../../src/format/write-segments.ts';
import { assert } from '../../src/kernel/assert.ts';
import { systemClock } from '../../src/kernel/clock.ts';

export interface BinBenchOptions {
  readonly rows?: number;
  readonly rounds?: number;
  /** Files are written below it and removed again. */
  readonly directory?: string;
}

const HOUR = 475_278;
const SYMBOL = 42;
const signal = new AbortController().signal;

const table: TableSchema = {
  name: 'trades',
  columns: [
    { name: 'symbol', type: ColumnType.SYMBOL },
    { name: 'timestamp', type: ColumnType.TIMESTAMP_NS },
    { name: 'price', type: ColumnType.INT64, scale: 4 },
    { name: 'volume', type: ColumnType.INT64 },
    { name: 'msg_type', type: ColumnType.INT32 },
  ],
  symbolColumn: 0,
  timestampColumn: 1,
};

/** Prints one JSON line for the machine, then one for each case. */
export async function run(options: BinBenchOptions = {}): Promise<void> {
  const { rows = 1_000_000, rounds = 11 } = options;
  const folder = mkdtempSync(join(options.directory ?? tmpdir(), 'bench-bin-'));
  try {
    print({ bench: 'bin', rows, rounds, node: process.version, cpu: cpus()[0]!.model, cores: cpus().length });
    for (const clock of ['ms', 'ns'] as const) await runOn(ticks(rows, clock), clock, rounds, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function runOn(segment: SegmentSource, clock: string, rounds: number, folder: string): Promise<void> {
  const columns = segment.chunks[0]!.columns.map(bytesOf);
  const bytes = columns.reduce((sum, column) => sum + column.length, 0);
  const report = (name: string, ms: number, baseline: { ms: number; of: string } | null, more = {}): void =>
    print({
      case: name,
      timestamps: clock,
      medianMs: rounded(ms),
      mbPerSecond: Math.round(bytes / 1e3 / ms),
      ...(baseline === null ? {} : { of: baseline.of, share: rounded(baseline.ms / ms) }),
      ...more,
    });

  const plain: Measured<string> = { ms: [] };
  const raw: Measured<SegmentFile> = { ms: [] };
  const plainSynced: Measured<string> = { ms: [] };
  const rawSynced: Measured<SegmentFile> = { ms: [] };
  const lz4: Measured<SegmentFile> = { ms: [] };
  const block: Measured<Buffer[]> = { ms: [] };
  const plainRead: Measured<Buffer[]> = { ms: [] };
  const rawRead: Measured<ColumnArray[]> = { ms: [] };
  const unblock: Measured<Buffer[]> = { ms: [] };
  const lz4Read: Measured<ColumnArray[]> = { ms: [] };
  const keep = join(folder, `keep-${clock}`);
  writePlain(keep, columns, false);
  const rawKept = await writeBin(join(keep, 'raw'), segment, 'none');
  const lz4Kept = await writeBin(join(keep, 'lz4'), segment, 'lz4');
  const away = (): void => rmSync(join(folder, 'new'), { recursive: true, force: true });
  // Interleaved, so that what else the machine does meets all of them alike; and each writer finds the same free memory.
  for (let round = 0; round < rounds; round++) {
    await measure(plain, () => writePlain(join(folder, 'new'), columns, false), away);
    await measure(raw, () => writeBin(join(folder, 'new'), segment, 'none'), away);
    await measure(plainSynced, () => writePlain(join(folder, 'new'), columns, true), away);
    await measure(rawSynced, () => writeBin(join(folder, 'new'), segment, 'none', true), away);
    await measure(block, () => columns.map((column) => compressSync(Buffer.from(column.buffer))));
    await measure(lz4, () => writeBin(join(folder, 'new'), segment, 'lz4'), away);
    await measure(plainRead, () => columns.map((_, i) => readFileSync(join(keep, String(i)))));
    await measure(rawRead, () => readBin(join(keep, 'raw', rawKept.path)));
    await measure(unblock, () => block.last!.map((compressed) => uncompressSync(compressed)));
    await measure(lz4Read, () => readBin(join(keep, 'lz4', lz4Kept.path)));
    for (const read of [rawRead, lz4Read])
      for (const [i, column] of read.last!.entries())
        assert(crc32cOf([bytesOf(column)]) === crc32cOf([columns[i]!]), 'what is read is what was written');
  }
  const wrote = { ms: median(plain.ms), of: 'fs.writeSync' };
  const read = { ms: median(plainRead.ms), of: 'fs.readFileSync' };
  const squeezed = { ms: median(block.ms), of: 'lz4-napi compress' };
  const expanded = { ms: median(unblock.ms), of: 'lz4-napi uncompress' };
  report('plain-write', wrote.ms, null);
  report('bin-write-raw', median(raw.ms), wrote, { bytes: raw.last!.bytes });
  const wroteSynced = { ms: median(plainSynced.ms), of: 'fs.writeSync, fs.fdatasyncSync' };
  report('plain-write-synced', wroteSynced.ms, null);
  report('bin-write-raw-synced', median(rawSynced.ms), wroteSynced);
  report('lz4-compress', squeezed.ms, null);
  report('bin-write-lz4', median(lz4.ms), squeezed, {
    bytes: lz4.last!.bytes,
    ratio: rounded(lz4.last!.bytes / bytes),
  });
  report('plain-read', read.ms, null);
  report('bin-read-raw', median(rawRead.ms), read);
  report('lz4-uncompress', expanded.ms, null);
  report('bin-read-lz4', median(lz4Read.ms), expanded);
}

interface Measured<Answer> {
  readonly ms: number[];
  last?: Answer;
}

async function measure<Answer>(
  measured: Measured<Answer>,
  work: () => Answer | Promise<Answer>,
  after?: () => void,
): Promise<void> {
  const start = systemClock.monotonicMs();
  measured.last = await work();
  measured.ms.push(systemClock.monotonicMs() - start);
  after?.();
}

/** One file per column, as `.bin` has it. */
function writePlain(folder: string, columns: readonly Uint8Array[], sync: boolean): string {
  mkdirSync(folder, { recursive: true });
  for (const [i, column] of columns.entries()) {
    const file = openSync(join(folder, String(i)), 'w');
    assert(writeSync(file, column) === column.length, 'a plain write takes all bytes');
    if (sync) fdatasyncSync(file);
    closeSync(file);
  }
  return folder;
}

/** The whole way of a sealed segment: order check, header, checksum, compression, temporary folder, record, rename. */
async function writeBin(
  folder: string,
  segment: SegmentSource,
  compression: 'none' | 'lz4',
  sync = false,
): Promise<SegmentFile> {
  const job: EncodeJob = {
    plan: { group: 'bench', topic: 'ticks', partition: 0, incarnation: 0, hourLast: HOUR, offsetNext: 1 },
    table,
    segments: [segment],
    outputs: { bin: { baseDirectory: folder, compression, sync }, parquet: null },
    strings: new Map(),
  };
  return (await writeSegments(job, localDisk, null, 1, signal))[0]!;
}

async function readBin(folder: string): Promise<ColumnArray[]> {
  const segment = (await openSegment(folder, localDisk))!;
  const columns = await Promise.all(segment.columnNames.map((name) => segment.column(name)));
  return columns.map(({ values }) => values);
}

/**
 * One symbol's trades and quotes of one busy hour, in order. Arrivals cluster: a third of them open a burst of a few
 * within microseconds. `clock` is the resolution of the feed's timestamps: JSON feeds mostly send milliseconds,
 * exchanges' own feeds nanoseconds. Prices have 4 decimals and move by whole cents or, two times in three, not at all;
 * quotes straddle them. Half of the sizes are a round lot, most of the rest are few lots or an odd lot.
 */
function ticks(rows: number, clock: 'ms' | 'ns'): SegmentSource {
  const random = randomOf(7);
  const timestamps = int64Column(ColumnType.TIMESTAMP_NS, rows);
  const prices = int64Column(ColumnType.INT64, rows);
  const volumes = int64Column(ColumnType.INT64, rows);
  const kinds = new Int32Array(new SharedArrayBuffer(4 * rows));
  const hourNs = nsOfHour(HOUR);
  const resolution = clock === 'ms' ? 1_000_000 : 1;
  const gapNs = 3.4e12 / rows;
  let time = 0;
  let burst = 0;
  let price = 1_895_000;
  for (let i = 0; i < rows; i++) {
    if (burst > 0) {
      burst--;
      time += Math.floor(random() * 20_000);
    } else {
      time += Math.floor(-Math.log(1 - random()) * gapNs * 1.6);
      burst = random() < 0.3 ? Math.floor(random() * 5) : 0;
    }
    const move = random();
    if (move < 0.3) price += move < 0.15 ? 100 : -100;
    const kind = random() < 0.2 ? 0 : random() < 0.5 ? 1 : 2;
    const within = Math.min(time, 3_599_999_999_999);
    timestamps[i] = hourNs + BigInt(within - (within % resolution));
    prices[i] = BigInt(kind === 2 ? price + 100 : price);
    volumes[i] = BigInt(size(random));
    kinds[i] = kind;
  }
  return {
    symbol: SYMBOL,
    hour: HOUR,
    rows,
    chunks: [{ rows, columns: [timestamps, prices, volumes, kinds] }],
  };
}

function size(random: () => number): number {
  const draw = random();
  if (draw < 0.45) return 100;
  if (draw < 0.75) return 100 * (1 + Math.floor(random() * 9));
  if (draw < 0.9) return 1 + Math.floor(random() * 99);
  return 100 * (10 + Math.floor(random() ** 4 * 400));
}

function int64Column(type: ColumnType, rows: number): BigInt64Array {
  return columnView(type, new SharedArrayBuffer(8 * rows), 0, rows) as BigInt64Array;
}

const bytesOf = (column: ColumnArray): Uint8Array =>
  new Uint8Array(column.buffer, column.byteOffset, column.byteLength);

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

const rounded = (value: number): number => Math.round(value * 1000) / 1000;

const print = (line: object): void => console.log(JSON.stringify(line));

/** Uniform in [0, 1), the same for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
