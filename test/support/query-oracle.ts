// What: one query asked of our engine and of DuckDB, and the two answers compared.
// Why: the oracle is of another make, so that a mistake of ours is not made twice.
// Invariant: integers, decimals, texts and times must be equal; floats within 1e-12 of each other.

import type { DuckDBConnection } from '@duckdb/node-api';
import { formatFixed } from '../../src/kernel/fixed.ts';
import { type ExecuteOptions, execute } from '../../src/query/execute.ts';
import { type Cell, rowsOf } from '../../src/query/result.ts';
import { parseStatement } from '../../src/sql/parser.ts';
import type { SqlType } from '../../src/sql/types.ts';
import type { World } from './query-tables.ts';

export const NOW_NS = 1_711_013_400_000_000_000n;

export function optionsFor(world: World, more: Partial<ExecuteOptions> = {}): ExecuteOptions {
  return {
    limits: { rowsMax: 10_000_000, bytesMax: 2 ** 31, timeoutMs: 600_000 },
    nowNs: NOW_NS,
    monotonicMs: () => performance.now(),
    disk: world.disk,
    cold: async (key) => world.objects.get(key)!,
    ...more,
  };
}

export interface Answer {
  readonly names: readonly string[];
  readonly types: readonly SqlType[];
  readonly rows: readonly (readonly Cell[])[];
}

export async function ask(sql: string, world: World, more: Partial<ExecuteOptions> = {}): Promise<Answer> {
  const { statement } = parseStatement(sql);
  const result = await execute(statement, world.snapshot, optionsFor(world, more));
  const rows = await rowsOf(result);
  return {
    names: result.columns.map(({ name }) => name),
    types: result.columns.map(({ type }) => type),
    rows,
  };
}

/** Values as both sides can be brought to them: numbers, or texts that must be equal. */
type Comparable = number | string | null;

export function comparableRows({ rows, types }: Answer): Comparable[][] {
  return rows.map((row) => row.map((cell, i) => comparableCell(cell, types[i]!)));
}

function comparableCell(cell: Cell, type: SqlType): Comparable {
  if (cell === null) return null;
  if (typeof cell === 'number') return cell;
  if (typeof cell === 'bigint') return exactText(formatFixed(cell, type.name === 'DECIMAL' ? type.scale : 0));
  return String(cell);
}

/** Without zeros at the end of a fraction. */
const exactText = (text: string): string => (text.includes('.') ? text.replace(/\.?0+$/, '') : text);

export async function askDuckdb(sql: string, connection: DuckDBConnection): Promise<Comparable[][]> {
  const reader = await connection.runAndReadAll(sql);
  const isFloat = reader.columnTypes().map((type) => ['DOUBLE', 'FLOAT'].includes(String(type)));
  return reader.getRows().map((row) => row.map((value, i) => comparableValue(value, isFloat[i]!)));
}

function comparableValue(value: unknown, isFloat: boolean): Comparable {
  if (value === null || value === undefined) return null;
  if (typeof value === 'number' && isFloat) return Number.isNaN(value) ? null : value;
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'object') return exactText(String(value));
  return String(value);
}

/** What differs first, or null. Without `ordered`, rows may come in any order. */
export function difference(
  ours: readonly (readonly Comparable[])[],
  theirs: readonly (readonly Comparable[])[],
  ordered: boolean,
): string | null {
  if (ours.length !== theirs.length) return `${ours.length} rows instead of ${theirs.length}`;
  const left = ordered ? ours : [...ours].sort(compareRows);
  const right = ordered ? theirs : [...theirs].sort(compareRows);
  for (let i = 0; i < left.length; i++)
    for (let k = 0; k < Math.max(left[i]!.length, right[i]!.length); k++)
      if (!isSame(left[i]![k]!, right[i]![k]!))
        return `row ${i}, column ${k}: ${show(left[i]!)} instead of ${show(right[i]!)}`;
  return null;
}

const show = (row: readonly Comparable[]): string => JSON.stringify(row);

function isSame(a: Comparable, b: Comparable): boolean {
  if (a === null || b === null) return a === b;
  if (typeof a === 'number' || typeof b === 'number') {
    const [x, y] = [Number(a), Number(b)];
    return (
      x === y || Math.abs(x - y) <= 1e-12 * Math.max(Math.abs(x), Math.abs(y)) || Math.abs(x - y) < 1e-13
    );
  }
  return a === b;
}

/** Exact columns first, so that floats that differ in their last digit do not change the order. */
function compareRows(a: readonly Comparable[], b: readonly Comparable[]): number {
  for (const exact of [true, false])
    for (let k = 0; k < a.length; k++) {
      const [x, y] = [keyOf(a[k]!, exact), keyOf(b[k]!, exact)];
      if (x !== y) return x < y ? -1 : 1;
    }
  return 0;
}

function keyOf(value: Comparable, exact: boolean): string {
  if (value === null) return '~null';
  if (typeof value === 'number') return exact ? '' : value.toPrecision(9);
  return exact ? value : '';
}
