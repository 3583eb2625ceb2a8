// What: the chart, rendered by Helm, against the program's own configuration and Kubernetes' own schemas.
// Why: templates are text; only Helm tells what they become, and only the program whether it would start with it.
// Invariant: each example in deploy/helm/zeptodb/ci is rendered, and nothing needs a cluster.

import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { reportToStderr } from '../../services/errors.ts';
import { installHelm } from '../../services/helm.ts';
import { pythonWith } from '../../services/python.ts';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';

const run = promisify(execFile);
const CHART = 'deploy/helm/zeptodb';
const MINIMUM = [
  '--set',
  'config.group=g,config.topics.trades=t,config.brokers={k:9092},auth.existingSecret=k',
];
/** The oldest that Chart.yaml allows, and a recent one. */
const KUBERNETES = ['1.25.0', '1.34.0'];

interface Container {
  readonly env: readonly { readonly name: string; readonly value?: string }[];
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly startupProbe: unknown;
  readonly readinessProbe: { readonly httpGet: { readonly path: string; readonly scheme: string } };
  readonly livenessProbe: { readonly httpGet: { readonly path: string } };
}
interface Item {
  readonly key?: string;
  readonly path: string;
}
interface Volume {
  readonly name: string;
  readonly projected?: {
    readonly sources: readonly {
      readonly secret?: { readonly items: readonly Item[] };
      readonly serviceAccountToken?: Item;
    }[];
  };
}
interface Pod {
  readonly containers: readonly [Container];
  readonly volumes: readonly Volume[];
  readonly terminationGracePeriodSeconds: number;
}
interface Labelled {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}
interface KubernetesObject {
  readonly kind: string;
  readonly metadata: Labelled;
  readonly data?: Readonly<Record<string, string>>;
  readonly spec: {
    readonly replicas?: number;
    readonly selector?: Readonly<Record<string, string>>;
    readonly template?: { readonly metadata: Labelled; readonly spec: Pod };
    readonly volumeClaimTemplates?: readonly { readonly metadata: { readonly name: string } }[];
  };
}

let helm: string;
let python: string;
let folder: string;
const examples = [
  's3-values.yaml',
  'volume-values.yaml',
  'everything-values.yaml',
  'token-values.yaml',
] as const;

beforeAll(async () => {
  helm = await installHelm(reportToStderr);
  python = await pythonWith(['kubernetes-validate==1.37.0'], reportToStderr);
  folder = await mkdtemp(join(tmpdir(), 'zepto-helm-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function render(args: readonly string[]): Promise<KubernetesObject[]> {
  const { stdout } = await run(helm, ['template', 'rel', CHART, '--namespace', 'ticks', ...args]);
  return parseAllDocuments(stdout).map((document) => document.toJS() as KubernetesObject);
}
const rendered = (name: string): Promise<KubernetesObject[]> => render(['-f', `${CHART}/ci/${name}`]);

const failure = (args: readonly string[]): Promise<string> =>
  render(args).then(
    () => '',
    (error: { stderr: string }) => error.stderr,
  );

const one = (objects: readonly KubernetesObject[], kind: RegExp): KubernetesObject => {
  const found = objects.filter((object) => kind.test(object.kind));
  expect(found.length, String(kind)).toBe(1);
  return found[0]!;
};
const workload = (objects: readonly KubernetesObject[]): KubernetesObject =>
  one(objects, /^(StatefulSet|Deployment)$/);
const podOf = (objects: readonly KubernetesObject[]): Pod => workload(objects).spec.template!.spec;

/** The files that the secrets become, by absolute path. */
function secretFiles(pod: Pod): string[] {
  const mount = pod.containers[0].volumeMounts.find(({ name }) => name === 'secrets')?.mountPath;
  const sources = pod.volumes.find(({ name }) => name === 'secrets')?.projected?.sources ?? [];
  const items = sources.flatMap(({ secret, serviceAccountToken }) => [
    ...(secret?.items ?? []),
    ...(serviceAccountToken === undefined ? [] : [serviceAccountToken]),
  ]);
  return items.map(({ path }) => `${mount}/${path}`);
}

/** What the program makes of the rendered ConfigMap and environment, and the files that it read or would read. */
function configOf(objects: readonly KubernetesObject[]): { config: Config; files: string[] } {
  const pod = podOf(objects);
  const file = one(objects, /^ConfigMap$/).data!['zeptodb.yaml']!;
  const mounted = secretFiles(pod);
  const env = Object.fromEntries(
    pod.containers[0].env.map(({ name, value }) => [name, value ?? 'from-a-secret']),
  );
  const { config, values } = loadConfig({
    argv: [],
    env,
    readText: (path) => {
      if (path === '/etc/zeptodb/config/zeptodb.yaml') return file;
      if (mounted.includes(path)) return 'a secret\n';
      throw new Error(`${path} is not mounted`);
    },
  });
  const files = Object.values(values).filter(
    (value): value is string => typeof value === 'string' && value.startsWith('/etc/zeptodb/secrets'),
  );
  return { config, files };
}

test('the examples here are those of the chart', async () => {
  expect((await readdir(`${CHART}/ci`)).sort()).toEqual([...examples].sort());
});

describe.each(examples)('%s', (name) => {
  test('passes helm lint', async () => {
    const { stdout } = await run(helm, ['lint', CHART, '--strict', '-f', `${CHART}/ci/${name}`]);
    expect(stdout).toContain('0 chart(s) failed');
  });

  test('renders objects that Kubernetes knows, strictly', async () => {
    const objects = (await rendered(name)).filter(
      ({ kind }) => kind !== 'ServiceMonitor' && kind !== 'PrometheusRule',
    );
    const path = join(folder, `${name}.json`);
    await writeFile(path, JSON.stringify(objects));
    const script = `
import json, sys, kubernetes_validate
for version in sys.argv[2:]:
    for one in json.load(open(sys.argv[1])):
        kubernetes_validate.validate(one, version, strict=True)
        print(version, one["kind"])
`;
    const { stdout } = await run(python, ['-W', 'ignore', '-c', script, path, ...KUBERNETES]);
    expect(stdout.trim().split('\n').length).toBe(objects.length * KUBERNETES.length);
  });

  test('gives the program a configuration that it accepts, with every file mounted', async () => {
    const objects = await rendered(name);
    const { config, files } = configOf(objects);
    expect(config.http).toMatchObject({ port: 8123, bind: '0.0.0.0' });
    const mounted = secretFiles(podOf(objects));
    expect(files.filter((path) => !mounted.includes(path))).toEqual([]);
  });

  test('runs without root, writes to volumes only, and has time to drain', async () => {
    const objects = await rendered(name);
    const pod = podOf(objects);
    const [{ securityContext, volumeMounts, readinessProbe, livenessProbe, startupProbe }] = pod.containers;
    expect(securityContext).toMatchObject({
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
    });
    expect(volumeMounts).toContainEqual({ name: 'tmp', mountPath: '/tmp' });
    const claims = workload(objects).spec.volumeClaimTemplates ?? [];
    const volumes = [...pod.volumes.map(({ name }) => name), ...claims.map(({ metadata }) => metadata.name)];
    expect(volumeMounts.map(({ name }) => name).sort()).toEqual(volumes.sort());
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(60);
    expect(readinessProbe.httpGet.path).toBe('/ready');
    expect(livenessProbe.httpGet.path).toBe('/health');
    expect(startupProbe).toBeDefined();
  });
});

describe('what the values decide', () => {
  test('without a volume members are a Deployment that commits after S3', async () => {
    const objects = await rendered('s3-values.yaml');
    expect(workload(objects)).toMatchObject({ kind: 'Deployment', spec: { replicas: 3 } });
    expect(configOf(objects).config.storage).toMatchObject({ commitAfter: 's3', hdbDirectory: null });
  });

  test('with a volume they are a StatefulSet whose .bin files lie on it', async () => {
    const objects = await rendered('volume-values.yaml');
    expect(workload(objects).kind).toBe('StatefulSet');
    expect(configOf(objects).config.storage).toMatchObject({ commitAfter: 'local', hdbDirectory: '/data' });
    expect(podOf(objects).containers[0].volumeMounts).toContainEqual({ name: 'data', mountPath: '/data' });
  });

  test('secrets reach the program, and numbers and false stay what they are', async () => {
    const { config } = configOf(await rendered('everything-values.yaml'));
    expect(config.kafka.sasl).toMatchObject({ username: 'from-a-secret', password: 'a secret' });
    expect(config.schemaRegistry?.auth).toEqual({ username: 'from-a-secret', password: 'a secret' });
    expect(config.seal.holdBackRecordsMax).toBe(100_000_000);
    expect(config.coldTier?.deleteLocalAfterS3).toBe(false);
    expect(config.tables.map(({ table }) => table.name)).toEqual(['bars', 'trades']);
  });

  test('with a certificate probes and scrapes speak TLS', async () => {
    const objects = await rendered('everything-values.yaml');
    expect(podOf(objects).containers[0].readinessProbe.httpGet.scheme).toBe('HTTPS');
    const monitor = one(objects, /^ServiceMonitor$/).spec as { endpoints?: readonly { scheme: string }[] };
    expect(monitor.endpoints?.[0]?.scheme).toBe('https');
  });

  test('Services find the members, not the test, and one of the two is scraped', async () => {
    const objects = await rendered('everything-values.yaml');
    const services = objects.filter(({ kind }) => kind === 'Service');
    expect(services.map(({ metadata }) => metadata.name)).toEqual(['zepto', 'zepto-members']);
    const member = workload(objects).spec.template!.metadata.labels;
    for (const { spec } of services) {
      expect(member).toMatchObject(spec.selector!);
      expect(one(objects, /^Pod$/).metadata.labels).not.toMatchObject(spec.selector!);
    }
    const monitor = one(objects, /^ServiceMonitor$/).spec as unknown as {
      readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
    };
    const scraped = services.filter(({ metadata }) =>
      Object.entries(monitor.selector.matchLabels).every(
        ([label, value]) => metadata.labels[label] === value,
      ),
    );
    expect(scraped.map(({ metadata }) => metadata.name)).toEqual(['zepto']);
  });

  test('while the number of members is scaled, no template says it', async () => {
    const objects = await rendered('everything-values.yaml');
    expect(one(objects, /^HorizontalPodAutoscaler$/).spec).toMatchObject({
      scaleTargetRef: { kind: 'StatefulSet' },
    });
    expect(workload(objects).spec.replicas).toBeUndefined();
  });
});

describe('what cannot work is refused with the value to change', () => {
  test.each([
    ['config.port=9000', /config\.port: the chart sets it; use service\.port/],
    ['config.hdb-dir=/x', /config\.hdb-dir: use persistence\.enabled=true/],
    [
      'config.hdb-dir=/x,persistence.enabled=true',
      /config\.hdb-dir: the chart sets it; use persistence\.mountPath/,
    ],
    ['config.commit-after=local', /config\.commit-after local needs persistence\.enabled=true/],
    ['config.storage-mode=disk', /config\.storage-mode disk needs persistence\.enabled=true/],
    [
      'config.cold-tier-enabled=true,config.cold-tier-format=both',
      /cold-tier-format both writes local files/,
    ],
    ['shutdown.gracePeriodSeconds=5', /shutdown\.gracePeriodSeconds must exceed/],
    ['autoscaling.enabled=true,autoscaling.minReplicas=9', /minReplicas exceeds autoscaling\.maxReplicas/],
    ['config.sael-interval=5m', /sael-interval/],
    ['replicas=3', /replicas/],
  ])('%s', async (setting, message) => {
    expect(await failure([...MINIMUM, '--set', setting])).toMatch(message);
  });

  test('what is required is asked for, one after the other', async () => {
    const required = [
      ['config.brokers={k:9092}', /config\.brokers is required/],
      ['config.group=g', /config\.group is required/],
      ['config.topics.trades=t', /config\.topics is required/],
      ['auth.existingSecret=k', /auth\.existingSecret is required/],
    ] as const;
    const given: string[] = [];
    for (const [setting, message] of required) {
      expect(await failure(given)).toMatch(message);
      given.push('--set', setting);
    }
    expect(await failure(given)).toBe('');
  });
});

test('the user of the pod is the user of the image', async () => {
  const dockerfile = await readFile('docker/Dockerfile', 'utf8');
  expect(dockerfile).toMatch(/^USER 1000:1000$/m);
  const pod = podOf(await render(MINIMUM)) as Pod & {
    readonly securityContext: { readonly runAsUser: number };
  };
  expect(pod.securityContext.runAsUser).toBe(1000);
});
