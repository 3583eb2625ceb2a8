// What: a table's conditions sorted by what they can do: bound the event time, choose symbols, or filter rows.
// Why: a query for five minutes of one symbol must not look at any other part.
// Invariant: every condition is in exactly one of the three; a time bound or symbol test says all that its condition says.

import { INT64_MAX } from '../kernel/fixed.ts';
import type { ColumnReference, Expression } from '../sql/ast.ts';
import { isInteger } from '../sql/type-rules.ts';
import type { SqlType } from '../sql/types.ts';
import { walk } from '../sql/walk.ts';
import { compile } from './expression/compile.ts';
import { constantValue, type Scope } from './expression/compiled.ts';

type TimeOperator = '=' | '<' | '<=' | '>' | '>=';

/** event time operator value; the value is the same for all rows. */
export interface TimeCondition {
  readonly operator: TimeOperator;
  readonly value: Expression;
}

export interface Conditions {
  readonly times: readonly TimeCondition[];
  /** Over the symbol alone: asked once for each symbol. */
  readonly symbols: readonly Expression[];
  readonly filters: readonly Expression[];
}

/** What a column reference is to the table. */
export type ColumnRole = 'time' | 'symbol' | 'other';

export function sortConditions(
  conditions: readonly Expression[],
  types: ReadonlyMap<Expression, SqlType>,
  roleOf: (column: ColumnReference) => ColumnRole,
): Conditions {
  const sorted: { times: TimeCondition[]; symbols: Expression[]; filters: Expression[] } = {
    times: [],
    symbols: [],
    filters: [],
  };
  const isTime = (e: Expression): boolean => e.kind === 'column' && roleOf(e) === 'time';
  const isInstant = (e: Expression): boolean => {
    const type = types.get(e);
    const fits = type !== undefined && (type.name === 'TIMESTAMP_NS' || isInteger(type));
    return fits && rolesIn(e, roleOf).size === 0;
  };
  for (const condition of conditions) {
    const times = timeConditions(condition, isTime, isInstant);
    const roles = rolesIn(condition, roleOf);
    if (times !== null) sorted.times.push(...times);
    else if (roles.size === 1 && roles.has('symbol')) sorted.symbols.push(condition);
    else sorted.filters.push(condition);
  }
  return sorted;
}

function rolesIn(e: Expression, roleOf: (column: ColumnReference) => ColumnRole): Set<ColumnRole> {
  const roles = new Set<ColumnRole>();
  walk(e, (part) => {
    if (part.kind === 'column') roles.add(roleOf(part));
    return true;
  });
  return roles;
}

const mirrored: Readonly<Record<TimeOperator, TimeOperator>> = {
  '=': '=',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
};

function timeConditions(
  e: Expression,
  isTime: (e: Expression) => boolean,
  isInstant: (e: Expression) => boolean,
): TimeCondition[] | null {
  if (e.kind === 'between' && !e.negated && isTime(e.operand) && isInstant(e.low) && isInstant(e.high))
    return [
      { operator: '>=', value: e.low },
      { operator: '<=', value: e.high },
    ];
  if (e.kind !== 'binary' || !Object.hasOwn(mirrored, e.operator)) return null;
  const operator = e.operator as TimeOperator;
  if (isTime(e.left) && isInstant(e.right)) return [{ operator, value: e.right }];
  if (isTime(e.right) && isInstant(e.left)) return [{ operator: mirrored[operator], value: e.left }];
  return null;
}

/** Event times, both inclusive; empty when min > max. */
export interface TimeBounds {
  readonly min: bigint;
  readonly max: bigint;
}

export const ALL_TIMES: TimeBounds = { min: -INT64_MAX, max: INT64_MAX };
const NO_TIMES: TimeBounds = { min: 1n, max: 0n };

export function timeBounds(times: readonly TimeCondition[], scope: Scope): TimeBounds {
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
