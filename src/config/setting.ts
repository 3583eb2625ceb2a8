// What: the kinds of settings: text, numbers, sizes, durations, choices, switches, lists, pairs, secrets.
// Why: the table in settings.ts says of each setting all there is to know; parsing, help, documents and schema follow from it.
// Invariant: `parse(format(value))` is the value, and what `parse` refuses, `expects` explains.

import { z } from 'zod';
import { formatBytes, formatDurationMs, parseBytes, parseDurationMs } from './units.ts';

export interface Setting<T> {
  readonly group: string;
  readonly help: string;
  /** How the value is shown in help: `N`, `DURATION`; '' for a switch. */
  readonly placeholder: string;
  readonly default: T;
  /** Shown instead of the default where that depends on other settings. */
  readonly defaultText: string | null;
  /** Completes "expects …". */
  readonly expects: string;
  /** The value, or undefined when `raw` is not what `expects` says. */
  readonly parse: (raw: string) => T | undefined;
  /** As `parse` reads it. */
  readonly format: (value: T) => string;
  /** What the config file may hold. */
  readonly schema: z.ZodType;
  /** Needs no value on the command line; `--no-{name}` turns it off. */
  readonly isSwitch: boolean;
  /** Given several times, the values add up. */
  readonly isList: boolean;
  /** Read from the environment or a file of its own only, and never printed. */
  readonly isSecret: boolean;
  readonly aliases: readonly string[];
}

interface Common {
  readonly group: string;
  readonly help: string;
  readonly placeholder?: string;
  readonly defaultText?: string;
  readonly aliases?: readonly string[];
}

function setting<T>(
  common: Common,
  kind: Pick<Setting<T>, 'default' | 'expects' | 'parse' | 'format' | 'schema'> & Partial<Setting<T>>,
): Setting<T> {
  return {
    placeholder: 'TEXT',
    defaultText: null,
    isSwitch: false,
    isList: false,
    isSecret: false,
    aliases: [],
    ...kind,
    ...common,
  };
}

export function text<D extends string | null>(
  common: Common & { default: D; pattern?: RegExp; expects?: string },
): Setting<string | D> {
  const { default: fallback, pattern, expects = 'a text', ...rest } = common;
  return setting<string | D>(rest, {
    default: fallback,
    expects,
    parse: (raw) => (raw !== '' && (pattern?.test(raw) ?? true) ? raw : undefined),
    format: (value) => value ?? '',
    schema: pattern === undefined ? z.string() : z.string().regex(pattern),
  });
}

/** A text that may be empty. */
export function textOrEmpty(common: Common & { default: string }): Setting<string> {
  const { default: fallback, ...rest } = common;
  return setting<string>(rest, {
    default: fallback,
    expects: 'a text',
    parse: (raw) => raw,
    format: (value) => value,
    schema: z.string(),
  });
}

export function path(common: Common): Setting<string | null> {
  return setting<string | null>(
    { placeholder: 'FILE', ...common },
    {
      default: null,
      expects: 'a path',
      parse: (raw) => (raw === '' ? undefined : raw),
      format: (value) => value ?? '',
      schema: z.string().min(1),
    },
  );
}

/** A password or token. Its value comes from the environment or from the file that `{name}-file` names. */
export function secret(common: Common): Setting<string | null> {
  return setting<string | null>(common, {
    default: null,
    expects: 'a value',
    parse: (raw) => (raw === '' ? undefined : raw),
    format: () => '',
    schema: z.never(),
    isSecret: true,
  });
}

export function integer(common: Common & { default: number; min: number; max: number }): Setting<number> {
  const { default: fallback, min, max, ...rest } = common;
  return setting<number>(
    { placeholder: 'N', ...rest },
    {
      default: fallback,
      expects:
        max === Number.MAX_SAFE_INTEGER
          ? `a whole number, at least ${min}`
          : `a whole number from ${min} to ${max}`,
      parse(raw) {
        const value = /^-?\d[\d_]*$/.test(raw) ? Number(raw.replaceAll('_', '')) : Number.NaN;
        return value >= min && value <= max ? value : undefined;
      },
      format: String,
      schema: z.int().min(min).max(max),
    },
  );
}

export function bytes(common: Common & { default: number; min: number }): Setting<number> {
  const { default: fallback, min, ...rest } = common;
  return setting<number>(
    { placeholder: 'BYTES', ...rest },
    {
      default: fallback,
      expects: `a size such as 64MiB or 1GB${min > 0 ? `, at least ${formatBytes(min)}` : ''}`,
      parse(raw) {
        const value = parseBytes(raw);
        return value !== undefined && value >= min ? value : undefined;
      },
      format: formatBytes,
      schema: z.union([
        z.int().min(min),
        z.string().regex(/^\d+(\.\d+)? *([KMGTkmgt]([Ii]?[Bb]|[Ii])|[Bb])?$/),
      ]),
    },
  );
}

/** Value in milliseconds. */
export function duration(common: Common & { default: number; min?: number }): Setting<number> {
  const { default: fallback, min = 0, ...rest } = common;
  return setting<number>(
    { placeholder: 'DURATION', ...rest },
    {
      default: fallback,
      expects: `a duration with its unit, such as 500ms, 5s, 1h${min > 0 ? `, at least ${formatDurationMs(min)}` : ''}`,
      parse(raw) {
        const value = parseDurationMs(raw);
        return value !== undefined && value >= min ? value : undefined;
      },
      format: formatDurationMs,
      schema: z.union([z.literal(0), z.string().regex(/^(0|(\d+(\.\d+)?(ms|s|m|h|d))+)$/)]),
    },
  );
}

/** One of `choices`, whatever the letter case. */
export function choice<const C extends string, D extends C | null>(
  common: Common & { choices: readonly C[]; default: D },
): Setting<C | D> {
  const { default: fallback, choices, ...rest } = common;
  return setting<C | D>(
    { placeholder: choices.join('|'), ...rest },
    {
      default: fallback,
      expects: `one of ${choices.join(', ')}`,
      parse: (raw) => choices.find((name) => name.toLowerCase() === raw.toLowerCase()),
      format: (value) => value ?? '',
      schema: z.enum(choices),
    },
  );
}

const TRUE_WORDS = ['true', '1', 'yes', 'on'];
const FALSE_WORDS = ['false', '0', 'no', 'off'];

function parseSwitch(raw: string): boolean | undefined {
  const word = raw.toLowerCase();
  return TRUE_WORDS.includes(word) ? true : FALSE_WORDS.includes(word) ? false : undefined;
}

export function toggle(common: Common & { default: boolean }): Setting<boolean> {
  const { default: fallback, ...rest } = common;
  return setting<boolean>(
    { placeholder: '', ...rest },
    {
      default: fallback,
      expects: 'true or false',
      parse: parseSwitch,
      format: String,
      schema: z.boolean(),
      isSwitch: true,
    },
  );
}

/** A switch that counts how often it was said: 0, 1 or 2 (`twice` in the environment or the file). */
export function saidTwice(common: Common): Setting<0 | 1 | 2> {
  return setting<0 | 1 | 2>(
    { placeholder: '', ...common },
    {
      default: 0,
      expects: 'true, false or twice',
      parse(raw) {
        const words = raw.toLowerCase().split(',');
        if (words.includes('twice')) return words.length === 1 ? 2 : undefined;
        const said = words.map(parseSwitch);
        if (said.includes(undefined)) return undefined;
        if (said.at(-1) === false) return 0;
        return said.filter(Boolean).length > 1 ? 2 : 1;
      },
      format: (value) => ['false', 'true', 'twice'][value]!,
      schema: z.union([z.boolean(), z.literal('twice')]),
      isSwitch: true,
      isList: true,
    },
  );
}

const commaSeparated = (raw: string): string[] =>
  raw
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');

export function list(common: Common & { item: RegExp; expects: string }): Setting<readonly string[]> {
  const { item, expects, ...rest } = common;
  return setting<readonly string[]>(rest, {
    default: [],
    expects,
    parse(raw) {
      const items = commaSeparated(raw);
      return items.length > 0 && items.every((one) => item.test(one)) ? items : undefined;
    },
    format: (value) => value.join(','),
    schema: z.union([z.string(), z.array(z.string().regex(item))]),
    isList: true,
  });
}

/** `key=value` pairs; a bare `name` stands for `name=name`. */
export function pairs(
  common: Common & { item: RegExp; expects: string },
): Setting<Readonly<Record<string, string>>> {
  const { item, expects, ...rest } = common;
  return setting<Readonly<Record<string, string>>>(rest, {
    default: {},
    expects,
    parse(raw) {
      const result: Record<string, string> = {};
      for (const one of commaSeparated(raw)) {
        const [key = '', value = key, ...more] = one.split('=').map((part) => part.trim());
        if (more.length > 0 || !item.test(key) || !item.test(value) || Object.hasOwn(result, key))
          return undefined;
        result[key] = value;
      }
      return Object.keys(result).length > 0 ? result : undefined;
    },
    format: (value) =>
      Object.entries(value)
        .map(([key, one]) => `${key}=${one}`)
        .join(','),
    schema: z.union([z.string(), z.record(z.string(), z.string())]),
    isList: true,
  });
}

/** A choice for every table, or table by table: `json`, or `trades=json,quotes=avro`. */
export interface PerTable<C extends string> {
  readonly all: C | null;
  readonly byTable: Readonly<Record<string, C>>;
}

export function choicePerTable<const C extends string>(
  common: Common & { choices: readonly C[]; default: C },
): Setting<PerTable<C>> {
  const { choices, default: fallback, ...rest } = common;
  const find = (raw: string): C | undefined => choices.find((name) => name === raw.toLowerCase());
  return setting<PerTable<C>>(
    { placeholder: `[TABLE=]${choices.join('|')}`, ...rest },
    {
      default: { all: fallback, byTable: {} },
      expects: `one of ${choices.join(', ')}, for all tables or as TABLE=${choices[0]}`,
      parse(raw) {
        let all: C | null = null;
        const byTable: Record<string, C> = {};
        for (const one of commaSeparated(raw)) {
          const [first = '', second, ...more] = one.split('=').map((part) => part.trim());
          const value = find(second ?? first);
          if (value === undefined || more.length > 0 || first === '') return undefined;
          if (second === undefined) all = value;
          else byTable[first] = value;
        }
        return all === null && Object.keys(byTable).length === 0 ? undefined : { all, byTable };
      },
      format: ({ all, byTable }) =>
        [...(all === null ? [] : [all]), ...Object.entries(byTable).map(([t, c]) => `${t}=${c}`)].join(','),
      schema: z.union([z.string(), z.record(z.string(), z.enum(choices))]),
      isList: true,
    },
  );
}
