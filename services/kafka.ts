// What: Apache Kafka, one node in KRaft mode, from its Maven jars.
// Why: the promises of this system rest on what a real broker does with transactions, groups and crashes.
// Invariant: ports and data belong to the folder: after any kind of kill, start() serves the same log on the same port.

import { randomBytes } from 'node:crypto';
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Report } from './errors.ts';
import { installKafka, tool } from './install.ts';
import { portsOf } from './ports.ts';
import { openServer, portTaken, type Server } from './process.ts';

export interface KafkaOptions {
  /** Broker properties that are added to, or replace, the ones below. */
  readonly properties?: Readonly<Record<string, string>>;
  readonly heapMaxMib?: number;
}

export interface Kafka extends Server {
  /** `127.0.0.1:PORT`, without security. */
  readonly brokers: string;
  /** Runs a class of Kafka's own tools, such as `org.apache.kafka.tools.ProducerPerformance`; returns what it printed. */
  tool(className: string, args: readonly string[]): Promise<string>;
}

/** Prepares the folder and describes the broker; nothing runs before `start()`. */
export async function openKafka(dir: string, options: KafkaOptions, report: Report): Promise<Kafka> {
  const libraries = `${await installKafka(report)}/*`;
  const ports = await portsOf(dir, ['client', 'controller']);
  const brokers = `127.0.0.1:${ports.client}`;
  const config = join(dir, 'server.properties');
  const logging = `-Dlog4j2.configurationFile=${join(dir, 'log4j2.yaml')}`;
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, 'log4j2.yaml'), LOG4J_YAML);
  await writeFile(config, propertiesText({ ...brokerProperties(dir, ports), ...options.properties }));

  const server = await openServer({
    name: 'Kafka',
    command: 'java',
    args: [
      '-Xms128m',
      `-Xmx${options.heapMaxMib ?? 512}m`,
      '-XX:+UseG1GC',
      logging,
      '-cp',
      libraries,
      'kafka.Kafka',
      config,
    ],
    dir,
    ready: (log) => log.includes('Kafka Server started'),
    readyTimeoutMs: 60_000,
    hints: [
      { pattern: portTaken, todo: 'another program took the port meanwhile: start again' },
      { pattern: /UnsupportedClassVersionError/, todo: 'Kafka 4 needs Java 17 or newer: install it' },
      {
        pattern: /insufficient memory|Could not reserve enough space|OutOfMemoryError/,
        todo: 'free about 700 MB of memory for the broker',
      },
      {
        pattern: /No space left on device/,
        todo: 'free disk space in the folder for temporary files (TMPDIR)',
      },
    ],
  });
  const startBroker = server.start;

  return Object.assign(server, {
    brokers,
    async start(): Promise<void> {
      await formatOnce(dir, libraries, logging, config);
      await startBroker();
    },
    tool: (className: string, args: readonly string[]) =>
      tool('java', ['-Xmx256m', '-cp', libraries, className, ...args], `run ${className}`),
  });
}

/** Writes the cluster's id into the data folder, without which a broker refuses to start. */
async function formatOnce(dir: string, libraries: string, logging: string, config: string): Promise<void> {
  const formatted = await stat(join(dir, 'data', 'meta.properties')).then(
    () => true,
    () => false,
  );
  if (formatted) return;
  await tool(
    'java',
    ['-Xmx128m', '-XX:TieredStopAtLevel=1', logging, '-cp', libraries, 'kafka.tools.StorageTool'].concat([
      'format',
      '--ignore-formatted',
      '-t',
      newClusterId(),
      '-c',
      config,
    ]),
    "format Kafka's data folder",
  );
}

/** 16 random bytes in base64url; Kafka refuses ids that begin with a dash. */
function newClusterId(): string {
  for (;;) {
    const id = randomBytes(16).toString('base64url');
    if (!id.startsWith('-')) return id;
  }
}

function brokerProperties(
  dir: string,
  ports: { readonly client: number; readonly controller: number },
): Record<string, string> {
  return {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${ports.controller}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: `PLAINTEXT://127.0.0.1:${ports.client},CONTROLLER://127.0.0.1:${ports.controller}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${ports.client}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'inter.broker.listener.name': 'PLAINTEXT',
    'log.dirs': join(dir, 'data'),
    'num.partitions': '4',
    'default.replication.factor': '1',
    'min.insync.replicas': '1',
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'transaction.state.log.num.partitions': '4',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    'auto.create.topics.enable': 'false',
    // A broker that was killed registers again only when its old session has run out: 9 s by default.
    'broker.session.timeout.ms': '1500',
    'broker.heartbeat.interval.ms': '300',
  };
}

function propertiesText(properties: Readonly<Record<string, string>>): string {
  return Object.entries(properties)
    .map(([key, value]) => `${key}=${value.replaceAll('\\', '\\\\')}\n`)
    .join('');
}

const LOG4J_YAML = `Configuration:
  status: warn
  Appenders:
    Console: { name: C, PatternLayout: { pattern: "[%d] %p %m (%c)%n" } }
  Loggers:
    Root: { level: info, AppenderRef: [ { ref: C } ] }
`;
