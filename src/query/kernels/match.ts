// What: whether a grouping is one that the kernel takes.
// Why: the kernel knows few shapes and is fast at them; everything else goes the general way.
// Invariant: what is matched means the same to both.

import { storedColumns } from '../../columns/types.ts';
import type { Call, Expression } from '../../sql/ast.ts';
import { constantOf } from '../../sql/constant.ts';
import { functionByName, truncUnits } from '../../sql/functions.ts';
import { isFloat, isInteger } from '../../sql/type-rules.ts';
import { type SqlType, typeOfColumn } from '../../sql/types.ts';
import type { Operator } from '../block.ts';
import type { Binding } from '../rows.ts';
import type { TableScanSpec } from '../table-scan.ts';
import { kindOf, NARROW_MAX } from '../vector.ts';
import type { StoredColumn } from './feeds.ts';
import type { RangeCall } from './range-aggregate.ts';
import { type RangeKey, scanAggregate } from './scan-aggregate.ts';

export interface Matchable {
  readonly keys: readonly Expression[];
  readonly calls: readonly Call[];
  readonly time: Expression | null;
  readonly types: readonly SqlType[];
  readonly asParts?: boolean;
  /** Index of the table's column that an expression is, or null. */
  readonly columnOf: (e: Expression) => number | null;
}

/** Below this, groups are too small to be worth a kernel's calls. */
const STEP_LEAST_NS = 1_000_000n;
/** Above this, a double does not tell a bucket's last nanosecond from the next one's first. */
const STEP_MOST_NS = BigInt(NARROW_MAX);
const DAY_NS = 86_400_000_000_000n;
/** 1970-01-01 was a Thursday. */
const MONDAY_NS = -3n * DAY_NS;

const unitsNs: Readonly<Record<string, bigint>> = {
  millisecond: 1_000_000n,
  second: 1_000_000_000n,
  minute: 60_000_000_000n,
  hour: 3_600_000_000_000n,
  day: DAY_NS,
};

/** The kernel in place of grouping `input`, or null. */
export function matchKernel(
  input: Operator,
  scan: TableScanSpec | undefined,
  query: Matchable,
  binding: Binding,
): Operator | null {
  if (scan === undefined || scan.sampleRatio !== null) return null;
  const shape = rangeShape(scan, query);
  if (shape === null) return null;
  const goesByTime = shape.calls.some(({ call }) => isEdge(call));
  return scanAggregate(
    {
      scan,
      keys: shape.keys,
      calls: shape.calls,
      keyExpressions: query.keys,
      types: query.types,
      asParts: query.asParts ?? false,
      time: goesByTime ? query.time : null,
    },
    input,
    binding,
  );
}

/** Keys and calls as kernels take them, or null. */
export function rangeShape(
  scan: TableScanSpec,
  query: Pick<Matchable, 'keys' | 'calls' | 'columnOf'>,
): { readonly keys: readonly RangeKey[]; readonly calls: readonly RangeCall[] } | null {
  const keys: RangeKey[] = [];
  for (const e of query.keys) {
    const key = keyOf(e, scan, query);
    if (key === null || keys.some(({ kind }) => kind === key.kind)) return null;
    keys.push(key);
  }
  const calls: RangeCall[] = [];
  for (const call of query.calls) {
    const columns = columnsOf(call, scan, query);
    if (columns === null) return null;
    calls.push({ call, columns });
  }
  return { keys, calls };
}

/** A code may be of one query alone, and what a kernel finds is remembered for others. */
const isText = (type: SqlType): boolean => kindOf(type) === 'text';

const isEdge = (call: Call): boolean => ['first', 'last'].includes(functionByName(call.name)!.name);

function keyOf(
  e: Expression,
  { schema }: TableScanSpec,
  { columnOf }: Pick<Matchable, 'columnOf'>,
): RangeKey | null {
  if (columnOf(e) === schema.symbolColumn) return { kind: 'symbol' };
  const bucket = bucketOf(e, schema, columnOf);
  if (bucket === null || bucket.stepNs < STEP_LEAST_NS || bucket.stepNs > STEP_MOST_NS) return null;
  return { kind: 'bucket', ...bucket };
}

/** The event time rounded down: floor((t − origin) / step) × step + origin; null: the expression is something else. */
export function bucketOf(
  e: Expression,
  { timestampColumn }: TableScanSpec['schema'],
  columnOf: Matchable['columnOf'],
): { readonly stepNs: bigint; readonly originNs: bigint } | null {
  if (e.kind !== 'call') return null;
  const isTime = (arg: Expression | undefined): boolean =>
    arg !== undefined && columnOf(arg) === timestampColumn;
  const bucket = (step: Expression): { stepNs: bigint; originNs: bigint } | null => {
    const stepNs = constantOf(step);
    return typeof stepNs === 'bigint' && stepNs > 0n ? { stepNs, originNs: 0n } : null;
  };
  const [first, second] = e.args;
  switch (functionByName(e.name)?.name) {
    case 'xbar':
      return isTime(first) ? bucket(second!) : null;
    case 'time_bucket':
      return isTime(second) ? bucket(first!) : null;
    case 'date_trunc': {
      const unit = truncUnits[String(constantOf(first!)).toLowerCase()]!;
      if (!isTime(second)) return null;
      if (unit === 'week') return { stepNs: 7n * DAY_NS, originNs: MONDAY_NS };
      const stepNs = unitsNs[unit];
      return stepNs === undefined ? null : { stepNs, originNs: 0n };
    }
    default:
      return null;
  }
}

/** The stored columns that the call takes as they are, or null. */
function columnsOf(
  call: Call,
  scan: TableScanSpec,
  { columnOf }: Pick<Matchable, 'columnOf'>,
): StoredColumn[] | null {
  const { schema } = scan;
  if (call.filter !== null || call.distinct) return null;
  const stored = storedColumns(schema);
  const columns: StoredColumn[] = [];
  const types: SqlType[] = [];
  const add = (index: number | null): boolean => {
    if (index === null || index === schema.symbolColumn) return false;
    const column = schema.columns[index]!;
    columns.push({ index: stored.indexOf(column), type: column.type });
    types.push(typeOfColumn(column));
    return true;
  };
  if (!call.args.every((arg) => add(columnOf(arg)))) return null;
  switch (functionByName(call.name)!.name) {
    case 'count':
    case 'sum':
    case 'avg':
      return columns;
    case 'min':
    case 'max':
      return types.some(isText) ? null : columns;
    case 'vwap': {
      const isExact = types.every((type) => isInteger(type) || type.name === 'DECIMAL');
      return isExact || types.every(isFloat) ? columns : null;
    }
    case 'first':
    case 'last':
      return !types.some(isText) && add(schema.timestampColumn) ? columns : null;
    default:
      return null;
  }
}
