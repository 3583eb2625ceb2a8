// What: the objects of a bucket that a path or pattern names.
// Why: objects come through this system's own store, with its credentials, retries and cache; DuckDB needs no network.
// Invariant: keys begin with what stands before the pattern's first wildcard, which roots.ts has found to be below a root.

import type { ObjectStore } from '../../src/ports.ts';
import { FILES_MAX, type FoundFile, tooManyFiles } from './found-file.ts';
import { firstGlob, matchesPath } from './glob.ts';

/** By key, as the store lists them. */
export async function bucketFiles(
  path: string,
  bucket: string,
  pattern: string,
  store: Pick<ObjectStore, 'list'>,
  signal: AbortSignal,
): Promise<FoundFile[]> {
  const fixed = pattern.slice(0, firstGlob(pattern));
  const matches =
    fixed.length === pattern.length
      ? (key: string) => key === pattern
      : (key: string) => matchesPath(pattern, key);
  const found: FoundFile[] = [];
  for await (const { key, size, etag } of store.list(fixed, signal)) {
    if (!matches(key) || key.endsWith('/')) continue;
    if (found.length === FILES_MAX) throw tooManyFiles(path);
    found.push({
      name: `s3://${bucket}/${key}`,
      bytes: size,
      version: etag,
      at: { kind: 's3', bucket, key },
    });
  }
  return found;
}
