// What: ORDER BY: rows kept, their keys as words whose order is the rows', the words sorted by radix.
// Why: one sort for all types, stable and linear; digits in which all rows agree cost nothing.
// Invariant: equal keys keep the order of the input; NULLs stand where NULLS FIRST or LAST says.

import { NULL_CODE } from '../columns/types.ts';
import { type Block, Columns, each, type Flow, gather, type Operator } from './block.ts';
import { KeptRows } from './kept-column.ts';
import { encodeTuples, tupleWords } from './keys.ts';
import { nearOrder, rowNumbers } from './near-order.ts';
import { vectorsOf } from './rows.ts';
import { CHECK_STEPS, type Run } from './run.ts';
import { Scratch } from './scratch.ts';
import { compareTexts } from './texts.ts';
import { BLOCK_ROWS, isNullAt, kindOf, type TextVector, type Vector } from './vector.ts';

export interface SortKey {
  readonly slot: number;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

/** `limit`: rows that will be asked for at most; others need not be kept. */
export function sorted(
  input: Operator,
  keys: readonly SortKey[],
  limit = Number.POSITIVE_INFINITY,
): Operator {
  return {
    types: input.types,
    label: limit === Number.POSITIVE_INFINITY ? 'Sort' : `Top ${limit}`,
    details: () => [
      keys.map(({ slot, descending }) => `column ${slot + 1}${descending ? ' desc' : ''}`).join(', '),
    ],
    inputs: [input],
    open: (run) => keptInOrder(input, keys, limit, run),
  };
}

function* keptInOrder(input: Operator, keys: readonly SortKey[], limit: number, run: Run): Flow {
  const kinds = input.types.map(kindOf);
  let kept = new KeptRows(kinds, run.budget);
  // Rows beyond the limit are thrown away whenever this many have come together.
  const keepMax = Math.max(4 * BLOCK_ROWS, 4 * limit);
  yield* each(input.open(run), (block) => {
    kept.append(vectorsOf(block, kinds.length), 0, block.rows);
    if (kept.rows >= keepMax) {
      run.check();
      const next = new KeptRows(kinds, run.budget);
      const order = orderOf(kept.vectors(), keys, kept.rows, run);
      next.appendChosen(kept.vectors(), order, Math.min(limit, kept.rows));
      kept.release();
      kept = next;
    }
  });
  run.check();
  const order = orderOf(kept.vectors(), keys, kept.rows, run);
  yield* inOrder(kept.vectors(), order, Math.min(limit, kept.rows), run);
  kept.release();
}

/** The rows order[0, rows) as blocks. */
export function* inOrder(vectors: readonly Vector[], order: Int32Array, rows: number, run: Run): Flow {
  const scratch = vectors.map(() => new Scratch());
  for (let from = 0; from < rows; from += BLOCK_ROWS) {
    run.check();
    const count = Math.min(BLOCK_ROWS, rows - from);
    const chosen = order.subarray(from, from + count);
    const block: Block = new Columns(
      count,
      vectors.map((vector, i) => gather(vector, chosen, count, scratch[i]!)),
    );
    yield block;
  }
}

/** Row numbers in the order of the keys. */
export function orderOf(
  vectors: readonly Vector[],
  keys: readonly SortKey[],
  rows: number,
  run: Run,
): Int32Array {
  const near = rows < 2 || keys.length === 0 ? null : nearOrder(vectors, keys, rows, run);
  if (near !== null) return near;
  let order = rowNumbers(rows);
  if (rows < 2 || keys.length === 0) return order;
  run.budget.reserve(rows * 16);
  let spare: Int32Array = new Int32Array(rows);
  const words = keys.flatMap((key) => sortWords(vectors[key.slot]!, key, rows, run));
  if (rows <= FEW_ROWS) order.sort((a, b) => compareWords(words, a, b));
  else if (!isInOrder(words, rows)) {
    // The last word is the least important: each pass is stable, so the first one's order wins.
    for (const word of words.reverse()) [order, spare] = radixSorted(word, order, spare, run);
  }
  run.budget.release(rows * 16);
  return order;
}

/** Unsigned words, most important first, whose order is that of the values. */
function sortWords(vector: Vector, key: SortKey, rows: number, run: Run): Uint32Array[] {
  run.check();
  const words = valueWords(vector, rows, run);
  run.check();
  if (key.descending) for (const word of words) for (let i = 0; i < rows; i++) word[i] = ~word[i]!;
  let hasNull = false;
  const nulls = new Uint32Array(rows);
  for (let i = 0; i < rows; i++) {
    if (!isNullAt(vector, i)) continue;
    hasNull = true;
    nulls[i] = 1;
    for (const word of words) word[i] = 0;
  }
  if (!hasNull) return words;
  if (key.nullsFirst) for (let i = 0; i < rows; i++) nulls[i] = 1 - nulls[i]!;
  return [nulls, ...words];
}

function valueWords(vector: Vector, rows: number, run: Run): Uint32Array[] {
  switch (vector.kind) {
    case 'bool':
      return [Uint32Array.from(vector.values.subarray(0, rows))];
    case 'text':
      return [textRanks(vector, rows, run)];
  }
  const pairs = new Int32Array(rows * tupleWords(['int']));
  encodeTuples([vector], rows, pairs);
  const high = new Uint32Array(rows);
  const low = new Uint32Array(rows);
  const isFloat = vector.kind === 'float';
  for (let i = 0; i < rows; i++) {
    const top = pairs[2 * i + 1]!;
    // A negative float's bits count downwards.
    const flip = isFloat && top < 0;
    high[i] = flip ? ~top : top ^ 0x80000000;
    low[i] = flip ? ~pairs[2 * i]! : pairs[2 * i]!;
  }
  return [high, low];
}

/** The place of each row's text among the distinct ones. */
function textRanks({ values }: TextVector, rows: number, run: Run): Uint32Array {
  const ranks = new Map<number, number>();
  for (let i = 0; i < rows; i++) {
    run.tick();
    if (values[i] !== NULL_CODE) ranks.set(values[i]!, 0);
  }
  const distinct = Array.from(ranks.keys(), (code) => {
    run.tick();
    return { code, text: run.texts.textOf(code) };
  });
  distinct.sort((a, b) => {
    run.tick();
    run.budget.took(Math.min(a.text.length, b.text.length));
    return compareTexts(a.text, b.text);
  });
  distinct.forEach(({ code }, rank) => {
    run.tick();
    ranks.set(code, rank);
  });
  const out = new Uint32Array(rows);
  for (let i = 0; i < rows; i++) {
    run.tick();
    out[i] = ranks.get(values[i]!) ?? 0;
  }
  return out;
}

/** Rows mostly come by symbol and time already. */
function isInOrder(words: readonly Uint32Array[], rows: number): boolean {
  for (let i = 1; i < rows; i++) {
    for (const word of words) {
      if (word[i]! > word[i - 1]!) break;
      if (word[i]! < word[i - 1]!) return false;
    }
  }
  return true;
}

/** Up to here, counting digits costs more than comparing. */
const FEW_ROWS = 256;

function compareWords(words: readonly Uint32Array[], a: number, b: number): number {
  for (const word of words) if (word[a] !== word[b]) return word[a]! - word[b]!;
  return a - b;
}

const DIGIT_BITS = 11;
const DIGITS = 1 << DIGIT_BITS;
const DIGIT_SHIFTS = [0, DIGIT_BITS, 2 * DIGIT_BITS] as const;

/** `order` stably sorted by word[row]: the sorted array, and the other one. */
function radixSorted(
  word: Uint32Array,
  order: Int32Array,
  spare: Int32Array,
  run: Run,
): [Int32Array, Int32Array] {
  const rows = order.length;
  const starts = new Int32Array(DIGITS);
  let from = order;
  let to = spare;
  for (const shift of DIGIT_SHIFTS) {
    starts.fill(0);
    for (let at = 0; at < rows; at += CHECK_STEPS) {
      run.check();
      const end = Math.min(rows, at + CHECK_STEPS);
      for (let i = at; i < end; i++) starts[(word[from[i]!]! >>> shift) & (DIGITS - 1)]!++;
    }
    let start = 0;
    let isConstant = false;
    for (let digit = 0; digit < DIGITS; digit++) {
      const count = starts[digit]!;
      if (count === rows) isConstant = true;
      starts[digit] = start;
      start += count;
    }
    if (isConstant) continue;
    for (let at = 0; at < rows; at += CHECK_STEPS) {
      run.check();
      const end = Math.min(rows, at + CHECK_STEPS);
      for (let i = at; i < end; i++) {
        const row = from[i]!;
        to[starts[(word[row]! >>> shift) & (DIGITS - 1)]!++] = row;
      }
    }
    [from, to] = [to, from];
  }
  return [from, to];
}
