// What: the rows of duckdb('path'), as the analytic engine reads them.
// Why: files that others wrote join the tables of this system in one query.
// Invariant: columns come in the order and types that the analysis was told.

import { ColumnType } from '../columns/types.ts';
import type { OutputColumn } from '../sql/scope.ts';
import { columnOf, type DataType } from '../sql/types.ts';
import { type Block, Columns, type Flow, type Operator } from './block.ts';
import { drained, requireAnalytic, storedValues } from './parts.ts';
import { readColumn } from './read-column.ts';
import type { Run } from './run.ts';
import { Scratch } from './scratch.ts';
import { BLOCK_ROWS } from './vector.ts';

export function foreignScan(path: string, columns: readonly OutputColumn[]): Operator {
  return {
    types: columns.map(({ type }) => type),
    label: 'Files',
    details: () => [path],
    inputs: [],
    open: (run) => read(path, columns, run),
  };
}

function* read(path: string, columns: readonly OutputColumn[], run: Run): Flow {
  const engine = requireAnalytic(run.options, path);
  const stored = columns.map(({ name, type }) => columnOf(name, type as DataType).type);
  const scratch = columns.map(() => new Scratch());
  const names = columns.map(({ name }) => name);
  for (const item of drained(engine.readPath(path, names, run.signal))) {
    if (item instanceof Promise) {
      yield item;
      continue;
    }
    const arrays = item.columns.map((values) => storedValues(values, item.rows, run));
    run.stats.rowsScanned += item.rows;
    for (let from = 0; from < item.rows; from += BLOCK_ROWS) {
      run.check();
      const rows = Math.min(BLOCK_ROWS, item.rows - from);
      const block: Block = new Columns(
        rows,
        arrays.map((values, i) => {
          const type = stored[i]!;
          // The first time of the block is near the others.
          const base = type === ColumnType.TIMESTAMP_NS ? (values[from] as bigint) : 0n;
          return readColumn(values, type, from, rows, base, scratch[i]!);
        }),
      );
      yield block;
    }
  }
}
