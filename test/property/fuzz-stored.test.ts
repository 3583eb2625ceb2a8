// What: what lies in buckets, on disks and in Kafka's offset metadata, damaged, and read by everything that reads it.
// Why: another program, a disk or a person may have written there; a verifier or a query must say so, not end.
// Invariant: an answer, or a ZeptoError of the kind that the format's reader documents.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ColumnType, type TableSchema } from '../../src/columns/types.ts';
import { type CommitRecord, decodeMetadata, encodeMetadata } from '../../src/commit/metadata.ts';
import { offsetPlanned } from '../../src/commit/staircase.ts';
import { nsOfHour } from '../../src/format/layout.ts';
import { encodeManifest, parseManifest } from '../../src/format/manifest.ts';
import { parquetEncoder } from '../../src/format/parquet.ts';
import { openSegment } from '../../src/format/read-segment.ts';
import type { PlanIdentity } from '../../src/format/segment.ts';
import { parseSegmentRecord } from '../../src/format/segment-record.ts';
import { writeSegments } from '../../src/format/write-segments.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import { describedText, describeFile, describeMetadata } from '../../src/verify/describe.ts';
import { readParquetFooter } from '../../src/verify/footer.ts';
import { verify } from '../../src/verify/verify.ts';
import { memoryVolume } from '../support/memory-disk.ts';
import { memoryBucket, memoryStore } from '../support/memory-store.ts';
import { damage, damaged, damagedJson, jsonDamage } from '../support/mutations.ts';
import { everyType, HOUR, HOUR_NS, type Row, segmentOf } from '../support/segment-rows.ts';

const plan: PlanIdentity = {
  group: 'g',
  topic: 'ticks',
  partition: 0,
  incarnation: 0,
  hourLast: HOUR,
  offsetNext: 10,
};

const manifestBytes = encodeManifest({
  plan,
  table: 'trades',
  previousOffsetNext: 0,
  committedBefore: { offset: 0, staircase: [] },
  committedAfter: { offset: 4, staircase: [{ hourLast: HOUR, offsetNext: 10 }] },
  counts: { records: 8, rowsDecoded: 6, tombstones: 1, deadLettered: 1, rowsSealed: 2, rowsUnsealed: 4 },
  deadLetters: [{ offsetFirst: 3, offsetLast: 3, cause: 'no JSON' }],
  files: [
    {
      kind: 'parquet',
      table: 'trades',
      symbol: 1,
      hour: HOUR,
      path: 'p/1.parquet',
      rows: 2,
      bytes: 10,
      crc32c: '00000000',
      timestampMin: '1',
      timestampMax: '2',
    },
  ],
});

const rows: readonly Row[] = [
  [1, 2n, 3n, 0.5, 0.25, HOUR_NS, 5n, 6, true, 1],
  [null, null, null, null, null, HOUR_NS + 1n, 5n, 6, null, null],
];

const folder = `/hdb/every_type/42/${HOUR_NS}`;

async function segmentFolder() {
  const volume = memoryVolume();
  const bin = { baseDirectory: '/hdb', compression: 'lz4', sync: false } as const;
  const segments = [segmentOf(everyType, rows)];
  const job = { plan, table: everyType, segments, outputs: { bin, parquet: null }, strings: new Map() };
  await writeSegments(job, volume.mount(), null, 1, new AbortController().signal);
  const disk = volume.mount();
  const names = await disk.list(folder);
  const files = new Map<string, Uint8Array>();
  for (const name of names) files.set(`${folder}/${name}`, (await disk.readFile(`${folder}/${name}`))!);
  return files;
}

const trades: TableSchema = {
  name: 'trades',
  columns: [
    { name: 'timestamp', type: ColumnType.TIMESTAMP_NS },
    { name: 'symbol', type: ColumnType.SYMBOL },
    { name: 'volume', type: ColumnType.INT64 },
  ],
  timestampColumn: 0,
  symbolColumn: 1,
};

function parquetBytes(): Promise<Uint8Array> {
  const options = { codec: 'ZSTD', timestampType: 'ns', rowGroupRowsMax: 1 } as const;
  const time = nsOfHour(HOUR);
  return parquetEncoder(
    plan,
    trades,
    options,
    new Map(),
  )(1, HOUR, {
    rows: 2,
    columns: [[BigInt64Array.of(time, time + 1n)], [BigInt64Array.of(7n, 8n)]],
    timestampMin: time,
    timestampMax: time + 1n,
  });
}

/** Settles in one of the two ways that are allowed. */
async function refusedOr(codes: readonly string[], read: () => unknown): Promise<boolean> {
  try {
    await read();
    return true;
  } catch (error) {
    if (!(error instanceof ZeptoError)) throw error;
    expect(codes).toContain(error.code);
    return false;
  }
}

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value) ?? '');
const parsed = (bytes: Uint8Array): unknown => JSON.parse(Buffer.from(bytes).toString('utf8'));

describe('a manifest', () => {
  it('with bytes or values changed is refused, or says what can be true; inspect shows it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(damage, jsonDamage), async (changes) => {
        const bytes =
          'isLittle' in changes[0]!
            ? damaged(manifestBytes, changes as never)
            : json(damagedJson(parsed(manifestBytes), changes as never));
        await refusedOr(['FORMAT_INVALID'], () => {
          const { counts, deadLetters, plan: read } = parseManifest(bytes, 'k');
          expect(counts.records).toBeLessThanOrEqual(read.offsetNext);
          for (const { offsetFirst, offsetLast } of deadLetters)
            expect(offsetLast).toBeGreaterThanOrEqual(offsetFirst);
        });
        await refusedOr(['FORMAT_INVALID'], async () => describedText(await describeFile(bytes, 'k')));
      }),
      { numRuns: 3000 },
    );
  });

  it('in a bucket with anything in it ends in a report', async () => {
    await fc.assert(
      fc.asyncProperty(jsonDamage, fc.boolean(), async (changes, isDeep) => {
        const bucket = memoryBucket({ conditionalWrites: true });
        const { key, document } = { key: 'p/_plans/g/ticks/0/x.json', document: parsed(manifestBytes) };
        bucket.write(key, json(damagedJson(document, changes)));
        bucket.write('p/1.parquet', Buffer.from('0123456789'));
        const report = await verify({
          store: memoryStore(bucket, { clock: systemClock }),
          medium: 'parquet',
          prefix: 'p',
          group: null,
          deep: isDeep,
          committed: null,
          progress: () => {},
        });
        expect(report.isSound).toBe(false);
      }),
      { numRuns: 300 },
    );
  });

  it('of brackets alone, or of a million of them, is refused', async () => {
    for (const text of ['[', '{', '[]', '{}', '1', '"x"', 'null', '['.repeat(1_000_000)])
      expect(await refusedOr(['FORMAT_INVALID'], () => parseManifest(Buffer.from(text), 'k'))).toBe(false);
  });
});

describe('a segment folder', () => {
  it('with its record changed opens with columns of one length, or is refused', async () => {
    const files = await segmentFolder();
    const record = parsed(files.get(`${folder}/segment.json`)!);
    await fc.assert(
      fc.asyncProperty(jsonDamage, fc.boolean(), async (changes, isChecked) => {
        const bytes = json(damagedJson(record, changes));
        await refusedOr(['FORMAT_INVALID'], async () => {
          parseSegmentRecord(bytes, 'k');
          describedText(await describeFile(bytes, 'segment.json'));
        });
        await opened(new Map([...files, [`${folder}/segment.json`, bytes]]), isChecked);
      }),
      { numRuns: 2000 },
    );
  });

  it('with bytes of any file changed, with and without its record, likewise', async () => {
    const files = await segmentFolder();
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...files.keys()),
        damage,
        fc.boolean(),
        fc.boolean(),
        async (path, changes, isChecked, isOriginal) => {
          const changed = new Map([...files, [path, damaged(files.get(path)!, changes)]]);
          // The folders of the original system have none.
          if (isOriginal) changed.delete(`${folder}/segment.json`);
          await opened(changed, isChecked);
          await refusedOr(['FORMAT_INVALID'], () => describeFile(changed.get(path) ?? Buffer.alloc(0), path));
        },
      ),
      { numRuns: 2000 },
    );
  });

  async function opened(files: ReadonlyMap<string, Uint8Array>, isChecked: boolean): Promise<void> {
    const disk = memoryVolume().mount();
    await disk.makeDirectory(folder, false);
    for (const [path, bytes] of files) await disk.writeFile(path, [bytes], false);
    await refusedOr(['FORMAT_INVALID'], async () => {
      const segment = (await openSegment(folder, disk))!;
      const lengths = new Set<number>();
      for (const name of segment.columnNames) {
        const { values } = await segment.column(name, isChecked);
        lengths.add(values.length);
      }
      expect(lengths.size).toBe(1);
    });
  }
});

describe('a Parquet footer', () => {
  it('of a file with bytes changed is read or refused, wherever the change is', async () => {
    const whole = await parquetBytes();
    expect(readParquetFooter(whole, 'x')).toMatchObject({ rows: 2, rowGroups: 2, plan });
    await fc.assert(
      fc.asyncProperty(damage, async (changes) => {
        const bytes = damaged(whole, changes);
        await refusedOr(['FORMAT_INVALID'], () => readParquetFooter(bytes, 'x'));
        await refusedOr(['FORMAT_INVALID'], async () =>
          describedText(await describeFile(bytes, 'x.parquet')),
        );
      }),
      { numRuns: 5000 },
    );
  });

  it('of any bytes is read or refused, and a claim of many entries costs nothing', async () => {
    const footed = (footer: Uint8Array): Buffer => {
      const tail = Buffer.alloc(8, 'PAR1PAR1');
      tail.writeUInt32LE(footer.length, 0);
      return Buffer.concat([Buffer.from('PAR1'), footer, tail]);
    };
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), async (footer) => {
        await refusedOr(['FORMAT_INVALID'], () => readParquetFooter(footed(footer), 'x'));
      }),
      { numRuns: 5000 },
    );
    const many = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    const nested = Array(100_000).fill(0x1c); // a struct in a struct
    for (const footer of [
      [0x49, 0xf1, ...many], // row groups: a list of so many booleans
      [0x49, 0xfc, ...many], // of so many structs
      [0x59, 0xf8, ...many], // key-value entries
      [0x3b, ...many, 0x11], // a map of booleans
      [0x68, ...many], // a name of so many bytes
      nested,
      Array(100_000).fill(0x19), // a list in a list
    ])
      expect(
        await refusedOr(['FORMAT_INVALID'], () => readParquetFooter(footed(Uint8Array.from(footer)), 'x')),
      ).toBe(false);
  });
});

describe('offset metadata', () => {
  const hour = fc.integer({ min: 400_000, max: 500_000 });
  const record: fc.Arbitrary<CommitRecord> = fc.record({
    committed: fc.nat(1_000_000),
    incarnation: fc.nat(3),
    watermarkHour: fc.option(hour),
    staircase: fc.constantFrom([], [{ hourLast: 480_000, offsetNext: 2_000_000 }]),
    pending: fc.option(fc.constant({ hourLast: Infinity, offsetNext: 3_000_000 })),
    tableVersion: fc.nat(2),
    published: fc.option(
      fc.record({
        closedMs: fc.nat(2 ** 41),
        offsetNext: fc.constant(4_000_000),
        offsetSeen: fc.constant(4_000_007),
      }),
    ),
  });

  /** The check as the program computes it: what is refused is refused for what it says. */
  function checked(committed: number, body: string): string {
    let hash = 0x811c9dc5;
    for (const character of `${committed} ${body}`)
      hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193);
    return `${body} ${(hash >>> 0).toString(16).padStart(8, '0')}`;
  }

  it('of our own making passes this test’s check', () => {
    fc.assert(
      fc.property(record, (made) => {
        const text = encodeMetadata(made);
        const body = text.slice(0, text.lastIndexOf(' '));
        expect(checked(made.committed, body)).toBe(text);
      }),
    );
  });

  it('with fields changed and the check made right again gives a staircase that rises, or is refused', async () => {
    const part = fc.constantFrom(
      '-',
      '*',
      '-1',
      '0',
      'zzzzzzzzzzz',
      '1',
      '',
      ':',
      '*:1',
      '-5:9',
      'a:-1',
      '1:2,1:3',
    );
    const token = fc.oneof(
      part,
      fc
        .array(fc.tuple(part, part), { maxLength: 4 })
        .map((steps) => steps.map((s) => s.join(':')).join(',')),
    );
    await fc.assert(
      fc.asyncProperty(record, fc.nat(6), token, fc.boolean(), async (made, at, value, twice) => {
        const fields = encodeMetadata(made).split(' ').slice(0, -1);
        fields[at] = value;
        if (twice) fields[made.tableVersion === 0 ? 4 : 5] = value;
        const text = checked(made.committed, fields.join(' '));
        await refusedOr(['METADATA_UNREADABLE'], () => {
          const record = decodeMetadata(made.committed, text);
          const { committed, staircase, pending, incarnation, tableVersion } = record;
          let offset = committed;
          let last = Infinity;
          for (const step of staircase) {
            expect(step.offsetNext).toBeGreaterThanOrEqual(offset);
            if (step !== staircase[0]) expect(step.hourLast).toBeLessThan(last);
            offset = step.offsetNext;
            last = step.hourLast;
          }
          expect(Number.isSafeInteger(offset)).toBe(true);
          expect(incarnation).toBeGreaterThanOrEqual(0);
          expect(tableVersion).toBeGreaterThanOrEqual(0);
          if (pending !== null)
            expect(pending.offsetNext).toBeGreaterThanOrEqual(offsetPlanned(staircase, committed));
        });
        await refusedOr(['METADATA_UNREADABLE'], () => describedText(describeMetadata(made.committed, text)));
      }),
      { numRuns: 5000 },
    );
  });

  it('of any text is refused', async () => {
    const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.constant('zepto1 '.repeat(100_000)));
    await fc.assert(
      fc.asyncProperty(fc.maxSafeNat(), text, async (committed, any) => {
        expect(await refusedOr(['METADATA_UNREADABLE'], () => decodeMetadata(committed, any))).toBe(false);
      }),
    );
  });
});
