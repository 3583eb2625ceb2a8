// What: which parts of a table a query reads, in which order, and their columns.
// Why: pruning by symbol and hour is where most of a query's time is saved.
// Invariant: parts come by symbol, then hour, then partition, then as the snapshot has them: offset order within a partition.

import { join } from 'node:path';
import {
  type ColumnArray,
  type ColumnSchema,
  ColumnType,
  columnTypeNames,
  NANOS_PER_HOUR,
  NULL_CODE,
  storedColumns,
  type TableSchema,
} from '../columns/types.ts';
import { crc32cOf, crc32cText } from '../format/crc32c.ts';
import { parquetPieces } from '../format/read-parquet.ts';
import { openSegment } from '../format/read-segment.ts';
import { ZeptoError } from '../kernel/errors.ts';
import type { ForeignRun } from '../ports.ts';
import { ALL_TIMES, type TimeBounds } from './conditions.ts';
import type { Run } from './run.ts';
import type { AnyPart, ColdPart, HotPart, TableSnapshot, WarmPart } from './snapshot.ts';

/** Rows whose columns are at hand, by their index in `storedColumns`; a column that the part lacks is undefined: all NULL. */
export interface Piece {
  readonly rows: number;
  readonly columns: readonly (ColumnArray | undefined)[];
}

export const hourStart = (part: AnyPart): bigint => BigInt(part.hour) * NANOS_PER_HOUR;

/** Whether no row, some rows or all rows of the part can be within the bounds. */
export function coverage(part: AnyPart, time: TimeBounds): 'none' | 'some' | 'all' {
  if (time === ALL_TIMES) return 'all';
  const { min, max } = time;
  const first = part.timestampMin ?? hourStart(part);
  const last = part.timestampMax ?? hourStart(part) + NANOS_PER_HOUR - 1n;
  if (last < min || first > max) return 'none';
  return first >= min && last <= max ? 'all' : 'some';
}

/** Parts of the chosen symbols with rows within the bounds. `wanted` is asked once for each symbol; null: all are. */
export function prunedParts(
  table: TableSnapshot,
  time: TimeBounds,
  hint: ReadonlySet<number> | null,
  wanted: ((symbol: number) => boolean) | null,
  run: Run,
): AnyPart[] {
  const chosen: AnyPart[] = [];
  let hot = 0;
  let warm = 0;
  const symbols = hint === null ? table.symbols : [...hint].sort((a, b) => a - b);
  for (const symbol of symbols) {
    if (wanted !== null && !wanted(symbol)) continue;
    for (const part of table.partsOf(symbol)) {
      if (coverage(part, time) === 'none') continue;
      chosen.push(part);
      if (part.tier === 'hot') hot++;
      else if (part.tier === 'warm') warm++;
    }
  }
  const { stats } = run;
  stats.partsRead += chosen.length;
  stats.partsPruned += table.partCount - chosen.length;
  stats.tiers.hot += hot;
  stats.tiers.warm += warm;
  stats.tiers.cold += chosen.length - hot - warm;
  return chosen;
}

/** The part's rows, piece by piece. `stored`: indexes into storedColumns of the columns that are needed. */
export function* piecesOf(
  part: AnyPart,
  schema: TableSchema,
  stored: readonly number[],
  run: Run,
): Generator<Piece | Promise<unknown>, void, undefined> {
  // How many rows there are is known without reading any.
  if (stored.length === 0) yield { rows: part.rows, columns: [] };
  else if (part.tier === 'hot') yield* hotPieces(part, schema);
  else if (part.tier === 'warm') {
    const opened: { piece: Piece | null } = { piece: null };
    yield readWarm(part, schema, stored, run).then((piece) => {
      opened.piece = piece;
    });
    if (opened.piece !== null) yield opened.piece;
    else if (part.object) yield* readCold(part.object, schema, stored, run);
    else
      throw new ZeptoError('FORMAT_INVALID', 'stop', `segment ${part.folder} is gone`, {
        context: { folder: part.folder },
      });
  } else yield* readCold(part, schema, stored, run);
}

/** Rows that were taken in under another version of the table have their columns in other places, or not at all. */
export function* hotPieces({ stored, runs }: HotPart, schema: TableSchema): Generator<Piece> {
  const places = placesOf(stored, schema);
  if (places === null) yield* runs;
  else
    for (const { rows, columns } of runs)
      yield { rows, columns: places.map((place) => (place < 0 ? undefined : columns[place])) };
}

const places = new WeakMap<
  TableSchema,
  WeakMap<readonly ColumnSchema[], { readonly found: readonly number[] | null }>
>();

/** By index in storedColumns(schema): the index in `stored`, −1 none. Null: all in the same places. */
function placesOf(stored: readonly ColumnSchema[], schema: TableSchema): readonly number[] | null {
  let ofSchema = places.get(schema);
  if (ofSchema === undefined) {
    ofSchema = new WeakMap();
    places.set(schema, ofSchema);
  }
  let known = ofSchema.get(stored);
  if (known === undefined) {
    const found = storedColumns(schema).map((column) => placeOf(column, stored, schema));
    known = { found: found.every((place, i) => place === i) ? null : found };
    ofSchema.set(stored, known);
  }
  return known.found;
}

function placeOf({ name, type }: ColumnSchema, stored: readonly ColumnSchema[], schema: TableSchema): number {
  const place = stored.findIndex((column) => column.name === name);
  if (place >= 0 && stored[place]!.type !== type)
    throw new ZeptoError(
      'FORMAT_INVALID',
      'stop',
      `rows in memory hold ${name} as ${columnTypeNames[stored[place]!.type]}, table ${schema.name} says ${columnTypeNames[type]}`,
    );
  return place;
}

/** Null: the folder is gone, or on its way. */
async function readWarm(
  part: WarmPart,
  schema: TableSchema,
  stored: readonly number[],
  run: Run,
): Promise<Piece | null> {
  const { disk } = run.options;
  if (disk === undefined)
    throw new ZeptoError('INTERNAL', 'stop', 'a query over local files was given no disk');
  const segment = await openSegment(part.folder, disk);
  // One of ours has its record until it is removed, file by file.
  if (segment === null || (segment.record === null && part.object)) return null;
  const columns: (ColumnArray | undefined)[] = [];
  const declared = storedColumns(schema);
  const present = new Set(segment.columnNames);
  await Promise.all(
    stored.map(async (index) => {
      const { name, type } = declared[index]!;
      // A column that was added after the segment was sealed.
      if (!present.has(name)) return;
      const data = await segment.column(name);
      if (data.type !== type && !isCompatible(data.type, type))
        throw new ZeptoError(
          'FORMAT_INVALID',
          'stop',
          `${join(part.folder, name)} holds ${columnTypeNames[data.type]}, the table says ${columnTypeNames[type]}`,
        );
      columns[index] = data.values;
    }),
  );
  return { rows: part.rows, columns };
}

/** The original wrote timestamps as plain integers. */
const isCompatible = (found: ColumnType, wanted: ColumnType): boolean =>
  found === ColumnType.INT64 && wanted === ColumnType.TIMESTAMP_NS;

function* readCold(
  part: ColdPart,
  schema: TableSchema,
  stored: readonly number[],
  run: Run,
): Generator<Piece | Promise<unknown>, void, undefined> {
  const { cold } = run.options;
  if (cold === undefined)
    throw new ZeptoError(
      'SQL_UNSUPPORTED',
      'stop',
      `${part.key} stands on S3 alone, and this process has no cold tier to read it from (--cold-tier-enabled)`,
    );
  const fetched: { bytes?: Uint8Array } = {};
  yield cold(part.key, run.signal).then((bytes) => {
    fetched.bytes = bytes;
  });
  // The library that reads the file is made for whole ones: damage may end in anything, wrong rows included.
  const crc32c = crc32cText(crc32cOf([fetched.bytes!]));
  if (crc32c !== part.crc32c)
    throw new ZeptoError(
      'FORMAT_INVALID',
      'stop',
      `${part.key} has checksum ${crc32c}, its plan says ${part.crc32c}: the object was damaged or replaced (zepto verify --deep tells more)`,
    );
  const declared = storedColumns(schema);
  const wanted = stored.map((index) => declared[index]!);
  let rows = 0;
  for (const piece of parquetPieces(fetched.bytes!, wanted, (text) => run.texts.codeOf(text), part.key)) {
    rows += piece.rows;
    const columns: (ColumnArray | undefined)[] = [];
    stored.forEach((index, i) => {
      columns[index] = piece.columns[i];
    });
    yield { rows: piece.rows, columns };
  }
  if (rows !== part.rows)
    throw new ZeptoError(
      'FORMAT_INVALID',
      'stop',
      `${part.key} holds ${rows} rows, its plan says ${part.rows}`,
    );
}

/** An async iteration as a flow. */
export function* drained<T extends object>(
  source: AsyncIterable<T>,
): Generator<T | Promise<unknown>, void, undefined> {
  const iterator = source[Symbol.asyncIterator]();
  const latest: { result: IteratorResult<T> | null } = { result: null };
  try {
    for (;;) {
      yield iterator.next().then((result) => {
        latest.result = result;
      });
      const { result } = latest;
      if (result === null || result.done === true) return;
      yield result.value;
    }
  } finally {
    // The reader may have stopped early; what it left open is closed, without waiting for it.
    iterator.return?.().catch(() => undefined);
  }
}

export function storedValues(values: ForeignRun['columns'][number], rows: number, run: Run): ColumnArray {
  if (!Array.isArray(values)) return values as ColumnArray;
  const codes = new Uint32Array(rows);
  for (let row = 0; row < rows; row++) {
    const text = values[row] as string | null;
    codes[row] = text === null ? NULL_CODE : run.texts.codeOf(text);
  }
  return codes;
}

/** @throws ZeptoError SQL_UNSUPPORTED naming the switch, when the engine is off. */
export function requireAnalytic(
  { analytic }: Pick<Run['options'], 'analytic'>,
  path: string,
): NonNullable<Run['options']['analytic']> {
  if (analytic !== undefined && analytic !== null) return analytic;
  throw new ZeptoError(
    'SQL_UNSUPPORTED',
    'stop',
    `duckdb('${path}') needs DuckDB, which is switched off: start with --duckdb instead of --no-duckdb`,
  );
}
