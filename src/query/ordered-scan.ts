// What: a table's rows symbol by symbol and, within a symbol, in time order.
// Why: windows and ASOF joins of ticks want them so; where a part is known to be in order, or nearly, no row has to be looked at for it.
// Invariant: the rows of a table scan, each once; those of equal times in the order in which it gives them.

import { assert } from '../kernel/assert.ts';
import { each, type Flow, type Operator } from './block.ts';
import { KeptRows } from './kept-column.ts';
import { boundsInHour, hourOf, Stretch } from './kernels/stretch.ts';
import { coverage, hourStart, type Piece, piecesOf } from './parts.ts';
import { vectorsOf } from './rows.ts';
import type { Run } from './run.ts';
import type { AnyPart } from './snapshot.ts';
import { inOrder, orderOf } from './sort.ts';
import { type Chosen, choose, TableReader, type TableScanSpec, tableScan, typesOf } from './table-scan.ts';
import { cutRanges, type OrderedPiece, type Ranges, rangesInTimeOrder, wholePieces } from './time-order.ts';
import { bigintAt, type IntegerVector, kindOf } from './vector.ts';

/** `spec.columns` has the event time. */
export function orderedScan(spec: TableScanSpec): Operator {
  const scan = tableScan(spec);
  return {
    ...scan,
    details: () => [...scan.details(), 'in time order'],
    open: (run) => scanInOrder(spec, run),
  };
}

function* scanInOrder(spec: TableScanSpec, run: Run): Flow {
  const chosen = choose(spec, run);
  const hours = new HourReader(spec, chosen, run);
  const { parts } = chosen;
  for (let from = 0, to = 0; from < parts.length; from = to) {
    const { symbol, hour } = parts[from]!;
    while (to < parts.length && parts[to]!.symbol === symbol && parts[to]!.hour === hour) to++;
    yield* hours.rowsOf(parts.slice(from, to));
  }
}

/** Of most stored values. */
const VALUE_BYTES = 8;

/** A piece, and where it stands. */
interface HourPiece {
  readonly piece: Piece;
  readonly part: AnyPart;
  /** Among the pieces of the part. */
  readonly index: number;
}

class HourReader {
  private readonly spec: TableScanSpec;
  private readonly chosen: Chosen;
  private readonly run: Run;
  private readonly reader: TableReader;

  constructor(spec: TableScanSpec, chosen: Chosen, run: Run) {
    this.spec = spec;
    this.chosen = chosen;
    this.run = run;
    this.reader = new TableReader(spec, chosen, run);
  }

  /** `parts`: of one symbol and hour. */
  *rowsOf(parts: readonly AnyPart[]): Flow {
    if (parts.length === 1 && parts[0]!.isSorted) return yield* this.reader.rowsOf(parts[0]!);
    const isChosen = this.chosen.filter !== null || this.spec.sampleRatio !== null;
    // What is not in memory is not read twice.
    if (isChosen && parts.some(({ tier }) => tier !== 'hot'))
      return yield* this.sorted(this.partByPart(parts));
    const pieces: HourPiece[] = [];
    // Of files, all columns of an hour are held at once.
    const bytes =
      VALUE_BYTES * this.reader.needed.length * rowsOf(parts.filter(({ tier }) => tier !== 'hot'));
    this.run.budget.reserve(bytes);
    try {
      yield* this.read(parts, pieces);
      const ranges = this.rangesOf(parts, pieces);
      if (isChosen) {
        const rows = this.partByPart(parts);
        yield* ranges !== null && followStorage(ranges) ? rows : this.sorted(rows);
      } else {
        const read = pieces.map(({ piece }) => piece);
        const inTurn = ranges === null ? wholePieces(read) : this.cut(parts, pieces, ranges);
        const rows = this.reader.rowsIn(inTurn, read, parts[0]!);
        yield* ranges === null ? this.sorted(rows) : rows;
      }
    } finally {
      this.run.budget.release(bytes);
    }
  }

  private *partByPart(parts: readonly AnyPart[]): Flow {
    for (const part of parts) yield* this.reader.rowsOf(part);
  }

  private *read(parts: readonly AnyPart[], into: HourPiece[]): Flow {
    for (const part of parts) {
      let index = 0;
      for (const piece of piecesOf(part, this.spec.schema, this.reader.needed, this.run)) {
        if (piece instanceof Promise) yield piece;
        else into.push({ piece, part, index: index++ });
      }
    }
  }

  /** Null: the rows had better be sorted. */
  private rangesOf(parts: readonly AnyPart[], pieces: readonly HourPiece[]): Ranges | null {
    const rows = rowsOf(parts);
    const find = (): Ranges | null => {
      const ordered = pieces.map((piece) => this.ordered(piece));
      return ordered.includes(null) ? null : rangesInTimeOrder(ordered as OrderedPiece[], rows, this.run);
    };
    return parts.length === 1 ? this.reader.cache.of(parts[0]!).orderOf(rows, find) : find();
  }

  /** Null when times ascend in short stretches only. */
  private ordered({ piece, part, index }: HourPiece): OrderedPiece | null {
    const { cache, timeIndex } = this.reader;
    const { rows } = piece;
    const stretch = new Stretch(piece, timeIndex, hourOf(hourStart(part)));
    const starts = part.isSorted
      ? Int32Array.of(0, rows)
      : cache.of(part).timesOf(index, rows, () => stretch.times(rows)).starts;
    return starts === null ? null : { starts, stretch };
  }

  private cut(parts: readonly AnyPart[], pieces: readonly HourPiece[], ranges: Ranges): Ranges {
    const { time } = this.chosen;
    if (parts.every((part) => coverage(part, time) === 'all')) return ranges;
    const { min, limit } = boundsInHour(time, hourStart(parts[0]!));
    return cutRanges(
      pieces.map((piece) => this.ordered(piece)!),
      ranges,
      min,
      limit,
    );
  }

  /** Rows of the hour by time, those within the bounds. */
  private *sorted(rows: Flow): Flow {
    const { spec, run } = this;
    const slot = spec.columns.indexOf(spec.schema.timestampColumn);
    assert(slot >= 0, 'rows in time order are read with their time');
    const kept = new KeptRows(typesOf(spec).map(kindOf), run.budget);
    try {
      yield* each(rows, (block) => {
        kept.append(vectorsOf(block, kept.columns.length), 0, block.rows);
      });
      const vectors = kept.vectors();
      const order = orderOf(vectors, [{ slot, descending: false, nullsFirst: false }], kept.rows, run);
      const times = vectors[slot] as IntegerVector;
      const { min, max } = this.chosen.time;
      const first = firstAtOrAfter(times, order, min);
      const last = firstAtOrAfter(times, order, max + 1n);
      yield* inOrder(vectors, order.subarray(first, last), last - first, run);
    } finally {
      kept.release();
    }
  }
}

/** Of the times in their order. */
function firstAtOrAfter(times: IntegerVector, order: Int32Array, time: bigint): number {
  let low = 0;
  let high = order.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (bigintAt(times, order[middle]!)! < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

const rowsOf = (parts: readonly AnyPart[]): number => parts.reduce((sum, { rows }) => sum + rows, 0);

/** Whether the rows are in time order as they stand. */
function followStorage(ranges: Ranges): boolean {
  for (let at = 0; at < ranges.length; at += 3) {
    const isFirst = at === 0 || ranges[at]! > ranges[at - 3]!;
    if (!isFirst || ranges[at + 1] !== 0) return false;
  }
  return true;
}
