// What: window functions: a value for each row out of the rows around it.
// Why: rolling means, changes from tick to tick, ranks.
// Invariant: rows come out in the order in which they came in, each with its values.

import type { Call, Expression, WindowSpec } from '../sql/ast.ts';
import { functionByName } from '../sql/functions.ts';
import { printExpression } from '../sql/print-expression.ts';
import type { SqlType } from '../sql/types.ts';
import { makeAggregate } from './aggregate/make.ts';
import { type Block, Columns, each, type Flow, gather, type Operator, Selection } from './block.ts';
import { compile } from './expression/compile.ts';
import type { Compiled } from './expression/compiled.ts';
import { storable } from './hash-aggregate.ts';
import { KeptColumn, KeptSlots } from './kept-column.ts';
import { type Binding, scopeOf } from './rows.ts';
import type { Budget, Run } from './run.ts';
import { Scratch } from './scratch.ts';
import { inBatches } from './symbol-batches.ts';
import { BLOCK_ROWS, type Kind, kindOf, scaleOf, tailOf, type Vector } from './vector.ts';
import { Arrangement } from './window/arrangement.ts';
import { overFrames } from './window/frame-aggregates.ts';
import { type FrameScratch, type Frames, framesOf, rowOffsetsOf } from './window/frames.ts';
import { windowFunction } from './window/functions.ts';
import { type RollingName, rolling } from './window/rolling.ts';

/** So many rows at least are worked on at a time, where windows stay within a symbol. */
const BATCH_ROWS = 2 ** 16;

export interface WindowsSpec {
  readonly calls: readonly Call[];
  /** The event time that first and last go by, if there is one. */
  readonly time: Expression | null;
  /** Where the input comes symbol by symbol and no window reaches beyond one. */
  readonly symbolSlot: number | null;
  /** Whether the input's rows are in the order of a call's window, which is partitioned by the symbol alone. */
  readonly isInOrder: (call: Call) => boolean;
  /** Slots of the input that the calls and what follows read, beside the keys of windows; null: any. */
  readonly used: ReadonlySet<number> | null;
}

/** The input's columns, then the calls. */
export function windowed(input: Operator, spec: WindowsSpec, binding: Binding): Operator {
  const { calls } = spec;
  return {
    types: [...input.types, ...calls.map((call): SqlType => storable(binding.types.get(call)!))],
    label: 'Window',
    details: () => calls.map(printExpression),
    inputs: [input],
    open: (run) => withWindows(input, spec, binding, run),
  };
}

function* withWindows(input: Operator, spec: WindowsSpec, binding: Binding, run: Run): Flow {
  const windows = new Windows(input.types, spec, binding, run);
  const rows = input.open(run);
  const { symbolSlot } = spec;
  if (symbolSlot === null) yield* windows.of(rows);
  else yield* inBatches(rows, symbolSlot, BATCH_ROWS, (batch) => windows.of(batch));
  windows.release();
}

/** A call with what is kept for it from batch to batch. */
interface WindowCall {
  readonly call: Call;
  readonly arrangement: Arrangement;
  readonly frames: FrameScratch;
  readonly sums: Scratch;
  readonly out: Scratch;
  /** Arguments that are columns, in the window's order. */
  readonly ordered: Scratch[];
}

/** Calls over one batch of rows after the other. */
class Windows {
  private readonly calls: readonly WindowCall[];
  private readonly spec: WindowsSpec;
  private readonly binding: Binding;
  private readonly run: Run;
  /** Columns of the input. */
  private readonly width: number;
  private readonly kept: KeptSlots;
  private readonly arrangements = new Map<string, Arrangement>();
  private readonly arguments: KeptPool;

  constructor(types: readonly SqlType[], spec: WindowsSpec, binding: Binding, run: Run) {
    this.spec = spec;
    this.binding = binding;
    this.run = run;
    this.width = types.length;
    this.arguments = new KeptPool(run.budget);
    this.calls = spec.calls.map((call) => ({
      call,
      arrangement: this.arrangementOf(call),
      frames: { start: new Scratch(), end: new Scratch() },
      sums: new Scratch(),
      out: new Scratch(),
      ordered: [],
    }));
    const keys = this.calls.flatMap(({ call, arrangement }) =>
      spec.isInOrder(call) && !looksAtKeys(call) ? [] : arrangement.orderSlots,
    );
    const used = spec.used === null ? null : new Set([...spec.used, ...keys]);
    this.kept = new KeptSlots(types.map(kindOf), used, run.budget);
  }

  /** The rows with the values of the calls. */
  *of(batch: Flow): Flow {
    const { kept, run } = this;
    const arrangements = [...this.arrangements.values()];
    yield* each(batch, (block) => {
      kept.append(block);
      for (const arrangement of arrangements) arrangement.take(block);
    });
    const { rows } = kept;
    const vectors = kept.vectors();
    run.check();
    for (const arrangement of arrangements) arrangement.arrange(rows, vectors);
    const results = this.calls.map((call) => {
      const values = this.valuesOf(call, vectors, rows);
      this.arguments.clear();
      run.check();
      return inRowOrder(values, call.arrangement, rows, call.out);
    });
    const bytes = 8 * rows * results.length;
    run.budget.reserve(bytes);
    results.forEach((result, i) => {
      vectors[this.width + i] = result;
    });
    for (let from = 0; from < rows; from += BLOCK_ROWS) {
      run.check();
      yield new Columns(Math.min(BLOCK_ROWS, rows - from), tailsOf(vectors, from));
    }
    run.budget.release(bytes);
    for (const arrangement of arrangements) arrangement.clear();
    kept.clear();
  }

  release(): void {
    for (const arrangement of this.arrangements.values()) arrangement.release();
    this.arguments.release();
    this.kept.release();
  }

  private arrangementOf(call: Call): Arrangement {
    const key = textOf({ ...call.over!, frame: null });
    const { isInOrder, symbolSlot } = this.spec;
    const slot = isInOrder(call) ? symbolSlot : null;
    const made = this.arrangements.get(key) ?? new Arrangement(call.over!, this.binding, slot, this.run);
    this.arrangements.set(key, made);
    return made;
  }

  /** Values of a call by position in its window's order. */
  private valuesOf(
    { call, arrangement, ...own }: WindowCall,
    vectors: readonly Vector[],
    rows: number,
  ): Vector {
    const { binding, run } = this;
    const { time } = this.spec;
    const scope = scopeOf(run, binding);
    const blockAt = blocksOf(arrangement, vectors, rows);
    let columns = 0;
    const keptValues = (e: Compiled): Vector => {
      if (e.slot !== undefined) {
        if (arrangement.isIdentity) return vectors[e.slot]!;
        own.ordered[columns] ??= new Scratch();
        return gather(vectors[e.slot]!, arrangement.order, rows, own.ordered[columns++]!);
      }
      const column = this.arguments.take(kindOf(e.type));
      column.reserve(rows);
      for (let from = 0; from < rows; from += BLOCK_ROWS) {
        run.check();
        const block = blockAt(from, Math.min(BLOCK_ROWS, rows - from));
        column.append(e.evaluate(block), 0, block.rows);
      }
      return column.vector();
    };
    const orderKey = call.over!.orderBy[0];
    const keyType = orderKey === undefined ? null : storable(binding.types.get(orderKey.expression)!);
    const frames = (): Frames => framesOf(call.over!, arrangement, rows, keyType, own.frames);
    const spec = functionByName(call.name)!;
    if (isRolling(spec.name) && call.filter === null) {
      const compiled = compile(call.args[0]!, scope);
      const isNumber = kindOf(compiled.type) !== 'bool' && compiled.type.name !== 'NULL';
      const scale = scaleOf(compiled.type);
      const offsets = rowOffsetsOf(call.over!);
      const windowing = { offsets, partitions: arrangement.partitions, frames };
      const made = isNumber
        ? rolling(spec.name, keptValues(compiled), scale, windowing, rows, own.sums, run)
        : null;
      if (made !== null) return made;
    }
    if (spec.kind === 'aggregate') {
      const aggregate = makeAggregate(call, scope, time === null ? null : compile(time, scope));
      return overFrames(aggregate, arrangement, frames(), rows, blockAt, spec.incremental, run);
    }
    return windowFunction(call, { arrangement, rows, frames, valuesOf: keptValues }, scope);
  }
}

/** Columns that are taken, cleared and taken again. */
class KeptPool {
  private readonly budget: Budget;
  private free: KeptColumn[] = [];
  private taken: KeptColumn[] = [];

  constructor(budget: Budget) {
    this.budget = budget;
  }

  take(kind: Kind): KeptColumn {
    const at = this.free.findIndex((column) => column.kind === kind);
    const column = at < 0 ? new KeptColumn(kind, this.budget) : this.free.splice(at, 1)[0]!;
    this.taken.push(column);
    return column;
  }

  clear(): void {
    for (const column of this.taken) column.clear();
    this.free.push(...this.taken);
    this.taken = [];
  }

  release(): void {
    this.clear();
    for (const column of this.free) column.release();
  }
}

const isRolling = (name: string): name is RollingName => ['sum', 'avg', 'min', 'max'].includes(name);

/** PARTITION BY and ORDER BY as text: equal texts mean equal windows. */
function textOf(over: WindowSpec): string {
  return printExpression({
    kind: 'call',
    at: 0,
    name: 'w',
    args: [],
    star: false,
    distinct: false,
    filter: null,
    over,
  });
}

/** Rows in the window's order as blocks. */
function blocksOf(
  arrangement: Arrangement,
  vectors: readonly Vector[],
  rows: number,
): (from: number, count: number) => Block {
  if (arrangement.isIdentity) return (from, count) => new Columns(count, tailsOf(vectors, from));
  const all = new Columns(rows, vectors);
  const selection = new Selection();
  return (from, count) => selection.set(all, arrangement.order.subarray(from, from + count), count);
}

/** Vectors that are not here are left out. */
const tailsOf = (vectors: readonly Vector[], from: number): Vector[] =>
  from === 0 ? [...vectors] : vectors.map((vector) => tailOf(vector, from));

/** Functions that look at neighbours by position, whatever the frame. */
const BY_POSITION: ReadonlySet<string> = new Set(['row_number', 'lag', 'lead', 'ema', 'delta', 'ratio']);
const BY_PEERS: ReadonlySet<string> = new Set(['rank', 'dense_rank']);

/** Whether values of the window's ORDER BY are looked at once rows are in order. */
function looksAtKeys({ name, over }: Call): boolean {
  const { name: known } = functionByName(name)!;
  return BY_PEERS.has(known) || (!BY_POSITION.has(known) && over!.frame?.unit !== 'ROWS');
}

/** out[order[position]] = values[position] */
function inRowOrder(values: Vector, arrangement: Arrangement, rows: number, scratch: Scratch): Vector {
  if (arrangement.isIdentity) return values;
  const { order } = arrangement;
  const from = values.values as Float64Array;
  const to = arrayFor(values.kind, rows, scratch);
  for (let position = 0; position < rows; position++) to[order[position]!] = from[position]!;
  return { ...values, values: to } as Vector;
}

function arrayFor(kind: Vector['kind'], rows: number, scratch: Scratch): Float64Array {
  switch (kind) {
    case 'int':
    case 'float':
      return scratch.floats(rows);
    case 'wide':
      return scratch.bigints(rows) as never;
    case 'bool':
      return scratch.bytes(rows) as never;
    case 'text':
      return scratch.codes(rows) as never;
  }
}
