// What: an encode job carried out: each segment sorted once, then written as `.bin`, as Parquet, or both.
// Why: a plan may have thousands of small segments; several are under way at once so that waiting overlaps encoding.
// Invariant: running the same job again, wherever the first run died, leaves the same files with the same bytes.

import { assert } from '../kernel/assert.ts';
import { inLanes } from '../kernel/lanes.ts';
import type { Disk, ObjectStore } from '../ports.ts';
import { syncRoots, writeBinFolder } from './bin-folder.ts';
import { crc32cOf, crc32cText } from './crc32c.ts';
import { binFolder, symbolFolder } from './layout.ts';
import { compareSegmentFiles } from './manifest.ts';
import { parquetEncoder } from './parquet.ts';
import { planRecord } from './plan-record.ts';
import { putParquet } from './put-parquet.ts';
import type { EncodeJob, SegmentFile, SegmentSource } from './segment.ts';
import { type SegmentColumns, sortedColumns } from './segment-columns.ts';

/**
 * Writes all segments of the job and resolves with their files in the order of `compareSegmentFiles`.
 * At most `uploadConcurrency` segments are under way; each holds at most its own encoded bytes.
 * @throws the first error of disk or store, when nothing of the job is under way any more; or the signal's reason.
 */
export async function writeSegments(
  job: EncodeJob,
  disk: Disk,
  store: ObjectStore | null,
  uploadConcurrency: number,
  signal: AbortSignal,
): Promise<SegmentFile[]> {
  const write = segmentWriter(job, disk, store);
  const { bin } = job.outputs;
  if (bin !== null) await disk.makeDirectory(bin.baseDirectory, bin.sync);
  const files: SegmentFile[] = [];
  await inLanes(job.segments, uploadConcurrency, signal, async (segment, either) => {
    files.push(...(await write(segment, either)));
  });
  if (bin?.sync && files.length > 0)
    await syncRoots(symbolFolder(job.table.name, 0), bin.baseDirectory, disk);
  return files.sort(compareSegmentFiles);
}

function segmentWriter(
  job: EncodeJob,
  disk: Disk,
  store: ObjectStore | null,
): (segment: SegmentSource, signal: AbortSignal) => Promise<SegmentFile[]> {
  const { plan: identity, table, strings, outputs } = job;
  const { bin, parquet } = outputs;
  const plan = planRecord(identity);
  const encode = parquet === null ? null : parquetEncoder(identity, table, parquet, strings);
  return async (segment, signal) => {
    const { symbol, hour } = segment;
    let sorting: Promise<SegmentColumns> | null = null;
    const sorted = (): Promise<SegmentColumns> => {
      sorting ??= (async () => sortedColumns(segment, table))();
      return sorting;
    };
    const files: SegmentFile[] = [];
    if (bin !== null) {
      const name = { table: table.name, symbol, hour };
      const paths = [binFolder({ ...name, hash: null }), binFolder({ ...name, hash: plan.hash })];
      files.push(await writeBinFolder({ plan, table, symbol, hour, paths }, sorted, bin, disk));
    }
    if (parquet !== null && encode !== null) {
      assert(store !== null, 'Parquet output has a store');
      signal.throwIfAborted();
      const columns = await sorted();
      const body = await encode(symbol, hour, columns);
      const name = { table: table.name, symbol, hour, hash: plan.hash };
      const path = await putParquet(body, name, parquet, store, signal);
      files.push({
        kind: 'parquet',
        table: table.name,
        symbol,
        hour,
        path,
        rows: columns.rows,
        bytes: body.length,
        crc32c: crc32cText(crc32cOf([body])),
        timestampMin: String(columns.timestampMin),
        timestampMax: String(columns.timestampMax),
      });
    }
    return files;
  };
}
