// What: the two tables that exist without being declared: trades and quotes.
// Why: a first run needs no schema; their columns are the ones tick tools expect.
// Invariant: prices are INT64 with four decimals, so no price ever passes through a double.

import { ColumnType, type TableSchema } from '../columns/types.ts';

const PRICE_SCALE = 4;

export const tradesTable: TableSchema = {
  name: 'trades',
  columns: [
    { name: 'timestamp', type: ColumnType.TIMESTAMP_NS },
    { name: 'symbol', type: ColumnType.SYMBOL },
    { name: 'price', type: ColumnType.INT64, scale: PRICE_SCALE },
    { name: 'volume', type: ColumnType.INT64 },
    { name: 'msg_type', type: ColumnType.INT32 },
  ],
  timestampColumn: 0,
  symbolColumn: 1,
};

export const quotesTable: TableSchema = {
  name: 'quotes',
  columns: [
    { name: 'timestamp', type: ColumnType.TIMESTAMP_NS },
    { name: 'symbol', type: ColumnType.SYMBOL },
    { name: 'bid', type: ColumnType.INT64, scale: PRICE_SCALE },
    { name: 'ask', type: ColumnType.INT64, scale: PRICE_SCALE },
    { name: 'bid_size', type: ColumnType.INT64 },
    { name: 'ask_size', type: ColumnType.INT64 },
  ],
  timestampColumn: 0,
  symbolColumn: 1,
};

export const defaultTables: readonly TableSchema[] = [tradesTable, quotesTable];
