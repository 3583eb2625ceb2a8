// What: tables of plain rows as a snapshot of hot and warm parts, and the same rows in DuckDB.
// Why: whatever tier a row is in, the answer must be the one that a database of another make gives.
// Invariant: both sides hold the same rows; `_place` in DuckDB is the row's place in the order in which our scan meets it.

import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import {
  type ColumnArray,
  type ColumnSchema,
  ColumnType,
  columnView,
  elementBytes,
  NULL_BOOL,
  NULL_CODE,
  NULL_INT32,
  NULL_INT64,
  storedColumns,
  type TableSchema,
} from '../../src/columns/types.ts';
import { crc32cOf, crc32cText } from '../../src/format/crc32c.ts';
import { hourOfNs } from '../../src/format/layout.ts';
import { parquetEncoder } from '../../src/format/parquet.ts';
import type { PlanIdentity, SegmentSource } from '../../src/format/segment.ts';
import { sortedColumns } from '../../src/format/segment-columns.ts';
import { writeSegments } from '../../src/format/write-segments.ts';
import { formatFixed } from '../../src/kernel/fixed.ts';
import type { Disk } from '../../src/ports.ts';
import type { AnyPart, ColumnRun, Names, Snapshot, TableSnapshot } from '../../src/query/snapshot.ts';
import { tableOf } from '../../src/query/table-parts.ts';
import { memoryVolume } from './memory-disk.ts';

/** Integers, times and scaled decimals as bigint, symbols and strings as text. */
export type Value = bigint | number | boolean | string | null;
/** In declared column order. */
export type Row = readonly Value[];

export interface TestTable {
  readonly schema: TableSchema;
  /** In offset order. */
  readonly rows: readonly Row[];
}

/** Where a symbol-hour's rows lie; `mixed`: the first quarter in Parquet, the second in a local folder, the rest in memory. */
export type Placement = 'hot' | 'warm' | 'cold' | 'mixed';

/** The first so many rows lie in Parquet, and the first so many in sealed files at all. */
export type Sealed = readonly [cold: number, sealed: number];

const SEALED: Readonly<Record<Placement, (rows: number) => Sealed>> = {
  hot: () => [0, 0],
  warm: (rows) => [0, rows],
  cold: (rows) => [rows, rows],
  mixed: (rows) => [rows >> 2, rows >> 1],
};

export class TestNames implements Names {
  readonly names: string[] = [];
  private readonly codes = new Map<string, number>();

  codeFor(name: string): number {
    const known = this.codes.get(name);
    if (known !== undefined) return known;
    this.codes.set(name, this.names.length);
    return this.names.push(name) - 1;
  }

  nameOf(code: number): string | undefined {
    return this.names[code];
  }

  codeOf(name: string): number | undefined {
    return this.codes.get(name);
  }
}

export interface World {
  readonly snapshot: Snapshot;
  readonly disk: Disk;
  /** Parquet objects by key. */
  readonly objects: ReadonlyMap<string, Uint8Array>;
  /** By table: the rows in the order in which a scan meets them. */
  readonly scanned: ReadonlyMap<string, readonly Row[]>;
}

/** Where files lie, and what codes mean. */
export interface Ground {
  readonly disk: Disk;
  readonly objects: Map<string, Uint8Array>;
  readonly names: TestNames;
}

export const newGround = (): Ground => ({
  disk: memoryVolume().mount(),
  objects: new Map(),
  names: new TestNames(),
});

export interface WorldOptions {
  readonly placement: Placement | ((symbol: number, hour: number, rows: number) => Placement | Sealed);
  /** Of worlds that follow each other. */
  readonly ground?: Ground;
  /** Rows of a hot chunk. */
  readonly chunkRows?: number;
  /** Kafka partitions, which take turns row by row; one by default. */
  readonly partitions?: number;
  readonly compression?: 'none' | 'lz4';
}

export async function worldOf(tables: readonly TestTable[], options: WorldOptions): Promise<World> {
  const { disk, objects, names } = options.ground ?? newGround();
  const snapshots = new Map<string, TableSnapshot>();
  const scanned = new Map<string, Row[]>();
  for (const { schema, rows } of tables) {
    const groups = groupsOf(schema, rows, names, options.partitions ?? 1);
    const parts: AnyPart[] = [];
    const order: Row[] = [];
    for (const group of groups) {
      const placement =
        typeof options.placement === 'function'
          ? options.placement(group.symbol, group.hour, group.rows.length)
          : options.placement;
      const [cold, sealed] = typeof placement === 'string' ? SEALED[placement](group.rows.length) : placement;
      if (cold > 0) {
        const rows = group.rows.slice(0, cold);
        parts.push(await coldPart(schema, group, rows, names, objects));
        for (const row of sortedByTime(schema, rows)) order.push(row);
      }
      if (sealed > cold) {
        const rows = group.rows.slice(cold, sealed);
        parts.push(await warmPart(schema, group, rows, names, disk, options));
        for (const row of sortedByTime(schema, rows)) order.push(row);
      }
      if (sealed < group.rows.length) {
        const rest = group.rows.slice(sealed);
        parts.push(hotPart(schema, group, sealed, rest, names, options.chunkRows ?? 7));
        for (const row of rest) order.push(row);
      }
    }
    snapshots.set(schema.name, tableOf(schema, parts));
    scanned.set(schema.name, order);
  }
  const snapshot: Snapshot = { tables: snapshots, names, release: () => undefined };
  return { snapshot, disk, objects, scanned };
}

interface Group {
  readonly symbol: number;
  readonly hour: number;
  readonly partition: number;
  readonly rows: Row[];
}

function groupsOf(schema: TableSchema, rows: readonly Row[], names: TestNames, partitions: number): Group[] {
  const groups = new Map<string, Group>();
  for (const [i, row] of rows.entries()) {
    const partition = i % partitions;
    const symbol = names.codeFor(row[schema.symbolColumn] as string);
    const hour = hourOfNs(row[schema.timestampColumn] as bigint);
    const key = `${symbol}/${hour}/${partition}`;
    const group = groups.get(key) ?? { symbol, hour, partition, rows: [] };
    groups.set(key, group);
    group.rows.push(row);
  }
  return [...groups.values()].sort(
    (a, b) => a.symbol - b.symbol || a.hour - b.hour || a.partition - b.partition,
  );
}

function sortedByTime(schema: TableSchema, rows: readonly Row[]): Row[] {
  const time = (row: Row): bigint => row[schema.timestampColumn] as bigint;
  return [...rows].sort((a, b) => (time(a) < time(b) ? -1 : time(a) > time(b) ? 1 : 0));
}

function columnRun(schema: TableSchema, rows: readonly Row[], names: TestNames): ColumnRun {
  const columns = storedColumns(schema).map((column) => {
    const index = schema.columns.indexOf(column);
    return storedColumn(
      column,
      rows.map((row) => row[index]!),
      names,
    );
  });
  return { rows: rows.length, columns };
}

function storedColumn(column: ColumnSchema, values: readonly Value[], names: TestNames): ColumnArray {
  const bytes = Math.ceil((values.length * elementBytes[column.type]!) / 8) * 8;
  const target = columnView(column.type, new SharedArrayBuffer(bytes), 0, values.length);
  values.forEach((value, i) => {
    (target as { [index: number]: number | bigint })[i] = storedValue(column.type, value, names);
  });
  return target;
}

function storedValue(type: ColumnType, value: Value, names: TestNames): number | bigint {
  switch (type) {
    case ColumnType.INT32:
      return value === null ? NULL_INT32 : Number(value);
    case ColumnType.INT64:
    case ColumnType.TIMESTAMP_NS:
      return value === null ? NULL_INT64 : (value as bigint);
    case ColumnType.FLOAT32:
    case ColumnType.FLOAT64:
      return value === null ? Number.NaN : (value as number);
    case ColumnType.BOOL:
      return value === null ? NULL_BOOL : value === true ? 1 : 0;
    default:
      return value === null ? NULL_CODE : names.codeFor(value as string);
  }
}

function hotPart(
  schema: TableSchema,
  { symbol, hour, partition }: Group,
  first: number,
  rows: readonly Row[],
  names: TestNames,
  chunkRows: number,
): AnyPart {
  const runs: ColumnRun[] = [];
  for (let at = 0; at < rows.length; at += chunkRows)
    runs.push(columnRun(schema, rows.slice(at, at + chunkRows), names));
  return {
    id: `${schema.name}/hot/${symbol}/${hour}/${partition}/${first}`,
    tier: 'hot',
    topic: schema.name,
    partition,
    symbol,
    hour,
    rows: rows.length,
    timestampMin: null,
    timestampMax: null,
    isSorted: false,
    stored: storedColumns(schema),
    runs,
  };
}

async function warmPart(
  schema: TableSchema,
  { symbol, hour, partition }: Group,
  rows: readonly Row[],
  names: TestNames,
  disk: Disk,
  options: WorldOptions,
): Promise<AnyPart> {
  const { segment, plan } = segmentOf(schema, { symbol, hour, partition, rows: [...rows] }, names);
  const baseDirectory = `/hdb/${partition}-${rows.length}`;
  const [file] = await writeSegments(
    {
      plan,
      table: schema,
      segments: [segment],
      outputs: {
        bin: { baseDirectory, compression: options.compression ?? 'none', sync: false },
        parquet: null,
      },
      strings: new Map(),
    },
    disk,
    null,
    1,
    new AbortController().signal,
  );
  return {
    id: `${partition}/${rows.length}/${file!.path}`,
    tier: 'warm',
    topic: schema.name,
    partition,
    symbol,
    hour,
    rows: rows.length,
    timestampMin: BigInt(file!.timestampMin),
    timestampMax: BigInt(file!.timestampMax),
    isSorted: true,
    folder: `${baseDirectory}/${file!.path}`,
  };
}

/** Times as they are by default, or as plain integers: both are exact. */
async function coldPart(
  schema: TableSchema,
  { symbol, hour, partition }: Group,
  rows: readonly Row[],
  names: TestNames,
  objects: Map<string, Uint8Array>,
): Promise<AnyPart> {
  const { segment, plan } = segmentOf(schema, { symbol, hour, partition, rows: [...rows] }, names);
  const strings = new Map(names.names.map((name, code) => [code, name]));
  const timestampType = symbol % 2 === 0 ? 'ns' : 'int64';
  const encode = parquetEncoder(
    plan,
    schema,
    { codec: 'SNAPPY', timestampType, rowGroupRowsMax: 50 },
    strings,
  );
  const columns = sortedColumns(segment, schema);
  const key = `${schema.name}/${symbol}-${hour}-${partition}-${rows.length}.parquet`;
  const bytes = await encode(symbol, hour, columns);
  objects.set(key, bytes);
  return {
    id: key,
    tier: 'cold',
    topic: schema.name,
    partition,
    symbol,
    hour,
    rows: rows.length,
    timestampMin: columns.timestampMin,
    timestampMax: columns.timestampMax,
    isSorted: true,
    key,
    bytes: bytes.length,
    crc32c: crc32cText(crc32cOf([bytes])),
  };
}

function segmentOf(
  schema: TableSchema,
  { symbol, hour, partition, rows }: Group,
  names: TestNames,
): { segment: SegmentSource; plan: PlanIdentity } {
  return {
    segment: { symbol, hour, rows: rows.length, chunks: [columnRun(schema, rows, names)] },
    plan: {
      group: 'g',
      topic: schema.name,
      partition,
      incarnation: 0,
      hourLast: hour,
      offsetNext: rows.length,
    },
  };
}

// ---------------------------------------------------------------------------------------------------------
// DuckDB

const duckdbTypes: Readonly<Record<number, string>> = {
  [ColumnType.INT32]: 'INTEGER',
  [ColumnType.INT64]: 'BIGINT',
  [ColumnType.FLOAT32]: 'FLOAT',
  [ColumnType.FLOAT64]: 'DOUBLE',
  // Nanoseconds, so that arithmetic on times is that of integers.
  [ColumnType.TIMESTAMP_NS]: 'BIGINT',
  [ColumnType.SYMBOL]: 'VARCHAR',
  [ColumnType.BOOL]: 'BOOLEAN',
  [ColumnType.STRING]: 'VARCHAR',
};

/** The tables, each with a further column `_place`. */
export async function duckdbOf(
  tables: readonly TestTable[],
  scanned: World['scanned'],
): Promise<DuckDBConnection> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const connection = await instance.connect();
  await connection.run('SET ieee_floating_point_ops = false');
  await connection.run('SET order_by_non_integer_literal = true');
  for (const { schema } of tables) await fillTable(connection, schema, scanned.get(schema.name)!);
  return connection;
}

export async function fillTable(
  connection: DuckDBConnection,
  schema: TableSchema,
  rows: readonly Row[],
): Promise<void> {
  const columns = schema.columns.map((column) => {
    const scale = column.scale ?? 0;
    return `"${column.name}" ${scale > 0 ? `DECIMAL(18, ${scale})` : duckdbTypes[column.type]}`;
  });
  await connection.run(`CREATE OR REPLACE TABLE ${schema.name} (${columns.join(', ')}, _place BIGINT)`);
  for (let at = 0; at < rows.length; at += 500) {
    const values = rows
      .slice(at, at + 500)
      .map(
        (row, i) => `(${row.map((value, k) => literal(value, schema.columns[k]!)).join(', ')}, ${at + i})`,
      );
    await connection.run(`INSERT INTO ${schema.name} VALUES ${values.join(', ')}`);
  }
}

function literal(value: Value, column: ColumnSchema): string {
  if (value === null) return 'NULL';
  if (typeof value === 'string') return `'${value.replaceAll("'", "''")}'`;
  if (typeof value === 'bigint' && (column.scale ?? 0) > 0) return formatFixed(value, column.scale!);
  if (typeof value === 'number') return `CAST('${value}' AS DOUBLE)`;
  return String(value);
}
