// What: a table's parts by symbol, from a plain list.
// Why: queries look parts up by symbol; who has them all at hand groups them once.
// Invariant: parts of a symbol come by hour, then Kafka partition, then as they were given.

import type { TableSchema } from '../columns/types.ts';
import type { AnyPart, TableSnapshot } from './snapshot.ts';

/** The order in which a query meets the parts of a symbol; equal ones stay as they are. */
export const byHour = (a: AnyPart, b: AnyPart): number => a.hour - b.hour || a.partition - b.partition;

export function tableOf(schema: TableSchema, parts: readonly AnyPart[]): TableSnapshot {
  const groups = new Map<number, AnyPart[]>();
  for (const part of parts) {
    const group = groups.get(part.symbol);
    if (group === undefined) groups.set(part.symbol, [part]);
    else group.push(part);
  }
  for (const group of groups.values()) group.sort(byHour);
  return {
    schema,
    symbols: [...groups.keys()].sort((a, b) => a - b),
    partsOf: (symbol) => groups.get(symbol) ?? [],
    partCount: parts.length,
  };
}

/** All parts, by symbol. */
export const partsIn = (table: TableSnapshot): AnyPart[] =>
  table.symbols.flatMap((symbol) => table.partsOf(symbol));
