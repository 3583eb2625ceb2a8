// What: the JSON decoder: each record is scanned into its row, or read the plain way when the scanner gives it up.
// Why: usual ticks cost tens of nanoseconds, unusual ones are still right.
// Invariant: a record gives exactly one row or one undecodable record; a tombstone gives neither.

import { type RecordBatch, type RowBuffer, undecodable } from '../../src/columns/batch.ts';
import type { SymbolTable } from '../../src/columns/symbols.ts';
import type { RowDecoder } from '../../src/ports.ts';
import { decodeJson } from './json-fallback.ts';
import { JsonScanner, OVERREAD_BYTES } from './json-scan.ts';
import type { Target } from './target.ts';

export function jsonDecoder(target: Target, symbols: SymbolTable): RowDecoder {
  // Two columns from one field: the scanner fills one column per name, so all such records take the plain way.
  const distinct = new Set(target.columns.map((column) => column.field)).size === target.columns.length;
  const scanner = distinct ? new JsonScanner(target, symbols) : null;
  return {
    decode(records: RecordBatch, from: number, to: number, rows: RowBuffer): void {
      rows.reserve(rows.rows + to - from);
      scanner?.attach(rows);
      const { buffer, valueStart, valueLength, timestampMs, offset } = records;
      const offsets = rows.offset;
      const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
      let row = rows.rows;
      for (let i = from; i < to; i++) {
        const length = valueLength[i]!;
        if (length < 0) continue;
        const start = valueStart[i]!;
        const time = timestampMs[i]!;
        if (scanner === null || !scanned(scanner, buffer, view, start, length, time, rows, row)) {
          const document = buffer.subarray(start, start + length);
          const cause = decodeJson(target, symbols, document, time, rows, row);
          if (cause !== null) {
            rows.undecodable.push(undecodable(records, i, cause));
            continue;
          }
        }
        offsets[row++] = offset[i]!;
      }
      rows.rows = row;
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
