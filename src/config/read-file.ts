// What: a YAML or JSON config file as raw settings and table declarations.
// Why: a file is where tables are declared and where settings are kept under review.
// Invariant: every key is known; a mistake names the key and the file, and never stops the search for further ones.

import { parseDocument } from 'yaml';
import { readTables, type TableDeclarations } from './declare-table.ts';
import { emptyRawSettings, meaningOf, nearestKey, noteLegacy, type RawSettings } from './raw.ts';
import { envOf, settingByName } from './settings.ts';

export interface ConfigFile extends RawSettings {
  readonly tables: TableDeclarations;
  /** The section `tables` is there but could not be read. */
  readonly tablesInvalid: boolean;
}

/** @param path only named in messages. */
export function readConfigFile(text: string, path: string): ConfigFile {
  const raw = emptyRawSettings();
  const nothing = { ...raw, tables: {}, tablesInvalid: false };
  const root = parseYaml(text, path, raw);
  if (root === undefined || root === null) return nothing;
  if (typeof root !== 'object' || Array.isArray(root)) {
    raw.problems.push(`${path}: expects settings as "name: value", one per line`);
    return nothing;
  }
  let tables: TableDeclarations = {};
  let tablesInvalid = false;
  for (const [key, value] of Object.entries(root)) {
    const spelled = `${key} in ${path}`;
    if (key === 'tables') {
      const read = readTables(value, path);
      tables = read.tables;
      tablesInvalid = read.problems.length > 0;
      raw.problems.push(...read.problems);
      continue;
    }
    const meaning = meaningOf(key);
    if (meaning === null || meaning.kind === 'negated')
      raw.problems.push(`unknown setting ${spelled}${nearestKey(key)}`);
    else if (meaning.kind === 'legacy') noteLegacy(raw, spelled, meaning.legacy);
    else if (meaning.kind === 'secret')
      raw.problems.push(`${spelled}: a secret belongs into a file of its own (${key}-file) or ${envOf(key)}`);
    else if (value !== null) readValue(raw, meaning.kind, meaning.name, spelled, value);
  }
  return { ...raw, tables, tablesInvalid };
}

/** Undefined after a problem. The library's limit on aliases stops files that unfold without end. */
function parseYaml(text: string, path: string, raw: RawSettings): unknown {
  const document = parseDocument(text, { prettyErrors: true, logLevel: 'error' });
  if (document.errors.length > 0) {
    for (const error of document.errors) raw.problems.push(`${path}: ${error.message.split('\n')[0]}`);
    return undefined;
  }
  try {
    return document.toJS();
  } catch (error) {
    raw.problems.push(`${path}: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

function readValue(
  raw: RawSettings,
  kind: 'setting' | 'secret-file',
  name: string,
  spelled: string,
  value: unknown,
): void {
  const text = kind === 'setting' && settingByName[name]!.isList ? listText(value) : scalarText(value);
  if (text === undefined)
    raw.problems.push(`${spelled}: expects ${kind === 'setting' ? settingByName[name]!.expects : 'a path'}`);
  else raw.values.set(kind === 'setting' ? name : `${name}-file`, { raw: text, source: 'file', spelled });
}

function scalarText(value: unknown): string | undefined {
  const isScalar = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
  return isScalar ? String(value) : undefined;
}

/** A scalar, a list of scalars, or a map of scalars, as the command line would spell it. */
function listText(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return scalarText(value);
  const items = Array.isArray(value)
    ? value.map(scalarText)
    : Object.entries(value).map(([key, inner]) => {
        const text = scalarText(inner);
        return text === undefined ? undefined : `${key}=${text}`;
      });
  return items.includes(undefined) ? undefined : items.join(',');
}
