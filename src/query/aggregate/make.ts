// What: an aggregate call → its compiled arguments and the accumulator that takes them.
// Why: the one place that knows which aggregate is which class, and what FILTER and DISTINCT add to it.
// Invariant: every aggregate of the registry is here.

import { ZeptoError } from '../../kernel/errors.ts';
import type { Call, Expression } from '../../sql/ast.ts';
import { functionByName } from '../../sql/functions.ts';
import { isFloat } from '../../sql/type-rules.ts';
import type { SqlType } from '../../sql/types.ts';
import type { Block } from '../block.ts';
import { compile, condition } from '../expression/compile.ts';
import {
  asFloat,
  type Compiled,
  coerced,
  constantValue,
  type Scope,
  typeOf,
} from '../expression/compiled.ts';
import { encodeTuples, KeyTable, tupleWords } from '../keys.ts';
import { Scratch } from '../scratch.ts';
import { type BoolVector, intVector, isNullAt, kindOf, scaleOf, type Vector } from '../vector.ts';
import type { Accumulator } from './accumulator.ts';
import { Extreme, Pick, type PickOrder } from './picks.ts';
import { Quantile } from './quantiles.ts';
import {
  Count,
  FloatMean,
  FloatSum,
  FloatVwap,
  IntegerMean,
  IntegerSum,
  IntegerVwap,
  Variance,
} from './sums.ts';

/** An aggregate of a query, over the blocks of its input. */
export interface Aggregate {
  readonly type: SqlType;
  readonly state: Accumulator;
  /** An empty state of the same kind. */
  readonly makeState: () => Accumulator;
  /** `state` takes the block's rows: row i belongs to group ids[i]. `runs`: stretches of rows of one group, when they are few. */
  take(block: Block, ids: Int32Array, runs?: Runs, state?: Accumulator): void;
}

/** Run k is rows [starts[k], starts[k + 1]). */
export interface Runs {
  readonly count: number;
  readonly starts: Int32Array;
}

/** `time`: the event time by which first and last go; null: the order of rows. */
export function makeAggregate(call: Call, scope: Scope, time: Compiled | null): Aggregate {
  const { args, make } = build(call, scope, time);
  const own = make();
  const filter = call.filter === null ? null : condition(compile(call.filter, scope));
  const distinct = call.distinct ? new Distinct(kindOf(args[0]!.type), scope) : null;
  const scratch = new Scratch();
  return {
    type: typeOf(call, scope),
    state: own,
    makeState: make,
    take(block, ids, runs, state = own) {
      const { rows } = block;
      if (runs !== undefined && filter === null && distinct === null) {
        const vectors = args.map((arg) => arg.evaluate(block));
        for (let k = 0; k < runs.count; k++)
          state.addRun(vectors, runs.starts[k]!, runs.starts[k + 1]!, ids[runs.starts[k]!]!);
        return;
      }
      let chosen = ids;
      if (filter !== null) {
        const { values } = filter.evaluate(block) as BoolVector;
        chosen = scratch.integers(rows);
        for (let i = 0; i < rows; i++) chosen[i] = values[i] === 1 ? ids[i]! : -1;
      }
      const vectors = args.map((arg) => arg.evaluate(block));
      state.add(vectors, distinct === null ? chosen : distinct.first(vectors[0]!, chosen, rows), rows);
    },
  };
}

interface Built {
  readonly args: readonly Compiled[];
  readonly make: () => Accumulator;
}

function build(call: Call, scope: Scope, time: Compiled | null): Built {
  const { texts, budget } = scope.run;
  const spec = functionByName(call.name)!;
  const args = call.args.map((arg) => typedArgument(arg, scope));
  const [first] = args;
  const name = spec.windowJoinOnly ? spec.name.slice('wj_'.length) : spec.name;
  const kind = first === undefined ? 'int' : kindOf(first.type);
  const floats = (): Compiled[] => args.map((arg) => asFloat(arg, call.at));
  const order = (name: PickOrder['name'], arg: Compiled, sign: 1 | -1): [Compiled, PickOrder] => [
    arg,
    { name, kind: kindOf(arg.type), sign },
  ];
  const byTime = (sign: 1 | -1): [Compiled, PickOrder][] =>
    time === null ? [] : [order('time', time, sign)];
  const pick = (orders: readonly [Compiled, PickOrder][], late: boolean): Built => {
    const by = orders.map(([, one]) => one);
    return {
      args: [first!, ...orders.map(([arg]) => arg)],
      make: () => new Pick(kind, by, late, texts),
    };
  };
  switch (name) {
    case 'count':
      return { args, make: () => new Count() };
    case 'sum':
      return { args, make: () => (isFloat(first!.type) ? new FloatSum() : new IntegerSum(call.at)) };
    case 'avg':
      return {
        args,
        make: () => (isFloat(first!.type) ? new FloatMean() : new IntegerMean(call.at, scaleOf(first!.type))),
      };
    case 'vwap':
      return args.some(({ type }) => isFloat(type))
        ? { args: floats(), make: () => new FloatVwap() }
        : { args, make: () => new IntegerVwap(scaleOf(first!.type)) };
    case 'var_pop':
      return { args: floats(), make: () => new Variance(false, false) };
    case 'var_samp':
      return { args: floats(), make: () => new Variance(true, false) };
    case 'stddev_pop':
      return { args: floats(), make: () => new Variance(false, true) };
    case 'stddev_samp':
      return { args: floats(), make: () => new Variance(true, true) };
    case 'min':
    case 'bool_and':
      return { args, make: () => new Extreme(kind, -1, texts) };
    case 'max':
    case 'bool_or':
      return { args, make: () => new Extreme(kind, 1, texts) };
    case 'first':
      return pick(byTime(-1), false);
    case 'last':
      return pick(byTime(1), true);
    case 'any_value':
      return pick([], false);
    case 'arg_min':
      return pick([order('by', args[1]!, -1), ...byTime(-1)], false);
    case 'arg_max':
      return pick([order('by', args[1]!, 1), ...byTime(-1)], false);
    case 'median':
      return { args: floats(), make: () => new Quantile('float', 50, false, budget) };
    case 'percentile':
      return { args: [first!], make: () => new Quantile(kind, percentOf(args[1]!, call), true, budget) };
    case 'percentile_cont':
      return {
        args: [asFloat(first!, call.at)],
        make: () => new Quantile('float', percentOf(args[1]!, call), false, budget),
      };
    default:
      throw new ZeptoError('INTERNAL', 'stop', `${call.name} has no accumulator`);
  }
}

const percentOf = (arg: Compiled, call: Call): number => constantValue(asFloat(arg, call.at)) as number;

/** An untyped NULL counts as an integer that is NULL. */
function typedArgument(arg: Expression, scope: Scope): Compiled {
  const compiled = compile(arg, scope);
  return compiled.type.name === 'NULL' ? coerced(compiled, { name: 'INT64' }, arg.at) : compiled;
}

/** Lets each value of a group through once. */
class Distinct {
  private readonly table: KeyTable;
  private readonly keys = new Scratch();
  private readonly numbers = new Scratch();
  private readonly groups = new Scratch();
  private readonly out = new Scratch();

  constructor(kind: 'int' | 'float' | 'bool' | 'text', scope: Scope) {
    this.table = new KeyTable(tupleWords(['int', kind]), scope.run.budget);
  }

  /** ids, with −1 for a row whose value its group has met before, or is NULL. */
  first(vector: Vector, ids: Int32Array, rows: number): Int32Array {
    const groups = this.groups.floats(rows);
    for (let i = 0; i < rows; i++) groups[i] = ids[i]!;
    const words = this.keys.integers(rows * this.table.width);
    encodeTuples([intVector(groups), vector], rows, words);
    const numbers = this.numbers.integers(rows);
    let met = this.table.count;
    this.table.numbersOf(words, rows, numbers);
    const out = this.out.integers(rows);
    for (let i = 0; i < rows; i++) {
      const isNew = numbers[i] === met;
      if (isNew) met++;
      out[i] = isNew && !isNullAt(vector, i) ? ids[i]! : -1;
    }
    return out;
  }
}
