// What: puts a Parquet file under its name, or adopts the one that an interrupted run of the same plan put there.
// Why: an upload-only credential cannot look at an object, so names and conditional writes must settle whose it is.
// Invariant: an object of another plan is never overwritten and never taken for this one's.

import { createHash } from 'node:crypto';
import { ZeptoError } from '../kernel/errors.ts';
import type { ObjectInfo, ObjectStore } from '../ports.ts';
import { flatKey, hiveKey, tablePrefix } from './layout.ts';
import type { ParquetOptions } from './segment.ts';

export const PARQUET_CONTENT_TYPE = 'application/vnd.apache.parquet';
const ETAG_WITNESS = '_probe/etag';

/** Resolves with the object's key. Errors are those of `ObjectStore.put`. */
export async function putParquet(
  body: Uint8Array,
  segment: { readonly table: string; readonly symbol: number; readonly hour: number; readonly hash: string },
  options: ParquetOptions,
  store: ObjectStore,
  signal: AbortSignal,
): Promise<string> {
  const prefix = tablePrefix(options.prefix, segment.table);
  const put = (key: string): Promise<'created' | 'exists'> =>
    store.put(key, body, { contentType: PARQUET_CONTENT_TYPE, signal });
  if (options.layout === 'hive') {
    const key = hiveKey(prefix, segment);
    // 'exists' is this plan's: the hash is in the name.
    await put(key);
    return key;
  }
  const plain = flatKey(prefix, { ...segment, hash: null }, options.flatEpoch);
  const hashed = flatKey(prefix, segment, options.flatEpoch);
  // A store that cannot say 'exists' would let two plans overwrite each other under the plain name.
  if (options.conditionalWrites === true) {
    if ((await put(plain)) === 'created') return plain;
    if (await isOwn(plain, body, prefix, store, signal)) return plain;
  }
  await put(hashed);
  return hashed;
}

/** Whether the object holds these very bytes, which name their plan. Listing is allowed where reading is not. */
async function isOwn(
  key: string,
  body: Uint8Array,
  prefix: string,
  store: ObjectStore,
  signal: AbortSignal,
): Promise<boolean> {
  const found = await lookUp(key, store, signal);
  if (found === null || found.size !== body.length) return false;
  if (etagOf(found) === md5(body)) return true;
  if (/^[0-9a-f]{32}$/.test(etagOf(found)) && (await etagsAreMd5(prefix, store, signal))) return false;
  try {
    return Buffer.compare(await store.get(key, signal), body) === 0;
  } catch (cause) {
    if (!(cause instanceof ZeptoError) || cause.code !== 'STORE_DENIED') throw cause;
    throw new ZeptoError(
      'STORE_CONFLICT',
      'stop',
      `${key} is there, and neither its ETag nor a read tells whether an interrupted run of this plan put it there: allow GetObject on the prefix, or use --cold-tier-layout hive, whose names tell`,
      { cause, context: { key } },
    );
  }
}

/** Where objects are encrypted with a customer's key, an ETag looks like an MD5 and is none: a known object tells. */
async function etagsAreMd5(prefix: string, store: ObjectStore, signal: AbortSignal): Promise<boolean> {
  const witness = Buffer.from('zepto etag witness\n');
  const key = prefix === '' ? ETAG_WITNESS : `${prefix}/${ETAG_WITNESS}`;
  await store.put(key, witness, { contentType: 'text/plain', signal });
  const found = await lookUp(key, store, signal);
  return found !== null && etagOf(found) === md5(witness);
}

const etagOf = (info: ObjectInfo): string => info.etag.replaceAll('"', '').toLowerCase();

const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');

async function lookUp(key: string, store: ObjectStore, signal: AbortSignal): Promise<ObjectInfo | null> {
  for await (const found of store.list(key, signal)) if (found.key === key) return found;
  return null;
}
