// What: a small catalogue for tests of the analysis: trades, quotes, a table without a time, one with two.
// Why: names and types are checked without any storage.
// Invariant: as the default tables, with a DECIMAL price.

import type { Catalog, SourceTable } from '../../src/sql/scope.ts';
import {
  BOOL,
  decimal,
  FLOAT64,
  INT32,
  INT64,
  type SqlType,
  STRING,
  SYMBOL,
  TIMESTAMP,
} from '../../src/sql/types.ts';

function table(timestamp: string | null, columns: Record<string, SqlType>): SourceTable {
  return { columns: Object.entries(columns).map(([name, type]) => ({ name, type })), timestamp };
}

export const testTables: Readonly<Record<string, SourceTable>> = {
  trades: table('timestamp', {
    symbol: SYMBOL,
    price: decimal(18, 4),
    volume: INT64,
    timestamp: TIMESTAMP,
    side: STRING,
    aggressive: BOOL,
  }),
  quotes: table('timestamp', { symbol: SYMBOL, bid: FLOAT64, ask: FLOAT64, timestamp: TIMESTAMP }),
  venues: table(null, { symbol: SYMBOL, venue: STRING, lots: INT32, fee: decimal(9, 2) }),
  orders: table('sent', { symbol: SYMBOL, sent: TIMESTAMP, filled: TIMESTAMP, volume: INT64 }),
};

export const testCatalog: Catalog = {
  table: ({ schema, name }) =>
    (schema === null || schema === 'default') && Object.hasOwn(testTables, name)
      ? testTables[name]
      : undefined,
  tableFunction: ({ args }) =>
    args[0]?.kind === 'string' && args[0].value === 'old.parquet' ? testTables.trades : undefined,
  tableNames: () => Object.keys(testTables),
};
