// What: partials of views in a real bucket, of real members that are killed while ticks flow, merged by DuckDB as the documentation says.
// Why: readers of the bucket must get the very bars that members answer, whoever sealed the rows and when the view was made.
// Invariant: merged partials equal the view and its recomputation from the raw objects; each committed plan has its record.

import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { paginateListObjectsV2 } from '@aws-sdk/client-s3';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { afterAll, afterEach, beforeAll, expect, inject, it } from 'vitest';
import { copyObjects } from '../support/copy-objects.ts';
import { s3Client } from '../support/ledger.ts';
import { killMembers, type MemberProcess } from '../support/member.ts';
import { openScene, type Scene, sealAll } from '../support/scene.ts';

const services = inject('services');
const program = join(import.meta.dirname, '../../dist/zepto.js');
let home: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'zepto-view-partials-'));
});
afterEach(killMembers);
afterAll(() => rm(home, { recursive: true, force: true }));

const FROM = 'FROM trades GROUP BY symbol, xbar(timestamp, 5m)';
/** As docs/views.md has it, over the columns that there are. */
const BARS = `SELECT symbol, xbar(timestamp, 5m) AS bar, first(price) AS open, max(price) AS high, min(price) AS low, last(price) AS close, sum(id) AS volume, vwap(price, id) AS vwap ${FROM}`;
const SPREAD = `SELECT symbol, xbar(timestamp, 5m) AS bar, stddev_pop(price) AS deviation, count(*) AS ticks ${FROM}`;

async function keysBelow({ topic }: Scene, prefix: string): Promise<string[]> {
  const client = s3Client(services.s3);
  const keys: string[] = [];
  const Prefix = `${topic}${prefix}`;
  for await (const page of paginateListObjectsV2({ client }, { Bucket: services.s3.bucket, Prefix }))
    keys.push(...(page.Contents ?? []).map(({ Key }) => Key!.slice(Prefix.length)));
  client.destroy();
  return keys;
}

const definitionOf = async (member: MemberProcess, view: string): Promise<string> =>
  (await member.query(`SELECT definition FROM system.views WHERE view = '${view}'`))[0]![0] as string;

/** Resolves when the view has a record of each plan. */
async function complete(scene: Scene, member: MemberProcess, view: string): Promise<string> {
  const definition = await definitionOf(member, view);
  await member.until(
    async () => {
      const plans = await keysBelow(scene, '/_plans/');
      const records = new Set(await keysBelow(scene, `-views/${view}/definition=${definition}/_plans/`));
      return plans.every((plan) => records.has(plan)) || undefined;
    },
    `partials of ${view}`,
    60_000,
  );
  return definition;
}

async function documentedSql(data: string, definition: string): Promise<string> {
  const text = await readFile(join(import.meta.dirname, '../../docs/views.md'), 'utf8');
  const [block] = [...text.matchAll(/```sql\n(.*?)```/gs)].filter(([, sql]) => sql!.includes('$DATA-views'));
  return block![1]!.replaceAll('$DATA', data).replaceAll('$DEFINITION', definition);
}

const rawBars = (data: string): string => `
  SELECT s.name AS symbol, make_timestamp_ns(epoch_ns(timestamp) // 300000000000 * 300000000000) AS bar,
    first(price ORDER BY epoch_ns(timestamp), id) / 1e4 AS open, max(price) / 1e4 AS high, min(price) / 1e4 AS low,
    last(price ORDER BY epoch_ns(timestamp), id) / 1e4 AS close, sum(id) AS volume, sum(price * id) / sum(id) / 1e4 AS vwap
  FROM read_parquet('${data}/year=*/**/*.parquet', hive_partitioning = true) t
  JOIN (SELECT DISTINCT id AS code, name FROM read_csv('${data}/_symbols/**/*.csv')) s ON s.code = t.symbol
  GROUP BY ALL`;

/** Symbol, bar in ns, and the rest as numbers: exact but for vwap, which is rounded. */
type Bars = Map<string, number[]>;

async function barsBy(duckdb: DuckDBConnection, sql: string): Promise<Bars> {
  const reader = await duckdb.runAndReadAll(
    `SELECT symbol || ' ' || epoch_ns(bar), open, high, low, close, volume::DOUBLE, vwap FROM (${sql.trim().replace(/;$/, '')})`,
  );
  return barsOf(reader.getRows());
}

function barsOf(rows: readonly (readonly unknown[])[]): Bars {
  return new Map(
    rows.map(([key, ...values]) => [
      String(key),
      values.map((value) => Number(Number(value).toPrecision(12))),
    ]),
  );
}

const barsOfMember = async (member: MemberProcess): Promise<Bars> =>
  barsOf(
    (
      await member.query(
        'SELECT symbol, CAST(bar AS INT64) AS bar, open, high, low, close, volume, vwap FROM bars',
      )
    ).map(([symbol, bar, ...rest]) => [`${symbol} ${bar}`, ...rest]),
  );

function verify(scene: Scene, ...place: readonly string[]): Promise<{ isSound: boolean; text: string }> {
  const { accessKeyId, secretAccessKey } = services.s3;
  const env = { ...process.env, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [program, 'verify', ...place, '--group', scene.topic, '--deep'],
      { env, maxBuffer: 2 ** 26 },
      (error, stdout, stderr) => resolve({ isSound: error === null, text: stdout + stderr }),
    );
  });
}

it('merge to the view and to the raw rows, through kills, late ticks, and a view that is made later', async () => {
  const here = await openScene({ home, brokers: services.brokers, s3: services.s3, partitions: 2 });
  const flags = ['--shards', '2', '--seal-interval', '2s', '--tiering-interval', '500ms'];
  let member = here.start(...flags);
  const restart = async (): Promise<void> => {
    await member.kill();
    member = here.start(...flags);
    await member.ready(90_000);
  };
  await member.ready();
  await member.query(`CREATE MATERIALIZED VIEW bars AS ${BARS}`);
  void here.ledger.start({ perSecond: 1_500 });
  await member.logged(/"message":"plan committed"/);
  for (let kill = 0; kill < 3; kill++) {
    await sleep(500 + Math.random() * 1_500);
    await restart();
  }
  // Over what is sealed, while more is.
  await member.query(
    `CREATE MATERIALIZED VIEW spread AS SELECT symbol, count(*) AS ticks FROM trades GROUP BY symbol`,
  );
  await sleep(Math.random() * 1_000);
  await restart();
  await member.query(`CREATE OR REPLACE MATERIALIZED VIEW spread AS ${SPREAD}`);
  await sleep(1_500);
  await here.ledger.stop();
  await sealAll(member, here.ledger);
  const [bars, spread] = [await complete(here, member, 'bars'), await complete(here, member, 'spread')];

  const data = join(home, 'copy', here.topic);
  await copyObjects(services.s3, here.topic, join(home, 'copy'));
  const duckdb = await (await DuckDBInstance.create(':memory:')).connect();
  const merged = await barsBy(duckdb, await documentedSql(data, bars));
  expect(merged.size).toBeGreaterThan(100);
  expect(merged).toEqual(await barsBy(duckdb, rawBars(data)));
  expect(merged).toEqual(await barsOfMember(member));

  // An hour of a symbol was sealed by several plans, each with its own partial, in the bucket and on the disk.
  const objects = (await keysBelow(here, `-views/bars/definition=${bars}/year=`)).map(
    (key) => key.split('/').at(-1)!,
  );
  expect(new Set(objects.map((name) => name.replace(/-[0-9a-f]{16}\.parquet$/, ''))).size).toBeLessThan(
    objects.length,
  );
  const local = await readdir(join(here.hdb, '_views', 'bars', `definition=${bars}`), { recursive: true });
  expect(local.filter((path) => path.endsWith('open_time.bin')).length).toBe(objects.length);

  // The view that was replaced has another folder; the one that holds merges to what the member answers.
  const definitions = new Set((await keysBelow(here, '-views/spread/')).map((key) => key.split('/')[0]));
  expect(definitions).toEqual(new Set([`definition=${spread}`, ...definitions]));
  const counted = await duckdb.runAndReadAll(
    `SELECT sum(ticks)::DOUBLE FROM read_parquet('${data}-views/spread/definition=${spread}/**/*.parquet')`,
  );
  expect(counted.getRows()[0]![0]).toBe(here.ledger.produced);

  const { bucket, endpoint, region } = services.s3;
  const server = ['--s3-region', region, '--s3-endpoint-url', endpoint, '--s3-use-path-style'];
  for (const place of [
    ['--s3-bucket', bucket, ...server, '--prefix', here.topic],
    ['--hdb-dir', here.hdb],
  ]) {
    const { isSound, text } = await verify(here, ...place);
    expect(isSound, text).toBe(true);
  }

  // A policy drops them with their hours.
  const hourOf = (name: string): number => Number(/^\d+-(\d+)-/.exec(name)![1]);
  const oldest = Math.min(...objects.map(hourOf));
  const minutes = Math.round((Date.now() - (oldest + 0.5) * 3_600_000) / 60_000);
  await member.query(`ALTER TABLE trades SET STORAGE POLICY DROP ${minutes} MINUTES`);
  await member.until(
    async () => {
      const left = await keysBelow(here, `-views/bars/definition=${bars}/year=`);
      const folders = await readdir(join(here.hdb, '_views', 'bars', `definition=${bars}`), {
        recursive: true,
      });
      const isGone =
        !left.some((key) => hourOf(key.split('/').at(-1)!) === oldest) &&
        !folders.some((path) => path.includes(`/${BigInt(oldest) * 3_600_000_000_000n}-`));
      return (isGone && left.length > 0) || undefined;
    },
    'the end of the partials of the oldest hour',
    30_000,
  );
  duckdb.closeSync();
}, 400_000);
