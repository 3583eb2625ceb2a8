// What: a table's columns as decoders fill them: where each value comes from and by which power of ten it is scaled.
// Why: JSON, Avro and Arrow share one reading of the field map, so the same tick gives the same row in every format.
// Invariant: a time is a fixed-point number too: its unit is its scale (s 9, ms 6, us 3, ns 0).

import { type ColumnSchema, ColumnType, type TableSchema } from '../../src/columns/types.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import { SCALE_MAX } from '../../src/kernel/fixed.ts';
import type { FieldMap } from '../../src/ports.ts';

/** What a column may do when its record has no value for it. */
export const Role = { PLAIN: 0, TIME: 1, SYMBOL: 2 } as const;
export type Role = (typeof Role)[keyof typeof Role];

export interface TargetColumn {
  /** Index into the table's columns and the row buffer's. */
  readonly index: number;
  /** Name of the field in the record. */
  readonly field: string;
  readonly type: ColumnType;
  /** stored integer = number in the record × 10^scale; for a float column 0. */
  readonly scale: number;
  /** Decimals of the stored integer, whatever the record's numbers are: for types that carry a scale of their own. */
  readonly decimals: number;
  readonly role: Role;
  /** As causes name it: the column, and the field where it has another name. */
  readonly label: string;
}

export interface Target {
  readonly table: TableSchema;
  readonly columns: readonly TargetColumn[];
  /** Indices of the SYMBOL and STRING columns: those that hold codes of the symbol dictionary. */
  readonly texts: readonly number[];
}

export const UNIT_SCALE: Readonly<Record<FieldMap['timeUnit'], number>> = { s: 9, ms: 6, us: 3, ns: 0 };

/** @throws ZeptoError CONFIG_INVALID when a column cannot be read as declared. */
export function targetOf(table: TableSchema, fields: FieldMap): Target {
  for (const name of Object.keys(fields.names)) {
    if (!table.columns.some((column) => column.name === name)) {
      throw new ZeptoError(
        'CONFIG_INVALID',
        'stop',
        `table ${table.name}: the field map names a column '${name}' that the table does not have`,
      );
    }
  }
  const columns = table.columns.map((column, index): TargetColumn => {
    const field = Object.hasOwn(fields.names, column.name) ? fields.names[column.name]! : column.name;
    return {
      index,
      field,
      type: column.type,
      scale: scaleOf(table, column, fields),
      decimals: column.type === ColumnType.TIMESTAMP_NS ? 9 : (column.scale ?? 0),
      role:
        index === table.timestampColumn ? Role.TIME : index === table.symbolColumn ? Role.SYMBOL : Role.PLAIN,
      label: field === column.name ? column.name : `${column.name} (field ${field})`,
    };
  });
  return { table, columns, texts: columns.filter(isText).map((column) => column.index) };
}

export function isText(column: { readonly type: ColumnType }): boolean {
  return column.type === ColumnType.SYMBOL || column.type === ColumnType.STRING;
}

function scaleOf(table: TableSchema, column: ColumnSchema, fields: FieldMap): number {
  if (column.type === ColumnType.TIMESTAMP_NS) return UNIT_SCALE[fields.timeUnit];
  if (column.type !== ColumnType.INT32 && column.type !== ColumnType.INT64) return 0;
  const scale = column.scale ?? 0;
  if (!Number.isInteger(scale) || scale < 0 || scale > SCALE_MAX) {
    throw new ZeptoError(
      'CONFIG_INVALID',
      'stop',
      `table ${table.name}: column ${column.name} has scale ${scale}; use 0 to ${SCALE_MAX}`,
    );
  }
  return fields.scaledNumbers === 'scaled' ? 0 : scale;
}
