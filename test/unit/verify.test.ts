// What: `zepto verify`'s core against buckets that are sound, and against each way in which one can be broken.
// Why: a verifier that overlooks damage is worse than none.
// Invariant: each kind of damage is planted alone, and is what the report says.

import { beforeEach, describe, expect, it } from 'vitest';
import { encodeMetadata } from '../../src/commit/metadata.ts';
import { planManifestKey } from '../../src/format/layout.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { VerifyReport } from '../../src/verify/report.ts';
import { verifyText } from '../../src/verify/text.ts';
import { type VerifyOptions, verify } from '../../src/verify/verify.ts';
import { type MemoryBucket, memoryBucket, memoryStore } from '../support/memory-store.ts';
import {
  type Body,
  type BucketShape,
  fakeBody,
  offsetsPerPlan,
  parquetBody,
  planAt,
  soundBucket,
  withGap,
} from '../support/sound-bucket.ts';

const PREFIX = 'ticks';
async function fill(bucket: MemoryBucket, shape: BucketShape, body: Body): Promise<void> {
  for await (const [key, bytes] of soundBucket(PREFIX, shape, body)) bucket.write(key, bytes);
}

const check = (bucket: MemoryBucket, options: Partial<VerifyOptions> = {}): Promise<VerifyReport> =>
  verify({
    store: memoryStore(bucket, { clock: systemClock }),
    medium: 'parquet',
    prefix: PREFIX,
    group: null,
    deep: false,
    committed: null,
    progress: () => {},
    ...options,
  });

const kinds = ({ problems }: VerifyReport): string[] => [...new Set(problems.map(({ kind }) => kind))];

describe('verify', () => {
  const shape: BucketShape = { partitions: 2, plans: 3, symbols: 2 };
  let bucket: MemoryBucket;
  const keys = (): string[] => [...bucket.objects.keys()].sort();
  const files = (): string[] =>
    keys().filter((key) => key.startsWith(`${PREFIX}/`) && key.endsWith('.parquet'));
  const bytesOf = (key: string): Uint8Array => bucket.objects.get(key)!.bytes;
  const manifest = (n: number): string => planManifestKey(PREFIX, planAt(0, n * offsetsPerPlan(shape)));

  beforeEach(async () => {
    bucket = memoryBucket({ conditionalWrites: true });
    await fill(bucket, shape, parquetBody);
    bucket.write(`${PREFIX}/_symbols/g/0000000000-0000000001.csv`, Buffer.from('id,name\n'));
    bucket.write(`${PREFIX}/_probe/conditional-writes`, Buffer.from('probe'));
    bucket.write('ticks-other/year=2024/x.parquet', Buffer.from('of another table'));
  });

  it('passes a sound bucket and sums it up', async () => {
    const report = await check(bucket, { deep: true });
    expect(report).toMatchObject({
      isSound: true,
      problems: [],
      warnings: [],
      filesFound: 12,
      filesRead: 12,
    });
    expect(report.partitions).toMatchObject([
      { partition: 0, plans: 3, offsetFirst: 0, offsetNext: 18, records: 18, rowsSealed: 12 },
      { partition: 1, plans: 3, offsetFirst: 0, offsetNext: 18, records: 18, rowsSealed: 12 },
    ]);
    expect(verifyText(report)).toMatch(/^PARTITION.*\ng\/ticks-0 +3 +0–17 +18 +12/);
    expect(verifyText(report)).toMatch(/\nSOUND: /);
  });

  it('passes a sound bucket of 10,000 objects in seconds', async () => {
    const large = memoryBucket({ conditionalWrites: true });
    await fill(large, { partitions: 4, plans: 25, symbols: 99 }, fakeBody);
    expect(large.objects.size).toBe(10_000);
    const report = await check(large);
    expect(report).toMatchObject({ isSound: true, filesFound: 9_900, problemCount: 0, warningCount: 0 });
  }, 30_000);

  it('finds a deleted object', async () => {
    const [gone] = files();
    bucket.remove(gone!);
    const report = await check(bucket);
    expect(report.problems).toMatchObject([{ kind: 'missing', subject: gone }]);
  });

  it('finds a doubled object', async () => {
    const [first] = files();
    const copy = first!.replace('.parquet', '-copy.parquet');
    bucket.write(copy, bytesOf(first!));
    const report = await check(bucket);
    expect(report.problems).toMatchObject([{ kind: 'unnamed', subject: copy }]);
  });

  it('finds a truncated object', async () => {
    const [first] = files();
    bucket.write(first!, bytesOf(first!).subarray(0, -1));
    expect(kinds(await check(bucket))).toEqual(['size']);
  });

  it('finds a changed byte, when it reads the bytes', async () => {
    const [first] = files();
    const bytes = bytesOf(first!).slice();
    bytes[10]! ^= 1;
    bucket.write(first!, bytes);
    expect((await check(bucket)).isSound).toBe(true);
    expect(kinds(await check(bucket, { deep: true }))).toEqual(['checksum']);
  });

  it('finds a missing manifest, as a gap or by the files that nobody names', async () => {
    for (const [n, found] of [
      [1, ['unnamed']], // the chain then begins later, as a group's first one may
      [2, ['gap', 'unnamed']],
    ] as const) {
      const bytes = bytesOf(manifest(n));
      bucket.remove(manifest(n));
      expect(kinds(await check(bucket)).sort()).toEqual(found);
      bucket.write(manifest(n), bytes);
    }
  });

  it('takes files above the last manifest for unfinished, unless Kafka says that their plan was committed', async () => {
    bucket.remove(manifest(3));
    const report = await check(bucket);
    expect(report).toMatchObject({ isSound: true, warningCount: 2 });
    expect(report.warnings[0]!.kind).toBe('unfinished');
    const record = {
      committed: 18,
      incarnation: 0,
      watermarkHour: null,
      staircase: [],
      pending: null,
      tableVersion: 0,
      published: null,
    };
    const committed = async () => ({ offset: 18, metadata: encodeMetadata(record) });
    expect(await check(bucket, { committed })).toMatchObject({ problems: [{ kind: 'gap' }] });
  });

  it('finds an offset gap and an overlap between manifests', async () => {
    for (const [shift, kind] of [
      [1, 'gap'],
      [-1, 'overlap'],
    ] as const) {
      const before = bytesOf(manifest(2));
      bucket.write(manifest(2), withGap(before, shift));
      expect(kinds(await check(bucket))).toEqual([kind]);
      bucket.write(manifest(2), before);
    }
  });

  it('finds rows that do not add up, and records that nothing accounts for', async () => {
    const text = JSON.parse(Buffer.from(bytesOf(manifest(2))).toString('utf8'));
    text.counts.rowsDecoded -= 1;
    bucket.write(manifest(2), Buffer.from(JSON.stringify(text)));
    const { problems } = await check(bucket);
    expect(problems.map(({ message }) => message)).toEqual([
      expect.stringContaining('do not add up'),
      expect.stringContaining('consumed 6 records'),
    ]);
  });

  it('finds a manifest that is damaged, and one under the name of another', async () => {
    const bytes = bytesOf(manifest(2));
    bucket.write(manifest(2), bytes.subarray(0, 100));
    expect(kinds(await check(bucket))).toContain('manifest-unreadable');
    bucket.write(manifest(2), bytesOf(manifest(3)));
    expect(kinds(await check(bucket))).toContain('manifest-misplaced');
  });

  it('looks at one group when asked to, and does not call nothing sound', async () => {
    expect((await check(bucket, { group: 'g' })).isSound).toBe(true);
    expect(kinds(await check(bucket, { group: 'another' }))).toEqual(['nothing']);
    expect(kinds(await check(bucket, { prefix: 'tick' }))).toEqual(['nothing']);
  });
});
