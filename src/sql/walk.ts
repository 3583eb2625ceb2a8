// What: the parts of an expression, and the questions asked of whole trees.
// Why: one place knows where each node keeps its children, so that a walk cannot forget one.
// Invariant: subqueries are not entered: their columns belong to another scope.

import { unreachable } from '../kernel/assert.ts';
import type { Call, Expression, WindowSpec } from './ast.ts';

/** Direct sub-expressions in the order of the text; those of subqueries not included. */
export function childrenOf(e: Expression): readonly Expression[] {
  switch (e.kind) {
    case 'null':
    case 'boolean':
    case 'integer':
    case 'decimal':
    case 'float':
    case 'string':
    case 'timestamp':
    case 'interval':
    case 'column':
    case 'parameter':
    case 'scalar-query':
    case 'exists':
      return [];
    case 'negate':
    case 'not':
    case 'is-null':
    case 'cast':
    case 'in-query':
      return [e.operand];
    case 'logical':
      return e.operands;
    case 'binary':
      return [e.left, e.right];
    case 'between':
      return [e.operand, e.low, e.high];
    case 'in-list':
      return [e.operand, ...e.items];
    case 'like':
      return [e.operand, e.pattern];
    case 'case':
      return [
        ...(e.operand === null ? [] : [e.operand]),
        ...e.branches.flatMap(({ when, result }) => [when, result]),
        ...(e.otherwise === null ? [] : [e.otherwise]),
      ];
    case 'call':
      return childrenOfCall(e);
    default:
      return unreachable(e);
  }
}

function childrenOfCall(call: Call): readonly Expression[] {
  if (call.filter === null && call.over === null) return call.args;
  return [
    ...call.args,
    ...(call.filter === null ? [] : [call.filter]),
    ...(call.over === null ? [] : childrenOfWindow(call.over)),
  ];
}

export function childrenOfWindow(window: WindowSpec): readonly Expression[] {
  return [...window.partitionBy, ...window.orderBy.map((item) => item.expression)];
}

/** Calls `visit` for the expression and, while it answers true, for what is inside. */
export function walk(expression: Expression, visit: (e: Expression) => boolean): void {
  if (!visit(expression)) return;
  for (const child of childrenOf(expression)) walk(child, visit);
}

/** Whether some node of the tree fulfils the test. */
export function some(expression: Expression, test: (e: Expression) => boolean): boolean {
  return test(expression) || childrenOf(expression).some((child) => some(child, test));
}

/** The conditions that must all hold: the operands of AND, or the expression itself. */
export function conjuncts(expression: Expression | null): readonly Expression[] {
  if (expression === null) return [];
  return expression.kind === 'logical' && expression.operator === 'AND' ? expression.operands : [expression];
}

/**
 * Whether two trees say the same, positions apart. `sameColumn` decides for column references, so that `t.price`
 * and `price` can be the same column.
 */
export function sameExpression(
  left: Expression,
  right: Expression,
  sameColumn: (left: Expression, right: Expression) => boolean,
): boolean {
  return sameNode(left, right, sameColumn);
}

function sameNode(
  left: unknown,
  right: unknown,
  sameColumn: (l: Expression, r: Expression) => boolean,
): boolean {
  if (left === right) return true;
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false;
  if (isColumn(left) && isColumn(right)) return sameColumn(left, right);
  const keys = Object.keys(left);
  if (keys.length !== Object.keys(right).length) return false;
  return keys.every(
    (key) =>
      key === 'at' ||
      (key in right &&
        sameNode(
          (left as Record<string, unknown>)[key],
          (right as Record<string, unknown>)[key],
          sameColumn,
        )),
  );
}

const isColumn = (node: object): node is Expression => (node as { kind?: unknown }).kind === 'column';
