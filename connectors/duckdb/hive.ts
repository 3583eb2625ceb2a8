// What: columns that stand in the paths of files: `…/year=2024/symbol=42/x.parquet`.
// Why: Spark, DuckDB, Athena and this system's own cold tier keep them there and not in the files.
// Invariant: a key is a column when every file has it; all values of an INT64 one are whole numbers.

export interface PathColumn {
  readonly name: string;
  readonly type: 'INT64' | 'STRING';
}

const INTEGER = /^-?\d{1,18}$/;
/** Hive's word for NULL. */
const NULL_PARTITION = '__HIVE_DEFAULT_PARTITION__';

/** Keys and values in a path, outermost first; a key that is there twice counts by its innermost value. */
export function pathValues(path: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const folder of path.split('/').slice(0, -1)) {
    const at = folder.indexOf('=');
    if (at > 0) values.set(folder.slice(0, at), folder.slice(at + 1));
  }
  return values;
}

export function pathColumns(paths: readonly string[]): PathColumn[] {
  const [first, ...others] = paths.map(pathValues);
  if (first === undefined) return [];
  const all = [first, ...others];
  return [...first.keys()]
    .filter((name) => all.every((values) => values.has(name)))
    .map((name) => {
      const isInteger = all.every((values) => {
        const value = values.get(name)!;
        return value === NULL_PARTITION || INTEGER.test(value);
      });
      return { name: decoded(name), type: isInteger ? 'INT64' : 'STRING' };
    });
}

/** The value of a column in each of the paths; null stands for NULL. */
export function valuesInPaths(name: string, paths: readonly string[]): (string | null)[] {
  return paths.map((path) => {
    const [, value] = [...pathValues(path)].find(([key]) => decoded(key) === name)!;
    return value === NULL_PARTITION ? null : decoded(value);
  });
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
