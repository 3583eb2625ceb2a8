// What: the names of everything that a plan writes: object keys, local folders, manifests; and back again.
// Why: a name that follows from the plan alone makes a re-run after a crash find its own files and no one else's.
// Invariant: parse(name(x)) = x, and two plans never share a name that carries a hash.

import { createHash } from 'node:crypto';
import { NANOS_PER_HOUR, VIEWS_NAME } from '../columns/types.ts';
import { assert } from '../kernel/assert.ts';
import type { PlanIdentity } from './segment.ts';

/** The table that lies at the prefix itself, and locally without a table folder. */
export const ROOT_TABLE = 'trades';
/** The folder, below a local base directory, of all views' partials. */
export const LOCAL_VIEWS = '_views';
/** Below a local base directory: what is being written and does not count. */
export const TEMPORARY_FOLDER = '.tmp';

const PLANS = '_plans';
const SYMBOLS = '_symbols';

// ---------------------------------------------------------------------------------------------------------
// Plans and hours

/** 16 lower-case hex digits: the first 64 bits of SHA-256 over all fields of the identity. */
export function planHash(plan: PlanIdentity): string {
  // JSON keeps the fields apart whatever characters a group has; Infinity has no JSON number.
  const identity = JSON.stringify([
    'zepto plan 1',
    plan.group,
    plan.topic,
    plan.partition,
    plan.incarnation,
    plan.hourLast === Infinity ? 'all' : plan.hourLast,
    plan.offsetNext,
  ]);
  return createHash('sha256').update(identity, 'utf8').digest('hex').slice(0, 16);
}

/** Hours since 1970 UTC of a time in ns, rounded down: −1 ns lies in hour −1. */
export function hourOfNs(timestampNs: bigint): number {
  const hour = timestampNs / NANOS_PER_HOUR;
  return Number(timestampNs < hour * NANOS_PER_HOUR ? hour - 1n : hour);
}

export const nsOfHour = (hour: number): bigint => BigInt(hour) * NANOS_PER_HOUR;

/** The UTC date (proleptic Gregorian) of an hour; year 1600 or later. */
function dateOfHour(hour: number): { year: number; month: number; day: number } {
  // Count from 1600-03-01: leap days then end the year, and 400 years are a whole number of days.
  const days = Math.floor(hour / 24) + 135_080;
  assert(days >= 0 && days < 3_000_000, `hour ${hour} is no hour of a 64-bit nanosecond time`);
  const era = Math.floor(days / 146_097);
  const dayOfEra = days % 146_097;
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
  const day = dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1;
  return { year: 1600 + era * 400 + yearOfEra + (month <= 2 ? 1 : 0), month, day };
}

// ---------------------------------------------------------------------------------------------------------
// Object keys

/** One prefix, one table: `{prefix}` for trades, `{prefix}-{table}` for another one. */
export function tablePrefix(prefix: string, table: string): string {
  if (table === ROOT_TABLE) return prefix;
  return prefix === '' ? encodeName(table) : `${prefix}-${encodeName(table)}`;
}

/**
 * The key prefix of a view's partials: `{prefix}-views/{view}/definition={definition}`, `_views/…` without a prefix and below
 * a local base directory. What another definition of a view left is in another folder.
 */
export function viewPrefix(prefix: string, view: string, definition: string): string {
  const views = prefix === '' ? LOCAL_VIEWS : `${prefix}-${VIEWS_NAME}`;
  return `${views}/${encodeName(view)}/definition=${definition}`;
}

export interface ParquetName {
  readonly symbol: number;
  /** Hours since 1970 UTC. */
  readonly hour: number;
  /** Of the plan; null only in the flat layout, for the first segment of a symbol-hour. */
  readonly hash: string | null;
}

/** `{prefix}/year=2024/month=05/day=01/symbol=42/42-476256-{hash}.parquet`, below the table's own prefix. */
export function hiveKey(tablePrefix: string, name: ParquetName): string {
  const { symbol, hour } = name;
  const { year, month, day } = dateOfHour(hour);
  const folder = `year=${padded(year, 4)}/month=${padded(month, 2)}/day=${padded(day, 2)}/symbol=${symbol}`;
  return join(tablePrefix, `${folder}/${symbol}-${hour}${suffix(name.hash)}.parquet`);
}

/** `{prefix}/{symbol}/{hour in s or ns}[-{hash}].parquet`, below the table's own prefix. */
export function flatKey(tablePrefix: string, name: ParquetName, epoch: 's' | 'ns'): string {
  const time = epoch === 's' ? String(name.hour * 3600) : String(nsOfHour(name.hour));
  return join(tablePrefix, `${name.symbol}/${time}${suffix(name.hash)}.parquet`);
}

/** What a hive key says, or null when it is not one (a date that is not the hour's is none either). */
export function parseHiveKey(tablePrefix: string, key: string): ParquetName | null {
  const match = /(?:^|\/)(\d+)-(-?\d+)(?:-([0-9a-f]{16}))?\.parquet$/.exec(key);
  if (match === null) return null;
  return ifSpelled(nameOf(match, Number), key, (name) => hiveKey(tablePrefix, name));
}

/** What a flat key says, or null when it is not one. */
export function parseFlatKey(tablePrefix: string, key: string, epoch: 's' | 'ns'): ParquetName | null {
  const match = /(?:^|\/)(\d+)\/(-?\d+)(?:-([0-9a-f]{16}))?\.parquet$/.exec(key);
  if (match === null) return null;
  const hourOf = (time: string): number => (epoch === 's' ? Number(time) / 3600 : wholeHours(time));
  return ifSpelled(nameOf(match, hourOf), key, (name) => flatKey(tablePrefix, name, epoch));
}

/** `{prefix}/_plans/{group}/{topic}/{partition}/{offsetNext, 20 digits}-{hash}.json`: sorted by name = by offset. */
export function planManifestKey(prefix: string, plan: PlanIdentity): string {
  const folder = planManifestsOf(prefix, plan.group, plan.topic, plan.partition);
  return `${folder}${padded(plan.offsetNext, 20)}-${planHash(plan)}.json`;
}

/** The key prefix (ending in `/`) of all manifests of a Kafka partition. */
export function planManifestsOf(prefix: string, group: string, topic: string, partition: number): string {
  return join(prefix, `${PLANS}/${encodeName(group)}/${encodeName(topic)}/${partition}/`);
}

export interface PlanManifestName {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  readonly offsetNext: number;
  readonly hash: string;
}

export function parsePlanManifestKey(prefix: string, key: string): PlanManifestName | null {
  const match = /(?:^|\/)_plans\/([^/]+)\/([^/]+)\/(\d+)\/(\d{20})-([0-9a-f]{16})\.json$/.exec(key);
  if (match === null) return null;
  const group = decodeName(match[1]!);
  const topic = decodeName(match[2]!);
  const partition = Number(match[3]);
  const offsetNext = Number(match[4]);
  if (group === null || topic === null || !Number.isSafeInteger(offsetNext)) return null;
  const spelled = `${planManifestsOf(prefix, group, topic, partition)}${match[4]}-${match[5]}.json`;
  return spelled === key ? { group, topic, partition, offsetNext, hash: match[5]! } : null;
}

/** `{prefix}/_symbols/{group}/{first id}-{last id}.csv` (10 digits each): names of a stretch of ids, inclusive. */
export function symbolNamesKey(prefix: string, group: string, idFirst: number, idLast: number): string {
  return `${symbolNamesOf(prefix, group)}${padded(idFirst, 10)}-${padded(idLast, 10)}.csv`;
}

/** The key prefix (ending in `/`) of a group's symbol names. */
export const symbolNamesOf = (prefix: string, group: string): string =>
  join(prefix, `${SYMBOLS}/${encodeName(group)}/`);

// ---------------------------------------------------------------------------------------------------------
// Local folders

export interface BinFolderName {
  readonly table: string;
  readonly symbol: number;
  readonly hour: number;
  /** Of the plan, for a further segment of the same symbol-hour; else null. */
  readonly hash: string | null;
}

/** `[{table}/]{symbol}`: the folder, below the base directory, of all hours of a symbol. */
export function symbolFolder(table: string, symbol: number): string {
  return table === ROOT_TABLE ? String(symbol) : `${encodeName(table)}/${symbol}`;
}

/** `[{table}/]{symbol}/{hour in ns}[-{hash}]` below the base directory. */
export function binFolder(name: BinFolderName): string {
  return `${symbolFolder(name.table, name.symbol)}/${nsOfHour(name.hour)}${suffix(name.hash)}`;
}

/** The folder of a view's partial of a segment, below the base directory. `within`: the view's `viewPrefix` there. */
export function binPartialFolder(
  within: string,
  { symbol, hour, hash }: Omit<BinFolderName, 'table'>,
): string {
  return `${within}/${symbol}/${nsOfHour(hour)}${suffix(hash)}`;
}

/** What a folder's path below the base directory says, or null when it is no segment's. */
export function parseBinFolder(path: string): BinFolderName | null {
  const match = /^(?:([^/]+)\/)?(\d+)\/(-?\d+)(?:-([0-9a-f]{16}))?$/.exec(path);
  if (match === null) return null;
  const table = match[1] === undefined ? ROOT_TABLE : decodeName(match[1]);
  if (table === null) return null;
  const name = {
    table,
    symbol: Number(match[2]),
    hour: wholeHours(match[3]!),
    hash: match[4] ?? null,
  };
  return ifSpelled(name, path, binFolder);
}

// ---------------------------------------------------------------------------------------------------------
// Parts of names

/** A name as one path element: letters, digits, `.`, `_` and `-` as they are, other UTF-8 bytes as %XX. */
export function encodeName(name: string): string {
  assert(name !== '', 'a name in a path is not empty');
  const encoded = encodeURIComponent(name).replace(/[!~*'()]/g, percent);
  // "." and ".." would lead out of the folder.
  return encoded.replace(/^\.+$/, (dots) => dots.replace(/\./g, percent));
}

/** Null when `encodeName` would not have made it. */
export function decodeName(encoded: string): string | null {
  try {
    const name = decodeURIComponent(encoded);
    return encodeName(name) === encoded ? name : null;
  } catch {
    // Not a percent encoding of UTF-8: somebody else's name, which null says.
    return null;
  }
}

const percent = (character: string): string =>
  `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;

const padded = (value: number, digits: number): string => String(value).padStart(digits, '0');

/** Of a time in ns; the caller's spelling check refuses one that is no whole hour. */
const wholeHours = (ns: string): number => Number(BigInt(ns) / NANOS_PER_HOUR);

const suffix = (hash: string | null): string => (hash === null ? '' : `-${hash}`);

const join = (prefix: string, rest: string): string => (prefix === '' ? rest : `${prefix}/${rest}`);

function nameOf(match: RegExpExecArray, hourOf: (time: string) => number): ParquetName {
  return { symbol: Number(match[1]), hour: hourOf(match[2]!), hash: match[3] ?? null };
}

/** The name, when spelling it again gives the very text it was read from. */
function ifSpelled<Name extends { symbol: number; hour: number }>(
  name: Name,
  text: string,
  spell: (name: Name) => string,
): Name | null {
  const representable =
    Number.isSafeInteger(name.symbol) && Number.isInteger(name.hour) && Math.abs(name.hour) < 1e7;
  return representable && spell(name) === text ? name : null;
}
