// What: the functions that exist only with OVER: ranks, neighbours, values of the frame, ema, delta, ratio.
// Why: they look at positions, not at sums.
// Invariant: positions are those of the window's order; a neighbour outside of the partition does not exist.

import { ZeptoError } from '../../kernel/errors.ts';
import type { Call } from '../../sql/ast.ts';
import { functionByName } from '../../sql/functions.ts';
import { isFloat } from '../../sql/type-rules.ts';
import { FLOAT64, type SqlType } from '../../sql/types.ts';
import { gather } from '../block.ts';
import { floatArithmetic, integerArithmetic } from '../expression/arithmetic.ts';
import { compile } from '../expression/compile.ts';
import { type Compiled, coerced, constantValue, type Scope } from '../expression/compiled.ts';
import { Merger } from '../expression/logic.ts';
import { storable } from '../hash-aggregate.ts';
import { Scratch } from '../scratch.ts';
import { floatVector, type IntegerVector, intVector, kindOf, type Vector } from '../vector.ts';
import type { Arrangement } from './arrangement.ts';
import type { Frames } from './frames.ts';

export interface WindowInput {
  readonly arrangement: Arrangement;
  readonly rows: number;
  readonly frames: () => Frames;
  /** Values of an expression by position. */
  readonly valuesOf: (e: Compiled) => Vector;
}

/** Values of a window function by position. */
export function windowFunction(call: Call, input: WindowInput, scope: Scope): Vector {
  const name = functionByName(call.name)!.name;
  const type = storable(scope.types.get(call)!);
  const arg = (index: number, to?: SqlType): Compiled => {
    const e = call.args[index]!;
    const compiled = compile(e, scope);
    return coerced(compiled, to ?? storable(compiled.type), e.at);
  };
  switch (name) {
    case 'row_number':
    case 'rank':
    case 'dense_rank':
      return ranks(name, input);
    case 'lag':
    case 'lead': {
      const distance = call.args.length > 1 ? Number(constantValue(arg(1))) : 1;
      const otherwise = call.args.length > 2 ? arg(2, type) : null;
      return neighbours(name === 'lag' ? -distance : distance, arg(0, type), otherwise, type, input);
    }
    case 'first_value':
      return ofFrame(arg(0), type, input, (start) => start);
    case 'last_value':
      return ofFrame(arg(0), type, input, (_, end) => end - 1);
    case 'nth_value': {
      const n = Number(constantValue(arg(1)));
      return ofFrame(arg(0), type, input, (start) => start + n - 1);
    }
    case 'ema':
      return ema(arg(0, FLOAT64), constantValue(arg(1, FLOAT64)) as number, input);
    case 'delta':
      return delta(arg(0), call, input);
    case 'ratio':
      return ratio(arg(0, FLOAT64), input);
    default:
      throw new ZeptoError('INTERNAL', 'stop', `${call.name} has no evaluator`);
  }
}

function ranks(name: 'row_number' | 'rank' | 'dense_rank', { arrangement, rows }: WindowInput): Vector {
  const out = new Float64Array(rows);
  const peers = name === 'row_number' ? null : arrangement.peerStarts(rows);
  forPartitions(arrangement, (first, last) => {
    let dense = 0;
    for (let at = first; at < last; at++) {
      if (peers === null) out[at] = at - first + 1;
      else if (name === 'rank') out[at] = peers[at]! - first + 1;
      else {
        if (peers[at] === at) dense++;
        out[at] = dense;
      }
    }
  });
  return intVector(out);
}

function forPartitions({ partitions }: Arrangement, of: (first: number, last: number) => void): void {
  for (let p = 0; p + 1 < partitions.length; p++) of(partitions[p]!, partitions[p + 1]!);
}

function neighbours(
  distance: number,
  value: Compiled,
  otherwise: Compiled | null,
  type: SqlType,
  input: WindowInput,
): Vector {
  const places = new Int32Array(input.rows);
  forPartitions(input.arrangement, (first, last) => {
    for (let at = first; at < last; at++) {
      const place = at + distance;
      places[at] = place >= first && place < last ? place : -1;
    }
  });
  return chosen(input.valuesOf(value), places, otherwise && input.valuesOf(otherwise), type, input.rows);
}

/** values[places[i]], or where there is no place, otherwise[i] or NULL. */
function chosen(
  values: Vector,
  places: Int32Array,
  otherwise: Vector | null,
  type: SqlType,
  rows: number,
): Vector {
  const [found, from, missing] = [new Int32Array(rows), new Int32Array(rows), new Int32Array(rows)];
  let count = 0;
  let missingCount = 0;
  for (let at = 0; at < rows; at++) {
    if (places[at]! < 0) missing[missingCount++] = at;
    else {
      found[count] = at;
      from[count++] = places[at]!;
    }
  }
  const merger = new Merger(kindOf(type));
  merger.start(rows);
  merger.put(gather(values, from, count, new Scratch()), found, count);
  if (otherwise !== null)
    merger.put(gather(otherwise, missing, missingCount, new Scratch()), missing, missingCount);
  return merger.finish();
}

function ofFrame(
  value: Compiled,
  type: SqlType,
  input: WindowInput,
  placeOf: (start: number, end: number) => number,
): Vector {
  const { start, end } = input.frames();
  const places = new Int32Array(input.rows);
  for (let at = 0; at < input.rows; at++) {
    const place = placeOf(start[at]!, end[at]!);
    places[at] = place >= start[at]! && place < end[at]! ? place : -1;
  }
  return chosen(input.valuesOf(value), places, null, type, input.rows);
}

/** `parameter`: alpha below 1, else a period. */
function ema(value: Compiled, parameter: number, input: WindowInput): Vector {
  const alpha = parameter < 1 ? parameter : 2 / (parameter + 1);
  const values = input.valuesOf(value).values as Float64Array;
  const out = new Float64Array(input.rows);
  forPartitions(input.arrangement, (first, last) => {
    let mean = Number.NaN;
    for (let at = first; at < last; at++) {
      const next = values[at]!;
      if (!Number.isNaN(next)) mean = Number.isNaN(mean) ? next : mean + alpha * (next - mean);
      out[at] = mean;
    }
  });
  return floatVector(out);
}

function previous(values: Vector, type: SqlType, input: WindowInput): Vector {
  const places = new Int32Array(input.rows);
  forPartitions(input.arrangement, (first, last) => {
    for (let at = first; at < last; at++) places[at] = at > first ? at - 1 : -1;
  });
  return chosen(values, places, null, type, input.rows);
}

function delta(value: Compiled, call: Call, input: WindowInput): Vector {
  const { rows } = input;
  const now = input.valuesOf(value);
  const before = previous(now, value.type, input);
  if (!isFloat(value.type))
    return integerArithmetic(
      '-',
      now as IntegerVector,
      before as IntegerVector,
      rows,
      new Scratch(),
      call.at,
    );
  const out = new Float64Array(rows);
  return floatVector(
    floatArithmetic('-', now.values as Float64Array, before.values as Float64Array, rows, out),
  );
}

function ratio(value: Compiled, input: WindowInput): Vector {
  const { rows } = input;
  const now = input.valuesOf(value);
  const before = previous(now, FLOAT64, input);
  const out = new Float64Array(rows);
  return floatVector(
    floatArithmetic('/', now.values as Float64Array, before.values as Float64Array, rows, out),
  );
}
