// What: a snapshot without the hours that storage policies have dropped.
// Why: files go when somebody gets to it; what a query sees must not depend on when.
// Invariant: only tables with a policy that drops are looked at again.

import { policyHours, type StoragePolicy } from '../columns/storage-policy.ts';
import type { Snapshot, TableSnapshot } from './snapshot.ts';

export function withoutDropped<S extends Snapshot>(
  snapshot: S,
  policies: ReadonlyMap<string, StoragePolicy>,
  nowMs: number,
): S {
  let tables: Map<string, TableSnapshot> | null = null;
  for (const [name, policy] of policies) {
    const table = snapshot.tables.get(name);
    const last = policyHours(policy, nowMs).isDropped;
    if (table === undefined || last === null) continue;
    tables ??= new Map(snapshot.tables);
    tables.set(name, youngerThan(table, last));
  }
  return tables === null ? snapshot : { ...snapshot, tables };
}

function youngerThan(table: TableSnapshot, hourLast: number): TableSnapshot {
  return { ...table, partsOf: (symbol) => table.partsOf(symbol).filter(({ hour }) => hour > hourLast) };
}
