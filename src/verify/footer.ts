// What: the footer of a Parquet file: its rows, and the plan that it says it belongs to.
// Why: a file whose manifest is missing still tells where it comes from.
// Invariant: bytes that are no Parquet file are a FORMAT_INVALID, never a crash.

import { ParquetFile } from 'parquet-wasm';
import { PLAN_METADATA_KEY } from '../format/parquet.ts';
import { planOf, planRecordSchema } from '../format/plan-record.ts';
import type { PlanIdentity } from '../format/segment.ts';
import { ZeptoError } from '../kernel/errors.ts';

export interface ParquetFooter {
  readonly rows: number;
  readonly rowGroups: number;
  readonly createdBy: string | null;
  /** The value of `zepto.plan`, parsed; null in a file of somebody else. */
  readonly metadata: Readonly<Record<string, unknown>> | null;
  readonly plan: PlanIdentity | null;
}

/** @throws ZeptoError FORMAT_INVALID */
export async function readParquetFooter(bytes: Uint8Array, path: string): Promise<ParquetFooter> {
  let file: ParquetFile;
  try {
    file = await ParquetFile.fromFile(new Blob([new Uint8Array(bytes)]));
  } catch (cause) {
    throw new ZeptoError('FORMAT_INVALID', 'stop', `${path} is not a whole Parquet file`, { cause });
  }
  const about = file.metadata();
  const general = about.fileMetadata();
  const text: unknown = general.keyValueMetadata().get(PLAN_METADATA_KEY);
  const metadata = typeof text === 'string' ? parsed(text) : null;
  const record = planRecordSchema.safeParse(metadata?.plan);
  const footer: ParquetFooter = {
    rows: general.numRows(),
    rowGroups: about.numRowGroups(),
    createdBy: general.createdBy() ?? null,
    metadata,
    plan: record.success ? planOf(record.data) : null,
  };
  general.free();
  about.free();
  file.free();
  return footer;
}

function parsed(text: string): Record<string, unknown> | null {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return null; // somebody else's use of the key
  }
}
