// What: a file as DuckDB can read it exactly: the file itself, or a copy in the cache.
// Why: objects must be on a local disk to be read, and nanoseconds that are marked as UTC would be cut (footer.ts).
// Invariant: a copy differs from its file in the marks of nanoseconds alone; it stays until it is released.

import { constants } from 'node:fs';
import { chmod, copyFile, type FileHandle, open, writeFile } from 'node:fs/promises';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { ObjectStore } from '../../src/ports.ts';
import { asLocalTime, type FooterColumn, footerBytes, footerColumns, TAIL_BYTES } from './footer.ts';
import type { FoundFile } from './found-file.ts';

/** Keeps local files up to a number of bytes (connectors/fs/object-cache.ts). */
export interface LocalCopies {
  /** Where they are. */
  readonly directory: string;
  readonly bytesMax: number;
  hold(
    key: string,
    bytes: number,
    make: (path: string) => Promise<void>,
  ): Promise<{ readonly path: string; release(): void }>;
}

export interface Readable {
  readonly file: FoundFile;
  /** Where it is to be read. */
  readonly path: string;
  readonly columns: ReadonlyMap<string, FooterColumn>;
  release(): void;
}

const OWN_FILE = 0o600;

/** `wanted`: the columns that will be read; null: none, only their types matter. */
export async function readable(
  file: FoundFile,
  wanted: ReadonlySet<string> | null,
  copies: LocalCopies,
  storeOf: (bucket: string) => Pick<ObjectStore, 'get'>,
  signal: AbortSignal,
): Promise<Readable> {
  signal.throwIfAborted();
  const { at, bytes, name, version } = file;
  if (at.kind === 's3') {
    const held = await copies.hold(`${name}?${version}`, bytes, async (path) => {
      const body = await storeOf(at.bucket).get(at.key, signal);
      await writingCopy(name, () => writeFile(path, body));
      await markLocal(path, name);
    });
    return opened(file, held, held.path);
  }
  const columns = await columnsOf(at.realPath, name);
  if (!wouldBeCut(columns, wanted)) return { file, path: at.realPath, columns, release: () => {} };
  const held = await copies.hold(`file:${at.realPath}?${version}`, bytes, async (path) => {
    await writingCopy(name, async () => {
      // Shares the blocks where the file system can.
      await copyFile(at.realPath, path, constants.COPYFILE_FICLONE);
      await chmod(path, OWN_FILE);
    });
    await markLocal(path, name);
  });
  return opened(file, held, held.path);
}

/** A name that the footer lacks is one that DuckDB has made up for a column whose name is there twice: it may be any. */
function wouldBeCut(columns: ReadonlyMap<string, FooterColumn>, wanted: ReadonlySet<string> | null): boolean {
  if (wanted === null) return false;
  const isAny = [...wanted].some((name) => !columns.has(name));
  return [...columns].some(([name, { utcNanosAt }]) => utcNanosAt.length > 0 && (isAny || wanted.has(name)));
}

async function writingCopy(name: string, write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const what = `cannot keep a copy of ${name} in the cache (--cold-cache-dir): ${message}`;
    if (code === 'ENOSPC') throw new ZeptoError('DISK_FULL', 'retry', what, { cause: error });
    throw new ZeptoError('DISK_ERROR', 'stop', what, { cause: error });
  }
}

async function opened(
  file: FoundFile,
  held: { readonly path: string; release(): void },
  path: string,
): Promise<Readable> {
  try {
    return { file, path, columns: await columnsOf(path, file.name), release: () => held.release() };
  } catch (error) {
    held.release();
    throw error;
  }
}

const columnsOf = (path: string, name: string): Promise<ReadonlyMap<string, FooterColumn>> =>
  withFile(path, name, 'r', async (handle) => (await footerOf(handle, name)).columns);

/** Says of all nanoseconds in the file that they are local time, which DuckDB keeps as they are. */
const markLocal = (path: string, name: string): Promise<void> =>
  withFile(path, name, 'r+', async (handle) => {
    const { columns, footer, from } = await footerOf(handle, name);
    const marks = [...columns.values()].flatMap(({ utcNanosAt }) => utcNanosAt);
    for (const at of marks) await handle.write(Uint8Array.of(asLocalTime(footer[at]!)), 0, 1, from + at);
  });

async function footerOf(
  handle: FileHandle,
  name: string,
): Promise<{ columns: Map<string, FooterColumn>; footer: Uint8Array; from: number }> {
  const { size } = await handle.stat();
  const tail = await readAt(handle, Math.max(size - TAIL_BYTES, 0), Math.min(TAIL_BYTES, size));
  const bytes = footerBytes(tail, size, name);
  const from = size - TAIL_BYTES - bytes;
  const footer = await readAt(handle, from, bytes);
  return { columns: footerColumns(footer, name), footer, from };
}

async function readAt(handle: FileHandle, from: number, bytes: number): Promise<Uint8Array> {
  const buffer = new Uint8Array(bytes);
  let end = 0;
  while (end < bytes) {
    const { bytesRead } = await handle.read(buffer, end, bytes - end, from + end);
    if (bytesRead === 0) break;
    end += bytesRead;
  }
  return buffer.subarray(0, end);
}

async function withFile<T>(
  path: string,
  name: string,
  flags: string,
  work: (handle: FileHandle) => Promise<T>,
): Promise<T> {
  let handle: FileHandle | null = null;
  try {
    handle = await open(path, flags);
    return await work(handle);
  } catch (error) {
    if (error instanceof ZeptoError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT')
      throw new ZeptoError('STORE_NO_OBJECT', 'stop', `${name} is gone`, { cause: error });
    throw new ZeptoError('DISK_ERROR', 'stop', `cannot read ${name}: ${message}`, { cause: error });
  } finally {
    await handle?.close();
  }
}
