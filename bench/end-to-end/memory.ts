// What: memory in use for minutes on end while S3 takes a tenth of what Kafka gives.
// Why: a sink that buffers what it cannot write dies in the night; this one must pause and lose nothing.
// Invariant: ticks wait in Kafka the whole time; when S3 is well again every one of them stands in the bucket.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startProxy } from '../../services/proxy.ts';
import { startServices } from '../../services/up.ts';
import { assert } from '../../src/kernel/assert.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { BenchOptions } from '../report.ts';
import { bucketSums } from './bucket.ts';
import { Member, type MemberState } from './member.ts';
import { publish } from './publish.ts';
import { checkSums } from './ticks.ts';

const PARTITIONS = 4;
const TOPIC = 'ticks';
const BUDGET_MIB = 256;
/** Beside the columns: code, encoder, fetch and upload buffers. */
const BESIDE_MIB = 250;
/** More than the budget holds, at 32 bytes each: ticks of some hours. */
const RECORDS = 20_000_000;
/** Ticks take about 6 bytes each in Parquet: 33,000 rows a second, less than a tenth of what a shard takes in. */
const S3_BYTES_PER_SECOND = 200_000;
const LOOK_MS = 200;
const SETTLE_TIMEOUT_MS = 300_000;

export async function run(options: BenchOptions): Promise<void> {
  const { minutes = 5, print, records = RECORDS } = options;
  const services = await startServices({ with: ['kafka', 's3'], report: () => {} });
  const s3 = services.s3.connection;
  const proxy = await startProxy({ target: { port: Number(new URL(s3.endpoint).port) } });
  const home = await mkdtemp(join(tmpdir(), 'zepto-bench-'));
  try {
    const { brokers } = services.kafka;
    await publish({ brokers, topic: TOPIC, partitions: PARTITIONS, records, format: 'json' });
    print({
      bench: 'memory',
      records,
      minutes,
      budgetMib: BUDGET_MIB,
      s3BytesPerSecond: S3_BYTES_PER_SECOND,
    });
    proxy.mode = { kind: 'trickle', bytesPerSecond: S3_BYTES_PER_SECOND, direction: 'toServer' };
    const member = new Member(
      [
        ...['--brokers', brokers, '--group', 'memory', '--topics', `trades=${TOPIC}`],
        ...['--memory-budget', `${BUDGET_MIB}MiB`, '--seal-interval', '10s', '--cold-tier-enabled'],
        ...['--cold-tier-s3-bucket', s3.bucket, '--cold-tier-s3-region', s3.region],
        ...['--cold-tier-s3-endpoint-url', `http://${proxy.host}:${proxy.port}`],
        ...['--cold-tier-s3-use-path-style', '--cold-tier-s3-prefix', 'memory'],
      ],
      { AWS_ACCESS_KEY_ID: s3.accessKeyId, AWS_SECRET_ACCESS_KEY: s3.secretAccessKey },
      [],
    );
    try {
      const watched = await watch(member, minutes * 60_000);
      proxy.mode = { kind: 'pass' };
      await member.until(
        ({ position }) => position >= records,
        'the last record',
        SETTLE_TIMEOUT_MS,
        () => 100,
      );
      await member.flush();
      await member.until(({ committed }) => committed >= records, 'offsets at the end', SETTLE_TIMEOUT_MS);
      const found = await bucketSums(s3, 'memory', home);
      checkSums('the bucket', found, records);
      const rssPeakMib = member.memoryMib('VmHWM');
      print({ case: 'slow-s3', ...watched, rssPeakMib, limitMib: BUDGET_MIB + BESIDE_MIB, rows: found.rows });
      assert(
        rssPeakMib === null || rssPeakMib <= BUDGET_MIB + BESIDE_MIB,
        `the process reached ${rssPeakMib} MiB`,
      );
    } finally {
      await member.stop('SIGKILL');
    }
  } finally {
    await proxy.close();
    await rm(home, { recursive: true, force: true });
    await services.stop();
  }
}

interface Watched {
  readonly rssPeakSlowMib: number;
  readonly rssLastMib: number;
  /** Of the looks that were made; the rest of the time it consumed. */
  readonly pausedShare: number;
  readonly rowsWhileSlow: number;
  readonly rowsCommittedWhileSlow: number;
}

/** @throws when it stops answering or ends. */
async function watch(member: Member, forMs: number): Promise<Watched> {
  let looks = 0;
  let paused = 0;
  let rssPeakSlowMib = 0;
  let last: MemberState = await member.until(({ position }) => position > 0, 'the first record', 60_000);
  const endMs = systemClock.monotonicMs() + forMs;
  while (systemClock.monotonicMs() < endMs) {
    last = await member.until(() => true, 'an answer', 30_000);
    looks++;
    if (last.isPaused) paused++;
    rssPeakSlowMib = Math.max(rssPeakSlowMib, member.memoryMib('VmRSS') ?? 0);
    await systemClock.sleep(LOOK_MS);
  }
  return {
    rssPeakSlowMib,
    rssLastMib: member.memoryMib('VmRSS') ?? 0,
    pausedShare: Math.round((paused / looks) * 100) / 100,
    rowsWhileSlow: last.position,
    rowsCommittedWhileSlow: last.committed,
  };
}
