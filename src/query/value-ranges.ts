// What: a scan's conditions on stored values as ranges: at most one for each column, between two stored values.
// Why: two comparisons of numbers per row, or of a chunk's smallest and largest for all its rows, need no expression.
// Invariant: a row fulfils the conditions exactly when each of the values is within its column's range; NULL is in none.

import { ColumnType, NULL_CODE, storedColumns, type TableSchema } from '../columns/types.ts';
import { INT64_MAX } from '../kernel/fixed.ts';
import { isFloat } from '../sql/type-rules.ts';
import { typeOfColumn } from '../sql/types.ts';
import type { ValueCondition } from './conditions.ts';
import { compile } from './expression/compile.ts';
import { asFloat, constantValue, type Scope } from './expression/compiled.ts';
import { kindOf, NARROW_MAX, scaleOf } from './vector.ts';

/** Both inclusive; nothing when min > max. */
export interface ValueRange<V extends number | bigint = number | bigint> {
  readonly min: V;
  readonly max: V;
}

export interface ColumnRange {
  /** Index into storedColumns. */
  readonly index: number;
  readonly type: ColumnType;
  /** Of bigints where the column stores int64. */
  readonly range: ValueRange;
  /** The same for numbers of at most NARROW_MAX. */
  readonly narrow: ValueRange<number>;
  /** Whether no value is in it. */
  readonly isEmpty: boolean;
}

export function valueRanges(
  conditions: readonly ValueCondition[],
  schema: TableSchema,
  scope: Scope,
): ColumnRange[] {
  const stored = storedColumns(schema);
  const ranges = new Map<number, Pick<ColumnRange, 'index' | 'type' | 'range'>>();
  for (const condition of conditions) {
    const column = schema.columns[condition.column]!;
    const range = rangeOf(condition, column.type, scaleOf(typeOfColumn(column)), scope);
    const index = stored.indexOf(column);
    const known = ranges.get(index)?.range;
    ranges.set(index, { index, type: column.type, range: known === undefined ? range : both(known, range) });
  }
  return Array.from(ranges.values(), (of) => ({
    ...of,
    narrow: narrowed(of.range),
    isEmpty: !(of.range.min <= of.range.max),
  }));
}

/** Ends that lie beyond all narrow numbers are moved to the next one, which is as far. */
function narrowed({ min, max }: ValueRange): ValueRange<number> {
  const near = (end: number | bigint): number =>
    Math.max(-NARROW_MAX - 1, Math.min(NARROW_MAX + 1, Number(end)));
  return { min: near(min), max: near(max) };
}

function both(a: ValueRange, b: ValueRange): ValueRange {
  let { min, max } = a;
  if (b.min > min) min = b.min;
  if (b.max < max) max = b.max;
  return { min, max };
}

function rangeOf(condition: ValueCondition, type: ColumnType, scale: number, scope: Scope): ValueRange {
  const compiled = compile(condition.value, scope);
  switch (type) {
    case ColumnType.FLOAT32:
    case ColumnType.FLOAT64: {
      const value = constantValue(isFloat(compiled.type) ? compiled : asFloat(compiled, condition.value.at));
      return value === null ? NOTHING : floatRange(condition.operator, value as number);
    }
    case ColumnType.INT64:
    case ColumnType.TIMESTAMP_NS:
    case ColumnType.INT32: {
      const value = constantValue(compiled) as bigint | null;
      if (value === null) return type === ColumnType.INT32 ? NOTHING : NO_INT64;
      const digits = scale - scaleOf(compiled.type);
      const range = integerRange(condition.operator, value, digits);
      return type === ColumnType.INT32 ? clamped(range) : range;
    }
    default: {
      const value = kindOf(compiled.type) === 'text' ? (constantValue(compiled) as number | null) : null;
      return value === null || value === NULL_CODE ? NOTHING : { min: value, max: value };
    }
  }
}

const NOTHING: ValueRange<number> = { min: 1, max: 0 };
const NO_INT64: ValueRange<bigint> = { min: 1n, max: 0n };
const INT32_MAX = 2 ** 31 - 1;

type Operator = ValueCondition['operator'];

/** Stored integers that are `operator value × 10^digits`; NULL, which is below them all, is not among them. */
function integerRange(operator: Operator, value: bigint, digits: number): ValueRange<bigint> {
  const factor = 10n ** BigInt(Math.abs(digits));
  let below = digits < 0 ? value / factor : value * factor;
  // BigInt division cuts towards 0.
  if (digits < 0 && below * factor > value) below--;
  const isWhole = digits >= 0 || below * factor === value;
  // The largest at most the value, and the smallest at least it.
  const above = isWhole ? below : below + 1n;
  switch (operator) {
    case '=':
      return isWhole ? withinInt64(below, above) : NO_INT64;
    case '<':
      return withinInt64(-INT64_MAX, above - 1n);
    case '<=':
      return withinInt64(-INT64_MAX, below);
    case '>':
      return withinInt64(below + 1n, INT64_MAX);
    case '>=':
      return withinInt64(above, INT64_MAX);
  }
}

/** What of it a column can hold, −2^63 apart, which is NULL. An end that would wrap is never left in a range that is not empty. */
const withinInt64 = (min: bigint, max: bigint): ValueRange<bigint> => ({
  min: min < -INT64_MAX ? -INT64_MAX : min,
  max: max > INT64_MAX ? INT64_MAX : max,
});

function clamped({ min, max }: ValueRange<bigint>): ValueRange<number> {
  return { min: Math.max(-INT32_MAX, Number(min)), max: Math.min(INT32_MAX, Number(max)) };
}

function floatRange(operator: Operator, value: number): ValueRange<number> {
  switch (operator) {
    case '=':
      return { min: value, max: value };
    case '<':
      return { min: Number.NEGATIVE_INFINITY, max: -nextAbove(-value) };
    case '<=':
      return { min: Number.NEGATIVE_INFINITY, max: value };
    case '>':
      return { min: nextAbove(value), max: Number.POSITIVE_INFINITY };
    case '>=':
      return { min: value, max: Number.POSITIVE_INFINITY };
  }
}

/** The smallest double above `value`; NaN, which nothing is at or above, when there is none. */
function nextAbove(value: number): number {
  if (value === 0) return Number.MIN_VALUE;
  if (value === Number.NEGATIVE_INFINITY) return -Number.MAX_VALUE;
  const bits = new BigInt64Array(1);
  const double = new Float64Array(bits.buffer);
  double[0] = value;
  bits[0]! += value > 0 ? 1n : -1n;
  return value === Number.POSITIVE_INFINITY ? Number.NaN : double[0];
}
