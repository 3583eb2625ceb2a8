// What: the analytic engine over DuckDB: columns and rows of the Parquet files that a path names.
// Why: files that others wrote, in whatever encoding, join this system's tables without an import.
// Invariant: DuckDB is given lists of files that were found to be below the roots, never a pattern; copies and connections end with the statement.

import type { DuckDBConnection } from '@duckdb/node-api';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { AnalyticEngine, ForeignColumn, ForeignRun, ObjectStore } from '../../src/ports.ts';
import { bucketFiles } from './bucket-files.ts';
import { foreignType } from './column-types.ts';
import { LazyDatabase } from './database.ts';
import { duckdbError, isBroken } from './errors.ts';
import { type LocalCopies, type Readable, readable } from './exact-copy.ts';
import { type FoundFile, noFile } from './found-file.ts';
import { pathColumns } from './hive.ts';
import { localFiles } from './local-files.ts';
import { groupsOf, openGroup, runsOfOneShape } from './open-files.ts';
import { runOfChunk } from './read-chunk.ts';
import { parseRoot, placeOf } from './roots.ts';
import {
  countSql,
  type DescribedColumn,
  describeSql,
  sameName,
  selectSql,
  type WantedColumn,
} from './statements.ts';

export interface DuckdbSettings {
  /** Absolute folders and `s3://bucket/prefix`; see roots.ts. */
  readonly roots: readonly string[];
  readonly memoryLimitMb: number;
  readonly threads: number;
}

export interface DuckdbSurroundings {
  readonly copies: LocalCopies;
  readonly storeOf: (bucket: string) => Pick<ObjectStore, 'list' | 'get'>;
}

/** What a path names, for the time of one query. */
interface Look {
  readonly files: readonly FoundFile[];
  readonly columns: readonly WantedColumn[];
}

export class DuckdbEngine implements AnalyticEngine {
  private readonly settings: DuckdbSettings;
  private readonly around: DuckdbSurroundings;
  private readonly database: LazyDatabase;
  /** What a query was told of a path holds when it reads it. */
  private readonly looks = new WeakMap<AbortSignal, Map<string, Promise<Look>>>();

  constructor(settings: DuckdbSettings, around: DuckdbSurroundings) {
    this.settings = settings;
    this.around = around;
    this.database = new LazyDatabase({
      ...settings,
      directories: [
        ...settings.roots.map(parseRoot).flatMap((root) => (root.kind === 'folder' ? [root.path] : [])),
        around.copies.directory,
      ],
    });
  }

  async describe(path: string, signal: AbortSignal): Promise<readonly ForeignColumn[]> {
    const { columns } = await this.look(path, signal);
    return columns.map(({ name, type }) => ({ name, type }));
  }

  async *readPath(path: string, names: readonly string[], signal: AbortSignal): AsyncGenerator<ForeignRun> {
    const look = await this.look(path, signal);
    const columns = names.map((name) => columnOf(look, name));
    const wanted = new Set(columns.filter(({ isFromPath }) => !isFromPath).map(({ name }) => name));
    for (const group of groupsOf(look.files, this.around.copies.bytesMax)) {
      const opened = await openGroup(group, (file) => this.open(file, wanted, signal));
      try {
        for (const files of runsOfOneShape(opened, wanted)) yield* this.read(files, columns, signal);
      } finally {
        for (const file of opened) file.release();
      }
    }
  }

  close(): Promise<void> {
    return this.database.close();
  }

  private look(path: string, signal: AbortSignal): Promise<Look> {
    let ofQuery = this.looks.get(signal);
    if (ofQuery === undefined) {
      ofQuery = new Map();
      this.looks.set(signal, ofQuery);
    }
    let look = ofQuery.get(path);
    if (look === undefined) {
      look = this.lookNow(path, signal);
      ofQuery.set(path, look);
    }
    return look;
  }

  private async lookNow(path: string, signal: AbortSignal): Promise<Look> {
    const { roots } = this.settings;
    const place = placeOf(path, roots);
    const files =
      place.kind === 'local'
        ? await localFiles(path, place.pattern, roots, signal)
        : await bucketFiles(path, place.bucket, place.pattern, this.around.storeOf(place.bucket), signal);
    const [first] = files;
    if (first === undefined) throw noFile(path);
    const columns = new Map<string, WantedColumn>();
    // A column that was added later is in the last file alone.
    for (const file of new Set([first, files.at(-1)!])) {
      for (const { name, duckdbType } of await this.describeFile(file, signal))
        if (!hasName(columns, name))
          columns.set(name, { name, type: foreignType(duckdbType), isFromPath: false });
    }
    for (const { name, type } of pathColumns(files.map((file) => file.name)))
      if (!hasName(columns, name)) columns.set(name, { name, type, isFromPath: true });
    return { files, columns: [...columns.values()] };
  }

  private async describeFile(file: FoundFile, signal: AbortSignal): Promise<DescribedColumn[]> {
    const opened = await this.open(file, null, signal);
    try {
      return await this.connected([opened], signal, (connection) => describeFiles(connection, [opened]));
    } finally {
      opened.release();
    }
  }

  private open(file: FoundFile, wanted: ReadonlySet<string> | null, signal: AbortSignal): Promise<Readable> {
    return readable(file, wanted, this.around.copies, this.around.storeOf, signal);
  }

  /** Rows of files in which the columns have the same types. */
  private async *read(
    files: readonly Readable[],
    columns: readonly WantedColumn[],
    signal: AbortSignal,
  ): AsyncGenerator<ForeignRun> {
    const { bindings } = await this.database.open();
    const { connection, end } = await this.connect(signal);
    try {
      if (columns.length === 0) {
        const counted = await connection.runAndReadAll(countSql(files));
        yield { rows: Number(counted.getRows()[0]![0]), columns: [] };
        return;
      }
      const there = await describeFiles(connection, files);
      const result = await connection.stream(selectSql(columns, there, files));
      for (;;) {
        signal.throwIfAborted();
        const chunk = await result.fetchChunk();
        if (chunk === null || chunk.rowCount === 0) return;
        yield runOfChunk(chunk, columns, bindings);
      }
    } catch (error) {
      throw this.told(error, files, signal);
    } finally {
      end();
    }
  }

  private async connected<T>(
    files: readonly Readable[],
    signal: AbortSignal,
    work: (connection: DuckDBConnection) => Promise<T>,
  ): Promise<T> {
    const { connection, end } = await this.connect(signal);
    try {
      return await work(connection);
    } catch (error) {
      throw this.told(error, files, signal);
    } finally {
      end();
    }
  }

  /** A connection that the signal interrupts. */
  private async connect(signal: AbortSignal): Promise<{ connection: DuckDBConnection; end(): void }> {
    const database = await this.database.open();
    const connection = await database.connect();
    // From here on it is interrupted.
    if (signal.aborted) {
      connection.closeSync();
      throw signal.reason;
    }
    const interrupt = (): void => connection.interrupt();
    signal.addEventListener('abort', interrupt, { once: true });
    return {
      connection,
      end: () => {
        signal.removeEventListener('abort', interrupt);
        connection.closeSync();
      },
    };
  }

  private told(error: unknown, files: readonly Readable[], signal: AbortSignal): unknown {
    if (isBroken(error)) this.database.forget();
    const named = (message: string): string =>
      files.reduce((text, { path, file }) => text.replaceAll(path, file.name), message);
    const more = files.length > 1 ? ` (or one of ${files.length - 1} after it)` : '';
    return duckdbError(error, `${files[0]!.file.name}${more}`, named, signal);
  }
}

async function describeFiles(
  connection: DuckDBConnection,
  files: readonly Readable[],
): Promise<DescribedColumn[]> {
  const described = await connection.runAndReadAll(describeSql(files));
  return described.getRows().map(([name, type]) => ({ name: String(name), duckdbType: String(type) }));
}

function columnOf({ columns }: Look, name: string): WantedColumn {
  const found = columns.find((column) => column.name === name);
  if (found === undefined) throw new ZeptoError('SQL_NAME', 'stop', `the files have no column ${name}`);
  return found;
}

function hasName(columns: ReadonlyMap<string, unknown>, name: string): boolean {
  return [...columns.keys()].some((known) => sameName(known, name));
}
