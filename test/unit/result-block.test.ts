// What: blocks of a result out of vectors that are written again, and out of final ones.
// Why: what a view keeps goes into every result of it: it must be made once, and belong to none of them.
// Invariant: a result has the block's rows and no others, with the names as its own query knows them.

import { describe, expect, it } from 'vitest';
import { NULL_CODE } from '../../src/columns/types.ts';
import { Columns } from '../../src/query/block.ts';
import { cellOf } from '../../src/query/result.ts';
import { resultBlock } from '../../src/query/result-block.ts';
import { Budget } from '../../src/query/run.ts';
import { Texts } from '../../src/query/texts.ts';
import {
  BLOCK_ROWS,
  finalVector,
  intVector,
  piecesOf,
  textVector,
  type Vector,
} from '../../src/query/vector.ts';

const BASE = 1_711_008_000_000_000_000n;
const times = (): Vector => intVector(Float64Array.of(0, Number.NaN, 5e9), BASE);
const symbols = (): Vector => textVector(Uint32Array.of(7, NULL_CODE, 3));

const named = (...names: readonly string[]): Texts =>
  new Texts({ nameOf: (code) => names[code], codeOf: () => undefined }, new Budget(2 ** 20));

function columnOf(vector: Vector, rows = 3, texts = named()) {
  return resultBlock(new Columns(rows, [vector]), 1, texts).columns[0]!;
}

const cellsOf = (vector: Vector, rows = 3, texts = named()) =>
  Array.from({ length: rows }, (_, row) => cellOf(columnOf(vector, rows, texts), row));

describe('a final vector', () => {
  it.each([
    ['times', times],
    ['symbols', symbols],
  ])('gives what one that is written again gives, each time: %s', (_, made) => {
    const vector = finalVector(made());
    expect(cellsOf(vector)).toEqual(cellsOf(made()));
    expect(cellsOf(vector)).toEqual(cellsOf(made()));
  });

  it('gives every result the same arrays', () => {
    const vector = finalVector(times());
    expect(columnOf(vector)).toBe(columnOf(vector));
    expect(columnOf(times())).not.toBe(columnOf(times()));
  });

  it('gives fewer rows to a result that has fewer', () => {
    const vector = finalVector(times());
    expect(columnOf(vector)).toMatchObject({ values: { length: 3 } });
    expect(columnOf(vector, 1)).toMatchObject({ values: { length: 1 } });
    expect(cellsOf(vector, 1)).toEqual([BASE]);
  });

  it('has the names that the query knows', () => {
    const vector = finalVector(symbols());
    expect(cellsOf(vector)).toEqual(['7', null, '3']);
    expect(cellsOf(vector, 3, named('A', 'B', 'C', 'D'))).toEqual(['7', null, 'D']);
  });
});

describe('a column in pieces', () => {
  it('is as it was, a block for each piece', () => {
    const rows = 2 * BLOCK_ROWS + 10;
    const column = finalVector(intVector(Float64Array.from({ length: rows }, (_, row) => row)));
    const pieces = piecesOf(column, rows);
    expect(pieces.map(({ values }) => values.length)).toEqual([BLOCK_ROWS, BLOCK_ROWS, 10]);
    expect(pieces.flatMap((piece) => [...(piece.values as Float64Array)])).toEqual([
      ...(column.values as Float64Array),
    ]);
    expect(pieces.every(({ isFinal }) => isFinal)).toBe(true);
  });
});
