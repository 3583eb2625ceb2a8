// What: a fetch of many partitions, and its answer with the records still as bytes.
// Why: kafkajs makes an object of every record while it reads the answer; that is most of what it costs.
// Invariant: the records of a partition are a view into the answer's buffer, not a copy.

import type { AbortedTransaction } from './aborted.ts';
import type { KafkaRequest } from './requests.ts';

export interface FetchRequest {
  readonly waitMsMax: number;
  readonly bytesMin: number;
  readonly bytesMax: number;
  /** In this order; the first one with data gets at least one whole batch, whatever its size (KIP-74). */
  readonly partitions: readonly {
    readonly topic: string;
    readonly partition: number;
    readonly offset: number;
    readonly bytesMax: number;
  }[];
}

export interface FetchAnswer {
  /** Of the request as a whole. */
  readonly code: number;
  readonly partitions: readonly PartitionAnswer[];
}

export interface PartitionAnswer {
  readonly topic: string;
  readonly partition: number;
  readonly code: number;
  /** Up to which transactions have ended: what a read_committed consumer may read. */
  readonly lastStableOffset: number;
  readonly aborted: readonly AbortedTransaction[];
  /** Record batches one after the other; the last may be cut. */
  readonly records: Uint8Array;
}

const READ_COMMITTED = 1;

/** Version 11: brokers from Kafka 2.3 on. */
export function fetchBatches(fetch: FetchRequest): KafkaRequest<FetchAnswer> {
  return {
    name: 'Fetch',
    key: 1,
    version: 11,
    encode: (to) => {
      to.int32(-1); // not a replica
      to.int32(fetch.waitMsMax);
      to.int32(fetch.bytesMin);
      to.int32(fetch.bytesMax);
      to.int8(READ_COMMITTED);
      to.int32(0); // no fetch session
      to.int32(-1);
      to.array(fetch.partitions, ({ topic, partition, offset, bytesMax }) => {
        to.string(topic);
        to.array([partition], () => {
          to.int32(partition);
          to.int32(-1); // leader epoch: not checked
          to.int64(BigInt(offset));
          to.int64(-1n); // log start, for replicas
          to.int32(bytesMax);
        });
      });
      to.array([], () => {}); // forgotten, in sessions
      to.string(''); // rack
    },
    decode: (from) => {
      from.int32();
      const code = from.int16();
      from.int32();
      const topics = from.array(() => {
        const topic = from.string();
        return from.array((): PartitionAnswer => {
          const partition = from.int32();
          const code = from.int16();
          from.int64(); // high watermark
          const lastStableOffset = Number(from.int64());
          from.int64(); // log start
          const aborted = from.array(() => ({
            producerId: from.int64(),
            firstOffset: Number(from.int64()),
          }));
          from.int32(); // preferred read replica
          return { topic, partition, code, lastStableOffset, aborted, records: from.bytes() };
        });
      });
      return { code, partitions: topics.flat() };
    },
  };
}
