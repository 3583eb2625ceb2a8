// What: buckets, parts and units of time.
// Why: a bar's bucket is computed for every tick; fixed units are arithmetic on nanoseconds, calendar ones a table of days.
// Invariant: UTC, proleptic Gregorian; weeks begin on Monday; before 1970 everything still rounds down.

import { NULL_INT64 } from '../../columns/types.ts';
import type { Call } from '../../sql/ast.ts';
import { partUnits, truncUnits } from '../../sql/functions.ts';
import { isFloat } from '../../sql/type-rules.ts';
import { FLOAT64, INT64, type SqlType, TIMESTAMP } from '../../sql/types.ts';
import { Scratch } from '../scratch.ts';
import { bigintAt, floatVector, type IntegerVector, scaleOf, type Vector, wideVector } from '../vector.ts';
import { floorDivide, floorDivided, floorMultiple, roundedDown, withinInt64 } from './arithmetic.ts';
import { asFloat, type Compiled, coerced, constant, constantValue, node, type Scope } from './compiled.ts';

type Make = (call: Call, args: readonly Compiled[], type: SqlType, scope: Scope) => Compiled;

const DAY = 86_400_000_000_000n;
/** 1970-01-01 was a Thursday: three days after a Monday. */
const MONDAY = 3n * DAY;

const fixedUnits: Readonly<Record<string, bigint>> = {
  nanosecond: 1n,
  microsecond: 1_000n,
  millisecond: 1_000_000n,
  second: 1_000_000_000n,
  minute: 60_000_000_000n,
  hour: 3_600_000_000_000n,
  day: DAY,
};

/** By the registry's name. */
export const timeFunctions: Readonly<Record<string, Make>> = {
  now: (_call, _args, _type, { run }) => constant(TIMESTAMP, run.options.nowNs),
  xbar: (call, [x, step], type) => compileXbar(call, x!, step!, type),
  time_bucket: (call, [step, x], type) => compileXbar(call, x!, step!, type),
  date_trunc: (call, [unit, x], _type, { run }) =>
    compileTrunc(x!, truncUnits[run.texts.textOf(Number(constantValue(unit!))).toLowerCase()]!, call.at),
  date_part: (_call, [unit, x], _type, { run }) =>
    compilePart(x!, partUnits[run.texts.textOf(Number(constantValue(unit!))).toLowerCase()]!),
  epoch_s: (_, [x]) => units(x!, 1_000_000_000),
  epoch_ms: (_, [x]) => units(x!, 1_000_000),
  epoch_us: (_, [x]) => units(x!, 1_000),
  epoch_ns: (_, [x]) => ({ ...x!, type: INT64 }),
  make_timestamp: (call, [x]) => mapped(TIMESTAMP, x!, (us) => withinInt64(us * 1_000n, call.at)),
  make_timestamp_ns: (_, [x]) => ({ ...x!, type: TIMESTAMP }),
};

function compileXbar(call: Call, x: Compiled, step: Compiled, type: SqlType): Compiled {
  if (x.type.name === 'NULL') return constant(type, null);
  if (isFloat(x.type)) {
    const size = Number(constantValue(asFloat(step, call.at)));
    const scratch = new Scratch();
    return node(type, [x], (block) => {
      const out = scratch.floats(block.rows);
      const values = x.evaluate(block).values as Float64Array;
      for (let i = 0; i < block.rows; i++) out[i] = Math.floor(values[i]! / size) * size;
      return floatVector(out);
    });
  }
  return roundDown(x, stepOf(x.type, step, call.at), type, call.at);
}

/** The step in units of x's stored integer. */
function stepOf(type: SqlType, step: Compiled, at: number): bigint {
  const scale = scaleOf(type);
  if (scaleOf(step.type) <= scale && !isFloat(step.type))
    return BigInt(constantValue(coerced(step, { name: 'DECIMAL', precision: 18, scale }, at)) as bigint);
  const scaled = Math.round(Number(constantValue(coerced(step, FLOAT64, at))) * 10 ** scale);
  return BigInt(Math.max(1, scaled));
}

function roundDown(x: Compiled, step: bigint, type: SqlType, at: number): Compiled {
  const scratch = new Scratch();
  return node(type, [x], (block) =>
    roundedDown(x.evaluate(block) as IntegerVector, step, block.rows, scratch, at),
  );
}

function compileTrunc(x: Compiled, unit: string, at: number): Compiled {
  if (x.type.name === 'NULL') return constant(TIMESTAMP, null);
  const step = fixedUnits[unit];
  if (step !== undefined) return roundDown(x, step, TIMESTAMP, at);
  if (unit === 'week')
    return mapped(TIMESTAMP, x, (ns) => withinInt64(floorMultiple(ns + MONDAY, 7n * DAY) - MONDAY, at));
  const months = unit === 'month' ? 1 : unit === 'quarter' ? 3 : 12;
  return mapped(TIMESTAMP, x, (ns) => {
    const { year, month } = calendarOf(ns);
    const first = Math.floor((month - 1) / months) * months + 1;
    return withinInt64(BigInt(daysFromCivil(year, first, 1)) * DAY, at);
  });
}

function compilePart(x: Compiled, unit: string): Compiled {
  if (x.type.name === 'NULL') return constant(INT64, null);
  return mapped(INT64, x, (ns) => BigInt(partOf(ns, unit)));
}

/** A part of the calendar, as DuckDB numbers them: the second's parts count from the minute's second on. */
function partOf(ns: bigint, unit: string): number | bigint {
  const ofDay = Number(ns - floorMultiple(ns, DAY));
  const day = Number(floorDivide(ns, DAY));
  switch (unit) {
    case 'epoch':
      return floorDivide(ns, 1_000_000_000n);
    case 'nanosecond':
      return ofDay % 60_000_000_000;
    case 'microsecond':
      return Math.floor((ofDay % 60_000_000_000) / 1_000);
    case 'millisecond':
      return Math.floor((ofDay % 60_000_000_000) / 1_000_000);
    case 'second':
      return Math.floor(ofDay / 1_000_000_000) % 60;
    case 'minute':
      return Math.floor(ofDay / 60_000_000_000) % 60;
    case 'hour':
      return Math.floor(ofDay / 3_600_000_000_000);
    case 'dow':
      return (((day + 4) % 7) + 7) % 7;
    case 'week':
      return isoWeekOf(day);
  }
  const { year, month, dayOfMonth } = calendarOf(ns);
  switch (unit) {
    case 'day':
      return dayOfMonth;
    case 'doy':
      return day - daysFromCivil(year, 1, 1) + 1;
    case 'month':
      return month;
    case 'quarter':
      return Math.floor((month + 2) / 3);
    default:
      return year;
  }
}

/** ISO 8601: the week belongs to the year of its Thursday. */
function isoWeekOf(day: number): number {
  const thursday = day - ((((day + 3) % 7) + 7) % 7) + 3;
  const { year } = calendarOf(BigInt(thursday) * DAY);
  return Math.floor((thursday - daysFromCivil(year, 1, 1)) / 7) + 1;
}

/** Years run from March, so that a leap day is the last of its year. */
function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const leapDays = Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100);
  return era * 146_097 + yearOfEra * 365 + leapDays + dayOfYear - 719_468;
}

function calendarOf(ns: bigint): { year: number; month: number; dayOfMonth: number } {
  const date = new Date(Number(floorDivide(ns, DAY)) * 86_400_000);
  return { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, dayOfMonth: date.getUTCDate() };
}

/** Whole units since 1970, rounded down. */
function units(x: Compiled, ns: number): Compiled {
  const scratch = new Scratch();
  return node(INT64, [x], (block) =>
    floorDivided(x.evaluate(block) as IntegerVector, ns, block.rows, scratch),
  );
}

function mapped(type: SqlType, x: Compiled, of: (value: bigint) => bigint): Compiled {
  const scratch = new Scratch();
  return node(type, [x], (block): Vector => {
    const { rows } = block;
    const out = scratch.bigints(rows);
    const vector = x.evaluate(block) as IntegerVector;
    for (let i = 0; i < rows; i++) {
      const value = bigintAt(vector, i);
      out[i] = value === null ? NULL_INT64 : of(value);
    }
    return wideVector(out);
  });
}
