// What: what a commit record, a manifest, a segment, a `.bin` column or a Parquet file says, as plain data and as text.
// Why: an operator pastes it into a ticket.
// Invariant: shows what is there and guesses nothing; what cannot be read is a ZeptoError.

import { columnTypeNames } from '../columns/types.ts';
import { decodeMetadata } from '../commit/metadata.ts';
import type { Staircase } from '../commit/staircase.ts';
import { BinCompression, decodeBinHeader } from '../format/bin.ts';
import { nsOfHour, planHash } from '../format/layout.ts';
import { parseManifest } from '../format/manifest.ts';
import { parseSegmentRecord, SEGMENT_RECORD_FILE } from '../format/segment-record.ts';
import { readParquetFooter } from './footer.ts';

export type Described = { readonly [key: string]: unknown };

/** @throws ZeptoError METADATA_UNREADABLE */
export function describeMetadata(committed: number, text: string): Described {
  const record = decodeMetadata(committed, text);
  return {
    kind: 'commit record',
    committed: record.committed,
    incarnation: record.incarnation,
    tableVersion: record.tableVersion,
    watermark: record.watermarkHour === null ? 'unknown' : hourText(record.watermarkHour),
    sealed: steps(record.staircase),
    pending: record.pending === null ? 'none' : steps([record.pending])[0],
    characters: text.length,
  };
}

/** A file by its name: `.bin`, `.parquet`, `segment.json`, or a manifest. @throws ZeptoError FORMAT_INVALID */
export async function describeFile(bytes: Uint8Array, path: string): Promise<Described> {
  if (path.endsWith('.bin')) return describeBin(bytes);
  if (path.endsWith('.parquet')) return describeParquet(bytes, path);
  if (path.endsWith(SEGMENT_RECORD_FILE)) {
    const record = parseSegmentRecord(bytes, path);
    return { kind: 'segment', ...record, hour: hourText(record.hour) };
  }
  return describeManifest(bytes, path);
}

function describeManifest(bytes: Uint8Array, path: string): Described {
  const { plan, committedBefore, committedAfter, files, ...rest } = parseManifest(bytes, path);
  return {
    kind: 'plan',
    hash: planHash(plan),
    ...plan,
    hourLast: plan.hourLast === Infinity ? 'all hours' : hourText(plan.hourLast),
    ...rest,
    committedBefore: { offset: committedBefore.offset, sealed: steps(committedBefore.staircase) },
    committedAfter: { offset: committedAfter.offset, sealed: steps(committedAfter.staircase) },
    files: files.map(({ hour, ...file }) => ({ ...file, hour: hourText(hour) })),
  };
}

function describeBin(bytes: Uint8Array): Described {
  // The table of a version 2 file stands in its header, and nothing else tells it here.
  const tableId = bytes[5] === 2 && bytes.length > 33 ? bytes[32]! + 256 * bytes[33]! : 0;
  const { type, compression, ...header } = decodeBinHeader(bytes, bytes.length, tableId);
  return {
    kind: '.bin column',
    type: columnTypeNames[type],
    compression: compression === BinCompression.LZ4 ? 'LZ4' : 'none',
    ...header,
  };
}

function describeParquet(bytes: Uint8Array, path: string): Described {
  const { plan, ...footer } = readParquetFooter(bytes, path);
  return { kind: 'Parquet file', bytes: bytes.length, isOurs: plan !== null, ...footer };
}

const steps = (staircase: Staircase): string[] =>
  staircase.map(({ hourLast, offsetNext }) => {
    const hours = hourLast === Infinity ? 'all hours' : `hours to ${hourText(hourLast)}`;
    return `offsets below ${offsetNext}, ${hours}`;
  });

/** `476256 (2024-05-01T00Z)` */
function hourText(hour: number): string {
  const iso = new Date(Number(nsOfHour(hour) / 1_000_000n)).toISOString();
  return `${hour} (${iso.slice(0, iso.indexOf(':'))}Z)`;
}

/** Indented `key: value` lines; lists as `- ` items. */
export function describedText(value: unknown, indent = ''): string {
  if (Array.isArray(value))
    return value.map((item) => `${indent}- ${itemText(item, `${indent}  `)}`).join('');
  return Object.entries(value as Described)
    .map(([key, inner]) => {
      if (!isNested(inner)) return `${indent}${key}: ${plain(inner)}\n`;
      return `${indent}${key}:\n${describedText(inner, `${indent}  `)}`;
    })
    .join('');
}

const itemText = (item: unknown, indent: string): string =>
  isNested(item) ? describedText(item, indent).trimStart() : `${plain(item)}\n`;

const isNested = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length > 0;

function plain(value: unknown): string {
  if (value === null) return 'none';
  if (Array.isArray(value)) return 'none';
  return String(value);
}
