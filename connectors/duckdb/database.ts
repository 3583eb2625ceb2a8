// What: DuckDB itself: loaded, set up and locked when it is first asked for.
// Why: most processes never read a foreign file, and the library is 60 MB.
// Invariant: after the set-up it reads below the given folders alone, all links followed, loads nothing, and no statement can change that.

import { realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { textSql } from './column-types.ts';
import type { Bindings } from './read-chunk.ts';

export interface DatabaseSettings {
  readonly memoryLimitMb: number;
  readonly threads: number;
  /** The folders below which it reads. */
  readonly directories: readonly string[];
}

export interface Database {
  readonly bindings: Bindings;
  connect(): Promise<DuckDBConnection>;
}

export class LazyDatabase {
  private readonly settings: DatabaseSettings;
  private opening: Promise<Database & { readonly instance: DuckDBInstance }> | null = null;

  constructor(settings: DatabaseSettings) {
    this.settings = settings;
  }

  async open(): Promise<Database> {
    this.opening ??= openDatabase(this.settings).catch((error: unknown) => {
      this.opening = null;
      throw error;
    });
    return this.opening;
  }

  /** The next `open` makes another; after an error that DuckDB does not survive. */
  forget(): void {
    this.opening = null;
  }

  async close(): Promise<void> {
    const opening = this.opening;
    this.opening = null;
    if (opening === null) return;
    const { instance } = await opening;
    instance.closeSync();
  }
}

async function openDatabase({
  memoryLimitMb,
  threads,
  directories,
}: DatabaseSettings): Promise<Database & { readonly instance: DuckDBInstance }> {
  const [{ DuckDBInstance: Instance }, { default: bindings }] = await Promise.all([
    import('@duckdb/node-api'),
    import('@duckdb/node-bindings'),
  ]);
  const instance = await Instance.create(':memory:', {
    memory_limit: `${memoryLimitMb}MB`,
    threads: String(threads),
    // Nothing that is asked of it needs more than memory.
    temp_directory: '',
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
  });
  const connection = await instance.connect();
  try {
    await connection.run("SET TimeZone = 'UTC'");
    const allowed = await Promise.all(directories.map(withoutLinks));
    await connection.run(`SET allowed_directories = [${allowed.map((path) => textSql(join(path, '/')))}]`);
    await connection.run('SET enable_external_access = false');
    await connection.run('SET lock_configuration = true');
  } finally {
    connection.closeSync();
  }
  return { instance, bindings, connect: () => instance.connect() };
}

/** DuckDB compares paths with all links followed. What is not there yet is below what is. */
async function withoutLinks(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    return dirname(path) === path ? path : join(await withoutLinks(dirname(path)), basename(path));
  }
}
