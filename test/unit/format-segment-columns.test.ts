// What: what sorting does besides the order: copies, bit patterns, wrong hours.
// Why: most segments are sorted and must cost nothing; a row of another hour would be lost to every reader.
// Invariant: the expected values are spelled by hand.

import { expect, test } from 'vitest';
import { ColumnType, type TableSchema } from '../../src/columns/types.ts';
import { sortedColumns } from '../../src/format/segment-columns.ts';
import { HOUR_NS, type Row, segmentOf, trades } from '../support/segment-rows.ts';

const row = (delta: bigint, id: number): Row => [HOUR_NS + delta, 1n, 1n, id];

test('a sorted segment is passed on without a copy', () => {
  const segment = segmentOf(trades, [row(0n, 0), row(0n, 1), row(7n, 2)], { chunkRows: [2] });
  const { columns, rows } = sortedColumns(segment, trades);
  expect(rows).toBe(3);
  for (const [index, parts] of columns.entries())
    expect(parts).toEqual(segment.chunks.map((chunk) => chunk.columns[index]));
  expect(columns[0]![0]).toBe(segment.chunks[0]!.columns[0]);
});

test('late rows come to their place', () => {
  const segment = segmentOf(trades, [row(5n, 0), row(3n, 1), row(5n, 2), row(3n, 3), row(9n, 4)]);
  const { columns, timestampMin, timestampMax } = sortedColumns(segment, trades);
  expect([...columns[3]![0]!]).toEqual([1, 3, 0, 2, 4]);
  expect([timestampMin - HOUR_NS, timestampMax - HOUR_NS]).toEqual([3n, 9n]);
});

test('floats keep every bit when rows move, NaN payloads and negative zero too', () => {
  const table: TableSchema = {
    name: 't',
    columns: [
      { name: 'symbol', type: ColumnType.SYMBOL },
      { name: 'timestamp', type: ColumnType.TIMESTAMP_NS },
      { name: 'value', type: ColumnType.FLOAT64 },
    ],
    symbolColumn: 0,
    timestampColumn: 1,
  };
  const bits = new BigUint64Array([0x7ff0000000000001n, 0x8000000000000000n, 0xfff8dead0000beefn]);
  const times = new BigInt64Array([HOUR_NS + 2n, HOUR_NS + 1n, HOUR_NS]);
  const chunk = { rows: 3, columns: [times, new Float64Array(bits.buffer)] };
  const { columns } = sortedColumns({ symbol: 1, hour: 475278, rows: 3, chunks: [chunk] }, table);
  const moved = columns[1]![0]!;
  expect([...new BigUint64Array(moved.buffer, moved.byteOffset, 3)]).toEqual([bits[2], bits[1], bits[0]]);
});

test('hours before 1970 sort too', () => {
  const hourNs = -3_600_000_000_000n;
  const rows: Row[] = [
    [-1n, 1n, 1n, 0],
    [hourNs, 1n, 1n, 1],
  ];
  const { columns, timestampMin } = sortedColumns(segmentOf(trades, rows, { hour: -1 }), trades);
  expect([...columns[0]![0]!]).toEqual([hourNs, -1n]);
  expect(timestampMin).toBe(hourNs);
});

test('a row of another hour is refused', () => {
  for (const delta of [-1n, 3_600_000_000_000n])
    for (const rows of [
      [row(delta, 0)],
      [row(5n, 0), row(delta, 1), row(3n, 2)],
      [row(5n, 0), row(3n, 1), row(delta, 2), row(4n, 3)],
    ])
      expect(() => sortedColumns(segmentOf(trades, rows), trades)).toThrow(/lies in its hour/);
});

test('a segment whose chunks do not add up is refused', () => {
  const segment = segmentOf(trades, [row(1n, 0), row(2n, 1)]);
  expect(() => sortedColumns({ ...segment, rows: 3 }, trades)).toThrow(/as many rows/);
  expect(() => sortedColumns({ ...segment, rows: 1 }, trades)).toThrow(/as many rows/);
  expect(() => sortedColumns({ ...segment, rows: 0, chunks: [] }, trades)).toThrow(/has rows/);
});

test('a chunk whose known facts say that it is out of order is sorted', () => {
  const rows = [3, 1, 2, 4, 5].map((time): Row => [HOUR_NS + BigInt(time), BigInt(time), 1n, 0]);
  const { columns } = sortedColumns(segmentOf(trades, rows, { chunkRows: [3], facts: true }), trades);
  expect([...columns[1]!.flatMap((part) => [...(part as BigInt64Array)])]).toEqual([1n, 2n, 3n, 4n, 5n]);
});
