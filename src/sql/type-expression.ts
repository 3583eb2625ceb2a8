// What: the type of every expression, found bottom-up.
// Why: a type error is told before a row is read, at the operator that is wrong.
// Invariant: fills `types` and `references` for each node it visits; subqueries see nothing of the scope around them.

import { unreachable } from '../kernel/assert.ts';
import type { CommonScope, Findings, Reference } from './analysis.ts';
import { analyzeNestedQuery } from './analyze.ts';
import type { Between, Case, ColumnReference, Expression, InList, InQuery, Like, Query } from './ast.ts';
import { excerpt, nodeError } from './errors.ts';
import { printExpression } from './print-expression.ts';
import { lookUp, type OutputColumn, type Scope, unknownColumn } from './scope.ts';
import { parseTimestamp } from './timestamp.ts';
import { typeOfCall } from './type-call.ts';
import { arithmeticType, castable, commonType, comparable, isNumber, isText } from './type-rules.ts';
import * as types from './types.ts';
import { BOOL, FLOAT64, INT64, NULL, type SqlType, STRING, TIMESTAMP, typeText } from './types.ts';

/** What an expression may see and use at its place in the query. */
export interface Place {
  readonly findings: Findings;
  readonly scope: Scope;
  readonly commonTables: CommonScope;
  /** WHERE, GROUP BY, …: for messages. */
  readonly clause: string;
  readonly aggregates: boolean;
  readonly windows: boolean;
  /** Inside of an aggregate's arguments, where the right side of a WINDOW JOIN is visible. */
  readonly inAggregate: boolean;
  /** Output columns that can be named, and whether they hide columns of FROM. */
  readonly outputs: readonly OutputColumn[];
  readonly outputsFirst: boolean;
  /** Aliases of the select list that cannot be named here, to say so. */
  readonly hiddenAliases: readonly string[];
}

export function typeOf(e: Expression, place: Place): SqlType {
  const type = infer(e, place);
  place.findings.types.set(e, type);
  return type;
}

/** For WHERE, HAVING, ON and FILTER. */
export function requireCondition(e: Expression, place: Place): void {
  const type = typeOf(e, place);
  if (type.name !== 'BOOL' && type.name !== 'NULL')
    throw typeError(e, `${place.clause} needs a condition, got ${described(e, place)}`);
}

function infer(e: Expression, place: Place): SqlType {
  switch (e.kind) {
    case 'null':
      return NULL;
    case 'boolean':
      return BOOL;
    case 'integer':
    case 'interval':
      return INT64;
    case 'decimal':
      return types.decimal(types.DECIMAL_PRECISION_MAX, e.scale);
    case 'float':
      return FLOAT64;
    case 'string':
      return STRING;
    case 'timestamp':
      return TIMESTAMP;
    case 'column':
      return typeOfColumn(e, place);
    case 'parameter':
      if (e.type.name === 'ARRAY')
        throw typeError(e, `a list parameter such as {${e.name}} stands after IN only`);
      if (e.type.name === 'IDENTIFIER') throw typeError(e, `the name parameter {${e.name}} has no value yet`);
      return e.type;
    case 'negate': {
      const type = typeOf(e.operand, place);
      if (!isNumber(type) && type.name !== 'NULL')
        throw typeError(e, `cannot negate ${described(e.operand, place)}`);
      return type.name === 'INT32' ? INT64 : type;
    }
    case 'not':
      requireBoolean(e.operand, 'NOT', place);
      return BOOL;
    case 'logical':
      for (const operand of e.operands) requireBoolean(operand, e.operator, place);
      return BOOL;
    case 'binary':
      return typeOfBinary(e, place);
    case 'is-null':
      typeOf(e.operand, place);
      return BOOL;
    case 'between':
      return typeOfBetween(e, place);
    case 'in-list':
      return typeOfInList(e, place);
    case 'in-query':
      return typeOfInQuery(e, place);
    case 'like':
      return typeOfLike(e, place);
    case 'case':
      return typeOfCase(e, place);
    case 'cast': {
      const from = typeOf(e.operand, place);
      if (!castable(from, e.type))
        throw typeError(e, `cannot cast ${described(e.operand, place)} to ${typeText(e.type)}`);
      return e.type;
    }
    case 'call':
      return typeOfCall(e, place);
    case 'scalar-query':
      return singleColumn(e.query, e, place).type;
    case 'exists':
      analyzeNestedQuery(e.query, place.findings, place.commonTables);
      return BOOL;
    default:
      return unreachable(e);
  }
}

function typeOfColumn(e: ColumnReference, place: Place): SqlType {
  const { reference, type } = findColumn(e, place);
  place.findings.references.set(e, reference);
  return type;
}

function findColumn(e: ColumnReference, place: Place): { reference: Reference; type: SqlType } {
  const output = e.table === null ? place.outputs.findIndex((column) => column.name === e.name) : -1;
  const asOutput = (): { reference: Reference; type: SqlType } => ({
    reference: { kind: 'item', index: output },
    type: place.outputs[output]!.type,
  });
  if (output >= 0 && place.outputsFirst) return asOutput();
  const column = lookUp(place.scope, e);
  if (column === null) {
    if (output >= 0) return asOutput();
    if (e.table === null && place.hiddenAliases.includes(e.name)) {
      const message = `${excerpt(e.name)} is an alias of the select list, which ${place.clause} comes before`;
      throw nodeError('SQL_NAME', e.at, message);
    }
    throw unknownColumn(
      place.scope,
      e,
      place.outputs.map(({ name }) => name),
    );
  }
  const hidden = column.places.some(({ source }) => source === place.scope.windowSource);
  if (hidden && !place.inAggregate)
    throw nodeError(
      'SQL_NAME',
      e.at,
      `${excerpt(e.name)} is of the right side of a WINDOW JOIN: use it in an aggregate`,
    );
  return { reference: { kind: 'source', column }, type: column.type };
}

function typeOfBinary(e: Extract<Expression, { kind: 'binary' }>, place: Place): SqlType {
  switch (e.operator) {
    case '+':
    case '-':
    case '*':
    case '/':
    case '//':
    case '%': {
      const left = typeOf(e.left, place);
      const right = typeOf(e.right, place);
      const type = arithmeticType(e.operator, left, right);
      if (type === null)
        throw typeError(
          e,
          `no ${e.operator} of ${described(e.left, place)} and ${described(e.right, place)}`,
        );
      return type;
    }
    case '||':
      typeOf(e.left, place);
      typeOf(e.right, place);
      return STRING;
    default:
      typeOf(e.left, place);
      typeOf(e.right, place);
      requireComparable(e, e.left, e.right, place);
      return BOOL;
  }
}

/** Both operands have types already. A string literal beside a timestamp is read as one. */
function requireComparable(e: Expression, left: Expression, right: Expression, place: Place): void {
  const leftType = typeBeside(left, typeFound(right, place), place);
  const rightType = typeBeside(right, leftType, place);
  if (comparable(leftType, rightType)) return;
  const quoted =
    [left, right].some((side) => side.kind === 'string') && (isNumber(leftType) || isNumber(rightType));
  const hint = quoted ? ': a number is written without quotes' : '';
  throw typeError(e, `cannot compare ${described(left, place)} with ${described(right, place)}${hint}`);
}

/** Type of `e`; a string literal becomes a timestamp when the other side is one. */
export function typeBeside(e: Expression, other: SqlType, place: Place): SqlType {
  const type = typeFound(e, place);
  if (other.name !== 'TIMESTAMP_NS' || type.name !== 'STRING') return type;
  if (e.kind === 'parameter') return TIMESTAMP;
  if (e.kind !== 'string') return type;
  if (parseTimestamp(e.value) === null)
    throw typeError(e, `'${excerpt(e.value)}' is not a timestamp such as '2024-03-21 09:30:00'`);
  place.findings.types.set(e, TIMESTAMP);
  return TIMESTAMP;
}

const typeFound = (e: Expression, place: Place): SqlType => place.findings.types.get(e) ?? NULL;

function typeOfBetween(e: Between, place: Place): SqlType {
  for (const part of [e.operand, e.low, e.high]) typeOf(part, place);
  requireComparable(e, e.operand, e.low, place);
  requireComparable(e, e.operand, e.high, place);
  return BOOL;
}

function typeOfInList(e: InList, place: Place): SqlType {
  const operand = typeOf(e.operand, place);
  for (const item of e.items) {
    if (item.kind === 'parameter' && item.type.name === 'ARRAY') {
      place.findings.types.set(item, item.type.element);
      if (!comparable(typeBeside(item, operand, place), operand))
        throw typeError(
          item,
          `cannot compare ${described(e.operand, place)} with {${item.name}:${typeText(item.type)}}`,
        );
    } else {
      typeOf(item, place);
      requireComparable(item, e.operand, item, place);
    }
  }
  return BOOL;
}

function typeOfInQuery(e: InQuery, place: Place): SqlType {
  const operand = typeOf(e.operand, place);
  const column = singleColumn(e.query, e, place);
  if (!comparable(operand, column.type))
    throw typeError(
      e,
      `cannot compare ${described(e.operand, place)} with ${column.name} (${typeText(column.type)})`,
    );
  return BOOL;
}

function singleColumn(query: Query, e: Expression, place: Place): OutputColumn {
  const columns = analyzeNestedQuery(query, place.findings, place.commonTables);
  if (columns.length !== 1)
    throw typeError(e, `a subquery here must have one column, this one has ${columns.length}`);
  return columns[0]!;
}

/** Numbers are matched by their decimal digits. */
function typeOfLike(e: Like, place: Place): SqlType {
  const operand = typeOf(e.operand, place);
  if (!isText(operand) && !isNumber(operand) && operand.name !== 'NULL')
    throw typeError(e, `LIKE matches text, got ${described(e.operand, place)}`);
  const pattern = typeOf(e.pattern, place);
  if (!isText(pattern) && pattern.name !== 'NULL')
    throw typeError(e.pattern, `a pattern is text, got ${described(e.pattern, place)}`);
  return BOOL;
}

function typeOfCase(e: Case, place: Place): SqlType {
  if (e.operand !== null) typeOf(e.operand, place);
  for (const { when } of e.branches) {
    if (e.operand === null) requireBoolean(when, 'WHEN', place);
    else {
      typeOf(when, place);
      requireComparable(when, e.operand, when, place);
    }
  }
  const results = e.branches.map(({ result }) => result);
  if (e.otherwise !== null) results.push(e.otherwise);
  for (const result of results) typeOf(result, place);
  return unify(results, 'CASE', place);
}

/** The common type of expressions that have types already. */
export function unify(expressions: readonly Expression[], what: string, place: Place): SqlType {
  const known = expressions.map((e) => typeFound(e, place));
  const timestamp = known.find((type) => type.name === 'TIMESTAMP_NS');
  let common: SqlType = NULL;
  for (const e of expressions) {
    const type = timestamp === undefined ? typeFound(e, place) : typeBeside(e, timestamp, place);
    const next = commonType(common, type);
    if (next === null) throw typeError(e, `${what} mixes ${typeText(common)} and ${described(e, place)}`);
    common = next;
  }
  return common;
}

function requireBoolean(e: Expression, what: string, place: Place): void {
  const type = typeOf(e, place);
  if (type.name !== 'BOOL' && type.name !== 'NULL')
    throw typeError(e, `${what} needs a condition, got ${described(e, place)}`);
}

/** `price (INT64)`, for messages. */
export function described(e: Expression, place: Place): string {
  const type = typeFound(e, place);
  const text = excerpt(printExpression(e));
  return type.name === 'NULL' ? text : `${text} (${typeText(type)})`;
}

export const typeError = (e: Expression, message: string): Error => nodeError('SQL_TYPE', e.at, message);
