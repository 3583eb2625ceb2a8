// What: tables made, filled and dropped by SQL, on members that share a catalogue topic.
// Why: DDL must hold on every member and after restarts, and inserted rows take the way of every other tick.
// Invariant: what an INSERT has answered is in the next answer, once, also after SIGKILL.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RecordBatchStreamWriter, tableFromArrays } from 'apache-arrow';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { killMembers, type MemberProcess } from '../support/member.ts';
import { openScene, type Scene } from '../support/scene.ts';

const services = inject('services');
let home: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'zepto-ddl-'));
});
afterEach(killMembers);
afterAll(() => rm(home, { recursive: true, force: true }));

const scene = (): Promise<Scene> => openScene({ home, brokers: services.brokers, s3: null, partitions: 2 });

/** A topic of its own, since scenes share a broker. */
const fillsOf = ({ topic }: Scene): string =>
  `CREATE TABLE fills (timestamp TIMESTAMP, symbol SYMBOL, price DECIMAL(18, 4), size INT64, venue STRING, share FLOAT64, isBuy BOOL)
   WITH (topic = '${topic}-fills', partitions = 3)`;

const START = 1_711_000_800_000_000_000n;

async function refused(
  member: MemberProcess,
  sql: string,
): Promise<{ error: string; code: string; position?: number }> {
  const { status, text } = await member.post('/', sql);
  expect(status, text).toBeGreaterThanOrEqual(400);
  return JSON.parse(text) as { error: string; code: string; position?: number };
}

describe('a table made by CREATE TABLE', () => {
  it('takes rows by VALUES, SELECT, JSON lines, CSV and Arrow, and shows them when they are answered', async () => {
    const here = await scene();
    const member = here.start();
    await member.ready();
    expect(await member.query(fillsOf(here))).toEqual([["Table 'fills' created"]]);
    expect(
      await member.query(`INSERT INTO fills VALUES
        (${START}, 'AAPL', 150.25, 10, 'X', 0.5, true),
        ('2024-03-21 06:00:01', 'MSFT', 99.0001, 9007199254740993, NULL, NULL, false)`),
    ).toEqual([[2]]);
    expect(await member.query('SELECT count(*) FROM fills')).toEqual([[2]]);
    const [row] = await member.query(
      "SELECT timestamp, symbol, price, CAST(size AS STRING), venue, share, isBuy FROM fills WHERE symbol = 'MSFT'",
    );
    expect(row).toEqual([1_711_000_801_000_000_000, 'MSFT', 99.0001, '9007199254740993', null, null, false]);
    expect(
      await member.query(
        "INSERT INTO fills (symbol, timestamp, price, size) SELECT 'GOOG', timestamp + 1, price * 2, size FROM fills WHERE symbol = 'AAPL'",
      ),
    ).toEqual([[1]]);
    const json = [
      '{"timestamp":1711000802000000000,"symbol":"AAPL","price":1.5,"size":3}',
      '{"timestamp":1711000803000000000,"symbol":"TSLA","price":"2.5","size":4}',
    ];
    const lines = await member.post('/?query=INSERT+INTO+fills+FORMAT+JSONEachRow', json.join('\n'));
    expect(lines.status, lines.text).toBe(200);
    const csv = await member.post(
      '/?query=INSERT+INTO+fills+(timestamp,symbol,price,size)+FORMAT+CSV',
      '1711000804000000000,"A,B",3.25,5\n1711000805000000000,AAPL,3.5,\\N\n',
    );
    expect(csv.status, csv.text).toBe(200);
    const arrow = RecordBatchStreamWriter.writeAll(
      tableFromArrays({
        timestamp: BigInt64Array.of(START + 6_000_000_000n),
        symbol: ['ARROW'],
        price: Float64Array.of(4.75),
        size: BigInt64Array.of(6n),
      }),
    ).toUint8Array(true);
    const sent = await member.post('/insert/arrow?table=fills', arrow);
    expect(sent.status, sent.text).toBe(200);
    expect(JSON.parse(sent.text)).toMatchObject({ columns: ['inserted'], data: [[1]] });
    expect(
      await member.query('SELECT symbol, count(*), sum(price) FROM fills GROUP BY symbol ORDER BY symbol'),
    ).toEqual([
      ['A,B', 1, 3.25],
      ['AAPL', 3, 155.25],
      ['ARROW', 1, 4.75],
      ['GOOG', 1, 300.5],
      ['MSFT', 1, 99.0001],
      ['TSLA', 1, 2.5],
    ]);
  });

  it('holds on another member, and after all were killed, with every row', async () => {
    const here = await scene();
    const [first, second] = [here.start(), here.start()];
    await Promise.all([first.ready(), second.ready()]);
    await first.query(fillsOf(here));
    await second.until(
      async () => (await second.query('SELECT * FROM fills LIMIT 0')) && true,
      'the table',
      5_000,
    );
    for (let i = 0; i < 20; i++)
      await (i % 2 === 0 ? first : second).query(
        `INSERT INTO fills (timestamp, symbol, price, size) VALUES (${START + BigInt(i)}, 'S${i % 5}', ${i}, ${i})`,
      );
    await Promise.all([first.kill(), second.kill()]);
    const third = here.start();
    await third.ready(90_000);
    const rows = await third.until(
      async () => {
        const [[count, distinct]] = (await third.query(
          'SELECT count(*), count(DISTINCT size) FROM fills',
        )) as [[number, number]];
        expect(distinct).toBe(count);
        return count === 20 ? count : undefined;
      },
      'all rows',
      60_000,
    );
    expect(rows).toBe(20);
  }, 180_000);

  it('has one winner when two members make it differently at the same time', async () => {
    const here = await scene();
    const members = [here.start(), here.start()];
    await Promise.all(members.map((member) => member.ready()));
    const answers = await Promise.all(
      members.map((member, i) =>
        member.post(
          '/',
          `CREATE TABLE duel (timestamp TIMESTAMP, symbol SYMBOL, v${i} INT64) WITH (topic = '${here.topic}-duel${i}')`,
        ),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
    const columns = await Promise.all(
      members.map((member) =>
        member.until(
          async () => {
            const response = await member.post('/', 'SELECT * FROM duel LIMIT 0');
            return response.status === 200
              ? (JSON.parse(response.text) as { columns: string[] }).columns
              : undefined;
          },
          'the table',
          5_000,
        ),
      ),
    );
    expect(columns[0]).toEqual(columns[1]);
    const winner = answers[0]!.status === 200 ? 'v0' : 'v1';
    expect(columns[0]).toContain(winner);
  }, 120_000);

  it('is gone after DROP TABLE, and another of its name starts afresh', async () => {
    const here = await scene();
    const member = here.start();
    await member.ready();
    await member.query(fillsOf(here));
    await member.query(
      "INSERT INTO fills (timestamp, symbol, price, size) VALUES (1711000800000000000, 'A', 1, 1)",
    );
    expect(await member.query('DROP TABLE fills')).toEqual([["Table 'fills' dropped"]]);
    expect((await refused(member, 'SELECT * FROM fills')).code).toBe('SQL_NAME');
    await member.query(
      `CREATE TABLE fills (timestamp TIMESTAMP, symbol SYMBOL, bid FLOAT64) WITH (topic = '${here.topic}-other')`,
    );
    await member.query("INSERT INTO fills VALUES ('2024-03-21', 'B', 2.5)");
    expect(await member.query('SELECT symbol, bid FROM fills')).toEqual([['B', 2.5]]);
  }, 120_000);
});

describe('what cannot be done', () => {
  it('is refused with its reason, and nothing of it is written', async () => {
    const here = await scene();
    const member = here.start();
    await member.ready();
    await member.query(fillsOf(here));
    const cases: readonly (readonly [string, string, RegExp])[] = [
      [fillsOf(here), 'CATALOG_CONFLICT', /Table 'fills' already exists/],
      ['CREATE TABLE t (symbol SYMBOL, price INT64)', 'SQL_TYPE', /needs a column of type TIMESTAMP_NS/],
      [
        "CREATE TABLE t (timestamp TIMESTAMP, symbol SYMBOL) WITH (formatt = 'json')",
        'SQL_UNSUPPORTED',
        /unknown option formatt.*format/,
      ],
      [
        "CREATE TABLE t (timestamp TIMESTAMP, symbol SYMBOL) WITH (format = 'avro')",
        'SQL_UNSUPPORTED',
        /--schema-registry/,
      ],
      [
        `CREATE TABLE t (timestamp TIMESTAMP, symbol SYMBOL) WITH (topic = '${here.topic}')`,
        'CATALOG_CONFLICT',
        /already fills table 'trades'/,
      ],
      ['DROP TABLE trades', 'CATALOG_CONFLICT', /configuration/],
      ['DROP TABLE nothing', 'CATALOG_CONFLICT', /does not exist/],
      ["INSERT INTO fils VALUES (1, 'A')", 'SQL_NAME', /'fils' does not exist.*fills/],
      ["INSERT INTO fills VALUES (1, 'A')", 'SQL_TYPE', /expected 7, got 2/],
      [
        "INSERT INTO fills (timestamp, symbol, price) VALUES (1, 'A', 1), (2, 'B', 'many')",
        'SQL_TYPE',
        /STRING cannot be stored/,
      ],
      [
        "INSERT INTO fills (timestamp, symbol, price) VALUES (1, 'A', 1), (2, 'B', 1e30)",
        'SQL_TYPE',
        /does not fit/,
      ],
      ['INSERT INTO fills (timestamp, price) VALUES (1, 1)', 'SQL_TYPE', /symbol is never NULL/],
      ["UPDATE fills SET price = 1 WHERE symbol = 'A'", 'SQL_UNSUPPORTED', /append-only/],
      ['DELETE FROM fills', 'SQL_UNSUPPORTED', /append-only/],
    ];
    for (const [sql, code, message] of cases) {
      const answer = await refused(member, sql);
      expect({ sql, code: answer.code }).toEqual({ sql, code });
      expect(answer.error).toMatch(message);
    }
    const csv = await member.post(
      '/?query=INSERT+INTO+fills+FORMAT+JSONEachRow',
      '{"timestamp":1,"symbol":"A","price":1}\n{"price":2}',
    );
    expect(csv.status).toBe(400);
    expect(csv.text).toMatch(/row 2: .*symbol/);
    const get = await member.get(
      `/?query=${encodeURIComponent("INSERT INTO fills (timestamp, symbol) VALUES (1, 'A')")}`,
    );
    expect(get.status).toBe(403);
    expect(await member.query('SELECT count(*) FROM fills')).toEqual([[0]]);
  }, 120_000);
});
