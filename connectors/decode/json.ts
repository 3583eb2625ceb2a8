// What: the JSON decoder: ticks of a usual shape by a compiled reader, others by the scanner, the unusual the plain way.
// Why: usual ticks cost tens of nanoseconds, unusual ones are still right.
// Invariant: a record gives exactly one row or one undecodable record, whichever way reads it; a tombstone gives neither.

import { type RecordBatch, type RowBuffer, undecodable } from '../../src/columns/batch.ts';
import type { SymbolTable } from '../../src/columns/symbols.ts';
import type { RowDecoder } from '../../src/ports.ts';
import { compileShape, type ShapeReader } from './json-compile.ts';
import { decodeJson } from './json-fallback.ts';
import { JsonScanner, OVERREAD_BYTES } from './json-scan.ts';
import type { Target } from './target.ts';

/** Scanned records before the last one's shape is compiled; twice as many before the next, so that a feed without a shape does not pay for it. */
const SCANS_BEFORE_SHAPE = 200;
const SCANS_BEFORE_SHAPE_MAX = 1_000_000;
/** Compiled shapes; the oldest makes room. */
const SHAPES_MAX = 8;

export function jsonDecoder(
  target: Target,
  symbols: SymbolTable,
  scansBeforeShape = SCANS_BEFORE_SHAPE,
): RowDecoder {
  // Two columns from one field: the scanner fills one column per name, so all such records take the plain way.
  const distinct = new Set(target.columns.map((column) => column.field)).size === target.columns.length;
  const scanner = distinct ? new JsonScanner(target, symbols) : null;
  /** The one that took records last comes first. */
  const readers: { readonly key: string; readonly read: ShapeReader }[] = [];
  let scansLeft = scansBeforeShape;
  let scansNext = scansBeforeShape;

  /** Takes records by compiled readers as long as one of them takes any; returns the first record left. */
  function takeShaped(
    records: RecordBatch,
    view: DataView,
    from: number,
    to: number,
    rows: RowBuffer,
  ): number {
    let i = from;
    for (let r = 0; r < readers.length && i < to; r++) {
      const reader = readers[r]!;
      const next = reader.read(records, view, i, to, rows);
      if (next === i) continue;
      i = next;
      if (r > 0) {
        readers.splice(r, 1);
        readers.unshift(reader);
      }
      r = -1;
    }
    return i;
  }

  function learnShape(jsonScanner: JsonScanner): void {
    if (--scansLeft > 0) return;
    scansLeft = scansNext;
    const shape = jsonScanner.shape();
    if (shape === null) return;
    const key = Buffer.concat([...shape.steps.map(({ literal }) => literal), shape.closing]).toString(
      'latin1',
    );
    if (readers.some((reader) => reader.key === key)) return;
    const read = compileShape(shape, target, symbols);
    if (read === null) return;
    scansNext = Math.min(scansNext * 2, SCANS_BEFORE_SHAPE_MAX);
    readers.unshift({ key, read });
    if (readers.length > SHAPES_MAX) readers.pop();
  }

  return {
    decode(records: RecordBatch, from: number, to: number, rows: RowBuffer): void {
      rows.reserve(rows.rows + to - from);
      scanner?.attach(rows);
      const { buffer, valueStart, valueLength, timestampMs, offset } = records;
      const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
      for (
        let i = takeShaped(records, view, from, to, rows);
        i < to;
        i = takeShaped(records, view, i + 1, to, rows)
      ) {
        const length = valueLength[i]!;
        if (length < 0) continue;
        const start = valueStart[i]!;
        const time = timestampMs[i]!;
        const row = rows.rows;
        if (scanner !== null && scanned(scanner, buffer, view, start, length, time, rows, row))
          learnShape(scanner);
        else {
          const cause = decodeJson(target, symbols, buffer.subarray(start, start + length), time, rows, row);
          if (cause !== null) {
            rows.undecodable.push(undecodable(records, i, cause));
            continue;
          }
        }
        rows.offset[row] = offset[i]!;
        rows.rows = row + 1;
      }
    },
  };
}

/** The scanner reads whole words; a document at the very end of the buffer is copied to where it may. */
function scanned(
  scanner: JsonScanner,
  buffer: Uint8Array,
  view: DataView,
  start: number,
  length: number,
  timestampMs: number,
  rows: RowBuffer,
  row: number,
): boolean {
  const end = start + length;
  if (end + OVERREAD_BYTES <= buffer.length)
    return scanner.scan(buffer, view, start, end, timestampMs, rows, row);
  const copy = new Uint8Array(length + OVERREAD_BYTES);
  copy.set(buffer.subarray(start, end));
  return scanner.scan(copy, new DataView(copy.buffer), 0, length, timestampMs, rows, row);
}
