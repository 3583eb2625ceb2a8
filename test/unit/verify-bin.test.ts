// What: the verifier over a folder of `.bin` segments, as the engine's own writer leaves them.
// Why: the local tier makes the same promise as the bucket, in another form.
// Invariant: each kind of damage is planted alone, and is what the report says.

import {
  appendFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { localDisk } from '../../connectors/fs/disk.ts';
import { createFolderStore } from '../../connectors/fs/store.ts';
import { ColumnType, type TableSchema } from '../../src/columns/types.ts';
import { nsOfHour, planManifestKey } from '../../src/format/layout.ts';
import { encodeManifest } from '../../src/format/manifest.ts';
import type { PlanIdentity, SegmentSource } from '../../src/format/segment.ts';
import { writeSegments } from '../../src/format/write-segments.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { VerifyReport } from '../../src/verify/report.ts';
import { verify } from '../../src/verify/verify.ts';
import { withGap } from '../support/sound-bucket.ts';

const HOUR = 480_000;

const table: TableSchema = {
  name: 'trades',
  columns: [
    { name: 'timestamp', type: ColumnType.TIMESTAMP_NS },
    { name: 'symbol', type: ColumnType.SYMBOL },
    { name: 'volume', type: ColumnType.INT64 },
  ],
  timestampColumn: 0,
  symbolColumn: 1,
};

const planAt = (offsetNext: number): PlanIdentity => ({
  group: 'g',
  topic: 'ticks',
  partition: 0,
  incarnation: 0,
  hourLast: Infinity,
  offsetNext,
});

const shared = (...values: bigint[]): BigInt64Array => {
  const column = new BigInt64Array(new SharedArrayBuffer(values.length * 8));
  column.set(values);
  return column;
};

const segmentOf = (symbol: number): SegmentSource => ({
  symbol,
  hour: HOUR,
  rows: 2,
  chunks: [{ rows: 2, columns: [shared(nsOfHour(HOUR), nsOfHour(HOUR) + 1n), shared(7n, 8n)] }],
});

/** Two symbols per plan; the second plan's segments of the same hour lie in folders of their own. */
async function writePlan(base: string, offsetNext: number): Promise<void> {
  const plan = planAt(offsetNext);
  const bin = { baseDirectory: base, compression: 'none', sync: false } as const;
  const segments = [segmentOf(1), segmentOf(2)];
  const job = { plan, table, segments, outputs: { bin, parquet: null }, strings: new Map() };
  const files = await writeSegments(job, localDisk, null, 2, new AbortController().signal);
  const key = planManifestKey('', plan);
  await localDisk.makeDirectory(join(base, key, '..'));
  const manifest = encodeManifest({
    plan,
    table: 'trades',
    previousOffsetNext: offsetNext - 4,
    committedBefore: { offset: offsetNext - 4, staircase: [] },
    committedAfter: { offset: offsetNext, staircase: [] },
    counts: { records: 4, rowsDecoded: 4, tombstones: 0, deadLettered: 0, rowsSealed: 4, rowsUnsealed: 0 },
    deadLetters: [],
    files,
  });
  await localDisk.writeFile(join(base, key), [manifest], false);
}

describe('verify over local segments', () => {
  let base: string;
  const plain = `1/${nsOfHour(HOUR)}`;

  beforeEach(async () => {
    base = mkdtempSync(join(tmpdir(), 'zepto-verify-'));
    await writePlan(base, 4);
    await writePlan(base, 8);
  });
  afterEach(() => rmSync(base, { recursive: true, force: true }));

  const check = (deep = false): Promise<VerifyReport> => {
    const metrics = { count() {}, gauge() {}, observe() {} };
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const settings = { baseDirectory: base, sync: false, patienceMs: 0 };
    const store = createFolderStore(settings, { clock: systemClock, metrics, log });
    return verify({
      store,
      medium: 'bin',
      prefix: '',
      group: null,
      deep,
      committed: null,
      progress: () => {},
    });
  };
  const found = async (deep = false): Promise<string[]> =>
    (await check(deep)).problems.map(({ kind, subject }) => `${kind} ${subject}`);

  it('passes what the engine wrote, with every byte read', async () => {
    expect(await check(true)).toMatchObject({ isSound: true, filesFound: 4, filesRead: 4, problems: [] });
  });

  it('finds a folder that is gone, and one that is there twice', async () => {
    cpSync(join(base, plain), join(base, '7', String(nsOfHour(HOUR))), { recursive: true });
    rmSync(join(base, plain), { recursive: true });
    expect((await found()).sort()).toEqual([`missing ${plain}`, `unnamed 7/${nsOfHour(HOUR)}`]);
  });

  it('finds a column that is gone, cut short, or longer', async () => {
    const column = join(base, plain, 'volume.bin');
    const bytes = readFileSync(column);
    writeFileSync(column, bytes.subarray(0, 20));
    expect(await found()).toEqual([`size ${plain}`]);
    rmSync(column);
    expect(await found()).toEqual([`size ${plain}`]);
    writeFileSync(column, bytes);
    appendFileSync(column, 'x');
    expect(await found()).toEqual([`size ${plain}`]);
  });

  it('finds a changed byte, when it reads the bytes', async () => {
    const column = join(base, plain, 'volume.bin');
    const bytes = readFileSync(column);
    bytes[40]! ^= 1;
    writeFileSync(column, bytes);
    expect(await found()).toEqual([]);
    expect(await found(true)).toEqual([`checksum ${plain}`]);
  });

  it('finds a missing manifest, as a gap or by the folders that nobody names', async () => {
    await writePlan(base, 12);
    const kinds = async (): Promise<string[]> => {
      const { problems } = await check();
      return [...new Set(problems.map(({ kind }) => kind))].sort();
    };
    for (const [offsetNext, expected] of [
      [4, ['unnamed']], // the chain then begins later, as a group's first one may
      [8, ['gap', 'unnamed']],
    ] as const) {
      const path = join(base, planManifestKey('', planAt(offsetNext)));
      const manifest = readFileSync(path);
      rmSync(path);
      expect(await kinds()).toEqual(expected);
      writeFileSync(path, manifest);
    }
    expect(await kinds()).toEqual([]);
  });

  it('finds an offset gap and an overlap between manifests', async () => {
    const path = join(base, planManifestKey('', planAt(8)));
    const manifest = readFileSync(path);
    for (const [shift, kind] of [
      [1, 'gap'],
      [-1, 'overlap'],
    ] as const) {
      writeFileSync(path, withGap(manifest, shift));
      expect(await found()).toEqual([`${kind} g/ticks-0`]);
    }
  });

  it('finds a segment whose record was damaged, and one of a column that has no file name', async () => {
    const path = join(base, plain, 'segment.json');
    const record = readFileSync(path, 'utf8');
    for (const damaged of [record.slice(0, -20), record.replace('"volume"', '"../volume"')]) {
      writeFileSync(path, damaged);
      expect(await found()).toEqual([]);
      expect(await found(true)).toEqual([`unreadable ${plain}`]);
    }
  });

  it('leaves what is being written, and the folder as it was', async () => {
    await localDisk.makeDirectory(join(base, '.tmp', 'x'));
    writeFileSync(join(base, '.tmp', 'x', 'volume.bin'), 'half');
    const before = readdirSync(base, { recursive: true }).sort();
    expect(await found(true)).toEqual([]);
    expect(readdirSync(base, { recursive: true }).sort()).toEqual(before);
  });
});
