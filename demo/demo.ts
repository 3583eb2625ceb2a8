// What: `zepto demo`: real services, a market of ticks, the engine, a live picture, and a verdict from the bucket.
// Why: one command shows what the system does and lets anyone check the promise on their own machine.
// Invariant: the last line of standard output is one JSON object; lost and doubled are counted from the objects alone.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createKafka } from '../connectors/kafka/client.ts';
import { createLogger } from '../connectors/log/logger.ts';
import { ServiceError } from '../services/errors.ts';
import { startServices } from '../services/up.ts';
import type { Config } from '../src/config/config.ts';
import { loadConfig } from '../src/config/load.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { ZeptoError } from '../src/kernel/errors.ts';
import type { Running } from '../src/main.ts';
import type { Logger } from '../src/ports.ts';
import { openObjectStore } from '../src/threads/stores.ts';
import { auditTable } from './audit.ts';
import { bytes, count, Progress } from './progress.ts';
import { createTopics, type PublishCounts, publish } from './publish.ts';

export const demoHelp = `zepto demo: a market on your machine, from Kafka to Parquet

  zepto demo                        starts Kafka and S3, publishes ticks until you press Ctrl-C
  zepto demo --once --ticks 1000000 publishes a million ticks, checks the bucket, ends

  --once            end by itself and print a JSON summary on the last line
  --ticks N         ticks to publish (default: 1000000 with --once, else no end)
  --rate N          ticks per second (default: as fast as possible with --once, else 20000)
  --seed N          of the tick stream (default 7)
  --port N          HTTP port (default: a free one)
  --brokers LIST    use this Kafka instead of starting one
  --cold-tier-s3-endpoint URL --cold-tier-s3-bucket NAME [--cold-tier-s3-region R]
                    use this S3 server instead of starting one (credentials from the environment)
  --log-level L     debug, info, warn (default) or error: the engine's log, on standard error
`;

interface DemoOptions {
  readonly once: boolean;
  readonly ticks: number | null;
  readonly rate: number | null;
  readonly seed: number;
  readonly port: number;
  readonly brokers: string | null;
  readonly s3: { readonly endpoint: string; readonly bucket: string; readonly region: string } | null;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
}

export interface DemoSummary {
  readonly produced: number;
  readonly consumed: number;
  readonly parquetRows: number;
  readonly lost: number;
  readonly doubled: number;
  readonly deadLettered: number;
  readonly objects: number;
  readonly bytes: number;
  readonly seconds: number;
}

const TOPICS = { trades: 'demo.trades', quotes: 'demo.quotes' };
const PARTITIONS = 4;
const PREFIX = 'hdb';

const COLUMNS = {
  trades: { price: 'DECIMAL(18,4)', volume: 'INT64', msg_type: 'INT32' },
  quotes: { bid: 'DECIMAL(18,4)', ask: 'DECIMAL(18,4)', bid_size: 'INT64', ask_size: 'INT64' },
} as const;

export async function runDemo(
  args: readonly string[],
  start: (config: Config, logger: Logger) => Promise<Running>,
): Promise<number> {
  const options = readOptions(args);
  if (options === null) {
    process.stdout.write(demoHelp);
    return 0;
  }
  const home = await mkdtemp(join(tmpdir(), 'zepto-demo-'));
  const cleanUp: (() => Promise<void>)[] = [() => rm(home, { recursive: true, force: true })];
  try {
    const { brokers, s3 } = await endpoints(options, cleanUp);
    say(`Kafka at ${brokers}, bucket ${s3.bucket} at ${s3.endpoint}`);
    const config = demoConfig(options, brokers, s3, home);
    const summary = await runMarket(options, config, start, home, cleanUp);
    process.stdout.write(`${JSON.stringify(summary)}\n`);
    return summary.lost === 0 && summary.doubled === 0 ? 0 : 1;
  } catch (error) {
    if (error instanceof ServiceError)
      throw new ZeptoError('KAFKA_UNREACHABLE', 'stop', error.message, { cause: error });
    throw error;
  } finally {
    for (const step of cleanUp.reverse()) await step();
  }
}

async function runMarket(
  options: DemoOptions,
  config: Config,
  start: (config: Config, logger: Logger) => Promise<Running>,
  home: string,
  cleanUp: (() => Promise<void>)[],
): Promise<DemoSummary> {
  const clock = systemClock;
  const logger = createLogger({
    level: options.logLevel,
    format: 'pretty',
    write: (line) => void process.stderr.write(line),
  });
  const kafka = createKafka(config.kafka, logger);
  await createTopics(kafka, Object.values(TOPICS), PARTITIONS);
  const running = await start(config, logger);
  cleanUp.push(() => running.stop());
  if (!options.once) say(whatToTry(running.address, config));

  const startedMs = clock.monotonicMs();
  const counts: PublishCounts = { trades: 0, quotes: 0, broken: 0 };
  const produced = (): number => counts.trades + counts.quotes + counts.broken;
  const consumed = (): number => running.view.totals().zepto_kafka_messages_consumed_total ?? 0;
  const progress = new Progress(process.stderr.isTTY === true, options.ticks);
  const picture = async (): Promise<void> =>
    progress.show({
      elapsedMs: clock.monotonicMs() - startedMs,
      published: produced(),
      stats: await running.engine.stats(),
      totals: running.view.totals(),
    });
  const drawing = clock.every(process.stderr.isTTY ? 500 : 2_000, () => void picture().catch(() => {}));
  const ended = new AbortController();
  const onSignal = (): void => ended.abort();
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  try {
    // Three hours of market in the whole run, so that hours close while it goes on; live ticks when there is no end.
    const spanMs = options.ticks === null ? 0 : 3 * 3_600_000;
    const meanGapNs =
      options.ticks === null ? 1e9 / (options.rate ?? 20_000) : (spanMs * 1e6) / options.ticks;
    const publishing = publish(
      kafka,
      {
        topics: TOPICS,
        stream: { seed: options.seed, startMs: clock.nowMs() - spanMs, meanGapNs },
        count: options.ticks,
        rate: options.rate,
        signal: ended.signal,
        clock,
      },
      counts,
    );
    const failed = running.failed.then((error) => Promise.reject(error));
    await Promise.race([publishing, failed]);
    const caughtUp = async (): Promise<void> => {
      while (consumed() < produced()) await clock.sleep(50);
      while ((running.view.totals().zepto_ticks_stored_total ?? 0) < counts.trades + counts.quotes) {
        await running.engine.flush();
        await clock.sleep(300);
      }
    };
    await Promise.race([caughtUp(), failed]);
    // Counters of the threads arrive once a second.
    while ((running.view.totals().zepto_dead_letters_total ?? 0) < counts.broken) await clock.sleep(100);
  } finally {
    drawing.cancel();
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
  await picture();
  const seconds = (clock.monotonicMs() - startedMs) / 1000;
  const totals = running.view.totals();
  await running.stop();
  say('counting the rows of the bucket with DuckDB');
  const store = openObjectStore(
    config.coldTier!,
    null,
    clock,
    { count() {}, gauge() {}, observe() {} },
    logger,
  );
  const trades = await auditTable(store, PREFIX, join(home, 'bucket'));
  const quotes = await auditTable(store, `${PREFIX}-quotes`, join(home, 'bucket'));
  await store.close();
  const summary: DemoSummary = {
    produced: produced(),
    consumed: totals.zepto_kafka_messages_consumed_total ?? 0,
    parquetRows: trades.rows + quotes.rows,
    lost: counts.trades - trades.distinct + (counts.quotes - quotes.distinct),
    doubled: trades.rows - trades.distinct + (quotes.rows - quotes.distinct),
    deadLettered: totals.zepto_dead_letters_total ?? 0,
    objects: trades.objects + quotes.objects,
    bytes: trades.bytes + quotes.bytes,
    seconds: Math.round(seconds * 10) / 10,
  };
  say(
    `${count(summary.parquetRows)} rows in ${count(summary.objects)} Parquet objects (${bytes(summary.bytes)}): ` +
      `lost ${summary.lost}, doubled ${summary.doubled}, dead letters ${summary.deadLettered}`,
  );
  return summary;
}

interface Endpoints {
  readonly brokers: string;
  readonly s3: { readonly endpoint: string; readonly bucket: string; readonly region: string };
}

/** The user's own services, or the embedded ones for what was not named. */
async function endpoints(options: DemoOptions, cleanUp: (() => Promise<void>)[]): Promise<Endpoints> {
  const missing = [
    ...(options.brokers === null ? ['kafka' as const] : []),
    ...(options.s3 === null ? ['s3' as const] : []),
  ];
  if (missing.length === 0) return { brokers: options.brokers!, s3: options.s3! };
  const services = await startServices({ with: missing });
  cleanUp.push(() => services.stop());
  const { connection } = services;
  if (connection.s3 !== undefined) {
    process.env.AWS_ACCESS_KEY_ID = connection.s3.accessKeyId;
    process.env.AWS_SECRET_ACCESS_KEY = connection.s3.secretAccessKey;
  }
  return { brokers: options.brokers ?? connection.brokers!, s3: options.s3 ?? connection.s3! };
}

function demoConfig(
  options: DemoOptions,
  brokers: string,
  s3: { readonly endpoint: string; readonly bucket: string; readonly region: string },
  home: string,
): Config {
  const file = join(home, 'demo.json');
  const tables = Object.entries(COLUMNS).map(([name, columns]) => [
    name,
    {
      columns: [
        { name: 'timestamp', type: 'TIMESTAMP_NS' },
        { name: 'symbol', type: 'SYMBOL' },
        ...Object.entries(columns).map(([column, type]) =>
          type.startsWith('DECIMAL') ? { name: column, type: 'INT64', scale: 4 } : { name: column, type },
        ),
        { name: 'seq', type: 'INT64' },
      ],
    },
  ]);
  return loadConfig({
    argv: [
      ...['--config', file, '--brokers', brokers, '--group', 'zepto-demo'],
      ...['--topics', `trades=${TOPICS.trades},quotes=${TOPICS.quotes}`],
      ...['--hdb-dir', join(home, 'hdb'), '--port', String(options.port), '--no-auth'],
      ...[
        '--cold-tier-enabled',
        '--cold-tier-format',
        'both',
        '--cold-tier-s3-bucket',
        s3.bucket,
        '--cold-tier-s3-region',
        s3.region,
      ],
      ...['--cold-tier-s3-endpoint-url', s3.endpoint, '--cold-tier-s3-use-path-style'],
      ...['--cold-tier-s3-prefix', PREFIX, '--seal-interval', options.once ? '0' : '10s'],
    ],
    env: {},
    readText: (path) => {
      if (path === file) return JSON.stringify({ tables: Object.fromEntries(tables) });
      throw new ZeptoError('CONFIG_INVALID', 'stop', `${path} is not part of the demo`);
    },
  }).config;
}

function whatToTry(address: string, config: Config): string {
  const { endpointUrl, bucket: name } = config.coldTier!.s3;
  return [
    'Try, in another terminal:',
    `  curl ${address}/stats`,
    `  curl -X POST ${address}/admin/flush      # seal what is in memory now`,
    `  curl ${address}/metrics`,
    `  aws --endpoint-url ${endpointUrl} s3 ls --recursive s3://${name}/${PREFIX}/`,
    'Ctrl-C seals, counts the bucket with DuckDB and ends.',
  ].join('\n');
}

function readOptions(args: readonly string[]): DemoOptions | null {
  let values: ReturnType<typeof parse>;
  try {
    values = parse(args);
  } catch (error) {
    throw wrong((error as Error).message);
  }
  if (values.help === true) return null;
  const whole = (name: 'ticks' | 'rate' | 'seed' | 'port'): number | null => {
    const text = values[name];
    if (text === undefined) return null;
    const value = Number(text.replaceAll('_', ''));
    if (!Number.isSafeInteger(value) || value < 0)
      throw wrong(`--${name} takes a whole number, got "${text}"`);
    return value;
  };
  const once = values.once === true;
  const endpoint = values['cold-tier-s3-endpoint'];
  const name = values['cold-tier-s3-bucket'];
  if ((endpoint === undefined) !== (name === undefined))
    throw wrong('--cold-tier-s3-endpoint and --cold-tier-s3-bucket go together');
  return {
    once,
    ticks: whole('ticks') ?? (once ? 1_000_000 : null),
    rate: whole('rate') ?? (once ? null : 20_000),
    seed: whole('seed') ?? 7,
    port: whole('port') ?? 0,
    brokers: values.brokers ?? null,
    s3:
      endpoint === undefined
        ? null
        : { endpoint, bucket: name!, region: values['cold-tier-s3-region'] ?? 'us-east-1' },
    logLevel: logLevel(values['log-level'] ?? 'warn'),
  };
}

function parse(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    allowPositionals: false,
    options: {
      once: { type: 'boolean' },
      ticks: { type: 'string' },
      rate: { type: 'string' },
      seed: { type: 'string' },
      port: { type: 'string' },
      brokers: { type: 'string' },
      'cold-tier-s3-endpoint': { type: 'string' },
      'cold-tier-s3-bucket': { type: 'string' },
      'cold-tier-s3-region': { type: 'string' },
      'log-level': { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  }).values;
}

function logLevel(text: string): DemoOptions['logLevel'] {
  if (text === 'debug' || text === 'info' || text === 'warn' || text === 'error') return text;
  throw wrong(`--log-level is debug, info, warn or error, got "${text}"`);
}

const wrong = (what: string): ZeptoError =>
  new ZeptoError('CONFIG_INVALID', 'stop', `${what}. See zepto demo --help`);

const say = (text: string): void => void process.stderr.write(`${text}\n`);
