// What: opens a local `.bin` segment folder, this system's or the original's, and reads its columns one by one.
// Why: a query touches two of ten columns; the others stay on the disk.
// Invariant: all columns that are handed out have the same number of rows, and the types that the folder's record says.

import { join } from 'node:path';
import { type ColumnArray, ColumnType } from '../columns/types.ts';
import { ZeptoError } from '../kernel/errors.ts';
import type { Disk } from '../ports.ts';
import { decodeBinColumn } from './bin.ts';
import { columnPath } from './bin-folder.ts';
import { crc32cOf, crc32cText } from './crc32c.ts';
import { parseSegmentRecord, SEGMENT_RECORD_FILE, type SegmentRecord } from './segment-record.ts';

export interface ColumnData {
  readonly type: ColumnType;
  /** Raw columns are views of the file's bytes. */
  readonly values: ColumnArray;
}

export interface OpenSegment {
  readonly folder: string;
  /** Null for a folder of the original system, which keeps no record. */
  readonly record: SegmentRecord | null;
  readonly columnNames: readonly string[];
  /**
   * Reads a column. `verify` compares its checksum with the record's.
   * @throws ZeptoError FORMAT_INVALID (damaged, or not of this segment), DISK_ERROR
   */
  column(name: string, verify?: boolean): Promise<ColumnData>;
}

/**
 * Null when there is no segment. `tableId` is what the headers of the original's files must carry (its folder `t{id}`).
 * @throws ZeptoError FORMAT_INVALID, DISK_ERROR
 */
export async function openSegment(folder: string, disk: Disk, tableId = 0): Promise<OpenSegment | null> {
  const path = join(folder, SEGMENT_RECORD_FILE);
  const bytes = await disk.readFile(path);
  const record = bytes === null ? null : parseSegmentRecord(bytes, path);
  const columnNames =
    record === null ? await columnsOfOriginal(folder, disk) : record.columns.map(({ name }) => name);
  if (columnNames.length === 0) return null;
  let rows = record?.rows ?? null;
  return {
    folder,
    record,
    columnNames,
    async column(name, verify = false) {
      const file = await readColumn(folder, name, disk);
      const known = record?.columns.find((column) => column.name === name);
      if (record !== null && known === undefined) throw damaged(folder, name, 'is not in its record');
      if (known !== undefined && known.bytes !== file.length)
        throw damaged(folder, name, `has ${file.length} bytes, its record says ${known.bytes}`);
      if (verify && known !== undefined && crc32cText(crc32cOf([file])) !== known.crc32c)
        throw damaged(folder, name, `has another checksum than its record, ${known.crc32c}`);
      const { header, values } = decoded(folder, name, file, tableId);
      if (known !== undefined && ColumnType[known.type] !== header.type)
        throw damaged(folder, name, `has type ${header.type}, its record says ${known.type}`);
      // The original's columns prove one another: a crash could leave it with some of them short.
      rows ??= header.rows;
      if (header.rows !== rows) throw damaged(folder, name, `has ${header.rows} rows, its segment ${rows}`);
      return { type: header.type, values };
    },
  };
}

async function columnsOfOriginal(folder: string, disk: Disk): Promise<string[]> {
  const names = await disk.list(folder);
  return names
    .filter((name) => name.endsWith('.bin') && !name.startsWith('.'))
    .map((name) => name.slice(0, -'.bin'.length))
    .sort();
}

async function readColumn(folder: string, name: string, disk: Disk): Promise<Uint8Array> {
  const file = await disk.readFile(columnPath(folder, name));
  if (file === null) throw damaged(folder, name, 'is missing');
  return file;
}

function decoded(
  folder: string,
  name: string,
  file: Uint8Array,
  tableId: number,
): ReturnType<typeof decodeBinColumn> {
  try {
    return decodeBinColumn(file, tableId);
  } catch (cause) {
    const problem = cause instanceof ZeptoError ? cause.message : String(cause);
    throw damaged(folder, name, `cannot be used: ${problem}`, cause);
  }
}

function damaged(folder: string, column: string, problem: string, cause?: unknown): ZeptoError {
  return new ZeptoError('FORMAT_INVALID', 'stop', `column ${column} of ${folder} ${problem}`, {
    cause,
    context: { folder, column },
  });
}
