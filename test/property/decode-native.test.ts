// What: Native blocks that our writer makes of any rows, read again; the same blocks damaged and cut; and random bytes.
// Why: an INSERT takes what a SELECT gives, digit for digit; and whoever may write must not be able to end the process.
// Invariant: all rows, exactly, or FORMAT_INVALID that says where.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nativeFormat } from '../../connectors/formats/native.ts';
import type { OutputColumn, ResultBlock, ResultValues } from '../../src/http-port.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import { plainResult } from '../../src/query/plain-result.ts';
import type { Cell } from '../../src/query/result.ts';
import {
  BOOL,
  decimal,
  FLOAT32,
  FLOAT64,
  INT32,
  INT64,
  STRING,
  SYMBOL,
  TIMESTAMP,
} from '../../src/sql/types.ts';
import { everyType } from '../support/decode-records.ts';
import { blockOfData } from '../support/insert-block.ts';
import { damage, damaged } from '../support/mutations.ts';

const int64 = fc.bigInt({ min: -(2n ** 63n) + 1n, max: 2n ** 63n - 1n });
const int32 = fc.bigInt({ min: -(2n ** 31n) + 1n, max: 2n ** 31n - 1n });
const digits = (count: number): fc.Arbitrary<bigint> => {
  const most = 10n ** BigInt(count) - 1n;
  return fc.bigInt({ min: -most, max: most });
};
const words = fc.string({ unit: 'grapheme', maxLength: 20 });
const float = fc.double({ noNaN: true, noDefaultInfinity: true });
const float32 = fc.float({ noNaN: true, noDefaultInfinity: true });
const orNull = (cell: fc.Arbitrary<Cell>): fc.Arbitrary<Cell> => fc.option(cell, { freq: 4 });

/** As `everyType` has them. */
const columns: readonly (OutputColumn & { readonly cell: fc.Arbitrary<Cell> })[] = [
  {
    name: 'symbol',
    type: SYMBOL,
    cell: fc.oneof(
      fc.constantFrom('AAPL', 'É'),
      words.filter((name) => name !== ''),
    ),
  },
  { name: 'timestamp', type: TIMESTAMP, cell: int64 },
  { name: 'price', type: decimal(18, 4), cell: orNull(digits(18)) },
  { name: 'size', type: INT32, cell: orNull(int32) },
  { name: 'fee', type: decimal(9, 2), cell: orNull(digits(9)) },
  { name: 'ratio', type: FLOAT64, cell: orNull(float) },
  { name: 'weight', type: FLOAT32, cell: orNull(float32) },
  { name: 'venue', type: SYMBOL, cell: words.filter((name) => name !== '') },
  { name: 'note', type: STRING, cell: orNull(words) },
  { name: 'buy', type: BOOL, cell: orNull(fc.boolean()) },
  { name: 'received', type: TIMESTAMP, cell: orNull(int64) },
  { name: 'sequence', type: INT64, cell: orNull(int64) },
];
const row = fc.tuple(...columns.map(({ cell }) => cell));

async function written(rows: readonly (readonly Cell[])[]): Promise<Buffer> {
  const about = { elapsedUs: () => 0, settings: {}, exceptionTag: '' };
  const pieces: Uint8Array[] = [];
  for await (const piece of nativeFormat.write(plainResult(columns, rows), about)) pieces.push(piece);
  return Buffer.concat(pieces);
}

const read = (bytes: Uint8Array): Promise<ResultBlock> => blockOfData('Native', bytes, everyType, [], 0);

const cellsOf = ({ rows, columns: values }: ResultBlock): Cell[][] =>
  Array.from({ length: rows }, (_, index) => values.map((column, i) => cellOf(column, index, columns[i]!)));

function cellOf(values: ResultValues, index: number, { type }: OutputColumn): Cell {
  if (values.nulls?.[index] === 1) return null;
  switch (values.kind) {
    case 'int':
      return BigInt(values.values[index]!);
    case 'float':
      return values.values[index]!;
    case 'bool':
      return values.values[index] === 1;
    case 'text':
      return type === SYMBOL || type === STRING ? values.texts[values.codes[index]!]! : null;
  }
}

describe('Native blocks', () => {
  it('that are written are read with every value as it was', async () => {
    const blocks = fc.array(fc.array(row, { maxLength: 12 }), { maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(blocks, async (parts) => {
        const bytes = Buffer.concat(await Promise.all(parts.map(written)));
        expect(cellsOf(await read(bytes))).toEqual(parts.flat());
      }),
      { numRuns: 500 },
    );
  });

  it('however damaged, are whole rows or an error that says where', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(row, { maxLength: 4 }), damage, async (rows, changes) => {
        try {
          const block = await read(damaged(await written(rows), changes));
          for (const { nulls } of block.columns) expect(nulls?.length ?? block.rows).toBe(block.rows);
        } catch (error) {
          if (!(error instanceof ZeptoError)) throw error;
          expect(error.code).toBe('FORMAT_INVALID');
          expect(error.message).toMatch(/^Native block \d+/);
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('of random bytes hold no rows', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 60 }), async (bytes) => {
        const outcome = await read(bytes).then(
          ({ rows }) => rows,
          (error: ZeptoError) => error.code,
        );
        // Blocks of no columns and no rows are no error.
        expect(['FORMAT_INVALID', 0]).toContain(outcome);
      }),
      { numRuns: 3000 },
    );
  });

  it('cut anywhere within are refused', async () => {
    const [rows] = fc.sample(fc.array(row, { minLength: 3, maxLength: 3 }), { numRuns: 1, seed: 1 });
    const bytes = await written(rows!);
    expect((await read(bytes)).rows).toBe(3);
    for (let length = 1; length < bytes.length; length++)
      await expect(read(bytes.subarray(0, length))).rejects.toMatchObject({ code: 'FORMAT_INVALID' });
  });
});
