// What: the row buffer: growth keeps what is there, in every column type.
// Why: decoders hold its arrays across calls; a grown array that lost its rows would be silent.
// Invariant: both views of a column are over the same memory, before and after growth.

import { expect, test } from 'vitest';
import { RowBuffer } from '../../src/columns/batch.ts';
import { NULL_INT64 } from '../../src/columns/types.ts';
import { everyType } from '../support/decode-records.ts';

test('growth keeps every value, whatever the element size', () => {
  const rows = new RowBuffer(everyType, 3);
  for (let row = 0; row < 3; row++) {
    rows.offset[row] = row + 10;
    for (const column of rows.columns)
      column.values[row] = column.values instanceof BigInt64Array ? BigInt(row + 1) : row + 1;
  }
  rows.rows = 3;
  rows.reserve(1000);
  expect(rows.capacity).toBeGreaterThanOrEqual(1000);
  expect([...rows.offset.subarray(0, 3)]).toEqual([10, 11, 12]);
  for (const column of rows.columns) {
    expect([...column.values.subarray(0, 3)].map(Number)).toEqual([1, 2, 3]);
    expect(column.values.length).toBe(rows.capacity);
  }
});

test('room that is there already moves nothing', () => {
  const rows = new RowBuffer(everyType, 8);
  const before = rows.columns.map((column) => column.values);
  rows.reserve(8);
  expect(rows.columns.map((column) => column.values)).toEqual(before);
  expect(rows.columns[0]!.values).toBe(before[0]);
});

test('an int64 column is the same memory as its 32-bit words, low word first', () => {
  const rows = new RowBuffer(everyType, 1);
  rows.reserve(5);
  const column = rows.columns[everyType.timestampColumn]!;
  column.i32[8] = 0;
  column.i32[9] = -2147483648;
  expect((column.values as BigInt64Array)[4]).toBe(NULL_INT64);
});

test('clear forgets rows and undecodable records and keeps the capacity', () => {
  const rows = new RowBuffer(everyType, 4);
  rows.rows = 4;
  rows.undecodable.push({ offset: 1, timestampMs: 2, cause: 'c', key: null, value: null });
  rows.clear();
  expect([rows.rows, rows.undecodable.length, rows.capacity]).toEqual([0, 0, 4]);
});
