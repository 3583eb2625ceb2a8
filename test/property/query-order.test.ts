// What: the order of nearly sorted rows and sums over counted frames, against a plain sort and plain loops.
// Why: both take short ways where ticks come almost in order; a row in the wrong place would pass unseen in a sum.
// Invariant: the expected answers are made without any of the code under test.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { groupOrder } from '../../src/query/group-order.ts';
import { runOfNoQuery } from '../../src/query/run.ts';
import { Scratch } from '../../src/query/scratch.ts';
import { orderOf } from '../../src/query/sort.ts';
import { floatVector, type IntVector, intVector } from '../../src/query/vector.ts';
import { type RollingName, rolling } from '../../src/query/window/rolling.ts';

const run = runOfNoQuery();
const ascending = (slot: number) => ({ slot, descending: false, nullsFirst: false });

/** Keys that ascend but for some that are late by a little, by far, or have none at all. */
const nearKeys = fc
  .record({
    steps: fc.array(fc.nat(3), { minLength: 20, maxLength: 300 }),
    late: fc.array(fc.record({ at: fc.nat(299), by: fc.oneof(fc.nat(4), fc.nat(900)) }), { maxLength: 30 }),
    nulls: fc.array(fc.nat(299), { maxLength: 2 }),
  })
  .map(({ steps, late, nulls }) => {
    let time = 1_000;
    const keys = Float64Array.from(steps, (step) => {
      time += step;
      return time;
    });
    for (const { at, by } of late) if (at < keys.length) keys[at]! -= by;
    for (const at of nulls) if (at < keys.length) keys[at] = Number.NaN;
    return keys;
  });

/** NULLs last, equal ones as they came. */
function plainOrder(keys: readonly Float64Array[], rows: number): number[] {
  const compare = (a: number, b: number): number => {
    for (const values of keys) {
      const [x, y] = [values[a]!, values[b]!];
      const isNull = Number(Number.isNaN(x)) - Number(Number.isNaN(y));
      if (isNull !== 0) return isNull;
      if (x !== y && !Number.isNaN(x)) return x - y;
    }
    return 0;
  };
  return Array.from({ length: rows }, (_, row) => row).sort(compare);
}

describe('order', () => {
  it('of one key is that of a plain stable sort', () => {
    fc.assert(
      fc.property(nearKeys, (keys) => {
        const order = orderOf([intVector(keys)], [ascending(0)], keys.length, run);
        expect([...order]).toEqual(plainOrder([keys], keys.length));
      }),
      { numRuns: 500 },
    );
  });

  it('of two keys is that of a plain stable sort', () => {
    fc.assert(
      fc.property(nearKeys, fc.infiniteStream(fc.constantFrom(1, 1, 2, Number.NaN)), (keys, stream) => {
        const second = Float64Array.from(keys, () => stream.next().value as number);
        const order = orderOf(
          [floatVector(keys), floatVector(second)],
          [ascending(0), ascending(1)],
          keys.length,
          run,
        );
        expect([...order]).toEqual(plainOrder([keys, second], keys.length));
      }),
      { numRuns: 500 },
    );
  });

  it('within groups is each group in its place, and says where groups begin', () => {
    fc.assert(
      fc.property(fc.array(nearKeys, { minLength: 1, maxLength: 4 }), (groups) => {
        const keys = Float64Array.from(groups.flatMap((group) => [...group]));
        const ids = intVector(Float64Array.from(groups.flatMap((group, id) => [...group].map(() => id))));
        const found = groupOrder(ids as IntVector, [intVector(keys)], [ascending(0)], keys.length, run);
        expect([...found.order]).toEqual(plainOrder([ids.values, keys], keys.length));
        if (found.starts !== null) {
          let start = 0;
          expect(found.starts).toEqual([0, ...groups.map((group) => (start += group.length))]);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('sums over frames that are counted in rows', () => {
  const offset = fc.oneof(fc.integer({ min: -6, max: 6 }), fc.constantFrom(-(2 ** 40), 2 ** 40));
  const value = fc.oneof(
    { weight: 40, arbitrary: fc.integer({ min: -1_000, max: 1_000 }) },
    { weight: 1, arbitrary: fc.constantFrom(Number.NaN, 2 ** 45, -(2 ** 51)) },
  );

  it('are those of each frame alone', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(value, { minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 3 }),
        offset,
        offset,
        fc.constantFrom<RollingName>('sum', 'avg'),
        (partitions, from, last, name) => {
          const values = Float64Array.from(partitions.flat());
          const to = last + 1;
          const start = new Int32Array(values.length);
          const end = new Int32Array(values.length);
          const expected: number[] = [];
          const starts = [0];
          for (const partition of partitions) {
            const first = starts.at(-1)!;
            const stop = first + partition.length;
            for (let at = first; at < stop; at++) {
              start[at] = Math.min(stop, Math.max(first, at + from));
              end[at] = Math.max(first, Math.min(stop, at + to));
              const frame = values
                .slice(start[at], Math.max(start[at]!, end[at]!))
                .filter((x) => !Number.isNaN(x));
              const sum = Number(frame.reduce((all, x) => all + BigInt(x), 0n));
              expected.push(
                frame.length === 0 ? Number.NaN : name === 'sum' ? sum : sum / (frame.length * 100),
              );
            }
            starts.push(stop);
          }
          const windowing = {
            offsets: { from, to },
            partitions: Int32Array.from(starts),
            frames: () => ({ start, end, shape: 'sliding' as const }),
          };
          const found = rolling(name, intVector(values), 2, windowing, values.length, new Scratch(), run);
          // Sums that doubles might not hold are another's to make.
          if (found === null) expect(values.some((x) => Math.abs(x) >= 2 ** 45)).toBe(true);
          else expect([...found.values].slice(0, values.length)).toEqual(expected);
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
