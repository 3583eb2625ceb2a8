// What: rows in time order told as ranges, times read as differences of doubles, the loops that take four rows at a time.
// Why: each takes a short way where ticks come almost in order and near their hour; a wrong row would pass unseen in a sum.
// Invariant: the expected answers are made by BigInts and plain sorts, without any of the code under test.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ColumnType } from '../../src/columns/types.ts';
import { hourOf, Stretch } from '../../src/query/kernels/stretch.ts';
import { addInto, gatherInto } from '../../src/query/kernels/unrolled.ts';
import { readColumn, readRanges } from '../../src/query/read-column.ts';
import { runOfNoQuery } from '../../src/query/run.ts';
import { Scratch } from '../../src/query/scratch.ts';
import { cutRanges, type OrderedPiece, type Ranges, rangesInTimeOrder } from '../../src/query/time-order.ts';
import { bigintAt, type IntegerVector } from '../../src/query/vector.ts';

const HOUR = 1_711_000_800_000_000_000n;
const NULL = -(2n ** 63n);
const run = runOfNoQuery();

/** Times that ascend but for late ones, cut into pieces. */
const pieces = fc
  .record({
    steps: fc.array(fc.nat(3), { minLength: 1, maxLength: 200 }),
    late: fc.array(fc.record({ at: fc.nat(199), by: fc.oneof(fc.nat(4), fc.nat(300)) }), { maxLength: 8 }),
    cuts: fc.array(fc.nat(199), { maxLength: 4 }),
  })
  .map(({ steps, late, cuts }) => {
    let time = 1_000;
    const times = steps.map((step) => (time += step));
    for (const { at, by } of late) if (at < times.length) times[at]! -= by;
    const bounds = [0, ...cuts.filter((at) => at < times.length).sort((a, b) => a - b), times.length];
    return bounds.slice(1).flatMap((to, i) => (to > bounds[i]! ? [times.slice(bounds[i]!, to)] : []));
  });

const orderedPiece = (times: readonly number[]): OrderedPiece => {
  const columns = [BigInt64Array.from(times, (time) => HOUR + BigInt(time))];
  const stretch = new Stretch({ rows: times.length, columns }, 0, hourOf(HOUR));
  const starts = [0];
  for (let i = 1; i < times.length; i++) if (times[i]! < times[i - 1]!) starts.push(i);
  return { starts: Int32Array.of(...starts, times.length), stretch };
};

/** Piece and row, one after the other. */
function rowsOf(ranges: Ranges): [number, number][] {
  const rows: [number, number][] = [];
  for (let at = 0; at < ranges.length; at += 3)
    for (let row = ranges[at + 1]!; row < ranges[at + 2]!; row++) rows.push([ranges[at]!, row]);
  return rows;
}

const inOrder = (times: readonly (readonly number[])[]): [number, number][] =>
  times
    .flatMap((piece, p) => piece.map((_, row): [number, number] => [p, row]))
    .sort(([p, a], [q, b]) => times[p]![a]! - times[q]![b]!);

describe('ranges in time order', () => {
  test('are those of a stable sort, unless too many rows are late', () => {
    let told = 0;
    fc.assert(
      fc.property(pieces, (times) => {
        const rows = times.reduce((sum, { length }) => sum + length, 0);
        const ranges = rangesInTimeOrder(times.map(orderedPiece), rows, run);
        if (ranges === null) return;
        told++;
        expect(rowsOf(ranges)).toEqual(inOrder(times));
      }),
      { numRuns: 500 },
    );
    expect(told).toBeGreaterThan(250);
  });

  test('are cut at times that belong to them, or not', () => {
    fc.assert(
      fc.property(pieces, fc.nat(1_500), fc.nat(600), (times, from, width) => {
        const rows = times.reduce((sum, { length }) => sum + length, 0);
        const ordered = times.map(orderedPiece);
        const ranges = rangesInTimeOrder(ordered, rows, run);
        if (ranges === null) return;
        const [min, limit] = [700 + from, 700 + from + width];
        expect(rowsOf(cutRanges(ordered, ranges, min, limit))).toEqual(
          inOrder(times).filter(([p, row]) => times[p]![row]! >= min && times[p]![row]! < limit),
        );
      }),
      { numRuns: 300 },
    );
  });
});

/** A power of two at which the doubles of the same bits get another exponent. */
const EDGE = 380n * 2n ** 52n;
const bases = fc.constantFrom(
  HOUR,
  0n,
  EDGE,
  EDGE - 1n,
  EDGE - 2n ** 43n,
  EDGE + 2n ** 43n,
  2n ** 52n,
  70n * 2n ** 52n + 2n ** 44n,
  2n ** 63n - 3_600_000_000_000n,
);
const distances = fc.oneof(
  fc.bigInt({ min: 0n, max: 3_600_000_000_000n }),
  fc.bigInt({ min: -(2n ** 44n), max: 2n ** 44n }),
  fc.constantFrom(
    -(2n ** 43n),
    2n ** 43n,
    2n ** 51n,
    -(2n ** 51n),
    2n ** 52n,
    2n ** 53n,
    2n ** 31n,
    2n ** 31n - 1n,
  ),
  fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }),
);
const asInt64 = (value: bigint): bigint => BigInt.asIntN(64, value);

/** Most columns are near their base but for a few values. */
const stored = fc.tuple(
  bases,
  fc.array(fc.bigInt({ min: 0n, max: 3_600_000_000_000n }), { minLength: 1, maxLength: 40 }),
  fc.array(fc.tuple(fc.nat(39), fc.oneof(distances, fc.constant(null))), { maxLength: 2 }),
);

describe('int64 columns', () => {
  test('are read as they are stored, whatever is far from their base', () => {
    fc.assert(
      fc.property(stored, fc.boolean(), ([base, near, far], isTime) => {
        const from = isTime ? base : 0n;
        const values = near.map((distance) => asInt64(from + (isTime ? distance : distance % 2n ** 31n)));
        for (const [at, distance] of far)
          if (at < values.length) values[at] = distance === null ? NULL : asInt64(from + distance);
        const type = isTime ? ColumnType.TIMESTAMP_NS : ColumnType.INT64;
        const array = BigInt64Array.from(values);
        const expected = values.map((value) => (value === NULL ? null : value));
        const all = (vector: IntegerVector, rows: number): (bigint | null)[] =>
          Array.from({ length: rows }, (_, row) => bigintAt(vector, row));
        const whole = readColumn(array, type, 0, values.length, base, new Scratch()) as IntegerVector;
        expect(all(whole, values.length)).toEqual(expected);
        const cut = values.length >> 1;
        const bounds = [cut, values.length, 0, cut, 0, 1];
        const rows = values.length + 1;
        const ranges = readRanges([array, array, array], type, bounds, rows, base, new Scratch());
        expect(all(ranges as IntegerVector, rows)).toEqual([
          ...expected.slice(cut),
          ...expected.slice(0, cut),
          expected[0],
        ]);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('four rows at a time', () => {
  const number = fc.oneof(fc.integer(), fc.constantFrom(Number.NaN, 2 ** 53, -(2 ** 53), 0, -0));
  const most = 2 ** 40;
  test('give what one at a time does', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(number, number), { minLength: 1, maxLength: 23 }), (pairs) => {
        const a = Float64Array.from(pairs, ([x]) => x);
        const b = Float64Array.from(pairs, ([, y]) => y);
        const rows = pairs.length;
        for (const [sign, of] of [
          [1, (x: number, y: number) => x + y],
          [-1, (x: number, y: number) => x - y],
        ] as const) {
          const out = new Float64Array(rows);
          const expected = pairs.map(([x, y]) => of(x, y));
          expect(addInto(out, a, b, sign, rows, most)).toBe(
            !expected.some((value) => Math.abs(value) > most),
          );
          expect([...out]).toEqual(expected);
        }
        const chosen = Int32Array.from(pairs, (_, i) => (i * 7) % rows);
        const out = new Float64Array(rows);
        gatherInto(out, a, chosen, rows);
        expect([...out]).toEqual([...chosen].map((at) => a[at]));
      }),
    );
  });
});
