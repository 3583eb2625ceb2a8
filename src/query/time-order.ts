// What: the rows of an hour as ranges that follow one another in time order, where few rows came late.
// Why: ticks come in order but for those few; who wants them in order then need neither sort them nor look at each one's time.
// Invariant: every row is in one range; rows of equal times stay in storage order.

import type { Stretch } from './kernels/stretch.ts';
import type { Run } from './run.ts';

/** Rows of one piece. */
export interface OrderedPiece {
  /** Where stretches of ascending times begin, and the number of rows. */
  readonly starts: Int32Array;
  readonly stretch: Pick<Stretch, 'timeAt' | 'seek'>;
}

/** Three numbers for each range: the piece's index, the first row, the row after the last one. */
export type Ranges = readonly number[];

/** Of pieces as they stand. */
export const wholePieces = (pieces: readonly { readonly rows: number }[]): Ranges =>
  pieces.flatMap(({ rows }, i) => [i, 0, rows]);

/** More late rows than this share of all, and sorting is quicker. */
const LATE_SHARE_MAX = 1 / 8;

interface LateRow {
  readonly piece: number;
  readonly row: number;
  readonly time: number;
}

/** `pieces`: in storage order. Null when too many rows are late. */
export function rangesInTimeOrder(pieces: readonly OrderedPiece[], rows: number, run: Run): Ranges | null {
  const ranges: number[] = [];
  const late: LateRow[] = [];
  let last = Number.NEGATIVE_INFINITY;
  for (let p = 0; p < pieces.length; p++) {
    const { starts, stretch } = pieces[p]!;
    for (let k = 0; k + 1 < starts.length; k++) {
      run.tick();
      const from = starts[k]!;
      const to = starts[k + 1]!;
      if (to <= from) continue;
      const inOrder = stretch.seek(from, to, last);
      if (late.length + inOrder - from > rows * LATE_SHARE_MAX) return null;
      for (let row = from; row < inOrder; row++) late.push({ piece: p, row, time: stretch.timeAt(row) });
      if (inOrder === to) continue;
      add(ranges, p, inOrder, to);
      last = stretch.timeAt(to - 1);
    }
  }
  if (late.length === 0) return ranges;
  late.sort((a, b) => a.time - b.time);
  return merged(pieces, ranges, late);
}

/** A late row stands behind those of its time: they came before it, or it would not be late. */
function merged(pieces: readonly OrderedPiece[], ranges: Ranges, late: readonly LateRow[]): Ranges {
  const all: number[] = [];
  let at = 0;
  let from = ranges[1]!;
  for (const { piece, row, time } of late) {
    for (; at < ranges.length; at += 3, from = ranges[at + 1]!) {
      const to = ranges[at + 2]!;
      const cut = pieces[ranges[at]!]!.stretch.seek(from, to, time + 1);
      add(all, ranges[at]!, from, cut);
      from = cut;
      if (cut < to) break;
    }
    add(all, piece, row, row + 1);
  }
  for (; at < ranges.length; at += 3, from = ranges[at + 1]!) add(all, ranges[at]!, from, ranges[at + 2]!);
  return all;
}

/** Adjoining ranges become one. */
function add(ranges: number[], piece: number, from: number, to: number): void {
  if (from >= to) return;
  const end = ranges.length - 1;
  if (ranges[end] === from && ranges[end - 2] === piece) ranges[end] = to;
  else ranges.push(piece, from, to);
}

/** Without the rows before `min` and from `limit` on. */
export function cutRanges(
  pieces: readonly OrderedPiece[],
  ranges: Ranges,
  min: number,
  limit: number,
): Ranges {
  const cut: number[] = [];
  for (let at = 0; at < ranges.length; at += 3) {
    const { stretch } = pieces[ranges[at]!]!;
    const to = ranges[at + 2]!;
    const from = stretch.seek(ranges[at + 1]!, to, min);
    add(cut, ranges[at]!, from, stretch.seek(from, to, limit));
  }
  return cut;
}
