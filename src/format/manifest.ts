// What: the manifest of a plan: what it consumed, what it sealed, and every file it left.
// Why: chained by their offsets, the manifests of a Kafka partition prove that no row is missing or doubled.
// Invariant: the same plan over the same log gives the same bytes; what is read adds up.

import { z } from 'zod';
import { ZeptoError } from '../kernel/errors.ts';
import {
  checksum,
  count,
  ENCODER_VERSION,
  hour,
  int64Text,
  planOf,
  planRecord,
  planRecordSchema,
} from './plan-record.ts';
import type { PlanIdentity, SegmentFile } from './segment.ts';
import { encodeRecord, parseRecord, type RecordFormat } from './strict-json.ts';

/** The committed offset of a Kafka partition and the sealed steps above it. */
export interface CommittedState {
  readonly offset: number;
  /** `hourLast` Infinity = all hours. */
  readonly staircase: readonly { readonly hourLast: number; readonly offsetNext: number }[];
}

/** Dead-lettered records at all offsets from the first to the last, both inclusive, for one cause. */
export interface DeadLetterRange {
  readonly offsetFirst: number;
  readonly offsetLast: number;
  readonly cause: string;
}

export interface PlanCounts {
  /** Kafka records at offsets [previousOffsetNext, offsetNext). */
  readonly records: number;
  /** Rows decoded from them. */
  readonly rowsDecoded: number;
  /** Records among them without a value, which are skipped. */
  readonly tombstones: number;
  /** Records among them that could not be decoded. */
  readonly deadLettered: number;
  /** Rows that this plan sealed, those of earlier records included. */
  readonly rowsSealed: number;
  /** Rows below offsetNext that stay unsealed after this plan. */
  readonly rowsUnsealed: number;
}

export interface PlanManifest {
  /** Of the build that wrote the files. */
  readonly encoder: number;
  readonly plan: PlanIdentity;
  readonly table: string;
  /** offsetNext of the plan before; where consumption began, for the first. */
  readonly previousOffsetNext: number;
  readonly committedBefore: CommittedState;
  readonly committedAfter: CommittedState;
  readonly counts: PlanCounts;
  readonly deadLetters: readonly DeadLetterRange[];
  /** Event time range of all rows sealed, ns since 1970 UTC; null when there are none. */
  readonly timestampMin: string | null;
  readonly timestampMax: string | null;
  /** In the order of `compareSegmentFiles`. */
  readonly files: readonly SegmentFile[];
}

const committedRecord = z.strictObject({
  offset: count,
  /** hourLast null = all hours. */
  staircase: z.array(z.strictObject({ hourLast: hour.nullable(), offsetNext: count })),
});

const fileRecord = z.strictObject({
  kind: z.enum(['bin', 'parquet']),
  table: z.string().min(1),
  symbol: count,
  hour,
  path: z.string().min(1),
  rows: z.int().positive(),
  bytes: z.int().positive(),
  crc32c: checksum,
  timestampMin: int64Text,
  timestampMax: int64Text,
});

const schema = z.strictObject({
  format: z.literal('zepto plan'),
  version: z.literal(1),
  encoder: count,
  plan: planRecordSchema,
  table: z.string().min(1),
  previousOffsetNext: count,
  committedBefore: committedRecord,
  committedAfter: committedRecord,
  counts: z.strictObject({
    records: count,
    rowsDecoded: count,
    tombstones: count,
    deadLettered: count,
    rowsSealed: count,
    rowsUnsealed: count,
  }),
  deadLetters: z.array(z.strictObject({ offsetFirst: count, offsetLast: count, cause: z.string() })),
  timestampMin: int64Text.nullable(),
  timestampMax: int64Text.nullable(),
  files: z.array(fileRecord),
});

const format: RecordFormat<typeof schema> = {
  name: 'zepto plan',
  version: 1,
  schema,
  bytesMax: 256 * 2 ** 20,
};

/** The manifest as one line of JSON. `encoder`, the time range and the order of the files are filled in here. */
export function encodeManifest(
  manifest: Omit<PlanManifest, 'encoder' | 'timestampMin' | 'timestampMax'>,
): Uint8Array {
  const { plan, table, previousOffsetNext, committedBefore, committedAfter, counts } = manifest;
  return encodeRecord({
    format: format.name,
    version: format.version,
    encoder: ENCODER_VERSION,
    plan: planRecord(plan),
    table,
    previousOffsetNext,
    committedBefore: committedJson(committedBefore),
    committedAfter: committedJson(committedAfter),
    counts: {
      records: counts.records,
      rowsDecoded: counts.rowsDecoded,
      tombstones: counts.tombstones,
      deadLettered: counts.deadLettered,
      rowsSealed: counts.rowsSealed,
      rowsUnsealed: counts.rowsUnsealed,
    },
    deadLetters: manifest.deadLetters.map(({ offsetFirst, offsetLast, cause }) => ({
      offsetFirst,
      offsetLast,
      cause,
    })),
    timestampMin: extreme(manifest.files, 'timestampMin', (a, b) => a < b),
    timestampMax: extreme(manifest.files, 'timestampMax', (a, b) => a > b),
    files: manifest.files.toSorted(compareSegmentFiles).map(fileJson),
  });
}

/** @throws ZeptoError FORMAT_INVALID for a manifest that is damaged, of a newer version, or does not add up. */
export function parseManifest(bytes: Uint8Array, key: string): PlanManifest {
  const { format: _, version: __, ...record } = parseRecord(format, bytes, key);
  const manifest: PlanManifest = {
    ...record,
    plan: planOf(record.plan),
    committedBefore: committedState(record.committedBefore),
    committedAfter: committedState(record.committedAfter),
  };
  const problem = contradiction(manifest);
  if (problem !== null) throw new ZeptoError('FORMAT_INVALID', 'stop', `${key}: ${problem}`);
  return manifest;
}

/** By symbol, hour, kind and path: the order in which the files of a plan are listed. */
export function compareSegmentFiles(a: SegmentFile, b: SegmentFile): number {
  return (
    a.symbol - b.symbol || a.hour - b.hour || (a.kind < b.kind ? -1 : a.kind > b.kind ? 1 : 0) || order(a, b)
  );
}

/** Dead letters, in offset order, as ranges: neighbours with the same cause become one. */
export function deadLetterRanges(
  letters: readonly { readonly offset: number; readonly cause: string }[],
): DeadLetterRange[] {
  const ranges: DeadLetterRange[] = [];
  for (const { offset, cause } of letters) {
    const last = ranges.at(-1);
    if (last !== undefined && last.cause === cause && last.offsetLast + 1 === offset)
      ranges[ranges.length - 1] = { ...last, offsetLast: offset };
    else ranges.push({ offsetFirst: offset, offsetLast: offset, cause });
  }
  return ranges;
}

/** What in the manifest cannot be true, or null. */
function contradiction(manifest: PlanManifest): string | null {
  const { plan, counts, committedBefore, committedAfter, previousOffsetNext } = manifest;
  const dead = manifest.deadLetters.reduce((sum, range) => sum + range.offsetLast - range.offsetFirst + 1, 0);
  if (manifest.deadLetters.some((range) => range.offsetLast < range.offsetFirst))
    return 'dead letters end before they begin';
  if (previousOffsetNext > plan.offsetNext) return 'the plan before ends above this one';
  if (committedBefore.offset > committedAfter.offset) return 'the committed offset goes back';
  if (committedAfter.offset > plan.offsetNext) return 'more is committed than the plan covers';
  if (counts.records > plan.offsetNext - previousOffsetNext) return 'more records than offsets';
  if (counts.tombstones + counts.deadLettered > counts.records) return 'more records skipped than there are';
  if (dead !== counts.deadLettered) return `${dead} dead letters are listed, ${counts.deadLettered} counted`;
  for (const kind of ['bin', 'parquet'] as const) {
    const files = manifest.files.filter((file) => file.kind === kind);
    const rows = files.reduce((sum, file) => sum + file.rows, 0);
    if (files.length > 0 && rows !== counts.rowsSealed)
      return `${kind} files hold ${rows} rows, ${counts.rowsSealed} are counted`;
  }
  if (extreme(manifest.files, 'timestampMin', (a, b) => a < b) !== manifest.timestampMin)
    return 'its earliest time is not that of its files';
  if (extreme(manifest.files, 'timestampMax', (a, b) => a > b) !== manifest.timestampMax)
    return 'its latest time is not that of its files';
  return null;
}

function extreme(
  files: readonly SegmentFile[],
  field: 'timestampMin' | 'timestampMax',
  isBeyond: (a: bigint, b: bigint) => boolean,
): string | null {
  let found: bigint | null = null;
  for (const file of files) {
    const time = BigInt(file[field]);
    if (found === null || isBeyond(time, found)) found = time;
  }
  return found === null ? null : String(found);
}

const order = (a: SegmentFile, b: SegmentFile): number => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0);

const committedJson = (state: CommittedState): z.input<typeof committedRecord> => ({
  offset: state.offset,
  staircase: state.staircase.map(({ hourLast, offsetNext }) => ({
    hourLast: hourLast === Infinity ? null : hourLast,
    offsetNext,
  })),
});

const committedState = (record: z.output<typeof committedRecord>): CommittedState => ({
  offset: record.offset,
  staircase: record.staircase.map(({ hourLast, offsetNext }) => ({
    hourLast: hourLast ?? Infinity,
    offsetNext,
  })),
});

function fileJson(file: SegmentFile): SegmentFile {
  const { kind, table, symbol, hour, path, rows, bytes, crc32c, timestampMin, timestampMax } = file;
  return { kind, table, symbol, hour, path, rows, bytes, crc32c, timestampMin, timestampMax };
}
