// What: Kafka → queryable columns, one shard per case, beside consumers that only count the same records.
// Why: a consumer that keeps up with the market needs no more CPU than the bytes cost.
// Invariant: each run is a new `zepto serve` process and a new group; its rows and the sum of a column are checked afterwards.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Services, startServices } from '../../services/up.ts';
import { assert } from '../../src/kernel/assert.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { type BenchOptions, medians } from '../report.ts';
import { binSums } from './bin-sums.ts';
import { type Consumed, javaConsumerPerformance, kafkajsEachBatch } from './consumers.ts';
import { Member } from './member.ts';
import { publish } from './publish.ts';
import { checkSums, RECORDS_MAX, startSchemaRegistry, type TickFormat } from './ticks.ts';

const PARTITIONS = 4;
const TIMEOUT_MS = 180_000;

interface Case {
  readonly name: string;
  readonly format: TickFormat;
  readonly measure: (topic: Topic) => Promise<Consumed>;
}

interface Topic {
  readonly name: string;
  readonly records: number;
}

export async function run(options: BenchOptions): Promise<void> {
  const { records = 5_000_000, runs = 5, print } = options;
  assert(records <= RECORDS_MAX, `at most ${RECORDS_MAX} records`);
  const services = await startServices({ with: ['kafka'], report: () => {} });
  const registry = await startSchemaRegistry();
  const home = await mkdtemp(join(tmpdir(), 'zepto-bench-'));
  try {
    const cases = casesOf(services, registry.url, home).filter(
      ({ name }) => options.only?.includes(name) ?? true,
    );
    const bytes: Partial<Record<TickFormat, number>> = {};
    for (const format of new Set(cases.map((one) => one.format)))
      bytes[format] = (await publish({ ...topicOf(format, records, services), format })).bytes;
    const bytesOfJson = Math.round((bytes.json ?? 0) / records);
    print({ bench: 'ingest', records, partitions: PARTITIONS, runs, bytesPerJsonRecord: bytesOfJson });

    const consumed = cases.map(() => [] as Consumed[]);
    // In turns, so that what else the machine does meets all cases alike.
    for (let round = 0; round < runs; round++)
      for (const [index, { format, measure }] of cases.entries())
        consumed[index]!.push(await measure({ name: `ticks-${format}`, records }));
    for (const [index, { name, format }] of cases.entries()) {
      const rows = medians<keyof Consumed>(consumed[index]!.map((one) => ({ ...one })));
      print({ case: name, ...rows, bytesPerRow: Math.round(bytes[format]! / records) });
    }
  } finally {
    registry.close();
    await rm(home, { recursive: true, force: true });
    await services.stop();
  }
}

function topicOf(format: TickFormat, records: number, services: Services<'kafka'>) {
  return { brokers: services.kafka.brokers, topic: `ticks-${format}`, partitions: PARTITIONS, records };
}

function casesOf(services: Services<'kafka'>, registry: string, home: string): Case[] {
  const { kafka } = services;
  const shards = (format: TickFormat, count: number, more: readonly string[] = []): Case => ({
    name: `${format}-${count}-shard${count === 1 ? '' : 's'}`,
    format,
    measure: (topic) =>
      ingest(kafka.brokers, topic, home, ['--format', format, '--shards', `${count}`, ...more]),
  });
  return [
    {
      name: 'kafkajs-eachBatch',
      format: 'json',
      measure: ({ name, records }) => kafkajsEachBatch(kafka.brokers, name, records),
    },
    {
      name: 'java-consumer-performance',
      format: 'json',
      measure: ({ name, records }) => javaConsumerPerformance(kafka, name, records),
    },
    shards('json', 1),
    shards('json', 2),
    shards('binary', 1, ['--symbol-ids', 'message']),
    shards('avro', 1, ['--schema-registry', registry, '--scaled-numbers', 'scaled']),
  ];
}

let groups = 0;

/**
 * From the last look that showed no row to the first that showed all, a look every 10 ms: assignment and recovery are
 * over, the code is still cold. Then the rows are sealed to local files, which are read for the check.
 */
async function ingest(
  brokers: string,
  topic: Topic,
  home: string,
  flags: readonly string[],
): Promise<Consumed> {
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
    );
    const seconds = (systemClock.monotonicMs() - startMs) / 1_000;
    const cpuAfter = member.cpuSeconds();
    await member.flush();
    await member.until((state) => state.committed >= topic.records, 'rows sealed', TIMEOUT_MS);
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
