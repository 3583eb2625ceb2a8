// What: the Avro decoder beside avsc: random writer schemas, values that avsc encoded, rows that the values say; and broken bytes.
// Why: writers choose their own schemas, with fields, orders and nesting that no list of examples covers.
// Invariant: a whole record gives exactly its row; any bytes give a row or a cause, never an exception.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { avroDecoder } from '../../connectors/decode/avro.ts';
import type { SchemaSource } from '../../connectors/decode/schema-source.ts';
import { targetOf } from '../../connectors/decode/target.ts';
import { SymbolTable } from '../../src/columns/symbols.ts';
import type { FieldMap } from '../../src/ports.ts';
import { avroType, framed } from '../support/avro-encode.ts';
import { decodeAll, everyType, plainFields, recordBatch } from '../support/decode-records.ts';

const INT64_MAX = 2n ** 63n - 1n;
const NULL = Symbol('null');

/** A type that can fill a column, values of it as avsc takes them, and what each becomes in the column. */
interface Source {
  readonly schema: unknown;
  /** As avsc names it in a union. */
  readonly branch: string;
  readonly cases: fc.Arbitrary<{ encoded: unknown; expected: unknown }>;
}

let names = 0;
const unique = (prefix: string): string => `test.named.${prefix}${names++}`;

const plain = <T>(arbitrary: fc.Arbitrary<T>, expected: (value: T) => unknown): Source['cases'] =>
  arbitrary.map((encoded) => ({ encoded, expected: expected(encoded) }));

const long = (max: bigint): fc.Arbitrary<bigint> =>
  fc.oneof(fc.bigInt({ min: -max, max }), fc.constantFrom(0n, 1n, -1n, max, -max, 63n, 64n, -64n, -65n));

const longs = (factor: bigint, schema: unknown = 'long'): Source => ({
  schema,
  branch: 'long',
  cases: plain(long(INT64_MAX / factor), (value) => value * factor),
});

const text: Source = {
  schema: 'string',
  branch: 'string',
  cases: plain(
    fc.oneof(fc.string({ minLength: 1, maxLength: 10 }), fc.string({ unit: 'grapheme', minLength: 1 })),
    (value) => value,
  ),
};

function enumeration(): Source {
  const name = unique('E');
  const symbols = ['BUY', 'SELL', 'NONE'];
  return {
    schema: { type: 'enum', name, symbols },
    branch: name,
    cases: plain(fc.constantFrom(...symbols), (value) => value),
  };
}

/** Two's complement, big-endian, in at least `bytes` bytes. */
function bigEndian(value: bigint, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  for (let i = 0; i < bytes; i++) buffer[bytes - 1 - i] = Number((value >> BigInt(8 * i)) & 0xffn);
  return buffer;
}

function decimal(kind: 'bytes' | 'fixed', scale: number, expected: (unscaled: bigint) => unknown): Source {
  const name = unique('D');
  const logical = { logicalType: 'decimal', precision: 18, scale };
  const cases = fc.tuple(long(10n ** 15n), fc.integer({ min: 8, max: 40 })).map(([value, bytes]) => ({
    encoded: bigEndian(value, kind === 'fixed' ? 9 : bytes),
    expected: expected(value),
  }));
  const short = long(2n ** 39n - 1n).map((value) => ({
    encoded: bigEndian(value, 5),
    expected: expected(value),
  }));
  return kind === 'fixed'
    ? { schema: { type: 'fixed', size: 9, name, ...logical }, branch: name, cases }
    : { schema: { type: 'bytes', ...logical }, branch: 'bytes', cases: fc.oneof(cases, short) };
}

const prices = fc.integer({ min: -(10 ** 11), max: 10 ** 11 });

/** By column of everyType: what may fill it. */
const sources: Readonly<Record<string, () => Source[]>> = {
  symbol: () => [text, enumeration()],
  timestamp: () => [
    longs(1n),
    longs(1_000_000n, { type: 'long', logicalType: 'timestamp-millis' }),
    longs(1000n, { type: 'long', logicalType: 'timestamp-micros' }),
    longs(1n, { type: 'long', logicalType: 'local-timestamp-nanos' }),
    {
      schema: { type: 'int', logicalType: 'date' },
      branch: 'int',
      cases: plain(fc.integer({ min: -100_000, max: 100_000 }), (days) => BigInt(days) * 86_400_000_000_000n),
    },
  ],
  price: () => [
    longs(10_000n),
    { schema: 'int', branch: 'int', cases: plain(fc.integer(), (value) => BigInt(value) * 10_000n) },
    {
      schema: 'double',
      branch: 'double',
      cases: prices.map((units) => ({ encoded: units / 10_000, expected: BigInt(units) })),
    },
    {
      schema: 'string',
      branch: 'string',
      cases: prices.map((units) => ({ encoded: `${units}e-4`, expected: BigInt(units) })),
    },
    decimal('bytes', 4, (unscaled) => unscaled),
    decimal('bytes', 2, (unscaled) => unscaled * 100n),
    decimal('fixed', 4, (unscaled) => unscaled),
    {
      schema: 'float',
      branch: 'float',
      cases: plain(
        fc.integer({ min: -99_999, max: 99_999 }).map((units) => Math.fround(units / 100)),
        (value) => BigInt(Math.round(value * 100)) * 100n,
      ),
    },
  ],
  size: () => [
    { schema: 'int', branch: 'int', cases: plain(fc.integer({ min: -2147483647 }), (value) => value) },
    { schema: 'long', branch: 'long', cases: plain(long(2147483647n), Number) },
    { schema: 'double', branch: 'double', cases: plain(fc.integer({ min: -2147483647 }), (value) => value) },
  ],
  fee: () => [
    {
      schema: 'double',
      branch: 'double',
      cases: fc.integer({ min: -2147483647 }).map((units) => ({ encoded: units / 100, expected: units })),
    },
  ],
  ratio: () => [
    { schema: 'double', branch: 'double', cases: plain(fc.double({ noNaN: true }), (value) => value) },
    { schema: 'long', branch: 'long', cases: plain(long(INT64_MAX), Number) },
    decimal('bytes', 3, (unscaled) => Number(`${unscaled}e-3`)),
  ],
  weight: () => [
    { schema: 'float', branch: 'float', cases: plain(fc.float({ noNaN: true }), (value) => value) },
  ],
  venue: () => [
    text,
    enumeration(),
    { schema: 'int', branch: 'int', cases: plain(fc.integer({ min: 100 }), (value) => value) },
  ],
  note: () => [text, enumeration()],
  buy: () => [{ schema: 'boolean', branch: 'boolean', cases: plain(fc.boolean(), (value) => value) }],
  received: () => [longs(1_000_000n, { type: 'long', logicalType: 'timestamp-millis' })],
  sequence: () => [longs(1n)],
};

interface Field {
  readonly name: string;
  readonly schema: unknown;
  readonly cases: fc.Arbitrary<{ encoded: unknown; expected: unknown }>;
}

/** The source itself, in a union with null on either side, or in a union with more. */
function optional(source: Source, shape: number, required: boolean): Source {
  if (shape === 0) return source;
  const wrapped = source.cases.map(({ encoded, expected }) => ({
    encoded: { [source.branch]: encoded },
    expected,
  }));
  const nothing = fc.constant({ encoded: null, expected: NULL });
  const other = { type: 'record', name: unique('R'), fields: [{ name: 'x', type: 'null' }] };
  const schema =
    shape === 1
      ? ['null', source.schema]
      : shape === 2
        ? [source.schema, 'null']
        : [other, source.schema, 'null'];
  return {
    schema,
    branch: '',
    cases: required ? wrapped : fc.oneof({ weight: 3, arbitrary: wrapped }, nothing),
  };
}

const columnField = (column: string): fc.Arbitrary<Field> => {
  const options = sources[column]!();
  return fc.tuple(fc.nat(options.length - 1), fc.nat(3)).map(([choice, shape]) => ({
    name: column,
    ...optional(options[choice]!, shape, column === 'symbol'),
  }));
};

/** A schema that no column takes, with values of it, nested up to a few levels. */
const { unknown } = fc.letrec<{ unknown: { schema: unknown; value: fc.Arbitrary<unknown>; branch: string } }>(
  (tie) => ({
    unknown: fc.oneof(
      { maxDepth: 3 },
      fc.constantFrom(
        { schema: 'null', branch: 'null', value: fc.constant<unknown>(null) },
        { schema: 'long', branch: 'long', value: long(INT64_MAX) },
        { schema: 'int', branch: 'int', value: fc.integer() },
        {
          schema: 'bytes',
          branch: 'bytes',
          value: fc.uint8Array({ maxLength: 5 }).map((bytes) => Buffer.from(bytes)),
        },
        { schema: 'string', branch: 'string', value: fc.string() },
        { schema: 'double', branch: 'double', value: fc.double() },
        { schema: 'float', branch: 'float', value: fc.float() },
        { schema: 'boolean', branch: 'boolean', value: fc.boolean() },
      ),
      tie('unknown').map(({ schema, value }) => ({
        schema: { type: 'array', items: schema },
        branch: 'array',
        value: fc.array(value, { maxLength: 3 }),
      })),
      tie('unknown').map(({ schema, value }) => ({
        schema: { type: 'map', values: schema },
        branch: 'map',
        value: fc.dictionary(fc.string(), value, { maxKeys: 3, noNullPrototype: true }),
      })),
      fc.tuple(tie('unknown'), tie('unknown')).map(([a, b]) => {
        const name = unique('N');
        return {
          schema: {
            type: 'record',
            name,
            fields: [
              { name: 'a', type: a.schema },
              { name: 'b', type: b.schema },
            ],
          },
          branch: name,
          value: fc.record({ a: a.value, b: b.value }),
        };
      }),
      tie('unknown')
        .filter(({ branch, schema }) => branch !== '' && branch !== 'null' && !Array.isArray(schema))
        .map(({ schema, value, branch }) => ({
          schema: ['null', schema],
          branch: '',
          value: fc.oneof(
            fc.constant(null),
            value.map((inner) => ({ [branch]: inner })),
          ),
        })),
      fc.nat(4).map((size) => {
        const name = unique('F');
        return {
          schema: { type: 'fixed', name, size },
          branch: name,
          value: fc.uint8Array({ minLength: size, maxLength: size }).map((bytes) => Buffer.from(bytes)),
        };
      }),
    ),
  }),
);

const extraField: fc.Arbitrary<Field> = unknown.map(({ schema, value }) => ({
  name: `extra${names++}`,
  schema,
  cases: value.map((encoded) => ({ encoded, expected: undefined })),
}));

const writer = fc
  .tuple(
    fc.subarray(Object.keys(sources).filter((column) => column !== 'symbol')),
    fc.array(extraField, { maxLength: 4 }),
    columnField('symbol'),
  )
  .chain(([columns, extras, symbol]) =>
    fc
      .tuple(...columns.map(columnField))
      .chain((fields) =>
        fc.shuffledSubarray([symbol, ...fields, ...extras], { minLength: 1 + fields.length + extras.length }),
      ),
  )
  .chain((fields) =>
    fc.record({
      fields: fc.constant(fields),
      records: fc.array(fc.tuple(...fields.map((field) => field.cases)), { minLength: 1, maxLength: 5 }),
    }),
  );

function schemaOf(fields: readonly Field[]): unknown {
  return {
    type: 'record',
    name: 'Tick',
    namespace: 'zepto.test',
    fields: fields.map(({ name, schema }) => ({ name, type: schema })),
  };
}

function sourceOf(schemas: readonly unknown[]): SchemaSource {
  return {
    avroSchema: async (id) =>
      schemas[id] === undefined ? 'is not known' : { schema: JSON.stringify(schemas[id]), references: [] },
  };
}

/** Names that are known, so that compiled readers take their records. */
const KNOWN = ['BUY', 'SELL', 'a', 'AAPL'];

/** `compiled`: with room behind the records, so that compiled readers take them; otherwise field readers alone. */
function decode(
  schemas: readonly unknown[],
  values: readonly Uint8Array[],
  compiled: boolean,
  fields: FieldMap = plainFields,
) {
  const symbols = new SymbolTable();
  for (const [id, name] of KNOWN.entries()) symbols.learn(name, id);
  const decoder = avroDecoder(targetOf(everyType, fields), symbols, sourceOf(schemas), compiled);
  return decodeAll(decoder, everyType, symbols, recordBatch(values, compiled ? 200 : 0)).then((decoded) => ({
    ...decoded,
    unknown: symbols.unknown,
  }));
}

test('records that avsc wrote in any schema become the rows that their values say', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(writer, { minLength: 1, maxLength: 3 }), async (writers) => {
      const values: Uint8Array[] = [];
      const expected: Record<string, unknown>[] = [];
      const schemas = writers.map(({ fields }) => schemaOf(fields));
      writers.forEach(({ fields, records }, id) => {
        const type = avroType(schemas[id]);
        for (const record of records) {
          values.push(
            framed(
              id,
              type.toBuffer(Object.fromEntries(fields.map(({ name }, i) => [name, record[i]!.encoded]))),
            ),
          );
          const row: Record<string, unknown> = Object.fromEntries(
            everyType.columns.map(({ name }) => [name, null]),
          );
          row.timestamp = BigInt(1_700_000_000_000 + values.length - 1) * 1_000_000n;
          fields.forEach(({ name }, i) => {
            const value = record[i]!.expected;
            if (name in row && value !== NULL) row[name] = value;
          });
          expected.push(row);
        }
      });
      for (const compiled of [true, false]) {
        const { rows, causes } = await decode(schemas, values, compiled);
        expect(causes).toEqual([]);
        expect(rows).toEqual(expected);
      }
    }),
    { numRuns: 500 },
  );
});

test('truncated, changed and random bytes give a row or a cause each, the same in both ways', async () => {
  const change = fc.record({
    at: fc.double({ min: 0, max: 0.999, noNaN: true }),
    byte: fc.nat(255),
    cut: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(
      writer,
      fc.array(change, { minLength: 1, maxLength: 8 }),
      fc.uint8Array({ maxLength: 60 }),
      async ({ fields, records }, changes, noise) => {
        const schema = schemaOf(fields);
        const whole = avroType(schema).toBuffer(
          Object.fromEntries(fields.map(({ name }, i) => [name, records[0]![i]!.encoded])),
        );
        const values = changes.map(({ at, byte, cut }) => {
          const record = framed(0, whole);
          const position = Math.floor(at * record.length);
          if (cut) return record.subarray(0, position);
          const changed = Uint8Array.from(record);
          changed[position] = byte;
          return changed;
        });
        values.push(noise, framed(0, noise));
        const { rows, causes, buffer, unknown } = await decode([schema], values, true);
        expect(rows.length + causes.length).toBe(values.length);
        expect(await decode([schema], values, false)).toMatchObject({ rows, causes, unknown });
        for (const offset of buffer.undecodable.map((record) => record.offset))
          expect(buffer.offset.subarray(0, buffer.rows)).not.toContain(offset);
      },
    ),
    { numRuns: 500 },
  );
});

const edgeLongs: readonly bigint[] = Array.from({ length: 64 }, (_, bit) => 1n << BigInt(bit))
  .flatMap((value) => [value - 1n, value, -value, -value - 1n])
  .filter((value) => value >= -(2n ** 63n) && value < 2n ** 63n);

const doubles = [
  0,
  -0,
  0.5,
  150.25,
  -150.25,
  1.00001,
  1e11,
  1e12,
  9.1e11,
  1e20,
  1e300,
  Infinity,
  NaN,
  0.1,
  1 / 3,
];

const words = [
  'a',
  'BUY',
  'NEW',
  '',
  '株',
  'x'.repeat(63),
  'y'.repeat(64),
  'z'.repeat(4096),
  'z'.repeat(4097),
  'w'.repeat(9000),
];

/** Each kind of field that has code of its own, alone behind the symbol, with values at its edges. */
const fieldCases: readonly (readonly [name: string, type: unknown, values: readonly unknown[]])[] = [
  ['sequence', 'long', edgeLongs],
  ['extra', 'long', edgeLongs],
  ['timestamp', { type: 'long', logicalType: 'timestamp-micros' }, edgeLongs],
  ['timestamp', 'long', edgeLongs],
  ['received', ['null', 'long'], [null, ...edgeLongs.map((long) => ({ long }))]],
  ['price', 'long', edgeLongs],
  ['size', 'int', edgeLongs.map((long) => Number(BigInt.asIntN(32, long)))],
  ['size', 'long', edgeLongs],
  ['price', ['null', 'double'], [null, ...doubles.map((double) => ({ double }))]],
  ['ratio', 'double', doubles],
  ['timestamp', 'double', doubles],
  ['weight', 'double', doubles],
  ['note', 'string', words],
  ['venue', ['string', 'null'], [null, ...words.map((string) => ({ string }))]],
  ['extra', 'bytes', words.map((word) => Buffer.from(word))],
  ['extra', 'float', [1.5]],
  ['extra', 'boolean', [true, false]],
  ['buy', 'boolean', [true, false]],
];

test.each(fieldCases)(
  '%s as %j is read or refused the same in both ways, at its edges and with a byte out of place',
  async (name, type, values) => {
    const schema = {
      type: 'record',
      name: 'Tick',
      fields: [
        { name: 'symbol', type: 'string' },
        { name, type },
      ],
    };
    const encode = (value: unknown): Uint8Array =>
      framed(0, avroType(schema).toBuffer({ symbol: 'AAPL', [name]: value }));
    const whole = encode(values[0]);
    const records = values.flatMap((value) => [whole, encode(value)]);
    for (const value of [values[0], values.at(-1), values[values.length >> 1]]) {
      const record = encode(value).subarray(0, 60);
      for (let position = 0; position < record.length; position++) {
        for (const byte of [0, 1, 2, 3, 4, 9, 0x7f, 0x80, 0x81, 0xc0, 0xfe, 0xff])
          records.push(
            whole,
            Uint8Array.from(record, (old, i) => (i === position ? byte : old)),
          );
        records.push(
          record.subarray(0, position),
          whole,
          Buffer.concat([record, record.subarray(0, position)]),
        );
      }
    }
    const { rows, causes, unknown } = await decode([schema, schema], records, true);
    expect(await decode([schema, schema], records, false)).toMatchObject({ rows, causes, unknown });
    expect(rows.length).toBeGreaterThan(60);
    expect(causes.length).toBeGreaterThan(60);
  },
);
