// What: one field of one record batch, as bytes with a validity bitmap, and filling a numeric, time or boolean column from it.
// Why: types of the same width are copied whole; only what differs is converted value by value.
// Invariant: every buffer is as long as the batch's rows need, or the stream is refused before a value is read.

import type { ColumnBuffer } from '../../src/columns/batch.ts';
import { ColumnType } from '../../src/columns/types.ts';
import { type ArrowBatch, ArrowFault, type ArrowField, type ArrowType, type Span } from './arrow-stream.ts';
import { type Conversion, conversionOf, copyWhole, fillMissing, type ValueReader } from './fixed-width.ts';
import { type Cause, storeBoolean, storeMissing } from './store.ts';
import type { TargetColumn } from './target.ts';

/** A field's part of a batch. */
export interface ColumnData {
  readonly view: DataView;
  readonly rows: number;
  /** Byte position of the validity bitmap; −1: every value is there. */
  readonly validity: number;
  /** The field's buffers behind the validity bitmap; for a view its variadic ones too. */
  readonly buffers: readonly Span[];
}

/** Writes the field's values to rows [row, row + data.rows) of the column. */
export type ColumnFiller = (
  data: ColumnData,
  column: ColumnBuffer,
  row: number,
  timestampMs: number,
) => Cause;

/** @throws ArrowFault when the batch does not have what the schema promises. */
export function columnData(field: ArrowField, batch: ArrowBatch): ColumnData {
  const { view } = batch;
  const node = batch.nodes[field.node];
  if (node === undefined || node.length !== batch.rows)
    throw new ArrowFault(`${field.name} has no ${batch.rows} values`);
  let first = field.buffer;
  for (let i = 0; i < field.viewsBefore; i++) first += variadicCount(batch, i);
  if (field.dictionary === null && field.type.kind === 'null')
    return { view, rows: batch.rows, validity: -1, buffers: [] };
  const isView = field.dictionary === null && field.type.kind === 'utf8_view';
  const variadic = isView ? variadicCount(batch, field.viewsBefore) : 0;
  const buffers = batch.buffers.slice(first, first + (isView ? 2 + variadic : 3));
  const bitmap = buffers.shift();
  if (bitmap === undefined || buffers.length === 0) throw new ArrowFault(`${field.name} has no buffers`);
  const present = node.nulls !== 0;
  if (present && (bitmap.end - bitmap.start) * 8 < batch.rows)
    throw new ArrowFault(`the validity bitmap of ${field.name} is too short`);
  return { view, rows: batch.rows, validity: present ? bitmap.start : -1, buffers };
}

/** Of each row: an index, a value, or where a text begins. */
function leastBits({ type, dictionary }: ArrowField): number {
  const values = dictionary === null ? type : dictionary.index;
  switch (values.kind) {
    case 'null':
    case 'other':
      return 0;
    case 'bool':
      return 1;
    case 'utf8':
      return 32;
    case 'large_utf8':
    case 'timestamp':
      return 64;
    case 'utf8_view':
      return 128;
    default:
      return 8 * values.bytes;
  }
}

/** Before there is room for them. @throws ArrowFault when the batch has fewer values of the field than it says. */
export function checkRows(field: ArrowField, batch: ArrowBatch): void {
  const bits = leastBits(field);
  if (bits === 0) return;
  const { start, end } = columnData(field, batch).buffers[0]!;
  if ((end - start) * 8 < batch.rows * bits)
    throw new ArrowFault(`the values of ${field.name} are too short`);
}

function variadicCount(batch: ArrowBatch, index: number): number {
  const count = batch.variadicCounts[index] ?? -1;
  if (count < 0 || count > batch.buffers.length)
    throw new ArrowFault('a view without a count of its buffers');
  return count;
}

export function isValid(data: ColumnData, i: number): boolean {
  return data.validity < 0 || ((data.view.getUint8(data.validity + (i >> 3)) >> (i & 7)) & 1) === 1;
}

/** @returns the filler, or the reason why the type cannot fill the column. */
export function columnFiller(type: ArrowType, target: TargetColumn): ColumnFiller | string {
  if (type.kind === 'null')
    return (data, column, row, timestampMs) => fillMissing(target, column, row, data.rows, timestampMs);
  const conversion = arrowConversion(type, target);
  if (conversion === null) return `${target.label} cannot be filled from an Arrow ${nameOf(type)}`;
  const { bytes, read, same } = conversion;
  return (data, column, row, timestampMs) => {
    const { view, rows } = data;
    const { start, end } = data.buffers[0]!;
    if ((end - start) * 8 < rows * (bytes === 0 ? 1 : bytes * 8))
      throw new ArrowFault(`the values of ${target.field} are too short`);
    if (same && data.validity < 0) return copyWhole(view, start, target, column, row, rows);
    for (let i = 0; i < rows; i++) {
      const cause = isValid(data, i)
        ? read(view, start, i, column, row + i)
        : storeMissing(target, column, row + i, timestampMs);
      if (cause !== null) return cause;
    }
    return null;
  };
}

function arrowConversion(type: ArrowType, target: TargetColumn): Conversion | null {
  switch (type.kind) {
    case 'bool':
      return target.type === ColumnType.BOOL ? { bytes: 0, read: bitReader(target), same: false } : null;
    case 'int':
    case 'float':
    case 'decimal':
    case 'timestamp':
    case 'date':
      return conversionOf(type, target);
    default:
      return null;
  }
}

function bitReader(target: TargetColumn): ValueReader {
  return (view, start, i, column, row) =>
    storeBoolean(target, column, row, ((view.getUint8(start + (i >> 3)) >> (i & 7)) & 1) === 1);
}

function nameOf(type: ArrowType): string {
  return type.kind === 'other' ? 'type of this kind' : type.kind;
}
