// What: the rules that involve more than one setting.
// Why: a combination that cannot work is refused at start, with the fix, and not met at three in the morning.
// Invariant: pure; each problem names the flag and the variable that mend it, and each cause is reported once.

import { resolve } from 'node:path';
import type { TableSource } from '../ports.ts';
import type { TableDeclarations } from './declare-table.ts';
import type { Source } from './raw.ts';
import {
  flagAndEnv,
  isBucket,
  type SettingName,
  settingNames,
  TABLE_NAME,
  TOPIC_NAME,
  type Values,
} from './settings.ts';

export type Sources = Readonly<Record<SettingName, Source>>;

/** What a rule looks at and writes to. */
export interface Review {
  readonly values: Values;
  readonly sources: Sources;
  readonly declarations: TableDeclarations;
  readonly tables: readonly TableSource[];
  /** Settings whose value could not be parsed, which is reported already: they are not missing as well. */
  readonly invalid: ReadonlySet<SettingName>;
  readonly problems: string[];
  readonly notices: string[];
}

export function reviewSettings(review: Review): void {
  reviewKafka(review);
  reviewSasl(review);
  reviewSchemaRegistry(review);
  reviewSymbols(review);
  reviewStorage(review);
  reviewColdTier(review);
  reviewDuckdb(review);
  reviewHttp(review);
}

function isMissing(name: SettingName, { values, invalid }: Review): boolean {
  const value = values[name];
  if (invalid.has(name)) return false;
  return value === null || (typeof value === 'object' && Object.keys(value).length === 0);
}

function reviewKafka(review: Review): void {
  const { values, declarations, problems } = review;
  if (isMissing('brokers', review))
    problems.push(`${flagAndEnv('brokers')} is required, such as --brokers localhost:9092`);
  if (isMissing('group', review))
    problems.push(`${flagAndEnv('group')} is required, such as --group ticks-to-s3`);
  if (isMissing('topics', review) && Object.keys(declarations).length === 0)
    problems.push(
      `${flagAndEnv('topics')} is required, such as --topics trades=ticks,quotes=quotes, or tables in the config file`,
    );
  for (const [table, topic] of Object.entries(values.topics)) {
    if (!TABLE_NAME.test(table))
      problems.push(
        `${flagAndEnv('topics')}: "${table}" is no table name (letters, digits, underscores): write TABLE=${topic}`,
      );
    if (!TOPIC_NAME.test(topic))
      problems.push(`${flagAndEnv('topics')}: "${topic}" for ${table} is no topic name`);
  }
  if (values['heartbeat-interval'] * 3 > values['session-timeout'])
    problems.push(
      `${flagAndEnv('heartbeat-interval')} must be at most a third of ${flagAndEnv('session-timeout')}`,
    );
  for (const name of ['kafka-tls-ca', 'kafka-tls-cert', 'kafka-tls-key'] as const)
    if (values[name] !== null && !values['kafka-tls'])
      problems.push(`${flagAndEnv(name)} requires ${flagAndEnv('kafka-tls')}`);
  requireBoth('kafka-tls-cert', 'kafka-tls-key', review);
}

const saslCredentials = [
  'kafka-sasl-username',
  'kafka-sasl-password',
  'kafka-sasl-token-file',
  'kafka-sasl-token-url',
  'kafka-sasl-token-scope',
] as const;

function reviewSasl(review: Review): void {
  const { values, problems, notices } = review;
  const mechanism = values['kafka-sasl-mechanism'];
  const asked = `--kafka-sasl-mechanism ${mechanism}`;
  let required: readonly SettingName[] = [];
  let optional: readonly SettingName[] = [];
  if (mechanism === 'oauthbearer' && values['kafka-sasl-token-url'] !== null) {
    required = ['kafka-sasl-token-url', 'kafka-sasl-username', 'kafka-sasl-password'];
    optional = ['kafka-sasl-token-scope'];
  } else if (mechanism === 'oauthbearer') {
    if (isMissing('kafka-sasl-token-file', review))
      problems.push(
        `${asked} requires ${flagAndEnv('kafka-sasl-token-file')} or ${flagAndEnv('kafka-sasl-token-url')}`,
      );
    optional = ['kafka-sasl-token-file'];
  } else if (mechanism !== null) required = ['kafka-sasl-username', 'kafka-sasl-password'];
  for (const name of required)
    if (isMissing(name, review)) problems.push(`${asked} requires ${howToSet(name)}`);
  for (const name of saslCredentials)
    if (values[name] !== null && !required.includes(name) && !optional.includes(name))
      problems.push(
        mechanism === null
          ? `${howToSet(name)} requires ${flagAndEnv('kafka-sasl-mechanism')}`
          : `${howToSet(name)} does not go with ${asked}${mechanism === 'oauthbearer' ? ' and what else is set' : ''}`,
      );
  if (mechanism === 'plain' && !values['kafka-tls'])
    notices.push('--kafka-sasl-mechanism plain without --kafka-tls sends the password in clear text');
}

function reviewSchemaRegistry(review: Review): void {
  const { values, tables, problems } = review;
  requireBoth('schema-registry-user', 'schema-registry-password', review);
  if (values['schema-registry-user'] !== null && isMissing('schema-registry', review))
    problems.push(`${flagAndEnv('schema-registry-user')} requires ${flagAndEnv('schema-registry')}`);
  const avro = tables.filter(({ format }) => format.kind === 'avro').map(({ table }) => table.name);
  if (avro.length > 0 && isMissing('schema-registry', review))
    problems.push(`the format avro (${avro.join(', ')}) requires ${flagAndEnv('schema-registry')}`);
}

function reviewSymbols(review: Review): void {
  const { values, sources, problems } = review;
  const source = values['symbol-ids'];
  if (source === 'file' && isMissing('symbols-file', review))
    problems.push(`--symbol-ids file requires ${flagAndEnv('symbols-file')}`);
  if (source !== 'file' && values['symbols-file'] !== null)
    problems.push(`${flagAndEnv('symbols-file')} requires --symbol-ids file, not ${source}`);
  if (source !== 'topic' && sources['symbols-topic'] !== 'derived' && values['symbols-topic'] !== null)
    problems.push(`${flagAndEnv('symbols-topic')} requires --symbol-ids topic, not ${source}`);
  for (const setting of ['symbols-topic', 'catalogue-topic'] as const)
    if (review.tables.some(({ topic }) => topic === values[setting]))
      problems.push(`${flagAndEnv(setting)} "${values[setting]}" is also a topic of ticks`);
  if (values['symbols-topic'] !== null && values['symbols-topic'] === values['catalogue-topic'])
    problems.push(`${flagAndEnv('catalogue-topic')} is also the symbol topic: each needs its own`);
}

function reviewStorage(review: Review): void {
  const { values, sources, problems, notices } = review;
  const mode = values['storage-mode'];
  const cold = values['cold-tier-enabled'];
  const format = values['cold-tier-format'];
  const commitAfter = values['commit-after'];
  const noDirectory = isMissing('hdb-dir', review);
  if (mode === 'pure') {
    if (commitAfter !== 'auto')
      problems.push(
        `--commit-after ${commitAfter} requires --storage-mode tiered or disk: pure keeps nothing on disk or S3`,
      );
    if (!noDirectory)
      problems.push(
        '--storage-mode pure writes no files: leave --hdb-dir out, or use --storage-mode tiered or disk',
      );
    return;
  }
  // What needs local files: they need a folder, and with the cold tier a format that writes them.
  const reason =
    mode === 'disk'
      ? '--storage-mode disk'
      : cold && format !== 'parquet'
        ? `--cold-tier-format ${format}`
        : commitAfter === 'local' && sources['commit-after'] !== 'derived'
          ? '--commit-after local'
          : null;
  if (reason !== null && noDirectory) problems.push(`${reason} requires ${flagAndEnv('hdb-dir')}`);
  else if (reason !== null && cold && format === 'parquet')
    problems.push(
      `${reason} requires ${flagAndEnv('cold-tier-format')} both: parquet alone writes no local files`,
    );
  else if (mode === 'tiered' && noDirectory && !cold)
    problems.push(
      `--storage-mode tiered requires ${flagAndEnv('hdb-dir')}, or ${flagAndEnv('cold-tier-enabled')} with a bucket`,
    );
  else if (!noDirectory && cold && format === 'parquet')
    notices.push('--hdb-dir gets no .bin files with --cold-tier-format parquet; use both to have them');
  if (commitAfter === 's3' && !cold)
    problems.push(`--commit-after s3 requires ${flagAndEnv('cold-tier-enabled')}`);
  else if (commitAfter === 's3' && format === 'binary')
    problems.push('--commit-after s3 requires --cold-tier-format parquet or both: binary uploads nothing');
}

/** Of the cold tier's settings, those that hold for the buckets of --duckdb-roots too. */
const howToReach: readonly SettingName[] = [
  'cold-tier-s3-region',
  'cold-tier-s3-endpoint-url',
  'cold-tier-s3-use-path-style',
];

function reviewColdTier(review: Review): void {
  const { values, sources, problems, notices } = review;
  if (values['cold-tier-enabled']) {
    if (isMissing('cold-tier-s3-bucket', review))
      problems.push(`--cold-tier-enabled requires ${flagAndEnv('cold-tier-s3-bucket')}`);
    return;
  }
  const reach = values['duckdb-roots'].some(isBucket) ? howToReach : [];
  const idle = settingNames.filter(
    (name) => name.startsWith('cold-tier-') && sources[name] === 'flag' && !reach.includes(name),
  );
  if (idle.length > 0)
    notices.push(`no effect without ${flagAndEnv('cold-tier-enabled')}: --${idle.join(', --')}`);
}

/** Below it DuckDB cannot hold one column's pages of an ordinary file. */
const DUCKDB_MB_PER_THREAD_MIN = 16;

function reviewDuckdb({ values, sources, problems, notices }: Review): void {
  if (!values.duckdb) {
    if (sources['duckdb-roots'] === 'flag')
      notices.push(`${flagAndEnv('duckdb-roots')} has no effect with --no-duckdb`);
    return;
  }
  const threads = values['query-threads'];
  const least = threads * DUCKDB_MB_PER_THREAD_MIN;
  if (values['duckdb-memory-limit-mb'] < least)
    problems.push(
      `${flagAndEnv('duckdb-memory-limit-mb')} must be at least ${least}, ${DUCKDB_MB_PER_THREAD_MIN} for each of ` +
        `--query-threads ${threads}, or --no-duckdb`,
    );
  if (values['duckdb-roots'].some((root) => !isBucket(root) && resolve(root) === '/'))
    notices.push('--duckdb-roots / lets every reader read every Parquet file of this machine');
}

function reviewHttp(review: Review): void {
  const { values, problems, notices } = review;
  requireBoth('tls-cert', 'tls-key', review);
  const noKeys = isMissing('api-keys-file', review);
  const said = values['no-auth'];
  if (!noKeys && said > 0)
    problems.push(`${flagAndEnv('no-auth')} contradicts ${flagAndEnv('api-keys-file')}: leave one out`);
  if (isLoopback(values.bind)) {
    if (noKeys && said === 0)
      notices.push(
        'HTTP authentication is off: requests on loopback need no key (--api-keys-file turns it on, --no-auth confirms it)',
      );
    return;
  }
  const exposed = `--bind ${values.bind} is reachable from the network, which requires`;
  if (noKeys && said < 2)
    problems.push(
      `${exposed} ${flagAndEnv('api-keys-file')} (or --no-auth twice, ZEPTO_NO_AUTH=twice, to let everybody in)`,
    );
  if (values['tls-cert'] === null && values['tls-key'] === null && !values['allow-plaintext-http'])
    problems.push(
      `${exposed} ${flagAndEnv('tls-cert')} and ${flagAndEnv('tls-key')}, ` +
        `or ${flagAndEnv('allow-plaintext-http')} behind a proxy that adds TLS`,
    );
  if (noKeys && said === 2) notices.push('HTTP authentication is off for the whole network');
}

function isLoopback(address: string): boolean {
  return (
    address === 'localhost' ||
    address === '::1' ||
    address === '[::1]' ||
    /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(address)
  );
}

function requireBoth(first: SettingName, second: SettingName, review: Review): void {
  for (const [given, other] of [
    [first, second],
    [second, first],
  ] as const)
    if (review.values[given] !== null && isMissing(other, review))
      review.problems.push(`${howToSet(given)} requires ${howToSet(other)}`);
}

/** The flag of a secret is the one that names its file. */
function howToSet(name: SettingName): string {
  return name.endsWith('-password') ? flagAndEnv(name).replace(' (', '-file (') : flagAndEnv(name);
}
