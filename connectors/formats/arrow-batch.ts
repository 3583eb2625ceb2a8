// What: a block of a result as an Arrow record batch, and the schema of all of them.
// Why: data frames take columns as they are; only booleans, decimals and texts have to be laid out anew.
// Invariant: NULL is a cleared validity bit; int64, decimals and nanoseconds are exact.

import {
  Bool,
  type Data,
  type DataType,
  Decimal,
  Field,
  Float32,
  Float64,
  Int32,
  Int64,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  TimestampNanosecond,
  Utf8,
} from 'apache-arrow';
import type { OutputColumn, ResultBlock, ResultValues, SqlType } from '../../src/http-port.ts';

export const arrowSchema = (columns: readonly OutputColumn[]): Schema =>
  new Schema(columns.map(({ name, type }) => new Field(name, arrowType(type), true)));

function arrowType(type: SqlType): DataType {
  switch (type.name) {
    case 'INT32':
      return new Int32();
    case 'INT64':
      return new Int64();
    case 'FLOAT32':
      return new Float32();
    case 'FLOAT64':
      return new Float64();
    case 'TIMESTAMP_NS':
      return new TimestampNanosecond('UTC');
    case 'BOOL':
      return new Bool();
    case 'DECIMAL':
      return new Decimal(type.scale, type.precision, 128);
    case 'SYMBOL':
    case 'STRING':
    case 'NULL':
      return new Utf8();
  }
}

export function arrowBatch(schema: Schema, block: ResultBlock): RecordBatch {
  const { rows } = block;
  const children = block.columns.map((column, i) => columnData(schema.fields[i]!.type, column, rows));
  return new RecordBatch(
    schema,
    makeData({ type: new Struct(schema.fields), length: rows, nullCount: 0, children }),
  );
}

function columnData(type: DataType, column: ResultValues, length: number): Data {
  const nulls = column.nulls;
  const nullCount = nulls === null ? 0 : nulls.reduce((sum, one) => sum + one, 0);
  const nullBitmap = nulls === null ? null : bits(length, (row) => nulls[row] === 0);
  const common = { length, nullCount, nullBitmap };
  switch (column.kind) {
    case 'int':
      // NULLs without a type: no text at any row.
      if (type instanceof Utf8) return textData(new Uint32Array(length), [], nulls, common);
      return intData(type, column.values, common);
    case 'float':
      if (type instanceof Float32)
        return makeData({ ...common, type, data: Float32Array.from(column.values) });
      return makeData({ ...common, type: new Float64(), data: column.values });
    case 'bool': {
      const { values } = column;
      return makeData({ ...common, type: new Bool(), data: bits(length, (row) => values[row] === 1) });
    }
    case 'text':
      return textData(column.codes, column.texts, nulls, common);
  }
}

interface Common {
  readonly length: number;
  readonly nullCount: number;
  readonly nullBitmap: Uint8Array | null;
}

function intData(type: DataType, values: BigInt64Array | Float64Array, common: Common): Data {
  if (type instanceof Int32)
    return makeData({ ...common, type, data: Int32Array.from(values as ArrayLike<number>, Number) });
  const wide = values instanceof BigInt64Array ? values : BigInt64Array.from(values, BigInt);
  if (type instanceof Decimal) {
    const words = new BigInt64Array(2 * common.length);
    for (let row = 0; row < common.length; row++) {
      words[2 * row] = wide[row]!;
      words[2 * row + 1] = wide[row]! < 0n ? -1n : 0n;
    }
    return makeData({ ...common, type, data: new Uint32Array(words.buffer) });
  }
  if (type instanceof TimestampNanosecond) return makeData({ ...common, type, data: wide });
  return makeData({ ...common, type: new Int64(), data: wide });
}

function textData(
  codes: Uint32Array,
  texts: readonly string[],
  nulls: Uint8Array | null,
  common: Common,
): Data {
  const encoded: Buffer[] = [];
  const valueOffsets = new Int32Array(common.length + 1);
  const parts: Buffer[] = [];
  for (let row = 0; row < common.length; row++) {
    let bytes = 0;
    if (nulls === null || nulls[row] === 0) {
      const code = codes[row]!;
      encoded[code] ??= Buffer.from(texts[code]!, 'utf8');
      parts.push(encoded[code]);
      bytes = encoded[code].length;
    }
    valueOffsets[row + 1] = valueOffsets[row]! + bytes;
  }
  return makeData({ ...common, type: new Utf8(), valueOffsets, data: Buffer.concat(parts) });
}

/** One bit per row, least significant first. */
function bits(rows: number, isSet: (row: number) => boolean): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(rows / 8));
  for (let row = 0; row < rows; row++) if (isSet(row)) bytes[row >> 3]! |= 1 << (row & 7);
  return bytes;
}
