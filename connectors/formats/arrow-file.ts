// What: results as an Arrow IPC file.
// Why: clients of ClickHouse that ask for FORMAT Arrow open it as a file, with its index at the end.
// Invariant: the file is made when all rows are there, so its size is bounded; an error gives no file.

import { type RecordBatch, RecordBatchFileWriter } from 'apache-arrow';
import { ZeptoError } from '../../src/kernel/errors.ts';
import { arrowBatch, arrowSchema } from './arrow-batch.ts';
import type { ResultFormat } from './result-format.ts';

const FILE_BYTES_MAX = 512 * 2 ** 20;

export const arrowFileFormat: ResultFormat = {
  name: 'Arrow',
  contentType: 'application/vnd.apache.arrow.file',
  async *write(result) {
    const schema = arrowSchema(result.columns);
    const batches: RecordBatch[] = [];
    let bytes = 0;
    for await (const block of result) {
      const batch = arrowBatch(schema, block);
      bytes += batch.data.byteLength;
      if (bytes > FILE_BYTES_MAX)
        throw new ZeptoError(
          'LIMIT_EXCEEDED',
          'stop',
          `a result of more than ${FILE_BYTES_MAX} bytes is not made into one Arrow file: add a LIMIT, or take FORMAT ArrowStream`,
        );
      batches.push(batch);
    }
    const writer = new RecordBatchFileWriter();
    writer.reset(undefined, schema);
    for (const batch of batches) writer.write(batch);
    writer.close();
    yield writer.toUint8Array(true);
  },
};
