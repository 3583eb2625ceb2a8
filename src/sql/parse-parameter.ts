// What: `{name:Type}`, as ClickHouse clients write it, and the value it stands for.
// Why: values are put in as literals by the parser, so that no text of a value is ever read as SQL.
// Invariant: with values given, no Parameter stays in the tree; a value that does not fit its type is refused.

import type { ColumnReference, Expression, Literal, Parameter } from './ast.ts';
import type { Cursor } from './cursor.ts';
import { excerpt } from './errors.ts';
import { parseCount, parseType } from './parse-literal.ts';
import { parseTimestamp } from './timestamp.ts';
import { type DataType, type ParameterType, parameterTypesByName, typeText } from './types.ts';

export const seesParameter = (cursor: Cursor): boolean =>
  cursor.token.kind === 'operator' && cursor.token.text === '{';

/** A parameter where a value stands: itself when there are no values, else its literal, or a column. */
export function parseParameterValue(cursor: Cursor): Expression {
  const parameter = parseParameter(cursor);
  const text = textOf(cursor, parameter);
  if (text === null) return parameter;
  if (parameter.type.name === 'IDENTIFIER') return columnNamed(parameter.at, unescaped(text));
  if (parameter.type.name === 'ARRAY') throw mistyped(cursor, parameter, 'a list stands after IN only');
  return literalOf(cursor, parameter, parameter.type, text, '\\N');
}

/** A parameter among the items of IN: a list stands for its elements. */
export function parseParameterItems(cursor: Cursor): Expression[] {
  const parameter = parseParameter(cursor);
  const text = textOf(cursor, parameter);
  if (text === null) return [parameter];
  const { type } = parameter;
  if (type.name === 'IDENTIFIER') return [columnNamed(parameter.at, unescaped(text))];
  if (type.name !== 'ARRAY') return [literalOf(cursor, parameter, type, text, '\\N')];
  const elements = splitArray(text);
  if (elements === null) throw mistyped(cursor, parameter, `${excerpt(text)} is not a list in brackets`);
  return elements.map((element) => literalOf(cursor, parameter, type.element, element, 'NULL'));
}

/** `{name:Identifier}` where a table or column is named; null when the name has no value. */
export function parseParameterName(cursor: Cursor): string {
  const parameter = parseParameter(cursor);
  const text = textOf(cursor, parameter);
  if (parameter.type.name !== 'IDENTIFIER')
    throw mistyped(cursor, parameter, `a name is wanted here: write {${parameter.name}:Identifier}`);
  if (text === null) throw mistyped(cursor, parameter, `${parameter.name} names a table and needs a value`);
  return unescaped(text);
}

function parseParameter(cursor: Cursor): Parameter {
  const at = cursor.at;
  cursor.expectOperator('{');
  const name = cursor.expectKind('word', 'a parameter name').text;
  cursor.expectOperator(':');
  const type = parseParameterType(cursor);
  cursor.expectOperator('}');
  return { kind: 'parameter', at, name, type };
}

/** ClickHouse's type names and ours. Nullable(T) and LowCardinality(T) are T: every type has NULL. */
function parseParameterType(cursor: Cursor): ParameterType {
  const { word } = cursor.token;
  if (word === 'IDENTIFIER') {
    cursor.advance();
    return { name: 'IDENTIFIER' };
  }
  if (word !== 'ARRAY') return parseElementType(cursor);
  cursor.advance();
  cursor.expectOperator('(');
  const element = parseElementType(cursor);
  cursor.expectOperator(')');
  return { name: 'ARRAY', element };
}

function parseElementType(cursor: Cursor): DataType {
  const { word } = cursor.token;
  if (word === 'NULLABLE' || word === 'LOWCARDINALITY') {
    cursor.advance();
    cursor.expectOperator('(');
    const type = cursor.nested(() => parseElementType(cursor));
    cursor.expectOperator(')');
    return type;
  }
  const type = parameterTypesByName.get(word);
  if (type === undefined) return parseType(cursor);
  cursor.advance();
  if (cursor.acceptOperator('(')) {
    // The precision and zone of DateTime64(9, 'UTC') change nothing: the value itself says both.
    cursor.commaList(() => cursor.acceptKind('string', 'a time zone') ?? parseCount(cursor, 'a number'));
    cursor.expectOperator(')');
  }
  return type;
}

function textOf(cursor: Cursor, parameter: Parameter): string | null {
  if (cursor.parameters === null) return null;
  const text = cursor.parameters.get(parameter.name);
  if (text === undefined)
    throw mistyped(cursor, parameter, `no value for parameter ${excerpt(parameter.name)}`);
  return text;
}

function columnNamed(at: number, text: string): ColumnReference {
  const dot = text.indexOf('.');
  if (dot < 0) return { kind: 'column', at, table: null, name: text };
  return { kind: 'column', at, table: text.slice(0, dot), name: text.slice(dot + 1) };
}

function literalOf(
  cursor: Cursor,
  parameter: Parameter,
  type: DataType,
  text: string,
  nullText: string,
): Literal {
  const { at } = parameter;
  if (text === nullText) return { kind: 'null', at };
  const literal = literalIn(type, unescaped(text), at);
  if (literal === null)
    throw mistyped(
      cursor,
      parameter,
      `parameter ${parameter.name}: '${excerpt(text)}' is no ${typeText(type)}`,
    );
  return literal;
}

const INT32_MAX = 2n ** 31n - 1n;
const INT64_MAX = 2n ** 63n - 1n;

function literalIn(type: DataType, text: string, at: number): Literal | null {
  switch (type.name) {
    case 'INT32':
    case 'INT64': {
      const most = type.name === 'INT32' ? INT32_MAX : INT64_MAX;
      const value = /^[+-]?\d{1,30}$/.test(text) ? BigInt(text) : null;
      return value === null || value > most || value < -most - 1n ? null : { kind: 'integer', at, value };
    }
    case 'FLOAT32':
    case 'FLOAT64': {
      const value = text.trim() === '' ? Number.NaN : Number(text);
      return Number.isFinite(value) ? { kind: 'float', at, value } : null;
    }
    case 'DECIMAL':
      return decimalIn(type.precision, type.scale, text, at);
    case 'BOOL':
      return /^(true|false|1|0)$/i.test(text)
        ? { kind: 'boolean', at, value: /^(true|1)$/i.test(text) }
        : null;
    case 'TIMESTAMP_NS': {
      const ns = parseTimestamp(text) ?? unixSeconds(text);
      return ns === null ? null : { kind: 'timestamp', at, ns };
    }
    case 'SYMBOL':
    case 'STRING':
      return { kind: 'string', at, value: text };
  }
}

function decimalIn(precision: number, scale: number, text: string, at: number): Literal | null {
  const match = /^([+-]?)(\d{1,18})(?:\.(\d{0,18}))?$/.exec(text);
  if (match === null) return null;
  const [, sign, whole = '', fraction = ''] = match;
  const digits = `${whole}${fraction.padEnd(scale, '0')}`;
  if (fraction.length > scale || digits.replace(/^0+/, '').length > precision) return null;
  const unscaled = BigInt(`${sign === '-' ? '-' : ''}${digits}`);
  return scale === 0 ? { kind: 'integer', at, value: unscaled } : { kind: 'decimal', at, unscaled, scale };
}

/** `1711000000.123`, as JavaScript clients send a Date. */
function unixSeconds(text: string): bigint | null {
  const match = /^(-?)(\d{1,10})(?:\.(\d{1,9}))?$/.exec(text);
  if (match === null) return null;
  const [, sign, whole = '', fraction = ''] = match;
  const ns = BigInt(whole) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0'));
  if (ns > INT64_MAX) return null;
  return sign === '-' ? -ns : ns;
}

const escapes: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', b: '\b', f: '\f', 0: '\0' };

/** Values travel in ClickHouse's tab-separated escaping. */
function unescaped(text: string): string {
  return text.includes('\\') ? text.replace(/\\([\s\S])/g, (_, c: string) => escapes[c] ?? c) : text;
}

/** The elements of `[1, 2]` or `['a', 'b']`, quotes removed, escapes kept; null when it is no list. */
function splitArray(text: string): string[] | null {
  const inner = /^\s*\[([\s\S]*)\]\s*$/.exec(text)?.[1];
  if (inner === undefined) return null;
  if (inner.trim() === '') return [];
  const element = /\s*(?:'((?:[^'\\]|\\[\s\S]|'')*)'|([^,'[\]\s]+))\s*(,|$)/y;
  const elements: string[] = [];
  for (;;) {
    const match = element.exec(inner);
    if (match === null) return null;
    elements.push(match[1]?.replaceAll("''", "'") ?? match[2]!);
    if (match[3] === '') return elements;
  }
}

const mistyped = (cursor: Cursor, parameter: Parameter, message: string): Error =>
  cursor.mistyped(parameter.at, message);
