// What: blocks of rows as they pass from operator to operator, and a choice of a block's rows.
// Why: a column that nobody asks for is neither read nor copied.
// Invariant: a block and its vectors are valid until the operator that gave it is asked for the next.

import type { SqlType } from '../sql/types.ts';
import { gatherInto } from './kernels/unrolled.ts';
import type { Run } from './run.ts';
import { Scratch } from './scratch.ts';
import {
  BLOCK_ROWS,
  boolVector,
  floatVector,
  intVector,
  textVector,
  type Vector,
  wideVector,
} from './vector.ts';

export interface Block {
  /** 1 to BLOCK_ROWS. */
  readonly rows: number;
  column(slot: number): Vector;
}

/**
 * Blocks, and between them promises to wait for: whoever drives the query awaits them, everyone else passes them on. So a
 * query over memory runs without a single await.
 */
export type Flow = Generator<Block | Promise<unknown>, void, undefined>;

/** A step of a plan: it can be opened any number of times. */
export interface Operator {
  /** Types of its blocks' columns. */
  readonly types: readonly SqlType[];
  open(run: Run): Flow;
  /** For EXPLAIN. */
  readonly label: string;
  /** Printed when asked for: most plans are never shown. */
  details(): readonly string[];
  readonly inputs: readonly Operator[];
}

/** Hands each block to `take` and passes promises on. */
export function* each(flow: Flow, take: (block: Block) => void): Flow {
  for (const item of flow) {
    if (item instanceof Promise) yield item;
    else take(item);
  }
}

/** Columns that exist already. */
export class Columns implements Block {
  readonly rows: number;
  private readonly columns: readonly Vector[];

  constructor(rows: number, columns: readonly Vector[]) {
    this.rows = rows;
    this.columns = columns;
  }

  column(slot: number): Vector {
    return this.columns[slot]!;
  }
}

/** Some rows of a block, in any order and any number; columns are copied when they are asked for. */
export class Selection implements Block {
  rows = 0;
  private input: Block | null = null;
  private chosen: Int32Array = new Int32Array(0);
  private readonly cached: (Vector | null)[] = [];
  private readonly scratch: Scratch[] = [];

  /** `chosen[0, rows)`: row numbers of `input`; kept until the next call. */
  set(input: Block, chosen: Int32Array, rows: number): this {
    this.input = input;
    this.chosen = chosen;
    this.rows = rows;
    this.cached.fill(null);
    return this;
  }

  column(slot: number): Vector {
    const known = this.cached[slot];
    if (known) return known;
    while (this.cached.length <= slot) {
      this.cached.push(null);
      this.scratch.push(new Scratch());
    }
    const vector = gather(this.input!.column(slot), this.chosen, this.rows, this.scratch[slot]!);
    this.cached[slot] = vector;
    return vector;
  }
}

/** values[i] = vector[chosen[i]] for i < rows. */
export function gather(vector: Vector, chosen: Int32Array, rows: number, scratch: Scratch): Vector {
  switch (vector.kind) {
    case 'int':
    case 'float': {
      const from = vector.values;
      const to = scratch.floats(rows);
      gatherInto(to, from, chosen, rows);
      return vector.kind === 'int' ? intVector(to, vector.base) : floatVector(to);
    }
    case 'wide': {
      const to = scratch.bigints(rows);
      const source = new Int32Array(vector.values.buffer, vector.values.byteOffset, vector.values.length * 2);
      const target = new Int32Array(to.buffer, to.byteOffset, to.length * 2);
      for (let i = 0; i < rows; i++) {
        const row = chosen[i]!;
        target[2 * i] = source[2 * row]!;
        target[2 * i + 1] = source[2 * row + 1]!;
      }
      return wideVector(to);
    }
    case 'bool': {
      const from = vector.values;
      const to = scratch.bytes(rows);
      for (let i = 0; i < rows; i++) to[i] = from[chosen[i]!]!;
      return boolVector(to);
    }
    case 'text': {
      const from = vector.values;
      if (vector.isConstant && from.length >= rows) return vector;
      const to = scratch.codes(rows);
      for (let i = 0; i < rows; i++) to[i] = from[chosen[i]!]!;
      return textVector(to);
    }
  }
}

/** 0, 1, 2, …: the rows of a block in their order. Never written. */
export const ROW_NUMBERS: Int32Array = Int32Array.from({ length: BLOCK_ROWS }, (_, i) => i);

/** The first `rows` rows of a block. */
export class Head implements Block {
  readonly rows: number;
  private readonly input: Block;

  constructor(input: Block, rows: number) {
    this.input = input;
    this.rows = rows;
  }

  column(slot: number): Vector {
    return this.input.column(slot);
  }
}
