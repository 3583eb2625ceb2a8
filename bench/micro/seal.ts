// What: a busy hour of 1 M rows sealed: to `.bin` raw and LZ4, and to Parquet in memory; beside plain writes and codecs.
// Why: a seal should cost what its bytes cost, in the file system and in the compressor.
// Invariant: each output is read back, Parquet by DuckDB, and its values compared; cases take turns, medians are told.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { compressSync } from 'lz4-napi';
import { Compression } from 'parquet-wasm';
import { bytesOf } from '../../src/columns/types.ts';
import { nsOfHour } from '../../src/format/layout.ts';
import { parquetEncoder } from '../../src/format/parquet.ts';
import type { SegmentFile, SegmentSource } from '../../src/format/segment.ts';
import { sortedColumns } from '../../src/format/segment-columns.ts';
import { assert } from '../../src/kernel/assert.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { type BenchOptions, median } from '../report.ts';
import { throughArrowTables } from './parquet.ts';
import {
  crcOf,
  HOUR,
  inChunks,
  planOfHour,
  readBin,
  ticksOfHour,
  tradesTable,
  writeBin,
  writePlain,
} from './sealed-hour.ts';

const ROWS = 1_000_000;

interface Case {
  readonly name: string;
  /** The case whose time is its measure; null for a baseline. */
  readonly of: string | null;
  /** Makes the output; how many bytes it has. */
  readonly work: () => number | Promise<number>;
  /** Of the output that `work` has made last. @throws when it is wrong. */
  readonly check?: () => void | Promise<void>;
}

export async function run(options: BenchOptions): Promise<void> {
  const { print, runs = 11 } = options;
  const folder = mkdtempSync(join(tmpdir(), 'zepto-bench-'));
  try {
    for (const clock of ['ms', 'ns'] as const) {
      const hour = ticksOfHour(ROWS, clock);
      const bytes = columnsOf(hour).reduce((sum, column) => sum + column.length, 0);
      print({ bench: 'seal', rows: ROWS, bytes, timestamps: clock, runs });
      const all = casesOf(hour, folder);
      const isWanted = ({ name }: Case): boolean => options.only?.includes(name) ?? true;
      const baselines = new Set(all.filter(isWanted).map(({ of }) => of));
      const cases = all.filter((one) => isWanted(one) || baselines.has(one.name));
      const took = await inTurns(cases, runs, folder);
      for (const { name, of } of cases) {
        const { ms, bytesOut } = took.get(name)!;
        print({
          case: name,
          timestamps: clock,
          medianMs: rounded(ms),
          gbPerSecond: rounded(bytes / 1e6 / ms),
          rowsPerSecond: Math.round((ROWS / ms) * 1e3),
          bytes: bytesOut,
          bytesRatio: rounded(bytesOut / bytes),
          ...(of !== null && { of, speedRatio: rounded(took.get(of)!.ms / ms) }),
        });
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Turns that are not counted: code is compiled, and the system settles threads and memory. */
const TURNS_BEFORE = 8;

/** Medians. Each writer finds its folder empty. */
async function inTurns(
  cases: readonly Case[],
  runs: number,
  folder: string,
): Promise<Map<string, { ms: number; bytesOut: number }>> {
  const tookMs = cases.map(() => [] as number[]);
  const bytesOut: number[] = [];
  for (let round = -TURNS_BEFORE; round < runs; round++) {
    for (const [index, { work, check }] of cases.entries()) {
      // What a case left is not the next one's to clear away, other threads of the collector included.
      globalThis.gc!();
      await systemClock.sleep(10);
      const startMs = systemClock.monotonicMs();
      bytesOut[index] = await work();
      if (round >= 0) tookMs[index]!.push(systemClock.monotonicMs() - startMs);
      await check?.();
      rmSync(join(folder, 'new'), { recursive: true, force: true });
    }
  }
  return new Map(
    cases.map(({ name }, index) => [name, { ms: median(tookMs[index]!), bytesOut: bytesOut[index]! }]),
  );
}

function casesOf(hour: SegmentSource, folder: string): Case[] {
  const columns = columnsOf(hour);
  const stored = inChunks(hour);
  const bytes = columns.reduce((sum, column) => sum + column.length, 0);
  const crcs = columns.map(crcOf);
  const target = join(folder, 'new');
  const plain = (name: string, sync: boolean): Case => ({
    name,
    of: null,
    work: () => {
      writePlain(target, columns, sync);
      return bytes;
    },
  });
  const bin = (name: string, of: string, compression: 'none' | 'lz4', sync: boolean): Case => {
    let file: SegmentFile | null = null;
    return {
      name,
      of,
      work: async () => {
        file = await writeBin(target, stored, compression, sync);
        return file.bytes;
      },
      check: async () => {
        const read = await readBin(join(target, file!.path));
        assert(read.length === crcs.length, `${name} holds ${read.length} columns`);
        for (const [i, column] of read.entries())
          assert(crcOf(bytesOf(column)) === crcs[i], `${name} changed column ${i}`);
      },
    };
  };
  return [
    plain('fs-write-sync', false),
    bin('bin-raw', 'fs-write-sync', 'none', false),
    {
      name: 'lz4-napi',
      of: null,
      work: () => columns.reduce((sum, column) => sum + compressSync(Buffer.from(column.buffer)).length, 0),
    },
    bin('bin-lz4', 'lz4-napi', 'lz4', false),
    plain('fs-write-sync-fsync', true),
    bin('bin-raw-fsync', 'fs-write-sync-fsync', 'none', true),
    bin('bin-lz4-fsync', 'fs-write-sync-fsync', 'lz4', true),
    ...parquetCases(hour, folder, 'SNAPPY'),
    ...parquetCases(hour, folder, 'ZSTD'),
  ];
}

function parquetCases(hour: SegmentSource, folder: string, codec: 'SNAPPY' | 'ZSTD'): Case[] {
  const options = { codec, timestampType: 'ns', rowGroupRowsMax: 1_048_576 } as const;
  const encode = parquetEncoder(planOfHour, tradesTable, options, new Map());
  const expected = sumsOf(hour);
  const stored = inChunks(hour);
  const encoded = (name: string, of: string | null, work: () => Uint8Array | Promise<Uint8Array>): Case => {
    let file: Uint8Array = new Uint8Array();
    return {
      name,
      of,
      work: async () => {
        file = await work();
        return file.length;
      },
      check: async () => {
        const path = join(folder, 'check.parquet');
        writeFileSync(path, file);
        const found = await parquetSums(path);
        assert(found === expected, `${name} holds ${found} instead of ${expected}`);
      },
    };
  };
  const baseline = `apache-arrow-parquet-${codec.toLowerCase()}`;
  return [
    encoded(baseline, null, () => throughArrowTables(hour, Compression[codec])),
    encoded(`parquet-${codec.toLowerCase()}`, baseline, () =>
      encode(hour.symbol, hour.hour, sortedColumns(stored, tradesTable)),
    ),
  ];
}

/**
 * Rows, and of each column the sum and the sum weighted by position: a value lost, changed or moved shows. Times
 * in microseconds: DuckDB 1.5 reads a timestamp(ns, UTC) no finer.
 */
function sumsOf(hour: SegmentSource): string {
  const hourNs = nsOfHour(HOUR);
  const sums = hour.chunks[0]!.columns.flatMap((column, at) => {
    let sum = 0n;
    let weighted = 0n;
    for (let row = 0; row < column.length; row++) {
      const stored = BigInt(column[row]!);
      const value = at === 0 ? (stored - hourNs) / 1_000n : stored;
      sum += value;
      weighted += value * BigInt(row);
    }
    return [sum, weighted];
  });
  return [hour.rows, ...sums].join(' ');
}

async function parquetSums(path: string): Promise<string> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const columns = [`(epoch_ns("timestamp") - ${nsOfHour(HOUR)}) // 1000`, 'price', 'volume', 'msg_type'];
  const sums = columns.map((value) => {
    const exact = `(${value})::HUGEINT`;
    return `sum(${exact})::VARCHAR, sum(${exact} * file_row_number)::VARCHAR`;
  });
  const answer = await connection.runAndReadAll(
    `SELECT count(*)::VARCHAR, ${sums.join(', ')} FROM read_parquet('${path}', file_row_number = true)`,
  );
  connection.closeSync();
  instance.closeSync();
  return answer.getRows()[0]!.join(' ');
}

const columnsOf = (hour: SegmentSource): Uint8Array[] => hour.chunks[0]!.columns.map(bytesOf);

const rounded = (value: number): number => Math.round(value * 1_000) / 1_000;
