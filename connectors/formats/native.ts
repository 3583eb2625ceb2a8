// What: results as ClickHouse's Native blocks: columns of binary values.
// Why: clickhouse-connect reads every query in this format.
// Invariant: values stand as the column's type name says; a block has all columns, each with as many values as rows.

import type { OutputColumn, ResultBlock, ResultValues, SqlType } from '../../src/http-port.ts';
import { clickhouseType } from './clickhouse-types.ts';
import { exceptionMark } from './exception-mark.ts';
import type { ResultFormat } from './result-format.ts';

/**
 * A block, for clients that name no protocol version (integers little-endian, lengths and counts as LEB128):
 *
 * | field   | form                                                                                    |
 * | ------- | --------------------------------------------------------------------------------------- |
 * | columns | count                                                                                   |
 * | rows    | count                                                                                   |
 * | column  | name: length, UTF-8; type: length, text; a byte for each row, 1 for NULL; a value for each row |
 * | value   | Int32, Int64, Float32, Float64, Bool (a byte), String (length, UTF-8), DateTime64(9) as Int64 of ns, Decimal as Int32 up to 9 digits, else Int64 |
 */
export const nativeFormat: ResultFormat = {
  name: 'Native',
  contentType: 'application/octet-stream',
  async *write(result, about) {
    const { columns } = result;
    let blocks = 0;
    try {
      for await (const block of result) {
        const bytes = blockBytes(columns, block);
        blocks++;
        yield bytes;
      }
    } catch (error) {
      if (blocks > 0) yield exceptionMark(error, about.exceptionTag);
      throw error;
    }
    // Names and types of a result without rows.
    if (blocks === 0) yield blockBytes(columns, null);
  },
};

function blockBytes(columns: readonly OutputColumn[], block: ResultBlock | null): Uint8Array {
  const rows = block?.rows ?? 0;
  const parts: Uint8Array[] = [leb128(columns.length), leb128(rows)];
  columns.forEach((column, index) => {
    parts.push(textBytes(column.name), textBytes(clickhouseType(column)));
    if (block === null) return;
    const values = block.columns[index]!;
    parts.push(values.nulls ?? new Uint8Array(rows), valueBytes(values, column.type, rows));
  });
  return Buffer.concat(parts);
}

function valueBytes(column: ResultValues, type: SqlType, rows: number): Uint8Array {
  if (type.name === 'NULL') return new Uint8Array(rows);
  switch (column.kind) {
    case 'int': {
      const is32 = type.name === 'INT32' || (type.name === 'DECIMAL' && type.precision <= 9);
      return bytesOf(is32 ? Int32Array.from(column.values, Number) : wide(column.values));
    }
    case 'float':
      return bytesOf(type.name === 'FLOAT32' ? Float32Array.from(column.values) : column.values);
    case 'bool':
      return column.values;
    case 'text': {
      const { codes, texts, nulls } = column;
      const encoded = texts.map(textBytes);
      const none = Uint8Array.of(0);
      return Buffer.concat(
        Array.from({ length: rows }, (_, row) => (nulls?.[row] === 1 ? none : encoded[codes[row]!]!)),
      );
    }
  }
}

const wide = (values: BigInt64Array | Float64Array): BigInt64Array =>
  values instanceof BigInt64Array ? values : BigInt64Array.from(values, BigInt);

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

function textBytes(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'utf8');
  return Buffer.concat([leb128(bytes.length), bytes]);
}

function leb128(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  bytes.push(rest);
  return Uint8Array.from(bytes);
}
