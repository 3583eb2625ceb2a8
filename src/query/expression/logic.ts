// What: AND, OR, NOT, IS NULL, CASE and the functions that choose among their arguments.
// Why: three-valued logic in one place, and branches that are evaluated only for the rows that take them.
// Invariant: an error in a branch is raised only for a row that needs the branch.

import { NULL_BOOL, NULL_CODE, NULL_INT64 } from '../../columns/types.ts';
import { BOOL, type SqlType } from '../../sql/types.ts';
import { type Block, Columns, gather, Selection } from '../block.ts';
import { Scratch } from '../scratch.ts';
import {
  type BoolVector,
  bigintAt,
  boolVector,
  floatVector,
  type IntegerVector,
  intVector,
  isNullAt,
  type Kind,
  kindOf,
  textVector,
  type Vector,
  wideVector,
} from '../vector.ts';
import { type Compiled, coerced, node } from './compiled.ts';

/** AND: the first operand that is false decides; OR: the first that is true. Later operands see undecided rows only. */
export function compileLogical(operator: 'AND' | 'OR', operands: readonly Compiled[]): Compiled {
  const decisive = operator === 'AND' ? 0 : 1;
  const scratch = new Scratch();
  const open = new Scratch();
  const selection = new Selection();
  return node(BOOL, operands, (block) => {
    const { rows } = block;
    const out = scratch.bytes(rows);
    out.set((operands[0]!.evaluate(block) as BoolVector).values.subarray(0, rows));
    const undecided = open.integers(rows);
    for (let k = 1; k < operands.length; k++) {
      let count = 0;
      for (let i = 0; i < rows; i++) if (out[i] !== decisive) undecided[count++] = i;
      if (count === 0) break;
      const part = count === rows ? block : selection.set(block, undecided, count);
      const { values } = operands[k]!.evaluate(part) as BoolVector;
      for (let j = 0; j < count; j++) {
        const i = undecided[j]!;
        // 0 and NULL is 0; NULL and 1 is NULL; and the other way round for OR.
        if (values[j] === decisive || out[i] !== NULL_BOOL) out[i] = values[j]!;
      }
    }
    return boolVector(out);
  });
}

export function compileNot(operand: Compiled): Compiled {
  const scratch = new Scratch();
  return node(BOOL, [operand], (block) => {
    const { rows } = block;
    const out = scratch.bytes(rows);
    const { values } = operand.evaluate(block) as BoolVector;
    for (let i = 0; i < rows; i++) out[i] = values[i] === NULL_BOOL ? NULL_BOOL : 1 - values[i]!;
    return boolVector(out);
  });
}

export function compileIsNull(operand: Compiled, negated: boolean): Compiled {
  const scratch = new Scratch();
  return node(BOOL, [operand], (block) => {
    const { rows } = block;
    const out = scratch.bytes(rows);
    const vector = operand.evaluate(block);
    for (let i = 0; i < rows; i++) out[i] = isNullAt(vector, i) === negated ? 0 : 1;
    return boolVector(out);
  });
}

export interface Branch {
  readonly when: Compiled;
  readonly result: Compiled;
}

/** CASE WHEN … THEN … ELSE … END; `otherwise` null is NULL. Results are coerced to `type`. */
export function compileCase(
  branches: readonly Branch[],
  otherwise: Compiled | null,
  type: SqlType,
  at: number,
): Compiled {
  const results = branches.map(({ result }) => coerced(result, type, at));
  const last = otherwise === null ? null : coerced(otherwise, type, at);
  const merger = new Merger(kindOf(type));
  const selection = new Selection();
  const selected = new Selection();
  const [openRows, takenRows, ownRows] = [new Scratch(), new Scratch(), new Scratch()];
  const operands = [...branches.map(({ when }) => when), ...results, ...(last === null ? [] : [last])];
  return node(type, operands, (block) => {
    const { rows } = block;
    merger.start(rows);
    let open = openRows.integers(rows);
    let count = rows;
    for (let i = 0; i < rows; i++) open[i] = i;
    for (let k = 0; k < branches.length && count > 0; k++) {
      const part: Block = count === rows ? block : selection.set(block, open, count);
      const { values } = branches[k]!.when.evaluate(part) as BoolVector;
      const taken = takenRows.integers(rows);
      let takenCount = 0;
      let openCount = 0;
      const next = ownRows.integers(rows);
      for (let j = 0; j < count; j++) {
        if (values[j] === 1) taken[takenCount++] = open[j]!;
        else next[openCount++] = open[j]!;
      }
      if (takenCount > 0) {
        const rowsTaken: Block = takenCount === rows ? block : selected.set(block, taken, takenCount);
        merger.put(results[k]!.evaluate(rowsTaken), taken, takenCount);
      }
      open = openRows.integers(rows);
      open.set(next.subarray(0, openCount));
      count = openCount;
    }
    if (last !== null && count > 0) {
      const part: Block = count === rows ? block : selected.set(block, open, count);
      merger.put(last.evaluate(part), open, count);
    }
    return merger.finish();
  });
}

/** A vector put together from parts; rows that no part covers are NULL. */
export class Merger {
  private readonly kind: Kind;
  private readonly scratch = new Scratch();
  private rows = 0;
  /** Integers: null until the first part, then that part's base, for as long as all have it. */
  private base: bigint | null = null;
  private wide = false;

  constructor(kind: Kind) {
    this.kind = kind;
  }

  start(rows: number): void {
    this.rows = rows;
    this.base = null;
    this.wide = false;
    if (this.kind === 'bool') this.scratch.bytes(rows).fill(NULL_BOOL, 0, rows);
    else if (this.kind === 'text') this.scratch.codes(rows).fill(NULL_CODE, 0, rows);
    else this.scratch.floats(rows).fill(Number.NaN, 0, rows);
  }

  /** result[rows[j]] = vector[j] for j < count. */
  put(vector: Vector, rows: Int32Array, count: number): void {
    if (this.kind === 'int') this.putIntegers(vector as IntegerVector, rows, count);
    else {
      const out = this.values() as Uint8Array;
      const from = vector.values;
      for (let j = 0; j < count; j++) out[rows[j]!] = (from as Uint8Array)[j]!;
    }
  }

  finish(): Vector {
    const values = this.values();
    switch (this.kind) {
      case 'int':
        return this.wide
          ? wideVector(values as BigInt64Array)
          : intVector(values as Float64Array, this.base ?? 0n);
      case 'float':
        return floatVector(values as Float64Array);
      case 'bool':
        return boolVector(values as Uint8Array);
      case 'text':
        return textVector(values as Uint32Array);
    }
  }

  private values(): Vector['values'] {
    if (this.kind === 'bool') return this.scratch.bytes(this.rows);
    if (this.kind === 'text') return this.scratch.codes(this.rows);
    return this.wide ? this.scratch.bigints(this.rows) : this.scratch.floats(this.rows);
  }

  private putIntegers(vector: IntegerVector, rows: Int32Array, count: number): void {
    if (!this.wide && vector.kind === 'int' && (this.base ?? vector.base) === vector.base) {
      this.base = vector.base;
      const out = this.scratch.floats(this.rows);
      for (let j = 0; j < count; j++) out[rows[j]!] = vector.values[j]!;
      return;
    }
    this.widen();
    const out = this.scratch.bigints(this.rows);
    for (let j = 0; j < count; j++) out[rows[j]!] = bigintAt(vector, j) ?? NULL_INT64;
  }

  private widen(): void {
    if (this.wide) return;
    const narrow = intVector(this.scratch.floats(this.rows), this.base ?? 0n);
    const out = this.scratch.bigints(this.rows);
    for (let i = 0; i < this.rows; i++) out[i] = bigintAt(narrow, i) ?? NULL_INT64;
    this.wide = true;
  }
}

/** The first argument that is not NULL; later ones are evaluated for the rows that still need one. */
export function compileCoalesce(args: readonly Compiled[], type: SqlType, at: number): Compiled {
  const values = args.map((arg) => coerced(arg, type, at));
  const merger = new Merger(kindOf(type));
  const selection = new Selection();
  const [openRows, takenRows, chosenRows, part] = [
    new Scratch(),
    new Scratch(),
    new Scratch(),
    new Scratch(),
  ];
  return node(type, values, (block) => {
    const { rows } = block;
    merger.start(rows);
    const open = openRows.integers(rows);
    const taken = takenRows.integers(rows);
    for (let i = 0; i < rows; i++) open[i] = i;
    let count = rows;
    for (const value of values) {
      if (count === 0) break;
      const vector = value.evaluate(count === rows ? block : selection.set(block, open, count));
      const chosen = chosenRows.integers(count);
      let takenCount = 0;
      let openCount = 0;
      for (let j = 0; j < count; j++) {
        if (isNullAt(vector, j)) open[openCount++] = open[j]!;
        else {
          taken[takenCount] = open[j]!;
          chosen[takenCount++] = j;
        }
      }
      merger.put(gather(vector, chosen, takenCount, part), taken, takenCount);
      count = openCount;
    }
    return merger.finish();
  });
}

/** GREATEST and LEAST: NULLs are left out. `better` compares slot 1 with slot 0. */
export function compileExtreme(
  args: readonly Compiled[],
  type: SqlType,
  better: Compiled,
  at: number,
): Compiled {
  const values = args.map((arg) => coerced(arg, type, at));
  const merger = new Merger(kindOf(type));
  const chosenRows = new Scratch();
  const part = new Scratch();
  return node(type, values, (block) => {
    const { rows } = block;
    merger.start(rows);
    for (const value of values) {
      const vector = value.evaluate(block);
      const best = merger.finish();
      const isBetter = better.evaluate(new Columns(rows, [best, vector])) as BoolVector;
      const chosen = chosenRows.integers(rows);
      let count = 0;
      for (let i = 0; i < rows; i++)
        if (isBetter.values[i] === 1 || (isNullAt(best, i) && !isNullAt(vector, i))) chosen[count++] = i;
      merger.put(gather(vector, chosen, count, part), chosen, count);
    }
    return merger.finish();
  });
}
