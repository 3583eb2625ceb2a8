// What: partials of random views of random segments, merged by DuckDB, beside the view that our engine computes from the rows.
// Why: who reads the bucket has nothing but these files; what they lose or round is lost to everyone.
// Invariant: merged partials equal the view, exactly but for floats; a partial has the same bytes from memory, folder and object.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TableSchema } from '../../src/columns/types.ts';
import { type PartialSource, writePartials } from '../../src/engine/write-partials.ts';
import type { PlanIdentity, SegmentFile, SegmentOutputs, SegmentSource } from '../../src/format/segment.ts';
import { writeSegments } from '../../src/format/write-segments.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { partsOf } from '../../src/live/sealed.ts';
import type { ColdPart, HotPart } from '../../src/query/snapshot.ts';
import { partsIn } from '../../src/query/table-parts.ts';
import { PartialView } from '../../src/query/view/partial.ts';
import { type MemoryVolume, memoryVolume } from '../support/memory-disk.ts';
import { type MemoryBucket, memoryBucket, memoryStore } from '../support/memory-store.ts';
import { mergingSql } from '../support/merge-partials.ts';
import { seededRandom, tablesOf } from '../support/query-data.ts';
import { ask, askDuckdb, difference } from '../support/query-oracle.ts';
import { type World, worldOf } from '../support/query-tables.ts';

const MINUTE = 60_000_000_000;
const BASE = '/hdb';
const forever = new AbortController().signal;

let home: string;
let duckdb: DuckDBConnection;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'zepto-partials-'));
  duckdb = await (await DuckDBInstance.create(':memory:')).connect();
  await duckdb.run('CREATE TABLE names (id INTEGER, name VARCHAR)');
});
afterAll(() => rm(home, { recursive: true, force: true }));

const keys = [
  'symbol',
  `xbar(timestamp, ${5 * MINUTE})`,
  `xbar(timestamp, ${90 * MINUTE})`,
  "date_trunc('hour', timestamp)",
  'venue',
  'upper(venue)',
  'side',
  'flags % 3',
  'price',
];
const aggregates = [
  ...['count(*)', 'count(price)', 'count(*) FILTER (WHERE side)'],
  ...[
    'sum(volume)',
    'sum(price)',
    'sum(ratio)',
    'sum(price * volume)',
    'sum(volume) FILTER (WHERE flags > 2)',
  ],
  ...['avg(price)', 'avg(ratio)', 'avg(flags)', 'vwap(price, volume)', 'vwap(ratio, volume)'],
  ...[
    'min(price)',
    'max(ratio)',
    'min(venue)',
    'max(side)',
    'max(timestamp)',
    'bool_and(side)',
    'bool_or(side)',
  ],
  ...['first(price)', 'last(price)', 'first(venue)', 'last(ratio)', 'last(side)', 'first(timestamp)'],
  ...['arg_min(price, volume)', 'arg_max(venue, ratio)', 'arg_max(timestamp, flags)'],
  ...['var_pop(ratio)', 'var_samp(price)', 'stddev_pop(volume)', 'stddev_samp(ratio)'],
];
const conditions = ['price > 150', "symbol <> 'MSFT'", 'flags IS NOT NULL', "venue IN ('NYSE', 'XETRA')"];

interface RandomView {
  readonly sql: string;
  readonly by: readonly string[];
}

function randomView(seed: number): RandomView {
  const random = seededRandom(seed * 7919 + 1);
  const some = (list: readonly string[], count: number): string[] =>
    list
      .map((value) => ({ value, at: random() }))
      .sort((a, b) => a.at - b.at)
      .slice(0, count)
      .map(({ value }) => value);
  const by = some(keys, Math.floor(random() * 4));
  // In the order in which merged columns come.
  if (by.includes('symbol')) by.unshift(...by.splice(by.indexOf('symbol'), 1));
  const calls = some(aggregates, 1 + Math.floor(random() * 6));
  const where = random() < 0.4 ? some(conditions, 1) : [];
  const items = [...by.map((key, i) => `${key} AS k${i}`), ...calls.map((call, i) => `${call} AS a${i}`)];
  const sql = `SELECT ${items.join(', ')} FROM ticks${where.map((e) => ` WHERE ${e}`).join('')}${by.length > 0 ? ` GROUP BY ${by.join(', ')}` : ''}`;
  return { sql, by };
}

/** Rows of a table cut into plans, each sealed to files. */
interface Sealed {
  readonly world: World;
  readonly volume: MemoryVolume;
  readonly bucket: MemoryBucket;
  readonly outputs: SegmentOutputs;
  readonly plans: readonly {
    readonly plan: PlanIdentity;
    readonly segments: readonly SegmentSource[];
    readonly files: readonly SegmentFile[];
  }[];
}

const PLANS = 3;

async function sealed(seed: number): Promise<Sealed> {
  const chunkRows = [3, 17, 1, 64][seed % 4]!;
  const world = await worldOf(tablesOf(seed * 31 + 5, [1, 0.3][seed % 2]!), {
    placement: 'hot',
    chunkRows,
  });
  const table = world.snapshot.tables.get('ticks')!;
  const outputs: SegmentOutputs = {
    bin: { baseDirectory: BASE, compression: seed % 2 === 0 ? 'lz4' : 'none', sync: seed % 3 === 0 },
    parquet: {
      ...{ codec: 'SNAPPY', timestampType: 'ns', layout: 'hive', flatEpoch: 's' },
      ...{ prefix: 'ticks', rowGroupRowsMax: 50, conditionalWrites: true },
    },
  };
  const volume = memoryVolume();
  const bucket = memoryBucket({ conditionalWrites: true });
  const plans = [];
  for (let k = 0; k < PLANS; k++) {
    const segments = (partsIn(table) as HotPart[]).flatMap(({ symbol, hour, runs }): SegmentSource[] => {
      const chunks = runs.slice((runs.length * k) / PLANS, (runs.length * (k + 1)) / PLANS);
      const rows = chunks.reduce((sum, chunk) => sum + chunk.rows, 0);
      return rows === 0 ? [] : [{ symbol, hour, rows, chunks }];
    });
    const plan = {
      group: 'g',
      topic: 'ticks',
      partition: 0,
      incarnation: 0,
      hourLast: 1e6,
      offsetNext: k + 1,
    };
    const names = world.snapshot.names as unknown as { names: readonly string[] };
    const strings = new Map(names.names.map((name, code) => [code, name]));
    const job = { plan, table: table.schema, segments, outputs, strings };
    const store = memoryStore(bucket, { clock: systemClock });
    plans.push({ plan, segments, files: await writeSegments(job, volume.mount(), store, 2, forever) });
  }
  return { world, volume, bucket, outputs, plans };
}

type Origin = 'memory' | 'folders' | 'objects';

/** Objects of the view's partials, and its folders' files, made of what stands at one place. */
async function partialsFrom(
  { world, volume, bucket, outputs, plans }: Sealed,
  sql: string,
  origin: Origin,
): Promise<{ objects: Map<string, Uint8Array>; folders: Map<string, Uint8Array> }> {
  const table = world.snapshot.tables.get('ticks')!.schema;
  const objectsBefore = new Set(bucket.objects.keys());
  const foldersBefore = new Set(volume.files().keys());
  for (const { plan, segments, files } of plans) {
    const sources =
      origin === 'memory'
        ? segments.map((segment) => inMemory(segment, table))
        : files.flatMap((file) => inFile(file, origin));
    const [done] = await writePartials(
      { plan, table, views: [{ name: 'v', source: 'ticks', sql }], sources, outputs, bytesMax: 2 ** 28 },
      {
        ...{ disk: volume.mount(), store: memoryStore(bucket, { clock: systemClock }), concurrency: 3 },
        ...{ names: world.snapshot.names, monotonicMs: systemClock.monotonicMs },
      },
      forever,
    );
    expect(done!.failure).toBeNull();
  }
  const objects = new Map<string, Uint8Array>();
  const folders = new Map<string, Uint8Array>();
  for (const [key, { bytes }] of bucket.objects)
    if (!objectsBefore.has(key)) {
      objects.set(key, bytes);
      bucket.remove(key);
    }
  for (const [path, bytes] of volume.files())
    if (!foldersBefore.has(path)) {
      folders.set(path, bytes);
      await volume.mount().remove(path);
    }
  return { objects, folders };
}

const inMemory = (segment: SegmentSource, table: TableSchema): PartialSource => ({
  kind: 'rows',
  segment,
  table,
});

function inFile(file: SegmentFile, origin: Origin): PartialSource[] {
  const [cold] = partsOf([{ ...file, kind: 'parquet' }], { topic: 'ticks', partition: 0 }, null).parts as [
    ColdPart,
  ];
  if (origin === 'objects')
    return file.kind === 'parquet' ? [{ kind: 'file', part: cold, bin: true, parquet: true }] : [];
  if (file.kind === 'parquet') return [];
  const part = { ...cold, tier: 'warm' as const, folder: `${BASE}/${file.path}` };
  return [{ kind: 'file', part, bin: true, parquet: true }];
}

async function mergedBy(
  { world }: Sealed,
  { sql, by }: RandomView,
  objects: ReadonlyMap<string, Uint8Array>,
): Promise<ReturnType<typeof askDuckdb>> {
  if (objects.size === 0) return [];
  const folder = await mkdtemp(join(home, 'v-'));
  for (const [key, bytes] of objects) {
    await mkdir(dirname(join(folder, key)), { recursive: true });
    await writeFile(join(folder, key), bytes);
  }
  await duckdb.run('DELETE FROM names');
  const { names } = world.snapshot.names as unknown as { names: readonly string[] };
  for (const [id, name] of names.entries()) await duckdb.run('INSERT INTO names VALUES (?, ?)', [id, name]);
  const view = new PartialView(
    { name: 'v', source: 'ticks', sql },
    world.snapshot.tables.get('ticks')!.schema,
  );
  const files = `${folder}/ticks-views/v/definition=${view.definition}/**/*.parquet`;
  return askDuckdb(mergingSql(view.columns, by.includes('symbol'), files), duckdb);
}

/** As the view's query gives it, in stored integers. */
async function computed(world: World, sql: string): Promise<ReturnType<typeof askDuckdb>> {
  const { rows } = await ask(sql, world);
  const isEmpty =
    (
      await ask(
        `SELECT count(*) FROM (${sql.replace(/^SELECT .* FROM/, 'SELECT 1 FROM').replace(/ GROUP BY .*$/, '')})`,
        world,
      )
    ).rows[0]![0] === 0n;
  if (isEmpty) return [];
  return rows.map((row) =>
    row.map((cell) => (cell === null || typeof cell === 'number' ? cell : String(cell))),
  );
}

describe('partials of a view', () => {
  it('merged by DuckDB equal the view, for 60 random views of three plans in each hour', async () => {
    for (let n = 0; n < 6; n++) {
      const scene = await sealed(n);
      for (let i = 0; i < 10; i++) {
        const view = randomView(n * 100 + i);
        const { objects } = await partialsFrom(
          { ...scene, outputs: { ...scene.outputs, bin: null } },
          view.sql,
          'memory',
        );
        const found = difference(
          await mergedBy(scene, view, objects),
          await computed(scene.world, view.sql),
          false,
        );
        expect(found, view.sql).toBeNull();
      }
    }
  }, 240_000);

  it('have the same bytes made of rows in memory, of local folders, and of objects', async () => {
    for (let n = 1; n < 4; n += 2) {
      const scene = await sealed(n);
      for (let i = 0; i < 2; i++) {
        const { sql } = randomView(n * 50 + i + 7);
        const [memory, folders, objects] = [
          await partialsFrom(scene, sql, 'memory'),
          await partialsFrom(scene, sql, 'folders'),
          await partialsFrom(scene, sql, 'objects'),
        ];
        expect(folders, sql).toEqual(memory);
        expect(objects, sql).toEqual(memory);
      }
    }
  }, 120_000);
});
