// What: the Avro decoder: Confluent's framing, a reader per schema id, records into rows.
// Why: schemas are fetched once per id; after that a batch is decoded without waiting and without an object per record.
// Invariant: when a schema cannot be had now, nothing of the call is appended.
//
//   offset size field
//        0    1 magic 0
//        1    4 schema id, u32 big-endian
//        5    – the record in Avro binary encoding

import { type RecordBatch, type RowBuffer, undecodable } from '../../src/columns/batch.ts';
import type { SymbolTable } from '../../src/columns/symbols.ts';
import type { RowDecoder } from '../../src/ports.ts';
import { compileRecord, type RunReader } from './avro-compile.ts';
import { AvroCursor, OVERREAD_BYTES } from './avro-cursor.ts';
import { planRecord, type RecordReader, recordReader } from './avro-record.ts';
import { parseAvroSchema } from './avro-schema.ts';
import type { AvroSchemaText, SchemaSource } from './schema-source.ts';
import type { Cause } from './store.ts';
import type { Target } from './target.ts';
import { TextSlots } from './text-slots.ts';

const HEADER_BYTES = 5;

interface SchemaReader {
  readonly record: RecordReader;
  /** Takes whole runs of plain records; null when there is none. */
  readonly run: RunReader | null;
}

/** `compiled` false: field readers alone, the plain way that compiled readers are measured by. */
export function avroDecoder(
  target: Target,
  symbols: SymbolTable,
  schemas: SchemaSource,
  compiled = true,
): RowDecoder {
  const readers = new Map<number, SchemaReader>();
  const texts = new TextSlots(target, symbols);
  const cursor = new AvroCursor();

  /** Ids without a schema get a reader that says why, for this call: they may have one later. Returns those ids. */
  async function learn(ids: readonly number[]): Promise<number[]> {
    // All or nothing: the first that cannot be had now ends the call, before a row is appended.
    const found = await Promise.all(ids.map((id) => schemas.avroSchema(id)));
    const without: number[] = [];
    ids.forEach((id, i) => {
      const schema = found[i]!;
      if (typeof schema === 'string') without.push(id);
      readers.set(id, typeof schema === 'string' ? refusing(id, schema) : readerOf(id, schema));
    });
    return without;
  }

  function readerOf(id: number, { schema, references }: AvroSchemaText): SchemaReader {
    try {
      const plan = planRecord(parseAvroSchema(schema, references), target, texts, symbols);
      if (typeof plan === 'string') return refusing(id, `cannot fill the table: ${plan}`);
      return { record: recordReader(plan), run: compiled ? compileRecord(id, plan, target, symbols) : null };
    } catch (error) {
      return refusing(id, `is not valid: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  function decode(records: RecordBatch, from: number, to: number, rows: RowBuffer): void {
    rows.reserve(rows.rows + to - from);
    const { buffer, valueStart, valueLength, offset } = records;
    const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    cursor.columns = rows.columns;
    for (let i = from; i < to; i++) {
      const length = valueLength[i]!;
      if (length < 0) continue;
      const start = valueStart[i]!;
      let cause: Cause = framingFault(view, start, length);
      if (cause === null) {
        const id = view.getUint32(start + 1);
        const reader = readers.get(id) ?? refusing(id, 'is not known to the registry');
        if (reader.run !== null) {
          const next = reader.run(records, view, i, to, rows);
          if (next > i) {
            i = next - 1;
            continue;
          }
        }
        cursor.timestampMs = records.timestampMs[i]!;
        point(cursor, view, start + HEADER_BYTES, start + length);
        cause = reader.record(cursor, rows.rows) ?? texts.store(cursor.view, rows.columns, rows.rows);
      }
      if (cause === null) rows.offset[rows.rows++] = offset[i]!;
      else {
        texts.clear();
        rows.undecodable.push(undecodable(records, i, cause));
      }
    }
  }

  return {
    decode(records, from, to, rows) {
      const unknown = unknownIds(records, from, to, readers);
      if (unknown.length === 0) return decode(records, from, to, rows);
      return learn(unknown).then((without) => {
        decode(records, from, to, rows);
        for (const id of without) readers.delete(id);
      });
    },
  };
}

function refusing(id: number, reason: string): SchemaReader {
  const cause = `schema ${id} ${reason}`;
  return { record: () => cause, run: null };
}

function framingFault(view: DataView, start: number, length: number): Cause {
  if (length < HEADER_BYTES) return `${length} bytes are too few for a schema id`;
  return view.getUint8(start) === 0 ? null : 'the first byte is not 0: no schema registry framing';
}

function unknownIds(
  { buffer, valueStart, valueLength }: RecordBatch,
  from: number,
  to: number,
  readers: ReadonlyMap<number, SchemaReader>,
): number[] {
  const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  const unknown = new Set<number>();
  let last = -1;
  for (let i = from; i < to; i++) {
    if (valueLength[i]! < HEADER_BYTES || view.getUint8(valueStart[i]!) !== 0) continue;
    const id = view.getUint32(valueStart[i]! + 1);
    if (id === last) continue;
    last = id;
    if (!readers.has(id)) unknown.add(id);
  }
  return [...unknown];
}

/** Sets the cursor; a record at the very end of the buffer is copied to where readers may read past it. */
function point(cursor: AvroCursor, view: DataView, start: number, end: number): void {
  if (end + OVERREAD_BYTES <= view.byteLength) {
    cursor.view = view;
    cursor.p = start;
    cursor.end = end;
    return;
  }
  const copy = new Uint8Array(end - start + OVERREAD_BYTES);
  copy.set(new Uint8Array(view.buffer, view.byteOffset + start, end - start));
  cursor.view = new DataView(copy.buffer);
  cursor.p = 0;
  cursor.end = end - start;
}
