// What: the command line of `serve` as raw settings.
// Why: every mistake in it is reported, not only the first.
// Invariant: reads tokens only; a value is parsed elsewhere, the same way whatever its source.

import { parseArgs } from 'node:util';
import { legacySettings } from './legacy.ts';
import { emptyRawSettings, meaningOf, nearestFlag, noteLegacy, type RawSettings } from './raw.ts';
import { envOf, settingByName, settingNames } from './settings.ts';

export interface Flags extends RawSettings {
  readonly help: boolean;
  readonly printConfig: boolean;
  /** Path after `--config`. */
  readonly configFile: string | null;
}

type OptionType = { type: 'boolean' | 'string'; short?: string };

const options: Record<string, OptionType> = {
  help: { type: 'boolean', short: 'h' },
  'print-config': { type: 'boolean' },
  config: { type: 'string' },
};
for (const name of settingNames) {
  const setting = settingByName[name]!;
  const type = setting.isSwitch ? 'boolean' : 'string';
  for (const spelled of [name, ...setting.aliases]) options[spelled] = { type };
  if (setting.isSecret) options[`${name}-file`] = { type };
}
for (const [name, { takesValue }] of Object.entries(legacySettings))
  options[name] = { type: takesValue ? 'string' : 'boolean' };
options.port = { type: 'string', short: 'p' };

export function readFlags(argv: readonly string[]): Flags {
  const raw = emptyRawSettings();
  const { tokens } = parseArgs({
    args: [...argv],
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  let help = false;
  let printConfig = false;
  let configFile: string | null = null;
  let afterUnknown = false;
  for (const token of tokens) {
    if (token.kind === 'positional') {
      if (!afterUnknown)
        raw.problems.push(
          `unexpected argument "${token.value}": flags are --name VALUE, switches --name or --no-name`,
        );
      afterUnknown = false;
      continue;
    }
    afterUnknown = false;
    if (token.kind !== 'option') continue;
    const { name, rawName: spelled, value } = token;
    const missing = options[name]?.type === 'string' && (value === undefined || isFlag(token));
    if (missing) raw.problems.push(`${spelled} needs a value`);
    else if (name === 'help') help = true;
    else if (name === 'print-config') printConfig = true;
    else if (name === 'config') configFile = value ?? null;
    else afterUnknown = !readFlag(raw, name, spelled, value);
  }
  return { ...raw, help, printConfig, configFile };
}

/** `--group --topics x`: the value is another flag, so the first flag has none. */
function isFlag(token: { value?: string | undefined; inlineValue?: boolean | undefined }): boolean {
  return token.inlineValue !== true && token.value !== undefined && /^--?[a-z]/.test(token.value);
}

/** False when the flag is not known. */
function readFlag(raw: RawSettings, name: string, spelled: string, value: string | undefined): boolean {
  const meaning = meaningOf(name);
  switch (meaning?.kind) {
    case undefined:
    case null:
      raw.problems.push(`unknown flag ${spelled}${nearestFlag(name)}`);
      return false;
    case 'legacy':
      noteLegacy(raw, spelled, meaning.legacy);
      return true;
    case 'secret':
      raw.problems.push(
        `${spelled} would show the secret in the process list: use --${name}-file FILE or ${envOf(name)}`,
      );
      return true;
    case 'negated':
      if (value === undefined) raw.values.set(meaning.name, { raw: 'false', source: 'flag', spelled });
      else raw.problems.push(`${spelled} takes no value`);
      return true;
    case 'secret-file':
      raw.values.set(`${meaning.name}-file`, { raw: value!, source: 'flag', spelled });
      return true;
    case 'setting': {
      const earlier = raw.values.get(meaning.name);
      const text = value ?? 'true';
      const addsUp = settingByName[meaning.name]!.isList && earlier !== undefined;
      raw.values.set(meaning.name, {
        raw: addsUp ? `${earlier.raw},${text}` : text,
        source: 'flag',
        spelled,
      });
      return true;
    }
  }
}
