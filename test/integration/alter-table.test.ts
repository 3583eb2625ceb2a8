// What: columns added and dropped while ticks flow, on members that die right after.
// Why: each row must stand in exactly one file with the values of its version, whoever runs its plan, and however often.
// Invariant: every acknowledged id is a row or a dead letter, once; no value stands in another column than its own.

import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DuckDBInstance } from '@duckdb/node-api';
import { Kafka, logLevel, Partitioners } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { VerifyReport } from '../../src/verify/report.ts';
import { copyObjects } from '../support/copy-objects.ts';
import { killMembers, MemberProcess } from '../support/member.ts';
import { openScene, type Scene } from '../support/scene.ts';

const services = inject('services');
const START = 1_711_000_800_000_000_000n;
/** Ids of rows that are inserted by SQL begin here. */
const INSERTED = 10_000_000;
let home: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'zepto-alter-'));
});
// The tests run beside each other: members of one are none of the other's to kill.
afterAll(async () => {
  await killMembers();
  await rm(home, { recursive: true, force: true });
});

/**
 * A tick has all fields at any time. `added` of some is no number: a dead letter where there is that column. `old` of others:
 * a dead letter until the column is dropped.
 */
function tickOf(id: number): { key: string; value: string } {
  const symbol = `S${id % 23}`;
  const added = id % 50 === 7 ? '"many"' : String(id * 3);
  const old = id % 50 === 8 ? '"few"' : String(id * 2);
  const timestamp = START + BigInt(id) * 100_000_000n;
  const value = `{"timestamp":${timestamp},"symbol":"${symbol}","id":${id},"old":${old},"added":${added}}`;
  return { key: symbol, value };
}

class Flow {
  /** Ids below it were acknowledged. */
  sent = 0;
  private isStopped = false;
  private readonly running: Promise<void>;

  constructor(kafka: Kafka, topic: string) {
    this.running = this.run(kafka, topic);
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    await this.running;
  }

  private async run(kafka: Kafka, topic: string): Promise<void> {
    const producer = kafka.producer({
      ...{ idempotent: true, maxInFlightRequests: 1, retry: { retries: 100, maxRetryTime: 5_000 } },
      createPartitioner: Partitioners.DefaultPartitioner,
    });
    await producer.connect();
    while (!this.isStopped) {
      const messages = Array.from({ length: 50 }, (_, i) => tickOf(this.sent + i));
      await producer.send({ topic, messages });
      this.sent += messages.length;
      await sleep(20);
    }
    await producer.disconnect();
  }
}

/** Everything of the topic is taken in by these members, together, and sealed. */
async function settled(members: readonly MemberProcess[], topic: string, records: number): Promise<void> {
  await members[0]!.until(
    async () => {
      const all = (await Promise.all(members.map((member) => member.partitions()))).flat();
      const own = all.filter((one) => one.topic === topic);
      const taken = own.reduce((sum, one) => sum + one.position, 0);
      const isDone = taken === records && own.every((one) => one.committed_offset === one.position);
      if (!isDone) for (const member of members) await member.flush();
      return isDone ? true : undefined;
    },
    'everything sealed',
    120_000,
  );
}

async function deadIds(kafka: Kafka, topic: string): Promise<number[]> {
  const consumer = kafka.consumer({ groupId: `dead-${topic}`, readUncommitted: false });
  await consumer.connect();
  await consumer.subscribe({ topic: `${topic}.dlq`, fromBeginning: true });
  const ids: number[] = [];
  let heardAt = Date.now();
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ message }) => {
      ids.push(Number(/"id":(\d+)/.exec(String(message.value))![1]));
      heardAt = Date.now();
    },
  });
  while (ids.length === 0 || Date.now() - heardAt < 2_000) await sleep(50);
  await consumer.disconnect();
  return ids;
}

async function tablesOf(sql: string, where: string): Promise<unknown[]> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const files = `read_parquet('${where}/**/*.parquet', union_by_name = true)`;
  const [row] = (await connection.runAndReadAll(sql.replace('$files', files))).getRows();
  connection.closeSync();
  instance.closeSync();
  return row!.map(Number);
}

/** What `zepto verify` has to complain of. */
function problems(here: Scene): Promise<readonly unknown[]> {
  const { bucket, region, endpoint, accessKeyId, secretAccessKey } = services.s3;
  const program = join(import.meta.dirname, '../../dist/zepto.js');
  const place = [
    '--s3-bucket',
    bucket,
    '--s3-region',
    region,
    '--prefix',
    here.topic,
    '--brokers',
    here.brokers,
  ];
  const server = ['--s3-endpoint-url', endpoint, '--s3-use-path-style'];
  const env = { ...process.env, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  return new Promise((resolve, reject) => {
    const flags = [program, 'verify', ...place, ...server, '--deep', '--json'];
    execFile(process.execPath, flags, { env, maxBuffer: 2 ** 26 }, (_, stdout, stderr) => {
      if (stdout === '') reject(new Error(`no report:\n${stderr}`));
      else resolve((JSON.parse(stdout) as VerifyReport).problems);
    });
  });
}

async function refused(member: MemberProcess, sql: string): Promise<{ error: string; code: string }> {
  const { status, text } = await member.post('/', sql);
  expect(status, text).toBeGreaterThanOrEqual(400);
  return JSON.parse(text) as { error: string; code: string };
}

describe.concurrent('ALTER TABLE', () => {
  it('while ticks flow, with a kill right after, leaves each tick once, with the values of its version', async () => {
    const here = await openScene({ home, brokers: services.brokers, s3: services.s3, partitions: 1 });
    const topic = `${here.topic}-fills`;
    const start = (): MemberProcess => here.start('--seal-interval', '1s', '--hot-window', '1s');
    const [first, second] = [start(), start()];
    await Promise.all([first.ready(120_000), second.ready(120_000)]);
    await first.query(
      `CREATE TABLE fills (timestamp TIMESTAMP, symbol SYMBOL, id INT64, old INT64) WITH (topic = '${topic}', partitions = 4)`,
    );
    const kafka = new Kafka({ brokers: [services.brokers], clientId: 'alter', logLevel: logLevel.ERROR });
    const flow = new Flow(kafka, topic);
    /** All four partitions are owned by these members, and have sealed rows since. */
    const areSealing = async (members: readonly MemberProcess[]): Promise<void> => {
      const from = flow.sent;
      await members[0]!.until(
        async () => {
          const all = (await Promise.all(members.map((member) => member.partitions()))).flat();
          const own = all.filter((one) => one.topic === topic);
          const committed = own.reduce((sum, one) => sum + one.committed_offset, 0);
          return own.length === 4 && committed > from ? true : undefined;
        },
        'that all partitions seal',
        120_000,
      );
    };
    await areSealing([first, second]);

    await first.query('ALTER TABLE fills ADD COLUMN added INT64');
    const sentWhenAdded = flow.sent;
    second.signal('SIGKILL');
    const insert = `INSERT INTO fills (timestamp, symbol, id, old, added) VALUES`;
    const row = (id: number, symbol: string): string =>
      `(${START}, '${symbol}', ${id}, ${id * 2}, ${id * 3})`;
    const symbols = ['S0', 'S1', 'S2', 'S3', 'S4', 'S5', 'S6'];
    const inserted = symbols.map((symbol, i) => row(INSERTED + i, symbol));
    await first.query(`${insert} ${inserted.join(', ')}`);
    const third = start();
    await third.ready(120_000);
    await areSealing([first, third]);

    await third.query('ALTER TABLE fills DROP COLUMN old');
    first.signal('SIGKILL');
    const sentWhenDropped = flow.sent;
    expect((await refused(third, 'SELECT old FROM fills')).code).toBe('SQL_NAME');
    const fourth = start();
    await fourth.ready(120_000);
    await areSealing([third, fourth]);
    await flow.stop();
    const records = flow.sent + symbols.length;
    await settled([third, fourth], topic, records);

    const dead = await deadIds(kafka, topic);
    expect(new Set(dead).size).toBe(dead.length);
    const rows = records - dead.length;
    const folder = join(home, 'bucket');
    await copyObjects(services.s3, `${here.topic}-fills/`, folder);
    const sql = `
      SELECT count(*), count(DISTINCT id),
             sum((added <> id * 3)::INT), sum((old <> id * 2)::INT),
             sum((added IS NULL AND id >= ${sentWhenAdded})::INT),
             sum((old IS NOT NULL AND id BETWEEN ${sentWhenDropped} AND ${INSERTED - 1})::INT),
             sum((old IS NULL AND added IS NULL)::INT),
             sum((id >= ${INSERTED} AND added IS NOT NULL)::INT),
             sum((id % 50 = 7 AND added IS NOT NULL)::INT), sum((id % 50 = 8 AND old IS NOT NULL)::INT),
             sum((id IN (${dead.join()}))::INT)
      FROM $files`;
    const expected = [rows, rows, 0, 0, 0, 0, 0, symbols.length, 0, 0, 0];
    expect(await tablesOf(sql, join(folder, `${here.topic}-fills`))).toEqual(expected);
    const [, added, kept] = await tablesOf(
      'SELECT count(*), count(added), count(old) FROM $files',
      join(folder, `${here.topic}-fills`),
    );
    expect([added, kept].every((some) => (some as number) > 0 && (some as number) < rows)).toBe(true);

    for (const member of [third, fourth]) {
      // Partitions of the other are not seen here.
      const own = await member.query(
        'SELECT count(*), count(DISTINCT id), count(added), sum(CASE WHEN added <> id * 3 THEN 1 ELSE 0 END) FROM fills',
      );
      expect(own[0]![0]).toBe(own[0]![1]);
      expect(own[0]![3]).toBe(0);
    }
    await third.drain();
    await fourth.until(
      async () => {
        const [counts] = await fourth.query('SELECT count(*), count(DISTINCT id), count(added) FROM fills');
        if (counts![0] !== rows) return undefined;
        expect(counts).toEqual([rows, rows, added]);
        return true;
      },
      'all rows on the last member',
      60_000,
    );
    expect(await problems(here)).toEqual([]);
  }, 400_000);

  it('holds at once in memory, in files and in views, and after a restart', async () => {
    const here = await openScene({ home, brokers: services.brokers, s3: null, partitions: 1 });
    const member = here.start('--hot-window', '100h');
    await member.ready(120_000);
    const topic = `${here.topic}-fills`;
    await member.query(
      `CREATE TABLE fills (timestamp TIMESTAMP, symbol SYMBOL, size INT64, lots INT64, note STRING) WITH (topic = '${topic}', partitions = 2)`,
    );
    await member.query(
      'CREATE MATERIALIZED VIEW totals AS SELECT symbol, sum(size) AS size, count(*) AS n FROM fills GROUP BY symbol',
    );
    const put = (columns: string, ...rows: readonly string[]): Promise<unknown> =>
      member.query(`INSERT INTO fills (timestamp, symbol, ${columns}) VALUES ${rows.join(', ')}`);
    await put('size, lots, note', `(${START}, 'A', 1, 10, 'x')`, `(${START + 1n}, 'B', 2, 20, 'y')`);
    const sums = 'SELECT count(*), sum(size) FROM fills';
    expect(await member.query(sums)).toEqual([[2, 3]]);
    expect(await member.query('SELECT sum(lots) FROM fills')).toEqual([[30]]);

    expect(await member.query('ALTER TABLE fills DROP COLUMN lots')).toEqual([
      ["Column 'lots' dropped from 'fills'"],
    ]);
    expect(await member.query('ALTER TABLE fills ADD COLUMN fee DECIMAL(18, 2)')).toEqual([
      ["Column 'fee' added to 'fills'"],
    ]);
    expect((await member.query('DESCRIBE fills')).map(([name]) => name)).toEqual([
      ...['timestamp', 'symbol', 'size', 'note', 'fee'],
    ]);
    await put('size, note, fee', `(${START + 2n}, 'A', 4, 'z', 0.25)`, `(${START + 3n}, 'B', 8, NULL, 0.5)`);
    const all = 'SELECT symbol, size, note, fee FROM fills ORDER BY timestamp';
    const expected = [
      ['A', 1, 'x', null],
      ['B', 2, 'y', null],
      ['A', 4, 'z', 0.25],
      ['B', 8, null, 0.5],
    ];
    const holds = async (): Promise<void> => {
      expect(await member.query(all)).toEqual(expected);
      expect(await member.query(sums)).toEqual([[4, 15]]);
      expect(await member.query('SELECT sum(fee), count(fee), max(note) FROM fills')).toEqual([
        [0.75, 2, 'z'],
      ]);
      expect(await member.query('SELECT * FROM totals ORDER BY symbol')).toEqual([
        ['A', 5, 2],
        ['B', 10, 2],
      ]);
    };
    await holds();
    expect((await refused(member, 'SELECT lots FROM fills')).code).toBe('SQL_NAME');
    const refusals = [
      ['ALTER TABLE fills ADD COLUMN lots INT64', 'was dropped'],
      ['ALTER TABLE fills DROP COLUMN size', 'used by the view totals'],
      ['ALTER TABLE fills DROP COLUMN timestamp', 'event time'],
      ['ALTER TABLE trades ADD COLUMN x INT64', 'configuration'],
    ] as const;
    for (const [sql, why] of refusals) expect((await refused(member, sql)).error).toContain(why);
    await member.flush();
    await holds();
    expect(await member.drain(), member.tail()).toBe(0);
    const again = here.start('--hot-window', '1s');
    await again.ready(120_000);
    const wanted = JSON.stringify(expected);
    await again.until(
      async () => (JSON.stringify(await again.query(all)) === wanted ? true : undefined),
      'the rows',
      60_000,
    );
    expect((await refused(again, 'SELECT lots FROM fills')).code).toBe('SQL_NAME');
    expect((await refused(again, 'ALTER TABLE fills ADD lots STRING')).error).toContain('was dropped');
    await again.query(
      `INSERT INTO fills (timestamp, symbol, size, fee) SELECT timestamp, symbol, size, 9.75 FROM totals CROSS JOIN (SELECT ${START} AS timestamp)`,
    );
    expect(await again.query('SELECT count(*), sum(size), max(fee) FROM fills')).toEqual([[6, 30, 9.75]]);
  }, 240_000);

  it('without files changes the columns of what comes, and leaves memory as it is', async () => {
    const here = await openScene({ home, brokers: services.brokers, s3: null, partitions: 1 });
    const config = join(home, `${here.topic}.json`);
    const flags = [
      '--brokers',
      here.brokers,
      '--group',
      here.topic,
      '--config',
      config,
      '--storage-mode',
      'pure',
    ];
    const member = MemberProcess.start({ flags, env: {} });
    await member.ready(120_000);
    const topic = `${here.topic}-fills`;
    await member.query(
      `CREATE TABLE fills (timestamp TIMESTAMP, symbol SYMBOL, size INT64) WITH (topic = '${topic}', partitions = 1)`,
    );
    await member.query(`INSERT INTO fills VALUES (now(), 'A', 1), (now(), 'B', 2)`);
    await member.query('ALTER TABLE fills ADD COLUMN note STRING');
    await member.query('ALTER TABLE fills DROP COLUMN size');
    await member.query(`INSERT INTO fills VALUES (now(), 'A', 'x')`);
    expect(await member.query('SELECT symbol, note FROM fills ORDER BY symbol, note NULLS FIRST')).toEqual([
      ['A', null],
      ['A', 'x'],
      ['B', null],
    ]);
    const tiers = "SELECT rows FROM system.tiers WHERE table = 'fills' AND tier = 'hot'";
    expect(await member.query(tiers)).toEqual([[3]]);
  }, 180_000);
});
