// What: the SQL of docs/formats.md, run by DuckDB over files as they are written.
// Why: a documented query that does not run is worse than none.
// Invariant: every SQL block is run, but the one that declares a table in Hive.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { expect, test } from 'vitest';
import { localDisk } from '../../connectors/fs/disk.ts';
import { planManifestKey, symbolNamesKey } from '../../src/format/layout.ts';
import { encodeManifest } from '../../src/format/manifest.ts';
import type { PlanIdentity } from '../../src/format/segment.ts';
import { writeSegments } from '../../src/format/write-segments.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { memoryBucket, memoryStore } from '../support/memory-store.ts';
import { HOUR, HOUR_NS, type Row, segmentOf, trades } from '../support/segment-rows.ts';

const document = readFileSync(new URL('../../docs/formats.md', import.meta.url), 'utf8');

test('every query of docs/formats.md runs, and answers', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'formats-'));
  const duckdb = await (await DuckDBInstance.create()).connect();
  try {
    await writeBucket(folder);
    const answers: unknown[][][] = [];
    for (const [, block] of document.matchAll(/```sql\n([\s\S]*?)```/g))
      for (const query of block!.split(';').filter((text) => /^\s*SELECT/.test(text)))
        answers.push((await duckdb.runAndReadAll(query.replaceAll('$DATA', folder))).getRowsJson() as never);
    expect(answers[0]).toEqual([
      ['AAPL', 150, '4'],
      ['MSFT', 150, '4'],
    ]);
    expect(answers[1]).toEqual([['0', '2024-03-21 06:00:00', 150, 150, 150, 150, '800']]);
    expect(answers[2]!.map((row) => row[1]).sort()).toEqual(['100', '100', '200', '200']);
    expect(answers[3]).toEqual([
      ['0', '100', '4', true],
      ['0', '200', '4', true],
    ]);
  } finally {
    duckdb.closeSync();
    rmSync(folder, { recursive: true });
  }
});

test('the layout table of the document is that of the code', () => {
  const fields = (text: string, margin: string): string[][] =>
    [...text.matchAll(new RegExp(`^${margin}\\| (\\d+)\\s+\\| (\\d+)\\s+\\| ([a-z ]+?)\\s+\\|`, 'gm'))].map(
      (row) => row.slice(1, 4),
    );
  const source = readFileSync(new URL('../../src/format/bin.ts', import.meta.url), 'utf8');
  expect(fields(document, '')).toEqual(fields(source, '// ').filter(([offset]) => offset !== '34'));
  expect(fields(document, '')).toHaveLength(8);
});

async function writeBucket(folder: string): Promise<void> {
  const bucket = memoryBucket({ conditionalWrites: true });
  const store = memoryStore(bucket, { clock: systemClock });
  const signal = new AbortController().signal;
  const row: Row = [HOUR_NS + 1n, 1_500_000n, 200n, 0];
  for (const offsetNext of [100, 200]) {
    const plan: PlanIdentity = {
      group: 'desk',
      topic: 'ticks',
      partition: 0,
      incarnation: 0,
      hourLast: HOUR,
      offsetNext,
    };
    const files = await writeSegments(
      {
        plan,
        table: trades,
        segments: [0, 1].map((symbol) => segmentOf(trades, [row, row], { symbol })),
        outputs: {
          bin: null,
          parquet: {
            codec: 'SNAPPY',
            timestampType: 'ns',
            layout: 'hive',
            flatEpoch: 's',
            prefix: '',
            rowGroupRowsMax: 1000,
          },
        },
        strings: new Map(),
      },
      localDisk,
      store,
      2,
      signal,
    );
    const manifest = encodeManifest({
      plan,
      table: 'trades',
      previousOffsetNext: offsetNext - 100,
      committedBefore: { offset: offsetNext - 100, staircase: [] },
      committedAfter: { offset: offsetNext, staircase: [] },
      counts: { records: 4, rowsDecoded: 4, tombstones: 0, deadLettered: 0, rowsSealed: 4, rowsUnsealed: 0 },
      deadLetters: [],
      files,
    });
    bucket.write(planManifestKey('', plan), manifest);
  }
  bucket.write(symbolNamesKey('', 'desk', 0, 1), Buffer.from('id,name\n0,AAPL\n1,MSFT\n'));
  for (const [key, { bytes }] of bucket.objects) {
    await localDisk.makeDirectory(join(folder, key, '..'), false);
    await localDisk.writeFile(join(folder, key), [bytes], false);
  }
}
