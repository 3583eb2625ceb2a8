// What: ClickHouse's Native blocks, as its clients insert them → rows of a table.
// Why: clickhouse-connect sends what it inserts in this format and no other.
// Invariant: a block is located whole, every length checked, before memory is reserved for its rows; one fault refuses all blocks.
//
//   a block, of a client that names no protocol version
//   columns  varuint
//   rows     varuint
//   then for each column
//   name     varuint length, UTF-8
//   type     varuint length, text
//   NULLs    of a Nullable type: a byte for each row, 1 for NULL
//   values   one for each row: little-endian integers, floats and scaled decimals, Bool a byte,
//            String varuint length and bytes. Without rows there is nothing behind the type.
//
//   values of LowCardinality(String), in place of NULLs and values
//   version  u64, 1
//   flags    u64: bits 0–7 log2 of an index's bytes; bit 8 a dictionary elsewhere (refused); bit 9 a dictionary here
//   entries  u64 count, then strings; of LowCardinality(Nullable(String)) the first stands for NULL
//   indexes  u64 count (the rows again), then unsigned integers

import type { ColumnBuffer, RowBuffer } from '../../src/columns/batch.ts';
import type { SymbolTable } from '../../src/columns/symbols.ts';
import { ColumnType } from '../../src/columns/types.ts';
import { suggestion } from '../../src/kernel/nearest.ts';
import { conversionOf, copyWhole, fillMissing, type ValueReader } from './fixed-width.ts';
import { NativeCursor } from './native-cursor.ts';
import { fits, leastBytes, NATIVE_TYPES, type NativeType, nativeType, takenBy } from './native-type.ts';
import { storeBoolean, storeInteger, storeLong, storeMissing } from './store.ts';
import type { Target, TargetColumn } from './target.ts';
import { type TextColumn, type Texts, textColumn } from './text-column.ts';

/** Where a column's values lie. */
interface LocatedColumn {
  readonly target: TargetColumn;
  readonly type: NativeType;
  /** Position of the byte of each row; −1: no row is NULL. */
  readonly nulls: number;
  readonly start: number;
  readonly texts: Texts | null;
  /** Of a dictionary's entries; null: row i has text i. */
  readonly indexes: Int32Array | null;
}

const NANOS_PER_DAY = 86_400_000_000_000n;
const NAME_CHARS_SHOWN = 100;

/**
 * Appends the rows of all blocks. `listed`: the columns that the statement names, all of which each block must have, in any
 * order; empty: what a block leaves out is NULL, or `timestampMs` for the event time.
 * @throws ZeptoError FORMAT_INVALID that names block, column and what is possible; `rows` is then of no use.
 */
export function readNative(
  bytes: Uint8Array,
  target: Target,
  listed: readonly string[],
  timestampMs: number,
  rows: RowBuffer,
  symbols: SymbolTable,
): void {
  const cursor = new NativeCursor(bytes);
  const pending: TextColumn[] = [];
  for (let block = 1; cursor.left > 0; block++) {
    const where = `block ${block}`;
    cursor.where = where;
    const columnCount = cursor.varuint();
    const rowCount = cursor.varuint();
    if (columnCount > target.columns.length)
      throw cursor.fault(`${columnCount} columns; the table has ${target.columns.length}`);
    // Each row has a byte at least in each column.
    if (rowCount > cursor.left)
      throw cursor.fault(`${rowCount} rows are announced, and ${cursor.left} bytes are left`);
    const located = new Map<number, LocatedColumn>();
    for (let i = 0; i < columnCount; i++) {
      cursor.where = `${where}, column ${i + 1} of ${columnCount}`;
      const column = nextTarget(cursor, target, listed, located);
      cursor.where = `${where}, column ${column.label}`;
      located.set(column.index, locate(cursor, column, rowCount));
    }
    cursor.where = where;
    requireListed(cursor, target, listed, located);
    if (rowCount > 0) append(cursor, target, located, rowCount, timestampMs, rows, pending, symbols);
  }
  for (const column of pending) column.assign();
}

function nextTarget(
  cursor: NativeCursor,
  { table, columns }: Target,
  listed: readonly string[],
  located: ReadonlyMap<number, LocatedColumn>,
): TargetColumn {
  const name = cursor.name();
  const shown = name.slice(0, NAME_CHARS_SHOWN);
  const found = columns.find(({ field }) => field === name);
  if (found === undefined) {
    const names = columns.map(({ field }) => field);
    throw cursor.fault(
      `table ${table.name} has no column '${shown}'${suggestion(shown, names)} (columns: ${names.join(', ')})`,
    );
  }
  if (located.has(found.index)) throw cursor.fault(`'${shown}' is there twice`);
  if (listed.length > 0 && !listed.includes(name))
    throw cursor.fault(`'${shown}' is not among the columns of the statement (${listed.join(', ')})`);
  return found;
}

function requireListed(
  cursor: NativeCursor,
  { columns }: Target,
  listed: readonly string[],
  located: ReadonlyMap<number, LocatedColumn>,
): void {
  // A block of nothing ends what some writers send.
  if (located.size === 0) return;
  const found = new Set(Array.from(located.keys(), (index) => columns[index]!.field));
  const missing = listed.filter((name) => !found.has(name));
  if (missing.length === 0) return;
  throw cursor.fault(
    `${found.size} columns, and the statement names ${listed.length}: ${missing.join(', ')} missing`,
  );
}

function locate(cursor: NativeCursor, target: TargetColumn, rows: number): LocatedColumn {
  const name = cursor.name();
  const shown = name.slice(0, NAME_CHARS_SHOWN);
  const type = nativeType(name);
  if (type === null) throw cursor.fault(`the type '${shown}' is not read; possible are ${NATIVE_TYPES}`);
  if (!fits(type.value, target))
    throw cursor.fault(`it cannot be filled from ${shown}; it takes ${takenBy(target)}`);
  const none = { target, type, nulls: -1, start: cursor.at, texts: null, indexes: null };
  if (rows === 0) return none;
  if (type.hasDictionary) return { ...none, ...locateDictionary(cursor, type.isNullable, rows) };
  const nulls = type.isNullable ? locateNulls(cursor, rows) : -1;
  if (type.value.kind === 'text') {
    const texts = locateTexts(cursor, rows);
    if (nulls >= 0)
      for (let row = 0; row < rows; row++)
        if (cursor.view.getUint8(nulls + row) === 1) texts.length[row] = -1;
    return { ...none, texts };
  }
  return { ...none, nulls, start: cursor.take(rows, leastBytes(type.value), `values of ${shown}`) };
}

/** −1 when there is no NULL. */
function locateNulls(cursor: NativeCursor, rows: number): number {
  const start = cursor.take(rows, 1, 'marks of NULL');
  let some = false;
  for (let row = 0; row < rows; row++) {
    const mark = cursor.view.getUint8(start + row);
    if (mark > 1) throw cursor.fault(`row ${row + 1}: ${mark} marks neither a value (0) nor NULL (1)`);
    some ||= mark === 1;
  }
  return some ? start : -1;
}

function locateTexts(cursor: NativeCursor, count: number): Texts {
  if (count > cursor.left)
    throw cursor.fault(`${count} texts are announced, and ${cursor.left} bytes are left`);
  const texts = {
    view: cursor.view,
    count,
    start: new Int32Array(count),
    length: new Int32Array(count),
  };
  for (let i = 0; i < count; i++) {
    const length = cursor.varuint();
    texts.start[i] = cursor.take(length, 1, 'bytes of a text');
    texts.length[i] = length;
  }
  return texts;
}

function locateDictionary(
  cursor: NativeCursor,
  isNullable: boolean,
  rows: number,
): Pick<LocatedColumn, 'texts' | 'indexes'> {
  const version = cursor.count();
  if (version !== 1) throw cursor.fault(`a dictionary of version ${version}; 1 is read`);
  const flags = cursor.count();
  if ((flags & 0x100) !== 0 || (flags & 0x200) === 0)
    throw cursor.fault('its dictionary is not in the block: send it with each block');
  const width = flags & 0xff;
  if (width > 3) throw cursor.fault(`indexes of 2^${width} bytes; up to 8 bytes are read`);
  const texts = locateTexts(cursor, cursor.count());
  if (isNullable && texts.count > 0) texts.length[0] = -1;
  const count = cursor.count();
  if (count !== rows) throw cursor.fault(`${count} indexes for ${rows} rows`);
  return { texts, indexes: indexesOf(cursor, rows, 2 ** width, texts.count) };
}

function indexesOf(cursor: NativeCursor, rows: number, bytes: number, entries: number): Int32Array {
  const start = cursor.take(rows, bytes, 'indexes');
  const { view } = cursor;
  const indexes = new Int32Array(rows);
  for (let row = 0; row < rows; row++) {
    const at = start + row * bytes;
    const index =
      bytes === 1
        ? view.getUint8(at)
        : bytes === 2
          ? view.getUint16(at, true)
          : bytes === 4
            ? view.getUint32(at, true)
            : Number(view.getBigUint64(at, true));
    if (index >= entries)
      throw cursor.fault(`row ${row + 1} has entry ${index} of a dictionary of ${entries}`);
    indexes[row] = index;
  }
  return indexes;
}

function append(
  cursor: NativeCursor,
  { columns, table }: Target,
  located: ReadonlyMap<number, LocatedColumn>,
  count: number,
  timestampMs: number,
  rows: RowBuffer,
  pending: TextColumn[],
  symbols: SymbolTable,
): void {
  if (!located.has(table.symbolColumn))
    throw cursor.fault(`column ${columns[table.symbolColumn]!.label} is missing: every row has a symbol`);
  const row = rows.rows;
  rows.reserve(row + count);
  for (const target of columns) {
    const column = located.get(target.index);
    const buffer = rows.columns[target.index]!;
    if (column === undefined || column.type.value.kind === 'nothing') {
      const cause = fillMissing(target, buffer, row, count, timestampMs);
      if (cause !== null) throw cursor.fault(cause);
    } else if (column.texts !== null) {
      const text = textColumn(
        column.texts,
        column.indexes,
        new Int32Array(column.texts.count),
        count,
        target,
        rows,
        row,
        timestampMs,
        symbols,
      );
      const cause = text.check();
      if (cause !== null) throw cursor.fault(cause);
      pending.push(text);
    } else fill(cursor, column, buffer, row, count, timestampMs);
  }
  rows.rows = row + count;
}

function fill(
  cursor: NativeCursor,
  { target, type, nulls, start }: LocatedColumn,
  buffer: ColumnBuffer,
  row: number,
  count: number,
  timestampMs: number,
): void {
  const { view } = cursor;
  const { read, same } = readerOf(type, target);
  if (same && nulls < 0) {
    const cause = copyWhole(view, start, target, buffer, row, count);
    if (cause !== null) throw cursor.fault(cause);
    return;
  }
  for (let i = 0; i < count; i++) {
    const isNull = nulls >= 0 && view.getUint8(nulls + i) === 1;
    const cause = isNull
      ? storeMissing(target, buffer, row + i, timestampMs)
      : read(view, start, i, buffer, row + i);
    if (cause !== null) throw cursor.fault(`row ${i + 1}: ${cause}`);
  }
}

/** Of a type that fits the column. */
function readerOf({ value }: NativeType, target: TargetColumn): { read: ValueReader; same: boolean } {
  switch (value.kind) {
    case 'seconds':
      return { read: secondsReader(target), same: false };
    case 'days':
      return { read: daysReader(target), same: false };
    case 'bool':
      return { read: boolReader(target), same: false };
    case 'text':
    case 'nothing':
      throw new Error(`a column of ${value.kind} has no values of a fixed width`);
    default:
      if (target.type === ColumnType.BOOL) return { read: boolReader(target), same: false };
      return conversionOf(value, target)!;
  }
}

const secondsReader =
  (target: TargetColumn): ValueReader =>
  (view, start, i, column, row) =>
    storeLong(target, column, row, view.getInt32(start + i * 4, true), 0, 9);

const daysReader =
  (target: TargetColumn): ValueReader =>
  (view, start, i, column, row) =>
    storeInteger(target, column, row, BigInt(view.getUint16(start + i * 2, true)) * NANOS_PER_DAY);

const boolReader =
  (target: TargetColumn): ValueReader =>
  (view, start, i, column, row) => {
    const byte = view.getUint8(start + i);
    return byte > 1
      ? `${target.label} is ${byte}, which is neither false (0) nor true (1)`
      : storeBoolean(target, column, row, byte === 1);
  };
