// What: a change of the catalogue as a record of its topic, and back.
// Why: members of other versions read it too: what one does not know must be told apart from what is broken.
// Invariant: reading gives a change that has every field it needs, or null.

import { z } from 'zod';
import { ColumnType, columnTypeNames } from '../columns/types.ts';
import type { CatalogueChange } from './catalogue.ts';

/** Grows when a change gets a meaning that older members must not ignore. */
const VERSION = 1;

const name = z.string().min(1);
/** Of tables and columns, which make names of folders and files. */
const plainName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/);
const topicName = z.string().regex(/^(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}$/);
const age = z.int().positive();
const minutes = age.nullable();
const column = z.strictObject({
  name: plainName,
  type: z
    .int()
    .min(0)
    .max(columnTypeNames.length - 1),
  scale: z.int().min(0).max(18).optional(),
});
const table = z
  .strictObject({
    name: plainName,
    columns: z.array(column).min(2),
    timestampColumn: z.int().min(0),
    symbolColumn: z.int().min(0),
  })
  .refine(
    ({ columns, timestampColumn, symbolColumn }) =>
      columns[timestampColumn]?.type === ColumnType.TIMESTAMP_NS &&
      columns[symbolColumn]?.type === ColumnType.SYMBOL &&
      new Set(columns.map((one) => one.name)).size === columns.length,
  );
const fields = z.strictObject({
  names: z.record(z.string(), z.string()),
  timeUnit: z.enum(['s', 'ms', 'us', 'ns']),
  scaledNumbers: z.enum(['value', 'scaled']),
});
const format = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('json'), fields }),
  z.strictObject({ kind: z.literal('avro'), fields }),
  z.strictObject({ kind: z.literal('binary') }),
  z.strictObject({ kind: z.literal('arrow'), fields }),
]);
const policy = z.strictObject({
  hotMinutes: minutes,
  warmMinutes: minutes,
  coldMinutes: minutes,
  dropMinutes: minutes,
});
const view = z.strictObject({ name, source: name, sql: z.string(), topic: z.string().nullable() });

const change = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('create-table'),
    source: z.strictObject({ table, topic: topicName, format }),
  }),
  z.strictObject({ kind: z.literal('register-parquet'), table: plainName, path: z.string().min(1) }),
  z.strictObject({ kind: z.literal('drop-table'), table: name }),
  z.strictObject({ kind: z.literal('add-column'), table: name, column }),
  z.strictObject({ kind: z.literal('drop-column'), table: name, column: name }),
  z.strictObject({ kind: z.literal('set-policy'), table: name, policy }),
  z.strictObject({ kind: z.literal('set-ttl'), table: name, dropMinutes: age }),
  z.strictObject({ kind: z.literal('create-view'), view, orReplace: z.boolean() }),
  z.strictObject({ kind: z.literal('drop-view'), view: name }),
]);
const record = z.strictObject({
  version: z.literal(VERSION),
  id: z.string(),
  // Records of before have none.
  atMs: z.number().nullable().default(null),
  change,
});

export interface ChangeRecord {
  /** Made by who asks, who knows its record again by it. */
  readonly id: string;
  /** By the clock of who asks; null: it does not say. A policy that ends has dropped until then. */
  readonly atMs: number | null;
  readonly change: CatalogueChange;
}

export function encodeChange({ id, atMs, change: made }: ChangeRecord): Uint8Array {
  return Buffer.from(JSON.stringify({ version: VERSION, id, atMs, change: made }));
}

/** Null: not of this format or version. */
export function decodeChange(bytes: Uint8Array): ChangeRecord | null {
  try {
    const parsed = record.safeParse(JSON.parse(Buffer.from(bytes).toString('utf8')));
    // The schemas above spell what the types say; column types are numbers there.
    return parsed.success ? (parsed.data as unknown as ChangeRecord) : null;
  } catch {
    return null;
  }
}
