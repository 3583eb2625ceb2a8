// What: a record that gives no row is set aside with its bytes and the reason.
// Why: it becomes a dead letter in the transaction of the commit, so each such record is reported exactly once.
// Invariant: key and value are copies; the record batch's buffer is the source's again after the call.

import type { RecordBatch, RowBuffer } from '../../src/columns/batch.ts';

export function setAside(records: RecordBatch, index: number, rows: RowBuffer, cause: string): void {
  rows.undecodable.push({
    offset: records.offset[index]!,
    timestampMs: records.timestampMs[index]!,
    cause,
    key: copyOf(records.buffer, records.keyStart[index]!, records.keyLength[index]!),
    value: copyOf(records.buffer, records.valueStart[index]!, records.valueLength[index]!),
  });
}

function copyOf(buffer: Uint8Array, start: number, length: number): Uint8Array | null {
  // Not slice(): on a Buffer that would share the memory.
  return length < 0 ? null : Uint8Array.prototype.slice.call(buffer, start, start + length);
}
