// What: the order of rows whose keys are numbers and that are nearly in order already.
// Why: ticks come by symbol and time but for a few late ones; sorting those few and merging them in costs one look per row.
// Invariant: stable; null when too many rows are out of order, or a key is not a plain number, and another sort must do it.

import type { Run } from './run.ts';
import type { SortKey } from './sort.ts';
import type { Vector } from './vector.ts';

/** More late rows than this share, and a radix sort is quicker. */
const LATE_SHARE_MAX = 1 / 8;
/** Moving more than so many rows for each that there is takes longer than merging. */
const MOVES_PER_ROW_MAX = 8;

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
    // Rows without the first key are all late, and so are all behind a first one.
    if (columns.length > 0 && hasNull(vector.values, rows)) return null;
    columns.push(vector.values);
  }
  run.check();
  const late = lateRows(columns, rows);
  if (late === null) return null;
  if (late.some((row) => Number.isNaN(columns[0]![row]!))) return null;
  if (late.length === 0) return rowNumbers(rows);
  const order = inserted(columns, late, rows, run);
  if (order !== null) return order;
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

/** Rows that are below one before them, or have no first key; null when they are many. */
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

/** Each of `late`, which ascend, moved to where it belongs among those before it; null when that moves too many. */
function inserted(
  columns: readonly Float64Array[],
  late: Int32Array,
  rows: number,
  run: Run,
): Int32Array | null {
  const order = rowNumbers(rows);
  let moves = MOVES_PER_ROW_MAX * rows;
  for (const row of late) {
    run.tick();
    // Behind the last one that is not after it. Most are late by little.
    let to = row;
    let step = 1;
    while (to - step >= 0 && compare(columns, order[to - step]!, row) > 0) {
      to -= step;
      step *= 2;
    }
    let from = Math.max(0, to - step + 1);
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (compare(columns, order[middle]!, row) > 0) to = middle;
      else from = middle + 1;
    }
    moves -= row - to;
    if (moves < 0) return null;
    order.copyWithin(to + 1, to, row);
    order[to] = row;
  }
  return order;
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
