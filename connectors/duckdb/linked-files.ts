// What: the files of one statement as links below the folder that DuckDB may read.
// Why: DuckDB is confined to that one folder, whatever the roots are; and what stands in a path (year=2024) is a column there.
// Invariant: each file has one link, in the order of the files; their names hold no wildcard.

import { mkdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from './exact-copy.ts';
import { pathFolders } from './hive.ts';

const LINK = 'file.parquet';

export class LinkedFiles {
  /** As DuckDB is to read them. */
  readonly paths: readonly string[];
  private readonly directory: string;
  private readonly files: readonly Readable[];

  private constructor(directory: string, files: readonly Readable[], paths: readonly string[]) {
    this.directory = directory;
    this.files = files;
    this.paths = paths;
  }

  /** `fromPath`: names of columns to be read from the paths. `directory` is made. */
  static async make(
    directory: string,
    files: readonly Readable[],
    fromPath: ReadonlySet<string>,
  ): Promise<LinkedFiles> {
    const paths: string[] = [];
    for (const [index, { file, path }] of files.entries()) {
      const folders = pathFolders(file.name, fromPath).map(withoutWildcards);
      const folder = join(directory, String(index), ...folders);
      await mkdir(folder, { recursive: true });
      paths.push(join(folder, LINK));
      await symlink(path, paths.at(-1)!);
    }
    return new LinkedFiles(directory, files, paths);
  }

  /** The message with the files' own names. */
  named(message: string): string {
    let text = message;
    for (const [index, path] of this.paths.entries())
      if (text.includes(path)) text = text.replaceAll(path, this.files[index]!.file.name);
    return text;
  }

  remove(): Promise<void> {
    return rm(this.directory, { recursive: true, force: true });
  }
}

/** DuckDB decodes them again when it reads the value. */
function withoutWildcards(folder: string): string {
  return folder.replace(/[*?[\]]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}
