// What: what a view holds of groups whose rows are gone.
// Why: bars come all the time and go by policy: with the keys of all that ever were, memory would run out one day.
// Invariant: what a view holds follows from the parts that there are, and is what it says.

import { expect, it } from 'vitest';
import { type ColumnSchema, ColumnType, type TableSchema } from '../../src/columns/types.ts';
import type { Disk } from '../../src/ports.ts';
import { emptyStats } from '../../src/query/result.ts';
import { Run } from '../../src/query/run.ts';
import { openView, type View } from '../../src/query/view/view.ts';
import { ask, optionsFor } from '../support/query-oracle.ts';
import { newGround, type Placement, type Row, type World, worldOf } from '../support/query-tables.ts';

const T = 1_711_000_800_000_000_000n;
const HOUR_SECONDS = 3_600;
const column = (name: string, type: ColumnType): ColumnSchema => ({ name, type });
const schema: TableSchema = {
  name: 't',
  columns: [
    column('symbol', ColumnType.SYMBOL),
    column('timestamp', ColumnType.TIMESTAMP_NS),
    column('seq', ColumnType.INT64),
  ],
  symbolColumn: 0,
  timestampColumn: 1,
};
/** A bar of a second for each row. */
const hoursOf = (from: number, to: number): Row[] =>
  Array.from({ length: (to - from) * HOUR_SECONDS }, (_, i): Row => {
    const second = from * HOUR_SECONDS + i;
    return ['A', T + BigInt(second) * 1_000_000_000n, BigInt(second)];
  });

function bars(world: World, disk = world.disk): View {
  const sql = 'SELECT symbol, xbar(timestamp, 1s) AS bar, sum(seq) AS s FROM t GROUP BY symbol, bar';
  const run = new Run({ ...world.snapshot, tables: new Map() }, optionsFor(world, { disk }), emptyStats());
  return openView({ name: 'v', source: 't', sql }, world.snapshot.tables, new Map(), run, 64 * 2 ** 20);
}

const READ = 'SELECT count(*), sum(s), min(bar), max(bar) FROM v';
const READ_ALL = 'SELECT bar, s FROM v';

it('keys of groups whose rows are gone are forgotten, and counted as long as they are not', async () => {
  const ground = newGround();
  const hour = (n: number): Promise<World> =>
    worldOf([{ schema, rows: hoursOf(n, n + 1) }], { placement: 'hot', ground, chunkRows: 4096 });
  const view = bars(await hour(0));
  const { parts } = view.kept!;
  const views = new Map([['v', view]]);
  const bytes: number[] = [];
  for (let n = 0; n < 20; n++) {
    const world = await hour(n);
    for (const sql of [READ, READ_ALL])
      expect((await ask(sql, world, { views })).rows).toEqual(
        (await ask(sql, world, { views: new Map([['v', bars(world)]]) })).rows,
      );
    expect(parts.partsKept).toBe(1);
    bytes.push(parts.bytes);
  }
  expect(parts.groups).toBeLessThan(3 * HOUR_SECONDS);
  expect(Math.max(...bytes)).toBeLessThan(4 * bytes[0]!);
  // Two words of time and one of the symbol, in the table and as columns.
  expect(bytes[0]).toBeGreaterThan(HOUR_SECONDS * 2 * 12);
});

it('keys stay as long as a read waits that was given some of them', async () => {
  const ground = newGround();
  const hours = (from: number, to: number, placement: Placement): Promise<World> =>
    worldOf([{ schema, rows: hoursOf(from, to) }], { placement, ground, chunkRows: 4096 });
  const all = await hours(0, 4, 'warm');
  let open: () => void = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  let reached: () => void = () => {};
  const isReached = new Promise<void>((resolve) => {
    reached = resolve;
  });
  let columns = 0;
  const gate: Disk = {
    ...ground.disk,
    readFile: async (path) => {
      // Two columns of each hour.
      if (path.endsWith('.bin') && ++columns > 6) {
        reached();
        await opened;
      }
      return ground.disk.readFile(path);
    },
  };
  const views = new Map([['v', bars(all, gate)]]);
  const wanted = (await ask(READ_ALL, all, { views: new Map([['v', bars(all)]]) })).rows;
  const waiting = ask(READ_ALL, all, { views });
  await isReached;
  const readLast = async (): Promise<void> => {
    expect((await ask(READ_ALL, await hours(4, 5, 'hot'), { views })).rows).toHaveLength(HOUR_SECONDS);
  };
  const { parts } = views.get('v')!.kept!;
  for (let n = 0; n < 2; n++) await readLast();
  expect(parts.partsKept).toBe(1);
  open();
  expect((await waiting).rows).toEqual(wanted);
  for (let n = 0; n < 2; n++) await readLast();
  expect(parts.groups).toBeLessThan(3 * HOUR_SECONDS);
});
