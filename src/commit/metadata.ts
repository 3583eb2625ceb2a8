// What: the commit record of one Kafka partition, and its text in the offset's metadata string.
// Why: Kafka's committed offset and this string are the only state that recovery has.
// Invariant: decode(encode(r)) = r; a text that was cut, altered, or written by a newer version is refused, never guessed at.

import { HOURS_MAX } from '../columns/types.ts';
import { ZeptoError } from '../kernel/errors.ts';
import type { Staircase, Step } from './staircase.ts';

/**
 * Text: `zepto1 {incarnation} {watermark} {pending} {steps} {check}`, fields split by one space; of a table that was
 * altered `zepto2 {version} {incarnation} …`; of one with published views `zepto3 {version} {published} {incarnation} …`.
 *
 * | field       | form                                                                                        |
 * | ----------- | ------------------------------------------------------------------------------------------- |
 * | version     | base 36; above 0 in `zepto2`                                                                |
 * | published   | `{closed}:{next}:{seen}`: closed base 36, ms; offsets base 36 above the committed offset    |
 * | incarnation | base 36                                                                                     |
 * | watermark   | last hour seen, base 36, `-` unknown                                                        |
 * | pending     | a step, `-` none                                                                            |
 * | steps       | steps joined by `,`; `-` none                                                               |
 * | a step      | `{hour}:{offset}`: hour base 36 or `*` for all; offset base 36 above the committed offset   |
 * | check       | FNV-1a-32 of the committed offset and all before, 8 hex digits                              |
 */
export interface CommitRecord {
  /** First offset whose row is not sealed: where consumption restarts. */
  readonly committed: number;
  readonly incarnation: number;
  /** The highest hour (since 1970 UTC) of any row taken in; null unknown. Only steers when hours close. */
  readonly watermarkHour: number | null;
  /** Steps above `committed`. */
  readonly staircase: Staircase;
  /** A plan that was announced and maybe partly written, but is not committed. */
  readonly pending: Step | null;
  /**
   * The version of the table under which the rows of the staircase and of the pending plan are read; 0: as it was
   * declared. Without either it binds nobody.
   */
  readonly tableVersion: number;
  /** Null: no view is published. */
  readonly published: Published | null;
}

/** How far the views of a table that are published have come with this partition. */
export interface Published {
  /** Event time, ms since 1970 UTC: buckets that were over by then stand in their topics. */
  readonly closedMs: number;
  /** Rows from this offset on may have changed them. */
  readonly offsetNext: number;
  /** Their values may hold rows up to this offset: nothing is published again before these are taken in. */
  readonly offsetSeen: number;
}

/** Of a partition of which nothing is sealed from `committed` on. */
export function freshRecord(committed = 0, incarnation = 0): CommitRecord {
  return {
    committed,
    incarnation,
    watermarkHour: null,
    staircase: [],
    pending: null,
    tableVersion: 0,
    published: null,
  };
}

/** Kafka's default offset.metadata.max.bytes, in characters. */
export const METADATA_CHARS_MAX = 4096;
/** From here on the next plan seals every hour, which empties the staircase. */
export const METADATA_CHARS_FULL = 2048;
/** A record longer than this is refused before it is sent. */
const METADATA_CHARS_REFUSED = 3584;

const TAG = 'zepto1';
/** Of a record that names a version of its table. Older builds, which would read its rows otherwise, refuse it. */
const TAG_VERSIONED = 'zepto2';
/** Of a record that says what was published. Older builds, which would publish it again, refuse it. */
const TAG_PUBLISHED = 'zepto3';

export function encodeMetadata(record: CommitRecord): string {
  const body = [
    ...headOf(record),
    record.incarnation.toString(36),
    record.watermarkHour === null ? '-' : record.watermarkHour.toString(36),
    record.pending === null ? '-' : stepText(record.pending, record.committed),
    record.staircase.length === 0
      ? '-'
      : record.staircase.map((step) => stepText(step, record.committed)).join(','),
  ].join(' ');
  const text = `${body} ${check(record.committed, body)}`;
  if (text.length > METADATA_CHARS_REFUSED)
    throw new ZeptoError(
      'METADATA_TOO_LARGE',
      'stop',
      `offset metadata would take ${text.length} characters, above ${METADATA_CHARS_REFUSED}: ${record.staircase.length} sealed hours are waiting for older rows`,
    );
  return text;
}

function headOf({ committed, tableVersion, published }: CommitRecord): string[] {
  const version = tableVersion.toString(36);
  if (published === null) return tableVersion === 0 ? [TAG] : [TAG_VERSIONED, version];
  const { closedMs, offsetNext, offsetSeen } = published;
  return [
    TAG_PUBLISHED,
    version,
    [closedMs, offsetNext - committed, offsetSeen - committed].map((value) => value.toString(36)).join(':'),
  ];
}

/**
 * @throws ZeptoError METADATA_UNREADABLE (stop) for a text of a newer version or of another program, and for a damaged one.
 */
export function decodeMetadata(committed: number, text: string): CommitRecord {
  const [tag = '', ...fields] = text.split(' ');
  if (tag !== TAG && tag !== TAG_VERSIONED && tag !== TAG_PUBLISHED) {
    const newer = /^zepto(\d+)$/.exec(tag);
    throw unreadable(
      newer
        ? `it was written by a newer version (format ${newer[1]}, this build reads formats 1 to 3): upgrade this member, or roll the others back`
        : 'it was not written by this system: give the group a name of its own with --group',
      text,
    );
  }
  const version = tag === TAG ? null : fields.shift();
  const published = tag === TAG_PUBLISHED ? fields.shift() : null;
  const [incarnation, watermark, pending, steps, checked, ...more] = fields;
  if (checked === undefined || more.length > 0 || text !== checkedText(committed, text))
    throw unreadable('it is damaged, or its offset was changed by another program', text);
  const record: CommitRecord = {
    committed,
    incarnation: integer(incarnation!, text),
    watermarkHour: watermark === '-' ? null : integer(watermark!, text),
    pending: pending === '-' ? null : step(pending!, committed, text),
    staircase: steps === '-' ? [] : steps!.split(',').map((item) => step(item, committed, text)),
    tableVersion: version === null ? 0 : integer(version!, text),
    published: published === null ? null : publishedIn(published!, committed, text),
  };
  if (tag === TAG_VERSIONED && record.tableVersion < 1)
    throw unreadable('its table has no such version', text);
  const problem = contradiction(record);
  if (problem !== null) throw unreadable(problem, text);
  return record;
}

function publishedIn(field: string, committed: number, text: string): Published {
  const [closed, next, seen, ...more] = field.split(':');
  if (seen === undefined || more.length > 0)
    throw unreadable(`what is published has the form closed:next:seen, found "${field}"`, text);
  return {
    closedMs: integer(closed!, text),
    offsetNext: committed + integer(next!, text),
    offsetSeen: committed + integer(seen, text),
  };
}

/** What in the record cannot be, or null: the check is no proof against a program that computes it too. */
function contradiction({
  committed,
  incarnation,
  watermarkHour,
  staircase,
  pending,
  tableVersion,
  published,
}: CommitRecord): string | null {
  if (incarnation < 0) return 'its incarnation is negative';
  if (tableVersion < 0) return 'its table has no such version';
  if (
    published !== null &&
    !(committed <= published.offsetNext && published.offsetNext <= published.offsetSeen)
  )
    return 'what was published does not fit what was taken in';
  const hours = [
    watermarkHour ?? 0,
    ...[...staircase, ...(pending === null ? [] : [pending])].map(finiteHour),
  ];
  if (hours.some((hour) => Math.abs(hour) > HOURS_MAX)) return 'an hour is beyond all times';
  let last: Step = { hourLast: Number.POSITIVE_INFINITY, offsetNext: committed };
  for (const [i, step] of staircase.entries()) {
    if (step.offsetNext < last.offsetNext || (i > 0 && step.hourLast >= last.hourLast))
      return 'its steps do not rise in offset and fall in hour';
    last = step;
  }
  if (pending !== null && pending.offsetNext < last.offsetNext)
    return 'its pending plan lies below what is sealed';
  return Number.isSafeInteger(pending?.offsetNext ?? last.offsetNext)
    ? null
    : 'an offset is beyond all offsets';
}

const finiteHour = ({ hourLast }: Step): number => (hourLast === Number.POSITIVE_INFINITY ? 0 : hourLast);

function stepText(value: Step, committed: number): string {
  const hour = value.hourLast === Number.POSITIVE_INFINITY ? '*' : value.hourLast.toString(36);
  return `${hour}:${(value.offsetNext - committed).toString(36)}`;
}

function step(item: string, committed: number, text: string): Step {
  const parts = item.split(':');
  if (parts.length !== 2) throw unreadable(`a step has the form hour:offset, found "${item}"`, text);
  return {
    hourLast: parts[0] === '*' ? Number.POSITIVE_INFINITY : integer(parts[0]!, text),
    offsetNext: committed + integer(parts[1]!, text),
  };
}

function integer(field: string, text: string): number {
  const value = Number.parseInt(field, 36);
  if (!/^-?[0-9a-z]{1,11}$/.test(field) || !Number.isSafeInteger(value))
    throw unreadable(`"${field}" is not a number`, text);
  return value;
}

/** The text with the check that it ought to have. */
function checkedText(committed: number, text: string): string {
  const body = text.slice(0, text.lastIndexOf(' '));
  return `${body} ${check(committed, body)}`;
}

function check(committed: number, body: string): string {
  const input = `${committed} ${body}`;
  let hash = 0x811c9dc5;
  for (let i = 0; i < input.length; i++) hash = Math.imul(hash ^ input.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, '0');
}

function unreadable(why: string, text: string): ZeptoError {
  return new ZeptoError('METADATA_UNREADABLE', 'stop', `the group's offset metadata cannot be used: ${why}`, {
    context: { metadata: text.slice(0, 120) },
  });
}
