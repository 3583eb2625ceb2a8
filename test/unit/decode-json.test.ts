// What: what a JSON record means, value by value: numbers, times, names, what is missing and what is refused.
// Why: these are the rules that docs/decoders.md states.
// Invariant: every expectation is written out, none is computed by the code under test.

import { expect, test } from 'vitest';
import { createDecoder } from '../../connectors/decode/decoder.ts';
import { SymbolTable } from '../../src/columns/symbols.ts';
import { ColumnType, type TableSchema } from '../../src/columns/types.ts';
import type { FieldMap } from '../../src/ports.ts';
import {
  decodeAll,
  everyType,
  plainFields,
  recordBatch,
  type TestRecord,
  trades,
} from '../support/decode-records.ts';

async function decode(
  values: readonly (TestRecord | string | Uint8Array | null)[],
  table: TableSchema = trades,
  fields: Partial<FieldMap> = {},
) {
  const symbols = new SymbolTable();
  const source = {
    table,
    topic: 'ticks',
    format: { kind: 'json' as const, fields: { ...plainFields, ...fields } },
  };
  const batch = recordBatch(values);
  const decoded = await decodeAll(createDecoder(source, symbols, null), table, symbols, batch);
  return { ...decoded, symbols };
}

/** The one column's value in a record that is otherwise whole; the cause where it is refused. */
async function value(column: string, token: string, fields: Partial<FieldMap> = {}): Promise<unknown> {
  const { rows, causes } = await decode([`{"symbol":"A","${column}":${token}}`], everyType, fields);
  return causes[0] ?? rows[0]![column];
}

const tick = (fields: string): string => `{"symbol":"AAPL","timestamp":1711000800000000001,${fields}}`;

test('a tick becomes a row, exactly: 19-digit nanoseconds, a scaled price, the symbol by name', async () => {
  const { rows, offsets } = await decode([
    '{"symbol":"AAPL","price":150.25,"volume":100,"timestamp":1711000800123456789}',
    '{"symbol":"MSFT","price":-0.0001,"volume":9007199254740993,"timestamp":9223372036854775807}',
  ]);
  expect(rows).toEqual([
    { symbol: 'AAPL', price: 1502500n, volume: 100n, timestamp: 1711000800123456789n },
    { symbol: 'MSFT', price: -1n, volume: 9007199254740993n, timestamp: 9223372036854775807n },
  ]);
  expect(offsets).toEqual([1000, 1002]);
});

test('order of members, blanks, unknown members and a byte order mark make no difference', async () => {
  const { rows, causes } = await decode([
    tick('"price":1.5,"volume":2'),
    '{"price":1.5,"volume":2,"timestamp":1711000800000000001,"symbol":"AAPL"}',
    ' { "volume" : 2 ,\n\t"symbol" : "AAPL" , "price" : 1.5 , "timestamp" : 1711000800000000001 } \r\n',
    tick(
      '"exchange":"XNAS","price":1.5,"flags":[1,{"price":9}],"volume":2,"more":{"a":"}"},"n":-1.5e3,"b":null',
    ),
    `\ufeff${tick('"price":1.5,"volume":2')}`,
    '{"\\u0073ymbol":"A\\u0041PL","price":1.5,"volume":2,"timestamp":1711000800000000001}',
    tick('"price":15e-1,"volume":0.2e1'),
    tick('"price":"1.5","volume":"2"'),
  ]);
  expect(causes).toEqual([]);
  for (const row of rows)
    expect(row).toEqual({ symbol: 'AAPL', price: 15000n, volume: 2n, timestamp: 1711000800000000001n });
});

test.each([
  ['150.25', 1502500n],
  ['150.25000000', 1502500n],
  ['1.5025e2', 1502500n],
  ['-0', 0n],
  ['"150.25"', 1502500n],
  ['922337203685477.5807', 9223372036854775807n],
  ['-922337203685477.5807', -9223372036854775807n],
  ['922337203685477.5808', 'price is out of range'],
  ['1e400', 'price is out of range'],
  ['1e-400', 'price has more than 4 decimals'],
  ['0e99999999999', 0n],
  ['150.25001', 'price has more than 4 decimals'],
  ['"abc"', 'price is not a number'],
  ['""', 'price is not a number'],
  ['" 1"', 'price is not a number'],
  ['"0x10"', 'price is not a number'],
  ['true', 'price is not a number'],
  ['{}', 'price is nested'],
  ['null', null],
])('a price of %s is %s', async (token, expected) => {
  expect(await value('price', token)).toEqual(expected);
});

test.each([
  ['size', '2147483647', 2147483647],
  ['size', '-2147483647', -2147483647],
  ['size', '2147483648', 'size is out of range'],
  ['size', '-2147483648', 'size is out of range'],
  ['size', '1.0', 1],
  ['size', '1.5', 'size is not an integer'],
  ['fee', '-12.34', -1234],
  ['sequence', '-9223372036854775808', 'sequence is out of range'],
  ['sequence', '1234567890123456', 1234567890123456n],
  ['ratio', '0.1', 0.1],
  ['ratio', '1.7976931348623157e308', 1.7976931348623157e308],
  ['ratio', '2e308', 'ratio is out of range'],
  ['ratio', '123456789012345678', 123456789012345680],
  ['ratio', '0.30000000000000004', 0.30000000000000004],
  ['ratio', '-0', -0],
  ['weight', '0.1', Math.fround(0.1)],
  ['weight', '4e38', 'weight is out of range'],
  ['buy', 'true', true],
  ['buy', '"false"', false],
  ['buy', '1', true],
  ['buy', '0', false],
  ['buy', '2', 'buy is not a boolean'],
  ['buy', '"yes"', 'buy is not a boolean'],
  ['note', '"naïve \\ud83d\\ude00"', 'naïve 😀'],
  ['note', '""', ''],
  ['note', '5', 'note is not a string'],
  ['note', '"\\ud83d"', 'note is not well-formed Unicode'],
  ['venue', '7', 7],
  ['venue', 'null', null],
  ['venue', '2147483648', 'venue is neither a name nor an id below 2^31'],
  ['venue', '1.5', 'venue is neither a name nor an id below 2^31'],
  ['venue', `"${'x'.repeat(4097)}"`, 'venue is longer than 4096 bytes'],
  ['received', 'null', null],
])('%s of %s is %s', async (column, token, expected) => {
  expect(await value(column, token)).toEqual(expected);
});

test.each([
  ['ns', '1711000800123456789', 1711000800123456789n],
  ['us', '1711000800123456', 1711000800123456000n],
  ['us', '1711000800123456.789', 1711000800123456789n],
  ['ms', '1711000800123', 1711000800123000000n],
  ['ms', '1711000800123.5', 1711000800123500000n],
  ['s', '1711000800', 1711000800000000000n],
  ['s', '1711000800.123456789', 1711000800123456789n],
  ['s', '1711000800.1234567891', 'received has more than 9 decimals'],
  ['s', '9999999999', 'received is out of range'],
  ['s', '-1.5', -1500000000n],
  ['ms', '"1711000800123"', 1711000800123000000n],
  ['ms', '"2024-03-21T06:00:00.123456789Z"', 1711000800123456789n],
  ['ms', '"2024-03-21 06:00:00"', 1711000800000000000n],
  ['ms', '"2024-03-21T07:30:00.5+01:30"', 1711000800500000000n],
  ['ms', '"2024-02-30T00:00:00Z"', 'received is not a time'],
  ['ms', '"yesterday"', 'received is not a time'],
] as const)('a time in %s of %s is %s', async (timeUnit, token, expected) => {
  expect(await value('received', token, { timeUnit })).toEqual(expected);
});

test('a missing or null time is the Kafka timestamp; without one the record is set aside', async () => {
  const { rows, causes } = await decode([
    { value: '{"symbol":"A","price":1,"volume":1}', timestampMs: 1711000800123 },
    { value: '{"symbol":"A","timestamp":null}', timestampMs: 0 },
    { value: '{"symbol":"A"}', timestampMs: -1 },
  ]);
  expect(rows.map((row) => row.timestamp)).toEqual([1711000800123000000n, 0n]);
  expect(causes).toEqual(['timestamp is missing and the record has no Kafka timestamp']);
});

test('a record without a usable symbol is set aside', async () => {
  const { rows, causes } = await decode([
    '{"price":1}',
    '{"symbol":null}',
    '{"symbol":""}',
    '{"symbol":{}}',
    '{"symbol":-1}',
  ]);
  expect(rows).toEqual([]);
  expect(causes).toEqual([
    'symbol is missing',
    'symbol is missing',
    'symbol is empty',
    'symbol is nested',
    'symbol is neither a name nor an id below 2^31',
  ]);
});

test('of a member that stands twice the last counts, also when it is null', async () => {
  const { rows, causes } = await decode([
    '{"symbol":"A","price":1,"price":2}',
    '{"symbol":"A","price":1,"price":null}',
    '{"symbol":"A","price":"x","price":2}',
    '{"symbol":"A","symbol":null}',
  ]);
  expect(rows.map((row) => row.price)).toEqual([20000n, null, 20000n]);
  expect(causes).toEqual(['symbol is missing']);
});

test('a number that is scaled already is taken as it stands', async () => {
  expect(await value('price', '1502500', { scaledNumbers: 'scaled' })).toBe(1502500n);
  expect(await value('price', '150.25', { scaledNumbers: 'scaled' })).toBe('price is not an integer');
});

test('columns read the fields that the map names, two of them even the same one', async () => {
  const names = { timestamp: 'ts', price: 'p', volume: 'p' };
  const { rows, causes } = await decode(
    ['{"symbol":"A","p":3,"ts":5,"price":9}', '{"symbol":"A","p":"x"}'],
    trades,
    { names },
  );
  expect(rows).toEqual([{ symbol: 'A', price: 30000n, volume: 3n, timestamp: 5n }]);
  expect(causes).toEqual(['price (field p) is not a number']);
});

test('a record that is set aside keeps its key, value, offset and time, and leaves no row and no name behind', async () => {
  const key = Buffer.from('k');
  const { buffer, rows, symbols } = await decode([
    tick('"price":1'),
    { value: '{"symbol":"NEW","price":"x"}', key, timestampMs: 77 },
    { value: '{"symbol":"ALSO","price":1.5,"volume":[]}', timestampMs: 78 },
    '{"symbol":"LAST"',
  ]);
  expect(rows).toHaveLength(1);
  expect(symbols.unknown).toEqual(['AAPL']);
  expect(buffer.undecodable[0]).toEqual({
    offset: 1002,
    timestampMs: 77,
    cause: 'price is not a number',
    key: new Uint8Array(key),
    value: new Uint8Array(Buffer.from('{"symbol":"NEW","price":"x"}')),
  });
  expect(buffer.undecodable.map((record) => record.offset)).toEqual([1002, 1004, 1006]);
});

test('a tombstone gives neither a row nor an undecodable record', async () => {
  const { rows, causes, offsets } = await decode([null, tick('"price":1'), null]);
  expect(rows).toHaveLength(1);
  expect(offsets).toEqual([1002]);
  expect(causes).toEqual([]);
});

test.each([
  ['', 'not JSON'],
  ['{', 'not JSON'],
  ['{"symbol":"A"}}', 'not JSON'],
  ['{"symbol":"A",}', 'not JSON'],
  ['{"symbol":"A","price":01}', 'not JSON'],
  ['{"symbol":"A","price":1.}', 'not JSON'],
  ['{"symbol":"A" "price":1}', 'not JSON'],
  ['{"symbol":"A","x":tru}', 'not JSON'],
  ['{"symbol":"A","x":-}', 'not JSON'],
  ['{"symbol":"A\n"}', 'not JSON'],
  ['[1]', 'not a JSON object'],
  ['"x"', 'not a JSON object'],
  ['null', 'not a JSON object'],
])('%j is %s', async (document, cause) => {
  const good = '{"symbol":"A","price":1,"x":1}';
  const { causes } = await decode([good, document, good, document]);
  expect(causes).toHaveLength(2);
  for (const each of causes) expect(each).toContain(cause);
});

test('bytes that are not UTF-8 are refused wherever they stand, the second time too', async () => {
  const bad = (before: string, after: string): Uint8Array =>
    Buffer.concat([Buffer.from(before), Uint8Array.of(0xc3, 0x28), Buffer.from(after)]);
  const documents = [
    bad('{"symbol":"', '"}'),
    bad('{"symbol":"A","', '":1}'),
    bad('{"symbol":"A","x":"', '"}'),
    bad('{"symbol":"A","note":"', '","x":1}'),
  ];
  const { rows, causes } = await decode([...documents, ...documents], everyType);
  expect(rows).toEqual([]);
  expect(causes).toEqual(Array(8).fill('not UTF-8'));
});

test('a document does not reach into the bytes that follow it', async () => {
  const batch = recordBatch(['{"symbol":"A","price":15', '00}', '{"symbol":"A","price":1500}']);
  // The first value is cut in the middle of a document that goes on behind it.
  const whole = Buffer.from('{"symbol":"A","price":1500}');
  const buffer = Buffer.concat([whole, Buffer.alloc(300, 0x20)]);
  const symbols = new SymbolTable();
  const source = { table: trades, topic: 'ticks', format: { kind: 'json' as const, fields: plainFields } };
  const decoded = await decodeAll(createDecoder(source, symbols, null), trades, symbols, {
    ...batch,
    buffer,
    valueStart: Int32Array.of(0, 0, 0),
    valueLength: Int32Array.of(whole.length, whole.length - 1, whole.length - 3),
  });
  expect(decoded.rows).toHaveLength(1);
  expect(decoded.causes).toHaveLength(2);
});

test('a field map that names an unknown column or a scale out of bounds is refused at once', async () => {
  await expect(decode([], trades, { names: { prize: 'p' } })).rejects.toThrow("names a column 'prize'");
  const wide = { ...trades, columns: [...trades.columns, { name: 'x', type: ColumnType.INT64, scale: 19 }] };
  await expect(decode([], wide)).rejects.toThrow('scale 19');
});

test('feeds with hundreds of names, or another order in each record, are read all the same', async () => {
  const many = Array.from({ length: 300 }, (_, i) => `"x${i}":${i}`).join(',');
  const wide = `{"symbol":"A",${many},"price":1}`;
  const members = ['"symbol":"A"', '"price":1', '"volume":2', '"timestamp":3', '"x":4', '"y":5'];
  const turned = Array.from({ length: 3000 }, (_, i) => {
    const order = members
      .map((member, k) => [(i * (k + 3)) % 7, member] as const)
      .sort((a, b) => a[0] - b[0]);
    return `{${order.map(([, member]) => member).join(',')}}`;
  });
  const { rows, causes } = await decode([...Array(1000).fill(wide), ...turned]);
  expect(causes).toEqual([]);
  expect(rows).toHaveLength(4000);
  expect(rows[3999]).toEqual({ symbol: 'A', price: 10000n, volume: 2n, timestamp: 3n });
});

test('without leave to make code, ticks are read all the same', async () => {
  const original = globalThis.Function;
  try {
    // An arrow function cannot be called with new.
    globalThis.Function = function refuse() {
      throw new EvalError('Code generation from strings disallowed for this context');
    } as unknown as FunctionConstructor;
    const { rows } = await decode(Array(1000).fill(tick('"price":1')));
    expect(rows).toHaveLength(1000);
  } finally {
    globalThis.Function = original;
  }
});

test('a nesting bomb and a long number are refused or read in linear time', async () => {
  const nested = `{"symbol":"A","x":${'['.repeat(200_000)}${']'.repeat(200_000)}}`;
  const digits = `{"symbol":"A","price":${'9'.repeat(500_000)}}`;
  const exponent = '{"symbol":"A","price":1e99999999999999999999}';
  const { rows, causes } = await decode([nested, digits, exponent]);
  expect(rows).toHaveLength(1);
  expect(causes).toEqual(['price is out of range', 'price is out of range']);
});
