// What: settings as they were spelled, before they are parsed, and which names exist.
// Why: flags, environment and file bring the same names; one shape lets one parser read all three.
// Invariant: a secret's value never comes from the command line or the config file.

import { suggestion } from '../kernel/nearest.ts';
import { type LegacySetting, legacySettings } from './legacy.ts';
import { envOf, settingByName, settingNames } from './settings.ts';

export type Source = 'flag' | 'environment' | 'file' | 'default' | 'derived';

export interface RawValue {
  readonly raw: string;
  readonly source: Source;
  /** How the user named it: `--port`, `ZEPTO_PORT`, `port in zepto.yaml`. */
  readonly spelled: string;
}

export interface RawSettings {
  readonly values: Map<string, RawValue>;
  readonly problems: string[];
  readonly notices: string[];
}

export const emptyRawSettings = (): RawSettings => ({ values: new Map(), problems: [], notices: [] });

/** What a name stands for. `secret-file`: the file that holds the secret setting `name`. */
export type Meaning =
  | { readonly kind: 'setting' | 'secret' | 'secret-file' | 'negated'; readonly name: string }
  | { readonly kind: 'legacy'; readonly name: string; readonly legacy: LegacySetting };

const aliases = new Map(settingNames.flatMap((name) => settingByName[name]!.aliases.map((a) => [a, name])));

export function meaningOf(spelled: string): Meaning | null {
  const name = aliases.get(spelled) ?? spelled;
  if (Object.hasOwn(settingByName, name))
    return { kind: settingByName[name]!.isSecret ? 'secret' : 'setting', name };
  if (Object.hasOwn(legacySettings, name)) return { kind: 'legacy', name, legacy: legacySettings[name]! };
  const secretName = name.replace(/-file$/, '');
  if (secretName !== name && settingByName[secretName]?.isSecret === true)
    return { kind: 'secret-file', name: secretName };
  const positive = name.replace(/^no-/, '');
  if (positive !== name && settingByName[positive]?.isSwitch === true)
    return { kind: 'negated', name: positive };
  return null;
}

/** Names that may be written, a secret by the name of its file. */
export const writableNames: readonly string[] = settingNames.map((name) =>
  settingByName[name]!.isSecret ? `${name}-file` : name,
);

export const nearestFlag = (name: string): string => suggestion(name, [...writableNames, 'config'], '--');
export const nearestKey = (name: string): string => suggestion(name, [...writableNames, 'tables']);
export const nearestVariable = (name: string): string =>
  suggestion(name, ['ZEPTO_CONFIG', ...writableNames.map(envOf)]);

export function noteLegacy(into: RawSettings, spelled: string, legacy: LegacySetting): void {
  if (legacy.verdict === 'refused') into.problems.push(`${spelled} does not exist here: ${legacy.advice}`);
  else into.notices.push(`${spelled} has no effect: ${legacy.advice}`);
}
