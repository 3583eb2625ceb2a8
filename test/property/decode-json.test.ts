// What: the JSON scanner beside the plain way, over tick-like documents in every spelling and over broken ones.
// Why: two readers of one format are one bug waiting, unless something compares them on what nobody thought of.
// Invariant: same rows, same causes, same dictionary, whatever the bytes.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { jsonDecoder } from '../../connectors/decode/json.ts';
import { decodeJson } from '../../connectors/decode/json-fallback.ts';
import { targetOf } from '../../connectors/decode/target.ts';
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

const tables: readonly TableSchema[] = [trades, everyType];

const fields = fc.record<FieldMap>({
  names: fc.constantFrom({}, { timestamp: 'ts', price: 'px' }),
  timeUnit: fc.constantFrom('ns', 'us', 'ms', 's'),
  scaledNumbers: fc.constantFrom('value', 'scaled'),
});

test('the scanner and the plain way give the same rows, causes and names for any bytes', () => {
  let scanned = 0;
  fc.assert(
    fc.property(
      fc.array(document, { minLength: 1, maxLength: 8 }),
      fc.constantFrom(...tables),
      fields,
      (distinct, table, fieldMap) => {
        // Thrice over: what the scanner learned from a document, good or bad, meets the same bytes again.
        const documents = [...distinct, ...distinct, ...distinct];
        const target = targetOf(table, fieldMap);
        const batch = recordBatch(documents);
        const symbols = new SymbolTable();
        symbols.learn('AAPL', 0);
        const rows = new RowBuffer(table, 1);
        jsonDecoder(target, symbols).decode(batch, 0, batch.count, rows);

        const plainSymbols = new SymbolTable();
        plainSymbols.learn('AAPL', 0);
        const plain = new RowBuffer(table, documents.length);
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
        scanned += rows.rows;
      },
    ),
    { numRuns: 3000 },
  );
  // Something was decodable at all, or the comparison proves nothing.
  expect(scanned).toBeGreaterThan(1000);
});
