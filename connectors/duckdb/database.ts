// What: DuckDB itself: loaded, set up and locked when it is first asked for.
// Why: most processes never read a foreign file, and the library is 60 MB.
// Invariant: after the set-up it reads below one folder of our own, loads nothing, and no statement can change that.

import { mkdir, rm } from 'node:fs/promises';
import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { textSql } from './column-types.ts';
import type { Bindings } from './read-chunk.ts';

export interface DatabaseSettings {
  readonly memoryLimitMb: number;
  readonly threads: number;
  /** The one folder that it reads. Emptied when the database is opened. */
  readonly directory: string;
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
    await rm(this.settings.directory, { recursive: true, force: true });
  }
}

async function openDatabase({
  memoryLimitMb,
  threads,
  directory,
}: DatabaseSettings): Promise<Database & { readonly instance: DuckDBInstance }> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
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
    await connection.run(`SET allowed_directories = [${textSql(`${directory}/`)}]`);
    await connection.run('SET enable_external_access = false');
    await connection.run('SET lock_configuration = true');
  } finally {
    connection.closeSync();
  }
  return { instance, bindings, connect: () => instance.connect() };
}
