// What: how a function is described: kind, arguments, constants, result, NULL.
// Why: rules as data can be read by the type checks, the documentation and the executors alike.
// Invariant: closed sets of words; what a word means stands beside it and nowhere else.

import type { PlainType } from './types.ts';

/** scalar: one row in, one value out. aggregate: many rows, one value; with OVER a window function too. window: only with OVER. */
export type FunctionKind = 'scalar' | 'aggregate' | 'window';

/**
 * What an argument may be. NULL is always allowed.
 * - `number`: INT32, INT64, DECIMAL, FLOAT32, FLOAT64; `integer`: INT32, INT64
 * - `text`: STRING, SYMBOL; `printable`: text or a number, taken as its decimal digits
 * - `timestamp`: also a string literal that is one
 * - `measure`: number or timestamp
 * - `any`: whatever; `common`: whatever, but all `common` arguments must have a common type
 */
export type ArgumentRule =
  | 'number'
  | 'integer'
  | 'text'
  | 'printable'
  | 'timestamp'
  | 'boolean'
  | 'symbol'
  | 'measure'
  | 'any'
  | 'common';

/**
 * The result's type.
 * - a type: always that
 * - `first`: the first argument's
 * - `common`: the common type of the `common` arguments
 * - `sum`: INT64 of integers, DECIMAL(18, s) of DECIMAL(p, s), FLOAT64 of floats
 * - `remainder`: as for `%`
 */
export type ResultRule = PlainType | 'first' | 'common' | 'sum' | 'remainder';

/**
 * - `propagate`: NULL when an argument is NULL
 * - `skip`: rows whose first argument is NULL do not count; NULL when none is left
 * - `never`: the result is never NULL
 * - `special`: as the note says
 */
export type NullRule = 'propagate' | 'skip' | 'never' | 'special';

/**
 * - `positive`: above 0; `percent`: 0 to 100; `count`: a whole number from 0; `ordinal`: from 1
 * - `decimals`: a whole number from −18 to 18
 * - `trunc-unit`, `part-unit`: one of truncUnits, partUnits
 */
export type ConstantRule =
  | 'positive'
  | 'percent'
  | 'count'
  | 'ordinal'
  | 'decimals'
  | 'trunc-unit'
  | 'part-unit';

/** Spellings that date_trunc takes, lower case, with the unit's name. */
export const truncUnits: Readonly<Record<string, string>> = {
  ns: 'nanosecond',
  nanosecond: 'nanosecond',
  us: 'microsecond',
  microsecond: 'microsecond',
  ms: 'millisecond',
  millisecond: 'millisecond',
  s: 'second',
  sec: 'second',
  second: 'second',
  m: 'minute',
  min: 'minute',
  minute: 'minute',
  h: 'hour',
  hour: 'hour',
  d: 'day',
  day: 'day',
  w: 'week',
  week: 'week',
  month: 'month',
  quarter: 'quarter',
  year: 'year',
};

/** What date_part takes, lower case: the units, day of week (0 = Sunday) and of year, and seconds since 1970. */
export const partUnits: Readonly<Record<string, string>> = {
  ...truncUnits,
  dow: 'dow',
  doy: 'doy',
  epoch: 'epoch',
};

export interface FunctionSpec {
  /** Lower case. */
  readonly name: string;
  readonly aliases: readonly string[];
  readonly kind: FunctionKind;
  readonly args: readonly ArgumentRule[];
  /** How many of `args`, from the left, must be given. */
  readonly required: number;
  /** The last of `args` may be repeated. */
  readonly variadic: boolean;
  /** Arguments, by index, that must be constant, with what their value may be. */
  readonly constants: Readonly<Record<number, ConstantRule>>;
  readonly result: ResultRule;
  readonly nulls: NullRule;
  /** Aggregates: f(DISTINCT x) is allowed. */
  readonly distinct: boolean;
  /** Aggregates: a bounded state that can be updated row by row and merged, so that views can keep it. */
  readonly incremental: boolean;
  /** Aggregates that exist in a WINDOW JOIN only, over the rows of the right side. */
  readonly windowJoinOnly: boolean;
  /** One line for the documentation. */
  readonly note: string;
}
