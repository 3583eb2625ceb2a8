// What: a small result from plain cells.
// Why: what a statement answers that is no query (a message, a count) goes out in the same formats as rows.
// Invariant: one block, all of it in memory.

import { ZeptoError } from '../kernel/errors.ts';
import type { OutputColumn } from '../sql/scope.ts';
import { type Cell, emptyStats, type ResultBlock, type ResultSet, type ResultValues } from './result.ts';

export function plainResult(columns: readonly OutputColumn[], rows: readonly (readonly Cell[])[]): ResultSet {
  let block: ResultBlock | null =
    rows.length === 0
      ? null
      : {
          rows: rows.length,
          columns: columns.map((column, index) =>
            valuesOf(
              column,
              rows.map((row) => row[index]!),
            ),
          ),
        };
  const next = async (): Promise<ResultBlock | null> => {
    const taken = block;
    block = null;
    return taken;
  };
  return {
    columns,
    stats: { ...emptyStats(), rowsReturned: rows.length },
    next,
    close: () => {
      block = null;
    },
    async *[Symbol.asyncIterator]() {
      for (let taken = await next(); taken !== null; taken = await next()) yield taken;
    },
  };
}

function valuesOf({ name, type }: OutputColumn, cells: readonly Cell[]): ResultValues {
  const nulls = cells.includes(null) ? Uint8Array.from(cells, (cell) => (cell === null ? 1 : 0)) : null;
  switch (type.name) {
    case 'INT32':
    case 'INT64':
    case 'TIMESTAMP_NS':
    case 'DECIMAL':
      return { kind: 'int', values: BigInt64Array.from(cells, (cell) => BigInt(cell ?? 0)), nulls };
    case 'FLOAT32':
    case 'FLOAT64':
      return { kind: 'float', values: Float64Array.from(cells, Number), nulls };
    case 'BOOL':
      return { kind: 'bool', values: Uint8Array.from(cells, (cell) => (cell === true ? 1 : 0)), nulls };
    case 'SYMBOL':
    case 'STRING':
      return {
        kind: 'text',
        codes: Uint32Array.from(cells, (_, row) => row),
        texts: cells.map((cell) => (cell === null ? '' : String(cell))),
        nulls,
      };
    case 'NULL':
      throw new ZeptoError('INTERNAL', 'stop', `column ${name} of a plain result has no type`);
  }
}
