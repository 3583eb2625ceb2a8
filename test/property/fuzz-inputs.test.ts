// What: what operators, producers, registries and SQL clients hand in, damaged: settings, keys, names, records, schemas, rows.
// Why: a slip in a file must be named, and no record may end the process that reads it.
// Invariant: a value, a ZeptoError that says what is wrong, or for a record a row or a dead letter.

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { avroDecoder } from '../../connectors/decode/avro.ts';
import { parseAvroSchema } from '../../connectors/decode/avro-schema.ts';
import { binaryDecoder } from '../../connectors/decode/binary.ts';
import { openSchemaRegistry } from '../../connectors/decode/schema-registry.ts';
import { targetOf } from '../../connectors/decode/target.ts';
import { parseDelimited } from '../../connectors/formats/delimited-input.ts';
import { symbolNames } from '../../connectors/fs/symbol-file.ts';
import { parseApiKeys } from '../../connectors/http/api-keys.ts';
import { RowBuffer } from '../../src/columns/batch.ts';
import { SymbolTable } from '../../src/columns/symbols.ts';
import { loadConfig } from '../../src/config/load.ts';
import { settingNames } from '../../src/config/settings.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import { framed } from '../support/avro-encode.ts';
import { everyType, plainFields, recordBatch, rowsOf, trades } from '../support/decode-records.ts';
import { blockOfData } from '../support/insert-block.ts';
import { damage, damaged, damagedJson, jsonDamage } from '../support/mutations.ts';

function refusedOr(codes: readonly string[], read: () => void): boolean {
  try {
    read();
    return true;
  } catch (error) {
    if (!(error instanceof ZeptoError)) throw error;
    expect(codes).toContain(error.code);
    expect(error.message).not.toBe('');
    return false;
  }
}

describe('settings', () => {
  const odd = fc.oneof(
    fc.constantFrom(
      '',
      ' ',
      '0',
      '-1',
      '1e999',
      '9'.repeat(400),
      '9999999999h',
      'NaN',
      'true',
      '--',
      '-p',
      '=',
      ',',
      ',,a=b=c,',
      '__proto__',
      '__proto__=json',
      'constructor=avro',
      'trades=json',
      '\0',
      'ümläut',
      'http://[::1',
      '[',
      '{{',
    ),
    fc.string({ maxLength: 30 }),
  );
  const name = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...settingNames) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        'constructor',
        '__proto__',
        'toString',
        'config',
        'no-',
        'no-no-auth',
        'help',
        '',
      ),
    },
    { weight: 1, arbitrary: fc.string({ maxLength: 12 }) },
  );

  it('of any names and values, by flag and variable, give a Config or the list of problems', () => {
    const flag = fc.oneof(
      fc.tuple(name, odd).map(([flagName, value]) => [`--${flagName}`, value]),
      fc.tuple(name, odd).map(([flagName, value]) => [`--${flagName}=${value}`]),
      name.map((flagName) => [`--no-${flagName}`]),
      odd.map((value) => [value]),
    );
    const variable = fc.tuple(
      name.map((one) => `ZEPTO_${one.toUpperCase().replaceAll('-', '_')}`),
      odd,
    );
    fc.assert(
      fc.property(
        fc.array(flag, { maxLength: 8 }),
        fc.array(variable, { maxLength: 8 }),
        odd,
        (flags, env, file) => {
          const input = {
            argv: flags.flat(),
            env: Object.fromEntries(env),
            readText: () => file,
          };
          refusedOr(['CONFIG_INVALID'], () => loadConfig(input));
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('in a file with anything in any place likewise', () => {
    const file = {
      brokers: ['a:9092', 'b:9092'],
      group: 'g',
      topics: { trades: 'ticks', bids: 'bids' },
      format: { bids: 'avro' },
      'flush-interval': '5s',
      tables: {
        bids: {
          columns: [
            { name: 'ts', type: 'TIMESTAMP_NS' },
            { name: 'sym', type: 'SYMBOL' },
            { name: 'price', type: 'INT64', scale: 4 },
          ],
          'timestamp-column': 'ts',
          fields: { sym: 's' },
        },
      },
    };
    fc.assert(
      fc.property(jsonDamage, (changes) => {
        const text = JSON.stringify(damagedJson(file, changes)) ?? '';
        const input = { argv: ['--config', 'c.json'], env: {}, readText: () => text };
        refusedOr(['CONFIG_INVALID'], () => loadConfig(input));
      }),
      { numRuns: 1000 },
    );
  });

  it('in a file nested beyond measure are refused', () => {
    const stairs = Array.from({ length: 3000 }, (_, i) => `${' '.repeat(i)}a:`).join('\n');
    for (const text of [
      '['.repeat(100_000),
      '{a: '.repeat(100_000),
      '- '.repeat(100_000),
      '? '.repeat(100_000),
      stairs,
      `a: ${'"'.repeat(99_999)}`,
    ]) {
      const input = { argv: ['--config', 'c.yaml'], env: {}, readText: () => text };
      expect(refusedOr(['CONFIG_INVALID'], () => loadConfig(input))).toBe(false);
    }
  });
});

describe('files of names and keys', () => {
  const keys = [
    '# zeptodb-keys-v1',
    `a|first|${'0f'.repeat(32)}|reader||1|0|||1700000000000000000`,
    `b|second|${'a0'.repeat(32)}|admin||0|0|||`,
  ].join('\n');

  it('API keys, however damaged, are read whole or refused', () => {
    fc.assert(
      fc.property(damage, (changes) => {
        refusedOr(['CONFIG_INVALID'], () => {
          for (const { hash, expiresMs } of parseApiKeys(
            damaged(Buffer.from(keys), changes).toString(),
            'f',
          )) {
            expect(hash).toHaveLength(32);
            expect(expiresMs === null || Number.isFinite(expiresMs)).toBe(true);
          }
        });
      }),
      { numRuns: 3000 },
    );
  });

  it('a hundred thousand API keys of one id cost no more than their number', () => {
    const line = `a|n|${'0f'.repeat(32)}|reader||1|0|||${'9'.repeat(20)}`;
    const text = `# zeptodb-keys-v1\n${Array(100_000).fill(line).join('\n')}`;
    expect(() => parseApiKeys(text, 'f')).toThrow(/stands twice/);
    expect(() => parseApiKeys(`# zeptodb-keys-v1\n${line}9`, 'f')).toThrow(/expires/);
  });

  it.each([
    ['JSON', '["AAPL", "MSFT", "é"]'],
    ['JSON by name', '{"AAPL": 1, "MSFT": 0}'],
    ['CSV', 'name,id\nAAPL,1\n"BRK,""B""",0\n'],
    ['lines', 'AAPL\nMSFT\n'],
  ])('symbols in %s, however damaged, are dense and of one name each, or refused', (_, text) => {
    fc.assert(
      fc.property(damage, (changes) => {
        refusedOr(['CONFIG_INVALID'], () => {
          const names = symbolNames(damaged(Buffer.from(text), changes).toString(), 'f');
          expect(names.every((one) => typeof one === 'string')).toBe(true);
          expect(new Set(names).size).toBe(names.length);
        });
      }),
      { numRuns: 2000 },
    );
  });
});

describe('BINARY records', () => {
  it('of any bytes and any Kafka time are rows or a dead letter, at an event time that is there', () => {
    const value = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.uint8Array({ minLength: 28, maxLength: 28 }),
      fc.uint8Array({ minLength: 64, maxLength: 64 }),
      damage.map((changes) => damaged(Buffer.alloc(56), changes)),
    );
    const time = fc.oneof(
      fc.constantFrom(-1, 0, 1, 2 ** 53, -(2 ** 53), 9_223_372_036_854, 9_223_372_036_855, 1e300, Number.NaN),
      fc.maxSafeInteger(),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(value, time), { minLength: 1, maxLength: 8 }), (records) => {
        for (const table of [trades, everyType]) {
          const rows = new RowBuffer(table, 1);
          const batch = recordBatch(records.map(([bytes, timestampMs]) => ({ value: bytes, timestampMs })));
          binaryDecoder(table).decode(batch, 0, batch.count, rows);
          const read = rowsOf(rows, new SymbolTable());
          for (const row of read) expect(row.timestamp).not.toBeNull();
          const seen = new Set([
            ...rows.offset.subarray(0, rows.rows),
            ...rows.undecodable.map(({ offset }) => offset),
          ]);
          expect(seen.size).toBe(records.length);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('Avro schemas', () => {
  const schema = {
    type: 'record',
    name: 'a.Tick',
    fields: [
      { name: 'symbol', type: ['null', 'string'] },
      { name: 'price', type: { type: 'bytes', logicalType: 'decimal', precision: 10, scale: 2 } },
      { name: 'timestamp', type: { type: 'long', logicalType: 'timestamp-micros' } },
      { name: 'size', type: 'int' },
      { name: 'venue', type: { type: 'enum', name: 'V', symbols: ['X', 'Y'] } },
      { name: 'id', type: { type: 'fixed', name: 'F', size: 4 } },
      {
        name: 'rest',
        type: {
          type: 'array',
          items: { type: 'map', values: ['null', 'a.Tick', { type: 'array', items: 'F' }] },
        },
      },
      { name: 'buy', type: 'boolean' },
    ],
  };

  it('with anything in any place, with records of any bytes, give a row or a dead letter each', async () => {
    await fc.assert(
      fc.asyncProperty(
        jsonDamage,
        fc.array(fc.uint8Array({ maxLength: 80 }), { minLength: 1, maxLength: 6 }),
        fc.boolean(),
        async (changes, values, compiled) => {
          const text = JSON.stringify(damagedJson(schema, changes)) ?? '';
          const symbols = new SymbolTable();
          const source = { avroSchema: async () => ({ schema: text, references: [] }) };
          const decoder = avroDecoder(targetOf(everyType, plainFields), symbols, source, compiled);
          const batch = recordBatch(
            values.map((bytes) => framed(1, bytes)),
            200,
          );
          const rows = new RowBuffer(everyType, 1);
          await decoder.decode(batch, 0, batch.count, rows);
          expect(rows.rows + rows.undecodable.length).toBe(values.length);
          for (const row of rowsOf(rows, symbols)) expect(row.timestamp).not.toBeNull();
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('of any text are a type or an error in words', () => {
    const text = fc.oneof(
      fc.string(),
      fc.json({ maxDepth: 5 }),
      damage.map((changes) => damaged(Buffer.from(JSON.stringify(schema)), changes).toString()),
    );
    fc.assert(
      fc.property(text, fc.array(text, { maxLength: 2 }), (one, references) => {
        try {
          expect(parseAvroSchema(one, references).kind).toBeTypeOf('string');
        } catch (error) {
          expect((error as Error).message).not.toBe('');
          expect(error).not.toBeInstanceOf(TypeError);
        }
      }),
      { numRuns: 3000 },
    );
  });
});

describe('a schema registry', () => {
  let server: Server;
  let body = '';
  let url = '';

  beforeAll(async () => {
    server = createServer((_, response) => response.end(body));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => server.close());

  it('that answers anything gives a schema, a reason, or SCHEMA_UNAVAILABLE', async () => {
    const answer = {
      schemaType: 'AVRO',
      schema: '"string"',
      references: [{ name: 'a', subject: 's', version: 1 }],
      error_code: 40403,
    };
    const said = fc.oneof(
      jsonDamage.map((changes) => JSON.stringify(damagedJson(answer, changes)) ?? ''),
      fc.string(),
    );
    await fc.assert(
      fc.asyncProperty(said, async (text) => {
        body = text;
        const registry = openSchemaRegistry({ url, auth: null, clock: systemClock, unknownAgainMs: 0 });
        try {
          const schema = await registry.avroSchema(1);
          expect(typeof schema === 'string' || typeof schema.schema === 'string').toBe(true);
        } catch (error) {
          expect(error).toMatchObject({ code: 'SCHEMA_UNAVAILABLE' });
        } finally {
          registry.close();
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('rows of an INSERT', () => {
  const columns = trades.columns.map((column) => column.name);
  const csv = 'AAPL,1.5,10,1700000000000000000\n"MS""FT",2,\\N,1700000000000000001\r\n';
  const json = '{"symbol":"A","price":1.5,"volume":3,"timestamp":1}\n{"symbol":"B","price":"2"}\n';

  it('however damaged, are all rows or an error that says which', async () => {
    const given = fc.oneof(
      fc.constant(['CSV', csv] as const),
      fc.constant(['TSV', csv.replaceAll(',', '\t')] as const),
      fc.constant(['CSVWithNames', `symbol,price,volume,timestamp\n${csv}`] as const),
      fc.constant(['JSONEachRow', json] as const),
      fc.constant(['ArrowStream', csv] as const),
    );
    await fc.assert(
      fc.asyncProperty(given, damage, async ([format, text], changes) => {
        try {
          const block = await blockOfData(format, damaged(Buffer.from(text), changes), trades, columns, 0);
          expect(block.columns).toHaveLength(block.rows === 0 ? 0 : columns.length);
        } catch (error) {
          if (!(error instanceof ZeptoError)) throw error;
          expect(error.code).toBe('FORMAT_INVALID');
        }
      }),
      { numRuns: 4000 },
    );
  });

  it('with text behind a closing quote, or bytes that are not UTF-8, are refused, not taken for others', async () => {
    expect(() => parseDelimited('"a","b"x,y', ',').next()).toThrow(
      /row 1: text stands behind a closing quote/,
    );
    expect([...parseDelimited('"a","b"\n"c",\r\n', ',')]).toEqual([
      ['a', 'b'],
      ['c', ''],
    ]);
    const latin1 = Buffer.from('\xe9,1,1,1\n', 'latin1');
    for (const format of ['CSV', 'JSONEachRow'])
      await expect(blockOfData(format, latin1, trades, columns, 0)).rejects.toMatchObject({
        code: 'FORMAT_INVALID',
      });
  });
});
