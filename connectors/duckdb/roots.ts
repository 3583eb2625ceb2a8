// What: where a path of duckdb('…') lies: below which of the configured roots, a local folder or a part of a bucket.
// Why: a query may name any path, and must not read what the operator did not open.
// Invariant: pure. A place that is returned is below a root by its text; links are the walk's affair (local-files.ts).

import { posix } from 'node:path';
import { ZeptoError } from '../../src/kernel/errors.ts';
import { firstGlob } from './glob.ts';

export type Root =
  | { readonly kind: 'folder'; readonly path: string }
  /** Keys that begin with `prefix`. */
  | { readonly kind: 'bucket'; readonly bucket: string; readonly prefix: string };

export type Place =
  /** Absolute; may be a pattern. */
  | { readonly kind: 'local'; readonly pattern: string }
  | { readonly kind: 's3'; readonly bucket: string; readonly pattern: string };

const S3 = 's3://';
const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]*:/;

/** An absolute folder; `s3://bucket`, `s3://bucket/folder`, or `s3://bucket/start*` for all keys that begin so. */
export function parseRoot(text: string): Root {
  if (!text.startsWith(S3)) return { kind: 'folder', path: withoutEnd(posix.normalize(text)) };
  const { bucket, key } = bucketAndKey(text);
  if (key.endsWith('*')) return { kind: 'bucket', bucket, prefix: key.slice(0, -1) };
  const folder = withoutEnd(key);
  return { kind: 'bucket', bucket, prefix: folder === '' ? '' : `${folder}/` };
}

/** @throws ZeptoError STORE_DENIED: no such place is below a root. */
export function placeOf(path: string, roots: readonly string[]): Place {
  if (path.trim() === '') throw denied(path, 'the path is empty', roots);
  if (path.includes('\0')) throw denied(path, 'the path holds a zero character', roots);
  if (path.split('/').includes('..')) throw denied(path, "'..' is not followed", roots);
  const parsed = roots.map(parseRoot);
  if (path.startsWith(S3)) {
    const { bucket, key } = bucketAndKey(path);
    const fixed = key.slice(0, firstGlob(key));
    const isWithin = parsed.some(
      (root) => root.kind === 'bucket' && root.bucket === bucket && fixed.startsWith(root.prefix),
    );
    if (!isWithin) throw denied(path, 'it is outside of what may be read', roots);
    return { kind: 's3', bucket, pattern: key };
  }
  if (SCHEME.test(path)) throw denied(path, 'a path is absolute, or begins with s3://', roots);
  if (!path.startsWith('/')) throw denied(path, 'a path is absolute, or begins with s3://', roots);
  const pattern = posix.normalize(path);
  // The folder that the pattern starts from: what stands before its first wildcard.
  const fixed = pattern.slice(0, firstGlob(pattern));
  const isWithin = parsed.some((root) => root.kind === 'folder' && isBelow(fixed, root.path));
  if (!isWithin) throw denied(path, 'it is outside of what may be read', roots);
  return { kind: 'local', pattern };
}

/** Whether `path` lies below the folder; the folder itself does not. */
export function isBelow(path: string, folder: string): boolean {
  return path.startsWith(folder === '/' ? '/' : `${folder}/`);
}

export function denied(path: string, why: string, roots: readonly string[]): ZeptoError {
  const open = roots.length === 0 ? 'none is set' : roots.join(', ');
  return new ZeptoError(
    'STORE_DENIED',
    'stop',
    `duckdb('${path}') is refused: ${why}. Roots (--duckdb-roots): ${open}`,
    { context: { path } },
  );
}

function bucketAndKey(url: string): { bucket: string; key: string } {
  const rest = url.slice(S3.length);
  const slash = rest.indexOf('/');
  return slash < 0 ? { bucket: rest, key: '' } : { bucket: rest.slice(0, slash), key: rest.slice(slash + 1) };
}

const withoutEnd = (path: string): string => (path === '/' ? path : path.replace(/\/+$/, ''));
