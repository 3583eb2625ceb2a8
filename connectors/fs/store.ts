// What: the ObjectStore port over a local folder: a key is a path below it.
// Why: Parquet on local disks or mounted volumes, with the same layout, commit and tests as on S3.
// Invariant: a file appears under its key whole or not at all, and is never replaced.

import { readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { backoffMs, type Clock } from '../../src/kernel/clock.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { Disk, Logger, Metrics, ObjectInfo, ObjectStore } from '../../src/ports.ts';
import { localDisk } from './disk.ts';
import { diskError, errnoOf } from './errors.ts';

export interface FolderStoreSettings {
  /** Absolute. Made when it is not there. */
  readonly baseDirectory: string;
  /** Whether a put survives a loss of power once it has resolved. */
  readonly sync: boolean;
  /** How long a put waits for space on a full disk. */
  readonly patienceMs: number;
}

export interface FolderStoreSurroundings {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly disk?: Disk;
}

/** Below the base; holds what is being written. Its names begin with the time, so that what a crash left can be told from what is in use. */
const UPLOADS = '.uploads';
const LEFT_BEHIND_MS = 24 * 3_600_000;
const LONGEST_WAIT_MS = 5_000;
/** Beyond it all are forgotten, and synced once more. */
const DURABLE_FOLDERS_MAX = 10_000;

export function createFolderStore(
  settings: FolderStoreSettings,
  around: FolderStoreSurroundings,
): ObjectStore {
  const { baseDirectory, sync, patienceMs } = settings;
  const { clock, metrics, log, disk = localDisk } = around;
  const uploads = join(baseDirectory, UPLOADS);
  const labels = { store: 'folder' };
  let uploadsMade: Promise<void> | null = null;
  /** Those whose names this process made durable, up to the base. */
  const durableFolders = new Set<string>();

  async function putOnce(path: string, body: Uint8Array): Promise<'created' | 'exists'> {
    const temporary = join(uploads, `${clock.nowMs()}-${clock.random().toString(36).slice(2)}`);
    await disk.makeDirectory(dirname(path), false);
    await disk.writeFile(temporary, [body], sync);
    // From here the object is there. A linked name does not replace one that is taken.
    const moved = await disk.rename(temporary, path);
    if (moved === 'exists') await disk.remove(temporary);
    // Also after 'exists': the one who wrote it may have died before this line.
    if (sync) await syncUpwards(dirname(path));
    return moved === 'moved' ? 'created' : 'exists';
  }

  /** A folder that is there may have been made by a process that died before it was durable: the first put below it sees to that. */
  async function syncUpwards(folder: string): Promise<void> {
    await disk.syncDirectory(folder);
    for (let name = folder; name !== baseDirectory && !durableFolders.has(name); name = dirname(name)) {
      await disk.syncDirectory(dirname(name));
      if (durableFolders.size >= DURABLE_FOLDERS_MAX) durableFolders.clear();
      durableFolders.add(name);
    }
  }

  /** Waits while the disk is full. */
  async function patiently<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const startMs = clock.monotonicMs();
    for (let attempt = 0; ; attempt += 1) {
      signal?.throwIfAborted();
      try {
        return await work();
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof ZeptoError)) throw error;
        metrics.count('zepto_store_failures_total', { ...labels, operation: 'put', code: error.code }, 1);
        const leftMs = patienceMs - (clock.monotonicMs() - startMs);
        if (error.action !== 'retry' || leftMs <= 0) throw error;
        if (attempt === 0) log.warn({ reason: error.message }, 'local object store fails; trying again');
        await clock.sleep(Math.min(leftMs, backoffMs(attempt, 100, LONGEST_WAIT_MS, clock)), signal);
      }
    }
  }

  return {
    async put(key, body, { signal }) {
      const path = pathOf(baseDirectory, key);
      const startMs = clock.monotonicMs();
      const result = await patiently(signal, async () => {
        uploadsMade ??= disk.makeDirectory(uploads);
        await uploadsMade.catch((error: unknown) => {
          uploadsMade = null;
          throw error;
        });
        return putOnce(path, body);
      });
      metrics.count('zepto_store_uploads_total', { ...labels, result }, 1);
      if (result === 'created') metrics.count('zepto_store_upload_bytes_total', labels, body.byteLength);
      metrics.observe('zepto_store_upload_seconds', labels, (clock.monotonicMs() - startMs) / 1000);
      return result;
    },

    async get(key, signal) {
      signal?.throwIfAborted();
      const content = await disk.readFile(pathOf(baseDirectory, key));
      if (content !== null) return content;
      throw new ZeptoError('STORE_NO_OBJECT', 'stop', `there is no file ${key} below ${baseDirectory}`, {
        context: { key },
      });
    },

    list: (prefix, signal) => listFolder(baseDirectory, prefix, signal),

    async delete(key) {
      await disk.remove(pathOf(baseDirectory, key));
      return true;
    },

    async probe(prefix) {
      const key = `${prefix === '' ? '' : `${prefix}/`}_probe/conditional-writes`;
      await this.put(
        key,
        new TextEncoder().encode('Written at start to learn whether this folder can be written.\n'),
        {
          contentType: 'text/plain',
        },
      );
      await removeLeftBehind();
      return { conditionalWrites: true };
    },

    async close() {},
  };

  /** Best effort: files of processes that died in the middle of a put. */
  async function removeLeftBehind(): Promise<void> {
    const oldestMs = clock.nowMs() - LEFT_BEHIND_MS;
    for (const name of await disk.list(uploads)) {
      if (Number.parseInt(name, 10) < oldestMs) await disk.remove(join(uploads, name));
    }
  }
}

function pathOf(baseDirectory: string, key: string): string {
  const parts = key.split('/');
  if (
    parts.some((part) => part === '' || part === '.' || part === '..') ||
    parts[0] === UPLOADS ||
    key.includes('\0')
  ) {
    throw new ZeptoError('INTERNAL', 'stop', `${JSON.stringify(key)} cannot be a file's path`, {
      context: { key },
    });
  }
  return join(baseDirectory, ...parts);
}

/** In key order: a folder's name sorts as if it ended with the '/' that follows it. */
async function* listFolder(
  baseDirectory: string,
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<ObjectInfo> {
  async function* visit(folder: string): AsyncGenerator<ObjectInfo> {
    signal?.throwIfAborted();
    const found = await readFolder(join(baseDirectory, folder));
    const names = found
      .map((entry) => `${folder}${entry.name}${entry.isDirectory() ? '/' : ''}`)
      .filter((name) => (name.endsWith('/') ? leadsTo(name, prefix) : name.startsWith(prefix)))
      .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    for (const name of names) {
      if (name === `${UPLOADS}/`) continue;
      if (name.endsWith('/')) yield* visit(name);
      else {
        const info = await describeFile(baseDirectory, name);
        if (info !== null) yield info;
      }
    }
  }
  yield* visit('');
}

const leadsTo = (folder: string, prefix: string): boolean =>
  folder.startsWith(prefix) || prefix.startsWith(folder);

async function readFolder(path: string): Promise<{ name: string; isDirectory(): boolean }[]> {
  try {
    return await readdir(path, { withFileTypes: true });
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw diskError('list', path, error);
  }
}

/** Null when it went away since its folder was read. */
async function describeFile(baseDirectory: string, key: string): Promise<ObjectInfo | null> {
  const path = join(baseDirectory, key);
  try {
    const { size, mtimeNs } = await stat(path, { bigint: true });
    return { key, size: Number(size), etag: `${size.toString(16)}-${mtimeNs.toString(16)}` };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw diskError('read', path, error);
  }
}
