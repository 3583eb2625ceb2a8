// What: SQL text → tree, and tree → names and types, for statements of everyday length; DuckDB's parser beside it in the same run.
// Why: a point query over HTTP has half a millisecond in all; the front end may take a few hundredths of it.
// Invariant: every statement's canonical text and output columns are checked before it is timed; figures are medians.

import { cpus } from 'node:os';
import { DuckDBInstance } from '@duckdb/node-api';
import { Bench } from 'tinybench';
import { assert } from '../../src/kernel/assert.ts';
import { analyzeQuery } from '../../src/sql/analyze.ts';
import type { Query } from '../../src/sql/ast.ts';
import { tokenize } from '../../src/sql/lexer.ts';
import { parseStatement } from '../../src/sql/parser.ts';
import { printStatement } from '../../src/sql/print.ts';
import type { Catalog, SourceTable } from '../../src/sql/scope.ts';
import { decimal, FLOAT64, INT64, SYMBOL, TIMESTAMP } from '../../src/sql/types.ts';

export interface SqlParseBenchOptions {
  /** Measuring time of each case. */
  readonly timeMs?: number;
}

const trades: SourceTable = {
  columns: [
    { name: 'symbol', type: SYMBOL },
    { name: 'timestamp', type: TIMESTAMP },
    { name: 'price', type: decimal(18, 4) },
    { name: 'volume', type: INT64 },
  ],
  timestamp: 'timestamp',
};
const quotes: SourceTable = {
  columns: [
    { name: 'symbol', type: SYMBOL },
    { name: 'timestamp', type: TIMESTAMP },
    { name: 'bid', type: FLOAT64 },
    { name: 'ask', type: FLOAT64 },
  ],
  timestamp: 'timestamp',
};
const catalog: Catalog = {
  table: ({ name }) => (name === 'trades' ? trades : name === 'quotes' ? quotes : undefined),
  tableFunction: () => undefined,
  tableNames: () => ['trades', 'quotes'],
};

interface Case {
  readonly name: string;
  readonly sql: string;
  /** Start of the canonical text. */
  readonly canonical: string;
  /** Output columns; null for statements without any. */
  readonly columns: string | null;
}

/** Written so that DuckDB's parser reads them too. */
const cases: readonly Case[] = [
  {
    name: 'point',
    sql: "SELECT timestamp, price, volume FROM trades WHERE symbol = 'AAPL' ORDER BY timestamp DESC LIMIT 10",
    canonical:
      "SELECT timestamp, price, volume FROM trades WHERE symbol = 'AAPL' ORDER BY timestamp DESC LIMIT 10",
    columns: 'timestamp price volume',
  },
  {
    name: 'ohlcv-5m',
    sql: `SELECT symbol, time_bucket(INTERVAL '5 minutes', timestamp) AS bar,
       first(price) AS open, max(price) AS high, min(price) AS low, last(price) AS close, sum(volume) AS volume
FROM trades
WHERE symbol = 'AAPL' AND timestamp >= TIMESTAMP '2024-03-21 09:30:00' AND timestamp < TIMESTAMP '2024-03-21 16:00:00'
GROUP BY symbol, bar
ORDER BY bar`,
    canonical: "SELECT symbol, time_bucket(INTERVAL '5 minutes', timestamp) AS bar, first(price) AS open",
    columns: 'symbol bar open high low close volume',
  },
  {
    name: 'asof-cte-window',
    sql: `WITH spreads AS (
  SELECT t.symbol AS symbol, t.timestamp AS ts, t.price AS price, q.ask - q.bid AS spread
  FROM trades t ASOF JOIN quotes q ON t.symbol = q.symbol AND t.timestamp >= q.timestamp
  WHERE t.volume > 100 AND q.bid IS NOT NULL
)
SELECT symbol, ts, CASE WHEN spread > 0.05 THEN 'wide' ELSE 'tight' END AS kind,
       avg(spread) OVER (PARTITION BY symbol ORDER BY ts ROWS BETWEEN 20 PRECEDING AND CURRENT ROW) AS mean20,
       price - lag(price) OVER (PARTITION BY symbol ORDER BY ts) AS change
FROM spreads
WHERE symbol IN ('AAPL', 'MSFT', 'NVDA') AND spread BETWEEN 0.001 AND 5
ORDER BY symbol, ts
LIMIT 1000`,
    canonical:
      'WITH spreads AS (SELECT t.symbol AS symbol, t.timestamp AS ts, t.price AS price, q.ask - q.bid AS spread',
    columns: 'symbol ts kind mean20 change',
  },
  {
    name: 'insert-1000-rows',
    sql: `INSERT INTO trades (symbol, timestamp, price, volume) VALUES ${Array.from(
      { length: 1_000 },
      (_, i) => `('AAPL', ${1_711_013_400_000_000_000n + BigInt(i)}, ${171 + (i % 100) / 100 + 0.001}, ${i})`,
    ).join(', ')}`,
    canonical:
      "INSERT INTO trades (symbol, timestamp, price, volume) VALUES ('AAPL', 1711013400000000000, 171.001, 0)",
    columns: null,
  },
];

/** Prints one JSON line for the machine, then one for each case; the nanoseconds are medians of one call. */
export async function run(options: SqlParseBenchOptions = {}): Promise<void> {
  const { timeMs = 500 } = options;
  print({ bench: 'sql-parse', node: process.version, cpu: cpus()[0]!.model, cores: cpus().length });
  const instance = await DuckDBInstance.create(':memory:');
  const duckdb = await instance.connect();
  for (const { name, sql, canonical, columns } of cases) {
    const query = checked(sql, canonical, columns);
    const bench = new Bench({ time: timeMs, warmupTime: timeMs / 5 });
    bench.add('tokenize', () => void tokenize(sql));
    bench.add('parse', () => void parseStatement(sql));
    bench.add('parse and print', () => void printStatement(parseStatement(sql)));
    if (query !== null) bench.add('analyze', () => void analyzeQuery(query, catalog));
    bench.add('duckdb parse', async () => void (await duckdb.extractStatements(sql)));
    await bench.run();
    const medianNs = Object.fromEntries(
      bench.tasks.map((task) => {
        assert(task.result.state === 'completed', `${task.name} completed`);
        return [task.name, Math.round(task.result.latency.p50 * 1e6)];
      }),
    );
    print({ case: name, characters: sql.length, medianNs });
  }
  duckdb.closeSync();
  instance.closeSync();
}

/** The statement's query, once its canonical text and its output columns are what they should be. */
function checked(sql: string, canonical: string, columns: string | null): Query | null {
  const parsed = parseStatement(sql);
  const text = printStatement(parsed);
  assert(text.startsWith(canonical), `canonical text: ${text.slice(0, 200)}`);
  assert(printStatement(parseStatement(text)) === text, 'the canonical text is a fixed point');
  if (columns === null || parsed.statement.kind !== 'select') return null;
  const { query } = parsed.statement;
  const names = analyzeQuery(query, catalog).columns.map(({ name }) => name);
  assert(names.join(' ') === columns, `output columns: ${names.join(' ')}`);
  return query;
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
