// What: names and types of a partial's columns, what a view cannot have of a segment, and how a shard keeps and makes up for partials.
// Why: a view must never hold up the rows that it reads, and what is missing must be known to be missing.
// Invariant: a record of a plan below a view stands only when all its partials stand.

import { describe, expect, it, vi } from 'vitest';
import { ColumnType, columnTypeNames, type TableSchema } from '../../src/columns/types.ts';
import type { PlanWork } from '../../src/commit/execute.ts';
import { type CommitRecord, freshRecord } from '../../src/commit/metadata.ts';
import { ViewPartials } from '../../src/engine/view-partials.ts';
import { writePartials } from '../../src/engine/write-partials.ts';
import { planHash, planManifestKey } from '../../src/format/layout.ts';
import { encodeManifest } from '../../src/format/manifest.ts';
import type { PlanIdentity, SegmentOutputs } from '../../src/format/segment.ts';
import { writeSegments } from '../../src/format/write-segments.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { PartialView } from '../../src/query/view/partial.ts';
import { memoryVolume } from '../support/memory-disk.ts';
import { memoryBucket, memoryStore, type StoreHooks } from '../support/memory-store.ts';
import { segmentOf } from '../support/segment-rows.ts';

const HOUR = 475_000;
const trades: TableSchema = {
  name: 'trades',
  columns: [
    { name: 'timestamp', type: ColumnType.TIMESTAMP_NS },
    { name: 'symbol', type: ColumnType.SYMBOL },
    { name: 'price', type: ColumnType.INT64, scale: 4 },
    { name: 'volume', type: ColumnType.INT64 },
    { name: 'ratio', type: ColumnType.FLOAT64 },
    { name: 'venue', type: ColumnType.STRING },
  ],
  timestampColumn: 0,
  symbolColumn: 1,
};
const names = ['A', 'B', 'XNAS', 'XNYS'];
const codes = new Map(names.map((name, code) => [name, code]));
const forever = new AbortController().signal;

const viewOf = (sql: string, name = 'v'): PartialView =>
  new PartialView({ name, source: 'trades', sql }, trades);
const columnsOf = (sql: string): string[] =>
  viewOf(sql).columns.map(
    ({ name, type, scale }) => `${name} ${columnTypeNames[type]}${scale === undefined ? '' : ` ${scale}`}`,
  );

const ORIGIN = ['kafka_partition INT64', 'offset_next INT64'];

describe('columns of a partial', () => {
  it('are the keys without the symbol, the parts of each aggregate, and where the rows come from', () => {
    const sql =
      'SELECT symbol, xbar(timestamp, 5m) AS bar, first(price) AS open, sum(volume) AS volume, vwap(price, volume) AS vwap, avg(ratio) AS ratio, stddev_samp(ratio) AS spread, arg_max(venue, price) AS venue FROM trades GROUP BY symbol, bar';
    expect(columnsOf(sql)).toEqual([
      'bar TIMESTAMP_NS',
      ...['open INT64 4', 'open_time INT64', 'volume INT64', 'volume_carry INT64'],
      ...[
        'vwap_products INT64 4',
        'vwap_products_carry INT64',
        'vwap_weights INT64',
        'vwap_weights_carry INT64',
      ],
      ...[
        'ratio_sum FLOAT64',
        'ratio_count INT64',
        'spread_count INT64',
        'spread_mean FLOAT64',
        'spread_m2 FLOAT64',
      ],
      ...['venue STRING', 'venue_by INT64 4', 'venue_time INT64'],
      ...ORIGIN,
    ]);
  });

  it('are called after what is computed of them, and never like another one', () => {
    expect(columnsOf('SELECT sum(volume) / count(*) AS mean FROM trades GROUP BY venue')).toEqual([
      'venue STRING',
      ...['mean_1 INT64', 'mean_1_carry INT64', 'mean_2 INT64'],
      ...ORIGIN,
    ]);
    expect(
      columnsOf(
        "SELECT date_trunc('day', timestamp) AS day, sum(volume) AS a, max(volume) AS a_carry, count(*) AS offset_next FROM trades GROUP BY day, volume % 2",
      ),
    ).toEqual([
      ...[
        'day_ TIMESTAMP_NS',
        'key_2 INT64',
        'a INT64',
        'a_carry_ INT64',
        'a_carry INT64',
        'offset_next_ INT64',
      ],
      ...ORIGIN,
    ]);
    expect(
      columnsOf('SELECT upper(symbol) AS symbol, min(timestamp) AS t FROM trades GROUP BY upper(symbol)'),
    ).toEqual([...['symbol_ STRING', 't INT64'], ...ORIGIN]);
  });

  it('have another definition when the query or a column that it reads is another, and only then', () => {
    const sql = 'SELECT symbol, sum(volume) AS volume FROM trades GROUP BY symbol';
    const { definition } = viewOf(sql);
    expect(definition).toMatch(/^[0-9a-f]{16}$/);
    expect(viewOf(sql, 'w').definition).toBe(definition);
    expect(viewOf(sql.replace('sum', 'max')).definition).not.toBe(definition);
    const over = (columns: TableSchema['columns']): string =>
      new PartialView({ name: 'v', source: 'trades', sql }, { ...trades, columns }).definition;
    expect(over([...trades.columns, { name: 'more', type: ColumnType.BOOL }])).toBe(definition);
    const wider = trades.columns.map((one) => (one.name === 'volume' ? { ...one, scale: 2 } : one));
    expect(over(wider)).not.toBe(definition);
  });
});

const outputs: SegmentOutputs = {
  bin: { baseDirectory: '/hdb', compression: 'none', sync: true },
  parquet: {
    ...{ codec: 'SNAPPY', timestampType: 'ns', layout: 'hive', flatEpoch: 's' },
    ...{ prefix: 'p', rowGroupRowsMax: 1000, conditionalWrites: true },
  },
};
const planAt = (offsetNext: number): PlanIdentity => ({
  ...{ group: 'g', topic: 'trades', partition: 3, incarnation: 0, hourLast: HOUR, offsetNext },
});
const BASE_NS = BigInt(HOUR) * 3_600_000_000_000n;
const MAX = 2n ** 63n - 1n;
const rows = [
  [BASE_NS, 10_000n, 5n, 0.5, 2],
  [BASE_NS + 1n, 20_000n, MAX, 1.5, 3],
  [BASE_NS + 2n, 30_000n, MAX, 2.5, 3],
];
const segment = segmentOf(trades, rows, { symbol: 0, hour: HOUR });

const ALL = 'SELECT symbol, max(price) AS high FROM trades GROUP BY symbol';

/** A shard's partials over a bucket and a disk in memory. */
function scene(hooks: StoreHooks = {}, bytesMax = 2 ** 24, mayRead = true, to = outputs, prefix = 'p') {
  const volume = memoryVolume();
  const bucket = memoryBucket({ conditionalWrites: true });
  const store = memoryStore(bucket, { clock: systemClock, hooks, mayRead });
  const disk = volume.mount();
  const warnings: string[] = [];
  const failures: string[] = [];
  const ports = {
    ...{ disk, store, concurrency: 2, monotonicMs: systemClock.monotonicMs },
    names: { nameOf: (code: number) => names[code], codeOf: (name: string) => codes.get(name) },
  };
  const make = (): ViewPartials =>
    new ViewPartials({
      ...{ outputs: to, prefix, store, disk, group: 'g', bytesMax },
      run: (job, signal) => writePartials(job, ports, signal),
      logger: { debug() {}, info() {}, warn: (_, message) => warnings.push(message), error() {} },
      metrics: { gauge() {}, observe() {}, count: (name, { code }) => failures.push(`${name} ${code}`) },
    });
  const work = (offsetNext: number, tableNow = trades): PlanWork =>
    ({ identity: planAt(offsetNext), table: trades, tableNow, segments: [segment] }) as unknown as PlanWork;
  /** A committed plan with all its files. */
  const seal = async (offsetNext: number): Promise<void> => {
    const strings = new Map(names.map((name, code) => [code, name]));
    const job = { plan: planAt(offsetNext), table: trades, segments: [segment], outputs, strings };
    const writer = memoryStore(bucket, { clock: systemClock });
    const files = await writeSegments(job, disk, writer, 1, forever);
    const manifest = encodeManifest({
      ...{
        plan: planAt(offsetNext),
        table: 'trades',
        previousOffsetNext: offsetNext - 3,
        files,
        deadLetters: [],
      },
      committedBefore: { offset: offsetNext - 3, staircase: [] },
      committedAfter: { offset: offsetNext, staircase: [] },
      counts: { records: 3, rowsDecoded: 3, tombstones: 0, deadLettered: 0, rowsSealed: 3, rowsUnsealed: 0 },
    });
    bucket.write(planManifestKey('p', planAt(offsetNext)), manifest);
  };
  const record = (committed: number): CommitRecord => ({
    ...freshRecord(committed),
    watermarkHour: HOUR,
  });
  const settled = (committed: number, run: object = {}) => ({
    ...{ topic: 'trades', partition: 3, table: trades, record: record(committed), run },
  });
  const objects = (): string[] =>
    [...bucket.objects.keys()].filter((key) => key.startsWith('p-views/')).sort();
  const folders = (): string[] =>
    [...volume.files().keys()]
      .filter((path) => path.startsWith('/hdb/_views/') && !path.endsWith('.bin'))
      .sort();
  return { bucket, volume, make, work, seal, settled, objects, folders, warnings, failures };
}

const v = { name: 'v', source: 'trades', sql: ALL };
const within = (view = v): string => `${view.name}/definition=${viewOf(view.sql).definition}`;
const objectOf = (offsetNext: number, view = v): string =>
  `p-views/${within(view)}/year=2024/month=03/day=09/symbol=0/0-${HOUR}-${planHash(planAt(offsetNext))}.parquet`;
const recordOf = (offsetNext: number, view = v): string =>
  planManifestKey(`p-views/${within(view)}`, planAt(offsetNext));

describe('partials of a shard', () => {
  it('stand with their plan in the bucket and on the disk, and its record after them', async () => {
    const puts: string[] = [];
    const { make, work, objects, folders } = scene({ after: ({ key }) => void puts.push(key) });
    const partials = make();
    partials.setViews([
      v,
      { ...v, name: 'over', source: 'v' },
      { ...v, name: 'elsewhere', source: 'quotes' },
    ]);
    await partials.write(work(3), forever);
    expect(puts).toEqual([objectOf(3), recordOf(3)]);
    expect(objects()).toEqual([...puts].sort());
    const hash = planHash(planAt(3));
    expect(folders()).toEqual(
      [
        `/hdb/_views/${within()}/0/${BASE_NS}-${hash}/segment.json`,
        `/hdb/${planManifestKey(`_views/${within()}`, planAt(3))}`,
      ].sort(),
    );
    expect(partials.keysOf(trades, { symbol: 0, hour: HOUR } as never, hash)).toEqual([objectOf(3)]);
  });

  it('that fail end when no job reads rows any more', async () => {
    let end = (): void => {};
    const reading = new Promise<void>((resolve) => {
      end = resolve;
    });
    let jobs = 0;
    const partials = new ViewPartials({
      ...{ outputs, prefix: 'p', group: 'g', bytesMax: 2 ** 24, disk: memoryVolume().mount() },
      store: memoryStore(memoryBucket({ conditionalWrites: true }), { clock: systemClock }),
      run: async () => {
        if (jobs++ === 0) throw new Error('the first failed');
        await reading;
        return [];
      },
      logger: { debug() {}, info() {}, warn() {}, error() {} },
      metrics: { count() {}, gauge() {}, observe() {} },
    });
    partials.setViews([v]);
    // More than one job takes.
    const segments = Array.from({ length: 300 }, (_, symbol) =>
      segmentOf(trades, rows, { symbol, hour: HOUR }),
    );
    let isOver = false;
    const written = partials
      .write(
        { identity: planAt(3), table: trades, tableNow: trades, segments } as unknown as PlanWork,
        forever,
      )
      .finally(() => {
        isOver = true;
      });
    written.catch(() => {}); // looked at below
    await vi.waitFor(() => expect(jobs).toBe(2));
    await new Promise((resolve) => setImmediate(resolve));
    expect(isOver).toBe(false);
    end();
    await expect(written).rejects.toThrow('the first failed');
  });

  it('lie as the segments do: flat names with the hash of their plan, and below _views without a prefix', async () => {
    const flat = {
      ...outputs,
      bin: null,
      parquet: { ...outputs.parquet!, layout: 'flat' as const, prefix: '' },
    };
    const { make, work, bucket } = scene({}, 2 ** 24, true, flat, '');
    const partials = make();
    partials.setViews([v]);
    await partials.write(work(3), forever);
    const hash = planHash(planAt(3));
    expect([...bucket.objects.keys()].sort()).toEqual([
      `_views/${within()}/0/${HOUR * 3600}-${hash}.parquet`,
      planManifestKey(`_views/${within()}`, planAt(3)),
    ]);
    expect(partials.keysOf(trades, { symbol: 0, hour: HOUR } as never, hash)).toEqual([
      `_views/${within()}/0/${HOUR * 3600}-${hash}.parquet`,
    ]);
  });

  it('are given up, without a record, where the credential may not write them', async () => {
    const { make, work, objects, warnings, failures } = scene({
      fault: ({ operation, key }) =>
        operation === 'put' && key.startsWith('p-views/') ? 'denied' : undefined,
    });
    const partials = make();
    partials.setViews([v]);
    await partials.write(work(3), forever);
    await partials.write(work(6), forever);
    expect(objects()).toEqual([]);
    expect(failures).toEqual(Array(2).fill('zepto_view_partials_failed_total STORE_DENIED'));
    expect(warnings.length).toBeGreaterThan(0);
  });

  it('have nothing of a column that was added after the rows, whether made of memory or of their files', async () => {
    const altered = { ...trades, columns: [...trades.columns, { name: 'fee', type: ColumnType.INT64 }] };
    const fees = { ...v, sql: 'SELECT symbol, count(*) AS n, sum(fee) AS fee FROM trades GROUP BY symbol' };
    const atSeal = scene();
    const first = atSeal.make();
    first.setViews([fees]);
    await first.write(atSeal.work(3, altered), forever);
    const later = scene();
    await later.seal(3);
    const second = later.make();
    second.setViews([fees]);
    await second.catchUp({ ...later.settled(3), table: altered }, null, forever);
    expect([...atSeal.failures, ...later.failures]).toEqual([]);
    expect(atSeal.objects()).toHaveLength(2);
    expect(atSeal.objects()).toEqual(later.objects());
    for (const key of atSeal.objects())
      expect(atSeal.bucket.objects.get(key)!.bytes).toEqual(later.bucket.objects.get(key)!.bytes);
  });

  it('of other views stand when one cannot be made: too many bits, too many groups, a missing column', async () => {
    const cannot = [
      { ...v, name: 'bits', sql: 'SELECT sum(volume) AS s, vwap(volume, volume) AS w FROM trades' },
      { ...v, name: 'gone', sql: 'SELECT nope, count(*) AS n FROM trades GROUP BY nope' },
    ];
    const { make, work, objects, failures } = scene();
    const partials = make();
    partials.setViews([...cannot, v]);
    await partials.write(work(3), forever);
    expect(objects()).toEqual([recordOf(3), objectOf(3)].sort());
    expect(failures.map((failure) => failure.split(' ')[1]).sort()).toEqual(['LIMIT_EXCEEDED', 'SQL_NAME']);

    const tight = scene({}, 100);
    const few = tight.make();
    few.setViews([{ ...v, sql: 'SELECT volume, count(*) AS n FROM trades GROUP BY volume' }]);
    await few.write(tight.work(3), forever);
    expect(tight.objects()).toEqual([]);
    expect(tight.failures).toEqual(['zepto_view_partials_failed_total LIMIT_EXCEEDED']);
  });

  it('with computed texts stand as objects alone', async () => {
    const { make, work, objects, folders } = scene();
    const partials = make();
    partials.setViews([
      { ...v, sql: "SELECT venue || '?' AS asked, count(*) AS n FROM trades GROUP BY asked" },
    ]);
    await partials.write(work(3), forever);
    expect(objects().filter((key) => key.endsWith('.parquet')).length).toBe(1);
    expect(folders().filter((path) => path.endsWith('segment.json'))).toEqual([]);
  });

  it('are made up for: of committed plans alone, once, with the bytes that they would have had', async () => {
    const { make, work, seal, settled, objects, bucket } = scene();
    for (const offsetNext of [3, 6, 9]) await seal(offsetNext);
    const run = {};
    const partials = make();
    partials.setViews([v]);
    await partials.catchUp(settled(6, run), null, forever);
    const made = [recordOf(3), objectOf(3), recordOf(6), objectOf(6)].sort();
    expect(objects()).toEqual(made);
    const before = made.map((key) => bucket.objects.get(key)!.bytes);
    for (const key of made) bucket.remove(key);
    await partials.write(work(3), forever);
    await partials.write(work(6), forever);
    expect(made.map((key) => bucket.objects.get(key)!.bytes)).toEqual(before);

    // Nobody else has owned the partition: what is complete stays so, and is not listed again.
    bucket.remove(recordOf(3));
    await partials.catchUp(settled(6, run), null, forever);
    expect(objects()).not.toContain(recordOf(3));
    await partials.catchUp(settled(6), null, forever);
    expect(objects()).toEqual(made);
  });

  it('of a view that is replaced are made up for in another folder', async () => {
    const { make, seal, settled, objects } = scene();
    await seal(3);
    const partials = make();
    const run = {};
    const other = { ...v, sql: 'SELECT symbol, min(price) AS low FROM trades GROUP BY symbol' };
    for (const view of [v, other]) {
      partials.setViews([view]);
      await partials.catchUp(settled(3, run), null, forever);
    }
    expect(objects()).toEqual([recordOf(3), objectOf(3), recordOf(3, other), objectOf(3, other)].sort());
  });

  it('of dropped hours and of objects that are gone are not made up for', async () => {
    const { make, seal, settled, objects, bucket } = scene();
    await seal(3);
    const partials = make();
    partials.setViews([v]);
    await partials.catchUp(settled(3), HOUR, forever);
    expect(objects()).toEqual([recordOf(3)]);
    bucket.remove(recordOf(3));
    for (const key of [...bucket.objects.keys()]) if (key.startsWith('p/year=')) bucket.remove(key);
    await partials.catchUp(settled(3), null, forever);
    expect(objects()).toEqual([recordOf(3)]);
  });

  it('are left out, and that is said once, where the credential may not read the rows', async () => {
    const { make, seal, settled, objects, warnings } = scene({}, 2 ** 24, false);
    await seal(3);
    await seal(6);
    const partials = make();
    partials.setViews([v]);
    await partials.catchUp(settled(6), null, forever);
    await partials.catchUp(settled(6), null, forever);
    expect(objects()).toEqual([]);
    expect(warnings.length).toBe(1);
  });
});
