// What: the Metrics port inside a worker thread: adds up, and sends once a second.
// Why: a message per measurement would cost more than what is measured.
// Invariant: memory is bounded: one entry per name and labels, and at most OBSERVATIONS_MAX observations between two sends.

import type { Clock, Timer } from '../../src/kernel/clock.ts';
import type { Metrics } from '../../src/ports.ts';

type Labels = Readonly<Record<string, string>>;

/** Plain data, fit for postMessage. */
export interface MetricsMessage {
  /** Growth since the last message. */
  readonly counts: readonly { readonly name: string; readonly labels: Labels; readonly value: number }[];
  readonly gauges: readonly { readonly name: string; readonly labels: Labels; readonly value: number }[];
  readonly observations: readonly {
    readonly name: string;
    readonly labels: Labels;
    readonly values: readonly number[];
  }[];
}

const OBSERVATIONS_MAX = 10_000;

export class MetricsBatch implements Metrics {
  private counts = new Map<string, { name: string; labels: Labels; value: number }>();
  private gauges = new Map<string, { name: string; labels: Labels; value: number }>();
  private observations = new Map<string, { name: string; labels: Labels; values: number[] }>();
  private observed = 0;
  private readonly send: (message: MetricsMessage) => void;
  private readonly timer: Timer;

  constructor(clock: Clock, send: (message: MetricsMessage) => void, intervalMs = 1_000) {
    this.send = send;
    this.timer = clock.every(intervalMs, () => this.flush());
  }

  count(name: string, labels: Labels, by: number): void {
    const key = keyOf(name, labels);
    const entry = this.counts.get(key);
    if (entry === undefined) this.counts.set(key, { name, labels: { ...labels }, value: by });
    else entry.value += by;
  }

  gauge(name: string, labels: Labels, value: number): void {
    const key = keyOf(name, labels);
    const entry = this.gauges.get(key);
    if (entry === undefined) this.gauges.set(key, { name, labels: { ...labels }, value });
    else entry.value = value;
  }

  observe(name: string, labels: Labels, value: number): void {
    if (++this.observed > OBSERVATIONS_MAX) {
      this.count('zepto_metrics_rejected_total', {}, 1);
      return;
    }
    const key = keyOf(name, labels);
    const entry = this.observations.get(key);
    if (entry === undefined) this.observations.set(key, { name, labels: { ...labels }, values: [value] });
    else entry.values.push(value);
  }

  /** Sends what there is now; nothing when there is nothing. */
  flush(): void {
    if (this.counts.size + this.gauges.size + this.observations.size === 0) return;
    const message: MetricsMessage = {
      counts: [...this.counts.values()],
      gauges: [...this.gauges.values()],
      observations: [...this.observations.values()],
    };
    this.counts = new Map();
    this.gauges = new Map();
    this.observations = new Map();
    this.observed = 0;
    this.send(message);
  }

  /** Sends the rest. */
  close(): void {
    this.timer.cancel();
    this.flush();
  }
}

/** Callers write labels in one order, so no sorting: another order is only another entry, added up by the receiver. */
function keyOf(name: string, labels: Labels): string {
  let key = name;
  for (const label in labels) key += `\u0000${label}\u0000${labels[label]}`;
  return key;
}
