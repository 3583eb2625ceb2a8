// What: the analytic engine over DuckDB: types, files of several shapes, columns in paths, bounds, cancelling.
// Why: what others wrote must arrive with every digit and every nanosecond, or be refused with a reason.
// Invariant: files are made by DuckDB itself, or by this system; a query leaves no link, copy or connection behind.

import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DuckdbEngine, type DuckdbSettings } from '../../connectors/duckdb/engine.ts';
import { clickhouseType } from '../../connectors/formats/clickhouse-types.ts';
import { ObjectCache } from '../../connectors/fs/object-cache.ts';
import { ColumnType, NULL_BOOL, NULL_INT64 } from '../../src/columns/types.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { AnalyticEngine, ForeignValues } from '../../src/ports.ts';
import { execute } from '../../src/query/execute.ts';
import { snapshotTables } from '../../src/query/system/tables.ts';
import { parseStatement } from '../../src/sql/parser.ts';
import { memoryBucket, memoryStore } from '../support/memory-store.ts';
import { ask, optionsFor } from '../support/query-oracle.ts';
import { type World, worldOf } from '../support/query-tables.ts';

const calm = new AbortController().signal;
let home: string;
let maker: DuckDBConnection;
let engine: DuckdbEngine;
let world: World;
let engines = 0;
const bucket = memoryBucket({ conditionalWrites: true });
const store = memoryStore(bucket, { clock: systemClock });

function engineWith(more: Partial<DuckdbSettings> = {}, cacheBytes = 64 * 2 ** 20): DuckdbEngine {
  const cache = new ObjectCache({
    directory: join(home, `objects-${engines++}`),
    bytesMax: cacheBytes,
    fetch: () => Promise.reject(new Error('not asked')),
    looked: () => {},
  });
  return new DuckdbEngine(
    {
      roots: [join(home, 'open'), 's3://ticks/hdb'],
      memoryLimitMb: 64,
      threads: 2,
      ...more,
    },
    { copies: cache, storeOf: () => store },
  );
}

beforeAll(async () => {
  home = await realpath(await mkdtemp(join(tmpdir(), 'zepto-duckdb-')));
  await mkdir(join(home, 'open'));
  maker = await (await DuckDBInstance.create(':memory:')).connect();
  engine = engineWith();
  world = await worldOf(
    [
      {
        schema: {
          name: 'trades',
          columns: [
            { name: 'timestamp', type: ColumnType.TIMESTAMP_NS },
            { name: 'symbol', type: ColumnType.SYMBOL },
            { name: 'price', type: ColumnType.INT64, scale: 2 },
          ],
          timestampColumn: 0,
          symbolColumn: 1,
        },
        rows: [
          [1_711_000_800_000_000_001n, 'A', 10_050n],
          [1_711_000_800_000_000_002n, 'B', 20_000n],
          [1_711_000_860_000_000_003n, 'A', 10_100n],
        ],
      },
    ],
    { placement: 'hot' },
  );
});
afterAll(async () => {
  await engine.close();
  await rm(home, { recursive: true, force: true });
});

const at = (name: string): string => join(home, 'open', name);

async function write(name: string, query: string, options = ''): Promise<string> {
  await mkdir(join(at(name), '..'), { recursive: true });
  await maker.run(`COPY (${query}) TO '${at(name).replaceAll("'", "''")}' (FORMAT parquet ${options})`);
  return at(name);
}

async function read(
  path: string,
  columns: readonly string[],
  from: AnalyticEngine = engine,
): Promise<unknown[][]> {
  const signal = new AbortController().signal;
  await from.describe(path, signal);
  const rows: unknown[][] = [];
  for await (const run of from.readPath(path, columns, signal))
    for (let row = 0; row < run.rows; row++)
      rows.push(run.columns.map((values: ForeignValues) => values[row]));
  return rows;
}

const rowsFor = async (sql: string): Promise<readonly (readonly unknown[])[]> =>
  (await ask(sql, world, { analytic: engine })).rows;

const errorOf = async (work: Promise<unknown>): Promise<ZeptoError> => {
  const error = await work.then(
    () => new Error('nothing was thrown'),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ZeptoError);
  return error as ZeptoError;
};

describe('types', () => {
  it('of all kinds arrive exactly, and NULLs as NULLs', async () => {
    const path = await write(
      'types.parquet',
      `SELECT 9007199254740993::BIGINT AS big, 18::UTINYINT AS small, (-2147483648)::INTEGER AS int,
         4294967295::UINTEGER AS uint, 12345.6789::DECIMAL(9,4) AS dec, -0.5::DECIMAL(38,1) AS wide,
         7::DECIMAL(10,0) AS whole, 0.1::FLOAT AS real, 0.1::DOUBLE AS double, true AS yes, 'é''"' AS text,
         make_timestamp_ns(1711000800000000001) AS ns, TIMESTAMP '2024-03-21 06:00:00.000001' AS us,
         TIMESTAMP_MS '2024-03-21 06:00:00.001' AS ms, TIMESTAMPTZ '2024-03-21 06:00:00+00' AS tz,
         DATE '2024-03-21' AS day, TIME '06:00:01' AS clock, [1, 2] AS list, {'a': 1} AS struct,
         'a'::BLOB AS bytes, INTERVAL 1 DAY AS span
       UNION ALL SELECT ${Array.from({ length: 21 }, () => 'NULL').join(', ')}`,
    );
    const columns = await engine.describe(path, calm);
    expect(columns.map(({ name, type }) => `${name} ${type}`)).toEqual([
      'big INT64',
      'small INT32',
      'int INT64',
      'uint INT64',
      'dec DECIMAL(18, 4)',
      'wide DECIMAL(18, 1)',
      'whole INT64',
      'real FLOAT32',
      'double FLOAT64',
      'yes BOOL',
      'text STRING',
      'ns TIMESTAMP_NS',
      'us TIMESTAMP_NS',
      'ms TIMESTAMP_NS',
      'tz TIMESTAMP_NS',
      'day TIMESTAMP_NS',
      'clock STRING',
      'list STRING',
      'struct STRING',
      'bytes STRING',
      'span STRING',
    ]);
    const names = columns.map(({ name }) => name);
    const [values, nulls] = await read(path, names);
    const second = 1_711_000_800_000_000_000n;
    expect(values).toEqual([
      9007199254740993n,
      18,
      -2147483648n,
      4294967295n,
      123456789n,
      -5n,
      7n,
      Math.fround(0.1),
      0.1,
      1,
      `é'"`,
      second + 1n,
      second + 1_000n,
      second + 1_000_000n,
      second,
      1_710_979_200_000_000_000n,
      '06:00:01',
      '[1, 2]',
      "{'a': 1}",
      'a',
      '1 day',
    ]);
    const isText = (name: string): boolean => columns.find((one) => one.name === name)?.type === 'STRING';
    expect(nulls!.map((value, i) => (isText(names[i]!) ? value : 'number'))).toEqual(
      names.map((name) => (isText(name) ? null : 'number')),
    );
    expect([nulls![0], nulls![4], nulls![7], nulls![9], nulls![11]]).toEqual([
      NULL_INT64,
      NULL_INT64,
      Number.NaN,
      NULL_BOOL,
      NULL_INT64,
    ]);
    const [, viaSql] = await rowsFor(`SELECT * FROM duckdb('${path}')`);
    expect(viaSql).toEqual(names.map(() => null));
  });

  it.each([
    ['18446744073709551615::UBIGINT', 'SQL_TYPE', 'Conversion Error'],
    ['1234567890123456789.5::DECIMAL(38,1)', 'SQL_TYPE', 'Conversion Error'],
    ["TIMESTAMP '2300-01-01'", 'SQL_TYPE', 'Conversion Error'],
    ['(-9223372036854775808)::BIGINT', 'SQL_TYPE', 'stands for NULL'],
  ])('without a place for %s refuse it', async (value, code, text) => {
    const path = await write('unfit.parquet', `SELECT ${value} AS x`);
    const error = await errorOf(read(path, ['x']));
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(text)]);
  });

  it('keep nanoseconds that the file marks as UTC, which DuckDB cuts, and leave the file as it is', async () => {
    const bytes = await readFile(new URL('../fixtures/parquet/utc-nanoseconds.parquet', import.meta.url));
    await writeFile(at('utc.parquet'), bytes);
    await chmod(at('utc.parquet'), 0o444);
    expect((await engine.describe(at('utc.parquet'), calm)).slice(0, 2)).toEqual([
      { name: 'ts', type: 'TIMESTAMP_NS' },
      { name: 'id', type: 'INT64' },
    ]);
    const theirs = await maker.runAndReadAll(`SELECT epoch_ns(ts) FROM '${at('utc.parquet')}' LIMIT 1`);
    expect(theirs.getRows()).toEqual([[1_711_000_800_000_000_000n]]);
    expect(await read(at('utc.parquet'), ['ts', 'id'])).toEqual([
      [1_711_000_800_000_000_001n, 0n],
      [1_711_000_800_000_000_999n, 1n],
      [NULL_INT64, 2n],
    ]);
    expect(await readFile(at('utc.parquet'))).toEqual(bytes);
  });
});

describe('several files', () => {
  it('come in the order of their paths, with the columns in the paths', async () => {
    for (const [day, symbol] of [
      ['01', 'A'],
      ['02', 'A[1]*'],
      ['10', 'B'],
    ])
      await write(`hive/day=${day}/symbol=${symbol}/x.parquet`, `SELECT ${Number(day)} AS n FROM range(2)`);
    const path = at('hive/**/*.parquet');
    expect(await engine.describe(path, calm)).toEqual([
      { name: 'n', type: 'INT64' },
      { name: 'day', type: 'INT64' },
      { name: 'symbol', type: 'STRING' },
    ]);
    const pairs = [
      [1n, 1n, 'A'],
      [2n, 2n, 'A[1]*'],
      [10n, 10n, 'B'],
    ];
    expect(await read(path, ['n', 'day', 'symbol'])).toEqual(pairs.flatMap((row) => [row, row]));
    expect(await read(path, ['symbol'])).toHaveLength(6);
    expect(await rowsFor(`SELECT count(*) FROM duckdb('${path}')`)).toEqual([[6n]]);
    expect(
      await rowsFor(`SELECT symbol, sum(n) FROM duckdb('${path}') WHERE day < 10 GROUP BY symbol ORDER BY 1`),
    ).toEqual([
      ['A', 2n],
      ['A[1]*', 4n],
    ]);
  });

  it('may lack a column, or have a narrower one, and differ in what is not read', async () => {
    await write('shapes/1.parquet', "SELECT 1::SMALLINT AS a, 1.5::DECIMAL(5,2) AS p, 'x' AS other");
    await write('shapes/2.parquet', 'SELECT 2::SMALLINT AS a, 3 AS other');
    await write('shapes/3.parquet', 'SELECT 3::TINYINT AS A, 2.25::DECIMAL(30,2) AS p, 4 AS late');
    const path = at('shapes/*.parquet');
    expect((await engine.describe(path, calm)).map(({ name }) => name)).toEqual(['a', 'p', 'other', 'late']);
    expect(await read(path, ['late', 'p', 'a'])).toEqual([
      [NULL_INT64, 150n, 1],
      [NULL_INT64, NULL_INT64, 2],
      [4n, 225n, 3],
    ]);
    await write('shapes/2.parquet', "SELECT 2 AS a, 'text' AS p");
    const error = await errorOf(read(path, ['p']));
    expect([error.code, error.message]).toEqual([
      'FORMAT_INVALID',
      expect.stringContaining(at('shapes/2.parquet')),
    ]);
  });

  it('have columns and folders of any name', async () => {
    const path = await write(`o'dd "dir"/x;--.parquet`, `SELECT 1 AS "a""b'c;--", 2 AS "select"`);
    expect(await read(path, [`a"b'c;--`, 'select'])).toEqual([[1n, 2n]]);
  });
});

describe('a query', () => {
  it('joins files with a table in memory, by name and by time', async () => {
    const path = await write(
      'ref.parquet',
      `SELECT * FROM (VALUES ('A', 'tech', 100::DECIMAL(18,2)), ('B', 'bank', 200), ('C', 'none', 1)) t(symbol, sector, open)`,
    );
    expect(
      await rowsFor(
        `SELECT t.symbol, r.sector, t.price - r.open AS change FROM trades t JOIN duckdb('${path}') r ON t.symbol = r.symbol
         ORDER BY t.symbol, change`,
      ),
    ).toEqual([
      ['A', 'tech', 50n],
      ['A', 'tech', 100n],
      ['B', 'bank', 0n],
    ]);
    const quotes = await write(
      'quotes.parquet',
      `SELECT make_timestamp_ns(1711000800000000002) AS timestamp, 'A' AS symbol, 7 AS bid
       UNION ALL SELECT make_timestamp_ns(1711000860000000003), 'A', 8`,
    );
    expect(
      await rowsFor(
        `SELECT t.timestamp, q.bid FROM trades t ASOF LEFT JOIN duckdb('${quotes}') q
         ON t.symbol = q.symbol AND t.timestamp >= q.timestamp WHERE t.symbol = 'A' ORDER BY t.timestamp`,
      ),
    ).toEqual([
      [1_711_000_800_000_000_001n, null],
      [1_711_000_860_000_000_003n, 8n],
    ]);
  });

  it('streams a result that is larger than the memory it may use, piece by piece', async () => {
    const path = await write(
      'long.parquet',
      'SELECT i AS id, hash(i)::VARCHAR AS text, random() AS x FROM range(1000000) t(i)',
      ', ROW_GROUP_SIZE 100000',
    );
    const small = engineWith({ memoryLimitMb: 32 });
    let next = 0n;
    let sum = 0n;
    let longest = 0;
    for await (const { rows, columns } of small.readPath(path, ['id', 'x'], calm)) {
      const ids = columns[0] as BigInt64Array;
      expect(ids[0]).toBe(next);
      for (const id of ids) sum += id;
      next += BigInt(rows);
      longest = Math.max(longest, rows);
    }
    expect([next, sum]).toEqual([1_000_000n, 999_999n * 500_000n]);
    expect(longest).toBeLessThan(100_000);
    await small.close();
  });

  it('that is left early or cancelled gives up what it held', async () => {
    const path = await write('left.parquet', 'SELECT i FROM range(1000000) t(i)', ', ROW_GROUP_SIZE 100000');
    const key = 'hdb/left.parquet';
    const body = await readFile(path);
    bucket.write(key, body);
    bucket.write('hdb/next.parquet', body);
    // Room for one of them.
    const own = engineWith({}, body.length * 1.5);
    for await (const { rows } of own.readPath(`s3://ticks/${key}`, ['i'], calm)) {
      expect(rows).toBeGreaterThan(0);
      const error = await errorOf(read('s3://ticks/hdb/next.parquet', ['i'], own));
      expect(error.code).toBe('LIMIT_EXCEEDED');
      break;
    }
    const stop = new AbortController();
    const reading = own.readPath('s3://ticks/hdb/next.parquet', ['i'], stop.signal)[Symbol.asyncIterator]();
    await reading.next();
    const reason = new ZeptoError('CANCELLED', 'stop', 'enough');
    stop.abort(reason);
    await expect(reading.next()).rejects.toBe(reason);
    await expect(own.describe(path, stop.signal)).rejects.toBe(reason);
    expect(await read(`s3://ticks/${key}`, ['i'], own)).toHaveLength(1_000_000);
    await own.close();
  });

  it('is interrupted while DuckDB computes', async () => {
    // One row group whose pages must be read before the first row comes.
    const path = await write(
      'slow.parquet',
      `SELECT repeat(hash(i)::VARCHAR, 20) AS text FROM range(600000) t(i)`,
      ', ROW_GROUP_SIZE 1000000',
    );
    const own = engineWith({ memoryLimitMb: 1024, threads: 1 });
    const stop = new AbortController();
    const look = new AbortController();
    await own.describe(path, look.signal);
    const reason = new ZeptoError('CANCELLED', 'stop', 'enough');
    const reading = own.readPath(path, ['text'], stop.signal)[Symbol.asyncIterator]();
    const first = reading.next();
    stop.abort(reason);
    await expect(first).rejects.toBe(reason);
    await own.close();
  });

  it('reads the columns that it names, and of a count none', async () => {
    const path = await write('wide.parquet', "SELECT 1 AS a, 2 AS b, 3 AS c, 'x' AS text");
    const asked: (readonly string[])[] = [];
    const watched: AnalyticEngine = {
      describe: (of, signal) => engine.describe(of, signal),
      readPath: (of, columns, signal) => {
        asked.push(columns);
        return engine.readPath(of, columns, signal);
      },
    };
    const rows = async (sql: string): Promise<unknown> => (await ask(sql, world, { analytic: watched })).rows;
    expect(await rows(`SELECT count(*) FROM duckdb('${path}')`)).toEqual([[1n]]);
    expect(await rows(`SELECT c FROM duckdb('${path}') WHERE a = 1 ORDER BY b`)).toEqual([[3n]]);
    expect(
      await rows(`SELECT t.symbol, f.b FROM trades t JOIN duckdb('${path}') f ON t.price > f.c LIMIT 1`),
    ).toEqual([['A', 2n]]);
    expect(asked).toEqual([[], ['a', 'b', 'c'], ['b', 'c']]);
  });

  it('is cancelled through execute, with the reason', async () => {
    const path = await write('cancel.parquet', 'SELECT i FROM range(1000000) t(i)');
    const stop = new AbortController();
    const { statement } = parseStatement(`SELECT i FROM duckdb('${path}')`);
    const options = optionsFor(world, { analytic: engine, signal: stop.signal });
    const result = await execute(statement, world.snapshot, options);
    expect((await result.next())?.rows).toBeGreaterThan(0);
    stop.abort(new ZeptoError('CANCELLED', 'stop', 'enough'));
    const error = await errorOf(
      (async () => {
        while ((await result.next()) !== null);
      })(),
    );
    expect(error.message).toBe('enough');
  });
});

describe('objects', () => {
  beforeEach(async () => {
    await write('object.parquet', "SELECT i, 'v' || i AS v FROM range(3) t(i)");
    const body = await readFile(at('object.parquet'));
    for (const key of ['hdb/symbol=7/a.parquet', 'hdb/symbol=9/b.parquet', 'secret/c.parquet'])
      bucket.write(key, body);
  });

  it('are read through the store and kept in the cache', async () => {
    const path = 's3://ticks/hdb/symbol=*/*.parquet';
    const expected = [7n, 9n].flatMap((symbol) => [0n, 1n, 2n].map((i) => [i, symbol]));
    expect(await read(path, ['i', 'symbol'])).toEqual(expected);
    const kept = await readdir(join(home, 'objects-0'));
    expect(kept.filter((name) => !name.endsWith('.part')).length).toBeGreaterThanOrEqual(2);
    expect(await rowsFor(`SELECT count(*), sum(i) FROM duckdb('${path}')`)).toEqual([[6n, 6n]]);
    expect((await errorOf(read('s3://ticks/secret/c.parquet', ['i']))).code).toBe('STORE_DENIED');
    expect((await errorOf(read('s3://ticks/hdb/none.parquet', ['i']))).code).toBe('STORE_NO_OBJECT');
  });

  it('larger than the cache are refused with its setting', async () => {
    const small = engineWith({}, 100);
    const error = await errorOf(read('s3://ticks/hdb/symbol=7/a.parquet', ['i'], small));
    expect([error.code, error.message]).toEqual([
      'LIMIT_EXCEEDED',
      expect.stringContaining('--cold-cache-bytes'),
    ]);
    await small.close();
  });

  it('more than the cache holds are read one after the other', async () => {
    const { length: size } = await readFile(at('object.parquet'));
    for (let i = 0; i < 5; i++) bucket.write(`hdb/many/${i}.parquet`, await readFile(at('object.parquet')));
    const small = engineWith({}, Math.floor(size * 2.5));
    expect(await read('s3://ticks/hdb/many/*.parquet', ['i'], small)).toHaveLength(15);
    await small.close();
  });
});

describe('what cannot be read', () => {
  it.each([
    ['nothing.parquet', 'STORE_NO_OBJECT', 'names no file'],
    ['text.parquet', 'FORMAT_INVALID', 'is no Parquet file'],
    ['empty.parquet', 'FORMAT_INVALID', 'is no Parquet file'],
    ['cut.parquet', 'FORMAT_INVALID', 'is no Parquet file'],
    ['damaged.parquet', 'FORMAT_INVALID', 'damaged.parquet'],
  ])('%s is told as %s', async (name, code, text) => {
    await writeFile(at('text.parquet'), 'id,price\n1,2\n');
    await writeFile(at('empty.parquet'), '');
    await write('cut.parquet', 'SELECT i FROM range(1000) t(i)');
    await truncate(at('cut.parquet'), 300);
    const whole = await readFile(await write('damaged.parquet', 'SELECT hash(i) h FROM range(1000) t(i)'));
    await writeFile(at('damaged.parquet'), whole.fill(0xff, 4, whole.length - 400));
    const error = await errorOf(read(at(name), ['h']));
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(text)]);
    expect(error.message).not.toContain('objects-');
  });

  it('is refused when the engine is off, with the switch', async () => {
    const error = await errorOf(ask(`SELECT * FROM duckdb('/x.parquet')`, world, { analytic: null }));
    expect([error.code, error.message]).toEqual(['SQL_UNSUPPORTED', expect.stringContaining('--duckdb')]);
  });

  it('has no column that the query names', async () => {
    const path = await write('few.parquet', 'SELECT 1 AS price');
    const error = await errorOf(ask(`SELECT prize FROM duckdb('${path}')`, world, { analytic: engine }));
    expect([error.code, error.message]).toEqual(['SQL_NAME', expect.stringContaining('price')]);
  });
});

describe('a registered Parquet table', () => {
  const system = snapshotTables(clickhouseType);
  const asTables = async (sql: string, paths: Readonly<Record<string, string>>): Promise<unknown[][]> => {
    const registered = new Map(Object.entries(paths));
    return (await ask(sql, world, { analytic: engine, registered, system })).rows.map((row) => [...row]);
  };

  it('is queried by its name, with joins, aggregates, conditions and subqueries', async () => {
    const sectors = await write('reg/sectors.parquet', "SELECT 'A' AS symbol, 'tech' AS sector");
    const paths = { sectors };
    expect(await asTables('SELECT * FROM sectors', paths)).toEqual([['A', 'tech']]);
    expect(
      await asTables(
        `SELECT s.sector, sum(t.price) FROM trades t LEFT JOIN default.sectors s ON t.symbol = s.symbol
         WHERE t.symbol IN (SELECT symbol FROM sectors) GROUP BY s.sector`,
        paths,
      ),
    ).toEqual([['tech', 20_150n]]);
    expect(await asTables('WITH sectors AS (SELECT 1 AS x) SELECT * FROM sectors', paths)).toEqual([[1n]]);
    const plan = await asTables('EXPLAIN SELECT count(*) FROM sectors', paths);
    expect(plan.flat().join()).toContain(sectors);
  });

  it('has the time that SAMPLE BY goes by', async () => {
    const ticks = await write(
      'reg/ticks.parquet',
      "SELECT TIMESTAMP '2024-03-21 06:00:00' + INTERVAL (i) SECOND AS timestamp, i FROM range(120) t(i)",
    );
    const bars = await asTables('SELECT timestamp, count(*) FROM ticks SAMPLE BY 1m', { ticks });
    expect(bars.map(([, n]) => n)).toEqual([60n, 60n]);
  });

  it('is listed and described as its files are now', async () => {
    const own = await write('reg/own.parquet', 'SELECT 1::SMALLINT AS a, 2::DECIMAL(9, 2) AS b');
    const paths = { own, gone: at('reg/gone.parquet') };
    expect(await asTables('SHOW TABLES', paths)).toEqual([
      ['gone', null],
      ['own', null],
      ['trades', 3n],
    ]);
    expect(await asTables('DESCRIBE own', paths)).toEqual([
      ['a', 'INT32'],
      ['b', 'DECIMAL(18, 2)'],
    ]);
    expect(
      await asTables(
        "SELECT name, comment FROM system.tables WHERE engine = 'Parquet' AND name = 'own'",
        paths,
      ),
    ).toEqual([['own', own]]);
    const columns =
      "SELECT name, position FROM system.columns WHERE table IN ('own', 'gone') ORDER BY position";
    expect(await asTables(columns, paths)).toEqual([
      ['a', 1n],
      ['b', 2n],
    ]);
    await write('reg/own.parquet', 'SELECT 1::SMALLINT AS a, 2 AS b, 3 AS c');
    expect((await asTables('DESCRIBE own', paths)).length).toBe(3);
  });

  it.each([
    ['SELECT * FROM files SAMPLE 0.5', 'SQL_UNSUPPORTED', 'SAMPLE'],
    ['SELECT x FROM files', 'SQL_NAME', 'unknown column'],
    ['SELECT * FROM outside', 'STORE_DENIED', '--duckdb-roots'],
    ['DESCRIBE outside', 'STORE_DENIED', '--duckdb-roots'],
    ['SELECT * FROM gone', 'STORE_NO_OBJECT', 'gone.parquet'],
    ['SELECT * FROM system.files', 'SQL_NAME', 'unknown table'],
    ['SELECT * FROM file', 'SQL_NAME', 'did you mean files?'],
  ])('%s is refused', async (sql, code, text) => {
    const files = await write('reg/files.parquet', 'SELECT 1 AS a');
    const error = await errorOf(
      asTables(sql, { files, outside: '/etc/x.parquet', gone: at('gone.parquet') }),
    );
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(text)]);
  });
});
