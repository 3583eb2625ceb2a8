// What: a file's bytes against what its manifest says: checksum, rows, plan.
// Why: a listing shows sizes only; a byte that changed in place shows in the bytes alone.
// Invariant: read-only; one file's bytes are in memory for each call under way.

import { decodeBinColumn } from '../format/bin.ts';
import { columnPath } from '../format/bin-folder.ts';
import { crc32cOf, crc32cText } from '../format/crc32c.ts';
import { planHash } from '../format/layout.ts';
import type { PlanIdentity, SegmentFile } from '../format/segment.ts';
import { parseSegmentRecord, SEGMENT_RECORD_FILE } from '../format/segment-record.ts';
import { asZeptoError, ZeptoError } from '../kernel/errors.ts';
import { readParquetFooter } from './footer.ts';
import type { Readable } from './inventory.ts';
import type { Findings } from './report.ts';

/** The plan that a file without a manifest says it belongs to; null when it says none. */
export async function planOfFile(path: string, store: Readable): Promise<PlanIdentity | null> {
  try {
    if (path.endsWith('.parquet')) return readParquetFooter(await store.get(path), path).plan;
    const record = parseSegmentRecord(await store.get(`${path}/${SEGMENT_RECORD_FILE}`), path);
    const { hash: _, hourLast, ...plan } = record.plan;
    return { ...plan, hourLast: hourLast ?? Infinity };
  } catch (cause) {
    const { code } = asZeptoError(cause);
    if (code === 'FORMAT_INVALID' || code === 'STORE_NO_OBJECT') return null;
    throw cause;
  }
}

export async function checkContents(
  file: SegmentFile,
  plan: PlanIdentity,
  store: Readable,
  findings: Findings,
): Promise<void> {
  try {
    if (file.kind === 'parquet') await checkParquet(file, plan, store, findings);
    else await checkBinFolder(file, plan, store, findings);
  } catch (cause) {
    const error = asZeptoError(cause);
    if (error.code !== 'FORMAT_INVALID' && error.code !== 'STORE_NO_OBJECT') throw cause;
    findings.problem('unreadable', file.path, error.message);
  }
}

async function checkParquet(
  file: SegmentFile,
  plan: PlanIdentity,
  store: Readable,
  findings: Findings,
): Promise<void> {
  const bytes = await store.get(file.path);
  if (!checkSum(file, crc32cText(crc32cOf([bytes])), findings)) return;
  const footer = readParquetFooter(bytes, file.path);
  checkRows(file, footer.rows, findings);
  if (footer.plan === null || planHash(footer.plan) !== planHash(plan))
    findings.problem('rows', file.path, 'its footer names another plan than its manifest');
}

async function checkBinFolder(
  file: SegmentFile,
  plan: PlanIdentity,
  store: Readable,
  findings: Findings,
): Promise<void> {
  const record = parseSegmentRecord(await store.get(`${file.path}/${SEGMENT_RECORD_FILE}`), file.path);
  if (record.plan.hash !== planHash(plan))
    findings.problem('rows', file.path, 'its segment.json names another plan than its manifest');
  const columns: Uint8Array[] = [];
  for (const { name } of record.columns) columns.push(await store.get(columnPath(file.path, name)));
  if (!checkSum(file, crc32cText(crc32cOf(columns)), findings)) return;
  for (const [i, bytes] of columns.entries()) {
    try {
      checkRows(file, decodeBinColumn(bytes).header.rows, findings);
    } catch (cause) {
      const path = columnPath(file.path, record.columns[i]!.name);
      throw new ZeptoError('FORMAT_INVALID', 'stop', `${path}: ${asZeptoError(cause).message}`, { cause });
    }
  }
}

function checkSum(file: SegmentFile, found: string, findings: Findings): boolean {
  if (found === file.crc32c) return true;
  findings.problem('checksum', file.path, `CRC32C is ${found}, its manifest says ${file.crc32c}`);
  return false;
}

function checkRows(file: SegmentFile, found: number, findings: Findings): void {
  if (found !== file.rows)
    findings.problem('rows', file.path, `holds ${found} rows, its manifest says ${file.rows}`);
}
