// What: the format that reads a result to its end and shows nothing of it.
// Why: to time a query without its answer's way.
// Invariant: every block is taken.

import type { ResultFormat } from './result-format.ts';

export const nullFormat: ResultFormat = {
  name: 'Null',
  contentType: 'text/plain; charset=utf-8',
  async *write(result) {
    for await (const _ of result);
    yield new Uint8Array(0);
  },
};
