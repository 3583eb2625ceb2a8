// What: the BINARY decoder: fixed records, little-endian, one or several in a message.
// Why: the cheapest tick there is; its seven words are copied, nothing is parsed.
// Invariant: a message gives all of its rows or none.
//
//   28-byte record (a message of n × 28 bytes holds n)      64-byte TickMessage (exactly one)
//   offset size field                                       offset size field
//        0    4 symbol id u32                                    0    8 sequence number, not kept
//        4    8 price i64                                        8    8 time i64 ns, 0 = none
//       12    8 volume i64                                      16    4 symbol id u32
//       20    8 timestamp i64 ns                                24    8 price i64, or f64 when byte 41 is 1
//                                                               32    8 volume i64
//                                                               40    1 msg_type u8 (0 trade, 1 bid, 2 ask)
//                                                               41    1 price is f64
//
// Integers are stored as they are: a price is already scaled as the column declares. −2^63 is NULL; as a time it is missing.

import { type RecordBatch, type RowBuffer, undecodable } from '../../src/columns/batch.ts';
import { ColumnType, type TableSchema } from '../../src/columns/types.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { RowDecoder } from '../../src/ports.ts';
import { type Cause, fillNull, storeDouble, storeLong, storeMissing, storeNull } from './store.ts';
import { type Target, targetOf } from './target.ts';

export const RECORD_BYTES = 28;
export const TICK_MESSAGE_BYTES = 64;

const NULL_HIGH = -2147483648;
const NUMERIC: ReadonlySet<ColumnType> = new Set([
  ColumnType.INT64,
  ColumnType.INT32,
  ColumnType.FLOAT64,
  ColumnType.FLOAT32,
]);

/** Index of the column that takes each field; −1 where the table has none. */
interface Fields {
  readonly symbol: number;
  readonly price: number;
  readonly volume: number;
  readonly timestamp: number;
  readonly msgType: number;
  /** Columns that a 28-byte record does not fill: NULL. */
  readonly others: readonly number[];
  /** Price and volume are INT64 columns: words are copied as they are. */
  readonly direct: boolean;
}

/** @throws ZeptoError CONFIG_INVALID when a column cannot hold its field. */
export function binaryDecoder(table: TableSchema): RowDecoder {
  const target = targetOf(table, { names: {}, timeUnit: 'ns', scaledNumbers: 'scaled' });
  const fields = fieldsOf(table);
  return {
    decode(records: RecordBatch, from: number, to: number, rows: RowBuffer): void {
      const { valueLength, valueStart, buffer, offset } = records;
      const most = rows.rows + rowsAtMost(valueLength, from, to);
      rows.reserve(most);
      for (const column of fields.others) fillNull(rows.columns[column]!, rows.rows, most);
      const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
      let row = rows.rows;
      for (let i = from; i < to; i++) {
        if (fields.direct) {
          const plain = readPlain(records, view, i, to, rows, row, fields);
          row += plain;
          i += plain;
          if (i === to) break;
        }
        const length = valueLength[i]!;
        if (length < 0) continue;
        const start = valueStart[i]!;
        const time = records.timestampMs[i]!;
        const begin = row;
        let cause: Cause = null;
        if (length > 0 && length % RECORD_BYTES === 0) {
          const end = start + length;
          for (let p = start; p < end && cause === null; p += RECORD_BYTES)
            cause = readRecord(view, p, rows, row++, time, fields, target);
        } else if (length === TICK_MESSAGE_BYTES) {
          cause = readTickMessage(view, start, rows, row++, time, fields, target);
        } else cause = `${length} bytes are neither n × ${RECORD_BYTES} nor ${TICK_MESSAGE_BYTES}`;
        if (cause === null) rows.offset.fill(offset[i]!, begin, row);
        else {
          row = begin;
          // The next row may have none.
          if (fields.msgType >= 0) storeNull(rows.columns[fields.msgType]!, begin);
          rows.undecodable.push(undecodable(records, i, cause));
        }
      }
      rows.rows = row;
    },
  };
}

function rowsAtMost(valueLength: Int32Array, from: number, to: number): number {
  let rows = 0;
  for (let i = from; i < to; i++) rows += 1 + ((valueLength[i]! / RECORD_BYTES) | 0);
  return rows;
}

/** Messages from `first` on that are one record each with nothing missing: how many, up to the first that is not. */
function readPlain(
  { valueLength, valueStart, offset }: RecordBatch,
  view: DataView,
  first: number,
  to: number,
  rows: RowBuffer,
  firstRow: number,
  fields: Fields,
): number {
  const symbols = rows.columns[fields.symbol]!.i32;
  const prices = rows.columns[fields.price]!.i32;
  const volumes = rows.columns[fields.volume]!.i32;
  const times = rows.columns[fields.timestamp]!.i32;
  const offsets = rows.offset;
  let row = firstRow;
  for (let i = first; i < to && valueLength[i] === RECORD_BYTES; i++, row++) {
    const p = valueStart[i]!;
    const symbol = view.getInt32(p, true);
    const timeHigh = view.getInt32(p + 24, true);
    if (symbol < 0 || timeHigh === NULL_HIGH) break;
    symbols[row] = symbol;
    prices[row * 2] = view.getInt32(p + 4, true);
    prices[row * 2 + 1] = view.getInt32(p + 8, true);
    volumes[row * 2] = view.getInt32(p + 12, true);
    volumes[row * 2 + 1] = view.getInt32(p + 16, true);
    times[row * 2] = view.getInt32(p + 20, true);
    times[row * 2 + 1] = timeHigh;
    offsets[row] = offset[i]!;
  }
  return row - firstRow;
}

function readRecord(
  view: DataView,
  p: number,
  rows: RowBuffer,
  row: number,
  timestampMs: number,
  fields: Fields,
  target: Target,
): Cause {
  const { columns } = rows;
  const symbol = view.getInt32(p, true);
  if (symbol < 0) return symbolCause(symbol);
  columns[fields.symbol]!.i32[row] = symbol;
  if (fields.direct) {
    const price = columns[fields.price]!.i32;
    price[row * 2] = view.getInt32(p + 4, true);
    price[row * 2 + 1] = view.getInt32(p + 8, true);
    const volume = columns[fields.volume]!.i32;
    volume[row * 2] = view.getInt32(p + 12, true);
    volume[row * 2 + 1] = view.getInt32(p + 16, true);
  } else {
    const cause =
      storeField(view, p + 4, rows, row, fields.price, target) ??
      storeField(view, p + 12, rows, row, fields.volume, target);
    if (cause !== null) return cause;
  }
  const low = view.getInt32(p + 20, true);
  const high = view.getInt32(p + 24, true);
  if (high === NULL_HIGH && low === 0) {
    return storeMissing(target.columns[fields.timestamp]!, columns[fields.timestamp]!, row, timestampMs);
  }
  const timestamp = columns[fields.timestamp]!.i32;
  timestamp[row * 2] = low;
  timestamp[row * 2 + 1] = high;
  return null;
}

function readTickMessage(
  view: DataView,
  p: number,
  rows: RowBuffer,
  row: number,
  timestampMs: number,
  fields: Fields,
  target: Target,
): Cause {
  const symbol = view.getInt32(p + 16, true);
  if (symbol < 0) return symbolCause(symbol);
  rows.columns[fields.symbol]!.i32[row] = symbol;
  let cause: Cause = null;
  if (fields.price >= 0 && view.getUint8(p + 41) === 1) {
    const price = target.columns[fields.price]!;
    const value = view.getFloat64(p + 24, true);
    cause = storeDouble(price, rows.columns[fields.price]!, row, value, price.decimals);
  } else cause = storeField(view, p + 24, rows, row, fields.price, target);
  cause ??= storeField(view, p + 32, rows, row, fields.volume, target);
  if (fields.msgType >= 0)
    cause ??= storeLong(
      target.columns[fields.msgType]!,
      rows.columns[fields.msgType]!,
      row,
      view.getUint8(p + 40),
      0,
      0,
    );
  const low = view.getInt32(p + 8, true);
  const high = view.getInt32(p + 12, true);
  const timestamp = target.columns[fields.timestamp]!;
  const missing = low === 0 && (high === 0 || high === NULL_HIGH);
  const column = rows.columns[fields.timestamp]!;
  cause ??= missing
    ? storeMissing(timestamp, column, row, timestampMs)
    : storeLong(timestamp, column, row, low, high, 0);
  return cause;
}

function storeField(
  view: DataView,
  p: number,
  rows: RowBuffer,
  row: number,
  index: number,
  target: Target,
): Cause {
  if (index < 0) return null;
  const column = rows.columns[index]!;
  const low = view.getInt32(p, true);
  const high = view.getInt32(p + 4, true);
  if (high !== NULL_HIGH || low !== 0) return storeLong(target.columns[index]!, column, row, low, high, 0);
  storeNull(column, row);
  return null;
}

function symbolCause(symbol: number): string {
  return `symbol id ${symbol >>> 0} is not below 2^31`;
}

function fieldsOf(table: TableSchema): Fields {
  const named = (name: string): number => table.columns.findIndex((column) => column.name === name);
  const price = named('price');
  const volume = named('volume');
  const msgType = named('msg_type');
  const used = [table.symbolColumn, table.timestampColumn, price, volume, msgType];
  for (const index of [price, volume, msgType]) {
    const column = table.columns[index];
    if (column === undefined || NUMERIC.has(column.type)) continue;
    throw new ZeptoError(
      'CONFIG_INVALID',
      'stop',
      `table ${table.name}: BINARY records have a number for column ${column.name}; declare it INT64, INT32 or FLOAT64, or use another format`,
    );
  }
  return {
    symbol: table.symbolColumn,
    price,
    volume,
    timestamp: table.timestampColumn,
    msgType,
    others: table.columns
      .map((_, index) => index)
      .filter((index) => !used.includes(index) || index === msgType),
    direct:
      table.columns[price]?.type === ColumnType.INT64 && table.columns[volume]?.type === ColumnType.INT64,
  };
}
