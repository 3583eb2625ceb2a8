// What: = <> < <= > >= and IS [NOT] DISTINCT FROM over every pair of comparable types.
// Why: WHERE spends its time here; numbers compare as doubles where that is exact.
// Invariant: integers and decimals of any scale compare exactly; with a NULL the answer is NULL, but for DISTINCT FROM.

import { NULL_BOOL, NULL_CODE } from '../../columns/types.ts';
import { unreachable } from '../../kernel/assert.ts';
import type { ComparisonOperator } from '../../sql/ast.ts';
import { isFloat, isText } from '../../sql/type-rules.ts';
import { FLOAT64, INT64, type SqlType, STRING } from '../../sql/types.ts';
import { Scratch } from '../scratch.ts';
import { byCode, compareTexts, type Texts } from '../texts.ts';
import {
  bigintAt,
  boolVector,
  type IntegerVector,
  intVector,
  isNullAt,
  kindOf,
  NARROW_MAX,
  scaleOf,
  type TextVector,
  type Vector,
} from '../vector.ts';
import { asFloat, type Compiled, coerced, constant, constantValue, node, type Scope } from './compiled.ts';

/** Every comparison comes down to one of these, its sides perhaps exchanged and its answer perhaps negated. */
type Relation = '=' | '<' | '<=';

interface Form {
  readonly relation: Relation;
  readonly exchanged: boolean;
  readonly negated: boolean;
}

const forms: Readonly<Record<Exclude<ComparisonOperator, `IS ${string}`>, Form>> = {
  '=': { relation: '=', exchanged: false, negated: false },
  '<>': { relation: '=', exchanged: false, negated: true },
  '<': { relation: '<', exchanged: false, negated: false },
  '<=': { relation: '<=', exchanged: false, negated: false },
  '>': { relation: '<', exchanged: true, negated: false },
  '>=': { relation: '<=', exchanged: true, negated: false },
};

/** `at`: position of the operator. */
export function compileComparison(
  operator: ComparisonOperator,
  left: Compiled,
  right: Compiled,
  scope: Scope,
  at: number,
): Compiled {
  if (operator === 'IS DISTINCT FROM' || operator === 'IS NOT DISTINCT FROM')
    return compileDistinct(operator === 'IS DISTINCT FROM', left, right, scope, at);
  if (left.type.name === 'NULL' || right.type.name === 'NULL') return constant({ name: 'BOOL' }, null);
  const form = forms[operator];
  const [l, r] = sides(form.exchanged ? right : left, form.exchanged ? left : right, at);
  const scratch = new Scratch();
  const compare = comparer(form.relation, l, r, scope.run.texts);
  return node({ name: 'BOOL' }, [l, r], (block) => {
    const { rows } = block;
    const out = scratch.bytes(rows);
    compare(l.evaluate(block), r.evaluate(block), rows, out);
    if (form.negated) for (let i = 0; i < rows; i++) if (out[i] !== NULL_BOOL) out[i] = 1 - out[i]!;
    return boolVector(out);
  });
}

function compileDistinct(
  distinct: boolean,
  left: Compiled,
  right: Compiled,
  scope: Scope,
  at: number,
): Compiled {
  const type = left.type.name === 'NULL' ? right.type : left.type;
  if (type.name === 'NULL') return constant({ name: 'BOOL' }, !distinct);
  const [l, r] = sides(typed(left, type, at), typed(right, type, at), at);
  const scratch = new Scratch();
  const compare = comparer('=', l, r, scope.run.texts);
  return node({ name: 'BOOL' }, [l, r], (block) => {
    const { rows } = block;
    const out = scratch.bytes(rows);
    const a = l.evaluate(block);
    const b = r.evaluate(block);
    compare(a, b, rows, out);
    for (let i = 0; i < rows; i++) {
      const same = out[i] === NULL_BOOL ? isNullAt(a, i) && isNullAt(b, i) : out[i] === 1;
      out[i] = same === distinct ? 0 : 1;
    }
    return boolVector(out);
  });
}

const typed = (e: Compiled, type: SqlType, at: number): Compiled =>
  e.type.name === 'NULL' ? coerced(e, type, at) : e;

/** Both sides in one kind: a symbol beside an integer is its id, a number beside a float is a float. */
export function sides(left: Compiled, right: Compiled, at: number): [Compiled, Compiled] {
  if (isText(left.type) !== isText(right.type))
    return isText(left.type) ? [symbolId(left), right] : [left, symbolId(right)];
  if (isFloat(left.type) || isFloat(right.type)) return [asFloat(left, at), asFloat(right, at)];
  return [left, right];
}

/** The number of a symbol; texts that are no symbol have none. */
export function symbolId(e: Compiled): Compiled {
  const scratch = new Scratch();
  return node(INT64, [e], (block) => {
    const { rows } = block;
    const out = scratch.floats(rows);
    const codes = (e.evaluate(block) as TextVector).values;
    for (let i = 0; i < rows; i++) out[i] = codes[i]! < 0x80000000 ? codes[i]! : Number.NaN;
    return intVector(out);
  });
}

type Comparer = (left: Vector, right: Vector, rows: number, out: Uint8Array) => void;

function comparer(relation: Relation, left: Compiled, right: Compiled, texts: Texts): Comparer {
  switch (kindOf(left.type)) {
    case 'int': {
      const digits = scaleOf(right.type) - scaleOf(left.type);
      return (l, r, rows, out) =>
        compareIntegers(relation, l as IntegerVector, r as IntegerVector, digits, rows, out);
    }
    case 'float':
      return (l, r, rows, out) =>
        compareNumbers(relation, l.values as Float64Array, 1, r.values as Float64Array, 1, 0, rows, out);
    case 'bool':
      return (l, r, rows, out) =>
        compareBooleans(relation, l.values as Uint8Array, r.values as Uint8Array, rows, out);
    case 'text':
      return textComparer(relation, left, right, texts);
  }
}

/** `digits`: decimals that the right side has more. */
function compareIntegers(
  relation: Relation,
  left: IntegerVector,
  right: IntegerVector,
  digits: number,
  rows: number,
  out: Uint8Array,
): void {
  if (left.kind === 'int' && right.kind === 'int') {
    if (digits === 0) {
      const shift = Number(right.base - left.base);
      // Between the two, a shifted value could be rounded to its neighbour; beyond, it is out of the other's reach.
      if (Math.abs(shift) <= NARROW_MAX || Math.abs(shift) > 8 * NARROW_MAX) {
        compareNumbers(relation, left.values, 1, right.values, 1, shift, rows, out);
        return;
      }
    } else if (left.base === 0n && right.base === 0n) {
      // A product beyond 2^53 may be rounded, but then it is beyond the other side too.
      const factor = 10 ** Math.abs(digits);
      if (digits > 0) compareNumbers(relation, left.values, factor, right.values, 1, 0, rows, out);
      else compareNumbers(relation, left.values, 1, right.values, factor, 0, rows, out);
      return;
    }
  }
  const leftFactor = 10n ** BigInt(Math.max(0, digits));
  const rightFactor = 10n ** BigInt(Math.max(0, -digits));
  for (let i = 0; i < rows; i++) {
    const l = bigintAt(left, i);
    const r = bigintAt(right, i);
    out[i] = l === null || r === null ? NULL_BOOL : holds(relation, l * leftFactor, r * rightFactor) ? 1 : 0;
  }
}

function holds<T>(relation: Relation, l: T, r: T): boolean {
  switch (relation) {
    case '=':
      return l === r;
    case '<':
      return l < r;
    case '<=':
      return l <= r;
    default:
      return unreachable(relation);
  }
}

/** out = left × leftFactor relation right × rightFactor + shift; neither true nor its opposite: NaN, so NULL. */
function compareNumbers(
  relation: Relation,
  left: Float64Array,
  leftFactor: number,
  right: Float64Array,
  rightFactor: number,
  shift: number,
  rows: number,
  out: Uint8Array,
): void {
  switch (relation) {
    case '=':
      for (let i = 0; i < rows; i++) {
        const l = left[i]! * leftFactor;
        const r = right[i]! * rightFactor + shift;
        out[i] = l === r ? 1 : l < r || l > r ? 0 : NULL_BOOL;
      }
      return;
    case '<':
      for (let i = 0; i < rows; i++) {
        const l = left[i]! * leftFactor;
        const r = right[i]! * rightFactor + shift;
        out[i] = l < r ? 1 : l >= r ? 0 : NULL_BOOL;
      }
      return;
    case '<=':
      for (let i = 0; i < rows; i++) {
        const l = left[i]! * leftFactor;
        const r = right[i]! * rightFactor + shift;
        out[i] = l <= r ? 1 : l > r ? 0 : NULL_BOOL;
      }
  }
}

function compareBooleans(
  relation: Relation,
  left: Uint8Array,
  right: Uint8Array,
  rows: number,
  out: Uint8Array,
): void {
  for (let i = 0; i < rows; i++) {
    const l = left[i]!;
    const r = right[i]!;
    out[i] = l === NULL_BOOL || r === NULL_BOOL ? NULL_BOOL : holds(relation, l, r) ? 1 : 0;
  }
}

function textComparer(relation: Relation, left: Compiled, right: Compiled, texts: Texts): Comparer {
  if (relation === '=')
    return (l, r, rows, out) => {
      const a = l.values as Uint32Array;
      const b = r.values as Uint32Array;
      for (let i = 0; i < rows; i++)
        out[i] = a[i] === NULL_CODE || b[i] === NULL_CODE ? NULL_BOOL : a[i] === b[i] ? 1 : 0;
    };
  const order = orderOf(left, right, texts);
  return (l, r, rows, out) => {
    const a = l.values as Uint32Array;
    const b = r.values as Uint32Array;
    for (let i = 0; i < rows; i++)
      out[i] =
        a[i] === NULL_CODE || b[i] === NULL_CODE
          ? NULL_BOOL
          : holds(relation, order(a[i]!, b[i]!), 0)
            ? 1
            : 0;
  };
}

/** Beside a constant, each code is compared once. */
function orderOf(left: Compiled, right: Compiled, texts: Texts): (l: number, r: number) => number {
  const constantText = (e: Compiled): string | null => {
    const code = e.isConstant ? constantValue(e) : null;
    return typeof code === 'number' ? texts.textOf(code) : null;
  };
  const fixedRight = constantText(right);
  if (fixedRight !== null) return byCode(texts, (text) => compareTexts(text, fixedRight));
  const fixedLeft = constantText(left);
  if (fixedLeft !== null) {
    const order = byCode(texts, (text) => compareTexts(fixedLeft, text));
    return (_, r) => order(r);
  }
  return (l, r) => (l === r ? 0 : compareTexts(texts.read(l), texts.read(r)));
}

/** The type in which values of both are compared or looked up; they are comparable (type-rules.ts). */
export function comparisonType(left: SqlType, right: SqlType): SqlType {
  if (left.name === 'NULL') return right;
  if (right.name === 'NULL') return left;
  if (isText(left) && isText(right)) return STRING;
  if (isText(left) || isText(right)) return INT64;
  if (isFloat(left) || isFloat(right)) return FLOAT64;
  return scaleOf(left) >= scaleOf(right) ? left : right;
}

/** `e` in the type of a comparison: a symbol as its id where integers are wanted. */
export function comparable(e: Compiled, type: SqlType, at: number): Compiled {
  return isText(e.type) && !isText(type) ? symbolId(e) : coerced(e, type, at);
}
