// What: the catalogue as a pure state: tables, views and storage policies, and how each change moves it.
// Why: members apply the same changes in the same order, so what holds on one holds on all, and one of two that conflict wins.
// Invariant: applying a change never throws and depends on nothing but the state and what the record says; a change that does not fit is refused and changes nothing.

import { droppedHour, type StoragePolicy, withDrop } from '../columns/storage-policy.ts';
import type { ColumnSchema } from '../columns/types.ts';
import type { TableSource, TableVersions } from '../ports.ts';
import { alterationRefusal, altered, withAltered, withDeclared } from './columns.ts';

/** A materialized view as it was declared. */
export interface ViewEntry {
  readonly name: string;
  /** The table or view that it reads. */
  readonly source: string;
  /** Its query, as printed. */
  readonly sql: string;
  /** Kafka topic of its closed and corrected buckets; null: none. */
  readonly topic: string | null;
}

export interface Catalogue {
  /** Changes applied so far. */
  readonly version: number;
  readonly tables: ReadonlyMap<string, TableSource>;
  /** By topic: all that its table has been, as configuration, CREATE and ALTER TABLE made it. */
  readonly versions: ReadonlyMap<string, TableVersions>;
  /** Registered Parquet tables: path or pattern of their files by name. */
  readonly registered: ReadonlyMap<string, string>;
  readonly views: ReadonlyMap<string, ViewEntry>;
  /** By table; a table without one keeps to the settings of the process. */
  readonly policies: ReadonlyMap<string, StoragePolicy>;
  /** By topic: the last hour that a policy of before may have deleted. It never falls, whatever becomes of policy and table. */
  readonly dropped: ReadonlyMap<string, number>;
}

export type CatalogueChange =
  | { readonly kind: 'create-table'; readonly source: TableSource }
  | { readonly kind: 'register-parquet'; readonly table: string; readonly path: string }
  | { readonly kind: 'drop-table'; readonly table: string }
  | { readonly kind: 'add-column'; readonly table: string; readonly column: ColumnSchema }
  | { readonly kind: 'drop-column'; readonly table: string; readonly column: string }
  | { readonly kind: 'set-policy'; readonly table: string; readonly policy: StoragePolicy }
  | { readonly kind: 'set-ttl'; readonly table: string; readonly dropMinutes: number }
  | { readonly kind: 'create-view'; readonly view: ViewEntry; readonly orReplace: boolean }
  | { readonly kind: 'drop-view'; readonly view: string };

/** What became of a change: null, or why it was refused. */
export type Refusal = string | null;

/** Tables that configuration declares; they belong to every member and cannot be dropped. */
export function initialCatalogue(tables: readonly TableSource[]): Catalogue {
  return {
    version: 0,
    tables: new Map(tables.map((source) => [source.table.name, source])),
    versions: new Map(tables.map((source) => [source.topic, [source]])),
    registered: new Map(),
    views: new Map(),
    policies: new Map(),
    dropped: new Map(),
  };
}

/** `atMs`: when it was asked for; null: not known, as of records that do not say it. */
export function applyChange(
  catalogue: Catalogue,
  change: CatalogueChange,
  configured: ReadonlySet<string>,
  atMs: number | null,
): { readonly catalogue: Catalogue; readonly refusal: Refusal } {
  const refusal = refusalOf(catalogue, change, configured);
  if (refusal !== null) return { catalogue, refusal };
  return { catalogue: { ...moved(catalogue, change, atMs), version: catalogue.version + 1 }, refusal: null };
}

function refusalOf(catalogue: Catalogue, change: CatalogueChange, configured: ReadonlySet<string>): Refusal {
  const { tables, registered, views } = catalogue;
  switch (change.kind) {
    case 'create-table': {
      const { table, topic } = change.source;
      const taken = takenName(catalogue, table.name);
      if (taken !== null) return taken;
      const other = [...tables.values()].find((source) => source.topic === topic);
      if (other !== undefined)
        return `topic ${topic} already fills table '${other.table.name}': a topic fills one table`;
      const view = [...catalogue.views.values()].find((one) => one.topic === topic);
      return view === undefined
        ? null
        : `view '${view.name}' is published to topic ${topic}: take another topic`;
    }
    case 'register-parquet':
      return takenName(catalogue, change.table);
    case 'drop-table': {
      const { table } = change;
      if (registered.has(table)) return null;
      if (!tables.has(table)) return `Table '${table}' does not exist`;
      if (configured.has(table))
        return `Table '${table}' is declared by this process's configuration: take it out of --topics or the config file`;
      return usedBy(views, table);
    }
    case 'add-column':
    case 'drop-column':
      return alterationRefusal(catalogue, change, configured);
    case 'set-policy':
      return tables.has(change.table) ? null : `Table '${change.table}' does not exist`;
    case 'set-ttl':
      if (!tables.has(change.table)) return `Table '${change.table}' does not exist`;
      return withDrop(catalogue.policies.get(change.table), change.dropMinutes) === null
        ? `the storage policy of '${change.table}' has an age that is not below this TTL`
        : null;
    case 'create-view': {
      const { name, source } = change.view;
      if (tables.has(name) || registered.has(name)) return `'${name}' already exists, as a table`;
      if (!tables.has(source) && !views.has(source)) return `Table '${source}' does not exist`;
      const taken = takenTopic(catalogue, change.view);
      if (taken !== null) return taken;
      if (!views.has(name)) return null;
      if (!change.orReplace) return `Materialized view '${name}' already exists`;
      return isAbove(views, source, name)
        ? `view '${name}' cannot read '${source}', which reads '${name}'`
        : usedBy(views, name);
    }
    case 'drop-view':
      return views.has(change.view)
        ? usedBy(views, change.view)
        : `Materialized view '${change.view}' not found`;
  }
}

function takenName({ tables, registered, views }: Catalogue, name: string): Refusal {
  if (tables.has(name) || registered.has(name)) return `Table '${name}' already exists`;
  return views.has(name) ? `'${name}' already exists, as a view` : null;
}

/** Ticks of a table and buckets of another view in one topic could not be told apart. */
function takenTopic({ tables, views }: Catalogue, { name, topic }: ViewEntry): Refusal {
  if (topic === null) return null;
  const table = [...tables.values()].find((source) => source.topic === topic);
  if (table !== undefined)
    return `topic ${topic} fills table '${table.table.name}': publish the view to another one`;
  const other = [...views.values()].find((view) => view.topic === topic && view.name !== name);
  return other === undefined
    ? null
    : `view '${other.name}' is published to ${topic} already: take another topic`;
}

function usedBy(views: Catalogue['views'], name: string): Refusal {
  const users = [...views.values()].filter(({ source }) => source === name).map((view) => view.name);
  return users.length === 0 ? null : `'${name}' is used by the view ${users.join(', ')}: drop that first`;
}

/** Whether `name` reads `other`, directly or through views between. */
function isAbove(views: Catalogue['views'], name: string, other: string): boolean {
  for (let view = views.get(name); view !== undefined; view = views.get(view.source))
    if (view.name === other || view.source === other) return true;
  return false;
}

function moved(catalogue: Catalogue, change: CatalogueChange, atMs: number | null): Catalogue {
  switch (change.kind) {
    case 'create-table': {
      const { source } = change;
      const tables = new Map(catalogue.tables).set(source.table.name, source);
      return { ...catalogue, tables, versions: withDeclared(catalogue.versions, source) };
    }
    case 'add-column':
    case 'drop-column': {
      const source = altered(catalogue.tables.get(change.table)!, change);
      const tables = new Map(catalogue.tables).set(change.table, source);
      return { ...catalogue, tables, versions: withAltered(catalogue.versions, source) };
    }
    case 'register-parquet':
      return { ...catalogue, registered: new Map(catalogue.registered).set(change.table, change.path) };
    case 'drop-table':
      return {
        ...catalogue,
        tables: without(catalogue.tables, change.table),
        registered: without(catalogue.registered, change.table),
        policies: without(catalogue.policies, change.table),
        dropped: withDropped(catalogue, change.table, atMs),
      };
    case 'set-policy':
      return withPolicy(catalogue, change.table, change.policy, atMs);
    case 'set-ttl': {
      const policy = withDrop(catalogue.policies.get(change.table), change.dropMinutes)!;
      return withPolicy(catalogue, change.table, policy, atMs);
    }
    case 'create-view':
      return { ...catalogue, views: new Map(catalogue.views).set(change.view.name, change.view) };
    case 'drop-view':
      return { ...catalogue, views: without(catalogue.views, change.view) };
  }
}

const withPolicy = (
  catalogue: Catalogue,
  table: string,
  policy: StoragePolicy,
  atMs: number | null,
): Catalogue => ({
  ...catalogue,
  policies: new Map(catalogue.policies).set(table, policy),
  dropped: withDropped(catalogue, table, atMs),
});

/** With what the table's policy, which ends, may have deleted. Manifests are found by topic, also by a table that is made anew. */
function withDropped(
  { tables, policies, dropped }: Catalogue,
  table: string,
  atMs: number | null,
): Catalogue['dropped'] {
  const topic = tables.get(table)?.topic;
  if (topic === undefined || atMs === null) return dropped;
  const last = droppedHour(policies.get(table), dropped.get(topic), atMs);
  return last === null ? dropped : new Map(dropped).set(topic, last);
}

/** By table: the last hour that is in no answer. */
export function droppedHours(
  { tables, policies, dropped }: Pick<Catalogue, 'tables' | 'policies' | 'dropped'>,
  nowMs: number,
): ReadonlyMap<string, number> {
  const hours = new Map<string, number>();
  for (const [name, { topic }] of tables) {
    const last = droppedHour(policies.get(name), dropped.get(topic), nowMs);
    if (last !== null) hours.set(name, last);
  }
  return hours;
}

function without<V>(map: ReadonlyMap<string, V>, name: string): ReadonlyMap<string, V> {
  const left = new Map(map);
  left.delete(name);
  return left;
}
