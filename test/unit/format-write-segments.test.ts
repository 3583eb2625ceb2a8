// What: encode jobs on a disk and a bucket that die at every single call, and are run again.
// Why: exactly once rests on the second run leaving the very files of the first.
// Invariant: after any interruption and a re-run: the files of an undisturbed run, byte for byte, and no others.

import { hostname } from 'node:os';
import { describe, expect, test } from 'vitest';
import { decodeBinColumn, encodeBinColumn } from '../../src/format/bin.ts';
import { removeUnfinished } from '../../src/format/bin-folder.ts';
import { crc32cOf, crc32cText } from '../../src/format/crc32c.ts';
import { binFolder, hiveKey, planHash } from '../../src/format/layout.ts';
import { openSegment } from '../../src/format/read-segment.ts';
import type { EncodeJob, ParquetOptions, PlanIdentity, SegmentFile } from '../../src/format/segment.ts';
import { writeSegments } from '../../src/format/write-segments.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { Disk } from '../../src/ports.ts';
import { type DiskHooks, type MemoryVolume, memoryVolume } from '../support/memory-disk.ts';
import { type MemoryBucket, memoryBucket, memoryStore, type StoreHooks } from '../support/memory-store.ts';
import { columnOf, HOUR, HOUR_NS, type Row, segmentOf, trades } from '../support/segment-rows.ts';

const BASE = '/hdb';
const plan: PlanIdentity = {
  group: 'desk',
  topic: 'ticks',
  partition: 3,
  incarnation: 0,
  hourLast: HOUR + 1,
  offsetNext: 1200,
};
const later: PlanIdentity = { ...plan, offsetNext: 1300 };
const hive: ParquetOptions = {
  codec: 'SNAPPY',
  timestampType: 'ns',
  layout: 'hive',
  flatEpoch: 's',
  prefix: 'ticks',
  rowGroupRowsMax: 1_000_000,
};
const flat: ParquetOptions = { ...hive, layout: 'flat', conditionalWrites: true };

const rowsOf = (hour: number, count: number): Row[] =>
  Array.from({ length: count }, (_, i) => [
    BigInt(hour) * 3_600_000_000_000n + BigInt((i * 7919) % count) * 1000n,
    BigInt(15000 + i),
    100n,
    i % 3,
  ]);

function jobOf(options: Partial<EncodeJob['outputs']> = {}, identity = plan): EncodeJob {
  return {
    plan: identity,
    table: trades,
    segments: [
      segmentOf(trades, rowsOf(HOUR + 1, 5), { symbol: 7, hour: HOUR + 1 }),
      segmentOf(trades, rowsOf(HOUR, 40), { symbol: 7, chunkRows: [16] }),
      segmentOf(trades, rowsOf(HOUR, 3), { symbol: 2 }),
    ],
    outputs: {
      bin: { baseDirectory: BASE, compression: 'lz4', sync: true },
      parquet: hive,
      ...options,
    },
    strings: new Map(),
  };
}

const forever = new AbortController().signal;

interface World {
  readonly volume: MemoryVolume;
  readonly bucket: MemoryBucket;
}
const newWorld = (conditionalWrites = true): World => ({
  volume: memoryVolume(),
  bucket: memoryBucket({ conditionalWrites }),
});

function run(
  world: World,
  job: EncodeJob,
  disk: DiskHooks = {},
  store: StoreHooks = {},
): Promise<SegmentFile[]> {
  const client = memoryStore(world.bucket, {
    clock: systemClock,
    hooks: store,
    mayRead: false,
    mayDelete: false,
  });
  return writeSegments(job, world.volume.mount(disk), client, 2, forever);
}

/** Every file and object by name, without unfinished ones, as text that can be compared. */
function contents(world: World): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [path, bytes] of world.volume.files())
    if (!path.startsWith(`${BASE}/.tmp/`)) found[path] = Buffer.from(bytes).toString('base64');
  for (const [key, { bytes }] of world.bucket.objects) found[key] = Buffer.from(bytes).toString('base64');
  return found;
}

const turns = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

describe('an undisturbed job', () => {
  test('leaves a folder and an object per segment, listed by symbol, hour and kind', async () => {
    const world = newWorld();
    const files = await run(world, jobOf());
    const hash = planHash(plan);
    expect(files.map(({ kind, path, rows }) => [kind, path, rows])).toEqual([
      ['bin', '2/1711000800000000000', 3],
      ['parquet', `ticks/year=2024/month=03/day=21/symbol=2/2-475278-${hash}.parquet`, 3],
      ['bin', '7/1711000800000000000', 40],
      ['parquet', `ticks/year=2024/month=03/day=21/symbol=7/7-475278-${hash}.parquet`, 40],
      ['bin', '7/1711004400000000000', 5],
      ['parquet', `ticks/year=2024/month=03/day=21/symbol=7/7-475279-${hash}.parquet`, 5],
    ]);
    expect(files[2]!.timestampMin).toBe(String(HOUR_NS));
    expect(files[2]!.timestampMax).toBe(String(HOUR_NS + 39_000n));
    const names = [...world.volume.files().keys()].filter((path) => path.startsWith('/hdb/2/'));
    expect(names.map((path) => path.split('/').at(-1)).sort()).toEqual([
      'msg_type.bin',
      'price.bin',
      'segment.json',
      'timestamp.bin',
      'volume.bin',
    ]);
    expect([...world.volume.files().keys()].filter((path) => path.includes('.tmp'))).toEqual([]);
  });

  test('is the same whether the store knows facts of chunks or not', async () => {
    const rows = Array.from({ length: 40 }, (_, i): Row => [HOUR_NS + BigInt(i), BigInt(i), 100n, i % 3]);
    const written = await Promise.all(
      [false, true].map(async (facts) => {
        const world = newWorld();
        const bin = { baseDirectory: BASE, compression: 'none', sync: false } as const;
        const segments = [segmentOf(trades, rows, { chunkRows: [16, 16], facts })];
        const files = await run(world, { ...jobOf({ bin, parquet: null }), segments });
        return { files, contents: contents(world) };
      }),
    );
    expect(written[1]).toEqual(written[0]);
  });

  test('lists bytes and checksums of what stands there', async () => {
    const world = newWorld();
    for (const file of await run(world, jobOf())) {
      const parts =
        file.kind === 'parquet'
          ? [world.bucket.objects.get(file.path)!.bytes]
          : ['timestamp', 'price', 'volume', 'msg_type'].map(
              (name) => world.volume.files().get(`${BASE}/${file.path}/${name}.bin`)!,
            );
      expect(crc32cText(crc32cOf(parts))).toBe(file.crc32c);
      expect(parts.reduce((sum, part) => sum + part.length, 0)).toBe(file.bytes);
    }
  });

  test('leaves compressed columns alone until they are written, however long that takes', async () => {
    const disk = memoryVolume().mount();
    const late: Disk = {
      ...disk,
      writeFile: async (path, parts, sync) => {
        await systemClock.sleep(5);
        await disk.writeFile(path, parts, sync);
      },
    };
    // Blocks of a size whose memory is used again.
    const priceOf = (symbol: number, i: number): bigint =>
      BigInt(symbol * 1_000_000 + ((i * 7919) % 100_000));
    const rows = Array.from({ length: 50_000 }, (_, i) => i);
    const segments = [1, 2, 3].map((symbol) =>
      segmentOf(
        trades,
        rows.map(
          (i): Row => [HOUR_NS + BigInt(i), priceOf(symbol, i), BigInt((i * 104_729) % 90_000), i % 3],
        ),
        { symbol },
      ),
    );
    const job: EncodeJob = { ...jobOf({ parquet: null }), segments };
    for (const { path, symbol } of await writeSegments(job, late, null, 3, forever)) {
      const { header, values } = decodeBinColumn((await disk.readFile(`${BASE}/${path}/price.bin`))!);
      expect(header.compression).toBe(1);
      expect(header.payloadBytes).toBeGreaterThan(65_536);
      expect(rows.findIndex((i) => values[i] !== priceOf(symbol, i))).toBe(-1);
    }
  });

  test('of another table lies in its own folder and below its own prefix', async () => {
    const world = newWorld();
    const quotes = { ...trades, name: 'quotes' };
    const files = await run(world, { ...jobOf(), table: quotes });
    expect(files[0]!.path).toBe('quotes/2/1711000800000000000');
    expect(files[1]!.path).toMatch(/^ticks-quotes\/year=2024\//);
  });

  test('writes only what it is asked for', async () => {
    const world = newWorld();
    const disk = world.volume.mount();
    expect((await run(world, jobOf({ bin: null }))).map((file) => file.kind)).toEqual(
      Array(3).fill('parquet'),
    );
    const local = await writeSegments(jobOf({ parquet: null }), disk, null, 1, forever);
    expect(local.map((file) => file.kind)).toEqual(Array(3).fill('bin'));
    expect(await writeSegments({ ...jobOf(), segments: [] }, disk, null, 1, forever)).toEqual([]);
  });

  test('is readable from its folders, checksums verified', async () => {
    const world = newWorld();
    const disk = world.volume.mount();
    await run(world, jobOf());
    const segment = await openSegment(`${BASE}/7/${HOUR_NS}`, disk);
    expect(segment!.record).toMatchObject({
      rows: 40,
      symbol: 7,
      hour: HOUR,
      plan: { hash: planHash(plan) },
    });
    const times = await segment!.column('timestamp', true);
    expect([...times.values]).toEqual(Array.from({ length: 40 }, (_, i) => HOUR_NS + BigInt(i) * 1000n));
  });
});

describe('a job that died and is run again', () => {
  /** A world with or without files of other plans in the way. */
  const worlds: [string, EncodeJob, () => Promise<World>][] = [
    ['on an empty disk', jobOf(), async () => newWorld()],
    [
      'beside another plan of the same symbol-hours',
      jobOf({}, later),
      async () => {
        const world = newWorld();
        await run(world, jobOf());
        return world;
      },
    ],
    [
      'beside folders of the original system',
      jobOf({ parquet: null }),
      async () => {
        const world = newWorld();
        const disk = world.volume.mount();
        const file = encodeBinColumn(1, [columnOf({ name: 'price', type: 1 }, [1n])], 'none');
        for (const hour of [HOUR, HOUR + 1]) {
          const folder = `${BASE}/${binFolder({ table: 'trades', symbol: 7, hour, hash: null })}`;
          await disk.makeDirectory(folder);
          await disk.writeFile(`${folder}/price.bin`, file.parts, true);
          await disk.syncDirectory(folder);
        }
        return world;
      },
    ],
    [
      'in the flat layout, beside another plan',
      jobOf({ parquet: flat, bin: null }, later),
      async () => {
        const world = newWorld();
        await run(world, jobOf({ parquet: flat, bin: null }));
        return world;
      },
    ],
  ];

  for (const [name, job, make] of worlds) {
    test(`${name}, at any call and in the middle of it, leaves the same files`, async () => {
      const undisturbed = await make();
      const before = contents(undisturbed);
      const files = await run(undisturbed, job);
      const expected = contents(undisturbed);
      for (const moment of ['before', 'during', 'after'] as const) {
        for (let fatal = 0, died = true; died; fatal++) {
          const world = await make();
          expect(contents(world)).toEqual(before);
          died = await dieAt(world, job, moment, fatal);
          expect(await run(world, job), `${moment} ${fatal}`).toEqual(files);
          expect(contents(world), `${moment} ${fatal}`).toEqual(expected);
        }
      }
    });
  }

  test('at any call, twice, leaves the same files', async () => {
    const undisturbed = newWorld();
    const files = await run(undisturbed, jobOf());
    for (let fatal = 0, died = true; died; fatal++) {
      const world = newWorld();
      died = await dieAt(world, jobOf(), 'after', fatal);
      await dieAt(world, jobOf(), 'during', 2 * fatal);
      expect(await run(world, jobOf())).toEqual(files);
      expect(contents(world)).toEqual(contents(undisturbed));
    }
  });

  test('of power loss, at any call, leaves the same files; and once it is done, they survive the next one', async () => {
    const undisturbed = newWorld();
    const files = await run(undisturbed, jobOf());
    const random = randomOf(11);
    for (let fatal = 0, died = true; died; fatal++) {
      const world = newWorld();
      died = await dieAt(world, jobOf(), fatal % 2 === 0 ? 'after' : 'before', fatal);
      world.volume.losePower(random);
      expect(await run(world, jobOf()), String(fatal)).toEqual(files);
      world.volume.losePower(random);
      expect(contents(world), String(fatal)).toEqual(contents(undisturbed));
    }
  });

  test('without syncs, of power loss: what is torn is written again, whole', async () => {
    const unsynced = {
      bin: { baseDirectory: BASE, compression: 'none', sync: false },
      parquet: null,
    } as const;
    const random = randomOf(3);
    for (let round = 0; round < 60; round++) {
      const world = newWorld();
      if (round % 2 === 0) await run(world, jobOf({}, later));
      await run(world, jobOf(unsynced));
      world.volume.losePower(random);
      const files = await run(world, jobOf(unsynced));
      const disk = world.volume.mount();
      for (const { path } of files) {
        const segment = await openSegment(`${BASE}/${path}`, disk);
        for (const column of segment!.columnNames) await segment!.column(column, true);
      }
    }
  });

  /** Runs the job in a process that dies at its `fatal`th call; false when it had fewer. */
  async function dieAt(
    world: World,
    job: EncodeJob,
    moment: 'before' | 'during' | 'after',
    fatal: number,
  ): Promise<boolean> {
    let calls = 0;
    let died = false;
    const dead = new Promise<never>(() => {});
    const die = (): Promise<never> | undefined => {
      if (died) return dead;
      if (calls++ !== fatal) return undefined;
      died = true;
      disk.kill();
      return dead;
    };
    const disk = world.volume.mount({ [moment]: die });
    const hooks: StoreHooks = {
      before: () => (moment === 'before' ? die() : died ? dead : undefined),
      after: () => (moment === 'after' ? die() : undefined),
    };
    const store = memoryStore(world.bucket, { clock: systemClock, hooks, mayRead: false });
    const finished = writeSegments(job, disk, store, 2, forever).then(() => true);
    const hung = (async () => {
      for (let i = 0; i < 1000 && !died; i++) await turns();
      await turns();
      return false;
    })();
    return !(await Promise.race([finished, hung]));
  }
});

describe('a job that was done and is run again', () => {
  test("writes nothing, also when the other plan's folder was dropped in between", async () => {
    const world = newWorld();
    await run(world, jobOf());
    const files = await run(world, jobOf({}, later));
    const disk = world.volume.mount();
    for (const { path } of files.filter(({ kind }) => kind === 'bin'))
      await disk.remove(`${BASE}/${path.slice(0, path.lastIndexOf('-'))}`);
    const before = contents(world);
    const written: string[] = [];
    const hooks: DiskHooks = {
      before: ({ operation, path }) => {
        if (operation === 'writeFile' || operation === 'rename') written.push(path);
      },
    };
    expect(await run(world, jobOf({}, later), hooks)).toEqual(files);
    expect(written).toEqual([]);
    expect(contents(world)).toEqual(before);
  });
});

describe('two runs of the same job at the same time', () => {
  test('leave one set of files, and both know it', async () => {
    const undisturbed = newWorld();
    const files = await run(undisturbed, jobOf());
    for (const slow of ['makeDirectory', 'writeFile', 'rename', 'readFile'] as const) {
      const world = newWorld();
      const hook: DiskHooks = {
        before: async ({ operation }) => {
          if (operation === slow) await turns();
        },
      };
      const both = await Promise.all([run(world, jobOf(), hook), run(world, jobOf())]);
      expect(both).toEqual([files, files]);
      expect(contents(world)).toEqual(contents(undisturbed));
    }
  });
});

describe('a further plan of the same symbol-hour', () => {
  test('gets folders with its hash, and touches nothing of the first', async () => {
    const world = newWorld();
    await run(world, jobOf());
    const before = contents(world);
    const files = await run(world, jobOf({}, later));
    const hash = planHash(later);
    expect(files[0]!.path).toBe(`2/1711000800000000000-${hash}`);
    expect(files[1]!.path).toBe(hiveKey('ticks', { symbol: 2, hour: HOUR, hash }));
    expect(contents(world)).toMatchObject(before);
    expect(world.bucket.overwrites).toEqual([]);
  });

  test('gets flat names with its hash, told apart by the ETag where the sizes are equal', async () => {
    const job = (identity: PlanIdentity): EncodeJob => jobOf({ parquet: flat, bin: null }, identity);
    const world = newWorld();
    const first = await run(world, job(plan));
    expect(first[0]!.path).toBe('ticks/2/1711000800.parquet');
    expect((await run(world, job(plan)))[0]!.path).toBe('ticks/2/1711000800.parquet');
    const second = await run(world, job(later));
    expect(second[0]!.path).toBe(`ticks/2/1711000800-${planHash(later)}.parquet`);
    expect(world.bucket.overwrites).toEqual([]);
  });

  test('gets flat names with its hash from the start where the store has no conditional writes', async () => {
    const world = newWorld(false);
    const options = { parquet: { ...flat, conditionalWrites: false }, bin: null };
    const first = await run(world, jobOf(options));
    const second = await run(world, jobOf(options, later));
    expect(first[0]!.path).toBe(`ticks/2/1711000800-${planHash(plan)}.parquet`);
    expect(second[0]!.path).toBe(`ticks/2/1711000800-${planHash(later)}.parquet`);
    expect(world.bucket.overwrites).toEqual([]);
  });

  test('stops where neither ETag nor a read tells whose a flat object is, and goes on where a read may', async () => {
    const job = jobOf({ parquet: flat, bin: null });
    const world = newWorld();
    const files = await run(world, job);
    const open = (mayRead: boolean): ReturnType<typeof memoryStore> => {
      const store = memoryStore(world.bucket, { clock: systemClock, mayRead });
      return {
        ...store,
        async *list(prefix, signal) {
          for await (const found of store.list(prefix, signal))
            yield { ...found, etag: `"${'0'.repeat(32)}-2"` };
        },
      };
    };
    const disk = world.volume.mount();
    await expect(writeSegments(job, disk, open(false), 2, forever)).rejects.toMatchObject({
      code: 'STORE_CONFLICT',
      action: 'stop',
    });
    expect(await writeSegments(job, disk, open(true), 2, forever)).toEqual(files);
  });
});

describe('a job that cannot go on', () => {
  test('tells the first error, ends everything, and leaves nothing unfinished', async () => {
    const world = newWorld();
    let running = 0;
    const hooks: DiskHooks = {
      before: ({ operation, path }) => {
        running++;
        if (operation === 'writeFile' && path.endsWith('volume.bin'))
          throw new ZeptoError('DISK_FULL', 'retry', 'the disk is full');
      },
      after: () => {
        running--;
      },
    };
    await expect(run(world, jobOf(), hooks)).rejects.toMatchObject({ code: 'DISK_FULL' });
    const settled = running;
    await turns();
    expect(running).toBe(settled);
    expect([...world.volume.files().keys()].filter((path) => path.includes('.tmp'))).toEqual([]);
    expect(await run(world, jobOf())).toHaveLength(6);
  });

  test('stops when it is cancelled, with the reason', async () => {
    const world = newWorld();
    const cancel = new AbortController();
    const store = memoryStore(world.bucket, {
      clock: systemClock,
      hooks: { after: () => cancel.abort('enough') },
    });
    await expect(writeSegments(jobOf(), world.volume.mount(), store, 1, cancel.signal)).rejects.toBe(
      'enough',
    );
    expect(world.bucket.objects.size).toBe(1);
  });

  test('leaves what a start takes away', async () => {
    const world = newWorld();
    const disk = world.volume.mount({
      during: ({ operation }) => {
        if (operation === 'writeFile') {
          disk.kill();
          return new Promise(() => {});
        }
      },
    });
    void writeSegments(jobOf({ parquet: null }), disk, null, 1, forever);
    for (let i = 0; i < 50; i++) await turns();
    expect([...world.volume.files().keys()].every((path) => path.startsWith(`${BASE}/.tmp/`))).toBe(true);
    expect(world.volume.files().size).toBeGreaterThan(0);
    const next: Disk = world.volume.mount();
    await removeUnfinished(BASE, next);
    expect(world.volume.files().size).toBe(0);
  });

  test('leaves to others what they may still write at start', async () => {
    const disk: Disk = newWorld().volume.mount();
    // The process above this one runs; no process has an id beyond what Linux and macOS give.
    const kept = [`${hostname()}~${process.ppid}~0`, 'another-host~1~0', 'plan.json'];
    for (const name of [...kept, `${hostname()}~4194305~0`]) {
      await disk.makeDirectory(`${BASE}/.tmp/${name}`, true);
      await disk.writeFile(`${BASE}/.tmp/${name}/price.bin`, [Buffer.from('x')], true);
    }
    await removeUnfinished(BASE, disk);
    expect((await disk.list(`${BASE}/.tmp`)).sort()).toEqual([...kept].sort());
  });
});

/** Uniform in [0, 1), the same for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
