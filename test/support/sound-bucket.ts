// What: a bucket as members leave it: Parquet objects and the manifests of their plans, of any size, made at once.
// Why: a verifier is shown damage in what is sound otherwise, in memory and on a real server alike.
// Invariant: each plan takes one dead letter and one tombstone besides its rows, and seals them all.

import { ColumnType, type TableSchema } from '../../src/columns/types.ts';
import { crc32cOf, crc32cText } from '../../src/format/crc32c.ts';
import { hiveKey, nsOfHour, planHash, planManifestKey } from '../../src/format/layout.ts';
import { encodeManifest } from '../../src/format/manifest.ts';
import { parquetEncoder } from '../../src/format/parquet.ts';
import type { PlanIdentity, SegmentFile } from '../../src/format/segment.ts';

export const HOUR = 480_000;
const ROWS_PER_FILE = 2;

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

export interface BucketShape {
  readonly partitions: number;
  readonly plans: number;
  readonly symbols: number;
}

export type Body = (plan: PlanIdentity, symbol: number) => Promise<Uint8Array>;

/** Enough where nothing reads it. */
export const fakeBody: Body = async (plan, symbol) => Buffer.from(`${planHash(plan)} ${symbol}`);

export const parquetBody: Body = (plan, symbol) => {
  const options = { codec: 'SNAPPY', timestampType: 'ns', rowGroupRowsMax: 1000 } as const;
  const time = nsOfHour(HOUR);
  return parquetEncoder(
    plan,
    table,
    options,
    new Map(),
  )(symbol, HOUR, {
    rows: ROWS_PER_FILE,
    columns: [[BigInt64Array.of(time, time + 1n)], [BigInt64Array.of(7n, 8n)]],
    timestampMin: time,
    timestampMax: time + 1n,
  });
};

export const planAt = (partition: number, offsetNext: number): PlanIdentity => ({
  group: 'g',
  topic: 'ticks',
  partition,
  incarnation: 0,
  hourLast: Infinity,
  offsetNext,
});

export const offsetsPerPlan = ({ symbols }: BucketShape): number => symbols * ROWS_PER_FILE + 2;

/** Objects by key, those of a plan before its manifest. */
export async function* soundBucket(
  prefix: string,
  shape: BucketShape,
  body: Body,
): AsyncGenerator<readonly [key: string, bytes: Uint8Array]> {
  const step = offsetsPerPlan(shape);
  for (let partition = 0; partition < shape.partitions; partition++)
    for (let n = 0; n < shape.plans; n++) {
      const plan = planAt(partition, (n + 1) * step);
      const files: SegmentFile[] = [];
      for (let symbol = 0; symbol < shape.symbols; symbol++) {
        const bytes = await body(plan, symbol);
        const file = segmentFile(prefix, plan, symbol, bytes);
        files.push(file);
        yield [file.path, bytes];
      }
      const manifest = encodeManifest({
        plan,
        table: 'trades',
        previousOffsetNext: n * step,
        committedBefore: { offset: n * step, staircase: [] },
        committedAfter: { offset: (n + 1) * step, staircase: [] },
        counts: {
          records: step,
          rowsDecoded: step - 2,
          tombstones: 1,
          deadLettered: 1,
          rowsSealed: step - 2,
          rowsUnsealed: 0,
        },
        deadLetters: [{ offsetFirst: n * step, offsetLast: n * step, cause: 'no JSON' }],
        files,
      });
      yield [planManifestKey(prefix, plan), manifest];
    }
}

function segmentFile(prefix: string, plan: PlanIdentity, symbol: number, bytes: Uint8Array): SegmentFile {
  const time = nsOfHour(HOUR);
  return {
    kind: 'parquet',
    table: 'trades',
    symbol,
    hour: HOUR,
    path: hiveKey(prefix, { symbol, hour: HOUR, hash: planHash(plan) }),
    rows: ROWS_PER_FILE,
    bytes: bytes.length,
    crc32c: crc32cText(crc32cOf([bytes])),
    timestampMin: String(time),
    timestampMax: String(time + 1n),
  };
}

/** The manifest's bytes with its offsets moved: no longer where the plan before it ended. */
export function withGap(manifest: Uint8Array, shift: number): Uint8Array {
  const text = JSON.parse(Buffer.from(manifest).toString('utf8'));
  text.previousOffsetNext += shift;
  text.committedBefore.offset += shift;
  text.counts.records -= shift;
  text.counts.rowsDecoded -= shift;
  return Buffer.from(JSON.stringify(text));
}
