// What: the questions asked most of ticks, over rows in memory and in `.bin` folders, beside DuckDB and Polars in the same run.
// Why: the engine exists because these must be faster than a general database answers them.
// Invariant: all three hold the same rows, made by the same integer formulas; each answer is compared before it is timed; medians.

import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { blockingDisk, localDisk } from '../../connectors/fs/disk.ts';
import { ColumnMemory } from '../../src/columns/column-memory.ts';
import { ColumnType, storedColumns, type TableSchema } from '../../src/columns/types.ts';
import { nsOfHour } from '../../src/format/layout.ts';
import { writeSegments } from '../../src/format/write-segments.ts';
import { assert } from '../../src/kernel/assert.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { execute } from '../../src/query/execute.ts';
import { PartCache } from '../../src/query/part-cache.ts';
import { type Cell, type ResultSet, rowsOf } from '../../src/query/result.ts';
import type {
  AnyPart,
  ColumnRun,
  HotPart,
  Names,
  Snapshot,
  TableSnapshot,
  WarmPart,
} from '../../src/query/snapshot.ts';
import { partsIn, tableOf } from '../../src/query/table-parts.ts';
import type { Statement } from '../../src/sql/ast.ts';
import { parseStatement } from '../../src/sql/parser.ts';
import type { OutputColumn } from '../../src/sql/scope.ts';
import { Arena, SlabPool } from '../../src/store/arena.ts';
import { allocateChunk, sealedChunk } from '../../src/store/chunk.ts';
import { type Polars, startPolars } from './polars.ts';

export interface QueryBenchOptions {
  readonly rows?: readonly number[];
  readonly rounds?: number;
  /** Names of cases; all when empty. */
  readonly only?: readonly string[];
  readonly directory?: string;
}

const SYMBOLS = 50;
const HOUR = 475_278;
const HOURS = 4;
/** Each of the three is asked for so long before it is timed. */
const WARM_UP_MS = 500;
const slabs = new SlabPool(ColumnMemory.reserve(2 ** 32));
const names: readonly string[] = Array.from(
  { length: SYMBOLS },
  (_, i) => `SYM${String(i).padStart(2, '0')}`,
);

/**
 * One tick table: row i is of symbol (i × 40503 + 17) mod 65537 mod 50; times ascend over four hours but for one row in a
 * thousand, which is five seconds late; values are `offset + (i × factor + 11) mod modulus`.
 */
interface TickTable {
  readonly name: string;
  readonly columns: readonly {
    readonly name: string;
    readonly factor: number;
    readonly modulus: number;
    readonly offset: number;
    /** Decimals of the stored integer. */
    readonly scale?: number;
  }[];
  readonly phaseNs: number;
}

const trades: TickTable = {
  name: 'trades',
  phaseNs: 700,
  columns: [
    { name: 'price', factor: 7919, modulus: 20_011, offset: 1_500_000, scale: 4 },
    { name: 'volume', factor: 104_729, modulus: 997, offset: 1 },
  ],
};
const quotes: TickTable = {
  name: 'quotes',
  phaseNs: 0,
  columns: [
    { name: 'bid', factor: 6007, modulus: 20_021, offset: 1_499_900, scale: 4 },
    { name: 'ask', factor: 9001, modulus: 20_023, offset: 1_500_100, scale: 4 },
  ],
};

const schemaOf = ({ name, columns }: TickTable): TableSchema => ({
  name,
  columns: [
    { name: 'symbol', type: ColumnType.SYMBOL },
    { name: 'timestamp', type: ColumnType.TIMESTAMP_NS },
    ...columns.map(({ name: column, scale = 0 }) => ({ name: column, type: ColumnType.INT64, scale })),
  ],
  symbolColumn: 0,
  timestampColumn: 1,
});

const symbolOf = (i: number): number => ((i * 40_503 + 17) % 65_537) % SYMBOLS;

/** Nanoseconds since the first hour began. */
function timeOf(i: number, stepNs: number, { phaseNs }: TickTable): number {
  const late = i % 1000 === 7 && i * stepNs > 5e9 ? 5e9 : 0;
  return i * stepNs + ((i * 31) % 97) + phaseNs - late;
}

const valueAt = (i: number, column: TickTable['columns'][number]): number =>
  column.offset + ((i * column.factor + 11) % column.modulus);

interface Case {
  readonly name: string;
  readonly sql: string;
  /** The same question to DuckDB, where times are BIGINT and prices scaled integers. */
  readonly duckdb: string;
  readonly ordered?: boolean;
}

/** Ten minutes. */
const [from, to] = [71n, 81n].map((minute) => nsOfHour(HOUR) + minute * 60_000_000_000n);

function casesFor(): readonly Case[] {
  const decimals = '/ 10000.0';
  const ohlcv = (where: string, key: string): string =>
    `SELECT ${key} timestamp - timestamp % 300000000000 AS bar, arg_min(price, timestamp) ${decimals}, max(price) ${decimals}, min(price) ${decimals}, arg_max(price, timestamp) ${decimals}, sum(volume) FROM trades ${where} GROUP BY ALL`;
  return [
    { name: 'count', sql: 'SELECT count(*) FROM trades', duckdb: 'SELECT count(*) FROM trades' },
    {
      name: 'count of one symbol',
      sql: "SELECT count(*) FROM trades WHERE symbol = 'SYM07'",
      duckdb: "SELECT count(*) FROM trades WHERE symbol = 'SYM07'",
    },
    {
      name: 'vwap by symbol',
      sql: 'SELECT symbol, vwap(price, volume) FROM trades GROUP BY symbol',
      duckdb: `SELECT symbol, sum(price * volume) / sum(volume) ${decimals} FROM trades GROUP BY symbol`,
    },
    {
      name: 'vwap of one symbol',
      sql: "SELECT vwap(price, volume) FROM trades WHERE symbol = 'SYM07'",
      duckdb: `SELECT sum(price * volume) / sum(volume) ${decimals} FROM trades WHERE symbol = 'SYM07'`,
    },
    {
      name: 'ohlcv 5m of one symbol',
      sql: "SELECT xbar(timestamp, 5m) AS bar, first(price), max(price), min(price), last(price), sum(volume) FROM trades WHERE symbol = 'SYM07' GROUP BY bar",
      duckdb: ohlcv("WHERE symbol = 'SYM07'", ''),
    },
    {
      name: 'ohlcv 5m of all symbols',
      sql: 'SELECT symbol, xbar(timestamp, 5m) AS bar, first(price), max(price), min(price), last(price), sum(volume) FROM trades GROUP BY symbol, bar',
      duckdb: ohlcv('', 'symbol,'),
    },
    {
      name: 'ten minutes',
      sql: `SELECT count(*), sum(volume), max(price) FROM trades WHERE timestamp >= ${from} AND timestamp < ${to}`,
      duckdb: `SELECT count(*), sum(volume), max(price) ${decimals} FROM trades WHERE timestamp >= ${from} AND timestamp < ${to}`,
    },
    {
      name: 'ten minutes of rows of one symbol',
      sql: `SELECT timestamp, price, volume FROM trades WHERE symbol = 'SYM07' AND timestamp >= ${from} AND timestamp < ${to}`,
      duckdb: `SELECT timestamp, price ${decimals}, volume FROM trades WHERE symbol = 'SYM07' AND timestamp >= ${from} AND timestamp < ${to}`,
    },
    {
      name: 'latest on',
      sql: 'SELECT symbol, timestamp, price FROM trades LATEST ON timestamp PARTITION BY symbol',
      duckdb: `SELECT symbol, max(timestamp), arg_max(price, timestamp) ${decimals} FROM trades GROUP BY symbol`,
    },
    {
      name: 'asof join',
      sql: 'SELECT count(*), sum(t.price - q.bid) FROM trades t ASOF JOIN quotes q ON t.symbol = q.symbol AND t.timestamp >= q.timestamp',
      duckdb: `SELECT count(*), sum(t.price - q.bid) ${decimals} FROM trades t ASOF JOIN quotes q ON t.symbol = q.symbol AND t.timestamp >= q.timestamp`,
    },
    {
      name: 'rolling mean',
      sql: 'SELECT count(*), sum(mean) FROM (SELECT avg(price) OVER (PARTITION BY symbol ORDER BY timestamp ROWS 19 PRECEDING) AS mean FROM trades) t',
      duckdb: `SELECT count(*), sum(mean) ${decimals} FROM (SELECT avg(price) OVER (PARTITION BY symbol ORDER BY timestamp ROWS 19 PRECEDING) AS mean FROM trades) t`,
    },
    {
      name: 'filter by value',
      sql: 'SELECT symbol, count(*) FROM trades WHERE price > 151.5 AND volume < 500 GROUP BY symbol',
      duckdb: 'SELECT symbol, count(*) FROM trades WHERE price > 1515000 AND volume < 500 GROUP BY symbol',
    },
  ];
}

/** Prints one JSON line for the machine, then one for each case. */
export async function run(options: QueryBenchOptions = {}): Promise<void> {
  const { rows = [1_000_000, 10_000_000], rounds = 7, only = [] } = options;
  print({ bench: 'query', rows, rounds, node: process.version, cpu: cpus()[0]!.model, cores: cpus().length });
  for (const count of rows) {
    const directory = mkdtempSync(join(options.directory ?? tmpdir(), 'bench-query-'));
    try {
      await runOn(count, rounds, only, directory);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }
}

async function runOn(
  rows: number,
  rounds: number,
  only: readonly string[],
  directory: string,
): Promise<void> {
  const snapshot = hotSnapshot(rows);
  const duckdb = await duckdbWith([trades, quotes], rows, stepOf(rows));
  const polars = await startPolars(polarsWorld(rows));
  const cases = casesFor().filter(({ name }) => only.length === 0 || only.includes(name));
  const bases: Bases = { duckdb, polars };
  for (const one of cases) await measure(one, 'hot', rows, rounds, snapshot, bases);
  if (rows <= 1_000_000) {
    const warm = await warmSnapshot(snapshot, directory);
    for (const one of cases.filter(({ name }) => !name.includes('join')))
      await measure(one, 'warm', rows, rounds, warm, bases);
  }
  polars.close();
  duckdb.closeSync();
}

interface Bases {
  readonly duckdb: DuckDBConnection;
  readonly polars: Polars;
}

const polarsWorld = (rows: number): Readonly<Record<string, unknown>> => ({
  warmUpSeconds: WARM_UP_MS / 1_000,
  rows,
  stepNs: stepOf(rows),
  startNs: Number(nsOfHour(HOUR)),
  fromNs: Number(from),
  toNs: Number(to),
  symbols: names,
  tables: [trades, quotes],
});

const stepOf = (rows: number): number => Math.floor((HOURS * 3.6e12) / rows) - 1;

/** Trades and quotes, `rows` of each, in memory. */
export function hotSnapshot(rows: number): Snapshot {
  const tables = [trades, quotes].map((table): [string, TableSnapshot] => [
    table.name,
    tableOf(schemaOf(table), hotParts(table, rows, stepOf(rows))),
  ]);
  return { tables: new Map(tables), names: dictionary, release: () => undefined };
}

const dictionary: Names = {
  nameOf: (code) => names[code],
  codeOf: (name) => {
    const code = names.indexOf(name);
    return code < 0 ? undefined : code;
  },
};

async function measure(
  { name, sql, duckdb: theirSql }: Case,
  tier: string,
  rows: number,
  rounds: number,
  snapshot: Snapshot,
  { duckdb, polars }: Bases,
): Promise<void> {
  const { statement } = parseStatement(sql);
  const cache = new PartCache();
  const ours = await answer(statement, snapshot, new PartCache());
  const theirs = (await duckdb.runAndReadAll(theirSql)).getRows();
  requireSame(name, ours, theirs);
  // Without a cache: what the first query of its kind costs. With it: what the later ones do.
  const cold = await median(rounds, () => drain(statement, snapshot, new PartCache()));
  const warm = await median(rounds, () => drain(statement, snapshot, cache));
  const base = await median(rounds, () => duckdb.runAndReadAll(theirSql));
  const ofPolars = await polars.ask(name, rounds);
  requireSame(name, ours, ofPolars.rows);
  print({
    case: name,
    tier,
    rows,
    firstMs: round(cold),
    ms: round(warm),
    duckdbMs: round(base),
    timesFaster: round(base / warm),
    polarsMs: round(ofPolars.ms),
    timesFasterThanPolars: round(ofPolars.ms / warm),
  });
}

async function answer(statement: Statement, snapshot: Snapshot, cache: PartCache): Promise<Answer> {
  const result = await resultOf(statement, snapshot, cache);
  return { columns: result.columns, rows: await rowsOf(result) };
}

/** To columns, as the others are timed. */
async function drain(statement: Statement, snapshot: Snapshot, cache: PartCache): Promise<number> {
  let rows = 0;
  for await (const block of await resultOf(statement, snapshot, cache)) rows += block.rows;
  return rows;
}

const resultOf = (statement: Statement, snapshot: Snapshot, cache: PartCache): Promise<ResultSet> =>
  execute(statement, snapshot, {
    limits: { rowsMax: 1e9, bytesMax: 8e9, timeoutMs: 600_000 },
    nowNs: nsOfHour(HOUR + HOURS),
    monotonicMs: systemClock.monotonicMs,
    disk: blockingDisk,
    cache,
  });

interface Answer {
  readonly columns: readonly OutputColumn[];
  readonly rows: readonly (readonly Cell[])[];
}

/** Rows in any order; texts as they are, numbers to nine digits. */
function requireSame(name: string, { columns, rows }: Answer, theirs: readonly (readonly unknown[])[]): void {
  const shown = (cell: unknown, scale: number): string =>
    typeof cell === 'string' || cell === null ? String(cell) : (Number(cell) / 10 ** scale).toPrecision(9);
  const left = rows
    .map((row) =>
      row
        .map((cell, i) => {
          const type = columns[i]!.type;
          return shown(cell, type.name === 'DECIMAL' ? type.scale : 0);
        })
        .join(','),
    )
    .sort();
  const right = theirs.map((row) => row.map((cell) => shown(cell, 0)).join(',')).sort();
  const at = left.findIndex((row, i) => row !== right[i]);
  assert(
    left.length === right.length && at < 0,
    `${name}: ${left.length} rows and ${right.length}, ${left[at]} and ${right[at]}`,
  );
}

/** Of `rounds`, after some that are not counted: a server is asked for days, and runs compiled code. */
async function median(rounds: number, of: () => Promise<unknown>): Promise<number> {
  const endMs = systemClock.monotonicMs() + WARM_UP_MS;
  do await of();
  while (systemClock.monotonicMs() < endMs);
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const start = systemClock.monotonicMs();
    await of();
    times.push(systemClock.monotonicMs() - start);
  }
  return times.sort((a, b) => a - b)[rounds >> 1]!;
}

const round = (value: number): number => Number(value.toPrecision(4));

function print(line: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

// ---------------------------------------------------------------------------------------------------------
// The rows

function hotParts(table: TickTable, rows: number, stepNs: number): HotPart[] {
  const groups = new Map<number, number[]>();
  for (let i = 0; i < rows; i++) {
    const hour = Math.floor(timeOf(i, stepNs, table) / 3.6e12);
    const key = symbolOf(i) * 1000 + hour;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [i]);
    else group.push(i);
  }
  const stored = storedColumns(schemaOf(table));
  const arena = new Arena(slabs);
  return [...groups].map(([key, ids]): HotPart => {
    const symbol = Math.floor(key / 1000);
    const hour = HOUR + (key % 1000);
    return {
      id: `${table.name}/${symbol}/${hour}`,
      tier: 'hot',
      topic: table.name,
      partition: 0,
      symbol,
      hour,
      rows: ids.length,
      timestampMin: null,
      timestampMax: null,
      isSorted: false,
      stored,
      runs: runsOf(table, arena, ids, stepNs),
    };
  });
}

/** Chunks as the store has them. */
function runsOf(table: TickTable, arena: Arena, ids: readonly number[], stepNs: number): ColumnRun[] {
  const stored = storedColumns(schemaOf(table));
  const startNs = nsOfHour(HOUR);
  const runs: ColumnRun[] = [];
  for (let from = 0; from < ids.length; from += runs.at(-1)!.rows) {
    const chunk = allocateChunk(arena, stored, from);
    chunk.rows = Math.min(chunk.capacity, ids.length - from);
    for (const [k, { values }] of chunk.columns.entries())
      for (let row = 0; row < chunk.rows; row++) {
        const i = ids[from + row]!;
        values[row] =
          k === 0 ? startNs + BigInt(timeOf(i, stepNs, table)) : BigInt(valueAt(i, table.columns[k - 1]!));
      }
    const { rows, columns } = sealedChunk(chunk);
    runs.push({ rows, columns });
  }
  return runs;
}

async function duckdbWith(
  tables: readonly TickTable[],
  rows: number,
  stepNs: number,
): Promise<DuckDBConnection> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  // The quickest form that DuckDB has for a few names.
  await connection.run(`CREATE TYPE symbols AS ENUM (${names.map((name) => `'${name}'`).join(', ')})`);
  for (const { name, columns, phaseNs } of tables) {
    const values = columns.map(
      ({ name: column, factor, modulus, offset }) =>
        `${offset} + (i * ${factor} + 11) % ${modulus} AS ${column}`,
    );
    const late = `CASE WHEN i % 1000 = 7 AND i * ${stepNs} > 5000000000 THEN 5000000000 ELSE 0 END`;
    await connection.run(`CREATE TABLE ${name} AS SELECT
      ('SYM' || lpad(CAST(((i * 40503 + 17) % 65537) % ${SYMBOLS} AS VARCHAR), 2, '0'))::symbols AS symbol,
      ${nsOfHour(HOUR)} + i * ${stepNs} + (i * 31) % 97 + ${phaseNs} - ${late} AS timestamp,
      ${values.join(', ')} FROM range(${rows}) t(i)`);
  }
  return connection;
}

async function warmSnapshot(snapshot: Snapshot, directory: string): Promise<Snapshot> {
  const tables = new Map(snapshot.tables);
  const trades = tables.get('trades')!;
  const { schema } = trades;
  const warm: AnyPart[] = [];
  for (const part of partsIn(trades) as HotPart[]) {
    const [file] = await writeSegments(
      {
        plan: { group: 'g', topic: 't', partition: 0, incarnation: 0, hourLast: part.hour, offsetNext: 1 },
        table: schema,
        segments: [{ symbol: part.symbol, hour: part.hour, rows: part.rows, chunks: part.runs }],
        outputs: { bin: { baseDirectory: directory, compression: 'none', sync: false }, parquet: null },
        strings: new Map(),
      },
      localDisk,
      null,
      1,
      new AbortController().signal,
    );
    const sealed: WarmPart = {
      ...part,
      tier: 'warm',
      id: file!.path,
      isSorted: true,
      timestampMin: BigInt(file!.timestampMin),
      timestampMax: BigInt(file!.timestampMax),
      folder: join(directory, file!.path),
    };
    warm.push(sealed);
  }
  tables.set('trades', tableOf(schema, warm));
  return { ...snapshot, tables };
}
