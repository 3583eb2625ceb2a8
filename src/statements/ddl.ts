// What: CREATE, ALTER and DROP → a change of the catalogue, and what to answer.
// Why: a statement is checked against what holds here before it is sent to all members.
// Invariant: IF EXISTS and IF NOT EXISTS never ask for a change that would be refused.

import type { Catalogue, CatalogueChange } from '../catalogue/catalogue.ts';
import type { StoragePolicy } from '../columns/storage-policy.ts';
import type { AlterTable, CreateTable, DropTable, PolicyRule } from '../sql/ast.ts';
import { nodeError } from '../sql/errors.ts';
import { nearest } from '../sql/nearest.ts';
import { ageText } from '../sql/print.ts';
import { storagePolicy } from '../sql/storage-policy.ts';
import { columnOf } from '../sql/types.ts';
import { declaredTable, requireName } from './create-table.ts';

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
      const declared = declaredTable(statement);
      const { name } = statement.table;
      if (statement.ifNotExists && (catalogue.tables.has(name) || catalogue.registered.has(name)))
        return unchanged(`Table '${name}' exists already`);
      const message = `Table '${name}' created`;
      if (declared.kind === 'parquet')
        return asked({ kind: 'register-parquet', table: name, path: declared.path }, message);
      const { source, partitions } = declared;
      return { ...asked({ kind: 'create-table', source }, message), partitions };
    }
    case 'drop-table': {
      const { name } = statement.table;
      const isRegistered = catalogue.registered.has(name);
      if (statement.ifExists && !catalogue.tables.has(name) && !isRegistered)
        return unchanged(`Table '${name}' does not exist`);
      const files = isRegistered ? ', its files stay' : '';
      return asked({ kind: 'drop-table', table: name }, `Table '${name}' dropped${files}`);
    }
    case 'alter-table':
      return alteration(statement, catalogue);
  }
}

/** @throws ZeptoError SQL_* with position: there is no such table, or nothing to alter about it. */
export function requireAlterable(
  { at, table: { name, at: tableAt } }: AlterTable,
  catalogue: Catalogue,
): void {
  if (catalogue.tables.has(name)) return;
  if (catalogue.registered.has(name))
    throw nodeError(
      'SQL_UNSUPPORTED',
      at,
      `'${name}' is a name for Parquet files, whose columns and ages are theirs: there is nothing to alter`,
    );
  throw nodeError('SQL_NAME', tableAt, `Table '${name}' does not exist`, {
    unknown: 'table',
    suggestion: nearest(name, [...catalogue.tables.keys()]),
  });
}

function alteration(statement: AlterTable, catalogue: Catalogue): AskedChange {
  requireAlterable(statement, catalogue);
  const { action } = statement;
  const { name } = statement.table;
  switch (action.kind) {
    case 'set-storage-policy': {
      const policy = storagePolicy(action.rules);
      const message = `Storage policy set for '${name}': ${policyText(policy)}`;
      return asked({ kind: 'set-policy', table: name, policy }, message);
    }
    case 'set-ttl': {
      const { at, ageMinutes } = action;
      const before = catalogue.policies.get(name);
      const others = before === undefined ? [] : agesOf(before).filter(({ tier }) => tier !== 'DROP');
      // Refused here with its position; the policy may be another one when the change is applied, which asks again.
      storagePolicy([...others, { tier: 'DROP' as const, ageMinutes }].map((rule) => ({ at, ...rule })));
      const message = `TTL set to ${ageText(ageMinutes)} for table '${name}'`;
      return asked({ kind: 'set-ttl', table: name, dropMinutes: ageMinutes }, message);
    }
    case 'add-column': {
      const { at: columnAt, name: column, type } = action.column;
      requireName(column, columnAt);
      return asked(
        { kind: 'add-column', table: name, column: columnOf(column, type) },
        `Column '${column}' added to '${name}'`,
      );
    }
    case 'drop-column': {
      const { table } = catalogue.tables.get(name)!;
      const known = table.columns.map((column) => column.name);
      if (!known.includes(action.name))
        throw nodeError('SQL_NAME', action.at, `Table '${name}' has no column '${action.name}'`, {
          unknown: 'column',
          suggestion: nearest(action.name, known),
        });
      return asked(
        { kind: 'drop-column', table: name, column: action.name },
        `Column '${action.name}' dropped from '${name}'`,
      );
    }
  }
}

export const policyText = (policy: StoragePolicy): string =>
  agesOf(policy)
    .map(({ tier, ageMinutes }) => `${tier} ${ageText(ageMinutes)}`)
    .join(' ');

const agesOf = (policy: StoragePolicy): Omit<PolicyRule, 'at'>[] =>
  [
    ['HOT', policy.hotMinutes] as const,
    ['WARM', policy.warmMinutes] as const,
    ['COLD', policy.coldMinutes] as const,
    ['DROP', policy.dropMinutes] as const,
  ].flatMap(([tier, ageMinutes]) => (ageMinutes === null ? [] : { tier, ageMinutes }));

const asked = (change: CatalogueChange, message: string): AskedChange => ({
  change,
  partitions: 0,
  message,
});
const unchanged = (message: string): AskedChange => ({ change: null, partitions: 0, message });
