// What: duckdb('path') asked of a real member over HTTP: its own objects, files of others, joins, refusals, hang-ups.
// Why: what the engine promises must hold through threads, settings and a real bucket.
// Invariant: what DuckDB reads of the member's own objects is what the member itself answers, to the nanosecond.

import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { runningQueries } from '../support/client-scene.ts';
import { type HttpFaultProxy, startHttpFaultProxy } from '../support/http-fault-proxy.ts';
import { killMembers, type MemberProcess } from '../support/member.ts';
import { openScene, type Scene } from '../support/scene.ts';

const services = inject('services');
let home: string;
let proxy: HttpFaultProxy;
let scene: Scene;
let member: MemberProcess;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'zepto-duckdb-'));
  proxy = await startHttpFaultProxy(services.s3.endpoint);
  const s3OfMembers = { ...services.s3, endpoint: proxy.url };
  scene = await openScene({ home, brokers: services.brokers, s3: services.s3, s3OfMembers });
  member = scene.start('--hot-window', '100h', '--cold-cache-dir', join(home, 'cache'));
  await member.ready();
  await scene.ledger.start({ total: 8_000 });
  await sealAllHot();
  const maker = await (await DuckDBInstance.create(':memory:')).connect();
  const write = (name: string, query: string): Promise<unknown> =>
    maker.run(`COPY (${query}) TO '${join(scene.hdb, name)}' (FORMAT parquet)`);
  await mkdir(join(home, 'outside'));
  await write('sectors.parquet', "SELECT 'S' || i AS symbol, i % 2 = 0 AS even FROM range(100) t(i)");
  await write('long.parquet', "SELECT i, 'text ' || i AS text, i / 7 AS x FROM range(1500000) t(i)");
  await writeFile(join(home, 'outside/secret.parquet'), 'secret');
  await symlink(join(home, 'outside/secret.parquet'), join(scene.hdb, 'link.parquet'));
});
afterAll(async () => {
  await killMembers();
  await proxy.close();
  await rm(home, { recursive: true, force: true });
});

/** Sealed, and still in memory. */
async function sealAllHot(): Promise<void> {
  await member.until(
    async () => {
      const partitions = await member.partitions();
      const taken = partitions.reduce((sum, one) => sum + one.position, 0);
      const isTaken = taken === scene.ledger.produced + scene.ledger.undecodable;
      const isCommitted = partitions.every((one) => one.committed_offset === one.position);
      if (!isTaken || !isCommitted) await member.flush();
      return isTaken && isCommitted ? true : undefined;
    },
    'everything sealed',
    60_000,
  );
}

const own = (): string => `s3://${services.s3.bucket}/${scene.topic}/**/*.parquet`;
const file = (name: string): string => join(scene.hdb, name);
const ask = (sql: string, of = member): Promise<{ status: number; text: string }> => of.post('/', sql);

describe('duckdb() over HTTP', () => {
  it("reads the member's own objects as the member does", async () => {
    const sums = 'count(*), count(DISTINCT id), min(timestamp), max(timestamp), sum(id)';
    const ours = await member.query(`SELECT ${sums}, sum(timestamp % 1000) FROM trades`);
    expect(ours[0]![0]).toBe(scene.ledger.produced);
    expect(await member.query(`SELECT ${sums}, sum(timestamp % 1000) FROM duckdb('${own()}')`)).toEqual(ours);
    const inYear = `SELECT count(*) FROM duckdb('${own()}') WHERE year >= 2000 AND month BETWEEN 1 AND 12`;
    expect(await member.query(inYear)).toEqual([[scene.ledger.produced]]);
  });

  it('joins a file with rows in memory', async () => {
    const joined = await member.query(
      `SELECT count(*), count(DISTINCT t.symbol) FROM trades t JOIN duckdb('${own()}') f ON t.id = f.id AND t.timestamp = f.timestamp`,
    );
    expect(joined[0]![0]).toBe(scene.ledger.produced);
    const symbols = await member.query('SELECT DISTINCT symbol FROM trades ORDER BY symbol');
    const sectors = await member.query(
      `SELECT DISTINCT t.symbol FROM trades t LEFT JOIN duckdb('${file('sectors.parquet')}') s ON t.symbol = s.symbol ORDER BY 1`,
    );
    expect(sectors).toEqual(symbols);
  });

  it('streams a long result to its last row', async () => {
    const url = `${await member.url()}/?query=${encodeURIComponent(`SELECT i, text FROM duckdb('${file('long.parquet')}') FORMAT CSV`)}`;
    const response = await fetch(url);
    let lines = 0;
    let last = '';
    for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
      for (let i = piece.indexOf('\n'); i >= 0; i = piece.indexOf('\n', i + 1)) lines++;
      last = (last + piece).slice(-100);
    }
    expect(lines).toBe(1_500_000);
    expect(last.trimEnd().split('\n').at(-1)).toBe('1499999,"text 1499999"');
  });

  it('is answered by both query threads at a time', async () => {
    const sums = await Promise.all(
      Array.from({ length: 8 }, () =>
        member.query(`SELECT sum(i), count(x) FROM duckdb('${file('long.parquet')}') WHERE i < 1000`),
      ),
    );
    expect(sums).toEqual(Array.from({ length: 8 }, () => [[499_500, 1000]]));
  });

  it.each([
    ['outside of the roots', () => join(home, 'outside/secret.parquet'), 403, 'STORE_DENIED'],
    ['through a link that leaves them', () => file('link.parquet'), 403, 'STORE_DENIED'],
    ['above them', () => file('../outside/secret.parquet'), 403, 'STORE_DENIED'],
    [
      'in another part of the bucket',
      () => `s3://${services.s3.bucket}/other/x.parquet`,
      403,
      'STORE_DENIED',
    ],
    ['over HTTP', () => `${services.s3.endpoint}/x.parquet`, 403, 'STORE_DENIED'],
    ['with SQL in it', () => `x'') UNION SELECT * FROM read_text(''/etc/passwd`, 403, 'STORE_DENIED'],
    ['of nothing', () => file('nothing.parquet'), 404, 'STORE_NO_OBJECT'],
    ['of nothing in the bucket', () => own().replace('.parquet', '.none'), 404, 'STORE_NO_OBJECT'],
  ])('refuses a path %s', async (_, path, status, code) => {
    const answer = await ask(`SELECT * FROM duckdb('${path()}')`);
    expect([answer.status, JSON.parse(answer.text)]).toEqual([status, expect.objectContaining({ code })]);
    expect(answer.text).not.toContain('root:');
  });

  it('ends when its time is over or its client is gone, while the bucket does not answer', async () => {
    proxy.setFault(() => ({ kind: 'hang' }));
    const sql = `SELECT count(*) FROM duckdb('${own().replace('**', 'year=*/**')}')`;
    const late = await ask(`${sql} SETTINGS max_execution_time = 1`);
    expect([late.status, late.text]).toEqual([400, expect.stringContaining('timeoutMs')]);
    const { hostname, port } = new URL(await member.url());
    const client = request({ hostname, port, method: 'POST', path: '/?query_id=hung' });
    client.on('error', () => {});
    client.end(sql);
    const isRunning = async (): Promise<boolean> => (await runningQueries(await member.url())).length > 0;
    while (!(await isRunning())) await sleep(5);
    client.destroy();
    while (await isRunning()) await sleep(5);
    proxy.setFault(() => ({ kind: 'pass' }));
    expect(await member.query(sql)).toEqual([[scene.ledger.produced]]);
  });

  it('holds as a table of its own on all members and after a restart, until it is dropped', async () => {
    const other = scene.start();
    await other.ready();
    const create = (name: string, path: string): Promise<unknown> =>
      member.query(`CREATE TABLE ${name} WITH (parquet = '${path}')`);
    expect(await create('sectors', file('sectors.parquet'))).toEqual([["Table 'sectors' created"]]);
    await create('history', own());
    const joined = `SELECT count(*), count(DISTINCT h.id) FROM history h JOIN sectors s ON true WHERE s.symbol = 'S1'`;
    expect(await member.query(joined)).toEqual([[scene.ledger.produced, scene.ledger.produced]]);
    const isThere = async (of: MemberProcess): Promise<unknown> =>
      of.until(
        async () => ((await ask('SELECT * FROM history LIMIT 0', of)).status === 200 ? true : undefined),
        'the registered tables',
        30_000,
      );
    await isThere(other);
    expect(await other.query(joined)).toEqual([[scene.ledger.produced, scene.ledger.produced]]);
    expect((await other.query('SHOW TABLES')).map(([name]) => name)).toEqual([
      'history',
      'sectors',
      'trades',
    ]);
    await other.kill();
    const again = scene.start();
    await again.ready();
    expect(await again.query(joined)).toEqual([[scene.ledger.produced, scene.ledger.produced]]);
    const refusals = [
      ["INSERT INTO sectors VALUES ('S1', true)", 400, 'only read'],
      ['CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n FROM sectors', 400, 'kept over ticks'],
      ['ALTER TABLE sectors SET TTL 3 DAYS', 400, 'nothing to alter'],
      ['EXPLAIN ALTER TABLE sectors SET STORAGE POLICY DROP 3 DAYS', 400, 'nothing to alter'],
      [`CREATE TABLE secret WITH (parquet = '${join(home, 'outside/*')}')`, 403, '--duckdb-roots'],
      [`CREATE TABLE nothing WITH (parquet = '${file('nothing.parquet')}')`, 404, 'nothing.parquet'],
      [`CREATE TABLE sectors WITH (parquet = '${own()}')`, 409, 'already exists'],
    ] as const;
    for (const [sql, status, why] of refusals) {
      const answer = await ask(sql, again);
      expect([answer.status, answer.text], sql).toEqual([status, expect.stringContaining(why)]);
    }
    for (const name of ['sectors', 'history']) await again.query(`DROP TABLE ${name}`);
    expect((await ask('SELECT * FROM sectors', again)).status).toBe(400);
    await member.until(
      async () => ((await ask('SELECT * FROM history LIMIT 0')).status === 400 ? true : undefined),
      'that they are dropped',
      5_000,
    );
    expect(await member.query(`SELECT count(*) FROM duckdb('${file('sectors.parquet')}')`)).toEqual([[100]]);
    await again.kill();
  });

  it('is off with --no-duckdb, and says so', async () => {
    const other = scene.start('--no-duckdb', '--group', `${scene.topic}-off`);
    await other.ready();
    const answer = await ask(`SELECT * FROM duckdb('${file('sectors.parquet')}')`, other);
    expect([answer.status, answer.text]).toEqual([400, expect.stringContaining('--no-duckdb')]);
    await other.kill();
  });

  it('reads the roots that are set, and no others', async () => {
    const other = scene.start(
      '--duckdb-roots',
      file('sectors.parquet/..'),
      '--group',
      `${scene.topic}-roots`,
    );
    await other.ready();
    expect(await other.query(`SELECT count(*) FROM duckdb('${file('sectors.parquet')}')`)).toEqual([[100]]);
    expect((await ask(`SELECT count(*) FROM duckdb('${own()}')`, other)).status).toBe(403);
    await other.kill();
  });

  it('does not keep a member from ending', async () => {
    expect(await member.drain(), member.tail()).toBe(0);
  });
});
