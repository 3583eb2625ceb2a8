// What: the Metrics port over prom-client: one registry for the process.
// Why: one scrape sees all shards; their threads send what they counted (batch.ts), this side adds it up.
// Invariant: a measurement outside the catalogue never throws into the tick path; it is counted as rejected.

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Clock, Timer } from '../../src/kernel/clock.ts';
import type { Metrics } from '../../src/ports.ts';
import type { MetricsMessage } from './batch.ts';
import { type MetricDefinition, metricCatalogue } from './catalogue.ts';
import { RateWindow } from './rate.ts';

type Labels = Readonly<Record<string, string>>;

export class PrometheusMetrics implements Metrics {
  readonly contentType: string;
  private readonly registry = new Registry();
  private readonly counters = new Map<string, Counter>();
  private readonly gauges = new Map<string, Gauge>();
  private readonly histograms = new Map<string, Histogram>();
  private readonly sums = new Map<string, number>();
  private readonly ticks = new RateWindow();
  private readonly sampling: Timer;

  /** @param options.process also exports CPU, memory, event loop and garbage collection of the process. */
  constructor(clock: Clock, options: { readonly process: boolean }) {
    this.contentType = this.registry.contentType;
    for (const definition of metricCatalogue) this.declare(definition);
    if (options.process) collectDefaultMetrics({ register: this.registry });
    this.ticks.sample(clock.monotonicMs(), 0);
    this.sampling = clock.every(1_000, () => {
      this.ticks.sample(clock.monotonicMs(), this.total('zepto_ticks_ingested_total'));
      this.gauge('zepto_ingest_ticks_per_sec', {}, this.ticks.perSecond());
    });
  }

  count(name: string, labels: Labels, by: number): void {
    const counter = this.counters.get(name);
    if (this.rejects(counter, () => counter?.inc(labels, by))) return;
    this.sums.set(name, (this.sums.get(name) ?? 0) + by);
  }

  gauge(name: string, labels: Labels, value: number): void {
    const gauge = this.gauges.get(name);
    this.rejects(gauge, () => gauge?.set(labels, value));
  }

  observe(name: string, labels: Labels, value: number): void {
    const histogram = this.histograms.get(name);
    this.rejects(histogram, () => histogram?.observe(labels, value));
  }

  /** What a thread counted since its last message. */
  receive(message: MetricsMessage): void {
    for (const { name, labels, value } of message.counts) this.count(name, labels, value);
    for (const { name, labels, value } of message.gauges) this.gauge(name, labels, value);
    for (const { name, labels, values } of message.observations)
      for (const value of values) this.observe(name, labels, value);
  }

  /** Forgets all values of a gauge, so that labels which no longer exist disappear. */
  clearGauge(name: string): void {
    this.gauges.get(name)?.reset();
  }

  /** Since start, over all labels. */
  total(name: string): number {
    return this.sums.get(name) ?? 0;
  }

  totals(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.counters.keys()].map((name) => [name, this.total(name)]));
  }

  /** Prometheus text format 0.0.4. */
  text(): Promise<string> {
    return this.registry.metrics();
  }

  close(): void {
    this.sampling.cancel();
    this.registry.clear();
  }

  private declare({ name, help, type, labels, buckets }: MetricDefinition): void {
    const options = { name, help, labelNames: [...labels], registers: [this.registry] };
    if (type === 'counter') this.counters.set(name, new Counter(options));
    else if (type === 'gauge') this.gauges.set(name, new Gauge(options));
    else this.histograms.set(name, new Histogram({ ...options, buckets: [...(buckets ?? [])] }));
  }

  /** True when the measurement could not be taken. */
  private rejects(metric: unknown, take: () => void): boolean {
    try {
      if (metric !== undefined) {
        take();
        return false;
      }
    } catch {
      // An unknown label or a value that is no number: counted below.
    }
    this.counters.get('zepto_metrics_rejected_total')?.inc(1);
    this.sums.set('zepto_metrics_rejected_total', this.total('zepto_metrics_rejected_total') + 1);
    return true;
  }
}
