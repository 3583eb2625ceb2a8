// What: the catalogue as a pure state, and what statements ask of it.
// Why: every member folds the same records, so what is refused on one must be refused on all, with a reason for who asked.
// Invariant: a refused change leaves the catalogue as it was.

import { describe, expect, test } from 'vitest';
import {
  applyChange,
  type Catalogue,
  type CatalogueChange,
  droppedHours,
  initialCatalogue,
} from '../../src/catalogue/catalogue.ts';
import { decodeChange, encodeChange } from '../../src/catalogue/change-record.ts';
import { SharedCatalogue } from '../../src/catalogue/shared.ts';
import { ColumnType } from '../../src/columns/types.ts';
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

/** A statement, through the bytes of the topic. */
function changed(catalogue: Catalogue, sql: string, atMs: number | null = 0): Catalogue {
  const { change } = asked(sql, catalogue);
  const read = decodeChange(encodeChange({ id: 'x', atMs, change: change! }))!;
  const applied = applyChange(catalogue, read.change, configured, read.atMs);
  expect(applied.refusal, sql).toBeNull();
  return applied.catalogue;
}

/** The statements one after the other. */
const made = (...statements: readonly string[]): Catalogue =>
  statements.reduce((catalogue, sql) => changed(catalogue, sql), initial);

function refused(catalogue: Catalogue, change: CatalogueChange): string | null {
  const applied = applyChange(catalogue, change, configured, 0);
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

describe('an altered table', () => {
  const ADD = 'ALTER TABLE fills ADD COLUMN venue STRING';
  const DROP = 'ALTER TABLE fills DROP COLUMN size';
  const columnsIn = (catalogue: Catalogue): (string[] | undefined)[] =>
    catalogue.versions.get('fills')!.map(({ table }) => table.columns.map(({ name }) => name));

  test('has a version for each ALTER, the newest of which it is', () => {
    const catalogue = made(FILLS, ADD, DROP, 'ALTER TABLE fills ADD fee DECIMAL(9, 2)');
    expect(columnsIn(catalogue)).toEqual([
      ['timestamp', 'symbol', 'price', 'size'],
      ['timestamp', 'symbol', 'price', 'size', 'venue'],
      ['timestamp', 'symbol', 'price', 'venue'],
      ['timestamp', 'symbol', 'price', 'venue', 'fee'],
    ]);
    const source = catalogue.tables.get('fills')!;
    expect(source).toBe(catalogue.versions.get('fills')!.at(-1));
    expect(source.table.columns[4]).toEqual({ name: 'fee', type: ColumnType.INT32, scale: 2 });
  });

  test('keeps its event time and symbol in their places', () => {
    const sql = 'CREATE TABLE fills (a INT64, symbol SYMBOL, b INT64, timestamp TIMESTAMP)';
    const { table } = made(sql, 'ALTER TABLE fills DROP a', 'ALTER TABLE fills DROP b').tables.get('fills')!;
    expect([table.timestampColumn, table.symbolColumn]).toEqual([1, 0]);
    expect(table.columns[1]!.type).toBe(ColumnType.TIMESTAMP_NS);
  });

  test('keeps its versions when it is dropped and made anew; one that was never altered begins again', () => {
    const other = FILLS.replace('size INT64', 'lots INT64');
    expect(columnsIn(made(FILLS, ADD, 'DROP TABLE fills', other)).length).toBe(3);
    expect(columnsIn(made(FILLS, 'DROP TABLE fills', other)).length).toBe(1);
    expect(columnsIn(made(FILLS, DROP, 'DROP TABLE fills', FILLS.replace(', size INT64', ''))).length).toBe(
      2,
    );
  });

  const VIEW =
    'CREATE MATERIALIZED VIEW v AS SELECT symbol, max(price) AS top FROM fills WHERE size > 0 GROUP BY symbol';

  test.each([
    ['a column that is there', ADD.replace('venue', 'price'), 'already'],
    ['a name that was dropped', DROP.replace('DROP COLUMN size', 'ADD COLUMN gone INT32'), 'was dropped'],
    ['a time', ADD.replace('venue STRING', 'seen TIMESTAMP'), 'never NULL'],
    ['a symbol', ADD.replace('venue STRING', 'other SYMBOL'), 'never NULL'],
    ['a drop of the event time', DROP.replace('size', 'timestamp'), 'event time'],
    ['a drop of the symbol', DROP.replace('size', 'symbol'), 'the symbol'],
    ['a drop of what a view shows', DROP.replace('size', 'price'), 'used by the view v'],
    ['a drop of what a view asks', DROP, 'used by the view v'],
    ['a table of the configuration', ADD.replace('fills', 'trades'), 'configuration'],
  ])('refuses %s', (_, sql, why) => {
    const catalogue = made(FILLS, 'ALTER TABLE fills ADD gone INT64', 'ALTER TABLE fills DROP gone', VIEW);
    expect(refused(catalogue, asked(sql, catalogue).change!)).toContain(why);
  });

  test.each([
    ['of a column that is not there, with the nearest', DROP.replace('size', 'sise'), 'did you mean size?'],
    ['of a table that is not there', DROP.replace('fills', 'fill'), 'does not exist'],
    ['by a name that makes no file', ADD.replace('venue', '"a/b"'), 'letters, digits'],
  ])('refuses an alteration %s', (_, sql, why) => {
    expect(refusalOf(() => asked(sql, made(FILLS))).message).toContain(why);
  });

  test('drops what no view of it uses', () => {
    const catalogue = made(FILLS, ADD, VIEW);
    expect(refused(catalogue, asked(DROP.replace('size', 'venue'), catalogue).change!)).toBeNull();
  });

  test('reads no binary records, whose fields are fixed', () => {
    const catalogue = made(`${FILLS} WITH (format = 'binary')`);
    expect(refused(catalogue, asked(ADD, catalogue).change!)).toContain('binary');
  });
});

describe('what a policy has dropped', () => {
  const HOUR_MS = 3_600_000;
  const drop = (hours: number): string => `ALTER TABLE fills SET STORAGE POLICY DROP ${hours} HOURS`;
  const NONE = 'ALTER TABLE fills SET STORAGE POLICY COLD 300 HOURS';
  const lastAt = (catalogue: Catalogue, hour: number): number | undefined =>
    droppedHours(catalogue, hour * HOUR_MS).get('fills');

  test('stays dropped, whatever policies come after it', () => {
    const one = changed(made(FILLS), drop(10), 1000 * HOUR_MS);
    expect(lastAt(one, 1000)).toBe(990);
    const later = changed(one, drop(100), 1005 * HOUR_MS);
    expect(lastAt(later, 1005)).toBe(995);
    expect(lastAt(later, 1094)).toBe(995);
    expect(lastAt(later, 1096)).toBe(996);
    const none = changed(changed(later, drop(300), 1006 * HOUR_MS), NONE, 1007 * HOUR_MS);
    expect(lastAt(none, 2000)).toBe(995);
    expect(lastAt(changed(none, drop(10), 2000 * HOUR_MS), 2000)).toBe(1990);
  });

  test('goes by the policy that a change replaces, not by the one that was seen when it was asked for', () => {
    const before = changed(made(FILLS), drop(500), 1000 * HOUR_MS);
    const other = asked(NONE, before).change!;
    const between = changed(before, drop(10), 1001 * HOUR_MS);
    const { catalogue } = applyChange(between, other, configured, 1001 * HOUR_MS);
    expect(lastAt(catalogue, 1001)).toBe(991);
  });

  test('stays with the topic when its table is dropped and made anew, and binds no other one', () => {
    const gone = changed(changed(made(FILLS), drop(10), 1000 * HOUR_MS), 'DROP TABLE fills', 1000 * HOUR_MS);
    expect(lastAt(gone, 1000)).toBeUndefined();
    expect(lastAt(changed(gone, FILLS), 2000)).toBe(990);
    expect(lastAt(changed(gone, `${FILLS} WITH (topic = 'others')`), 2000)).toBeUndefined();
  });

  test('is not known of records that do not say when they were asked for, which hold all the same', () => {
    const one = changed(made(FILLS), drop(10), 1000 * HOUR_MS);
    const record = Buffer.from(encodeChange({ id: 'x', atMs: null, change: asked(NONE, one).change! }));
    const old = JSON.parse(record.toString());
    delete old.atMs;
    const read = decodeChange(Buffer.from(JSON.stringify(old)))!;
    const { catalogue } = applyChange(one, read.change, configured, read.atMs);
    expect(catalogue.policies.get('fills')).toMatchObject({ coldMinutes: 18_000, dropMinutes: null });
    expect(lastAt(catalogue, 2000)).toBeUndefined();
  });
});

describe('a TTL', () => {
  const ttl = (age: string): string => `ALTER TABLE fills SET TTL ${age}`;
  const COLD = 'ALTER TABLE fills SET STORAGE POLICY HOT 1 HOURS COLD 30 DAYS';

  test('sets DROP of the policy that is there when it is applied', () => {
    const before = made(FILLS);
    const { change } = asked(ttl('90 DAYS'), before);
    const { catalogue } = applyChange(changed(before, COLD), change!, configured, 0);
    expect(catalogue.policies.get('fills')).toEqual({
      ...{ hotMinutes: 60, warmMinutes: null, coldMinutes: 43_200, dropMinutes: 129_600 },
    });
    expect(changed(catalogue, ttl('60 DAYS')).policies.get('fills')!.dropMinutes).toBe(86_400);
    const late = asked(ttl('10 DAYS'), before).change!;
    expect(refused(changed(before, COLD), late)).toContain('not below this TTL');
    expect(refused(initial, late)).toContain('does not exist');
  });

  test.each([
    ['at an age that the policy has already', '30 DAYS', 'DROP 30 DAYS must come after COLD 30 DAYS'],
    ['of nothing', '0 DAYS', 'above zero'],
  ])('is refused %s', (_, age, why) => {
    const error = refusalOf(() => asked(ttl(age), made(FILLS, COLD)));
    expect(error).toMatchObject({ code: 'SQL_SYNTAX', position: ttl('').length - 'SET TTL '.length });
    expect(error.message).toContain(why);
  });
});

describe('a change of the shared catalogue', () => {
  test('that no member can read is not answered as one that holds', async () => {
    let take: (value: Uint8Array) => void = () => {};
    const shared = new SharedCatalogue({
      log: {
        subscribe: (taken) => {
          take = taken;
        },
        append: async (value) => take(value),
        close: async () => {},
      },
      ...{ initial: made(FILLS), newId: () => 'x', nowMs: () => 0 },
      logger: { debug() {}, info() {}, warn() {}, error() {} },
      metrics: { count() {}, gauge() {}, observe() {} },
    });
    const change = (dropMinutes: number): Promise<unknown> =>
      shared.change({ kind: 'set-ttl', table: 'fills', dropMinutes });
    await expect(change(1.5)).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(await change(60)).toBeNull();
    expect(shared.current.policies.get('fills')?.dropMinutes).toBe(60);
  });
});
