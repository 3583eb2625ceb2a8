// What: the Arrow decoder beside apache-arrow: streams that it wrote, of many types, with nulls, in several batches; and broken ones.
// Why: our reader of the format is our own, so its input must not be.
// Invariant: a whole stream gives exactly its rows; any bytes give rows or a cause, never an exception.

import * as arrow from 'apache-arrow';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createDecoder } from '../../connectors/decode/decoder.ts';
import { SymbolTable } from '../../src/columns/symbols.ts';
import { decodeAll, everyType, plainFields, recordBatch } from '../support/decode-records.ts';

/** An Arrow type that can fill a column, its values, and what each becomes. */
interface Source {
  readonly type: arrow.DataType;
  readonly values: fc.Arbitrary<{ written: unknown; expected: unknown }>;
}

const same = <T>(
  arbitrary: fc.Arbitrary<T>,
  expected: (value: T) => unknown = (value) => value,
): Source['values'] => arbitrary.map((written) => ({ written, expected: expected(written) }));

const INT64_MAX = 2n ** 63n - 1n;
const long = (max: bigint): fc.Arbitrary<bigint> =>
  fc.oneof(fc.bigInt({ min: -max, max }), fc.constantFrom(0n, max, -max, -1n));

const texts = fc.oneof(
  fc.constantFrom('AAPL', 'MSFT', 'a longer name than a view holds inline'),
  fc.string({ unit: 'grapheme', minLength: 1 }),
);

let dictionaries = 1000;
const textSources = (): Source[] => [
  { type: new arrow.Utf8(), values: same(texts) },
  { type: new arrow.LargeUtf8(), values: same(texts) },
  { type: new arrow.Dictionary(new arrow.Utf8(), new arrow.Int32(), dictionaries++), values: same(texts) },
  {
    type: new arrow.Dictionary(new arrow.Utf8(), new arrow.Uint8(), dictionaries++),
    values: same(fc.constantFrom('AAPL', 'MSFT', 'X')),
  },
  {
    type: new arrow.Dictionary(new arrow.Utf8(), new arrow.Int16(), dictionaries++),
    values: same(fc.constantFrom('AAPL', 'MSFT', 'X')),
  },
];

const scaled = (
  units: fc.Arbitrary<number>,
  scale: number,
): fc.Arbitrary<{ written: number; expected: bigint }> =>
  units.map((unit) => ({ written: unit / 10 ** scale, expected: BigInt(unit) }));

const sources: Readonly<Record<string, () => Source[]>> = {
  symbol: textSources,
  timestamp: () => [
    { type: new arrow.TimestampNanosecond(), values: same(long(INT64_MAX)) },
    {
      type: new arrow.TimestampMicrosecond(),
      values: same(long(INT64_MAX / 1000n), (value) => value * 1000n),
    },
    {
      type: new arrow.TimestampMillisecond(),
      values: same(long(INT64_MAX / 1_000_000n), (value) => value * 1_000_000n),
    },
    {
      type: new arrow.TimestampSecond(),
      values: same(long(INT64_MAX / 1_000_000_000n), (value) => value * 1_000_000_000n),
    },
    { type: new arrow.Int64(), values: same(long(INT64_MAX)) },
    { type: new arrow.Uint64(), values: same(fc.bigInt({ min: 0n, max: INT64_MAX })) },
  ],
  price: () => [
    { type: new arrow.Float64(), values: scaled(fc.integer({ min: -(10 ** 11), max: 10 ** 11 }), 4) },
    { type: new arrow.Int64(), values: same(long(INT64_MAX / 10_000n), (value) => value * 10_000n) },
    { type: new arrow.Int32(), values: same(fc.integer(), (value) => BigInt(value) * 10_000n) },
    { type: new arrow.Uint32(), values: same(fc.nat(4294967295), (value) => BigInt(value) * 10_000n) },
    {
      type: new arrow.Float32(),
      values: same(
        fc.integer({ min: -99_999, max: 99_999 }).map((units) => Math.fround(units / 100)),
        (value) => BigInt(Math.round(value * 100)) * 100n,
      ),
    },
    {
      type: new arrow.Utf8(),
      values: fc.integer().map((units) => ({ written: `${units}e-4`, expected: BigInt(units) })),
    },
    {
      type: new arrow.Decimal(4, 18),
      values: long(10n ** 15n).map((units) => ({ written: decimalWords(units), expected: units })),
    },
    {
      type: new arrow.Decimal(2, 18),
      values: long(10n ** 12n).map((units) => ({ written: decimalWords(units), expected: units * 100n })),
    },
  ],
  size: () => [
    { type: new arrow.Int32(), values: same(fc.integer({ min: -2147483647 })) },
    { type: new arrow.Int16(), values: same(fc.integer({ min: -32768, max: 32767 })) },
    { type: new arrow.Uint8(), values: same(fc.nat(255)) },
    { type: new arrow.Int64(), values: same(long(2147483647n), Number) },
  ],
  fee: () => [
    {
      type: new arrow.Float64(),
      values: fc.integer({ min: -2147483647 }).map((units) => ({ written: units / 100, expected: units })),
    },
  ],
  ratio: () => [
    { type: new arrow.Float64(), values: same(fc.double({ noNaN: true })) },
    { type: new arrow.Int64(), values: same(long(INT64_MAX), Number) },
  ],
  weight: () => [{ type: new arrow.Float32(), values: same(fc.float({ noNaN: true })) }],
  venue: () => [
    ...textSources(),
    { type: new arrow.Uint16(), values: same(fc.integer({ min: 100, max: 65535 })) },
  ],
  note: textSources,
  buy: () => [{ type: new arrow.Bool(), values: same(fc.boolean()) }],
  received: () => [{ type: new arrow.Null(), values: fc.constant({ written: null, expected: null }) }],
  sequence: () => [{ type: new arrow.Int64(), values: same(long(INT64_MAX)) }],
};

/** Types that no column takes: they must be stepped over. */
const strangers: readonly Source[] = [
  { type: new arrow.Int8(), values: same(fc.nat(100)) },
  {
    type: new arrow.List(new arrow.Field('item', new arrow.Utf8())),
    values: same(fc.array(fc.string(), { maxLength: 3 })),
  },
  {
    type: new arrow.Struct([new arrow.Field('a', new arrow.Int32()), new arrow.Field('b', new arrow.Utf8())]),
    values: same(fc.record({ a: fc.integer(), b: fc.string() })),
  },
  {
    type: new arrow.FixedSizeList(2, new arrow.Field('item', new arrow.Float64())),
    values: same(fc.tuple(fc.double(), fc.double())),
  },
  { type: new arrow.Binary(), values: same(fc.uint8Array({ maxLength: 4 })) },
  { type: new arrow.FixedSizeBinary(3), values: same(fc.uint8Array({ minLength: 3, maxLength: 3 })) },
  { type: new arrow.Null(), values: same(fc.constant(null)) },
  { type: new arrow.DateMillisecond(), values: same(fc.nat(10 ** 9).map((n) => new Date(n))) },
];

function decimalWords(units: bigint): Uint32Array {
  return Uint32Array.from({ length: 4 }, (_, i) => Number((units >> BigInt(32 * i)) & 0xffffffffn));
}

interface Field {
  readonly name: string;
  readonly source: Source;
}

const columnField = (name: string): fc.Arbitrary<Field> => {
  const options = sources[name]!();
  return fc.nat(options.length - 1).map((choice) => ({ name, source: options[choice]! }));
};

let strangersMade = 0;
const strangerField = fc
  .constantFrom(...strangers)
  .map((source): Field => ({ name: `stranger${strangersMade++}`, source }));

const streams = fc
  .tuple(
    fc.subarray(Object.keys(sources).filter((name) => name !== 'symbol')),
    fc.array(strangerField, { maxLength: 3 }),
    columnField('symbol'),
  )
  .chain(([columns, others, symbol]) =>
    fc
      .tuple(...columns.map(columnField))
      .chain((fields) =>
        fc.shuffledSubarray([symbol, ...fields, ...others], { minLength: 1 + fields.length + others.length }),
      ),
  )
  .chain((fields) =>
    fc.record({
      fields: fc.constant(fields),
      isFile: fc.boolean(),
      rows: fc.array(
        fc.tuple(
          ...fields.map(({ name, source }) =>
            name === 'symbol'
              ? source.values
              : fc.oneof(
                  { weight: 5, arbitrary: source.values },
                  fc.constant({ written: null, expected: null }),
                ),
          ),
        ),
        { maxLength: 20 },
      ),
      batches: fc.integer({ min: 1, max: 3 }),
    }),
  );

type Stream = typeof streams extends fc.Arbitrary<infer T> ? T : never;

/** As apache-arrow writes them; the rows are divided among the batches. */
function write({ fields, rows, batches, isFile }: Stream): Uint8Array {
  const schema = new arrow.Schema(fields.map(({ name, source }) => new arrow.Field(name, source.type, true)));
  const whole = new arrow.Table(
    schema,
    Object.fromEntries(
      fields.map(({ name, source }, i) => [
        name,
        vectorOf(
          rows.map((row) => row[i]!.written),
          source.type,
        ),
      ]),
    ),
  );
  const cuts = Array.from({ length: batches }, (_, i) => Math.floor((rows.length * i) / batches));
  const parts = cuts.map((from, i) => whole.slice(from, cuts[i + 1] ?? rows.length));
  const writer = isFile ? new arrow.RecordBatchFileWriter() : new arrow.RecordBatchStreamWriter();
  for (const part of parts) for (const batch of part.batches) writer.write(batch);
  if (rows.length === 0) writer.write(whole);
  writer.finish();
  return writer.toUint8Array(true);
}

function vectorOf(values: unknown[], type: arrow.DataType): arrow.Vector {
  // Its builder of timestamps takes doubles: build them as the integers that they are.
  const built = arrow.DataType.isTimestamp(type) ? new arrow.Int64() : type;
  const builder = arrow.makeBuilder({ type: built, nullValues: [null] });
  for (const value of values) builder.append(value);
  const vector = builder.finish().toVector();
  if (built === type) return vector;
  const { length, nullCount, nullBitmap, values: data } = vector.data[0]!;
  return arrow.makeVector(
    arrow.makeData({ type: type as arrow.Timestamp, length, nullCount, nullBitmap, data }),
  );
}

function decode(values: readonly Uint8Array[]) {
  const symbols = new SymbolTable();
  symbols.learn('AAPL', 0);
  const source = {
    table: everyType,
    topic: 'ticks',
    format: { kind: 'arrow' as const, fields: plainFields },
  };
  return decodeAll(createDecoder(source, symbols, null), everyType, symbols, recordBatch(values)).then(
    (decoded) => ({ ...decoded, symbols }),
  );
}

function expectedRows({ fields, rows }: Stream, timestampMs: number): Record<string, unknown>[] {
  return rows.map((row) => {
    const result: Record<string, unknown> = Object.fromEntries(
      everyType.columns.map(({ name }) => [name, null]),
    );
    fields.forEach(({ name }, i) => {
      if (name in result) result[name] = row[i]!.expected;
    });
    result.timestamp ??= BigInt(timestampMs) * 1_000_000n;
    return result;
  });
}

test('streams and files that apache-arrow wrote become the rows that their values say, all at their message’s offset', async () => {
  let batchesWritten = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(streams, { minLength: 1, maxLength: 3 }), async (messages) => {
      const { rows, causes, offsets } = await decode(messages.map(write));
      expect(causes).toEqual([]);
      expect(rows).toEqual(messages.flatMap((message, i) => expectedRows(message, 1_700_000_000_000 + i)));
      expect(offsets).toEqual(messages.flatMap((message, i) => message.rows.map(() => 1000 + i * 2)));
      batchesWritten += messages.length;
    }),
    { numRuns: 400 },
  );
  expect(batchesWritten).toBeGreaterThan(400);
});

test('changed, truncated and random bytes give rows or a cause, and a bad message leaves no row and no name', async () => {
  const change = fc.record({
    at: fc.double({ min: 0, max: 0.999, noNaN: true }),
    byte: fc.oneof(fc.nat(255), fc.constantFrom(0, 0xff, 0x7f)),
    cut: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(
      streams,
      fc.array(fc.array(change, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 8 }),
      fc.uint8Array({ maxLength: 200 }),
      async (message, changes, noise) => {
        const whole = write(message);
        const values = changes.map((several) =>
          several.reduce((bytes: Uint8Array, { at, byte, cut }) => {
            const position = Math.floor(at * bytes.length);
            if (cut) return bytes.subarray(0, position);
            const changed = Uint8Array.from(bytes);
            changed[position] = byte;
            return changed;
          }, whole),
        );
        const { buffer } = await decode([...values, noise, whole]);
        // Each message is wholly in or wholly out; the last one is whole.
        const good = new Set(buffer.offset.subarray(0, buffer.rows));
        for (const { offset } of buffer.undecodable) expect(good).not.toContain(offset);
        const last = 1000 + (values.length + 1) * 2;
        expect([...buffer.offset.subarray(0, buffer.rows)].filter((offset) => offset === last)).toHaveLength(
          message.rows.length,
        );
      },
    ),
    { numRuns: 400 },
  );
});
