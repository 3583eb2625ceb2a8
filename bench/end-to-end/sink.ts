// What: JSON → Hive Parquet by symbol on S3 with offsets committed: `zepto serve`, and a tuned Python script beside it.
// Why: rows per second and CPU per row to files that stand is what a sink is chosen by.
// Invariant: each run is a new process, group and prefix; DuckDB counts rows and sums a column of its objects afterwards.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { reportToStderr } from '../../services/errors.ts';
import { tool } from '../../services/install.ts';
import { pythonWith } from '../../services/python.ts';
import type { S3Connection } from '../../services/s3.ts';
import { type Services, startServices } from '../../services/up.ts';
import { assert } from '../../src/kernel/assert.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { inRepository } from '../in-repository.ts';
import { type BenchOptions, medians } from '../report.ts';
import { bucketSums } from './bucket.ts';
import { Member } from './member.ts';
import { publish } from './publish.ts';
import { checkSums, RECORDS_MAX } from './ticks.ts';

const PARTITIONS = 4;
const TOPIC = 'ticks';
const TIMEOUT_MS = 300_000;
const FLUSH_SECONDS = 10;
const PYTHON_PACKAGES = ['confluent-kafka==2.16.1', 'orjson==3.13.0', 'pyarrow==26.0.1'];

interface Sunk {
  readonly seconds: number;
  /** Of the sink's process alone. */
  readonly cpuSeconds: number | null;
  readonly rssPeakMib: number | null;
}

type Figures = Record<'rowsPerSecond' | 'cpuMicrosPerRow' | 'rssPeakMib' | 'files' | 'bytes', number | null>;

interface Place {
  readonly brokers: string;
  readonly s3: S3Connection;
  /** Key prefix and name of the group. */
  readonly name: string;
}

export async function run(options: BenchOptions): Promise<void> {
  const { records = 5_000_000, runs = 5, print } = options;
  assert(records <= RECORDS_MAX, `at most ${RECORDS_MAX} records`);
  const services = await startServices({ with: ['kafka', 's3'], report: () => {} });
  try {
    const { brokers } = services.kafka;
    const log = await publish({ brokers, topic: TOPIC, partitions: PARTITIONS, records, format: 'json' });
    print({ bench: 'sink', records, partitions: PARTITIONS, runs, bytesPerRecord: log.bytes / records });
    const cases = (await casesOf(records)).filter(({ name }) => options.only?.includes(name) ?? true);
    const figures = cases.map(() => [] as Figures[]);
    for (let round = 0; round < runs; round++)
      for (const [index, { name, sink }] of cases.entries())
        figures[index]!.push(await measured(services, `${name}-${round}`, records, sink));
    for (const [index, { name }] of cases.entries())
      print({ case: name, ...medians<keyof Figures>(figures[index]!) });
  } finally {
    await services.stop();
  }
}

async function casesOf(
  records: number,
): Promise<{ readonly name: string; readonly sink: (place: Place) => Promise<Sunk> }[]> {
  const python = await pythonWith(PYTHON_PACKAGES, reportToStderr);
  return [
    { name: 'python-tuned', sink: (place) => pythonSink(python, place, records) },
    { name: 'snappy-1-shard', sink: (place) => zeptoSink(place, records, []) },
    {
      name: 'zstd-1-shard',
      sink: (place) => zeptoSink(place, records, ['--cold-tier-parquet-codec', 'ZSTD']),
    },
  ];
}

async function measured(
  services: Services<'kafka' | 's3'>,
  name: string,
  records: number,
  sink: (place: Place) => Promise<Sunk>,
): Promise<Figures> {
  const s3 = services.s3.connection;
  const { seconds, cpuSeconds, rssPeakMib } = await sink({ brokers: services.kafka.brokers, s3, name });
  const folder = await mkdtemp(join(tmpdir(), 'zepto-bench-'));
  try {
    const found = await bucketSums(s3, name, folder);
    checkSums(name, found, records);
    return {
      rowsPerSecond: records / seconds,
      cpuMicrosPerRow: cpuSeconds === null ? null : (cpuSeconds * 1e6) / records,
      rssPeakMib,
      files: found.files,
      bytes: found.bytes,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * From the last look without a row to committed offsets at the topic's end. What no trigger has sealed when the last
 * record is in is sealed on demand, as the script does: nobody measures how long a timer is.
 */
async function zeptoSink(place: Place, records: number, flags: readonly string[]): Promise<Sunk> {
  const { brokers, s3, name } = place;
  const member = new Member(
    [
      ...['--brokers', brokers, '--group', name, '--topics', `trades=${TOPIC}`],
      ...['--cold-tier-enabled', '--cold-tier-s3-bucket', s3.bucket, '--cold-tier-s3-region', s3.region],
      ...['--cold-tier-s3-endpoint-url', s3.endpoint, '--cold-tier-s3-use-path-style'],
      ...['--cold-tier-s3-prefix', name, '--seal-interval', `${FLUSH_SECONDS}s`, ...flags],
    ],
    { AWS_ACCESS_KEY_ID: s3.accessKeyId, AWS_SECRET_ACCESS_KEY: s3.secretAccessKey },
    [],
  );
  try {
    let startMs = 0;
    let cpuBefore: number | null = null;
    await member.until(
      ({ position, partitions }) => {
        if (position === 0) {
          startMs = systemClock.monotonicMs();
          cpuBefore = member.cpuSeconds();
        }
        return partitions === PARTITIONS && position >= records;
      },
      'the last record',
      TIMEOUT_MS,
    );
    await member.flush();
    await member.until(({ committed }) => committed >= records, 'offsets at the end', TIMEOUT_MS);
    const seconds = (systemClock.monotonicMs() - startMs) / 1_000;
    const cpuAfter = member.cpuSeconds();
    return {
      seconds,
      cpuSeconds: cpuBefore === null || cpuAfter === null ? null : cpuAfter - cpuBefore,
      rssPeakMib: member.memoryMib('VmHWM'),
    };
  } finally {
    await member.stop('SIGKILL');
  }
}

/** From its first messages to its last commit. Its offsets are committed after its files: at least once. */
async function pythonSink(python: string, { brokers, s3, name }: Place, records: number): Promise<Sunk> {
  const script = inRepository('bench/end-to-end/python-sink.py');
  const args = [script, brokers, TOPIC, `${records}`, name, `${FLUSH_SECONDS}`];
  const printed = await tool(python, args, 'run the Python sink', { BENCH_S3: JSON.stringify(s3) });
  return JSON.parse(printed.trim().split('\n').at(-1)!) as Sunk;
}
