// What: count, sum, avg, vwap and the variances.
// Why: these are asked of every tick table; integers and decimals add up exactly.
// Invariant: NULL arguments do not count; without a row, counts are 0 and the rest is NULL.

import { NULL_INT64 } from '../../columns/types.ts';
import { POW10 } from '../../kernel/fixed.ts';
import { withinInt64 } from '../expression/arithmetic.ts';
import { narrowed } from '../keys.ts';
import {
  bigintAt,
  floatVector,
  type IntegerVector,
  intVector,
  isNullAt,
  NARROW_MAX,
  type Vector,
  wideVector,
} from '../vector.ts';
import { type Accumulator, addRowByRow, roomFor, type StatePart } from './accumulator.ts';
import { ExactSums } from './exact-sums.ts';
import { FloatSums } from './float-sums.ts';

export class Count implements Accumulator {
  private counts = new Float64Array(0);

  grow(groups: number): void {
    this.counts = roomFor(this.counts, groups);
  }

  addCount(group: number, rows: number): void {
    this.counts[group]! += rows;
  }

  add([arg]: readonly Vector[], ids: Int32Array, rows: number): void {
    const { counts } = this;
    if (arg === undefined) {
      for (let i = 0; i < rows; i++) if (ids[i]! >= 0) counts[ids[i]!]!++;
    } else {
      for (let i = 0; i < rows; i++) if (ids[i]! >= 0 && !isNullAt(arg, i)) counts[ids[i]!]!++;
    }
  }

  addRun([arg]: readonly Vector[], from: number, to: number, group: number): void {
    let count = to - from;
    if (arg !== undefined) for (let i = from; i < to; i++) if (isNullAt(arg, i)) count--;
    this.counts[group]! += count;
  }

  merge(into: number, source: this, from: number): void {
    this.counts[into]! += source.counts[from]!;
  }

  reset(group: number): void {
    this.counts[group] = 0;
  }

  finish(groups: number): Vector {
    return intVector(this.counts.slice(0, groups));
  }

  parts(groups: number): readonly StatePart[] {
    return [{ name: '', vector: this.finish(groups) }];
  }

  restore([counts]: readonly Vector[], groups: number): void {
    for (let group = 0; group < groups; group++) this.counts[group] = numberAt(counts!, group);
  }
}

abstract class Counted {
  protected counts = new Float64Array(0);

  protected countPart(groups: number): StatePart {
    return { name: 'count', vector: intVector(this.counts.slice(0, groups)) };
  }

  protected restoreCounts(counts: Vector, groups: number): void {
    for (let group = 0; group < groups; group++) this.counts[group] = numberAt(counts, group);
  }

  /** Where it only matters whether there was a value: of those that are NULL there was none. */
  protected restoreIsEmpty(values: Vector, groups: number): void {
    for (let group = 0; group < groups; group++) this.counts[group] = isNullAt(values, group) ? 0 : 1;
  }

  grow(groups: number): void {
    this.counts = roomFor(this.counts, groups);
  }

  merge(into: number, source: this, from: number): void {
    this.counts[into]! += source.counts[from]!;
  }

  reset(group: number): void {
    this.counts[group] = 0;
  }
}

/** A count that came as a part. */
const numberAt = (vector: Vector, row: number): number =>
  Number(bigintAt(vector as IntegerVector, row) ?? 0n);

/** `at`: position for an overflow. */
export class IntegerSum extends Counted implements Accumulator {
  protected readonly sums = new ExactSums();
  private readonly at: number;

  constructor(at: number) {
    super();
    this.at = at;
  }

  override grow(groups: number): void {
    super.grow(groups);
    this.sums.grow(groups);
  }

  /** `sum`, at most NARROW_MAX, of `count` values. */
  addSum(group: number, sum: number, count: number): void {
    this.sums.add(group, sum);
    this.counts[group]! += count;
  }

  add([arg]: readonly Vector[], ids: Int32Array, rows: number): void {
    this.sums.addAll(arg as IntegerVector, ids, rows, this.counts);
  }

  addRun([arg]: readonly Vector[], from: number, to: number, group: number): void {
    this.counts[group]! += this.sums.addRun(arg as IntegerVector, from, to, group);
  }

  override merge(into: number, source: this, from: number): void {
    super.merge(into, source, from);
    this.sums.merge(into, source.sums, from);
  }

  override reset(group: number): void {
    super.reset(group);
    this.sums.reset(group);
  }

  finish(groups: number): Vector {
    const narrow = this.sums.narrow(groups);
    if (narrow !== null) {
      for (let group = 0; group < groups; group++) if (this.counts[group] === 0) narrow[group] = Number.NaN;
      return intVector(narrow);
    }
    const values = new BigInt64Array(groups);
    for (let group = 0; group < groups; group++)
      values[group] = this.counts[group] === 0 ? NULL_INT64 : withinInt64(this.sums.total(group), this.at);
    return narrowed(wideVector(values) as never, groups);
  }

  parts(groups: number): readonly StatePart[] {
    return this.sums.parts(groups, '', (group) => this.counts[group] === 0);
  }

  restore([values, carries]: readonly Vector[], groups: number): void {
    this.sums.restore(values!, carries!, groups);
    this.restoreIsEmpty(values!, groups);
  }
}

export class IntegerMean extends IntegerSum {
  private readonly divisor: number;

  constructor(at: number, scale: number) {
    super(at);
    this.divisor = POW10[scale]!;
  }

  override finish(groups: number): Vector {
    const values = new Float64Array(groups);
    for (let group = 0; group < groups; group++)
      // 0 / 0 is NaN: NULL.
      values[group] = this.sums.approximate(group) / this.counts[group]! / this.divisor;
    return floatVector(values);
  }

  override parts(groups: number): readonly StatePart[] {
    return [...this.sums.parts(groups, 'sum'), this.countPart(groups)];
  }

  override restore([values, carries, counts]: readonly Vector[], groups: number): void {
    this.sums.restore(values!, carries!, groups);
    this.restoreCounts(counts!, groups);
  }
}

export class FloatSum extends Counted implements Accumulator {
  protected readonly sums = new FloatSums();

  override grow(groups: number): void {
    super.grow(groups);
    this.sums.grow(groups);
  }

  add([arg]: readonly Vector[], ids: Int32Array, rows: number): void {
    const { counts, sums } = this;
    const values = arg!.values as Float64Array;
    for (let i = 0; i < rows; i++) {
      const group = ids[i]!;
      const value = values[i]!;
      if (group < 0 || Number.isNaN(value)) continue;
      sums.add(group, value);
      counts[group]!++;
    }
  }

  addRun([arg]: readonly Vector[], from: number, to: number, group: number): void {
    this.counts[group]! += this.sums.addRun(arg!.values as Float64Array, from, to, group);
  }

  override merge(into: number, source: this, from: number): void {
    super.merge(into, source, from);
    this.sums.merge(into, source.sums, from);
  }

  override reset(group: number): void {
    super.reset(group);
    this.sums.reset(group);
  }

  finish(groups: number): Vector {
    const values = new Float64Array(groups);
    for (let group = 0; group < groups; group++)
      values[group] = this.counts[group] === 0 ? Number.NaN : this.sums.total(group);
    return floatVector(values);
  }

  parts(groups: number): readonly StatePart[] {
    return [{ name: '', vector: this.finish(groups) }];
  }

  restore([sums]: readonly Vector[], groups: number): void {
    this.sums.restore(sums!, groups);
    this.restoreIsEmpty(sums!, groups);
  }
}

export class FloatMean extends FloatSum {
  override finish(groups: number): Vector {
    const values = new Float64Array(groups);
    for (let group = 0; group < groups; group++) values[group] = this.sums.total(group) / this.counts[group]!;
    return floatVector(values);
  }

  override parts(groups: number): readonly StatePart[] {
    return [{ name: 'sum', vector: this.sums.totals(groups) }, this.countPart(groups)];
  }

  override restore([sums, counts]: readonly Vector[], groups: number): void {
    this.sums.restore(sums!, groups);
    this.restoreCounts(counts!, groups);
  }
}

/** sum(price × volume) / sum(volume) of integers or decimals; `scale`: the price's. */
export class IntegerVwap implements Accumulator {
  private readonly products = new ExactSums();
  private readonly volumes = new ExactSums();
  private readonly divisor: number;

  constructor(scale: number) {
    this.divisor = POW10[scale]!;
  }

  grow(groups: number): void {
    this.products.grow(groups);
    this.volumes.grow(groups);
  }

  /** Sums of price × volume and of volume, each at most NARROW_MAX. */
  addSums(group: number, products: number, volumes: number): void {
    this.products.add(group, products);
    this.volumes.add(group, volumes);
  }

  add([price, volume]: readonly Vector[], ids: Int32Array, rows: number): void {
    const p = price as IntegerVector;
    const v = volume as IntegerVector;
    if (p.kind === 'int' && v.kind === 'int' && p.base === 0n && v.base === 0n) {
      for (let i = 0; i < rows; i++) {
        const group = ids[i]!;
        const a = p.values[i]!;
        const b = v.values[i]!;
        if (group < 0 || Number.isNaN(a) || Number.isNaN(b)) continue;
        this.products.addProduct(group, a, b);
        this.volumes.add(group, b);
      }
      return;
    }
    for (let i = 0; i < rows; i++) {
      const group = ids[i]!;
      const a = bigintAt(p, i);
      const b = bigintAt(v, i);
      if (group < 0 || a === null || b === null) continue;
      this.products.addBigint(group, a * b);
      this.volumes.addBigint(group, b);
    }
  }

  addRun(args: readonly Vector[], from: number, to: number, group: number): void {
    const [p, v] = args as readonly IntegerVector[];
    if (p!.kind === 'int' && v!.kind === 'int' && p!.base === 0n && v!.base === 0n) {
      const prices = p!.values;
      const volumes = v!.values;
      let products = 0;
      let volume = 0;
      let size = 0;
      for (let i = from; i < to; i++) {
        const product = prices[i]! * volumes[i]!;
        if (Number.isNaN(product)) continue;
        products += product;
        volume += volumes[i]!;
        size += Math.abs(product) + Math.abs(volumes[i]!);
      }
      if (size <= NARROW_MAX) {
        this.products.add(group, products);
        this.volumes.add(group, volume);
        return;
      }
    }
    addRowByRow(this, args, from, to, group);
  }

  merge(into: number, source: this, from: number): void {
    this.products.merge(into, source.products, from);
    this.volumes.merge(into, source.volumes, from);
  }

  reset(group: number): void {
    this.products.reset(group);
    this.volumes.reset(group);
  }

  finish(groups: number): Vector {
    const values = new Float64Array(groups);
    for (let group = 0; group < groups; group++) {
      const volume = this.volumes.approximate(group);
      values[group] = volume === 0 ? Number.NaN : this.products.approximate(group) / volume / this.divisor;
    }
    return floatVector(values);
  }

  parts(groups: number): readonly StatePart[] {
    return [...this.products.parts(groups, 'products'), ...this.volumes.parts(groups, 'weights')];
  }

  restore([products, carries, weights, weightCarries]: readonly Vector[], groups: number): void {
    this.products.restore(products!, carries!, groups);
    this.volumes.restore(weights!, weightCarries!, groups);
  }
}

export class FloatVwap implements Accumulator {
  private readonly products = new FloatSums();
  private readonly volumes = new FloatSums();

  grow(groups: number): void {
    this.products.grow(groups);
    this.volumes.grow(groups);
  }

  add([price, volume]: readonly Vector[], ids: Int32Array, rows: number): void {
    const p = price!.values as Float64Array;
    const v = volume!.values as Float64Array;
    for (let i = 0; i < rows; i++) {
      const group = ids[i]!;
      const product = p[i]! * v[i]!;
      if (group < 0 || Number.isNaN(product)) continue;
      this.products.add(group, product);
      this.volumes.add(group, v[i]!);
    }
  }

  addRun(args: readonly Vector[], from: number, to: number, group: number): void {
    addRowByRow(this, args, from, to, group);
  }

  merge(into: number, source: this, from: number): void {
    this.products.merge(into, source.products, from);
    this.volumes.merge(into, source.volumes, from);
  }

  reset(group: number): void {
    this.products.reset(group);
    this.volumes.reset(group);
  }

  finish(groups: number): Vector {
    const values = new Float64Array(groups);
    for (let group = 0; group < groups; group++) {
      const volume = this.volumes.total(group);
      values[group] = volume === 0 ? Number.NaN : this.products.total(group) / volume;
    }
    return floatVector(values);
  }

  parts(groups: number): readonly StatePart[] {
    return [
      { name: 'products', vector: this.products.totals(groups) },
      { name: 'weights', vector: this.volumes.totals(groups) },
    ];
  }

  restore([products, weights]: readonly Vector[], groups: number): void {
    this.products.restore(products!, groups);
    this.volumes.restore(weights!, groups);
  }
}

/** Welford's method; merged as by Chan, Golub and LeVeque. */
export class Variance extends Counted implements Accumulator {
  private means = new Float64Array(0);
  private squares = new Float64Array(0);
  private readonly sample: boolean;
  private readonly root: boolean;

  /** `sample`: divided by n − 1; `root`: the standard deviation. */
  constructor(sample: boolean, root: boolean) {
    super();
    this.sample = sample;
    this.root = root;
  }

  override grow(groups: number): void {
    super.grow(groups);
    this.means = roomFor(this.means, groups);
    this.squares = roomFor(this.squares, groups);
  }

  add([arg]: readonly Vector[], ids: Int32Array, rows: number): void {
    const { counts, means, squares } = this;
    const values = arg!.values as Float64Array;
    for (let i = 0; i < rows; i++) {
      const group = ids[i]!;
      const value = values[i]!;
      if (group < 0 || Number.isNaN(value)) continue;
      const count = ++counts[group]!;
      const delta = value - means[group]!;
      means[group]! += delta / count;
      squares[group]! += delta * (value - means[group]!);
    }
  }

  addRun(args: readonly Vector[], from: number, to: number, group: number): void {
    addRowByRow(this, args, from, to, group);
  }

  override merge(into: number, source: this, from: number): void {
    const [a, b] = [this.counts[into]!, source.counts[from]!];
    if (b === 0) return;
    const delta = source.means[from]! - this.means[into]!;
    this.squares[into]! += source.squares[from]! + (delta * delta * a * b) / (a + b);
    this.means[into]! += (delta * b) / (a + b);
    super.merge(into, source, from);
  }

  override reset(group: number): void {
    super.reset(group);
    this.means[group] = 0;
    this.squares[group] = 0;
  }

  finish(groups: number): Vector {
    const values = new Float64Array(groups);
    for (let group = 0; group < groups; group++) {
      const count = this.counts[group]!;
      const divisor = this.sample ? count - 1 : count;
      const variance = divisor > 0 ? this.squares[group]! / divisor : Number.NaN;
      values[group] = this.root ? Math.sqrt(variance) : variance;
    }
    return floatVector(values);
  }

  parts(groups: number): readonly StatePart[] {
    return [
      this.countPart(groups),
      { name: 'mean', vector: floatVector(this.means.slice(0, groups)) },
      { name: 'm2', vector: floatVector(this.squares.slice(0, groups)) },
    ];
  }

  restore([counts, means, squares]: readonly Vector[], groups: number): void {
    this.restoreCounts(counts!, groups);
    this.means.set((means!.values as Float64Array).subarray(0, groups));
    this.squares.set((squares!.values as Float64Array).subarray(0, groups));
  }
}
