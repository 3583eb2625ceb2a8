// What: a chunk of DuckDB's result as columns of this system.
// Why: the numbers are copied as they lie; a value object for each row would cost more than reading the file.
// Invariant: NULLs are those of columns/types.ts, and a value that looks like one is an error, never a NULL.

import type { DuckDBDataChunk } from '@duckdb/node-api';
import type duckdb from '@duckdb/node-bindings';
import { NULL_BOOL, NULL_INT32, NULL_INT64 } from '../../src/columns/types.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { ForeignColumn, ForeignRun, ForeignValues } from '../../src/ports.ts';

export type Bindings = typeof duckdb;
type RawVector = Parameters<Bindings['vector_get_data']>[0];

const HIGH_OF_NULL = NULL_INT32;

export function runOfChunk(
  chunk: DuckDBDataChunk,
  columns: readonly ForeignColumn[],
  bindings: Bindings,
): ForeignRun {
  const rows = chunk.rowCount;
  return {
    rows,
    columns: columns.map((column, index) =>
      column.type === 'STRING'
        ? (chunk.getColumnVector(index).toArray() as (string | null)[])
        : numbers(bindings.data_chunk_get_vector(chunk.chunk, index), column, rows, bindings),
    ),
  };
}

function numbers(vector: RawVector, column: ForeignColumn, rows: number, bindings: Bindings): ForeignValues {
  const isNull = nullsOf(vector, rows, bindings);
  const data = (bytes: number): Uint8Array => bindings.vector_get_data(vector, rows * bytes);
  switch (column.type) {
    case 'BOOL':
      return withNulls(data(1), isNull, NULL_BOOL);
    case 'INT32': {
      const { buffer, byteOffset } = data(4);
      return withNulls(new Int32Array(buffer, byteOffset, rows), isNull, NULL_INT32);
    }
    case 'FLOAT32': {
      const { buffer, byteOffset } = data(4);
      return withNulls(new Float32Array(buffer, byteOffset, rows), isNull, Number.NaN);
    }
    case 'FLOAT64': {
      const { buffer, byteOffset } = data(8);
      return withNulls(new Float64Array(buffer, byteOffset, rows), isNull, Number.NaN);
    }
    default: {
      const { buffer, byteOffset } = data(8);
      const values = new BigInt64Array(buffer, byteOffset, rows);
      refuseNullsOwnValue(new Int32Array(buffer, byteOffset, rows * 2), rows, isNull, column);
      if (isNull !== null) for (let row = 0; row < rows; row++) if (isNull(row)) values[row] = NULL_INT64;
      return values;
    }
  }
}

function withNulls<A extends Uint8Array | Int32Array | Float32Array | Float64Array>(
  values: A,
  isNull: ((row: number) => boolean) | null,
  nothing: number,
): A {
  if (isNull === null) return values;
  for (let row = 0; row < values.length; row++) if (isNull(row)) values[row] = nothing;
  return values;
}

/** Null: no row is NULL. */
function nullsOf(vector: RawVector, rows: number, bindings: Bindings): ((row: number) => boolean) | null {
  const words = Math.ceil(rows / 64);
  const valid = bindings.vector_get_validity(vector, words * 8) as Uint8Array | null | undefined;
  if (valid === null || valid === undefined) return null;
  return (row) => ((valid[row >> 3]! >> (row & 7)) & 1) === 0;
}

function refuseNullsOwnValue(
  halves: Int32Array,
  rows: number,
  isNull: ((row: number) => boolean) | null,
  { name }: ForeignColumn,
): void {
  for (let row = 0; row < rows; row++)
    if (halves[row * 2 + 1] === HIGH_OF_NULL && halves[row * 2] === 0 && !(isNull?.(row) ?? false))
      throw new ZeptoError(
        'SQL_TYPE',
        'stop',
        `column ${name} holds ${NULL_INT64}, which stands for NULL here: leave the column out`,
        { context: { column: name } },
      );
}
