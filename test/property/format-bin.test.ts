// What: `.bin` columns of any type and length, written and read back, and random damage.
// Why: the round trip must hold for every bit pattern, and damage must end in an error, never in a crash.
// Invariant: decode(encode(column)) has the same bytes.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytesOf, type ColumnType, columnView, elementBytes } from '../../src/columns/types.ts';
import { decodeBinColumn, encodeBinColumn } from '../../src/format/bin.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';

const type = fc.integer({ min: 0, max: 7 }).map((value) => value as ColumnType);
const compression = fc.constantFrom('none', 'lz4');
/** Bytes that LZ4 shrinks and bytes that it does not. */
const bytes = fc.oneof(
  fc.uint8Array({ minLength: 8, maxLength: 600 }),
  fc
    .tuple(fc.nat(255), fc.integer({ min: 8, max: 5000 }))
    .map(([byte, length]) => new Uint8Array(length).fill(byte)),
);

function fileOf(
  kind: ColumnType,
  content: Uint8Array,
  cuts: readonly number[],
  method: 'none' | 'lz4',
): Uint8Array {
  const width = elementBytes[kind]!;
  const rows = Math.floor(content.length / width);
  const whole = content.slice(0, rows * width);
  const bounds = [0, ...cuts.map((cut) => cut % (rows + 1)).sort((a, b) => a - b), rows];
  const parts = bounds
    .slice(1)
    .map((end, i) => columnView(kind, whole.buffer, bounds[i]! * width, end - bounds[i]!));
  return Buffer.concat(encodeBinColumn(kind, parts, method).parts.map(bytesOf));
}

test('a column is read back bit by bit, whatever its type, parts and compression', () => {
  fc.assert(
    fc.property(
      type,
      bytes,
      fc.array(fc.nat(), { maxLength: 4 }),
      compression,
      (kind, content, cuts, method) => {
        const { header, values } = decodeBinColumn(fileOf(kind, content, cuts, method));
        const rows = Math.floor(content.length / elementBytes[kind]!);
        expect(header).toMatchObject({ type: kind, rows, version: 1 });
        const read = bytesOf(values);
        expect(Buffer.compare(read, content.subarray(0, rows * elementBytes[kind]!))).toBe(0);
      },
    ),
  );
});

test('a damaged file is refused with FORMAT_INVALID, or is a whole column of other values', () => {
  fc.assert(
    fc.property(
      type,
      bytes,
      compression,
      fc.array(fc.tuple(fc.nat(5100), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      fc.option(fc.nat(5100)),
      (kind, content, method, changes, length) => {
        const file = fileOf(kind, content, [], method).slice(0, length ?? undefined);
        for (const [at, value] of changes) file[at % Math.max(1, file.length)] = value;
        try {
          const { header, values } = decodeBinColumn(file);
          expect(values).toHaveLength(header.rows);
        } catch (error) {
          expect(error).toBeInstanceOf(ZeptoError);
          expect(error).toMatchObject({ code: 'FORMAT_INVALID' });
        }
      },
    ),
    { numRuns: 2000 },
  );
});
