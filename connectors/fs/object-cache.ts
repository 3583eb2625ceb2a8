// What: objects of the store as local files, the most recently read ones, up to a number of bytes.
// Why: queries over cold data come back to the same objects, and a store is a network away.
// Invariant: a file that is there is whole; the folder belongs to one cache, which empties it when it starts.

import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface ObjectCacheOptions {
  readonly directory: string;
  readonly bytesMax: number;
  readonly fetch: (key: string) => Promise<Uint8Array>;
  /** Told of each look: whether the object was here. */
  readonly looked: (hit: boolean) => void;
}

export class ObjectCache {
  private readonly options: ObjectCacheOptions;
  /** Bytes by key, least recently read first. */
  private readonly kept = new Map<string, number>();
  private readonly fetching = new Map<string, Promise<Uint8Array>>();
  private usedBytes = 0;
  private emptied: Promise<unknown> | null = null;

  constructor(options: ObjectCacheOptions) {
    this.options = options;
  }

  /** @throws ZeptoError of the store. What goes wrong with a local file only costs the fetch. */
  async read(key: string): Promise<Uint8Array> {
    const local = await this.readLocal(key);
    this.options.looked(local !== null);
    if (local !== null) return local;
    // Who asks for it meanwhile gets the same bytes.
    const running = this.fetching.get(key);
    if (running !== undefined) return running;
    const fetched = this.options.fetch(key).finally(() => this.fetching.delete(key));
    this.fetching.set(key, fetched);
    const bytes = await fetched;
    await this.keep(key, bytes).catch(() => this.forget(key));
    return bytes;
  }

  async close(): Promise<void> {
    await rm(this.options.directory, { recursive: true, force: true });
  }

  private async readLocal(key: string): Promise<Uint8Array | null> {
    const bytes = this.kept.get(key);
    if (bytes === undefined) return null;
    this.kept.delete(key);
    this.kept.set(key, bytes);
    try {
      return await readFile(this.pathOf(key));
    } catch {
      // Removed by somebody, or a disk that fails: the store has it.
      this.forget(key);
      return null;
    }
  }

  private async keep(key: string, bytes: Uint8Array): Promise<void> {
    const { directory, bytesMax } = this.options;
    if (bytes.length > bytesMax || this.kept.has(key)) return;
    this.emptied ??= rm(directory, { recursive: true, force: true }).then(() =>
      mkdir(directory, { recursive: true }),
    );
    await this.emptied;
    for (const oldest of this.kept.keys()) {
      if (this.usedBytes + bytes.length <= bytesMax) break;
      this.forget(oldest);
      await rm(this.pathOf(oldest), { force: true });
    }
    const path = this.pathOf(key);
    await writeFile(`${path}.part`, bytes);
    await rename(`${path}.part`, path);
    this.kept.set(key, bytes.length);
    this.usedBytes += bytes.length;
  }

  private forget(key: string): void {
    this.usedBytes -= this.kept.get(key) ?? 0;
    this.kept.delete(key);
  }

  private pathOf(key: string): string {
    return join(this.options.directory, createHash('sha256').update(key).digest('hex'));
  }
}
