// What: LATEST ON the event time PARTITION BY the symbol, over a scan: each symbol's last row, found from its newest hour back.
// Why: "the newest quote of each symbol" must not read the hours before.
// Invariant: the row that the general way keeps: the latest within the bounds, of equal times the one later in storage order.

import { storedColumns } from '../../columns/types.ts';
import { typeOfColumn } from '../../sql/types.ts';
import type { Flow, Operator } from '../block.ts';
import type { TimeBounds } from '../conditions.ts';
import { KeptRows } from '../kept-column.ts';
import { PartCache } from '../part-cache.ts';
import { hourStart, type Piece, piecesOf } from '../parts.ts';
import { readColumn } from '../read-column.ts';
import type { Run } from '../run.ts';
import { Scratch } from '../scratch.ts';
import type { AnyPart } from '../snapshot.ts';
import { inOrder } from '../sort.ts';
import { choose, type TableScanSpec } from '../table-scan.ts';
import { constantText, constantVector, kindOf, type Vector } from '../vector.ts';
import { boundsInHour, HOUR_NS, hourOf, Stretch } from './stretch.ts';

export function latestOfSymbol(scan: TableScanSpec, input: Operator): Operator {
  return {
    types: input.types,
    label: 'Kernel',
    details: () => ['latest by symbol'],
    inputs: [input],
    open: (run) => latest(scan, input, run),
  };
}

interface Candidate {
  readonly part: AnyPart;
  readonly piece: Piece;
  readonly row: number;
  /** Nanoseconds since the hour began. */
  readonly time: number;
}

function* latest(scan: TableScanSpec, input: Operator, run: Run): Flow {
  const { parts, time } = choose(scan, run);
  const cache = run.options.cache ?? new PartCache();
  const kept = new KeptRows(input.types.map(kindOf), run.budget);
  let end = 0;
  for (let start = 0; start < parts.length; start = end) {
    run.check();
    end = start;
    while (end < parts.length && parts[end]!.symbol === parts[start]!.symbol) end++;
    // Parts come by hour: the last ones are the newest, and mostly one is enough.
    let best: Candidate | null = null;
    for (let at = end - 1; at >= start; at--) {
      if (best !== null && parts[at]!.hour < best.part.hour) break;
      for (const found of candidates(parts[at]!, scan, time, cache, run)) {
        if (found instanceof Promise) yield found;
        // An earlier part of the same hour wins only by a later time.
        else if (best === null || found.time > best.time) best = found;
      }
    }
    if (best !== null) kept.put(kept.rows, rowOf(best, scan, input), 0);
  }
  const all = Int32Array.from({ length: kept.rows }, (_, i) => i);
  yield* inOrder(kept.vectors(), all, kept.rows, run);
  kept.release();
}

/** The part's last row within the bounds, if it has one. */
function* candidates(
  part: AnyPart,
  scan: TableScanSpec,
  time: TimeBounds,
  cache: PartCache,
  run: Run,
): Generator<Candidate | Promise<unknown>, void, undefined> {
  const { schema } = scan;
  const stored = storedColumns(schema);
  const timeIndex = stored.indexOf(schema.columns[schema.timestampColumn]!);
  const needed = new Set([timeIndex]);
  for (const column of scan.columns)
    if (column !== schema.symbolColumn) needed.add(stored.indexOf(schema.columns[column]!));
  const hourNs = hourStart(part);
  const hour = hourOf(hourNs);
  const { min, limit } = boundsInHour(time, hourNs);
  const memory = cache.of(part);
  let best: Candidate | null = null;
  let index = 0;
  for (const piece of piecesOf(part, schema, [...needed], run)) {
    if (piece instanceof Promise) {
      yield piece;
      continue;
    }
    const { rows } = piece;
    const times = part.isSorted
      ? null
      : memory.timesOf(index, rows, () => new Stretch(piece, timeIndex, hour).times(rows));
    index++;
    if (times !== null && (times.max < min || times.min >= limit)) continue;
    const stretch = new Stretch(piece, timeIndex, hour);
    const starts = times === null ? Int32Array.of(0, rows) : times.starts;
    run.stats.rowsScanned += piece.rows;
    const consider = (row: number): void => {
      const at = stretch.timeAt(row);
      if (at >= min && at < limit && (best === null || at >= best.time))
        best = { part, piece, row, time: at };
    };
    if (starts === null) for (let row = 0; row < piece.rows; row++) consider(row);
    else
      for (let k = 0; k + 1 < starts.length; k++) {
        const last = limit === HOUR_NS ? starts[k + 1]! : stretch.seek(starts[k]!, starts[k + 1]!, limit);
        if (last > starts[k]!) consider(last - 1);
      }
  }
  if (best !== null) yield best;
}

function rowOf(
  { part, piece, row }: Candidate,
  { schema, columns }: TableScanSpec,
  input: Operator,
): Vector[] {
  const stored = storedColumns(schema);
  return columns.map((column, slot) => {
    if (column === schema.symbolColumn) return constantText(part.symbol, 1);
    const declared = schema.columns[column]!;
    const values = piece.columns[stored.indexOf(declared)];
    if (values === undefined)
      return constantVector(kindOf(input.types[slot] ?? typeOfColumn(declared)), null, 1);
    return readColumn(values, declared.type, row, 1, hourStart(part), new Scratch());
  });
}
