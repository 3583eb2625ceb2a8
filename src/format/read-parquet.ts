// What: columns of a Parquet file that this system wrote, as it keeps columns in memory.
// Why: cold rows run through the same kernels as hot ones, with every nanosecond and every digit.
// Invariant: the values are those that were sealed; NULLs are the sentinels of columns/types.ts again.

import { type Data, tableFromIPC } from 'apache-arrow';
import { readParquet } from 'parquet-wasm';
import {
  type ColumnArray,
  type ColumnSchema,
  ColumnType,
  NULL_BOOL,
  NULL_CODE,
  NULL_INT32,
  NULL_INT64,
} from '../columns/types.ts';
import { ZeptoError } from '../kernel/errors.ts';

/** Some rows of the file. A column that the file lacks is undefined. */
export interface ParquetPiece {
  readonly rows: number;
  readonly columns: readonly (ColumnArray | undefined)[];
}

const PIECE_ROWS = 128 * 1024;

/**
 * The wanted columns, in their order, piece by piece. `codeOf` gives the codes of texts in STRING columns; `name` is for messages.
 * @throws ZeptoError FORMAT_INVALID when the bytes are no such file.
 */
export function* parquetPieces(
  bytes: Uint8Array,
  wanted: readonly ColumnSchema[],
  codeOf: (text: string) => number,
  name: string,
): Generator<ParquetPiece> {
  // Asked for one that it lacks, the library gives all that there are.
  const table = attempt(name, () =>
    tableFromIPC(
      readParquet(bytes, {
        batchSize: PIECE_ROWS,
        columns: wanted.map((column) => column.name),
      }).intoIPCStream(),
    ),
  );
  const index = new Map(table.schema.names.map((column, i) => [String(column), i]));
  for (const batch of table.batches)
    yield {
      rows: batch.numRows,
      columns: wanted.map((column) => {
        const at = index.get(column.name);
        return at === undefined ? undefined : storedValues(batch.data.children[at]!, column, codeOf, name);
      }),
    };
}

function attempt<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new ZeptoError('FORMAT_INVALID', 'stop', `${name} is no readable Parquet file: ${String(cause)}`, {
      cause,
    });
  }
}

function storedValues(
  data: Data,
  { name: column, type }: ColumnSchema,
  codeOf: (text: string) => number,
  name: string,
): ColumnArray {
  const rows = data.length;
  const isNull = data.nullCount > 0 ? (row: number): boolean => !data.getValid(row) : null;
  switch (type) {
    case ColumnType.TIMESTAMP_NS:
      return timestamps(data, `${name}, column ${column}`);
    case ColumnType.INT64:
      return withNulls(taken(data, BigInt64Array, name, column), isNull, NULL_INT64);
    case ColumnType.INT32:
      return withNulls(taken(data, Int32Array, name, column), isNull, NULL_INT32);
    case ColumnType.FLOAT32:
      return withNulls(taken(data, Float32Array, name, column), isNull, Number.NaN);
    case ColumnType.FLOAT64:
      return withNulls(taken(data, Float64Array, name, column), isNull, Number.NaN);
    case ColumnType.SYMBOL:
      return withNulls(taken(data, Uint32Array, name, column), isNull, NULL_CODE);
    case ColumnType.BOOL: {
      const bits = data.values as Uint8Array;
      const values = new Uint8Array(rows);
      for (let row = 0; row < rows; row++) {
        const bit = data.offset + row;
        values[row] = (bits[bit >> 3]! >> (bit & 7)) & 1;
      }
      return withNulls(values, isNull, NULL_BOOL);
    }
    case ColumnType.STRING:
      return texts(data, isNull, codeOf);
  }
}

/** Integer nanoseconds, whichever of the three types the file was written with. */
function timestamps(data: Data, name: string): BigInt64Array {
  const values = taken(data, BigInt64Array, name, 'time');
  const { unit } = data.type as { unit?: number };
  return unit === MICROSECOND ? values.map((us) => us * 1000n) : values;
}

/** TimeUnit of the Arrow format. */
const MICROSECOND = 2;

type Numbers =
  | typeof BigInt64Array
  | typeof Int32Array
  | typeof Float32Array
  | typeof Float64Array
  | typeof Uint32Array;

function taken<T extends Numbers>(data: Data, kind: T, name: string, column: string): InstanceType<T> {
  const { values } = data;
  if (values instanceof kind) return values.subarray(0, data.length) as InstanceType<T>;
  throw new ZeptoError(
    'FORMAT_INVALID',
    'stop',
    `${name} holds column ${column} as ${data.type}, which is not the table's type`,
  );
}

function withNulls<T extends ColumnArray>(
  values: T,
  isNull: ((row: number) => boolean) | null,
  sentinel: number | bigint,
): T {
  if (isNull === null) return values;
  const copy = values.slice() as T;
  for (let row = 0; row < copy.length; row++) if (isNull(row)) copy[row] = sentinel as never;
  return copy;
}

function texts(
  data: Data,
  isNull: ((row: number) => boolean) | null,
  codeOf: (text: string) => number,
): Uint32Array {
  const offsets = data.valueOffsets as Int32Array;
  const bytes = Buffer.from((data.values as Uint8Array).buffer, (data.values as Uint8Array).byteOffset);
  const codes = new Uint32Array(data.length);
  for (let row = 0; row < data.length; row++)
    codes[row] = isNull?.(row) ? NULL_CODE : codeOf(bytes.toString('utf8', offsets[row]!, offsets[row + 1]!));
  return codes;
}
