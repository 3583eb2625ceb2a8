// What: tuples of values as 32-bit words, and a hash table from such tuples to dense numbers.
// Why: GROUP BY, DISTINCT, joins, IN and set operations all ask "which one is this?"; one table answers for every type.
// Invariant: two tuples have the same words exactly when SQL holds them for not distinct; NULL is a value here.

import { NULL_INT64 } from '../columns/types.ts';
import { type Budget, CHECK_STEPS } from './run.ts';
import type { Scratch } from './scratch.ts';
import {
  boolVector,
  floatVector,
  type IntegerVector,
  intVector,
  type Kind,
  textVector,
  type Vector,
  wideVector,
} from './vector.ts';

const TWO_32 = 2 ** 32;
const NULL_LOW = 0;
const NULL_HIGH = -2147483648;

const wordsOf: Readonly<Record<Kind, number>> = { int: 2, float: 2, bool: 1, text: 1 };

/** Words per tuple of these kinds. */
export const tupleWords = (kinds: readonly Kind[]): number =>
  kinds.reduce((sum, kind) => sum + wordsOf[kind], 0);

/** Writes the tuples of rows [0, rows) one after the other. */
export function encodeTuples(vectors: readonly Vector[], rows: number, words: Int32Array): void {
  const width = vectors.reduce((sum, vector) => sum + (vector.kind === 'wide' ? 2 : wordsOf[vector.kind]), 0);
  let at = 0;
  for (const vector of vectors) {
    encode(vector, rows, words, at, width);
    at += vector.kind === 'wide' ? 2 : wordsOf[vector.kind];
  }
}

function encode(vector: Vector, rows: number, words: Int32Array, at: number, width: number): void {
  switch (vector.kind) {
    case 'int':
      encodeInts(vector.values, vector.base, rows, words, at, width);
      break;
    case 'wide': {
      const { buffer, byteOffset } = vector.values;
      copyPairs(new Int32Array(buffer, byteOffset, rows * 2), rows, words, at, width);
      break;
    }
    case 'float':
      encodeFloats(vector.values, rows, words, at, width);
      break;
    case 'bool':
    case 'text': {
      const { values } = vector;
      for (let i = 0, w = at; i < rows; i++, w += width) words[w] = values[i]!;
    }
  }
}

function encodeInts(
  values: Float64Array,
  base: bigint,
  rows: number,
  words: Int32Array,
  at: number,
  width: number,
): void {
  const baseLow = Number(BigInt.asUintN(32, base));
  const baseHigh = Number(BigInt.asIntN(64, base) >> 32n);
  for (let i = 0, w = at; i < rows; i++, w += width) {
    const value = values[i]!;
    if (Number.isNaN(value)) {
      words[w] = NULL_LOW;
      words[w + 1] = NULL_HIGH;
    } else {
      const sum = value + baseLow;
      words[w] = sum | 0;
      words[w + 1] = (Math.floor(sum / TWO_32) + baseHigh) | 0;
    }
  }
}

function copyPairs(pairs: Int32Array, rows: number, words: Int32Array, at: number, width: number): void {
  for (let i = 0, w = at; i < rows; i++, w += width) {
    words[w] = pairs[2 * i]!;
    words[w + 1] = pairs[2 * i + 1]!;
  }
}

const oneFloat = new Float64Array(1);
const oneFloatWords = new Int32Array(oneFloat.buffer);

/** One NaN for NULL, one zero. */
function encodeFloats(
  values: Float64Array,
  rows: number,
  words: Int32Array,
  at: number,
  width: number,
): void {
  for (let i = 0, w = at; i < rows; i++, w += width) {
    const value = values[i]!;
    oneFloat[0] = value === 0 ? 0 : Number.isNaN(value) ? Number.NaN : value;
    words[w] = oneFloatWords[0]!;
    words[w + 1] = oneFloatWords[1]!;
  }
}

/** The values at word `at` of `count` tuples, as a vector. */
export function decodeTuples(
  words: Int32Array,
  count: number,
  at: number,
  width: number,
  kind: Kind,
): Vector {
  switch (kind) {
    case 'int':
    case 'float': {
      const pairs = new Int32Array(count * 2);
      for (let i = 0, w = at; i < count; i++, w += width) {
        pairs[2 * i] = words[w]!;
        pairs[2 * i + 1] = words[w + 1]!;
      }
      if (kind === 'float') return floatVector(new Float64Array(pairs.buffer));
      return narrowed(wideVector(new BigInt64Array(pairs.buffer)), count);
    }
    case 'bool': {
      const values = new Uint8Array(count);
      for (let i = 0, w = at; i < count; i++, w += width) values[i] = words[w]!;
      return boolVector(values);
    }
    case 'text': {
      const values = new Uint32Array(count);
      for (let i = 0, w = at; i < count; i++, w += width) values[i] = words[w]!;
      return textVector(values);
    }
  }
}

/** The same integers as doubles from the first of them, when they all fit. */
export function narrowed(vector: Vector & { kind: 'wide' }, rows: number): IntegerVector {
  const pairs = new Int32Array(vector.values.buffer, vector.values.byteOffset, rows * 2);
  let first = 0;
  while (first < rows && vector.values[first] === NULL_INT64) first++;
  if (first === rows) return intVector(new Float64Array(rows).fill(Number.NaN));
  const start = vector.values[first]!;
  const isSmall = start <= 2n ** 52n && start >= -(2n ** 52n);
  const base = isSmall ? 0n : start;
  const baseLow = isSmall ? 0 : pairs[2 * first]! >>> 0;
  const baseHigh = isSmall ? 0 : pairs[2 * first + 1]!;
  const values = new Float64Array(rows);
  for (let i = 0; i < rows; i++) {
    const low = pairs[2 * i]!;
    const high = pairs[2 * i + 1]!;
    const value =
      low === NULL_LOW && high === NULL_HIGH
        ? Number.NaN
        : (high - baseHigh) * TWO_32 + ((low >>> 0) - baseLow);
    if (value > 2 ** 52 || value < -(2 ** 52)) return vector;
    values[i] = value;
  }
  return intVector(values, base);
}

/** Distinct tuples, numbered from 0 in the order in which they were met. */
export class KeyTable {
  readonly width: number;
  count = 0;
  /** The tuples in the order of their numbers. */
  words: Int32Array;
  private readonly budget: Budget;
  /** Number of a tuple by slot, −1 free; at most half full. */
  private slots: Int32Array;
  private hashes: Int32Array;

  constructor(width: number, budget: Budget) {
    this.width = width;
    this.budget = budget;
    this.words = new Int32Array(16 * width);
    this.hashes = new Int32Array(16);
    this.slots = new Int32Array(64).fill(-1);
    budget.reserve(this.bytes);
  }

  /** ids[row] = number of the tuple of each row; a tuple that is new gets the next number. */
  numbersOf(tuples: Int32Array, rows: number, ids: Int32Array): void {
    const { width } = this;
    let last = -1;
    for (let row = 0, at = 0; row < rows; row++, at += width) {
      // Neighbours mostly share their key: rows come by symbol and time.
      if (last >= 0 && same(tuples, at, tuples, at - width, width)) ids[row] = last;
      else {
        last = this.numberOf(tuples, at);
        ids[row] = last;
      }
    }
  }

  /**
   * ids[row] = number of each row's key; `add`: what is not here is added, else it has −1. A key that is the same in all
   * rows is looked up once; returns whether it is.
   */
  numberRows(
    vectors: readonly Vector[],
    rows: number,
    ids: Int32Array,
    words: Scratch,
    add: boolean,
  ): boolean {
    const isConstant = vectors.every((vector) => vector.kind === 'text' && vector.isConstant);
    const count = isConstant ? 1 : rows;
    const tuples = words.integers(count * this.width);
    encodeTuples(vectors, count, tuples);
    if (add) this.numbersOf(tuples, count, ids);
    else this.findAll(tuples, count, ids);
    if (isConstant) ids.fill(ids[0]!, 1, rows);
    return isConstant;
  }

  /** As `numbersOf`, but −1 for a tuple that is not here. */
  findAll(tuples: Int32Array, rows: number, ids: Int32Array): void {
    const { width } = this;
    let last = -1;
    for (let row = 0, at = 0; row < rows; row++, at += width) {
      if (row === 0 || !same(tuples, at, tuples, at - width, width))
        last = this.find(tuples, at, hashOf(tuples, at, width));
      ids[row] = last;
    }
  }

  numberOf(tuples: Int32Array, at: number): number {
    const hash = hashOf(tuples, at, this.width);
    const found = this.find(tuples, at, hash);
    return found >= 0 ? found : this.add(tuples, at, hash);
  }

  release(): void {
    this.budget.release(this.bytes);
    this.words = new Int32Array(0);
    this.hashes = new Int32Array(0);
    this.slots = new Int32Array(0);
  }

  get bytes(): number {
    return this.words.byteLength + this.hashes.byteLength + this.slots.byteLength;
  }

  private find(tuples: Int32Array, at: number, hash: number): number {
    const { slots, hashes, words, width } = this;
    const mask = slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const number = slots[slot]!;
      if (number < 0) return -1;
      if (hashes[number] === hash && same(words, number * width, tuples, at, width)) return number;
    }
  }

  private add(tuples: Int32Array, at: number, hash: number): number {
    const number = this.count++;
    if (number === this.hashes.length) this.grow();
    this.hashes[number] = hash;
    const to = number * this.width;
    for (let i = 0; i < this.width; i++) this.words[to + i] = tuples[at + i]!;
    this.place(number, hash);
    return number;
  }

  private place(number: number, hash: number): void {
    const mask = this.slots.length - 1;
    let slot = hash & mask;
    while (this.slots[slot]! >= 0) slot = (slot + 1) & mask;
    this.slots[slot] = number;
  }

  private grow(): void {
    const before = this.bytes;
    const capacity = this.hashes.length * 2;
    this.budget.reserve(before);
    this.words = larger(this.words, capacity * this.width);
    this.hashes = larger(this.hashes, capacity);
    this.slots = new Int32Array(this.slots.length * 2).fill(-1);
    for (let from = 0; from < this.count - 1; from += CHECK_STEPS) {
      this.budget.check();
      const to = Math.min(this.count - 1, from + CHECK_STEPS);
      for (let number = from; number < to; number++) this.place(number, this.hashes[number]!);
    }
  }
}

function larger(array: Int32Array, length: number): Int32Array {
  const next = new Int32Array(length);
  next.set(array);
  return next;
}

function same(left: Int32Array, l: number, right: Int32Array, r: number, width: number): boolean {
  for (let i = 0; i < width; i++) if (left[l + i] !== right[r + i]) return false;
  return true;
}

function hashOf(words: Int32Array, at: number, width: number): number {
  let hash = 0x2f7a9c35;
  for (let i = 0; i < width; i++) {
    hash = Math.imul(hash ^ words[at + i]!, 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return hash;
}
