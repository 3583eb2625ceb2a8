// What: rows of an INSERT as the messages that are sent, without a broker.
// Why: what is sent cannot be taken back, and who inserts is answered before anybody has read it.
// Invariant: an INSERT is refused before anything is sent, or every message that it sends is a row.

import { describe, expect, test } from 'vitest';
import { parseDelimited } from '../../connectors/formats/delimited-input.ts';
import { type ColumnSchema, ColumnType, type TableSchema } from '../../src/columns/types.ts';
import type { StatementRequest } from '../../src/http-port.ts';
import type { OutgoingTicks, TableSource } from '../../src/ports.ts';
import { catalogOf } from '../../src/query/catalog.ts';
import { execute } from '../../src/query/execute.ts';
import { type Cell, rowsOf } from '../../src/query/result.ts';
import type { ExecuteOptions } from '../../src/query/run.ts';
import type { Insert } from '../../src/sql/ast.ts';
import { parseStatement } from '../../src/sql/parser.ts';
import { encodeTicks } from '../../src/statements/encode-ticks.ts';
import { insertQuery } from '../../src/statements/insert-query.ts';
import { INSERT_ROWS_MAX } from '../../src/threads/insert-data.ts';
import { answer, type StatementParts } from '../../src/threads/statements.ts';
import { optionsFor } from '../support/query-oracle.ts';
import { worldOf } from '../support/query-tables.ts';

const START = 1_711_000_800_000_000_000n;
const column = (name: string, type: ColumnType): ColumnSchema => ({ name, type });
const schema: TableSchema = {
  name: 't',
  columns: [
    column('symbol', ColumnType.SYMBOL),
    column('timestamp', ColumnType.TIMESTAMP_NS),
    column('seq', ColumnType.INT64),
    column('note', ColumnType.STRING),
  ],
  symbolColumn: 0,
  timestampColumn: 1,
};
const source = {
  table: schema,
  topic: 't',
  format: { kind: 'json', fields: { names: {}, timeUnit: 'ns', scaledNumbers: 'value' } },
} as unknown as TableSource;

/** What INSERT INTO t (symbol, timestamp, seq, note) sends of these rows. */
async function sent(rows: string): Promise<string[]> {
  const world = await worldOf([{ schema, rows: [0n, 1n].map((seq) => ['A', START + seq, seq, null]) }], {
    placement: 'hot',
  });
  const text = `INSERT INTO t (symbol, timestamp, seq, note) ${rows}`;
  const statement = parseStatement(text).statement as Insert;
  const catalog = catalogOf(world.snapshot.tables, new Map());
  const { query, columns } = insertQuery(
    statement,
    statement.query!,
    catalog.table(statement.table)!,
    catalog,
  );
  const result = await execute({ kind: 'select', at: 0, query }, world.snapshot, optionsFor(world));
  const messages: string[] = [];
  for await (const block of result) messages.push(...messagesOf(encodeTicks(source, columns, block)));
  return messages;
}

const messagesOf = ({ count, bytes, ends }: OutgoingTicks): string[] =>
  Array.from({ length: count }, (_, i) => {
    const key = bytes.subarray(i === 0 ? 0 : ends[2 * i - 1]!, ends[2 * i]!);
    return `${key} ${bytes.subarray(ends[2 * i]!, ends[2 * i + 1]!)}`;
  });

describe('what readers would set aside is refused', () => {
  const joined = (time: string, symbol: string, by: number): string =>
    `SELECT ${symbol}.symbol, ${time}.timestamp, a.seq, a.note FROM t a LEFT JOIN t b ON a.seq = b.seq + ${by}`;

  test.each([
    ['a symbol that is NULL in some rows', joined('a', 'b', 1), 'symbol is never NULL'],
    ['a symbol that is NULL in all rows', joined('a', 'b', 10), 'symbol is never NULL'],
    ['a symbol that VALUES compute', "VALUES (nullif('A', 'A'), now(), 1, '')", 'symbol is never NULL'],
    ['a symbol without characters', "VALUES (trim(' '), now(), 1, '')", 'symbol is never empty'],
    ['an event time that is NULL', joined('b', 'a', 1), 'time is never NULL'],
    ['a text that is too long', `VALUES ('A', now(), 1, '${'é'.repeat(2049)}')`, '4096 bytes'],
    ['half of a character', `VALUES ('A', now(), 1, '${'\ud83d'}')`, 'surrogate'],
  ])('%s', async (_, rows, problem) => {
    await expect(sent(rows)).rejects.toMatchObject({
      code: 'SQL_TYPE',
      message: expect.stringContaining(problem),
    });
  });

  test('and what they take is sent', async () => {
    const long = 'é'.repeat(2048);
    expect(await sent(`VALUES ('A', 5, 1, '${long}'), ('B', 6, 2, NULL)`)).toEqual([
      `A {"symbol":"A","timestamp":5,"seq":1,"note":"${long}"}`,
      'B {"symbol":"B","timestamp":6,"seq":2}',
    ]);
  });
});

describe('a body', () => {
  /** What the INSERT answers, and what it has given away to be sent. */
  async function insert(
    format: string,
    data: string | Buffer,
    more: Partial<ExecuteOptions> = {},
  ): Promise<{ answered: Promise<Cell>; sent: OutgoingTicks[] }> {
    const world = await worldOf([], { placement: 'hot' });
    const sent: OutgoingTicks[] = [];
    const parts = {
      catalogue: () => ({ tables: new Map([['t', source]]), registered: new Map(), views: new Map() }),
      sink: () => ({
        send: async (_: string, pieces: readonly OutgoingTicks[]) => {
          sent.push(...pieces);
          return [];
        },
      }),
      main: { call: async () => null },
      nowMs: () => 7,
    } as unknown as StatementParts;
    const request = { data: Buffer.from(data), mayWrite: true } as unknown as StatementRequest;
    const parsed = parseStatement(`INSERT INTO t FORMAT ${format}`);
    const answered = answer(parsed, request, optionsFor(world, more), parts)
      .then(rowsOf)
      .then(([row]) => row![0]!);
    // Looked at when the test comes to it.
    answered.catch(() => {});
    return { answered, sent };
  }
  const tsv = (rows: number): string => Array.from({ length: rows }, (_, i) => `A\t${i}\t${i}\tn\n`).join('');

  /** A block of one column: counts of columns and of rows, name, type, and a text of one byte for each row. */
  const native = (rows: number): Buffer =>
    Buffer.concat([
      Buffer.from([1, (rows & 0x7f) | 0x80, ((rows >> 7) & 0x7f) | 0x80, rows >> 14, 6]),
      Buffer.from(`symbol\x06String${'\x01A'.repeat(rows)}`),
    ]);

  test.each([
    ['TSV', tsv(25_000)],
    ['JSONEachRow', tsv(25_000).replace(/A\t(\d+).*/g, '{"symbol":"A","timestamp":$1,"seq":$1,"note":"n"}')],
  ])('of %s is worked on in pieces, and all of its rows are sent, in order', async (format, data) => {
    const { answered, sent } = await insert(format, data);
    expect(await answered).toBe(25_000n);
    expect(sent.length).toBeGreaterThan(2);
    expect(sent.flatMap(messagesOf)).toEqual(
      Array.from({ length: 25_000 }, (_, i) => `A {"symbol":"A","timestamp":${i},"seq":${i},"note":"n"}`),
    );
  });

  test('whose last row is wrong sends nothing, and the error has its number', async () => {
    for (const [wrong, problem] of [
      ['A\t1\tx\tn', /^row 15001: seq/],
      ['A\t1', /^row 15001: expected 4 values/],
    ] as const) {
      const { answered, sent } = await insert('TSV', tsv(15_000) + wrong);
      await expect(answered).rejects.toMatchObject({
        code: 'FORMAT_INVALID',
        message: expect.stringMatching(problem),
      });
      expect(sent).toEqual([]);
    }
  });

  test('of more rows than an INSERT takes is refused before anything is sent', async () => {
    const rows = INSERT_ROWS_MAX + 1;
    for (const [format, data] of [
      ['Native', native(rows)],
      ['TSVWithNames', `symbol\n${'A\n'.repeat(rows)}`],
    ] as const) {
      const { answered, sent } = await insert(format, data);
      await expect(answered).rejects.toMatchObject({
        code: 'LIMIT_EXCEEDED',
        message: expect.stringMatching(/1000000 rows.*several/),
      });
      expect(sent).toEqual([]);
    }
  });

  test('whose messages need more than the memory of a query is refused before anything is sent', async () => {
    const limits = { rowsMax: 1e6, bytesMax: 2 ** 20, timeoutMs: 60_000 };
    for (const [format, data, problem] of [
      ['TSV', tsv(25_000), /bytesMax.*several/],
      // Its columns would, of 24 bytes a row, before there is a message.
      ['Native', native(50_000), /more than 43690 rows.*several/],
    ] as const) {
      const { answered, sent } = await insert(format, data, { limits });
      await expect(answered).rejects.toMatchObject({
        code: 'LIMIT_EXCEEDED',
        message: expect.stringMatching(problem),
      });
      expect(sent).toEqual([]);
    }
  });

  test('is stopped by the time limit and by who cancels, while it is worked on', async () => {
    let now = 0;
    const limits = { rowsMax: 1e6, bytesMax: 2 ** 30, timeoutMs: 2 };
    const late = await insert('TSV', tsv(50_000), { limits, monotonicMs: () => now++ });
    await expect(late.answered).rejects.toMatchObject({ context: { limit: 'timeoutMs' } });
    expect(late.sent).toEqual([]);

    const cancel = new Int32Array(1);
    const cancelled = await insert('TSV', tsv(50_000), { cancel });
    // Others of the thread have their turn between two pieces.
    setImmediate(() => {
      cancel[0] = 1;
    });
    await expect(cancelled.answered).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(cancelled.sent).toEqual([]);
  });
});

describe('delimited text', () => {
  test('is read as far as rows are asked for', () => {
    expect(parseDelimited('a,b\n"c', ',').next().value).toEqual(['a', 'b']);
    const tabs = parseDelimited('a\tb\r\n\n\\N\t\\t', '\t');
    expect(tabs.next().value).toEqual(['a', 'b']);
    expect([...tabs]).toEqual([[null, '\t']]);
  });

  test.each([',', '\t'] as const)('with a row of more values than any table has is refused', (delimiter) => {
    const rows = parseDelimited(`a${delimiter}b\n${delimiter.repeat(70_000)}`, delimiter);
    rows.next();
    expect(() => rows.next()).toThrow('row 2: it has more than 65536 values');
  });
});
