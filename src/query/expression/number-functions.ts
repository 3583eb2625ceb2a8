// What: abs, sign, round, floor, ceil, trunc, mod, roots, logarithms, powers, and distances on the globe.
// Why: prices are decimals: rounding them must not pass through a double.
// Invariant: integers and decimals stay exact; where a function has no value, its answer is NULL.

import { NULL_BOOL, NULL_INT64 } from '../../columns/types.ts';
import type { Call } from '../../sql/ast.ts';
import { isFloat } from '../../sql/type-rules.ts';
import { BOOL, FLOAT64, INT64, type SqlType } from '../../sql/types.ts';
import type { Block } from '../block.ts';
import { Scratch } from '../scratch.ts';
import {
  bigintAt,
  boolVector,
  floatVector,
  type IntegerVector,
  intVector,
  scaleOf,
  type Vector,
  wideVector,
} from '../vector.ts';
import { withinInt64 } from './arithmetic.ts';
import { roundedAway, roundedQuotient } from './cast.ts';
import { asFloat, type Compiled, constantValue, node } from './compiled.ts';

type Make = (call: Call, args: readonly Compiled[], type: SqlType) => Compiled;

/** By the registry's name. mod is an operator. */
export const numberFunctions: Readonly<Record<string, Make>> = {
  abs: (call, [x], type) =>
    numeric(call, x!, type, Math.abs, (value) => (value < 0n ? -value : value), Math.abs),
  sign: (call, [x]) =>
    numeric(call, x!, INT64, Math.sign, (value) => (value < 0n ? -1n : value > 0n ? 1n : 0n), Math.sign),
  floor: (call, [x], type) => stepwise(call, x!, type, Math.floor, (value, one) => floorTo(value, one)),
  ceil: (call, [x], type) => stepwise(call, x!, type, Math.ceil, (value, one) => -floorTo(-value, one)),
  trunc: (call, [x], type) => stepwise(call, x!, type, Math.trunc, (value, one) => value - (value % one)),
  round: (call, [x, digits], type) => compileRound(call, x!, digits, type),
  sqrt: (call, [x]) => ofFloats(call, [x!], (a) => Math.sqrt(a!)),
  ln: (call, [x]) => ofFloats(call, [x!], (a) => (a! > 0 ? Math.log(a!) : Number.NaN)),
  log10: (call, [x]) => ofFloats(call, [x!], (a) => (a! > 0 ? Math.log10(a!) : Number.NaN)),
  log2: (call, [x]) => ofFloats(call, [x!], (a) => (a! > 0 ? Math.log2(a!) : Number.NaN)),
  exp: (call, [x]) => ofFloats(call, [x!], (a) => Math.exp(a!)),
  power: (call, args) =>
    // NULL to the power of 0 is NULL, which Math.pow(NaN, 0) = 1 is not.
    ofFloats(call, args, (a, b) => (Number.isNaN(a!) || Number.isNaN(b!) ? Number.NaN : a! ** b!)),
  haversine: (call, args) => ofFloats(call, args, (a, b, c, d) => haversineMetres(a!, b!, c!, d!)),
  st_within: compileWithin,
};

const floorTo = (value: bigint, one: bigint): bigint => {
  const rest = value % one;
  return value - (rest < 0n ? rest + one : rest);
};

/** One rule for floats, one for whole numbers in doubles, one for those in BigInt. Scale stays as it is. */
function numeric(
  call: Call,
  x: Compiled,
  type: SqlType,
  float: (value: number) => number,
  wide: (value: bigint) => bigint,
  narrow: (value: number) => number,
): Compiled {
  const scratch = new Scratch();
  const fromFloat = isFloat(x.type);
  const toFloat = isFloat(type);
  return node(type, [x], (block) => {
    const { rows } = block;
    const vector = x.evaluate(block);
    if (fromFloat || (vector.kind === 'int' && vector.base === 0n)) {
      const apply = fromFloat ? float : narrow;
      const out = scratch.floats(rows);
      const values = vector.values as Float64Array;
      for (let i = 0; i < rows; i++) out[i] = apply(values[i]!) + 0;
      return toFloat ? floatVector(out) : intVector(out);
    }
    return wideRows(vector as IntegerVector, rows, scratch, call.at, wide);
  });
}

function wideRows(
  vector: IntegerVector,
  rows: number,
  scratch: Scratch,
  at: number,
  apply: (value: bigint) => bigint,
): Vector {
  const out = scratch.bigints(rows);
  for (let i = 0; i < rows; i++) {
    const value = bigintAt(vector, i);
    out[i] = value === null ? NULL_INT64 : withinInt64(apply(value), at);
  }
  return wideVector(out);
}

/** Whole numbers: integers are one already, a decimal keeps its scale. */
function stepwise(
  call: Call,
  x: Compiled,
  type: SqlType,
  float: (value: number) => number,
  exact: (value: bigint, one: bigint) => bigint,
): Compiled {
  const scale = scaleOf(x.type);
  if (!isFloat(x.type) && scale === 0) return { ...x, type };
  const one = 10n ** BigInt(scale);
  const size = 10 ** scale;
  // value / size may be rounded to the next whole number only when it is beyond 2^53 / size: narrow values are not.
  return numeric(
    call,
    x,
    type,
    float,
    (value) => exact(value, one),
    (value) => float(value / size) * size,
  );
}

function compileRound(call: Call, x: Compiled, digits: Compiled | undefined, type: SqlType): Compiled {
  const decimals = digits === undefined ? 0 : Number(constantValue(digits) ?? 0n);
  if (isFloat(x.type)) {
    const factor = 10 ** Math.abs(decimals);
    const round = (value: number): number => {
      const scaled = decimals >= 0 ? value * factor : value / factor;
      if (!Number.isFinite(scaled)) return value;
      return decimals >= 0 ? roundedAway(scaled) / factor : roundedAway(scaled) * factor;
    };
    return numeric(call, x, type, round, (value) => value, round);
  }
  const drop = scaleOf(x.type) - decimals;
  if (drop <= 0) return { ...x, type };
  const one = 10n ** BigInt(drop);
  const size = 10 ** drop;
  return numeric(
    call,
    x,
    type,
    (value) => value,
    (value) => roundedQuotient(value, one) * one,
    (value) => {
      const rest = value % size;
      return value - rest + (Math.abs(rest) * 2 >= size ? Math.sign(rest) * size : 0);
    },
  );
}

type Floats = (...values: number[]) => number;

function ofFloats(call: Call, args: readonly Compiled[], apply: Floats): Compiled {
  const floats = args.map((arg) => asFloat(arg, call.at));
  const scratch = new Scratch();
  return node(FLOAT64, floats, (block) => floatVector(applied(floats, block, scratch, apply)));
}

function applied(floats: readonly Compiled[], block: Block, scratch: Scratch, apply: Floats): Float64Array {
  const { rows } = block;
  const values = floats.map((arg) => arg.evaluate(block).values as Float64Array);
  const out = scratch.floats(rows);
  const [a, b = a, c = a, d = a, e = a] = values;
  for (let i = 0; i < rows; i++) out[i] = apply(a![i]!, b![i]!, c![i]!, d![i]!, e![i]!);
  return out;
}

const EARTH_RADIUS_METRES = 6_371_008.8;
const RADIANS = Math.PI / 180;

function haversineMetres(lat1: number, lon1: number, lat2: number, lon2: number): number {
  const byLatitude = Math.sin(((lat2 - lat1) * RADIANS) / 2) ** 2;
  const byLongitude = Math.sin(((lon2 - lon1) * RADIANS) / 2) ** 2;
  const h = byLatitude + Math.cos(lat1 * RADIANS) * Math.cos(lat2 * RADIANS) * byLongitude;
  return 2 * EARTH_RADIUS_METRES * Math.asin(Math.min(1, Math.sqrt(h)));
}

function compileWithin(call: Call, args: readonly Compiled[]): Compiled {
  const floats = args.map((arg) => asFloat(arg, call.at));
  const [scratch, out] = [new Scratch(), new Scratch()];
  return node(BOOL, floats, (block) => {
    const slack = applied(floats, block, scratch, (a, b, c, d, r) => r! - haversineMetres(a!, b!, c!, d!));
    const within = out.bytes(block.rows);
    for (let i = 0; i < block.rows; i++) within[i] = slack[i]! >= 0 ? 1 : slack[i]! < 0 ? 0 : NULL_BOOL;
    return boolVector(within);
  });
}
