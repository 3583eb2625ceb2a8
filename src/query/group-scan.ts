// What: the rows of a table of which other members of the group have some: those of this member, then theirs.
// Why: every clause works over rows, so a query over the whole group needs nothing but all of them.
// Invariant: each partition is read from the one member that has it; all members have agreed to answer before the first row.

import { NULL_BOOL, NULL_CODE, NULL_INT64 } from '../columns/types.ts';
import { type Block, Columns, type Flow, type Operator } from './block.ts';
import { drained } from './parts.ts';
import type { ResultBlock, ResultValues } from './result.ts';
import type { Run } from './run.ts';
import {
  boolVector,
  floatVector,
  intVector,
  NARROW_MAX,
  textVector,
  type Vector,
  wideVector,
} from './vector.ts';

/** What is read of the other members, as SQL. */
export interface PeerQuery {
  readonly table: string;
  /** A member answers of the partitions that it was asked for. */
  readonly sql: string;
  /** Whether groups are asked for, each with the parts of its aggregates' states. */
  readonly wantsParts: boolean;
}

/** Reads of the other members of the group. */
export interface GroupReader {
  /** How many there are. */
  readonly members: number;
  /** Rejects when one of them cannot answer of all partitions that it should have. */
  open(query: PeerQuery, signal: AbortSignal): Promise<readonly AsyncIterable<ResultBlock>[]>;
}

/** `local`: what the query asks of the others, of this member's rows. */
export function groupScan(local: Operator, query: PeerQuery, members: number): Operator {
  return {
    types: local.types,
    label: `Group scan ${query.table}`,
    details: () => [`of ${members} other members: ${query.sql}`],
    inputs: [local],
    open: (run) => read(local, query, run),
  };
}

function* read(local: Operator, query: PeerQuery, run: Run): Flow {
  const opened: { streams: readonly AsyncIterable<ResultBlock>[] } = { streams: [] };
  yield run.options.group!.open(query, run.signal).then((streams) => {
    opened.streams = streams;
  });
  yield* local.open(run);
  for (const stream of opened.streams)
    for (const item of drained(stream)) {
      if (item instanceof Promise) {
        yield item;
        continue;
      }
      run.check();
      run.stats.rowsScanned += item.rows;
      yield blockOf(item, local.types.length, run);
    }
}

/** The first columns; a query of none still asks for one. */
function blockOf({ rows, columns }: ResultBlock, width: number, run: Run): Block {
  return new Columns(
    rows,
    columns.slice(0, width).map((values) => vectorOf(values, rows, run)),
  );
}

function vectorOf(column: ResultValues, rows: number, run: Run): Vector {
  const isNull = (row: number): boolean => column.nulls !== null && column.nulls[row] === 1;
  switch (column.kind) {
    case 'int': {
      const { values } = column;
      if (values instanceof Float64Array && values.every((value) => Math.abs(value) <= NARROW_MAX)) {
        const narrow = values.slice(0, rows);
        for (let row = 0; row < rows; row++) if (isNull(row)) narrow[row] = Number.NaN;
        return intVector(narrow);
      }
      const wide = new BigInt64Array(rows);
      for (let row = 0; row < rows; row++) wide[row] = isNull(row) ? NULL_INT64 : BigInt(values[row]!);
      return wideVector(wide);
    }
    case 'float': {
      const values = column.values.slice(0, rows);
      for (let row = 0; row < rows; row++) if (isNull(row)) values[row] = Number.NaN;
      return floatVector(values);
    }
    case 'bool': {
      const values = column.values.slice(0, rows);
      for (let row = 0; row < rows; row++) if (isNull(row)) values[row] = NULL_BOOL;
      return boolVector(values);
    }
    case 'text': {
      const codes = column.texts.map((text) => run.texts.codeOf(text));
      const values = new Uint32Array(rows);
      for (let row = 0; row < rows; row++) values[row] = isNull(row) ? NULL_CODE : codes[column.codes[row]!]!;
      return textVector(values);
    }
  }
}
