// What: all system tables of a statement: those of its snapshot, the lag of Kafka, the settings of its request.
// Why: some of what is asked for is known to the main thread alone, some to the request alone.
// Invariant: what the main thread answers is of the moment of the query.

import { clickhouseType } from '../../connectors/formats/clickhouse-types.ts';
import type { PartitionStats } from '../engine/shard.ts';
import { type SystemColumn, type SystemTables, systemTable } from '../query/system/system-table.ts';
import { snapshotTables } from '../query/system/tables.ts';
import { INT64, STRING } from '../sql/types.ts';
import { type ListedSetting, listedSettings, type RequestSettings } from '../statements/request-settings.ts';
import type { Caller } from './calls.ts';
import type { MainCalls } from './main-calls.ts';

const ofSnapshots = snapshotTables(clickhouseType);

export function systemTables(main: Caller<MainCalls>, asked: RequestSettings): SystemTables {
  return new Map([
    ...ofSnapshots,
    ['kafka_lag', systemTable(lagColumns, () => lagOf(main))],
    ['settings', systemTable(settingColumns, () => listedSettings(asked))],
  ]);
}

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
