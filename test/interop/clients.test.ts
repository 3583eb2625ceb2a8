// What: clickhouse-connect, pandas, polars, urllib and curl against a real member.
// Why: notebooks and scripts should read ticks with what they have; each reads other formats and sends other headers.
// Invariant: clients come from PyPI as they are; their values are compared with the rows that were inserted.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { reportToStderr } from '../../services/errors.ts';
import { tool } from '../../services/install.ts';
import { pythonWith } from '../../services/python.ts';
import { type ClientScene, DEALS_START_NS, deals, openClientScene } from '../support/client-scene.ts';
import { killMembers } from '../support/member.ts';

const PACKAGES = [
  ...['clickhouse-connect==1.12.0', 'polars==2.1.0', 'pyarrow==26.0.1', 'pandas==3.1.1', 'pytz==2026.6'],
];

const services = inject('services');
let home: string;
let scene: ClientScene;
let python: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'zepto-clients-'));
  python = await pythonWith(PACKAGES, reportToStderr);
  scene = await openClientScene(home, services.brokers);
}, 600_000);
afterAll(async () => {
  await killMembers();
  await rm(home, { recursive: true, force: true });
});

/** Runs a Python program that prints one line of JSON, with `url`, `host` and `port` set. */
async function ask(program: string): Promise<unknown> {
  const file = join(home, 'program.py');
  const { hostname, port } = new URL(scene.url);
  const given = `import json\nurl, host, port = ${JSON.stringify(scene.url)}, ${JSON.stringify(hostname)}, ${port}\n`;
  await writeFile(file, given + program);
  const printed = await tool(python, [file], 'run a Python program');
  // Clients log broken connections behind it.
  return JSON.parse(printed.split('\n').findLast((line) => /^[[{]/.test(line))!);
}

const times = deals.map(({ ns }) => String(DEALS_START_NS + BigInt(ns)));

describe('clickhouse-connect', () => {
  const connect = `import clickhouse_connect
from clickhouse_connect.driver.exceptions import DatabaseError
client = clickhouse_connect.get_client(host=host, port=port)
`;

  it('connects, learns version and settings, and reads every type', async () => {
    const found = await ask(`${connect}
result = client.query("SELECT * FROM deals ORDER BY timestamp")
rows = [[str(row[1]), None if row[2] is None else str(row[2]), row[3], row[4], row[5], row[6]] for row in result.result_rows]
print(json.dumps(dict(version=client.server_version, names=result.column_names,
  types=[t.name for t in result.column_types], rows=rows, second=str(result.result_rows[2][0]),
  setting=client.server_settings["max_result_rows"].value, tz=str(client.server_tz))))
`);
    expect(found).toEqual({
      version: expect.stringMatching(/^\d+\.\d+/),
      names: ['timestamp', 'symbol', 'price', 'size', 'venue', 'share', 'buy'],
      types: [
        "Nullable(DateTime64(9, 'UTC'))",
        ...['Nullable(String)', 'Nullable(Decimal(18, 4))', 'Nullable(Int64)', 'Nullable(String)'],
        ...['Nullable(Float64)', 'Nullable(Bool)'],
      ],
      rows: deals.map(({ symbol, price, size, venue, share, buy }) => [
        ...[symbol, price === null ? null : price.toFixed(4), size === null ? null : Number(size)],
        ...[venue, share, buy],
      ]),
      second: expect.stringMatching(/^2024-03-21 06:00:01/),
      setting: '0',
      tz: 'UTC',
    });
  });

  it('reads data frames to the nanosecond, and none when there are no rows', async () => {
    const found = (await ask(`${connect}
frame = client.query_df("SELECT timestamp, symbol, size, share FROM deals ORDER BY timestamp")
empty = client.query_df("SELECT timestamp, symbol FROM deals WHERE size = 12345")
print(json.dumps(dict(times=[str(t.value) for t in frame["timestamp"]], symbols=list(frame["symbol"]),
  sizes=[None if missing else str(int(v)) for v, missing in zip(frame["size"], frame["size"].isna())],
  empty=len(empty), columns=list(client.query("SELECT timestamp, symbol FROM deals WHERE size = 12345").column_names))))
`)) as Record<string, unknown>;
    expect(found).toEqual({
      times,
      symbols: deals.map(({ symbol }) => symbol),
      sizes: deals.map(({ size }) => size),
      empty: 0,
      columns: ['timestamp', 'symbol'],
    });
  });

  it('reads Arrow tables and streams', async () => {
    const found = await ask(`${connect}
table = client.query_arrow("SELECT timestamp, symbol, price FROM deals ORDER BY timestamp")
with client.query_arrow_stream("SELECT id FROM trades") as stream:
    rows = sum(batch.num_rows for batch in stream)
with client.query_row_block_stream("SELECT id FROM trades") as stream:
    ids = [row[0] for block in stream for row in block]
print(json.dumps(dict(types=[str(f.type) for f in table.schema], symbols=table["symbol"].to_pylist(), rows=rows,
  ids=len(set(ids)), highest=max(ids))))
`);
    const { produced } = scene.ledger;
    expect(found).toEqual({
      types: ['timestamp[ns, tz=UTC]', 'string', 'decimal128(18, 4)'],
      symbols: deals.map(({ symbol }) => symbol),
      rows: produced,
      ids: produced,
      highest: produced - 1,
    });
  });

  it('binds parameters on either side, and sends settings that count', async () => {
    const found = await ask(`${connect}
server = client.query("SELECT symbol FROM deals WHERE symbol IN {names:Array(String)} AND size > {least:Int64}",
  parameters={"names": ["MSFT", "it's"], "least": 9}).result_rows
own = client.query("SELECT symbol FROM deals WHERE symbol = %(name)s", parameters={"name": "BRK.B"}).result_rows
many = ["AAPL"] + [f"NOT-THERE-{i}" for i in range(20000)]
form = client.query("SELECT symbol FROM deals WHERE symbol IN {names:Array(String)}", parameters={"names": many}).result_rows
try:
    client.query("SELECT id FROM trades", settings={"max_result_rows": 10})
    limited = None
except DatabaseError as error:
    limited = [error.code, error.name]
print(json.dumps(dict(server=server, own=own, form=form, limited=limited,
  command=client.command("SELECT count(*) FROM trades"))))
`);
    expect(found).toEqual({
      server: [['MSFT']],
      own: [['BRK.B']],
      form: [['AAPL']],
      limited: [396, 'TOO_MANY_ROWS_OR_BYTES'],
      command: scene.ledger.produced,
    });
  });

  it('is told the number, the name and the text of an error, before and within a stream', async () => {
    const found = (await ask(`${connect}
def failure(work):
    try:
        work()
    except Exception as error:
        return [type(error).__name__, error.code, error.name, str(error)]
def read():
    with client.query_row_block_stream("SELECT id FROM trades", settings={"max_result_rows": 20000}) as stream:
        for block in stream: pass
print(json.dumps([failure(lambda: client.query("SELECT * FROM nowhere")), failure(lambda: client.query("SELEC 1")), failure(read)]))
`)) as [string, number, string, string][];
    expect(found.map(([, code, name]) => [code, name])).toEqual([
      [60, 'UNKNOWN_TABLE'],
      [62, 'SYNTAX_ERROR'],
      [396, 'TOO_MANY_ROWS_OR_BYTES'],
    ]);
    expect(found[0]![3]).toContain('unknown table nowhere');
    expect(found[2]![3]).toContain('more than 20000 rows');
  });
});

describe('what clickhouse-connect inserts', () => {
  /** A table of every type, and clients that send its rows with each compression that they have. */
  const connect = (name: string): string => `import clickhouse_connect, datetime as dt
from decimal import Decimal
from clickhouse_connect.driver.exceptions import DatabaseError
def connected(compress):
    return clickhouse_connect.get_client(host=host, port=port, compress=compress)
client = connected(True)
client.command("""CREATE TABLE ${name} (timestamp TIMESTAMP, symbol SYMBOL, price DECIMAL(18, 4), fee DECIMAL(9, 2), size INT64,
  lots INT32, share FLOAT64, weight FLOAT32, venue STRING, buy BOOL, received TIMESTAMP)
  WITH (topic = '${scene.topic}-${name}', partitions = 2, timestamp_column = 'timestamp')""")
columns = ["timestamp", "symbol", "price", "fee", "size", "lots", "share", "weight", "venue", "buy", "received"]
def read(table="${name}"):
    # Over Arrow: Native would give times to the microsecond only.
    found = client.query_arrow(f"SELECT {', '.join(columns)} FROM {table} ORDER BY timestamp")
    def shown(value):
        if hasattr(value, "value"): return str(value.value)
        return str(value) if isinstance(value, (Decimal, int)) and not isinstance(value, bool) else value
    return [[shown(row[column]) for column in columns] for row in found.to_pylist()]
def answer(found):
    client.command("DROP TABLE ${name}")
    print(json.dumps(found))
`;
  const start = DEALS_START_NS;

  it('is stored exactly, NULLs included, whatever the compression', async () => {
    const found = (await ask(`${connect('fills')}
rows = [
  [${start + 1n}, "AAPL", Decimal("150.2501"), Decimal("0.10"), 9007199254740993, 2147483647, 0.1, 0.5, "X", True, ${start + 3n}],
  [${start + 2n}, "ÉLAN", Decimal("-99999999999999.9999"), Decimal("-9999999.99"), -9223372036854775807, -2147483647, -1e-300, -0.25,
    'a,"b"\\tc', False, None],
  [${start + 3n}, "NULL", None, None, None, None, None, None, None, None, None],
  [${start + 4n}, "x" * 200, Decimal("0.0001"), Decimal("0"), 0, 0, 0.0, 0.0, "", False, 0],
]
for i, compress in enumerate(["lz4", "zstd", "gzip", False, True]):
    moved = [[row[0] + i * 10, *row[1:]] for row in rows]
    connected(compress).insert("fills", moved, column_names=columns)
answer(dict(rows=read(), by_default=client.write_compression))
`)) as { rows: unknown[][]; by_default: string };
    const rows = (ns: bigint): unknown[][] => [
      [
        ...[String(ns + 1n), 'AAPL', '150.2501', '0.10', '9007199254740993', '2147483647', 0.1, 0.5, 'X'],
        ...[true, String(start + 3n)],
      ],
      [
        ...[String(ns + 2n), 'ÉLAN', '-99999999999999.9999', '-9999999.99', '-9223372036854775807'],
        ...['-2147483647', -1e-300, -0.25, 'a,"b"\tc', false, null],
      ],
      [String(ns + 3n), 'NULL', ...Array(9).fill(null)],
      [String(ns + 4n), 'x'.repeat(200), '0.0001', '0.00', '0', '0', 0, 0, '', false, '0'],
    ];
    expect(found.rows).toEqual([0n, 10n, 20n, 30n, 40n].flatMap((ns) => rows(start + ns)));
    expect(found.by_default).toBe('lz4');
  });

  it('may leave columns out and come in any order, as times, and from a data frame of many rows', async () => {
    const found = (await ask(`${connect('parts')}
import pandas as pd
import pyarrow as pa
when = dt.datetime(2024, 3, 21, 6, 0, 0, 123456, tzinfo=dt.timezone.utc)
client.insert("parts", [["MSFT", Decimal("1.5"), when]], column_names=["symbol", "price", "timestamp"])
first = read()
count = 100000
frame = pd.DataFrame(dict(timestamp=pd.to_datetime(range(${start}, ${start} + count), utc=True),
  symbol=[f"S{i % 50}" for i in range(count)], size=range(count), share=[i / 4 for i in range(count)],
  price=[Decimal(i).scaleb(-4) for i in range(count)]))
frame.loc[7, "share"] = None
client.insert_df("parts", frame)
table = pa.table(dict(symbol=["A", "B", "A"], timestamp=[1, 2, 3], share=[0.5, None, 1.5]))
for compress in [False, "lz4", "zstd"]:
    connected(compress).insert_arrow("parts", table)
arrow = client.query("SELECT symbol, timestamp, share FROM parts WHERE timestamp < 4 ORDER BY timestamp").result_rows
back = client.query_df("SELECT timestamp, symbol, size, share, price FROM parts WHERE size IS NOT NULL ORDER BY timestamp")
same = bool((back["timestamp"].astype("int64").to_numpy() == frame["timestamp"].astype("int64").to_numpy()).all())
answer(dict(first=first, arrow=[[row[0], row[2]] for row in arrow], rows=len(back), times=same, sizes=[int(v) for v in back["size"]] == list(range(count)),
  symbols=list(back["symbol"]) == list(frame["symbol"]), prices=list(back["price"]) == list(frame["price"]),
  missing=[int(i) for i in back.index[back["share"].isna()]]))
`)) as Record<string, unknown>;
    expect(found).toEqual({
      first: [[String(start + 123_456_000n), 'MSFT', '1.5000', ...Array(8).fill(null)]],
      arrow: [...Array(3).fill(['A', 0.5]), ...Array(3).fill(['B', null]), ...Array(3).fill(['A', 1.5])],
      rows: 100_000,
      ...{ times: true, sizes: true, symbols: true, prices: true, missing: [7] },
    });
  });

  it('is refused whole where a value or a column does not fit', async () => {
    const found = (await ask(`${connect('refused')}
import pyarrow as pa
def failure(*args, insert=client.insert, **kwargs):
    try:
        insert("refused", *args, **kwargs)
    except DatabaseError as error:
        return str(error)
named = ["timestamp", "symbol", "size"]
answer(dict(
  missing=failure([[1, "A", 1], [2, None, 2]], column_names=named),
  type=failure([[1, "A", "x"]], column_names=named, column_type_names=["Int64", "String", "String"]),
  unread=failure([[1, "A", [1]]], column_names=named, column_type_names=["Int64", "String", "Array(Int64)"]),
  range=failure([[1, "A", 2 ** 63]], column_names=named, column_type_names=["Int64", "String", "UInt64"]),
  name=failure([[1, "A", 1]], column_names=["timestamp", "symbol", "sise"], column_type_names=["Int64", "String", "Int64"]),
  arrow=failure(pa.table(dict(timestamp=[1] * 99, symbol=[None] * 99)), insert=client.insert_arrow),
  rows=client.command("SELECT count(*) FROM refused")))
`)) as Record<string, unknown>;
    expect(found).toEqual({
      missing: expect.stringContaining('symbol is missing'),
      type: expect.stringContaining('column size: it cannot be filled from String; it takes Int8 to Int64'),
      unread: expect.stringContaining("column size: the type 'Array(Int64)' is not read; possible are Int8"),
      range: expect.stringContaining('row 1: size is out of range'),
      name: expect.stringContaining('unknown column sise'),
      arrow: expect.stringContaining('symbol is missing'),
      rows: 0,
    });
  });
});

describe('data frames over ArrowStream', () => {
  const fetched = `import urllib.request, urllib.parse, pyarrow as pa
def arrow(sql):
    request = urllib.request.Request(url + "/?default_format=ArrowStream", data=sql.encode())
    with urllib.request.urlopen(request) as response:
        with pa.ipc.open_stream(response) as reader:
            return reader.read_all()
`;

  it('come to pandas with exact times, decimals and NULLs', async () => {
    const found = await ask(`${fetched}
frame = arrow("SELECT * FROM deals ORDER BY timestamp").to_pandas()
ticks = arrow("SELECT id, price FROM trades").to_pandas()
print(json.dumps(dict(times=[str(t.value) for t in frame["timestamp"]],
  prices=[None if p is None else str(p) for p in frame["price"]], nulls=[int(n) for n in frame.isna().sum()],
  rows=len(ticks), ids=int(ticks["id"].nunique()))))
`);
    expect(found).toEqual({
      times,
      prices: deals.map(({ price }) => (price === null ? null : price.toFixed(4))),
      nulls: [0, 0, 1, 1, 1, 1, 1],
      rows: scene.ledger.produced,
      ids: scene.ledger.produced,
    });
  });

  it('come to polars with exact integers and texts', async () => {
    const found = await ask(`${fetched}
import polars as pl
frame = pl.from_arrow(arrow("SELECT * FROM deals ORDER BY timestamp"))
ticks = pl.from_arrow(arrow("SELECT symbol, count(*) AS n, max(id) AS last FROM trades GROUP BY symbol"))
print(json.dumps(dict(times=[str(t) for t in frame["timestamp"].dt.epoch("ns")],
  sizes=[None if s is None else str(s) for s in frame["size"]], venues=frame["venue"].to_list(),
  ticks=int(ticks["n"].sum()), symbols=ticks.height)))
`);
    expect(found).toEqual({
      times,
      sizes: deals.map(({ size }) => size),
      venues: deals.map(({ venue }) => venue),
      ticks: scene.ledger.produced,
      symbols: 11,
    });
  });
});

describe('a result as a Parquet file', () => {
  it('is read by pyarrow, pandas and polars to the nanosecond', async () => {
    const found = await ask(`import io, urllib.request, pyarrow.parquet as pq, pandas as pd, polars as pl
request = urllib.request.Request(url + "/?default_format=Parquet", data=b"SELECT * FROM deals ORDER BY timestamp")
with urllib.request.urlopen(request) as response:
    data = response.read()
table = pq.read_table(io.BytesIO(data))
print(json.dumps(dict(types=[str(f.type) for f in table.schema], arrow=[str(t.value) for t in table["timestamp"].to_pylist()],
  pandas=[str(t.value) for t in pd.read_parquet(io.BytesIO(data))["timestamp"]],
  polars=[str(t) for t in pl.read_parquet(io.BytesIO(data))["timestamp"].dt.epoch("ns")])))
`);
    expect(found).toEqual({
      types: [
        ...['timestamp[ns, tz=UTC]', 'string', 'decimal128(18, 4)', 'int64', 'string', 'double', 'bool'],
      ],
      arrow: times,
      pandas: times,
      polars: times,
    });
  });
});

describe("the original's Python client", () => {
  it('finds what it reads: columns, data, rows, execution_time_us, statistics, ping and errors', async () => {
    const found = (await ask(`import urllib.request, urllib.error
def post(sql):
    request = urllib.request.Request(url + "/", data=sql.encode("utf-8"), headers={"Content-Type": "text/plain"}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.loads(response.read().decode("utf-8"))
    except urllib.error.HTTPError as error:
        return dict(failed=f"ZeptoDB HTTP {error.code}: {error.read().decode()}")
def get(path):
    with urllib.request.urlopen(url + path) as response:
        return response.read().decode()
print(json.dumps(dict(rows=post("SELECT symbol, price, size, venue FROM deals ORDER BY timestamp"), tables=post("SHOW TABLES"),
  described=post("DESCRIBE trades"), failed=post("SELECT * FROM nowhere")["failed"], ping=get("/ping"),
  health=json.loads(get("/health")), stats=len(json.loads(get("/stats"))))))
`)) as Record<string, { columns: string[]; data: unknown[][]; rows: number; execution_time_us: number }> & {
      failed: string;
    };
    expect(found).toMatchObject({
      rows: {
        columns: ['symbol', 'price', 'size', 'venue'],
        data: [
          ['AAPL', 150.25, 10, 'X'],
          // Python's integers are exact.
          ['MSFT', 99.0001, expect.any(Number), null],
          ['BRK.B', -0.5, -3, 'a,"b"\tc\\'],
          ['ÉLAN', null, null, ''],
        ],
        rows: 4,
        execution_time_us: expect.any(Number),
      },
      tables: {
        columns: ['name', 'rows'],
        data: [
          ['deals', 4],
          ['trades', scene.ledger.produced],
        ],
      },
      described: { columns: ['column', 'type'], data: expect.arrayContaining([['symbol', 'SYMBOL']]) },
      ping: expect.stringContaining('Ok'),
      health: { status: 'healthy' },
    });
    expect(found.failed).toMatch(/^ZeptoDB HTTP 400: \{"error":"unknown table nowhere/);
  });
});

describe('curl', () => {
  const curl = (...args: readonly string[]): Promise<string> =>
    tool('curl', ['--silent', '--show-error', ...args], 'ask with curl');

  it('gets JSON, CSV and TSV by POST and GET, with status and type', async () => {
    expect(
      JSON.parse(await curl(scene.url, '--data-binary', 'SELECT count(*) AS n FROM deals')),
    ).toMatchObject({ columns: ['n'], data: [[4]], rows: 1 });
    const csv = 'SELECT symbol, price, venue, buy FROM deals ORDER BY timestamp FORMAT CSVWithNames';
    expect(await curl('--get', scene.url, '--data-urlencode', `query=${csv}`)).toBe(
      '"symbol","price","venue","buy"\n"AAPL",150.25,"X",true\n"MSFT",99.0001,\\N,false\n' +
        '"BRK.B",-0.5,"a,""b""\tc\\",true\n"ÉLAN",\\N,"",\\N\n',
    );
    const tsv = await curl(
      `${scene.url}/?default_format=TSV`,
      '-d',
      'SELECT venue FROM deals ORDER BY timestamp',
    );
    expect(tsv).toBe('X\n\\N\na,"b"\\tc\\\\\n\n');
    const head = await curl('--include', `${scene.url}/?query=SELECT+1+FORMAT+JSONEachRow`);
    expect(head).toMatch(/^HTTP\/1.1 200/);
    expect(head.toLowerCase()).toContain('content-type: application/x-ndjson');
    expect(head.toLowerCase()).toMatch(/x-clickhouse-query-id: [0-9a-f-]{36}/);
  });

  it('sends and gets gzip', async () => {
    const body = join(home, 'query.gz');
    const answer = join(home, 'answer.gz');
    await writeFile(body, gzipSync('SELECT id FROM trades ORDER BY id FORMAT TSV'));
    const sent = await curl(
      ...['--data-binary', `@${body}`, '-H', 'Content-Encoding: gzip', '-H', 'Accept-Encoding: gzip'],
      ...['--output', answer, '--write-out', '%{http_code} %header{content-encoding}'],
      `${scene.url}/?enable_http_compression=1`,
    );
    expect(sent).toBe('200 gzip');
    const { readFile } = await import('node:fs/promises');
    const ids = gunzipSync(await readFile(answer))
      .toString()
      .trim()
      .split('\n');
    expect(ids.length).toBe(scene.ledger.produced);
    expect(ids[123]).toBe('123');
  });

  it.each([
    ['SELEC 1', 400, { code: 'SQL_SYNTAX', position: 0 }],
    ['SELECT pirce FROM deals', 400, { code: 'SQL_NAME', position: 7 }],
    ['SELECT * FROM deals FORMAT Nonsense', 400, { code: 'SQL_UNSUPPORTED' }],
    ['DROP TABLE trades', 409, { code: 'CATALOG_CONFLICT' }],
  ])('is told by status and body why not: %s', async (sql, status, body) => {
    const text = await curl('--write-out', '\n%{http_code}', scene.url, '--data-binary', sql);
    const [json, code] = [text.slice(0, text.lastIndexOf('\n')), text.slice(text.lastIndexOf('\n') + 1)];
    expect(Number(code)).toBe(status);
    expect(JSON.parse(json)).toMatchObject({ ...body, error: expect.any(String) });
  });

  it('is refused what GET may not do, a database that there is not, and an unknown setting', async () => {
    const status = (path: string): Promise<string> =>
      curl('--output', '/dev/null', '--write-out', '%{http_code}', `${scene.url}${path}`);
    expect(await status('/?query=DROP+TABLE+deals')).toBe('403');
    expect(await status('/?query=SELECT+1&database=other')).toBe('400');
    expect(await status('/?query=SELECT+1&max_rezult_rows=1')).toBe('400');
    expect(await status('/?query=SELECT+1&database=default&max_threads=2')).toBe('200');
  });
});
