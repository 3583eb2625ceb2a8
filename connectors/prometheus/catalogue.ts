// What: every metric of the system: name, type, meaning, labels.
// Why: dashboards and alerts are built on names; a name that is not here is not exported.
// Invariant: names end in their unit; label values are bounded (topics, partitions, tables, routes, codes), never symbols or queries.

export interface MetricDefinition {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds of a histogram, in its unit. */
  readonly buckets?: readonly number[];
}

const PARTITION = ['topic', 'partition'] as const;

const counter = (name: string, help: string, labels: readonly string[] = []): MetricDefinition => ({
  name,
  type: 'counter',
  help,
  labels,
});
const gauge = (name: string, help: string, labels: readonly string[] = []): MetricDefinition => ({
  name,
  type: 'gauge',
  help,
  labels,
});
const histogram = (
  name: string,
  help: string,
  labels: readonly string[],
  buckets: readonly number[],
): MetricDefinition => ({ name, type: 'histogram', help, labels, buckets });

const MILLISECONDS_TO_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const SECONDS_TO_MINUTES = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** Counted and measured by the code that does the work. */
export const reportedMetrics: readonly MetricDefinition[] = [
  counter('zepto_ticks_ingested_total', 'Rows taken into memory.', PARTITION),
  counter('zepto_ticks_stored_total', 'Rows in committed plans: in files, exactly once.', PARTITION),
  counter(
    'zepto_kafka_messages_consumed_total',
    'Records consumed, those that were replayed included.',
    PARTITION,
  ),
  counter('zepto_kafka_bytes_consumed_total', 'Bytes of their keys and values.', PARTITION),
  counter('zepto_kafka_decode_errors_total', 'Records that could not be decoded.', PARTITION),
  counter('zepto_dead_letters_total', 'Records committed to the dead-letter topic.', PARTITION),
  counter(
    'zepto_records_lost_total',
    'Records that were gone from the topic before they were finished.',
    PARTITION,
  ),
  counter('zepto_kafka_failures_total', 'Calls to Kafka that failed and are tried again.', ['code']),
  counter('zepto_symbol_records_skipped_total', 'Records of the symbol topic that give no id.', ['topic']),
  counter('zepto_catalogue_records_skipped_total', 'Records of the catalogue topic of no known format.'),
  counter('zepto_rebalances_total', 'Rebalances that ended with an assignment.'),
  counter(
    'zepto_fenced_total',
    'Times a partition was given up because it has another owner, or may have.',
    PARTITION,
  ),
  counter('zepto_pauses_total', 'Times fetching paused because memory was used up.'),
  counter('zepto_plans_committed_total', 'Seals committed, by what triggered them.', [
    ...PARTITION,
    'trigger',
  ]),
  histogram('zepto_plan_seconds', 'A seal, from the cut to the commit.', PARTITION, SECONDS_TO_MINUTES),
  counter(
    'zepto_plan_write_failures_total',
    'Attempts to write the files of a seal that failed; rows stay in memory.',
    ['code'],
  ),
  counter(
    'zepto_view_partials_failed_total',
    'Times that partials of a view could not be made or written; rows are sealed all the same.',
    ['code'],
  ),
  counter(
    'zepto_view_buckets_published_total',
    'Buckets of views sent to their topics, closed or corrected.',
    ['view'],
  ),
  counter(
    'zepto_view_publications_failed_total',
    'Times that values of buckets could not be had: published later, or with code SQL_* or LIMIT_EXCEEDED not at all.',
    ['code'],
  ),
  histogram(
    'zepto_commit_seconds',
    'One offset commit: transaction begin to end.',
    PARTITION,
    MILLISECONDS_TO_SECONDS,
  ),
  counter(
    'zepto_store_uploads_total',
    'Objects put; result is created, or exists when the object stood already.',
    ['store', 'result'],
  ),
  counter('zepto_store_upload_bytes_total', 'Bytes of objects created.', ['store']),
  histogram('zepto_store_upload_seconds', 'One object put, retries included.', ['store'], SECONDS_TO_MINUTES),
  counter('zepto_store_failures_total', 'Failed calls to the object store, each attempt.', [
    'store',
    'operation',
    'code',
  ]),
  counter('zepto_tiering_failures_total', 'Removals of old local files that failed and are tried again.'),
  gauge('zepto_store_failing', '1 while the object store does not answer as it should.', ['store']),
  counter(
    'zepto_cold_reads_total',
    'Parquet objects that queries asked for; result is hit when the local cache had it, else miss.',
    ['result'],
  ),
  counter('zepto_http_requests_total', 'HTTP requests answered.', ['method', 'route', 'status']),
  histogram(
    'zepto_query_seconds',
    'SQL statements, from their arrival to the end of the answer; outcome is ok or an error code.',
    ['outcome'],
    MILLISECONDS_TO_SECONDS,
  ),
  histogram(
    'zepto_http_request_seconds',
    'HTTP requests, from the head of the request to the end of the answer.',
    ['route'],
    MILLISECONDS_TO_SECONDS,
  ),
];

/** Read off the engine at each scrape, so a partition that went leaves no value behind. */
export const observedMetrics: readonly MetricDefinition[] = [
  gauge('zepto_server_up', '1: the process runs.'),
  gauge('zepto_server_ready', '1 while ticks flow; what /ready says.'),
  gauge('zepto_ingest_ticks_per_sec', 'Rows taken into memory per second, mean of the last ten seconds.'),
  gauge('zepto_kafka_position', 'Next offset to consume.', PARTITION),
  gauge('zepto_kafka_committed_offset', 'Offset the group has committed: all below is sealed.', PARTITION),
  gauge('zepto_kafka_end_offset', 'Offset after the last record that readers may see.', PARTITION),
  gauge('zepto_kafka_lag_records', 'Records not yet consumed: end minus position.', PARTITION),
  gauge(
    'zepto_hold_back_records',
    'Records consumed but not yet committed: position minus committed.',
    PARTITION,
  ),
  gauge('zepto_rows', 'Rows by tier.', [...PARTITION, 'table', 'tier']),
  gauge('zepto_hot_bytes', 'Column memory of a Kafka partition.', PARTITION),
  gauge(
    'zepto_staircase_steps',
    'Seals above the committed offset, which its metadata must hold.',
    PARTITION,
  ),
  gauge('zepto_partitions', 'Kafka partitions owned here, by state.', ['state']),
  gauge('zepto_shards', 'Consumer-group members of this process, by state.', ['state']),
  gauge('zepto_shards_paused', 'Shards that do not fetch because memory is used up.'),
  gauge('zepto_memory_used_bytes', 'Column memory and dead letters held.'),
  gauge('zepto_memory_budget_bytes', 'Their bound.'),
  counter(
    'zepto_metrics_rejected_total',
    'Measurements under a name or label that the catalogue does not know: a defect.',
  ),
];

export const metricCatalogue: readonly MetricDefinition[] = [...reportedMetrics, ...observedMetrics];

/** The tables of docs/metrics.md. */
export function metricsDocument(): string {
  const lines = ['| Metric | Type | Labels | Meaning |', '| --- | --- | --- | --- |'];
  for (const { name, type, labels, help } of metricCatalogue)
    lines.push(`| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(' ')} | ${help} |`);
  return lines.join('\n');
}
