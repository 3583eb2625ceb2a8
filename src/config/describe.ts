// What: the settings table as help text, as documentation, as JSON schema, and as an effective config file.
// Why: four descriptions kept by hand would soon be four different ones.
// Invariant: help lines fit 100 columns; no secret is ever part of a description.

import { stringify } from 'yaml';
import { z } from 'zod';
import { columnTypeNames } from '../columns/types.ts';
import { tablesSchema } from './declare-table.ts';
import { legacySettings } from './legacy.ts';
import type { LoadedConfig } from './load.ts';
import type { Setting } from './setting.ts';
import { envOf, type SettingName, settingByName, settingNames } from './settings.ts';
import { defaultTables } from './tables.ts';

const HELP_COLUMNS = 100;
const TEXT_COLUMN = 30;

/** Settings by group, both in the table's order. */
function groups(): Map<string, SettingName[]> {
  const result = new Map<string, SettingName[]>();
  for (const name of settingNames) {
    const group = settingByName[name]!.group;
    const names = result.get(group) ?? [];
    names.push(name);
    result.set(group, names);
  }
  return result;
}

/** `--port N`; a secret by the flag of its file. */
function flagText(name: string, setting: Setting<unknown>): string {
  if (setting.isSecret) return `--${name}-file FILE`;
  const negated = setting.isSwitch && setting.default === true ? `, --no-${name}` : '';
  return `${name === 'port' ? '-p, ' : ''}--${name}${setting.placeholder === '' ? negated : ` ${setting.placeholder}`}`;
}

/** Null when there is none. */
function defaultText(setting: Setting<unknown>): string | null {
  if (setting.defaultText !== null) return setting.defaultText;
  if (setting.isSwitch) return setting.default === true ? 'on' : 'off';
  const text = setting.format(setting.default);
  return text === '' ? null : text;
}

/** The part of `zepto serve --help` that lists all settings. */
export function settingsHelp(): string {
  const lines: string[] = [];
  for (const [group, names] of groups()) {
    lines.push('', `${group}:`);
    for (const name of names) {
      const setting = settingByName[name]!;
      const fallback = defaultText(setting);
      const facts = [envOf(name), ...(fallback === null ? [] : [`default ${fallback}`])].join(', ');
      const indented = wrap(`${setting.help} [${facts}]`, HELP_COLUMNS - TEXT_COLUMN).map(
        (line) => ' '.repeat(TEXT_COLUMN) + line,
      );
      const flag = `  ${flagText(name, setting)}`;
      if (flag.length < TEXT_COLUMN - 1) indented[0] = flag.padEnd(TEXT_COLUMN) + indented[0]!.trimStart();
      else lines.push(flag);
      lines.push(...indented);
    }
  }
  return lines.join('\n');
}

/** Breaks at spaces; a word longer than `columns` stands on a line of its own. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  lines.push(line);
  return lines;
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');

/** The tables of docs/configuration.md. */
export function settingsDocument(): string {
  const parts: string[] = [];
  for (const [group, names] of groups()) {
    parts.push(`### ${group}`, '', '| Setting | Default | What it does |', '| --- | --- | --- |');
    for (const name of names) {
      const setting = settingByName[name]!;
      const fallback = defaultText(setting);
      const flags = [flagText(name, setting), ...setting.aliases.map((alias) => `--${alias}`)];
      parts.push(
        `| ${flags.map((flag) => `\`${cell(flag)}\``).join('<br>')}<br>\`${envOf(name)}\`` +
          ` | ${fallback === null ? '' : `\`${cell(fallback)}\``} | ${cell(setting.help)} |`,
      );
    }
    parts.push('');
  }
  return parts.join('\n');
}

/** The default tables, for docs/configuration.md. */
export function tablesDocument(): string {
  const lines = ['| Table | Columns |', '| --- | --- |'];
  for (const { name, columns } of defaultTables) {
    const described = columns.map(
      (column) =>
        `\`${column.name}\` ${columnTypeNames[column.type]}${column.scale === undefined ? '' : `, scale ${column.scale}`}`,
    );
    lines.push(`| \`${name}\` | ${described.join('; ')} |`);
  }
  return lines.join('\n');
}

/** Flags of the original server, for docs/configuration.md. */
export function legacyDocument(): string {
  const lines = ['| Flag | Here |', '| --- | --- |'];
  for (const [name, { verdict, advice }] of Object.entries(legacySettings))
    lines.push(`| \`--${name}\` | ${verdict === 'ignored' ? 'no effect' : 'refused'}: ${cell(advice)} |`);
  return lines.join('\n');
}

/** What a config file may hold. */
export function configFileShape(): z.ZodType {
  const shape: Record<string, z.ZodType> = {};
  for (const name of settingNames) {
    const setting = settingByName[name]!;
    const fallback = defaultText(setting);
    const description = setting.help + (fallback === null ? '' : ` Default: ${fallback}.`);
    if (setting.isSecret)
      shape[`${name}-file`] = z.string().min(1).describe(`File that holds it. ${description}`).optional();
    else shape[name] = setting.schema.describe(description).optional();
  }
  shape.tables = tablesSchema.describe('Tables and how records fill them, by table name.').optional();
  return z.strictObject(shape).meta({
    title: 'zepto configuration file',
    description: 'Settings by flag name, and tables. Flags and environment variables override it.',
  });
}

/** The same as JSON Schema (draft 2020-12), for editors and validators: schemas/config.schema.json. */
export function configFileSchema(): Record<string, unknown> {
  return z.toJSONSchema(configFileShape(), { io: 'input', unrepresentable: 'any' });
}

/** What `--print-config` shows: the effective settings as a config file, each with where it came from. Secrets are masked. */
export function effectiveConfigFile(loaded: Pick<LoadedConfig, 'values' | 'sources' | 'tables'>): string {
  const lines: string[] = ['# Effective configuration; usable as a file for --config.'];
  for (const [group, names] of groups()) {
    lines.push('', `# ${group}`);
    for (const name of names) {
      const setting = settingByName[name]!;
      const value = loaded.values[name];
      const source = loaded.sources[name];
      if (setting.isSecret) {
        if (value !== null) lines.push(`# ${name}: ******** (${source}; set ${envOf(name)} or ${name}-file)`);
        continue;
      }
      const text = setting.format(value);
      if (value === null || (text === '' && source === 'default')) lines.push(`# ${name}:`);
      else lines.push(`${name}: ${yamlScalar(value, text)}  # ${source}`);
    }
  }
  if (Object.keys(loaded.tables).length > 0)
    lines.push('', stringify({ tables: loaded.tables }, { lineWidth: HELP_COLUMNS }).trimEnd());
  return `${lines.join('\n')}\n`;
}

/** Numbers and switches unquoted, texts quoted where YAML would read them as something else. */
function yamlScalar(value: unknown, text: string): string {
  if (text === 'true' || text === 'false' || typeof value === 'number') return text;
  return stringify(text, { lineWidth: 0 }).trim();
}
