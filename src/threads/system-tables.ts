// What: all system tables of a statement: those of its snapshot, views and policies, the lag of Kafka, the settings of its request.
// Why: some of what is asked for is known to the catalogue or the main thread alone, some to the request alone.
// Invariant: what the main thread answers is of the moment of the query.

import { clickhouseType } from '../../connectors/formats/clickhouse-types.ts';
import type { Catalogue, ViewEntry } from '../catalogue/catalogue.ts';
import type { StoragePolicy } from '../columns/storage-policy.ts';
import type { PartitionStats } from '../engine/shard.ts';
import { type SystemColumn, type SystemTables, systemTable } from '../query/system/system-table.ts';
import { snapshotTables } from '../query/system/tables.ts';
import { PartialView } from '../query/view/partial.ts';
import { INT64, STRING } from '../sql/types.ts';
import { policyText } from '../statements/ddl.ts';
import { type ListedSetting, listedSettings, type RequestSettings } from '../statements/request-settings.ts';
import type { Caller } from './calls.ts';
import type { MainCalls } from './main-calls.ts';
import type { ViewKeeper, ViewProgress } from './view-keeper.ts';

const ofSnapshots = snapshotTables(clickhouseType);

/** What a query thread knows beside its snapshots. */
export interface SystemSources {
  readonly main: Caller<MainCalls>;
  readonly catalogue: () => Catalogue;
  readonly views: ViewKeeper;
}

/** For each request: only its settings are its own. */
export function systemTables({
  main,
  catalogue,
  views,
}: SystemSources): (asked: RequestSettings) => SystemTables {
  const ofAll = new Map([
    ...ofSnapshots,
    ['views', systemTable(viewColumns, ({ snapshot }) => viewsOf(catalogue(), views.progress(snapshot)))],
    ['policies', systemTable(policyColumns, () => policiesOf(catalogue()))],
    ['kafka_lag', systemTable(lagColumns, () => lagOf(main))],
  ]);
  return (asked) =>
    new Map(ofAll).set(
      'settings',
      systemTable(settingColumns, () => listedSettings(asked)),
    );
}

interface ListedView extends ViewProgress {
  readonly view: string;
  readonly source: string;
  readonly query: string;
  /** As paths of its partials name it; null: it has none. */
  readonly definition: string | null;
  readonly topic: string | null;
}

function viewsOf(
  { views: declared, tables }: Catalogue,
  progress: ReadonlyMap<string, ViewProgress>,
): ListedView[] {
  return [...declared.values()].map((entry) => ({
    view: entry.name,
    source: entry.source,
    query: entry.sql,
    definition: definitionOf(entry, tables),
    topic: entry.topic,
    ...(progress.get(entry.name) ?? { groups: 0, partsKept: 0, partsAll: 0, bytes: 0 }),
  }));
}

function definitionOf(entry: ViewEntry, tables: Catalogue['tables']): string | null {
  const source = tables.get(entry.source);
  if (source === undefined) return null;
  try {
    return new PartialView(entry, source.table).definition;
  } catch {
    // Its table has changed: it is listed, and a query of it says what is wrong.
    return null;
  }
}

const viewColumns: readonly SystemColumn<ListedView>[] = [
  { name: 'view', type: STRING, of: ({ view }) => view },
  { name: 'source', type: STRING, of: ({ source }) => source },
  { name: 'query', type: STRING, of: ({ query }) => query },
  { name: 'buckets', type: INT64, of: ({ groups }) => BigInt(groups) },
  { name: 'parts_kept', type: INT64, of: ({ partsKept }) => BigInt(partsKept) },
  { name: 'parts', type: INT64, of: ({ partsAll }) => BigInt(partsAll) },
  { name: 'bytes', type: INT64, of: ({ bytes }) => BigInt(bytes) },
  { name: 'definition', type: STRING, of: ({ definition }) => definition },
  { name: 'topic', type: STRING, of: ({ topic }) => topic },
];

interface ListedPolicy {
  readonly table: string;
  /** Null: none was set, so that the process's configuration decides. */
  readonly policy: StoragePolicy | null;
}

const policiesOf = ({ tables, policies }: Catalogue): ListedPolicy[] =>
  [...tables.keys()].map((table) => ({ table, policy: policies.get(table) ?? null }));

const ageColumn = (name: string, of: keyof StoragePolicy): SystemColumn<ListedPolicy> => ({
  name,
  type: INT64,
  of: ({ policy }) => {
    const minutes = policy?.[of] ?? null;
    return minutes === null ? null : BigInt(minutes);
  },
});

const policyColumns: readonly SystemColumn<ListedPolicy>[] = [
  { name: 'table', type: STRING, of: ({ table }) => table },
  {
    name: 'policy',
    type: STRING,
    of: ({ policy }) => (policy === null ? 'as the process is configured' : policyText(policy)),
  },
  ageColumn('hot_minutes', 'hotMinutes'),
  ageColumn('warm_minutes', 'warmMinutes'),
  ageColumn('cold_minutes', 'coldMinutes'),
  ageColumn('drop_minutes', 'dropMinutes'),
];

interface OwnedPartition extends PartitionStats {
  readonly shard: number;
}

async function lagOf(main: Caller<MainCalls>): Promise<OwnedPartition[]> {
  const { shards } = await main.call('stats', undefined as never);
  return shards.flatMap(({ partitions }, shard) => partitions.map((partition) => ({ ...partition, shard })));
}

/** -1: nobody has said yet. */
const endOf = ({ endOffset }: PartitionStats): bigint | null => (endOffset < 0 ? null : BigInt(endOffset));

const lagColumns: readonly SystemColumn<OwnedPartition>[] = [
  { name: 'table', type: STRING, of: ({ table }) => table },
  { name: 'topic', type: STRING, of: ({ topic }) => topic },
  { name: 'partition', type: INT64, of: ({ partition }) => BigInt(partition) },
  { name: 'position', type: INT64, of: ({ position }) => BigInt(position) },
  { name: 'committed', type: INT64, of: ({ committed }) => BigInt(committed) },
  { name: 'end_offset', type: INT64, of: endOf },
  {
    name: 'lag',
    type: INT64,
    of: (one) => (one.endOffset < 0 ? null : BigInt(Math.max(0, one.endOffset - one.position))),
  },
  { name: 'rows_hot', type: INT64, of: ({ rowsHot }) => BigInt(rowsHot) },
  { name: 'state', type: STRING, of: ({ state }) => state },
  { name: 'shard', type: INT64, of: ({ shard }) => BigInt(shard) },
];

const settingColumns: readonly SystemColumn<ListedSetting>[] = [
  { name: 'name', type: STRING, of: ({ name }) => name },
  { name: 'value', type: STRING, of: ({ value }) => value },
  { name: 'changed', type: INT64, of: ({ changed }) => (changed ? 1n : 0n) },
  { name: 'description', type: STRING, of: ({ description }) => description },
  { name: 'readonly', type: INT64, of: ({ isReadonly }) => (isReadonly ? 1n : 0n) },
  { name: 'type', type: STRING, of: ({ type }) => type },
  { name: 'default', type: STRING, of: (setting) => setting.default },
];
