// What: FILL: the empty buckets of SAMPLE BY between a series' first and last.
// Why: a chart wants a point for each minute, trades or not.
// Invariant: rows that came in come out unchanged; rows come by bucket, then in the order of the series.

import type { Fill } from '../sql/ast.ts';
import { isFloat } from '../sql/type-rules.ts';
import type { SqlType } from '../sql/types.ts';
import { type Block, Columns, each, type Flow, type Operator, Selection } from './block.ts';
import { roundedQuotient } from './expression/cast.ts';
import { KeptRows } from './kept-column.ts';
import { encodeTuples, KeyTable, tupleWords } from './keys.ts';
import { vectorsOf } from './rows.ts';
import type { Run } from './run.ts';
import { Scratch } from './scratch.ts';
import { sorted } from './sort.ts';
import {
  bigintAt,
  constantVector,
  type IntegerVector,
  isNullAt,
  kindOf,
  type Scalar,
  scalarAt,
  scaleOf,
  type Vector,
} from './vector.ts';

/**
 * Columns: the bucket, the other keys (`keyCount` with the bucket), then measures with a rule each; null: NULL. Input rows
 * come by bucket.
 */
export function filled(
  input: Operator,
  keyCount: number,
  everyNs: bigint,
  rules: readonly (Fill | null)[],
): Operator {
  const unordered: Operator = {
    types: input.types,
    label: 'Fill',
    details: () => [rules.map((rule) => rule?.kind ?? 'null').join(', ')],
    inputs: [input],
    open: (run) => fill(input, keyCount, everyNs, rules, run),
  };
  return sorted(unordered, [{ slot: 0, descending: false, nullsFirst: false }]);
}

function* fill(
  input: Operator,
  keyCount: number,
  everyNs: bigint,
  rules: readonly (Fill | null)[],
  run: Run,
): Flow {
  const { types } = input;
  const kinds = types.map(kindOf);
  const table = new KeyTable(tupleWords(kinds.slice(1, keyCount)), run.budget);
  const [words, ids] = [new Scratch(), new Scratch()];
  const series: KeptRows[] = [];
  yield* each(input.open(run), (block) => {
    const vectors = vectorsOf(block, types.length);
    const tuples = words.integers(block.rows * table.width);
    const numbers = ids.integers(block.rows);
    encodeTuples(vectors.slice(1, keyCount), block.rows, tuples);
    table.numbersOf(tuples, block.rows, numbers);
    while (series.length < table.count) series.push(new KeptRows(kinds, run.budget));
    for (let row = 0; row < block.rows; row++) {
      const rows = series[numbers[row]!]!;
      rows.put(rows.rows, vectors, row);
    }
  });
  // NONE among other rules: a bucket that it leaves out is missing for all of them.
  if (rules.some((rule) => rule?.kind === 'none')) {
    for (const rows of series) yield* gapless(rows, keyCount, everyNs, null, types, run);
    return;
  }
  for (const rows of series) yield* gapless(rows, keyCount, everyNs, rules, types, run);
}

/** One series with its gaps filled; `rules` null: as it is. */
function* gapless(
  kept: KeptRows,
  keyCount: number,
  everyNs: bigint,
  rules: readonly (Fill | null)[] | null,
  types: readonly SqlType[],
  run: Run,
): Flow {
  const vectors = kept.vectors();
  const buckets = vectors[0] as IntegerVector;
  const all = new Columns(kept.rows, vectors);
  const selection = new Selection();
  const one = new Int32Array(1);
  for (let row = 0; row < kept.rows; row++) {
    one[0] = row;
    yield selection.set(all, one, 1);
    if (row + 1 === kept.rows || rules === null) continue;
    const from = bigintAt(buckets, row)!;
    const steps = Number((bigintAt(buckets, row + 1)! - from) / everyNs);
    for (let step = 1; step < steps; step++) {
      if (step % 1024 === 0) run.check();
      yield gapRow(vectors, keyCount, row, from + BigInt(step) * everyNs, [step, steps], rules, types);
    }
  }
  kept.release();
}

/** The row of an empty bucket after `row`; `way`: how far it is to the next row, as a fraction. */
function gapRow(
  vectors: readonly Vector[],
  keyCount: number,
  row: number,
  bucket: bigint,
  way: Way,
  rules: readonly (Fill | null)[],
  types: readonly SqlType[],
): Block {
  return new Columns(
    1,
    vectors.map((vector, i) => {
      const kind = kindOf(types[i]!);
      if (i === 0) return constantVector(kind, bucket, 1);
      if (i < keyCount) return constantVector(kind, scalarAt(vector, row), 1);
      return constantVector(kind, fillValue(rules[i - keyCount] ?? null, vector, row, way, types[i]!), 1);
    }),
  );
}

function fillValue(rule: Fill | null, vector: Vector, row: number, way: Way, type: SqlType): Scalar {
  switch (rule?.kind) {
    case 'prev':
      return scalarAt(vector, row);
    case 'linear':
      return interpolated(vector, row, way, type);
    case 'value':
      return literalIn(rule.value!, type);
    default:
      return null;
  }
}

type Way = readonly [steps: number, ofSteps: number];

/** Whole units of an integer or decimal, rounded halves away from zero. */
function interpolated(vector: Vector, row: number, [step, steps]: Way, type: SqlType): Scalar {
  if (isNullAt(vector, row) || isNullAt(vector, row + 1)) return null;
  if (isFloat(type)) {
    const [from, to] = [vector.values[row] as number, vector.values[row + 1] as number];
    return from + (to - from) * (step / steps);
  }
  const [from, to] = [bigintAt(vector as IntegerVector, row)!, bigintAt(vector as IntegerVector, row + 1)!];
  return from + roundedQuotient((to - from) * BigInt(step), BigInt(steps));
}

function literalIn(value: NonNullable<Fill['value']>, type: SqlType): Scalar {
  const number = value.kind === 'decimal' ? Number(value.unscaled) / 10 ** value.scale : Number(value.value);
  if (isFloat(type)) return number;
  const scale = scaleOf(type);
  if (value.kind === 'integer') return value.value * 10n ** BigInt(scale);
  if (value.kind === 'float') return BigInt(Math.round(number * 10 ** scale));
  return value.scale <= scale
    ? value.unscaled * 10n ** BigInt(scale - value.scale)
    : roundedQuotient(value.unscaled, 10n ** BigInt(value.scale - scale));
}
