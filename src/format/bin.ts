// What: one `.bin` column file: the 32-byte header, then the values, raw or as one LZ4 block.
// Why: files of the system whose users come here open as they are, and a raw column is read without a copy.
// Invariant: a file is exactly header + payload; whatever a reader accepts has as many values as its header says.
//
// | offset | size | field              | value                                                       |
// | ------ | ---- | ------------------ | ----------------------------------------------------------- |
// | 0      | 5    | magic              | ASCII APEXH                                                 |
// | 5      | 1    | version            | 1 (written), 2 (read)                                       |
// | 6      | 1    | column type        | ColumnType                                                  |
// | 7      | 1    | compression        | 0 none, 1 LZ4 block (no frame, no size prefix)              |
// | 8      | 8    | row count          | u64, never 0                                                |
// | 16     | 8    | payload bytes      | u64, after the header                                       |
// | 24     | 8    | uncompressed bytes | u64 = row count × element bytes                             |
// | 32     | 2    | table id           | u16, version 2 only; version 1 implies 0                    |
// | 34     | 6    | reserved           | zero, version 2 only                                        |
//
// All little-endian. The payload is raw when LZ4 does not make it strictly smaller.

import { endianness } from 'node:os';
import { uncompressSync } from 'lz4-napi';
import { bytesOf, type ColumnArray, ColumnType, columnView, elementBytes } from '../columns/types.ts';
import { giveBlockBack, lz4Block } from '../compression/lz4-block.ts';
import { assert } from '../kernel/assert.ts';
import { ZeptoError } from '../kernel/errors.ts';

assert(endianness() === 'LE', 'columns are written as they lie in memory, which must be little-endian');

export const BIN_MAGIC = 'APEXH';
export const BIN_HEADER_BYTES = { 1: 32, 2: 40 } as const;
export const BinCompression = { NONE: 0, LZ4: 1 } as const;

const magicBytes = Buffer.from(BIN_MAGIC, 'latin1');
/** An LZ4 block is read up to this many bytes. */
const LZ4_BYTES_MAX = 0x7fffffff;
/** An LZ4 block cannot expand further: a byte of run length stands for at most 255 bytes. */
const LZ4_EXPANSION_MAX = 255;
/** lz4-napi puts the uncompressed size before the block, which the format does not. */
const LZ4_PREFIX_BYTES = 4;
/** Larger columns stay raw: a block is made in memory, beside what it is made of. */
const COMPRESSED_BYTES_MAX = 2 ** 30;

export interface BinHeader {
  readonly version: 1 | 2;
  readonly type: ColumnType;
  readonly compression: 0 | 1;
  readonly rows: number;
  readonly payloadBytes: number;
  readonly uncompressedBytes: number;
  readonly tableId: number;
}

/** A column file ready to be written: `parts` one after the other. Raw parts are views of the column's own memory. */
export interface BinColumnFile {
  readonly parts: readonly NodeJS.ArrayBufferView[];
  /** CRC-32C of the parts, of those that are known. */
  readonly crc32c: readonly (number | undefined)[];
  readonly bytes: number;
  /** The parts are not read any more: their memory may serve others. */
  release(): void;
}

/** The 32 bytes of a version 1 header. */
export function encodeBinHeader(header: Omit<BinHeader, 'version' | 'tableId'>): Uint8Array {
  const bytes = new Uint8Array(BIN_HEADER_BYTES[1]);
  bytes.set(magicBytes);
  const view = new DataView(bytes.buffer);
  view.setUint8(5, 1);
  view.setUint8(6, header.type);
  view.setUint8(7, header.compression);
  view.setBigUint64(8, BigInt(header.rows), true);
  view.setBigUint64(16, BigInt(header.payloadBytes), true);
  view.setBigUint64(24, BigInt(header.uncompressedBytes), true);
  return bytes;
}

/**
 * A column as a file. `parts` are its values in row order, `crc32c` what is known of their checksums; memory may be shared.
 * LZ4 is used when it makes the payload strictly smaller.
 */
export function encodeBinColumn(
  type: ColumnType,
  parts: readonly ColumnArray[],
  compression: 'none' | 'lz4',
  crc32c: readonly (number | undefined)[] = [],
): BinColumnFile {
  const uncompressedBytes = byteCount(parts);
  const width = elementBytes[type]!;
  const rows = uncompressedBytes / width;
  const block = compression === 'lz4' ? compressBlock(parts, uncompressedBytes, width) : null;
  const payload = block === null ? parts : [block];
  const payloadBytes = block === null ? uncompressedBytes : block.length;
  const header = encodeBinHeader({
    type,
    compression: block === null ? BinCompression.NONE : BinCompression.LZ4,
    rows,
    payloadBytes,
    uncompressedBytes,
  });
  return {
    parts: [header, ...payload],
    crc32c: block === null ? [undefined, ...crc32c] : [],
    bytes: header.length + payloadBytes,
    release: () => {
      if (block !== null) giveBlockBack(block);
    },
  };
}

/**
 * The header of a file of `fileBytes` bytes, of which `bytes` holds at least the first 40 (or all).
 * @throws ZeptoError FORMAT_INVALID when anything contradicts the layout, the table's scope or the file's length.
 */
export function decodeBinHeader(bytes: Uint8Array, fileBytes: number, tableId = 0): BinHeader {
  if (bytes.length < BIN_HEADER_BYTES[1]) throw invalid(`too short for a header: ${bytes.length} bytes`);
  for (let i = 0; i < magicBytes.length; i++)
    if (bytes[i] !== magicBytes[i]) throw invalid(`does not start with ${BIN_MAGIC}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint8(5);
  if (version !== 1 && version !== 2) throw invalid(`version ${version} is not known (1 and 2 are)`);
  if (bytes.length < BIN_HEADER_BYTES[version])
    throw invalid(`too short for a version 2 header: ${bytes.length} bytes`);
  const type = view.getUint8(6);
  if (type > ColumnType.STRING) throw invalid(`column type ${type} is not known`);
  const compression = view.getUint8(7);
  if (compression !== BinCompression.NONE && compression !== BinCompression.LZ4)
    throw invalid(`compression ${compression} is not known`);
  const header: BinHeader = {
    version,
    type: type as ColumnType,
    compression,
    rows: count(view, 8, 'row count'),
    payloadBytes: count(view, 16, 'payload size'),
    uncompressedBytes: count(view, 24, 'uncompressed size'),
    tableId: version === 2 ? view.getUint16(32, true) : 0,
  };
  checkSizes(header, fileBytes);
  if (header.tableId !== tableId)
    throw invalid(`belongs to table id ${header.tableId}, its folder to ${tableId}`);
  return header;
}

/**
 * The values of a whole column file. A raw payload that is aligned is a view of `file` (no copy), so `file` must
 * stay as it is while the values are used.
 * @throws ZeptoError FORMAT_INVALID
 */
export function decodeBinColumn(
  file: Uint8Array,
  tableId = 0,
): { readonly header: BinHeader; readonly values: ColumnArray } {
  const header = decodeBinHeader(file, file.length, tableId);
  const payload = file.subarray(BIN_HEADER_BYTES[header.version]);
  const raw = header.compression === BinCompression.LZ4 ? decompressBlock(payload, header) : payload;
  const aligned = raw.byteOffset % elementBytes[header.type]! === 0 ? raw : raw.slice();
  return { header, values: columnView(header.type, aligned.buffer, aligned.byteOffset, header.rows) };
}

function checkSizes(header: BinHeader, fileBytes: number): void {
  const { rows, payloadBytes, uncompressedBytes, compression } = header;
  const headerBytes = BIN_HEADER_BYTES[header.version];
  if (rows === 0) throw invalid('holds no rows');
  if (fileBytes !== headerBytes + payloadBytes)
    throw invalid(`has ${fileBytes} bytes, its header says ${headerBytes} + ${payloadBytes}`);
  if (uncompressedBytes !== rows * elementBytes[header.type]!)
    throw invalid(`${uncompressedBytes} bytes are not ${rows} values of type ${header.type}`);
  if (compression === BinCompression.NONE && payloadBytes !== uncompressedBytes)
    throw invalid(`raw payload of ${payloadBytes} bytes for ${uncompressedBytes} bytes of values`);
  if (compression === BinCompression.LZ4 && Math.max(payloadBytes, uncompressedBytes) > LZ4_BYTES_MAX)
    throw invalid(`an LZ4 block of ${uncompressedBytes} bytes is beyond the format`);
  // Without this a header of a few bytes could ask for gigabytes.
  if (compression === BinCompression.LZ4 && uncompressedBytes > payloadBytes * LZ4_EXPANSION_MAX)
    throw invalid(`${payloadBytes} bytes cannot expand to ${uncompressedBytes}`);
}

/** The values as one LZ4 block, or null when that is not smaller. */
function compressBlock(parts: readonly ColumnArray[], bytes: number, width: number): Uint8Array | null {
  if (bytes > COMPRESSED_BYTES_MAX) return null;
  const block = lz4Block(parts.map(bytesOf), width);
  if (block.length < bytes) return block;
  giveBlockBack(block);
  return null;
}

function decompressBlock(payload: Uint8Array, header: BinHeader): Uint8Array {
  const prefixed = Buffer.allocUnsafe(LZ4_PREFIX_BYTES + payload.length);
  prefixed.writeUInt32LE(header.uncompressedBytes, 0);
  prefixed.set(payload, LZ4_PREFIX_BYTES);
  let raw: Uint8Array;
  try {
    raw = uncompressSync(prefixed);
  } catch (cause) {
    throw invalid('LZ4 block is damaged', cause);
  }
  if (raw.length !== header.uncompressedBytes)
    throw invalid(`LZ4 block holds ${raw.length} bytes, its header says ${header.uncompressedBytes}`);
  return raw;
}

/** A u64 as a number. */
function count(view: DataView, offset: number, name: string): number {
  const value = view.getUint32(offset + 4, true) * 2 ** 32 + view.getUint32(offset, true);
  if (!Number.isSafeInteger(value)) throw invalid(`${name} is beyond reason`);
  return value;
}

const byteCount = (parts: readonly NodeJS.ArrayBufferView[]): number =>
  parts.reduce((sum, part) => sum + part.byteLength, 0);

function invalid(problem: string, cause?: unknown): ZeptoError {
  return new ZeptoError('FORMAT_INVALID', 'stop', `.bin column ${problem}`, { cause });
}
