// What: the names that ClickHouse gives to our types.
// Why: its clients choose by them how to read a value.
// Invariant: a column that may hold NULL is Nullable; what a name promises, the format prints.

import type { OutputColumn, SqlType } from '../../src/http-port.ts';

const names: Readonly<Record<Exclude<SqlType['name'], 'DECIMAL' | 'NULL'>, string>> = {
  INT32: 'Int32',
  INT64: 'Int64',
  FLOAT32: 'Float32',
  FLOAT64: 'Float64',
  TIMESTAMP_NS: "DateTime64(9, 'UTC')",
  SYMBOL: 'String',
  STRING: 'String',
  BOOL: 'Bool',
};

export function clickhouseType({ type }: OutputColumn): string {
  if (type.name === 'NULL') return 'Nullable(Nothing)';
  if (type.name === 'DECIMAL') return `Nullable(Decimal(${type.precision}, ${type.scale}))`;
  return `Nullable(${names[type.name]})`;
}
