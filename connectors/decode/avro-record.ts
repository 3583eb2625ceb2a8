// What: the reader of whole records of one writer schema into rows of one table.
// Why: compiled once per schema id, so evolution costs nothing: each record is read by the schema that wrote it.
// Invariant: fields are read in the writer's order; what the table does not have is passed over, what the writer does not have is missing.

import type { SymbolTable } from '../../src/columns/symbols.ts';
import type { AvroCursor } from './avro-cursor.ts';
import { type FieldReader, fieldReader } from './avro-fields.ts';
import type { AvroRecord, AvroType } from './avro-schema.ts';
import { skipperOf } from './avro-skip.ts';
import { type Cause, storeMissing } from './store.ts';
import { Role, type Target, type TargetColumn } from './target.ts';
import type { TextSlots } from './text-slots.ts';

/** Reads the record at the cursor into row `row`, texts into their slots. */
export type RecordReader = (cursor: AvroCursor, row: number) => Cause;

export interface RecordStep {
  readonly type: AvroType;
  /** Null: a field that the table does not have. */
  readonly column: TargetColumn | null;
  /** The next step reads the same field again, for another column. */
  readonly again: boolean;
  readonly read: FieldReader;
}

export interface RecordPlan {
  readonly steps: readonly RecordStep[];
  /** Columns that the writer does not have. */
  readonly missing: readonly TargetColumn[];
}

/** @returns what to do with each field, or the reason why no record of this schema can be a row. */
export function planRecord(
  type: AvroType,
  target: Target,
  texts: TextSlots,
  symbols: SymbolTable,
): RecordPlan | string {
  if (type.kind !== 'record') return `an Avro ${type.kind} is not a record`;
  const steps: RecordStep[] = [];
  for (const field of type.fields) {
    const columns = target.columns.filter((column) => column.field === field.name);
    if (columns.length === 0)
      steps.push({
        type: field.type,
        column: null,
        again: false,
        read: skipping(type, field.name, field.type),
      });
    for (const [index, column] of columns.entries()) {
      const read = fieldReader(field.type, column, texts, symbols);
      if (typeof read === 'string') return read;
      const again = index < columns.length - 1;
      steps.push({ type: field.type, column, again, read: again ? rereadable(read) : read });
    }
  }
  const missing = target.columns.filter(
    (column) => !type.fields.some((field) => field.name === column.field),
  );
  const symbol = missing.find((column) => column.role === Role.SYMBOL);
  return symbol === undefined ? { steps, missing } : `${symbol.label} is missing`;
}

export function recordReader({ steps, missing }: RecordPlan): RecordReader {
  const readers = steps.map((step) => step.read);
  return (cursor, row) => {
    for (let i = 0; i < readers.length; i++) {
      const cause = readers[i]!(cursor, row);
      if (cause !== null) return cause;
    }
    if (cursor.p !== cursor.end) return `${cursor.end - cursor.p} bytes follow the record`;
    for (let i = 0; i < missing.length; i++) {
      const column = missing[i]!;
      const cause = storeMissing(column, cursor.columns[column.index]!, row, cursor.timestampMs);
      if (cause !== null) return cause;
    }
    return null;
  };
}

function skipping(record: AvroRecord, name: string, type: AvroType): FieldReader {
  const skip = skipperOf(type);
  const cause = `the record ends or breaks within ${record.name}.${name}`;
  return (cursor) => (skip(cursor, 0) ? null : cause);
}

function rereadable(reader: FieldReader): FieldReader {
  return (cursor, row) => {
    const { p } = cursor;
    const cause = reader(cursor, row);
    cursor.p = p;
    return cause;
  };
}
