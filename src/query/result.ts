// What: a query's answer: named, typed columns that arrive block by block.
// Why: HTTP formats write from typed arrays, and a large answer is made only as fast as it is taken.
// Invariant: nothing of a block is written once it was given: it may be kept, and what a view keeps may be part of it.

import type { OutputColumn } from '../sql/scope.ts';
import type { Tier } from './snapshot.ts';

/**
 * Values of one output column in one block. `nulls[row]` is 1 for a NULL, whose value is 0; null: there is none.
 * - `int`: INT32, INT64, TIMESTAMP_NS (ns since 1970 UTC), DECIMAL (value × 10^scale). Float64Array when all values of
 *   the block are integers up to 2^53, which is cheaper to print; exact in both forms.
 * - `float`: FLOAT32, FLOAT64. Infinities may occur, NaN does not.
 * - `bool`: 0 or 1.
 * - `text`: SYMBOL, STRING: texts[codes[row]]. The list is the block's own.
 */
export type ResultValues =
  | {
      readonly kind: 'int';
      readonly values: BigInt64Array | Float64Array;
      readonly nulls: Uint8Array | null;
    }
  | { readonly kind: 'float'; readonly values: Float64Array; readonly nulls: Uint8Array | null }
  | { readonly kind: 'bool'; readonly values: Uint8Array; readonly nulls: Uint8Array | null }
  | {
      readonly kind: 'text';
      readonly codes: Uint32Array;
      readonly texts: readonly string[];
      readonly nulls: Uint8Array | null;
    };

export interface ResultBlock {
  readonly rows: number;
  readonly columns: readonly ResultValues[];
}

/** Final when the last block has been taken. */
export interface QueryStats {
  /** Rows of the parts read, after pruning by symbol, hour and time. */
  rowsScanned: number;
  /** Rows answered without reading them: from records of parts and from block aggregates. */
  rowsKnown: number;
  partsRead: number;
  partsPruned: number;
  readonly tiers: Record<Tier, number>;
  rowsReturned: number;
}

export const emptyStats = (): QueryStats => ({
  rowsScanned: 0,
  rowsKnown: 0,
  partsRead: 0,
  partsPruned: 0,
  tiers: { hot: 0, warm: 0, cold: 0 },
  rowsReturned: 0,
});

export interface ResultSet {
  readonly columns: readonly OutputColumn[];
  readonly stats: QueryStats;
  /**
   * The next block, never empty; null at the end and after `close`.
   * @throws ZeptoError LIMIT_EXCEEDED, CANCELLED, SQL_TYPE (a value that does not fit), FORMAT_INVALID, …
   */
  next(): Promise<ResultBlock | null>;
  /** Stops the query and lets go of what it holds. Idempotent. Reading to the end does it too. */
  close(): void;
  [Symbol.asyncIterator](): AsyncIterator<ResultBlock>;
}

/** Plain value of a cell: integers as bigint (DECIMAL unscaled), texts as string. For tests and small answers. */
export type Cell = bigint | number | boolean | string | null;

export function cellOf(column: ResultValues, row: number): Cell {
  if (column.nulls !== null && column.nulls[row] === 1) return null;
  switch (column.kind) {
    case 'int':
      return BigInt(column.values[row]!);
    case 'float':
      return column.values[row]!;
    case 'bool':
      return column.values[row] === 1;
    case 'text':
      return column.texts[column.codes[row]!]!;
  }
}

/** All rows at once. */
export async function rowsOf(result: ResultSet): Promise<Cell[][]> {
  const rows: Cell[][] = [];
  for await (const block of result)
    for (let row = 0; row < block.rows; row++) rows.push(block.columns.map((column) => cellOf(column, row)));
  return rows;
}
