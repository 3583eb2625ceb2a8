// What: DuckDB, pyarrow, pandas and Polars of PyPI read what a real member wrote to S3, by the documented snippets.
// Why: "plain Parquet that everybody reads" is a claim about other people's programs, so they are asked.
// Invariant: every reader's answers are compared with sums kept while producing, not with one another.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { reportToStderr } from '../../services/errors.ts';
import { tool } from '../../services/install.ts';
import { pythonWith } from '../../services/python.ts';
import { copyObjects } from '../support/copy-objects.ts';
import { killMembers, MemberProcess } from '../support/member.ts';

const PACKAGES = ['duckdb==2.0.0', 'polars==2.1.0', 'pyarrow==26.0.1', 'pandas==3.1.1', 'pytz==2026.6'];
const ROWS = 20_000;
const SYMBOLS = ['AAPL', 'MSFT', 'BRK.B', 'ÉLAN'];
/** 2024-03-31 21:30 UTC: the hours cross midnight, and March becomes April. */
const START_NS = 1_711_920_600_000_000_000n;
const STEP_NS = 900_000_123n;

const services = inject('services');
const topic = `readers-${Date.now()}`;
const expected = { rows: ROWS, volume: 0, price: 0, bySymbol: new Map<string, number>() };
const at = (row: number): bigint => START_NS + BigInt(row) * STEP_NS;
let home: string;
let data: string;
let python: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'zepto-readers-'));
  python = await pythonWith(PACKAGES, reportToStderr);
  await publish();
  await sealToBucket();
  await copyObjects(services.s3, `${topic}/`, home);
  data = join(home, topic);
}, 600_000);
afterAll(async () => {
  await killMembers();
  await rm(home, { recursive: true, force: true });
});

async function publish(): Promise<void> {
  const kafka = new Kafka({ brokers: [services.brokers], clientId: 'readers', logLevel: logLevel.ERROR });
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: 2 }] });
  await admin.disconnect();
  const messages = Array.from({ length: ROWS }, (_, row) => {
    const symbol = SYMBOLS[row % SYMBOLS.length]!;
    const price = 1_000_000 + (row % 977);
    const volume = 100 + (row % 13);
    expected.volume += volume;
    expected.price += price;
    expected.bySymbol.set(symbol, (expected.bySymbol.get(symbol) ?? 0) + 1);
    const decimal = `${Math.floor(price / 1e4)}.${String(price % 1e4).padStart(4, '0')}`;
    const value = `{"timestamp":${at(row)},"symbol":"${symbol}","price":${decimal},"volume":${volume},"msg_type":0}`;
    return { key: symbol, value };
  });
  const producer = kafka.producer({ idempotent: true });
  await producer.connect();
  for (let from = 0; from < ROWS; from += 5_000)
    await producer.send({ topic, messages: messages.slice(from, from + 5_000) });
  await producer.disconnect();
}

async function sealToBucket(): Promise<void> {
  const { s3 } = services;
  const member = MemberProcess.start({
    flags: [
      // The documented Polars snippet reads the symbol names of a group `desk`; the topic is this test's own.
      ...['--brokers', services.brokers, '--group', 'desk', '--symbols-topic', `${topic}-symbols`],
      ...['--topics', `trades=${topic}`, '--cold-tier-enabled', '--cold-tier-s3-prefix', topic],
      ...['--cold-tier-s3-bucket', s3.bucket, '--cold-tier-s3-endpoint-url', s3.endpoint],
      ...['--cold-tier-s3-region', s3.region, '--cold-tier-s3-use-path-style'],
    ],
    env: { AWS_ACCESS_KEY_ID: s3.accessKeyId, AWS_SECRET_ACCESS_KEY: s3.secretAccessKey },
  });
  await member.ready();
  await member.until(
    async () => {
      const partitions = await member.partitions();
      const position = partitions.reduce((sum, one) => sum + one.position, 0);
      return position === ROWS ? true : undefined;
    },
    'all rows in memory',
    60_000,
  );
  await member.flush();
  expect(await member.drain(), member.tail()).toBe(0);
}

/** Runs a Python program that prints JSON last, with `data` set. */
async function ask(program: string): Promise<unknown> {
  const file = join(home, 'program.py');
  await writeFile(file, `import json\ndata = ${JSON.stringify(data)}\n${program}`);
  const printed = await tool(python, [file], 'run a Python program');
  return JSON.parse(printed.trim().split('\n').at(-1)!);
}

/** Fenced blocks of docs/formats.md in one language, in order. */
async function snippets(language: string): Promise<string[]> {
  const text = await readFile(join(import.meta.dirname, '../../docs/formats.md'), 'utf8');
  const fenced = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm');
  return [...text.matchAll(fenced)].map(([, code]) => code!);
}

describe('the bucket of a member, hours of four symbols over midnight', () => {
  const answer = () => ({
    rows: ROWS,
    volume: expected.volume,
    price: expected.price,
    first: String(at(0)),
    last: String(at(ROWS - 1)),
    symbols: SYMBOLS.length,
    days: 2,
  });

  it('is read by DuckDB with every row, sum and nanosecond', async () => {
    const found = await ask(`
import duckdb
row = duckdb.sql(f"""SELECT count(*), sum(volume), sum(price), min(epoch_ns(timestamp)), max(epoch_ns(timestamp)),
    count(DISTINCT symbol), count(DISTINCT (year, month, day))
  FROM read_parquet('{data}/**/*.parquet', hive_partitioning = true)""").fetchall()[0]
rows, volume, price, first, last, symbols, days = row
print(json.dumps(dict(rows=rows, volume=int(volume), price=int(price), first=str(first), last=str(last), symbols=symbols, days=days)))
`);
    expect(found).toEqual(answer());
  });

  it('is read by pyarrow with every row, sum and nanosecond', async () => {
    const found = await ask(`
import pyarrow as pa, pyarrow.compute as pc, pyarrow.dataset as ds
table = ds.dataset(data, format="parquet", partitioning="hive").to_table()
times = pc.cast(table["timestamp"], pa.int64())
days = set(zip(*(table[name].to_pylist() for name in ("year", "month", "day"))))
print(json.dumps(dict(rows=table.num_rows, volume=pc.sum(table["volume"]).as_py(), price=pc.sum(table["price"]).as_py(),
  first=str(pc.min(times)), last=str(pc.max(times)), symbols=len(table["symbol"].unique()), days=len(days))))
`);
    expect(found).toEqual(answer());
  });

  it('is read by Polars with every row, sum and nanosecond', async () => {
    const found = await ask(`
import polars as pl
table = pl.scan_parquet(f"{data}/**/*.parquet", hive_partitioning=True).collect()
times = table["timestamp"].dt.epoch("ns")
print(json.dumps(dict(rows=table.height, volume=table["volume"].sum(), price=table["price"].sum(),
  first=str(times.min()), last=str(times.max()), symbols=table["symbol"].n_unique(),
  days=table.select("year", "month", "day").n_unique())))
`);
    expect(found).toEqual(answer());
  });

  it('answers the documented SQL in DuckDB', async () => {
    const statements = (await snippets('sql')).filter((text) => text.includes('$DATA')).join('\n');
    const found = (await ask(`
import duckdb
con = duckdb.connect()
results = [con.execute(text).fetchall() for text in ${JSON.stringify(statements)}.replace("$DATA", data).split(";") if text.strip()]
print(json.dumps(results, default=str))
`)) as unknown[][][];
    const [vwap, bars, plans, chain] = found;
    expect(vwap!.map(([name]) => name)).toEqual([...SYMBOLS].sort());
    expect(bars!.length).toBeGreaterThan(0);
    expect(plans!.length).toBeGreaterThan(0);
    expect(chain!.reduce((sum, [, , rows]) => sum + Number(rows), 0)).toBe(ROWS);
    expect(
      chain!.filter(([, , , joins]) => joins !== true),
      JSON.stringify(chain),
    ).toEqual([]);
  });

  it('answers the documented Polars query', async () => {
    const snippet = (await snippets('python')).find((text) => text.includes('import polars'))!;
    // The last expression is the answer.
    const found = (await ask(`${snippet.replace(/^\($/m, 'answer = (')}
print(json.dumps({name: ticks for name, ticks in answer.select("name", "ticks").rows()}))
`)) as Record<string, number>;
    expect(found).toEqual(Object.fromEntries(expected.bySymbol));
  });

  it('answers the documented pyarrow and pandas queries', async () => {
    const snippet = (await snippets('python')).find((text) => text.includes('pyarrow.dataset'))!;
    const found = (await ask(`${snippet
      .replace(/^table\.to_table/m, 'arrow = table.to_table')
      .replace(/^pd\.read_parquet/m, 'frame = pd.read_parquet')}
print(json.dumps([arrow.num_rows, len(frame)]))
`)) as [number, number];
    const march = Array.from({ length: ROWS }, (_, row) => at(row)).filter((ns) => ns < MARCH_END_NS).length;
    expect(found[1]).toBe(ROWS / SYMBOLS.length);
    expect(Math.abs(found[0] - march / SYMBOLS.length)).toBeLessThanOrEqual(1);
  });
});

/** 2024-04-01 00:00 UTC. */
const MARCH_END_NS = 1_711_929_600_000_000_000n;
