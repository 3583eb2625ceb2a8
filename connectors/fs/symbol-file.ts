// What: a fixed symbol dictionary from a file: JSON, CSV `name,id`, or one name a line.
// Why: some have their ids from elsewhere (an exchange's instrument list) and want files by those.
// Invariant: ids are dense from 0 and the file is read once; a name that is not in it is refused, never given an id.

import { readFile } from 'node:fs/promises';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { SymbolDirectory } from '../../src/ports.ts';

/** @throws ZeptoError CONFIG_INVALID (stop) naming the line that is wrong. */
export async function openSymbolFile(path: string): Promise<SymbolDirectory> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    const { code = 'unknown error' } = cause as { code?: string };
    throw new ZeptoError('CONFIG_INVALID', 'stop', `--symbols-file ${path} cannot be read: ${code}`, {
      cause,
    });
  }
  const names = symbolNames(text, path);
  const idByName = new Map(names.map((name, id) => [name, id]));
  return {
    assign: async (wanted) =>
      wanted.map((name) => {
        const id = idByName.get(name);
        if (id === undefined)
          throw new ZeptoError(
            'SYMBOL_LIMIT',
            'skip-record',
            `symbol "${name.slice(0, 40)}" is not in --symbols-file ${path}`,
          );
        return id;
      }),
    subscribe: (learn) => {
      names.forEach((name, id) => {
        learn(name, id);
      });
    },
    close: async () => {},
  };
}

/**
 * Names in id order. JSON: `["A", "B"]` or `{"A": 0, "B": 1}`. CSV: lines `name,id` in any order, names quoted where they
 * hold a comma or a quote, a header line if wished. Else one name a line, its id the line's number from 0.
 */
export function symbolNames(text: string, path: string): string[] {
  const invalid = (problem: string): ZeptoError =>
    new ZeptoError('CONFIG_INVALID', 'stop', `--symbols-file ${path}: ${problem}`);
  const entries = /^\s*[[{]/.test(text) ? jsonEntries(text, invalid) : lineEntries(text, invalid);
  const names: string[] = new Array(entries.length);
  const seen = new Set<string>();
  for (const { name, id, where } of entries) {
    if (seen.has(name)) throw invalid(`${where}: symbol "${name}" stands twice`);
    if (!Number.isInteger(id) || id < 0 || id >= entries.length)
      throw invalid(
        `${where}: id ${id} of "${name}": ids of ${entries.length} symbols go from 0 to ${entries.length - 1}`,
      );
    if (names[id] !== undefined)
      throw invalid(`${where}: id ${id} is given to "${names[id]}" and to "${name}"`);
    seen.add(name);
    names[id] = name;
  }
  return names;
}

interface Entry {
  readonly name: string;
  readonly id: number;
  readonly where: string;
}

function jsonEntries(text: string, invalid: (problem: string) => ZeptoError): Entry[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(`not JSON: ${(error as Error).message}`);
  }
  if (Array.isArray(value))
    return value.map((name: unknown, id) => {
      if (typeof name !== 'string') throw invalid(`entry ${id} is not a string`);
      return { name, id, where: `entry ${id}` };
    });
  return Object.entries(value as Record<string, unknown>).map(([name, id]) => ({
    name,
    id: typeof id === 'number' ? id : Number.NaN,
    where: `"${name}"`,
  }));
}

const CSV_LINE = /^(?:"((?:[^"]|"")*)"|([^",]*)),\s*(\d+)\s*$/;

function lineEntries(text: string, invalid: (problem: string) => ZeptoError): Entry[] {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  while (lines.at(-1) === '') lines.pop();
  const hasHeader = /^\s*"?(name|symbol)"?\s*,\s*"?id"?\s*$/i.test(lines[0] ?? '');
  const isCsv = hasHeader || CSV_LINE.test(lines[0] ?? '');
  return lines.slice(hasHeader ? 1 : 0).map((line, index) => {
    const where = `line ${index + (hasHeader ? 2 : 1)}`;
    if (line === '') throw invalid(`${where} is empty`);
    if (!isCsv) return { name: line, id: index, where };
    const match = CSV_LINE.exec(line);
    if (match === null) throw invalid(`${where}: "${line.slice(0, 60)}" is not name,id`);
    return { name: match[1]?.replaceAll('""', '"') ?? match[2]!, id: Number(match[3]), where };
  });
}
