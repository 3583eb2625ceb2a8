// What: rows of a part into a view's states by stretches: for views by symbol and bucket of time over stored columns.
// Why: bars are what views are made for; a tick then costs a look at its time and a few steps in tight loops.
// Invariant: the same states as taking the rows as blocks; a stretch has one bucket and ascending times.

import { storedColumns } from '../../columns/types.ts';
import type { Accumulator } from '../aggregate/accumulator.ts';
import { floorMultiple } from '../expression/arithmetic.ts';
import { type Feed, feedFor, noExtremes } from '../kernels/feeds.ts';
import { rangeShape } from '../kernels/match.ts';
import type { RangeKey } from '../kernels/scan-aggregate.ts';
import { hourOf, Stretch } from '../kernels/stretch.ts';
import { hourStart, type Piece } from '../parts.ts';
import type { GroupedParts } from '../plan.ts';
import type { AnyPart } from '../snapshot.ts';
import { textVector, type Vector, wideVector } from '../vector.ts';

/** Where the rows go. */
export interface RangeTarget {
  readonly states: readonly Accumulator[];
  /** The place of a group by the number of its bucket; the part has one symbol. */
  readonly placeOfBucket: Map<number, number>;
}

export class RangeTaker {
  /** Indexes into storedColumns. */
  readonly columns: readonly number[];
  private readonly keys: readonly RangeKey[];
  private readonly feeds: readonly Feed[];
  private readonly timeIndex: number;
  private readonly stepNs: bigint;
  private readonly originNs: bigint;
  private readonly step: number;

  /** Null when the view has another shape. `states`: one of each aggregate, to see its kind. */
  static of(grouped: GroupedParts, states: readonly Accumulator[]): RangeTaker | null {
    if (grouped.where.length > 0) return null;
    const shape = rangeShape(grouped.scan, grouped);
    return shape === null ? null : new RangeTaker(grouped, shape, states);
  }

  private constructor(
    { scan: { schema } }: GroupedParts,
    { keys, calls }: NonNullable<ReturnType<typeof rangeShape>>,
    states: readonly Accumulator[],
  ) {
    const memo = noExtremes();
    const bucket = keys.find((key) => key.kind === 'bucket');
    this.keys = keys;
    this.feeds = calls.map(({ columns }, i) => feedFor(states[i]!, columns, memo));
    this.timeIndex = storedColumns(schema).indexOf(schema.columns[schema.timestampColumn]!);
    this.columns = [
      ...new Set([this.timeIndex, ...calls.flatMap(({ columns }) => columns.map(({ index }) => index))]),
    ];
    this.stepNs = bucket?.stepNs ?? 0n;
    this.originNs = bucket?.originNs ?? 0n;
    this.step = bucket === undefined ? Number.POSITIVE_INFINITY : Number(bucket.stepNs);
  }

  /** Rows [first, piece.rows). `place`: makes a place for a group, by its keys. */
  take(
    part: AnyPart,
    piece: Piece,
    first: number,
    target: RangeTarget,
    place: (keys: readonly Vector[]) => number,
  ): void {
    const hourNs = hourStart(part);
    const stretch = new Stretch(piece, this.timeIndex, hourOf(hourNs));
    const { step } = this;
    const begun = this.stepNs === 0n ? 0n : floorMultiple(hourNs - this.originNs, this.stepNs);
    const number = this.stepNs === 0n ? 0 : Number(begun / this.stepNs);
    const inNs = this.stepNs === 0n ? 0 : Number(hourNs - this.originNs - begun);
    let from = first;
    let end = Number.NEGATIVE_INFINITY;
    let last = Number.POSITIVE_INFINITY;
    let bucket = 0;
    for (let row = first; row < piece.rows; row++) {
      const at = stretch.timeAt(row);
      if (at < end && at >= last) {
        last = at;
        continue;
      }
      if (row > from) this.feed(target, bucket, part, stretch.set(from, row), place);
      from = row;
      last = at;
      const local = step === Number.POSITIVE_INFINITY ? 0 : Math.floor((at + inNs) / step);
      bucket = number + local;
      end = step === Number.POSITIVE_INFINITY ? step : (local + 1) * step - inNs;
    }
    if (piece.rows > from) this.feed(target, bucket, part, stretch.set(from, piece.rows), place);
  }

  private feed(
    { states, placeOfBucket }: RangeTarget,
    bucket: number,
    part: AnyPart,
    stretch: Stretch,
    place: (keys: readonly Vector[]) => number,
  ): void {
    let at = placeOfBucket.get(bucket);
    if (at === undefined) {
      at = place(this.keysOf(part.symbol, bucket));
      placeOfBucket.set(bucket, at);
    }
    stretch.isAscending = true;
    for (let i = 0; i < this.feeds.length; i++) this.feeds[i]!(states[i]!, at, stretch);
  }

  private keysOf(symbol: number, bucket: number): Vector[] {
    return this.keys.map((key) =>
      key.kind === 'symbol'
        ? textVector(Uint32Array.of(symbol))
        : wideVector(BigInt64Array.of(BigInt(bucket) * this.stepNs + this.originNs)),
    );
  }
}
