// What: the gauges that are read off the engine's state when a scrape asks.
// Why: lag, positions and memory are states, not events; and a revoked partition must not keep its last value.
// Invariant: after `exposeEngine`, partition gauges hold exactly the partitions that the engine owns.

import type { EngineStats, PartitionStats } from '../../src/http-port.ts';
import type { PrometheusMetrics } from './metrics.ts';

type PartitionValue = (partition: PartitionStats) => number;

const partitionGauges: readonly (readonly [string, PartitionValue])[] = [
  ['zepto_kafka_position', ({ position }) => position],
  ['zepto_kafka_committed_offset', ({ committed }) => committed],
  ['zepto_kafka_end_offset', ({ endOffset }) => endOffset],
  ['zepto_kafka_lag_records', lagOf],
  ['zepto_hold_back_records', ({ position, committed }) => Math.max(0, position - committed)],
  ['zepto_hot_bytes', ({ bytesHot }) => bytesHot],
  ['zepto_staircase_steps', ({ staircase }) => staircase],
];

/** Records not yet consumed; 0 while the end is not known. */
export function lagOf({ endOffset, position }: PartitionStats): number {
  return Math.max(0, endOffset - position);
}

export function exposeEngine(metrics: PrometheusMetrics, stats: EngineStats, isReady: boolean): void {
  const partitions = stats.shards.flatMap((shard) => shard.partitions);
  for (const [name, value] of partitionGauges) {
    metrics.clearGauge(name);
    for (const partition of partitions) metrics.gauge(name, labelsOf(partition), value(partition));
  }
  metrics.clearGauge('zepto_rows');
  for (const partition of partitions)
    metrics.gauge(
      'zepto_rows',
      { ...labelsOf(partition), table: partition.table, tier: 'hot' },
      partition.rowsHot,
    );
  for (const state of ['REPLAYING', 'ACTIVE', 'FLUSHING'] as const)
    metrics.gauge('zepto_partitions', { state }, partitions.filter((one) => one.state === state).length);
  for (const state of ['joining', 'running', 'stopped'] as const)
    metrics.gauge('zepto_shards', { state }, stats.shards.filter((one) => one.state === state).length);
  metrics.gauge('zepto_shards_paused', {}, stats.shards.filter((one) => one.isPaused).length);
  metrics.gauge('zepto_memory_used_bytes', {}, sum(stats.shards.map((one) => one.usedBytes)));
  metrics.gauge('zepto_memory_budget_bytes', {}, sum(stats.shards.map((one) => one.budgetBytes)));
  metrics.gauge('zepto_server_up', {}, 1);
  metrics.gauge('zepto_server_ready', {}, isReady ? 1 : 0);
}

const labelsOf = ({ topic, partition }: PartitionStats): { topic: string; partition: string } => ({
  topic,
  partition: String(partition),
});

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
