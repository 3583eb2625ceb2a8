// What: the window calls of a SELECT → the operator that adds their columns.
// Why: whether windows stay within a symbol, come in time order and read which columns decides what they cost.
// Invariant: what is told of the rows holds for the plan of FROM that it was asked of.

import type { OutputItem, SelectAnalysis } from '../sql/analysis.ts';
import type { Call, Expression } from '../sql/ast.ts';
import { isWindowCall } from '../sql/type-call.ts';
import { walk } from '../sql/walk.ts';
import type { Operator } from './block.ts';
import { type Scope, slot } from './expression/compiled.ts';
import { storable } from './hash-aggregate.ts';
import type { Planner } from './plan.ts';
import type { FromPlan } from './plan-from.ts';
import type { Binding } from './rows.ts';
import { type WindowsSpec, windowed } from './window.ts';

type Items = readonly OutputItem[];

/** Those in the expressions, and in the items that they name; each once. */
export function windowCallsIn(planner: Planner, expressions: readonly Expression[], items: Items): Call[] {
  const calls: Call[] = [];
  const collect = (expression: Expression): void =>
    walk(expression, (e) => {
      if (isWindowCall(e)) {
        if (!calls.some((call) => planner.same(call, e))) calls.push(e);
        return false;
      }
      const reference = e.kind === 'column' ? planner.reference(e) : undefined;
      if (reference?.kind === 'item') collect(items[reference.index]!.expression);
      return true;
    });
  for (const e of expressions) collect(e);
  return calls;
}

/** Whether all windows are ordered by the event time of the first table, and may be of one symbol each: others have ties that go by storage order. */
export function goByTime(planner: Planner, calls: readonly Call[], { scope }: SelectAnalysis): boolean {
  const [first] = scope.sources;
  const isEventTime = (e: Expression): boolean => {
    const reference = e.kind === 'column' ? planner.reference(e) : undefined;
    if (reference?.kind !== 'source' || first === undefined) return false;
    const { name, places } = reference.column;
    return places.length === 1 && places[0]!.source === first.source && name === first.timestamp;
  };
  return (
    calls.length > 0 && calls.every((call) => isByTwo(call) && isEventTime(call.over!.orderBy[0]!.expression))
  );
}

/** Whether a window is partitioned by one key and ordered by one, ascending. */
const isByTwo = ({ over }: Call): boolean =>
  over!.partitionBy.length === 1 && over!.orderBy.length === 1 && !over!.orderBy[0]!.descending;

/** Windows over rows of which nothing is known. */
export const overAll = (calls: readonly Call[]): WindowsSpec => ({
  calls,
  time: null,
  symbolSlot: null,
  isInOrder: () => false,
  used: null,
});

/** Windows over the rows of FROM. `outputs`: what reads their columns. */
export function windowsOfRows(
  planner: Planner,
  calls: readonly Call[],
  from: FromPlan,
  outputs: readonly Expression[],
  items: Items,
  time: Expression | null,
): WindowsSpec {
  const { symbolSlot, timeSlot } = from;
  const isOf = (e: Expression, of: number | null): boolean => of !== null && slotIn(planner, from, e) === of;
  const staysInSymbol = calls.every((call) => call.over!.partitionBy.some((e) => isOf(e, symbolSlot)));
  return {
    calls,
    time,
    symbolSlot: staysInSymbol ? symbolSlot : null,
    isInOrder: (call) => staysInSymbol && isByTwo(call) && isOf(call.over!.orderBy[0]!.expression, timeSlot),
    used: slotsUsed(planner, [...outputs, ...(time === null ? [] : [time])], from, items),
  };
}

/** Slot of the column of FROM that an expression is. */
function slotIn(planner: Planner, { slotOf }: FromPlan, e: Expression): number | null {
  const reference = e.kind === 'column' ? planner.reference(e) : undefined;
  if (reference?.kind !== 'source') return null;
  const { places } = reference.column;
  return places.length === 1 ? (slotOf(places[0]!)?.slot ?? null) : null;
}

/** Slots that expressions read, the keys of windows apart. */
function slotsUsed(
  planner: Planner,
  expressions: readonly Expression[],
  from: FromPlan,
  items: Items,
): ReadonlySet<number> {
  const used = new Set<number>();
  const collect = (expression: Expression): void =>
    walk(expression, (e) => {
      if (isWindowCall(e)) {
        for (const part of e.filter === null ? e.args : [...e.args, e.filter]) collect(part);
        return false;
      }
      const reference = e.kind === 'column' ? planner.reference(e) : undefined;
      if (reference?.kind === 'item') collect(items[reference.index]!.expression);
      else if (reference?.kind === 'source')
        for (const place of reference.column.places) used.add(from.slotOf(place)!.slot);
      return true;
    });
  for (const e of expressions) collect(e);
  return used;
}

/** Adds a column for each call. */
export function withWindows(
  planner: Planner,
  input: Operator,
  binding: Binding,
  spec: WindowsSpec,
): [Operator, Binding] {
  const { calls } = spec;
  if (calls.length === 0) return [input, binding];
  const first = input.types.length;
  const resolve: Scope['resolve'] = (e, scope) => {
    if (!isWindowCall(e)) return binding.resolve(e, scope);
    const index = calls.findIndex((call) => planner.same(call, e));
    return index < 0 ? null : slot(first + index, storable(planner.types.get(e)!));
  };
  return [windowed(input, spec, binding), planner.binding(resolve)];
}
