// What: objects of the store as local files, the most recently read ones, up to a number of bytes.
// Why: queries over cold data come back to the same objects, and a store is a network away.
// Invariant: a file that is there is whole, and stays while it is held; the folder belongs to one cache, which empties it when it starts.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { access, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ZeptoError } from '../../src/kernel/errors.ts';

/** Up to here a file is read in less time than another thread takes to wake up for it. */
const SMALL_BYTES = 2 ** 18;

export interface ObjectCacheOptions {
  readonly directory: string;
  readonly bytesMax: number;
  readonly fetch: (key: string) => Promise<Uint8Array>;
  /** Told of each look: whether the object was here. */
  readonly looked: (hit: boolean) => void;
}

/** A file that is not removed until it is released. */
export interface HeldFile {
  readonly path: string;
  /** Idempotent. */
  release(): void;
}

export class ObjectCache {
  private readonly options: ObjectCacheOptions;
  /** Bytes by key, least recently read first. */
  private readonly kept = new Map<string, number>();
  private readonly fetching = new Map<string, Promise<Uint8Array>>();
  /** How many hold a file, by key. */
  private readonly holds = new Map<string, number>();
  private readonly making = new Map<string, Promise<void>>();
  private usedBytes = 0;
  /** Of files that are being written. */
  private comingBytes = 0;
  /** Files that were begun. */
  private parts = 0;
  private emptied: Promise<unknown> | null = null;

  constructor(options: ObjectCacheOptions) {
    this.options = options;
  }

  get directory(): string {
    return this.options.directory;
  }

  get bytesMax(): number {
    return this.options.bytesMax;
  }

  /** @throws ZeptoError of the store. What goes wrong with a local file only costs the fetch. */
  async read(key: string): Promise<Uint8Array> {
    const local = await this.readLocal(key);
    this.options.looked(local !== null);
    if (local !== null) return local;
    // Who asks for it meanwhile, also while its file is written, gets the same bytes.
    const running = this.fetching.get(key);
    if (running !== undefined) return running;
    const fetched = this.options.fetch(key);
    this.fetching.set(key, fetched);
    try {
      const bytes = await fetched;
      await this.keep(key, bytes).catch(() => this.forget(key));
      return bytes;
    } finally {
      this.fetching.delete(key);
    }
  }

  /**
   * The file of `key`, which `make` writes to a path when it is not here; it has `bytes` bytes.
   * @throws ZeptoError LIMIT_EXCEEDED when what is held leaves no room for it; what `make` throws.
   */
  async hold(key: string, bytes: number, make: (path: string) => Promise<void>): Promise<HeldFile> {
    this.options.looked(this.kept.has(key));
    // Counted before it is there, so that it is not removed as soon as it is.
    this.holds.set(key, (this.holds.get(key) ?? 0) + 1);
    const release = onlyOnce(() => {
      const left = this.holds.get(key)! - 1;
      if (left > 0) this.holds.set(key, left);
      else this.holds.delete(key);
    });
    try {
      // Removed by somebody: it is made anew.
      if (this.kept.has(key) && !(await isThere(this.pathOf(key)))) this.forget(key);
      while (!this.kept.has(key)) {
        const running = this.making.get(key);
        // Who makes it may be cancelled, which is no reason for the others to fail.
        if (running !== undefined) await running.catch(() => {});
        else {
          const mine = this.make(key, bytes, make).finally(() => this.making.delete(key));
          this.making.set(key, mine);
          await mine;
        }
      }
      this.touch(key);
    } catch (error) {
      release();
      throw error;
    }
    return { path: this.pathOf(key), release };
  }

  async close(): Promise<void> {
    await rm(this.options.directory, { recursive: true, force: true });
  }

  private async readLocal(key: string): Promise<Uint8Array | null> {
    const bytes = this.kept.get(key);
    if (bytes === undefined) return null;
    this.touch(key);
    const path = this.pathOf(key);
    try {
      return bytes <= SMALL_BYTES ? readFileSync(path) : await readFile(path);
    } catch {
      // Removed by somebody, or a disk that fails: the store has it.
      this.forget(key);
      return null;
    }
  }

  private async keep(key: string, bytes: Uint8Array): Promise<void> {
    if (this.kept.has(key) || !(await this.makeRoom(bytes.length))) return;
    await this.put(key, bytes.length, (path) => writeFile(path, bytes));
  }

  private async make(key: string, bytes: number, make: (path: string) => Promise<void>): Promise<void> {
    if (!(await this.makeRoom(bytes)))
      throw new ZeptoError(
        'LIMIT_EXCEEDED',
        'stop',
        `a file of ${bytes} bytes does not fit into the ${this.options.bytesMax} that a query thread may keep on the local disk ` +
          '(--cold-cache-bytes, shared by --query-threads)',
        { context: { limit: 'cold-cache-bytes', bytes, bytesMax: this.options.bytesMax } },
      );
    await this.put(key, bytes, make);
  }

  /** Takes the room for `bytes`, and removes what was not read for longest; false: what is held leaves too little. */
  private async makeRoom(bytes: number): Promise<boolean> {
    const { directory, bytesMax } = this.options;
    let heldBytes = 0;
    for (const key of this.holds.keys()) heldBytes += this.kept.get(key) ?? 0;
    if (heldBytes + this.comingBytes + bytes > bytesMax) return false;
    this.comingBytes += bytes;
    const removed: string[] = [];
    for (const oldest of this.kept.keys()) {
      if (this.usedBytes + this.comingBytes <= bytesMax) break;
      if (this.holds.has(oldest)) continue;
      this.forget(oldest);
      removed.push(this.pathOf(oldest));
    }
    this.emptied ??= rm(directory, { recursive: true, force: true }).then(() =>
      mkdir(directory, { recursive: true }),
    );
    try {
      await this.emptied;
      await Promise.all(removed.map((path) => rm(path, { force: true })));
    } catch (error) {
      this.comingBytes -= bytes;
      throw error;
    }
    return true;
  }

  /** The room that was made becomes the file's, or is given back. */
  private async put(key: string, bytes: number, write: (path: string) => Promise<void>): Promise<void> {
    const path = this.pathOf(key);
    // Another one may be written at the same time: one is read, and held by somebody else.
    const part = `${path}.${this.parts++}.part`;
    try {
      await write(part);
      await rename(part, path);
      this.forget(key);
      this.kept.set(key, bytes);
      this.usedBytes += bytes;
    } catch (error) {
      await rm(part, { force: true });
      throw error;
    } finally {
      this.comingBytes -= bytes;
    }
  }

  private touch(key: string): void {
    const bytes = this.kept.get(key)!;
    this.kept.delete(key);
    this.kept.set(key, bytes);
  }

  private forget(key: string): void {
    this.usedBytes -= this.kept.get(key) ?? 0;
    this.kept.delete(key);
  }

  private pathOf(key: string): string {
    return join(this.options.directory, createHash('sha256').update(key).digest('hex'));
  }
}

function onlyOnce(act: () => void): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    act();
  };
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
