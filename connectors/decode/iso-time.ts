// What: ISO 8601 / RFC 3339 date and time text → nanoseconds since 1970 UTC.
// Why: many feeds write times as text with six or nine decimals, and Date.parse stops at milliseconds.
// Invariant: a text that is not a real instant (month 13, 30 February, second 60, more than 9 decimals) has no answer.

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
