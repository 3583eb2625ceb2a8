// What: timestamps as text ↔ nanoseconds since 1970 UTC.
// Why: Date knows milliseconds only and accepts nonsense; a literal must be exact or refused.
// Invariant: parse(text of ns) = ns for every int64; the calendar is the proleptic Gregorian one, in UTC.

const NANOS_PER_SECOND = 1_000_000_000n;
const SECONDS_PER_DAY = 86_400n;

const pattern =
  /^(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)? ?(Z|UTC|[+-]\d{2}(?::?\d{2})?)?$/i;

/**
 * Nanoseconds of `2024-03-21`, `2024-03-21 09:30`, `2024-03-21T09:30:00.123456789Z`, `… +02:00`; null when the text is no
 * such date, or outside of int64 (1677-09-21 to 2262-04-11). Without a zone it is UTC.
 */
export function parseTimestamp(text: string): bigint | null {
  const match = pattern.exec(text.trim());
  if (match === null) return null;
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '', zone = 'Z'] = match;
  const y = Number(year);
  const m = Number(month);
  const d = Number(day);
  if (m < 1 || m > 12 || d < 1 || d > daysInMonth(y, m)) return null;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return null;
  const zoneMinutes = zoneOffsetMinutes(zone);
  if (zoneMinutes === null) return null;
  const seconds =
    BigInt(daysFromCivil(y, m, d)) * SECONDS_PER_DAY +
    BigInt(Number(hour) * 3600 + (Number(minute) - zoneMinutes) * 60 + Number(second));
  const ns = seconds * NANOS_PER_SECOND + BigInt(fraction.padEnd(9, '0'));
  return BigInt.asIntN(64, ns) === ns ? ns : null;
}

/** `2024-03-21 09:30:00.123456789`, with as many decimals as needed: none, 3, 6 or 9. */
export function timestampText(ns: bigint): string {
  const second = floorDivide(ns, NANOS_PER_SECOND);
  const nanos = Number(ns - second * NANOS_PER_SECOND);
  const day = floorDivide(second, SECONDS_PER_DAY);
  const secondOfDay = Number(second - day * SECONDS_PER_DAY);
  const [y, m, d] = civilFromDays(Number(day));
  const time = [Math.floor(secondOfDay / 3600), Math.floor(secondOfDay / 60) % 60, secondOfDay % 60]
    .map(two)
    .join(':');
  const digits = String(nanos).padStart(9, '0');
  const decimals = nanos === 0 ? 0 : nanos % 1_000_000 === 0 ? 3 : nanos % 1_000 === 0 ? 6 : 9;
  const fraction = decimals === 0 ? '' : `.${digits.slice(0, decimals)}`;
  return `${String(y).padStart(4, '0')}-${two(m)}-${two(d)} ${time}${fraction}`;
}

function zoneOffsetMinutes(zone: string): number | null {
  if (/^(Z|UTC)$/i.test(zone)) return 0;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(3).replace(':', '') || '0');
  if (hours > 15 || minutes > 59) return null;
  return (zone[0] === '-' ? -1 : 1) * (hours * 60 + minutes);
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** Days since 1970-01-01. Years are taken to begin in March, so that the leap day is the last of its year. */
function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

function civilFromDays(days: number): [year: number, month: number, day: number] {
  const z = days + 719_468;
  const era = Math.floor(z / 146_097);
  const dayOfEra = z - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  return [year, month, dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1];
}

function floorDivide(value: bigint, by: bigint): bigint {
  const quotient = value / by;
  return value % by < 0n ? quotient - 1n : quotient;
}

const two = (value: number): string => String(value).padStart(2, '0');
