// What: @clickhouse/client against a real member: queries, streams, parameters, settings, errors, aborts.
// Why: who has a program that talks to ClickHouse should be able to point it here.
// Invariant: the client is the published one, with its own defaults; only the address is ours (and its log is off).

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ClickHouseClient, ClickHouseError, ClickHouseLogLevel, createClient } from '@clickhouse/client';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { type ClientScene, deals, openClientScene, runningQueries } from '../support/client-scene.ts';
import { killMembers } from '../support/member.ts';

const services = inject('services');
let home: string;
let scene: ClientScene;
let client: ClickHouseClient;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'zepto-clickhouse-client-'));
  scene = await openClientScene(home, services.brokers);
  client = createClient({ url: scene.url, log: { level: ClickHouseLogLevel.OFF } });
});
afterAll(async () => {
  await client?.close();
  await killMembers();
  await rm(home, { recursive: true, force: true });
});

async function failure(work: Promise<unknown>): Promise<ClickHouseError> {
  const error = await work.then(
    () => null,
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(ClickHouseError);
  return error as ClickHouseError;
}

const overTicks = 'SELECT id, symbol, price FROM trades ORDER BY id';

describe('@clickhouse/client', () => {
  it('pings, and asks for version and time zone', async () => {
    expect(await client.ping()).toEqual({ success: true });
    expect(await client.ping({ select: true })).toEqual({ success: true });
    const result = await client.query({
      query: 'SELECT version() AS version, timezone() AS zone',
      format: 'JSONEachRow',
    });
    expect(await result.json()).toEqual([{ version: expect.stringMatching(/^\d+\.\d+/), zone: 'UTC' }]);
  });

  it('reads every type as JSON, with names and types of columns', async () => {
    const result = await client.query({ query: 'SELECT * FROM deals ORDER BY timestamp' });
    expect(result.response_headers['x-clickhouse-format']).toBe('JSON');
    const { meta, data, rows } = await result.json();
    expect(rows).toBe(deals.length);
    expect(meta!.map(({ name, type }) => `${name} ${type}`)).toEqual([
      "timestamp Nullable(DateTime64(9, 'UTC'))",
      'symbol Nullable(String)',
      'price Nullable(Decimal(18, 4))',
      'size Nullable(Int64)',
      'venue Nullable(String)',
      'share Nullable(Float64)',
      'buy Nullable(Bool)',
    ]);
    const times = ['06:00:00.000000001', '06:00:00.000001000', '06:00:01.000000002', '06:00:02.000000000'];
    expect(data).toEqual(
      deals.map(({ ns: _, ...deal }, i) => ({ timestamp: `2024-03-21 ${times[i]}`, ...deal })),
    );
  });

  it('takes int64 unquoted when the setting says so', async () => {
    const result = await client.query({
      query: 'SELECT count(*) AS n FROM trades',
      format: 'JSONEachRow',
      clickhouse_settings: { output_format_json_quote_64bit_integers: 0 },
    });
    expect(await result.json()).toEqual([{ n: scene.ledger.produced }]);
  });

  it('streams every row, compressed or not', async () => {
    const compressed = createClient({ url: scene.url, compression: { response: true } });
    try {
      for (const one of [client, compressed]) {
        const result = await one.query({ query: overTicks, format: 'JSONCompactEachRow' });
        let next = 0;
        for await (const rows of result.stream())
          for (const row of rows) expect((row.json() as unknown[])[0]).toBe(String(next++));
        expect(next).toBe(scene.ledger.produced);
      }
    } finally {
      await compressed.close();
    }
  });

  it('sends parameters of every kind, which are never read as SQL', async () => {
    const result = await client.query({
      query: `SELECT symbol, {text:String} AS text, {flag:Bool} AS flag FROM deals
              WHERE symbol IN {symbols:Array(String)} AND size > {size:Int64} AND price < {price:Float64}
                AND timestamp >= {from:DateTime64(9)} ORDER BY symbol LIMIT {n:UInt32}`,
      format: 'JSONEachRow',
      query_params: {
        ...{ text: `it's "a" \\ b\n; DROP TABLE deals`, flag: true, symbols: ['AAPL', "MS'FT", 'MSFT'] },
        ...{ size: '9', price: 150.5, from: new Date('2024-03-21T06:00:00Z'), n: 10 },
      },
    });
    const text = `it's "a" \\ b\n; DROP TABLE deals`;
    expect(await result.json()).toEqual([
      { symbol: 'AAPL', text, flag: true },
      { symbol: 'MSFT', text, flag: true },
    ]);
  });

  it('sends long parameters as a form', async () => {
    const symbols = ['MSFT', ...Array.from({ length: 20_000 }, (_, i) => `NOT-THERE-${i}`)];
    const result = await client.query({
      query: 'SELECT symbol FROM deals WHERE symbol IN {symbols:Array(String)}',
      format: 'JSONEachRow',
      query_params: { symbols },
      use_multipart_params: true,
    });
    expect(await result.json()).toEqual([{ symbol: 'MSFT' }]);
  });

  it.each([
    ['SELECT * FROM nowhere', '60', 'UNKNOWN_TABLE', 'unknown table nowhere'],
    ['SELECT pirce FROM deals', '47', 'UNKNOWN_IDENTIFIER', 'did you mean price?'],
    ['SELEC 1', '62', 'SYNTAX_ERROR', 'expected'],
    ['SELECT nofunction(1)', '46', 'UNKNOWN_FUNCTION', 'nofunction'],
    ['UPDATE deals SET size = 1', '48', 'NOT_IMPLEMENTED', 'append-only'],
    ['SELECT 1 SETTINGS no_such_setting = 1', '115', 'UNKNOWN_SETTING', 'no_such_setting is not known'],
  ])('is told what is wrong with %s', async (query, code, type, message) => {
    const error = await failure(client.query({ query }));
    expect([error.code, error.type]).toEqual([code, type]);
    expect(error.message).toContain(message);
  });

  it('is refused a setting that would not be obeyed', async () => {
    const error = await failure(
      client.query({ query: 'SELECT 1', clickhouse_settings: { result_overflow_mode: 'break' } }),
    );
    expect([error.code, error.type]).toEqual(['115', 'UNKNOWN_SETTING']);
    expect(error.message).toContain('it is throw here');
  });

  it('is told of an error in the middle of a stream', async () => {
    const result = await client.query({
      query: overTicks,
      format: 'JSONEachRow',
      clickhouse_settings: { max_result_rows: '20000' },
    });
    let seen = 0;
    const read = async (): Promise<void> => {
      for await (const rows of result.stream()) seen += rows.length;
    };
    const error = await failure(read());
    expect([error.code, error.type]).toEqual(['396', 'TOO_MANY_ROWS_OR_BYTES']);
    expect(error.message).toContain('more than 20000 rows');
    expect(seen).toBeLessThanOrEqual(20_000);
  });

  it('ends its query by an abort', async () => {
    const controller = new AbortController();
    const query = client.query({
      query: 'SELECT count(*) FROM trades a CROSS JOIN trades b WHERE a.price + b.price < 0',
      query_id: 'to-be-aborted',
      abort_signal: controller.signal,
    });
    const ended = query.then(
      () => 'answered',
      () => 'aborted',
    );
    await scene.member.until(
      async () => ((await runningQueries(scene.url)).length > 0 ? true : undefined),
      'the query in the list',
      10_000,
    );
    expect(await runningQueries(scene.url)).toMatchObject([{ id: 'to-be-aborted' }]);
    controller.abort();
    expect(await ended).toBe('aborted');
    await scene.member.until(
      async () => ((await runningQueries(scene.url)).length === 0 ? true : undefined),
      'end of the query',
      5_000,
    );
  });

  it('makes a table, inserts into it, and finds it in the system tables', async () => {
    await client.command({
      query: `CREATE TABLE made (timestamp TIMESTAMP, symbol SYMBOL, v INT64) WITH (topic = '${scene.topic}-made')`,
    });
    await client.insert({
      table: 'made',
      values: [
        { timestamp: '2024-03-21 06:00:00', symbol: 'A', v: 1 },
        { timestamp: '2024-03-21 06:00:01', symbol: 'B', v: '9007199254740993' },
      ],
      format: 'JSONEachRow',
    });
    const ask = async (query: string): Promise<unknown[]> =>
      (await client.query({ query, format: 'JSONEachRow' })).json();
    expect(await ask('SELECT symbol, v FROM made ORDER BY v')).toEqual([
      { symbol: 'A', v: '1' },
      { symbol: 'B', v: '9007199254740993' },
    ]);
    expect(
      await ask("SELECT name, type FROM system.columns WHERE database = 'default' AND table = 'made'"),
    ).toHaveLength(3);
    expect(await ask('DESCRIBE TABLE made')).toMatchObject([
      { name: 'timestamp', type: "Nullable(DateTime64(9, 'UTC'))" },
      { name: 'symbol', type: 'Nullable(String)' },
      { name: 'v', type: 'Nullable(Int64)' },
    ]);
    expect(await ask('SHOW TABLES')).toContainEqual({ name: 'made', rows: '2' });
    const lag = await ask('SHOW KAFKA LAG');
    expect(lag).toContainEqual(
      expect.objectContaining({ table: 'deals', partition: '0', position: '4', lag: '0' }),
    );
    await client.command({ query: 'DROP TABLE made' });
    expect((await failure(client.query({ query: 'SELECT * FROM made' }))).type).toBe('UNKNOWN_TABLE');
  });
});
