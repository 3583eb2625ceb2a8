// What: DuckDB's types as the types of this system, and the SQL that makes the one of the other.
// Why: values are brought into their type by DuckDB, in vectors, and arrive in a handful of layouts.
// Invariant: nothing is rounded or cut: a value without a place in its column's type is an error of the cast.

/** As ports.ts says of a foreign column. */
export type ForeignType =
  | 'BOOL'
  | 'INT32'
  | 'INT64'
  | 'FLOAT32'
  | 'FLOAT64'
  | 'TIMESTAMP_NS'
  | 'STRING'
  | `DECIMAL(18, ${number})`;

/** INTEGER is INT64 here, since −2^31 is a number there and NULL in an INT32 column. */
const plain: Readonly<Record<string, ForeignType>> = {
  BOOLEAN: 'BOOL',
  TINYINT: 'INT32',
  SMALLINT: 'INT32',
  UTINYINT: 'INT32',
  USMALLINT: 'INT32',
  INTEGER: 'INT64',
  UINTEGER: 'INT64',
  BIGINT: 'INT64',
  UBIGINT: 'INT64',
  HUGEINT: 'INT64',
  UHUGEINT: 'INT64',
  FLOAT: 'FLOAT32',
  DOUBLE: 'FLOAT64',
  DATE: 'TIMESTAMP_NS',
  TIMESTAMP: 'TIMESTAMP_NS',
  TIMESTAMP_S: 'TIMESTAMP_NS',
  TIMESTAMP_MS: 'TIMESTAMP_NS',
  TIMESTAMP_NS: 'TIMESTAMP_NS',
  'TIMESTAMP WITH TIME ZONE': 'TIMESTAMP_NS',
};

const DECIMAL = /^DECIMAL\((\d+),(\d+)\)$/;
const SCALE_MAX = 18;

/** Anything else is a text, as DuckDB writes it. */
export function foreignType(duckdbType: string): ForeignType {
  const scale = Number(DECIMAL.exec(duckdbType)?.[2] ?? Number.NaN);
  if (scale === 0) return 'INT64';
  if (scale <= SCALE_MAX) return `DECIMAL(18, ${scale})`;
  return plain[duckdbType] ?? 'STRING';
}

/** SQL for a column of `found` as `promised`; null: that would lose something. */
export function columnSql(name: string, found: string, promised: ForeignType): string | null {
  if (!isWithin(foreignType(found), promised)) return null;
  const column = quoted(name);
  // From a time with its zone straight to nanoseconds there is no cast; the zone of the session is UTC.
  const value = found === 'TIMESTAMP WITH TIME ZONE' ? `CAST(${column} AS TIMESTAMP)` : column;
  return `CAST(${value} AS ${layoutOf(promised)})`;
}

export const nullSql = (promised: ForeignType): string => `CAST(NULL AS ${layoutOf(promised)})`;

export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

export const textSql = (text: string): string => `'${text.replaceAll("'", "''")}'`;

function isWithin(found: ForeignType, promised: ForeignType): boolean {
  if (found === promised) return true;
  return (found === 'INT32' && promised === 'INT64') || (found === 'FLOAT32' && promised === 'FLOAT64');
}

const layouts: Readonly<Record<string, string>> = {
  BOOL: 'BOOLEAN',
  INT32: 'INTEGER',
  INT64: 'BIGINT',
  FLOAT32: 'FLOAT',
  FLOAT64: 'DOUBLE',
  TIMESTAMP_NS: 'TIMESTAMP_NS',
  STRING: 'VARCHAR',
};

/** A decimal of 18 digits is a scaled int64 in DuckDB too. */
const layoutOf = (type: ForeignType): string => layouts[type] ?? type;
