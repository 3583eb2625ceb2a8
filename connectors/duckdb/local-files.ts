// What: the local files that a path or pattern names.
// Why: DuckDB is given whole lists of files, so that no pattern of a query ever reaches its own file system.
// Invariant: a file that is returned lies below a root when all links are followed; `**` follows none.

import type { Dirent } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ZeptoError } from '../../src/kernel/errors.ts';
import { FILES_MAX, type FoundFile, tooManyFiles } from './found-file.ts';
import { isGlob, matchesName, namesOf } from './glob.ts';
import { denied, isBelow, parseRoot } from './roots.ts';

/** `path` is as the query has it, `pattern` the place that roots.ts made of it. By path, in order of its characters. */
export async function localFiles(
  path: string,
  pattern: string,
  roots: readonly string[],
  signal: AbortSignal,
): Promise<FoundFile[]> {
  const folders = await realFolders(roots);
  const found: FoundFile[] = [];
  for await (const name of walk('/', namesOf(pattern).slice(1), signal)) {
    const realPath = await orNothing(realpath(name));
    if (realPath === null) continue;
    if (!folders.some((folder) => isBelow(realPath, folder)))
      throw denied(path, `${name} is a link to a place outside of what may be read`, roots);
    const info = await orNothing(stat(realPath, { bigint: true }));
    if (info === null || !info.isFile()) continue;
    if (found.length === FILES_MAX) throw tooManyFiles(path);
    const bytes = Number(info.size);
    found.push({
      name,
      bytes,
      version: `${bytes}-${info.mtimeNs}-${info.ino}`,
      at: { kind: 'local', realPath },
    });
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function realFolders(roots: readonly string[]): Promise<string[]> {
  const folders: string[] = [];
  for (const root of roots.map(parseRoot)) {
    if (root.kind !== 'folder') continue;
    const real = await orNothing(realpath(root.path));
    if (real !== null) folders.push(real);
  }
  return folders;
}

/** Paths below `folder` that `names` names; the last of them may not be there. */
async function* walk(
  folder: string,
  names: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<string, void, undefined> {
  signal.throwIfAborted();
  const [name, ...rest] = names;
  if (name === undefined) return;
  if (!isGlob(name)) {
    const path = join(folder, name);
    if (rest.length === 0) yield path;
    else yield* walk(path, rest, signal);
    return;
  }
  if (name === '**') {
    yield* walk(folder, rest, signal);
    for (const entry of await entriesOf(folder))
      if (entry.isDirectory()) yield* walk(join(folder, entry.name), names, signal);
    return;
  }
  for (const entry of await entriesOf(folder)) {
    if (!matchesName(name, entry.name)) continue;
    const path = join(folder, entry.name);
    if (rest.length > 0) yield* walk(path, rest, signal);
    else if (!entry.isDirectory()) yield path;
  }
}

const entriesOf = async (folder: string): Promise<Dirent[]> =>
  (await orNothing(readdir(folder, { withFileTypes: true }))) ?? [];

/** Null when there is nothing of that name, or it is gone meanwhile. @throws ZeptoError DISK_ERROR */
async function orNothing<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP' || code === 'ENAMETOOLONG') return null;
    throw new ZeptoError('DISK_ERROR', 'stop', `cannot look for files: ${message}`, { cause: error });
  }
}
