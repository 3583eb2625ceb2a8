// What: an Arrow IPC stream, or a file of one, as schema, dictionary batches and record batches: where each value lies (Arrow format 1.5).
// Why: one Kafka message is one stream; its columns are taken where they lie, so only positions are worked out here.
// Invariant: every position handed out lies within the message; whatever the metadata claims is checked before it is believed.
//
//   a message of the stream               ends with a metadata length of 0, or where the bytes end
//   offset size field
//        0    4 FF FF FF FF (missing in streams before Arrow 0.15)
//        4    4 metadata length, i32
//        8    – metadata: a FlatBuffers Message, padded to 8 bytes
//        –    – body: the buffers

import { expandLz4, expandZstd } from '../../src/compression/expand.ts';
import { GrowableBytes } from '../../src/kernel/growable-bytes.ts';
import {
  int16Field,
  int32Field,
  int64Field,
  rootTable,
  stringField,
  type Table,
  tableField,
  tablesField,
  uint8Field,
  vectorField,
} from './arrow-flatbuffer.ts';
import type { FixedType } from './fixed-width.ts';

export type ArrowType =
  | { readonly kind: 'null' | 'bool' | 'utf8' | 'large_utf8' | 'utf8_view' | 'other' }
  | FixedType;

export interface ArrowField {
  readonly name: string;
  /** Of the values; where there is a dictionary, of its entries. */
  readonly type: ArrowType;
  readonly dictionary: { readonly id: number; readonly index: ArrowType & { kind: 'int' } } | null;
  /** Index of its node in a batch, and of its first buffer where no view before it has buffers of its own. */
  readonly node: number;
  readonly buffer: number;
  /** Views before it: the batch says how many buffers each adds. */
  readonly viewsBefore: number;
}

/** Bytes [start, end) of a view. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export interface ArrowBatch {
  /** Where the buffers lie: the message's bytes, or, when they came compressed, others. */
  readonly view: DataView;
  /** What rows may at most have come out of. */
  readonly bytes: number;
  readonly rows: number;
  readonly nodes: readonly { readonly length: number; readonly nulls: number }[];
  readonly buffers: readonly Span[];
  readonly variadicCounts: readonly number[];
}

export type ArrowMessage =
  | { readonly kind: 'schema'; readonly metadata: SchemaMetadata }
  | { readonly kind: 'dictionary'; readonly id: number; readonly delta: boolean; readonly batch: ArrowBatch }
  | { readonly kind: 'batch'; readonly batch: ArrowBatch };

/** A table of FlatBuffers, and which of its fields is the schema. */
export interface SchemaMetadata {
  readonly bytes: Uint8Array;
  readonly field: number;
}

/** What makes a stream undecodable, in words. */
export class ArrowFault extends Error {
  override readonly name = 'ArrowFault';
}

const CONTINUATION = 0xffffffff;
/** Of all compressed buffers of a stream, once they are expanded: more rows than anybody sends at once. */
export const EXPANDED_BYTES_MAX = 2 ** 26;
const PADDING = new Uint8Array(8);
const FIELDS_MAX = 4096;
const DEPTH_MAX = 32;
const SCHEMA_OF_MESSAGE = 2;
const SCHEMA_OF_FOOTER = 1;
/** A file is ARROW1, two zeros, the messages of a stream, the footer, its length as i32, ARROW1. */
const FILE_MARK = 'ARROW1';
const FILE_HEAD_BYTES = 8;
const FILE_TAIL_BYTES = 4 + FILE_MARK.length;

/** The messages of the stream or file in bytes[start, end) of `view`. @throws ArrowFault, RangeError. */
export function arrowMessages(view: DataView, start: number, end: number): Generator<ArrowMessage> {
  return isMarked(view, start, end) ? messagesOfFile(view, start, end) : messagesIn(view, start, end);
}

/** The schema is the footer's: some writers have it nowhere else. Batches lie one after the other, dictionaries first. */
function* messagesOfFile(view: DataView, start: number, end: number): Generator<ArrowMessage> {
  const from = start + FILE_HEAD_BYTES;
  const tail = end - FILE_TAIL_BYTES;
  const isWhole = tail >= from && isMarked(view, tail + 4, end);
  const footerBytes = isWhole ? view.getInt32(tail, true) : -1;
  if (footerBytes < 0 || footerBytes > tail - from) throw new ArrowFault('a file without its end');
  const footer = new Uint8Array(view.buffer, view.byteOffset + tail - footerBytes, footerBytes);
  yield { kind: 'schema', metadata: { bytes: footer, field: SCHEMA_OF_FOOTER } };
  for (const message of messagesIn(view, from, tail - footerBytes))
    if (message.kind !== 'schema') yield message;
}

function isMarked(view: DataView, start: number, end: number): boolean {
  if (start + FILE_MARK.length > end) return false;
  for (let i = 0; i < FILE_MARK.length; i++)
    if (view.getUint8(start + i) !== FILE_MARK.charCodeAt(i)) return false;
  return true;
}

function* messagesIn(view: DataView, start: number, end: number): Generator<ArrowMessage> {
  let p = start;
  let batches = 0;
  let expandable = EXPANDED_BYTES_MAX;
  while (p + 4 <= end) {
    let length = view.getUint32(p, true);
    p += 4;
    if (length === CONTINUATION) {
      if (p + 4 > end) throw new ArrowFault('the stream ends within a message');
      length = view.getUint32(p, true);
      p += 4;
    }
    if (length === 0) return;
    if (length > end - p) throw new ArrowFault('the stream ends within a message');
    const metadata = new DataView(view.buffer, view.byteOffset + p, length);
    p += length;
    const message = rootTable(metadata);
    const bodyBytes = int64Field(message, 3, 0);
    if (bodyBytes < 0 || bodyBytes > end - p) throw new ArrowFault('the stream ends within a body');
    const body = { start: p, end: p + bodyBytes };
    p += bodyBytes;
    const header = tableField(message, 2);
    if (header === null) throw new ArrowFault('a message without a header');
    const kind = uint8Field(message, 1, 0);
    if (kind === 1) {
      const bytes = new Uint8Array(metadata.buffer, metadata.byteOffset, length);
      yield { kind: 'schema', metadata: { bytes, field: SCHEMA_OF_MESSAGE } };
    } else if (kind === 2) {
      const data = tableField(header, 1);
      if (data === null) throw new ArrowFault('a dictionary without data');
      const batch = batchOf(data, view, body, end - start, expandable);
      if (batch.view !== view) expandable -= batch.bytes;
      const delta = uint8Field(header, 2, 0) !== 0;
      yield { kind: 'dictionary', id: int64Field(header, 0, 0), delta, batch };
    } else if (kind === 3) {
      batches++;
      const batch = batchOf(header, view, body, end - start, expandable);
      if (batch.view !== view) expandable -= batch.bytes;
      yield { kind: 'batch', batch };
    } else throw new ArrowFault(`a message of kind ${kind} is neither schema, dictionary nor record batch`);
  }
  // The end need not be marked, so a stream that was cut between two messages shows only when nothing came at all.
  if (p !== end || batches === 0) throw new ArrowFault('the stream ends too early');
}

function batchOf(
  table: Table,
  message: DataView,
  body: Span,
  messageBytes: number,
  expandable: number,
): ArrowBatch {
  const { view } = table;
  const rows = int64Field(table, 0, 0);
  if (rows < 0 || rows > 2 ** 31) throw new ArrowFault('a batch of an impossible length');
  const nodes = vectorField(table, 1, 16);
  const buffers = vectorField(table, 2, 16);
  const variadic = vectorField(table, 4, 8);
  const int64At = (at: number): number => Number(view.getBigInt64(at, true));
  const spans = Array.from({ length: buffers.length }, (_, i): Span => {
    const offset = int64At(buffers.at + i * 16);
    const length = int64At(buffers.at + i * 16 + 8);
    if (offset < 0 || length < 0 || offset + length > body.end - body.start)
      throw new ArrowFault('a buffer passes the end of its body');
    return { start: body.start + offset, end: body.start + offset + length };
  });
  const compression = tableField(table, 3);
  const placed =
    compression === null
      ? { view: message, buffers: spans, bytes: messageBytes }
      : expandedBuffers(message, spans, compression, expandable);
  return {
    ...placed,
    rows,
    nodes: Array.from({ length: nodes.length }, (_, i) => ({
      length: int64At(nodes.at + i * 16),
      nulls: int64At(nodes.at + i * 16 + 8),
    })),
    variadicCounts: Array.from({ length: variadic.length }, (_, i) => int64At(variadic.at + i * 8)),
  };
}

/** Each buffer begins with its size as i64, −1 when it is not compressed. An empty one has nothing. */
function expandedBuffers(
  message: DataView,
  spans: readonly Span[],
  compression: Table,
  bytesMax: number,
): Pick<ArrowBatch, 'view' | 'buffers' | 'bytes'> {
  const expand = [expandLz4, expandZstd][uint8Field(compression, 0, 0)];
  if (expand === undefined || uint8Field(compression, 1, 0) !== 0)
    throw new ArrowFault('buffers compressed in an unknown way');
  const out = new GrowableBytes();
  const buffers = spans.map(({ start, end }): Span => {
    // Values are copied from where they are aligned.
    out.append(PADDING.subarray(0, -out.length & 7));
    const from = out.length;
    if (end === start) return { start: from, end: from };
    if (end - start < 8) throw new ArrowFault('a compressed buffer without its size');
    const bytes = Number(message.getBigInt64(start, true));
    const packed = new Uint8Array(message.buffer, message.byteOffset + start + 8, end - start - 8);
    if (bytes === -1) out.append(packed);
    else if (bytes < 0 || from + bytes > bytesMax)
      throw new ArrowFault(
        `a compressed buffer of ${bytes} bytes: at most ${EXPANDED_BYTES_MAX} in a stream`,
      );
    else if (bytes > 0)
      try {
        expand(packed, out, bytes);
      } catch (error) {
        throw new ArrowFault(`a compressed buffer: ${(error as Error).message}`);
      }
    if (bytes >= 0 && out.length - from !== bytes)
      throw new ArrowFault('a compressed buffer has another size than it says');
    return { start: from, end: out.length };
  });
  return { view: new DataView(out.bytes.buffer, 0, out.length), buffers, bytes: out.length };
}

/** The top-level fields of a schema. @throws ArrowFault, RangeError. */
export function arrowFields({ bytes, field }: SchemaMetadata): ArrowField[] {
  const message = rootTable(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  const schema = tableField(message, field);
  if (schema === null) throw new ArrowFault('a message without a header');
  if (int16Field(schema, 0, 0) !== 0) throw new ArrowFault('its numbers are big-endian');
  // Unions had a validity buffer before metadata version 5.
  const place: Place = { node: 0, buffer: 0, views: 0, fields: 0, oldUnions: int16Field(message, 0, 0) < 4 };
  return tablesField(schema, 1).map((field) => fieldOf(field, place, 0));
}

/** Where the next field's parts begin: nodes and buffers lie in the order of the fields, parents first. */
interface Place {
  node: number;
  buffer: number;
  views: number;
  fields: number;
  readonly oldUnions: boolean;
}

function fieldOf(field: Table, place: Place, depth: number): ArrowField {
  // Tables may be shared, so that a few bytes claim a forest.
  if (++place.fields > FIELDS_MAX) throw new ArrowFault(`more than ${FIELDS_MAX} fields`);
  if (depth > DEPTH_MAX) throw new ArrowFault(`fields nested more than ${DEPTH_MAX} deep`);
  const code = uint8Field(field, 2, 0);
  const type = typeOf(code, tableField(field, 3));
  const encoding = tableField(field, 4);
  const dictionary =
    encoding === null ? null : { id: int64Field(encoding, 0, 0), index: indexType(encoding) };
  const isView = dictionary === null && (code === 23 || code === 24);
  const own = dictionary === null ? bufferCount(code, tableField(field, 3), place.oldUnions) : 2;
  const result: ArrowField = {
    name: stringField(field, 0),
    type,
    dictionary,
    node: place.node++,
    buffer: place.buffer,
    viewsBefore: place.views,
  };
  place.buffer += own;
  if (isView) place.views++;
  // A dictionary's children lie with the dictionary.
  if (dictionary === null) for (const child of tablesField(field, 5)) fieldOf(child, place, depth + 1);
  return result;
}

function typeOf(code: number, type: Table | null): ArrowType {
  if (type === null) throw new ArrowFault('a field without a type');
  switch (code) {
    case 1:
      return { kind: 'null' };
    case 2:
      return intType(type);
    case 3:
      return { kind: 'float', bytes: [2, 4, 8][int16Field(type, 0, 0)] ?? 0 };
    case 5:
      return { kind: 'utf8' };
    case 6:
      return { kind: 'bool' };
    case 7:
      return { kind: 'decimal', bytes: int32Field(type, 2, 128) >> 3, scale: int32Field(type, 1, 0) };
    case 8:
      return { kind: 'date', bytes: int16Field(type, 0, 1) === 0 ? 4 : 8 };
    case 10: {
      const unit = int16Field(type, 0, 0);
      return unit >= 0 && unit <= 3 ? { kind: 'timestamp', scale: 3 * unit } : { kind: 'other' };
    }
    case 20:
      return { kind: 'large_utf8' };
    case 24:
      return { kind: 'utf8_view' };
    default:
      return { kind: 'other' };
  }
}

function intType(type: Table): ArrowType & { kind: 'int' } {
  return { kind: 'int', bytes: int32Field(type, 0, 0) >> 3, signed: uint8Field(type, 1, 0) !== 0 };
}

/** Int32 when the encoding does not say. */
function indexType(encoding: Table): ArrowType & { kind: 'int' } {
  const type = tableField(encoding, 1);
  return type === null ? { kind: 'int', bytes: 4, signed: true } : intType(type);
}

/** Buffers of a field itself, without its children's; a view has more, as many as its variadic count says. */
function bufferCount(code: number, type: Table | null, oldUnions: boolean): number {
  switch (code) {
    case 1: // Null
    case 22: // RunEndEncoded
      return 0;
    case 13: // Struct
    case 16: // FixedSizeList
      return 1;
    case 14: // Union: sparse has type ids, dense offsets as well
      return (type !== null && int16Field(type, 0, 0) === 1 ? 2 : 1) + (oldUnions ? 1 : 0);
    case 4: // Binary
    case 5: // Utf8
    case 19: // LargeBinary
    case 20: // LargeUtf8
    case 25: // ListView
    case 26: // LargeListView
      return 3;
    default:
      return 2;
  }
}
