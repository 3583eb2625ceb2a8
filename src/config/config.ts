// What: the configuration of a process as the rest of the code sees it: plain frozen data, nested by area.
// Why: flags, environment and file are read once, checked together, and never looked at again.
// Invariant: a Config is complete and consistent: every default is filled in and every cross-check has passed.

import type { TableSource } from '../ports.ts';

export interface Config {
  readonly kafka: KafkaConfig;
  readonly group: GroupConfig;
  /** One per table, in declared order; no two share a table name or a topic. */
  readonly tables: readonly TableSource[];
  /** Null: no Avro table needs one. */
  readonly schemaRegistry: SchemaRegistryConfig | null;
  /** Of tables, views and policies that SQL has declared. */
  readonly catalogueTopic: string;
  readonly symbols: SymbolsConfig;
  readonly engine: EngineConfig;
  readonly storage: StorageConfig;
  /** Null: the cold tier is off. */
  readonly coldTier: ColdTierConfig | null;
  readonly seal: SealConfig;
  readonly memory: MemoryConfig;
  readonly http: HttpConfig;
  readonly query: QueryConfig;
  readonly log: LogConfig;
}

export interface KafkaConfig {
  readonly brokers: readonly string[];
  readonly clientId: string;
  /** Null: plaintext. */
  readonly tls: KafkaTlsConfig | null;
  /** Null: no authentication. */
  readonly sasl: SaslConfig | null;
  /** `direct` decodes fetch responses into typed arrays; `kafkajs` is the fallback through message objects. */
  readonly fetchDecode: 'direct' | 'kafkajs';
  readonly fetchWaitMsMax: number;
  /** Of one fetch response, and of one partition's share in it. */
  readonly fetchBytesMax: number;
  readonly fetchPartitionBytesMax: number;
  /** A topic's dead letters go to `{topic}{deadLetterSuffix}`. */
  readonly deadLetterSuffix: string;
}

export interface KafkaTlsConfig {
  /** PEM files; null = the system's authorities, no client certificate. */
  readonly caFile: string | null;
  readonly certFile: string | null;
  readonly keyFile: string | null;
}

export type SaslConfig =
  | {
      readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
      readonly username: string;
      /** Secret. */
      readonly password: string;
    }
  | {
      readonly mechanism: 'oauthbearer';
      readonly token:
        | { readonly kind: 'file'; readonly path: string }
        | {
            readonly kind: 'client-credentials';
            readonly tokenUrl: string;
            readonly clientId: string;
            /** Secret. */
            readonly clientSecret: string;
            readonly scope: string | null;
          };
    };

export interface GroupConfig {
  readonly id: string;
  /** Where a partition starts that has no committed offset. */
  readonly autoOffsetReset: 'earliest' | 'latest';
  /** When committed data is gone from the topic: stop with an error, or go on at the earliest record and count the loss. */
  readonly onDataLoss: 'stop' | 'earliest';
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly rebalanceTimeoutMs: number;
}

export interface SchemaRegistryConfig {
  readonly url: string;
  /** Null: no authentication. */
  readonly auth: { readonly username: string /** Secret. */; readonly password: string } | null;
}

export interface SymbolsConfig {
  /** Where ids come from: the group's symbol topic, a static file, or the messages themselves (numeric symbols). */
  readonly source: 'topic' | 'file' | 'message';
  readonly topic: string;
  /** Names, one per line; the line number (from 0) is the id. Null unless the source is `file`. */
  readonly file: string | null;
  /** Bound on distinct names: further ones are dead-lettered. */
  readonly countMax: number;
}

export interface EngineConfig {
  /** Consumer-group members (worker threads) of this process. */
  readonly shards: number;
  /** Threads that compress and encode sealed segments, shared by the shards. */
  readonly encodeThreads: number;
}

export interface StorageConfig {
  readonly mode: 'pure' | 'tiered' | 'disk';
  readonly tieringIntervalMs: number;
  /** Whether partials of views are written beside segments. */
  readonly viewPartials: boolean;
  /** Base folder of `.bin` segments, absolute; null = no local files. */
  readonly hdbDirectory: string | null;
  readonly compression: 'none' | 'lz4';
  /** What must be durable before offsets move. `memory` only in pure mode: the offset from which the hot window can be rebuilt. */
  readonly commitAfter: 'memory' | 'local' | 's3';
}

export interface ColdTierConfig {
  readonly format: 'binary' | 'parquet' | 'both';
  readonly layout: 'hive' | 'flat';
  /** Age of an hour partition, from its start, at which its local copy may go (see deleteLocalAfterS3). */
  readonly ageHours: number;
  readonly deleteLocalAfterS3: boolean;
  readonly s3: S3Config;
  readonly parquetCodec: 'SNAPPY' | 'ZSTD' | 'LZ4_RAW' | 'NONE';
  readonly timestampType: 'ns' | 'us' | 'int64';
  /** Unit of `{hour_epoch}` in flat keys. */
  readonly flatEpoch: 's' | 'ns';
  readonly rowGroupRowsMax: number;
  readonly uploadConcurrency: number;
}

export interface S3Config {
  readonly bucket: string;
  readonly region: string;
  /** No leading or trailing slash; may be ''. */
  readonly prefix: string;
  /** Null: AWS. */
  readonly endpointUrl: string | null;
  readonly usePathStyle: boolean;
}

/** When rows are sealed, besides an hour that is closed, a shutdown and a request. 0 = never for this reason. */
export interface SealConfig {
  /** Wall clock: seal everything this often. */
  readonly intervalMs: number;
  /** An hour closes when the event-time watermark is this far past its end. */
  readonly allowedLatenessMs: number;
  /** A partition that received nothing for this long is sealed. */
  readonly idleMs: number;
  /** Unsealed rows of one Kafka partition. */
  readonly bytesMax: number;
  readonly rowsMax: number;
  /** Span from the committed offset to the position; past a bound the next plan seals everything. */
  readonly holdBackRecordsMax: number;
  readonly holdBackBytesMax: number;
  readonly holdBackMsMax: number;
}

export interface MemoryConfig {
  /** Column memory of the whole process, all shards together. */
  readonly budgetBytes: number;
  /** Pure mode: event time that stays queryable; older hours are dropped. */
  readonly hotWindowMs: number;
}

export interface HttpConfig {
  readonly bind: string;
  readonly port: number;
  /** Where other members of the group reach this one; null: queries are about this member's partitions. */
  readonly peerAddress: string | null;
  /** Null: every request acts as an administrator (loopback, or said so twice). */
  readonly apiKeysFile: string | null;
  /** Null: plain HTTP. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null;
  readonly requestBytesMax: number;
}

export interface QueryConfig {
  /** 0 = no limit. */
  readonly timeoutMs: number;
  readonly threads: number;
  readonly bytesMax: number;
  readonly rowsMax: number;
  /** A query at least this long is logged with its text. 0 = none. */
  readonly slowMs: number;
  /** Of materialized views, all threads together. */
  readonly viewBytesMax: number;
  readonly duckdb: DuckdbConfig;
  /** Of objects that queries have read, on the local disk, all threads together. */
  readonly cacheBytesMax: number;
  /** Null: below the system's folder for temporary files. */
  readonly cacheDirectory: string | null;
}

export interface DuckdbConfig {
  readonly enabled: boolean;
  /** All query threads together. */
  readonly memoryLimitMb: number;
  /** Absolute folders and `s3://bucket/…`. */
  readonly roots: readonly string[];
  /** How buckets are reached. */
  readonly s3: Omit<S3Config, 'bucket' | 'prefix'>;
}

export interface LogConfig {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly format: 'json' | 'pretty';
}
