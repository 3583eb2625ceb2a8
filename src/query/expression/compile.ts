// What: expression of the tree → Compiled.
// Why: the one place that knows which node is worked out where.
// Invariant: every node of a checked tree compiles; the compiled type is the one that the analysis found.

import { NULL_BOOL, NULL_CODE } from '../../columns/types.ts';
import { unreachable } from '../../kernel/assert.ts';
import { ZeptoError } from '../../kernel/errors.ts';
import type { ArithmeticOperator, Binary, Call, Case, Expression, InList, Like } from '../../sql/ast.ts';
import { nodeError } from '../../sql/errors.ts';
import { functionByName } from '../../sql/functions.ts';
import { parseTimestamp } from '../../sql/timestamp.ts';
import { isFloat, isText } from '../../sql/type-rules.ts';
import { BOOL, FLOAT64, INT64, type SqlType, STRING, TIMESTAMP } from '../../sql/types.ts';
import { Scratch } from '../scratch.ts';
import { byCode } from '../texts.ts';
import { boolVector, floatVector, type IntegerVector, kindOf, scaleOf, type TextVector } from '../vector.ts';
import { type FloatOperator, floatArithmetic, integerArithmetic, negated } from './arithmetic.ts';
import { asText, compileCast } from './cast.ts';
import { compileComparison } from './compare.ts';
import {
  asFloat,
  type Compiled,
  coerced,
  constant,
  constantValue,
  node,
  type Scope,
  slot,
  typeOf,
} from './compiled.ts';
import { likeTest } from './like.ts';
import {
  compileCase,
  compileCoalesce,
  compileExtreme,
  compileIsNull,
  compileLogical,
  compileNot,
} from './logic.ts';
import { compileMembership, inSubquery } from './membership.ts';
import { numberFunctions } from './number-functions.ts';
import { compileConcat, textFunctions } from './text-functions.ts';
import { timeFunctions } from './time-functions.ts';

export function compile(e: Expression, scope: Scope): Compiled {
  const known = scope.resolve(e, scope);
  if (known !== null) return known;
  const type = typeOf(e, scope);
  const sub = (part: Expression): Compiled => compile(part, scope);
  switch (e.kind) {
    case 'null':
      return constant(type, null);
    case 'boolean':
    case 'float':
      return constant(type, e.value);
    case 'integer':
      return constant(type, e.value);
    case 'interval':
    case 'timestamp':
      return constant(type, e.ns);
    case 'decimal':
      return constant(type, e.unscaled);
    case 'string':
      // Beside a timestamp the analysis made a timestamp of it.
      if (type.name === 'TIMESTAMP_NS') return constant(TIMESTAMP, parseTimestamp(e.value));
      return constant(STRING, scope.run.texts.codeOf(e.value));
    case 'column':
      throw new ZeptoError('INTERNAL', 'stop', `column ${e.name} is not in the block`);
    case 'parameter':
      throw nodeError('SQL_TYPE', e.at, `the parameter {${e.name}} has no value`);
    case 'negate':
      return compileNegation(sub(e.operand), type);
    case 'not':
      return compileNot(condition(sub(e.operand)));
    case 'logical':
      return compileLogical(
        e.operator,
        e.operands.map((operand) => condition(sub(operand))),
      );
    case 'binary':
      return compileBinary(e, sub(e.left), sub(e.right), type, scope);
    case 'is-null':
      return compileIsNull(sub(e.operand), e.negated);
    case 'between': {
      const [low, high] = [
        compileComparison('>=', sub(e.operand), sub(e.low), scope, e.at),
        compileComparison('<=', sub(e.operand), sub(e.high), scope, e.at),
      ];
      const within = compileLogical('AND', [low, high]);
      return e.negated ? compileNot(within) : within;
    }
    case 'in-list':
      return compileInList(e, scope);
    case 'in-query': {
      const within = inSubquery(sub(e.operand), e, scope);
      return e.negated ? compileNot(within) : within;
    }
    case 'like':
      return compileLike(e, sub(e.operand), sub(e.pattern), scope);
    case 'case':
      return compileCaseNode(e, type, scope);
    case 'cast':
      return compileCast(sub(e.operand), e.type, scope, e.at);
    case 'call':
      return compileCall(e, type, scope);
    case 'scalar-query':
    case 'exists': {
      const value = scope.run.prepared.get(e);
      if (value === undefined) throw new ZeptoError('INTERNAL', 'stop', 'a subquery was not run');
      return constant(type, value as never);
    }
    default:
      return unreachable(e);
  }
}

/** An untyped NULL as a condition. */
export const condition = (e: Compiled): Compiled => (e.type.name === 'NULL' ? constant(BOOL, null) : e);

function compileNegation(operand: Compiled, type: SqlType): Compiled {
  const scratch = new Scratch();
  if (type.name === 'NULL') return operand;
  if (!isFloat(type))
    return node(type, [operand], (block) =>
      negated(operand.evaluate(block) as IntegerVector, block.rows, scratch),
    );
  return node(type, [operand], (block) => {
    const out = scratch.floats(block.rows);
    const values = operand.evaluate(block).values as Float64Array;
    for (let i = 0; i < block.rows; i++) out[i] = -values[i]!;
    return floatVector(out);
  });
}

function compileBinary(e: Binary, left: Compiled, right: Compiled, type: SqlType, scope: Scope): Compiled {
  switch (e.operator) {
    case '+':
    case '-':
    case '*':
    case '/':
    case '//':
    case '%':
      return compileArithmetic(e.operator, left, right, type, e.at);
    case '||':
      return compileConcat('||', [left, right], scope);
    default:
      return compileComparison(e.operator, left, right, scope, e.at);
  }
}

function compileArithmetic(
  operator: ArithmeticOperator,
  left: Compiled,
  right: Compiled,
  type: SqlType,
  at: number,
): Compiled {
  if (left.type.name === 'NULL' || right.type.name === 'NULL') return constant(type, null);
  const scratch = new Scratch();
  if (operator === '/' || isFloat(type)) {
    const l = asFloat(left, at);
    const r = asFloat(right, at);
    const float = operator as FloatOperator;
    return node(FLOAT64, [l, r], (block) => {
      const { rows } = block;
      const out = scratch.floats(rows);
      const a = l.evaluate(block).values as Float64Array;
      const b = r.evaluate(block).values as Float64Array;
      return floatVector(floatArithmetic(float, a, b, rows, out));
    });
  }
  // A product's decimals add up; everything else is computed at the result's scale.
  const scale = Math.max(scaleOf(left.type), scaleOf(right.type));
  const align = (side: Compiled): Compiled =>
    operator === '*' || scaleOf(side.type) === scale
      ? side
      : coerced(side, { name: 'DECIMAL', precision: 18, scale }, at);
  const l = align(left);
  const r = align(right);
  return node(type, [l, r], (block) =>
    integerArithmetic(
      operator,
      l.evaluate(block) as IntegerVector,
      r.evaluate(block) as IntegerVector,
      block.rows,
      scratch,
      at,
    ),
  );
}

function compileInList(e: InList, scope: Scope): Compiled {
  const operand = (): Compiled => compile(e.operand, scope);
  const items = e.items.map((item) => compile(item, scope));
  const within =
    compileMembership(operand(), items, scope, e.at) ??
    compileLogical(
      'OR',
      items.map((item) => compileComparison('=', operand(), item, scope, e.at)),
    );
  return e.negated ? compileNot(within) : within;
}

function compileLike(e: Like, operand: Compiled, pattern: Compiled, scope: Scope): Compiled {
  if (operand.type.name === 'NULL' || pattern.type.name === 'NULL') return constant(BOOL, null);
  const { texts } = scope.run;
  const text = isText(operand.type) ? operand : asText(operand, scope);
  const scratch = new Scratch();
  const testOf = byCode(texts, (of) => byCode(texts, likeTest(of, e, texts.budget)));
  return node(BOOL, [text, pattern], (block) => {
    const { rows } = block;
    const out = scratch.bytes(rows);
    const codes = (text.evaluate(block) as TextVector).values;
    const patterns = (pattern.evaluate(block) as TextVector).values;
    for (let i = 0; i < rows; i++) {
      if (codes[i] === NULL_CODE || patterns[i] === NULL_CODE) out[i] = NULL_BOOL;
      else out[i] = testOf(patterns[i]!)(codes[i]!) === e.negated ? 0 : 1;
    }
    return boolVector(out);
  });
}

function compileCaseNode(e: Case, type: SqlType, scope: Scope): Compiled {
  const branches = e.branches.map(({ when, result }) => ({
    when:
      e.operand === null
        ? condition(compile(when, scope))
        : compileComparison('=', compile(e.operand, scope), compile(when, scope), scope, when.at),
    result: compile(result, scope),
  }));
  const otherwise = e.otherwise === null ? null : compile(e.otherwise, scope);
  return compileCase(branches, otherwise, type, e.at);
}

function compileCall(call: Call, type: SqlType, scope: Scope): Compiled {
  const name = functionByName(call.name)!.name;
  const args = call.args.map((arg) => compile(arg, scope));
  const ofNumbers = numberFunctions[name];
  const untyped = args.findIndex((arg) => arg.type.name === 'NULL');
  if (untyped >= 0 && functionByName(call.name)!.nulls === 'propagate') return constant(type, null);
  if (ofNumbers !== undefined) return ofNumbers(call, args, type);
  const ofTexts = textFunctions[name];
  if (ofTexts !== undefined) return ofTexts(call, args, scope);
  const ofTimes = timeFunctions[name];
  if (ofTimes !== undefined) return ofTimes(call, args, type, scope);
  return compileChoice(name, call, args, type, scope);
}

function compileChoice(
  name: string,
  call: Call,
  args: readonly Compiled[],
  type: SqlType,
  scope: Scope,
): Compiled {
  switch (name) {
    case 'mod':
      return compileArithmetic('%', args[0]!, args[1]!, type, call.at);
    case 'coalesce':
      return compileCoalesce(args, type, call.at);
    case 'if':
      return compileCase([{ when: condition(args[0]!), result: args[1]! }], args[2]!, type, call.at);
    case 'nullif': {
      const same = compileComparison('=', args[0]!, args[1]!, scope, call.at);
      const first = compile(call.args[0]!, scope);
      return compileCase([{ when: same, result: constant(type, null) }], first, type, call.at);
    }
    case 'greatest':
    case 'least': {
      const operator = name === 'greatest' ? '>' : '<';
      const better = compileComparison(operator, slot(1, type), slot(0, type), scope, call.at);
      return compileExtreme(args, type, condition(better), call.at);
    }
    case 'version':
      return constant(STRING, scope.run.texts.codeOf(scope.run.options.server?.version ?? ''));
    case 'host_name':
      return constant(STRING, scope.run.texts.codeOf(scope.run.options.server?.hostName ?? ''));
    case 'uptime':
      return constant(INT64, BigInt(scope.run.options.server?.uptimeSeconds ?? 0));
    case 'timezone':
      return constant(STRING, scope.run.texts.codeOf('UTC'));
    case 'current_database':
      return constant(STRING, scope.run.texts.codeOf('default'));
    default:
      throw new ZeptoError('INTERNAL', 'stop', `${name} has no evaluator`);
  }
}

/** The whole number of a constant argument. */
export function integerOf(e: Compiled): bigint {
  return constantValue(coerced(e, INT64, 0)) as bigint;
}

export const isIntegerKind = (type: SqlType): boolean => kindOf(type) === 'int';
