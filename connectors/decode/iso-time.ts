// What: ISO 8601 / RFC 3339 date and time text → nanoseconds since 1970 UTC.
// Why: many feeds write times as text with six or nine decimals, and Date.parse stops at milliseconds.
// Invariant: a text that is not a real instant (month 13, 30 February, second 60, more than 9 decimals) has no answer.

import { POW10, writeProduct } from '../../src/kernel/fixed.ts';
import { digitCount, digitsValue } from './words.ts';

const DASH = 45;
const POINT = 46;
const COLON = 58;
const LETTER_T = 84;
const LETTER_Z = 90;

const ISO_TIME =
  /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:[Zz]|([+-])(\d\d):?(\d\d))?$/;

const DAYS_BEFORE_MONTH = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
const DAYS_IN_MONTH = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Null when it is no such time. A text without a zone is UTC. */
export function isoTimeToNanos(text: string): bigint | null {
  const match = ISO_TIME.exec(text);
  if (match === null) return null;
  const days = daysSinceEpoch(Number(match[1]), Number(match[2]), Number(match[3]));
  const hour = Number(match[4]);
  const minute = Number(match[5]);
  const second = Number(match[6]);
  if (days === null || hour > 23 || minute > 59 || second > 59) return null;
  const fraction = match[7] ?? '';
  if (fraction.length > 9 && !/^0*$/.test(fraction.slice(9))) return null;
  const zoneHour = Number(match[9] ?? 0);
  const zoneMinute = Number(match[10] ?? 0);
  if (zoneHour > 23 || zoneMinute > 59) return null;
  const zoneSeconds = (zoneHour * 60 + zoneMinute) * (match[8] === '-' ? -60 : 60);
  const seconds = days * 86_400 + hour * 3600 + minute * 60 + second - zoneSeconds;
  return BigInt(seconds) * 1_000_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, '0'));
}

/**
 * The usual spelling by words: YYYY-MM-DDTHH:MM:SS, up to nine decimals, Z; from 1970 on. Writes nanoseconds to
 * words[at] and words[at + 1] and returns the position behind the Z; −1 for any other text, which may be a time too.
 */
export function readIsoTime(view: DataView, p: number, words: Int32Array, at: number): number {
  const word1 = view.getInt32(p + 4, true);
  const word2 = view.getInt32(p + 8, true);
  const word3 = view.getInt32(p + 12, true);
  const word4 = view.getInt32(p + 16, true);
  const separators =
    (word1 & 0xff) === DASH &&
    word1 >>> 24 === DASH &&
    ((word2 >>> 16) & 0xff) === LETTER_T &&
    ((word3 >>> 8) & 0xff) === COLON &&
    (word4 & 0xff) === COLON;
  if (!separators) return -1;
  const yearWord = view.getInt32(p, true);
  const dayWord = ((word1 >>> 8) & 0xffff) | (word2 << 16);
  const hourWord = (word2 >>> 24) | ((word3 & 0xff) << 8) | (word3 & -0x10000);
  const secondWord = ((word4 >>> 8) & 0xffff) | 0x30300000;
  if (digitCount(yearWord) + digitCount(dayWord) + digitCount(hourWord) + digitCount(secondWord) !== 16)
    return -1;
  const year = digitsValue(yearWord, 4);
  const monthDay = digitsValue(dayWord, 4);
  const hourMinute = digitsValue(hourWord, 4);
  const second = digitsValue(secondWord, 2);
  const hour = (hourMinute / 100) | 0;
  const minute = hourMinute % 100;
  const days = daysSinceEpoch(year, (monthDay / 100) | 0, monthDay % 100);
  if (days === null || days < 0 || hour > 23 || minute > 59 || second > 59) return -1;
  let end = p + 19;
  let nanos = 0;
  if (view.getUint8(end) === POINT) {
    const first = ++end;
    for (let digits = 4; digits === 4 && end - first < 9; end += digits) {
      const word = view.getInt32(end, true);
      digits = digitCount(word);
      if (digits > 0) nanos = nanos * POW10[digits]! + digitsValue(word, digits);
    }
    const decimals = end - first;
    if (decimals === 0 || decimals > 9) return -1;
    nanos *= POW10[9 - decimals]!;
  }

  if (view.getUint8(end) !== LETTER_Z) return -1;
  const seconds = days * 86_400 + hour * 3600 + minute * 60 + second;
  return writeProduct(words, at, seconds, 1e9, nanos, false) ? end + 1 : -1;
}

/** Days from 1970-01-01 in the proleptic Gregorian calendar; null when there is no such day. */
export function daysSinceEpoch(year: number, month: number, day: number): number | null {
  if (month < 1 || month > 12 || day < 1) return null;
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  if (day > DAYS_IN_MONTH[month - 1]! + (leap && month === 2 ? 1 : 0)) return null;
  const before = year - 1;
  const leapDays = Math.floor(before / 4) - Math.floor(before / 100) + Math.floor(before / 400);
  return (
    (year - 1970) * 365 +
    leapDays -
    477 +
    DAYS_BEFORE_MONTH[month - 1]! +
    day -
    1 +
    (leap && month > 2 ? 1 : 0)
  );
}
