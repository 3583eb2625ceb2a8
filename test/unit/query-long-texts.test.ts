// What: functions of texts that are as long as a short statement can make them.
// Why: V8 ends the process, threads and all, where an array or a heap gets too large; and one text can be hours of work.
// Invariant: a query of too long texts is refused or stopped, and the thread goes on.

import { describe, expect, test } from 'vitest';
import { ColumnType, type TableSchema } from '../../src/columns/types.ts';
import type { QueryLimits } from '../../src/query/snapshot.ts';
import { COMPUTED_TEXT_MAX } from '../../src/query/texts.ts';
import { ask } from '../support/query-oracle.ts';
import { type Row, worldOf } from '../support/query-tables.ts';

const START = 1_711_000_800_000_000_000n;
const schema: TableSchema = {
  name: 't',
  columns: [
    { name: 'symbol', type: ColumnType.SYMBOL },
    { name: 'timestamp', type: ColumnType.TIMESTAMP_NS },
    { name: 'seq', type: ColumnType.INT64 },
  ],
  symbolColumn: 0,
  timestampColumn: 1,
};
const rowsOf = (count: number): Row[] =>
  Array.from({ length: count }, (_, i) => ['A', START + BigInt(i), BigInt(i)]);

/** A text of 32^times × `of`, as SQL. */
const long = (of: string, times: number): string => {
  let text = `'${of}'`;
  for (let i = 0; i < times; i++) text = `replace('${'-'.repeat(32)}', '-', ${text})`;
  return text;
};
const LONGEST = long('a', 4);

async function answer(sql: string, rows = 1, more: Partial<QueryLimits> = {}): Promise<unknown> {
  const world = await worldOf([{ schema, rows: rowsOf(rows) }], { placement: 'hot' });
  const limits = { rowsMax: 1e6, bytesMax: 256 * 2 ** 20, timeoutMs: 30_000, ...more };
  return (await ask(sql, world, { limits })).rows[0]?.[0];
}

describe('a computed text', () => {
  test('has as many characters as a statement may have, counted as such', async () => {
    expect(await answer(`SELECT length(${LONGEST})`)).toBe(BigInt(COMPUTED_TEXT_MAX));
    expect(await answer(`SELECT length(${long('😀', 3)} || 'é')`)).toBe(32_769n);
    expect(await answer(`SELECT strpos(${long('😀', 3)} || 'é', 'é')`)).toBe(32_769n);
    expect(await answer(`SELECT substr(${long('😀', 3)} || 'é', -2)`)).toBe('😀é');
  });

  test.each([
    ['replace', `replace(${LONGEST}, 'a', 'bb')`],
    ['concat', `concat(${LONGEST}, '', 'b')`],
    ['||', `${LONGEST} || 'b'`],
    ['upper', `upper(${long('ΐ', 4)})`],
  ])('that %s would make longer is refused by its name', async (name, expression) => {
    await expect(answer(`SELECT length(${expression})`)).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
      message: expect.stringMatching(new RegExp(`^${name.replaceAll('|', '\\|')} makes a text`)),
    });
  });

  test('of ordinary length in many columns and rows is not written out beyond the memory of a query', async () => {
    const columns = Array.from({ length: 20 }, (_, i) => `n AS c${i}`).join(', ');
    const sql = `SELECT ${columns} FROM (SELECT '${'x'.repeat(4_096)}' AS n FROM t)`;
    await expect(answer(sql, 8_192, { bytesMax: 16 * 2 ** 20 })).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
    });
    expect(await answer(sql, 8, { bytesMax: 16 * 2 ** 20 })).toHaveLength(4_096);
  });

  test('in many rows is not written out beyond the memory of a query', async () => {
    const limits = { bytesMax: 16 * 2 ** 20 };
    await expect(answer(`SELECT ${LONGEST} FROM t`, 10, limits)).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
      context: { limit: 'bytesMax' },
    });
    // Of NULL nothing is written.
    expect(await answer(`SELECT CASE WHEN seq = 0 THEN ${LONGEST} END FROM t`, 10, limits)).toHaveLength(
      COMPUTED_TEXT_MAX,
    );
    expect(await answer(`SELECT length(${LONGEST}) FROM t`, 10, limits)).toBe(BigInt(COMPUTED_TEXT_MAX));
  });
});

describe('time', () => {
  test('that blanks within a text, and digits that are no number, take is linear', async () => {
    const blanks = `concat('a', substr(${long(' ', 4)}, 9), 'b')`;
    for (const name of ['trim', 'ltrim', 'rtrim'])
      expect(await answer(`SELECT length(${name}(${blanks}))`)).toBe(BigInt(COMPUTED_TEXT_MAX - 6));
    const number = `concat(substr(${long('1', 4)}, 9), 'x')`;
    await expect(answer(`SELECT CAST(${number} AS DOUBLE)`)).rejects.toMatchObject({ code: 'SQL_TYPE' });
  });

  const half = long('a', 3);
  const most = `substr(${LONGEST}, 9)`;
  test.each([
    ['strpos', `strpos(${LONGEST}, ${half} || 'b' || ${half})`],
    ['replace', `length(replace(${LONGEST}, ${half} || 'b' || ${half}, ''))`],
    ['LIKE', `${LONGEST} LIKE '%' || ${half} || '_b'`],
    ['substr, row by row', `substr(${LONGEST}, seq, 1)`],
    ['concat, row by row', `length(${most} || CAST(seq % 10 AS STRING))`],
    ['a comparison, row by row', `${most} || CAST(seq % 10 AS STRING) < ${most} || CAST(seq % 9 AS STRING)`],
  ])('of %s is limited', async (_, expression) => {
    const startedMs = performance.now();
    await expect(answer(`SELECT ${expression} FROM t`, 8_192, { timeoutMs: 100 })).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
      context: { limit: 'timeoutMs' },
    });
    expect(performance.now() - startedMs).toBeLessThan(3_000);
  });
});
