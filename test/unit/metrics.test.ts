// What: the metrics catalogue, the registry, and the way from worker threads to it.
// Why: dashboards and alerts stand on names and values that nobody looks at while they are right.
// Invariant: what is counted in any thread appears once in one scrape.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { MetricsBatch, type MetricsMessage } from '../../connectors/prometheus/batch.ts';
import { metricCatalogue, metricsDocument } from '../../connectors/prometheus/catalogue.ts';
import { exposeEngine } from '../../connectors/prometheus/engine-gauges.ts';
import { PrometheusMetrics } from '../../connectors/prometheus/metrics.ts';
import { RateWindow } from '../../connectors/prometheus/rate.ts';
import type { EngineStats, PartitionStats } from '../../src/http-port.ts';
import { type Clock, systemClock } from '../../src/kernel/clock.ts';
import { expectGeneratedSection } from '../support/generated.ts';

const root = join(import.meta.dirname, '../..');

/** A clock whose `every` callbacks run when told. */
function handClock(): { clock: Clock; advance: (ms: number) => void } {
  let nowMs = 0;
  const callbacks = new Set<() => void>();
  const clock: Clock = {
    ...systemClock,
    monotonicMs: () => nowMs,
    every(_, callback) {
      callbacks.add(callback);
      return { cancel: () => callbacks.delete(callback) };
    },
  };
  return {
    clock,
    advance(ms) {
      nowMs += ms;
      for (const callback of callbacks) callback();
    },
  };
}

const open: PrometheusMetrics[] = [];
function registry(clock: Clock = handClock().clock): PrometheusMetrics {
  const metrics = new PrometheusMetrics(clock, { process: false });
  open.push(metrics);
  return metrics;
}
afterEach(() => {
  for (const metrics of open.splice(0)) metrics.close();
});

async function seriesValue(metrics: PrometheusMetrics, series: string): Promise<number | undefined> {
  const line = (await metrics.text()).split('\n').find((text) => text.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

describe('the catalogue', () => {
  const sources = ['src', 'connectors'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !file.endsWith('catalogue.ts'))
      .map((file) => readFileSync(join(root, folder, file), 'utf8')),
  );

  it('knows every metric that the code reports', () => {
    const names = new Set(metricCatalogue.map(({ name }) => name));
    const reported = new Set(
      sources.flatMap((text) =>
        [...text.matchAll(/\.(?:count|gauge|observe|clearGauge|total)\(\s*'(zepto_\w+)'/g)].map(
          (match) => match[1]!,
        ),
      ),
    );
    expect(reported.size).toBeGreaterThan(10);
    expect([...reported].filter((name) => !names.has(name))).toEqual([]);
  });

  it('promises no metric that no code reports', () => {
    const all = sources.join('\n');
    expect(metricCatalogue.filter(({ name }) => !all.includes(`'${name}'`)).map(({ name }) => name)).toEqual(
      [],
    );
  });

  it('follows the naming rules of Prometheus', () => {
    for (const { name, type, help, labels } of metricCatalogue) {
      expect(name).toMatch(/^zepto_[a-z_]+$/);
      expect(name.endsWith('_total')).toBe(type === 'counter');
      if (type === 'histogram') expect(name).toMatch(/_(seconds|bytes)$/);
      expect(help).toMatch(/^[A-Z1].*\.$/s);
      expect(labels.filter((label) => ['symbol', 'le', 'query'].includes(label))).toEqual([]);
    }
    expect(new Set(metricCatalogue.map(({ name }) => name)).size).toBe(metricCatalogue.length);
  });

  it('is what docs/metrics.md lists', () => {
    expectGeneratedSection('docs/metrics.md', 'metrics', metricsDocument());
  });
});

describe('the registry', () => {
  it('adds counters up, sets gauges, sorts observations into buckets', async () => {
    const metrics = registry();
    const labels = { topic: 't', partition: '0' };
    metrics.count('zepto_ticks_ingested_total', labels, 2);
    metrics.count('zepto_ticks_ingested_total', { topic: 't', partition: '1' }, 3);
    metrics.count('zepto_ticks_ingested_total', labels, 4);
    metrics.gauge('zepto_store_failing', { store: 's3' }, 1);
    metrics.observe('zepto_plan_seconds', labels, 0.2);
    expect(await seriesValue(metrics, 'zepto_ticks_ingested_total{topic="t",partition="0"}')).toBe(6);
    expect(metrics.total('zepto_ticks_ingested_total')).toBe(9);
    expect(metrics.totals().zepto_ticks_ingested_total).toBe(9);
    expect(await seriesValue(metrics, 'zepto_store_failing{store="s3"}')).toBe(1);
    expect(await seriesValue(metrics, 'zepto_plan_seconds_bucket{le="0.1",topic="t",partition="0"}')).toBe(0);
    expect(await seriesValue(metrics, 'zepto_plan_seconds_bucket{le="0.25",topic="t",partition="0"}')).toBe(
      1,
    );
  });

  it.each<[string, (metrics: PrometheusMetrics) => void]>([
    ['an unknown name', (metrics) => metrics.count('zepto_nonsense_total', {}, 1)],
    ['an unknown label', (metrics) => metrics.count('zepto_pauses_total', { symbol: 'A' }, 1)],
    ['a counter that falls', (metrics) => metrics.count('zepto_pauses_total', {}, -1)],
    ['a gauge under a counter’s name', (metrics) => metrics.gauge('zepto_pauses_total', {}, 1)],
  ])('%s is rejected and counted, and does not throw', async (_, measure) => {
    const metrics = registry();
    measure(metrics);
    expect(await seriesValue(metrics, 'zepto_metrics_rejected_total')).toBe(1);
    expect(metrics.total('zepto_pauses_total')).toBe(0);
  });

  it('the tick rate is the mean of ten seconds and falls to zero after them', async () => {
    const { clock, advance } = handClock();
    const metrics = registry(clock);
    for (let second = 0; second < 20; second++) {
      metrics.count('zepto_ticks_ingested_total', { topic: 't', partition: '0' }, 500);
      advance(1_000);
    }
    expect(await seriesValue(metrics, 'zepto_ingest_ticks_per_sec')).toBe(500);
    for (let second = 0; second < 5; second++) advance(1_000);
    expect(await seriesValue(metrics, 'zepto_ingest_ticks_per_sec')).toBe(250);
    for (let second = 0; second < 5; second++) advance(1_000);
    expect(await seriesValue(metrics, 'zepto_ingest_ticks_per_sec')).toBe(0);
  });

  it('a rate of nothing is zero', () => {
    expect(new RateWindow().perSecond()).toBe(0);
  });
});

describe('a batch', () => {
  it('sends what was counted once, as plain data, and adds up to the same as direct counting', async () => {
    const { clock, advance } = handClock();
    const direct = registry();
    const received = registry();
    const batch = new MetricsBatch(clock, (message) => received.receive(structuredClone(message)));
    for (let i = 0; i < 10; i++) {
      for (const metrics of [direct, batch]) {
        metrics.count('zepto_ticks_ingested_total', { topic: 't', partition: String(i % 3) }, i);
        metrics.gauge('zepto_store_failing', { store: 's3' }, i % 2);
        metrics.observe('zepto_commit_seconds', { topic: 't', partition: '0' }, i / 10);
      }
      if (i % 4 === 3) advance(1_000);
    }
    batch.close();
    expect(await received.text()).toBe(await direct.text());
  });

  it('is silent when there is nothing, and after it was closed', () => {
    const { clock, advance } = handClock();
    const sent: MetricsMessage[] = [];
    const batch = new MetricsBatch(clock, (message) => sent.push(message));
    advance(1_000);
    expect(sent).toEqual([]);
    batch.count('zepto_pauses_total', {}, 1);
    batch.close();
    advance(1_000);
    expect(sent).toHaveLength(1);
  });

  it('keeps labels that the caller changes afterwards', () => {
    const sent: MetricsMessage[] = [];
    const batch = new MetricsBatch(handClock().clock, (message) => sent.push(message));
    const labels = { topic: 'a', partition: '0' };
    batch.count('zepto_ticks_ingested_total', labels, 1);
    labels.topic = 'b';
    batch.close();
    expect(sent[0]?.counts[0]?.labels).toEqual({ topic: 'a', partition: '0' });
  });

  it('holds a bounded number of observations', () => {
    const sent: MetricsMessage[] = [];
    const batch = new MetricsBatch(handClock().clock, (message) => sent.push(message));
    for (let i = 0; i < 10_005; i++) batch.observe('zepto_commit_seconds', {}, 1);
    batch.close();
    expect(sent[0]?.observations[0]?.values).toHaveLength(10_000);
    expect(sent[0]?.counts).toEqual([{ name: 'zepto_metrics_rejected_total', labels: {}, value: 5 }]);
  });
});

describe('the engine’s gauges', () => {
  const partition = (number: number, more: Partial<PartitionStats> = {}): PartitionStats => ({
    topic: 'ticks',
    partition: number,
    table: 'trades',
    tableVersion: 0,
    position: 100,
    committed: 40,
    endOffset: 130,
    rowsHot: 60,
    bytesHot: 6_000,
    bytesFlushed: 0,
    staircase: 2,
    state: 'ACTIVE',
    ...more,
  });
  const stats = (...partitions: PartitionStats[]): EngineStats => ({
    state: 'running',
    startedAtMs: 0,
    shards: [{ state: 'running', usedBytes: 5, budgetBytes: 10, isPaused: true, partitions }],
  });

  it('say lag, hold-back, memory and states', async () => {
    const metrics = registry();
    exposeEngine(metrics, stats(partition(0), partition(1, { state: 'FLUSHING', endOffset: -1 })), true);
    const labels = '{topic="ticks",partition="0"}';
    expect(await seriesValue(metrics, `zepto_kafka_lag_records${labels}`)).toBe(30);
    expect(await seriesValue(metrics, `zepto_hold_back_records${labels}`)).toBe(60);
    expect(await seriesValue(metrics, 'zepto_kafka_lag_records{topic="ticks",partition="1"}')).toBe(0);
    expect(
      await seriesValue(metrics, 'zepto_rows{topic="ticks",partition="0",table="trades",tier="hot"}'),
    ).toBe(60);
    expect(await seriesValue(metrics, 'zepto_partitions{state="FLUSHING"}')).toBe(1);
    expect(await seriesValue(metrics, 'zepto_shards_paused')).toBe(1);
    expect(await seriesValue(metrics, 'zepto_memory_used_bytes')).toBe(5);
    expect(await seriesValue(metrics, 'zepto_server_ready')).toBe(1);
    expect(metrics.total('zepto_metrics_rejected_total')).toBe(0);
  });

  it('a partition that went leaves no value behind', async () => {
    const metrics = registry();
    exposeEngine(metrics, stats(partition(0), partition(1)), true);
    exposeEngine(metrics, stats(partition(1)), true);
    expect(await metrics.text()).not.toContain('partition="0"');
    expect(await seriesValue(metrics, 'zepto_hot_bytes{topic="ticks",partition="1"}')).toBe(6_000);
  });
});
