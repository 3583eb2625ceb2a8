// What: the few Kafka requests that the commit side speaks itself, byte for byte.
// Why: kafkajs's producer hides whether an end-of-transaction was answered, and opens its own connections for each partition.
// Invariant: an error code in an answer is returned as it is; only a malformed answer throws.

import { malformed, type Reader, type Writer } from './protocol.ts';

export interface KafkaRequest<Answer> {
  readonly name: string;
  readonly key: number;
  readonly version: number;
  readonly encode: (to: Writer) => void;
  readonly decode: (from: Reader) => Answer;
}

/** A partition's producer: what InitProducerId gave. */
export interface ProducerId {
  readonly id: bigint;
  readonly epoch: number;
}

// ---------------------------------------------------------------------------------------------------------
// Cluster

/** What a broker speaks: by request key, as kafkajs keeps it. */
export type VersionRanges = Readonly<
  Record<number, { readonly minVersion: number; readonly maxVersion: number }>
>;

export function apiVersions(): KafkaRequest<VersionRanges> {
  return {
    name: 'ApiVersions',
    key: 18,
    version: 0,
    encode: () => {},
    decode: (from) => {
      from.int16();
      const versions: Record<number, { minVersion: number; maxVersion: number }> = {};
      from.array(() => {
        versions[from.int16()] = { minVersion: from.int16(), maxVersion: from.int16() };
      });
      return versions;
    },
  };
}

export interface ClusterLayout {
  /** The broker to send administration to. */
  readonly controller: number;
  readonly nodes: readonly { readonly id: number; readonly host: string; readonly port: number }[];
  readonly topics: readonly {
    readonly code: number;
    readonly name: string;
    readonly partitions: readonly {
      readonly code: number;
      readonly partition: number;
      readonly leader: number;
    }[];
  }[];
}

export function metadata(topics: readonly string[]): KafkaRequest<ClusterLayout> {
  return {
    name: 'Metadata',
    key: 3,
    version: 5,
    encode: (to) => {
      to.array(topics, (topic) => to.string(topic));
      to.boolean(false); // never creates a topic by asking for it
    },
    decode: (from) => {
      from.int32();
      const nodes = from.array(() => {
        const node = { id: from.int32(), host: from.string(), port: from.int32() };
        from.nullableString(); // rack
        return node;
      });
      from.nullableString(); // cluster id
      const controller = from.int32();
      const topics = from.array(() => {
        const code = from.int16();
        const name = from.string();
        from.boolean(); // internal
        const partitions = from.array(() => {
          const entry = { code: from.int16(), partition: from.int32(), leader: from.int32() };
          for (let list = 0; list < 3; list++) from.array(() => from.int32()); // replicas, in sync, offline
          return entry;
        });
        return { code, name, partitions };
      });
      return { controller, nodes, topics };
    },
  };
}

export function findCoordinator(
  kind: 'group' | 'transaction',
  key: string,
): KafkaRequest<{ code: number; node: number }> {
  return {
    name: 'FindCoordinator',
    key: 10,
    version: 1,
    encode: (to) => {
      to.string(key);
      to.int8(kind === 'group' ? 0 : 1);
    },
    decode: (from) => {
      from.int32();
      const code = from.int16();
      from.nullableString();
      return { code, node: from.int32() };
    },
  };
}

// ---------------------------------------------------------------------------------------------------------
// Transactions

/** Version 3, not later: it answers INVALID_PRODUCER_EPOCH where 4 says PRODUCER_FENCED, and any broker since 2.5 knows it. */
/** Without a transactional id: a new producer, which is only idempotent. */
export function initProducerId(
  transactionalId: string | null,
  transactionTimeoutMs: number,
  current: ProducerId | null,
): KafkaRequest<{ code: number; producer: ProducerId }> {
  return {
    name: 'InitProducerId',
    key: 22,
    version: 3,
    encode: (to) => {
      to.tags(); // of the request header
      to.nullableCompactString(transactionalId);
      to.int32(transactionTimeoutMs);
      to.int64(current?.id ?? -1n);
      to.int16(current?.epoch ?? -1);
      to.tags();
    },
    decode: (from) => {
      from.tags();
      from.int32();
      const code = from.int16();
      return { code, producer: { id: from.int64(), epoch: from.int16() } };
    },
  };
}

export function addPartitionToTransaction(
  transactionalId: string,
  producer: ProducerId,
  topic: string,
  partition: number,
): KafkaRequest<number> {
  return {
    name: 'AddPartitionsToTxn',
    key: 24,
    version: 1,
    encode: (to) => {
      transaction(to, transactionalId, producer);
      to.array([topic], () => {
        to.string(topic);
        to.array([partition], (number) => to.int32(number));
      });
    },
    decode: (from) => {
      from.int32();
      return firstCode(from);
    },
  };
}

export function addOffsetsToTransaction(
  transactionalId: string,
  producer: ProducerId,
  group: string,
): KafkaRequest<number> {
  return {
    name: 'AddOffsetsToTxn',
    key: 25,
    version: 1,
    encode: (to) => {
      transaction(to, transactionalId, producer);
      to.string(group);
    },
    decode: (from) => {
      from.int32();
      return from.int16();
    },
  };
}

export interface OffsetToCommit {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly metadata: string;
}

export function commitOffsetInTransaction(
  transactionalId: string,
  producer: ProducerId,
  { group, topic, partition, offset, metadata }: OffsetToCommit,
): KafkaRequest<number> {
  return {
    name: 'TxnOffsetCommit',
    key: 28,
    version: 1,
    encode: (to) => {
      to.string(transactionalId);
      to.string(group);
      to.int64(producer.id);
      to.int16(producer.epoch);
      to.array([topic], () => {
        to.string(topic);
        to.array([partition], () => {
          to.int32(partition);
          to.int64(BigInt(offset));
          to.string(metadata);
        });
      });
    },
    decode: (from) => {
      from.int32();
      return firstCode(from);
    },
  };
}

export function endTransaction(
  transactionalId: string,
  producer: ProducerId,
  outcome: 'commit' | 'abort',
): KafkaRequest<number> {
  return {
    name: 'EndTxn',
    key: 26,
    version: 1,
    encode: (to) => {
      transaction(to, transactionalId, producer);
      to.boolean(outcome === 'commit');
    },
    decode: (from) => {
      from.int32();
      return from.int16();
    },
  };
}

function transaction(to: Writer, transactionalId: string, producer: ProducerId): void {
  to.string(transactionalId);
  to.int64(producer.id);
  to.int16(producer.epoch);
}

/** Answers by topic and partition where one partition was asked for: its code. */
function firstCode(from: Reader): number {
  const codes = from.array(() => {
    from.string();
    return from.array(() => {
      from.int32();
      return from.int16();
    });
  });
  const code = codes[0]?.[0];
  if (code === undefined) throw malformed('no partition in the answer');
  return code;
}

// ---------------------------------------------------------------------------------------------------------
// Offsets

export interface GroupOffset {
  readonly topic: string;
  readonly partition: number;
  readonly code: number;
  /** −1: nothing is committed. */
  readonly offset: number;
  readonly metadata: string;
}

/**
 * What the group has committed for one partition, or (null) for all that it ever committed. Version 7 asks for stable
 * offsets: with a transaction still pending it answers UNSTABLE_OFFSET_COMMIT, not the old value.
 */
export function groupOffsets(
  group: string,
  only: { readonly topic: string; readonly partition: number } | null,
): KafkaRequest<{ code: number; offsets: readonly GroupOffset[] }> {
  return {
    name: 'OffsetFetch',
    key: 9,
    version: 7,
    encode: (to) => {
      to.tags();
      to.compactString(group);
      to.nullableCompactArray(only === null ? null : [only], ({ topic, partition }) => {
        to.compactString(topic);
        to.nullableCompactArray([partition], (number) => to.int32(number));
        to.tags();
      });
      to.boolean(true);
      to.tags();
    },
    decode: (from) => {
      from.tags();
      from.int32();
      const topics = from.compactArray(() => {
        const topic = from.compactString();
        const partitions = from.compactArray(() => {
          const partition = from.int32();
          const offset = Number(from.int64());
          from.int32(); // leader epoch
          const metadata = from.nullableCompactString() ?? '';
          const code = from.int16();
          from.tags();
          return { topic, partition, code, offset, metadata };
        });
        from.tags();
        return partitions;
      });
      const offsets = topics.flat();
      const code = from.int16();
      return { code: code === 0 ? (offsets.find((entry) => entry.code !== 0)?.code ?? 0) : code, offsets };
    },
  };
}

/** The offset at one end of a partition. Latest is the high watermark: past every record, of open transactions too. */
export function listOffset(
  topic: string,
  partition: number,
  end: 'earliest' | 'latest',
): KafkaRequest<{ code: number; offset: number }> {
  return {
    name: 'ListOffsets',
    key: 2,
    version: 2,
    encode: (to) => {
      to.int32(-1);
      to.int8(0); // read uncommitted
      to.array([topic], () => {
        to.string(topic);
        to.array([partition], () => {
          to.int32(partition);
          to.int64(end === 'earliest' ? -2n : -1n);
        });
      });
    },
    decode: (from) => {
      from.int32();
      const topics = from.array(() => {
        from.string();
        return from.array(() => {
          from.int32();
          const code = from.int16();
          from.int64(); // timestamp
          return { code, offset: Number(from.int64()) };
        });
      });
      const found = topics[0]?.[0];
      if (found === undefined) throw malformed('no partition in the answer');
      return found;
    },
  };
}

// ---------------------------------------------------------------------------------------------------------
// Records

export function produce(
  transactionalId: string | null,
  timeoutMs: number,
  topic: string,
  partition: number,
  recordBatch: Uint8Array,
): KafkaRequest<{ code: number; offset: number }> {
  return {
    name: 'Produce',
    key: 0,
    version: 7,
    encode: (to) => {
      to.nullableString(transactionalId);
      to.int16(-1); // acknowledged by all replicas in sync
      to.int32(timeoutMs);
      to.array([topic], () => {
        to.string(topic);
        to.array([partition], () => {
          to.int32(partition);
          to.bytes(recordBatch);
        });
      });
    },
    decode: (from) => {
      const topics = from.array(() => {
        from.string();
        return from.array(() => {
          from.int32();
          const answer = { code: from.int16(), offset: Number(from.int64()) };
          from.int64(); // append time
          from.int64(); // log start
          return answer;
        });
      });
      const answer = topics[0]?.[0];
      if (answer === undefined) throw malformed('no partition in the answer');
      return answer;
    },
  };
}

export interface FetchedRecords {
  readonly code: number;
  /** Offset after the last record that all replicas in sync hold. */
  readonly highWatermark: number;
  /** Record batches, the last perhaps cut off. */
  readonly records: Buffer;
}

/** Waits up to `waitMs` for a record at or after `offset`. Aborted records are not filtered. */
export function fetchRecords(
  topic: string,
  partition: number,
  offset: number,
  waitMs: number,
  bytesMax: number,
): KafkaRequest<FetchedRecords> {
  return {
    name: 'Fetch',
    key: 1,
    version: 4,
    encode: (to) => {
      to.int32(-1);
      to.int32(waitMs);
      to.int32(1);
      to.int32(bytesMax);
      to.int8(0); // read uncommitted
      to.array([topic], () => {
        to.string(topic);
        to.array([partition], () => {
          to.int32(partition);
          to.int64(BigInt(offset));
          to.int32(bytesMax);
        });
      });
    },
    decode: (from) => {
      from.int32();
      const topics = from.array(() => {
        from.string();
        return from.array(() => {
          from.int32();
          const code = from.int16();
          const highWatermark = Number(from.int64());
          from.int64(); // last stable offset
          from.array(() => {
            from.int64();
            from.int64();
          }); // aborted transactions
          return { code, highWatermark, records: from.bytes() };
        });
      });
      const fetched = topics[0]?.[0];
      if (fetched === undefined) throw malformed('no partition in the answer');
      return fetched;
    },
  };
}

// ---------------------------------------------------------------------------------------------------------
// Topics

export interface TopicToCreate {
  readonly name: string;
  readonly partitions: number;
  readonly config: Readonly<Record<string, string>>;
}

/** Replication as the cluster's default says. */
export function createTopic(
  topic: TopicToCreate,
  timeoutMs: number,
): KafkaRequest<{ code: number; message: string }> {
  return {
    name: 'CreateTopics',
    key: 19,
    version: 4,
    encode: (to) => {
      to.array([topic], ({ name, partitions, config }) => {
        to.string(name);
        to.int32(partitions);
        to.int16(-1);
        to.array([], () => {});
        to.array(Object.entries(config), ([key, value]) => {
          to.string(key);
          to.nullableString(value);
        });
      });
      to.int32(timeoutMs);
      to.boolean(false);
    },
    decode: (from) => {
      from.int32();
      const answers = from.array(() => {
        from.string();
        return { code: from.int16(), message: from.nullableString() ?? '' };
      });
      const answer = answers[0];
      if (answer === undefined) throw malformed('no topic in the answer');
      return answer;
    },
  };
}

/** The topic's settings in force, defaults included. */
export function describeTopic(
  topic: string,
  names: readonly string[],
): KafkaRequest<{ code: number; config: ReadonlyMap<string, string> }> {
  return {
    name: 'DescribeConfigs',
    key: 32,
    version: 1,
    encode: (to) => {
      to.array([topic], () => {
        to.int8(2);
        to.string(topic);
        to.array(names, (name) => to.string(name));
      });
      to.boolean(false);
    },
    decode: (from) => {
      from.int32();
      const answers = from.array(() => {
        const code = from.int16();
        from.nullableString();
        from.int8();
        from.string();
        const config = new Map<string, string>();
        from.array(() => {
          config.set(from.string(), from.nullableString() ?? '');
          from.boolean(); // read only
          from.int8(); // source
          from.boolean(); // sensitive
          from.array(() => {
            from.string();
            from.nullableString();
            from.int8();
          }); // synonyms
        });
        return { code, config };
      });
      const answer = answers[0];
      if (answer === undefined) throw malformed('no topic in the answer');
      return answer;
    },
  };
}
