// What: the files of a path in groups: opened together, and read by one statement where their columns agree.
// Why: a thousand small objects must not be a thousand waits, nor lie in memory or in the cache all at once.
// Invariant: the order of the files is kept; what was opened when another failed is released.

import type { Readable } from './exact-copy.ts';
import type { FoundFile } from './found-file.ts';

const GROUP_FILES_MAX = 256;
/** An object is in memory as a whole while it is fetched. */
const GROUP_BYTES_MAX = 64 * 2 ** 20;
const OPEN_AT_ONCE = 8;

/** `cacheBytes`: what the copies of a group may take up, half of it, so that two queries can go on at a time. */
export function* groupsOf(files: readonly FoundFile[], cacheBytes: number): Generator<FoundFile[]> {
  const bytesMax = Math.min(GROUP_BYTES_MAX, cacheBytes / 2);
  let group: FoundFile[] = [];
  let bytes = 0;
  for (const file of files) {
    if (group.length > 0 && (group.length === GROUP_FILES_MAX || bytes + file.bytes > bytesMax)) {
      yield group;
      group = [];
      bytes = 0;
    }
    group.push(file);
    bytes += file.bytes;
  }
  if (group.length > 0) yield group;
}

export async function openGroup(
  files: readonly FoundFile[],
  open: (file: FoundFile) => Promise<Readable>,
): Promise<Readable[]> {
  const opened: Readable[] = [];
  let next = 0;
  const failed: unknown[] = [];
  const work = async (): Promise<void> => {
    while (next < files.length && failed.length === 0) {
      const index = next++;
      try {
        opened[index] = await open(files[index]!);
      } catch (error) {
        failed.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: OPEN_AT_ONCE }, work));
  if (failed.length === 0) return opened;
  for (const file of opened) file?.release();
  throw failed[0];
}

/** Files in a row that have the wanted columns in the same types. */
export function* runsOfOneShape(
  files: readonly Readable[],
  wanted: ReadonlySet<string>,
): Generator<Readable[]> {
  let run: Readable[] = [];
  let shape = '';
  for (const file of files) {
    const own = [...wanted].map((name) => file.columns.get(name)?.shape ?? '').join('\0');
    if (run.length > 0 && own !== shape) {
      yield run;
      run = [];
    }
    shape = own;
    run.push(file);
  }
  if (run.length > 0) yield run;
}
