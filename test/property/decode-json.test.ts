// What: the JSON scanner beside the plain way, over tick-like documents in every spelling and over broken ones.
// Why: two readers of one format are one bug waiting, unless something compares them on what nobody thought of.
// Invariant: same rows, same causes, same dictionary, whatever the bytes.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { jsonDecoder } from '../../connectors/decode/json.ts';
import { decodeJson } from '../../connectors/decode/json-fallback.ts';
import { type Target, targetOf } from '../../connectors/decode/target.ts';
import { RowBuffer } from '../../src/columns/batch.ts';
import { SymbolTable } from '../../src/columns/symbols.ts';
import type { TableSchema } from '../../src/columns/types.ts';
import type { FieldMap } from '../../src/ports.ts';
import { everyType, recordBatch, rowsOf, trades } from '../support/decode-records.ts';

const number = fc.oneof(
  fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n }).map(String),
  fc.integer({ min: -1000, max: 100000 }).map(String),
  fc.double().map((value) => JSON.stringify(value)),
  fc.tuple(fc.integer({ min: -99999, max: 999999 }), fc.nat(9999999)).map(([a, b]) => `${a}.${b}`),
  fc.tuple(fc.integer(), fc.integer({ min: -25, max: 25 })).map(([a, b]) => `${a}e${b}`),
  fc.bigInt({ min: 10n ** 18n, max: 10n ** 19n }).map(String),
  fc.tuple(fc.bigInt({ min: 0n, max: 10n ** 15n }), fc.nat(999999)).map(([a, b]) => `${a}.${b}`),
  fc.tuple(fc.bigInt({ min: 10n ** 11n, max: 10n ** 13n }), fc.nat(9999)).map(([a, b]) => `${a}.${b}`),
  fc.constantFrom(
    '0',
    '-0',
    '00',
    '01',
    '1.',
    '.5',
    '+1',
    '0.0',
    '1e5',
    '1E+2',
    '-',
    '9223372036854775807',
    '9223372036854775808',
    '-9223372036854775808',
    '2147483647',
    '2147483648',
    '0.00000',
    '1.50000000000000000000',
    '1711000800000000000',
    '1711000800.123456789',
    '999999999999999',
    '9999999999999999',
    '123456789012345678901234567890',
  ),
);

const text = fc.oneof(
  fc.constantFrom(
    'AAPL',
    'MSFT',
    'A',
    '',
    'BRK.B',
    'ETH-USD',
    'ÄÖ',
    '株',
    '😀',
    'a"b',
    'a\\b',
    '\n',
    '2024-03-21T06:00:00.123456789Z',
    '2024-03-21 06:00:00+01:30',
    'true',
  ),
  fc.string({ maxLength: 12 }),
  fc.string({ unit: 'binary', maxLength: 8 }),
);

const spaces = fc.constantFrom('', '', '', '', ' ', '  ', '\n\t', '\r\n ');

const value: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: number },
  { weight: 2, arbitrary: number.map((inner) => `"${inner}"`) },
  { weight: 4, arbitrary: text.map((inner) => JSON.stringify(inner)) },
  { weight: 1, arbitrary: text.map((inner) => `"${[...inner].map(escaped).join('')}"`) },
  {
    weight: 2,
    arbitrary: fc.constantFrom('null', 'true', 'false', 'nul', 'True', '{}', '[]', '[1,{"a":"]}"}]', '"', ''),
  },
  { weight: 1, arbitrary: fc.json({ maxDepth: 3 }) },
);

function escaped(character: string): string {
  return character.length === 1 ? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}` : character;
}

const NAMES = [
  ...everyType.columns.map((column) => column.name),
  'volume',
  'ts',
  'px',
  'other',
  'x',
  '',
  'é',
];

const name = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom(...NAMES).map((inner) => JSON.stringify(inner)) },
  { weight: 1, arbitrary: fc.constantFrom(...NAMES).map((inner) => `"${[...inner].map(escaped).join('')}"`) },
  { weight: 1, arbitrary: text.map((inner) => JSON.stringify(inner)) },
);

const looseDocument = fc
  .tuple(spaces, fc.array(fc.tuple(spaces, name, spaces, spaces, value, spaces), { maxLength: 10 }), spaces)
  .map(
    ([before, members, after]) =>
      `${before}{${members.map(([a, n, b, c, v, d]) => `${a}${n}${b}:${c}${v}${d}`).join(',')}}${after}`,
  );

/** What feeds send: the same names in the same order, mostly good values. */
const tick = fc
  .record({
    symbol: fc.constantFrom('"AAPL"', '"MSFT"', '"X"', '17', '"ABCDEFGHIJKL"', 'null'),
    price: fc.oneof(
      number,
      fc.integer({ min: 1, max: 99999 }).map((cents) => `${cents / 100}`),
    ),
    volume: fc.oneof(number, fc.nat(1000).map(String)),
    timestamp: fc.oneof(
      number,
      fc.bigInt({ min: 1711000800000000000n, max: 1711000809999999999n }).map(String),
      fc.bigInt({ min: 1711000800000n, max: 1711000809999n }).map(String),
      fc.bigInt({ min: 1711000800000000n, max: 1711000809999999n }).map(String),
      fc.constant('"2024-03-21T06:00:00.5Z"'),
    ),
  })
  .map((t) => `{"symbol":${t.symbol},"price":${t.price},"volume":${t.volume},"timestamp":${t.timestamp}}`);

/** Known names only, in any order, some twice: what decides is which of them counts. */
const repeated = fc
  .array(
    fc.oneof(
      fc.constantFrom('"symbol":"AAPL"', '"symbol":"B"', '"symbol":null', '"timestamp":1711000800000000000'),
      fc.constantFrom(
        '"timestamp":null',
        '"volume":7',
        '"volume":null',
        '"volume":{}',
        '"note":"n"',
        '"buy":true',
      ),
      number.map((inner) => `"price":${inner}`),
    ),
    { minLength: 2, maxLength: 7 },
  )
  .map((members) => `{${members.join(',')}}`);

interface Mutation {
  readonly at: number;
  readonly kind: 'flip' | 'delete' | 'insert' | 'truncate';
  readonly byte: number;
}

const mutation = fc.record<Mutation>({
  at: fc.double({ min: 0, max: 0.999, noNaN: true }),
  kind: fc.constantFrom('flip', 'delete', 'insert', 'truncate'),
  byte: fc.oneof(fc.nat(255), fc.constantFrom(...Buffer.from('{}[]",:0123456789.-eE \\\n'))),
});

function mutate(bytes: Uint8Array, { at, kind, byte }: Mutation): Uint8Array {
  const position = Math.floor(at * bytes.length);
  const before = bytes.subarray(0, position);
  if (kind === 'truncate') return Buffer.from(before);
  if (kind === 'insert') return Buffer.concat([before, Uint8Array.of(byte), bytes.subarray(position)]);
  if (kind === 'delete') return Buffer.concat([before, bytes.subarray(position + 1)]);
  return Buffer.concat([before, Uint8Array.of(byte), bytes.subarray(position + 1)]);
}

const document = fc
  .tuple(
    fc.oneof(
      { weight: 3, arbitrary: looseDocument },
      { weight: 3, arbitrary: tick },
      { weight: 2, arbitrary: repeated },
      { weight: 1, arbitrary: fc.json({ maxDepth: 2 }) },
    ),
    fc.oneof(
      { weight: 3, arbitrary: fc.constant([]) },
      { weight: 2, arbitrary: fc.array(mutation, { minLength: 1, maxLength: 2 }) },
    ),
    fc.boolean(),
  )
  .map(([source, mutations, mark]) => {
    const bytes: Uint8Array = Buffer.from(
      (mark && source.length % 17 === 0 ? '\ufeff' : '') + source,
      'utf8',
    );
    return mutations.reduce(mutate, bytes);
  });

/** Values that a feed sends for each column, mostly good ones, and for a field of another's. */
const usual: Readonly<Record<string, fc.Arbitrary<string>>> = {
  symbol: fc.constantFrom('"AAPL"', '"MSFT"', '"A"', '"ABCDEFGH"', '12', '"é"', 'null'),
  timestamp: fc.oneof(
    fc.bigInt({ min: 1711000800000000000n, max: 1711000801999999999n }).map(String),
    fc.bigInt({ min: 1711000800000000n, max: 1711000801999999n }).map(String),
    fc.bigInt({ min: 1711000800000n, max: 1711000801999n }).map(String),
    fc.tuple(fc.nat(59), fc.nat(999999)).map(([s, us]) => `"2024-03-21T06:00:${s}.${us}Z"`),
    fc
      .tuple(fc.integer({ min: 1711000800, max: 1711000810 }), fc.nat(999999999))
      .map(([s, f]) => `${s}.${f}`),
    fc.constantFrom(
      'null',
      '0',
      '12',
      '17110008001',
      '"1711000800000000000"',
      '9999999999999999999',
      '"2024-03-21T06:00:00Z"',
    ),
  ),
  price: fc.oneof(
    fc.tuple(fc.nat(99999), fc.nat(99)).map(([a, b]) => `${a}.${b}`),
    fc.tuple(fc.nat(99999), fc.nat(99999999)).map(([a, b]) => `"${a}.${b}"`),
    fc.constantFrom(
      'null',
      '-1.5',
      '-0',
      '-0.0',
      '100',
      '"100"',
      '1e2',
      '12345678.1234',
      '123456789.5',
      '1.23456789',
      '01',
      '"1',
      '1"',
    ),
  ),
  volume: fc.oneof(fc.nat(2000).map(String), number),
  size: fc.oneof(
    fc.integer({ min: -99999999, max: 99999999 }).map(String),
    fc.constantFrom('null', '2147483647', '99999999', '1.0'),
  ),
  fee: fc.oneof(
    fc.tuple(fc.integer({ min: -9999, max: 99999999 }), fc.nat(99)).map(([a, b]) => `${a}.${b}`),
    fc.constantFrom('21474836.47', '21474836.48', '-21474836.47'),
  ),
  ratio: fc.oneof(
    fc.tuple(fc.integer(), fc.nat(99999999)).map(([a, b]) => `${a}.${b}`),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  ),
  weight: fc.oneof(
    fc.tuple(fc.nat(99), fc.nat(9999)).map(([a, b]) => `-${a}.${b}`),
    fc.constantFrom('-0', '"0.1"', 'null'),
  ),
  venue: fc.constantFrom('"X"', '"XNAS"', '7', '12345678', '123456789', '007', 'null', '""', '"a\\u0062"'),
  note: fc.constantFrom('"fill"', '""', 'null', '"a longer note than that"', '"tab\\t"', '"ü"', '5'),
  buy: fc.constantFrom('true', 'false', 'null', '1', '"true"', 'truth'),
  received: fc.constantFrom(
    '1711000800123',
    '1711000800123456',
    '1711000800123456789',
    'null',
    '"2024-03-21T06:00:00.5Z"',
  ),
  sequence: fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n }).map(String), fc.nat().map(String)),
  other: fc.constantFrom('"plain"', '"pläin"', '"\\n"', '1.5e3', 'true', 'null', '{"a":1}', '-', '"'),
};

/** Documents of one shape: the same names in the same order with the same blanks, as a producer writes them. */
const shaped = fc
  .tuple(
    fc.shuffledSubarray(Object.keys(usual), { minLength: 2 }),
    fc.constantFrom([':', ','], [': ', ', ']),
    fc.boolean(),
  )
  .chain(([fields, [colon, comma], withSymbol]) => {
    const all = withSymbol && !fields.includes('symbol') ? ['symbol', ...fields] : fields;
    return fc.array(
      fc
        .tuple(...all.map((field) => usual[field]!))
        .map((values) =>
          Buffer.from(`{${values.map((value, i) => `"${all[i]}"${colon}${value}`).join(comma)}}`),
        ),
      { maxLength: 6 },
    );
  });

const tables: readonly TableSchema[] = [trades, everyType];

const fields = fc.record<FieldMap>({
  names: fc.constantFrom({}, { timestamp: 'ts', price: 'px' }),
  timeUnit: fc.constantFrom('ns', 'us', 'ms', 's'),
  scaledNumbers: fc.constantFrom('value', 'scaled'),
});

/** A tick with a good value for every column: what one change makes of it is decided by that change alone. */
const good: Readonly<Record<string, string>> = {
  symbol: '"AAPL"',
  timestamp: '1711000800123456789',
  price: '150.25',
  size: '12',
  fee: '0.5',
  ratio: '0.25',
  weight: '1.5',
  venue: '"XNAS"',
  note: '"fill"',
  buy: 'true',
  received: '"2024-03-21T06:00:00.5Z"',
  sequence: '1234567',
  other: '"x"',
};

const goodTick = (changes: Readonly<Record<string, string>> = {}): string =>
  `{${Object.entries({ ...good, ...changes })
    .map(([field, token]) => `"${field}":${token}`)
    .join(',')}}`;

/** What bends a rule of one column or another. */
const edges = [
  '0',
  '-0',
  '00',
  '01',
  '-01',
  '1.',
  '.1',
  '-',
  '--1',
  '+1',
  '1-',
  '12345678',
  '123456789',
  '99999999',
  '9999999999',
  '12345678.5',
  '123456789012345',
  '1234567890123456',
  '9007199254740993',
  '999999999999999.9',
  '9007199254740.9931',
  '12345678.12345678',
  '90071992.54740993',
  '99999999.99999999',
  '9223372036854775807',
  '9223372036854775808',
  '12345678901234567890',
  '123456789012345678.5',
  '1711000801123456789',
  '1711000900123456789',
  '1711000800999999999',
  '17110008001234567890',
  '171100080012345678',
  '0711000800123456789',
  '9711000800123456789',
  '1711000800123',
  '171100080012a',
  '1711000800123456',
  '1711000800123456a',
  '2147483647',
  '2147483648',
  '-2147483648',
  '21474836.47',
  '21474836.48',
  '0.12345',
  '0.123456789',
  '1.00000',
  '1.0',
  '1e2',
  '1E-2',
  '"1.5"',
  '"1.5',
  '"1.5x',
  '"2024-03-21T06:00:00X"',
  '17110008.1234567890',
  '17110008a123456789',
  '-null',
  '"null',
  '"2024-03-21T06:00:00Zx',
  '"2024-03-21T06:00:00.1Z ',
  '"1.5 ',
  '12345678',
  '"',
  '1.5"',
  '"-1"',
  '""',
  '"',
  'null',
  '"null"',
  'nul',
  '"-null"',
  'true',
  'false',
  'falsX',
  'truf',
  '"a\\u0062"',
  '"é"',
  '"株式会社"',
  '"\t"',
  '"abc\t"',
  '"abcd\t"',
  '"abcde"f"',
  '"abcdefghijklmnop"',
  '4294967296',
  '"2024-03-21T06:00:00Z"',
  '"2024-03-21T06:00:60Z"',
  '"2024-03-21T06:00:00.1234567891Z"',
  '"2024-03-21T06:00:00.1234567890123Z"',
  '"2024-03-21T06:00:00.Z"',
  '"2024-03-21T06:00:00.5"',
  '"2024-03-21T06:00:00.5Zx"',
  '"1969-12-31T23:59:59Z"',
  '"2024-02-30T06:00:00Z"',
  '"2024-03-21T24:00:00Z"',
  '{}',
  '[1]',
];

test.each([1, 1000])(
  'one value out of the ordinary changes its own record only (a shape compiled after %i)',
  (scansBeforeShape) => {
    const target = targetOf(everyType, { names: {}, timeUnit: 'ns', scaledNumbers: 'value' });
    for (const timeUnit of ['ns', 'us', 'ms', 's'] as const) {
      const unit = targetOf(everyType, { names: {}, timeUnit, scaledNumbers: 'value' });
      for (const field of timeUnit === 'ns' ? Object.keys(good) : ['timestamp']) {
        const documents = edges.flatMap((token) => [
          goodTick(),
          goodTick({ [field]: token }),
          goodTick({ timestamp: '"2024-03-21T06:00:00.5Z"', [field]: token }),
        ]);
        compare(
          unit,
          [...documents, '{}'].map((text) => Buffer.from(text)),
          scansBeforeShape,
          200,
        );
      }
    }
    // Whole documents that end otherwise, each after good ones that taught the reader the shape.
    const whole = goodTick();
    const endings = [' ', '\n', '}', ',', '}}', 'x', '\0'].map((ending) => whole + ending);
    const cuts = Array.from({ length: whole.length }, (_, length) => whole.slice(0, length));
    const missing = ['timestamp', 'note', 'price', 'symbol'].map((field) =>
      goodTick().replace(`"${field}":${good[field]},`, '').replace('{,', '{'),
    );
    const documents = [...endings, ...cuts, ...missing].flatMap((text) => [whole, text, text]);
    compare(
      target,
      documents.map((text) => Buffer.from(text)),
      scansBeforeShape,
      200,
    );
  },
);

test.each([1, 1000])(
  'one byte out of place changes its own record only (a shape compiled after %i)',
  (scansBeforeShape) => {
    const target = targetOf(everyType, { names: {}, timeUnit: 'ns', scaledNumbers: 'value' });
    const whole = Buffer.from(goodTick());
    fc.assert(
      fc.property(fc.array(mutation, { minLength: 1, maxLength: 40 }), (mutations) => {
        const documents = mutations.flatMap((each) => [whole, mutate(whole, each), mutate(whole, each)]);
        compare(target, documents, scansBeforeShape, 200);
      }),
      { numRuns: 60 },
    );
  },
);

test('a document that ends early does not go on in the bytes behind it, whatever they are', () => {
  const target = targetOf(trades, { names: {}, timeUnit: 'ns', scaledNumbers: 'value' });
  const text = '{"symbol":"AAPL","price":150.25,"volume":100,"timestamp":1711000800123456789}';
  // The same bytes lie behind each end: a reader that passes it finds a whole document.
  const buffer = Buffer.from(text.repeat(4) + ' '.repeat(200));
  const count = text.length + 4;
  const batch = {
    ...recordBatch(Array(count).fill('')),
    buffer: new Uint8Array(buffer),
    valueStart: new Int32Array(count),
    valueLength: Int32Array.from({ length: count }, (_, i) => (i < 4 ? text.length : i - 3)),
  };
  const rows = new RowBuffer(trades, 1);
  jsonDecoder(target, new SymbolTable(), 1).decode(batch, 0, count, rows);
  // Four whole ones, and the last of the shortened ones is whole again.
  expect(rows.rows).toBe(5);
  expect(rows.undecodable).toHaveLength(count - 5);
});

/** Among them names whose bytes look like escapes, and one that no symbol may have. */
const KNOWN = ['AAPL', 'XNAS', 'fill', '', '\\t', 'abc\\t', 'abcd\\t', 'a\\u0062', '株式会社'];

/** Decodes the documents in both ways and compares everything. Returns the number of rows. */
function compare(
  target: Target,
  documents: readonly Uint8Array[],
  scansBeforeShape: number,
  bytesAfter: number,
): number {
  const batch = recordBatch(documents, bytesAfter);
  const symbols = new SymbolTable();
  for (const [id, name] of KNOWN.entries()) symbols.learn(name, id);
  const rows = new RowBuffer(target.table, 1);
  jsonDecoder(target, symbols, scansBeforeShape).decode(batch, 0, batch.count, rows);

  const plainSymbols = new SymbolTable();
  for (const [id, name] of KNOWN.entries()) plainSymbols.learn(name, id);
  const plain = new RowBuffer(target.table, documents.length);
  const causes: string[] = [];
  documents.forEach((bytes, i) => {
    const cause = decodeJson(target, plainSymbols, bytes, batch.timestampMs[i]!, plain, plain.rows);
    if (cause === null) plain.offset[plain.rows++] = batch.offset[i]!;
    else causes.push(cause);
  });

  expect(rowsOf(rows, symbols)).toEqual(rowsOf(plain, plainSymbols));
  expect(rows.undecodable.map((record) => record.cause)).toEqual(causes);
  expect(symbols.unknown).toEqual(plainSymbols.unknown);
  expect([...rows.offset.subarray(0, rows.rows)]).toEqual([...plain.offset.subarray(0, plain.rows)]);
  return rows.rows;
}

test('the compiled readers, the scanner and the plain way give the same rows, causes and names for any bytes', () => {
  let rows = 0;
  fc.assert(
    fc.property(
      fc.tuple(shaped, fc.array(document, { maxLength: 5 })).map(([same, others]) => [...same, ...others]),
      fc.constantFrom(...tables),
      fields,
      fc.constantFrom(1, 3, 1000),
      fc.constantFrom(0, 200),
      (documents, table, fieldMap, scansBeforeShape, bytesAfter) => {
        // Thrice over: what was learned from a document, good or bad, meets the same bytes again.
        const thrice = [...documents, ...documents, ...documents];
        rows += compare(targetOf(table, fieldMap), thrice, scansBeforeShape, bytesAfter);
      },
    ),
    { numRuns: 700 },
  );
  // Something was decodable at all, or the comparison proves nothing.
  expect(rows).toBeGreaterThan(1000);
});
