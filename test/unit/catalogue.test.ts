// What: the catalogue as a pure state, and what statements ask of it.
// Why: every member folds the same records, so what is refused on one must be refused on all, with a reason for who asked.
// Invariant: a refused change leaves the catalogue as it was.

import { describe, expect, test } from 'vitest';
import {
  applyChange,
  type Catalogue,
  type CatalogueChange,
  initialCatalogue,
} from '../../src/catalogue/catalogue.ts';
import { decodeChange, encodeChange } from '../../src/catalogue/change-record.ts';
import { tradesTable } from '../../src/config/tables.ts';
import type { FieldMap, TableSource } from '../../src/ports.ts';
import type { AlterTable, CreateTable, CreateView, DropTable } from '../../src/sql/ast.ts';
import { parseStatement } from '../../src/sql/parser.ts';
import { type AskedChange, askedChange } from '../../src/statements/ddl.ts';
import { askedViewChange } from '../../src/statements/view-ddl.ts';
import { refusalOf } from '../support/sql-refusal.ts';

const fields: FieldMap = { names: {}, timeUnit: 'ns', scaledNumbers: 'value' };
const trades: TableSource = { table: tradesTable, topic: 'trades', format: { kind: 'json', fields } };
const configured = new Set(['trades']);
const initial = initialCatalogue([trades]);

const FILLS = 'CREATE TABLE fills (timestamp TIMESTAMP, symbol SYMBOL, price DECIMAL(18, 4), size INT64)';

function asked(sql: string, catalogue: Catalogue): AskedChange {
  const { statement } = parseStatement(sql);
  return statement.kind === 'create-view'
    ? askedViewChange(statement as CreateView, catalogue)
    : askedChange(statement as CreateTable | DropTable | AlterTable, catalogue);
}

/** The statements one after the other, through the bytes of the topic. */
function made(...statements: readonly string[]): Catalogue {
  return statements.reduce((catalogue, sql) => {
    const { change } = asked(sql, catalogue);
    const read = decodeChange(encodeChange({ id: 'x', change: change! }));
    const applied = applyChange(catalogue, read!.change, configured);
    expect(applied.refusal, sql).toBeNull();
    return applied.catalogue;
  }, initial);
}

function refused(catalogue: Catalogue, change: CatalogueChange): string | null {
  const applied = applyChange(catalogue, change, configured);
  if (applied.refusal !== null) expect(applied.catalogue).toBe(catalogue);
  return applied.refusal;
}

describe('a registered Parquet table', () => {
  const SECTORS = "CREATE TABLE sectors WITH (parquet = 's3://ref/sectors/*.parquet')";

  test('is a name for a path, until it is dropped', () => {
    const catalogue = made(SECTORS);
    expect([...catalogue.registered]).toEqual([['sectors', 's3://ref/sectors/*.parquet']]);
    expect(catalogue.tables.has('sectors')).toBe(false);
    expect(asked('DROP TABLE sectors', catalogue).message).toContain('its files stay');
    expect(made(SECTORS, 'DROP TABLE sectors').registered.size).toBe(0);
  });

  test('shares its name with no table and no view', () => {
    const view = 'CREATE MATERIALIZED VIEW bars AS SELECT symbol, count(*) AS n FROM trades GROUP BY symbol';
    const catalogue = made(SECTORS, view);
    const register = (table: string): CatalogueChange => ({ kind: 'register-parquet', table, path: '/x' });
    expect(refused(catalogue, register('sectors'))).toContain('already exists');
    expect(refused(catalogue, register('trades'))).toContain('already exists');
    expect(refused(catalogue, register('bars'))).toContain('as a view');
    const created = asked(FILLS.replace('fills', 'sectors'), catalogue).change!;
    expect(refused(catalogue, created)).toContain('already exists');
    const viewed = asked(view.replace('bars', 'sectors'), catalogue).change!;
    expect(refused(catalogue, viewed)).toContain('as a table');
    expect(asked(SECTORS.replace('TABLE', 'TABLE IF NOT EXISTS'), catalogue).change).toBeNull();
  });

  test.each([
    ['a view over it', 'CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n FROM sectors', 'kept over ticks'],
    ['a policy', 'ALTER TABLE sectors SET STORAGE POLICY DROP 3 DAYS', 'nothing to alter'],
    ['a TTL', 'ALTER TABLE sectors SET TTL 3 DAYS', 'nothing to alter'],
    ['another column', 'ALTER TABLE sectors ADD COLUMN a INT64', 'nothing to alter'],
    ['columns of its own', "CREATE TABLE t (a INT64) WITH (parquet = '/x')", 'those of its files'],
    ['a topic', "CREATE TABLE t WITH (parquet = '/x', topic = 't')", 'unknown option topic'],
    ['no path', 'CREATE TABLE t WITH (parquet = 1)', 'a text is expected'],
    ['neither columns nor files', "CREATE TABLE t WITH (topic = 't')", "WITH (parquet = '…')"],
  ])('refuses %s', (_, sql, why) => {
    expect(refusalOf(() => asked(sql, made(SECTORS))).message).toContain(why);
  });
});
