// What: a YAML or JSON config file as raw settings and table declarations.
// Why: a file is where tables are declared and where settings are kept under review.
// Invariant: every key is known; a mistake names the key and the file, and never stops the search for further ones.

import { LineCounter, parseDocument } from 'yaml';
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

/** No config is nested so deeply, in brackets or in what stands before a line's first word. */
const BRACKETS_DEPTH_MAX = 100;
const LEAD_CHARS_MAX = 200;
/** What follows the first ones follows from them. */
const SYNTAX_PROBLEMS_MAX = 20;

/** The library follows nesting by recursion, and its regular expressions end the process when the stack is full. */
function isNestedBeyondMeasure(text: string): boolean {
  let depth = 0;
  let lead = 0;
  let isLead = true;
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (character === '\n' || character === '\r') {
      isLead = true;
      lead = 0;
    } else if (isLead && ' \t-?:!&*|>'.includes(character)) lead++;
    else isLead = false;
    if (character === '[' || character === '{') depth++;
    else if (depth > 0 && (character === ']' || character === '}')) depth--;
    if (depth > BRACKETS_DEPTH_MAX || lead > LEAD_CHARS_MAX) return true;
  }
  return false;
}

/** Undefined after a problem. The library's limit on aliases stops files that unfold without end. */
function parseYaml(text: string, path: string, raw: RawSettings): unknown {
  if (isNestedBeyondMeasure(text)) {
    raw.problems.push(
      `${path}: is nested more than ${BRACKETS_DEPTH_MAX} deep: settings are nested four deep at most`,
    );
    return undefined;
  }
  const lines = new LineCounter();
  // The library's own prettier errors cost the whole file each.
  const document = parseDocument(text, { prettyErrors: false, lineCounter: lines, logLevel: 'error' });
  if (document.errors.length > 0) {
    for (const { message, pos } of document.errors.slice(0, SYNTAX_PROBLEMS_MAX)) {
      const { line, col } = lines.linePos(pos[0]);
      raw.problems.push(`${path}: ${message} at line ${line}, column ${col}`);
    }
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
