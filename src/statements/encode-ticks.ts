// What: rows of an INSERT → JSON messages of the table's topic.
// Why: inserted rows take the same way as everybody's ticks: durable in Kafka, seen by all members.
// Invariant: a message decodes to exactly the row that it was made of.

import {
  type ColumnSchema,
  ColumnType,
  LONE_SURROGATE,
  type TableSchema,
  TEXT_BYTES_MAX,
} from '../columns/types.ts';
import { ZeptoError } from '../kernel/errors.ts';
import { formatFixed } from '../kernel/fixed.ts';
import { GrowableBytes } from '../kernel/growable-bytes.ts';
import type { FieldMap, OutgoingTicks, TableSource } from '../ports.ts';
import type { ResultBlock, ResultValues } from '../query/result.ts';
import { timestampText } from '../sql/timestamp.ts';

const utf8 = new TextEncoder();

/**
 * `columns`: for each column of the block, its index in the table. The symbol's column must be among them.
 * @throws ZeptoError SQL_TYPE for a value that cannot be stored
 */
export function encodeTicks(
  { table, format }: TableSource,
  columns: readonly number[],
  block: ResultBlock,
): OutgoingTicks {
  if (format.kind !== 'json')
    throw new ZeptoError(
      'SQL_UNSUPPORTED',
      'stop',
      `INSERT writes JSON; table '${table.name}' reads ${format.kind}`,
    );
  columns.forEach((index, i) => {
    requireStorable(table, index, block.columns[i]!);
  });
  const members = columns.map((index, i) => {
    const column = table.columns[index]!;
    const name = JSON.stringify(format.fields.names[column.name] ?? column.name);
    return { name, print: printerOf(column, block.columns[i]!, format.fields) };
  });
  const keys = block.columns[columns.indexOf(table.symbolColumn)] as ResultValues & { kind: 'text' };
  const written = new GrowableBytes();
  const ends = new Uint32Array(2 * block.rows);
  for (let row = 0; row < block.rows; row++) {
    const parts: string[] = [];
    for (const { name, print } of members) {
      const text = print(row);
      if (text !== null) parts.push(`${name}:${text}`);
    }
    const symbol = keys.texts[keys.codes[row]!]!;
    ends[2 * row] = put(symbol, written);
    ends[2 * row + 1] = put(`{${parts.join(',')}}`, written);
  }
  // No more memory than they need: they are kept until all rows of a statement are there.
  const bytes = Buffer.from(written.bytes.subarray(0, written.length));
  return { count: block.rows, bytes, ends };
}

/** Appends the text as UTF-8. Returns where it ends. */
function put(text: string, to: GrowableBytes): number {
  // A unit takes three bytes at most.
  to.reserve(3 * text.length);
  to.length += utf8.encodeInto(text, to.bytes.subarray(to.length)).written;
  return to.length;
}

/** What readers of the topic would set aside as a dead letter must not be answered as inserted. */
function requireStorable(table: TableSchema, index: number, values: ResultValues): void {
  const refused = (problem: string): ZeptoError =>
    new ZeptoError('SQL_TYPE', 'stop', `column ${table.columns[index]!.name}: ${problem}`);
  const isSymbol = index === table.symbolColumn;
  const hasNull = values.nulls?.includes(1) ?? false;
  if (hasNull && isSymbol) throw refused('a symbol is never NULL');
  // Readers would take the time at which it was written.
  if (hasNull && index === table.timestampColumn) throw refused('an event time is never NULL');
  if (values.kind !== 'text') return;
  for (const text of values.texts) {
    if (isSymbol && text === '') throw refused('a symbol is never empty');
    if (Buffer.byteLength(text) > TEXT_BYTES_MAX)
      throw refused(`a text of more than ${TEXT_BYTES_MAX} bytes cannot be stored`);
    if (LONE_SURROGATE.test(text)) throw refused('half of a surrogate pair cannot be stored');
  }
}

/** The JSON of a value; null: the member is left out. */
type Print = (row: number) => string | null;

function printerOf(column: ColumnSchema, values: ResultValues, fields: FieldMap): Print {
  const { nulls } = values;
  const print = printValue(column, values, fields);
  return nulls === null ? print : (row) => (nulls[row] === 1 ? null : print(row));
}

function printValue(column: ColumnSchema, values: ResultValues, fields: FieldMap): Print {
  switch (values.kind) {
    case 'int': {
      const ints = values.values;
      if (column.type === ColumnType.TIMESTAMP_NS)
        return (row) => timeText(BigInt(ints[row]!), fields.timeUnit);
      const { scale } = column;
      if (scale === undefined || fields.scaledNumbers === 'scaled') return (row) => String(ints[row]!);
      return (row) => formatFixed(BigInt(ints[row]!), scale);
    }
    case 'float': {
      const floats = values.values;
      return (row) => {
        const value = floats[row]!;
        if (Number.isFinite(value)) return String(value);
        throw new ZeptoError('SQL_TYPE', 'stop', `column ${column.name}: ${value} cannot be stored`);
      };
    }
    case 'bool': {
      const bools = values.values;
      return (row) => (bools[row] === 1 ? 'true' : 'false');
    }
    case 'text': {
      const { codes, texts } = values;
      return (row) => JSON.stringify(texts[codes[row]!]!);
    }
  }
}

const nanosPer = { s: 1_000_000_000n, ms: 1_000_000n, us: 1_000n, ns: 1n } as const;

/** In the table's unit; as date and time where that would cut digits off. */
function timeText(ns: bigint, unit: FieldMap['timeUnit']): string {
  const per = nanosPer[unit];
  return ns % per === 0n ? String(ns / per) : JSON.stringify(timestampText(ns));
}
