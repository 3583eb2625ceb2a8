// What: Kafka → queryable columns, by format, codec and shards, beside consumers that only count the same records.
// Why: a consumer that keeps up with the market needs no more CPU than the bytes cost.
// Invariant: each run is a new `zepto serve` process and a new group; its rows and the sum of a column are checked afterwards.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Services, startServices } from '../../services/up.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { batchCompressor, CODEC_NAMES, type CodecName, codecAloneMs, ZSTD_MISSING } from '../compression.ts';
import { type BenchOptions, medians } from '../report.ts';
import { binSums } from './bin-sums.ts';
import { type Consumed, javaConsumerPerformance, kafkajsEachBatch, recordBatches } from './consumers.ts';
import { Member } from './member.ts';
import { type Published, publish } from './publish.ts';
import { checkSums, startSchemaRegistry, stepWithinHourNs, type TickFormat } from './ticks.ts';

const PARTITIONS = 4;
const TIMEOUT_MS = 180_000;
const ATTEMPTS_MAX = 5;
/** So many times the ticks of others: they would be over while the code is still cold. */
const TIMES_OF_TICKS: Partial<Record<TickFormat, number>> = { binary: 4, arrow: 8 };

interface Case {
  readonly name: string;
  readonly format: TickFormat;
  readonly codec: CodecName;
  readonly measure: (topic: Topic) => Promise<Consumed>;
}

interface Topic extends Published {
  readonly name: string;
  /** Ticks. */
  readonly records: number;
}

type Figures = Consumed & {
  /** To decompress the log, alone and on one thread; null where it is not compressed. */
  readonly codecMicrosPerRow: number | null;
};

export async function run(options: BenchOptions): Promise<void> {
  const { records = 5_000_000, runs = 5, print } = options;
  const services = await startServices({ with: ['kafka'], report: () => {} });
  const registry = await startSchemaRegistry();
  const home = await mkdtemp(join(tmpdir(), 'zepto-bench-'));
  try {
    const wanted = casesOf(services, registry.url, home).filter(
      ({ name }) => options.only?.includes(name) ?? true,
    );
    const cases = wanted.filter(({ codec }) => batchCompressor(codec) !== null);
    for (const one of wanted) if (!cases.includes(one)) print({ case: one.name, skipped: ZSTD_MISSING });
    const topics = new Map<string, Topic>();
    for (const one of cases) {
      const ticks = records * (TIMES_OF_TICKS[one.format] ?? 1);
      if (!topics.has(topicName(one))) topics.set(topicName(one), await filledTopic(one, ticks, services));
    }
    print({ bench: 'ingest', partitions: PARTITIONS, runs });

    const consumed = cases.map(() => [] as Figures[]);
    // In turns, so that what else the machine does meets all cases alike.
    for (let round = 0; round < runs; round++)
      for (const [index, one] of cases.entries()) {
        const topic = topics.get(topicName(one))!;
        const codecMicrosPerRow = one.codec === 'none' ? null : codecMicros(topic.sample);
        consumed[index]!.push({ ...(await one.measure(topic)), codecMicrosPerRow });
      }
    for (const [index, one] of cases.entries()) {
      const { codecMicrosPerRow, ...figures } = medians<keyof Figures>(consumed[index]!);
      const topic = topics.get(topicName(one))!;
      print({
        case: one.name,
        records: topic.records,
        ...figures,
        ...(codecMicrosPerRow !== null && { codecMicrosPerRow }),
        bytesPerRow: Math.round((topic.bytes / topic.records) * 10) / 10,
      });
    }
  } finally {
    registry.close();
    await rm(home, { recursive: true, force: true });
    await services.stop();
  }
}

function topicName({ format, codec }: Case): string {
  return codec === 'none' ? `ticks-${format}` : `ticks-${format}-${codec}`;
}

async function filledTopic(one: Case, records: number, services: Services<'kafka'>): Promise<Topic> {
  const { format, codec } = one;
  const name = topicName(one);
  const { brokers } = services.kafka;
  const stepNs = stepWithinHourNs(records);
  const compress = batchCompressor(codec)!;
  const filled = { brokers, topic: name, partitions: PARTITIONS, records, format, compress, stepNs };
  return { name, records, ...(await publish(filled)) };
}

function codecMicros({ bytes, ticks, plainBytes }: Topic['sample']): number {
  // Once to compile it: what is wanted is the least that the codec can cost.
  codecAloneMs(bytes, plainBytes);
  return (codecAloneMs(bytes, plainBytes) * 1_000) / ticks;
}

function casesOf(services: Services<'kafka'>, registry: string, home: string): Case[] {
  const { kafka } = services;
  const shards = (
    format: TickFormat,
    count: number,
    more: readonly string[] = [],
    codec: CodecName = 'none',
  ): Case => ({
    name: `${format}-${count}-shard${count === 1 ? '' : 's'}${codec === 'none' ? '' : `-${codec}`}`,
    format,
    codec,
    measure: (topic) =>
      ingest(kafka.brokers, topic, home, ['--format', format, '--shards', `${count}`, ...more]),
  });
  return [
    {
      name: 'kafkajs-eachBatch',
      format: 'json',
      codec: 'none',
      measure: ({ name, records }) => kafkajsEachBatch(kafka.brokers, name, records),
    },
    {
      name: 'java-consumer-performance',
      format: 'json',
      codec: 'none',
      measure: ({ name, records }) => javaConsumerPerformance(kafka, name, records),
    },
    {
      name: 'record-batches',
      format: 'json',
      codec: 'none',
      measure: ({ name, records }) => recordBatches(kafka.brokers, name, records),
    },
    shards('json', 1),
    shards('json', 2),
    shards('binary', 1, ['--symbol-ids', 'message']),
    shards('avro', 1, ['--schema-registry', registry, '--scaled-numbers', 'scaled']),
    shards('arrow', 1, ['--scaled-numbers', 'scaled']),
    ...CODEC_NAMES.filter((codec) => codec !== 'none').map((codec) => shards('json', 1, [], codec)),
  ];
}

let groups = 0;

/**
 * From the last look that showed no row to the first that showed all, a look every 10 ms near both ends (each costs the
 * process a millisecond): assignment and recovery are over, the code is still cold. Then the rows are sealed to local files, which are read for the check.
 */
async function ingest(
  brokers: string,
  topic: Topic,
  home: string,
  flags: readonly string[],
): Promise<Consumed> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const found = await ingestOnce(brokers, topic, home, flags);
    if (found !== null) return found;
  }
  throw new Error(`each of ${ATTEMPTS_MAX} processes had rows before the first look at them`);
}

/** Null: the process answered for the first time when it had rows, so that the start is not known. */
async function ingestOnce(
  brokers: string,
  topic: Topic,
  home: string,
  flags: readonly string[],
): Promise<Consumed | null> {
  const group = `bench-${groups++}`;
  const hdb = join(home, group);
  const member = new Member(
    [
      ...['--brokers', brokers, '--group', group, '--topics', `trades=${topic.name}`],
      // Nothing is sealed while it is measured.
      ...['--hdb-dir', hdb, '--memory-budget', '4GiB', ...flags],
    ],
    {},
    [],
  );
  try {
    let startMs = 0;
    let cpuBefore: number | null = null;
    await member.until(
      (state) => {
        if (state.rowsHot === 0) {
          startMs = systemClock.monotonicMs();
          cpuBefore = member.cpuSeconds();
        }
        return state.partitions === PARTITIONS && state.rowsHot >= topic.records;
      },
      `${topic.records} rows in memory`,
      TIMEOUT_MS,
      ({ rowsHot }) => (rowsHot > 0 && rowsHot < 0.8 * topic.records ? 50 : 10),
    );
    if (startMs === 0) return null;
    const seconds = (systemClock.monotonicMs() - startMs) / 1_000;
    const cpuAfter = member.cpuSeconds();
    await sealAll(member, topic);
    const found = await binSums(hdb);
    checkSums(group, found, topic.records);
    const cpuSeconds = cpuBefore === null || cpuAfter === null ? null : cpuAfter - cpuBefore;
    return {
      rowsPerSecond: topic.records / seconds,
      cpuMicrosPerRow: cpuSeconds === null ? null : (cpuSeconds * 1e6) / topic.records,
    };
  } catch (error) {
    console.error(member.tail());
    throw error;
  } finally {
    await member.stop('SIGKILL');
    await rm(hdb, { recursive: true, force: true });
  }
}

/** A shard that joined late reads again what another had: that is sealed once it is there. */
async function sealAll(member: Member, topic: Topic): Promise<void> {
  const giveUpMs = systemClock.monotonicMs() + TIMEOUT_MS;
  for (;;) {
    await member.flush();
    if ((await member.state()).committed >= topic.messages) return;
    if (systemClock.monotonicMs() > giveUpMs) throw new Error('not all rows were sealed');
    await systemClock.sleep(100);
  }
}
