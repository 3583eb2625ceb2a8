// What: a table's conditions sorted by what they can do: bound the event time, choose symbols, bound a stored value, or filter rows.
// Why: a query for five minutes of one symbol must not look at any other part, and one for high prices not at each row's other columns.
// Invariant: every condition is in exactly one of the four; a bound or symbol test says all that its condition says.

import type { ColumnSchema, TableSchema } from '../columns/types.ts';
import { INT64_MAX } from '../kernel/fixed.ts';
import type { ColumnReference, Expression } from '../sql/ast.ts';
import { isText } from '../sql/type-rules.ts';
import { type SqlType, typeOfColumn } from '../sql/types.ts';
import { walk } from '../sql/walk.ts';
import { compile } from './expression/compile.ts';
import { constantValue, type Scope } from './expression/compiled.ts';
import { kindOf } from './vector.ts';

type RangeOperator = '=' | '<' | '<=' | '>' | '>=';

/** event time operator value; the value is the same for all rows. */
export interface TimeCondition {
  readonly operator: RangeOperator;
  readonly value: Expression;
}

/** column operator value, of a column that kernels compare as it is stored. */
export interface ValueCondition extends TimeCondition {
  /** Index into the table's columns. */
  readonly column: number;
}

export interface Conditions {
  readonly times: readonly TimeCondition[];
  /** Over the symbol alone: asked once for each symbol. */
  readonly symbols: readonly Expression[];
  readonly values: readonly ValueCondition[];
  readonly filters: readonly Expression[];
}

/** `indexOf`: a column's index in the table, −1 for none. */
export function sortConditions(
  conditions: readonly Expression[],
  types: ReadonlyMap<Expression, SqlType>,
  schema: TableSchema,
  indexOf: (column: ColumnReference) => number,
): Conditions {
  const times: TimeCondition[] = [];
  const symbols: Expression[] = [];
  const values: ValueCondition[] = [];
  const filters: Expression[] = [];
  for (const condition of conditions) {
    const found = comparisons(condition, indexOf);
    const column = found[0] === undefined ? -1 : indexOf(found[0].column);
    const isRange =
      column >= 0 &&
      found.every(({ operator, value }) =>
        isComparedAsStored(schema.columns[column]!, operator, types.get(value)!),
      );
    const used = columnsIn(condition, indexOf);
    if (used.size === 1 && used.has(schema.symbolColumn)) symbols.push(condition);
    else if (!isRange) filters.push(condition);
    else if (column === schema.timestampColumn)
      times.push(...found.map(({ operator, value }) => ({ operator, value })));
    else values.push(...found.map(({ operator, value }) => ({ column, operator, value })));
  }
  return { times, symbols, values, filters };
}

function columnsIn(e: Expression, indexOf: (column: ColumnReference) => number): Set<number> {
  const columns = new Set<number>();
  walk(e, (part) => {
    if (part.kind === 'column') columns.add(indexOf(part));
    return true;
  });
  return columns;
}

/** Whether the stored values alone tell: integers beside integers, floats beside numbers, texts by their codes. */
function isComparedAsStored(column: ColumnSchema, operator: RangeOperator, value: SqlType): boolean {
  const type = typeOfColumn(column);
  switch (kindOf(type)) {
    case 'int':
      return kindOf(value) === 'int';
    case 'float':
      return kindOf(value) === 'int' || kindOf(value) === 'float';
    case 'text':
      return operator === '=' && isText(value);
    case 'bool':
      return false;
  }
}

const mirrored: Readonly<Record<RangeOperator, RangeOperator>> = {
  '=': '=',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
};

interface Comparison extends TimeCondition {
  readonly column: ColumnReference;
}

/** What a condition says of one column beside values that are the same for all rows; empty: it says something else. */
function comparisons(e: Expression, indexOf: (column: ColumnReference) => number): Comparison[] {
  const isFixed = (part: Expression): boolean => columnsIn(part, indexOf).size === 0;
  if (e.kind === 'between') {
    const { operand: column, low, high, negated } = e;
    if (negated || column.kind !== 'column' || !isFixed(low) || !isFixed(high)) return [];
    return [
      { column, operator: '>=', value: low },
      { column, operator: '<=', value: high },
    ];
  }
  if (e.kind !== 'binary' || !Object.hasOwn(mirrored, e.operator)) return [];
  const operator = e.operator as RangeOperator;
  if (e.left.kind === 'column' && isFixed(e.right)) return [{ column: e.left, operator, value: e.right }];
  if (e.right.kind === 'column' && isFixed(e.left))
    return [{ column: e.right, operator: mirrored[operator], value: e.left }];
  return [];
}

/** Event times, both inclusive; empty when min > max. */
export interface TimeBounds {
  readonly min: bigint;
  readonly max: bigint;
}

/** The bounds of whatever has none: this very object. */
export const ALL_TIMES: TimeBounds = { min: -INT64_MAX, max: INT64_MAX };
const NO_TIMES: TimeBounds = { min: 1n, max: 0n };

export function timeBounds(times: readonly TimeCondition[], scope: Scope): TimeBounds {
  if (times.length === 0) return ALL_TIMES;
  let { min, max } = ALL_TIMES;
  for (const { operator, value } of times) {
    const instant = constantValue(compile(value, scope)) as bigint | null;
    // A comparison with NULL holds for no row.
    if (instant === null) return NO_TIMES;
    const low = operator === '>' ? instant + 1n : instant;
    const high = operator === '<' ? instant - 1n : instant;
    if (operator !== '<' && operator !== '<=' && low > min) min = low;
    if (operator !== '>' && operator !== '>=' && high < max) max = high;
  }
  return { min, max };
}

/** Ids that `symbol = constant` conditions allow; null: any. The conditions are still asked. */
export function symbolHint(
  conditions: readonly Expression[],
  isSymbol: (e: Expression) => boolean,
  constantCode: (e: Expression) => number | null,
): ReadonlySet<number> | null {
  for (const e of conditions) {
    if (e.kind === 'binary' && e.operator === '=') {
      const other = isSymbol(e.left) ? e.right : isSymbol(e.right) ? e.left : null;
      const code = other === null ? null : constantCode(other);
      if (code !== null) return new Set([code]);
    }
    if (e.kind === 'in-list' && !e.negated && isSymbol(e.operand)) {
      const codes = e.items.map(constantCode);
      if (!codes.includes(null)) return new Set(codes as number[]);
    }
  }
  return null;
}
