// What: intervals and timestamps as text.
// Why: a nanosecond lost in a literal is a tick in the wrong bucket.
// Invariant: exact or refused.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { intervalText, parseInterval } from '../../src/sql/interval.ts';
import { parseTimestamp, timestampText } from '../../src/sql/timestamp.ts';

const INT64_MAX = 2n ** 63n - 1n;

describe('intervals', () => {
  test.each([
    ['5 minutes', 300_000_000_000n],
    ['5m', 300_000_000_000n],
    ['1 hour 30 minutes', 5_400_000_000_000n],
    ['1 day, 2 hours', 93_600_000_000_000n],
    ['1.5 hours', 5_400_000_000_000n],
    ['-30 seconds', -30_000_000_000n],
    ['-1.5s', -1_500_000_000n],
    ['250 ms', 250_000_000n],
    ['7 µs', 7_000n],
    ['0.5 us', 500n],
    ['2 WEEKS', 1_209_600_000_000_000n],
    ['0 days', 0n],
  ])('%s', (text, ns) => {
    expect(parseInterval(text)).toBe(ns);
  });

  test.each([
    ['', 'needs a number and a unit'],
    ['5', 'is not an interval'],
    ['minutes', 'is not an interval'],
    ['5 fortnights', "unknown time unit 'fortnights'"],
    ['1 month', 'no fixed length'],
    ['2 years', 'no fixed length'],
    ['0.5 ns', 'not a whole number of nanoseconds'],
    ['300000 weeks', 'does not fit'],
    ['5 minutes x', 'is not an interval'],
  ])('%j is refused', (text, reason) => {
    expect(parseInterval(text)).toContain(reason);
  });

  test('text of any interval reads back as itself', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -INT64_MAX - 1n, max: INT64_MAX }),
        (ns) => parseInterval(intervalText(ns)) === ns,
      ),
    );
  });

  test('the largest unit that divides is printed', () => {
    expect(
      ['90000000000', '60000000000', '129600000000000', '86400000000000', '0'].map((ns) =>
        intervalText(BigInt(ns)),
      ),
    ).toEqual(['90 seconds', '1 minute', '36 hours', '1 day', '0 seconds']);
  });
});

describe('timestamps', () => {
  test.each([
    ['1970-01-01', 0n],
    ['1970-01-01 00:00:00.000000001', 1n],
    ['1969-12-31 23:59:59.999999999', -1n],
    ['2024-03-21T09:30:00Z', 1_711_013_400_000_000_000n],
    ['2024-03-21 09:30', 1_711_013_400_000_000_000n],
    ['2024-03-21 11:30:00+02:00', 1_711_013_400_000_000_000n],
    ['2024-03-21 04:00:00-0530', 1_711_013_400_000_000_000n],
    ['2024-02-29', 1_709_164_800_000_000_000n],
    ['2262-04-11 23:47:16.854775807', INT64_MAX],
    ['1677-09-21 00:12:43.145224192', -INT64_MAX - 1n],
  ])('%s', (text, ns) => {
    expect(parseTimestamp(text)).toBe(ns);
  });

  test.each([
    '2024-02-30',
    '2023-02-29',
    '1900-02-29',
    '2024-13-01',
    '2024-00-01',
    '2024-01-00',
    '2024-01-01 24:00',
    '2024-01-01 10:60',
    '2024-01-01 10:00:60',
    '2024-01-01 10',
    '24-01-01',
    'yesterday',
    '',
    '2024-01-01 10:00:00.0000000001',
    '2300-01-01',
    '2262-04-11 23:47:16.854775808',
    '2024-01-01 10:00 +99:00',
    '2024-01-01x',
  ])('%j is no timestamp', (text) => {
    expect(parseTimestamp(text)).toBeNull();
  });

  test('agrees with Date for every day and second it knows', () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date('1700-01-01'), max: new Date('2260-01-01'), noInvalidDate: true }),
        (date) => {
          const ns = BigInt(date.getTime()) * 1_000_000n;
          expect(parseTimestamp(date.toISOString())).toBe(ns);
          expect(`${timestampText(ns).replace(' ', 'T')}Z`.replace(/:(\d\d)Z$/, ':$1.000Z')).toBe(
            date.toISOString(),
          );
        },
      ),
    );
  });

  test('text of any int64 reads back as itself', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -INT64_MAX - 1n, max: INT64_MAX }),
        (ns) => parseTimestamp(timestampText(ns)) === ns,
      ),
    );
  });
});
