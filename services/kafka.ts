// What: Apache Kafka, one node in KRaft mode, from its Maven jars.
// Why: the promises of this system rest on what a real broker does with transactions, groups and crashes.
// Invariant: ports and data belong to the folder: after any kind of kill, start() serves the same log on the same port.

import { randomBytes } from 'node:crypto';
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Report } from './errors.ts';
import { installKafka, tool } from './install.ts';
import {
  SASL_PROPERTIES,
  type SaslListener,
  SCRAM_FORMAT_ARGS,
  saslListener,
  type TlsListener,
  tlsListener,
  tlsProperties,
} from './kafka-security.ts';
import { portsOf } from './ports.ts';
import { openServer, portTaken, type Server } from './process.ts';
import { type FaultProxy, startProxy } from './proxy.ts';

/** `proxied`: its advertised address is a fault proxy's, so every connection of a client goes through that. */
export type ExtraListener = 'sasl' | 'ssl' | 'proxied';

export interface KafkaOptions {
  /** Broker properties that are added to, or replace, the ones below. */
  readonly properties?: Readonly<Record<string, string>>;
  /** Beside the plain one. */
  readonly listeners?: readonly ExtraListener[];
  readonly heapMaxMib?: number;
}

export interface Kafka extends Server {
  /** `127.0.0.1:PORT`, without security. */
  readonly brokers: string;
  /** Undefined unless asked for by `listeners`, as are the next two. */
  readonly sasl: SaslListener | undefined;
  readonly ssl: TlsListener | undefined;
  readonly proxied: { readonly brokers: string; readonly proxy: FaultProxy } | undefined;
  /** Runs a class of Kafka's own tools, such as `org.apache.kafka.tools.ProducerPerformance`; returns what it printed. */
  tool(className: string, args: readonly string[]): Promise<string>;
}

/** A listener by name: the port it binds and the port that clients are told. */
interface Listener {
  readonly name: string;
  readonly protocol: 'PLAINTEXT' | 'SASL_PLAINTEXT' | 'SSL';
  readonly port: number;
  readonly advertisedPort: number;
}

/** Prepares the folder and describes the broker; nothing runs before `start()`. */
export async function openKafka(dir: string, options: KafkaOptions, report: Report): Promise<Kafka> {
  const libraries = `${await installKafka(report)}/*`;
  const extra = new Set(options.listeners);
  const ports = await portsOf(dir, ['plain', 'controller', 'sasl', 'ssl', 'proxied', 'proxy']);
  const address = (port: number): string => `127.0.0.1:${port}`;
  const listeners: Listener[] = [
    { name: 'PLAIN', protocol: 'PLAINTEXT', port: ports.plain, advertisedPort: ports.plain },
  ];
  if (extra.has('sasl')) {
    listeners.push({
      name: 'SASL',
      protocol: 'SASL_PLAINTEXT',
      port: ports.sasl,
      advertisedPort: ports.sasl,
    });
  }
  if (extra.has('ssl')) {
    listeners.push({ name: 'TLS', protocol: 'SSL', port: ports.ssl, advertisedPort: ports.ssl });
  }
  if (extra.has('proxied')) {
    listeners.push({
      name: 'PROXIED',
      protocol: 'PLAINTEXT',
      port: ports.proxied,
      advertisedPort: ports.proxy,
    });
  }
  const ssl = extra.has('ssl') ? await tlsListener(dir, address(ports.ssl)) : undefined;
  const proxy = extra.has('proxied')
    ? await startProxy({ target: { port: ports.proxied }, port: ports.proxy })
    : undefined;

  const config = join(dir, 'server.properties');
  const logging = `-Dlog4j2.configurationFile=${join(dir, 'log4j2.yaml')}`;
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, 'log4j2.yaml'), LOG4J_YAML);
  const properties = {
    ...brokerProperties(dir, listeners, ports.controller),
    ...(extra.has('sasl') && SASL_PROPERTIES),
    ...(extra.has('ssl') && tlsProperties(dir)),
    ...options.properties,
  };
  await writeFile(config, propertiesText(properties), { mode: 0o600 });

  const server = await openServer({
    name: 'Kafka',
    command: 'java',
    args: ['-Xms128m', `-Xmx${options.heapMaxMib ?? 512}m`, '-XX:+UseG1GC', logging].concat([
      '-cp',
      libraries,
      'kafka.Kafka',
      config,
    ]),
    dir,
    ready: (log) => log.includes('Kafka Server started'),
    readyTimeoutMs: 120_000,
    hints: [
      { pattern: portTaken, todo: 'another program took the port: start a new set' },
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
  const formatArgs = extra.has('sasl') ? SCRAM_FORMAT_ARGS : [];

  return Object.assign(server, {
    brokers: address(ports.plain),
    sasl: extra.has('sasl') ? saslListener(address(ports.sasl)) : undefined,
    ssl,
    proxied: proxy && { brokers: address(ports.proxy), proxy },
    async start(): Promise<void> {
      if (server.pid === undefined) await formatOnce(dir, libraries, logging, config, formatArgs);
      await startBroker();
    },
    tool: (className: string, args: readonly string[]) =>
      tool('java', ['-Xmx256m', '-cp', libraries, className, ...args], `run ${className}`),
  });
}

/** Writes the cluster's id into the data folder, without which a broker refuses to start. */
async function formatOnce(
  dir: string,
  libraries: string,
  logging: string,
  config: string,
  formatArgs: readonly string[],
): Promise<void> {
  const formatted = await stat(join(dir, 'data', 'meta.properties')).then(
    () => true,
    () => false,
  );
  if (formatted) return;
  await tool(
    'java',
    ['-Xmx128m', '-XX:TieredStopAtLevel=1', logging, '-cp', libraries, 'kafka.tools.StorageTool'].concat(
      ['format', '--ignore-formatted', '-t', newClusterId(), '-c', config],
      formatArgs,
    ),
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
  listeners: readonly Listener[],
  controllerPort: number,
): Record<string, string> {
  const list = (item: (listener: Listener) => string): string => listeners.map(item).join(',');
  return {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: `${list(({ name, port }) => `${name}://127.0.0.1:${port}`)},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': list(({ name, advertisedPort }) => `${name}://127.0.0.1:${advertisedPort}`),
    'listener.security.protocol.map': `${list(({ name, protocol }) => `${name}:${protocol}`)},CONTROLLER:PLAINTEXT`,
    'inter.broker.listener.name': 'PLAIN',
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
