// What: an Arrow IPC stream of one record batch, laid out by hand around a schema message that is made once.
// Why: building it through a table of objects costs more than encoding a small Parquet file.
// Invariant: the metadata is the flatbuffer of format/Message.fbs and Schema.fbs (Arrow 1.0, version V5) at fixed positions.
//
// | offset    | size   | field                                                                 |
// | --------- | ------ | --------------------------------------------------------------------- |
// | 0         | 4      | root: position of the Message table                                   |
// | 4         | 12     | vtable of Message: size, table size, version, type, header, bodyLength |
// | 16        | 20     | Message: vtable distance, header, bodyLength (i64), version, type     |
// | 40        | 10     | vtable of RecordBatch: size, table size, length, nodes, buffers       |
// | 56        | 20     | RecordBatch: vtable distance, nodes, length (i64), buffers            |
// | 76        | 4      | number of nodes n                                                     |
// | 80        | 16 n   | FieldNode: length (i64), null count (i64)                             |
// | 84 + 16 n | 4      | number of buffers b                                                   |
// | 88 + 16 n | 16 b   | Buffer: offset in the body (i64), length (i64)                        |

import type { ArrowColumn } from './arrow-column.ts';

const CONTINUATION = 0xffffffff;
const PREFIX_BYTES = 8;
const METADATA_V5 = 4;
const RECORD_BATCH = 3;

const MESSAGE_VTABLE = 4;
const MESSAGE = 16;
const BATCH_VTABLE = 40;
const BATCH = 56;
const NODES = 76;

/** Bytes of the stream that `writeArrowStream` makes. */
export function arrowStreamBytes(schemaMessage: Uint8Array, columns: readonly ArrowColumn[]): number {
  return schemaMessage.length + PREFIX_BYTES + metadataBytes(columns) + bodyBytes(columns);
}

/** Writes the schema message and the columns as one record batch to the start of `target`; returns what it wrote. */
export function writeArrowStream(
  target: Uint8Array,
  schemaMessage: Uint8Array,
  columns: readonly ArrowColumn[],
  rows: number,
): Uint8Array {
  target.set(schemaMessage);
  const metadata = schemaMessage.length + PREFIX_BYTES;
  const metadataLength = metadataBytes(columns);
  const body = metadata + metadataLength;
  const prefix = new DataView(target.buffer, target.byteOffset + schemaMessage.length, PREFIX_BYTES);
  prefix.setUint32(0, CONTINUATION, true);
  prefix.setUint32(4, metadataLength, true);
  target.fill(0, metadata, body);
  const view = new DataView(target.buffer, target.byteOffset + metadata, metadataLength);
  writeTables(view, rows, bodyBytes(columns), columns.length, bufferCount(columns));
  let node = NODES + 4;
  let descriptor = NODES + 12 + 16 * columns.length;
  let position = 0;
  for (const column of columns) {
    setInt64(view, node, rows);
    setInt64(view, node + 8, column.nulls);
    node += 16;
    for (const parts of column.buffers) {
      const length = copyParts(parts, target, body + position);
      setInt64(view, descriptor, position);
      setInt64(view, descriptor + 8, length);
      descriptor += 16;
      target.fill(0, body + position + length, body + position + padded(length));
      position += padded(length);
    }
  }
  return target.subarray(0, body + position);
}

function writeTables(view: DataView, rows: number, body: number, nodes: number, buffers: number): void {
  view.setUint32(0, MESSAGE, true);
  setShorts(view, MESSAGE_VTABLE, [12, 20, 16, 18, 4, 8]);
  view.setInt32(MESSAGE, MESSAGE - MESSAGE_VTABLE, true);
  view.setUint32(MESSAGE + 4, BATCH - (MESSAGE + 4), true);
  setInt64(view, MESSAGE + 8, body);
  view.setInt16(MESSAGE + 16, METADATA_V5, true);
  view.setUint8(MESSAGE + 18, RECORD_BATCH);
  setShorts(view, BATCH_VTABLE, [10, 20, 8, 4, 16]);
  view.setInt32(BATCH, BATCH - BATCH_VTABLE, true);
  view.setUint32(BATCH + 4, NODES - (BATCH + 4), true);
  setInt64(view, BATCH + 8, rows);
  const bufferVector = NODES + 8 + 16 * nodes;
  view.setUint32(BATCH + 16, bufferVector - (BATCH + 16), true);
  view.setUint32(NODES, nodes, true);
  view.setUint32(bufferVector, buffers, true);
}

function copyParts(parts: readonly Uint8Array[], target: Uint8Array, start: number): number {
  let length = 0;
  for (const part of parts) {
    target.set(part, start + length);
    length += part.length;
  }
  return length;
}

const metadataBytes = (columns: readonly ArrowColumn[]): number =>
  NODES + 12 + 16 * (columns.length + bufferCount(columns));

const bufferCount = (columns: readonly ArrowColumn[]): number =>
  columns.reduce((sum, column) => sum + column.buffers.length, 0);

function bodyBytes(columns: readonly ArrowColumn[]): number {
  let bytes = 0;
  for (const column of columns)
    for (const parts of column.buffers) bytes += padded(parts.reduce((sum, part) => sum + part.length, 0));
  return bytes;
}

const padded = (bytes: number): number => Math.ceil(bytes / 8) * 8;

function setShorts(view: DataView, offset: number, values: readonly number[]): void {
  for (const [index, value] of values.entries()) view.setUint16(offset + 2 * index, value, true);
}

/** A length or position, never negative. */
function setInt64(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value % 2 ** 32, true);
  view.setUint32(offset + 4, Math.floor(value / 2 ** 32), true);
}
