// What: the Grafana dashboard and the chart's alerts over the metrics that the program exports.
// Why: a panel over a metric that was renamed is empty, and an alert over it is silent.
// Invariant: names and labels come from the metrics' own catalogue and from a real registry.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { metricCatalogue } from '../../connectors/prometheus/catalogue.ts';
import { PrometheusMetrics } from '../../connectors/prometheus/metrics.ts';
import { systemClock } from '../../src/kernel/clock.ts';

interface Target {
  readonly expr: string;
  readonly legendFormat: string;
}
interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly Target[];
}
interface Dashboard {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly query: unknown }[] };
}

const dashboardText = readFileSync('deploy/grafana/zeptodb.json', 'utf8');
const dashboard = JSON.parse(dashboardText) as Dashboard;
const rules = readFileSync('deploy/helm/zeptodb/templates/prometheusrule.yaml', 'utf8');

const panels = dashboard.panels.filter(({ type }) => type !== 'row');
const targets = panels.flatMap(({ targets = [] }) => targets);
const alerts = [...rules.matchAll(/expr: (?:>-\n)?((?:.+\n)(?: {12}\S.*\n)*)/g)].map((match) =>
  match[1]!.replaceAll(/\{\{-? \$of -?\}\}/g, '').replaceAll(/\{\{.*?\}\}/g, '1'),
);
const expressions = [...targets.map(({ expr }) => expr), ...alerts];

/** Given by the scrape, or by Prometheus itself. */
const TARGET_LABELS = ['namespace', 'job', 'pod', 'le', 'persistentvolumeclaim'];
/** Of the kubelet. */
const FOREIGN = /^kubelet_volume_stats_/;

const byName = new Map(metricCatalogue.map((metric) => [metric.name, metric]));
const NAME = /\b((?:zepto|process|nodejs|kubelet)_[a-z0-9_]+)/g;

function metricOf(name: string): (typeof metricCatalogue)[number] | undefined {
  const base = byName.get(name.replace(/_(bucket|sum|count)$/, ''));
  return byName.get(name) ?? (base?.type === 'histogram' ? base : undefined);
}

async function exported(): Promise<Set<string>> {
  const metrics = new PrometheusMetrics(systemClock, { process: true });
  const text = await metrics.text();
  metrics.close();
  return new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1]!));
}

const labelsIn = (expr: string): string[] => [
  ...[...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap((match) => match[1]!.split(/, */)),
  ...[...expr.matchAll(/[{,]\s*([a-z_]+)\s*=~?"/g)].map((match) => match[1]!),
];

describe('the dashboard and the alerts', () => {
  test('name metrics that the program exports', async () => {
    const known = await exported();
    expect(targets.length).toBeGreaterThan(40);
    expect(alerts.length).toBe(12);
    const unknown = expressions
      .flatMap((expr) => [...expr.matchAll(NAME)].map((match) => match[1]!))
      .filter((name) => !FOREIGN.test(name) && !known.has(name) && metricOf(name) === undefined);
    expect(unknown).toEqual([]);
  });

  test('use labels that those metrics have', () => {
    for (const expr of expressions) {
      const metrics = [...expr.matchAll(NAME)].map((match) => metricOf(match[1]!));
      const has = [...TARGET_LABELS, ...metrics.flatMap((metric) => metric?.labels ?? [])];
      expect(
        labelsIn(expr).filter((label) => !has.includes(label)),
        expr,
      ).toEqual([]);
    }
  });

  test('take rates of counters and quantiles of histograms, and neither of gauges', () => {
    for (const expr of expressions) {
      for (const [, name] of expr.matchAll(/(?:rate|increase)\((zepto_[a-z0-9_]+)/g))
        expect(metricOf(name!)?.type, expr).toMatch(/counter|histogram/);
      for (const [, name] of expr.matchAll(/histogram_quantile\(.*?(zepto_[a-z0-9_]+)/g))
        expect(name, expr).toMatch(/_bucket$/);
    }
  });
});

describe('the dashboard', () => {
  test('names lines by labels that are left after aggregation', () => {
    for (const { expr, legendFormat } of targets) {
      const grouped = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap((match) => match[1]!.split(/, */));
      const isWhole = !/\b(sum|max|min|avg|count)\b/.test(expr);
      for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
        expect(isWhole ? TARGET_LABELS : grouped, expr).toContain(label);
    }
  });

  test('uses variables that it declares', () => {
    const declared = ['__rate_interval', ...dashboard.templating.list.map(({ name }) => name)];
    const used = [...dashboardText.matchAll(/\$\{?([a-z_]+)/g)].map((match) => match[1]!);
    expect(new Set(used)).toEqual(new Set(declared));
  });

  test('has panels with ids of their own that do not cover one another', () => {
    const { panels: all } = dashboard;
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
    for (const [index, { title, gridPos: a }] of all.entries())
      for (const { title: other, gridPos: b } of all.slice(index + 1)) {
        const apart = a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y;
        expect(apart, `${title} / ${other}`).toBe(true);
      }
  });
});
