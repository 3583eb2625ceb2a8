// What: byte sizes and durations as people write them: 256MiB, 500ms, 1h30m.
// Why: a bare number leaves the unit to guess; a wrong guess is a thousandfold error.
// Invariant: what format* prints, parse* reads back as the same number.

const BYTE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
  ti: 2 ** 40,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

const DURATION_UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1e3,
  m: 60e3,
  h: 3600e3,
  d: 86_400e3,
};

/** Bytes of `1048576`, `64KiB`, `1.5 GB`, `256Mi`; undefined when it is no size. */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  const unit = match === null ? undefined : BYTE_UNITS[match[2]!.toLowerCase()];
  if (match === null || unit === undefined) return undefined;
  const bytes = Number(match[1]) * unit;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** Milliseconds of `500ms`, `5s`, `1h30m`, `0`; undefined when it is no duration. A number needs its unit, 0 does not. */
export function parseDurationMs(text: string): number | undefined {
  const trimmed = text.trim();
  if (trimmed === '0') return 0;
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(trimmed)) return undefined;
  let ms = 0;
  for (const [, number, unit] of trimmed.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g))
    ms += Number(number) * DURATION_UNITS_MS[unit!]!;
  const rounded = Math.round(ms);
  return Number.isSafeInteger(rounded) && Math.abs(rounded - ms) < 1e-6 ? rounded : undefined;
}

export function formatBytes(bytes: number): string {
  for (const [name, unit] of [
    ['TiB', 2 ** 40],
    ['GiB', 2 ** 30],
    ['MiB', 2 ** 20],
    ['KiB', 2 ** 10],
  ] as const)
    if (bytes >= unit && bytes % unit === 0) return `${bytes / unit}${name}`;
  return String(bytes);
}

export function formatDurationMs(ms: number): string {
  if (ms === 0) return '0';
  for (const [name, unit] of [
    ['d', 86_400e3],
    ['h', 3600e3],
    ['m', 60e3],
    ['s', 1e3],
  ] as const)
    if (ms >= unit && ms % unit === 0) return `${ms / unit}${name}`;
  return `${ms}ms`;
}
