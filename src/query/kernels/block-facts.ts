// What: sums and extremes of short blocks of a run's rows, kept from query to query; a range is told from them and its edges.
// Why: bars and time ranges should cost the edges of what was looked at before, not its rows.
// Invariant: what is told is what the rows themselves give, or nothing; rows that have facts never change.

import { roomFor } from '../aggregate/accumulator.ts';
import { NARROW_MAX } from '../vector.ts';
import { type Extremes, extremesOf, type Products, productsOf, sumOf } from './int64.ts';

/** Of a block: an edge of half a block is read on each side of a range. */
export const FACT_ROWS = 32;

/** More than a table can have. */
const COLUMNS_MAX = 2 ** 16;

/** Takes note of bytes that are going to be kept. */
export type Kept = (bytes: number) => void;

/** A number for each block of a run, of which the first `known` are there; grown when the run has more blocks. */
abstract class Facts {
  protected known = 0;
  /** Whether a block could not be told: then none behind it is. */
  private isEnd = false;
  private room = 0;
  private readonly kept: Kept;
  private readonly bytesPerBlock: number;

  constructor(kept: Kept, numbersPerBlock: number) {
    this.kept = kept;
    this.bytesPerBlock = 8 * numbersPerBlock;
  }

  /** Whether blocks [0, blocks) are known, now that they were looked for. */
  protected reaches(blocks: number, add: (block: number) => boolean): boolean {
    if (blocks > this.room && !this.isEnd) {
      const room = Math.max(blocks, 2 * this.room);
      this.kept((room - this.room) * this.bytesPerBlock);
      this.makeRoom(room);
      this.room = room;
    }
    while (this.known < blocks && !this.isEnd) {
      if (add(this.known)) this.known++;
      else this.isEnd = true;
    }
    return this.known >= blocks;
  }

  protected abstract makeRoom(blocks: number): void;
}

/** The whole blocks in rows [from, to): [first, last); null: too few to be worth it. */
function blocksIn(from: number, to: number): { readonly first: number; readonly last: number } | null {
  const first = Math.ceil(from / FACT_ROWS);
  const last = Math.floor(to / FACT_ROWS);
  return last - first < 2 ? null : { first, last };
}

/** Sums of a column. */
class Sums extends Facts {
  /** Of all rows before block i. */
  private before = new Float64Array(1);

  constructor(kept: Kept) {
    super(kept, 1);
  }

  of(halves: Int32Array, from: number, to: number): number {
    const blocks = blocksIn(from, to);
    if (blocks === null) return sumOf(halves, from, to);
    const { first, last } = blocks;
    if (last > this.known && !this.reaches(last, (block) => this.add(halves, block)))
      return sumOf(halves, from, to);
    const middle = this.before[last]! - this.before[first]!;
    const head = sumOf(halves, from, first * FACT_ROWS);
    const tail = sumOf(halves, last * FACT_ROWS, to);
    return isNarrow(middle, head, tail) ? middle + head + tail : Number.NaN;
  }

  protected override makeRoom(blocks: number): void {
    this.before = roomFor(this.before, blocks + 1);
  }

  private add(halves: Int32Array, block: number): boolean {
    const sum = this.before[block]! + sumOf(halves, block * FACT_ROWS, (block + 1) * FACT_ROWS);
    this.before[block + 1] = sum;
    return Math.abs(sum) <= NARROW_MAX;
  }
}

/** Sums of the products of two columns, and of the second. */
class ProductSums extends Facts {
  private products = new Float64Array(1);
  private sums = new Float64Array(1);
  private readonly out: Products = { products: 0, sum: 0 };

  constructor(kept: Kept) {
    super(kept, 2);
  }

  of(left: Int32Array, right: Int32Array, from: number, to: number, out: Products): boolean {
    const blocks = blocksIn(from, to);
    if (blocks === null) return productsOf(left, right, from, to, out);
    const { first, last } = blocks;
    if (last > this.known && !this.reaches(last, (block) => this.add(left, right, block)))
      return productsOf(left, right, from, to, out);
    if (!productsOf(left, right, from, first * FACT_ROWS, out)) return false;
    const head = out.products;
    const headSum = out.sum;
    if (!productsOf(left, right, last * FACT_ROWS, to, out)) return false;
    const middle = this.products[last]! - this.products[first]!;
    const middleSum = this.sums[last]! - this.sums[first]!;
    const isExact = isNarrow(middle, head, out.products) && isNarrow(middleSum, headSum, out.sum);
    out.products += middle + head;
    out.sum += middleSum + headSum;
    return isExact;
  }

  protected override makeRoom(blocks: number): void {
    this.products = roomFor(this.products, blocks + 1);
    this.sums = roomFor(this.sums, blocks + 1);
  }

  private add(left: Int32Array, right: Int32Array, block: number): boolean {
    const { products, sums, out } = this;
    if (!productsOf(left, right, block * FACT_ROWS, (block + 1) * FACT_ROWS, out)) return false;
    products[block + 1] = products[block]! + out.products;
    sums[block + 1] = sums[block]! + out.sum;
    return Math.abs(products[block + 1]!) <= NARROW_MAX && Math.abs(sums[block + 1]!) <= NARROW_MAX;
  }
}

/** Smallest and largest values of a column. */
class BlockExtremes extends Facts {
  private min = new Float64Array(0);
  private max = new Float64Array(0);
  private readonly out: Extremes = { min: 0, max: 0 };

  constructor(kept: Kept) {
    super(kept, 2);
  }

  of(halves: Int32Array, from: number, to: number, out: Extremes): boolean {
    const blocks = blocksIn(from, to);
    if (blocks === null) return extremesOf(halves, from, to, out);
    const { first, last } = blocks;
    if (last > this.known && !this.reaches(last, (block) => this.add(halves, block)))
      return extremesOf(halves, from, to, out);
    let min = Number.POSITIVE_INFINITY;
    let max = Number.NEGATIVE_INFINITY;
    for (let block = first; block < last; block++) {
      if (this.min[block]! < min) min = this.min[block]!;
      if (this.max[block]! > max) max = this.max[block]!;
    }
    const head = first * FACT_ROWS;
    if (from < head) {
      if (!extremesOf(halves, from, head, out)) return false;
      min = Math.min(min, out.min);
      max = Math.max(max, out.max);
    }
    const tail = last * FACT_ROWS;
    if (tail < to) {
      if (!extremesOf(halves, tail, to, out)) return false;
      min = Math.min(min, out.min);
      max = Math.max(max, out.max);
    }
    out.min = min;
    out.max = max;
    return true;
  }

  protected override makeRoom(blocks: number): void {
    this.min = roomFor(this.min, blocks);
    this.max = roomFor(this.max, blocks);
  }

  private add(halves: Int32Array, block: number): boolean {
    const { out } = this;
    if (!extremesOf(halves, block * FACT_ROWS, (block + 1) * FACT_ROWS, out)) return false;
    this.min[block] = out.min;
    this.max[block] = out.max;
    return true;
  }
}

/** What is kept of one run. Columns are told by their index among the stored ones. */
export class BlockFacts {
  private readonly kept: Kept;
  private readonly sums: Sums[] = [];
  private readonly extremes: BlockExtremes[] = [];
  private readonly products = new Map<number, ProductSums>();

  constructor(kept: Kept) {
    this.kept = kept;
  }

  /** As the function of int64.ts. */
  sumOf(column: number, halves: Int32Array, from: number, to: number): number {
    this.sums[column] ??= new Sums(this.kept);
    return this.sums[column].of(halves, from, to);
  }

  /** As the function of int64.ts. */
  extremesOf(column: number, halves: Int32Array, from: number, to: number, out: Extremes): boolean {
    this.extremes[column] ??= new BlockExtremes(this.kept);
    return this.extremes[column].of(halves, from, to, out);
  }

  /** As the function of int64.ts. */
  productsOf(
    column: number,
    other: number,
    left: Int32Array,
    right: Int32Array,
    from: number,
    to: number,
    out: Products,
  ): boolean {
    const pair = column * COLUMNS_MAX + other;
    let products = this.products.get(pair);
    if (products === undefined) {
      products = new ProductSums(this.kept);
      this.products.set(pair, products);
    }
    return products.of(left, right, from, to, out);
  }
}

const isNarrow = (a: number, b: number, c: number): boolean =>
  Math.abs(a) + Math.abs(b) + Math.abs(c) <= NARROW_MAX;
