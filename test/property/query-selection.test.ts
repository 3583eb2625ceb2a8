// What: the selection behind median and percentile, against a sort.
// Why: a partition that is off by one gives medians that are nearly right.
// Invariant: the same values come out, the wanted one at its place, none larger before it, none smaller behind.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { select } from '../../src/query/aggregate/selection.ts';

const nothing = (): void => {};

function expectSelected<V extends Float64Array | BigInt64Array>(values: V, index: number): void {
  const sorted = values.slice().sort();
  expect(select(values, index, nothing)).toBe(sorted[index]);
  for (let i = 0; i < index; i++) if (values[i]! > values[index]!) throw new Error(`larger at ${i}`);
  for (let i = index; i < values.length; i++)
    if (values[i]! < values[index]!) throw new Error(`smaller at ${i}`);
  expect(values.slice().sort()).toEqual(sorted);
}

const shapes: readonly (readonly [string, (i: number, n: number) => number])[] = [
  ['rising', (i) => i],
  ['falling', (i, n) => n - i],
  ['equal', () => 7],
  ['two values', (i) => i % 2],
  ['a pipe organ', (i, n) => Math.min(i, n - i)],
  ['saw teeth', (i) => i % 1000],
  ['largest at the end', (i, n) => (i > n / 2 ? n : i)],
  ['scattered', (i) => (i * 7919) % 10_007],
];

describe('select', () => {
  test.each(shapes)('finds every kind of place among %s values', (_, of) => {
    for (const n of [1, 2, 63, 64, 65, 66, 1000, 20_000])
      for (const share of [0, 0.01, 0.5, 0.99, 1])
        expectSelected(
          Float64Array.from({ length: n }, (_, i) => of(i, n)),
          Math.floor(share * (n - 1)),
        );
  });

  test('agrees with a sort on floats and on integers beyond doubles', () => {
    const place = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(
        // Zeros of either sign are the same value, which toBe would tell apart.
        fc.array(
          fc.double({ noNaN: true }).map((value) => value + 0),
          { minLength: 1, maxLength: 400 },
        ),
        place,
        (values, share) => expectSelected(Float64Array.from(values), Math.floor(share * (values.length - 1))),
      ),
    );
    fc.assert(
      fc.property(
        fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), { minLength: 1, maxLength: 400 }),
        place,
        (values, share) =>
          expectSelected(BigInt64Array.from(values), Math.floor(share * (values.length - 1))),
      ),
    );
  });

  test('stops when its check throws', () => {
    const stop = (): void => {
      throw new Error('stop');
    };
    const values = Float64Array.from({ length: 10_000 }, (_, i) => (i * 7919) % 10_007);
    expect(() => select(values, 5_000, stop)).toThrow('stop');
  });
});
