// What: CAST between all types, and the texts of values.
// Why: clients compare and join across types; a cast that loses silently is worse than an error.
// Invariant: a value that does not fit its new type is an error; decimals are rounded, halves away from zero.

import { NULL_BOOL, NULL_CODE, NULL_INT64, SYMBOL_ID_LIMIT } from '../../columns/types.ts';
import { formatFixed, INT64_MAX, parseFixed } from '../../kernel/fixed.ts';
import { excerpt, nodeError } from '../../sql/errors.ts';
import { parseTimestamp, timestampText } from '../../sql/timestamp.ts';
import { type DataType, type SqlType, STRING, sameType, typeText } from '../../sql/types.ts';
import { Scratch } from '../scratch.ts';
import { byCode, type Texts } from '../texts.ts';
import {
  type BoolVector,
  bigintAt,
  boolVector,
  type FloatVector,
  floatVector,
  type IntegerVector,
  intVector,
  type Kind,
  kindOf,
  NARROW_MAX,
  scaleOf,
  type TextVector,
  textVector,
  type Vector,
  wideVector,
} from '../vector.ts';
import { type Compiled, coerced, constant, node, type Scope } from './compiled.ts';

export function compileCast(operand: Compiled, to: DataType, scope: Scope, at: number): Compiled {
  const from = operand.type;
  if (from.name === 'NULL') return constant(to, null);
  if (sameType(from, to) && from.name !== 'DECIMAL') return { ...operand, type: to };
  const cast = caster(from, to, scope.run.texts, at);
  return node(to, [operand], (block) => cast(operand.evaluate(block), block.rows));
}

type Caster = (vector: Vector, rows: number) => Vector;

function caster(from: SqlType, to: DataType, texts: Texts, at: number): Caster {
  const kind = kindOf(from);
  switch (kindOf(to)) {
    case 'int':
      return toInteger(kind, from, to, texts, at);
    case 'float':
      return toFloat(kind, from, to, texts, at);
    case 'bool':
      return toBoolean(kind, texts, at);
    case 'text':
      return to.name === 'SYMBOL' && kind === 'int' ? toSymbol(at) : toText(from, texts);
  }
}

const misfit = (value: string, to: DataType, at: number): Error =>
  nodeError('SQL_TYPE', at, `${excerpt(value)} does not fit ${typeText(to)}`);

function limitOf(to: DataType): bigint {
  if (to.name === 'INT32') return 2147483647n;
  return to.name === 'DECIMAL' ? 10n ** BigInt(to.precision) - 1n : INT64_MAX;
}

function toInteger(kind: Kind, from: SqlType, to: DataType, texts: Texts, at: number): Caster {
  const scratch = new Scratch();
  const scale = scaleOf(to);
  const limit = limitOf(to);
  const bounded = (value: bigint, shown: () => string): bigint => {
    if (value > limit || value < -limit) throw misfit(shown(), to, at);
    return value;
  };
  const each = (rows: number, valueAt: (row: number) => bigint | null): Vector => {
    const out = scratch.bigints(rows);
    for (let i = 0; i < rows; i++) out[i] = valueAt(i) ?? NULL_INT64;
    return wideVector(out);
  };
  switch (kind) {
    case 'int': {
      const digits = scale - scaleOf(from);
      if (digits === 0 && limit === INT64_MAX) return (vector) => vector;
      const text = (value: bigint): string => formatFixed(value, scaleOf(from));
      return (vector, rows) => {
        const narrow = rescaledNarrow(vector as IntegerVector, digits, limit, rows, scratch);
        if (narrow !== null) return narrow;
        return each(rows, (row) => {
          const value = bigintAt(vector as IntegerVector, row);
          return value === null ? null : bounded(shifted(value, digits), () => text(value));
        });
      };
    }
    case 'float':
      return (vector, rows) => floatsToIntegers(vector as FloatVector, rows, scale, to, scratch, at);
    case 'bool':
      return (vector, rows) => {
        const out = scratch.floats(rows);
        const { values } = vector as BoolVector;
        const one = 10 ** scale;
        for (let i = 0; i < rows; i++) out[i] = values[i] === NULL_BOOL ? Number.NaN : values[i]! * one;
        return intVector(out);
      };
    case 'text': {
      if (from.name === 'SYMBOL' && (to.name === 'INT32' || to.name === 'INT64'))
        return (vector, rows) =>
          each(rows, (row) => {
            const code = (vector as TextVector).values[row]!;
            return code < SYMBOL_ID_LIMIT ? BigInt(code) : null;
          });
      const parsed = byCode(texts, (text) => {
        const value = to.name === 'TIMESTAMP_NS' ? parseTimestamp(text) : parseInteger(text, scale);
        if (value === null) throw misfit(`'${text}'`, to, at);
        return bounded(value, () => `'${text}'`);
      });
      return (vector, rows) =>
        each(rows, (row) => {
          const code = (vector as TextVector).values[row]!;
          return code === NULL_CODE ? null : parsed(code);
        });
    }
  }
}

/** Null when rounding, another limit or a wide vector asks for the slow way. */
function rescaledNarrow(
  vector: IntegerVector,
  digits: number,
  limit: bigint,
  rows: number,
  scratch: Scratch,
): Vector | null {
  if (vector.kind !== 'int' || vector.base !== 0n || digits < 0) return null;
  const most = Math.min(NARROW_MAX, Number(limit));
  const factor = 10 ** digits;
  const out = scratch.floats(rows);
  let outside = false;
  for (let i = 0; i < rows; i++) {
    const value = vector.values[i]! * factor;
    if (value > most || value < -most) outside = true;
    out[i] = value;
  }
  return outside ? null : intVector(out);
}

/** value × 10^digits, rounded. */
function shifted(value: bigint, digits: number): bigint {
  if (digits >= 0) return value * 10n ** BigInt(digits);
  return roundedQuotient(value, 10n ** BigInt(-digits));
}

/** Halves away from zero. */
export function roundedQuotient(value: bigint, by: bigint): bigint {
  const half = by / 2n;
  return (value < 0n ? value - half : value + half) / by;
}

function floatsToIntegers(
  vector: FloatVector,
  rows: number,
  scale: number,
  to: DataType,
  scratch: Scratch,
  at: number,
): Vector {
  const limit = limitOf(to);
  const most = Math.min(NARROW_MAX, Number(limit));
  const out = scratch.floats(rows);
  const factor = 10 ** scale;
  let outside = false;
  for (let i = 0; i < rows; i++) {
    const value = roundedAway(vector.values[i]! * factor);
    if (value > most || value < -most) outside = true;
    out[i] = value;
  }
  if (!outside) return intVector(out);
  const wide = scratch.bigints(rows);
  for (let i = 0; i < rows; i++) {
    const value = roundedAway(vector.values[i]! * factor);
    if (Number.isNaN(value)) wide[i] = NULL_INT64;
    else {
      const integer = Number.isFinite(value) ? BigInt(value) : limit + 1n;
      if (integer > limit || integer < -limit) throw misfit(String(vector.values[i]!), to, at);
      wide[i] = integer;
    }
  }
  return wideVector(wide);
}

/** To a whole number, halves away from zero; never −0. */
export function roundedAway(value: number): number {
  const whole = Math.trunc(value);
  return Math.abs(value - whole) >= 0.5 ? whole + Math.sign(value) : whole + 0;
}

function parseInteger(text: string, scale: number): bigint | null {
  const value = parseFixed(text.trim(), scale);
  return typeof value === 'bigint' ? value : null;
}

function toFloat(kind: Kind, from: SqlType, to: DataType, texts: Texts, at: number): Caster {
  const scratch = new Scratch();
  const single = to.name === 'FLOAT32';
  const rounded: Caster = (vector, rows) => {
    if (!single) return vector;
    const out = scratch.floats(rows);
    const values = vector.values as Float64Array;
    for (let i = 0; i < rows; i++) out[i] = Math.fround(values[i]!);
    return floatVector(out);
  };
  switch (kind) {
    case 'float':
      return rounded;
    case 'int': {
      let current: Vector = intVector(new Float64Array(0));
      const floats = coerced(
        { type: from, isConstant: false, evaluate: () => current },
        { name: 'FLOAT64' },
        at,
      );
      return (vector, rows) => {
        current = vector;
        return rounded(floats.evaluate({ rows, column: () => vector }), rows);
      };
    }
    case 'bool':
      return (vector, rows) => {
        const out = scratch.floats(rows);
        const { values } = vector as BoolVector;
        for (let i = 0; i < rows; i++) out[i] = values[i] === NULL_BOOL ? Number.NaN : values[i]!;
        return floatVector(out);
      };
    case 'text': {
      const parsed = byCode(texts, (text) => {
        const value = /^\s*[+-]?(\d+(?:\.\d*)?|\.\d+)(e[+-]?\d+)?\s*$/i.test(text)
          ? Number(text)
          : Number.NaN;
        if (Number.isNaN(value)) throw misfit(`'${text}'`, to, at);
        return single ? Math.fround(value) : value;
      });
      return (vector, rows) => {
        const out = scratch.floats(rows);
        const { values } = vector as TextVector;
        for (let i = 0; i < rows; i++) out[i] = values[i] === NULL_CODE ? Number.NaN : parsed(values[i]!);
        return floatVector(out);
      };
    }
  }
}

const booleans: Readonly<Record<string, number>> = { true: 1, t: 1, '1': 1, false: 0, f: 0, '0': 0 };

function toBoolean(kind: Kind, texts: Texts, at: number): Caster {
  const scratch = new Scratch();
  const parsed = byCode(texts, (text) => {
    const value = booleans[text.trim().toLowerCase()];
    if (value === undefined) throw misfit(`'${text}'`, { name: 'BOOL' }, at);
    return value;
  });
  return (vector, rows) => {
    if (kind === 'bool') return vector;
    const out = scratch.bytes(rows);
    for (let i = 0; i < rows; i++) {
      if (kind === 'text') {
        const code = (vector as TextVector).values[i]!;
        out[i] = code === NULL_CODE ? NULL_BOOL : parsed(code);
      } else {
        const value = bigintAt(vector as IntegerVector, i);
        out[i] = value === null ? NULL_BOOL : value === 0n ? 0 : 1;
      }
    }
    return boolVector(out);
  };
}

function toSymbol(at: number): Caster {
  const scratch = new Scratch();
  return (vector, rows) => {
    const out = scratch.codes(rows);
    for (let i = 0; i < rows; i++) {
      const id = bigintAt(vector as IntegerVector, i);
      if (id !== null && (id < 0n || id >= BigInt(SYMBOL_ID_LIMIT)))
        throw misfit(String(id), { name: 'SYMBOL' }, at);
      out[i] = id === null ? NULL_CODE : Number(id);
    }
    return textVector(out);
  };
}

function toText(from: SqlType, texts: Texts): Caster {
  if (kindOf(from) === 'text') return (vector) => vector;
  const scratch = new Scratch();
  const write = textWriter(from, texts);
  return (vector, rows) => {
    const out = scratch.codes(rows);
    for (let i = 0; i < rows; i++) {
      const text = write(vector, i);
      out[i] = text === null ? NULL_CODE : texts.codeOf(text);
    }
    return textVector(out);
  };
}

/** The text of a value, or null: what CAST to STRING and concat show. */
export function textWriter(type: SqlType, texts: Texts): (vector: Vector, row: number) => string | null {
  switch (kindOf(type)) {
    case 'int': {
      const write =
        type.name === 'TIMESTAMP_NS'
          ? timestampText
          : (value: bigint): string => formatFixed(value, scaleOf(type));
      return (vector, row) => {
        const value = bigintAt(vector as IntegerVector, row);
        return value === null ? null : write(value);
      };
    }
    case 'float':
      return (vector, row) => {
        const value = (vector as FloatVector).values[row]!;
        return Number.isNaN(value) ? null : floatText(value, type.name === 'FLOAT32');
      };
    case 'bool':
      return (vector, row) => {
        const value = (vector as BoolVector).values[row]!;
        return value === NULL_BOOL ? null : value === 1 ? 'true' : 'false';
      };
    case 'text':
      return (vector, row) => {
        const code = (vector as TextVector).values[row]!;
        return code === NULL_CODE ? null : texts.textOf(code);
      };
  }
}

/** The shortest digits that read back to the same number; a whole number shows that it is a float: 1.0. */
export function floatText(value: number, single = false): string {
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  const text = single ? shortestSingle(value) : String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

function shortestSingle(value: number): string {
  for (let digits = 1; digits <= 9; digits++) {
    const text = String(Number(value.toPrecision(digits)));
    if (Math.fround(Number(text)) === value) return text;
  }
  return String(value);
}

/** `e` as STRING. */
export function asText(e: Compiled, scope: Scope): Compiled {
  if (e.type.name === 'NULL') return constant(STRING, null);
  const cast = toText(e.type, scope.run.texts);
  return node(STRING, [e], (block) => cast(e.evaluate(block), block.rows));
}
