// What: parsed settings → Config: what follows from other settings is filled in, the rest is arranged by area.
// Why: the flat names are for people, the nested type is for the code; this is the only place that knows both.
// Invariant: pure; a Config is built only when no rule (rules.ts) found a problem.

import { resolve } from 'node:path';
import type {
  ColdTierConfig,
  Config,
  DuckdbConfig,
  HttpConfig,
  KafkaConfig,
  SaslConfig,
  SchemaRegistryConfig,
} from './config.ts';
import { type TableDeclarations, tableSources } from './declare-table.ts';
import type { Source } from './raw.ts';
import { reviewSettings, type Sources } from './rules.ts';
import { isBucket, type SettingName, type Values } from './settings.ts';

export interface Assembled {
  /** Null when there are problems. */
  readonly config: Config | null;
  readonly values: Values;
  readonly sources: Record<SettingName, Source>;
  readonly problems: readonly string[];
  readonly notices: readonly string[];
}

/** @param invalid settings whose value could not be parsed: they hold their default here. */
export function assembleConfig(
  given: Values,
  givenSources: Sources,
  invalid: ReadonlySet<SettingName>,
  declarations: TableDeclarations,
): Assembled {
  const notices: string[] = [];
  const { values, sources } = derive(given, givenSources, notices);
  const { sources: tables, problems } = tableSources(values, declarations);
  reviewSettings({ values, sources, declarations, tables, invalid, problems, notices });
  const config = problems.length > 0 || invalid.size > 0 ? null : build(values, tables);
  return { config, values, sources, problems, notices };
}

/** Fills in what follows from other settings. */
function derive(
  given: Values,
  givenSources: Sources,
  notices: string[],
): { values: Values; sources: Record<SettingName, Source> } {
  const values: { -readonly [K in SettingName]: Values[K] } = { ...given };
  const sources: Record<SettingName, Source> = { ...givenSources };
  const isDefault = (name: SettingName): boolean => sources[name] === 'default';
  if (values['storage-mode'] === 'pure' && values['cold-tier-enabled']) {
    if (!isDefault('storage-mode'))
      notices.push('--cold-tier-enabled promotes --storage-mode from pure to tiered');
    values['storage-mode'] = 'tiered';
    sources['storage-mode'] = 'derived';
  } else if (isDefault('storage-mode') && values['hdb-dir'] !== null) {
    values['storage-mode'] = 'tiered';
    sources['storage-mode'] = 'derived';
  }
  if (values['commit-after'] === 'auto' && values['storage-mode'] !== 'pure') {
    const uploads = values['cold-tier-enabled'] && values['cold-tier-format'] !== 'binary';
    values['commit-after'] = uploads ? 's3' : 'local';
    sources['commit-after'] = 'derived';
  }
  if (values['symbols-file'] !== null && isDefault('symbol-ids')) {
    values['symbol-ids'] = 'file';
    sources['symbol-ids'] = 'derived';
  }
  if (values['catalogue-topic'] === null && values.group !== null) {
    values['catalogue-topic'] = `${values.group}-catalogue`;
    sources['catalogue-topic'] = 'derived';
  }
  if (values['symbol-ids'] === 'topic' && values['symbols-topic'] === null && values.group !== null) {
    values['symbols-topic'] = `${values.group}-symbols`;
    sources['symbols-topic'] = 'derived';
  }
  values['cold-tier-s3-prefix'] = values['cold-tier-s3-prefix'].replace(/^\/+|\/+$/g, '');
  if (isDefault('duckdb-roots')) {
    values['duckdb-roots'] = ownPlaces(values);
    sources['duckdb-roots'] = 'derived';
  }
  return { values, sources };
}

/** Where this system writes; tables other than `trades` lie at `{prefix}-{table}`. */
function ownPlaces(values: Values): string[] {
  const { 'hdb-dir': folder, 'cold-tier-s3-bucket': bucket, 'cold-tier-s3-prefix': prefix } = values;
  const places = folder === null ? [] : [folder];
  if (!values['cold-tier-enabled'] || bucket === null) return places;
  if (prefix === '') return [...places, `s3://${bucket}`];
  return [...places, `s3://${bucket}/${prefix}`, `s3://${bucket}/${prefix}-*`];
}

/** Only called when no rule found a problem, so what the rules require is there. */
function build(values: Values, tables: Config['tables']): Config {
  return {
    kafka: buildKafka(values),
    group: {
      id: values.group!,
      autoOffsetReset: values['auto-offset-reset'],
      onDataLoss: values['on-data-loss'],
      sessionTimeoutMs: values['session-timeout'],
      heartbeatIntervalMs: values['heartbeat-interval'],
      rebalanceTimeoutMs: values['rebalance-timeout'],
    },
    tables,
    schemaRegistry: buildSchemaRegistry(values),
    catalogueTopic: values['catalogue-topic'] ?? `${values.group}-catalogue`,
    symbols: {
      source: values['symbol-ids'],
      topic: values['symbols-topic'] ?? `${values.group}-symbols`,
      file: absolute(values['symbols-file']),
      countMax: values['symbols-max'],
    },
    engine: { shards: values.shards, encodeThreads: values['encode-threads'] },
    storage: {
      mode: values['storage-mode'],
      tieringIntervalMs: values['tiering-interval'],
      viewPartials: values['view-partials'],
      hdbDirectory: absolute(values['hdb-dir']),
      compression: values['hdb-compression'],
      commitAfter: values['commit-after'] === 'auto' ? 'memory' : values['commit-after'],
    },
    coldTier: values['cold-tier-enabled'] ? buildColdTier(values) : null,
    seal: {
      intervalMs: values['seal-interval'],
      allowedLatenessMs: values['allowed-lateness'],
      idleMs: values['seal-idle'],
      bytesMax: values['seal-bytes'],
      rowsMax: values['seal-rows'],
      holdBackRecordsMax: values['hold-back-max-records'],
      holdBackBytesMax: values['hold-back-max-bytes'],
      holdBackMsMax: values['hold-back-max-time'],
    },
    memory: { budgetBytes: values['memory-budget'], hotWindowMs: values['hot-window'] },
    http: buildHttp(values),
    query: {
      timeoutMs: values['query-timeout-ms'],
      threads: values['query-threads'],
      bytesMax: values['query-memory'],
      viewBytesMax: values['view-memory'],
      rowsMax: values['query-max-rows'],
      slowMs: values['slow-query-ms'],
      duckdb: buildDuckdb(values),
      cacheBytesMax: values['cold-cache-bytes'],
      cacheDirectory: absolute(values['cold-cache-dir']),
    },
    log: { level: values['log-level'], format: values['log-format'] },
  };
}

const absolute = (path: string | null): string | null => (path === null ? null : resolve(path));

function buildKafka(values: Values): KafkaConfig {
  return {
    brokers: values.brokers,
    clientId: values['client-id'],
    tls: values['kafka-tls']
      ? {
          caFile: absolute(values['kafka-tls-ca']),
          certFile: absolute(values['kafka-tls-cert']),
          keyFile: absolute(values['kafka-tls-key']),
        }
      : null,
    sasl: buildSasl(values),
    fetchDecode: values['fetch-decode'],
    fetchWaitMsMax: values['fetch-max-wait'],
    fetchBytesMax: values['fetch-max-bytes'],
    fetchPartitionBytesMax: values['fetch-partition-max-bytes'],
    deadLetterSuffix: values['dead-letter-suffix'],
  };
}

function buildSasl(values: Values): SaslConfig | null {
  const mechanism = values['kafka-sasl-mechanism'];
  if (mechanism === null) return null;
  const username = values['kafka-sasl-username']!;
  const password = values['kafka-sasl-password']!;
  if (mechanism !== 'oauthbearer') return { mechanism, username, password };
  const path = absolute(values['kafka-sasl-token-file']);
  if (path !== null) return { mechanism, token: { kind: 'file', path } };
  return {
    mechanism,
    token: {
      kind: 'client-credentials',
      tokenUrl: values['kafka-sasl-token-url']!,
      clientId: username,
      clientSecret: password,
      scope: values['kafka-sasl-token-scope'],
    },
  };
}

function buildSchemaRegistry(values: Values): SchemaRegistryConfig | null {
  const url = values['schema-registry'];
  if (url === null) return null;
  const username = values['schema-registry-user'];
  return {
    url,
    auth: username === null ? null : { username, password: values['schema-registry-password']! },
  };
}

function buildColdTier(values: Values): ColdTierConfig {
  return {
    format: values['cold-tier-format'],
    layout: values['cold-tier-layout'],
    ageHours: values['cold-tier-age-hours'],
    deleteLocalAfterS3: values['cold-tier-delete-local-after-s3'],
    s3: {
      bucket: values['cold-tier-s3-bucket']!,
      region: values['cold-tier-s3-region'],
      prefix: values['cold-tier-s3-prefix'],
      endpointUrl: values['cold-tier-s3-endpoint-url'],
      usePathStyle: values['cold-tier-s3-use-path-style'],
    },
    parquetCodec: values['cold-tier-parquet-codec'],
    timestampType: values['cold-tier-timestamp-type'],
    flatEpoch: values['cold-tier-flat-epoch'],
    rowGroupRowsMax: values['cold-tier-row-group-rows'],
    uploadConcurrency: values['cold-tier-upload-concurrency'],
  };
}

function buildDuckdb(values: Values): DuckdbConfig {
  return {
    enabled: values.duckdb,
    memoryLimitMb: values['duckdb-memory-limit-mb'],
    roots: values['duckdb-roots'].map((root) => (isBucket(root) ? root : resolve(root))),
    s3: {
      region: values['cold-tier-s3-region'],
      endpointUrl: values['cold-tier-s3-endpoint-url'],
      usePathStyle: values['cold-tier-s3-use-path-style'],
    },
  };
}

function buildHttp(values: Values): HttpConfig {
  const certFile = absolute(values['tls-cert']);
  const keyFile = absolute(values['tls-key']);
  return {
    bind: values.bind.replace(/^\[(.*)\]$/, '$1'),
    port: values.port,
    peerAddress: values['peer-address'],
    apiKeysFile: absolute(values['api-keys-file']),
    tls: certFile === null || keyFile === null ? null : { certFile, keyFile },
    requestBytesMax: values['max-request-bytes'],
  };
}
