// What: the analytic engine over DuckDB: columns and rows of the Parquet files that a path names.
// Why: files that others wrote, in whatever encoding, join this system's tables without an import.
// Invariant: DuckDB sees nothing but links that were made for one statement; links, copies and connections end with it.

import { join } from 'node:path';
import type { DuckDBConnection } from '@duckdb/node-api';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { AnalyticEngine, ForeignColumn, ForeignRun, ObjectStore } from '../../src/ports.ts';
import { bucketFiles } from './bucket-files.ts';
import { columnSql, type ForeignType, foreignType, nullSql, textSql } from './column-types.ts';
import { LazyDatabase } from './database.ts';
import { duckdbError, isBroken } from './errors.ts';
import { type LocalCopies, type Readable, readable } from './exact-copy.ts';
import { type FoundFile, noFile } from './found-file.ts';
import { pathColumns } from './hive.ts';
import { LinkedFiles } from './linked-files.ts';
import { localFiles } from './local-files.ts';
import { groupsOf, openGroup, runsOfOneShape } from './open-files.ts';
import { runOfChunk } from './read-chunk.ts';
import { placeOf } from './roots.ts';

export interface DuckdbSettings {
  /** Absolute folders and `s3://bucket/prefix`; see roots.ts. */
  readonly roots: readonly string[];
  readonly memoryLimitMb: number;
  readonly threads: number;
  /** Of the engine alone. */
  readonly workDirectory: string;
}

export interface DuckdbSurroundings {
  readonly copies: LocalCopies;
  readonly storeOf: (bucket: string) => Pick<ObjectStore, 'list' | 'get'>;
}

/** What a path names, for the time of one query. */
interface Look {
  readonly files: readonly FoundFile[];
  readonly columns: readonly (ForeignColumn & { readonly type: ForeignType; readonly isFromPath: boolean })[];
}

interface Described {
  readonly name: string;
  readonly duckdbType: string;
}

export class DuckdbEngine implements AnalyticEngine {
  private readonly settings: DuckdbSettings;
  private readonly around: DuckdbSurroundings;
  private readonly database: LazyDatabase;
  /** What a query was told of a path holds when it reads it. */
  private readonly looks = new WeakMap<AbortSignal, Map<string, Promise<Look>>>();
  private statements = 0;

  constructor(settings: DuckdbSettings, around: DuckdbSurroundings) {
    this.settings = settings;
    this.around = around;
    this.database = new LazyDatabase({ ...settings, directory: settings.workDirectory });
  }

  async describe(path: string, signal: AbortSignal): Promise<readonly ForeignColumn[]> {
    const { columns } = await this.look(path, signal);
    return columns.map(({ name, type }) => ({ name, type }));
  }

  async *readPath(path: string, names: readonly string[], signal: AbortSignal): AsyncGenerator<ForeignRun> {
    const look = await this.look(path, signal);
    const columns = names.map((name) => look.columns.find((column) => column.name === name)!);
    const wanted = new Set(columns.filter(({ isFromPath }) => !isFromPath).map(({ name }) => name));
    for (const group of groupsOf(look.files)) {
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
    const columns = new Map<string, Look['columns'][number]>();
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

  private async describeFile(file: FoundFile, signal: AbortSignal): Promise<Described[]> {
    const opened = await this.open(file, null, signal);
    try {
      return await this.withLinks([opened], new Set(), signal, (links, connection) =>
        describeSource(connection, parquetSql(links.paths, false)),
      );
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
    columns: Look['columns'],
    signal: AbortSignal,
  ): AsyncGenerator<ForeignRun> {
    const fromPath = new Set(columns.filter(({ isFromPath }) => isFromPath).map(({ name }) => name));
    const { bindings } = await this.database.open();
    const statement = await this.begin(files, fromPath, signal);
    const { links, connection } = statement;
    try {
      const source = parquetSql(links.paths, fromPath.size > 0);
      if (columns.length === 0) {
        const counted = await connection.runAndReadAll(`SELECT count(*) FROM ${source}`);
        yield { rows: Number(counted.getRows()[0]![0]), columns: [] };
        return;
      }
      const there = await describeSource(connection, source);
      const select = columns.map((column) => selectSql(column, there, files[0]!.file));
      const result = await connection.stream(`SELECT ${select.join(', ')} FROM ${source}`);
      for (;;) {
        signal.throwIfAborted();
        const chunk = await result.fetchChunk();
        if (chunk === null || chunk.rowCount === 0) return;
        yield runOfChunk(chunk, columns, bindings);
      }
    } catch (error) {
      throw this.told(error, links, signal);
    } finally {
      await statement.end();
    }
  }

  private async withLinks<T>(
    files: readonly Readable[],
    fromPath: ReadonlySet<string>,
    signal: AbortSignal,
    work: (links: LinkedFiles, connection: DuckDBConnection) => Promise<T>,
  ): Promise<T> {
    const statement = await this.begin(files, fromPath, signal);
    try {
      return await work(statement.links, statement.connection);
    } catch (error) {
      throw this.told(error, statement.links, signal);
    } finally {
      await statement.end();
    }
  }

  /** A connection that the signal interrupts, and links to the files. */
  private async begin(
    files: readonly Readable[],
    fromPath: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<{ links: LinkedFiles; connection: DuckDBConnection; end(): Promise<void> }> {
    const database = await this.database.open();
    signal.throwIfAborted();
    const directory = join(this.settings.workDirectory, String(this.statements++));
    const links = await LinkedFiles.make(directory, files, fromPath);
    const connection = await database.connect();
    const interrupt = (): void => connection.interrupt();
    signal.addEventListener('abort', interrupt, { once: true });
    return {
      links,
      connection,
      end: async () => {
        signal.removeEventListener('abort', interrupt);
        connection.closeSync();
        await links.remove();
      },
    };
  }

  private told(error: unknown, links: LinkedFiles, signal: AbortSignal): unknown {
    if (isBroken(error)) this.database.forget();
    return duckdbError(error, (message) => links.named(message), signal);
  }
}

function hasName(columns: ReadonlyMap<string, unknown>, name: string): boolean {
  return columns.has(name) || [...columns.keys()].some((known) => sameName(known, name));
}

/** To DuckDB, `Price` and `price` are one column. */
const sameName = (left: string, right: string): boolean => left.toLowerCase() === right.toLowerCase();

function parquetSql(paths: readonly string[], hasPathColumns: boolean): string {
  const list = paths.map(textSql).join(', ');
  return `read_parquet([${list}], hive_partitioning = ${hasPathColumns}, hive_types_autocast = false)`;
}

async function describeSource(connection: DuckDBConnection, source: string): Promise<Described[]> {
  const described = await connection.runAndReadAll(`DESCRIBE SELECT * FROM ${source}`);
  return described.getRows().map(([name, type]) => ({ name: String(name), duckdbType: String(type) }));
}

function selectSql(
  { name, type, isFromPath }: Look['columns'][number],
  there: readonly Described[],
  file: FoundFile,
): string {
  const found = there.find((column) => sameName(column.name, name));
  if (found === undefined) return nullSql(type);
  if (isFromPath) return columnSql(found.name, type === 'INT64' ? 'BIGINT' : 'VARCHAR', type)!;
  const sql = columnSql(found.name, found.duckdbType, type);
  if (sql !== null) return sql;
  throw new ZeptoError(
    'FORMAT_INVALID',
    'stop',
    `column ${name} is ${found.duckdbType} in ${file.name} and ${type} in the files before: read them apart`,
    { context: { path: file.name, column: name } },
  );
}
