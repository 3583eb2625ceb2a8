// What: an object store in memory, with faults where a test wants them.
// Why: the engine, its crash tests and the simulation need a bucket that can fail before and after each call, and repeat it.
// Invariant: deterministic: it waits by the given clock only, and all that happens at once happens in the order of the calls.

import { hash } from 'node:crypto';
import { backoffMs, type Clock } from '../../src/kernel/clock.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { ObjectInfo, ObjectStore } from '../../src/ports.ts';

/** What every client of it sees. Outlives them: a crash of a process leaves it as it is. */
export interface MemoryBucket {
  readonly conditionalWrites: boolean;
  readonly objects: ReadonlyMap<string, StoredObject>;
  /** Writes of other bytes over an object that was there. A sealed file must never be among them. */
  readonly overwrites: readonly Overwrite[];
  /** Puts an object as another writer would. */
  write(key: string, body: Uint8Array, contentType?: string): void;
  remove(key: string): void;
}

export interface StoredObject {
  readonly bytes: Uint8Array;
  readonly contentType: string;
  readonly etag: string;
}

export interface Overwrite {
  readonly key: string;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}

export interface StoreCall {
  readonly operation: 'put' | 'get' | 'list' | 'delete' | 'probe';
  /** The prefix for `list` and `probe`. */
  readonly key: string;
  /** 0 for the first call of this client. */
  readonly number: number;
}

/** A hook may throw (the caller sees it), wait (a slow server), or never settle (the process died there). */
export interface StoreHooks {
  /** Nothing has happened yet. */
  readonly before?: (call: StoreCall) => void | Promise<void>;
  /** It has happened, and the caller does not know. */
  readonly after?: (call: StoreCall) => void | Promise<void>;
  /** What goes wrong inside an attempt of a call; the store tries again by itself, as the real one does. */
  readonly fault?: (call: StoreCall, attempt: number) => StoreFault | undefined;
}

export type StoreFault =
  /** 503, or a connection cut before the server had the request. */
  | 'unavailable'
  /** The server did it, and its answer was lost. */
  | 'lost-acknowledgement'
  /** 403. */
  | 'denied';

export interface MemoryStoreOptions {
  readonly clock: Clock;
  readonly hooks?: StoreHooks;
  /** False: an upload-only credential. Listing is always allowed. */
  readonly mayRead?: boolean;
  readonly mayDelete?: boolean;
  /** After this long of `unavailable` and lost answers a call ends with STORE_UNAVAILABLE. */
  readonly patienceMs?: number;
}

export function memoryBucket(options: { readonly conditionalWrites: boolean }): MemoryBucket {
  const objects = new Map<string, StoredObject>();
  const overwrites: Overwrite[] = [];
  return {
    conditionalWrites: options.conditionalWrites,
    objects,
    overwrites,
    write(key, body, contentType = 'application/octet-stream') {
      const before = objects.get(key)?.bytes;
      const bytes = body.slice();
      if (before !== undefined && Buffer.compare(before, bytes) !== 0) {
        overwrites.push({ key, before, after: bytes });
      }
      objects.set(key, { bytes, contentType, etag: hash('md5', bytes) });
    },
    remove(key) {
      objects.delete(key);
    },
  };
}

/** One process's client of the bucket. */
export function memoryStore(bucket: MemoryBucket, options: MemoryStoreOptions): ObjectStore {
  const { clock, hooks = {}, mayRead = true, mayDelete = true, patienceMs = 300_000 } = options;
  let calls = 0;

  async function run<T>(
    operation: StoreCall['operation'],
    key: string,
    signal: AbortSignal | undefined,
    effect: () => T,
  ): Promise<T> {
    const call: StoreCall = { operation, key, number: calls++ };
    const startMs = clock.monotonicMs();
    signal?.throwIfAborted();
    await hooks.before?.(call);
    for (let attempt = 0; ; attempt += 1) {
      signal?.throwIfAborted();
      const fault = hooks.fault?.(call, attempt);
      if (fault === 'denied') throw denied(operation, key);
      if (fault !== 'unavailable') {
        const result = effect();
        if (fault === undefined) {
          await hooks.after?.(call);
          return result;
        }
      }
      if (clock.monotonicMs() - startMs >= patienceMs) {
        const message = `memory ${operation} of ${key}: ${fault} in ${attempt + 1} attempts`;
        throw new ZeptoError('STORE_UNAVAILABLE', 'retry', message, { context: { key } });
      }
      await clock.sleep(backoffMs(attempt, 100, 10_000, clock), signal);
    }
  }

  const putOnce = (key: string, body: Uint8Array, contentType: string): 'created' | 'exists' => {
    if (bucket.conditionalWrites && bucket.objects.has(key)) return 'exists';
    bucket.write(key, body, contentType);
    return 'created';
  };

  return {
    put: (key, body, { contentType, signal }) =>
      run('put', key, signal, () => putOnce(key, body, contentType)),

    get: (key, signal) =>
      run('get', key, signal, () => {
        if (!mayRead) throw denied('get', key);
        const stored = bucket.objects.get(key);
        if (stored === undefined) {
          throw new ZeptoError('STORE_NO_OBJECT', 'stop', `no object ${key}`, { context: { key } });
        }
        return stored.bytes.slice();
      }),

    async *list(prefix, signal) {
      const page = await run('list', prefix, signal, () => listed(bucket, prefix));
      yield* page;
    },

    delete: (key) =>
      run('delete', key, undefined, () => {
        if (mayDelete) bucket.remove(key);
        return mayDelete;
      }),

    probe: (prefix) =>
      run('probe', prefix, undefined, () => {
        const key = `${prefix === '' ? '' : `${prefix}/`}_probe/conditional-writes`;
        putOnce(key, Buffer.from('probe'), 'text/plain');
        return { conditionalWrites: bucket.conditionalWrites };
      }),

    async close() {},
  };
}

/**
 * Faults by chance: each attempt fails with the given probabilities. With a seeded `random` the run can be repeated.
 */
export function randomFaults(
  random: () => number,
  chances: { readonly unavailable: number; readonly lostAcknowledgement: number },
): NonNullable<StoreHooks['fault']> {
  return () => {
    const drawn = random();
    if (drawn < chances.unavailable) return 'unavailable';
    if (drawn < chances.unavailable + chances.lostAcknowledgement) return 'lost-acknowledgement';
    return undefined;
  };
}

function listed(bucket: MemoryBucket, prefix: string): ObjectInfo[] {
  const found: ObjectInfo[] = [];
  for (const [key, { bytes, etag }] of bucket.objects) {
    if (key.startsWith(prefix)) found.push({ key, size: bytes.byteLength, etag });
  }
  return found.sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
}

const denied = (operation: string, key: string): ZeptoError =>
  new ZeptoError('STORE_DENIED', 'stop', `memory ${operation} of ${key}: 403 AccessDenied`, {
    context: { key },
  });
