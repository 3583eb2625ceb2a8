// What: the rows of a small INSERT body as one block.
// Why: what a format gives is looked at as a whole; only large bodies come in several blocks.
// Invariant: more than one block fails.

import type { TableSchema } from '../../src/columns/types.ts';
import type { ResultBlock } from '../../src/query/result.ts';
import { blocksOfData } from '../../src/threads/insert-data.ts';

export async function blockOfData(
  format: string,
  bytes: Uint8Array,
  table: TableSchema,
  listed: readonly string[],
  nowMs: number,
): Promise<ResultBlock> {
  const blocks: ResultBlock[] = [];
  for await (const block of blocksOfData(format, bytes, table, listed, nowMs, 2 ** 28)) blocks.push(block);
  if (blocks.length > 1) throw new Error(`${blocks.length} blocks`);
  return blocks[0] ?? { rows: 0, columns: [] };
}
