// What: the chart's values, their schema and the names in its templates, without Helm.
// Why: a misspelt setting in a template shows in a cluster, as a pod that restarts.
// Invariant: reads files only; test/interop/helm.test.ts renders them.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { configFileSchema } from '../../src/config/describe.ts';
import { loadConfig } from '../../src/config/load.ts';
import { writableNames } from '../../src/config/raw.ts';
import { envOf } from '../../src/config/settings.ts';
import { expectGeneratedJson } from '../support/generated.ts';

const CHART = 'deploy/helm/zeptodb';
const SCHEMA = `${CHART}/values.schema.json`;

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly [key: string]: unknown;
}
type Tree = Readonly<Record<string, unknown>>;

const text = (path: string): string => readFileSync(path, 'utf8');
const values = parse(text(`${CHART}/values.yaml`)) as Tree;
const schema = JSON.parse(text(SCHEMA)) as Schema;
const templates = readdirSync(`${CHART}/templates`, { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.(yaml|tpl|txt)$/.test(name))
  .map((name) => text(join(CHART, 'templates', name)))
  .join('\n');
const allOf = (pattern: RegExp): string[] => [
  ...new Set([...templates.matchAll(pattern)].map((match) => match[1]!)),
];

const isTree = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0;

/** `a.b.c` of everything that is no map, or an empty one. */
function leaves(tree: Tree, prefix = ''): string[] {
  return Object.entries(tree).flatMap(([key, value]) =>
    isTree(value) ? leaves(value, `${prefix}${key}.`) : [`${prefix}${key}`],
  );
}

function valueAt(tree: Tree, path: string): unknown {
  return path.split('.').reduce<unknown>((at, key) => (isTree(at) ? at[key] : undefined), tree);
}

/**
 * The program's own schema as Helm can use it: Go's regular expressions know no look-ahead, and one that does not
 * compile makes Helm refuse the chart.
 */
function forHelm(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(forHelm);
  if (typeof node !== 'object' || node === null) return node;
  const kept = Object.entries(node).filter(
    ([key, value]) => key !== '$schema' && !(key === 'pattern' && /\(\?[!=<]/.test(String(value))),
  );
  return Object.fromEntries(kept.map(([key, value]) => [key, forHelm(value)]));
}

describe('values.schema.json', () => {
  const accepts = (given: Tree): boolean =>
    z.fromJSONSchema(schema as z.core.JSONSchema.JSONSchema).safeParse({ ...values, ...given }).success;

  test('has the settings of the program below config', () => {
    const properties = { ...schema.properties, config: forHelm(configFileSchema()) };
    expectGeneratedJson(SCHEMA, { ...schema, properties });
  });

  test('accepts values.yaml, and the examples in ci/', () => {
    expect(accepts({})).toBe(true);
    const examples = readdirSync(`${CHART}/ci`);
    expect(examples.length).toBeGreaterThan(3);
    for (const name of examples) expect(accepts(parse(text(`${CHART}/ci/${name}`))), name).toBe(true);
  });

  test('accepts the examples in docs/deploy.md', () => {
    const blocks = [...text('docs/deploy.md').matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1]!);
    expect(blocks.length).toBe(2);
    for (const block of blocks) expect(accepts(parse(block)), block).toBe(true);
  });

  test.each([
    { persistance: { enabled: true } },
    { replicaCount: '3' },
    { config: { prot: 1 } },
    { config: { 'seal-interval': 5 } },
    { config: { 'kafka-sasl-password': 'x' } },
    { auth: { existingSecret: 'Not A Name' } },
    { image: { digest: 'latest' } },
    { probes: { liveness: { path: '/x' } } },
  ])('refuses %j', (given) => {
    expect(accepts(given)).toBe(false);
  });

  test('knows no value that values.yaml does not show', () => {
    const paths = (node: Schema, prefix = ''): string[] =>
      Object.entries(node.properties ?? {}).flatMap(([key, inner]) =>
        inner.properties === undefined ? [`${prefix}${key}`] : paths(inner, `${prefix}${key}.`),
      );
    const { global, config, probes, ...own } = schema.properties!;
    expect([global, config, probes]).not.toContain(undefined);
    const missing = paths({ properties: own }).filter((path) => valueAt(values, path) === undefined);
    expect(missing).toEqual([]);
  });
});

describe('the templates', () => {
  test('read values that values.yaml has', () => {
    const read = allOf(/\.Values\.([A-Za-z0-9.]+)/g).filter((path) => !path.startsWith('config.'));
    expect(read.length).toBeGreaterThan(40);
    expect(read.filter((path) => valueAt(values, path) === undefined)).toEqual([]);
  });

  test('read every value of values.yaml', () => {
    const whole = allOf(/toYaml \.Values\.([A-Za-z0-9.]+)/g);
    const unread = leaves(values)
      .filter((path) => !whole.some((parent) => path.startsWith(`${parent}.`)))
      .filter((path) => !new RegExp(`\\.${path.split('.').at(-1)}\\b`).test(templates));
    expect(unread).toEqual([]);
  });

  test('name settings and environment variables that the program has', () => {
    const settings = [...allOf(/set \$set "([^"]+)"/g), ...allOf(/index \$config "([^"]+)"/g)];
    expect(settings.length).toBeGreaterThan(12);
    expect(settings.filter((name) => !writableNames.includes(name))).toEqual([]);
    const variables = allOf(/\b(ZEPTO_[A-Z0-9_]+)\b/g);
    const known = ['ZEPTO_CONFIG', ...writableNames.map(envOf), 'ZEPTO_KEY'];
    expect(variables).toContain('ZEPTO_CONFIG');
    expect(variables.filter((name) => !known.includes(name))).toEqual([]);
  });

  test('say of each setting they set which value it comes from', () => {
    const initial = templates.match(/\$from := dict (.*) -/)![1]!;
    const origins = new Set([
      ...allOf(/set \$from "([^"]+)"/g),
      ...[...initial.matchAll(/"([a-z]+)" "/g)].map((match) => match[1]!),
    ]);
    expect(origins).toEqual(new Set([...allOf(/set \$set "([^"]+)"/g), 'port', 'bind']));
  });

  test('give the memory that the defaults of the settings add up to', () => {
    const { config } = loadConfig({
      argv: ['--brokers', 'a:1', '--group', 'g', '--topics', 'trades=ticks'],
      env: {},
    });
    const MIB = 2 ** 20;
    const bounds =
      config.memory.budgetBytes +
      config.query.threads * config.query.bytesMax +
      config.query.duckdb.memoryLimitMb * MIB +
      500 * MIB;
    expect(valueAt(values, 'resources.limits.memory')).toBe('2Gi');
    expect(bounds).toBeLessThan(2048 * MIB);
  });
});

test('the chart installs the version of the package', () => {
  const chart = parse(text(`${CHART}/Chart.yaml`)) as { appVersion: string };
  const manifest = JSON.parse(text('package.json')) as { version: string };
  expect(chart.appVersion).toBe(manifest.version);
});
