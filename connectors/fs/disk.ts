// What: the Disk port over the local file system.
// Why: `.bin` segments and local manifests are written here, and each step may be the last before a crash.
// Invariant: a promise that resolved with `sync` survives a loss of power; an existing file is never replaced by `rename`.

import { constants } from 'node:fs';
import { type FileHandle, link, lstat, mkdir, open, readdir, rename, rm, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Disk } from '../../src/ports.ts';
import { diskError, errnoOf } from './errors.ts';

/** Linux takes at most this many buffers in one writev. */
const PARTS_PER_WRITE_MAX = 1024;

export const localDisk: Disk = {
  makeDirectory: (path, sync = true) => naming('make the folder', path, () => makeDirectory(path, sync)),
  writeFile: (path, parts, sync) => naming('write', path, () => writeFile(path, parts, sync)),
  rename: (from, to) => naming('rename to', to, () => moveWithoutReplacing(from, to)),
  syncDirectory: (path) => naming('sync the folder', path, () => syncDirectory(path)),
  readFile: (path) => naming('read', path, () => unlessMissing<Uint8Array | null>(readFile(path), null)),
  list: (path) => naming('list', path, () => unlessMissing(readdir(path), [])),
  remove: (path) => naming('remove', path, () => rm(path, { recursive: true, force: true })),
};

async function naming<T>(what: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw diskError(what, path, error);
  }
}

async function unlessMissing<T>(work: Promise<T>, otherwise: T): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return otherwise;
    throw error;
  }
}

/** Each folder it makes is entered durably into its parent: a file synced below a lost folder is lost. */
async function makeDirectory(path: string, sync: boolean): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (first === undefined || !sync) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) {
    await syncDirectory(dirname(made));
  }
}

async function writeFile(path: string, parts: readonly Uint8Array[], sync: boolean): Promise<void> {
  const file = await open(path, 'w');
  try {
    await writeParts(file, parts);
    // Data and size; times may be lost.
    if (sync) await file.datasync();
  } catch (error) {
    await file.close().catch(() => {});
    // Gives the space back to a full disk. Best effort: the write's own error is what the caller must hear.
    await unlink(path).catch(() => {});
    throw error;
  }
  // Network file systems report a full disk here.
  await file.close();
}

async function writeParts(file: FileHandle, parts: readonly Uint8Array[]): Promise<void> {
  let pending = parts.filter((part) => part.byteLength > 0);
  while (pending.length > 0) {
    const { bytesWritten } = await file.writev(pending.slice(0, PARTS_PER_WRITE_MAX));
    pending = withoutFirst(pending, bytesWritten);
  }
}

/** A write may take only some of the bytes, and end in the middle of a part. */
export function withoutFirst(parts: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let index = 0;
  let left = bytes;
  while (index < parts.length && left >= parts[index]!.byteLength) left -= parts[index++]!.byteLength;
  if (index === parts.length) return [];
  return [parts[index]!.subarray(left), ...parts.slice(index + 1)];
}

/** In one read: node's own readFile asks for half a megabyte at a time, each a round through the thread pool. */
async function readFile(path: string): Promise<Uint8Array> {
  const file = await open(path, constants.O_RDONLY);
  try {
    const { size } = await file.stat();
    const bytes = Buffer.allocUnsafeSlow(size);
    let end = 0;
    while (end < size) {
      const { bytesRead } = await file.read(bytes, end, size - end, end);
      if (bytesRead === 0) break;
      end += bytesRead;
    }
    return bytes.subarray(0, end);
  } finally {
    await file.close();
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** rename(2) would replace a file that is there, and an empty folder, in silence; only the latter is wanted. */
async function moveWithoutReplacing(from: string, to: string): Promise<'moved' | 'exists'> {
  const isFile = !(await lstat(from)).isDirectory();
  try {
    if (isFile) await linkThenUnlink(from, to);
    else await rename(from, to);
    return 'moved';
  } catch (error) {
    switch (errnoOf(error)) {
      case 'EEXIST':
      case 'ENOTEMPTY':
        return 'exists';
      case 'ENOTDIR':
        // A folder onto a file. Otherwise a parent of `to` is a file, which is an error.
        if (!isFile && (await isThere(to))) return 'exists';
        throw error;
      default:
        throw error;
    }
  }
}

/** A crash in between leaves both names of one file: the second attempt finds 'exists'. */
async function linkThenUnlink(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno !== 'EPERM' && errno !== 'ENOTSUP' && errno !== 'ENOSYS' && errno !== 'EMLINK') throw error;
    // No hard links here (FAT, some network and container file systems). One writer per name makes the gap harmless.
    if (await isThere(to))
      throw Object.assign(new Error('file exists', { cause: error }), { code: 'EEXIST' });
    await rename(from, to);
    return;
  }
  await unlink(from);
}

async function isThere(path: string): Promise<boolean> {
  return (await unlessMissing(lstat(path), null)) !== null;
}
