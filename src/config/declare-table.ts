// What: the `tables:` section of the config file, from declaration to TableSource.
// Why: columns, field names and units are too much for flags.
// Invariant: a table that comes out has one event-time column and one symbol column, and field names for existing columns only.

import { z } from 'zod';
import {
  type ColumnSchema,
  ColumnType,
  columnTypeNames,
  type TableSchema,
  VIEWS_NAME,
} from '../columns/types.ts';
import { suggestion } from '../kernel/nearest.ts';
import type { FieldMap, RecordFormat, TableSource } from '../ports.ts';
import { TABLE_NAME, TOPIC_NAME, type Values } from './settings.ts';
import { defaultTables } from './tables.ts';

const columnName = z.string().regex(TABLE_NAME);

const columnDeclaration = z.strictObject({
  name: columnName,
  type: z.enum(columnTypeNames as [(typeof columnTypeNames)[number]]),
  scale: z
    .int()
    .min(0)
    .max(18)
    .optional()
    .describe('Decimals of a fixed-point INT32 or INT64 column: stored = value × 10^scale.'),
});

const tableDeclaration = z.strictObject({
  topic: z
    .string()
    .regex(TOPIC_NAME)
    .optional()
    .describe("Default: the table's name. --topics overrides it."),
  columns: z
    .array(columnDeclaration)
    .min(2)
    .max(1000)
    .optional()
    .describe('In order. May be left out for trades and quotes.'),
  'timestamp-column': columnName
    .optional()
    .describe('Event time; may be left out when one column is TIMESTAMP_NS.'),
  'symbol-column': columnName
    .optional()
    .describe('Partitioning symbol; may be left out when one column is SYMBOL.'),
  format: z.enum(['json', 'avro', 'binary', 'arrow']).optional(),
  fields: z
    .record(z.string(), z.string().min(1))
    .optional()
    .describe("Field of the record that fills a column, by column name. Default: the column's name."),
  'time-unit': z.enum(['s', 'ms', 'us', 'ns']).optional(),
  'scaled-numbers': z.enum(['value', 'scaled']).optional(),
});

const tableName = z
  .string()
  .regex(TABLE_NAME)
  .refine((name) => name !== VIEWS_NAME, `a table cannot be called ${VIEWS_NAME}: files of views lie there`);

export const tablesSchema = z.record(tableName, tableDeclaration);

export type TableDeclaration = z.infer<typeof tableDeclaration>;
export type TableDeclarations = Readonly<Record<string, TableDeclaration>>;

/** The section as declared; empty when it has a problem. */
export function readTables(
  section: unknown,
  path: string,
): { readonly tables: TableDeclarations; readonly problems: string[] } {
  const parsed = tablesSchema.safeParse(section ?? {}, { reportInput: true });
  if (parsed.success) return { tables: parsed.data, problems: [] };
  return { tables: {}, problems: parsed.error.issues.map((issue) => describeIssue(issue, path)) };
}

function describeIssue(issue: z.core.$ZodIssue, path: string): string {
  const at = ['tables', ...issue.path.map(String)].join('.');
  switch (issue.code) {
    case 'unrecognized_keys': {
      const known = Object.keys(issue.path.length > 1 ? columnDeclaration.shape : tableDeclaration.shape);
      return issue.keys
        .map((key) => `unknown key ${at}.${key} in ${path}${suggestion(key, known)}`)
        .join('; ');
    }
    case 'invalid_value': {
      const input = typeof issue.input === 'string' ? suggestion(issue.input, issue.values.map(String)) : '';
      return `${at} in ${path}: expects one of ${issue.values.join(', ')}${input}`;
    }
    case 'invalid_key':
      return `${at} in ${path}: expects a table name of letters, digits and underscores`;
    case 'invalid_format':
      return `${at} in ${path}: expects a name of letters, digits and underscores`;
    default:
      return `${at} in ${path}: ${issue.message}`;
  }
}

/** Every table that has a topic, declared ones first, then those named in --topics. */
export function tableSources(
  values: Pick<Values, 'topics' | 'format' | 'time-unit' | 'scaled-numbers'>,
  declarations: TableDeclarations,
): { readonly sources: readonly TableSource[]; readonly problems: string[] } {
  const problems: string[] = [];
  const sources: TableSource[] = [];
  const inTopics = Object.keys(values.topics).filter((name) => TABLE_NAME.test(name));
  const names = new Set([...Object.keys(declarations), ...inTopics]);
  for (const name of names) {
    const declared = declarations[name] ?? {};
    const table = tableSchema(name, declared, problems);
    const fields = table === null ? null : fieldMap(name, table, declared, values, problems);
    if (table === null || fields === null) continue;
    const kind = values.format.byTable[name] ?? declared.format ?? values.format.all ?? 'json';
    if (kind === 'binary' && declared.fields !== undefined)
      problems.push(`tables.${name}.fields: records in binary have no field names`);
    const format: RecordFormat = kind === 'binary' ? { kind } : { kind, fields };
    sources.push({ table, topic: values.topics[name] ?? declared.topic ?? name, format });
  }
  for (const setting of ['format', 'time-unit', 'scaled-numbers'] as const)
    for (const name of Object.keys(values[setting].byTable))
      if (!names.has(name))
        problems.push(`--${setting} names the table "${name}", which has no topic${suggestion(name, names)}`);
  const tableOfTopic = new Map<string, string>();
  for (const { topic, table } of sources) {
    const other = tableOfTopic.get(topic);
    if (other !== undefined)
      problems.push(
        `the tables "${other}" and "${table.name}" share the topic "${topic}": a topic fills one table`,
      );
    tableOfTopic.set(topic, table.name);
  }
  return { sources, problems };
}

function tableSchema(name: string, declared: TableDeclaration, problems: string[]): TableSchema | null {
  const byDefault = defaultTables.find((table) => table.name === name);
  if (declared.columns === undefined && byDefault !== undefined) return byDefault;
  if (declared.columns === undefined) {
    const known = defaultTables.map((table) => table.name);
    problems.push(
      `the table "${name}" has no columns: declare them in the config file under tables.${name}.columns ` +
        `(${known.join(' and ')} need no declaration)${suggestion(name, known)}`,
    );
    return null;
  }
  const before = problems.length;
  const columns: ColumnSchema[] = [];
  for (const { name: column, type: typeName, scale } of declared.columns) {
    const type = ColumnType[typeName];
    const scaleMax = type === ColumnType.INT64 ? 18 : type === ColumnType.INT32 ? 9 : 0;
    if (columns.some((other) => other.name === column))
      problems.push(`tables.${name}.columns: "${column}" stands twice`);
    if (scale !== undefined && scale > scaleMax)
      problems.push(
        `tables.${name}.columns: "${column}" is ${typeName}, which takes ${scaleMax === 0 ? 'no scale' : `a scale up to ${scaleMax}`}`,
      );
    columns.push(scale === undefined ? { name: column, type } : { name: column, type, scale });
  }
  const timestampColumn = keyColumn(
    name,
    columns,
    declared,
    'timestamp-column',
    ColumnType.TIMESTAMP_NS,
    problems,
  );
  const symbolColumn = keyColumn(name, columns, declared, 'symbol-column', ColumnType.SYMBOL, problems);
  return problems.length > before ? null : { name, columns, timestampColumn, symbolColumn };
}

/** Index of the column that the key names, or of the only one of its type. */
function keyColumn(
  table: string,
  columns: readonly ColumnSchema[],
  declared: TableDeclaration,
  key: 'timestamp-column' | 'symbol-column',
  type: ColumnType,
  problems: string[],
): number {
  const candidates = columns.filter((column) => column.type === type);
  const wanted = declared[key] ?? (candidates.length === 1 ? candidates[0]!.name : undefined);
  const typeName = columnTypeNames[type];
  const index = columns.findIndex((column) => column.name === wanted && column.type === type);
  if (index >= 0) return index;
  if (wanted !== undefined)
    problems.push(
      `tables.${table}.${key}: there is no ${typeName} column "${wanted}"${suggestion(
        wanted,
        candidates.map((c) => c.name),
      )}`,
    );
  else if (candidates.length === 0) problems.push(`tables.${table}.columns: one must be ${typeName}`);
  else
    problems.push(
      `tables.${table}.${key} must say which: ${candidates.map((c) => c.name).join(', ')} are all ${typeName}`,
    );
  return -1;
}

function fieldMap(
  name: string,
  table: TableSchema,
  declared: TableDeclaration,
  values: Pick<Values, 'time-unit' | 'scaled-numbers'>,
  problems: string[],
): FieldMap | null {
  const columns = table.columns.map((column) => column.name);
  const unknown = Object.keys(declared.fields ?? {}).filter((column) => !columns.includes(column));
  for (const column of unknown)
    problems.push(`tables.${name}.fields: there is no column "${column}"${suggestion(column, columns)}`);
  if (unknown.length > 0) return null;
  return {
    names: declared.fields ?? {},
    timeUnit: values['time-unit'].byTable[name] ?? declared['time-unit'] ?? values['time-unit'].all ?? 'ns',
    scaledNumbers:
      values['scaled-numbers'].byTable[name] ??
      declared['scaled-numbers'] ??
      values['scaled-numbers'].all ??
      'value',
  };
}
