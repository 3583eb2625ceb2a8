// What: JSON records that are read strictly: known format, known version, every field in its place.
// Why: what lies in a bucket or on a disk may be damaged, foreign or newer, and must be refused in clear words.
// Invariant: a record that parses has exactly the fields of its schema.

import type { z } from 'zod';
import { ZeptoError } from '../kernel/errors.ts';

export interface RecordFormat<Schema extends z.ZodType> {
  /** As the `format` field of the record says it, and as errors call it. */
  readonly name: string;
  readonly version: number;
  /** Of the whole record, `format` and `version` included. */
  readonly schema: Schema;
  /** A longer text is refused unread. */
  readonly bytesMax: number;
}

/** @throws ZeptoError FORMAT_INVALID; `where` (a key or path) leads its message. */
export function parseRecord<Schema extends z.ZodType>(
  format: RecordFormat<Schema>,
  bytes: Uint8Array,
  where: string,
): z.output<Schema> {
  const refuse = (problem: string, cause?: unknown): ZeptoError =>
    new ZeptoError('FORMAT_INVALID', 'stop', `${where}: ${problem}`, { cause });
  if (bytes.length > format.bytesMax)
    throw refuse(`${bytes.length} bytes are too many for a ${format.name} (at most ${format.bytesMax})`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw refuse(`is not JSON, so it is no ${format.name}, or was cut short`, cause);
  }
  const { format: name, version } = (value ?? {}) as { format?: unknown; version?: unknown };
  if (name !== format.name) throw refuse(`is no ${format.name}`);
  if (typeof version === 'number' && version > format.version)
    throw refuse(
      `${format.name} of version ${version}; this build reads up to ${format.version}: upgrade it to read this`,
    );
  const parsed = format.schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw refuse(`${format.name} with a wrong field "${issue.path.join('.')}": ${issue.message}`, parsed.error);
}

/** One line of JSON, keys in the order of the object. */
export const encodeRecord = (record: object): Uint8Array =>
  Buffer.from(`${JSON.stringify(record)}\n`, 'utf8');
