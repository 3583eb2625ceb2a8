// What: flags > environment > file > defaults, merged, parsed, cross-checked: the one way to a Config.
// Why: an operator sees every problem at once, each with the flag, the variable and the fix.
// Invariant: either a complete Config comes out, or one CONFIG_INVALID that lists every problem; nothing in between.

import { readFileSync } from 'node:fs';
import { ZeptoError } from '../kernel/errors.ts';
import { assembleConfig } from './assemble.ts';
import type { Config } from './config.ts';
import type { TableDeclarations } from './declare-table.ts';
import { emptyRawSettings, type RawValue, type Source } from './raw.ts';
import { readEnvironment } from './read-environment.ts';
import { type ConfigFile, readConfigFile } from './read-file.ts';
import { readFlags } from './read-flags.ts';
import { flagAndEnv, type SettingName, settingByName, settingNames, type Values } from './settings.ts';

export interface ConfigInput {
  /** Arguments after the subcommand. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** @throws when the file cannot be read. */
  readonly readText?: (path: string) => string;
}

export interface LoadedConfig {
  readonly config: Config;
  /** Said once at start: settings without effect, promotions. */
  readonly notices: readonly string[];
  /** Effective values, derived ones filled in; for --print-config. */
  readonly values: Values;
  readonly sources: Readonly<Record<SettingName, Source>>;
  readonly tables: TableDeclarations;
}

/** @throws ZeptoError CONFIG_INVALID; `context.problems` holds one line per problem. */
export function loadConfig(input: ConfigInput): LoadedConfig {
  const readText = input.readText ?? ((path) => readFileSync(path, 'utf8'));
  const flags = readFlags(input.argv);
  const environment = readEnvironment(input.env);
  const problems: string[] = [];
  const file = readFile(flags.configFile ?? environment.configFile, readText, problems);
  const raw = new Map([...file.values, ...environment.values, ...flags.values]);
  problems.push(...flags.problems, ...environment.problems, ...file.problems);
  const unread = readSecretFiles(raw, environment.values, readText, problems);

  const { values, sources, invalid } = parseValues(raw, problems);
  for (const name of unread) invalid.add(name);
  if (file.tablesInvalid) invalid.add('topics');
  const assembled = assembleConfig(values, sources, invalid, file.tables);
  problems.push(...assembled.problems);
  if (problems.length > 0 || assembled.config === null) throw invalidConfig(problems);
  return {
    config: deepFreeze(assembled.config),
    notices: [...flags.notices, ...environment.notices, ...file.notices, ...assembled.notices],
    values: assembled.values,
    sources: assembled.sources,
    tables: file.tables,
  };
}

function invalidConfig(problems: readonly string[]): ZeptoError {
  const message =
    problems.length === 1
      ? problems[0]!
      : `${problems.length} problems with the configuration:\n${problems.map((line) => `  - ${line}`).join('\n')}`;
  return new ZeptoError('CONFIG_INVALID', 'stop', message, { context: { problems } });
}

function readFile(path: string | null, readText: (path: string) => string, problems: string[]): ConfigFile {
  const nothing = { ...emptyRawSettings(), tables: {}, tablesInvalid: false };
  if (path === null) return nothing;
  try {
    return readConfigFile(readText(path), path);
  } catch (error) {
    problems.push(`--config (or ZEPTO_CONFIG): cannot read ${path}: ${reason(error)}`);
    return nothing;
  }
}

/**
 * Replaces each `{secret}-file` by the secret that the file holds. A variable that holds the secret itself beats
 * the config file. Returns the secrets that could not be had.
 */
function readSecretFiles(
  raw: Map<string, RawValue>,
  environment: ReadonlyMap<string, RawValue>,
  readText: (path: string) => string,
  problems: string[],
): Set<SettingName> {
  const unread = new Set<SettingName>();
  for (const name of settingNames) {
    const fileName = `${name}-file`;
    const file = raw.get(fileName);
    if (!settingByName[name]!.isSecret || file === undefined) continue;
    raw.delete(fileName);
    const direct = environment.get(name);
    if (direct !== undefined && environment.has(fileName)) {
      problems.push(`${direct.spelled} and ${direct.spelled}_FILE are both set: unset one`);
      continue;
    }
    if (direct !== undefined && file.source === 'file') continue;
    try {
      raw.set(name, { ...file, raw: readText(file.raw).replace(/\r?\n$/, '') });
    } catch (error) {
      problems.push(`${file.spelled}: cannot read ${file.raw}: ${reason(error)}`);
      unread.add(name);
    }
  }
  return unread;
}

function parseValues(
  raw: ReadonlyMap<string, RawValue>,
  problems: string[],
): { values: Values; sources: Record<SettingName, Source>; invalid: Set<SettingName> } {
  const values: Record<string, unknown> = {};
  const invalid = new Set<SettingName>();
  const sources = {} as Record<SettingName, Source>;
  for (const name of settingNames) {
    const setting = settingByName[name]!;
    const given = raw.get(name);
    values[name] = setting.default;
    sources[name] = given?.source ?? 'default';
    if (given === undefined) continue;
    const value = setting.parse(setting.isSecret ? given.raw : given.raw.trim());
    if (value !== undefined) {
      values[name] = value;
      continue;
    }
    invalid.add(name);
    const what = setting.isSecret ? 'is empty' : `is "${shortened(given.raw)}"`;
    problems.push(`${flagAndEnv(name)} ${what} ${places[given.source]}: expects ${setting.expects}`);
  }
  return { values: values as Values, sources, invalid };
}

const places: Readonly<Record<Source, string>> = {
  flag: 'on the command line',
  environment: 'in the environment',
  file: 'in the config file',
  default: 'by default',
  derived: 'by another setting',
};

/** Without what may be the user and the password of an address: they may be why it is refused, and this goes to the log. */
function shortened(text: string): string {
  const shown = text.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, '$1…@');
  return shown.length > 80 ? `${shown.slice(0, 80)}…` : shown;
}

function reason(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EACCES') return 'permission denied';
  if (code === 'EISDIR') return 'it is a directory';
  return error instanceof Error ? error.message : String(error);
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}
