// What: the examples of docs/sql.md are accepted, and name things that exist.
// Why: documentation that does not run is worse than none.
// Invariant: every ```sql block is parsed; every query in it is analysed.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { analyzeQuery } from '../../src/sql/analyze.ts';
import { analyzeInsert } from '../../src/sql/analyze-insert.ts';
import { reservedWords } from '../../src/sql/keywords.ts';
import { parseStatement } from '../../src/sql/parser.ts';
import type { SourceTable } from '../../src/sql/scope.ts';
import { storagePolicy } from '../../src/sql/storage-policy.ts';
import { typesByName } from '../../src/sql/types.ts';
import { testCatalog, testTables } from '../support/sql-catalog.ts';

const docs = readFileSync(new URL('../../docs/sql.md', import.meta.url), 'utf8');
const examples = [...docs.matchAll(/```sql\n([\s\S]*?)```/g)].flatMap(([, block]) => block!.split(/;\n/));

/** Tables that the examples create. */
const createdTables = new Map(
  examples.flatMap((sql): [string, SourceTable][] => {
    const { statement } = parseStatement(sql);
    return statement.kind === 'create-table'
      ? [[statement.table.name, { columns: statement.columns, timestamp: 'timestamp' }]]
      : [];
  }),
);

describe('docs/sql.md', () => {
  test('has examples', () => {
    expect(examples.length).toBeGreaterThan(15);
  });

  test.each(examples)('%s', (sql) => {
    const { statement } = parseStatement(sql);
    const catalog = { ...testCatalog, tableFunction: () => testTables.trades };
    if (statement.kind === 'select' || statement.kind === 'create-view')
      analyzeQuery(statement.query, catalog);
    if (statement.kind === 'insert')
      analyzeInsert(statement, createdTables.get(statement.table.name)!, catalog);
    if (statement.kind === 'alter-table' && statement.action.kind === 'set-storage-policy')
      storagePolicy(statement.action.rules);
  });

  test('lists the reserved words and the type names', () => {
    const listed = /only in quotes a name: ([A-Z ]+)\./.exec(docs)![1]!.split(' ');
    expect(listed).toEqual([...reservedWords].sort());
    for (const name of typesByName.keys()) expect(docs).toContain(name);
  });
});
