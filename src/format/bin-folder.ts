// What: a segment as a local folder of `.bin` column files, written once, or found again after a crash.
// Why: the folder gets its name by one rename when all of it stands, so a reader never meets half a segment.
// Invariant: at most one folder per segment of a plan; a folder of another plan is never touched.

import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { threadId } from 'node:worker_threads';
import { columnTypeNames, type StoredTable, storedColumns } from '../columns/types.ts';
import { assert } from '../kernel/assert.ts';
import { ZeptoError } from '../kernel/errors.ts';
import type { Disk } from '../ports.ts';
import { type BinColumnFile, encodeBinColumn } from './bin.ts';
import { combineCrc32c, crc32cOf, crc32cText } from './crc32c.ts';
import { TEMPORARY_FOLDER } from './layout.ts';
import type { PlanRecord } from './plan-record.ts';
import type { SegmentFile, SegmentOutputs } from './segment.ts';
import type { SegmentColumns } from './segment-columns.ts';
import {
  encodeSegmentRecord,
  parseSegmentRecord,
  SEGMENT_RECORD_FILE,
  type SegmentRecord,
} from './segment-record.ts';

export type BinOutput = NonNullable<SegmentOutputs['bin']>;

/** Which segment of which plan, and where its folder may lie. */
export interface SegmentKey {
  readonly plan: PlanRecord;
  readonly table: StoredTable;
  readonly symbol: number;
  readonly hour: number;
  /** Below the base directory, side by side; the first that is free is taken. The last names the plan. */
  readonly paths: readonly string[];
}

let attempts = 0;
/** No host name has it. */
const ATTEMPT_SEPARATOR = '~';

/**
 * Writes the segment's folder, or adopts the one that an interrupted run of the same plan left. With `sync` its files and
 * its name are durable when this resolves, once `syncRoots` was called too.
 * @throws ZeptoError DISK_FULL, DISK_ERROR: the folder's name may or may not be taken; the same call again settles it.
 */
export async function writeBinFolder(
  key: SegmentKey,
  sorted: () => Promise<SegmentColumns>,
  output: BinOutput,
  disk: Disk,
): Promise<SegmentFile> {
  // A name of its own for each attempt: a twin of this job in another thread or process never meets these files.
  const { plan, symbol, hour, paths } = key;
  const attempt = [hostname(), process.pid, threadId, attempts++, plan.hash, symbol, hour].join(
    ATTEMPT_SEPARATOR,
  );
  const base = output.baseDirectory;
  const temporary = join(base, TEMPORARY_FOLDER, attempt);
  try {
    // The disk is at work while the columns are sorted.
    const [own, , , columns] = await allOf([
      findOwn(key, base, disk),
      disk.makeDirectory(temporary, false),
      disk.makeDirectory(dirname(join(base, paths[0]!)), false),
      sorted(),
    ]);
    if (own !== null) await disk.remove(temporary);
    const file =
      own ??
      (await settle(temporary, key, await writeFiles(temporary, key, columns, output, disk), base, disk));
    if (output.sync) await disk.syncDirectory(dirname(join(base, file.path)));
    return file;
  } catch (error) {
    // Best effort: `removeUnfinished` takes at the next start what stays.
    await disk.remove(temporary).catch(() => {});
    throw error;
  }
}

/**
 * Makes the folders from the symbols' up to the base directory durable. They were, if the process that made them lived to see
 * it; syncing them once per job covers that it did not. `folder`: that of a symbol, below the base directory.
 */
export async function syncRoots(folder: string, base: string, disk: Disk): Promise<void> {
  for (let path = folder; path !== '.'; path = dirname(path))
    await disk.syncDirectory(dirname(join(base, path)));
}

/**
 * Removes what writes left below the base directory whose process, of this host, is gone. Once at start, before this
 * process writes there: what bears its own id is of a former life.
 * @throws ZeptoError DISK_ERROR
 */
export async function removeUnfinished(base: string, disk: Disk): Promise<void> {
  const folder = join(base, TEMPORARY_FOLDER);
  for (const name of await disk.list(folder)) {
    const [host, pid] = name.split(ATTEMPT_SEPARATOR);
    if (host === hostname() && pid !== undefined && isGone(Number(pid)))
      await disk.remove(join(folder, name));
  }
}

/** No other process bears the id. */
function isGone(pid: number): boolean {
  if (pid === process.pid) return true;
  try {
    return !process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/** The columns' files and the record that makes them a segment, in a folder that is there. */
async function writeFiles(
  folder: string,
  key: SegmentKey,
  columns: SegmentColumns,
  output: BinOutput,
  disk: Disk,
): Promise<SegmentRecord> {
  const stored = storedColumns(key.table);
  const described: SegmentRecord['columns'][number][] = [];
  const writing: Promise<void>[] = [];
  try {
    for (const [i, { name, type, scale }] of stored.entries()) {
      // Compressing holds this thread, and its memory: what was made before is on its way meanwhile.
      if (output.compression === 'lz4') await writing.at(output.sync ? -2 : -1);
      const file = encodeBinColumn(type, columns.columns[i]!, output.compression, columns.crc32c?.[i]);
      // What a device takes to make one durable, the next one is written in.
      const write = disk
        .writeFile(columnPath(folder, name), file.parts, output.sync)
        .finally(() => file.release());
      write.catch(() => {}); // told below
      writing.push(write);
      described.push({
        name,
        type: columnTypeNames[type]!,
        ...(scale !== undefined && { scale }),
        bytes: file.bytes,
        crc32c: crc32cText(checksumOf(file)),
      });
    }
  } finally {
    await allOf(writing);
  }
  const record: SegmentRecord = {
    plan: key.plan,
    table: key.table.name,
    symbol: key.symbol,
    hour: key.hour,
    rows: columns.rows,
    timestampMin: String(columns.timestampMin),
    timestampMax: String(columns.timestampMax),
    columns: described,
  };
  await disk.writeFile(join(folder, SEGMENT_RECORD_FILE), [encodeSegmentRecord(record)], output.sync);
  if (output.sync) await disk.syncDirectory(folder);
  return record;
}

/** An error is told when all have ended, so that nothing is written to a folder that is removed. */
async function allOf<T extends readonly unknown[]>(work: { [K in keyof T]: Promise<T[K]> }): Promise<T> {
  await Promise.allSettled(work);
  return (await Promise.all(work)) as unknown as T;
}

/** Of its bytes: of those parts that nobody has looked through, now. */
function checksumOf({ parts, crc32c }: BinColumnFile): number {
  let crc = 0;
  for (const [i, part] of parts.entries()) {
    const known = crc32c[i];
    crc = known === undefined ? crc32cOf([part], crc) : combineCrc32c(crc, known, part.byteLength);
  }
  return crc;
}

/** Gives the finished folder its name: the plain one, or with the plan's hash when that is another plan's. */
async function settle(
  temporary: string,
  key: SegmentKey,
  record: SegmentRecord,
  base: string,
  disk: Disk,
): Promise<SegmentFile> {
  for (const path of key.paths) {
    if ((await disk.rename(temporary, join(base, path))) === 'moved') return segmentFile(path, record);
    // A twin of this very job may have been faster.
    const twin = await findOwn(key, base, disk);
    if (twin === null) continue;
    await disk.remove(temporary);
    return twin;
  }
  const path = join(base, key.paths.at(-1)!);
  throw new ZeptoError('DISK_ERROR', 'stop', `${path} is there and is no segment`, { context: { path } });
}

/**
 * The folder that this very plan left for the segment; null when there is none. One that has this plan's name or record
 * and is not whole is removed: it was named, but not synced when the power failed.
 */
async function findOwn(key: SegmentKey, base: string, disk: Disk): Promise<SegmentFile | null> {
  const plain = key.paths.slice(0, -1);
  const hashed = key.paths.at(-1)!;
  const [plainRecords, hashedRecord, hashedNames] = await Promise.all([
    Promise.all(plain.map((path) => readRecord(join(base, path), disk))),
    readRecord(join(base, hashed), disk),
    disk.list(join(base, hashed)),
  ]);
  if (hashedNames.length > 0) {
    if (hashedRecord !== null && (await isWhole(join(base, hashed), hashedRecord, disk)))
      return segmentFile(hashed, hashedRecord);
    await disk.remove(join(base, hashed));
  }
  for (const [i, record] of plainRecords.entries()) {
    if (record === null || !isOf(record, key)) continue;
    if (await isWhole(join(base, plain[i]!), record, disk)) return segmentFile(plain[i]!, record);
    await disk.remove(join(base, plain[i]!));
  }
  return null;
}

/**
 * Whether a plan's folder stands there: one that was let go leaves its plain name to later plans. A folder that does not say
 * whose it is counts as the plan's, so that whoever reads it says what is wrong.
 */
export async function isFolderOf(planHash: string, folder: string, disk: Disk): Promise<boolean> {
  const record = await readRecord(folder, disk);
  return record === null ? (await disk.list(folder)).length > 0 : record.plan.hash === planHash;
}

/** Null when there is none that can be read. */
async function readRecord(folder: string, disk: Disk): Promise<SegmentRecord | null> {
  const path = join(folder, SEGMENT_RECORD_FILE);
  const bytes = await disk.readFile(path);
  if (bytes === null) return null;
  try {
    return parseSegmentRecord(bytes, path);
  } catch (error) {
    if (error instanceof ZeptoError && error.code === 'FORMAT_INVALID') return null;
    throw error;
  }
}

async function isWhole(folder: string, record: SegmentRecord, disk: Disk): Promise<boolean> {
  for (const column of record.columns) {
    const bytes = await disk.readFile(columnPath(folder, column.name));
    if (bytes === null || bytes.length !== column.bytes) return false;
    if (crc32cText(crc32cOf([bytes])) !== column.crc32c) return false;
  }
  return true;
}

const isOf = (record: SegmentRecord, key: SegmentKey): boolean =>
  record.plan.hash === key.plan.hash &&
  record.table === key.table.name &&
  record.symbol === key.symbol &&
  record.hour === key.hour;

function segmentFile(path: string, record: SegmentRecord): SegmentFile {
  const { table, symbol, hour, rows, timestampMin, timestampMax, columns } = record;
  let crc = 0;
  let bytes = 0;
  for (const column of columns) {
    crc = combineCrc32c(crc, Number.parseInt(column.crc32c, 16), column.bytes);
    bytes += column.bytes;
  }
  return {
    kind: 'bin',
    table,
    symbol,
    hour,
    path,
    rows,
    bytes,
    crc32c: crc32cText(crc),
    timestampMin,
    timestampMax,
  };
}

/** The file of a column, in the folder of its segment. */
export function columnPath(folder: string, column: string): string {
  assert(/^[^/\0]+$/.test(column) && !column.startsWith('.'), `column name ${column} makes a file name`);
  return join(folder, `${column}.bin`);
}
