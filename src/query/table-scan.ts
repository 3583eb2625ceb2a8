// What: a table's rows as blocks: pruned by symbol and time, cut to the time bounds, one tier after the other.
// Why: memory, local files and Parquet look the same from here on.
// Invariant: exactly the rows that fulfil the time, symbol and value conditions come out, each once, in the order of its part.

import {
  type ColumnArray,
  type ColumnType,
  NULL_CODE,
  storedColumns,
  type TableSchema,
} from '../columns/types.ts';
import type { Expression } from '../sql/ast.ts';
import { printExpression } from '../sql/print-expression.ts';
import { type SqlType, typeOfColumn } from '../sql/types.ts';
import { type Block, type Flow, type Operator, ROW_NUMBERS } from './block.ts';
import { type Conditions, symbolHint, type TimeBounds, timeBounds } from './conditions.ts';
import { compile } from './expression/compile.ts';
import { constantValue, type Scope } from './expression/compiled.ts';
import { PartCache } from './part-cache.ts';
import { coverage, hotPieces, hourStart, type Piece, piecesOf, prunedParts } from './parts.ts';
import { readChosen, readColumn, readRanges } from './read-column.ts';
import type { Run } from './run.ts';
import { Scratch } from './scratch.ts';
import type { AnyPart } from './snapshot.ts';
import { type Ranges, wholePieces } from './time-order.ts';
import { ValueFilter } from './value-filter.ts';
import { valueRanges } from './value-ranges.ts';
import {
  BLOCK_ROWS,
  constantText,
  constantVector,
  kindOf,
  type TextVector,
  textVector,
  type Vector,
} from './vector.ts';

export interface TableScanSpec {
  readonly name: string;
  readonly schema: TableSchema;
  /** By slot: index into the table's columns. */
  readonly columns: readonly number[];
  readonly conditions: Conditions;
  /** Share of rows to read, or null. */
  readonly sampleRatio: number | null;
  /** Whether an expression is the table's symbol column. */
  readonly isSymbol: (e: Expression) => boolean;
  readonly types: ReadonlyMap<Expression, SqlType>;
}

/** Types of the columns that the scan gives. */
export const typesOf = ({ schema, columns }: TableScanSpec): SqlType[] =>
  columns.map((index) => typeOfColumn(schema.columns[index]!));

/** Indexes into storedColumns of the columns that the scan gives. */
function neededOf({ schema, columns }: TableScanSpec): number[] {
  const stored = storedColumns(schema);
  return columns
    .filter((column) => column !== schema.symbolColumn)
    .map((column) => stored.indexOf(schema.columns[column]!));
}

export function tableScan(spec: TableScanSpec): Operator {
  const { schema, columns, conditions } = spec;
  return {
    types: typesOf(spec),
    label: `Scan ${spec.name}`,
    details: () => [
      `columns: ${columns.map((index) => schema.columns[index]!.name).join(', ') || 'none'}`,
      ...conditions.times.map(({ operator, value }) => `time ${operator} ${printExpression(value)}`),
      ...conditions.symbols.map((e) => `symbol: ${printExpression(e)}`),
      ...conditions.values.map(
        ({ column, operator, value }) =>
          `value: ${schema.columns[column]!.name} ${operator} ${printExpression(value)}`,
      ),
      ...(spec.sampleRatio === null ? [] : [`sample: ${spec.sampleRatio}`]),
    ],
    inputs: [],
    open: (run) => scan(spec, run),
  };
}

/** What is to be read. */
export interface Chosen {
  readonly parts: readonly AnyPart[];
  readonly time: TimeBounds;
  /** Null: all values will do. */
  readonly filter: ValueFilter | null;
}

/** Parts, time bounds and value ranges, now that constants have their values. */
export function choose(spec: TableScanSpec, run: Run): Chosen {
  const table = run.snapshot.tables.get(spec.name)!;
  const one = textVector(new Uint32Array(1));
  const oneSymbol: Block = { rows: 1, column: () => one };
  const scope: Scope = {
    run,
    types: spec.types,
    resolve: (e) =>
      spec.isSymbol(e) ? { type: { name: 'SYMBOL' }, isConstant: false, evaluate: (b) => b.column(0) } : null,
  };
  const time = timeBounds(spec.conditions.times, scope);
  const tests = spec.conditions.symbols.map((e) => compile(e, scope));
  const hint = symbolHint(spec.conditions.symbols, spec.isSymbol, (e) => codeOf(e, spec, scope));
  const wanted =
    tests.length === 0
      ? null
      : (symbol: number): boolean => {
          one.values[0] = symbol;
          return tests.every((test) => (test.evaluate(oneSymbol) as { values: Uint8Array }).values[0] === 1);
        };
  const ranges = valueRanges(spec.conditions.values, spec.schema, scope);
  const filter = ranges.length === 0 ? null : new ValueFilter(ranges);
  return { parts: prunedParts(table, time, hint, wanted, run), time, filter };
}

/** The id that a constant beside a symbol stands for. */
function codeOf(e: Expression, spec: TableScanSpec, scope: Scope): number | null {
  if (e.kind !== 'string' && e.kind !== 'integer') return null;
  if (e.kind === 'string' && spec.types.get(e)?.name !== 'STRING') return null;
  const value = constantValue(compile(e, scope));
  const code = Number(value);
  return code >= 0 && code < NULL_CODE ? code : null;
}

function* scan(spec: TableScanSpec, run: Run): Flow {
  const chosen = choose(spec, run);
  const reader = new TableReader(spec, chosen, run);
  for (const part of chosen.parts) yield* reader.rowsOf(part);
}

/** Rows of parts that fulfil the scan's conditions, in the order of their part. */
export class TableReader {
  readonly cache: PartCache;
  /** Indexes into storedColumns: of the columns that the scan gives, and of the event time. */
  readonly needed: readonly number[];
  readonly timeIndex: number;
  private readonly spec: TableScanSpec;
  private readonly chosen: Chosen;
  private readonly run: Run;
  private readonly block: ScanBlock;
  private readonly cutter: Cutter;

  constructor(spec: TableScanSpec, chosen: Chosen, run: Run) {
    const { schema } = spec;
    this.spec = spec;
    this.chosen = chosen;
    this.run = run;
    this.cache = run.options.cache ?? new PartCache();
    this.needed = neededOf(spec);
    this.timeIndex = storedColumns(schema).indexOf(schema.columns[schema.timestampColumn]!);
    this.block = new ScanBlock(spec, this.needed);
    this.cutter = new Cutter(chosen.time, spec.sampleRatio);
  }

  *rowsOf(part: AnyPart): Flow {
    const { block, cutter, needed, timeIndex, run } = this;
    const { time, filter } = this.chosen;
    const { schema, sampleRatio } = this.spec;
    const isCut = coverage(part, time) === 'some';
    if (part.tier === 'hot' && !isCut && filter === null && sampleRatio === null) {
      const pieces = [...hotPieces(part, schema)];
      yield* this.rowsIn(wholePieces(pieces), pieces, part);
      return;
    }
    const needsTime = isCut || sampleRatio !== null;
    const columns = needsTime && !needed.includes(timeIndex) ? [...needed, timeIndex] : needed;
    block.setPart(part);
    let index = -1;
    for (const piece of piecesOf(part, schema, columns, run)) {
      if (piece instanceof Promise) {
        yield piece;
        continue;
      }
      index++;
      const passing = filter?.begin(piece, index, this.cache.of(part)) ?? 'all';
      if (passing === 'none') continue;
      const times = piece.columns[timeIndex] as BigInt64Array | undefined;
      const [first, last, exact] = isCut
        ? cutter.range(times!, piece.rows, part.isSorted)
        : [0, piece.rows, true];
      run.stats.rowsScanned += last - first;
      for (let from = first; from < last; from += BLOCK_ROWS) {
        run.check();
        const rows = Math.min(BLOCK_ROWS, last - from);
        let chosen = ROW_NUMBERS;
        let count = rows;
        if (!exact || sampleRatio !== null) {
          count = cutter.choose(times!, from, rows, exact, part);
          chosen = cutter.chosen;
        }
        if (passing === 'some') {
          count = filter!.choose(from, chosen, count);
          chosen = filter!.chosen;
        }
        if (count > 0) yield block.setRows(piece, from, count, count === rows ? null : chosen);
      }
    }
  }

  /** A part that was taken in under another version of the table may lack one. */
  private haveSameColumns(pieces: readonly Piece[]): boolean {
    const [first] = pieces;
    return this.needed.every((index) =>
      pieces.every(({ columns }) => (columns[index] === undefined) === (first!.columns[index] === undefined)),
    );
  }

  /** Rows of pieces of an hour, in the order of the ranges. `part`: one of theirs. */
  *rowsIn(ranges: Ranges, pieces: readonly Piece[], part: AnyPart): Flow {
    this.block.setPart(part);
    const areAlike = this.haveSameColumns(pieces);
    let taken: Piece[] = [];
    let bounds: number[] = [];
    let rows = 0;
    for (let at = 0; at < ranges.length; at += 3) {
      const piece = pieces[ranges[at]!]!;
      const to = ranges[at + 2]!;
      let from = ranges[at + 1]!;
      let isFull = rows > 0 && !areAlike && piece !== taken.at(-1);
      while (isFull || from < to) {
        if (isFull) {
          yield this.joined(taken, bounds, rows);
          taken = [];
          bounds = [];
          rows = 0;
        }
        const count = Math.min(BLOCK_ROWS - rows, to - from);
        if (count > 0) {
          taken.push(piece);
          bounds.push(from, from + count);
          rows += count;
          from += count;
        }
        isFull = rows === BLOCK_ROWS;
      }
    }
    if (rows > 0) yield this.joined(taken, bounds, rows);
  }

  private joined(pieces: readonly Piece[], bounds: readonly number[], rows: number): Block {
    this.run.check();
    this.run.stats.rowsScanned += rows;
    return this.block.setRanges(pieces, bounds, rows);
  }
}

/** Rows of single parts, from wherever they were left off: for what keeps something of each part. */
export class PartReader {
  private readonly spec: TableScanSpec;
  private readonly needed: readonly number[];
  private readonly block: ScanBlock;

  /** Conditions of the scan are not asked. */
  constructor(spec: TableScanSpec) {
    this.spec = spec;
    this.needed = neededOf(spec);
    this.block = new ScanBlock(spec, this.needed);
  }

  /** Rows of the part from row `first` on. One at a time. `run`: for what is read from files. */
  *read(part: AnyPart, first: number, run: Run): Flow {
    this.block.setPart(part);
    let before = 0;
    for (const piece of piecesOf(part, this.spec.schema, this.needed, run)) {
      if (piece instanceof Promise) {
        yield piece;
        // Others may have read with this block meanwhile.
        this.block.setPart(part);
        continue;
      }
      for (let from = Math.max(0, first - before); from < piece.rows; from += BLOCK_ROWS) {
        yield this.block.setRows(piece, from, Math.min(BLOCK_ROWS, piece.rows - from), null);
      }
      before += piece.rows;
    }
  }
}

/** Finds the rows of a piece that are within the time bounds and the sample. */
class Cutter {
  /** Row numbers that `choose` wrote. */
  readonly chosen: Int32Array = new Int32Array(BLOCK_ROWS);
  private readonly time: TimeBounds;
  private readonly sampleRatio: number | null;

  constructor(time: TimeBounds, sampleRatio: number | null) {
    this.time = time;
    this.sampleRatio = sampleRatio;
  }

  /** Rows to look at, and whether all of them are within the bounds. */
  range(times: BigInt64Array, rows: number, isSorted: boolean): [number, number, boolean] {
    if (!isSorted && !isAscending(times, rows)) return [0, rows, false];
    const first = lowerBound(times, rows, this.time.min);
    return [first, lowerBound(times, rows, this.time.max + 1n), true];
  }

  /** Numbers of the rows [from, from + rows) that are within the bounds and the sample; returns how many. */
  choose(times: BigInt64Array, from: number, rows: number, exact: boolean, { symbol }: AnyPart): number {
    const { sampleRatio, chosen } = this;
    const { min, max } = this.time;
    const halves = new Int32Array(times.buffer, times.byteOffset + from * 8, rows * 2);
    const threshold = sampleRatio === null ? 0 : sampleRatio * 2 ** 32;
    let count = 0;
    for (let i = 0; i < rows; i++) {
      if (!exact) {
        const time = times[from + i]!;
        if (time < min || time > max) continue;
      }
      if (sampleRatio !== null && placeHash(halves[2 * i]!, halves[2 * i + 1]!, symbol) >= threshold)
        continue;
      chosen[count++] = i;
    }
    return count;
  }
}

/** The same for a row in whatever tier it is: of its event time and symbol. */
function placeHash(low: number, high: number, symbol: number): number {
  let hash = Math.imul(low ^ 0x2f7a9c35, 0x9e3779b1);
  hash = Math.imul(hash ^ (hash >>> 15) ^ high, 0x85ebca77);
  hash = Math.imul(hash ^ (hash >>> 13) ^ symbol, 0xc2b2ae3d);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Positive int64s are ordered as the doubles of the same bits; others count as not ascending. */
export function isAscending(times: BigInt64Array, rows: number): boolean {
  const doubles = new Float64Array(times.buffer, times.byteOffset, rows);
  let last = Number.MIN_VALUE;
  for (let i = 0; i < rows; i++) {
    const next = doubles[i]!;
    if (!(next >= last)) return false;
    last = next;
  }
  return true;
}

/** Index of the first time ≥ `time` among the first `rows`, which ascend. */
export function lowerBound(times: BigInt64Array, rows: number, time: bigint): number {
  let low = 0;
  let high = rows;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (times[middle]! < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Rows of a piece, or those of them that were chosen; columns are read when they are asked for. */
class ScanBlock implements Block {
  rows = 0;
  private readonly schema: TableSchema;
  private readonly slots: readonly number[];
  private readonly stored: readonly number[];
  private readonly cached: (Vector | null)[];
  private readonly scratch: readonly Scratch[];
  private piece: Piece = { rows: 0, columns: [] };
  private from = 0;
  private chosen: Int32Array | null = null;
  private ranges: { readonly pieces: readonly Piece[]; readonly ranges: readonly number[] } | null = null;
  private base = 0n;
  private symbol: TextVector = textVector(new Uint32Array(0));
  private symbolId = -1;

  constructor({ schema, columns }: TableScanSpec, needed: readonly number[]) {
    this.schema = schema;
    this.slots = columns;
    this.cached = columns.map(() => null);
    this.scratch = columns.map(() => new Scratch());
    let next = 0;
    this.stored = columns.map((column) => (column === schema.symbolColumn ? -1 : needed[next++]!));
  }

  setPart(part: AnyPart): void {
    this.base = hourStart(part);
    if (part.symbol === this.symbolId) return;
    this.symbolId = part.symbol;
    this.symbol = textVector(new Uint32Array(0));
  }

  /** Rows [from, from + rows) of a piece, or rows `from + chosen[i]`, i < rows. */
  setRows(piece: Piece, from: number, rows: number, chosen: Int32Array | null): this {
    this.piece = piece;
    this.from = from;
    this.rows = rows;
    this.chosen = chosen;
    this.ranges = null;
    this.cached.fill(null);
    return this;
  }

  /** Rows of pieces, `rows` in all: of each piece a first row and the row after the last one. All have the same columns. */
  setRanges(pieces: readonly Piece[], ranges: readonly number[], rows: number): this {
    this.setRows(pieces[0]!, ranges[0]!, rows, null);
    if (pieces.length > 1) this.ranges = { pieces, ranges };
    return this;
  }

  column(slot: number): Vector {
    this.cached[slot] ??= this.read(slot);
    return this.cached[slot];
  }

  private read(slot: number): Vector {
    const stored = this.stored[slot]!;
    if (stored < 0) {
      if (this.symbol.values.length < this.rows) this.symbol = constantText(this.symbolId, BLOCK_ROWS);
      return this.symbol;
    }
    const values: ColumnArray | undefined = this.piece.columns[stored];
    const { type } = this.schema.columns[this.slots[slot]!]!;
    if (values === undefined) return nulls(type, this.rows);
    const { from, chosen, ranges, rows, base } = this;
    const scratch = this.scratch[slot]!;
    if (ranges !== null) {
      const all = ranges.pieces.map(({ columns }) => columns[stored]!);
      return readRanges(all, type, ranges.ranges, rows, base, scratch);
    }
    if (chosen === null) return readColumn(values, type, from, rows, base, scratch);
    return readChosen(values, type, from, chosen, rows, base, scratch);
  }
}

function nulls(type: ColumnType, rows: number): Vector {
  return constantVector(kindOf(typeOfColumn({ name: '', type })), null, rows);
}
