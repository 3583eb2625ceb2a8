// What: `zepto verify`: the verifier over a real bucket or folder, and Kafka's commit records if brokers are given.
// Why: a user checks our promise on their own data, with read access and nothing else.
// Invariant: writes nothing anywhere; standard output is the report, progress goes to standard error.

import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { createFolderStore } from '../../connectors/fs/store.ts';
import { openCluster } from '../../connectors/kafka/cluster.ts';
import { refusal } from '../../connectors/kafka/errors.ts';
import { groupOffsets } from '../../connectors/kafka/requests.ts';
import { createLogger } from '../../connectors/log/logger.ts';
import { s3Defaults } from '../../connectors/s3/settings.ts';
import { createS3Store } from '../../connectors/s3/store.ts';
import { loadConfig } from '../config/load.ts';
import { systemClock } from '../kernel/clock.ts';
import { ZeptoError } from '../kernel/errors.ts';
import type { Metrics, ObjectStore } from '../ports.ts';
import { verifyText } from '../verify/text.ts';
import { type VerifyOptions, verify } from '../verify/verify.ts';

const HELP = `zepto verify – prove from the bucket or the disk that no record is missing or doubled

  zepto verify --s3-bucket my-ticks --s3-region eu-central-1
  zepto verify --s3-bucket ticks --s3-endpoint-url http://127.0.0.1:9000 --s3-use-path-style --deep
  zepto verify --hdb-dir ./hdb --json

  --s3-bucket NAME            Bucket to check; needs ListBucket and GetObject.
  --prefix PREFIX             As --cold-tier-s3-prefix of serve. (default: hdb)
  --s3-region NAME            (default: us-east-1)
  --s3-endpoint-url URL       S3-compatible server other than AWS.
  --s3-use-path-style         Address the bucket in the path.
  --hdb-dir DIR               Check local .bin folders instead of a bucket.
  --group GROUP               Only plans of this consumer group.
  --deep                      Read every file: checksums, rows, and the plan each says it belongs to.
  --brokers HOST:PORT,…       Compare with what the group has committed (TLS and SASL from ZEPTO_… variables).
  --json                      The report as JSON.
  -h, --help                  This text.

Exit status: 0 sound, 1 not sound or not readable, 2 wrong usage.
`;

const options = {
  's3-bucket': { type: 'string' },
  prefix: { type: 'string', default: 'hdb' },
  's3-region': { type: 'string', default: 'us-east-1' },
  's3-endpoint-url': { type: 'string' },
  's3-use-path-style': { type: 'boolean', default: false },
  'hdb-dir': { type: 'string' },
  group: { type: 'string' },
  deep: { type: 'boolean', default: false },
  brokers: { type: 'string' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

type Flags = ReturnType<typeof parseArgs<{ options: typeof options }>>['values'];

const unmeasured: Metrics = { count() {}, gauge() {}, observe() {} };
const logger = createLogger({ level: 'warn', format: 'pretty', write: (line) => process.stderr.write(line) });

/** @throws ZeptoError CONFIG_INVALID for a wrong flag, or why the store or Kafka cannot be read. */
export async function runVerify(args: readonly string[]): Promise<number> {
  const flags = readFlags(args);
  if (flags.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const store = openStore(flags);
  const kafka = flags.brokers === undefined ? null : openKafka(flags.brokers, flags.group);
  try {
    const report = await verify({
      store,
      medium: flags['hdb-dir'] === undefined ? 'parquet' : 'bin',
      prefix: flags['hdb-dir'] === undefined ? flags.prefix.replace(/^\/+|\/+$/g, '') : '',
      group: flags.group ?? null,
      deep: flags.deep,
      committed: kafka?.committed ?? null,
      progress: (line) => process.stderr.write(`${line}\n`),
    });
    process.stdout.write(flags.json ? `${JSON.stringify(report)}\n` : verifyText(report));
    return report.isSound ? 0 : 1;
  } finally {
    await store.close();
    await kafka?.close();
  }
}

function readFlags(args: readonly string[]): Flags {
  let flags: Flags;
  try {
    flags = parseArgs({ args: [...args], options }).values;
  } catch (cause) {
    throw usage(cause instanceof Error ? cause.message : String(cause));
  }
  if (flags.help) return flags;
  if ((flags['s3-bucket'] === undefined) === (flags['hdb-dir'] === undefined))
    throw usage('say what to verify: --s3-bucket NAME, or --hdb-dir DIR');
  return flags;
}

const usage = (problem: string): ZeptoError =>
  new ZeptoError('CONFIG_INVALID', 'stop', `${problem}. See zepto verify --help`);

function openStore(flags: Flags): ObjectStore {
  const around = { clock: systemClock, metrics: unmeasured, log: logger };
  if (flags['hdb-dir'] !== undefined)
    return createFolderStore(
      { baseDirectory: resolve(flags['hdb-dir']), sync: false, patienceMs: 0 },
      around,
    );
  return createS3Store(
    {
      ...s3Defaults,
      bucket: flags['s3-bucket']!,
      region: flags['s3-region'],
      endpointUrl: flags['s3-endpoint-url'] ?? null,
      usePathStyle: flags['s3-use-path-style'],
      patienceMs: 30_000,
    },
    around,
  );
}

/** The settings of the connection are those of serve. */
function openKafka(
  brokers: string,
  group = 'verify',
): { committed: NonNullable<VerifyOptions['committed']>; close(): Promise<void> } {
  const argv = ['--brokers', brokers, '--group', group, '--topics', 'trades=trades'];
  const { kafka } = loadConfig({ argv, env: process.env }).config;
  const cluster = openCluster(kafka, logger, systemClock);
  return {
    committed: async (of, partition) => {
      const doing = `read the committed offset of ${partition.topic}-${partition.partition} in group ${of}`;
      const target = { kind: 'coordinator', of: 'group', key: of } as const;
      const answer = await cluster.ask(target, groupOffsets(of, partition), ({ code }) => code, doing);
      if (answer.code !== 0) throw refusal(answer.code, doing, { ...partition });
      const found = answer.offsets[0];
      return found === undefined || found.offset < 0
        ? null
        : { offset: found.offset, metadata: found.metadata };
    },
    close: () => cluster.close(),
  };
}
