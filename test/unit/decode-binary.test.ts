// What: the BINARY decoder over both record layouts, whole, several, broken.
// Why: offsets in a byte layout are easy to get wrong and impossible to see.
// Invariant: expectations are written out; the bytes are laid by DataView at the documented offsets.

import { expect, test } from 'vitest';
import { createDecoder } from '../../connectors/decode/decoder.ts';
import { SymbolTable } from '../../src/columns/symbols.ts';
import { ColumnType, type TableSchema } from '../../src/columns/types.ts';
import { decodeAll, recordBatch, type TestRecord, trades } from '../support/decode-records.ts';

interface Tick {
  readonly symbol: number;
  readonly price: bigint;
  readonly volume: bigint;
  readonly timestamp: bigint;
}

const first: Tick = { symbol: 7, price: 1502500n, volume: -100n, timestamp: 1711000800123456789n };
const second: Tick = { symbol: 0x7fffffff, price: -(2n ** 63n - 1n), volume: 2n ** 63n - 1n, timestamp: -1n };

function record28(...ticks: Tick[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(ticks.length * 28));
  ticks.forEach((tick, i) => {
    view.setUint32(i * 28, tick.symbol, true);
    view.setBigInt64(i * 28 + 4, tick.price, true);
    view.setBigInt64(i * 28 + 12, tick.volume, true);
    view.setBigInt64(i * 28 + 20, tick.timestamp, true);
  });
  return new Uint8Array(view.buffer);
}

function tickMessage(tick: Omit<Tick, 'price'> & { price: bigint | number }, msgType = 0): Uint8Array {
  const view = new DataView(new ArrayBuffer(64));
  view.setBigUint64(0, 99n, true);
  view.setBigInt64(8, tick.timestamp, true);
  view.setUint32(16, tick.symbol, true);
  if (typeof tick.price === 'number') view.setFloat64(24, tick.price, true);
  else view.setBigInt64(24, tick.price, true);
  view.setBigInt64(32, tick.volume, true);
  view.setUint8(40, msgType);
  view.setUint8(41, typeof tick.price === 'number' ? 1 : 0);
  return new Uint8Array(view.buffer);
}

const withMsgType: TableSchema = {
  ...trades,
  columns: [
    ...trades.columns,
    { name: 'msg_type', type: ColumnType.INT32 },
    { name: 'note', type: ColumnType.STRING },
  ],
};

const symbols = new SymbolTable();

function decode(values: readonly (TestRecord | Uint8Array | null)[], table: TableSchema = trades) {
  const decoder = createDecoder({ table, topic: 'ticks', format: { kind: 'binary' } }, symbols, null);
  return decodeAll(decoder, table, symbols, recordBatch(values));
}

test('28 bytes are one row, at the limits too', async () => {
  const { rows, offsets } = await decode([record28(first), record28(second)]);
  expect(rows).toEqual([first, second]);
  expect(offsets).toEqual([1000, 1002]);
});

test('a message of n × 28 bytes holds n rows of one offset', async () => {
  const { rows, offsets } = await decode([record28(first, second, first), record28(second)]);
  expect(rows).toEqual([first, second, first, second]);
  expect(offsets).toEqual([1000, 1000, 1000, 1002]);
});

test('64 bytes are a TickMessage, its price an integer or a double', async () => {
  const { rows, causes } = await decode(
    [
      tickMessage(first, 2),
      tickMessage({ ...first, price: 150.25 }, 1),
      tickMessage({ ...first, price: Number.NaN }),
    ],
    withMsgType,
  );
  expect(causes).toEqual([]);
  expect(rows).toEqual([
    { ...first, msg_type: 2, note: null },
    { ...first, msg_type: 1, note: null },
    { ...first, price: null, msg_type: 0, note: null },
  ]);
});

test('columns that a 28-byte record has no field for are NULL', async () => {
  const { rows } = await decode([tickMessage(first, 2), record28(first), tickMessage(first, 1)], withMsgType);
  expect(rows.map((row) => row.msg_type)).toEqual([2, null, 1]);
});

test('a message that is set aside leaves nothing to the row that comes after it', async () => {
  const untimed = { value: tickMessage({ ...first, timestamp: -(2n ** 63n) }, 2), timestampMs: -1 };
  const { rows, causes } = await decode([untimed, record28(second)], withMsgType);
  expect(causes).toHaveLength(1);
  expect(rows).toEqual([{ ...second, msg_type: null, note: null }]);
});

test('a time that is missing is the Kafka timestamp: −2^63 in either layout, 0 in a TickMessage', async () => {
  const missing = -(2n ** 63n);
  const at = (value: Uint8Array): TestRecord => ({ value, timestampMs: 1711000800123 });
  const { rows, causes } = await decode([
    at(record28({ ...first, timestamp: missing })),
    at(tickMessage({ ...first, timestamp: missing })),
    at(tickMessage({ ...first, timestamp: 0n })),
    at(record28({ ...first, timestamp: 0n })),
    { value: record28({ ...first, timestamp: missing }), timestampMs: -1 },
  ]);
  const kafka = 1711000800123000000n;
  expect(rows.map((row) => row.timestamp)).toEqual([kafka, kafka, kafka, 0n]);
  expect(causes).toEqual(['timestamp is missing and the record has no Kafka timestamp']);
});

test('−2^63 as price or volume is NULL', async () => {
  const { rows } = await decode([record28({ ...first, price: -(2n ** 63n), volume: -(2n ** 63n) })]);
  expect(rows).toEqual([{ ...first, price: null, volume: null }]);
});

test('a message of any other length is set aside', async () => {
  const lengths = [0, 1, 27, 29, 63, 65, 57];
  const { rows, causes } = await decode([
    ...lengths.map((length) => new Uint8Array(length)),
    record28(first),
  ]);
  expect(rows).toEqual([first]);
  expect(causes).toEqual(lengths.map((length) => `${length} bytes are neither n × 28 nor 64`));
});

test('one bad record takes its whole message with it', async () => {
  const bad = { ...second, symbol: 0x80000000 };
  const { rows, causes, buffer } = await decode([
    record28(first, bad, first),
    record28(first),
    tickMessage(bad),
    tickMessage({ ...first, price: 1.00001 }),
    null,
  ]);
  expect(rows).toEqual([first]);
  expect(causes).toEqual([
    'symbol id 2147483648 is not below 2^31',
    'symbol id 2147483648 is not below 2^31',
    'price has more than 4 decimals',
  ]);
  expect(buffer.undecodable[0]!.value).toEqual(record28(first, bad, first));
});

test('prices and volumes go into other numeric columns, or the table is refused at once', async () => {
  const as = (type: ColumnType): TableSchema => ({
    ...trades,
    columns: trades.columns.map((column) => (column.name === 'price' ? { name: 'price', type } : column)),
  });
  expect((await decode([record28({ ...first, price: 5n })], as(ColumnType.FLOAT64))).rows[0]!.price).toBe(5);
  expect((await decode([record28({ ...first, price: -5n })], as(ColumnType.INT32))).rows[0]!.price).toBe(-5);
  expect((await decode([record28(second)], as(ColumnType.INT32))).causes).toEqual(['price is out of range']);
  await expect(async () => decode([], as(ColumnType.STRING))).rejects.toThrow('BINARY records have a number');
});
