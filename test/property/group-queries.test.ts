// What: random queries over tables whose parts several members have, asked of one of them, and of one that has all.
// Why: which member has which rows must not be seen in an answer, whether rows come from the others or groups.
// Invariant: every query is answered as one member with all rows answers it. ORACLE_SEED sets the first.

import { describe, expect, test } from 'vitest';
import { ZeptoError } from '../../src/kernel/errors.ts';
import { execute } from '../../src/query/execute.ts';
import type { GroupReader } from '../../src/query/group-scan.ts';
import { PartCache } from '../../src/query/part-cache.ts';
import type { ResultBlock } from '../../src/query/result.ts';
import type { AnyPart } from '../../src/query/snapshot.ts';
import { partsIn, tableOf } from '../../src/query/table-parts.ts';
import { parseQuery, parseStatement } from '../../src/sql/parser.ts';
import { START_NS, tablesOf } from '../support/query-data.ts';
import { generateQuery } from '../support/query-generator.ts';
import { type Answer, ask, comparableRows, difference, optionsFor } from '../support/query-oracle.ts';
import { type World, worldOf } from '../support/query-tables.ts';

const QUERIES = 200;
const firstSeed = Number(process.env.ORACLE_SEED ?? 1);
const HOUR_FIRST = Number(START_NS / 3_600_000_000_000n);

interface Group {
  /** That of the member that is asked. */
  readonly own: World;
  readonly reader: GroupReader;
  /** How often groups were asked for. */
  groupsAsked: number;
}

/** Members in the order in which a scan meets their rows. */
function groupOf(world: World, memberOf: (part: AnyPart) => 0 | 1 | 2): Group {
  const [own, ...others] = [0, 1, 2].map((member): World => {
    const tables = new Map(
      [...world.snapshot.tables].map(([name, table]) => [
        name,
        tableOf(
          table.schema,
          partsIn(table).filter((part) => memberOf(part) === member),
        ),
      ]),
    );
    return { ...world, snapshot: { ...world.snapshot, tables } };
  });
  const group: Group = {
    own: own!,
    groupsAsked: 0,
    reader: {
      members: others.length,
      async open({ sql, wantsParts }) {
        if (wantsParts) group.groupsAsked++;
        return others.map((one) => blocksOf(sql, one, wantsParts));
      },
    },
  };
  return group;
}

async function* blocksOf(sql: string, member: World, asParts: boolean): AsyncGenerator<ResultBlock> {
  yield* await execute(parseStatement(sql).statement, member.snapshot, optionsFor(member, { asParts }));
}

/** Rows of a symbol are with one member, or those of an hour: equal times meet in the order of a scan both ways. */
const splits: readonly ((part: AnyPart) => 0 | 1 | 2)[] = [
  ({ symbol }) => (symbol < 1 ? 0 : symbol < 3 ? 1 : 2),
  ({ hour }) => (hour < HOUR_FIRST + 1 ? 0 : hour < HOUR_FIRST + 2 ? 1 : 2),
  ({ hour }) => (hour < HOUR_FIRST + 2 ? 1 : 2),
];

async function answerOrError(asked: Promise<Answer>): Promise<Answer | string> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof ZeptoError && error.code !== 'INTERNAL') return error.code;
    throw error;
  }
}

describe.each(splits.map((split, i) => [i, split] as const))('rows split in way %i', (number, split) => {
  test('are answered as if one member had all', { timeout: 120_000 }, async () => {
    const tables = tablesOf(number * 77 + 5, 1);
    const world = await worldOf(tables, { placement: 'mixed', chunkRows: 64 });
    const group = groupOf(world, split);
    const cache = new PartCache();
    for (let seed = firstSeed; seed < firstSeed + QUERIES; seed++) {
      const sql = generateQuery(seed);
      const alone = await answerOrError(ask(sql, world, { cache }));
      const together = await answerOrError(ask(sql, group.own, { group: group.reader }));
      const what = `seed ${seed}: ${sql}`;
      if (typeof alone === 'string' || typeof together === 'string') expect(together, what).toBe(alone);
      else {
        const isOrdered = parseQuery(sql).orderBy.length > 0;
        expect(difference(comparableRows(together), comparableRows(alone), isOrdered), what).toBeNull();
      }
    }
    expect(group.groupsAsked).toBeGreaterThan(QUERIES / 10);
  });
});
