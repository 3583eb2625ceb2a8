// What: a reference to a view, and an aggregate over a table that one of its views can answer, as reads of what the view keeps.
// Why: nobody must name the view: the bars that are there already answer whoever asks for bars.
// Invariant: a condition or key is taken only when it is the same for all rows of a group of the view.

import type { Call, Expression, Select, TableReference } from '../../sql/ast.ts';
import { constantOf } from '../../sql/constant.ts';
import { functionByName } from '../../sql/functions.ts';
import { childrenOf, conjuncts, sameExpression, some } from '../../sql/walk.ts';
import type { Operator } from '../block.ts';
import { slot } from '../expression/compiled.ts';
import { storable } from '../hash-aggregate.ts';
import { bucketOf } from '../kernels/match.ts';
import type { Planner } from '../plan.ts';
import { type Binding, project } from '../rows.ts';
import { type AnsweredCall, viewRead } from './read.ts';
import type { View } from './view.ts';

/** The rows of a view that FROM names, and the conditions that are still to be asked. */
export function planView(
  planner: Planner,
  table: TableReference,
  view: View,
  conditions: readonly Expression[],
): { readonly operator: Operator; readonly filters: readonly Expression[] } {
  if (view.kept === null) return { operator: view.planner.query(view.query), filters: conditions };
  const { grouped, parts } = view.kept;
  const items =
    view.query.body.kind === 'select' ? view.planner.analysis.selects.get(view.query.body)!.items : [];
  /** The key that a column of the view is, or −1. */
  const keyOf = (e: Expression): number => {
    const index = planner.sourceColumn(e, table);
    const item = index === null ? undefined : items[index];
    return item === undefined ? -1 : grouped.keys.findIndex((key) => view.planner.same(key, item.expression));
  };
  const isOfKeys = (condition: Expression): boolean =>
    !some(condition, (e) => isSubquery(e) || (e.kind === 'column' && keyOf(e) < 0));
  const binding = planner.binding((e) => {
    if (e.kind !== 'column') return null;
    const key = keyOf(e);
    return key < 0 ? null : slot(key, parts.keyTypes[key]!);
  });
  const groups = viewRead({
    name: view.declaration.name,
    parts,
    conditions: conditions.filter(isOfKeys),
    keys: null,
    ownKeys: grouped.keys.map((_, key) => key),
    calls: grouped.calls.map((call, from) => ({
      ...{ call, from, isSame: true },
      type: storable(grouped.rows.types.get(call)!),
    })),
    binding,
    isRewrite: false,
  });
  return {
    operator: project(groups, grouped.columns, grouped.groups),
    filters: conditions.filter((condition) => !isOfKeys(condition)),
  };
}

const isSubquery = (e: Expression): boolean =>
  e.kind === 'scalar-query' || e.kind === 'exists' || e.kind === 'in-query';

/** Groups of `select` out of a view over the same table, or null. */
export function answerFromView(
  planner: Planner,
  select: Select,
  keys: readonly Expression[],
  calls: readonly Call[],
): Operator | null {
  const table = select.from;
  if (table?.kind !== 'table' || table.sampleRatio !== null || select.latestOn !== null) return null;
  // Of the same name, but not the table.
  if (table.table.schema === 'system' || planner.analysis.commonTables.has(table)) return null;
  let best: { readonly operator: Operator; readonly groups: number } | null = null;
  for (const view of planner.answering.values()) {
    if (view.kept === null || view.declaration.source !== table.table.name) continue;
    const operator = new Match(planner, table, view, view.kept).operator(
      conjuncts(select.where),
      keys,
      calls,
    );
    const { groups } = view.kept.parts;
    if (operator !== null && (best === null || groups < best.groups)) best = { operator, groups };
  }
  return best?.operator ?? null;
}

class Match {
  private readonly planner: Planner;
  private readonly table: TableReference;
  private readonly view: View;
  private readonly kept: NonNullable<View['kept']>;
  /** The view's key that is a bucket of the event time, and its length. */
  private readonly bucket: {
    readonly key: number;
    readonly stepNs: bigint;
    readonly originNs: bigint;
  } | null;

  constructor(planner: Planner, table: TableReference, view: View, kept: NonNullable<View['kept']>) {
    this.planner = planner;
    this.table = table;
    this.view = view;
    this.kept = kept;
    const { scan } = kept.grouped;
    const columnOf = (e: Expression): number | null => view.planner.tableColumn(e);
    const buckets = kept.grouped.keys.map((key) => bucketOf(key, scan.schema, columnOf));
    const key = buckets.findIndex((bucket) => bucket !== null);
    this.bucket = key < 0 ? null : { key, ...buckets[key]! };
  }

  operator(
    where: readonly Expression[],
    keys: readonly Expression[],
    calls: readonly Call[],
  ): Operator | null {
    const { grouped, parts } = this.kept;
    const isOwn = (condition: Expression): boolean =>
      grouped.where.some((own) => this.isSame(condition, own));
    // Rows that the view leaves out must be left out by the query too.
    if (!grouped.where.every((own) => where.some((condition) => this.isSame(condition, own)))) return null;
    const conditions = where.filter((condition) => !isOwn(condition));
    if (!conditions.every((e) => this.holdsForGroups(e)) || !keys.every((e) => this.holdsForGroups(e)))
      return null;
    const answered: AnsweredCall[] = [];
    for (const call of calls) {
      const found = this.answered(call);
      if (found === null) return null;
      answered.push(found);
    }
    return viewRead({
      name: this.view.declaration.name,
      parts,
      conditions,
      keys,
      ownKeys: this.ownKeys(keys),
      calls: answered,
      binding: this.binding(),
      isRewrite: true,
    });
  }

  private binding(): Binding {
    const { keyTypes } = this.kept.parts;
    return this.planner.binding((e) => {
      const key = this.keyOf(e);
      if (key >= 0) return slot(key, keyTypes[key]!);
      // Within a coarser bucket or an aligned comparison the start of the bucket stands for all its times.
      return this.isTime(e) && this.bucket !== null
        ? slot(this.bucket.key, keyTypes[this.bucket.key]!)
        : null;
    });
  }

  /** Which keys of the view they are, when they are all of them. Without keys there is a group even where conditions leave none. */
  private ownKeys(keys: readonly Expression[]): readonly number[] | null {
    const own = keys.map((key) => this.keyOf(key));
    const isAll = own.length === this.kept.grouped.keys.length && new Set(own).size === own.length;
    return isAll && own.length > 0 && !own.includes(-1) ? own : null;
  }

  private answered(call: Call): AnsweredCall | null {
    const { calls } = this.kept.grouped;
    const same = calls.findIndex((own) => this.isSame(call, own));
    const type = storable(this.planner.types.get(call)!);
    if (same >= 0) return { call, from: same, isSame: true, type };
    if (call.distinct || call.filter !== null) return null;
    // Sums and means keep the same states, and both count.
    const { name } = functionByName(call.name)!;
    const sources =
      name === 'avg' ? ['sum'] : name === 'sum' ? ['avg'] : name === 'count' ? ['sum', 'avg'] : [];
    const from = calls.findIndex(
      (own) =>
        own.filter === null &&
        !own.distinct &&
        sources.includes(functionByName(own.name)!.name) &&
        call.args.length === 1 &&
        this.isSame(call.args[0]!, own.args[0]!),
    );
    return from < 0 ? null : { call, from, isSame: false, type };
  }

  /** Whether the expression has one value for all rows of a group. */
  private holdsForGroups(e: Expression): boolean {
    if (this.keyOf(e) >= 0 || this.isCoarserBucket(e) || this.isAligned(e)) return true;
    if (e.kind === 'column' || isSubquery(e)) return false;
    return childrenOf(e).every((child) => this.holdsForGroups(child));
  }

  private isCoarserBucket(e: Expression): boolean {
    if (this.bucket === null) return false;
    const { schema } = this.kept.grouped.scan;
    const coarser = bucketOf(e, schema, (column) => this.columnOf(column));
    if (coarser === null) return false;
    const { stepNs, originNs } = this.bucket;
    return coarser.stepNs % stepNs === 0n && (coarser.originNs - originNs) % stepNs === 0n;
  }

  /** A comparison of the event time with a time between two buckets. */
  private isAligned(e: Expression): boolean {
    if (this.bucket === null) return false;
    const { stepNs, originNs } = this.bucket;
    const begins = (bound: Expression, offset: bigint): boolean => {
      const value = constantOf(bound);
      return typeof value === 'bigint' && (value + offset - originNs) % stepNs === 0n;
    };
    if (e.kind === 'between')
      return !e.negated && this.isTime(e.operand) && begins(e.low, 0n) && begins(e.high, 1n);
    if (e.kind !== 'binary') return false;
    const offsets: Readonly<Record<string, bigint>> = { '>=': 0n, '<': 0n, '>': 1n, '<=': 1n };
    const mirrored: Readonly<Record<string, bigint>> = { '<=': 0n, '>': 0n, '<': 1n, '>=': 1n };
    if (this.isTime(e.left) && e.operator in offsets) return begins(e.right, offsets[e.operator]!);
    return this.isTime(e.right) && e.operator in mirrored && begins(e.left, mirrored[e.operator]!);
  }

  private keyOf(e: Expression): number {
    return this.kept.grouped.keys.findIndex((key) => this.isSame(e, key));
  }

  private isTime(e: Expression): boolean {
    return this.columnOf(e) === this.kept.grouped.scan.schema.timestampColumn;
  }

  private columnOf(e: Expression): number | null {
    return this.planner.sourceColumn(e, this.table);
  }

  /** An expression of the query and one of the view, over the same table. */
  private isSame(ofQuery: Expression, ofView: Expression): boolean {
    return sameExpression(ofQuery, ofView, (l, r) => {
      const column = this.columnOf(l);
      return column !== null && column === this.view.planner.tableColumn(r);
    });
  }
}
