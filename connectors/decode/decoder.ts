// What: the decoder of a table's records, chosen once by their format.
// Why: the engine knows one port, RowDecoder, and no format.
// Invariant: no decoder throws on any bytes; a record that gives no row is set aside with the reason.

import type { SymbolTable } from '../../src/columns/symbols.ts';
import { ZeptoError } from '../../src/kernel/errors.ts';
import type { RowDecoder, TableSource } from '../../src/ports.ts';
import { arrowDecoder } from './arrow.ts';
import { avroDecoder } from './avro.ts';
import { binaryDecoder } from './binary.ts';
import { jsonDecoder } from './json.ts';
import type { SchemaSource } from './schema-source.ts';
import { targetOf } from './target.ts';

/**
 * One per (table, shard).
 * @throws ZeptoError CONFIG_INVALID when the table and the format do not go together.
 */
export function createDecoder(
  source: TableSource,
  symbols: SymbolTable,
  schemas: SchemaSource | null = null,
): RowDecoder {
  const { table, format } = source;
  switch (format.kind) {
    case 'json':
      return jsonDecoder(targetOf(table, format.fields), symbols);
    case 'binary':
      return binaryDecoder(table);
    case 'avro':
      if (schemas === null) {
        throw new ZeptoError(
          'CONFIG_INVALID',
          'stop',
          `table ${table.name} reads Avro: set the schema registry (--schema-registry)`,
        );
      }
      return avroDecoder(targetOf(table, format.fields), symbols, schemas);
    case 'arrow':
      return arrowDecoder(targetOf(table, format.fields), symbols);
  }
}
