// What: Avro ticks through the real schema registry: registered and encoded by kafkajs's client, decoded by ours.
// Why: framing, ids, references and error codes are the registry's to define, not a mock's.
// Invariant: a missing registry fails the run; nothing is skipped.

import { SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry';
import { afterAll, expect, inject, test } from 'vitest';
import { createDecoder } from '../../connectors/decode/decoder.ts';
import { openSchemaRegistry } from '../../connectors/decode/schema-registry.ts';
import { SymbolTable } from '../../src/columns/symbols.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { decodeAll, plainFields, recordBatch, trades } from '../support/decode-records.ts';

const { schemaRegistry } = inject('services');
const theirs = new SchemaRegistry({ host: schemaRegistry });
const ours = openSchemaRegistry({ url: schemaRegistry, auth: null, clock: systemClock, unknownAgainMs: 50 });
afterAll(() => ours.close());

const subject = (name: string): string => `decode-avro-${name}-${process.pid}-value`;

const tickV1 = {
  type: 'record',
  name: 'Tick',
  namespace: 'test.ticks',
  fields: [
    { name: 'symbol', type: 'string' },
    { name: 'price', type: 'double' },
    { name: 'timestamp', type: { type: 'long', logicalType: 'timestamp-millis' } },
  ],
};

const tickV2 = {
  ...tickV1,
  fields: [
    ...tickV1.fields.slice(1),
    tickV1.fields[0],
    { name: 'volume', type: ['null', 'long'], default: null },
  ],
};

async function register(name: string, schema: unknown): Promise<number> {
  const registered = await theirs.register(
    { type: SchemaType.AVRO, schema: JSON.stringify(schema) },
    { subject: subject(name) },
  );
  return registered.id;
}

function decoder(symbols: SymbolTable) {
  const format = { kind: 'avro' as const, fields: plainFields };
  return createDecoder({ table: trades, topic: 'ticks', format }, symbols, ours);
}

test('ticks of two versions of a schema, encoded by another client, become rows', async () => {
  const v1 = await register('evolution', tickV1);
  const v2 = await register('evolution', tickV2);
  expect(v2).not.toBe(v1);
  const values = [
    await theirs.encode(v1, { symbol: 'AAPL', price: 150.25, timestamp: 1711000800123 }),
    await theirs.encode(v2, { symbol: 'MSFT', price: 1, timestamp: 1711000800124, volume: 7 }),
    await theirs.encode(v2, { symbol: 'AAPL', price: 2.5, timestamp: 1711000800125, volume: null }),
  ];
  const symbols = new SymbolTable();
  const { rows, causes } = await decodeAll(decoder(symbols), trades, symbols, recordBatch(values));
  expect(causes).toEqual([]);
  expect(rows).toEqual([
    { symbol: 'AAPL', price: 1502500n, volume: null, timestamp: 1711000800123000000n },
    { symbol: 'MSFT', price: 10000n, volume: 7n, timestamp: 1711000800124000000n },
    { symbol: 'AAPL', price: 25000n, volume: null, timestamp: 1711000800125000000n },
  ]);
});

test('an id that the registry does not know makes its records undecodable, not the registry unavailable', async () => {
  const value = Buffer.from([0, 0x7f, 0xff, 0xff, 0x01, 2, 0x41]);
  const symbols = new SymbolTable();
  const { rows, causes } = await decodeAll(decoder(symbols), trades, symbols, recordBatch([value]));
  expect(rows).toEqual([]);
  expect(causes).toEqual(['schema 2147483393 is not known to the registry']);
});

test('a schema that refers to another subject is put together', async () => {
  await register('side', { type: 'enum', name: 'Side', namespace: 'test.ticks', symbols: ['BUY', 'SELL'] });
  const schema = {
    type: 'record',
    name: 'Trade',
    namespace: 'test.ticks',
    fields: [
      { name: 'symbol', type: 'string' },
      { name: 'side', type: 'test.ticks.Side' },
    ],
  };
  const references = [{ name: 'test.ticks.Side', subject: subject('side'), version: 1 }];
  const { id } = await theirs.register(
    { type: SchemaType.AVRO, schema: JSON.stringify(schema), references },
    { subject: subject('trade') },
  );
  const text = await ours.avroSchema(id);
  expect(text).toMatchObject({ references: [expect.stringContaining('"Side"')] });
  const value = await theirs.encode(id, { symbol: 'AAPL', side: 'SELL' });
  const symbols = new SymbolTable();
  const { rows } = await decodeAll(decoder(symbols), trades, symbols, recordBatch([value]));
  expect(rows).toMatchObject([{ symbol: 'AAPL', price: null }]);
});

test('another path than the registry’s API is refused with what to check', async () => {
  const wrong = openSchemaRegistry({ url: `${schemaRegistry}/nothing-here`, auth: null, clock: systemClock });
  await expect(wrong.avroSchema(1)).rejects.toMatchObject({ code: 'SCHEMA_UNAVAILABLE', action: 'stop' });
});
