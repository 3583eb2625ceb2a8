// What: results as an Arrow IPC stream.
// Why: pandas, polars and DuckDB take it without parsing a text.
// Invariant: a stream that broke off has no end-of-stream mark: readers see that it is not whole.

import { type RecordBatch, RecordBatchStreamWriter, type Schema } from 'apache-arrow';
import { arrowBatch, arrowSchema } from './arrow-batch.ts';
import type { ResultFormat } from './result-format.ts';

/** Continuation marker and a length of 0, which end a stream. */
const END_BYTES = 8;

export const arrowStreamFormat: ResultFormat = {
  name: 'ArrowStream',
  contentType: 'application/vnd.apache.arrow.stream',
  async *write(result) {
    const schema = arrowSchema(result.columns);
    const empty = arrowBytes(schema, null);
    const schemaBytes = empty.length - END_BYTES;
    yield empty.subarray(0, schemaBytes);
    for await (const block of result) {
      const bytes = arrowBytes(schema, arrowBatch(schema, block));
      yield bytes.subarray(schemaBytes, bytes.length - END_BYTES);
    }
    yield empty.subarray(schemaBytes);
  },
};

/** A whole stream of the schema and at most one batch: the writer of the library tells no more than that. */
export function arrowBytes(schema: Schema, batch: RecordBatch | null): Uint8Array {
  const writer = new RecordBatchStreamWriter();
  writer.reset(undefined, schema);
  if (batch !== null) writer.write(batch);
  writer.close();
  return writer.toUint8Array(true);
}
