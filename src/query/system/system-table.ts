// What: a table made of plain rows at the moment it is read: what system.… names.
// Why: what the server knows of itself is asked for with every clause of the language, by every client.
// Invariant: rows are made anew each time they are read, in the order and types of the columns.

import { NULL_BOOL, NULL_CODE, NULL_INT64 } from '../../columns/types.ts';
import type { OutputColumn } from '../../sql/scope.ts';
import { Columns, type Flow, type Operator } from '../block.ts';
import type { Cell } from '../result.ts';
import type { Run } from '../run.ts';
import {
  BLOCK_ROWS,
  boolVector,
  floatVector,
  kindOf,
  textVector,
  type Vector,
  wideVector,
} from '../vector.ts';

export type PlainRows = Iterable<readonly Cell[]>;

export interface SystemTable {
  readonly columns: readonly OutputColumn[];
  /** `run`: of the query that reads it. */
  rows(run: Run): PlainRows | Promise<PlainRows>;
}

/** By name, without `system.` */
export type SystemTables = ReadonlyMap<string, SystemTable>;

export const noSystemTables: SystemTables = new Map();

export function systemScan(name: string, columns: readonly OutputColumn[]): Operator {
  return {
    types: columns.map(({ type }) => type),
    label: `System ${name}`,
    details: () => [],
    inputs: [],
    open: (run) => rowsOfTable(name, columns, run),
  };
}

function* rowsOfTable(name: string, columns: readonly OutputColumn[], run: Run): Flow {
  const made = run.options.system!.get(name)!.rows(run);
  let rows: PlainRows = [];
  if (made instanceof Promise)
    yield made.then((come) => {
      rows = come;
    });
  else rows = made;
  yield* blocksOf(rows, columns, run);
}

function* blocksOf(rows: PlainRows, columns: readonly OutputColumn[], run: Run): Flow {
  let block: (readonly Cell[])[] = [];
  for (const row of rows) {
    block.push(row);
    if (block.length < BLOCK_ROWS) continue;
    yield blockOf(block, columns, run);
    block = [];
  }
  if (block.length > 0) yield blockOf(block, columns, run);
}

function blockOf(rows: readonly (readonly Cell[])[], columns: readonly OutputColumn[], run: Run): Columns {
  run.check();
  run.stats.rowsScanned += rows.length;
  return new Columns(
    rows.length,
    columns.map((column, index) =>
      vectorOf(
        column,
        rows.map((row) => row[index]!),
        run,
      ),
    ),
  );
}

function vectorOf({ type }: OutputColumn, cells: readonly Cell[], { texts }: Run): Vector {
  switch (kindOf(type)) {
    case 'int':
      return wideVector(BigInt64Array.from(cells, (cell) => (cell === null ? NULL_INT64 : BigInt(cell))));
    case 'float':
      return floatVector(Float64Array.from(cells, (cell) => (cell === null ? Number.NaN : Number(cell))));
    case 'bool':
      return boolVector(
        Uint8Array.from(cells, (cell) => (cell === null ? NULL_BOOL : cell === true ? 1 : 0)),
      );
    case 'text':
      return textVector(
        Uint32Array.from(cells, (cell) => (cell === null ? NULL_CODE : texts.codeOf(String(cell)))),
      );
  }
}

/** A table whose rows are objects: a column is a name, a type, and how a row has it. */
export interface SystemColumn<Row> extends OutputColumn {
  readonly of: (row: Row) => Cell;
}

export function systemTable<Row>(
  columns: readonly SystemColumn<Row>[],
  rows: (run: Run) => Iterable<Row> | Promise<Iterable<Row>>,
): SystemTable {
  return {
    columns: columns.map(({ name, type }) => ({ name, type })),
    rows: (run) => {
      const made = rows(run);
      return made instanceof Promise ? made.then((all) => cellsOf(all, columns)) : cellsOf(made, columns);
    },
  };
}

function* cellsOf<Row>(all: Iterable<Row>, columns: readonly SystemColumn<Row>[]): Generator<Cell[]> {
  for (const row of all) yield columns.map(({ of }) => of(row));
}
