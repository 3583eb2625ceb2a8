// What: random queries over random tables, hot, warm and mixed, asked of the engine and of DuckDB.
// Why: an answer that is wrong only for one combination of clauses, types and tiers is found by nothing else.
// Invariant: every query is answered as DuckDB answers it. ORACLE_QUERIES sets how many, ORACLE_SEED the first.

import type { DuckDBConnection } from '@duckdb/node-api';
import { expect, test } from 'vitest';
import { ZeptoError } from '../../src/kernel/errors.ts';
import { catalogOf } from '../../src/query/catalog.ts';
import { PartCache } from '../../src/query/part-cache.ts';
import { analyzeQuery } from '../../src/sql/analyze.ts';
import { parseQuery } from '../../src/sql/parser.ts';
import { tablesOf } from '../support/query-data.ts';
import { toDuckdb, Untranslatable } from '../support/query-duckdb.ts';
import { generateQuery } from '../support/query-generator.ts';
import { type Answer, ask, askDuckdb, comparableRows, difference } from '../support/query-oracle.ts';
import { duckdbOf, type Placement, type World, worldOf } from '../support/query-tables.ts';

const queries = Number(process.env.ORACLE_QUERIES ?? 500);
const firstSeed = Number(process.env.ORACLE_SEED ?? 1);
/** Asked of the same rows before others are made. */
const QUERIES_PER_WORLD = 100;

const placements: readonly Placement[] = ['hot', 'warm', 'cold', 'mixed'];

async function worldFor(
  number: number,
): Promise<{ world: World; oracle: DuckDBConnection; cache: PartCache }> {
  const tables = tablesOf(number * 1009, [1, 0.3, 3][number % 3]!);
  const placement = placements[number % placements.length]!;
  const world = await worldOf(tables, {
    placement:
      number % 4 === 3 ? (symbol, hour) => placements[(symbol + hour) % placements.length]! : placement,
    chunkRows: [7, 64, 1, 1000][number % 4]!,
    partitions: [1, 1, 2, 3, 1][number % 5]!,
    compression: number % 2 === 0 ? 'none' : 'lz4',
  });
  return { world, oracle: await duckdbOf(tables, world.scanned), cache: new PartCache() };
}

/** DuckDB leaves its own number types where we do not, and the other way round: those queries prove nothing. */
const isOverflow = (error: unknown): boolean =>
  error instanceof Error && /out of range|overflow|Could not cast|does not fit/i.test(error.message);

test(`${queries} random queries are answered as DuckDB answers them`, { timeout: 3_600_000 }, async () => {
  const skipped = new Map<string, number>();
  const skip = (why: string): void => {
    skipped.set(why, (skipped.get(why) ?? 0) + 1);
  };
  let current = await worldFor(0);
  for (let i = 0; i < queries; i++) {
    if (i > 0 && i % QUERIES_PER_WORLD === 0) {
      current.oracle.closeSync();
      current = await worldFor(i / QUERIES_PER_WORLD);
    }
    const seed = firstSeed + i;
    const sql = generateQuery(seed);
    const { world, oracle, cache } = current;
    const query = parseQuery(sql);
    let translated: string;
    try {
      translated = toDuckdb(query, analyzeQuery(query, catalogOf(world.snapshot.tables, new Map())));
    } catch (error) {
      if (!(error instanceof Untranslatable)) throw new Error(`seed ${seed}: ${sql}`, { cause: error });
      skip(error.message);
      continue;
    }
    let answer: Answer;
    try {
      answer = await ask(sql, world, { cache });
    } catch (error) {
      if (!isOverflow(error) || !(error instanceof ZeptoError))
        throw new Error(`seed ${seed}: ${sql}`, { cause: error });
      skip('overflow');
      continue;
    }
    let theirs: Awaited<ReturnType<typeof askDuckdb>>;
    try {
      theirs = await askDuckdb(translated, oracle);
    } catch (error) {
      if (!isOverflow(error)) throw new Error(`seed ${seed}: ${sql}\n${translated}`, { cause: error });
      skip('overflow');
      continue;
    }
    const found = difference(comparableRows(answer), theirs, query.orderBy.length > 0);
    expect(
      found,
      `seed ${seed}, world ${Math.floor(i / QUERIES_PER_WORLD)}: ${sql}\n${translated}`,
    ).toBeNull();
  }
  current.oracle.closeSync();
  const left = [...skipped.values()].reduce((sum, count) => sum + count, 0);
  expect(left, JSON.stringify([...skipped])).toBeLessThan(Math.max(20, queries / 10));
});
