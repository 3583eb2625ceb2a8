// What: the Arrow decoder over streams that pyarrow and Polars wrote (test/fixtures/arrow), and over lies about sizes.
// Why: those two are what producers use; their choices (views, decimals, dictionaries) are not ours to guess.
// Invariant: expected rows are written out.

import { readFileSync } from 'node:fs';
import * as arrow from 'apache-arrow';
import { describe, expect, test } from 'vitest';
import { EXPANDED_BYTES_MAX } from '../../connectors/decode/arrow-stream.ts';
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

const fixture = (name: string): Uint8Array =>
  readFileSync(new URL(`../fixtures/arrow/${name}.arrow`, import.meta.url));

async function decode(
  values: readonly (TestRecord | Uint8Array | null)[],
  table: TableSchema = trades,
  fields: Partial<FieldMap> = {},
  symbols = new SymbolTable(),
) {
  const format = { kind: 'arrow' as const, fields: { ...plainFields, ...fields } };
  const decoder = createDecoder({ table, topic: 'ticks', format }, symbols, null);
  return decodeAll(decoder, table, symbols, recordBatch(values));
}

/** Columns as they are given, one batch. */
function stream(columns: Record<string, arrow.Vector>): Uint8Array {
  return arrow.tableToIPC(new arrow.Table(columns), 'stream');
}

/** Of a stream, as bytes. */
function messagesOf(whole: Uint8Array): Uint8Array[] {
  const reader = new arrow.MessageReader(whole);
  const messages: Uint8Array[] = [];
  for (let at = 0, message = reader.readMessage(); message !== null; message = reader.readMessage()) {
    reader.readMessageBody(message.bodyLength);
    const end =
      at + 8 + new DataView(whole.buffer, whole.byteOffset + at).getInt32(4, true) + message.bodyLength;
    messages.push(whole.subarray(at, end));
    at = end;
  }
  return messages;
}

const symbolsOf = (...names: string[]): arrow.Vector => arrow.vectorFromArray(names, new arrow.Utf8());
const longs = (...values: bigint[]): arrow.Vector => arrow.makeVector(BigInt64Array.from(values));

const LONG = 'a symbol longer than twelve';
const KAFKA = 1_700_000_000_000_000_000n;

test.each([
  [
    'pyarrow-dictionary',
    [
      { symbol: 'AAPL', price: 1502500n, volume: 1n, timestamp: 1711000800123456789n },
      { symbol: 'MSFT', price: null, volume: 2n, timestamp: 1711000800123456790n },
      { symbol: 'AAPL', price: -1n, volume: null, timestamp: KAFKA },
    ],
  ],
  [
    'pyarrow-view',
    [
      { symbol: 'AAPL', price: 1502500n, volume: 1n, timestamp: 1711000800123000000n },
      { symbol: LONG, price: 15000n, volume: 2n, timestamp: 1711000800124000000n },
      { symbol: 'AAPL', price: 20000n, volume: 3n, timestamp: 1711000800125000000n },
    ],
  ],
  [
    'pyarrow-file',
    [
      { symbol: 'AAPL', price: 1502500n, volume: 1n, timestamp: 1711000800123000000n },
      { symbol: LONG, price: 15000n, volume: 2n, timestamp: 1711000800124000000n },
      { symbol: 'AAPL', price: 20000n, volume: 3n, timestamp: 1711000800125000000n },
    ],
  ],
  ['pyarrow-empty', []],
  [
    'pyarrow-odd',
    [
      { symbol: 'A', price: 15000n, volume: 1n, timestamp: 1710979200000000000n },
      { symbol: 'B', price: 22500n, volume: 2n, timestamp: KAFKA },
    ],
  ],
  [
    'pyarrow-wide',
    [
      { symbol: 'A', price: 15000n, volume: 1n, timestamp: 1n },
      { symbol: 'B', price: 22500n, volume: 2n, timestamp: 2n },
    ],
  ],
  [
    'polars-view',
    [
      { symbol: 'AAPL', price: 1502500n, volume: 1n, timestamp: 1711000800123456000n },
      { symbol: LONG, price: 15000n, volume: 2n, timestamp: KAFKA },
    ],
  ],
  [
    'polars-categorical',
    [
      { symbol: 'AAPL', price: 1502500n, volume: 1n, timestamp: 1711000800123456000n },
      { symbol: LONG, price: 15000n, volume: 2n, timestamp: KAFKA },
    ],
  ],
])('%s is read', async (name, expected) => {
  const { rows, causes } = await decode([fixture(name)]);
  expect(causes).toEqual([]);
  expect(rows).toEqual(expected);
});

test.each([['polars-null-symbol', 'symbol is missing']])(
  '%s is set aside with the reason',
  async (name, cause) => {
    const { rows, causes } = await decode([fixture(name)]);
    expect(rows).toEqual([]);
    expect(causes).toEqual([cause]);
  },
);

describe.each(['lz4', 'zstd'])('buffers compressed by %s', (codec) => {
  test('are expanded', async () => {
    const short = await decode([fixture(`pyarrow-${codec}`)]);
    expect(short).toMatchObject({ causes: [], rows: (await decode([fixture('pyarrow-view')])).rows });
    const { rows, causes } = await decode([fixture(`pyarrow-long-${codec}`)]);
    expect(causes).toEqual([]);
    const expected = Array.from({ length: 2_999 }, (_, i) => ({
      ...{ symbol: `S${i % 5}`, price: BigInt(Math.floor(i / 10)) * 10_000n },
      ...{ volume: i % 3 === 2 ? null : BigInt(i), timestamp: (1_711_000_800_000n + BigInt(i)) * 1_000_000n },
    })).filter((_, i) => i % 7 !== 6);
    expect(rows).toEqual(expected);
  });

  test('that are damaged anywhere are set aside, or give other values, and claim no memory', async () => {
    const good = fixture(`pyarrow-long-${codec}`);
    const before = process.memoryUsage().arrayBuffers;
    for (let at = 0; at < good.length; at += 61) {
      const bad = Uint8Array.from(good);
      bad[at]! ^= 0xff;
      const { rows, causes } = await decode([bad]);
      expect(causes.length === 1 ? rows.length : causes.length, `byte ${at}`).toBe(0);
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 29);
  });
});

test('buffers that expand to more than a stream may have are set aside, however many batches share them', async () => {
  const [schema, ...batches] = messagesOf(fixture('pyarrow-long-zstd'));
  const few = await decode([Buffer.concat([schema!, ...Array(2).fill(batches).flat()])]);
  expect(few.causes).toEqual([]);
  const times = Math.ceil(EXPANDED_BYTES_MAX / (2_999 * 16));
  const many = await decode([Buffer.concat([schema!, ...Array(times).fill(batches).flat()])]);
  expect(many.rows).toEqual([]);
  expect(many.causes).toEqual([expect.stringContaining(`at most ${EXPANDED_BYTES_MAX} in a stream`)]);
});

test('a file is read to its footer, and one that was cut or lies about it is set aside', async () => {
  const table = new arrow.Table({ symbol: symbolsOf('A', 'B'), price: longs(1n, 2n) });
  const file = arrow.tableToIPC(table, 'file');
  const changed = Uint8Array.from(file);
  // The length of the footer.
  new DataView(changed.buffer).setInt32(changed.length - 10, changed.length, true);
  const cut = [file.subarray(0, file.length - 1), file.subarray(0, 20), file.subarray(0, 8)];
  const { rows, causes } = await decode([file, ...cut, changed]);
  expect(rows.map(({ symbol }) => symbol)).toEqual(['A', 'B']);
  expect(causes).toEqual(Array(4).fill('Arrow stream: a file without its end'));
});

test('messages of different schemas follow each other, and a bad one leaves nothing between the good ones', async () => {
  const symbols = new SymbolTable();
  const bad = stream({
    symbol: symbolsOf('NEW', 'NEWER'),
    price: arrow.makeVector(Float64Array.of(1, 1.00001)),
  });
  const { rows, offsets, causes, buffer } = await decode(
    [fixture('polars-view'), bad, null, fixture('pyarrow-odd'), fixture('polars-view')],
    trades,
    {},
    symbols,
  );
  expect(causes).toEqual(['price has more than 4 decimals']);
  expect(rows.map((row) => row.symbol)).toEqual(['AAPL', LONG, 'A', 'B', 'AAPL', LONG]);
  expect(offsets).toEqual([1000, 1000, 1006, 1006, 1008, 1008]);
  expect(buffer.undecodable[0]!.value).toEqual(bad);
  expect(symbols.unknown).toEqual(['AAPL', LONG, 'A', 'B']);
});

test('only names that rows use enter the dictionary', async () => {
  const symbols = new SymbolTable();
  const dictionary = new arrow.Dictionary(new arrow.Utf8(), new arrow.Int32());
  const vector = arrow.vectorFromArray(['UNUSED', 'USED'], dictionary).slice(1);
  await decode([stream({ symbol: vector })], trades, {}, symbols);
  expect(symbols.unknown).toEqual(['USED']);
});

test('integers take the unit and the scale that the field map gives', async () => {
  const value = stream({ symbol: symbolsOf('A'), price: longs(1502500n), timestamp: longs(1711000800123n) });
  const { rows } = await decode([value], trades, { timeUnit: 'ms', scaledNumbers: 'scaled' });
  expect(rows).toEqual([{ symbol: 'A', price: 1502500n, volume: null, timestamp: 1711000800123000000n }]);
});

test.each([
  [{ volume: longs(-(2n ** 63n)) }, 'volume is out of range'],
  [{ timestamp: longs(-(2n ** 63n)) }, 'timestamp is out of range'],
  [{ price: longs(2n ** 60n) }, 'price is out of range'],
  [{ price: arrow.makeVector(Float64Array.of(Number.POSITIVE_INFINITY)) }, 'price is out of range'],
  [{ volume: arrow.makeVector(BigUint64Array.of(2n ** 63n)) }, 'volume is out of range'],
  [{ volume: symbolsOf('many') }, 'volume is not a number'],
  [{ timestamp: symbolsOf('2024-13-01T00:00:00Z') }, 'timestamp is not a time'],
  [
    { price: arrow.vectorFromArray([true], new arrow.Bool()) },
    'Arrow stream: price cannot be filled from an Arrow bool',
  ],
  [{ symbol: symbolsOf('') }, 'symbol is empty'],
  [{ symbol: arrow.makeVector(Int32Array.of(-1)) }, 'symbol is neither a name nor an id below 2^31'],
])('a value that does not fit refuses the message: %#', async (columns, cause) => {
  const { rows, causes } = await decode([
    stream({ symbol: symbolsOf('A'), ...columns } as Record<string, arrow.Vector>),
  ]);
  expect(rows).toEqual([]);
  expect(causes).toEqual([cause]);
});

test('a symbol may be its id; texts may be quoted numbers and ISO times', async () => {
  const { rows } = await decode([
    stream({
      symbol: arrow.makeVector(Uint32Array.of(7)),
      price: symbolsOf('150.25'),
      timestamp: symbolsOf('2024-03-21T06:00:00.5Z'),
    }),
  ]);
  expect(rows).toEqual([{ symbol: 7, price: 1502500n, volume: null, timestamp: 1711000800500000000n }]);
});

test('NaN is a missing value of a number, and no value of a time', async () => {
  const nan = arrow.makeVector(Float64Array.of(Number.NaN));
  expect((await decode([stream({ symbol: symbolsOf('A'), price: nan })])).rows[0]).toMatchObject({
    price: null,
  });
  expect((await decode([stream({ symbol: symbolsOf('A'), timestamp: nan })])).causes).toEqual([
    'timestamp is not a time',
  ]);
});

test('bytes that are no stream, or end too early, are set aside', async () => {
  const whole = fixture('pyarrow-view');
  const schemaOnly = arrow.tableToIPC(new arrow.Table({ symbol: symbolsOf() }), 'stream');
  const values = [
    new Uint8Array(0),
    Buffer.from('no'),
    Buffer.from('not an arrow stream at all'),
    whole.subarray(0, 300),
    whole.subarray(0, whole.length - 9),
  ];
  const { rows, causes } = await decode([...values, schemaOnly, whole]);
  expect(causes).toHaveLength(values.length);
  for (const cause of causes) expect(cause).toMatch(/^Arrow stream: /);
  expect(rows).toHaveLength(3);
});

test('every truncation is refused or loses nothing that it claims', async () => {
  const whole = fixture('pyarrow-dictionary');
  const { rows, buffer } = await decode(
    Array.from({ length: whole.length }, (_, length) => whole.subarray(0, length)),
  );
  // Only cuts behind the last batch leave a stream: its rows are all there.
  expect(rows.length % 3).toBe(0);
  expect(rows.length / 3 + buffer.undecodable.length).toBe(whole.length);
});

test('more rows than bytes are a lie that reserves no memory', async () => {
  const table: TableSchema = {
    ...trades,
    columns: [...trades.columns, { name: 'x', type: ColumnType.INT64 }],
  };
  const whole = Uint8Array.from(fixture('pyarrow-view'));
  const view = new DataView(whole.buffer);
  let changed = 0;
  // The batch's length and its nodes' are the only int64 of value 3.
  for (let p = 0; p + 8 <= whole.length; p += 4) {
    if (view.getBigInt64(p, true) !== 3n) continue;
    view.setBigInt64(p, 2_000_000_000n, true);
    changed++;
  }
  expect(changed).toBeGreaterThan(4);
  const { buffer, causes } = await decode([whole], table);
  expect(causes[0]).toMatch(/2000000000 rows in \d+ bytes/);
  expect(buffer.capacity).toBe(1);
});

test('more rows than there are values are refused before there is room for them', async () => {
  const whole = Uint8Array.from(fixture('pyarrow-view'));
  const view = new DataView(whole.buffer);
  for (let p = 0; p + 8 <= whole.length; p += 4)
    if (view.getBigInt64(p, true) === 3n) view.setBigInt64(p, 100n, true);
  const { buffer, causes } = await decode([whole]);
  expect(causes[0]).toMatch(/the values of \w+ are too short/);
  expect(buffer.capacity).toBe(1);
});

test.each([true, false])(
  'many batches, each with names that are new, are all read (as a dictionary: %s)',
  async (isDictionary) => {
    const names = Array.from({ length: 120 }, (_, i) => `N${i}`);
    const texts = arrow.vectorFromArray(names, new arrow.Utf8());
    const type = isDictionary
      ? new arrow.Dictionary(new arrow.Utf8(), new arrow.Int32(), 0)
      : new arrow.Utf8();
    const int64 = new arrow.Int64();
    const schema = new arrow.Schema([new arrow.Field('symbol', type), new arrow.Field('volume', int64)]);
    const batches = Array.from({ length: 40 }, (_, batch) => {
      const indices = Int32Array.of(3 * batch + 2, 3 * batch, 3 * batch + 1);
      const symbols = isDictionary
        ? arrow.makeData({ type: type as arrow.Dictionary, length: 3, data: indices, dictionary: texts })
        : arrow.vectorFromArray(
            [...indices].map((index) => names[index]!),
            new arrow.Utf8(),
          ).data[0]!;
      const volumes = arrow.makeData({ type: int64, length: 3, data: BigInt64Array.from(indices, BigInt) });
      const rowType = new arrow.Struct(schema.fields);
      const data = arrow.makeData({
        type: rowType,
        length: 3,
        nullCount: 0,
        children: [symbols, volumes] as never,
      });
      return new arrow.RecordBatch(schema, data as never);
    });
    const { rows, causes } = await decode([arrow.tableToIPC(new arrow.Table(schema, batches), 'stream')]);
    expect(causes).toEqual([]);
    expect(rows.map(({ symbol }) => symbol)).toEqual(rows.map(({ volume }) => `N${volume}`));
    expect(rows.map(({ volume }) => Number(volume)).sort((a, b) => a - b)).toEqual(names.map((_, i) => i));
  },
);

test('every type finds its column', async () => {
  const value = stream({
    symbol: symbolsOf('A'),
    received: arrow.makeVector(
      arrow.makeData({ type: new arrow.TimestampMicrosecond(), length: 1, data: BigInt64Array.of(5n) }),
    ),
    size: arrow.makeVector(Int16Array.of(-3)),
    fee: arrow.makeVector(Float32Array.of(0.1)),
    ratio: arrow.makeVector(Float32Array.of(0.5)),
    weight: arrow.makeVector(Float64Array.of(0.1)),
    venue: arrow.makeVector(Uint8Array.of(200)),
    note: symbolsOf(''),
    buy: arrow.vectorFromArray([true], new arrow.Bool()),
  });
  const { rows } = await decode([value], everyType);
  expect(rows[0]).toMatchObject({
    received: 5000n,
    size: -3,
    fee: 10,
    ratio: 0.5,
    weight: Math.fround(0.1),
    venue: 200,
    note: '',
    buy: true,
  });
});
