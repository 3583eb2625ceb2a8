// What: column types, tables and the values that stand for NULL.
// Why: the same numbers are the `.bin` header's type byte, so they are fixed for ever.
// Invariant: every table has exactly one event-time column (TIMESTAMP_NS) and one partitioning symbol column (SYMBOL).

export const ColumnType = {
  INT32: 0,
  INT64: 1,
  FLOAT32: 2,
  FLOAT64: 3,
  TIMESTAMP_NS: 4,
  SYMBOL: 5,
  BOOL: 6,
  STRING: 7,
} as const;
export type ColumnType = (typeof ColumnType)[keyof typeof ColumnType];
export type ColumnTypeName = keyof typeof ColumnType;

export const columnTypeNames: readonly ColumnTypeName[] = [
  'INT32',
  'INT64',
  'FLOAT32',
  'FLOAT64',
  'TIMESTAMP_NS',
  'SYMBOL',
  'BOOL',
  'STRING',
];

/** Bytes per value, indexed by ColumnType. */
export const elementBytes: readonly number[] = [4, 8, 4, 8, 8, 4, 1, 4];

export type ColumnArray = Int32Array | BigInt64Array | Float32Array | Float64Array | Uint32Array | Uint8Array;

/** A column's values as whole numbers of the same width: as floats, some bit patterns would change when they are moved. */
export type BitsArray = BigInt64Array | Int32Array | Uint8Array;

/** NULL in a column, kdb style: one reserved value per type, no bitmap. A float column's NULL is any NaN. Time and symbol columns hold no NULL. */
export const NULL_INT32 = -2147483648;
export const NULL_INT64 = -9223372036854775808n;
export const NULL_CODE = 0xffffffff;
export const NULL_BOOL = 0xff;

/** Codes at or above this are provisional (see symbols.ts) or NULL: never stored in a sealed file as an id. */
export const SYMBOL_ID_LIMIT = 0x80000000;

/** Names and text values are dictionary entries of the whole group, so a record may not bring in a book. */
export const TEXT_BYTES_MAX = 4096;
/** A text with one has no UTF-8. */
export const LONE_SURROGATE = /\p{Surrogate}/u;

export interface ColumnSchema {
  readonly name: string;
  readonly type: ColumnType;
  /** Fixed-point decimals of an INT32 or INT64 column: stored integer = value × 10^scale. Absent: a plain integer. */
  readonly scale?: number;
}

export interface TableSchema {
  readonly name: string;
  /** All columns in declared order, the symbol column included. */
  readonly columns: readonly ColumnSchema[];
  /** Index into `columns` of the event time (TIMESTAMP_NS). */
  readonly timestampColumn: number;
  /** Index into `columns` of the partitioning symbol (SYMBOL). Constant in an hour partition, hence not stored in segments. */
  readonly symbolColumn: number;
}

/** No table's name: `{prefix}-views` holds what views have of segments. */
export const VIEWS_NAME = 'views';

/** What files of segments hold: columns, one of which is the symbol that their path names. */
export type StoredTable = Pick<TableSchema, 'name' | 'columns' | 'symbolColumn'>;

/** Columns that a segment stores, in file order: all but the partitioning symbol. */
export function storedColumns(table: StoredTable): readonly ColumnSchema[] {
  return table.columns.filter((_, index) => index !== table.symbolColumn);
}

export const NANOS_PER_HOUR = 3_600_000_000_000n;
/** No time in int64 nanoseconds is more hours than this from 1970. */
export const HOURS_MAX = 2_562_048;

/** The same memory by bytes. */
export const bytesOf = (view: NodeJS.ArrayBufferView): Uint8Array =>
  new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

/** A view of `length` values of `type` over shared or plain memory. `byteOffset` must be a multiple of the element size. */
export function columnView(
  type: ColumnType,
  buffer: ArrayBufferLike,
  byteOffset: number,
  length: number,
): ColumnArray {
  switch (type) {
    case ColumnType.INT32:
      return new Int32Array(buffer, byteOffset, length);
    case ColumnType.INT64:
    case ColumnType.TIMESTAMP_NS:
      return new BigInt64Array(buffer, byteOffset, length);
    case ColumnType.FLOAT32:
      return new Float32Array(buffer, byteOffset, length);
    case ColumnType.FLOAT64:
      return new Float64Array(buffer, byteOffset, length);
    case ColumnType.SYMBOL:
    case ColumnType.STRING:
      return new Uint32Array(buffer, byteOffset, length);
    case ColumnType.BOOL:
      return new Uint8Array(buffer, byteOffset, length);
  }
}

/** The same values by their bits. */
export function bitsView(
  type: ColumnType,
  buffer: ArrayBufferLike,
  byteOffset: number,
  length: number,
): BitsArray {
  switch (elementBytes[type]) {
    case 8:
      return new BigInt64Array(buffer, byteOffset, length);
    case 4:
      return new Int32Array(buffer, byteOffset, length);
    default:
      return new Uint8Array(buffer, byteOffset, length);
  }
}
