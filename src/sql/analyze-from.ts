// What: FROM → the scope that the rest of the SELECT sees, and each join's condition taken apart.
// Why: the kernels merge by equal keys and by time; they must be handed exactly those, or the query refused.
// Invariant: a condition's sides hold columns of their own side only; ASOF, AJ0, WINDOW and PLUS have no residual.

import type { CommonScope, Findings, JoinAnalysis } from './analysis.ts';
import { analyzeNestedQuery, timeColumnOf } from './analyze.ts';
import type {
  ColumnReference,
  Expression,
  Join,
  TableExpression,
  TableReference,
  TableSource,
} from './ast.ts';
import { excerpt, nodeError } from './errors.ts';
import { nearest } from './nearest.ts';
import { printExpression } from './print-expression.ts';
import {
  emptyScope,
  joinedScope,
  type OutputColumn,
  resolve,
  type Scope,
  type ScopeColumn,
  type ScopeSource,
  type SourceTable,
  scopeOf,
  singleScope,
} from './scope.ts';
import { type Place, requireCondition, typeOf } from './type-expression.ts';
import { arithmeticType, commonType, comparable, isNumber } from './type-rules.ts';
import { conjuncts, walk } from './walk.ts';

export function analyzeFrom(
  from: TableExpression | null,
  findings: Findings,
  commonTables: CommonScope,
): Scope {
  if (from === null) return emptyScope;
  if (from.kind === 'join') return analyzeJoin(from, findings, commonTables);
  return singleScope(analyzeSource(from, findings, commonTables));
}

function analyzeSource(source: TableSource, findings: Findings, commonTables: CommonScope): ScopeSource {
  const table = tableOf(source, findings, commonTables);
  findings.sources.set(source, table);
  return scopeOf(source, table);
}

function tableOf(source: TableSource, findings: Findings, commonTables: CommonScope): SourceTable {
  switch (source.kind) {
    case 'table':
      return namedTable(source, findings, commonTables);
    case 'derived': {
      const columns = analyzeNestedQuery(source.query, findings, commonTables);
      return renamed(columns, source.columns, source.at);
    }
    case 'table-function': {
      const path = source.args[0];
      const place = placeIn(emptyScope, findings, commonTables, 'FROM');
      if (source.name !== 'duckdb')
        throw nodeError(
          'SQL_NAME',
          source.at,
          `unknown table function ${excerpt(source.name)}: there is duckdb('path')`,
        );
      if (source.args.length !== 1 || path === undefined || typeOf(path, place).name !== 'STRING')
        throw nodeError(
          'SQL_TYPE',
          source.at,
          "duckdb takes one path, as in duckdb('s3://bucket/prefix/*.parquet')",
        );
      const table = findings.catalog.tableFunction(source);
      if (table === undefined)
        throw nodeError('SQL_NAME', source.at, `cannot read ${excerpt(printExpression(path))}`);
      return table;
    }
  }
}

function namedTable(source: TableReference, findings: Findings, commonTables: CommonScope): SourceTable {
  const { schema, name } = source.table;
  const common = schema === null ? commonTables.get(name) : undefined;
  if (common !== undefined) {
    findings.commonTables.set(source, common.definition);
    return common.table;
  }
  const table = findings.catalog.table(source.table);
  if (table !== undefined) return table;
  const shown = schema === null ? name : `${schema}.${name}`;
  throw nodeError('SQL_NAME', source.table.at, `unknown table ${excerpt(shown)}`, {
    unknown: 'table',
    suggestion: nearest(shown, [...findings.catalog.tableNames(), ...commonTables.keys()]),
  });
}

/** A query's output as a table; its time column is the one called timestamp, or the only timestamp. */
export function renamed(columns: readonly OutputColumn[], names: readonly string[], at: number): SourceTable {
  if (names.length > 0 && names.length !== columns.length)
    throw nodeError('SQL_NAME', at, `${names.length} column names for ${columns.length} columns`);
  const named = columns.map((column, i) => ({ ...column, name: names[i] ?? column.name }));
  return { columns: named, timestamp: timeColumnOf(named) };
}

export function placeIn(scope: Scope, findings: Findings, commonTables: CommonScope, clause: string): Place {
  return {
    findings,
    scope,
    commonTables,
    clause,
    aggregates: false,
    windows: false,
    inAggregate: false,
    outputs: [],
    outputsFirst: false,
    hiddenAliases: [],
  };
}

function analyzeJoin(join: Join, findings: Findings, commonTables: CommonScope): Scope {
  const left = analyzeFrom(join.left, findings, commonTables);
  if (left.windowSource !== null)
    throw nodeError('SQL_UNSUPPORTED', join.at, 'a WINDOW JOIN must be the last join');
  const right = analyzeSource(join.right, findings, commonTables);
  const both = joinedScope(left, right);
  const place = placeIn(both, findings, commonTables, 'ON');
  const analysis = conditionOf(join, left, right, place);
  findings.joins.set(join, analysis);
  return resultScope(join, left, right, both, analysis, findings);
}

type Parts = {
  -readonly [K in keyof JoinAnalysis]: JoinAnalysis[K] extends readonly (infer T)[] ? T[] : JoinAnalysis[K];
};

function conditionOf(join: Join, left: Scope, right: ScopeSource, place: Place): JoinAnalysis {
  const parts: Parts = { equalities: [], asof: null, window: null, residual: [] };
  if (join.condition === null) return parts;
  if (join.condition.kind === 'using') addUsing(join, join.condition.columns, left, right, parts, place);
  else {
    requireCondition(join.condition.expression, place);
    for (const condition of conjuncts(join.condition.expression))
      addCondition(join, condition, right, parts, place);
  }
  requireParts(join, parts);
  return parts;
}

const isAsof = (join: Join): boolean => join.join.startsWith('ASOF') || join.join.startsWith('AJ0');

/** As in DuckDB, the last column of USING is the time of an ASOF JOIN. */
function addUsing(
  join: Join,
  names: readonly string[],
  left: Scope,
  right: ScopeSource,
  parts: Parts,
  place: Place,
): void {
  names.forEach((name, i) => {
    const sides = [left, singleScope(right)].map((scope): Expression => {
      const reference: ColumnReference = { kind: 'column', at: join.at, table: null, name };
      const column = resolve(scope, reference);
      place.findings.references.set(reference, { kind: 'source', column });
      place.findings.types.set(reference, column.type);
      return reference;
    });
    const pair = { left: sides[0]!, right: sides[1]! };
    const [leftType, rightType] = sides.map((side) => place.findings.types.get(side)!);
    if (!comparable(leftType!, rightType!))
      throw nodeError('SQL_TYPE', join.at, `USING: ${excerpt(name)} has types that do not compare`);
    if (isAsof(join) && i === names.length - 1) parts.asof = { ...pair, strict: false };
    else parts.equalities.push(pair);
  });
}

function addCondition(
  join: Join,
  condition: Expression,
  right: ScopeSource,
  parts: Parts,
  place: Place,
): void {
  const sideOf = (e: Expression): Side => sideOfExpression(e, right.source, place.findings);
  if (condition.kind === 'binary') {
    const sides = [sideOf(condition.left), sideOf(condition.right)];
    const straight = sides[0] !== 'right' && sides[1] === 'right';
    const crossed = sides[0] === 'right' && sides[1] !== 'right';
    if ((straight || crossed) && !sides.includes('both')) {
      const pair = straight
        ? { left: condition.left, right: condition.right }
        : { left: condition.right, right: condition.left };
      if (condition.operator === '=') {
        parts.equalities.push(pair);
        return;
      }
      const operator = straight ? condition.operator : (mirrored[condition.operator] ?? condition.operator);
      if (isAsof(join) && (operator === '>=' || operator === '>')) {
        if (parts.asof !== null)
          throw nodeError('SQL_TYPE', condition.at, `${join.join} JOIN has one time condition`);
        parts.asof = { ...pair, strict: operator === '>' };
        return;
      }
    }
  }
  if (join.join === 'WINDOW' && condition.kind === 'between' && !condition.negated && parts.window === null) {
    const sides = [condition.operand, condition.low, condition.high].map(sideOf);
    if (sides[0] === 'right' && sides[1] !== 'right' && sides[2] !== 'right' && !sides.includes('both')) {
      parts.window = { time: condition.operand, low: condition.low, high: condition.high };
      return;
    }
  }
  if (isAsof(join) || join.join === 'WINDOW' || join.join === 'PLUS')
    throw nodeError('SQL_UNSUPPORTED', condition.at, `${join.join} JOIN: ${conditionForms(join)}`);
  parts.residual.push(condition);
}

const mirrored: Readonly<Record<string, string>> = { '>=': '<=', '>': '<', '<=': '>=', '<': '>' };

function conditionForms(join: Join): string {
  if (isAsof(join)) return 'ON takes left.key = right.key and left.time >= right.time';
  if (join.join === 'WINDOW')
    return 'ON takes left.key = right.key and right.time BETWEEN left.time - a AND left.time + b';
  return 'ON takes left.key = right.key';
}

function requireParts(join: Join, parts: JoinAnalysis): void {
  const missing =
    (isAsof(join) && parts.asof === null) ||
    (join.join === 'WINDOW' && parts.window === null) ||
    (join.join === 'PLUS' && parts.equalities.length === 0);
  if (missing) throw nodeError('SQL_TYPE', join.at, `${join.join} JOIN: ${conditionForms(join)}`);
}

type Side = 'none' | 'left' | 'right' | 'both';

function sideOfExpression(e: Expression, right: TableSource, findings: Findings): Side {
  let left = false;
  let ofRight = false;
  walk(e, (node) => {
    if (node.kind === 'column') {
      const reference = findings.references.get(node);
      const places = reference?.kind === 'source' ? reference.column.places : [];
      for (const { source } of places) {
        if (source === right) ofRight = true;
        else left = true;
      }
    }
    return true;
  });
  if (left && ofRight) return 'both';
  return left ? 'left' : ofRight ? 'right' : 'none';
}

function resultScope(
  join: Join,
  left: Scope,
  right: ScopeSource,
  both: Scope,
  analysis: JoinAnalysis,
  findings: Findings,
): Scope {
  switch (join.join) {
    case 'WINDOW':
      return { ...both, columns: [...left.columns, ...hiddenFromStar(right)], windowSource: right.source };
    case 'AJ0':
    case 'AJ0 LEFT': {
      // Left columns win; those of the right side alone can be named, but `*` leaves them out.
      const names = new Set(left.columns.map((column) => column.name));
      return {
        ...both,
        columns: [...left.columns, ...hiddenFromStar(right).filter(({ name }) => !names.has(name))],
      };
    }
    case 'UNION':
      return { ...both, columns: mergedColumns(join, left, right, unionColumn) };
    case 'PLUS': {
      const keys = keyColumns(analysis, findings);
      return {
        ...both,
        columns: mergedColumns(join, left, right, (l, r) => (keys.has(l.name) ? l : plusColumn(l, r))),
      };
    }
    default:
      if (join.condition?.kind !== 'using') return both;
      return { ...both, columns: usingColumns(join, join.condition.columns, left, right) };
  }
}

const hiddenFromStar = (right: ScopeSource): ScopeColumn[] =>
  right.columns.map((column) => ({ ...column, inStar: false }));

function keyColumns(analysis: JoinAnalysis, findings: Findings): Set<string> {
  const names = new Set<string>();
  for (const { left } of analysis.equalities) {
    const reference = left.kind === 'column' ? findings.references.get(left) : undefined;
    if (reference?.kind === 'source') names.add(reference.column.name);
  }
  return names;
}

/** The left columns, each merged with the right one of its name, then the other right columns. */
function mergedColumns(
  join: Join,
  left: Scope,
  right: ScopeSource,
  merge: (left: ScopeColumn, right: ScopeColumn) => ScopeColumn | null,
): ScopeColumn[] {
  const ofLeft = new Set(left.columns.map((column) => column.name));
  const columns = left.columns.map((column) => {
    const other = right.columns.find((candidate) => candidate.name === column.name);
    if (other === undefined) return column;
    const merged = merge(column, other);
    if (merged === null)
      throw nodeError(
        'SQL_TYPE',
        join.at,
        `${join.join} JOIN: ${excerpt(column.name)} has types that do not go together`,
      );
    return merged;
  });
  return [...columns, ...right.columns.filter((column) => !ofLeft.has(column.name))];
}

function unionColumn(left: ScopeColumn, right: ScopeColumn): ScopeColumn | null {
  const type = commonType(left.type, right.type);
  return type === null
    ? null
    : { ...left, type, places: [...left.places, ...right.places], combine: 'first' };
}

/** Numbers are added; of other columns the left one stays. */
function plusColumn(left: ScopeColumn, right: ScopeColumn): ScopeColumn {
  if (!isNumber(left.type) || !isNumber(right.type) || left.places.length > 1) return left;
  const type = arithmeticType('+', left.type, right.type)!;
  return { ...left, type, places: [...left.places, ...right.places], combine: 'plus' };
}

function usingColumns(join: Join, names: readonly string[], left: Scope, right: ScopeSource): ScopeColumn[] {
  const merged = left.columns.map((column): ScopeColumn => {
    if (!names.includes(column.name)) return column;
    const other = right.columns.find((candidate) => candidate.name === column.name)!;
    if (join.join === 'RIGHT') return { ...other, type: other.type };
    return join.join === 'FULL' ? (unionColumn(column, other) ?? column) : column;
  });
  return [...merged, ...right.columns.filter((column) => !names.includes(column.name))];
}
