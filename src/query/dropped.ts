// What: a snapshot without the hours that storage policies have dropped.
// Why: files go when somebody gets to it; what a query sees must not depend on when.
// Invariant: only tables of which something is dropped are looked at again.

import type { Snapshot, TableSnapshot } from './snapshot.ts';

/** `hours`: the last one that is dropped, by table. */
export function withoutDropped<S extends Snapshot>(snapshot: S, hours: ReadonlyMap<string, number>): S {
  let tables: Map<string, TableSnapshot> | null = null;
  for (const [name, last] of hours) {
    const table = snapshot.tables.get(name);
    if (table === undefined) continue;
    tables ??= new Map(snapshot.tables);
    tables.set(name, youngerThan(table, last));
  }
  return tables === null ? snapshot : { ...snapshot, tables };
}

function youngerThan(table: TableSnapshot, hourLast: number): TableSnapshot {
  return { ...table, partsOf: (symbol) => table.partsOf(symbol).filter(({ hour }) => hour > hourLast) };
}
