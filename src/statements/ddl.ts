// What: CREATE, ALTER and DROP → a change of the catalogue, and what to answer.
// Why: a statement is checked against what holds here before it is sent to all members.
// Invariant: IF EXISTS and IF NOT EXISTS never ask for a change that would be refused.

import type { Catalogue, CatalogueChange } from '../catalogue/catalogue.ts';
import type { StoragePolicy } from '../columns/storage-policy.ts';
import { ZeptoError } from '../kernel/errors.ts';
import type { AlterTable, CreateTable, DropTable } from '../sql/ast.ts';
import { nodeError } from '../sql/errors.ts';
import { nearest } from '../sql/nearest.ts';
import { ageText } from '../sql/print.ts';
import { storagePolicy } from '../sql/storage-policy.ts';
import { declaredTable } from './create-table.ts';

export interface AskedChange {
  /** Null: it holds already, as IF [NOT] EXISTS allows. */
  readonly change: CatalogueChange | null;
  /** Of a topic that has to be made. */
  readonly partitions: number;
  readonly message: string;
}

/** @throws ZeptoError SQL_* with position. */
export function askedChange(
  statement: CreateTable | DropTable | AlterTable,
  catalogue: Catalogue,
): AskedChange {
  switch (statement.kind) {
    case 'create-table': {
      const { source, partitions } = declaredTable(statement);
      const { name } = source.table;
      if (statement.ifNotExists && catalogue.tables.has(name))
        return unchanged(`Table '${name}' exists already`);
      return { change: { kind: 'create-table', source }, partitions, message: `Table '${name}' created` };
    }
    case 'drop-table': {
      const { name } = statement.table;
      if (statement.ifExists && !catalogue.tables.has(name))
        return unchanged(`Table '${name}' does not exist`);
      return {
        change: { kind: 'drop-table', table: name },
        partitions: 0,
        message: `Table '${name}' dropped`,
      };
    }
    case 'alter-table':
      return alteration(statement, catalogue);
  }
}

function alteration({ at, table, action }: AlterTable, catalogue: Catalogue): AskedChange {
  const { name } = table;
  if (!catalogue.tables.has(name))
    throw nodeError('SQL_NAME', table.at, `Table '${name}' does not exist`, {
      unknown: 'table',
      suggestion: nearest(name, [...catalogue.tables.keys()]),
    });
  switch (action.kind) {
    case 'set-storage-policy': {
      const policy = storagePolicy(action.rules);
      const message = `Storage policy set for '${name}': ${policyText(policy)}`;
      return { change: { kind: 'set-policy', table: name, policy }, partitions: 0, message };
    }
    case 'set-ttl': {
      const before = catalogue.policies.get(name);
      const policy: StoragePolicy = {
        hotMinutes: before?.hotMinutes ?? null,
        warmMinutes: before?.warmMinutes ?? null,
        coldMinutes: before?.coldMinutes ?? null,
        dropMinutes: action.ageMinutes,
      };
      const message = `TTL set to ${ageText(action.ageMinutes)} for table '${name}'`;
      return { change: { kind: 'set-policy', table: name, policy }, partitions: 0, message };
    }
    case 'add-column':
    case 'drop-column':
      throw new ZeptoError(
        'SQL_UNSUPPORTED',
        'stop',
        `the columns of a table cannot be altered yet: create another table on a topic of its own`,
        { context: { position: at } },
      );
  }
}

export function policyText({ hotMinutes, warmMinutes, coldMinutes, dropMinutes }: StoragePolicy): string {
  return [
    ['HOT', hotMinutes] as const,
    ['WARM', warmMinutes] as const,
    ['COLD', coldMinutes] as const,
    ['DROP', dropMinutes] as const,
  ]
    .filter(([, minutes]) => minutes !== null)
    .map(([tier, minutes]) => `${tier} ${ageText(minutes!)}`)
    .join(' ');
}

const unchanged = (message: string): AskedChange => ({ change: null, partitions: 0, message });
