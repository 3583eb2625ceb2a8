// What: CREATE TABLE → the table, its topic and how records of that topic are read; or the files that it is a name for.
// Why: what the catalogue takes in must be complete and able to work; everything wrong with it is told with its position.
// Invariant: a table has one event time, one partitioning symbol, and options that are known.

import { ColumnType, columnTypeNames, type TableSchema, VIEWS_NAME } from '../columns/types.ts';
import { suggestion } from '../kernel/nearest.ts';
import type { FieldMap, RecordFormat, TableSource } from '../ports.ts';
import type { CreateTable, Option } from '../sql/ast.ts';
import { nodeError } from '../sql/errors.ts';
import { columnOf } from '../sql/types.ts';

export type DeclaredTable =
  | {
      readonly kind: 'ticks';
      readonly source: TableSource;
      /** Of the topic, when it has to be made. */
      readonly partitions: number;
    }
  | { readonly kind: 'parquet'; readonly name: string; readonly path: string };

const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
export const TOPIC_NAME = /^[A-Za-z0-9._-]{1,249}$/;
const PARTITIONS_DEFAULT = 4;
const PARTITIONS_MAX = 1_000;

const formats = ['json', 'avro', 'binary', 'arrow'] as const;
const timeUnits = ['s', 'ms', 'us', 'ns'] as const;
const scaledNumbers = ['value', 'scaled'] as const;

/** @throws ZeptoError SQL_NAME, SQL_TYPE or SQL_UNSUPPORTED with position. */
export function declaredTable(statement: CreateTable): DeclaredTable {
  const options = new TableOptions(statement.options);
  requireNames(statement);
  const path = options.text('parquet');
  if (path !== null) return parquetTable(statement, path, options);
  if (statement.columns.length === 0)
    throw nodeError(
      'SQL_TYPE',
      statement.at,
      "a table needs columns, (timestamp TIMESTAMP, symbol SYMBOL, …), or the files that it is a name for, WITH (parquet = '…')",
    );
  const table = tableSchema(statement, options);
  const topic = options.text('topic') ?? table.name;
  if (!TOPIC_NAME.test(topic)) throw options.wrong('topic', `"${topic}" is no topic name`);
  const kind = options.oneOf('format', formats) ?? 'json';
  const fields: FieldMap = {
    names: {},
    timeUnit: options.oneOf('time_unit', timeUnits) ?? 'ns',
    scaledNumbers: options.oneOf('scaled_numbers', scaledNumbers) ?? 'value',
  };
  const format: RecordFormat = kind === 'binary' ? { kind } : { kind, fields };
  const partitions = options.count('partitions', PARTITIONS_MAX) ?? PARTITIONS_DEFAULT;
  options.refuseUnknown();
  return { kind: 'ticks', source: { table, topic, format }, partitions };
}

function parquetTable({ table, columns }: CreateTable, path: string, options: TableOptions): DeclaredTable {
  const [first] = columns;
  if (first !== undefined)
    throw nodeError('SQL_UNSUPPORTED', first.at, 'the columns of a Parquet table are those of its files');
  options.refuseUnknown();
  return { kind: 'parquet', name: table.name, path };
}

function requireNames({ table, columns }: CreateTable): void {
  if (table.schema !== null && table.schema !== 'default')
    throw nodeError('SQL_NAME', table.at, `there is no database ${table.schema}: tables lie in default`);
  requireName(table.name, table.at);
  if (table.name === VIEWS_NAME)
    throw nodeError('SQL_NAME', table.at, `a table cannot be called ${VIEWS_NAME}: files of views lie there`);
  for (const { at, name } of columns) requireName(name, at);
}

/** Names of tables and columns make names of folders and files. @throws ZeptoError SQL_NAME */
export function requireName(name: string, at: number): void {
  if (NAME.test(name)) return;
  throw nodeError('SQL_NAME', at, `"${name}" is no name for a table or column: letters, digits, underscores`);
}

function tableSchema({ at, table, columns }: CreateTable, options: TableOptions): TableSchema {
  const schema = columns.map(({ name, type }) => columnOf(name, type));
  const key = (option: string, type: ColumnType): number => {
    const named = options.text(option);
    const candidates = schema.filter((column) => column.type === type).map(({ name }) => name);
    const name = named ?? (candidates.length === 1 ? candidates[0] : undefined);
    const index = schema.findIndex((column) => column.name === name && column.type === type);
    if (index >= 0) return index;
    const typeName = columnTypeNames[type]!;
    if (named !== null)
      throw options.wrong(
        option,
        `there is no ${typeName} column "${named}"${suggestion(named, candidates)}`,
      );
    throw nodeError(
      'SQL_TYPE',
      at,
      candidates.length === 0
        ? `a table needs a column of type ${typeName}, such as ${type === ColumnType.SYMBOL ? 'symbol SYMBOL' : 'timestamp TIMESTAMP'}`
        : `${candidates.join(', ')} are all ${typeName}: say which by WITH (${option} = '…')`,
    );
  };
  return {
    name: table.name,
    columns: schema,
    timestampColumn: key('timestamp_column', ColumnType.TIMESTAMP_NS),
    symbolColumn: key('symbol_column', ColumnType.SYMBOL),
  };
}

/** WITH (…), each option asked for once. */
class TableOptions {
  private readonly options: ReadonlyMap<string, Option>;
  private readonly asked = new Set<string>();

  constructor(options: readonly Option[]) {
    this.options = new Map(options.map((option) => [option.name.toLowerCase(), option]));
  }

  text(name: string): string | null {
    const value = this.take(name)?.value;
    if (value === undefined) return null;
    if (value.kind !== 'string') throw this.wrong(name, 'a text is expected');
    return value.value;
  }

  oneOf<T extends string>(name: string, values: readonly T[]): T | null {
    const text = this.text(name)?.toLowerCase() ?? null;
    const found = values.find((value) => value === text);
    if (text !== null && found === undefined)
      throw this.wrong(name, `expects one of ${values.join(', ')}${suggestion(text, values)}`);
    return found ?? null;
  }

  count(name: string, max: number): number | null {
    const value = this.take(name)?.value;
    if (value === undefined) return null;
    const count = value.kind === 'integer' ? Number(value.value) : Number.NaN;
    if (count >= 1 && count <= max) return count;
    throw this.wrong(name, `expects a number from 1 to ${max}`);
  }

  refuseUnknown(): void {
    for (const [name, { at }] of this.options)
      if (!this.asked.has(name))
        throw nodeError('SQL_UNSUPPORTED', at, `unknown option ${name}${suggestion(name, this.asked)}`);
  }

  wrong(name: string, problem: string): Error {
    return nodeError('SQL_TYPE', this.options.get(name)!.at, `${name}: ${problem}`);
  }

  private take(name: string): Option | undefined {
    this.asked.add(name);
    return this.options.get(name);
  }
}
