// What: every result format over the same awkward rows: quotes, tabs, NULL, wide integers, nanoseconds, infinities, no rows, errors.
// Why: a value that is escaped or rounded wrongly is read by somebody else's program, which will not complain.
// Invariant: texts are compared whole; binary formats are read by libraries that others wrote.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { type Table, tableFromIPC } from 'apache-arrow';
import { describe, expect, test } from 'vitest';
import { resultFormat } from '../../connectors/formats/format.ts';
import type { AboutResult } from '../../connectors/formats/result-format.ts';
import type { OutputColumn, ResultBlock, ResultSet } from '../../src/http-port.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import { execute } from '../../src/query/execute.ts';
import { plainResult } from '../../src/query/plain-result.ts';
import { type Cell, emptyStats } from '../../src/query/result.ts';
import { parseStatement } from '../../src/sql/parser.ts';
import {
  BOOL,
  decimal,
  FLOAT32,
  FLOAT64,
  INT32,
  INT64,
  NULL,
  STRING,
  SYMBOL,
  TIMESTAMP,
} from '../../src/sql/types.ts';
import { optionsFor } from '../support/query-oracle.ts';
import { worldOf } from '../support/query-tables.ts';

const columns: readonly OutputColumn[] = [
  { name: 'at', type: TIMESTAMP },
  { name: 'sym', type: SYMBOL },
  { name: 'price', type: decimal(18, 4) },
  { name: 'fee', type: decimal(9, 2) },
  { name: 'size', type: INT64 },
  { name: 'n', type: INT32 },
  { name: 'x', type: FLOAT64 },
  { name: 'f', type: FLOAT32 },
  { name: 'ok', type: BOOL },
  { name: 'te"xt', type: STRING },
];
const nasty = 'a,"b"\t\\ \'c\'\r\nd\0é';
const rows: readonly (readonly Cell[])[] = [
  [1_711_000_800_000_000_001n, 'AAPL', 1502500n, 150n, 9007199254740993n, -7n, 0.1, 0.5, true, nasty],
  [-1n, 'ÉLAN', -5n, -1n, -(2n ** 63n) + 1n, 2147483647n, Number.POSITIVE_INFINITY, -1.5, false, ''],
  [null, null, null, null, null, null, null, null, null, null],
];

const TAG = 'abcdefghijklmnop';
const aboutWith = (settings: Readonly<Record<string, string>> = {}): AboutResult => ({
  elapsedUs: () => 1234,
  settings,
  exceptionTag: TAG,
});

async function bytesOf(format: string | null, result: ResultSet, settings = {}): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of resultFormat(format).write(result, aboutWith(settings))) pieces.push(piece);
  return Buffer.concat(pieces);
}
const textOf = async (
  format: string | null,
  settings: Readonly<Record<string, string>> = {},
  of: readonly (readonly Cell[])[] = rows,
): Promise<string> => (await bytesOf(format, plainResult(columns, of), settings)).toString('utf8');

describe('JSON', () => {
  test("this system's own has exact numbers and nanoseconds, and null for what JSON cannot say", async () => {
    const text = await textOf(null);
    expect(text).toContain(
      '[1711000800000000001,"AAPL",150.25,1.5,9007199254740993,-7,0.1,0.5,true,"a,\\"b\\"\\t\\\\ \'c\'\\r\\nd\\u0000é"]',
    );
    expect(text).toContain('[-1,"ÉLAN",-0.0005,-0.01,-9223372036854775807,2147483647,null,-1.5,false,""]');
    const parsed = JSON.parse(text) as { columns: string[]; data: unknown[][]; rows: number };
    expect(parsed.columns).toEqual(columns.map(({ name }) => name));
    expect(parsed.data[2]).toEqual(columns.map(() => null));
    expect(parsed).toMatchObject({ rows: 3, rows_scanned: 0, execution_time_us: 1234 });
    expect(text).toContain('"execution_time_us":1234.00}');
  });

  test("ClickHouse's quotes int64 and times, unless a setting says otherwise", async () => {
    const { meta, data } = JSON.parse(await textOf('JSON')) as {
      meta: { name: string; type: string }[];
      data: Record<string, unknown>[];
    };
    expect(meta.map(({ type }) => type)).toEqual(
      [
        ...["DateTime64(9, 'UTC')", 'String', 'Decimal(18, 4)', 'Decimal(9, 2)', 'Int64', 'Int32'],
        ...['Float64', 'Float32', 'Bool', 'String'],
      ].map((type) => `Nullable(${type})`),
    );
    expect(data[0]).toEqual({
      ...{ at: '2024-03-21 06:00:00.000000001', sym: 'AAPL', price: 150.25, fee: 1.5 },
      ...{ size: '9007199254740993', n: -7, x: 0.1, f: 0.5, ok: true, 'te"xt': nasty },
    });
    expect(data[1]).toMatchObject({ at: '1969-12-31 23:59:59.999999999', x: null });
    const unquoted = await textOf('JSONEachRow', { output_format_json_quote_64bit_integers: '0' });
    expect(unquoted).toContain('"size":9007199254740993,');
    const denormal = await textOf('JSONCompact', { output_format_json_quote_denormals: '1' });
    expect(denormal).toContain('"inf"');
  });

  test('lines are one object or array for each row', async () => {
    for (const format of ['JSONEachRow', 'JSONCompactEachRow', 'ndjson']) {
      const lines = (await textOf(format)).trimEnd().split('\n');
      expect(lines.length).toBe(3);
      const cells = lines.map((line) => Object.values(JSON.parse(line) as object));
      expect(cells.map((row) => row.at(-1))).toEqual([nasty, '', null]);
    }
  });
});

describe('CSV and TSV', () => {
  test('CSV doubles quotes, and NULL is \\N while an empty text is ""', async () => {
    const text = await textOf('CSVWithNames');
    expect(text).toBe(
      '"at","sym","price","fee","size","n","x","f","ok","te""xt"\n' +
        '"2024-03-21 06:00:00.000000001","AAPL",150.25,1.5,9007199254740993,-7,0.1,0.5,true,' +
        `"a,""b""\t\\ 'c'\r\nd\0é"\n` +
        '"1969-12-31 23:59:59.999999999","ÉLAN",-0.0005,-0.01,-9223372036854775807,2147483647,inf,-1.5,false,""\n' +
        `${columns.map(() => '\\N').join(',')}\n`,
    );
    expect(await textOf('CSV')).toBe(text.slice(text.indexOf('\n') + 1));
  });

  test('TSV escapes what would end a cell or a line', async () => {
    const text = await textOf('TSVWithNamesAndTypes');
    const [names, types, first, second, third] = text.split('\n');
    expect(names).toBe(columns.map(({ name }) => name).join('\t'));
    expect(types!.split('\t')[0]).toBe("Nullable(DateTime64(9, 'UTC'))");
    expect(first!.split('\t').at(-1)).toBe('a,"b"\\t\\\\ \'c\'\\r\\nd\\0é');
    expect(second!.split('\t').at(-1)).toBe('');
    expect(third).toBe(columns.map(() => '\\N').join('\t'));
    expect(text.split('\n').length).toBe(6);
  });

  test('CSV is read back by DuckDB as it was', async () => {
    const { file, cleanUp } = fileOf('rows.csv', await bytesOf('CSVWithNames', plainResult(columns, rows)));
    try {
      const found = await duckdb(
        `SELECT sym, size, x, "te""xt" FROM read_csv('${file}', header=true, delim=',', quote='"', escape='"', nullstr='\\N', all_varchar=true)`,
      );
      expect(found).toEqual([
        ['AAPL', '9007199254740993', '0.1', nasty],
        ['ÉLAN', '-9223372036854775807', 'inf', ''],
        [null, null, null, null],
      ]);
    } finally {
      cleanUp();
    }
  });
});

describe('Arrow and Parquet', () => {
  const expectTable = (table: Table, count = 3): void => {
    expect(table.numRows).toBe(count);
    expect(table.schema.fields.map((field) => String(field.type))).toEqual([
      ...['Timestamp<NANOSECOND, UTC>', 'Utf8', 'Decimal[18e+4]', 'Decimal[9e+2]', 'Int64', 'Int32'],
      ...['Float64', 'Float32', 'Bool', 'Utf8'],
    ]);
    if (count === 0) return;
    const column = (name: string): unknown[] => [...table.getChild(name)!];
    expect(column('sym')).toEqual(['AAPL', 'ÉLAN', null]);
    expect(column('te"xt')).toEqual([nasty, '', null]);
    expect(column('size')).toEqual([9007199254740993n, -(2n ** 63n) + 1n, null]);
    expect(column('n')).toEqual([-7, 2147483647, null]);
    expect(column('x')).toEqual([0.1, Number.POSITIVE_INFINITY, null]);
    expect(column('ok')).toEqual([true, false, null]);
    const at = table.getChild('at')!.data[0]!.values as BigInt64Array;
    expect([...at].slice(0, 2)).toEqual([1_711_000_800_000_000_001n, -1n]);
    const price = table.getChild('price')!.data[0]!.values as Uint32Array;
    expect([...new BigInt64Array(price.slice(0, 8).buffer)]).toEqual([1502500n, 0n, -5n, -1n]);
  };

  test.each(['ArrowStream', 'Arrow'])('%s is read by apache-arrow, with rows and without', async (format) => {
    expectTable(tableFromIPC(await bytesOf(format, plainResult(columns, rows))));
    expectTable(tableFromIPC(await bytesOf(format, plainResult(columns, []))), 0);
  });

  test('an Arrow file begins and ends with its mark, a stream has none', async () => {
    const file = await bytesOf('Arrow', plainResult(columns, rows));
    expect(file.subarray(0, 6).toString()).toBe('ARROW1');
    expect(file.subarray(-6).toString()).toBe('ARROW1');
    const stream = await bytesOf('ArrowStream', plainResult(columns, rows));
    expect(stream.readInt32LE(0)).toBe(-1);
  });

  test('Parquet is read by DuckDB to the last digit (of times it shows microseconds)', async () => {
    const { file, cleanUp } = fileOf('rows.parquet', await bytesOf('Parquet', plainResult(columns, rows)));
    try {
      const found = await duckdb(
        `SELECT epoch_us("at")::VARCHAR, sym, price::VARCHAR, fee::VARCHAR, size::VARCHAR, n::VARCHAR, ok::VARCHAR, "te""xt"
         FROM read_parquet('${file}')`,
      );
      expect(found).toEqual([
        ['1711000800000000', 'AAPL', '150.2500', '1.50', '9007199254740993', '-7', 'true', nasty],
        ['0', 'ÉLAN', '-0.0005', '-0.01', '-9223372036854775807', '2147483647', 'false', ''],
        columns.slice(2).map(() => null),
      ]);
    } finally {
      cleanUp();
    }
  });

  describe('a column of NULLs without a type leaves the columns beside it as they are', () => {
    const nullsBetween = async (format: string): Promise<Buffer> => {
      const world = await worldOf([], { placement: 'hot' });
      const { statement } = parseStatement(
        'SELECT x, NULL AS n, x + 1 AS y FROM (VALUES (1), (2), (3)) AS v(x)',
      );
      return bytesOf(format, await execute(statement, world.snapshot, optionsFor(world)));
    };
    const expected = [
      [1, null, 2],
      [2, null, 3],
      [3, null, 4],
    ];

    test.each(['ArrowStream', 'Arrow'])('in %s', async (format) => {
      const read = tableFromIPC(await nullsBetween(format)).toArray();
      expect(read.map(({ x, n, y }) => [Number(x), n, Number(y)])).toEqual(expected);
    });

    test('in Parquet', async () => {
      const { file, cleanUp } = fileOf('nulls.parquet', await nullsBetween('Parquet'));
      try {
        const found = await duckdb(`SELECT x::DOUBLE, n, y::DOUBLE FROM read_parquet('${file}')`);
        expect(found).toEqual(expected);
      } finally {
        cleanUp();
      }
    });
  });
});

describe('Native', () => {
  test('has name, type, NULLs and values of each column, little-endian', async () => {
    const two: readonly OutputColumn[] = [
      { name: 'v', type: INT64 },
      { name: 's', type: STRING },
      { name: 'd', type: decimal(9, 2) },
      { name: 'none', type: NULL },
    ];
    const block: ResultBlock = {
      rows: 2,
      columns: [
        { kind: 'int', values: BigInt64Array.of(258n, 0n), nulls: Uint8Array.of(0, 1) },
        { kind: 'text', codes: Uint32Array.of(0, 0), texts: ['hé'], nulls: null },
        { kind: 'int', values: Float64Array.of(-1, 2), nulls: null },
        { kind: 'int', values: Float64Array.of(0, 0), nulls: Uint8Array.of(1, 1) },
      ],
    };
    const column = (name: string, type: string): number[] => [
      ...[name.length, ...Buffer.from(name)],
      ...[type.length, ...Buffer.from(type)],
    ];
    expect([...(await bytesOf('Native', blocks(two, [block])))]).toEqual([
      ...[4, 2],
      ...[...column('v', 'Nullable(Int64)'), 0, 1, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
      ...[...column('s', 'Nullable(String)'), 0, 0, 3, ...Buffer.from('hé'), 3, ...Buffer.from('hé')],
      ...[...column('d', 'Nullable(Decimal(9, 2))'), 0, 0, 255, 255, 255, 255, 2, 0, 0, 0],
      ...[...column('none', 'Nullable(Nothing)'), 1, 1, 0, 0],
    ]);
  });

  test('names its columns when there are no rows', async () => {
    const bytes = await bytesOf('Native', plainResult([{ name: 'v', type: INT32 }], []));
    expect([...bytes.subarray(0, 4)]).toEqual([1, 0, 1, 'v'.charCodeAt(0)]);
  });
});

describe('an error', () => {
  const tooMany = new ZeptoError('LIMIT_EXCEEDED', 'stop', 'more than 3 rows', {
    context: { limit: 'rowsMax' },
  });
  const one: readonly OutputColumn[] = [{ name: 'text', type: STRING }];
  const wide: ResultBlock = {
    rows: 2_000,
    columns: [{ kind: 'text', codes: new Uint32Array(2_000), texts: ['x'.repeat(100)], nulls: null }],
  };
  /** What was given out before the error, and whether there was one. */
  const broken = async (
    format: string | null,
    given: readonly ResultBlock[],
    settings = {},
  ): Promise<{ text: string; bytes: Buffer; error: unknown }> => {
    const pieces: Uint8Array[] = [];
    const result = blocks(one, given, tooMany);
    let error: unknown = null;
    try {
      for await (const piece of resultFormat(format).write(result, aboutWith(settings))) pieces.push(piece);
    } catch (cause) {
      error = cause;
    }
    const bytes = Buffer.concat(pieces);
    return { text: bytes.toString('utf8'), bytes, error };
  };
  const MESSAGE = 'Code: 396. DB::Exception: more than 3 rows. (TOO_MANY_ROWS_OR_BYTES)';
  const MARK = `\r\n__exception__\r\n${TAG}\r\n${MESSAGE}\n${MESSAGE.length + 1} ${TAG}\r\n__exception__\r\n`;
  const texts = ['JSON', 'JSONCompact', 'JSONEachRow', 'JSONCompactEachRow', 'CSV', 'TSV', null];

  test.each([...texts, 'Native', 'Parquet', 'Arrow'])(
    'before the first piece of %s is thrown, and nothing is given out',
    async (format) => {
      const { bytes, error } = await broken(format, []);
      expect(error).toBe(tooMany);
      expect(bytes.length).toBe(0);
    },
  );

  test.each(['JSONEachRow', 'JSONCompactEachRow', 'CSV', 'TSV', 'Native'])(
    'after it ends %s with the mark that clients look for',
    async (format) => {
      const { text, error } = await broken(format, [wide]);
      expect(error).toBe(tooMany);
      expect(text.endsWith(MARK)).toBe(true);
      expect(text.length).toBeGreaterThan(200_000);
    },
  );

  test.each(['JSON', 'JSONCompact', null])(
    'after it leaves %s a document with an exception',
    async (format) => {
      const { text, error } = await broken(format, [wide]);
      expect(error).toBe(tooMany);
      expect(JSON.parse(text)).toMatchObject({ rows: 2_000, exception: MESSAGE });
    },
  );

  test('is a row of JSONEachRow when the client wants it there', async () => {
    const { text } = await broken('JSONEachRow', [wide], { http_write_exception_in_output_format: '1' });
    expect(JSON.parse(text.trimEnd().split('\n').at(-1)!)).toEqual({ exception: MESSAGE });
    expect(text).not.toContain(TAG);
  });

  test('leaves an Arrow stream without its end, and no Parquet or Arrow file', async () => {
    const whole = await bytesOf('ArrowStream', blocks(one, [wide]));
    const { bytes } = await broken('ArrowStream', [wide]);
    expect(bytes.equals(whole.subarray(0, -8))).toBe(true);
    expect((await broken('Parquet', [wide])).bytes.length).toBe(0);
    expect((await broken('Arrow', [wide])).bytes.length).toBe(0);
  });
});

describe('a format', () => {
  test('is found whatever its letter case, and an unknown one is answered with the nearest', () => {
    expect(resultFormat('csvWITHnames').name).toBe('CSVWithNames');
    expect(resultFormat('TSV').name).toBe('TabSeparated');
    expect(() => resultFormat('JSONEachRaw')).toThrow(/did you mean JSONEachRow\?/);
  });

  test('Null reads everything and shows nothing', async () => {
    expect((await bytesOf('Null', plainResult(columns, rows))).length).toBe(0);
  });

  test('asks for the next block only when its piece was taken', async () => {
    let asked = 0;
    const block: ResultBlock = {
      rows: 1_000,
      columns: [{ kind: 'text', codes: new Uint32Array(1_000), texts: ['y'.repeat(100)], nulls: null }],
    };
    const result = blocks(
      [{ name: 't', type: STRING }],
      Array.from({ length: 50 }, () => block),
      null,
      () => {
        asked++;
      },
    );
    const pieces = resultFormat('JSONEachRow').write(result, aboutWith())[Symbol.asyncIterator]();
    await pieces.next();
    expect(asked).toBeLessThanOrEqual(2);
    await pieces.return?.();
  });
});

function blocks(
  of: readonly OutputColumn[],
  given: readonly ResultBlock[],
  error: Error | null = null,
  asked: () => void = () => {},
): ResultSet {
  const queue = [...given];
  const next = async (): Promise<ResultBlock | null> => {
    asked();
    const block = queue.shift();
    if (block === undefined && error !== null) throw error;
    return block ?? null;
  };
  return {
    columns: of,
    stats: emptyStats(),
    next,
    close: () => {},
    async *[Symbol.asyncIterator]() {
      for (let block = await next(); block !== null; block = await next()) yield block;
    },
  };
}

function fileOf(name: string, bytes: Uint8Array): { file: string; cleanUp: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'zepto-formats-'));
  const file = join(folder, name);
  writeFileSync(file, bytes);
  return { file, cleanUp: () => rmSync(folder, { recursive: true }) };
}

async function duckdb(sql: string): Promise<unknown[][]> {
  const instance = await DuckDBInstance.create();
  const connection = await instance.connect();
  try {
    return (await connection.runAndReadAll(sql)).getRows() as unknown[][];
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
