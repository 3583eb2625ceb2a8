// What: analysed query → operators.
// Why: the order of the steps of a SELECT is decided here, and nowhere else.
// Invariant: a plan holds no rows and no open files: it can be opened any number of times, over any snapshot of the same tables.

import { ZeptoError } from '../kernel/errors.ts';
import type { OutputItem, QueryAnalysis, Reference, SelectAnalysis } from '../sql/analysis.ts';
import { sameColumn } from '../sql/analyze-select.ts';
import type {
  Call,
  ColumnReference,
  CommonTable,
  Exists,
  Expression,
  InQuery,
  LatestOn,
  Query,
  QueryBody,
  RowCount,
  ScalarQuery,
  Select,
  TableReference,
} from '../sql/ast.ts';
import { nodeError } from '../sql/errors.ts';
import { type ScopeColumn, samePlaces } from '../sql/scope.ts';
import { isAggregateCall, isWindowCall } from '../sql/type-call.ts';
import { commonType } from '../sql/type-rules.ts';
import { INT64, NULL, type SqlType, TIMESTAMP } from '../sql/types.ts';
import { conjuncts, sameExpression, some, walk } from '../sql/walk.ts';
import type { Operator } from './block.ts';
import { comparisonType } from './expression/compare.ts';
import { compile } from './expression/compile.ts';
import { coerced, constant, type Scope, slot } from './expression/compiled.ts';
import { compileCoalesce } from './expression/logic.ts';
import { filled } from './fill.ts';
import { type GroupReader, groupScan } from './group-scan.ts';
import { type AggregateSpec, hashAggregate, haveParts, mergedGroups, storable } from './hash-aggregate.ts';
import { latestOfSymbol } from './kernels/latest-of-symbol.ts';
import { matchKernel } from './kernels/match.ts';
import { latestOn } from './latest.ts';
import { peerGroups } from './peer-query.ts';
import { type FromPlan, NO_WINDOWS, planFrom } from './plan-from.ts';
import { goByTime, overAll, windowCallsIn, windowsOfRows, withWindows } from './plan-windows.ts';
import {
  type Binding,
  distinct,
  dropColumns,
  filter,
  limited,
  oneRow,
  type ProjectedColumn,
  project,
  retyped,
} from './rows.ts';
import { combined, shared, values } from './set-operations.ts';
import type { Snapshot } from './snapshot.ts';
import { sorted } from './sort.ts';
import type { TableScanSpec } from './table-scan.ts';
import { answerFromView } from './view/match.ts';
import { noViews, type View, type Views } from './view/view.ts';

export interface Subquery {
  readonly node: ScalarQuery | Exists | InQuery;
  readonly operator: Operator;
  /** Of its value; after IN, the type in which it is compared. */
  readonly type: SqlType;
}

/** A grouping of one table's rows, taken apart. */
export interface GroupedParts {
  /** Without conditions. */
  readonly scan: TableScanSpec;
  readonly keys: readonly Expression[];
  readonly calls: readonly Call[];
  /** Event time, for first and last. */
  readonly time: Expression | null;
  readonly where: readonly Expression[];
  /** Of expressions over the rows, and over groups: keys, then calls. */
  readonly rows: Binding;
  readonly groups: Binding;
  readonly columns: readonly ProjectedColumn[];
  /** Index of the table's column that an expression is, or null. */
  readonly columnOf: (e: Expression) => number | null;
}

export interface QueryPlan {
  readonly root: Operator;
  /** Run before the root, in this order. */
  readonly subqueries: readonly Subquery[];
}

/** The groups of the query, each with the parts of its aggregates' states. @throws ZeptoError SQL_UNSUPPORTED: it has none */
export function planGroups(query: Query, analysis: QueryAnalysis, tables: Snapshot['tables']): QueryPlan {
  const planner = new Planner(analysis, tables);
  return { root: planner.groups(query), subqueries: planner.subqueries };
}

/** `answering`: views that may answer in place of their table. */
export function planQuery(
  query: Query,
  analysis: QueryAnalysis,
  tables: Snapshot['tables'],
  views: Views = noViews,
  answering: Views = views,
  group: GroupReader | null = null,
): QueryPlan {
  const planner = new Planner(analysis, tables, views, answering, group);
  const root = planner.query(query);
  return { root, subqueries: planner.subqueries };
}

export class Planner {
  readonly analysis: QueryAnalysis;
  readonly tables: Snapshot['tables'];
  readonly views: Views;
  readonly answering: Views;
  /** When other members of the group have rows of the tables. */
  readonly group: GroupReader | null;
  readonly subqueries: Subquery[] = [];
  /** Those of the analysis, and of nodes made here. */
  readonly types: Map<Expression, SqlType>;
  readonly references: Map<ColumnReference, Reference>;
  private readonly commonOperators = new Map<CommonTable, Operator>();
  private readonly commonUses = new Map<CommonTable, number>();

  constructor(
    analysis: QueryAnalysis,
    tables: Snapshot['tables'],
    views: Views = noViews,
    answering: Views = noViews,
    group: GroupReader | null = null,
    nodes: Pick<Planner, 'types' | 'references'> | null = null,
  ) {
    this.analysis = analysis;
    this.tables = tables;
    this.views = views;
    this.answering = answering;
    this.group = group;
    this.types = nodes?.types ?? new Map(analysis.types);
    this.references = nodes?.references ?? new Map(analysis.references);
    for (const definition of analysis.commonTables.values())
      this.commonUses.set(definition, (this.commonUses.get(definition) ?? 0) + 1);
  }

  query(query: Query): Operator {
    const keys = this.analysis.orders.get(query)!;
    const outputs = this.analysis.outputs.get(query)!;
    const hidden = keys.flatMap((key) => (key.kind === 'expression' ? [key.expression] : []));
    let plan: Operator;
    if (query.body.kind === 'select') plan = this.select(query.body, hidden);
    else {
      plan = this.body(query.body);
      if (hidden.length > 0) plan = this.withHidden(plan, outputs.length, hidden);
    }
    const limit = rowCount(query.limit, Number.POSITIVE_INFINITY);
    const offset = rowCount(query.offset, 0);
    if (keys.length > 0) {
      let next = outputs.length;
      const sortKeys = keys.map((key, i) => ({
        slot: key.kind === 'output' ? key.index : next++,
        descending: query.orderBy[i]!.descending,
        nullsFirst: query.orderBy[i]!.nullsFirst,
      }));
      plan = sorted(plan, sortKeys, limit + offset);
      if (hidden.length > 0) plan = dropColumns(plan, outputs.length);
    }
    return limited(plan, limit, offset);
  }

  /** A table of WITH: computed once when it is read more than once. */
  commonTable(definition: CommonTable): Operator {
    const known = this.commonOperators.get(definition);
    if (known !== undefined) return known;
    const plan = this.query(definition.query);
    const made = this.commonUses.get(definition)! > 1 ? shared(plan) : plan;
    this.commonOperators.set(definition, made);
    return made;
  }

  reference(column: ColumnReference): Reference {
    return this.references.get(column)!;
  }

  /** Plans the subqueries in an expression, so that they run before its rows. */
  prepare(e: Expression): void {
    walk(e, (node) => {
      if (node.kind === 'scalar-query' || node.kind === 'exists' || node.kind === 'in-query') {
        const plan = this.query(node.query);
        const operator = node.kind === 'exists' ? limited(plan, 1, 0) : plan;
        const { type } = this.analysis.outputs.get(node.query)![0]!;
        const compared = node.kind === 'in-query' ? this.types.get(node.operand)! : type;
        this.subqueries.push({ node, operator, type: comparisonType(compared, type) });
      }
      return true;
    });
  }

  /** What groups a SELECT over one table, before anything is read; null: it is not over the rows of one table. */
  groupedParts(select: Select): GroupedParts | null {
    const analysis = this.analysis.selects.get(select)!;
    if (analysis.grouping !== 'groups' || select.from?.kind !== 'table') return null;
    const outputs = analysis.items.map((item) => item.expression);
    const where = conjuncts(select.where);
    const expressions = [...outputs, ...analysis.groupKeys, ...where];
    const time = this.eventTime(analysis, expressions);
    if (time !== null) expressions.push(time);
    const calls = this.aggregatesIn(outputs);
    const from = planFrom(this, select.from, [], { ...NO_WINDOWS, expressions });
    if (from.scan === undefined) return null;
    return {
      ...{ scan: from.scan, keys: analysis.groupKeys, calls, time, where },
      rows: this.sourceBinding(from, analysis.items),
      groups: this.groupBinding(analysis, calls, null),
      columns: this.projected(outputs),
      columnOf: (e) => this.tableColumn(e),
    };
  }

  /** A view's rows over those of all members. */
  queryOfView({ planner, query }: View): Operator {
    return new Planner(planner.analysis, this.tables, this.views, noViews, this.group).query(query);
  }

  private body(body: QueryBody): Operator {
    switch (body.kind) {
      case 'select':
        return this.select(body, []);
      case 'query':
        return this.query(body);
      case 'values': {
        for (const row of body.rows) for (const e of row) this.prepare(e);
        const types = body.rows[0]!.map((_, i) =>
          storable(this.commonTypeOf(body.rows.map((row) => row[i]!))),
        );
        return values(body, types, { types: this.types, resolve: () => null });
      }
      case 'set-operation': {
        const operands = body.operands.map((operand) => this.body(operand));
        const found = body.operands.map((operand) => this.typesOf(operand));
        const types = found[0]!.map((_, i) => commonTypeOf(found.map((of) => of[i]!)));
        return combined(
          body,
          operands.map((operand, i) => retyped(operand, found[i]!, types, body.at)),
        );
      }
    }
  }

  /** Of the columns; NULL where nothing has given a NULL its type. */
  private typesOf(body: QueryBody): readonly SqlType[] {
    switch (body.kind) {
      case 'select':
        return this.analysis.selects.get(body)!.items.map(({ type }) => type);
      case 'query':
        return this.analysis.outputs.get(body)!.map(({ type }) => type);
      case 'values':
        return body.rows[0]!.map((_, i) => sharedType(body.rows.map((row) => this.types.get(row[i]!)!)));
      case 'set-operation': {
        const found = body.operands.map((operand) => this.typesOf(operand));
        return found[0]!.map((_, i) => sharedType(found.map((of) => of[i]!)));
      }
    }
  }

  private commonTypeOf(expressions: readonly Expression[]): SqlType {
    return commonTypeOf(expressions.map((e) => this.types.get(e)!));
  }

  private withHidden(input: Operator, outputs: number, hidden: readonly Expression[]): Operator {
    for (const e of hidden) this.prepare(e);
    const columns = Array.from({ length: outputs }, (_, index) => {
      const expression: ColumnReference = { kind: 'column', at: 0, table: null, name: '' };
      this.references.set(expression, { kind: 'item', index });
      this.types.set(expression, input.types[index]!);
      return expression;
    });
    const binding = this.binding((e) => {
      const reference = e.kind === 'column' ? this.references.get(e) : undefined;
      return reference?.kind === 'item' ? slot(reference.index, input.types[reference.index]!) : null;
    });
    return project(input, this.projected([...columns, ...hidden]), binding);
  }

  binding(resolve: Scope['resolve']): Binding {
    return { types: this.types, resolve };
  }

  private projected(expressions: readonly Expression[]): { expression: Expression; type: SqlType }[] {
    return expressions.map((expression) => ({ expression, type: storable(this.types.get(expression)!) }));
  }

  private select(select: Select, hidden: readonly Expression[]): Operator {
    const analysis = this.analysis.selects.get(select)!;
    const outputs = [...analysis.items.map((item) => item.expression), ...hidden];
    const expressions = [...outputs, ...analysis.groupKeys];
    if (select.where !== null) expressions.push(select.where);
    if (select.having !== null) expressions.push(select.having);
    if (select.latestOn !== null) expressions.push(select.latestOn.column, ...select.latestOn.partitionBy);
    for (const e of expressions) this.prepare(e);
    const time = this.eventTime(analysis, expressions);
    if (time !== null) expressions.push(time);
    if (analysis.timeColumn !== null) expressions.push(this.columnNode(analysis.timeColumn));
    const calls = this.aggregatesIn([...outputs, ...(select.having === null ? [] : [select.having])]);
    const windowCalls = windowCallsIn(this, outputs, analysis.items);
    const from: FromPlan =
      select.from === null
        ? {
            operator: oneRow,
            slotOf: () => null,
            filters: conjuncts(select.where),
            aggregateSlot: () => null,
            scan: undefined,
            symbolSlot: null,
            timeSlot: null,
          }
        : planFrom(this, select.from, conjuncts(select.where), {
            expressions,
            windowCalls: analysis.grouping === 'window-join' ? calls : [],
            inTimeOrder:
              analysis.grouping === 'rows' &&
              select.latestOn === null &&
              goByTime(this, windowCalls, analysis),
          });
    const base = this.sourceBinding(from, analysis.items);
    let plan = filter(from.operator, from.filters, base);
    if (select.latestOn !== null) plan = this.latest(plan, select.latestOn, base, from.scan);
    let binding = base;
    if (analysis.grouping === 'groups') {
      const spec = { keys: analysis.groupKeys, calls, time, bindings: [] };
      plan =
        answerFromView(this, select, analysis.groupKeys, calls) ??
        this.groupedOfAll(select, spec, base) ??
        this.grouped(plan, spec, base, select.latestOn === null ? from.scan : undefined);
      binding = this.groupBinding(analysis, calls, null);
      if (select.having !== null) plan = filter(plan, [select.having], binding, 'Having');
    } else if (analysis.grouping === 'samples') {
      const { scan } = from;
      [plan, binding] = this.samples(select, analysis, calls, time, plan, base, hidden, scan);
    }
    if (windowCalls.length > 0 && analysis.grouping !== 'samples') {
      const isOfRows = analysis.grouping === 'rows';
      const spec =
        isOfRows && select.latestOn === null
          ? windowsOfRows(this, windowCalls, from, outputs, analysis.items, time)
          : { ...overAll(windowCalls), time: isOfRows ? time : null };
      [plan, binding] = withWindows(this, plan, binding, spec);
    }
    plan = project(plan, this.projected(outputs), binding);
    return select.distinct ? distinct(plan) : plan;
  }

  /** Event time that first, last and arg_… go by: that of the first table; over a subquery there is none. */
  private eventTime(analysis: SelectAnalysis, expressions: readonly Expression[]): Expression | null {
    const source = analysis.scope.sources[0];
    const needed = expressions.some((e) =>
      some(e, (part) => part.kind === 'call' && goesByTime.has(part.name)),
    );
    if (!needed || source === undefined || source.timestamp === null) return null;
    if (analysis.scope.windowSource !== null) return null;
    if (source.source.kind !== 'table' || this.analysis.commonTables.has(source.source)) return null;
    const column = source.columns.find(({ name }) => name === source.timestamp);
    return column === undefined ? null : this.columnNode(column);
  }

  private columnNode(column: ScopeColumn): ColumnReference {
    const node: ColumnReference = { kind: 'column', at: 0, table: null, name: column.name };
    this.references.set(node, { kind: 'source', column });
    this.types.set(node, column.type);
    return node;
  }

  /** Columns of FROM, and items by their names. */
  private sourceBinding(from: FromPlan, items: readonly OutputItem[]): Binding {
    return this.binding((e, scope) => {
      if (isAggregateCall(e)) {
        const index = from.aggregateSlot(e);
        return index === null ? null : slot(index, storable(this.types.get(e)!));
      }
      if (e.kind !== 'column') return null;
      const reference = this.references.get(e)!;
      if (reference.kind === 'item') return compile(items[reference.index]!.expression, scope);
      return columnOf(reference.column, from, scope, e.at);
    });
  }

  private groupBinding(
    analysis: SelectAnalysis,
    calls: readonly Call[],
    keys: readonly Expression[] | null,
    timeSlot: number | null = null,
  ): Binding {
    const groupKeys = keys ?? analysis.groupKeys;
    const first = timeSlot === null ? 0 : 1;
    return this.binding((e, scope) => {
      const type = storable(this.types.get(e)!);
      if (isAggregateCall(e)) {
        const index = calls.findIndex((call) => this.same(call, e));
        return slot(first + groupKeys.length + index, type);
      }
      const key = groupKeys.findIndex((candidate) => this.same(candidate, e));
      if (key >= 0) return slot(first + key, type);
      if (e.kind !== 'column') return null;
      const reference = this.references.get(e)!;
      if (reference.kind === 'item') return compile(analysis.items[reference.index]!.expression, scope);
      return this.isSampleTime(e, analysis) ? slot(timeSlot!, TIMESTAMP) : null;
    });
  }

  private isSampleTime(e: Expression, { timeColumn }: SelectAnalysis): boolean {
    if (e.kind !== 'column' || timeColumn === null) return false;
    const reference = this.references.get(e)!;
    return reference.kind === 'source' && samePlaces(reference.column, timeColumn);
  }

  /** Whether two expressions are the same, however their columns are qualified. */
  same(left: Expression, right: Expression): boolean {
    return sameExpression(left, right, (l, r) => sameColumn(l, r, { references: this.references } as never));
  }

  /** Distinct aggregate calls. Items that are named have theirs found in the items. */
  private aggregatesIn(expressions: readonly Expression[]): Call[] {
    const calls: Call[] = [];
    for (const expression of expressions)
      walk(expression, (e) => {
        if (!isAggregateCall(e)) return true;
        if (!calls.some((call) => this.same(call, e))) calls.push(e);
        return false;
      });
    return calls;
  }

  /** SAMPLE BY: groups by bucket and keys, HAVING, windows, FILL; what comes out is bound to the buckets. */
  private samples(
    select: Select,
    analysis: SelectAnalysis,
    calls: readonly Call[],
    time: Expression | null,
    input: Operator,
    base: Binding,
    hidden: readonly Expression[],
    scan: TableScanSpec | undefined,
  ): [Operator, Binding] {
    const { everyNs, fill, at } = select.sampleBy!;
    const bucket: Call = {
      kind: 'call',
      at,
      name: 'xbar',
      args: [this.columnNode(analysis.timeColumn!), { kind: 'integer', at, value: everyNs }],
      star: false,
      distinct: false,
      filter: null,
      over: null,
    };
    this.types.set(bucket, TIMESTAMP);
    this.types.set(bucket.args[1]!, INT64);
    // An item made of nothing but the bucket is no key of its own.
    const keys = analysis.groupKeys.filter((key) => !this.usesOnlyTime(key, analysis));
    const ofBucket = this.binding((e, scope) =>
      this.isSampleTime(e, analysis)
        ? compile(bucket, { ...scope, resolve: base.resolve })
        : base.resolve(e, scope),
    );
    const spec = { keys: [bucket, ...keys], calls, time, bindings: [base, ...keys.map(() => ofBucket)] };
    const isOfTime = keys.some((key) => some(key, (e) => this.isSampleTime(e, analysis)));
    let plan =
      (isOfTime ? null : this.groupedOfAll(select, spec, base)) ??
      this.grouped(input, spec, base, select.latestOn === null ? scan : undefined);
    let binding = this.groupBinding(analysis, calls, keys, 0);
    if (select.having !== null) plan = filter(plan, [select.having], binding, 'Having');
    const outputs = [...analysis.items.map((item) => item.expression), ...hidden];
    [plan, binding] = withWindows(this, plan, binding, overAll(windowCallsIn(this, outputs, analysis.items)));
    plan = sorted(plan, [{ slot: 0, descending: false, nullsFirst: false }]);
    if (fill.length === 0 || fill.every(({ kind }) => kind === 'none')) return [plan, binding];
    const measured = outputs.filter((e) => some(e, isAggregateCall) || some(e, isWindowCall));
    const columns = [this.columnNode(analysis.timeColumn!), ...keys, ...measured];
    plan = filled(
      project(plan, this.projected(columns), binding),
      1 + keys.length,
      everyNs,
      measured.map((_, i) => (fill.length === 1 ? fill[0]! : (fill[i] ?? null))),
    );
    const filledBinding = this.binding((e, scope) => {
      const index = columns.findIndex((column, i) => (i === 0 ? false : this.same(column, e)));
      if (index >= 0) return slot(index, storable(this.types.get(e)!));
      if (this.isSampleTime(e, analysis)) return slot(0, TIMESTAMP);
      const reference = e.kind === 'column' ? this.references.get(e)! : null;
      return reference?.kind === 'item' ? compile(analysis.items[reference.index]!.expression, scope) : null;
    });
    return [plan, filledBinding];
  }

  /**
   * Where other members have rows: each groups its own, and the groups are merged. Null: this member has all rows, or must
   * see those of all.
   */
  private groupedOfAll(select: Select, spec: AggregateSpec, binding: Binding): Operator | null {
    const { from, where, latestOn } = select;
    if (this.group === null || from?.kind !== 'table' || latestOn !== null) return null;
    if (!this.isStored(from) || !haveParts(spec, binding)) return null;
    const query = peerGroups(this, from, conjuncts(where), spec.keys, spec.calls);
    if (query === null) return null;
    const alone = new Planner(this.analysis, this.tables, noViews, noViews, null, this);
    const parts = alone.groupedAlone(select, { ...spec, bindings: [] });
    return mergedGroups(groupScan(parts, query, this.group.members), spec, binding);
  }

  /** Of this member's rows, each group with the parts of its states. */
  private groupedAlone(select: Select, { keys, calls, time }: AggregateSpec): Operator {
    const where = conjuncts(select.where);
    const expressions = [...keys, ...calls, ...where, ...(time === null ? [] : [time])];
    const from = planFrom(this, select.from!, where, { ...NO_WINDOWS, expressions });
    const binding = this.sourceBinding(from, this.analysis.selects.get(select)!.items);
    const spec = { keys, calls, time, bindings: [], asParts: true };
    return this.grouped(filter(from.operator, from.filters, binding), spec, binding, from.scan);
  }

  /** What another member asks of this one's rows: the groups of a SELECT over a table, as `groupedOfAll` merges them. */
  groups({ body }: Query): Operator {
    const analysis = body.kind === 'select' ? this.analysis.selects.get(body) : undefined;
    if (body.kind !== 'select' || analysis?.grouping !== 'groups')
      throw new ZeptoError('SQL_UNSUPPORTED', 'stop', 'only groups have states in parts');
    const outputs = analysis.items.map(({ expression }) => expression);
    const expressions = [...outputs, ...analysis.groupKeys, ...conjuncts(body.where)];
    const time = this.eventTime(analysis, expressions);
    const spec = { keys: analysis.groupKeys, calls: this.aggregatesIn(outputs), time, bindings: [] };
    return this.groupedAlone(body, spec);
  }

  /** Whether its rows are those of a table of ticks. */
  private isStored(table: TableReference): boolean {
    const { table: name } = table;
    return (
      this.analysis.sources.get(table)!.files === undefined &&
      !this.analysis.commonTables.has(table) &&
      name.schema !== 'system' &&
      !this.views.has(name.name)
    );
  }

  /** By a kernel where one does it. `scan`: what the input is, if it is nothing else. */
  private grouped(
    input: Operator,
    spec: AggregateSpec,
    binding: Binding,
    scan: TableScanSpec | undefined,
  ): Operator {
    const general = hashAggregate(input, spec, binding);
    const columnOf = (e: Expression): number | null => this.tableColumn(e);
    return matchKernel(input, scan, { types: general.types, columnOf, ...spec }, binding) ?? general;
  }

  private latest(
    input: Operator,
    { column, partitionBy }: LatestOn,
    binding: Binding,
    scan: TableScanSpec | undefined,
  ): Operator {
    const isKernel =
      scan !== undefined &&
      scan.sampleRatio === null &&
      scan.conditions.values.length === 0 &&
      this.tableColumn(column) === scan.schema.timestampColumn &&
      partitionBy.every((key) => this.tableColumn(key) === scan.schema.symbolColumn);
    return isKernel ? latestOfSymbol(scan, input) : latestOn(input, column, partitionBy, binding);
  }

  /** Index of the column of `table` that an expression is; null: it is something else. */
  sourceColumn(e: Expression, table: TableReference): number | null {
    const reference = e.kind === 'column' ? this.references.get(e) : undefined;
    if (reference?.kind !== 'source') return null;
    const place = reference.column.places[0]!;
    return place.source === table ? place.index : null;
  }

  /** Index of the column that an expression is, in its source. */
  tableColumn(e: Expression): number | null {
    const reference = e.kind === 'column' ? this.references.get(e) : undefined;
    return reference?.kind === 'source' ? reference.column.places[0]!.index : null;
  }

  private usesOnlyTime(e: Expression, analysis: SelectAnalysis): boolean {
    return !some(e, (part) => part.kind === 'column' && !this.isSampleTime(part, analysis));
  }
}

const goesByTime: ReadonlySet<string> = new Set(['first', 'open', 'last', 'close', 'arg_min', 'arg_max']);

/** A column of a scope out of the slots of its places. */
function columnOf(column: ScopeColumn, from: FromPlan, scope: Scope, at: number): ReturnType<typeof slot> {
  const parts = column.places.map((place) => {
    const found = from.slotOf(place);
    if (found === null) throw new ZeptoError('INTERNAL', 'stop', `column ${column.name} was not read`);
    return slot(found.slot, found.type);
  });
  const [first, second] = parts;
  if (parts.length === 1) return coerced(first!, storable(column.type), at);
  if (column.combine === 'first') return compileCoalesce(parts, column.type, at);
  return sumOf(first!, second!, column.type, scope, at);
}

/** PLUS JOIN: a missing right side adds nothing. */
function sumOf(
  left: ReturnType<typeof slot>,
  right: ReturnType<typeof slot>,
  type: SqlType,
  scope: Scope,
  at: number,
): ReturnType<typeof slot> {
  const zero = coerced(constant(INT64, 0n), type, at);
  const addend = compileCoalesce([coerced(right, type, at), zero], type, at);
  const [l, r] = [{ kind: 'null', at } as Expression, { kind: 'null', at } as Expression];
  const sum: Expression = { kind: 'binary', at, operator: '+', left: l, right: r };
  return compile(sum, {
    run: scope.run,
    types: new Map([[sum, type]]),
    resolve: (e) => (e === l ? coerced(left, type, at) : e === r ? addend : null),
  });
}

function rowCount(count: RowCount | null, otherwise: number): number {
  if (count === null) return otherwise;
  if (count.kind === 'parameter')
    throw nodeError('SQL_TYPE', count.at, `the parameter {${count.name}} has no value`);
  return Number(count.value);
}

const commonTypeOf = (types: readonly SqlType[]): SqlType => storable(sharedType(types));

/** The analysis found that there is one. */
const sharedType = (types: readonly SqlType[]): SqlType =>
  types.reduce((common, type) => commonType(common, type)!, NULL as SqlType);
