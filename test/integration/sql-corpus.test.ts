// What: the corpus of tick SQL, asked over HTTP of a fresh member whose tables were made by CREATE TABLE and filled by INSERT.
// Why: what the engine answers in a test must be what a user gets through Kafka, the decoders, threads and formats.
// Invariant: every answer is DuckDB's on the same rows: every clause, function and join, NULLs, late rows, empty results.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { type ColumnSchema, ColumnType, columnTypeNames } from '../../src/columns/types.ts';
import { formatFixed } from '../../src/kernel/fixed.ts';
import { catalogOf } from '../../src/query/catalog.ts';
import { analyzeQuery } from '../../src/sql/analyze.ts';
import { parseQuery } from '../../src/sql/parser.ts';
import { parseTimestamp } from '../../src/sql/timestamp.ts';
import { killMembers, type MemberProcess } from '../support/member.ts';
import { corpus } from '../support/query-corpus.ts';
import { tablesOf } from '../support/query-data.ts';
import { toDuckdb, Untranslatable } from '../support/query-duckdb.ts';
import { generateQuery } from '../support/query-generator.ts';
import { askDuckdb, difference } from '../support/query-oracle.ts';
import {
  duckdbOf,
  type Row,
  type TestTable,
  type Value,
  type World,
  worldOf,
} from '../support/query-tables.ts';
import { openScene } from '../support/scene.ts';

const services = inject('services');
const tables = tablesOf(3);
/** Beside the written ones. */
const GENERATED = 90;
let home: string;
let member: MemberProcess;
let world: World;
let oracle: Awaited<ReturnType<typeof duckdbOf>>;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'zepto-corpus-'));
  world = await worldOf(tables, { placement: 'hot' });
  oracle = await duckdbOf(tables, world.scanned);
  const here = await openScene({ home, brokers: services.brokers, s3: null, partitions: 1 });
  member = here.start();
  await member.ready();
  for (const table of tables) await make(table, here.topic);
}, 120_000);
afterAll(async () => {
  oracle.closeSync();
  await killMembers();
  await rm(home, { recursive: true, force: true });
});

async function make({ schema, rows }: TestTable, prefix: string): Promise<void> {
  const columns = schema.columns.map((column) => `${column.name} ${typeOf(column)}`);
  const time = schema.columns[schema.timestampColumn]!.name;
  await member.query(
    `CREATE TABLE ${schema.name} (${columns.join(', ')}) WITH (topic = '${prefix}-${schema.name}', partitions = 1, timestamp_column = '${time}')`,
  );
  for (let from = 0; from < rows.length; from += 100) {
    const some = rows.slice(from, from + 100);
    const inserted = await member.query(
      `INSERT INTO ${schema.name} VALUES ${some.map((row) => tuple(row, schema.columns)).join(', ')}`,
    );
    expect(inserted).toEqual([[some.length]]);
  }
}

function typeOf({ type, scale }: ColumnSchema): string {
  if (scale === undefined) return columnTypeNames[type]!;
  return type === ColumnType.INT32 ? `DECIMAL(9, ${scale})` : `DECIMAL(18, ${scale})`;
}

const tuple = (row: Row, columns: readonly ColumnSchema[]): string =>
  `(${row.map((value, i) => literal(value, columns[i]!)).join(', ')})`;

function literal(value: Value, { scale }: ColumnSchema): string {
  if (value === null) return 'NULL';
  if (typeof value === 'string') return `'${value.replaceAll("'", "''")}'`;
  if (scale !== undefined) return formatFixed(BigInt(value), scale);
  return String(value);
}

/** Cells as the oracle's are: numbers, or texts that must be equal. */
async function ask(sql: string): Promise<(string | number | null)[][]> {
  const { status, text } = await member.post('/?default_format=TabSeparatedWithNamesAndTypes', sql);
  expect(status, `${sql}\n${text}`).toBe(200);
  const [, types, ...lines] = text.slice(0, -1).split('\n');
  const kinds = types!.split('\t').map((type) => /^Nullable\((\w+)/.exec(type)![1]!);
  return lines.map((line) => line.split('\t').map((cell, i) => comparable(cell, kinds[i]!)));
}

const unescaped: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', '\\': '\\', "'": "'" };

function comparable(cell: string, kind: string): string | number | null {
  if (cell === '\\N') return null;
  if (kind.startsWith('Float'))
    return cell === 'inf'
      ? Number.POSITIVE_INFINITY
      : cell === '-inf'
        ? Number.NEGATIVE_INFINITY
        : Number(cell);
  if (kind === 'DateTime64') return String(parseTimestamp(cell)!);
  return cell.replace(/\\(.)/g, (whole, letter: string) => unescaped[letter] ?? whole);
}

const generated: string[] = [];
for (let seed = 700_001; generated.length < GENERATED; seed++) {
  const sql = generateQuery(seed);
  if (!/now\(\)/.test(sql)) generated.push(sql);
}

describe('over HTTP, from tables filled by INSERT', () => {
  it('at least 300 queries are asked', () => {
    expect(Object.values(corpus).flat().length + GENERATED).toBeGreaterThanOrEqual(300);
  });

  it.each([...Object.entries(corpus), ['generated', generated] as const])(
    '%s',
    async (_, queries) => {
      for (const sql of queries) {
        // The hour of the rows is long past for the member's clock.
        if (/\bnow\(\)|\bCURRENT_TIMESTAMP\b/i.test(sql)) continue;
        // Rows come by symbol id, and ids by who asked first: an order that nobody asked for is not compared.
        if (/OVER \(\)/.test(sql)) continue;
        const query = parseQuery(sql);
        let translated: string;
        try {
          translated = toDuckdb(query, analyzeQuery(query, catalogOf(world.snapshot.tables, new Map())));
        } catch (error) {
          if (error instanceof Untranslatable) continue;
          throw error;
        }
        const theirs = await askDuckdb(translated, oracle).catch((error: unknown) => String(error));
        if (typeof theirs === 'string') {
          expect((await member.post('/', sql)).status, `${sql}\n${theirs}`).toBeGreaterThanOrEqual(400);
          continue;
        }
        const found = difference(await ask(sql), theirs, query.orderBy.length > 0);
        expect(found, `${sql}\n${translated}`).toBeNull();
      }
    },
    120_000,
  );
});
