// What: each row's frame: which positions of its partition a window function looks at.
// Why: ROWS counts, RANGE measures, and what is not written has its default; after this, a frame is two numbers.
// Invariant: start[i] ≤ start[i + 1] and end[i] ≤ end[i + 1] within a partition; a frame with end ≤ start is empty.

import type { Frame, FrameBound, FrameOffset, WindowSpec } from '../../sql/ast.ts';
import type { SqlType } from '../../sql/types.ts';
import type { Scratch } from '../scratch.ts';
import { bigintAt, type IntegerVector, isNullAt, scaleOf } from '../vector.ts';
import type { Arrangement } from './arrangement.ts';

export interface Frames {
  /** By position; `end` is exclusive. */
  readonly start: Int32Array;
  readonly end: Int32Array;
  /** whole: the partition; growing: from its start; sliding: anything. */
  readonly shape: 'whole' | 'growing' | 'sliding';
}

/** What frames are written into: they are valid until the next ones are. */
export interface FrameScratch {
  readonly start: Scratch;
  readonly end: Scratch;
}

/** The frame of a position begins `from` positions on and ends before `to` positions on, within its partition. */
export interface RowOffsets {
  readonly from: number;
  readonly to: number;
}

/** Null where frames are measured, not counted. */
export function rowOffsetsOf({ frame }: WindowSpec): RowOffsets | null {
  return frame?.unit === 'ROWS' ? offsetsOf(frame) : null;
}

const offsetsOf = ({ start, end }: Bounds): RowOffsets => ({
  from: rowOffset(start, -1),
  to: rowOffset(end, 1) + 1,
});

/** `spec`: the call's own; the arrangement is shared by calls that differ in their frames. */
export function framesOf(
  { frame, orderBy }: WindowSpec,
  arrangement: Arrangement,
  rows: number,
  keyType: SqlType | null,
  scratch: FrameScratch,
): Frames {
  const start = scratch.start.integers(rows);
  const end = scratch.end.integers(rows);
  const bounds = frame ?? defaultFrame(orderBy.length > 0);
  const peers = bounds.unit === 'RANGE' ? arrangement.peerStarts(rows) : null;
  for (let p = 0; p + 1 < arrangement.partitions.length; p++) {
    const first = arrangement.partitions[p]!;
    const last = arrangement.partitions[p + 1]!;
    if (peers === null) fillRows(bounds, first, last, start, end);
    else fillRange(bounds, arrangement, keyType, first, last, peers, start, end);
  }
  const fromStart = bounds.start.kind === 'unbounded-preceding';
  const toEnd = bounds.end.kind === 'unbounded-following';
  return { start, end, shape: fromStart ? (toEnd ? 'whole' : 'growing') : 'sliding' };
}

type Bounds = Pick<Frame, 'unit' | 'start' | 'end'>;

function defaultFrame(isOrdered: boolean): Bounds {
  return {
    unit: 'RANGE',
    start: { kind: 'unbounded-preceding' },
    end: { kind: isOrdered ? 'current-row' : 'unbounded-following' },
  };
}

function fillRows(bounds: Bounds, first: number, last: number, start: Int32Array, end: Int32Array): void {
  const { from, to } = offsetsOf(bounds);
  for (let at = first; at < last; at++) {
    start[at] = Math.min(last, Math.max(first, at + from));
    end[at] = Math.max(first, Math.min(last, at + to));
  }
}

/** Rows from the current one; `far` tells which way unbounded is. */
function rowOffset(bound: FrameBound, far: 1 | -1): number {
  switch (bound.kind) {
    case 'current-row':
      return 0;
    case 'preceding':
      return -Number(wholeOf(bound.offset));
    case 'following':
      return Number(wholeOf(bound.offset));
    default:
      // Beyond every position, and far from where a sum of two would lose a unit.
      return far * 2 ** 40;
  }
}

const wholeOf = (offset: FrameOffset): bigint => (offset.kind === 'integer' ? offset.value : 0n);

function fillRange(
  bounds: Bounds,
  arrangement: Arrangement,
  keyType: SqlType | null,
  first: number,
  last: number,
  peers: Int32Array,
  start: Int32Array,
  end: Int32Array,
): void {
  const ends = peerEnds(peers, first, last);
  fillSide(bounds.start, start, true);
  fillSide(bounds.end, end, false);

  function fillSide(bound: FrameBound, out: Int32Array, isStart: boolean): void {
    switch (bound.kind) {
      case 'unbounded-preceding':
        out.fill(first, first, last);
        break;
      case 'unbounded-following':
        out.fill(last, first, last);
        break;
      case 'current-row':
        for (let at = first; at < last; at++) out[at] = isStart ? peers[at]! : ends[at - first]!;
        break;
      default: {
        const sign = bound.kind === 'preceding' ? -1 : 1;
        measure(arrangement, keyType!, first, last, bound.offset, sign, isStart, out);
        // A NULL is at no distance from anything but its peers.
        const vector = arrangement.orderVectors[0]!;
        for (let at = first; at < last; at++)
          if (isNullAt(vector, arrangement.order[at]!)) out[at] = isStart ? peers[at]! : ends[at - first]!;
      }
    }
  }
}

function peerEnds(peers: Int32Array, first: number, last: number): Int32Array {
  const ends = new Int32Array(last - first);
  let end = last;
  for (let at = last - 1; at >= first; at--) {
    ends[at - first] = end;
    if (peers[at] === at) end = at;
  }
  return ends;
}

/**
 * out[at] = first position whose key is not before (`isStart`), or is after, key[at] + sign × offset, in the order of the
 * window.
 */
function measure(
  arrangement: Arrangement,
  keyType: SqlType,
  first: number,
  last: number,
  offset: FrameOffset,
  sign: 1 | -1,
  isStart: boolean,
  out: Int32Array,
): void {
  const vector = arrangement.orderVectors[0]!;
  const { order } = arrangement;
  const direction = arrangement.spec.orderBy[0]!.descending ? -1 : 1;
  let from = first;
  let to = last;
  while (from < to && isNullAt(vector, order[from]!)) from++;
  while (to > from && isNullAt(vector, order[to - 1]!)) to--;
  let at = from;
  const move = (isBefore: (candidate: number, row: number) => boolean): void => {
    for (let position = from; position < to; position++) {
      while (at < to && isBefore(order[at]!, order[position]!)) at++;
      out[position] = at;
    }
  };
  const exact = exactOffset(offset, keyType);
  if (vector.kind === 'wide' || (vector.kind === 'int' && exact !== null && exact > 2n ** 52n)) {
    const integers = vector as IntegerVector;
    const step = BigInt(sign) * (exact ?? 0n) * BigInt(direction);
    move((candidate, row) => {
      const difference =
        BigInt(direction) * (bigintAt(integers, candidate)! - bigintAt(integers, row)! - step);
      return isStart ? difference < 0n : difference <= 0n;
    });
    return;
  }
  const values = vector.values as Float64Array;
  const step = sign * (exact === null ? approximateOffset(offset, keyType) : Number(exact));
  move((candidate, row) => {
    const limit = direction * values[row]! + step;
    return isStart ? direction * values[candidate]! < limit : direction * values[candidate]! <= limit;
  });
}

/** In units of the key's stored integer; null when it is not a whole number of them, or the key is a float. */
function exactOffset(offset: FrameOffset, keyType: SqlType): bigint | null {
  if (keyType.name === 'FLOAT32' || keyType.name === 'FLOAT64') return null;
  const scale = scaleOf(keyType);
  switch (offset.kind) {
    case 'interval':
      return offset.ns;
    case 'integer':
      return offset.value * 10n ** BigInt(scale);
    case 'decimal':
      return offset.scale <= scale ? offset.unscaled * 10n ** BigInt(scale - offset.scale) : null;
    case 'float':
      return null;
  }
}

function approximateOffset(offset: FrameOffset, keyType: SqlType): number {
  const scale = 10 ** scaleOf(keyType);
  switch (offset.kind) {
    case 'interval':
      return Number(offset.ns) * scale;
    case 'decimal':
      return (Number(offset.unscaled) / 10 ** offset.scale) * scale;
    default:
      return Number(offset.value) * scale;
  }
}
