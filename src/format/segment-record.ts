// What: `segment.json`, the record in each `.bin` folder: whose it is, what it holds, and the checksum of each column.
// Why: the folder alone tells a complete segment from a torn one, and this plan's from another's.
// Invariant: written before the folder gets its name, and never changed.

import { z } from 'zod';
import { type ColumnTypeName, columnTypeNames } from '../columns/types.ts';
import { checksum, count, ENCODER_VERSION, hour, int64Text, planRecordSchema } from './plan-record.ts';
import { encodeRecord, parseRecord, type RecordFormat } from './strict-json.ts';

export const SEGMENT_RECORD_FILE = 'segment.json';

const columnRecord = z.strictObject({
  /** Makes the column's file name. */
  name: z.string().regex(/^[^/\0.][^/\0]*$/),
  type: z.enum(columnTypeNames as [ColumnTypeName, ...ColumnTypeName[]]),
  scale: count.optional(),
  /** Of the column file, header included. */
  bytes: count,
  crc32c: checksum,
});

const schema = z.strictObject({
  format: z.literal('zepto segment'),
  version: z.literal(1),
  encoder: count,
  plan: planRecordSchema,
  table: z.string().min(1),
  symbol: count,
  hour,
  rows: z.int().positive(),
  timestampMin: int64Text,
  timestampMax: int64Text,
  /** In file order. */
  columns: z.array(columnRecord).min(1),
});

const format: RecordFormat<typeof schema> = {
  name: 'zepto segment',
  version: 1,
  schema,
  bytesMax: 2 ** 20,
};

export type ColumnRecord = z.output<typeof columnRecord>;
export type SegmentRecord = Omit<z.output<typeof schema>, 'format' | 'version' | 'encoder'>;

/** The same record always gives the same bytes. */
export function encodeSegmentRecord(record: SegmentRecord): Uint8Array {
  const { plan, table, symbol, hour, rows, timestampMin, timestampMax, columns } = record;
  return encodeRecord({
    format: format.name,
    version: format.version,
    encoder: ENCODER_VERSION,
    plan,
    table,
    symbol,
    hour,
    rows,
    timestampMin,
    timestampMax,
    columns,
  });
}

/** @throws ZeptoError FORMAT_INVALID */
export const parseSegmentRecord = (bytes: Uint8Array, path: string): SegmentRecord =>
  parseRecord(format, bytes, path);
