// What: FROM → the operator of its rows, with the conditions that can be decided below a join put there.
// Why: a scan prunes by time and symbol only if it is told of them.
// Invariant: a condition goes below a join only where it cannot change which rows the join makes.

import { ZeptoError } from '../kernel/errors.ts';
import type {
  Call,
  ColumnReference,
  Expression,
  Join,
  TableExpression,
  TableFunction,
  TableReference,
  TableSource,
} from '../sql/ast.ts';
import { nodeError } from '../sql/errors.ts';
import type { Place } from '../sql/scope.ts';
import type { SqlType } from '../sql/types.ts';
import { walk } from '../sql/walk.ts';
import type { Operator } from './block.ts';
import { sortConditions } from './conditions.ts';
import { coerced, slot } from './expression/compiled.ts';
import { foreignScan } from './foreign-scan.ts';
import { groupScan } from './group-scan.ts';
import { asofJoin, type SymbolSlots } from './join/asof-join.ts';
import { hashJoin } from './join/hash-join.ts';
import type { JoinKey } from './join/join-keys.ts';
import { unionJoin } from './join/union-join.ts';
import { windowJoin } from './join/window-join.ts';
import { orderedScan } from './ordered-scan.ts';
import { peerQuery } from './peer-query.ts';
import type { Planner } from './plan.ts';
import { type Binding, filter } from './rows.ts';
import { systemScan } from './system/system-table.ts';
import { type TableScanSpec, tableScan } from './table-scan.ts';
import { planView } from './view/match.ts';

export interface FoundSlot {
  readonly slot: number;
  readonly type: SqlType;
}

export interface FromPlan {
  readonly operator: Operator;
  slotOf(place: Place): FoundSlot | null;
  /** Conditions that are still to be asked. */
  readonly filters: readonly Expression[];
  /** Slot of an aggregate that a WINDOW JOIN has computed. */
  aggregateSlot(call: Call): number | null;
  /** When the rows are exactly those of one scan. */
  readonly scan: TableScanSpec | undefined;
  /** Slot of the symbol when the rows come symbol by symbol, ids ascending, each block of one; else null. */
  readonly symbolSlot: number | null;
  /** Slot of the event time when, within each symbol, the rows come in its order; else null. */
  readonly timeSlot: number | null;
}

/** What the rest of the query does with the rows. */
export interface FromUses {
  readonly expressions: readonly Expression[];
  /** Aggregates over the right side of a WINDOW JOIN. */
  readonly windowCalls: readonly Call[];
  /** Whether rows had better come in time order within each symbol. */
  readonly inTimeOrder: boolean;
}

export const NO_WINDOWS: Pick<FromUses, 'windowCalls' | 'inTimeOrder'> = {
  windowCalls: [],
  inTimeOrder: false,
};

/** Slots by source and column. */
type Slots = ReadonlyMap<TableSource, ReadonlyMap<number, FoundSlot>>;

interface Side {
  readonly operator: Operator;
  readonly slots: Slots;
  readonly filters: readonly Expression[];
  /** Of the operator, when it is nothing but a scan. */
  readonly scan?: TableScanSpec;
  /** As in FromPlan. */
  readonly symbolSlot: number | null;
  readonly timeSlot: number | null;
}

type Needed = ReadonlyMap<TableSource, ReadonlySet<number>>;

/** Of rows that come in any order. */
const NO_ORDER: Pick<Side, 'symbolSlot' | 'timeSlot'> = { symbolSlot: null, timeSlot: null };

/** What is asked of a table of FROM. */
interface Wanted {
  readonly needed: Needed;
  /** Of those, what is read beside the keys and times of a join. */
  readonly beyond: (join: Join) => Needed;
  readonly windowCalls: readonly Call[];
  readonly inTimeOrder: boolean;
}

export function planFrom(
  planner: Planner,
  from: TableExpression,
  conditions: readonly Expression[],
  uses: FromUses,
): FromPlan {
  const { expressions, windowCalls, inTimeOrder } = uses;
  const needed = neededColumns(planner, from, expressions);
  const aggregates = new Map<Call, number>();
  const beyond = (join: Join): Needed => neededColumns(planner, from, expressions, join);
  const wanted = { needed, beyond, windowCalls, inTimeOrder };
  const { operator, slots, filters, scan, symbolSlot, timeSlot } = planTable(
    planner,
    from,
    conditions,
    wanted,
    aggregates,
  );
  return {
    operator,
    filters,
    symbolSlot,
    timeSlot,
    scan: filters.length === 0 ? scan : undefined,
    slotOf: ({ source, index }) => slots.get(source)?.get(index) ?? null,
    aggregateSlot: (call) => {
      for (const [known, at] of aggregates) if (planner.same(known, call)) return at;
      return null;
    },
  };
}

/** `beyond`: a join whose keys and times do not count. */
function neededColumns(
  planner: Planner,
  from: TableExpression,
  expressions: readonly Expression[],
  beyond: Join | null = null,
): Needed {
  const needed = new Map<TableSource, Set<number>>();
  const add = (e: Expression): void =>
    walk(e, (part) => {
      if (part.kind !== 'column') return true;
      const reference = planner.reference(part);
      for (const { source, index } of reference.kind === 'source' ? reference.column.places : []) {
        const columns = needed.get(source) ?? new Set();
        needed.set(source, columns.add(index));
      }
      return true;
    });
  for (const e of expressions) add(e);
  for (let table = from; table.kind === 'join'; table = table.left)
    for (const e of table === beyond ? residualOf(planner, table) : expressionsOf(planner, table)) add(e);
  return needed;
}

const residualOf = (planner: Planner, join: Join): readonly Expression[] =>
  planner.analysis.joins.get(join)!.residual;

function expressionsOf(planner: Planner, join: Join): Expression[] {
  const { equalities, asof, window, residual } = planner.analysis.joins.get(join)!;
  const found = [...residual];
  for (const pair of asof === null ? equalities : [...equalities, asof]) found.push(pair.left, pair.right);
  if (window !== null) found.push(window.time, window.low, window.high);
  return found;
}

function planTable(
  planner: Planner,
  table: TableExpression,
  conditions: readonly Expression[],
  wanted: Wanted,
  aggregates: Map<Call, number>,
): Side {
  switch (table.kind) {
    case 'join':
      return planJoin(planner, table, conditions, wanted, aggregates);
    case 'derived':
      return wholeSource(table, planner.query(table.query), conditions);
    case 'table-function':
      return planForeign(planner, table, conditions, wanted.needed);
    case 'table': {
      if (planner.analysis.sources.get(table)!.files !== undefined)
        return planForeign(planner, table, conditions, wanted.needed);
      const common = planner.analysis.commonTables.get(table);
      if (common !== undefined) return wholeSource(table, planner.commonTable(common), conditions);
      if (table.table.schema === 'system') {
        const { columns } = planner.analysis.sources.get(table)!;
        return wholeSource(table, systemScan(table.table.name, columns), conditions);
      }
      const view = planner.views.get(table.table.name);
      if (view !== undefined && planner.group !== null)
        return wholeSource(table, planner.queryOfView(view), conditions);
      if (view !== undefined) {
        const { operator, filters } = planView(planner, table, view, conditions);
        return wholeSource(table, operator, filters);
      }
      return planScan(planner, table, conditions, wanted);
    }
  }
}

/** A source whose operator gives all of its columns in order. */
function wholeSource(source: TableSource, operator: Operator, conditions: readonly Expression[]): Side {
  const slots = new Map(operator.types.map((type, index) => [index, { slot: index, type }]));
  return { operator, slots: new Map([[source, slots]]), filters: conditions, ...NO_ORDER };
}

/** Of duckdb('path'), or of a table that is registered for one. */
function planForeign(
  planner: Planner,
  table: TableFunction | TableReference,
  conditions: readonly Expression[],
  needed: Needed,
): Side {
  const { columns, files } = planner.analysis.sources.get(table)!;
  if (table.kind === 'table' && table.sampleRatio !== null)
    throw nodeError('SQL_UNSUPPORTED', table.at, 'SAMPLE is for tables of ticks, not for files');
  const chosen = [...(needed.get(table) ?? [])].sort((a, b) => a - b);
  const operator = foreignScan(
    files!,
    chosen.map((index) => columns[index]!),
  );
  const slots = new Map(chosen.map((index, at) => [index, { slot: at, type: operator.types[at]! }]));
  return { operator, slots: new Map([[table, slots]]), filters: conditions, ...NO_ORDER };
}

function planScan(
  planner: Planner,
  table: TableReference,
  conditions: readonly Expression[],
  { needed, inTimeOrder }: Wanted,
): Side {
  const { name } = table.table;
  const snapshot = planner.tables.get(name);
  if (snapshot === undefined) throw new ZeptoError('SQL_NAME', 'stop', `unknown table ${name}`);
  const { schema } = snapshot;
  const indexOf = (column: ColumnReference): number => planner.tableColumn(column) ?? -1;
  const sorted = sortConditions(conditions, planner.types, schema, indexOf);
  const columns = [...(needed.get(table) ?? [])].sort((a, b) => a - b);
  const spec: TableScanSpec = {
    name,
    schema,
    columns,
    conditions: sorted,
    sampleRatio: table.sampleRatio,
    isSymbol: (e) => planner.tableColumn(e) === schema.symbolColumn,
    types: planner.types,
  };
  const slotOf = (column: number): number | null => {
    const at = columns.indexOf(column);
    return at < 0 ? null : at;
  };
  const symbolSlot = slotOf(schema.symbolColumn);
  const timeSlot = inTimeOrder && planner.group === null ? slotOf(schema.timestampColumn) : null;
  const scan = timeSlot === null ? tableScan(spec) : orderedScan(spec);
  const slots = new Map(columns.map((column, at) => [column, { slot: at, type: scan.types[at]! }]));
  if (planner.group !== null) return planGroupScan(planner, table, conditions, scan, columns, slots);
  const side: Side = {
    operator: scan,
    slots: new Map([[table, slots]]),
    filters: [],
    symbolSlot,
    timeSlot,
  };
  if (sorted.filters.length === 0) return { scan: spec, ...side };
  return { ...side, operator: filter(scan, sorted.filters, bindingOf(planner, side)) };
}

/** Rows of all members: conditions are asked again of what other members give. */
function planGroupScan(
  planner: Planner,
  table: TableReference,
  conditions: readonly Expression[],
  local: Operator,
  columns: readonly number[],
  slots: ReadonlyMap<number, FoundSlot>,
): Side {
  const { columns: all } = planner.analysis.sources.get(table)!;
  const chosen = columns.map((column) => all[column]!);
  const query = peerQuery(
    planner,
    table,
    conditions,
    (chosen.length > 0 ? chosen : all.slice(0, 1)).map(({ name }) => name),
  );
  const operator = groupScan(local, query, planner.group!.members);
  return { operator, slots: new Map([[table, slots]]), filters: conditions, ...NO_ORDER };
}

/** Columns of a side, by the slots of its operator. */
function bindingOf(planner: Planner, side: Side): Binding {
  return planner.binding((e) => {
    if (e.kind !== 'column') return null;
    const reference = planner.reference(e);
    if (reference.kind !== 'source') return null;
    const { source, index } = reference.column.places[0]!;
    const found = side.slots.get(source)?.get(index);
    return found === undefined ? null : coerced(slot(found.slot, found.type), planner.types.get(e)!, e.at);
  });
}

/** Left slots, then right ones. */
function bothSlots(left: Side, right: Side): Slots {
  const width = left.operator.types.length;
  const slots = new Map(left.slots);
  for (const [source, columns] of right.slots)
    slots.set(
      source,
      new Map([...columns].map(([index, found]) => [index, { ...found, slot: found.slot + width }])),
    );
  return slots;
}

const filtersLeft: ReadonlySet<Join['join']> = new Set([
  'INNER',
  'LEFT',
  'CROSS',
  'ASOF',
  'ASOF LEFT',
  'AJ0',
  'AJ0 LEFT',
  'WINDOW',
  'PLUS',
]);
const filtersRight: ReadonlySet<Join['join']> = new Set(['INNER', 'RIGHT', 'CROSS']);

/** One block comes out for each of the left side. */
const keepsOrder: ReadonlySet<Join['join']> = new Set(['ASOF', 'ASOF LEFT', 'AJ0', 'AJ0 LEFT']);

function planJoin(
  planner: Planner,
  join: Join,
  conditions: readonly Expression[],
  wanted: Wanted,
  aggregates: Map<Call, number>,
): Side {
  for (const e of expressionsOf(planner, join)) planner.prepare(e);
  const toLeft: Expression[] = [];
  const toRight: Expression[] = [];
  const rest: Expression[] = [];
  for (const condition of conditions) {
    const side = sideOf(planner, condition, join.right);
    if (side === 'left' && filtersLeft.has(join.join)) toLeft.push(condition);
    else if (side === 'right' && filtersRight.has(join.join)) toRight.push(condition);
    else rest.push(condition);
  }
  const ofLeft: Wanted = {
    ...wanted,
    windowCalls: [],
    inTimeOrder: wanted.inTimeOrder && keepsOrder.has(join.join),
  };
  const ofRight: Wanted = { ...wanted, windowCalls: [], inTimeOrder: isBySymbolAndTime(planner, join) };
  const left = applied(planner, planTable(planner, join.left, toLeft, ofLeft, aggregates));
  const right = applied(planner, planTable(planner, join.right, toRight, ofRight, aggregates));
  const slots = bothSlots(left, right);
  const operator = joined(planner, join, left, right, slots, wanted);
  wanted.windowCalls.forEach((call, i) => {
    aggregates.set(call, left.operator.types.length + i);
  });
  const { symbolSlot, timeSlot } = keepsOrder.has(join.join) ? left : NO_ORDER;
  return { operator, slots, filters: rest, symbolSlot, timeSlot };
}

/** Whether a join is of the last row of a symbol before a time: of the symbol and the event time of the table at its right. */
function isBySymbolAndTime(planner: Planner, join: Join): boolean {
  const { equalities, asof } = planner.analysis.joins.get(join)!;
  const { right } = join;
  if (asof === null || equalities.length !== 1 || right.kind !== 'table') return false;
  const schema = planner.tables.get(right.table.name)?.schema;
  return (
    schema !== undefined &&
    planner.sourceColumn(asof.right, right) === schema.timestampColumn &&
    planner.sourceColumn(equalities[0]!.right, right) === schema.symbolColumn
  );
}

function applied(planner: Planner, side: Side): Side {
  return { ...side, operator: filter(side.operator, side.filters, bindingOf(planner, side)), filters: [] };
}

/** Which side a condition is about; `both` also when it names a column that is merged of both. */
function sideOf(planner: Planner, condition: Expression, right: TableSource): 'left' | 'right' | 'both' {
  let left = false;
  let ofRight = false;
  walk(condition, (part) => {
    const reference = part.kind === 'column' ? planner.reference(part) : undefined;
    if (reference?.kind === 'source') {
      for (const { source } of reference.column.places) {
        if (source === right) ofRight = true;
        else left = true;
      }
      if (reference.column.places.length > 1) left = ofRight = true;
    }
    return true;
  });
  if (left === ofRight) return 'both';
  return left ? 'left' : 'right';
}

/** The equality of the symbols by which both sides come, and their slots. */
function symbolPair(
  planner: Planner,
  keys: readonly JoinKey[],
  left: Side,
  right: Side,
): (SymbolSlots & { readonly key: JoinKey }) | null {
  if (left.symbolSlot === null || right.symbolSlot === null) return null;
  const key = keys.find(
    (pair) =>
      slotIn(planner, left, pair.left) === left.symbolSlot &&
      slotIn(planner, right, pair.right) === right.symbolSlot,
  );
  return key === undefined ? null : { key, left: left.symbolSlot, right: right.symbolSlot };
}

function slotsOf(side: Side, needed: Needed): ReadonlySet<number> {
  const found = new Set<number>();
  for (const [source, columns] of side.slots)
    for (const column of needed.get(source) ?? []) found.add(columns.get(column)!.slot);
  return found;
}

function slotIn(planner: Planner, side: Side, e: Expression): number | null {
  const reference = e.kind === 'column' ? planner.reference(e) : undefined;
  if (reference?.kind !== 'source') return null;
  const { source, index } = reference.column.places[0]!;
  return side.slots.get(source)?.get(index)?.slot ?? null;
}

function joined(
  planner: Planner,
  join: Join,
  left: Side,
  right: Side,
  slots: Slots,
  wanted: Wanted,
): Operator {
  const { windowCalls } = wanted;
  const { equalities, asof, window, residual } = planner.analysis.joins.get(join)!;
  const both: Side = { operator: left.operator, slots, filters: [], ...NO_ORDER };
  const bindings = {
    left: bindingOf(planner, left),
    right: bindingOf(planner, right),
    both: bindingOf(planner, both),
  };
  switch (join.join) {
    case 'ASOF':
    case 'ASOF LEFT':
    case 'AJ0':
    case 'AJ0 LEFT': {
      const symbols = symbolPair(planner, equalities, left, right);
      const isInOrder =
        symbols !== null &&
        equalities.length === 1 &&
        right.timeSlot !== null &&
        slotIn(planner, right, asof!.right) === right.timeSlot &&
        planner.types.get(asof!.left)!.name === planner.types.get(asof!.right)!.name;
      return asofJoin(
        left.operator,
        right.operator,
        {
          label: join.join,
          keepsLeft: join.join.endsWith('LEFT'),
          keys: equalities.filter((key) => key !== symbols?.key),
          symbols,
          usedOfRight: isInOrder ? slotsOf(right, wanted.beyond(join)) : null,
          time: asof!,
          strict: asof!.strict,
          toleranceNs: join.toleranceNs,
        },
        bindings,
      );
    }
    case 'WINDOW':
      return windowJoin(
        left.operator,
        right.operator,
        { keys: equalities, ...window!, calls: windowCalls },
        bindings,
      );
    case 'UNION':
      return unionJoin(left.operator, right.operator);
    default:
      return hashJoin(
        left.operator,
        right.operator,
        { kind: join.join, keys: equalities, residual },
        bindings,
      );
  }
}
