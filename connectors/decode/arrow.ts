// What: the Arrow decoder: one Kafka message is one IPC stream or file of ticks, its columns copied whole.
// Why: a producer that has thousands of ticks at hand sends them as they lie; nothing is parsed per row.
// Invariant: all rows of a message have its offset; a message gives all of its rows or is one undecodable record.

import { type RecordBatch, type RowBuffer, undecodable } from '../../src/columns/batch.ts';
import { LoopNumbers } from '../../src/columns/column-memory.ts';
import type { SymbolTable } from '../../src/columns/symbols.ts';
import type { RowDecoder } from '../../src/ports.ts';
import { type ColumnFiller, checkRows, columnData, columnFiller } from './arrow-column.ts';
import {
  type ArrowBatch,
  ArrowFault,
  type ArrowField,
  arrowFields,
  arrowMessages,
  type SchemaMetadata,
} from './arrow-stream.ts';
import { dictionaryIndices, fillQuoted, isTextType, textsOf } from './arrow-text.ts';
import { fillMissing } from './fixed-width.ts';
import type { Cause } from './store.ts';
import { isText, type Target, type TargetColumn } from './target.ts';
import { type TextColumn, type Texts, textColumn } from './text-column.ts';

/** What a schema means for the table. */
interface Plan {
  readonly metadata: SchemaMetadata;
  readonly columns: readonly PlannedColumn[];
  /** Fields whose values are dictionaries of texts, by dictionary id. */
  readonly dictionaries: ReadonlyMap<number, ArrowField>;
}

interface PlannedColumn {
  readonly target: TargetColumn;
  /** Null: no field, every value is missing. */
  readonly field: ArrowField | null;
  /** Null: the field's values are texts. */
  readonly fill: ColumnFiller | null;
}

export function arrowDecoder(target: Target, symbols: SymbolTable): RowDecoder {
  let plan: Plan | null = null;
  /** Of the message's text columns each its own. */
  const rooms = Array.from({ length: ROOMS_MAX }, () => ({
    indices: new LoopNumbers(),
    codes: new LoopNumbers(),
  }));

  /** Appends the message's rows; on a cause the caller takes them back. */
  function appendMessage(
    view: DataView,
    start: number,
    end: number,
    timestampMs: number,
    rows: RowBuffer,
  ): Cause {
    const dictionaries = new Map<number, Texts>();
    const pending: TextColumn[] = [];
    let current: Plan | null = null;
    for (const message of arrowMessages(view, start, end)) {
      if (message.kind === 'schema') {
        if (current !== null) throw new ArrowFault('a second schema');
        plan =
          plan !== null && isSame(plan.metadata, message.metadata) ? plan : planOf(message.metadata, target);
        current = plan;
      } else if (current === null) throw new ArrowFault('no schema at the start');
      else if (message.kind === 'dictionary') {
        const field = current.dictionaries.get(message.id);
        if (field === undefined) continue;
        if (message.delta) throw new ArrowFault('a delta dictionary: send whole dictionaries');
        dictionaries.set(message.id, dictionaryOf(field, message.batch));
      } else {
        const cause = appendBatch(current, message.batch, dictionaries, timestampMs, rows, pending);
        if (cause !== null) return cause;
      }
    }
    if (current === null) throw new ArrowFault('no schema at the start');
    for (const column of pending) column.assign();
    return null;
  }

  function appendBatch(
    { columns }: Plan,
    batch: ArrowBatch,
    dictionaries: ReadonlyMap<number, Texts>,
    timestampMs: number,
    rows: RowBuffer,
    pending: TextColumn[],
  ): Cause {
    // A symbol takes a byte at least: more rows than bytes is a lie, and must not reserve memory.
    if (batch.rows > batch.bytes) throw new ArrowFault(`${batch.rows} rows in ${batch.bytes} bytes`);
    for (const { field } of columns) if (field !== null) checkRows(field, batch);
    const row = rows.rows;
    rows.reserve(row + batch.rows);
    for (const { target: column, field, fill } of columns) {
      const buffer = rows.columns[column.index]!;
      let cause: Cause = null;
      if (field === null) {
        cause = fillMissing(column, buffer, row, batch.rows, timestampMs);
      } else if (fill !== null) {
        cause = fill(columnData(field, batch), buffer, row, timestampMs);
      } else {
        const data = columnData(field, batch);
        const room = rooms[pending.length];
        let texts: Texts;
        let indices: Int32Array | null = null;
        if (field.dictionary === null) texts = textsOf(data, field.type.kind, field.name);
        else {
          const dictionary = dictionaries.get(field.dictionary.id);
          if (dictionary === undefined && batch.rows > 0)
            throw new ArrowFault(`${field.name} has no dictionary`);
          texts = dictionary ?? NO_TEXTS;
          indices = room?.indices.take(rows.memory, batch.rows) ?? new Int32Array(batch.rows);
          dictionaryIndices(data, field.dictionary.index, texts.count, indices, buffer.loops);
        }
        if (isText(column)) {
          const codes = room?.codes.take(rows.memory, texts.count) ?? new Int32Array(texts.count);
          const text = textColumn(texts, indices, codes, batch.rows, column, rows, row, timestampMs, symbols);
          cause = text.check();
          pending.push(text);
        } else cause = fillQuoted(texts, indices, batch.rows, column, buffer, row, timestampMs);
      }
      if (cause !== null) return cause;
    }
    rows.rows = row + batch.rows;
    return null;
  }

  return {
    decode(records: RecordBatch, from: number, to: number, rows: RowBuffer): void {
      const { buffer, valueStart, valueLength, timestampMs, offset } = records;
      const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
      for (let i = from; i < to; i++) {
        const length = valueLength[i]!;
        if (length < 0) continue;
        const row = rows.rows;
        let cause: Cause;
        const start = valueStart[i]!;
        const staged = rows.memory?.stage(buffer.subarray(start, start + length)) ?? null;
        try {
          cause =
            staged === null
              ? appendMessage(view, start, start + length, timestampMs[i]!, rows)
              : appendMessage(staged, 0, length, timestampMs[i]!, rows);
        } catch (error) {
          // A RangeError is a read outside of the metadata: what its offsets claim is not there.
          if (!(error instanceof ArrowFault || error instanceof RangeError)) throw error;
          cause = `Arrow stream: ${error instanceof ArrowFault ? error.message : `broken metadata (${error.message})`}`;
        }
        if (cause === null) rows.offset.fill(offset[i]!, row, rows.rows);
        else {
          rows.rows = row;
          rows.undecodable.push(undecodable(records, i, cause));
        }
      }
    },
  };
}

/** More text columns and batches than messages have: others get memory of their own. */
const ROOMS_MAX = 16;

const NO_TEXTS: Texts = {
  view: new DataView(new ArrayBuffer(0)),
  count: 0,
  start: new Int32Array(0),
  length: new Int32Array(0),
};

/** @throws ArrowFault when no stream of this schema can fill the table. */
function planOf(metadata: SchemaMetadata, target: Target): Plan {
  const fields = arrowFields(metadata);
  const columns = target.columns.map((column): PlannedColumn => {
    const named = fields.filter((field) => field.name === column.field);
    if (named.length > 1) throw new ArrowFault(`two fields named ${column.field}`);
    const field = named[0];
    if (field === undefined) return { target: column, field: null, fill: null };
    if (isTextType(field.type)) return { target: column, field, fill: null };
    const fill =
      field.dictionary === null
        ? columnFiller(field.type, column)
        : `${column.label} is a dictionary of no texts`;
    if (typeof fill === 'string') throw new ArrowFault(fill);
    return { target: column, field, fill };
  });
  const dictionaries = new Map<number, ArrowField>();
  for (const { field, fill } of columns)
    if (field !== null && field.dictionary !== null && fill === null)
      dictionaries.set(field.dictionary.id, field);
  return { metadata: { ...metadata, bytes: Uint8Array.from(metadata.bytes) }, columns, dictionaries };
}

const isSame = (a: SchemaMetadata, b: SchemaMetadata): boolean =>
  a.field === b.field && Buffer.compare(a.bytes, b.bytes) === 0;

/** A dictionary is a batch of one column, of its entries. */
function dictionaryOf(field: ArrowField, batch: ArrowBatch): Texts {
  const alone: ArrowField = { ...field, dictionary: null, node: 0, buffer: 0, viewsBefore: 0 };
  return textsOf(columnData(alone, batch), field.type.kind, field.name);
}
