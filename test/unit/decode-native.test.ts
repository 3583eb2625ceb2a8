// What: blocks of ClickHouse's Native format, spelled byte by byte, as rows of an INSERT.
// Why: a reader that is tested against our writer alone would share its mistakes.
// Invariant: what is not read whole is refused with block, column and what is possible.

import { describe, expect, it } from 'vitest';
import { NATIVE_TYPES, nativeType } from '../../connectors/decode/native-type.ts';
import type { ResultValues } from '../../src/http-port.ts';
import { everyType, trades } from '../support/decode-records.ts';
import { blockOfData } from '../support/insert-block.ts';

const NOW_MS = 1_700_000_000_000;
/** As the `everyType` table has them. */
const [SYMBOL, TIMESTAMP, PRICE, SIZE, FEE, RATIO, WEIGHT, VENUE, NOTE, BUY, RECEIVED, SEQUENCE] =
  everyType.columns.map((_, index) => index) as [number, ...number[]] & Record<number, number>;

const text = (value: string): number[] => [Buffer.byteLength(value), ...Buffer.from(value)];
const column = (name: string, type: string, ...values: readonly number[]): number[] => [
  ...text(name),
  ...text(type),
  ...values,
];
const int64 = (value: bigint): number[] => [...new Uint8Array(BigInt64Array.of(value).buffer, 0, 8)];
const int32 = (value: number): number[] => [...new Uint8Array(Int32Array.of(value).buffer)];
const float64 = (value: number): number[] => [...new Uint8Array(Float64Array.of(value).buffer)];
const symbols = (...names: readonly string[]): number[] => column('symbol', 'String', ...names.flatMap(text));

async function read(
  bytes: readonly number[],
  listed: readonly string[] = [],
  table = everyType,
): Promise<unknown[][]> {
  const { rows, columns } = await blockOfData('Native', Uint8Array.from(bytes), table, listed, NOW_MS);
  return Array.from({ length: rows }, (_, row) => columns.map((values) => cell(values, row)));
}

function cell(values: ResultValues, row: number): unknown {
  if (values.nulls?.[row] === 1) return null;
  return values.kind === 'text' ? values.texts[values.codes[row]!] : values.values[row];
}

/** The column's values in a block of it and of symbols. */
async function readColumn(
  index: number,
  type: string,
  rows: number,
  ...values: readonly number[]
): Promise<unknown[]> {
  const names = Array.from({ length: rows }, (_, row) => `S${row}`);
  const { name } = everyType.columns[index]!;
  const found = await read([2, rows, ...symbols(...names), ...column(name, type, ...values)]);
  return found.map((row) => row[index]);
}

describe('a Native block', () => {
  it('gives its columns by name, in any order, and NULL or the time of now for those it leaves out', async () => {
    const bytes = [
      ...[3, 2],
      ...column('sequence', 'Nullable(Int64)', 0, 1, 1, 0, 0, 0, 0, 0, 32, 0, ...int64(77n)),
      ...column('symbol', 'Nullable(String)', 0, 0, 2, 0x41, 0x42, 2, 0xc3, 0x89),
      ...column('buy', 'Nullable(Bool)', 0, 0, 1, 0),
    ];
    const now = BigInt(NOW_MS) * 1_000_000n;
    expect(await read(bytes)).toEqual([
      ['AB', now, null, null, null, null, null, null, null, 1, null, 9007199254740993n],
      ['É', now, null, null, null, null, null, null, null, 0, null, null],
    ]);
  });

  it('may be one of many, empty, or none', async () => {
    const one = [1, 1, ...symbols('A')];
    const empty = [1, 0, ...column('symbol', 'String')];
    const rows = await read([...empty, ...one, 0, 0, 1, 2, ...symbols('A', 'B'), ...empty]);
    expect(rows.map((row) => row[SYMBOL])).toEqual(['A', 'A', 'B']);
    expect(await read([])).toEqual([]);
    expect(await read(empty)).toEqual([]);
  });

  it('has every integer type, exact or refused', async () => {
    expect(await readColumn(SEQUENCE!, 'Int8', 2, 0xff, 0x7f)).toEqual([-1n, 127n]);
    expect(await readColumn(SEQUENCE!, 'UInt8', 1, 0xff)).toEqual([255n]);
    expect(await readColumn(SIZE!, 'Int16', 1, 0, 0x80)).toEqual([-32768]);
    expect(await readColumn(SIZE!, 'UInt16', 1, 0xff, 0xff)).toEqual([65535]);
    expect(await readColumn(SIZE!, 'Int32', 1, ...int32(-2147483647))).toEqual([-2147483647]);
    expect(await readColumn(SEQUENCE!, 'UInt32', 1, ...int32(-1))).toEqual([4294967295n]);
    expect(await readColumn(SEQUENCE!, 'UInt64', 1, ...int64(2n ** 63n - 1n))).toEqual([2n ** 63n - 1n]);
    expect(await readColumn(PRICE!, 'Int64', 1, ...int64(15n))).toEqual([150000n]);
    for (const bytes of [int64(-(2n ** 63n)), int64(-1n)])
      await expect(readColumn(SEQUENCE!, 'UInt64', 1, ...bytes)).rejects.toThrow(
        'row 1: sequence is out of range',
      );
    await expect(readColumn(SEQUENCE!, 'Int64', 1, ...int64(-(2n ** 63n)))).rejects.toThrow(
      'sequence is out of range',
    );
    await expect(readColumn(SIZE!, 'UInt32', 1, ...int32(-1))).rejects.toThrow('size is out of range');
  });

  it('has decimals of every width, at their own scale', async () => {
    expect(await readColumn(FEE!, 'Decimal(9, 2)', 2, ...int32(-150), ...int32(7))).toEqual([-150, 7]);
    expect(await readColumn(PRICE!, 'Decimal(18, 4)', 1, ...int64(-9007199254740993n))).toEqual([
      -9007199254740993n,
    ]);
    expect(await readColumn(PRICE!, 'Decimal64(2)', 1, ...int64(25n))).toEqual([2500n]);
    expect(await readColumn(PRICE!, 'Decimal(38, 6)', 1, ...int64(1_500_000n), ...int64(0n))).toEqual([
      15000n,
    ]);
    expect(
      await readColumn(
        PRICE!,
        'Decimal(76,4)',
        1,
        ...int64(-1n),
        ...int64(-1n),
        ...int64(-1n),
        ...int64(-1n),
      ),
    ).toEqual([-1n]);
    await expect(readColumn(PRICE!, 'Decimal(18, 5)', 1, ...int64(1n))).rejects.toThrow(
      'price has more than 4 decimals',
    );
    await expect(readColumn(FEE!, 'Decimal(18, 2)', 1, ...int64(2n ** 40n))).rejects.toThrow(
      'fee is out of range',
    );
  });

  it('has floats, and NaN as NULL', async () => {
    const values = [...float64(0.1), ...float64(Number.NaN)];
    expect(await readColumn(RATIO!, 'Float64', 2, ...values)).toEqual([0.1, null]);
    expect(await readColumn(WEIGHT!, 'Float32', 1, 0, 0, 0, 0xbf)).toEqual([-0.5]);
    expect(await readColumn(PRICE!, 'Float64', 1, ...float64(150.2501))).toEqual([1502501n]);
    await expect(readColumn(PRICE!, 'Float64', 1, ...float64(0.00001))).rejects.toThrow(
      'more than 4 decimals',
    );
  });

  it('has times of every unit, to the nanosecond', async () => {
    const ns = 1_711_000_800_000_000_001n;
    for (const type of ['DateTime64(9)', "DateTime64(9, 'UTC')", "DateTime64(9,'Europe/Berlin')", 'Int64'])
      expect(await readColumn(TIMESTAMP!, type, 1, ...int64(ns))).toEqual([ns]);
    expect(await readColumn(TIMESTAMP!, 'DateTime64(3)', 1, ...int64(-1n))).toEqual([-1_000_000n]);
    expect(await readColumn(TIMESTAMP!, "DateTime('UTC')", 1, ...int32(-1))).toEqual([
      4_294_967_295_000_000_000n,
    ]);
    expect(await readColumn(RECEIVED!, 'DateTime', 1, ...int32(1))).toEqual([1_000_000_000n]);
    expect(await readColumn(RECEIVED!, 'Date', 1, 1, 0)).toEqual([86_400_000_000_000n]);
    expect(await readColumn(RECEIVED!, 'Date32', 1, ...int32(-1))).toEqual([-86_400_000_000_000n]);
    expect(await readColumn(TIMESTAMP!, 'Nullable(DateTime64(9))', 1, 1, ...int64(5n))).toEqual([
      BigInt(NOW_MS) * 1_000_000n,
    ]);
    await expect(readColumn(TIMESTAMP!, 'DateTime64(0)', 1, ...int64(2n ** 40n))).rejects.toThrow(
      'timestamp is out of range',
    );
  });

  it('has texts, plain and by a dictionary with indexes of any width', async () => {
    const count = (value: number): number[] => int64(BigInt(value));
    const flags = (width: number): number[] => [width, 6, 0, 0, 0, 0, 0, 0];
    const dictionary = [...count(3), ...text(''), ...text('X'), ...text('Y')];
    expect(
      await readColumn(NOTE!, 'Nullable(String)', 3, 0, 1, 0, ...text(''), ...text('hidden'), ...text('é')),
    ).toEqual(['', null, 'é']);
    for (const [width, indexes] of [
      [0, [2, 0, 1]],
      [1, [2, 0, 0, 0, 1, 0]],
      [2, [...int32(2), ...int32(0), ...int32(1)]],
      [3, [...int64(2n), ...int64(0n), ...int64(1n)]],
    ] as const) {
      const values = [...count(1), ...flags(width), ...dictionary, ...count(3), ...indexes];
      expect(await readColumn(NOTE!, 'LowCardinality(String)', 3, ...values)).toEqual(['Y', '', 'X']);
      expect(await readColumn(VENUE!, 'LowCardinality(Nullable(String))', 3, ...values)).toEqual([
        'Y',
        null,
        'X',
      ]);
    }
    const wrong = (...values: readonly number[]): Promise<unknown> =>
      readColumn(NOTE!, 'LowCardinality(String)', 1, ...values);
    await expect(wrong(...count(2))).rejects.toThrow('column note: a dictionary of version 2');
    await expect(wrong(...count(1), 0, 1, 0, 0, 0, 0, 0, 0)).rejects.toThrow(
      'dictionary is not in the block',
    );
    await expect(wrong(...count(1), ...flags(4))).rejects.toThrow('indexes of 2^4 bytes');
    await expect(wrong(...count(1), ...flags(0), ...dictionary, ...count(1), 3)).rejects.toThrow(
      'entry 3 of a dictionary of 3',
    );
    await expect(wrong(...count(1), ...flags(0), ...dictionary, ...count(2), 0, 0)).rejects.toThrow(
      '2 indexes for 1 rows',
    );
  });

  it('has nothing where its type says so, and booleans as bytes', async () => {
    expect(await readColumn(PRICE!, 'Nullable(Nothing)', 2, 1, 1, 0, 0)).toEqual([null, null]);
    expect(await readColumn(BUY!, 'UInt8', 2, 0, 1)).toEqual([0, 1]);
    await expect(readColumn(BUY!, 'Bool', 1, 2)).rejects.toThrow(
      'row 1: buy is 2, which is neither false (0) nor true (1)',
    );
  });
});

describe('a Native block is refused', () => {
  const symbol = symbols('A');
  it.each([
    [
      'an unknown type',
      [2, 1, ...symbol, ...column('price', 'Array(Int64)', 0)],
      "block 1, column price: the type 'Array(Int64)' is not read; possible are Int8 to Int64",
    ],
    [
      'a type that does not fit',
      [2, 1, ...symbol, ...column('price', 'String', 1, 0x31)],
      'column price: it cannot be filled from String; it takes Int8 to Int64, UInt8 to UInt64, Decimal(P, S), Float32 or Float64',
    ],
    [
      'a column that there is not',
      [1, 1, ...column('pirce', 'Int64', ...int64(1n))],
      "column 1 of 1: table trades has no column 'pirce'; did you mean price? (columns: symbol, price, volume, timestamp)",
    ],
    ['a column that is there twice', [2, 1, ...symbol, ...symbol], "column 2 of 2: 'symbol' is there twice"],
    ['no symbol', [1, 1, ...column('price', 'Int64', ...int64(1n))], 'block 1: column symbol is missing'],
    ['a symbol that is NULL', [1, 1, ...column('symbol', 'Nullable(String)', 1, 0)], 'symbol is missing'],
    ['an empty symbol', [1, 1, ...symbols('')], 'symbol is empty'],
    ['a text that is not UTF-8', [1, 1, ...column('symbol', 'String', 1, 0xe9)], 'symbol is not UTF-8'],
    ['more columns than the table', [9, 1, ...symbol], '9 columns; the table has 4'],
    ['rows without columns', [0, 3, 1, 1, 1], 'block 1: column symbol is missing'],
    [
      'values that are cut',
      [2, 1, ...symbol, ...column('price', 'Int64', 1, 2, 3)],
      'column price: 1 values of Int64 would take 8 bytes, and 3 are left',
    ],
    [
      'marks of NULL that are cut',
      [1, 2, ...column('symbol', 'Nullable(String)', 0)],
      'column symbol: 2 marks of NULL',
    ],
    [
      'a mark that is neither',
      [1, 1, ...column('symbol', 'Nullable(String)', 2, 1, 0x41)],
      'row 1: 2 marks neither a value (0) nor NULL (1)',
    ],
    [
      'a text that is cut',
      [1, 1, ...column('symbol', 'String', 5, 0x41)],
      'column symbol: 5 bytes of a text',
    ],
    ['a name that is cut', [1, 1, 7, 0x73], 'column 1 of 1: 7 bytes of a name'],
    ['a second block that is cut', [1, 1, ...symbol, 1], 'block 2: 1 byte of a length'],
    ['rows by the billion', [1, 0xff, 0xff, 0xff, 0xff, 0x7f, ...symbol], 'rows are announced, and'],
    [
      'a text of terabytes',
      [1, 1, ...column('symbol', 'String', 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f)],
      'bytes of a text would take',
    ],
    ['a length without an end', [1, 1, ...Array(12).fill(0xff)], 'a length beyond 2^49'],
  ] as [string, number[], string][])('for %s', async (_, bytes, message) => {
    const reading = read(bytes, [], trades);
    await expect(reading).rejects.toThrow(message);
    await expect(reading).rejects.toMatchObject({ code: 'FORMAT_INVALID' });
  });

  it('for a dictionary that is longer than the body', async () => {
    const lie = [...int64(1n), 0, 6, 0, 0, 0, 0, 0, 0, ...int64(2n ** 52n)];
    const bytes = [1, 1, ...column('symbol', 'LowCardinality(String)', ...lie)];
    await expect(read(bytes)).rejects.toThrow(
      `column symbol: ${2n ** 52n} texts are announced, and 0 bytes are left`,
    );
  });

  it('for columns other than the statement names', async () => {
    const block = [1, 1, ...symbol];
    expect(await read(block, ['symbol'], trades)).toHaveLength(1);
    await expect(read(block, ['symbol', 'price'], trades)).rejects.toThrow(
      'block 1: 1 columns, and the statement names 2: price missing',
    );
    await expect(read(block, ['price'], trades)).rejects.toThrow(
      "'symbol' is not among the columns of the statement (price)",
    );
  });
});

describe('names of types', () => {
  it.each([
    '',
    'int64',
    'Nullable(Int64',
    'Nullable(Nullable(Int64))',
    'Array(String)',
    'LowCardinality(Int64)',
    'Nullable(LowCardinality(String))',
    'Decimal(0, 0)',
    'Decimal(77, 0)',
    'Decimal(5, 6)',
    'DateTime64(10)',
    'Int128',
    'toString',
    '__proto__',
  ])('%s is not read', (name) => expect(nativeType(name)).toBeNull());

  it('that messages list are read', () => {
    for (const name of NATIVE_TYPES.match(/\b[A-Z]\w*(?:\([^()…]*\))?/g)!) {
      const filled = name.replace('(P, S)', '(18, 4)').replace('(S)', '(9)');
      if (filled !== 'Nullable') expect([filled, nativeType(filled) !== null]).toEqual([filled, true]);
    }
  });
});
