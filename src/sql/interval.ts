// What: durations: their text, their units, their length in nanoseconds.
// Why: `INTERVAL '5 minutes'`, `5m` and `SAMPLE BY 5 MINUTES` must mean the same number.
// Invariant: every unit has a fixed length, so an interval is exactly an INT64 of nanoseconds; months and years are refused.

import { excerpt } from './errors.ts';

export interface Unit {
  readonly nanos: bigint;
  /** As printed, plural; without its s, singular. */
  readonly text: string;
}

const NANOSECOND: Unit = { nanos: 1n, text: 'nanoseconds' };
const MICROSECOND: Unit = { nanos: 1_000n, text: 'microseconds' };
const MILLISECOND: Unit = { nanos: 1_000_000n, text: 'milliseconds' };
const SECOND: Unit = { nanos: 1_000_000_000n, text: 'seconds' };
const MINUTE: Unit = { nanos: 60_000_000_000n, text: 'minutes' };
const HOUR: Unit = { nanos: 3_600_000_000_000n, text: 'hours' };
const DAY: Unit = { nanos: 86_400_000_000_000n, text: 'days' };
const WEEK: Unit = { nanos: 604_800_000_000_000n, text: 'weeks' };

/** Longest first, for printing. */
const printedUnits: readonly Unit[] = [DAY, HOUR, MINUTE, SECOND, MILLISECOND, MICROSECOND, NANOSECOND];

const units = new Map<string, Unit>([
  ...spellings(NANOSECOND, 'ns nanosecond nanoseconds'),
  ...spellings(MICROSECOND, 'us µs microsecond microseconds'),
  ...spellings(MILLISECOND, 'ms millisecond milliseconds'),
  ...spellings(SECOND, 's sec secs second seconds'),
  ...spellings(MINUTE, 'm min mins minute minutes'),
  ...spellings(HOUR, 'h hour hours'),
  ...spellings(DAY, 'd day days'),
  ...spellings(WEEK, 'w week weeks'),
]);

/** The unit that a word names, or null. Case does not matter, but for the single letter M, which elsewhere is a month. */
export function unitOf(word: string): Unit | null {
  return word === 'M' ? null : (units.get(word.toLowerCase()) ?? null);
}

/** Words for a suggestion and for "expected …". */
export const unitWords: readonly string[] = [...units.keys()].filter(
  (word) => word.endsWith('s') && word.length > 3,
);

export const isCalendarUnit = (word: string): boolean =>
  /^(M|mo|mon|months?|y|years?|quarters?)$/i.test(word);

const part = /\s*([+-]?\d+)(?:\.(\d+))?\s*([A-Za-zµ]+)\s*,?/y;

/** Nanoseconds of `5 minutes`, `1 day 2 hours`, `1.5 hours`, `-30s`; a string with the reason when it is none. */
export function parseInterval(text: string): bigint | string {
  let total = 0n;
  let at = 0;
  if (text.trim() === '') return 'an interval needs a number and a unit';
  while (at < text.length) {
    part.lastIndex = at;
    const match = part.exec(text);
    if (match === null) {
      if (text.slice(at).trim() === '') break;
      return `'${excerpt(text)}' is not an interval such as '5 minutes' or '1 hour 30 minutes'`;
    }
    const [, whole = '', fraction = '', word = ''] = match;
    if (whole.length + fraction.length > 24) return `'${excerpt(text)}' has too many digits`;
    const unit = unitOf(word);
    if (unit === null)
      return isCalendarUnit(word)
        ? `${word} has no fixed length: use days, or date_trunc('month', …)`
        : `unknown time unit '${excerpt(word)}'`;
    const scale = 10n ** BigInt(fraction.length);
    const scaled = BigInt(whole + fraction) * unit.nanos;
    if (scaled % scale !== 0n) return `'${excerpt(text)}' is not a whole number of nanoseconds`;
    total += scaled / scale;
    at = part.lastIndex;
  }
  if (BigInt.asIntN(64, total) !== total)
    return `'${excerpt(text)}' does not fit into an INT64 of nanoseconds`;
  return total;
}

/** The shortest text in one unit: 90 seconds, 5 minutes, 36 hours. */
export function intervalText(ns: bigint): string {
  const unit = ns === 0n ? SECOND : printedUnits.find((candidate) => ns % candidate.nanos === 0n)!;
  const count = ns / unit.nanos;
  return `${count} ${count === 1n ? unit.text.slice(0, -1) : unit.text}`;
}

function spellings(unit: Unit, words: string): [string, Unit][] {
  return words.split(' ').map((word) => [word, unit]);
}
