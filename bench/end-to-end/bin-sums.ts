// What: rows and volume of all `.bin` segments below a folder.
// Why: a benchmark that lost a row, or filled a column with noise, has measured nothing.
// Invariant: every segment is read, each value with its checksum verified.

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { localDisk } from '../../connectors/fs/disk.ts';
import { openSegment } from '../../src/format/read-segment.ts';
import { assert } from '../../src/kernel/assert.ts';
import type { Sums } from './ticks.ts';

export async function binSums(base: string): Promise<Sums> {
  let rows = 0;
  let volume = 0n;
  const symbolRows: number[] = [];
  for (const symbol of await readdir(base)) {
    if (!/^\d+$/.test(symbol)) continue;
    const rowsBefore = rows;
    for (const hour of await readdir(join(base, symbol))) {
      const segment = await openSegment(join(base, symbol, hour), localDisk);
      assert(segment !== null, `${symbol}/${hour} is a segment`);
      const { values } = await segment.column('volume', true);
      rows += values.length;
      for (const value of values as BigInt64Array) volume += value;
    }
    symbolRows.push(rows - rowsBefore);
  }
  return { rows, volume: Number(volume), symbolRows: symbolRows.sort((a, b) => a - b) };
}
