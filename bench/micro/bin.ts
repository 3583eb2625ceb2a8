// What: `.bin` segments of 1 M ticks written and read, beside plain files and LZ4 of the same bytes in the same run.
// Why: the format should cost little more than the disk and the compressor under it.
// Invariant: every measured answer is checked; figures are medians; data ends in the page cache, or on the disk where a case says so.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { compressSync, uncompressSync } from 'lz4-napi';
import { bytesOf, type ColumnArray } from '../../src/columns/types.ts';
import type { SegmentFile, SegmentSource } from '../../src/format/segment.ts';
import { assert } from '../../src/kernel/assert.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { crcOf, inChunks, readBin, ticksOfHour, writeBin, writePlain } from './sealed-hour.ts';

export interface BinBenchOptions {
  readonly rows?: number;
  readonly rounds?: number;
  /** Files are written below it and removed again. */
  readonly directory?: string;
}

/** Prints one JSON line for the machine, then one for each case. */
export async function run(options: BinBenchOptions = {}): Promise<void> {
  const { rows = 1_000_000, rounds = 11 } = options;
  const folder = mkdtempSync(join(options.directory ?? tmpdir(), 'bench-bin-'));
  try {
    print({ bench: 'bin', rows, rounds, node: process.version, cpu: cpus()[0]!.model, cores: cpus().length });
    for (const clock of ['ms', 'ns'] as const) await runOn(ticksOfHour(rows, clock), clock, rounds, folder);
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
  const stored = inChunks(segment);
  const rawKept = await writeBin(join(keep, 'raw'), segment, 'none');
  const lz4Kept = await writeBin(join(keep, 'lz4'), segment, 'lz4');
  const away = (): void => rmSync(join(folder, 'new'), { recursive: true, force: true });
  // Interleaved, so that what else the machine does meets all of them alike; and each writer finds the same free memory.
  for (let round = 0; round < rounds; round++) {
    // What a round left is not the next one's to clear away.
    globalThis.gc!();
    await measure(plain, () => writePlain(join(folder, 'new'), columns, false), away);
    await measure(raw, () => writeBin(join(folder, 'new'), stored, 'none'), away);
    await measure(plainSynced, () => writePlain(join(folder, 'new'), columns, true), away);
    await measure(rawSynced, () => writeBin(join(folder, 'new'), stored, 'none', true), away);
    await measure(block, () => columns.map((column) => compressSync(Buffer.from(column.buffer))));
    await measure(lz4, () => writeBin(join(folder, 'new'), stored, 'lz4'), away);
    await measure(plainRead, () => columns.map((_, i) => readFileSync(join(keep, String(i)))));
    await measure(rawRead, () => readBin(join(keep, 'raw', rawKept.path)));
    await measure(unblock, () => block.last!.map((compressed) => uncompressSync(compressed)));
    await measure(lz4Read, () => readBin(join(keep, 'lz4', lz4Kept.path)));
    for (const read of [rawRead, lz4Read])
      for (const [i, column] of read.last!.entries())
        assert(crcOf(bytesOf(column)) === crcOf(columns[i]!), 'what is read is what was written');
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

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

const rounded = (value: number): number => Math.round(value * 1000) / 1000;

const print = (line: object): void => console.log(JSON.stringify(line));
