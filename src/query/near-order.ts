// What: the order of rows whose keys are numbers and that are nearly in order already.
// Why: ticks come by symbol and time but for a few late ones; sorting those few and merging them in costs one look per row.
// Invariant: stable; null when too many rows are out of order, or a key is not a plain number, and another sort must do it.

import type { Run } from './run.ts';
import type { SortKey } from './sort.ts';
import type { Vector } from './vector.ts';

/** More late rows than this share, and a radix sort is quicker. */
const LATE_SHARE_MAX = 1 / 8;

/** Row numbers in the order of the keys; the first key is the most important. */
export function nearOrder(
  vectors: readonly Vector[],
  keys: readonly SortKey[],
  rows: number,
  run: Run,
): Int32Array | null {
  const columns: Float64Array[] = [];
  for (const { slot, descending } of keys) {
    const vector = vectors[slot]!;
    if (descending || (vector.kind !== 'int' && vector.kind !== 'float')) return null;
    if (hasNull(vector.values, rows)) return null;
    columns.push(vector.values);
  }
  run.check();
  const late = lateRows(columns, rows);
  if (late === null) return null;
  if (late.length === 0) return rowNumbers(rows);
  late.sort((a, b) => {
    run.tick();
    return compare(columns, a, b) || a - b;
  });
  return merged(columns, late, rows);
}

/** 0, 1, 2, …, rows − 1. */
export function rowNumbers(rows: number): Int32Array {
  const numbers = new Int32Array(rows);
  for (let i = 0; i < rows; i++) numbers[i] = i;
  return numbers;
}

function hasNull(values: Float64Array, rows: number): boolean {
  let found = false;
  for (let i = 0; i < rows; i++) if (Number.isNaN(values[i]!)) found = true;
  return found;
}

function compare(columns: readonly Float64Array[], a: number, b: number): number {
  for (let k = 0; k < columns.length; k++) {
    const difference = columns[k]![a]! - columns[k]![b]!;
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Rows that are below one before them; null when they are many. */
function lateRows(columns: readonly Float64Array[], rows: number): Int32Array | null {
  const most = Math.floor(rows * LATE_SHARE_MAX);
  const late = new Int32Array(most);
  let count = 0;
  let max = 0;
  const first = columns[0]!;
  const isSingle = columns.length === 1;
  for (let row = 1; row < rows; row++) {
    const difference = first[row]! - first[max]!;
    if (difference > 0 || (difference === 0 && (isSingle || compare(columns, row, max) >= 0))) max = row;
    else {
      if (count === most) return null;
      late[count++] = row;
    }
  }
  return late.slice(0, count);
}

/** All rows, of which those in `late` are sorted and the others are in order. */
function merged(columns: readonly Float64Array[], late: Int32Array, rows: number): Int32Array {
  const order = new Int32Array(rows);
  const isLate = new Uint8Array(rows);
  for (let i = 0; i < late.length; i++) isLate[late[i]!] = 1;
  const first = columns[0]!;
  const isSingle = columns.length === 1;
  let at = 0;
  let row = 0;
  for (const next of late) {
    // It stands behind those before it and, of equal ones, behind those that came earlier.
    for (; row < rows; row++) {
      if (isLate[row] === 1) continue;
      const difference = isSingle ? first[next]! - first[row]! : compare(columns, next, row);
      if (difference < 0 || (difference === 0 && next < row)) break;
      order[at++] = row;
    }
    order[at++] = next;
  }
  for (; row < rows; row++) if (isLate[row] === 0) order[at++] = row;
  return order;
}
