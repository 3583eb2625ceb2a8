// What: a busy hour of one symbol as sealed columns, written as plain files and as `.bin`, and read back.
// Why: benchmarks of the formats seal the same rows, so that their figures can be laid side by side.
// Invariant: the same number of rows gives the same values in every run.

import { closeSync, fdatasyncSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { blockingDisk, localDisk } from '../../connectors/fs/disk.ts';
import { ColumnMemory } from '../../src/columns/column-memory.ts';
import {
  bytesOf,
  type ColumnArray,
  ColumnType,
  columnView,
  storedColumns,
  type TableSchema,
} from '../../src/columns/types.ts';
import { crc32cOf } from '../../src/format/crc32c.ts';
import { nsOfHour } from '../../src/format/layout.ts';
import { openSegment } from '../../src/format/read-segment.ts';
import type {
  EncodeJob,
  PlanIdentity,
  SegmentChunk,
  SegmentFile,
  SegmentSource,
} from '../../src/format/segment.ts';
import { writeSegments } from '../../src/format/write-segments.ts';
import { assert } from '../../src/kernel/assert.ts';
import { Arena, SlabPool } from '../../src/store/arena.ts';
import { allocateChunk, findFacts, sealedChunk } from '../../src/store/chunk.ts';

export const HOUR = 475_278;
const SYMBOL = 42;
const signal = new AbortController().signal;

export const planOfHour: PlanIdentity = {
  group: 'bench',
  topic: 'ticks',
  partition: 0,
  incarnation: 0,
  hourLast: HOUR,
  offsetNext: 1,
};

export const tradesTable: TableSchema = {
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

/** One file per column, as `.bin` has it. */
export function writePlain(folder: string, columns: readonly Uint8Array[], sync: boolean): string {
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
export async function writeBin(
  folder: string,
  segment: SegmentSource,
  compression: 'none' | 'lz4',
  sync = false,
): Promise<SegmentFile> {
  const job: EncodeJob = {
    plan: planOfHour,
    table: tradesTable,
    segments: [segment],
    outputs: { bin: { baseDirectory: folder, compression, sync }, parquet: null },
    strings: new Map(),
  };
  return (await writeSegments(job, blockingDisk, null, 1, signal))[0]!;
}

const MEMORY_BYTES = 2 ** 28;

/** The same rows in the chunks that the store would have them in: slabs of shared memory, and what it knows of full ones. */
export function inChunks(segment: SegmentSource): SegmentSource {
  const arena = new Arena(new SlabPool(ColumnMemory.reserve(MEMORY_BYTES)));
  const stored = storedColumns(tradesTable);
  const whole = segment.chunks[0]!.columns;
  const chunks: SegmentChunk[] = [];
  for (let from = 0; from < segment.rows; from += chunks.at(-1)!.rows) {
    const chunk = allocateChunk(arena, stored, from);
    chunk.rows = Math.min(chunk.capacity, segment.rows - from);
    for (const [i, { values }] of chunk.columns.entries())
      bytesOf(values).set(bytesOf(whole[i]!.subarray(from, from + chunk.rows) as ColumnArray));
    if (chunk.rows === chunk.capacity) findFacts(chunk, 0);
    chunks.push(sealedChunk(chunk));
  }
  return { ...segment, chunks };
}

export async function readBin(folder: string): Promise<ColumnArray[]> {
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
export function ticksOfHour(rows: number, clock: 'ms' | 'ns'): SegmentSource {
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

export const crcOf = (bytes: Uint8Array): number => crc32cOf([bytes]);

/** Uniform in [0, 1), the same for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
