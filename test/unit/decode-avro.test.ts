// What: the Avro decoder's framing, evolution, waiting, and what it refuses; schemas that set traps.
// Why: the property test says that values are right; these say what happens around them.
// Invariant: expectations are written out, records are encoded by avsc or laid by hand.

import { expect, test } from 'vitest';
import { parseAvroSchema } from '../../connectors/decode/avro-schema.ts';
import { createDecoder } from '../../connectors/decode/decoder.ts';
import type { AvroSchemaText, SchemaSource } from '../../connectors/decode/schema-source.ts';
import { RowBuffer } from '../../src/columns/batch.ts';
import { SymbolTable } from '../../src/columns/symbols.ts';
import type { TableSchema } from '../../src/columns/types.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { FieldMap } from '../../src/ports.ts';
import { avroType, framed } from '../support/avro-encode.ts';
import {
  decodeAll,
  everyType,
  plainFields,
  recordBatch,
  type TestRecord,
  trades,
} from '../support/decode-records.ts';

const record = (...fields: readonly (readonly [string, unknown])[]): unknown => ({
  type: 'record',
  name: 'Tick',
  fields: fields.map(([name, type]) => ({ name, type })),
});

const tick = record(['symbol', 'string'], ['price', 'double'], ['volume', 'long'], ['timestamp', 'long']);

function encode(id: number, schema: unknown, value: unknown): Uint8Array {
  return framed(id, avroType(schema).toBuffer(value));
}

function sourceOf(schemas: Readonly<Record<number, unknown>>, references: string[] = []): SchemaSource {
  return {
    avroSchema: async (id) =>
      id in schemas ? { schema: JSON.stringify(schemas[id]), references } : 'is not known to the registry',
  };
}

function decode(
  schemas: Readonly<Record<number, unknown>> | SchemaSource,
  values: readonly (TestRecord | Uint8Array | null)[],
  table: TableSchema = trades,
  fields: Partial<FieldMap> = {},
  symbols = new SymbolTable(),
) {
  const source = 'avroSchema' in schemas ? (schemas as SchemaSource) : sourceOf(schemas);
  const format = { kind: 'avro' as const, fields: { ...plainFields, ...fields } };
  return decodeAll(
    createDecoder({ table, topic: 'ticks', format }, symbols, source),
    table,
    symbols,
    recordBatch(values),
  );
}

const AAPL = { symbol: 'AAPL', price: 150.25, volume: 100n, timestamp: 1711000800123456789n };
const row = { symbol: 'AAPL', price: 1502500n, volume: 100n, timestamp: 1711000800123456789n };

test('each record is read by the schema that wrote it: fields come, go and move', async () => {
  const later = record(
    ['venue', 'string'],
    ['timestamp', 'long'],
    ['symbol', 'string'],
    ['price', ['null', 'double']],
  );
  const { rows } = await decode({ 1: tick, 2: later }, [
    encode(1, tick, AAPL),
    { value: encode(2, later, { venue: 'X', timestamp: 5n, symbol: 'MSFT', price: { double: 1 } }) },
    encode(1, tick, AAPL),
    encode(2, later, { venue: 'X', timestamp: 6n, symbol: 'MSFT', price: null }),
  ]);
  expect(rows).toEqual([
    row,
    { symbol: 'MSFT', price: 10000n, volume: null, timestamp: 5n },
    row,
    { symbol: 'MSFT', price: null, volume: null, timestamp: 6n },
  ]);
});

test('a missing or null time is the Kafka timestamp; a schema without the symbol refuses its records', async () => {
  const timeless = record(['symbol', 'string'], ['timestamp', ['null', 'long']]);
  const nameless = record(['price', 'double']);
  const { rows, causes } = await decode({ 1: timeless, 2: nameless }, [
    { value: encode(1, timeless, { symbol: 'A', timestamp: null }), timestampMs: 1711000800123 },
    { value: encode(1, timeless, { symbol: 'A', timestamp: null }), timestampMs: -1 },
    encode(2, nameless, { price: 1 }),
  ]);
  expect(rows).toEqual([{ symbol: 'A', price: null, volume: null, timestamp: 1711000800123000000n }]);
  expect(causes).toEqual([
    'timestamp is missing and the record has no Kafka timestamp',
    'schema 2 cannot fill the table: symbol is missing',
  ]);
});

test('what is not framed, unknown, truncated or too long is set aside with the reason, names and all', async () => {
  const symbols = new SymbolTable();
  const whole = encode(1, tick, { ...AAPL, symbol: 'NEW' });
  const { rows, causes, buffer } = await decode(
    { 1: tick },
    [
      new Uint8Array(0),
      whole.subarray(0, 4),
      Uint8Array.from(whole, (byte, i) => (i === 0 ? 1 : byte)),
      encode(9, tick, AAPL),
      whole.subarray(0, whole.length - 1),
      Buffer.concat([whole, Buffer.from([0])]),
      Buffer.concat([whole.subarray(0, 5), Buffer.from([8, 0x41, 0xff, 0x41, 0x41]), whole.subarray(9)]),
      null,
    ],
    trades,
    {},
    symbols,
  );
  expect(rows).toEqual([]);
  expect(causes).toEqual([
    '0 bytes are too few for a schema id',
    '4 bytes are too few for a schema id',
    'the first byte is not 0: no schema registry framing',
    'schema 9 is not known to the registry',
    'the record ends within timestamp',
    '1 bytes follow the record',
    'symbol is not UTF-8',
  ]);
  expect(symbols.unknown).toEqual([]);
  expect(buffer.undecodable[4]!.value).toEqual(new Uint8Array(whole.subarray(0, whole.length - 1)));
});

test('values that do not fit exactly are refused, never rounded', async () => {
  const schema = record(
    ['symbol', 'string'],
    ['price', ['null', 'long', 'double', 'string']],
    ['size', ['null', 'long']],
  );
  const value = (price: unknown, size: unknown = null) => encode(1, schema, { symbol: 'A', price, size });
  const { causes } = await decode(
    { 1: schema },
    [
      value({ double: 1.00001 }),
      value({ double: Number.POSITIVE_INFINITY }),
      value({ long: 2n ** 60n }),
      value({ string: 'abc' }),
      value(null, { long: 2147483648n }),
      value(null, { long: -2147483648n }),
    ],
    everyType,
  );
  expect(causes).toEqual([
    'price has more than 4 decimals',
    'price is out of range',
    'price is out of range',
    'price is not a number',
    'size is out of range',
    'size is out of range',
  ]);
});

test('a long of −2^63 does not pass for NULL', async () => {
  const schema = record(['symbol', 'string'], ['sequence', 'long']);
  const { causes } = await decode(
    { 1: schema },
    [encode(1, schema, { symbol: 'A', sequence: -(2n ** 63n) })],
    everyType,
  );
  expect(causes).toEqual(['sequence is out of range']);
});

test('a NaN is a missing value', async () => {
  const schema = record(
    ['symbol', 'string'],
    ['price', 'double'],
    ['ratio', 'float'],
    ['timestamp', 'double'],
  );
  const nan = Number.NaN;
  const { rows } = await decode(
    { 1: schema },
    [{ value: encode(1, schema, { symbol: 'A', price: nan, ratio: nan, timestamp: nan }), timestampMs: 3 }],
    everyType,
  );
  expect(rows[0]).toMatchObject({ price: null, ratio: null, timestamp: 3_000_000n });
});

test('numbers that are scaled already are taken as they stand; a decimal says its scale itself', async () => {
  const schema = record(
    ['symbol', 'string'],
    ['price', 'long'],
    ['fee', { type: 'bytes', logicalType: 'decimal', precision: 9, scale: 3 }],
  );
  const value = encode(1, schema, { symbol: 'A', price: 1502500n, fee: Buffer.from([0x04, 0xce]) });
  const { rows } = await decode({ 1: schema }, [value], everyType, { scaledNumbers: 'scaled' });
  expect(rows[0]).toMatchObject({ price: 1502500n, fee: 123 });
  const odd = encode(1, schema, { symbol: 'A', price: 1n, fee: Buffer.from([0x04, 0xcf]) });
  expect((await decode({ 1: schema }, [odd], everyType)).causes).toEqual(['fee has more than 2 decimals']);
});

test('one field may fill two columns', async () => {
  const { rows } = await decode({ 1: tick }, [encode(1, tick, AAPL)], everyType, {
    names: { received: 'timestamp', ratio: 'price', note: 'symbol' },
  });
  expect(rows[0]).toMatchObject({
    received: AAPL.timestamp,
    timestamp: AAPL.timestamp,
    ratio: 150.25,
    note: 'AAPL',
  });
});

test('types that cannot fill a column refuse the schema; a union refuses only the records that use the branch', async () => {
  const list = record(['symbol', 'string'], ['price', { type: 'array', items: 'long' }]);
  const union = record(['symbol', 'string'], ['price', ['long', { type: 'array', items: 'long' }]]);
  const { rows, causes } = await decode({ 1: list, 2: union }, [
    encode(1, list, { symbol: 'A', price: [1n] }),
    encode(2, union, { symbol: 'A', price: { long: 1n } }),
    encode(2, union, { symbol: 'A', price: { array: [1n] } }),
  ]);
  expect(rows).toHaveLength(1);
  expect(causes).toEqual([
    'schema 1 cannot fill the table: price cannot be filled from an Avro array',
    'price cannot be filled from an Avro array',
  ]);
});

test('only a schema that is not at hand makes the decoder wait', async () => {
  const symbols = new SymbolTable();
  const format = { kind: 'avro' as const, fields: plainFields };
  const decoder = createDecoder({ table: trades, topic: 'ticks', format }, symbols, sourceOf({ 1: tick }));
  const batch = recordBatch([encode(1, tick, AAPL)]);
  const rows = new RowBuffer(trades, 1);
  const first = decoder.decode(batch, 0, 1, rows);
  expect(first).toBeInstanceOf(Promise);
  expect(rows.rows).toBe(0);
  await first;
  expect(rows.rows).toBe(1);
  expect(decoder.decode(batch, 0, 1, rows)).toBeUndefined();
  expect(rows.rows).toBe(2);
});

test('when a schema cannot be had, nothing of the call is appended, and the next call does it all', async () => {
  let available = false;
  const source: SchemaSource = {
    avroSchema: async (id): Promise<AvroSchemaText> => {
      if (id === 2 && !available) throw new ZeptoError('SCHEMA_UNAVAILABLE', 'retry', 'down');
      return { schema: JSON.stringify(tick), references: [] };
    },
  };
  const symbols = new SymbolTable();
  const format = { kind: 'avro' as const, fields: plainFields };
  const decoder = createDecoder({ table: trades, topic: 'ticks', format }, symbols, source);
  const batch = recordBatch([encode(1, tick, AAPL), Uint8Array.of(1), encode(2, tick, AAPL)]);
  const rows = new RowBuffer(trades, 1);
  await expect(decoder.decode(batch, 0, 3, rows)).rejects.toMatchObject({
    code: 'SCHEMA_UNAVAILABLE',
    action: 'retry',
  });
  expect([rows.rows, rows.undecodable.length, symbols.unknown.length]).toEqual([0, 0, 0]);
  available = true;
  await decoder.decode(batch, 0, 3, rows);
  expect([rows.rows, rows.undecodable.length]).toEqual([2, 1]);
});

test('an id that is unknown today is asked for again tomorrow', async () => {
  const schemas: Record<number, unknown> = {};
  const symbols = new SymbolTable();
  const format = { kind: 'avro' as const, fields: plainFields };
  const decoder = createDecoder({ table: trades, topic: 'ticks', format }, symbols, sourceOf(schemas));
  const batch = recordBatch([encode(1, tick, AAPL)]);
  const rows = new RowBuffer(trades, 1);
  await decoder.decode(batch, 0, 1, rows);
  expect([rows.rows, rows.undecodable.length]).toEqual([0, 1]);
  schemas[1] = tick;
  await decoder.decode(batch, 0, 1, rows);
  expect([rows.rows, rows.undecodable.length]).toEqual([1, 1]);
});

test('Avro without a schema source is refused when the decoder is made', () => {
  const format = { kind: 'avro' as const, fields: plainFields };
  expect(() => createDecoder({ table: trades, topic: 'ticks', format }, new SymbolTable(), null)).toThrow(
    '--schema-registry',
  );
});

test('a schema may name types of its references and of its own namespace', async () => {
  const side = { type: 'enum', name: 'Side', namespace: 'a.b', symbols: ['BUY', 'SELL'] };
  const schema = {
    type: 'record',
    name: 'a.b.Tick',
    fields: [
      { name: 'symbol', type: 'string' },
      { name: 'note', type: 'Side' },
      { name: 'venue', type: ['null', 'a.b.Side'] },
    ],
  };
  const source = sourceOf({ 1: schema }, [JSON.stringify(side)]);
  const { rows } = await decode(source, [framed(1, Uint8Array.of(2, 0x41, 2, 2, 0))], everyType);
  expect(rows[0]).toMatchObject({ symbol: 'A', note: 'SELL', venue: 'BUY' });
});

test.each([
  ['"nope"', 'no type is named nope'],
  ['{"type":"record","name":"R","fields":[{"name":"a","type":"S"}]}', 'no type is named S'],
  [
    '{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}',
    'two fields named a',
  ],
  ['{"type":"fixed","name":"F","size":-1}', 'fixed without a size'],
  ['{"type":"record","fields":[]}', 'has no name'],
  ['[{"type":"enum","name":"E","symbols":[]},{"type":"enum","name":"E","symbols":[]}]', 'defined twice'],
  [`${'['.repeat(100)}"int"${']'.repeat(100)}`, 'nested more than 64 deep'],
  ['{', 'JSON'],
])('the schema %s is refused', (text, reason) => {
  expect(() => parseAvroSchema(text)).toThrow(reason);
});

test('counts, depths and sizes that the bytes claim cost no more than the bytes', async () => {
  // An array of nulls that claims 2^62 items, a list nested in itself, a record that doubles at each of 60 levels.
  const doubling: unknown[] = ['null'];
  for (let level = 0; level < 60; level++) {
    const inner = level === 0 ? 'null' : `L${level - 1}`;
    doubling.push({
      type: 'record',
      name: `L${level}`,
      fields: [
        { name: 'a', type: inner },
        { name: 'b', type: inner },
      ],
    });
  }
  const schema = record(
    ['symbol', 'string'],
    ['nulls', { type: 'array', items: 'null' }],
    ['list', { type: 'record', name: 'List', fields: [{ name: 'next', type: ['null', 'List'] }] }],
    ['levels', doubling],
  );
  const manyNulls = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0];
  const whole = framed(1, Uint8Array.from([2, 0x41, ...manyNulls, 0, 120]));
  const deep = framed(1, Uint8Array.from([2, 0x41, 0, ...Array(100_000).fill(2), 0, 0]));
  const huge = framed(1, Uint8Array.from([0xfe, 0xff, 0xff, 0xff, 0x0f, 0x41]));
  const { rows, causes } = await decode({ 1: schema }, [whole, deep, huge]);
  expect(rows).toHaveLength(1);
  expect(causes).toEqual(['the record ends or breaks within Tick.list', 'the record ends within symbol']);
});

test('blocks that state their size are passed over at once', async () => {
  const schema = record(
    ['symbol', 'string'],
    ['list', { type: 'array', items: 'string' }],
    ['volume', 'long'],
  );
  const value = framed(1, Uint8Array.from([2, 0x41, 3, 8, 2, 0x58, 2, 0x59, 0, 14]));
  expect((await decode({ 1: schema }, [value])).rows[0]).toMatchObject({ symbol: 'A', volume: 7n });
});
