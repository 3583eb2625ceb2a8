// What: the commit record's arithmetic under random plans: coverage, pruning, the metadata text.
// Why: these few functions decide which rows a replay skips; an error here is a lost or a doubled row.
// Invariant: coverage by the staircase = coverage by the list of all plans ever committed.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeMetadata, encodeMetadata, freshRecord } from '../../src/commit/metadata.ts';
import { climb, hourCovered, prune, type Staircase, type Step } from '../../src/commit/staircase.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';

const hour = fc.oneof(fc.integer({ min: -50, max: 50 }), fc.constant(Number.POSITIVE_INFINITY));
const plans = fc.array(fc.record({ hourLast: hour, grow: fc.integer({ min: 0, max: 20 }) }), {
  maxLength: 30,
});

function stepsOf(list: readonly { hourLast: number; grow: number }[]): Step[] {
  let offset = 100;
  return list.map(({ hourLast, grow }) => {
    offset += grow;
    return { hourLast, offsetNext: offset };
  });
}

describe('staircase', () => {
  it('covers exactly the rows that some committed plan covers', () => {
    fc.assert(
      fc.property(
        plans,
        fc.integer({ min: 90, max: 800 }),
        fc.integer({ min: -60, max: 60 }),
        (list, offset, rowHour) => {
          const steps = stepsOf(list);
          const staircase = steps.reduce<Staircase>(climb, []);
          const expected = steps.some((step) => offset < step.offsetNext && rowHour <= step.hourLast);
          expect(rowHour <= hourCovered(staircase, offset)).toBe(expected);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('answers the same above the committed offset after pruning', () => {
    fc.assert(
      fc.property(plans, fc.integer({ min: 90, max: 800 }), fc.nat(200), (list, committed, ahead) => {
        const staircase = stepsOf(list).reduce<Staircase>(climb, []);
        const offset = committed + ahead;
        expect(hourCovered(prune(staircase, committed), offset)).toBe(hourCovered(staircase, offset));
      }),
      { numRuns: 2000 },
    );
  });

  it('rises in offset and falls in hour at each step', () => {
    fc.assert(
      fc.property(plans, (list) => {
        const staircase = stepsOf(list).reduce<Staircase>(climb, []);
        for (let i = 1; i < staircase.length; i++) {
          expect(staircase[i]!.offsetNext).toBeGreaterThanOrEqual(staircase[i - 1]!.offsetNext);
          expect(staircase[i]!.hourLast).toBeLessThan(staircase[i - 1]!.hourLast);
        }
      }),
    );
  });
});

describe('offset metadata', () => {
  const record = fc
    .record({
      committed: fc.nat(2 ** 40),
      incarnation: fc.nat(1000),
      watermarkHour: fc.option(fc.integer({ min: -1000, max: 1_000_000 })),
      staircase: plans.map((list) => stepsOf(list).reduce<Staircase>(climb, [])),
      /** Its offset: above the last step's. */
      pending: fc.option(fc.record({ hourLast: hour, offsetNext: fc.nat(10_000) })),
      tableVersion: fc.oneof(fc.constant(0), fc.nat(2000)),
      /** Offsets: above the committed one, and above the first. */
      published: fc.option(
        fc.record({ closedMs: fc.nat(2 ** 42), offsetNext: fc.nat(10_000), offsetSeen: fc.nat(100) }),
      ),
    })
    .map((value) => ({
      ...value,
      published: value.published && {
        closedMs: value.published.closedMs,
        offsetNext: value.published.offsetNext + value.committed,
        offsetSeen: value.published.offsetSeen + value.published.offsetNext + value.committed,
      },
      staircase: value.staircase.map((s) => ({ ...s, offsetNext: s.offsetNext + value.committed })),
      pending: value.pending && {
        ...value.pending,
        offsetNext: value.pending.offsetNext + value.committed + (value.staircase.at(-1)?.offsetNext ?? 0),
      },
    }));

  it('round trips', () => {
    fc.assert(
      fc.property(record, (value) => {
        expect(decodeMetadata(value.committed, encodeMetadata(value))).toEqual(value);
      }),
    );
  });

  it('refuses a text that was cut or altered anywhere', () => {
    fc.assert(
      fc.property(record, fc.nat(), fc.string({ minLength: 0, maxLength: 1 }), (value, at, character) => {
        const text = encodeMetadata(value);
        const index = at % text.length;
        const altered = text.slice(0, index) + character + text.slice(index + 1);
        fc.pre(altered !== text);
        expect(() => decodeMetadata(value.committed, altered)).toThrow(ZeptoError);
      }),
    );
  });

  it('refuses a record whose offset was moved by another program', () => {
    fc.assert(
      fc.property(record, (value) => {
        expect(() => decodeMetadata(value.committed + 1, encodeMetadata(value))).toThrow(
          'changed by another program',
        );
      }),
    );
  });

  it('is as it always was for a table that was never altered nor published, and of formats of their own for others', () => {
    fc.assert(
      fc.property(record, (value) => {
        const [tag, ...fields] = encodeMetadata(value).split(' ');
        const unpublished = value.tableVersion === 0 ? ['zepto1', 5] : ['zepto2', 6];
        const expected = value.published === null ? unpublished : ['zepto3', 7];
        expect([tag, fields.length]).toEqual(expected);
      }),
    );
    expect(encodeMetadata(freshRecord(100))).toBe('zepto1 0 - - - e58cfb82');
  });

  it('refuses a newer version and says so', () => {
    expect(() => decodeMetadata(5, 'zepto4 whatever')).toThrow('newer version');
    expect(() => decodeMetadata(5, 'spring-kafka')).toThrow('not written by this system');
  });

  it('is refused well below the broker limit of 4096 characters', () => {
    const staircase = Array.from({ length: 400 }, (_, i) => ({
      hourLast: 500_000 - i,
      offsetNext: 1e9 + i * 1e5,
    }));
    expect(() => encodeMetadata({ ...freshRecord(), staircase })).toThrow(/characters, above 3584/);
  });
});
