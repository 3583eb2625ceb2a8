// What: sorting a segment by event time against a plain stable sort.
// Why: file bytes follow from this order; a tie the wrong way round changes them on replay.
// Invariant: every row keeps all its bits.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ColumnArray } from '../../src/columns/types.ts';
import { crc32cOf } from '../../src/format/crc32c.ts';
import { sortedColumns } from '../../src/format/segment-columns.ts';
import { HOUR_NS, type Row, segmentOf, trades } from '../support/segment-rows.ts';

const HOUR_LENGTH_NS = 3_600_000_000_000;

/** Times that are sorted, nearly sorted, random, or full of ties, at the edges of the hour too. */
const deltas = fc.oneof(
  fc.array(fc.integer({ min: 0, max: HOUR_LENGTH_NS - 1 }), { minLength: 1, maxLength: 300 }),
  fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 300 }),
  fc
    .array(fc.integer({ min: 0, max: HOUR_LENGTH_NS - 1 }), { minLength: 1, maxLength: 300 })
    .map((times) => times.toSorted((a, b) => a - b)),
  fc
    .array(fc.tuple(fc.nat(1000), fc.boolean()), { minLength: 1, maxLength: 300 })
    .map((steps) => steps.map(([step, late], i) => i * 2 ** 22 + (late ? 0 : step * 2 ** 12))),
);

const chunkSizes = fc.array(fc.integer({ min: 1, max: 100 }), { maxLength: 5 });

const bytesOf = ({ buffer, byteOffset, byteLength }: ColumnArray): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

test('rows come in time order, ties in offset order, whatever the chunks', () => {
  fc.assert(
    fc.property(deltas, chunkSizes, fc.boolean(), (times, chunkRows, facts) => {
      const rows: Row[] = times.map((time, i) => [
        HOUR_NS + BigInt(time),
        -1n - BigInt(i),
        2n ** 62n + BigInt(i),
        i,
      ]);
      const expected = rows.toSorted((a, b) => Number((a[0] as bigint) - (b[0] as bigint)));
      const { columns, crc32c, timestampMin, timestampMax } = sortedColumns(
        segmentOf(trades, rows, { chunkRows, facts }),
        trades,
      );
      const values = columns.map((parts) =>
        parts.flatMap((part) => Array.from<number | bigint>(part as never)),
      );
      expect(values[0]!.map((_, row) => values.map((column) => column[row]))).toEqual(expected);
      for (const [i, known] of (crc32c ?? []).entries())
        for (const [k, crc] of known.entries())
          if (crc !== undefined) expect(crc).toBe(crc32cOf([bytesOf(columns[i]![k]!)]));
      expect(timestampMin).toBe(expected[0]![0]);
      expect(timestampMax).toBe(expected.at(-1)![0]);
    }),
  );
});
