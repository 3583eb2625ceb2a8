// What: queries over every clause, function and join, asked of the engine and of DuckDB.
// Why: a list of written queries says what the language does; the oracle says that it is right.
// Invariant: each query is asked over hot, warm and mixed parts, and all three answers are DuckDB's.

import type { DuckDBConnection } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { catalogOf } from '../../src/query/catalog.ts';
import { analyzeQuery } from '../../src/sql/analyze.ts';
import { parseQuery } from '../../src/sql/parser.ts';
import { corpus } from '../support/query-corpus.ts';
import { tablesOf } from '../support/query-data.ts';
import { toDuckdb } from '../support/query-duckdb.ts';
import { ask, askDuckdb, comparableRows, difference } from '../support/query-oracle.ts';
import { duckdbOf, type Placement, type World, worldOf } from '../support/query-tables.ts';

const tables = tablesOf(0);
const placements: readonly Placement[] = ['hot', 'warm', 'cold', 'mixed'];
const worlds = new Map<Placement, World>();
const oracles = new Map<Placement, DuckDBConnection>();

beforeAll(async () => {
  for (const placement of placements) {
    const world = await worldOf(tables, { placement });
    worlds.set(placement, world);
    oracles.set(placement, await duckdbOf(tables, world.scanned));
  }
});

afterAll(() => {
  for (const oracle of oracles.values()) oracle.closeSync();
});

describe.each(Object.entries(corpus))('%s', (_, queries) => {
  test.each(queries)('%s', async (sql) => {
    for (const placement of placements) {
      const world = worlds.get(placement)!;
      const query = parseQuery(sql);
      const translated = toDuckdb(query, analyzeQuery(query, catalogOf(world.snapshot.tables, new Map())));
      const theirs = await askDuckdb(translated, oracles.get(placement)!);
      const ours = comparableRows(await ask(sql, world));
      const isOrdered = query.orderBy.length > 0;
      expect(difference(ours, theirs, isOrdered), `${placement}: ${translated}`).toBeNull();
    }
  });
});
