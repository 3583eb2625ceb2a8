// What: a disk in memory whose processes die and whose power fails.
// Why: which files stand after a crash depends on what was synced; here each outcome that POSIX allows can be had and repeated.
// Invariant: deterministic given the calls and the random numbers; only what was synced is sure to survive a loss of power.

import { basename, dirname } from 'node:path';
import { diskError } from '../../connectors/fs/errors.ts';
import { bytesOf } from '../../src/columns/types.ts';
import type { Disk } from '../../src/ports.ts';

export interface DiskCall {
  readonly operation: keyof Disk;
  readonly path: string;
  /** 0 for the first call of this mount. */
  readonly number: number;
}

/** A hook may throw (the caller sees it), wait, or never settle; usually it kills the mount, see `MountedDisk.kill`. */
export interface DiskHooks {
  readonly before?: (call: DiskCall) => void | Promise<void>;
  /**
   * In the middle of what is not atomic: a file is half written; a file that is moved has both names; of a folder that
   * is removed half the entries are gone.
   */
  readonly during?: (call: DiskCall) => void | Promise<void>;
  readonly after?: (call: DiskCall) => void | Promise<void>;
}

/** One process's view of the volume. */
export interface MountedDisk extends Disk {
  /** The process dies: none of its calls, under way or later, does anything or settles any more. */
  kill(): void;
}

export interface MemoryVolume {
  mount(hooks?: DiskHooks): MountedDisk;
  /**
   * Every mount is killed. Files that were not synced keep any prefix of their bytes or what they held before; changes of
   * folders that were not synced are kept or undone one by one.
   */
  losePower(random: () => number): void;
  /** All files by path, as a process would read them now. */
  files(): Map<string, Uint8Array>;
  /** A write that would go above it ends with DISK_FULL. */
  setCapacityBytes(bytes: number): void;
}

interface FileNode {
  readonly kind: 'file';
  bytes: Uint8Array;
  /** What survives for sure; null = never synced. */
  durable: Uint8Array | null;
}

interface FolderNode {
  readonly kind: 'folder';
  entries: Map<string, DiskNode>;
  durable: Map<string, DiskNode>;
}

type DiskNode = FileNode | FolderNode;

/** Happens as a whole or not at all: a file system's journal keeps a rename together. */
type FolderChange = readonly {
  readonly folder: FolderNode;
  readonly name: string;
  readonly node: DiskNode | null;
}[];

export function memoryVolume(): MemoryVolume {
  const root = newFolder();
  let unsynced: FolderChange[] = [];
  let capacityBytes = Number.POSITIVE_INFINITY;
  const mounts = new Set<MountedDisk>();

  function change(changes: FolderChange): void {
    apply(changes, 'entries');
    unsynced.push(changes);
  }

  /** Makes durable what changed in the folder, and every earlier change in a folder that these changes touch. */
  function sync(folder: FolderNode): void {
    const touched = new Set([folder]);
    const settled = new Set<FolderChange>();
    for (const changes of unsynced.toReversed()) {
      if (!changes.some((entry) => touched.has(entry.folder))) continue;
      settled.add(changes);
      for (const entry of changes) touched.add(entry.folder);
    }
    for (const changes of unsynced) if (settled.has(changes)) apply(changes, 'durable');
    unsynced = unsynced.filter((changes) => !settled.has(changes));
  }

  function find(path: string): DiskNode | null {
    let node: DiskNode = root;
    for (const name of namesOf(path)) {
      if (node.kind === 'file') throw errno('ENOTDIR');
      const next = node.entries.get(name);
      if (next === undefined) return null;
      node = next;
    }
    return node;
  }

  function folderAt(path: string): FolderNode {
    const node = find(path);
    if (node === null) throw errno('ENOENT');
    if (node.kind === 'file') throw errno('ENOTDIR');
    return node;
  }

  function makeDirectory(path: string, durably: boolean): void {
    let folder: FolderNode = root;
    for (const name of namesOf(path)) {
      const next = folder.entries.get(name);
      if (next?.kind === 'file') throw errno('EEXIST');
      if (next === undefined) {
        const made = newFolder();
        change([{ folder, name, node: made }]);
        if (durably) sync(folder);
        folder = made;
      } else folder = next;
    }
  }

  function openForWriting(path: string): FileNode {
    const folder = folderAt(dirname(path));
    const name = basename(path);
    const node = folder.entries.get(name);
    if (node?.kind === 'folder') throw errno('EISDIR');
    if (node !== undefined) return node;
    const file: FileNode = { kind: 'file', bytes: new Uint8Array(0), durable: null };
    change([{ folder, name, node: file }]);
    return file;
  }

  function unlink(path: string): void {
    change([{ folder: folderAt(dirname(path)), name: basename(path), node: null }]);
  }

  function mount(hooks: DiskHooks = {}): MountedDisk {
    let dead = false;
    let calls = 0;

    /** The steps of one call, with the hooks between them. */
    async function run<T>(
      operation: keyof Disk,
      path: string,
      what: string,
      steps: { readonly half?: () => boolean; readonly whole: () => T },
    ): Promise<T> {
      const call: DiskCall = { operation, path, number: calls++ };
      const reach = async (hook: ((call: DiskCall) => void | Promise<void>) | undefined): Promise<void> => {
        if (!dead) await hook?.(call);
        if (dead) await new Promise<never>(() => {});
      };
      try {
        await reach(hooks.before);
        if (steps.half?.()) await reach(hooks.during);
        const result = steps.whole();
        await reach(hooks.after);
        return result;
      } catch (error) {
        throw isErrno(error) ? diskError(what, path, error) : error;
      }
    }

    const mounted: MountedDisk = {
      makeDirectory: (path, durably = true) =>
        run('makeDirectory', path, 'make the folder', { whole: () => makeDirectory(path, durably) }),

      writeFile(path, parts, durably) {
        const bytes = Buffer.concat(parts.map(bytesOf));
        return run('writeFile', path, 'write', {
          half() {
            if (used(root) + bytes.byteLength > capacityBytes) throw errno('ENOSPC');
            openForWriting(path).bytes = bytes.subarray(0, bytes.byteLength >> 1);
            return true;
          },
          whole() {
            const file = openForWriting(path);
            file.bytes = bytes;
            if (durably) file.durable = bytes;
          },
        });
      },

      rename(from, to) {
        let linked: FolderChange | null = null;
        return run('rename', to, 'rename to', {
          half() {
            const node = find(from);
            if (node?.kind !== 'file' || find(to) !== null) return false;
            linked = [{ folder: folderAt(dirname(to)), name: basename(to), node }];
            change(linked);
            return true;
          },
          whole() {
            const node = find(from);
            if (node === null) throw errno('ENOENT');
            const removal = { folder: folderAt(dirname(from)), name: basename(from), node: null };
            if (linked !== null) {
              // A journal keeps the order: the old name never goes while the new one is not there.
              const pending = unsynced.indexOf(linked);
              if (pending < 0) change([removal]);
              else {
                unsynced.splice(pending, 1);
                change([...linked, removal]);
              }
              return 'moved';
            }
            const there = find(to);
            if (there !== null && (there.kind === 'file' || there.entries.size > 0)) return 'exists';
            change([removal, { folder: folderAt(dirname(to)), name: basename(to), node }]);
            return 'moved';
          },
        });
      },

      syncDirectory: (path) =>
        run('syncDirectory', path, 'sync the folder', { whole: () => sync(folderAt(path)) }),

      readFile: (path) =>
        run('readFile', path, 'read', {
          whole() {
            const node = find(path);
            if (node?.kind === 'folder') throw errno('EISDIR');
            return node === null ? null : node.bytes.slice();
          },
        }),

      list: (path) =>
        run('list', path, 'list', {
          whole: () => (find(path) === null ? [] : [...folderAt(path).entries.keys()]),
        }),

      remove: (path) =>
        run('remove', path, 'remove', {
          half() {
            const node = find(path);
            if (node?.kind !== 'folder') return false;
            const names = [...node.entries.keys()];
            for (const name of names.slice(0, (names.length + 1) >> 1))
              change([{ folder: node, name, node: null }]);
            return true;
          },
          whole() {
            if (find(path) !== null) unlink(path);
          },
        }),

      kill() {
        dead = true;
      },
    };
    mounts.add(mounted);
    return mounted;
  }

  return {
    mount,

    losePower(random) {
      for (const mounted of mounts) mounted.kill();
      mounts.clear();
      for (const changes of unsynced) if (random() < 0.5) apply(changes, 'durable');
      unsynced = [];
      restore(root, random);
    },

    files() {
      const found = new Map<string, Uint8Array>();
      const visit = (folder: FolderNode, path: string): void => {
        for (const [name, node] of folder.entries) {
          if (node.kind === 'file') found.set(`${path}/${name}`, node.bytes);
          else visit(node, `${path}/${name}`);
        }
      };
      visit(root, '');
      return found;
    },

    setCapacityBytes(bytes) {
      capacityBytes = bytes;
    },
  };
}

const newFolder = (): FolderNode => ({ kind: 'folder', entries: new Map(), durable: new Map() });

const namesOf = (path: string): string[] => path.split('/').filter((name) => name !== '');

function apply(changes: FolderChange, to: 'entries' | 'durable'): void {
  for (const { folder, name, node } of changes) {
    if (node === null) folder[to].delete(name);
    else folder[to].set(name, node);
  }
}

function restore(folder: FolderNode, random: () => number): void {
  folder.entries = new Map(folder.durable);
  for (const node of folder.entries.values()) {
    if (node.kind === 'folder') restore(node, random);
    else if (node.durable !== node.bytes) {
      node.bytes = tornBytes(node, random);
      node.durable = node.bytes;
    }
  }
}

/** What an unsynced file may hold afterwards: what it held before, nothing, some of its bytes, or all of them. */
function tornBytes(file: FileNode, random: () => number): Uint8Array {
  const outcome = Math.floor(random() * 4);
  if (outcome === 0) return file.durable ?? new Uint8Array(0);
  if (outcome === 1) return new Uint8Array(0);
  if (outcome === 2) return file.bytes.slice(0, Math.floor(random() * file.bytes.byteLength));
  return file.bytes;
}

function used(node: DiskNode): number {
  if (node.kind === 'file') return node.bytes.byteLength;
  let bytes = 0;
  for (const entry of node.entries.values()) bytes += used(entry);
  return bytes;
}

const errno = (code: string): Error => Object.assign(new Error(code), { code });

const isErrno = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.name === 'Error';
