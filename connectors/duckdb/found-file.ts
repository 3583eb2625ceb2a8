// What: a file that a path of duckdb('…') names, wherever it lies.
// Why: what reads files need not know whether they come from a disk or a bucket.
// Invariant: `version` differs when the content does.

import { ZeptoError } from '../../src/kernel/errors.ts';

export interface FoundFile {
  /** As the query would name it; for messages and for columns in the path. */
  readonly name: string;
  readonly bytes: number;
  readonly version: string;
  readonly at:
    | { readonly kind: 'local'; readonly realPath: string }
    | { readonly kind: 's3'; readonly bucket: string; readonly key: string };
}

/** One query reads at most so many files. */
export const FILES_MAX = 100_000;

export function tooManyFiles(path: string): ZeptoError {
  return new ZeptoError(
    'LIMIT_EXCEEDED',
    'stop',
    `duckdb('${path}') names more than ${FILES_MAX} files: write a narrower pattern`,
    { context: { limit: 'files', filesMax: FILES_MAX } },
  );
}

export function noFile(path: string): ZeptoError {
  return new ZeptoError('STORE_NO_OBJECT', 'stop', `duckdb('${path}') names no file`, { context: { path } });
}
