// What: rows of an INSERT as the messages that are sent, without a broker.
// Why: what is sent cannot be taken back, and who inserts is answered before anybody has read it.
// Invariant: an INSERT is refused before anything is sent, or every message that it sends is a row.

import { describe, expect, test } from 'vitest';
import { type ColumnSchema, ColumnType, type TableSchema } from '../../src/columns/types.ts';
import type { TableSource } from '../../src/ports.ts';
import { catalogOf } from '../../src/query/catalog.ts';
import { execute } from '../../src/query/execute.ts';
import type { Insert } from '../../src/sql/ast.ts';
import { parseStatement } from '../../src/sql/parser.ts';
import { encodeTicks } from '../../src/statements/encode-ticks.ts';
import { insertQuery } from '../../src/statements/insert-query.ts';
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
  for await (const block of result)
    for (const { key, value } of encodeTicks(source, columns, block)) messages.push(`${key} ${value}`);
  return messages;
}

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
