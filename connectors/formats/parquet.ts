// What: results as one Parquet file.
// Why: an answer can be kept, and read by whatever reads Parquet.
// Invariant: the file is made when all rows are there, so its size is bounded; an error gives no file.

import { Compression, Table as WasmTable, WriterPropertiesBuilder, writeParquet } from 'parquet-wasm';
import { ZeptoError } from '../../src/kernel/errors.ts';
import { arrowStreamFormat } from './arrow-stream.ts';
import type { ResultFormat } from './result-format.ts';

const STREAM_BYTES_MAX = 512 * 2 ** 20;

export const parquetFormat: ResultFormat = {
  name: 'Parquet',
  contentType: 'application/vnd.apache.parquet',
  async *write(result, about) {
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    for await (const piece of arrowStreamFormat.write(result, about)) {
      pieces.push(piece);
      bytes += piece.length;
      if (bytes > STREAM_BYTES_MAX)
        throw new ZeptoError(
          'LIMIT_EXCEEDED',
          'stop',
          `a result of more than ${STREAM_BYTES_MAX} bytes is not made into one Parquet file: add a LIMIT, or take FORMAT ArrowStream`,
        );
    }
    const properties = new WriterPropertiesBuilder().setCompression(Compression.SNAPPY).build();
    yield writeParquet(WasmTable.fromIPCStream(Buffer.concat(pieces)), properties);
  },
};
