// What: what stands in the bucket or the folder: Parquet objects, or `.bin` folders with the bytes of their columns.
// Why: a listing alone tells what is missing, cut short, or named by no plan.
// Invariant: about 200 bytes of memory for each file; nothing is read.

import { parseBinFolder, tablePrefix } from '../format/layout.ts';
import type { ObjectStore } from '../ports.ts';

export type Medium = 'parquet' | 'bin';
export type Readable = Pick<ObjectStore, 'list' | 'get'>;

/** Files by path; a file that a manifest has named is taken out of `unnamed`. */
export class Inventory {
  readonly medium: Medium;
  readonly prefix: string;
  private readonly sizes = new Map<string, number>();
  private readonly unnamedPaths = new Set<string>();
  private readonly tables = new Set<string>();
  private readonly store: Readable;
  private readonly tick: (files: number) => void;

  constructor(medium: Medium, prefix: string, store: Readable, tick: (files: number) => void) {
    this.medium = medium;
    this.prefix = prefix;
    this.store = store;
    this.tick = tick;
  }

  get size(): number {
    return this.sizes.size;
  }

  get unnamed(): Iterable<string> {
    return this.unnamedPaths;
  }

  /** Bytes of the file; null when there is none. */
  bytesOf(path: string): number | null {
    return this.sizes.get(path) ?? null;
  }

  /** False when it was named before. */
  name(path: string): boolean {
    return this.unnamedPaths.delete(path);
  }

  /** Lists the files of a table, once. Without a prefix of its own, the first listing has them all. */
  async addTable(table: string, signal?: AbortSignal): Promise<void> {
    const below = this.medium === 'bin' || this.prefix === '' ? '' : `${tablePrefix(this.prefix, table)}/`;
    if (this.tables.has(below)) return;
    this.tables.add(below);
    for await (const { key, size } of this.store.list(below, signal)) {
      const relative = key.slice(below.length);
      // Folders of other purposes: _plans, _symbols, _probe, .tmp, .uploads.
      if (/^[_.]/.test(relative) || /\/[_.]/.test(relative)) continue;
      if (this.medium === 'parquet') {
        if (key.endsWith('.parquet')) this.put(key, size);
        continue;
      }
      const folder = key.slice(0, Math.max(0, key.lastIndexOf('/')));
      if (parseBinFolder(folder) === null) continue;
      if (key.endsWith('.bin')) this.put(folder, (this.sizes.get(folder) ?? 0) + size);
      else if (!this.sizes.has(folder)) this.put(folder, 0);
    }
  }

  private put(path: string, bytes: number): void {
    if (!this.sizes.has(path)) {
      this.unnamedPaths.add(path);
      if (this.sizes.size % 10_000 === 9_999) this.tick(this.sizes.size + 1);
    }
    this.sizes.set(path, bytes);
  }
}
