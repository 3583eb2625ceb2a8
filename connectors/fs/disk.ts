// What: the Disk port over the local file system, waiting for it in other threads or in the caller's own.
// Why: `.bin` segments and local manifests are written here, and each step may be the last before a crash.
// Invariant: a promise that resolved with `sync` survives a loss of power; an existing file is never replaced by `rename`.

import * as fs from 'node:fs';
import * as promises from 'node:fs/promises';
import { dirname } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import { bytesOf } from '../../src/columns/types.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { Disk } from '../../src/ports.ts';
import { diskError, errnoOf } from './errors.ts';

/** Linux takes at most this many buffers in one writev. */
const PARTS_PER_WRITE_MAX = 1024;
const { O_RDONLY, O_DIRECTORY } = fs.constants;

type Sometime<T> = T | Promise<T>;

/** What is needed of a file system. */
interface Files {
  /** Before a file is read or written. */
  turn(): Promise<void> | undefined;
  open(path: string, flags: number | 'w'): Sometime<OpenFile>;
  mkdir(path: string, options: { readonly recursive: true }): Sometime<string | undefined>;
  readdir(path: string): Sometime<string[]>;
  rename(from: string, to: string): Sometime<void>;
  link(from: string, to: string): Sometime<void>;
  unlink(path: string): Sometime<void>;
  lstat(path: string): Sometime<fs.Stats>;
  rm(path: string, options: { readonly recursive: true; readonly force: true }): Sometime<void>;
}

interface OpenFile {
  writev(parts: readonly NodeJS.ArrayBufferView[]): Sometime<{ readonly bytesWritten: number }>;
  read(to: Uint8Array, at: number, bytes: number, position: number): Sometime<{ readonly bytesRead: number }>;
  stat(): Sometime<{ readonly size: number }>;
  datasync(): Promise<void>;
  sync(): Promise<void>;
  close(): Sometime<void>;
}

/** A thread of Node's pool waits. */
const pooled: Files = { ...promises, turn: () => undefined };

const fdatasync = promisify(fs.fdatasync);
const fsync = promisify(fs.fsync);

/** So often the calling thread sees to what else waits in it. */
const TURN_MS = 4;
let turnedAtMs = 0;

/** The calling thread waits, but for what a device takes to make something durable. */
const blocking: Files = {
  turn() {
    if (systemClock.monotonicMs() - turnedAtMs < TURN_MS) return undefined;
    return setImmediate().then(() => {
      turnedAtMs = systemClock.monotonicMs();
    });
  },
  mkdir: fs.mkdirSync,
  readdir: (path) => fs.readdirSync(path),
  rename: fs.renameSync,
  link: fs.linkSync,
  unlink: fs.unlinkSync,
  lstat: (path) => fs.lstatSync(path),
  rm: fs.rmSync,
  open(path, flags) {
    const fd = fs.openSync(path, flags);
    return {
      writev: (parts) => ({ bytesWritten: fs.writevSync(fd, parts) }),
      read: (to, at, bytes, position) => ({ bytesRead: fs.readSync(fd, to, at, bytes, position) }),
      stat: () => fs.fstatSync(fd),
      datasync: () => fdatasync(fd),
      sync: () => fsync(fd),
      close: () => fs.closeSync(fd),
    };
  },
};

/** For threads that have other things to do meanwhile. */
export const localDisk: Disk = diskOf(pooled);

/**
 * For threads that do little else: the page cache takes and gives bytes in less time than another thread takes to wake up, and
 * small files by the hundred cost a tenth.
 */
export const blockingDisk: Disk = diskOf(blocking);

function diskOf(files: Files): Disk {
  return {
    makeDirectory: (path, sync = true) => naming('make the folder', path, () => makeDirectory(path, sync)),
    writeFile: (path, parts, sync) => naming('write', path, () => writeFile(path, parts, sync)),
    rename: (from, to) => naming('rename to', to, () => moveWithoutReplacing(from, to)),
    syncDirectory: (path) => naming('sync the folder', path, () => syncDirectory(path)),
    readFile: (path) =>
      naming('read', path, () => unlessMissing<Uint8Array | null>(() => readFile(path), null)),
    list: (path) => naming('list', path, () => unlessMissing(() => files.readdir(path), [])),
    remove: (path) => naming('remove', path, async () => files.rm(path, { recursive: true, force: true })),
  };

  /** Each folder it makes is entered durably into its parent: a file synced below a lost folder is lost. */
  async function makeDirectory(path: string, sync: boolean): Promise<void> {
    const first = await files.mkdir(path, { recursive: true });
    if (first === undefined || !sync) return;
    for (let made = path; made.length >= first.length; made = dirname(made)) {
      await syncDirectory(dirname(made));
    }
  }

  async function writeFile(
    path: string,
    parts: readonly NodeJS.ArrayBufferView[],
    sync: boolean,
  ): Promise<void> {
    await files.turn();
    const file = await files.open(path, 'w');
    try {
      for (const group of groupsOf(parts)) {
        const writing = writeParts(file, group);
        // What waits in its own thread goes on at once: another file's turn would only part this one's bytes.
        if (writing !== undefined) await writing;
      }
      // Data and size; times may be lost.
      if (sync) await file.datasync();
    } catch (error) {
      await ignoring(() => file.close());
      // Gives the space back to a full disk. Best effort: the write's own error is what the caller must hear.
      await ignoring(() => files.unlink(path));
      throw error;
    }
    // Network file systems report a full disk here.
    await file.close();
  }

  /** In one read: node's own readFile asks for half a megabyte at a time, each a round through the thread pool. */
  async function readFile(path: string): Promise<Uint8Array> {
    await files.turn();
    const file = await files.open(path, O_RDONLY);
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
    const directory = await files.open(path, O_RDONLY | O_DIRECTORY);
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  }

  /** rename(2) would replace a file that is there, and an empty folder, in silence; only the latter is wanted. */
  async function moveWithoutReplacing(from: string, to: string): Promise<'moved' | 'exists'> {
    const isFile = !(await files.lstat(from)).isDirectory();
    try {
      if (isFile) await linkThenUnlink(from, to);
      else await files.rename(from, to);
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
      await files.link(from, to);
    } catch (error) {
      const errno = errnoOf(error);
      if (errno !== 'EPERM' && errno !== 'ENOTSUP' && errno !== 'ENOSYS' && errno !== 'EMLINK') throw error;
      // No hard links here (FAT, some network and container file systems). One writer per name makes the gap harmless.
      if (await isThere(to))
        throw Object.assign(new Error('file exists', { cause: error }), { code: 'EEXIST' });
      await files.rename(from, to);
      return;
    }
    await files.unlink(from);
  }

  async function isThere(path: string): Promise<boolean> {
    return (await unlessMissing(() => files.lstat(path), null)) !== null;
  }
}

async function naming<T>(what: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw diskError(what, path, error);
  }
}

async function unlessMissing<T>(work: () => Sometime<T>, otherwise: T): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return otherwise;
    throw error;
  }
}

async function ignoring(work: () => Sometime<unknown>): Promise<void> {
  try {
    await work();
  } catch {}
}

/** Parts for one write each. */
function* groupsOf(parts: readonly NodeJS.ArrayBufferView[]): Generator<readonly NodeJS.ArrayBufferView[]> {
  const filled = parts.filter((part) => part.byteLength > 0);
  for (let at = 0; at < filled.length; at += PARTS_PER_WRITE_MAX)
    yield filled.slice(at, at + PARTS_PER_WRITE_MAX);
}

function writeParts(file: OpenFile, parts: readonly NodeJS.ArrayBufferView[]): Promise<void> | undefined {
  let pending = parts;
  while (pending.length > 0) {
    const written = file.writev(pending);
    if (written instanceof Promise)
      return written.then(({ bytesWritten }) => writeParts(file, withoutFirst(pending, bytesWritten)));
    pending = withoutFirst(pending, written.bytesWritten);
  }
  return undefined;
}

/** A write may take only some of the bytes, and end in the middle of a part. */
export function withoutFirst(
  parts: readonly NodeJS.ArrayBufferView[],
  bytes: number,
): NodeJS.ArrayBufferView[] {
  let index = 0;
  let left = bytes;
  while (index < parts.length && left >= parts[index]!.byteLength) left -= parts[index++]!.byteLength;
  if (index === parts.length) return [];
  return [bytesOf(parts[index]!).subarray(left), ...parts.slice(index + 1)];
}
