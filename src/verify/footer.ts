// What: the footer of a Parquet file: its rows, and the plan that it says it belongs to.
// Why: a file whose manifest is missing still tells where it comes from.
// Invariant: bytes that are no Parquet file are a FORMAT_INVALID, never a crash; only the footer is looked at.
// Source: https://parquet.apache.org/docs/file-format/ and FileMetaData of parquet.thrift:
//   3 num_rows · 4 row_groups · 5 key_value_metadata (1 key, 2 value) · 6 created_by
//   A file is: PAR1, pages, footer, u32 length of the footer, PAR1.

import { PLAN_METADATA_KEY } from '../format/parquet.ts';
import { planOf, planRecordSchema } from '../format/plan-record.ts';
import type { PlanIdentity } from '../format/segment.ts';
import { ThriftReader, ThriftType } from '../format/thrift.ts';
import { ZeptoError } from '../kernel/errors.ts';

export interface ParquetFooter {
  readonly rows: number;
  readonly rowGroups: number;
  readonly createdBy: string | null;
  /** The value of `zepto.plan`, parsed; null in a file of somebody else. */
  readonly metadata: Readonly<Record<string, unknown>> | null;
  readonly plan: PlanIdentity | null;
}

const MAGIC = 'PAR1';
const TAIL_BYTES = 8;

/** @throws ZeptoError FORMAT_INVALID */
export function readParquetFooter(bytes: Uint8Array, path: string): ParquetFooter {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = file.length - TAIL_BYTES;
  if (
    end < MAGIC.length ||
    file.toString('latin1', 0, 4) !== MAGIC ||
    file.toString('latin1', end + 4) !== MAGIC
  )
    throw invalid(path);
  const start = end - file.readUInt32LE(end);
  if (start < MAGIC.length) throw invalid(path);
  try {
    return footerOf(new ThriftReader(file.subarray(start, end)));
  } catch (cause) {
    throw cause instanceof ZeptoError ? cause : invalid(path, cause);
  }
}

function footerOf(from: ThriftReader): ParquetFooter {
  let rows: number | null = null;
  let rowGroups = 0;
  let createdBy: string | null = null;
  let text: string | null = null;
  from.struct((id, type) => {
    if (id === 3 && type === ThriftType.I64) rows = from.integer();
    else if (id === 4 && type === ThriftType.LIST) rowGroups = from.list((item) => from.skip(item));
    else if (id === 5 && type === ThriftType.LIST)
      from.list((item) => {
        text = planText(from, item) ?? text;
      });
    else if (id === 6 && type === ThriftType.BINARY) createdBy = from.text();
    else return false;
    return true;
  });
  if (rows === null) throw new RangeError('the footer says no number of rows');
  const metadata = text === null ? null : parsed(text);
  const record = planRecordSchema.safeParse(metadata?.plan);
  return { rows, rowGroups, createdBy, metadata, plan: record.success ? planOf(record.data) : null };
}

/** The value of a key-value entry when its key is ours. */
function planText(from: ThriftReader, type: number): string | null {
  if (type !== ThriftType.STRUCT) throw new RangeError('key-value metadata without entries');
  let key: string | null = null;
  let value: string | null = null;
  from.struct((id, kind) => {
    if (kind !== ThriftType.BINARY || id < 1 || id > 2) return false;
    if (id === 1) key = from.text();
    else value = from.text();
    return true;
  });
  return key === PLAN_METADATA_KEY ? value : null;
}

function parsed(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' ? (value as Record<string, unknown> | null) : null;
  } catch {
    return null; // somebody else's use of the key
  }
}

function invalid(path: string, cause?: unknown): ZeptoError {
  return new ZeptoError('FORMAT_INVALID', 'stop', `${path} is not a whole Parquet file`, { cause });
}
