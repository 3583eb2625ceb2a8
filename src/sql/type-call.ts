// What: function calls checked against the registry, and their result types.
// Why: arity, argument types, constants, DISTINCT, FILTER and OVER follow from data in functions.ts.
// Invariant: an aggregate never contains an aggregate or a window function; a window function never one of its kind.

import type { Call, Expression, Frame, WindowSpec } from './ast.ts';
import { type Constant, constantOf } from './constant.ts';
import { excerpt, nodeError } from './errors.ts';
import {
  type ArgumentRule,
  type ConstantRule,
  type FunctionSpec,
  functionByName,
  functionNames,
  partUnits,
  truncUnits,
} from './functions.ts';
import { nearest } from './nearest.ts';
import { printExpression } from './print-expression.ts';
import {
  described,
  type Place,
  requireCondition,
  typeBeside,
  typeError,
  typeOf,
  unify,
} from './type-expression.ts';
import { arithmeticType, isInteger, isNumber, isText, sumType } from './type-rules.ts';
import { type SqlType, TIMESTAMP } from './types.ts';

export function typeOfCall(call: Call, place: Place): SqlType {
  const spec = functionByName(call.name);
  if (spec === undefined) {
    const suggestion = nearest(call.name, functionNames);
    throw nodeError('SQL_NAME', call.at, `unknown function ${excerpt(call.name)}`, {
      unknown: 'function',
      suggestion,
    });
  }
  requirePlace(call, spec, place);
  requireArity(call, spec);
  const argumentPlace = argumentPlaceOf(call, spec, place);
  if (call.filter !== null) requireCondition(call.filter, { ...argumentPlace, clause: 'FILTER' });
  for (const argument of call.args) typeOf(argument, argumentPlace);
  const types = call.args.map((argument, i) =>
    requireArgument(call, argument, ruleAt(spec, i), argumentPlace),
  );
  for (const [index, rule] of Object.entries(spec.constants)) {
    const argument = call.args[Number(index)];
    if (argument !== undefined) requireConstant(call, argument, rule);
  }
  if (call.over !== null) checkWindow(call.over, { ...place, windows: false });
  return resultType(call, spec, types, argumentPlace);
}

export const isAggregateCall = (e: Expression): e is Call =>
  e.kind === 'call' && e.over === null && functionByName(e.name)?.kind === 'aggregate';

export const isWindowCall = (e: Expression): e is Call => e.kind === 'call' && e.over !== null;

function requirePlace(call: Call, spec: FunctionSpec, place: Place): void {
  const refuse = (message: string): Error => nodeError('SQL_TYPE', call.at, message);
  if (spec.kind === 'scalar') {
    if (call.over !== null) throw refuse(`${call.name} is not a window function: it takes no OVER`);
    if (call.distinct || call.filter !== null) throw refuse(`${call.name} is not an aggregate`);
    return;
  }
  if (call.over !== null) {
    if (spec.windowJoinOnly) throw refuse(`${call.name} belongs to a WINDOW JOIN and takes no OVER`);
    if (call.distinct) throw refuse(`${call.name}(DISTINCT …) OVER is not offered`);
    if (spec.kind === 'window' && call.filter !== null) throw refuse(`${call.name} takes no FILTER`);
    if (place.inAggregate)
      throw refuse(`the window function ${call.name} cannot stand inside of an aggregate`);
    if (!place.windows) throw refuse(`the window function ${call.name} cannot stand in ${place.clause}`);
    return;
  }
  if (spec.kind === 'window') throw refuse(`${call.name} is a window function: it needs OVER (…)`);
  if (place.inAggregate) throw refuse(`the aggregate ${call.name} cannot stand inside of an aggregate`);
  if (!place.aggregates) throw refuse(`the aggregate ${call.name} cannot stand in ${place.clause}`);
  if (spec.windowJoinOnly && place.scope.windowSource === null)
    throw refuse(`${call.name} needs a WINDOW JOIN`);
  if (call.distinct && !spec.distinct) throw refuse(`${call.name}(DISTINCT …) is not offered`);
}

function requireArity(call: Call, spec: FunctionSpec): void {
  if (call.star) return;
  const most = spec.variadic ? Number.POSITIVE_INFINITY : spec.args.length;
  const given = call.args.length;
  if (given >= spec.required && given <= most) return;
  const least = spec.required === 0 && most === 0 ? 'no' : String(spec.required);
  const wanted =
    most === spec.required
      ? least
      : most === Number.POSITIVE_INFINITY
        ? `${least} or more`
        : `${least} to ${most}`;
  const noun = wanted === '1' ? 'argument' : 'arguments';
  throw nodeError('SQL_TYPE', call.at, `${call.name} takes ${wanted} ${noun}, got ${given}`);
}

function argumentPlaceOf(call: Call, spec: FunctionSpec, place: Place): Place {
  if (spec.kind === 'scalar') return place;
  // The argument of a window function may hold aggregates, as in sum(sum(volume)) OVER ().
  if (call.over !== null) return { ...place, windows: false, clause: 'another window function' };
  return { ...place, inAggregate: true, windows: false, outputs: [] };
}

const ruleAt = (spec: FunctionSpec, index: number): ArgumentRule =>
  spec.args[Math.min(index, spec.args.length - 1)]!;

function requireArgument(call: Call, argument: Expression, rule: ArgumentRule, place: Place): SqlType {
  const type = rule === 'timestamp' ? typeBeside(argument, TIMESTAMP, place) : typeOfKnown(argument, place);
  if (type.name === 'NULL' || fits(rule, type)) return type;
  throw typeError(argument, `${call.name} takes ${ruleWords[rule]}, got ${described(argument, place)}`);
}

const typeOfKnown = (e: Expression, place: Place): SqlType => place.findings.types.get(e)!;

function fits(rule: ArgumentRule, type: SqlType): boolean {
  switch (rule) {
    case 'number':
      return isNumber(type);
    case 'integer':
      return isInteger(type);
    case 'text':
      return isText(type);
    case 'printable':
      return isText(type) || isNumber(type);
    case 'timestamp':
      // An integer where a timestamp is wanted counts nanoseconds.
      return type.name === 'TIMESTAMP_NS' || isInteger(type);
    case 'measure':
      return isNumber(type) || type.name === 'TIMESTAMP_NS';
    case 'boolean':
      return type.name === 'BOOL';
    case 'symbol':
      return type.name === 'SYMBOL';
    default:
      return true;
  }
}

const ruleWords: Readonly<Record<ArgumentRule, string>> = {
  number: 'a number',
  integer: 'an integer',
  text: 'text',
  printable: 'text or a number',
  timestamp: 'a timestamp',
  measure: 'a number or a timestamp',
  boolean: 'a condition',
  symbol: 'a symbol',
  any: 'a value',
  common: 'a value',
};

function requireConstant(call: Call, argument: Expression, rule: ConstantRule): void {
  // A parameter is checked when it is bound and the statement analysed again.
  if (argument.kind === 'parameter') return;
  const value = constantOf(argument);
  if (value === null) {
    const text = excerpt(printExpression(argument));
    throw typeError(argument, `${call.name} needs a constant here, not ${text}`);
  }
  const problem = constantProblem(rule, value);
  if (problem === null) return;
  const units = rule === 'trunc-unit' ? truncUnits : rule === 'part-unit' ? partUnits : null;
  const suggestion = units !== null && typeof value === 'string' ? nearest(value, Object.keys(units)) : null;
  throw nodeError('SQL_TYPE', argument.at, `${call.name} takes ${problem}`, { suggestion });
}

/** What the constant should be, when it is not. */
function constantProblem(rule: ConstantRule, value: Constant): string | null {
  const whole = typeof value === 'bigint';
  const number = whole || typeof value === 'number' ? Number(value) : Number.NaN;
  switch (rule) {
    case 'positive':
      return number > 0 ? null : 'a number above zero';
    case 'percent':
      return number >= 0 && number <= 100 ? null : 'a percentage from 0 to 100';
    case 'count':
      return whole && number >= 0 ? null : 'a whole number from 0';
    case 'ordinal':
      return whole && number >= 1 ? null : 'a whole number from 1';
    case 'decimals':
      return whole && Math.abs(number) <= 18 ? null : 'a whole number from -18 to 18';
    case 'trunc-unit':
      return typeof value === 'string' && Object.hasOwn(truncUnits, value.toLowerCase())
        ? null
        : `one of ${Object.keys(truncUnits).join(', ')}`;
    case 'part-unit':
      return typeof value === 'string' && Object.hasOwn(partUnits, value.toLowerCase())
        ? null
        : `one of ${Object.keys(partUnits).join(', ')}`;
  }
}

function resultType(call: Call, spec: FunctionSpec, types: readonly SqlType[], place: Place): SqlType {
  switch (spec.result) {
    case 'first':
      return types[0]!;
    case 'common':
      return unify(
        call.args.filter((_, i) => ruleAt(spec, i) === 'common'),
        call.name,
        place,
      );
    case 'sum':
      return sumType(types[0]!);
    case 'remainder': {
      const type = arithmeticType('%', types[0]!, types[1]!);
      if (type === null) throw typeError(call, `no remainder of ${described(call.args[0]!, place)}`);
      return type;
    }
    default:
      return spec.result;
  }
}

function checkWindow(window: WindowSpec, place: Place): void {
  const inside: Place = { ...place, clause: 'OVER', outputs: [] };
  for (const key of window.partitionBy) typeOf(key, inside);
  const keyTypes = window.orderBy.map((item) => typeOf(item.expression, inside));
  if (window.frame !== null) checkFrame(window.frame, keyTypes);
}

function checkFrame(frame: Frame, keyTypes: readonly SqlType[]): void {
  if (frame.unit === 'ROWS') return;
  for (const bound of [frame.start, frame.end]) {
    if (bound.kind !== 'preceding' && bound.kind !== 'following') continue;
    const refuse = (message: string): Error => nodeError('SQL_TYPE', bound.offset.at, message);
    const key = keyTypes[0];
    if (key === undefined || keyTypes.length !== 1)
      throw refuse('RANGE with an offset needs exactly one ORDER BY key');
    if (key.name === 'TIMESTAMP_NS') {
      if (bound.offset.kind === 'interval' || bound.offset.kind === 'integer') continue;
      throw refuse('RANGE over a timestamp takes an interval such as 5m');
    }
    if (!isNumber(key)) throw refuse('RANGE with an offset needs a number or a timestamp in ORDER BY');
    if (bound.offset.kind === 'interval') throw refuse('RANGE over a number takes a number, not an interval');
  }
}
