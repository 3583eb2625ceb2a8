// What: a view's partial of one segment: the groups of its rows, each with what merges of its aggregates, as columns of a file.
// Why: who reads the bucket gets bars from a few groups instead of all rows, by merging them in plain SQL.
// Invariant: a partial follows from the view's definition and the segment's sorted rows alone: whoever makes it makes the same one.

import { createHash } from 'node:crypto';
import {
  type ColumnArray,
  type ColumnSchema,
  ColumnType,
  columnTypeNames,
  NULL_CODE,
  NULL_INT64,
  type StoredTable,
  SYMBOL_ID_LIMIT,
  type TableSchema,
} from '../../columns/types.ts';
import { analyzeQuery } from '../../sql/analyze.ts';
import type { Call, Expression, Select } from '../../sql/ast.ts';
import { printExpression } from '../../sql/print-expression.ts';
import { isAggregateCall } from '../../sql/type-call.ts';
import { some } from '../../sql/walk.ts';
import type { StatePart } from '../aggregate/accumulator.ts';
import { makeAggregate } from '../aggregate/make.ts';
import type { Block } from '../block.ts';
import { catalogOf } from '../catalog.ts';
import { compile, condition } from '../expression/compile.ts';
import { Groups } from '../hash-aggregate.ts';
import { bucketOf } from '../kernels/match.ts';
import { type GroupedParts, Planner } from '../plan.ts';
import { emptyStats } from '../result.ts';
import { scopeOf, Test } from '../rows.ts';
import { type ExecuteOptions, Run, runOfNoQuery } from '../run.ts';
import type { AnyPart, Names, Snapshot } from '../snapshot.ts';
import { tableOf } from '../table-parts.ts';
import { PartReader } from '../table-scan.ts';
import { bigintAt, kindOf, scaleOf, type Vector } from '../vector.ts';
import { queryOfView, type ViewDeclaration } from './view.ts';

/** Whose rows a segment holds; among equal event times rows go by it. */
export interface PartialOrigin {
  readonly partition: number;
  readonly offsetNext: number;
}

export interface Partial {
  readonly rows: number;
  /** In the order of the stored columns of the view's `table`. */
  readonly columns: readonly ColumnArray[];
  /** Texts of the codes that occur. */
  readonly strings: ReadonlyMap<number, string>;
  /** Whether one of them is in no dictionary. */
  readonly hasComputedTexts: boolean;
}

/** What of which expression a column holds. */
export interface PartialColumn extends ColumnSchema {
  readonly of: string;
  /** `key`, or of an aggregate what its state is called; '': its value. */
  readonly part: string;
}

/** For reading rows and for the bound on what groups take. */
export type PartialOptions = ExecuteOptions & { readonly names: Names };

/** Names that paths of objects give columns, and the two that each file has besides. */
const PATH_COLUMNS = ['year', 'month', 'day', 'symbol', 'definition'];
const ORIGIN_COLUMNS = ['kafka_partition', 'offset_next'];

export class PartialView {
  readonly declaration: ViewDeclaration;
  /** 16 hex digits of the query and the columns that it reads: other definitions have others. */
  readonly definition: string;
  readonly columns: readonly PartialColumn[];
  /** As files hold it: `columns`, with the symbol of their path. */
  readonly table: StoredTable;
  private readonly grouped: GroupedParts;
  /** Indexes of the keys that are columns of the file. */
  private readonly keys: readonly number[];

  /** @throws ZeptoError SQL_*: the table has changed. */
  constructor(declaration: ViewDeclaration, schema: TableSchema) {
    const query = queryOfView(declaration);
    const tables: Snapshot['tables'] = new Map([[schema.name, tableOf(schema, [])]]);
    const planner = new Planner(analyzeQuery(query, catalogOf(tables, new Map())), tables);
    // A view is one SELECT over a table with groups: it was checked when it was made.
    const select = query.body as Select;
    const grouped = planner.groupedParts(select)!;
    const items = planner.analysis.selects
      .get(select)!
      .items.map(({ expression }, i) => ({ name: planner.analysis.columns[i]!.name, expression }));
    const columnOf = (e: Expression): number | null => planner.tableColumn(e);
    const naming = new Naming(items, planner);
    this.declaration = declaration;
    this.grouped = grouped;
    this.definition = definitionOf(declaration, schema, grouped);
    this.keys = grouped.keys.flatMap((key, i) => (columnOf(key) === schema.symbolColumn ? [] : [i]));
    const keyColumns = this.keys.map((i): PartialColumn => {
      const key = grouped.keys[i]!;
      const isBucket = bucketOf(key, schema, columnOf) !== null;
      const type = grouped.rows.types.get(key)!;
      const own = columnOfKind(kindOf(type), scaleOf(type));
      return {
        name: naming.ofKey(key, i),
        ...(isBucket ? { type: ColumnType.TIMESTAMP_NS } : own),
        of: printExpression(key),
        part: 'key',
      };
    });
    this.columns = [...keyColumns, ...partColumns(grouped, naming), ...originColumns];
    this.table = {
      name: declaration.name,
      columns: [{ name: 'symbol', type: ColumnType.SYMBOL }, ...this.columns],
      symbolColumn: 0,
    };
  }

  /**
   * The partial of a part, which is a segment sorted by time; null when none of its rows is in a group.
   * @throws ZeptoError SQL_*, LIMIT_EXCEEDED; those of reading the part
   */
  async make(part: AnyPart, origin: PartialOrigin, options: PartialOptions): Promise<Partial | null> {
    const { grouped } = this;
    const run = new Run(noTables(options.names), options, emptyStats());
    const scope = scopeOf(run, grouped.rows);
    const tests = grouped.where.map((e) => new Test(condition(compile(e, scope))));
    const groups = new Groups({ ...grouped, bindings: [] }, grouped.rows, run);
    let isEmpty = true;
    for (const item of new PartReader(grouped.scan).read(part, 0, run)) {
      if (item instanceof Promise) {
        await item;
        continue;
      }
      run.check();
      let rest: Block | null = item;
      for (const test of tests) rest = rest && test.passed(rest);
      if (rest === null) continue;
      isEmpty = false;
      groups.take(rest);
    }
    return isEmpty ? null : this.partialOf(groups, origin, run);
  }

  private partialOf(groups: Groups, { partition, offsetNext }: PartialOrigin, run: Run): Partial {
    const rows = groups.count;
    const keyVectors = groups.keyValues();
    const vectors = [
      ...this.keys.map((i) => keyVectors[i]!),
      ...groups.states.flatMap((state) => state.parts!(rows).map(({ vector }) => vector)),
    ];
    const columns = [
      ...vectors.map((vector) => storedValues(vector, rows)),
      new BigInt64Array(rows).fill(BigInt(partition)),
      new BigInt64Array(rows).fill(BigInt(offsetNext)),
    ];
    const strings = new Map<number, string>();
    for (const [i, { type }] of this.columns.entries())
      if (type === ColumnType.STRING)
        for (const code of columns[i] as Uint32Array)
          if (code !== NULL_CODE && !strings.has(code)) strings.set(code, run.texts.textOf(code));
    const hasComputedTexts = [...strings.keys()].some((code) => code >= SYMBOL_ID_LIMIT);
    return { rows, columns, strings, hasComputedTexts };
  }
}

/** Names of columns that no two share. */
class Naming {
  private readonly items: readonly { readonly name: string; readonly expression: Expression }[];
  private readonly planner: Planner;
  private readonly taken = new Set([...PATH_COLUMNS, ...ORIGIN_COLUMNS]);

  constructor(items: Naming['items'], planner: Planner) {
    this.items = items;
    this.planner = planner;
  }

  /** As the view calls it, where it does. */
  ofKey(key: Expression, index: number): string {
    return this.free(this.itemOf(key) ?? (key.kind === 'column' ? key.name : `key_${index + 1}`));
  }

  /** Of an aggregate: as the view calls it, or after the column that is computed from it. */
  ofCall(call: Call): string {
    const own = this.itemOf(call);
    if (own !== null) return own;
    const isOwn = (e: Expression): boolean => this.planner.same(e, call);
    const { name, expression } = this.items.find((item) => some(item.expression, isOwn))!;
    let place = 0;
    some(expression, (e) => {
      if (isAggregateCall(e)) place++;
      return isOwn(e);
    });
    return `${name}_${place}`;
  }

  /** Readers do not tell upper case from lower case. */
  free(name: string): string {
    let free = name;
    while (this.taken.has(free.toLowerCase())) free += '_';
    this.taken.add(free.toLowerCase());
    return free;
  }

  private itemOf(e: Expression): string | null {
    return this.items.find(({ expression }) => this.planner.same(expression, e))?.name ?? null;
  }
}

function partColumns({ calls, rows, time }: GroupedParts, naming: Naming): PartialColumn[] {
  const scope = scopeOf(runOfNoQuery(), rows);
  const compiledTime = time === null ? null : compile(time, scope);
  const found = calls.map((call) => ({
    call,
    base: naming.ofCall(call),
    parts: makeAggregate(call, scope, compiledTime).makeState().parts!(0),
  }));
  // Values first: they keep the view's names when those of parts are the same.
  const names = new Map<StatePart, string>();
  for (const isValue of [true, false])
    for (const { base, parts } of found)
      for (const part of parts)
        if ((part.name === '') === isValue)
          names.set(part, naming.free(isValue ? base : `${base}_${part.name}`));
  return found.flatMap(({ call, parts }) =>
    parts.map((part) => {
      const kind = part.vector.kind === 'wide' ? 'int' : part.vector.kind;
      return {
        name: names.get(part)!,
        ...columnOfKind(
          kind,
          scaleOfPart(call, part.name, (e) => scaleOf(rows.types.get(e)!)),
        ),
        of: printExpression(call),
        part: part.name,
      };
    }),
  );
}

/** Decimals of an integer part. */
function scaleOfPart(call: Call, part: string, scale: (e: Expression) => number): number {
  const [first, second] = call.args;
  switch (part) {
    case '':
      return scale(call);
    case 'sum':
      return scale(first!);
    case 'by':
    case 'weights':
      return scale(second!);
    case 'products':
      return scale(first!) + scale(second!);
    default:
      return 0;
  }
}

/** Times among them are integers too: nanoseconds since 1970 UTC, which may be NULL, and which no reader cuts. */
function columnOfKind(
  kind: 'int' | 'float' | 'bool' | 'text',
  scale: number,
): Pick<ColumnSchema, 'type' | 'scale'> {
  switch (kind) {
    case 'int':
      return scale === 0 ? { type: ColumnType.INT64 } : { type: ColumnType.INT64, scale };
    case 'float':
      return { type: ColumnType.FLOAT64 };
    case 'bool':
      return { type: ColumnType.BOOL };
    case 'text':
      return { type: ColumnType.STRING };
  }
}

const originColumns: readonly PartialColumn[] = ORIGIN_COLUMNS.map((name) => ({
  name,
  type: ColumnType.INT64,
  of: 'plan',
  part: name,
}));

function definitionOf({ sql }: ViewDeclaration, schema: TableSchema, { scan }: GroupedParts): string {
  const read = [...new Set([schema.timestampColumn, schema.symbolColumn, ...scan.columns])]
    .map((index) => schema.columns[index]!)
    .map(({ name, type, scale = 0 }) => [name, columnTypeNames[type]!, scale] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const [time, symbol] = [schema.timestampColumn, schema.symbolColumn].map((i) => schema.columns[i]!.name);
  const identity = JSON.stringify(['zepto view 1', sql, time, symbol, read]);
  return createHash('sha256').update(identity, 'utf8').digest('hex').slice(0, 16);
}

function storedValues(vector: Vector, rows: number): ColumnArray {
  switch (vector.kind) {
    case 'int': {
      const values = new BigInt64Array(rows);
      for (let row = 0; row < rows; row++) values[row] = bigintAt(vector, row) ?? NULL_INT64;
      return values;
    }
    default:
      return vector.values.slice(0, rows);
  }
}

const noTables = (names: Names): Snapshot => ({ tables: new Map(), names, release: () => {} });
