// What: every setting of the system, once: name, kind, default, bounds and help text.
// Why: flag, environment variable, file key, help, documentation and JSON schema are all read off this table.
// Invariant: the name is the flag; `ZEPTO_` + the name in capitals with underscores is the variable; the file's key is the name.

import {
  bytes,
  choice,
  choicePerTable,
  duration,
  integer,
  list,
  pairs,
  path,
  type Setting,
  saidTwice,
  secret,
  text,
  textOrEmpty,
  toggle,
} from './setting.ts';

const KIB = 2 ** 10;
const MIB = 2 ** 20;
const GIB = 2 ** 30;
const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const UNLIMITED = Number.MAX_SAFE_INTEGER;

/** Kafka's rule for topic names. */
export const TOPIC_NAME = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}$/;
/** Unquoted SQL identifiers; a leading `__` is reserved. */
export const TABLE_NAME = /^(?!__)[A-Za-z_][A-Za-z0-9_]{0,127}$/;
/** A folder, or a part of a bucket; a wildcard only at its end. Other schemes are not reached. */
const DUCKDB_ROOT =
  /^(s3:\/\/[A-Za-z0-9][A-Za-z0-9._-]+(\/[^*?[\]]*\*?)?|(?![A-Za-z][A-Za-z0-9+.-]*:\/\/).+)$/;

export const isBucket = (root: string): boolean => root.startsWith('s3://');

export const settings = {
  brokers: list({
    group: 'Kafka',
    placeholder: 'HOST:PORT,…',
    help: 'Brokers to ask first; the rest of the cluster is found from them. Required.',
    item: /^[A-Za-z0-9._-]+:\d{1,5}$/,
    expects: 'a list of HOST:PORT, such as localhost:9092',
  }),
  group: text({
    group: 'Kafka',
    placeholder: 'NAME',
    help: 'Consumer group. Members with the same group share the partitions and one bucket prefix; two systems need two groups. Required.',
    default: null,
    pattern: /^[A-Za-z0-9._-]{1,200}$/,
    expects: 'letters, digits, dot, dash and underscore (at most 200)',
  }),
  topics: pairs({
    group: 'Kafka',
    placeholder: 'TABLE=TOPIC,…',
    help: 'Tables and the topics that fill them. The tables trades and quotes need no declaration, others are declared in the config file. Required, unless the file declares tables.',
    item: TOPIC_NAME,
    expects: 'TABLE=TOPIC pairs, each table once, such as trades=ticks,quotes=quotes',
  }),
  format: choicePerTable({
    group: 'Kafka',
    help: 'Format of the records. `binary` is the 28-byte record (symbol u32, price i64, volume i64, timestamp i64).',
    choices: ['json', 'avro', 'binary', 'arrow'],
    default: 'json',
  }),
  'time-unit': choicePerTable({
    group: 'Kafka',
    help: 'Unit of integer times in the records.',
    choices: ['s', 'ms', 'us', 'ns'],
    default: 'ns',
  }),
  'scaled-numbers': choicePerTable({
    group: 'Kafka',
    help: 'Whether a number in a column with decimals is the value (150.25) or already the scaled integer (1502500).',
    choices: ['value', 'scaled'],
    default: 'value',
  }),
  'auto-offset-reset': choice({
    group: 'Kafka',
    help: 'Where a partition starts for which the group has committed nothing yet.',
    choices: ['earliest', 'latest'],
    default: 'earliest',
  }),
  'on-data-loss': choice({
    group: 'Kafka',
    help: 'When records the group had not finished are gone from the topic (retention, topic made anew): stop with an error, or go on at the earliest record and count what is missing.',
    choices: ['stop', 'earliest'],
    default: 'stop',
  }),
  'dead-letter-suffix': text({
    group: 'Kafka',
    placeholder: 'TEXT',
    help: 'Records that cannot be decoded go to the topic of this name: {topic}{suffix}.',
    default: '.dlq',
    pattern: /^[A-Za-z0-9._-]{1,100}$/,
    expects: 'letters, digits, dot, dash and underscore',
  }),
  'client-id': text({
    group: 'Kafka',
    placeholder: 'NAME',
    help: 'Name by which brokers log this process.',
    default: 'zepto',
  }),
  'session-timeout': duration({
    group: 'Kafka',
    help: 'A member silent for this long loses its partitions.',
    default: 30 * SECOND_MS,
    min: SECOND_MS,
  }),
  'heartbeat-interval': duration({
    group: 'Kafka',
    help: 'At most a third of the session timeout.',
    default: 3 * SECOND_MS,
    min: 100,
  }),
  'rebalance-timeout': duration({
    group: 'Kafka',
    help: 'How long a rebalance waits for members to take part again.',
    default: 60 * SECOND_MS,
    min: SECOND_MS,
  }),
  'fetch-decode': choice({
    group: 'Kafka',
    help: 'direct reads record batches as positions in a buffer; kafkajs goes through an object per message (slower, for comparison and as a way out).',
    choices: ['direct', 'kafkajs'],
    default: 'direct',
  }),
  'fetch-max-wait': duration({
    group: 'Kafka',
    help: 'How long a broker may hold a fetch back while there is nothing to send.',
    default: 200,
    min: 1,
  }),
  'fetch-max-bytes': bytes({
    group: 'Kafka',
    help: 'Size of one fetch response.',
    default: 8 * MIB,
    min: 64 * KIB,
  }),
  'fetch-partition-max-bytes': bytes({
    group: 'Kafka',
    help: "One partition's share of a fetch response.",
    default: 2 * MIB,
    min: 16 * KIB,
  }),
  'catalogue-topic': text({
    group: 'Kafka',
    placeholder: 'TOPIC',
    help: 'Single-partition topic of what CREATE, ALTER and DROP have declared for the whole group; made when it is missing.',
    default: null,
    defaultText: '{group}-catalogue',
    pattern: TOPIC_NAME,
    expects: 'a topic name',
  }),

  'kafka-tls': toggle({
    group: 'Kafka security',
    help: 'Encrypt connections to the brokers.',
    default: false,
  }),
  'kafka-tls-ca': path({
    group: 'Kafka security',
    help: "Certificate authorities of the brokers, PEM; without it, the system's.",
  }),
  'kafka-tls-cert': path({ group: 'Kafka security', help: 'Client certificate, PEM.' }),
  'kafka-tls-key': path({ group: 'Kafka security', help: 'Key of the client certificate, PEM.' }),
  'kafka-sasl-mechanism': choice({
    group: 'Kafka security',
    help: 'How to authenticate to the brokers; without it, not at all.',
    choices: ['plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer'],
    default: null,
  }),
  'kafka-sasl-username': text({
    group: 'Kafka security',
    placeholder: 'NAME',
    help: 'User for plain and scram; client id for oauthbearer with a token server.',
    default: null,
  }),
  'kafka-sasl-password': secret({
    group: 'Kafka security',
    help: 'Password for plain and scram; client secret for oauthbearer with a token server.',
  }),
  'kafka-sasl-token-file': path({
    group: 'Kafka security',
    help: 'oauthbearer: file with the token, read again at each authentication.',
  }),
  'kafka-sasl-token-url': text({
    group: 'Kafka security',
    placeholder: 'URL',
    help: 'oauthbearer: token server to ask instead (client-credentials grant).',
    default: null,
    pattern: /^https?:\/\/[^\s@]+$/,
    expects: 'an http:// or https:// address without credentials in it',
  }),
  'kafka-sasl-token-scope': text({
    group: 'Kafka security',
    placeholder: 'TEXT',
    help: 'Scope to ask the token server for.',
    default: null,
  }),

  'schema-registry': text({
    group: 'Schema registry',
    placeholder: 'URL',
    help: 'Confluent-compatible schema registry; tables in Avro need it.',
    default: null,
    pattern: /^https?:\/\/[^\s@]+$/,
    expects: 'an http:// or https:// address without user and password in it',
  }),
  'schema-registry-user': text({
    group: 'Schema registry',
    placeholder: 'NAME',
    help: 'User for basic authentication.',
    default: null,
  }),
  'schema-registry-password': secret({
    group: 'Schema registry',
    help: 'Password for basic authentication.',
  }),

  'symbol-ids': choice({
    group: 'Symbols',
    help: "Where a symbol's id comes from: the group's symbol topic, a static file, or the records themselves (numeric symbols).",
    choices: ['topic', 'file', 'message'],
    default: 'topic',
    defaultText: 'topic, or file when --symbols-file is given',
  }),
  'symbols-topic': text({
    group: 'Symbols',
    placeholder: 'TOPIC',
    help: "Single-partition topic that fixes the symbols' ids for the whole group; made when it is missing.",
    default: null,
    defaultText: '{group}-symbols',
    pattern: TOPIC_NAME,
    expects: 'a topic name',
  }),
  'symbols-file': path({
    group: 'Symbols',
    help: 'Names, one per line; the line number, from 0, is the id.',
  }),
  'symbols-max': integer({
    group: 'Symbols',
    help: 'Bound on distinct symbols; records with further ones are dead-lettered.',
    default: 1_000_000,
    min: 1,
    max: 2 ** 31 - 1,
  }),

  'storage-mode': choice({
    group: 'Storage',
    help: 'pure: memory only. tiered: memory, then local files and S3. disk: sealed rows leave memory at once.',
    choices: ['pure', 'tiered', 'disk'],
    default: 'pure',
    defaultText: 'pure, or tiered with --hdb-dir or --cold-tier-enabled',
  }),
  'hdb-dir': path({
    group: 'Storage',
    placeholder: 'DIR',
    help: 'Base folder of local .bin files; on a persistent volume when offsets are committed after local files.',
  }),
  'hdb-compression': choice({
    group: 'Storage',
    help: 'Compression of .bin columns.',
    choices: ['none', 'lz4'],
    default: 'lz4',
  }),
  'commit-after': choice({
    group: 'Storage',
    help: 'What must stand before Kafka offsets move: fsynced .bin files, or acknowledged S3 objects. auto: s3 with the cold tier, else local.',
    choices: ['auto', 'local', 's3'],
    default: 'auto',
  }),

  'cold-tier-enabled': toggle({
    group: 'Cold tier',
    help: 'Write sealed hours to S3. Credentials come from the AWS default chain (environment, profile, web identity, instance role).',
    default: false,
  }),
  'cold-tier-format': choice({
    group: 'Cold tier',
    help: 'What a seal writes: .bin files below --hdb-dir, Parquet to S3, or both.',
    choices: ['binary', 'parquet', 'both'],
    default: 'parquet',
  }),
  'cold-tier-layout': choice({
    group: 'Cold tier',
    help: 'Object keys: hive is year=/month=/day=/symbol=, flat is {symbol}/{hour}.parquet.',
    choices: ['hive', 'flat'],
    default: 'hive',
  }),
  'cold-tier-age-hours': integer({
    group: 'Cold tier',
    help: 'Age at which an hour is served from S3 alone.',
    default: 24,
    min: 1,
    max: 1_000_000,
  }),
  'cold-tier-delete-local-after-s3': toggle({
    group: 'Cold tier',
    help: 'Delete the local copy of such an hour once its upload is acknowledged.',
    default: true,
  }),
  'cold-tier-s3-bucket': text({
    group: 'Cold tier',
    placeholder: 'NAME',
    help: 'Bucket. Required with --cold-tier-enabled.',
    default: null,
    pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$/,
    expects: 'a bucket name',
  }),
  'cold-tier-s3-region': text({
    group: 'Cold tier',
    placeholder: 'NAME',
    help: 'Region of the bucket.',
    default: 'us-east-1',
    pattern: /^[A-Za-z0-9-]+$/,
    expects: 'a region name',
  }),
  'cold-tier-s3-prefix': textOrEmpty({
    group: 'Cold tier',
    placeholder: 'PREFIX',
    help: 'Keys of the table trades start with it, those of other tables with {prefix}-{table}.',
    default: 'hdb',
  }),
  'cold-tier-s3-endpoint-url': text({
    group: 'Cold tier',
    placeholder: 'URL',
    help: 'S3-compatible server other than AWS, for example MinIO.',
    default: null,
    pattern: /^https?:\/\/[^\s@]+$/,
    expects: 'an http:// or https:// address without credentials in it',
    aliases: ['cold-tier-s3-endpoint'],
  }),
  'cold-tier-s3-use-path-style': toggle({
    group: 'Cold tier',
    help: 'Address the bucket in the path and not in the host name, as MinIO and others need.',
    default: false,
  }),
  'cold-tier-parquet-codec': choice({
    group: 'Cold tier',
    help: 'Compression of Parquet pages. Trino and Athena do not read LZ4_RAW.',
    choices: ['SNAPPY', 'ZSTD', 'LZ4_RAW', 'NONE'],
    default: 'SNAPPY',
  }),
  'cold-tier-timestamp-type': choice({
    group: 'Cold tier',
    help: 'Type of the timestamp column in Parquet: timestamp in ns or us, or plain int64 nanoseconds, which Spark without settings and DuckDB before 2.0 need to be exact.',
    choices: ['ns', 'us', 'int64'],
    default: 'ns',
  }),
  'cold-tier-flat-epoch': choice({
    group: 'Cold tier',
    help: 'Unit of {hour} in flat keys; ns continues buckets written with nanosecond keys.',
    choices: ['s', 'ns'],
    default: 's',
  }),
  'cold-tier-row-group-rows': integer({
    group: 'Cold tier',
    help: 'Rows in one Parquet row group at most.',
    default: 1_048_576,
    min: 1024,
    max: 134_217_728,
  }),
  'cold-tier-upload-concurrency': integer({
    group: 'Cold tier',
    help: 'Uploads under way at the same time.',
    default: 8,
    min: 1,
    max: 256,
  }),

  'cold-cache-bytes': bytes({
    group: 'Cold tier',
    help: 'Local disk for objects that queries have read.',
    default: 1024 * MIB,
    min: 0,
  }),
  'cold-cache-dir': path({
    group: 'Cold tier',
    placeholder: 'DIR',
    help: 'Where; it is emptied at the start. Default: a folder for temporary files.',
  }),

  'seal-interval': duration({
    group: 'Sealing',
    help: 'Seal everything this often by wall clock; 0 = only for the reasons below.',
    default: 0,
  }),
  'allowed-lateness': duration({
    group: 'Sealing',
    help: 'An hour is sealed when event time is this far past its end; later rows go into a further file.',
    default: MINUTE_MS,
  }),
  'seal-idle': duration({
    group: 'Sealing',
    help: 'Seal a partition that received nothing for this long; 0 = off.',
    default: 10 * MINUTE_MS,
  }),
  'seal-bytes': bytes({
    group: 'Sealing',
    help: 'Seal a Kafka partition when its unsealed rows reach this; 0 = off.',
    default: 0,
    min: 0,
  }),
  'seal-rows': integer({
    group: 'Sealing',
    help: 'The same in rows; 0 = off.',
    default: 0,
    min: 0,
    max: UNLIMITED,
  }),
  'hold-back-max-records': integer({
    group: 'Sealing',
    help: 'Offsets may stay this far behind the position (one tick dated in the future would hold them for ever); beyond, everything is sealed. 0 = off.',
    default: 100_000_000,
    min: 0,
    max: UNLIMITED,
  }),
  'hold-back-max-bytes': bytes({
    group: 'Sealing',
    help: 'The same in bytes of the log; 0 = off.',
    default: 8 * GIB,
    min: 0,
  }),
  'hold-back-max-time': duration({
    group: 'Sealing',
    help: "The same in time. Compared with the topic's retention at start.",
    default: 3 * HOUR_MS,
    min: SECOND_MS,
  }),

  'memory-budget': bytes({
    group: 'Memory and threads',
    help: 'Column memory of the process. Near it rows are sealed early, at it fetching pauses.',
    default: 256 * MIB,
    min: 16 * MIB,
  }),
  'hot-window': duration({
    group: 'Memory and threads',
    help: 'How long rows stay in memory after their hour; then mode tiered serves them from local files or S3 (sooner when memory is needed), and mode pure drops them.',
    default: HOUR_MS,
    min: SECOND_MS,
  }),
  shards: integer({
    group: 'Memory and threads',
    help: 'Consumer-group members in this process, each on its own thread.',
    default: 1,
    min: 1,
    max: 256,
  }),
  'encode-threads': integer({
    group: 'Memory and threads',
    help: 'Threads that compress and encode sealed rows.',
    default: 1,
    min: 1,
    max: 64,
  }),

  port: integer({
    group: 'HTTP',
    help: 'Port of the HTTP server; 0 picks a free one.',
    default: 8123,
    min: 0,
    max: 65_535,
  }),
  bind: text({
    group: 'HTTP',
    placeholder: 'ADDRESS',
    help: 'Address to listen on. Others than loopback need API keys, and TLS or --allow-plaintext-http.',
    default: '127.0.0.1',
    pattern: /^([A-Za-z0-9._:%-]+|\[[0-9A-Fa-f:.%]+\])$/,
    expects: 'a host name or IP address',
  }),
  'peer-address': text({
    group: 'HTTP',
    placeholder: 'URL',
    help: 'Where other members of the group reach this one, such as http://10.0.0.7:8123. Set on all members, each answers queries of the rows of all; without it, of its own partitions.',
    default: null,
    defaultText: 'none',
    pattern: /^https?:\/\/[^\s@/]+\/?$/,
    expects: 'http:// or https://, a host and a port',
  }),
  'api-keys-file': path({
    group: 'HTTP',
    help: 'API keys with their roles (zeptodb-keys-v1). Without it, requests on loopback need no key.',
  }),
  'no-auth': saidTwice({
    group: 'HTTP',
    help: 'Requests need no key. Beyond loopback it counts only when said twice.',
  }),
  'tls-cert': path({ group: 'HTTP', help: 'Certificate of the server, PEM.' }),
  'tls-key': path({ group: 'HTTP', help: 'Its key, PEM.' }),
  'allow-plaintext-http': toggle({
    group: 'HTTP',
    help: 'Listen beyond loopback without TLS, behind a proxy that adds it.',
    default: false,
  }),
  'max-request-bytes': bytes({
    group: 'HTTP',
    help: 'Larger request bodies are answered with 413.',
    default: 64 * MIB,
    min: KIB,
  }),

  'query-timeout-ms': integer({
    group: 'Queries',
    help: 'Time limit of a query in milliseconds; 0 = none.',
    default: 30_000,
    min: 0,
    max: 2 ** 31 - 1,
  }),
  'query-threads': integer({
    group: 'Queries',
    help: 'Threads that answer SQL; a long query occupies one.',
    default: 2,
    min: 1,
    max: 64,
  }),
  'query-memory': bytes({
    group: 'Queries',
    help: 'What one query may hold: hash tables, sorts, joins, windows.',
    default: 256 * MIB,
    min: MIB,
  }),
  'tiering-interval': duration({
    group: 'Storage',
    help: 'How often rows are moved from tier to tier by age.',
    default: 60_000,
  }),
  'view-partials': toggle({
    group: 'Storage',
    help: 'Writes what views have of each sealed segment beside it, for readers of the files: one more file for each segment and view.',
    default: true,
  }),
  'view-memory': bytes({
    group: 'Queries',
    help: 'What materialized views hold in memory, all query threads together; beyond it, parts that were not read for longest are computed anew when they are.',
    default: 256 * MIB,
    min: MIB,
  }),
  'query-max-rows': integer({
    group: 'Queries',
    help: 'Rows of one result.',
    default: 100_000_000,
    min: 1,
    max: Number.MAX_SAFE_INTEGER,
  }),
  'slow-query-ms': integer({
    group: 'Queries',
    help: 'Queries that take at least this long are logged with their text; 0 = none.',
    default: 100,
    min: 0,
    max: 2 ** 31 - 1,
  }),
  duckdb: toggle({
    group: 'Queries',
    help: "duckdb('path') in SQL: Parquet files that others wrote, read by DuckDB. It is loaded when it is first used.",
    default: true,
  }),
  'duckdb-memory-limit-mb': integer({
    group: 'Queries',
    help: "DuckDB's memory, in MB, all query threads together.",
    default: 256,
    min: 16,
    max: 1_048_576,
  }),
  'duckdb-roots': list({
    group: 'Queries',
    placeholder: 'PLACE,…',
    help: "Where the paths of duckdb('path') may lead: folders, s3://bucket, s3://bucket/folder, or s3://bucket/start* for all keys that begin so. Whoever may read may read all of it. Buckets are reached as the cold tier's is (region, endpoint, path style).",
    defaultText: "--hdb-dir and the cold tier's prefixes",
    item: DUCKDB_ROOT,
    expects: 'a list of folders and s3://bucket/prefix, such as /data/research,s3://ticks/hdb',
  }),

  'log-level': choice({
    group: 'Logging',
    help: 'Least severe messages to log.',
    choices: ['debug', 'info', 'warn', 'error'],
    default: 'info',
  }),
  'log-format': choice({
    group: 'Logging',
    help: 'json, or pretty for people.',
    choices: ['json', 'pretty'],
    default: 'json',
  }),
};

export type Settings = typeof settings;
export type SettingName = keyof Settings;
export type ValueOf<K extends SettingName> = Settings[K] extends Setting<infer T> ? T : never;
export type Values = { readonly [K in SettingName]: ValueOf<K> };

export const settingNames = Object.keys(settings) as SettingName[];

/** The table with the value types forgotten, for code that treats all settings alike. */
export const settingByName: Readonly<Record<string, Setting<unknown>>> = settings as unknown as Record<
  string,
  Setting<unknown>
>;

export const envOf = (name: string): string => `ZEPTO_${name.replaceAll('-', '_').toUpperCase()}`;

/** `--port (or ZEPTO_PORT)`, as every message names a setting. */
export const flagAndEnv = (name: string): string => `--${name} (or ${envOf(name)})`;
