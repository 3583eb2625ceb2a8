// What: expression → canonical SQL.
// Why: column names, view definitions, EXPLAIN and the round-trip test show the tree in one spelling.
// Invariant: parentheses stand exactly where the precedences need them; the text parses back to the same tree.

import { unreachable } from '../kernel/assert.ts';
import type {
  Call,
  Case,
  DecimalLiteral,
  Expression,
  Frame,
  FrameBound,
  InList,
  Like,
  Literal,
  OrderItem,
  WindowSpec,
} from './ast.ts';
import { intervalText } from './interval.ts';
import { quoteName, quoteString } from './keywords.ts';
import * as precedence from './precedence.ts';
import { printQuery } from './print-query.ts';
import { timestampText } from './timestamp.ts';
import { typeText } from './types.ts';

export function printExpression(expression: Expression): string {
  return printAbove(expression, 0);
}

/** In parentheses when it binds less tightly than `level`. */
function printAbove(expression: Expression, level: number): string {
  const text = print(expression);
  return levelOf(expression) < level ? `(${text})` : text;
}

function levelOf(expression: Expression): number {
  switch (expression.kind) {
    case 'logical':
      return expression.operator === 'OR' ? precedence.OR : precedence.AND;
    case 'not':
      return precedence.NOT;
    case 'is-null':
      return precedence.IS;
    case 'between':
    case 'in-list':
    case 'in-query':
    case 'like':
      return precedence.RANGE;
    case 'binary':
      return precedence.binaryPrecedence[expression.operator];
    case 'negate':
      return precedence.SIGN;
    default:
      // A cast is printed as CAST(…), and a negative literal is one token to the parser.
      return precedence.PRIMARY;
  }
}

function print(e: Expression): string {
  switch (e.kind) {
    case 'column':
      return e.table === null ? quoteName(e.name) : `${quoteName(e.table)}.${quoteName(e.name)}`;
    case 'parameter':
      return `{${e.name}:${typeText(e.type)}}`;
    case 'negate':
      return printNegation(e.operand);
    case 'not':
      return `NOT ${printAbove(e.operand, precedence.NOT)}`;
    case 'logical': {
      const level = e.operator === 'OR' ? precedence.OR : precedence.AND;
      return e.operands.map((operand) => printAbove(operand, level + 1)).join(` ${e.operator} `);
    }
    case 'binary': {
      const level = precedence.binaryPrecedence[e.operator];
      const left = printAbove(e.left, level === precedence.COMPARISON ? level + 1 : level);
      return `${left} ${e.operator} ${printAbove(e.right, level + 1)}`;
    }
    case 'is-null':
      return `${printAbove(e.operand, precedence.IS)} IS ${not(e.negated)}NULL`;
    case 'between':
      return `${ranged(e.operand)} ${not(e.negated)}BETWEEN ${ranged(e.low)} AND ${ranged(e.high)}`;
    case 'in-list':
      return printInList(e);
    case 'in-query':
      return `${ranged(e.operand)} ${not(e.negated)}IN (${printQuery(e.query)})`;
    case 'like':
      return printLike(e);
    case 'case':
      return printCase(e);
    case 'cast':
      return `CAST(${printExpression(e.operand)} AS ${typeText(e.type)})`;
    case 'call':
      return printCall(e);
    case 'scalar-query':
      return `(${printQuery(e.query)})`;
    case 'exists':
      return `EXISTS (${printQuery(e.query)})`;
    default:
      return printLiteral(e);
  }
}

const not = (negated: boolean): string => (negated ? 'NOT ' : '');
const ranged = (operand: Expression): string => printAbove(operand, precedence.RANGE + 1);

/** A blank keeps `- -x` from being a comment, parentheses keep `-(5)` from being the literal −5. */
function printNegation(operand: Expression): string {
  const text = printAbove(operand, precedence.SIGN);
  if (text.startsWith('-')) return `- ${text}`;
  return /^[.\d]/.test(text) ? `-(${text})` : `-${text}`;
}

function printInList(e: InList): string {
  return `${ranged(e.operand)} ${not(e.negated)}IN (${e.items.map(printExpression).join(', ')})`;
}

function printLike(e: Like): string {
  const operator = `${not(e.negated)}${e.ignoreCase ? 'ILIKE' : 'LIKE'}`;
  const text = `${ranged(e.operand)} ${operator} ${ranged(e.pattern)}`;
  return e.escape === null ? text : `${text} ESCAPE ${quoteString(e.escape)}`;
}

function printCase(e: Case): string {
  const operand = e.operand === null ? '' : ` ${printExpression(e.operand)}`;
  const branches = e.branches.map(
    ({ when, result }) => ` WHEN ${printExpression(when)} THEN ${printExpression(result)}`,
  );
  const otherwise = e.otherwise === null ? '' : ` ELSE ${printExpression(e.otherwise)}`;
  return `CASE${operand}${branches.join('')}${otherwise} END`;
}

function printCall(e: Call): string {
  const args = e.star ? '*' : `${e.distinct ? 'DISTINCT ' : ''}${e.args.map(printExpression).join(', ')}`;
  const filter = e.filter === null ? '' : ` FILTER (WHERE ${printExpression(e.filter)})`;
  const over = e.over === null ? '' : ` OVER (${printWindow(e.over)})`;
  return `${e.name}(${args})${filter}${over}`;
}

function printWindow(window: WindowSpec): string {
  const parts: string[] = [];
  if (window.partitionBy.length > 0)
    parts.push(`PARTITION BY ${window.partitionBy.map(printExpression).join(', ')}`);
  if (window.orderBy.length > 0) parts.push(`ORDER BY ${printOrder(window.orderBy)}`);
  if (window.frame !== null) parts.push(printFrame(window.frame));
  return parts.join(' ');
}

export function printOrder(items: readonly OrderItem[]): string {
  return items
    .map((item) => {
      const direction = item.descending ? ' DESC' : '';
      return `${printExpression(item.expression)}${direction}${item.nullsFirst ? ' NULLS FIRST' : ''}`;
    })
    .join(', ');
}

function printFrame(frame: Frame): string {
  return `${frame.unit} BETWEEN ${printBound(frame.start)} AND ${printBound(frame.end)}`;
}

function printBound(bound: FrameBound): string {
  switch (bound.kind) {
    case 'preceding':
      return `${printLiteral(bound.offset)} PRECEDING`;
    case 'following':
      return `${printLiteral(bound.offset)} FOLLOWING`;
    default:
      return bound.kind.toUpperCase().replace('-', ' ');
  }
}

export function printLiteral(literal: Literal): string {
  switch (literal.kind) {
    case 'null':
      return 'NULL';
    case 'boolean':
      return literal.value ? 'TRUE' : 'FALSE';
    case 'integer':
      return String(literal.value);
    case 'decimal':
      return decimalText(literal);
    case 'float':
      return floatText(literal.value);
    case 'string':
      return quoteString(literal.value);
    case 'timestamp':
      return `TIMESTAMP '${timestampText(literal.ns)}'`;
    case 'interval':
      return `INTERVAL '${intervalText(literal.ns)}'`;
    default:
      return unreachable(literal);
  }
}

function decimalText({ unscaled, scale }: DecimalLiteral): string {
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0');
  return `${unscaled < 0n ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** Always with an exponent, which is what makes it a float. */
function floatText(value: number): string {
  const text = Object.is(value, -0) ? '-0' : String(value);
  return text.includes('e') ? text : `${text}e0`;
}
